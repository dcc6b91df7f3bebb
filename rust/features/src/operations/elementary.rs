//! Functions of one number that have no parameters. Missing in, missing out; where a function has
//! no finite result it is missing.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};
use tidegate_schema::Result;

use crate::expression::{Entry, Expression, Nothing, number};
use crate::kernel::Kernel;
use crate::value::{Type, ceil, finite, floor};

/// What one function does.
trait Function: Send + Sync + 'static {
    const NAME: &'static str;
    fn apply(value: f64) -> f64;
}

macro_rules! functions {
    ($($type:ident $entry:ident $name:literal $apply:expr;)*) => {
        $(struct $type;
        impl Function for $type {
            const NAME: &'static str = $name;
            #[inline]
            fn apply(value: f64) -> f64 {
                let apply: fn(f64) -> f64 = $apply;
                apply(value)
            }
        }
        pub(super) const $entry: Entry = Entry::of::<Elementary<$type>>(&[
            concat!(r#"{"op":""#, $name, r#"","input":{"op":"col","name":"x"}}"#),
            concat!(r#"{"op":""#, $name, r#"","input":{"op":"col","name":"b"}}"#),
        ]);)*
    };
}

functions! {
    Abs ABS "abs" |value| value.abs();
    Ceil CEIL "ceil" |value| ceil(value);
    Exp EXP "exp" |value| finite(value.exp());
    Expm1 EXPM1 "expm1" |value| finite(value.exp_m1());
    Floor FLOOR "floor" |value| floor(value);
    Log1p LOG1P "log1p" |value| finite(value.ln_1p());
    Sign SIGN "sign" |value| if value == 0.0 || value.is_nan() { value } else { value.signum() };
    Sqrt SQRT "sqrt" |value| value.sqrt();
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
struct Elementary<F> {
    #[serde(skip)]
    function: PhantomData<F>,
}

impl<F: Function> Expression for Elementary<F> {
    const NAME: &'static str = F::NAME;
    type Fit = Nothing;

    fn output(&self, inputs: &[Type]) -> Result<Type> {
        number(inputs).map(|()| Type::Number)
    }

    fn kernel(&self, (): (), _: &[Type]) -> Result<Kernel> {
        Ok(Kernel::map(F::apply))
    }

    fn name(&self, inputs: &[&str]) -> String {
        let input = inputs.first().copied().unwrap_or_default();
        format!("{input}_{}", F::NAME)
    }
}
