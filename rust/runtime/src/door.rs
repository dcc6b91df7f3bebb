//! The door of a model: what a server holds for requests that are not answered yet is bounded, also
//! while their bodies are still read and decoded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tidegate_batching::{Reason, Refusal};
use tidegate_schema::Result;

use crate::Model;
use crate::answer::Input;
use crate::options::CallOptions;
use crate::routing::{Arm, Choice, Routed};
use crate::work::Urgency;

/// So much of something is held, of so much that may be.
#[derive(Debug)]
struct Gauge {
    held: AtomicUsize,
    most: usize,
}

impl Gauge {
    fn new(most: usize) -> Self {
        Self {
            held: AtomicUsize::new(0),
            most,
        }
    }

    /// Is there room for so much more, beside what is held?
    fn has_room(&self, more: usize) -> bool {
        self.held.load(Relaxed).saturating_add(more) <= self.most
    }

    fn take(&self, more: usize) -> bool {
        let taken = self.held.fetch_add(more, Relaxed).saturating_add(more) <= self.most;
        if !taken {
            self.give_back(more);
        }
        taken
    }

    fn give_back(&self, less: usize) {
        self.held.fetch_sub(less, Relaxed);
    }
}

/// What has been let in for one model.
#[derive(Debug)]
pub(crate) struct Door {
    bytes: Gauge,
}

impl Door {
    pub fn new(limits: &tidegate_batching::Limits) -> Self {
        Self {
            bytes: Gauge::new(limits.max_queue_bytes),
        }
    }
}

/// Lets one request in until it is dropped, which is to be when it is answered. What a request
/// brings is held in `max_queue_bytes` from the first byte that is read. Its rows are bounded by the
/// queue, as soon as they are known.
#[derive(Debug)]
pub struct Permit {
    choice: Choice,
    /// Whose door it was let in by, where that is another's than the arm that answers.
    door: Option<Arc<Arm>>,
    bytes: usize,
    caller: Option<Arc<str>>,
}

impl Permit {
    /// Asks at the door of the version that was chosen with the bytes that a request says it will
    /// bring. Nothing is held for what has not come: a client that only announces would keep
    /// others out.
    ///
    /// # Errors
    /// `TooLarge` for more than may ever be held, `Overloaded` for more than there is room for now.
    pub fn new(choice: Choice, announced: usize) -> Result<Self> {
        let permit = Self {
            choice,
            door: None,
            bytes: 0,
            caller: None,
        };
        let bytes = &permit.entered().door().bytes;
        if announced > bytes.most {
            return permit.refuse(Reason::TooLarge).map(|()| permit);
        }
        if !bytes.has_room(announced) {
            return permit.refuse(Reason::Bytes).map(|()| permit);
        }
        Ok(permit)
    }

    /// Says who asks.
    #[must_use]
    pub fn asked_by(mut self, caller: Option<Arc<str>>) -> Self {
        self.caller = caller;
        self
    }

    /// The model that it is for. While the choice of a version is open it is the stable one, which
    /// takes and gives what the others do.
    #[must_use]
    pub fn model(&self) -> &Arc<Model> {
        self.routed().model()
    }

    /// How the request came to its model.
    #[must_use]
    pub const fn routed(&self) -> &Routed {
        self.choice.routed()
    }

    /// Does a column of the request decide which version answers?
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.choice.is_open()
    }

    /// Chooses the version by the rows of the request, where that was open; what the request brings
    /// stays held where it was let in.
    ///
    /// # Errors
    /// `InvalidInput` for tensors that are no rows of the model.
    pub fn settle(&mut self, input: Input) -> Result<Input> {
        if !self.choice.is_open() {
            return Ok(input);
        }
        let entered = Arc::clone(self.routed().arm());
        let input = self.choice.settle_input(input)?;
        if !Arc::ptr_eq(&entered, self.routed().arm()) {
            self.door = Some(entered);
        }
        Ok(input)
    }

    /// Says in the options of a call who asks, and how the request came to its model.
    pub fn sign(&self, options: &mut CallOptions) {
        options.caller.clone_from(&self.caller);
        options.routed = Some(self.routed().clone());
    }

    /// Whose door it was let in by.
    fn entered(&self) -> &Model {
        let door = self.door.as_ref();
        door.map_or_else(|| self.model(), |arm| &arm.model)
    }

    /// So many bytes of the request are held now; never fewer than before.
    ///
    /// # Errors
    /// As [`Permit::new`].
    pub fn hold_bytes(&mut self, bytes: usize) -> Result<()> {
        let gauge = &self.entered().door().bytes;
        let more = bytes.saturating_sub(self.bytes);
        if bytes > gauge.most {
            return self.refuse(Reason::TooLarge);
        }
        if more > 0 && !gauge.take(more) {
            return self.refuse(Reason::Bytes);
        }
        self.bytes += more;
        Ok(())
    }

    fn refuse(&self, reason: Reason) -> Result<()> {
        let model = self.entered();
        let refusal: Refusal = model.turned_away(reason);
        Err(model.refused(&refusal, Urgency::default()))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.entered().door().bytes.give_back(self.bytes);
    }
}
