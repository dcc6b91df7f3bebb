//! Nodes into steps.
//!
//! What depends on no column is computed once, here, and a constant beside a number becomes a part
//! of the operation. What one number after the other becomes of a single other one is done in place
//! in the step that computed it: a chain is one step, whose numbers stay in the first cache.

use std::sync::Arc;

use tidegate_schema::{Error, Result};

use crate::graph::{Feature, Graph, Source};
use crate::kernel::{Kernel, Map};
use crate::program::{Program, Slot, Step, Target};
use crate::value::{TextBuf, Type, Values};

/// What became of a node, for [`crate::explain`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It is not computed.
    Unused,
    /// It is read from the data.
    Read,
    /// It was computed when the program was made.
    Constant,
    /// It is computed by the step of this number.
    Step(usize),
}

/// A value that does not depend on the data.
enum Constant {
    Number(f64),
    Text(TextBuf),
}

impl Constant {
    /// As the input of an expression over one row.
    fn values(&self) -> Values<'_> {
        match self {
            Self::Number(number) => Values::Numbers(std::slice::from_ref(number)),
            Self::Text(text) => Values::Texts(text.view()),
        }
    }

    /// Code that writes it into every row.
    fn kernel(&self) -> Kernel {
        match self {
            Self::Number(number) => Kernel::Constant(*number),
            Self::Text(text) => {
                let text = text.view().get(0).map(str::to_owned);
                Kernel::Texts(Box::new(move |_, rows, out| {
                    (0..rows).for_each(|_| out.push(text.as_deref()));
                }))
            }
        }
    }
}

/// The code of a node and the nodes that it reads.
struct Code {
    kernel: Arc<Kernel>,
    inputs: Vec<usize>,
}

/// The nodes of a program before they are steps.
struct Draft<'a> {
    graph: &'a Graph,
    needed: Vec<bool>,
    codes: Vec<Option<Code>>,
    constants: Vec<Option<Constant>>,
    /// How many steps read a node's values.
    readers: Vec<usize>,
}

impl<'a> Draft<'a> {
    /// The nodes that are wanted and all that they read; all columns too, if `all_columns`.
    fn new(graph: &'a Graph, wanted: &[usize], all_columns: bool) -> Result<Self> {
        let count = graph.nodes.len();
        let mut draft = Self {
            graph,
            needed: vec![false; count],
            codes: (0..count).map(|_| None).collect(),
            constants: (0..count).map(|_| None).collect(),
            readers: vec![0; count],
        };
        for &node in wanted {
            draft.needed[node] = true;
        }
        for (position, node) in graph.nodes.iter().enumerate().rev() {
            match &node.source {
                Source::Apply { .. } if draft.needed[position] => {
                    graph
                        .reads(position)
                        .for_each(|read| draft.needed[read] = true);
                }
                Source::Column(_) if all_columns => draft.needed[position] = true,
                _ => {}
            }
        }
        for position in 0..count {
            if draft.needed[position] {
                draft.fold(position)?;
            }
        }
        draft.count_readers(wanted);
        Ok(draft)
    }

    /// Finds a node's code; computes it if it is constant, and binds what is constant beside it.
    fn fold(&mut self, position: usize) -> Result<()> {
        let Some((kernel, inputs)) = self.graph.kernel(position)? else {
            return Ok(());
        };
        let constants = &self.constants;
        let known: Option<Vec<Values<'_>>> = inputs
            .iter()
            .map(|&input| constants[input].as_ref().map(Constant::values))
            .collect();
        if let Some(constant) = known.and_then(|inputs| compute(&kernel, &inputs)) {
            self.constants[position] = Some(constant);
            return Ok(());
        }
        let number = |input: usize| match &constants[input] {
            Some(Constant::Number(number)) => Some(*number),
            _ => None,
        };
        let bound = match (&*kernel, inputs.as_slice()) {
            (Kernel::Zip(zip), &[left, right]) => match (number(left), number(right)) {
                (Some(left), None) => Some((Arc::clone(zip).with_left(left), right)),
                (None, Some(right)) => Some((Arc::clone(zip).with_right(right), left)),
                _ => None,
            },
            _ => None,
        };
        self.codes[position] = Some(match bound {
            Some((map, input)) => Code {
                kernel: Arc::new(Kernel::Map(map)),
                inputs: vec![input],
            },
            None => Code { kernel, inputs },
        });
        Ok(())
    }

    /// Counts who reads each node; what is wanted is read from outside. A constant that nobody reads
    /// any more is not written.
    fn count_readers(&mut self, wanted: &[usize]) {
        for &node in wanted {
            self.readers[node] += 1;
        }
        for code in self.codes.iter().flatten() {
            for &input in &code.inputs {
                self.readers[input] += 1;
            }
        }
    }

    /// The step of a node whose numbers this one alone reads, to change them in place.
    fn behind(
        &self,
        code: &Code,
        roles: &[Role],
        wanted: &[usize],
    ) -> Option<(usize, Arc<dyn Map>)> {
        let (Kernel::Map(map), &[input]) = (&*code.kernel, code.inputs.as_slice()) else {
            return None;
        };
        let Role::Step(step) = roles[input] else {
            return None;
        };
        let alone = self.readers[input] == 1 && !wanted.contains(&input);
        alone.then(|| (step, Arc::clone(map)))
    }
}

/// The value of an expression whose inputs are known; `None` for several columns.
fn compute(kernel: &Kernel, inputs: &[Values<'_>]) -> Option<Constant> {
    if let Kernel::Texts(run) = kernel {
        let mut text = TextBuf::default();
        text.clear();
        run(inputs, 1, &mut text);
        return Some(Constant::Text(text));
    }
    let mut number = [0.0];
    kernel
        .write_numbers(inputs, &mut number)
        .then_some(Constant::Number(number[0]))
}

impl Program {
    /// Compiles the nodes that `wanted` names and all that they need. Columns are all loaded, and
    /// so all checked, if `all_columns`.
    pub(crate) fn compile(graph: &Graph, wanted: &[usize], all_columns: bool) -> Result<Self> {
        let mut draft = Draft::new(graph, wanted, all_columns)?;
        Self::of(&mut draft, wanted)
    }

    fn of(draft: &mut Draft<'_>, wanted: &[usize]) -> Result<Self> {
        let nodes = &draft.graph.nodes;
        let mut program = Self::new(nodes.len());
        // Columns of numbers take the first registers, so that steps come after what they read.
        for (position, node) in nodes.iter().enumerate() {
            if !draft.needed[position] {
                continue;
            }
            if let Source::Row = &node.source {
                program.slots[position] = Slot::Numbers(program.numbers);
                program.roles[position] = Role::Read;
                program.row = Some(program.numbers);
                program.numbers += 1;
            }
            if let Source::Column(column) = &node.source {
                program.loads.push((*column, program.numbers));
                program.roles[position] = Role::Read;
                program.slots[position] = if !node.kind.is_numeric() {
                    Slot::Lent(*column)
                } else {
                    program.numbers += 1;
                    Slot::Column(*column, program.numbers - 1)
                };
            }
        }
        for (position, node) in nodes.iter().enumerate() {
            if let Some(constant) = &draft.constants[position] {
                program.roles[position] = Role::Constant;
                if draft.readers[position] > 0 {
                    let target = program.room(node.kind, position);
                    program.push(Arc::new(constant.kernel()), &[], target);
                }
                continue;
            }
            let Some(code) = &draft.codes[position] else {
                continue;
            };
            if node.kind == Type::Columns {
                continue;
            }
            if let Some((step, map)) = draft.behind(code, &program.roles, wanted) {
                program.steps[step].then.push(map);
                program.slots[position] = program.slots[code.inputs[0]];
                program.roles[position] = Role::Step(step);
                continue;
            }
            let target = program.room(node.kind, position);
            program.roles[position] = Role::Step(program.steps.len());
            program.push(Arc::clone(&code.kernel), &code.inputs, target);
        }
        Ok(program)
    }

    /// A register for a node.
    fn room(&mut self, kind: Type, position: usize) -> Target {
        if kind.is_numeric() {
            self.numbers += 1;
            self.slots[position] = Slot::Numbers(self.numbers - 1);
            Target::Numbers(self.numbers - 1)
        } else {
            self.texts += 1;
            self.slots[position] = Slot::Texts(self.texts - 1);
            Target::Texts(self.texts - 1)
        }
    }

    fn push(&mut self, kernel: Arc<Kernel>, inputs: &[usize], target: Target) {
        self.steps.push(Step {
            kernel,
            inputs: inputs.iter().map(|&input| self.slots[input]).collect(),
            target,
            then: Vec::new(),
        });
    }

    /// Compiles a whole graph with its features as columns of a matrix, and returns their names.
    pub(crate) fn compile_features(graph: &Graph) -> Result<(Self, Vec<String>)> {
        let wanted: Vec<usize> = graph.features.iter().map(Feature::node).collect();
        let mut draft = Draft::new(graph, &wanted, true)?;
        let mut program = Self::of(&mut draft, &wanted)?;
        let mut names = Vec::new();
        for feature in &graph.features {
            let node = feature.node();
            let first = names.len();
            let added = graph.names(feature)?;
            let count = added.len();
            names.extend(added);
            if graph.nodes[node].kind != Type::Columns {
                program.emits.push((program.slots[node], first));
                continue;
            }
            let Some(Code { kernel, inputs }) = &draft.codes[node] else {
                continue;
            };
            let Kernel::Columns { count: due, .. } = &**kernel else {
                return Err(Error::internal("several columns without their kernel"));
            };
            if *due != count {
                return Err(Error::internal(format!(
                    "{}: {count} names for {due} columns",
                    feature.text
                )));
            }
            program.zeroes = true;
            program.roles[node] = Role::Step(program.steps.len());
            program.push(
                Arc::clone(kernel),
                inputs,
                Target::Columns(first, program.parts),
            );
            program.parts += 1;
        }
        program.width = names.len();
        Ok((program, names))
    }
}
