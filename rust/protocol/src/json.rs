//! Reading JSON: one entry that turns every failure into our error, and what all readers share.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use tidegate_schema::Error;

use crate::Limits;
use crate::limits::too_many;

/// A result of ours by default, of a reader where it says so.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// What the readers of one body share: limits, what is left of them, and the first failure,
/// kept beside serde's own error because that one carries no kind.
pub(crate) struct Context<'l> {
    pub limits: &'l Limits,
    elements_left: Cell<usize>,
    failure: RefCell<Option<Error>>,
    /// Bytes of the body, which bound how much may be reserved on a mere claim.
    body: usize,
}

impl<'l> Context<'l> {
    pub(crate) fn new(limits: &'l Limits, body: usize) -> Self {
        Self {
            limits,
            elements_left: Cell::new(limits.elements),
            failure: RefCell::new(None),
            body,
        }
    }

    /// Keeps our error and gives the reader one to stop with.
    #[cold]
    pub(crate) fn fail<E: de::Error>(&self, error: Error) -> E {
        self.failure.borrow_mut().get_or_insert(error);
        E::custom("refused")
    }

    /// Says where the failure is that was kept, if one was.
    #[cold]
    pub(crate) fn locate(&self, place: impl FnOnce(Error) -> Error) {
        let mut failure = self.failure.borrow_mut();
        if let Some(error) = failure.take() {
            *failure = Some(place(error));
        }
    }

    /// How many more elements the request may have.
    pub(crate) fn elements_left(&self) -> usize {
        self.elements_left.get()
    }

    /// Counts elements that are about to be kept.
    pub(crate) fn count(&self, elements: usize) -> Result<()> {
        match self.elements_left.get().checked_sub(elements) {
            Some(left) => {
                self.elements_left.set(left);
                Ok(())
            }
            None => Err(self.too_many_elements()),
        }
    }

    #[cold]
    pub(crate) fn too_many_elements(&self) -> Error {
        too_many("elements", "more", self.limits.elements)
    }

    /// How much to reserve for elements of which at least two bytes each must still be read.
    pub(crate) fn reserve(&self, claimed: usize) -> usize {
        claimed.min(self.body / 2 + 1).min(self.elements_left.get())
    }

    /// An error when a container at this depth (the body itself is 1) is too deep.
    #[inline]
    pub(crate) fn deep<E: de::Error>(&self, depth: usize) -> Result<(), E> {
        if depth > self.limits.depth {
            let message = format!(
                "JSON nested deeper than {} levels: flatten the request",
                self.limits.depth
            );
            return Err(self.fail(Error::invalid(message)));
        }
        Ok(())
    }
}

/// Reads one JSON document that fills the whole of `text`.
pub(crate) fn parse<'de, S>(text: &'de [u8], context: &Context<'_>, seed: S) -> Result<S::Value>
where
    S: DeserializeSeed<'de>,
{
    // Checked once here: the reader would otherwise check each string by itself.
    let text = std::str::from_utf8(text).map_err(|error| {
        let place = error.valid_up_to();
        Error::invalid(format!(
            "malformed JSON: byte {place} is not UTF-8: send UTF-8 text, or the header \
             Inference-Header-Content-Length when tensors follow in binary"
        ))
    })?;
    let mut reader = serde_json::Deserializer::from_str(text);
    seed.deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| {
            let kept = context.failure.borrow_mut().take();
            kept.unwrap_or_else(|| refused(&error))
        })
}

/// Most characters of a caller's text that a message quotes.
const QUOTED: usize = 80;
/// Most characters of the reader's own messages, which quote whole strings.
const REASON: usize = 240;

/// A caller's text in quotes, shortened: it may be as long as the body.
pub(crate) fn quote(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
    }
}

#[cold]
fn refused(error: &serde_json::Error) -> Error {
    let reason = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let reason: String = reason
        .trim_end_matches(&place)
        .chars()
        .take(REASON)
        .collect();
    let kind = if error.is_data() {
        "unexpected"
    } else {
        "malformed"
    };
    Error::invalid(format!("{kind} JSON: {reason}{place}"))
}

/// Is this one well-formed JSON document, whatever it says? What fuzzing counts by.
pub(crate) fn is_well_formed(text: &[u8]) -> bool {
    serde_json::from_slice::<de::IgnoredAny>(text).is_ok()
}

/// Passes over any value while counting its depth.
pub(crate) struct Skip<'c> {
    pub context: &'c Context<'c>,
    /// How many containers this value lies in.
    pub depth: usize,
}

impl<'de> DeserializeSeed<'de> for Skip<'_> {
    type Value = ();
    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skip<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let depth = self.depth + 1;
        self.context.deep(depth)?;
        let context = self.context;
        while items.next_element_seed(Skip { context, depth })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let depth = self.depth + 1;
        self.context.deep(depth)?;
        let context = self.context;
        while map.next_key::<de::IgnoredAny>()?.is_some() {
            map.next_value_seed(Skip { context, depth })?;
        }
        Ok(())
    }
}

/// Reads a text, borrowed from the body where it has no escapes; the field says what it is.
pub(crate) struct Text(pub &'static str);

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Cow<'de, str>;
    fn deserialize<D: de::Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as a string", self.0)
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_owned()))
    }
}

/// A set of keys that an object may have, read without allocation; any other key is `Other`.
macro_rules! keys {
    ($name:ident { $($variant:ident = $text:literal),* $(,)? }) => {
        #[derive(Clone, Copy, PartialEq, Eq)]
        enum $name { $($variant,)* Other }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
                struct Read;
                impl serde::de::Visitor<'_> for Read {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a key")
                    }
                    fn visit_str<E>(self, text: &str) -> Result<$name, E> {
                        Ok(match text { $($text => $name::$variant,)* _ => $name::Other })
                    }
                }
                reader.deserialize_identifier(Read)
            }
        }
    };
}
pub(crate) use keys;

/// The error for a key that came twice.
#[cold]
pub(crate) fn twice(key: &str) -> Error {
    Error::invalid(format!("{key:?} appears twice in one object: send it once"))
}
