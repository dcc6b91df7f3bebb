//! Steps, and their run over one morsel at a time.
//!
//! Every step has a register of its own; it reads registers before its own only, so inputs and
//! output are split without a check. Registers live in scratch memory of the thread.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use tidegate_schema::{Column, Error, Result, Schema, Table};

use crate::compile::Role;
use crate::kernel::{Kernel, Map};
use crate::load::{lent, load, take};
use crate::output::{Cell, Columns, Entry, Out, Sparse, write_column, write_four};
use crate::value::{Operands, TextBuf, Values};

/// Most rows of a morsel.
pub(crate) const MORSEL_ROWS: usize = 1024;
/// Fewest rows of a morsel, however wide the matrix.
const MIN_MORSEL_ROWS: usize = 64;
/// Bytes of the matrix that one morsel may write, so that they stay in the nearer caches.
const MORSEL_BYTES: usize = 64 * 1024;

/// Where a node's values are during a run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Slot {
    /// Nowhere: a node that this program does not compute.
    None,
    /// A column of numbers: lent, or widened into a register.
    Column(usize, usize),
    /// A column of texts or lists, lent.
    Lent(usize),
    /// A register of numbers.
    Numbers(usize),
    /// A register of texts.
    Texts(usize),
}

/// Where a step writes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// A register of numbers.
    Numbers(usize),
    /// A register of texts.
    Texts(usize),
    /// Columns of the output from this one on, the so manieth part of those with several.
    Columns(usize, usize),
}

/// One expression, or a chain of them that works in place.
pub(crate) struct Step {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) inputs: Box<[Slot]>,
    pub(crate) target: Target,
    /// What is done in place with the numbers of the kernel.
    pub(crate) then: Vec<Arc<dyn Map>>,
}

/// Compiled nodes.
pub(crate) struct Program {
    /// Columns to check, with the register for those that are widened.
    pub(crate) loads: Vec<(usize, usize)>,
    /// The register for the numbers of rows, if they are read.
    pub(crate) row: Option<usize>,
    pub(crate) steps: Vec<Step>,
    /// Slots that leave for a column of the matrix, in the order of the columns.
    pub(crate) emits: Vec<(Slot, usize)>,
    /// Where each node's values are.
    pub(crate) slots: Vec<Slot>,
    /// What became of each node.
    pub(crate) roles: Vec<Role>,
    pub(crate) numbers: usize,
    pub(crate) texts: usize,
    /// Does an expression write into columns that must be zero before?
    pub(crate) zeroes: bool,
    /// How many expressions write several columns.
    pub(crate) parts: usize,
    /// Are infinities and missing values of required columns let through?
    lenient: bool,
    pub(crate) width: usize,
}

/// The memory of a thread's runs.
#[derive(Default)]
struct Scratch {
    numbers: Vec<f64>,
    texts: Vec<TextBuf>,
    /// The values of each expression of several columns, when the output is sparse.
    entries: Vec<Vec<Entry>>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// What a run can be asked for: the values of nodes.
pub(crate) struct View<'a> {
    program: &'a Program,
    columns: &'a [Column<'a>],
    numbers: &'a [f64],
    texts: &'a [TextBuf],
    start: usize,
    rows: usize,
}

impl View<'_> {
    fn slot(&self, slot: Slot) -> Values<'_> {
        match slot {
            Slot::None => Values::NONE,
            Slot::Column(column, register) => match lent(&self.columns[column]) {
                Some(values) => Values::Numbers(&values[self.start..self.start + self.rows]),
                None => self.register(register),
            },
            Slot::Lent(column) => match &self.columns[column] {
                Column::String(texts) => Values::Texts(texts.slice(self.start, self.rows)),
                Column::NumberList(lists) => {
                    Values::NumberLists(lists.slice(self.start, self.rows))
                }
                Column::TextList(lists) => Values::TextLists(lists.slice(self.start, self.rows)),
                _ => Values::NONE,
            },
            Slot::Numbers(register) => self.register(register),
            Slot::Texts(register) => Values::Texts(self.texts[register].view()),
        }
    }

    fn register(&self, register: usize) -> Values<'_> {
        Values::Numbers(&self.numbers[register * self.rows..(register + 1) * self.rows])
    }

    /// The morsel's first row and how many rows it has.
    pub(crate) const fn range(&self) -> (usize, usize) {
        (self.start, self.rows)
    }

    /// The values of a node.
    pub(crate) fn node(&self, node: usize) -> Values<'_> {
        self.slot(self.program.slots[node])
    }
}

impl Program {
    /// Without steps, over a graph of so many nodes.
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            loads: Vec::new(),
            row: None,
            steps: Vec::new(),
            emits: Vec::new(),
            slots: vec![Slot::None; nodes],
            roles: vec![Role::Unused; nodes],
            numbers: 0,
            texts: 0,
            zeroes: false,
            parts: 0,
            lenient: false,
            width: 0,
        }
    }

    /// The same program, for those who look for bad values: it lets infinities and missing values
    /// of required columns through.
    pub(crate) const fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Rows of one morsel of a matrix whose values take so many bytes.
    pub(crate) fn morsel_rows(&self, value: usize) -> usize {
        let row = (self.width * value).max(1);
        (MORSEL_BYTES / row).clamp(MIN_MORSEL_ROWS, MORSEL_ROWS)
    }

    /// Runs over a table and hands each morsel's values to `each`. `first` is the number of the
    /// table's first row.
    pub(crate) fn run_each(
        &self,
        table: &Table<'_>,
        schema: &Schema,
        first: u64,
        mut each: impl FnMut(&View<'_>) -> Result<()>,
    ) -> Result<()> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut start = 0;
            while start < table.rows() {
                let rows = MORSEL_ROWS.min(table.rows() - start);
                self.number(first, start, rows, scratch);
                self.run(table, schema, start, rows, scratch, &mut Out::Nothing)?;
                each(&self.view(table, start, rows, scratch))?;
                start += rows;
            }
            Ok(())
        })
    }

    /// Runs over some rows of a table into a row-major matrix of `range.len() * width` values.
    /// `first` is the number of the table's first row.
    pub(crate) fn run_into<T: Cell>(
        &self,
        table: &Table<'_>,
        schema: &Schema,
        first: u64,
        range: Range<usize>,
        out: &mut [T],
    ) -> Result<()> {
        SCRATCH.with_borrow_mut(|scratch| {
            let morsel = self.morsel_rows(size_of::<T>());
            let mut start = range.start;
            while start < range.end {
                let rows = morsel.min(range.end - start);
                let before = (start - range.start) * self.width;
                let part = &mut out[before..before + rows * self.width];
                if self.zeroes {
                    part.fill(T::default());
                }
                self.number(first, start, rows, scratch);
                self.run(table, schema, start, rows, scratch, &mut T::out(part))?;
                self.emit(&self.view(table, start, rows, scratch), part);
                start += rows;
            }
            Ok(())
        })
    }

    /// Writes what leaves as a single column, four neighbours at a time.
    fn emit<T: Cell>(&self, view: &View<'_>, part: &mut [T]) {
        let values = |slot: Slot| view.slot(slot).numbers();
        let mut rest = self.emits.as_slice();
        while let [(slot, column), after @ ..] = rest {
            match rest {
                [(a, first), (b, _), (c, _), (d, last), after @ ..] if *last == first + 3 => {
                    let four = [values(*a), values(*b), values(*c), values(*d)];
                    write_four(part, self.width, *first, four);
                    rest = after;
                }
                _ => {
                    write_column(part, self.width, *column, values(*slot));
                    rest = after;
                }
            }
        }
    }

    /// Appends some rows of a table to a sparse matrix. `first` is the number of the table's first
    /// row. After an error the matrix holds anything.
    pub(crate) fn run_sparse<T: Cell>(
        &self,
        table: &Table<'_>,
        schema: &Schema,
        first: u64,
        range: Range<usize>,
        out: &mut Sparse<T>,
    ) -> Result<()> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut start = range.start;
            let mut entries = std::mem::take(&mut scratch.entries);
            entries.resize_with(self.parts.max(entries.len()), Vec::new);
            while start < range.end {
                let rows = MORSEL_ROWS.min(range.end - start);
                self.number(first, start, rows, scratch);
                let parts = &mut Out::Entries(&mut entries[..self.parts]);
                self.run(table, schema, start, rows, scratch, parts)?;
                let view = self.view(table, start, rows, scratch);
                self.gather(&view, &entries[..self.parts], out)?;
                start += rows;
            }
            scratch.entries = entries;
            Ok(())
        })
    }

    /// Appends one morsel to a sparse matrix, its columns in order.
    fn gather<T: Cell>(
        &self,
        view: &View<'_>,
        entries: &[Vec<Entry>],
        out: &mut Sparse<T>,
    ) -> Result<()> {
        let mut counts = vec![0; view.rows];
        for (slot, _) in &self.emits {
            for (count, &value) in counts.iter_mut().zip(view.slot(*slot).numbers()) {
                *count += u32::from(value != 0.0);
            }
        }
        for entry in entries.iter().flatten() {
            counts[entry.row as usize] += 1;
        }
        let mut places = out.open(&counts)?;
        // Both lists are in the order of their columns.
        let mut emits = self.emits.iter().peekable();
        let mut emit_before = |column: usize, places: &mut [usize], out: &mut Sparse<T>| {
            while let Some((slot, column)) = emits.next_if(|(_, emitted)| *emitted < column) {
                for (place, &value) in places.iter_mut().zip(view.slot(*slot).numbers()) {
                    if value != 0.0 {
                        out.put(place, *column, value);
                    }
                }
            }
        };
        for step in &self.steps {
            if let Target::Columns(first, part) = step.target {
                emit_before(first, &mut places, out);
                for entry in entries.get(part).into_iter().flatten() {
                    let column = first + entry.column as usize;
                    out.put(&mut places[entry.row as usize], column, entry.value);
                }
            }
        }
        emit_before(usize::MAX, &mut places, out);
        Ok(())
    }

    fn view<'a>(
        &'a self,
        table: &'a Table<'a>,
        start: usize,
        rows: usize,
        scratch: &'a Scratch,
    ) -> View<'a> {
        View {
            program: self,
            columns: table.columns(),
            numbers: &scratch.numbers,
            texts: &scratch.texts,
            start,
            rows,
        }
    }

    /// Makes room for a morsel, and numbers its rows where that is asked for.
    fn number(&self, first: u64, start: usize, rows: usize, scratch: &mut Scratch) {
        // Both only ever grow, so a thread that has seen its largest plan allocates no more.
        if scratch.numbers.len() < self.numbers * rows {
            scratch.numbers.resize(self.numbers * rows, 0.0);
        }
        if scratch.texts.len() < self.texts {
            scratch.texts.resize_with(self.texts, TextBuf::default);
        }
        if let Some(register) = self.row {
            let numbers = &mut scratch.numbers[register * rows..(register + 1) * rows];
            for (row, out) in numbers.iter_mut().enumerate() {
                *out = (first + (start + row) as u64) as f64;
            }
        }
    }

    fn run(
        &self,
        table: &Table<'_>,
        schema: &Schema,
        start: usize,
        rows: usize,
        scratch: &mut Scratch,
        out: &mut Out<'_>,
    ) -> Result<()> {
        for &(column, register) in &self.loads {
            let part = table.columns()[column].slice(start, rows);
            let out = scratch
                .numbers
                .get_mut(register * rows..(register + 1) * rows)
                .unwrap_or_default();
            if self.lenient {
                take(&part, out);
            } else {
                load(&part, &schema.fields()[column], start, out)?;
            }
        }
        for step in &self.steps {
            let (numbers_end, texts_end) = match step.target {
                Target::Numbers(register) => (register * rows, scratch.texts.len()),
                Target::Texts(register) => (scratch.numbers.len(), register),
                Target::Columns(..) => (scratch.numbers.len(), scratch.texts.len()),
            };
            let (numbers, numbers_out) = scratch.numbers.split_at_mut(numbers_end);
            let (texts, texts_out) = scratch.texts.split_at_mut(texts_end);
            let view = View {
                program: self,
                columns: table.columns(),
                numbers,
                texts,
                start,
                rows,
            };
            // Nearly all have one input or two, and a row is soon computed: no list is made for them.
            let (one, two, many): ([Values<'_>; 1], [Values<'_>; 2], Operands<'_>);
            let inputs: &[Values<'_>] = match *step.inputs {
                [a] => {
                    one = [view.slot(a)];
                    &one
                }
                [a, b] => {
                    two = [view.slot(a), view.slot(b)];
                    &two
                }
                ref all => {
                    many = all.iter().map(|&slot| view.slot(slot)).collect();
                    &many
                }
            };
            match (&*step.kernel, step.target) {
                (kernel, Target::Numbers(_)) => {
                    let out = &mut numbers_out[..rows];
                    if !kernel.write_numbers(inputs, out) {
                        return Err(Error::internal("a step writes what its kernel does not"));
                    }
                    step.then.iter().for_each(|map| map.run_in_place(out));
                }
                (Kernel::Texts(run), Target::Texts(_)) => {
                    if let Some(buffer) = texts_out.first_mut() {
                        buffer.clear();
                        run(inputs, rows, buffer);
                    }
                }
                (Kernel::Columns { count, run }, Target::Columns(first, part)) => {
                    run(inputs, Columns::new(out, part, self.width, first, *count));
                }
                _ => return Err(Error::internal("a step writes what its kernel does not")),
            }
        }
        Ok(())
    }
}
