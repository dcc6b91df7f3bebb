//! Bodies of rows cut into pieces: the pieces hold what the whole holds, wherever it is cut.

// What is unexpected fails the test.
#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;
use serde_json::{Value, json};
use tidegate_protocol::Limits;
use tidegate_protocol::pieces::{MAX_ROW_BYTES, Pieces};
use tidegate_protocol::rows::{self, Extra};
use tidegate_schema::{Column, DType, ErrorKind, Field, Result, Schema, TableBuf};

fn schema() -> Schema {
    Schema::new(vec![
        Field::nullable("x", DType::Float64),
        Field::nullable("s", DType::String),
    ])
    .unwrap()
}

/// All rows, read in pieces of at least `least` bytes from chunks of `chunk`.
fn pieces(body: &[u8], chunk: usize, least: usize, extra: Extra) -> Result<TableBuf> {
    let schema = schema();
    let limits = Limits::default();
    let mut table = TableBuf::new(&schema, 0);
    let mut pieces = Pieces::new(extra);
    for bytes in body.chunks(chunk) {
        pieces.feed(bytes)?;
        while let Some(piece) = pieces.next(least) {
            table.append(&rows::decode(&piece, &schema, extra, &limits)?)?;
        }
    }
    if let Some(piece) = pieces.finish()? {
        table.append(&rows::decode(&piece, &schema, extra, &limits)?)?;
    }
    Ok(table)
}

fn whole(body: &[u8], extra: Extra) -> Result<TableBuf> {
    rows::decode(body, &schema(), extra, &Limits::default())
}

fn same(a: &TableBuf, b: &TableBuf) -> bool {
    let values = |table: &TableBuf| -> Vec<(Option<u64>, Option<String>)> {
        let view = table.view().unwrap();
        let (Column::Float64(x), Column::String(s)) = (view.columns()[0], view.columns()[1]) else {
            panic!("other columns");
        };
        (0..table.rows())
            .map(|row| {
                let x = x.get(row).filter(|x| !x.is_nan());
                (x.map(f64::to_bits), s.get(row).map(str::to_owned))
            })
            .collect()
    };
    values(a) == values(b)
}

#[test]
fn bodies_that_are_refused_whole_are_refused_in_pieces() {
    for body in [
        "",
        " ",
        "[]",
        "{",
        "{}",
        "{\"instances\"}",
        "{\"instances\":}",
        "{\"instances\":{}}",
        "{\"instances\":[]}",
        "{\"instances\":[,]}",
        "{\"instances\":[{\"x\":1},]}",
        "{\"instances\":[,{\"x\":1}]}",
        "{\"instances\":[{\"x\":1},,{\"x\":1}]}",
        "{\"instances\":[{\"x\":1} {\"x\":1}]}",
        "{\"instances\":[{\"x\":1}}",
        "{\"instances\":[{\"x\":1}]",
        "{\"instances\":[{\"x\":1}]]}",
        "{\"instances\":[{\"x\":1}]}}",
        "{\"instances\":[{\"x\":1}]} x",
        "{\"instances\":[{\"x\":1}],}",
        "{\"instances\":[{\"x\":1}],\"instances\":[{\"x\":1}]}",
        "{\"instances\":[1]}",
        "{\"instances\":[null, {\"x\":1}]}",
        "{\"instances\":[\"a\"]}",
        "{\"instances\":[{\"x\":1]]}",
        "{\"instances\":[{\"y\":1}]}",
        "{,\"instances\":[{\"x\":1}]}",
        "{\"other\":1,\"instances\":[{\"x\":1}]}",
    ] {
        assert!(whole(body.as_bytes(), Extra::Refuse).is_err(), "{body}");
        for chunk in [1, 7, 1000] {
            let outcome = pieces(body.as_bytes(), chunk, 1, Extra::Refuse);
            assert!(outcome.is_err(), "{body} in chunks of {chunk}");
        }
    }
}

#[test]
fn other_keys_are_passed_over_where_that_is_asked() {
    let body = r#"{"a":[1,"]}",{"b":2}],"instances":[{"x":1}],"c":null , "d":"}"}"#;
    let all = whole(body.as_bytes(), Extra::Ignore).unwrap();
    for chunk in [1, 3, 1000] {
        let cut = pieces(body.as_bytes(), chunk, 1, Extra::Ignore).unwrap();
        assert!(same(&all, &cut));
    }
}

#[test]
fn a_row_without_end_is_refused() {
    let mut pieces = Pieces::new(Extra::Refuse);
    pieces.feed(b"{\"instances\":[{\"x\":1},{\"s\":\"").unwrap();
    let error = (0..)
        .find_map(|_| pieces.feed(&[b'a'; 4096]).err())
        .unwrap();
    assert_eq!(error.kind, ErrorKind::TooLarge);
    assert!(error.message.contains(&MAX_ROW_BYTES.to_string()));
}

fn row() -> impl Strategy<Value = Value> {
    let x = prop_oneof![Just(Value::Null), any::<i32>().prop_map(|x| json!(x))];
    let s = prop_oneof![
        Just(Value::Null),
        "[a\"\\\\\\[\\]{},é]{0,6}".prop_map(|s| json!(s))
    ];
    (x, s, any::<bool>()).prop_map(|(x, s, both)| {
        if both {
            json!({"x": x, "s": s})
        } else {
            json!({"s": s})
        }
    })
}

proptest! {
    #[test]
    fn pieces_hold_what_the_whole_holds(
        rows in proptest::collection::vec(row(), 1..30),
        pretty: bool,
        chunk in 1usize..50,
        least in 1usize..200,
    ) {
        let value = json!({"instances": rows});
        let body = if pretty {
            serde_json::to_string_pretty(&value).unwrap()
        } else {
            value.to_string()
        };
        let all = whole(body.as_bytes(), Extra::Refuse).unwrap();
        let cut = pieces(body.as_bytes(), chunk, least, Extra::Refuse).unwrap();
        prop_assert!(same(&all, &cut));
    }

    /// Where one is refused the other is, too.
    #[test]
    fn mutated_bodies_are_judged_alike(
        rows in proptest::collection::vec(row(), 1..5),
        place: prop::sample::Index,
        byte in prop::sample::select(b"{}[],:\"\\ 1x".to_vec()),
        chunk in 1usize..50,
    ) {
        let mut body = json!({"instances": rows}).to_string().into_bytes();
        let place = place.index(body.len());
        body[place] = byte;
        let all = whole(&body, Extra::Refuse);
        let cut = pieces(&body, chunk, 40, Extra::Refuse);
        prop_assert_eq!(all.is_ok(), cut.is_ok(), "{:?} {:?} {}", all, cut, String::from_utf8_lossy(&body));
    }
}
