//! Several versions behind one name: who gets which, and what changes while requests run.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod support;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};
use support::{Doubler, Folder, bundle, check_doubled, rows};
use tidegate_runtime::routing::By;
use tidegate_runtime::{
    Answer, CallOptions, Choice, Clues, Direct, Input, LoadOptions, Model, Options, Runtime,
};
use tidegate_schema::{ErrorKind, TableBuf};

/// A request of which this is known.
#[derive(Clone, Default)]
struct Request {
    headers: BTreeMap<&'static str, String>,
    claims: BTreeMap<&'static str, String>,
    id: String,
}

impl Request {
    fn of(id: impl ToString) -> Self {
        Self {
            id: id.to_string(),
            ..Self::default()
        }
    }

    fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.insert(name, value.to_string());
        self
    }

    fn claim(mut self, name: &'static str, value: impl ToString) -> Self {
        self.claims.insert(name, value.to_string());
        self
    }
}

impl Clues for Request {
    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.get(name).map(|value| value.as_bytes())
    }

    fn claim(&self, name: &str) -> Option<&str> {
        self.claims.get(name).map(String::as_str)
    }

    fn id(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.id.as_bytes())
    }
}

fn new() -> Arc<Runtime> {
    Runtime::new(&Options::default()).unwrap()
}

fn doubler(runtime: &Runtime, version: &str) -> Arc<Model> {
    let (mut backend, _) = Doubler::new();
    backend.several = true; // A shadow has an instance of its own.
    let options = LoadOptions::default();
    runtime
        .load_backend("doubler", version, Box::new(backend), &options)
        .unwrap()
}

/// Arms of these weights; the first is the stable one.
fn plan(arms: &[(&str, u32)]) -> Value {
    let arm = |(place, (version, weight)): (usize, &(&str, u32))| {
        let role = if place == 0 { "stable" } else { "candidate" };
        json!({"version": version, "weight": weight, "role": role})
    };
    json!({"arms": arms.iter().enumerate().map(arm).collect::<Vec<_>>()})
}

fn with(mut document: Value, name: &str, value: Value) -> Value {
    document[name] = value;
    document
}

/// A runtime that serves versions 1 and 2 as a document says.
fn serving(document: &Value) -> Arc<Runtime> {
    let runtime = new();
    let models = vec![doubler(&runtime, "1"), doubler(&runtime, "2")];
    let document = document.to_string();
    runtime.route("m", 1, &document, models).unwrap();
    runtime
}

fn choose(runtime: &Runtime, request: &Request) -> Choice {
    runtime.choose("m", None, request).unwrap()
}

fn chosen(runtime: &Runtime, request: &Request) -> (String, By) {
    let choice = choose(runtime, request);
    let routed = choice.routed();
    assert!(!choice.is_open());
    (routed.model().version().to_owned(), routed.by())
}

fn ask(choice: &Choice) -> Answer {
    let options = CallOptions {
        routed: Some(choice.routed().clone()),
        ..CallOptions::default()
    };
    let input = Input::Tensors(rows(&[1.0, 2.0, 3.0]));
    let answer = choice.routed().model().predict(input, &options).unwrap();
    check_doubled(&answer, &[1.0, 2.0, 3.0]);
    answer
}

/// The value of a line of the metrics page.
fn metric(runtime: &Runtime, line: &str) -> Option<u64> {
    let page = runtime.metrics();
    let found = page.lines().find_map(|l| l.strip_prefix(line));
    found.map(|value| value.trim().parse().unwrap())
}

#[test]
fn the_same_key_gets_the_same_version_on_every_replica() {
    let key = json!({"from": "header", "name": "X-User"});
    let document = with(plan(&[("1", 7_000), ("2", 3_000)]), "key", key);
    let replicas = [serving(&document), serving(&document)];
    let mut second = 0;
    for user in 0..2_000 {
        let request = |id: &str| Request::of(id).header("x-user", user);
        let (version, by) = chosen(&replicas[0], &request("a"));
        assert_eq!(by, By::Split);
        assert_eq!(chosen(&replicas[0], &request("b")).0, version);
        assert_eq!(chosen(&replicas[1], &request("c")).0, version);
        second += usize::from(version == "2");
    }
    // Six standard deviations.
    assert!((477..=723).contains(&second), "{second}");
    let line = r#"tidegate_routed_total{model="m",version="2",by="split"}"#;
    assert_eq!(metric(&replicas[1], line), Some(second as u64));
    let line = r#"tidegate_traffic_weight{model="m",version="2",role="candidate"} 0.3"#;
    assert!(replicas[0].metrics().contains(line));
}

#[test]
fn a_canary_from_one_percent_to_all_only_ever_moves_keys_to_it() {
    let runtime = new();
    let models = [doubler(&runtime, "1"), doubler(&runtime, "2")];
    let mut before = vec![false; 3_000];
    for (number, weight) in [100, 500, 2_500, 5_000, 9_000, 10_000]
        .into_iter()
        .enumerate()
    {
        let key = json!({"from": "claim", "name": "sub"});
        let document = with(plan(&[("1", 10_000 - weight), ("2", weight)]), "key", key);
        let revision = number as u64 + 1;
        runtime
            .route("m", revision, &document.to_string(), models.to_vec())
            .unwrap();
        for (user, was) in before.iter_mut().enumerate() {
            let choice = choose(&runtime, &Request::of("x").claim("sub", user));
            let is = choice.routed().model().version() == "2";
            assert!(is || !*was, "user {user} went back at {weight}");
            assert_eq!(choice.routed().revision(), revision);
            *was = is;
        }
        let share = before.iter().filter(|is| **is).count() as f64 / before.len() as f64;
        let due = f64::from(weight) / 10_000.0;
        let sigma = (due * (1.0 - due) / before.len() as f64).sqrt();
        assert!((share - due).abs() <= 6.0 * sigma, "{share} at {weight}");
    }
    let line = r#"tidegate_deployment_revision{model="m"}"#;
    assert_eq!(metric(&runtime, line), Some(6));
}

#[test]
fn without_its_key_a_request_is_split_by_its_id_and_counted() {
    let key = json!({"from": "header", "name": "x-user"});
    let runtime = serving(&with(plan(&[("1", 5_000), ("2", 5_000)]), "key", key));
    let by_id = serving(&plan(&[("1", 5_000), ("2", 5_000)]));
    for id in 0..200 {
        let request = Request::of(id);
        let due = chosen(&by_id, &request);
        assert_eq!(chosen(&runtime, &request), due);
        // An empty value is none.
        assert_eq!(chosen(&runtime, &request.header("x-user", "")), due);
    }
    let line = r#"tidegate_routing_keys_missing_total{model="m"}"#;
    assert_eq!(metric(&runtime, line), Some(400));
    assert_eq!(metric(&by_id, line), Some(0));
}

#[test]
fn the_first_rule_that_fits_goes_before_the_split() {
    let rules = json!([
        {"from": "header", "name": "x-tenant", "in": ["a", "b"], "version": "2"},
        {"from": "claim", "name": "country", "in": ["CH"], "version": "1"},
        {"from": "header", "name": "x-tenant", "in": ["a", "c"], "version": "1"},
    ]);
    let runtime = serving(&with(plan(&[("1", 0), ("2", 10_000)]), "rules", rules));
    let ask = |request: Request| chosen(&runtime, &request);
    let rule = |version: &str| (version.to_owned(), By::Rule);
    assert_eq!(ask(Request::of(1).header("x-tenant", "a")), rule("2"));
    assert_eq!(ask(Request::of(1).header("x-tenant", "c")), rule("1"));
    let both = Request::of(1)
        .header("x-tenant", "b")
        .claim("country", "CH");
    assert_eq!(ask(both), rule("2"));
    assert_eq!(ask(Request::of(1).claim("country", "CH")), rule("1"));
    let none = Request::of(1)
        .header("x-tenant", "A")
        .claim("country", "ch");
    assert_eq!(ask(none), ("2".to_owned(), By::Split));
}

#[test]
fn a_version_that_is_asked_for_answers_without_the_split() {
    let runtime = serving(&plan(&[("1", 10_000), ("2", 0)]));
    assert_eq!(chosen(&runtime, &Request::of(1)).0, "1");
    let choice = runtime.choose("m", Some("2"), &Request::of(1)).unwrap();
    assert_eq!(ask(&choice).model.version(), "2");
    let error = runtime.choose("m", Some("3"), &Request::of(1)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.message.contains("deployed are 1, 2"), "{error}");
    assert_eq!(runtime.model("m", None).unwrap().version(), "1");
    assert_eq!(runtime.model("m", Some("2")).unwrap().version(), "2");
    let page = runtime.metrics();
    assert!(page.contains(r#"tidegate_requests_total{model="m",version="2",outcome="ok"} 1"#));
}

#[test]
fn experiments_of_one_group_exclude_each_other() {
    let experiment = |name: &str, from: u32, to: u32| {
        let key = json!({"from": "header", "name": "x-user"});
        let document = with(plan(&[("1", 5_000), ("2", 5_000)]), "key", key);
        let span = json!({"name": name, "group": "checkout", "from": from, "to": to});
        serving(&with(document, "experiment", span))
    };
    let (one, other) = (
        experiment("button", 0, 3_000),
        experiment("price", 3_000, 10_000),
    );
    let mut counts = [0_usize; 2];
    for user in 0..4_000 {
        let request = Request::of("x").header("x-user", user);
        let choices = [choose(&one, &request), choose(&other, &request)];
        let taking: Vec<bool> = choices
            .iter()
            .map(|choice| choice.routed().experiment().is_some())
            .collect();
        // The spans do not meet and leave nothing out.
        assert_ne!(taking[0], taking[1], "user {user}");
        for ((choice, count), takes) in choices.iter().zip(&mut counts).zip(taking) {
            let (routed, answer) = (choice.routed(), ask(choice));
            if takes {
                assert_eq!(routed.by(), By::Experiment);
                assert_eq!(answer.experiment(), routed.experiment().map(|name| &**name));
                *count += usize::from(routed.model().version() == "2");
            } else {
                assert_eq!((routed.model().version(), routed.by()), ("1", By::Outside));
                assert_eq!(answer.experiment(), None);
            }
        }
    }
    assert!((450..750).contains(&counts[0]), "{counts:?}");
    assert!((1_200..1_600).contains(&counts[1]), "{counts:?}");
    // Nobody who is not known could stick to an arm.
    let unknown = chosen(&other, &Request::of("x"));
    assert_eq!(unknown, ("1".to_owned(), By::Outside));
}

/// Two versions of the tiny bundle behind the name `m`, as a document says.
fn bundles(runtime: &Runtime, document: &Value) {
    support::ort();
    let models = ["1.0.0", "1.1.0"].map(|version| {
        let folder = Folder::new();
        bundle::write_version(folder.path(), version, None);
        runtime
            .load(folder.path(), &LoadOptions::default())
            .unwrap()
    });
    let document = document.to_string();
    runtime.route("m", 4, &document, models.to_vec()).unwrap();
}

fn carriers(names: &[Option<&str>]) -> Input {
    let mut table = TableBuf::new(&bundle::schema(), names.len());
    for name in names {
        table.columns[0].push_f64(120.0).unwrap();
        table.columns[1].push_f64(3.0).unwrap();
        match name {
            Some(name) => table.columns[2].push_str(name).unwrap(),
            None => table.columns[2].push_null(),
        }
    }
    Input::Table(table)
}

#[test]
fn columns_choose_once_the_first_row_is_read() {
    let rules = json!([
        {"from": "column", "name": "carrier", "in": ["AA"], "version": "1.1.0"},
        {"from": "header", "name": "x-tenant", "in": ["a"], "version": "1.0.0"},
        {"from": "column", "name": "carrier", "in": ["UA"], "version": "1.1.0"},
    ]);
    let document = with(plan(&[("1.0.0", 10_000), ("1.1.0", 0)]), "rules", rules);
    let runtime = new();
    bundles(&runtime, &document);
    let settled = |request: &Request, names: &[Option<&str>]| {
        let mut choice = choose(&runtime, request);
        assert!(choice.is_open());
        assert_eq!(choice.routed().model().version(), "1.0.0");
        let Input::Table(table) = choice.settle_input(carriers(names)).unwrap() else {
            panic!("rows stay rows")
        };
        assert!(!choice.is_open());
        let routed = choice.routed();
        let options = CallOptions {
            routed: Some(routed.clone()),
            ..CallOptions::default()
        };
        let answer = routed
            .model()
            .predict(Input::Table(table), &options)
            .unwrap();
        assert_eq!((answer.rows(), answer.revision()), (names.len(), 4));
        (answer.model.version().to_owned(), routed.by())
    };
    let (plain, tenant) = (Request::of(1), Request::of(1).header("x-tenant", "a"));
    let rule = |version: &str| (version.to_owned(), By::Rule);
    let split = ("1.0.0".to_owned(), By::Split);
    assert_eq!(settled(&plain, &[Some("AA")]), rule("1.1.0"));
    assert_eq!(settled(&plain, &[Some("UA"), Some("AA")]), rule("1.1.0"));
    // The first row decides, for all rows.
    assert_eq!(settled(&plain, &[None, Some("AA")]), split);
    assert_eq!(settled(&plain, &[Some("DL")]), split);
    // Rules in their order, wherever their values come from.
    assert_eq!(settled(&tenant, &[Some("AA")]), rule("1.1.0"));
    assert_eq!(settled(&tenant, &[Some("UA")]), rule("1.0.0"));
    let late = runtime.choose("m", Some("1.1.0"), &plain).unwrap();
    assert!(!late.is_open());
}

#[test]
fn a_column_is_a_key_like_any_other() {
    let key = json!({"from": "column", "name": "carrier"});
    let runtime = new();
    let document = plan(&[("1.0.0", 5_000), ("1.1.0", 5_000)]);
    bundles(&runtime, &with(document.clone(), "key", key));
    let header = new();
    let key = json!({"from": "header", "name": "x-carrier"});
    bundles(&header, &with(document, "key", key));
    let ids = runtime.ids();
    for carrier in 0..200 {
        let name = carrier.to_string();
        let mut choice = choose(&runtime, &Request::of("x"));
        choice.settle_input(carriers(&[Some(&name)])).unwrap();
        let version = choice.routed().model().version().to_owned();
        let named = Request::of("y").header("x-carrier", carrier);
        assert_eq!(chosen(&header, &named).0, version);
        // A key by hand goes before the column.
        let direct = runtime
            .choose("m", None, &Direct::new(ids, Some(&name)))
            .unwrap();
        assert!(!direct.is_open());
        assert_eq!(direct.routed().model().version(), version);
    }
    // An empty one is none.
    let direct = runtime.choose("m", None, &Direct::new(ids, Some("")));
    assert!(direct.unwrap().is_open());
    let mut choice = choose(&runtime, &Request::of("x"));
    choice.settle_input(carriers(&[None])).unwrap();
    assert_eq!(choice.routed().by(), By::Split);
    let line = r#"tidegate_routing_keys_missing_total{model="m"}"#;
    assert_eq!(metric(&runtime, line), Some(1));
}

#[test]
fn what_cannot_share_a_deployment_is_refused_and_nothing_changes() {
    let runtime = new();
    runtime.deploy("m", doubler(&runtime, "1"), 1).unwrap();
    let other = |name: &str, version: &str, width: i64| {
        let (mut backend, _) = Doubler::new();
        backend.resize(width);
        let options = LoadOptions::default();
        runtime
            .load_backend(name, version, Box::new(backend), &options)
            .unwrap()
    };
    let two = plan(&[("1", 5_000), ("2", 5_000)]);
    let one = doubler(&runtime, "1");
    let by_column = json!({"from": "column", "name": "x"});
    let segment = json!({"segment": "origin"});
    let digest =
        json!([{"version": "1", "weight": 10_000, "role": "stable", "digest": "sha256:a"}]);
    let shadow = json!({"version": "3", "share": 10_000});
    for (document, models, said) in [
        (
            &two,
            vec![one.clone()],
            "1 models for a routing document of 2 versions",
        ),
        (
            &two,
            vec![one.clone(), doubler(&runtime, "3")],
            "names version \"2\" where the model is \"3\"",
        ),
        (
            &two,
            vec![one.clone(), other("tripler", "2", 3)],
            "is of another model",
        ),
        (
            &two,
            vec![one.clone(), other("doubler", "2", 4)],
            "takes other inputs",
        ),
        (
            &with(two.clone(), "key", by_column),
            vec![one.clone(), doubler(&runtime, "2")],
            "takes tensors",
        ),
        (
            &with(two.clone(), "observe", segment),
            vec![one.clone(), doubler(&runtime, "2")],
            "segments by column",
        ),
        (
            &with(two.clone(), "arms", digest),
            vec![one.clone()],
            "the loaded bundle has none",
        ),
        (
            &with(two.clone(), "shadow", shadow),
            vec![one.clone(), doubler(&runtime, "2")],
            "2 models for a routing document of 3",
        ),
        (
            &plan(&[("1", 5_000), ("1", 5_000)]),
            vec![one.clone(), one.clone()],
            "\"1\" twice",
        ),
        (
            &plan(&[("1", 5_000), ("2", 4_000)]),
            vec![one.clone(), doubler(&runtime, "2")],
            "add up to 9000",
        ),
    ] {
        let error = runtime
            .route("m", 2, &document.to_string(), models)
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidInput, "{error}");
        assert!(error.message.contains(said), "{said}: {error}");
        assert!(error.message.contains("deployment \"m\""), "{error}");
    }
    let answer = ask(&choose(&runtime, &Request::of(1)));
    assert_eq!((answer.model.version(), answer.revision()), ("1", 1));
}

#[test]
fn the_live_routing_can_be_read_and_a_shadow_does_not_answer() {
    let runtime = new();
    let models = ["1", "2"].map(|version| doubler(&runtime, version));
    let shadow = json!({"version": "2", "share": 2_500});
    let document = with(plan(&[("1", 10_000)]), "shadow", shadow);
    runtime
        .route("m", 9, &document.to_string(), models.to_vec())
        .unwrap();
    let deployment = runtime.deployment("m").unwrap();
    let live: Value = serde_json::from_str(&deployment.to_json()).unwrap();
    assert_eq!(live["revision"], 9);
    assert_eq!(live["routing"]["shadow"]["share"], 2_500);
    assert_eq!(
        live["routing"]["key"],
        json!({"from": "request", "name": null})
    );
    assert_eq!(live["routing"]["rules"], json!([]));
    assert!(runtime.model("m", Some("2")).is_err());
    assert_eq!(deployment.models().count(), 2);
    // Its own counters name it, those of live requests do not.
    let page = runtime.metrics();
    let mut naming = page.lines().filter(|line| line.contains(r#"version="2""#));
    assert!(naming.all(|line| line.starts_with("tidegate_shadow_")));
}

#[test]
fn plans_change_while_requests_run_and_every_answer_is_of_one_revision() {
    const REVISIONS: u64 = 200;
    let runtime = new();
    let models: Vec<_> = (0..4)
        .map(|version| doubler(&runtime, &version.to_string()))
        .collect();
    // Revision n splits between the versions n and n + 1 (modulo 4).
    let arms = |revision: u64| [revision % 4, (revision + 1) % 4].map(|place| place as usize);
    let route = |revision: u64| {
        let arms = arms(revision);
        let names = arms.map(|place| place.to_string());
        let weight = (revision * 37 % 10_001) as u32;
        let document = plan(&[(&names[0], 10_000 - weight), (&names[1], weight)]);
        let models = arms.map(|place| Arc::clone(&models[place])).to_vec();
        runtime
            .route("m", revision, &document.to_string(), models)
            .unwrap();
    };
    route(0);
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (stop, answered, runtime) = (&stop, &answered, &runtime);
            scope.spawn(move || {
                let mut last = 0;
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let request = Request::of(format!("{thread}-{number}"));
                    let answer = ask(&choose(runtime, &request));
                    let revision = answer.revision();
                    let version: usize = answer.model.version().parse().unwrap();
                    assert!(arms(revision).contains(&version), "{version} in {revision}");
                    assert!(revision >= last, "back from {last} to {revision}");
                    last = revision;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for revision in 1..=REVISIONS {
            route(revision);
            let due = answered.load(Ordering::Relaxed) + 4;
            while answered.load(Ordering::Relaxed) < due {
                std::thread::yield_now();
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    let chosen: u64 = (0..4)
        .filter_map(|version| {
            let line =
                format!(r#"tidegate_requests_total{{model="m",version="{version}",outcome="ok"}}"#);
            metric(&runtime, &line)
        })
        .sum();
    assert!(chosen <= answered.load(Ordering::Relaxed) as u64);
    assert_eq!(
        runtime.deployment("m").unwrap().revision().number,
        REVISIONS
    );
}
