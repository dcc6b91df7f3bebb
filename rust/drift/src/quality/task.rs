//! What a model predicts, as far as its quality goes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Label, Rejection};

/// Most classes of a classifier whose quality is followed: what is kept grows with their square.
pub const MAX_CLASSES: usize = 64;

/// What a model predicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Task {
    /// One of some classes. Of two the second is the positive one.
    Classification {
        /// In the order of the probabilities: texts, whole numbers or bools.
        classes: Vec<Value>,
        /// Does the model give a probability for each class?
        probabilities: bool,
    },
    /// A number.
    Regression {
        /// How far apart predictions are at most, as the baseline has them: errors are held
        /// against it. Without it they have no intervals.
        span: Option<f64>,
    },
}

impl Task {
    /// How many numbers tell one prediction: the place of the predicted class, then the
    /// probabilities (of two classes only the second's); or the predicted number.
    #[must_use]
    pub fn width(&self) -> usize {
        match self {
            Self::Classification {
                classes,
                probabilities: true,
            } if classes.len() == 2 => 2,
            Self::Classification {
                classes,
                probabilities: true,
            } => 1 + classes.len(),
            Self::Classification { .. } | Self::Regression { .. } => 1,
        }
    }

    /// The classes; none for a regression.
    #[must_use]
    pub fn classes(&self) -> &[Value] {
        match self {
            Self::Classification { classes, .. } => classes,
            Self::Regression { .. } => &[],
        }
    }

    /// A label as a number: the place of its class, or itself. A bool is 0 or 1 where the classes
    /// are whole numbers; a float that is a whole number is one.
    ///
    /// # Errors
    /// Why it cannot be a label of this model.
    pub fn encode(&self, label: Label<'_>) -> Result<f64, Rejection> {
        match (self, label) {
            (_, Label::Missing) => Err(Rejection::Missing),
            (_, Label::Float(value)) if value.is_nan() => Err(Rejection::Missing),
            (Self::Regression { .. }, Label::Int(value)) => Ok(value as f64),
            (Self::Regression { .. }, Label::Float(value)) if value.is_finite() => Ok(value),
            (Self::Regression { .. }, _) => Err(Rejection::Type),
            (Self::Classification { classes, .. }, label) => place(classes, label),
        }
    }
}

fn place(classes: &[Value], label: Label<'_>) -> Result<f64, Rejection> {
    let numbers = classes.iter().all(Value::is_number);
    let texts = classes.iter().all(Value::is_string);
    let bools = classes.iter().all(Value::is_boolean);
    let found = match label {
        Label::Text(text) if texts => classes.iter().position(|class| class == text),
        Label::Bool(value) if bools => classes.iter().position(|class| *class == value),
        Label::Bool(value) if numbers => {
            classes.iter().position(|class| is(class, i64::from(value)))
        }
        Label::Int(value) if numbers => classes.iter().position(|class| is(class, value)),
        Label::Float(value) if numbers && value.fract() == 0.0 && value.abs() < 9e15 => {
            classes.iter().position(|class| is(class, value as i64))
        }
        _ => return Err(Rejection::Type),
    };
    found.map(|at| at as f64).ok_or(Rejection::UnknownClass)
}

fn is(class: &Value, value: i64) -> bool {
    class.as_i64() == Some(value) || class.as_f64() == Some(value as f64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn classes(values: Value) -> Task {
        Task::Classification {
            classes: values.as_array().unwrap().clone(),
            probabilities: true,
        }
    }

    #[test]
    fn labels_are_classes_by_value() {
        let numbers = classes(json!([0, 1]));
        assert_eq!(numbers.encode(Label::Int(1)), Ok(1.0));
        assert_eq!(numbers.encode(Label::Float(0.0)), Ok(0.0));
        assert_eq!(numbers.encode(Label::Bool(true)), Ok(1.0));
        assert_eq!(numbers.encode(Label::Int(2)), Err(Rejection::UnknownClass));
        assert_eq!(numbers.encode(Label::Text("1")), Err(Rejection::Type));
        assert_eq!(numbers.encode(Label::Float(0.5)), Err(Rejection::Type));
        let texts = classes(json!(["late", "on time", "early"]));
        assert_eq!(texts.encode(Label::Text("early")), Ok(2.0));
        assert_eq!(texts.encode(Label::Int(0)), Err(Rejection::Type));
        assert_eq!((numbers.width(), texts.width()), (2, 4));
    }

    #[test]
    fn missing_and_infinite_labels_are_told_apart() {
        let number = Task::Regression { span: None };
        for task in [number.clone(), classes(json!([0, 1]))] {
            assert_eq!(task.encode(Label::Missing), Err(Rejection::Missing));
            assert_eq!(task.encode(Label::Float(f64::NAN)), Err(Rejection::Missing));
            let infinite = task.encode(Label::Float(f64::INFINITY));
            assert_eq!(infinite, Err(Rejection::Type));
        }
        assert_eq!(number.encode(Label::Float(2.5)), Ok(2.5));
        assert_eq!(number.encode(Label::Bool(true)), Err(Rejection::Type));
    }
}
