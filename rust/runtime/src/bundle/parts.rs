//! What a bundle's files become: a plan, a backend, a baseline, checked against each other.

use std::sync::Arc;

use tidegate_drift::Baseline;
use tidegate_features::Plan;
use tidegate_schema::{Datatype, Error, ErrorKind, Result, Schema};

use super::Bundle;
use crate::TensorInfo;
use crate::backend::Backend;
use crate::guard::ModelGuard;
use crate::onnx::OnnxBackend;

/// The parts of a model, loaded and consistent.
pub(crate) struct Parts {
    pub plan: Option<Arc<Plan>>,
    pub backend: OnnxBackend,
    pub baseline: Option<Arc<Baseline>>,
    pub guard: Option<ModelGuard>,
}

impl Parts {
    pub fn load(bundle: &Bundle) -> Result<Self> {
        let plan = match &bundle.manifest().schema_fingerprint {
            Some(fingerprint) => Some(Arc::new(load_plan(bundle, fingerprint)?)),
            None => None,
        };
        let backend = OnnxBackend::from_bytes(bundle.file("model.onnx")?)?;
        if let Some(plan) = &plan {
            check_width(backend.inputs(), plan.width())?;
        }
        let baseline = if bundle.has("baseline.json") {
            let baseline = Baseline::from_json(bundle.text("baseline.json")?)
                .map_err(|error| error.at("baseline.json"))?;
            Some(Arc::new(baseline))
        } else {
            None
        };
        let guard = match (bundle.has("rules.json"), &plan) {
            (false, _) => None,
            (true, Some(plan)) => ModelGuard::new(bundle.text("rules.json")?, plan.input_schema())?,
            (true, None) => {
                return Err(Error::state(
                    "rules.json without a feature set: rules look at columns, and this model takes tensors; build the bundle without them",
                ));
            }
        };
        Ok(Self {
            plan,
            backend,
            baseline,
            guard,
        })
    }
}

fn load_plan(bundle: &Bundle, fingerprint: &str) -> Result<Plan> {
    let schema =
        Schema::from_json(bundle.text("schema.json")?).map_err(|error| error.at("schema.json"))?;
    if schema.fingerprint() != fingerprint {
        return Err(Error::new(
            ErrorKind::Integrity,
            format!(
                "schema.json has fingerprint {} where the manifest says {fingerprint}: build the bundle again",
                schema.fingerprint()
            ),
        ));
    }
    plan_of(bundle.text("features.json")?, &schema)
}

/// The plan of a feature set, whose input must be the schema beside it.
pub(crate) fn plan_of(features: &str, schema: &Schema) -> Result<Plan> {
    let plan = Plan::from_json(features).map_err(|error| error.at("features.json"))?;
    if plan.input_schema() != schema {
        return Err(Error::new(
            ErrorKind::Integrity,
            "schema.json is not the input of features.json: build the bundle again",
        ));
    }
    Ok(plan)
}

/// A model behind a feature set takes one matrix of f32, as wide as the features.
pub(crate) fn check_width(inputs: &[TensorInfo], width: usize) -> Result<()> {
    let mend = "build the bundle again with the feature set that the model was trained on";
    let [input] = inputs else {
        return Err(Error::state(format!(
            "model.onnx takes {} inputs where a feature set makes one matrix: {mend}",
            inputs.len()
        )));
    };
    let [rows, columns] = input.shape.as_slice() else {
        return Err(Error::state(format!(
            "model.onnx takes an input {:?} of shape {:?} where a feature set makes a matrix [-1, {width}]: {mend}",
            input.name, input.shape
        )));
    };
    if input.datatype != Datatype::Fp32 {
        return Err(Error::state(format!(
            "model.onnx takes {} where a feature set makes FP32: {mend}",
            input.datatype
        )));
    }
    if *columns >= 0 && *columns != width as i64 {
        return Err(Error::state(format!(
            "model.onnx takes {columns} features where features.json makes {width}: {mend}"
        )));
    }
    if *rows >= 0 {
        return Err(Error::state(format!(
            "model.onnx takes exactly {rows} rows: export it with a variable first dimension"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_width_of_the_matrix_is_checked() {
        let info = |datatype, shape: &[i64]| {
            [TensorInfo {
                name: "X".to_owned(),
                datatype,
                shape: shape.to_vec(),
            }]
        };
        check_width(&info(Datatype::Fp32, &[-1, 3]), 3).unwrap();
        check_width(&info(Datatype::Fp32, &[-1, -1]), 3).unwrap();
        let error = check_width(&info(Datatype::Fp32, &[-1, 4]), 3).unwrap_err();
        assert!(error.message.contains("takes 4 features where"), "{error}");
        assert!(check_width(&info(Datatype::Fp64, &[-1, 3]), 3).is_err());
        assert!(check_width(&info(Datatype::Fp32, &[1, 3]), 3).is_err());
        assert!(check_width(&info(Datatype::Fp32, &[3]), 3).is_err());
        assert!(check_width(&[], 3).is_err());
    }
}
