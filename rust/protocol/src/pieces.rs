//! Row JSON that arrives bit by bit: cut into pieces of whole rows, each a body of its own.
//!
//! Only brackets, texts and commas are looked at here. What a row holds is for [`crate::rows`] to
//! read and to refuse, piece by piece, so that a body of any length takes the memory of a piece.

use tidegate_schema::{Error, ErrorKind, Result};

use crate::json::{quote, twice};
use crate::rows::Extra;

/// Longest row of a body that is read in pieces, in bytes.
pub const MAX_ROW_BYTES: usize = 1024 * 1024;
/// How a piece begins and ends as a body.
const OPEN: &[u8] = b"{\"instances\":[";
const CLOSE: &[u8] = b"]}";
const INSTANCES: &str = "instances";

/// Where the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the body's `{`.
    Start,
    /// Before a key; `}` may come instead of the first, and where no comma has come.
    Key { first: bool },
    /// In a key, from its quote on.
    InKey,
    /// Before the colon after a key.
    Colon { rows: bool },
    /// Before the `[` of the rows.
    Open,
    /// Among the rows.
    Rows,
    /// In the value of a key to pass over.
    Other,
    /// After a value: `,` or `}`.
    After,
    /// After the body.
    End,
}

/// Cuts a body into pieces.
#[derive(Debug)]
pub struct Pieces {
    place: Place,
    extra: Extra,
    /// Bytes of a key.
    name: Vec<u8>,
    /// Bytes of rows that are not given out yet.
    held: Vec<u8>,
    /// How much of `held` is whole rows.
    whole: usize,
    depth: usize,
    text: bool,
    escaped: bool,
    /// Has anything of the current value come?
    begun: bool,
    /// Has a comma come after which a row is due?
    due: bool,
    seen: bool,
    /// Have rows been given out?
    given: bool,
}

impl Pieces {
    /// Nothing read yet.
    #[must_use]
    pub fn new(extra: Extra) -> Self {
        Self {
            place: Place::Start,
            extra,
            name: Vec::new(),
            held: Vec::new(),
            whole: 0,
            depth: 0,
            text: false,
            escaped: false,
            begun: false,
            due: false,
            seen: false,
            given: false,
        }
    }

    /// Reads on.
    ///
    /// # Errors
    /// `InvalidInput` for what is no JSON object of rows; `TooLarge` for a row above
    /// [`MAX_ROW_BYTES`].
    pub fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        for &byte in bytes {
            self.step(byte)?;
        }
        if self.name.len().max(self.held.len() - self.whole) > MAX_ROW_BYTES {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "a row or key exceeds {MAX_ROW_BYTES} bytes: send rows of named values only"
                ),
            ));
        }
        Ok(())
    }

    /// The whole rows that have come, as a body, once there are `least` bytes of them.
    pub fn next(&mut self, least: usize) -> Option<Vec<u8>> {
        if self.whole < least.max(1) {
            return None;
        }
        let rest = self.held.split_off(self.whole);
        let rows = std::mem::replace(&mut self.held, rest);
        self.whole = 0;
        self.given = true;
        // The comma after the last row is not part of the piece, nor that before the first.
        Some(body(trimmed(&rows)))
    }

    /// The last rows, when all has been fed.
    ///
    /// # Errors
    /// `InvalidInput` for a body that ends too early or has no rows.
    pub fn finish(mut self) -> Result<Option<Vec<u8>>> {
        if self.place != Place::End {
            return Err(malformed("the body ends before its object does"));
        }
        let last = self.next(1);
        if last.is_none() && !self.given {
            // Let the reader of rows say what it says of no rows at all.
            return Ok(Some(body(b"")));
        }
        Ok(last)
    }

    fn step(&mut self, byte: u8) -> Result<()> {
        let space = matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
        match self.place {
            Place::Rows => return self.row(byte, space),
            Place::InKey => return self.key(byte),
            Place::Other => return self.other(byte),
            _ if space => return Ok(()),
            _ => {}
        }
        self.place = match (self.place, byte) {
            (Place::Start, b'{') => Place::Key { first: true },
            (Place::Key { .. }, b'"') => {
                self.escaped = false;
                Place::InKey
            }
            (Place::Key { first: true } | Place::After, b'}') => Place::End,
            (Place::Colon { rows }, b':') if rows => Place::Open,
            (Place::Colon { .. }, b':') => {
                self.begun = false;
                Place::Other
            }
            (Place::Open, b'[') => {
                self.seen = true;
                Place::Rows
            }
            (Place::After, b',') => Place::Key { first: false },
            (Place::Open, _) => return Err(malformed("instances is no array of rows")),
            _ => return Err(malformed("the body is no object of rows")),
        };
        Ok(())
    }

    fn key(&mut self, byte: u8) -> Result<()> {
        if self.escaped || byte != b'"' {
            self.escaped = !self.escaped && byte == b'\\';
            self.name.push(byte);
            return Ok(());
        }
        let key = String::from_utf8_lossy(&self.name).into_owned();
        self.name.clear();
        let rows = key == INSTANCES;
        if rows && self.seen {
            return Err(twice(INSTANCES));
        }
        if !rows && self.extra == Extra::Refuse {
            return Err(Error::invalid(format!(
                "the body has the key {} besides \"instances\": send {{\"instances\": [{{…}}, …]}}",
                quote(&key)
            )));
        }
        self.place = Place::Colon { rows };
        Ok(())
    }

    /// Goes on within a text or a container; true while it is in one, or has just left one.
    fn nested(&mut self, byte: u8) -> bool {
        if self.text {
            if self.escaped {
                self.escaped = false;
            } else if byte == b'\\' {
                self.escaped = true;
            } else if byte == b'"' {
                self.text = false;
            }
            return true;
        }
        match byte {
            b'"' => self.text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth > 0 => {
                self.depth -= 1;
                return true;
            }
            _ => {}
        }
        self.text || self.depth > 0
    }

    fn row(&mut self, byte: u8, space: bool) -> Result<()> {
        if self.nested(byte) {
            self.held.push(byte);
            (self.begun, self.due) = (true, false);
            return Ok(());
        }
        match byte {
            b',' | b']' if !self.begun && (self.due || byte == b',') => {
                return Err(malformed(
                    "a row is due where a comma or the end of the rows comes",
                ));
            }
            b',' | b']' => {
                self.held.push(b',');
                self.whole = if self.begun || self.whole > 0 {
                    self.held.len()
                } else {
                    // The end of no rows at all.
                    self.held.clear();
                    0
                };
                self.begun = false;
                self.due = byte == b',';
                if byte == b']' {
                    self.place = Place::After;
                }
            }
            b'}' => return Err(malformed("a bracket closes what was not opened")),
            _ if space => self.held.push(byte),
            _ => {
                // No row, but the reader of rows says it better.
                self.held.push(byte);
                (self.begun, self.due) = (true, false);
            }
        }
        Ok(())
    }

    fn other(&mut self, byte: u8) -> Result<()> {
        if self.nested(byte) {
            self.begun = true;
            return Ok(());
        }
        match byte {
            b',' | b'}' if !self.begun => return Err(malformed("a key has no value")),
            b',' => self.place = Place::Key { first: false },
            b'}' => self.place = Place::End,
            b' ' | b'\n' | b'\r' | b'\t' => {}
            _ => self.begun = true,
        }
        Ok(())
    }
}

/// Rows without the commas and spaces around them.
fn trimmed(rows: &[u8]) -> &[u8] {
    let outer = |byte: &u8| matches!(byte, b',' | b' ' | b'\n' | b'\r' | b'\t');
    let begin = rows.iter().position(|byte| !outer(byte)).unwrap_or(0);
    let end = rows
        .iter()
        .rposition(|byte| !outer(byte))
        .map_or(0, |i| i + 1);
    rows.get(begin..end).unwrap_or_default()
}

fn body(rows: &[u8]) -> Vec<u8> {
    [OPEN, rows, CLOSE].concat()
}

#[cold]
fn malformed(what: &str) -> Error {
    Error::invalid(format!(
        "malformed JSON: {what}: send {{\"instances\": [{{…}}, …]}}"
    ))
}
