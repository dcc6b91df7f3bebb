//! Load from the command line, for a look at a server or a comparison with `wrk`:
//!
//! ```sh
//! cargo run --release -p tidegate-load --example http -- \
//!     '{"address": "127.0.0.1:8080", "method": "GET", "path": "/", "connections": 32}'
//! ```
#![allow(clippy::print_stdout)]

use std::error::Error;

use tidegate_load::{Case, Expect, Plan, run};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let plan = Plan::from_json(&arguments.next().ok_or("give a plan as JSON")?)?;
    let bodies: Vec<String> = arguments.collect();
    let case = |body: &String| Case {
        body: body.clone().into_bytes(),
        expect: Expect::Status,
    };
    let mut cases: Vec<Case> = bodies.iter().map(case).collect();
    if cases.is_empty() {
        cases.push(case(&String::new()));
    }
    println!("{}", serde_json::to_string_pretty(&run(&plan, &cases)?)?);
    Ok(())
}
