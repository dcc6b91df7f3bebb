//! Bad requests: each is refused with the right kind and a message that names the thing.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // Functions shared by the tests are not tests to clippy.

use tidegate_protocol::infer::{check_outputs, decode, decode_raw, encode};
use tidegate_protocol::rows::{self, Extra};
use tidegate_protocol::{Limits, Parameters, TensorInfo, columns, infer};
use tidegate_schema::{Column, DType, Datatype, ErrorKind, Field, Schema, Tensor, TensorData};

fn limits() -> Limits {
    Limits {
        rows: 4,
        tensors: 3,
        elements: 20,
        dimensions: 3,
        parameters: 2,
        ..Limits::default()
    }
}

#[track_caller]
fn refused(body: &str, kind: ErrorKind, part: &str) {
    let error = decode(body.as_bytes(), None, &[], &limits()).unwrap_err();
    assert!(error.message.contains(part), "{body}\n{error}");
    assert_eq!(error.kind, kind, "{error}");
}

fn input(rest: &str) -> String {
    format!(r#"{{"inputs":[{{"name":"x",{rest}}}]}}"#)
}

#[test]
fn what_is_no_request() {
    use ErrorKind::InvalidInput;
    for (body, part) in [
        ("", "malformed JSON"),
        ("nonsense", "malformed JSON"),
        ("{", "malformed JSON"),
        (
            r#"{"inputs":[{"name":"x","shape":[0],"datatype":"BOOL","data":[]}]} x"#,
            "malformed JSON",
        ),
        ("[]", "expected an inference request as an object"),
        ("{}", "has no inputs"),
        (r#"{"inputs":[]}"#, "has no inputs"),
        (r#"{"inputs":{}}"#, "an array of tensors"),
        (r#"{"inputs":[1]}"#, "a tensor as an object"),
        (r#"{"id":5}"#, "the id as a string"),
        (r#"{"id":"a","id":"b"}"#, "\"id\" appears twice"),
        (r#"{"inputs":[],"inputs":[]}"#, "\"inputs\" appears twice"),
        (r#"{"parameters":{"a":[1]}}"#, "a string, number or boolean"),
        (
            r#"{"parameters":{"a":1,"a":2}}"#,
            "parameter \"a\" appears twice",
        ),
    ] {
        refused(body, InvalidInput, part);
    }
    refused(
        r#"{"parameters":{"a":1,"b":2,"c":3}}"#,
        ErrorKind::TooLarge,
        "3 parameters exceed the limit of 2",
    );
    let latin = decode(b"{\"id\":\"\xe9\"}", None, &[], &limits()).unwrap_err();
    assert!(latin.message.contains("not UTF-8"), "{latin}");
}

#[test]
fn tensors() {
    use ErrorKind::InvalidInput;
    for (rest, part) in [
        (r#""shape":[1]"#, "tensor \"x\": has no datatype"),
        (r#""datatype":"FP32","data":[1]"#, "has no shape"),
        (r#""shape":[1],"datatype":"FP32""#, "neither data nor"),
        (
            r#""shape":[1],"datatype":"FP32","data":[1],"parameters":{"binary_data_size":4}"#,
            "both data and",
        ),
        (r#""datatype":"FLOAT""#, "unknown datatype \"FLOAT\""),
        (r#""datatype":"fp32""#, "unknown datatype"),
        (r#""shape":[-1]"#, "shape has the entry -1"),
        (r#""shape":[1.5]"#, "shape has the entry 1.5e0"),
        (r#""shape":5"#, "a shape as an array"),
        (
            r#""shape":[2],"datatype":"FP32","data":[1]"#,
            "shape [2] needs 2 elements but data has 1",
        ),
        (
            r#""shape":[2],"datatype":"FP32","data":[1,2,3]"#,
            "more than the 2 elements of the shape",
        ),
        (
            r#""data":[1,2,3],"datatype":"FP32","shape":[2]"#,
            "more than the 2 elements",
        ),
        (
            r#""shape":[1],"datatype":"INT64","data":[null]"#,
            "element 0 is null where INT64",
        ),
        (
            r#""shape":[1],"datatype":"BOOL","data":[1]"#,
            "element 0 is 1 where BOOL",
        ),
        (
            r#""shape":[1],"datatype":"FP32","data":["1"]"#,
            "the string \"1\" where FP32",
        ),
        (
            r#""shape":[1],"datatype":"BYTES","data":[1]"#,
            "element 0 is 1 where BYTES",
        ),
        (
            r#""shape":[1],"datatype":"UINT8","data":[256]"#,
            "element 0 is 256 where UINT8",
        ),
        (
            r#""shape":[1],"datatype":"UINT8","data":[-1]"#,
            "element 0 is -1 where UINT8",
        ),
        (
            r#""shape":[1],"datatype":"INT32","data":[0.5]"#,
            "where INT32",
        ),
        (
            r#""shape":[1],"datatype":"FP32","data":[1e39]"#,
            "1e39 where FP32",
        ),
        (
            r#""shape":[1],"datatype":"FP16","data":[65520]"#,
            "65520 where FP16",
        ),
        (
            r#""shape":[1],"datatype":"FP64","data":[1e999]"#,
            "number out of range",
        ),
        (
            r#""shape":[1],"datatype":"FP32","data":[NaN]"#,
            "malformed JSON",
        ),
        (
            r#""shape":[1],"datatype":"FP32","data":[{}]"#,
            "expected FP32 elements",
        ),
        (
            r#""shape":[1],"datatype":"FP32","data":1"#,
            "data as an array",
        ),
        (
            r#""shape":[2,2],"datatype":"FP32","data":[[1,2],[3]]"#,
            "nested unevenly",
        ),
        (
            r#""shape":[2,2],"datatype":"FP32","data":[[1,2],3,4]"#,
            "nested unevenly",
        ),
        (
            r#""shape":[2,2],"datatype":"FP32","data":[[1,2],[[3],[4]]]"#,
            "nested unevenly",
        ),
        (
            r#""shape":[2,3],"datatype":"FP32","data":[[1,2],[3,4],[5,6]]"#,
            "nested as [3, 2]",
        ),
        (r#""shape":[1],"shape":[1]"#, "\"shape\" appears twice"),
        (r#""name":"x""#, "\"name\" appears twice"),
        (
            r#""shape":[1],"datatype":"FP32","parameters":{"binary_data_size":-4}"#,
            "whole number from 0 on",
        ),
        (
            r#""shape":[1],"datatype":"FP32","parameters":{"binary_data_size":4}"#,
            "expecting 4 additional bytes",
        ),
    ] {
        refused(&input(rest), InvalidInput, part);
    }
    for (rest, part) in [
        (
            r#""shape":[5],"datatype":"FP32","data":[1,2,3,4,5]"#,
            "5 rows exceed the limit of 4",
        ),
        (
            r#""shape":[1,1,1,1],"datatype":"FP32","data":[1]"#,
            "4 dimensions exceed",
        ),
        (
            r#""shape":[1,30],"datatype":"FP32","data":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"#,
            "elements exceed the limit of 20",
        ),
        (
            r#""shape":[4,18446744073709551615],"datatype":"FP32","data":[1]"#,
            "more elements than can be counted",
        ),
    ] {
        refused(&input(rest), ErrorKind::TooLarge, part);
    }
    refused(
        &input(r#""shape":[1],"datatype":"FP32","parameters":{"shared_memory_region":"r"}"#),
        ErrorKind::Unsupported,
        "shared memory is not offered",
    );
    let one = r#"{"name":"N","shape":[1],"datatype":"BOOL","data":[true]}"#;
    let named: Vec<_> = ["a", "b", "c", "d"]
        .iter()
        .map(|n| one.replace('N', n))
        .collect();
    refused(
        &format!(r#"{{"inputs":[{}]}}"#, named.join(",")),
        ErrorKind::TooLarge,
        "4 tensors exceed the limit of 3",
    );
    refused(
        &format!(r#"{{"inputs":[{one},{one}]}}"#),
        InvalidInput,
        "tensor \"N\" appears twice",
    );
    refused(
        r#"{"inputs":[{"shape":[1]}]}"#,
        InvalidInput,
        "tensor number 0: has no name",
    );
}

#[test]
fn outputs() {
    let valid =
        r#"{"inputs":[{"name":"x","shape":[1],"datatype":"BOOL","data":[true]}],"outputs":"#;
    for (outputs, kind, part) in [
        ("[{}]", ErrorKind::InvalidInput, "an output has no name"),
        (
            r#"[{"name":1}]"#,
            ErrorKind::InvalidInput,
            "the name of an output as a string",
        ),
        (
            r#"[{"name":"y","parameters":{"binary_data":1}}]"#,
            ErrorKind::InvalidInput,
            "output \"y\": parameter \"binary_data\" is 1 where true or false",
        ),
        (
            r#"[{"name":"y","parameters":{"classification":-2}}]"#,
            ErrorKind::InvalidInput,
            "output \"y\": parameter \"classification\" is -2",
        ),
        (
            r#"[{"name":"y","parameters":{"shared_memory_region":"r"}}]"#,
            ErrorKind::Unsupported,
            "shared memory is not offered",
        ),
    ] {
        refused(&format!("{valid}{outputs}}}"), kind, part);
    }
    let body = format!(r#"{valid}[{{"name":"z"}}]}}"#);
    let request = decode(body.as_bytes(), None, &[], &limits()).unwrap();
    let info = TensorInfo {
        name: "y".to_owned(),
        datatype: Datatype::Fp32,
        shape: vec![-1],
    };
    let error = check_outputs(&request.outputs, &[info]).unwrap_err();
    assert_eq!(error.message, "unknown output \"z\": the outputs are y");
    let nothing = Parameters::new();
    let text = Tensor::new("z", vec![1], TensorData::Bytes(vec![vec![0xff]])).unwrap();
    let mut response = infer::InferResponse {
        model_name: "m",
        model_version: "1",
        id: None,
        parameters: &nothing,
        outputs: &[],
        labels: &[],
    };
    assert!(encode(&response, &request.outputs, false).is_err());
    let outputs = [text];
    response.outputs = &outputs;
    let error = encode(&response, &request.outputs, false).unwrap_err();
    assert!(error.message.contains("not UTF-8"), "{error}");
    assert!(encode(&response, &request.outputs, true).is_ok());
}

#[test]
fn reserved_parameters() {
    refused(
        r#"{"parameters":{"triton_final_response":true},"inputs":[{"name":"x","shape":[1],"datatype":"BOOL","data":[true]}]}"#,
        ErrorKind::InvalidInput,
        "\"triton_final_response\" is reserved",
    );
}

#[test]
fn nesting() {
    let limits = Limits::default();
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        for depth in [98, 99, 10_000, 1_000_000] {
            let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            for body in [
                format!(r#"{{"other":{deep}}}"#),
                input(&format!(r#""shape":[1],"datatype":"FP32","data":{deep}"#)),
                input(&format!(r#""data":{deep},"shape":[1],"datatype":"FP32""#)),
                input(&format!(r#""other":{deep},"shape":[1],"datatype":"FP32""#)),
            ] {
                let error = decode(body.as_bytes(), None, &[], &limits).unwrap_err();
                assert_eq!(error.kind, ErrorKind::InvalidInput);
                if depth > 99 && open == "[" {
                    assert!(error.message.contains("100 levels"), "{depth} {error}");
                }
            }
        }
    }
    // The hundredth level is still allowed.
    let body = format!(r#"{{"other":{}1{}}}"#, "[".repeat(99), "]".repeat(99));
    let error = decode(body.as_bytes(), None, &[], &limits).unwrap_err();
    assert!(error.message.contains("no inputs"), "{error}");
}

#[test]
fn binary_bodies() {
    let header = |size: usize, datatype: &str, shape: &str| {
        format!(
            r#"{{"inputs":[{{"name":"x","shape":{shape},"datatype":"{datatype}","parameters":{{"binary_data_size":{size}}}}}]}}"#
        )
    };
    #[track_caller]
    fn refused(header: &str, length: usize, tail: &[u8], part: &str) {
        let mut body = header.as_bytes().to_vec();
        body.extend_from_slice(tail);
        let error = decode(&body, Some(length), &[], &limits()).unwrap_err();
        assert!(error.message.contains(part), "{error}");
    }
    let fp32 = header(8, "FP32", "[2]");
    let n = fp32.len();
    refused(&fp32, n, &[0; 7], "expecting 1 additional bytes");
    refused(&fp32, n, &[0; 9], "1 bytes of binary data are left over");
    refused(&fp32, n + 100, &[0; 8], "the body has");
    refused(&fp32, n - 1, &[0; 9], "malformed JSON");
    refused(
        &header(8, "FP32", "[3]"),
        n,
        &[0; 8],
        "8 bytes of FP32 do not fill shape [3]",
    );
    let text = header(8, "BYTES", "[2]");
    let n = text.len();
    refused(
        &text,
        n,
        &[0, 0, 0, 0, 1, 0, 0, 0],
        "element 1 of BYTES is cut off",
    );
    refused(
        &text,
        n,
        &[0, 0, 0, 0, 255, 255, 255, 255],
        "element 1 of BYTES is cut off",
    );
    refused(
        &header(8, "BYTES", "[1]"),
        n,
        &[0; 8],
        "4 bytes are left over after 1 elements",
    );
    refused(
        &header(8, "BYTES", "[4]"),
        n,
        &[0; 8],
        "too few for 4 elements",
    );
    let huge = header(8, "BYTES", "[1,99999999999]");
    refused(&huge, huge.len(), &[0; 8], "exceed the limit");
}

#[test]
fn raw_bodies() {
    let info = |datatype, shape: &[i64]| TensorInfo {
        name: "x".to_owned(),
        datatype,
        shape: shape.to_vec(),
    };
    let limits = Limits::default();
    let read = |body: &[u8], infos: &[TensorInfo]| decode_raw(body, infos, &limits);
    let shape = |body: &[u8], datatype, shape: &[i64]| {
        read(body, &[info(datatype, shape)]).map(|request| request.inputs[0].shape.clone())
    };
    assert_eq!(shape(&[0; 16], Datatype::Fp32, &[-1, 4]).unwrap(), [1, 4]);
    assert_eq!(shape(&[0; 16], Datatype::Fp32, &[-1, -1]).unwrap(), [1, 4]);
    assert_eq!(
        shape(&[0; 16], Datatype::Fp32, &[-1, -1, 2]).unwrap(),
        [1, 2, 2]
    );
    let text = read(b"ash", &[info(Datatype::Bytes, &[-1, 1])]).unwrap();
    assert_eq!(text.inputs[0].shape, [1, 1]);
    assert_eq!(text.inputs[0].data, TensorData::Bytes(vec![b"ash".into()]));
    assert!(shape(&[0; 15], Datatype::Fp32, &[-1, -1]).is_err());
    assert!(shape(&[0; 15], Datatype::Fp32, &[-1, 4]).is_err());
    assert!(shape(&[0; 16], Datatype::Fp32, &[-1, -1, -1]).is_err());
    assert!(shape(&[0; 16], Datatype::Fp32, &[-1, 0, -1]).is_err());
    assert!(shape(&[0; 16], Datatype::Bytes, &[-1, 2]).is_err());
    assert!(read(&[0; 16], &[]).is_err());
    let two = [
        info(Datatype::Fp32, &[-1, 4]),
        info(Datatype::Fp32, &[-1, 4]),
    ];
    assert!(read(&[0; 16], &two).is_err());
    let raw = decode(&[0; 16], Some(0), &two[..1], &limits).unwrap();
    assert!(raw.binary_default);
}

fn schema() -> Schema {
    Schema::new(vec![
        Field::required("distance", DType::Float64),
        Field::nullable("seats", DType::Int64),
        Field::nullable("carrier", DType::String),
        Field::nullable("diverted", DType::Bool),
        Field::nullable("departure", DType::Timestamp),
    ])
    .unwrap()
}

#[test]
fn rows_are_read_by_name() {
    let body = br#"{"instances":[
        {"distance":1400,"seats":150.0,"carrier":"U\u0041","diverted":true,"departure":"2013-07-01T05:15:00Z"},
        {"departure":1372655700000000,"carrier":null,"distance":0.5},
        {"distance":1e3,"seats":null,"diverted":false}]}"#;
    let table = rows::decode(body, &schema(), Extra::Refuse, &limits()).unwrap();
    let view = table.view().unwrap();
    view.check(&schema()).unwrap();
    let [distance, seats, carrier, diverted, departure] = view.columns() else {
        panic!()
    };
    let Column::Float64(distance) = distance else {
        panic!()
    };
    assert_eq!(distance.values, [1400.0, 0.5, 1000.0]);
    let Column::Int64(seats) = seats else {
        panic!()
    };
    assert_eq!(
        [seats.get(0), seats.get(1), seats.get(2)],
        [Some(150), None, None]
    );
    let Column::String(carrier) = carrier else {
        panic!()
    };
    assert_eq!(
        [carrier.get(0), carrier.get(1), carrier.get(2)],
        [Some("UA"), None, None]
    );
    let Column::Bool(diverted) = diverted else {
        panic!()
    };
    assert_eq!(
        [diverted.get(0), diverted.get(1), diverted.get(2)],
        [Some(1), None, Some(0)]
    );
    let Column::Timestamp(departure) = departure else {
        panic!()
    };
    let time = Some(1_372_655_700_000_000);
    assert_eq!(
        [departure.get(0), departure.get(1), departure.get(2)],
        [time, time, None]
    );
}

#[test]
fn rows_are_refused_by_column_and_row() {
    #[track_caller]
    fn refused(rows: &str, part: &str) {
        let body = format!(r#"{{"instances":{rows}}}"#);
        let read = rows::decode(body.as_bytes(), &schema(), Extra::Refuse, &limits());
        let error = read.unwrap_err();
        assert!(error.message.contains(part), "{rows}\n{error}");
    }
    for (rows, part) in [
        ("[]", "has no rows"),
        ("{}", "instances as an array"),
        ("[1]", "a row as an object"),
        ("[{}]", "column \"distance\" is missing in row 0"),
        (
            r#"[{"distance":1},{"distance":null}]"#,
            "column \"distance\" is missing in row 1",
        ),
        (
            r#"[{"distance":1,"distance":2}]"#,
            "row 0: \"distance\" appears twice",
        ),
        (
            r#"[{"distanse":1}]"#,
            "row 0: unknown column \"distanse\": did you mean \"distance\"?",
        ),
        (
            r#"[{"distance":"1"}]"#,
            "column \"distance\" is the text \"1\" in row 0 where float64",
        ),
        (r#"[{"distance":true}]"#, "is true in row 0 where float64"),
        (r#"[{"distance":[1]}]"#, "is an array in row 0"),
        (r#"[{"distance":{}}]"#, "is an object in row 0"),
        (r#"[{"distance":NaN}]"#, "malformed JSON"),
        (
            r#"[{"distance":1,"seats":1.5}]"#,
            "\"seats\" is 1.5 in row 0 where int64",
        ),
        (r#"[{"distance":1,"seats":1e300}]"#, "where int64"),
        (
            r#"[{"distance":1,"seats":9223372036854775808}]"#,
            "where int64",
        ),
        (
            r#"[{"distance":1,"carrier":5}]"#,
            "\"carrier\" is 5 in row 0 where string",
        ),
        (
            r#"[{"distance":1,"diverted":1}]"#,
            "\"diverted\" is 1 in row 0 where bool",
        ),
        (r#"[{"distance":1,"diverted":"true"}]"#, "where bool"),
        (
            r#"[{"distance":1,"departure":"noon"}]"#,
            "column \"departure\" in row 0: \"noon\"",
        ),
        (r#"[{"distance":1,"departure":1.5}]"#, "where timestamp"),
    ] {
        refused(rows, part);
    }
    let row = r#"{"distance":1}"#;
    refused(
        &format!("[{}]", [row; 5].join(",")),
        "5 rows exceed the limit of 4",
    );
    let body = format!(r#"{{"instances":[{row}],"other":[[1]]}}"#);
    let read = |extra| rows::decode(body.as_bytes(), &schema(), extra, &limits());
    assert!(read(Extra::Refuse).is_err());
    assert_eq!(read(Extra::Ignore).unwrap().rows(), 1);
    let body = br#"{"instances":[{"distance":1,"x":{"y":[1,{}]}}]}"#;
    assert!(rows::decode(body, &schema(), Extra::Refuse, &limits()).is_err());
    assert!(rows::decode(body, &schema(), Extra::Ignore, &limits()).is_ok());
}

fn tensor(name: &str, data: TensorData) -> Tensor {
    Tensor::new(name, vec![data.len(), 1], data).unwrap()
}

#[test]
fn columns_of_tensors() {
    let tensors = [
        tensor("distance", TensorData::Fp32(vec![0.5, 2.0])),
        tensor("seats", TensorData::Fp64(vec![150.0, f64::NAN])),
        tensor("carrier.is_null", TensorData::Bool(vec![1, 0])),
        tensor("carrier", TensorData::Bytes(vec![vec![], b"UA".to_vec()])),
        tensor(
            "departure",
            TensorData::Bytes(vec![b"1970-01-01T00:00:01Z".to_vec(); 2]),
        ),
    ];
    let table = columns::from_tensors(&tensors, &schema()).unwrap();
    let view = table.view().unwrap();
    view.check(&schema()).unwrap();
    let [distance, seats, carrier, diverted, departure] = view.columns() else {
        panic!()
    };
    let Column::Float64(distance) = distance else {
        panic!()
    };
    assert_eq!(distance.values, [0.5, 2.0]);
    assert!(!seats.is_missing(0) && seats.is_missing(1));
    let Column::String(carrier) = carrier else {
        panic!()
    };
    assert_eq!([carrier.get(0), carrier.get(1)], [None, Some("UA")]);
    assert!(diverted.is_missing(0) && diverted.is_missing(1));
    let Column::Timestamp(departure) = departure else {
        panic!()
    };
    assert_eq!(departure.get(1), Some(1_000_000));
    let signature = columns::signature(&schema());
    assert_eq!(signature[2].datatype, Datatype::Bytes);
    assert_eq!(signature[4].shape, [-1, 1]);
}

#[test]
fn columns_of_tensors_are_refused() {
    let distance = || tensor("distance", TensorData::Fp64(vec![1.0]));
    #[track_caller]
    fn refused(tensors: &[Tensor], part: &str) {
        let error = columns::from_tensors(tensors, &schema()).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidInput);
        assert!(error.message.contains(part), "{error}");
    }
    refused(&[], "no rows");
    refused(&[tensor("distance", TensorData::Fp64(vec![]))], "no rows");
    refused(
        &[tensor("seats", TensorData::Int64(vec![1]))],
        "\"distance\": is missing but may not",
    );
    refused(
        &[tensor("distance", TensorData::Fp64(vec![f64::NAN]))],
        "is missing in row 0",
    );
    refused(
        &[distance(), tensor("seat", TensorData::Int64(vec![1]))],
        "did you mean \"seats\"?",
    );
    refused(
        &[
            distance(),
            tensor("seat.is_null", TensorData::Bool(vec![1])),
        ],
        "\"seats\"?",
    );
    refused(&[distance(), distance()], "appears twice");
    refused(
        &[distance(), tensor("seats", TensorData::Int64(vec![1, 2]))],
        "has 2 rows",
    );
    refused(
        &[tensor("distance", TensorData::Bytes(vec![b"1".to_vec()]))],
        "is sent as BYTES",
    );
    refused(
        &[distance(), tensor("diverted", TensorData::Uint8(vec![1]))],
        "sent as UINT8",
    );
    refused(
        &[distance(), tensor("carrier", TensorData::Int64(vec![1]))],
        "sent as INT64",
    );
    refused(
        &[
            distance(),
            tensor("carrier", TensorData::Bytes(vec![vec![0xff]])),
        ],
        "not UTF-8",
    );
    refused(
        &[
            distance(),
            tensor("departure", TensorData::Bytes(vec![b"x".to_vec()])),
        ],
        "row 0",
    );
    refused(
        &[distance(), tensor("seats", TensorData::Fp32(vec![0.5]))],
        "0.5 where int64",
    );
    refused(
        &[
            distance(),
            tensor("seats", TensorData::Uint64(vec![u64::MAX])),
        ],
        "not fit int64",
    );
    refused(
        &[
            distance(),
            tensor("seats.is_null", TensorData::Int64(vec![1])),
        ],
        "BOOL is due",
    );
    refused(
        &[
            distance(),
            tensor("seats.is_null", TensorData::Bool(vec![0])),
        ],
        "has no tensor",
    );
    let flagged = tensor("distance.is_null", TensorData::Bool(vec![1]));
    refused(&[distance(), flagged], "is missing in row 0");
    let wide = Tensor::new("distance", vec![1, 2], TensorData::Fp64(vec![1.0, 2.0])).unwrap();
    refused(&[wide], "a column is sent as [n, 1]");
}
