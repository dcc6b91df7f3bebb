//! Requests of more rows than a batch takes: cut into pieces that queue by themselves, and
//! gathered into one answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tidegate_schema::{ColumnBuf, Error, Result, Table, TableBuf, Tensor};

use crate::work::{Block, Reply};

/// The rows `start .. start + rows` of each input.
pub(crate) fn cut(inputs: &[Block], start: usize, rows: usize) -> Vec<Block> {
    inputs
        .iter()
        .map(|block| {
            let width: usize = block.shape.iter().skip(1).product();
            let mut shape = block.shape.clone();
            if let Some(first) = shape.first_mut() {
                *first = rows;
            }
            Block {
                shape,
                data: block.data.slice(start * width, rows * width),
            }
        })
        .collect()
}

/// A copy of borrowed columns.
pub(crate) fn owned(table: &Table<'_>) -> Result<TableBuf> {
    let columns = table.columns().iter().map(|column| {
        let mut own = ColumnBuf::new(column.dtype(), table.rows());
        own.extend_from(column).map(|()| own)
    });
    Ok(TableBuf {
        columns: columns.collect::<Result<_>>()?,
    })
}

/// The outputs of pieces, one under the other.
pub(crate) fn stack(pieces: Vec<Vec<Tensor>>) -> Result<Vec<Tensor>> {
    let mut pieces = pieces.into_iter();
    let mut whole = pieces.next().unwrap_or_default();
    for piece in pieces {
        if piece.len() != whole.len() {
            return Err(Error::internal("pieces with different outputs"));
        }
        for (all, part) in whole.iter_mut().zip(piece) {
            if all.shape.get(1..) != part.shape.get(1..) {
                return Err(Error::internal(format!(
                    "pieces of output {:?} with shapes {:?} and {:?}",
                    all.name, all.shape, part.shape
                )));
            }
            all.data.extend_from(&part.data, 0, part.data.len())?;
            let rows = part.rows();
            if let Some(first) = all.shape.first_mut() {
                *first += rows;
            }
        }
    }
    Ok(whole)
}

struct State {
    pieces: Vec<Option<Vec<Tensor>>>,
    left: usize,
    reply: Option<Reply>,
}

/// Waits for all pieces of a request; the first failure answers for all.
pub(crate) struct Gather {
    state: Mutex<State>,
    cancelled: Arc<AtomicBool>,
}

impl Gather {
    pub fn new(pieces: usize, cancelled: Arc<AtomicBool>, reply: Reply) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                pieces: (0..pieces).map(|_| None).collect(),
                left: pieces,
                reply: Some(reply),
            }),
            cancelled,
        })
    }

    /// The reply for one of the pieces.
    pub fn piece(self: &Arc<Self>, position: usize) -> Reply {
        let gather = Arc::clone(self);
        Box::new(move |outcome| gather.arrived(position, outcome))
    }

    fn arrived(&self, position: usize, outcome: Result<Vec<Tensor>>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let finished = match outcome {
            Err(error) => Err(error),
            Ok(outputs) => {
                if let Some(piece) = state.pieces.get_mut(position) {
                    *piece = Some(outputs);
                }
                state.left = state.left.saturating_sub(1);
                if state.left > 0 {
                    return;
                }
                stack(
                    std::mem::take(&mut state.pieces)
                        .into_iter()
                        .flatten()
                        .collect(),
                )
            }
        };
        let reply = state.reply.take();
        drop(state);
        if finished.is_err() {
            // The other pieces are of no use any more.
            self.cancelled.store(true, Ordering::Relaxed);
        }
        if let Some(reply) = reply {
            reply(finished);
        }
    }
}
