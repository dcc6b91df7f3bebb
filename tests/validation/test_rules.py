"""Rules as they are written, saved and refused."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pyarrow as pa
import pytest

from tidegate import Rules, Schema, col
from tidegate.errors import DataError, InputError, NotFoundError, StateError
from tidegate.features import Field
from tidegate.validation import (
    Rule,
    aggregate,
    compare_schemas,
    foreign_key,
    freshness,
    in_range,
    not_null,
    rule,
    unique,
    volume,
)

SCHEMA = Schema(
    [
        Field("carrier", "string", nullable=False),
        Field("distance", "float64", nullable=True),
        Field("flight", "int64", nullable=True),
    ]
)
TABLE = pa.table({"carrier": ["UA", None], "distance": [1, 2], "flight": [1.0, 1.5]})


def test_a_schema_is_held_against_the_columns_and_the_values() -> None:
    report = Rules(schema=SCHEMA).validate(TABLE)
    assert not report.passed
    assert not report.schema
    assert report["schema: carrier is never missing"].failures == 1
    assert report["schema: flight is whole"].rows[0].values == {"flight": 1.5}
    assert Rules(schema=SCHEMA).validate(TABLE.slice(0, 1)).passed


@pytest.mark.parametrize(
    ("extra", "ordered", "kinds"),
    [
        ("allow", False, ["missing_column", "wrong_type"]),
        ("warn", False, ["missing_column", "wrong_type", "unexpected_column"]),
        ("error", False, ["missing_column", "wrong_type", "unexpected_column"]),
        ("allow", True, ["missing_column", "wrong_type"]),
    ],
)
def test_findings_about_columns(extra: str, ordered: bool, kinds: list[str]) -> None:
    table = pa.table({"flight": ["a"], "more": [1], "carrier": ["UA"]})
    rules = Rules(
        in_range("distance", 0, name="far"),
        in_range("flight", 0, name="number"),
        schema=SCHEMA,
        extra=extra,  # type: ignore[arg-type]
        ordered=ordered,
    )
    report = rules.validate(table)
    found = [finding.kind for finding in report.schema]
    assert found == [*kinds, *(["wrong_order"] if ordered else [])]
    # Rules without their column do not run, and do not hide what is wrong.
    assert report["far"].status == report["number"].status == "skipped"
    assert "not in the table" in report["far"].message
    assert not report.passed
    assert 'column "distance" is not in the table' in report.verdict


def test_an_allowed_share_and_a_warning_pass() -> None:
    table = pa.table({"x": [1, 2, 3, -1]})
    assert not Rules(in_range("x", 0)).validate(table)
    assert Rules(in_range("x", 0, allow=0.25)).validate(table)
    assert not Rules(in_range("x", 0, allow=0.24)).validate(table)
    report = Rules(in_range("x", 0, severity="warning")).validate(table)
    assert report
    assert report.rules[0].status == "warned"
    assert report.verdict == "passed: 1 rule on 4 rows (1 warning)"


def test_a_report_raises_as_asked() -> None:
    rules = Rules(in_range("x", 0))
    assert rules.validate(pa.table({"x": [1]})).raise_if_failed().passed
    with pytest.raises(DataError, match="failed: 1 rule") as caught:
        rules.validate(pa.table({"x": [-1]})).raise_if_failed()
    assert caught.value.report is not None


def test_rules_are_saved_and_read(tmp_path: Path) -> None:
    rules = Rules(
        in_range("distance", 0, name="far", severity="warning", allow=0.1),
        unique("carrier", "flight"),
        rule(col("distance") > 1, repair={"distance": None, "carrier": "UA"}),
        schema=SCHEMA,
        extra="error",
        ordered=True,
    )
    path = tmp_path / "rules.json"
    rules.save(path)
    again = Rules.load(path)
    assert again == rules
    assert hash(again) == hash(rules)
    assert again.fingerprint == rules.fingerprint
    assert again.schema == SCHEMA
    assert pickle.loads(pickle.dumps(rules)) == rules
    assert [r.name for r in again] == again.names
    # One rule a line: what a diff of the file shows.
    assert sum('"check"' in line for line in path.read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "not a file of rules"),
        (lambda text: text.replace('"version": 1', '"version": 7'), "upgrade tidegate"),
        (lambda text: text.replace('"severity"', '"gravity"'), "unknown field `gravity`"),
        (lambda text: text.replace('"kind": "unique"', '"kind": "uniq"'), "unknown variant"),
        (lambda text: text.replace("carrier", "carier"), 'did you mean "carrier"'),
    ],
)
def test_a_damaged_file_is_refused_with_the_mend(tmp_path: Path, change, message) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "rules.json"
    Rules(unique("carrier"), schema=SCHEMA, extra="error").save(path)
    text = path.read_text()
    head, rules = text.split('"rules"')
    # Only the rules are misspelt; the schema knows what is meant.
    changed = (
        change(text) if "carier" not in change("carrier") else head + '"rules"' + change(rules)
    )
    assert changed != text
    path.write_text(changed)
    with pytest.raises((StateError, InputError), match=r"rules.json") as caught:
        Rules.load(path)
    assert message in str(caught.value)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(NotFoundError, match="no file of rules"):
        Rules.load("nowhere.json")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: Rules(in_range("x", 0), in_range("x", 0)), "a name of its own"),
        (lambda: Rules(in_range("x", 0, allow=2)), "allow is 2"),
        (lambda: Rules(in_range("x")), "no bounds"),
        (lambda: Rules(volume(5, 3)), "nothing lies between"),
        (lambda: Rules(volume(history=[1, 2])), "at least three"),
        (lambda: Rules(aggregate("mean", "x", low=0, allow=0.5)), "set its bounds instead"),
        (lambda: Rules(unique("x", repair={"x": 1})), "leave it out"),
        (lambda: Rules(not_null("x", colour="red")), "has no option 'colour'"),  # type: ignore[call-arg]
        (lambda: Rules(rule("x > 0")), "a rule is an expression"),  # type: ignore[arg-type]
        (lambda: Rules(col("x") > 0), "is no rule"),  # type: ignore[arg-type]
        (lambda: Rules(foreign_key(["a", "b"], "r", "k")), "2 columns against 1 keys"),
        (
            lambda: Rules(rule(col("distance") + 1), schema=SCHEMA),
            "is a number where a bool is due: compare it",
        ),
        (
            lambda: Rules(rule(col("carrier") > 1), schema=SCHEMA),
            "compare numbers with numbers",
        ),
        (lambda: Rules(freshness("distance", 1), schema=SCHEMA), "where a timestamp is due"),
        (
            lambda: Rules(rule(col("distance").standardize() < 3), schema=SCHEMA),
            "learns from data, and a rule does not",
        ),
    ],
)
def test_rules_that_make_no_sense_are_refused_before_any_data(made, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError) as caught:
        made()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (in_range("distanse", 0), 'unknown column "distanse": did you mean "distance"'),
        (unique("carrier", "nothing"), 'unknown column "nothing"'),
        (foreign_key("carrier", "airlines"), 'references={"airlines": table}'),
        (rule(col("distance") * 2), "is a number where a bool is due"),
        (in_range("list", 0), "no rule takes: cast it"),
        (in_range("nothing", 0), 'unknown column "nothing"'),
        (rule(col("empty") == "a"), "all null and has no type of its own: declare it"),
    ],
)
def test_rules_that_do_not_fit_the_table_are_refused_by_name(made: Rule, message: str) -> None:
    table = pa.table(
        {
            "carrier": ["UA"],
            "distance": [1.0],
            "list": pa.array([{"a": 1}]),
            "empty": pa.array([None], pa.null()),
        }
    )
    named = Rule(made.check, name="mine")
    with pytest.raises(InputError, match=r'^rule "mine": ') as caught:
        Rules(named).validate(table)
    assert message in str(caught.value)


def test_what_is_no_table() -> None:
    with pytest.raises(InputError, match="PyCapsule"):
        Rules(in_range("x", 0)).validate([1, 2])  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [0, 3])
def test_empty_tables_and_columns_of_nothing(rows: int) -> None:
    table = pa.table({"x": pa.array([None] * rows, pa.float64()), "s": pa.nulls(rows, pa.string())})
    report = Rules(
        in_range("x", 0, name="range"),
        not_null("s", name="there"),
        unique("s", name="unique"),
        aggregate("mean", "x", low=0, name="mean"),
    ).validate(table)
    assert report["range"].status == "passed"
    assert report["there"].failures == rows
    assert report["unique"].failures == max(0, rows - 1)
    assert report["mean"].status == "failed"
    assert report["mean"].value is None
    assert "no values" in report["mean"].message


def test_a_column_without_a_type_takes_the_schemas() -> None:
    schema = Schema([Field("s", "string", nullable=True)])
    rules = Rules(rule(col("s") == "a"), schema=schema)
    assert rules.validate(pa.table({"s": pa.nulls(3)})).passed


def test_rules_for_serving_are_those_that_a_row_can_break() -> None:
    rules = Rules(
        in_range("distance", 0, name="far"),
        in_range("label", 0, name="label"),
        unique("distance"),
        schema=SCHEMA,
    )
    served = rules.for_serving(SCHEMA.select(["distance"]))
    assert served.names == ["far"]
    assert served.schema is None


def test_a_diff_of_rules_names_what_changed() -> None:
    before = Rules(in_range("x", 0, 9, name="range"), not_null("y", name="y"), schema=SCHEMA)
    after = Rules(
        in_range("x", 0, 10, name="range", allow=0.5),
        unique("z", name="z"),
        schema=SCHEMA.drop(["flight"]),
    )
    signs = [(change.sign, change.name) for change in before.diff(after)]
    assert signs == [("~", "schema flight"), ("~", "range"), ("+", "z"), ("-", "y")]
    assert not before.diff(before)


def test_schemas_that_evolve() -> None:
    wider = Schema([*SCHEMA.fields, Field("origin", "string", nullable=False)])
    assert compare_schemas(SCHEMA, wider).compatibility == "forward"
    assert compare_schemas(wider, SCHEMA).compatibility == "backward"
    assert not compare_schemas(SCHEMA, SCHEMA)
    assert compare_schemas(SCHEMA, SCHEMA).compatibility == "full"
    both = compare_schemas(wider, Schema([Field("distance", "string", nullable=True)]))
    assert both.compatibility == "none"
    assert json.dumps([str(change) for change in both.changes])
