//! Products of powers of several numbers up to a degree, in the order of scikit-learn's
//! `PolynomialFeatures`: by degree, then by the place of the factors. A product is missing where
//! one of its factors is, or where it is no finite number.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use tidegate_schema::{Error, ErrorKind, Result};

use crate::expression::{Entry, Expression, Inputs, Nothing, number};
use crate::kernel::Kernel;
use crate::value::Type;

/// Most columns of one expression: a bound on the width of the matrix.
const MAX_COLUMNS: usize = 10_000;
/// Highest degree.
const MAX_DEGREE: usize = 10;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Polynomial {
    #[serde(default = "square")]
    degree: usize,
    /// Only products of different numbers, no powers.
    #[serde(default)]
    interaction_only: bool,
    /// A first column of ones.
    #[serde(default)]
    include_bias: bool,
}

const fn square() -> usize {
    2
}

/// The factors of a product, as places of inputs in rising order.
type Term = SmallVec<[u16; MAX_DEGREE]>;

impl Polynomial {
    /// The products, or an error where they are too many.
    fn terms(&self, inputs: usize) -> Result<Vec<Term>> {
        let mut terms: Vec<Term> = Vec::new();
        if self.include_bias {
            terms.push(Term::new());
        }
        let mut last: Vec<Term> = vec![Term::new()];
        for _ in 0..self.degree {
            let mut next = Vec::new();
            for term in &last {
                let from = match term.last() {
                    None => 0,
                    Some(&place) => usize::from(place) + usize::from(self.interaction_only),
                };
                for place in from..inputs {
                    let mut longer = term.clone();
                    longer.push(place as u16);
                    next.push(longer);
                }
                if terms.len() + next.len() > MAX_COLUMNS {
                    return Err(Error::new(
                        ErrorKind::TooLarge,
                        format!(
                            "polynomial of {inputs} inputs to degree {} makes more than {MAX_COLUMNS} columns: take fewer inputs or a lower degree",
                            self.degree
                        ),
                    ));
                }
            }
            terms.extend(next.iter().cloned());
            last = next;
        }
        Ok(terms)
    }
}

impl Expression for Polynomial {
    const NAME: &'static str = "polynomial";
    const INPUTS: Inputs = Inputs::List(1);
    type Fit = Nothing;

    fn check(&self) -> Result<()> {
        if (1..=MAX_DEGREE).contains(&self.degree) {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "degree {}: use 1 to {MAX_DEGREE}",
            self.degree
        )))
    }

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs)?;
        self.terms(inputs.len()).map(|_| Type::Columns)
    }

    fn kernel(&self, (): (), inputs: &[Type]) -> Result<Kernel> {
        let terms = self.terms(inputs.len())?;
        Ok(Kernel::Columns {
            count: terms.len(),
            run: Box::new(move |inputs, mut columns| {
                let inputs: SmallVec<[&[f64]; 32]> =
                    inputs.iter().map(|input| input.numbers()).collect();
                let rows = inputs.first().map_or(0, |first| first.len());
                let factor = |place: u16, row: usize| inputs[usize::from(place)][row];
                columns.fill(rows, |row, column| match terms[column].as_slice() {
                    [] => 1.0,
                    [one] => factor(*one, row),
                    [left, right] => factor(*left, row) * factor(*right, row),
                    // From the last factor to the first, as the reference multiplies.
                    many => many
                        .iter()
                        .rev()
                        .fold(1.0, |product, &place| factor(place, row) * product),
                });
            }),
        })
    }

    fn name(&self, _: &[&str]) -> String {
        // Each column has the name of its product.
        String::new()
    }

    fn columns(&self, stem: &str, inputs: &[String], (): &()) -> Vec<String> {
        let written = |term: &Term| {
            let mut factors: Vec<String> = Vec::new();
            for same in term.chunk_by(|left, right| left == right) {
                let name = same
                    .first()
                    .and_then(|&place| inputs.get(usize::from(place)));
                let name = name.map_or("", String::as_str);
                factors.push(match same.len() {
                    1 => name.to_owned(),
                    power => format!("{name}^{power}"),
                });
            }
            let product = if factors.is_empty() {
                "1".to_owned()
            } else {
                factors.join(" ")
            };
            if stem.is_empty() {
                product
            } else {
                format!("{stem}_{product}")
            }
        };
        let terms = self.terms(inputs.len()).unwrap_or_default();
        terms.iter().map(written).collect()
    }
}

pub(super) const ENTRY: Entry = Entry::of::<Polynomial>(&[
    r#"{"op":"polynomial","inputs":[{"op":"col","name":"x"},{"op":"col","name":"n"}]}"#,
    r#"{"op":"polynomial","degree":3,"include_bias":true,"inputs":[{"op":"col","name":"x"},{"op":"col","name":"n"},{"op":"col","name":"b"}]}"#,
    r#"{"op":"polynomial","degree":3,"interaction_only":true,"inputs":[{"op":"col","name":"x"},{"op":"col","name":"n"},{"op":"col","name":"b"}]}"#,
]);
