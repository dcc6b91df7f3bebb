"""The rules of a bundle before its model, from Python and over HTTP."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tidegate import Rules, col
from tidegate.demo.tiny import tiny_table
from tidegate.errors import InputError, NotFoundError
from tidegate.features import FeatureSet, Schema
from tidegate.registry import Bundle
from tidegate.registry.build import BuildOptions
from tidegate.runtime import Options, Runtime
from tidegate.server import Server, Settings
from tidegate.validation import in_range, one_of, unique

RULES = Rules(
    in_range("x", -2, 2, name="x", repair={"x": col("x").clip(-2, 2)}),
    one_of("colour", ["red", "green", "blue"], name="colour", severity="warning"),
    unique("x", name="whole tables are left aside"),
)
ROW = {"x": 1.0, "colour": "red"}


def build(rules: Rules, folder: Path) -> Bundle:
    from sklearn.linear_model import LogisticRegression

    table = tiny_table()
    schema = Schema.infer(table.select("x", "colour"), nullable=True)
    features = FeatureSet(schema=schema, features=[col("x").fill_null(0), col("colour").one_hot()])
    matrix = features.fit_transform(table)
    model = LogisticRegression().fit(matrix, table["label"].to_numpy().astype(int))
    return Bundle.build(
        "guarded",
        "1.0.0",
        model=model,
        features=features,
        sample=table,
        options=BuildOptions(rules=rules),
        directory=folder,
    )


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return build(RULES, tmp_path_factory.mktemp("guarded") / "bundle")


def test_a_request_is_refused_repaired_or_counted(bundle: Bundle) -> None:
    far = {**ROW, "x": 2.5}
    with Runtime() as runtime:
        runtime.deploy(bundle)
        near = runtime.predict("guarded", {**ROW, "x": 2.0}).probabilities
        with pytest.raises(InputError, match='row 0 breaks rule "x"'):
            runtime.predict("guarded", far)
        runtime.deploy(bundle, guard="repair")
        assert runtime.predict("guarded", far).probabilities == near
        # What is said of a name stays with it.
        runtime.deploy(bundle)
        assert runtime.predict("guarded", far).probabilities == near
        runtime.deploy(bundle, guard="count")
        assert runtime.predict("guarded", far).probabilities != near
        runtime.predict("guarded", {**ROW, "colour": "mauve"})
        metrics = runtime.metrics()
    for rule in ("x", "colour"):
        line = f'tidegate_rule_failures_total{{model="guarded",version="1.0.0",rule="{rule}"}} 1'
        assert line in metrics
    assert "whole tables" not in metrics


def test_a_policy_for_all_models(bundle: Bundle, tmp_path: Path) -> None:
    from tidegate.demo.tiny import tiny_bundle

    with Runtime(options=Options(guard="count")) as runtime:
        runtime.deploy(bundle)
        runtime.predict("guarded", {**ROW, "x": 50.0})
        bare = tiny_bundle(tmp_path / "bare")
        runtime.deploy(bare)
        with pytest.raises(NotFoundError, match="build it with rules"):
            runtime.deploy(bare, guard="reject")
        with pytest.raises(InputError, match="use reject, repair or count"):
            runtime.deploy(bundle, guard="pray")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="use reject, repair or count"):
        Runtime(options=Options(guard="pray"))


def test_over_http_a_broken_rule_is_the_callers_error(bundle: Bundle) -> None:
    with Runtime() as runtime:
        runtime.deploy(bundle)
        with Server(runtime, Settings(port=0)) as server:
            body = json.dumps({"instances": [ROW, {**ROW, "x": 99}]}).encode()
            request = urllib.request.Request(
                f"{server.url}/v1/models/guarded:predict",
                body,
                {"content-type": "application/json"},
            )
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request, timeout=30)
            assert caught.value.code == 400
            assert 'row 1 breaks rule \\"x\\"' in caught.value.read().decode()
            with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as answer:
                page = answer.read().decode()
            assert 'action="rejected"} 1' in page


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (Rules(in_range("label", 0, 1, name="r")), 'rule "r".*unknown column "label"'),
        (Rules(in_range("x", 0, name="r", repair={"x": "near"})), "where a number is due"),
        (Rules(in_range("x", 0, name="r", repair={"y": 1})), 'unknown column "y"'),
    ],
)
def test_rules_that_do_not_fit_stop_the_build(rules: Rules, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        build(rules, tmp_path / "bundle")


def test_rules_need_columns() -> None:
    with pytest.raises(InputError, match="takes tensors"):
        Bundle.build("bare", "1.0.0", model=b"", options=BuildOptions(rules=RULES))
