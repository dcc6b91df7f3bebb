//! A tiny bundle: three columns, three features, a logistic regression.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tidegate_features::{Expr, FeatureSpec, Fitter, Plan, Step};
use tidegate_runtime::bundle::{GoldenRows, Kind, digest_of, write_evidence};
use tidegate_schema::{DType, Field, Schema, TableBuf};

/// Numbers that are the same on every machine.
pub struct Draw(pub u64);

impl Draw {
    pub fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub fn unit(&mut self) -> f64 {
        self.next() as f64 / (1_u64 << 31) as f64
    }
}

pub fn schema() -> Schema {
    Schema::new(vec![
        Field::required("distance", DType::Float64),
        Field::nullable("wind", DType::Float64),
        Field::nullable("carrier", DType::String),
    ])
    .unwrap()
}

/// Rows with missing values; `shift` moves them away from the sample.
pub fn table(rows: usize, seed: u64, shift: f64) -> TableBuf {
    let mut draw = Draw(seed);
    let mut table = TableBuf::new(&schema(), rows);
    for _ in 0..rows {
        table.columns[0]
            .push_f64(100.0 + 50.0 * draw.unit() + shift)
            .unwrap();
        match draw.next() % 8 {
            0 => table.columns[1].push_null(),
            _ => table.columns[1].push_f64(draw.unit() * 10.0).unwrap(),
        }
        match draw.next() % 5 {
            0 => table.columns[2].push_null(),
            1 => table.columns[2].push_str("AA").unwrap(),
            2 if shift > 0.0 => table.columns[2].push_str("new").unwrap(),
            _ => table.columns[2].push_str("UA").unwrap(),
        }
    }
    table
}

pub fn plan() -> Plan {
    let column = Expr::column;
    let features = vec![
        column("distance").apply("standardize", &[]),
        column("wind").apply("fill_null", &[("strategy", "median".into())]),
        column("carrier").apply("ordinal", &[]),
    ];
    let spec = Arc::new(FeatureSpec::new(schema(), features).unwrap());
    let mut fitter = Fitter::new(spec).unwrap();
    let sample = table(500, 1, 0.0);
    loop {
        fitter.update(&sample.view().unwrap()).unwrap();
        match fitter.finish().unwrap() {
            Step::Again(next) => fitter = next,
            Step::Done(plan) => return plan,
        }
    }
}

/// Writes the whole bundle; its digest is that of `manifest.json`.
pub fn write(dir: &Path) -> String {
    write_with(dir, None)
}

/// As [`write`], with rules.
pub fn write_with(dir: &Path, rules: Option<&str>) -> String {
    write_version(dir, "1.0.0", rules)
}

/// As [`write_with`], of a version.
pub fn write_version(dir: &Path, version: &str, rules: Option<&str>) -> String {
    let plan = plan();
    std::fs::write(dir.join("schema.json"), plan.input_schema().to_json()).unwrap();
    std::fs::write(dir.join("features.json"), plan.to_json()).unwrap();
    std::fs::copy(super::model("classifier"), dir.join("model.onnx")).unwrap();
    std::fs::write(
        dir.join("card.md"),
        "# tiny\n\nFor the tests of the bundle's format.\n",
    )
    .unwrap();
    let sample = table(2_000, 2, 0.0);
    let evidence = write_evidence(
        dir,
        Kind::Classifier,
        &[sample.view().unwrap()],
        GoldenRows::Spread(16),
        None,
    )
    .unwrap();
    assert_eq!((evidence.baseline_rows, evidence.golden_rows), (2_000, 16));
    let mut names = vec![
        "schema.json",
        "features.json",
        "model.onnx",
        "card.md",
        "baseline.json",
        "golden.arrow",
    ];
    if let Some(rules) = rules {
        std::fs::write(dir.join("rules.json"), rules).unwrap();
        names.push("rules.json");
    }
    let mut files = serde_json::Map::new();
    for name in names {
        let bytes = std::fs::read(dir.join(name)).unwrap();
        let sha256 = digest_of(&bytes).replace("sha256:", "");
        files.insert(
            name.to_owned(),
            json!({"sha256": sha256, "size": bytes.len()}),
        );
    }
    let manifest = json!({
        "version_of_format": 1, "name": "tiny", "version": version,
        "created": "2026-01-01T00:00:00Z", "files": files,
        "schema_fingerprint": plan.input_schema().fingerprint(),
        "model": {"kind": "classifier", "classes": [0, 1]},
        "golden": {"rows": evidence.golden_rows, "rtol": evidence.rtol, "atol": evidence.atol,
            "onnxruntime": evidence.onnxruntime},
        "lineage": {}, "metrics": {"auc": 0.5},
    })
    .to_string();
    std::fs::write(dir.join("manifest.json"), &manifest).unwrap();
    digest_of(manifest.as_bytes())
}
