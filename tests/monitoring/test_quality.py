"""Quality by labels equals scikit-learn's on the raw rows; estimates hold where scores are calibrated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from tidegate.demo.tiny import tiny_bundle, tiny_table
from tidegate.errors import InputError, NotFoundError
from tidegate.registry import Bundle
from tidegate.runtime import Options, Runtime

ROWS = 4_000


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture
def runtime(bundle: Bundle) -> Iterator[Runtime]:
    with Runtime() as runtime:
        runtime.deploy(bundle)
        yield runtime


def predicted(runtime: Runtime, rows: int = ROWS, seed: int = 5) -> tuple[Any, Any]:
    table = tiny_table(rows, seed=seed)
    answer = runtime.predict_many("tiny", table.drop("label"))
    return answer, table["label"].to_numpy().astype(np.int64)


def test_measures_equal_scikit_learns(runtime: Runtime) -> None:
    answer, labels = predicted(runtime)
    scores = answer.outputs["probabilities"][:, 1].astype(np.float64)
    guesses = answer.outputs["label"]
    # Out of order, in bulk, as a table.
    order = np.random.default_rng(1).permutation(ROWS)
    ids = np.array(answer.ids)
    table = pl.DataFrame({"prediction_id": ids[order], "label": labels[order]})
    received = runtime.feedback("tiny", table)
    assert received.labels["joined"] == ROWS
    assert sum(received.labels.values()) == ROWS
    version = runtime.quality("tiny").newest
    assert (version.total.predictions, version.total.labelled) == (ROWS, ROWS)
    due = {
        "accuracy": metrics.accuracy_score(labels, guesses),
        "precision": metrics.precision_score(labels, guesses),
        "recall": metrics.recall_score(labels, guesses),
        "f1": metrics.f1_score(labels, guesses),
        "log_loss": metrics.log_loss(labels, scores),
        "brier": metrics.brier_score_loss(labels, scores),
    }
    for name, value in due.items():
        assert version.measure(name).value == pytest.approx(value, rel=1e-9), name
    auc = version.measure("auc")
    assert auc.value is not None
    assert auc.error is not None
    assert abs(auc.value - metrics.roc_auc_score(labels, scores)) <= auc.error + 1e-12
    assert auc.error < 0.005
    assert version.confusion == tuple(map(tuple, metrics.confusion_matrix(labels, guesses)))
    rates, means = calibration_curve(labels, scores, n_bins=10)
    bins = [found for found in version.calibration if found.rows]
    assert [found.rate for found in bins] == pytest.approx(list(rates), rel=1e-9)
    assert [found.probability for found in bins] == pytest.approx(list(means), rel=1e-9)


def test_intervals_hold_the_figure(runtime: Runtime) -> None:
    answer, labels = predicted(runtime)
    runtime.feedback("tiny", pl.DataFrame({"prediction_id": answer.ids, "label": labels}))
    version = runtime.quality("tiny").newest
    for name in ("accuracy", "precision", "recall", "f1", "brier", "log_loss", "auc"):
        measure = version.measure(name)
        assert measure.interval is not None, name
        assert measure.value is not None, name
        low, high = measure.interval
        assert low <= measure.value <= high, name
        if name != "log_loss":
            assert high - low < 0.2, name


def test_estimates_hold_where_scores_are_calibrated(runtime: Runtime) -> None:
    answer, _ = predicted(runtime, 20_000)
    scores = answer.outputs["probabilities"][:, 1].astype(np.float64)
    before = runtime.quality("tiny").newest.total
    assert before.labelled == 0
    assert before.measure("accuracy").value is None
    # Labels drawn by the scores themselves: then the estimate is the expectation.
    labels = (np.random.default_rng(2).random(len(scores)) < scores).astype(np.int64)
    guesses = answer.outputs["label"]
    due = {
        "accuracy": metrics.accuracy_score(labels, guesses),
        "precision": metrics.precision_score(labels, guesses),
        "recall": metrics.recall_score(labels, guesses),
        "f1": metrics.f1_score(labels, guesses),
        "auc": metrics.roc_auc_score(labels, scores),
        "brier": metrics.brier_score_loss(labels, scores),
        "log_loss": metrics.log_loss(labels, scores),
    }
    assert before.estimates.keys() == due.keys()
    for name, value in due.items():
        estimate = before.estimates[name]
        assert estimate is not None
        assert abs(estimate - value) < 0.02, name
    assert before.estimated_with_labels == 0


def test_labels_correct_estimates_of_a_model_that_is_too_sure(runtime: Runtime) -> None:
    answer, _ = predicted(runtime, 6_000)
    coins = np.random.default_rng(3).integers(0, 2, 6_000)
    runtime.feedback("tiny", pl.DataFrame({"prediction_id": answer.ids, "label": coins}))
    before = runtime.quality("tiny").newest.total.estimates["accuracy"]
    assert before is not None
    assert before > 0.7
    predicted(runtime, 60_000, seed=6)
    total = runtime.quality("tiny").newest.total
    after = total.estimates["accuracy"]
    assert total.estimated_with_labels == 6_000
    assert after is not None
    # One part in eleven was estimated before; of the rest a coin is right half of the time.
    assert after == pytest.approx((6_000 * before + 60_000 * 0.5) / 66_000, abs=0.02)


def test_what_cannot_be_taken_is_counted_and_named(runtime: Runtime) -> None:
    answer, labels = predicted(runtime, 10)
    ids = answer.ids
    received = runtime.feedback(
        "tiny",
        [
            {"prediction_id": ids[0], "label": int(labels[0])},
            {"prediction_id": ids[0], "label": int(labels[0])},
            {"prediction_id": ids[0], "label": 1 - int(labels[0])},
            {"prediction_id": ids[1], "label": float("nan")},
            {"prediction_id": ids[1], "label": None},
            {"prediction_id": ids[1], "label": "late"},
            {"prediction_id": ids[1], "label": 7},
            {"prediction_id": "0" * 24 + "/0", "label": 1},
            {"prediction_id": f"{answer.id}/10", "label": 1},
            {"prediction_id": answer.id, "label": 1},
            {"prediction_id": "nonsense", "label": 1},
            {"prediction_id": ids[1], "label": 1, "metrics": {"revenue": 2.5, "cost": None}},
            {"prediction_id": ids[1], "metrics": {"revenue": 3.5, "": 1}},
        ],
    )
    assert {name: count for name, count in received.labels.items() if count} == {
        "joined": 2,
        "duplicate": 1,
        "conflicting": 1,
        "missing": 2,
        "mismatched": 2,
        "unknown": 3,
        "malformed": 1,
    }
    assert {name: count for name, count in received.metrics.items() if count} == {
        "joined": 1,
        "missing": 1,
        "duplicate": 1,
        "unnamed": 1,
    }
    assert len(received.problems) == 10
    assert received.problems[0]["entry"] == 1
    assert received.problems[0]["problem"] == "duplicate"
    report = runtime.quality("tiny")
    assert report.labels == received.labels
    assert report.newest.total.labelled == 2
    revenue = report.newest.total.metrics["revenue"]
    assert (revenue.count, revenue.mean) == (1, 2.5)
    assert 'tidegate_feedback_labels_total{model="tiny",outcome="unknown"} 3' in runtime.metrics()


def test_what_is_no_feedback_is_refused(runtime: Runtime) -> None:
    wrong: Any
    for wrong in ([], [{}], [{"prediction_id": 3}], {"a": 1}, [{"prediction_id": object()}]):
        with pytest.raises(InputError):
            runtime.feedback("tiny", wrong)
    with pytest.raises(InputError, match="prediction_id"):
        runtime.feedback("tiny", pl.DataFrame({"id": ["a"], "label": [1]}))
    with pytest.raises(NotFoundError):
        runtime.feedback("nobody", [{"prediction_id": "0" * 24, "label": 1}])


def test_predictions_survive_a_restart(bundle: Bundle, tmp_path: Path) -> None:
    options = Options(feedback_folder=str(tmp_path / "awaiting"))
    with Runtime(options=options) as first:
        first.deploy(bundle)
        answer, labels = predicted(first, 2_000)
        half = pl.DataFrame({"prediction_id": answer.ids, "label": labels})
        first.feedback("tiny", half[:1_000])
        before = first.quality("tiny")
        with pytest.raises(Exception, match="folder of its own"):
            Runtime(options=options)
    with Runtime(options=options) as second:
        second.deploy(bundle)
        assert second.quality("tiny").newest == before.newest
        received = second.feedback("tiny", half)
        assert received.labels["joined"] == 1_000
        assert received.labels["duplicate"] == 1_000
        after = second.quality("tiny").newest
    with Runtime() as whole:
        whole.deploy(bundle)
        answer, labels = predicted(whole, 2_000)
        whole.feedback("tiny", pl.DataFrame({"prediction_id": answer.ids, "label": labels}))
        due = whole.quality("tiny").newest
    assert after.total.labelled == 2_000
    for name, measure in due.total.measures.items():
        found = after.measure(name).value
        assert found == pytest.approx(measure.value, rel=1e-12), name


def test_the_store_is_bounded_and_what_left_is_unknown(bundle: Bundle) -> None:
    with Runtime(options=Options(feedback_bytes=200_000)) as runtime:
        runtime.deploy(bundle)
        first, labels = predicted(runtime, 3_000)
        predicted(runtime, 3_000)
        report = runtime.quality("tiny")
        assert report.awaiting["bytes"] <= 200_000
        assert report.awaiting["evicted"] >= 3_000
        received = runtime.feedback(
            "tiny", pl.DataFrame({"prediction_id": first.ids, "label": labels})
        )
        assert received.labels["unknown"] == 3_000
    with Runtime(options=Options(feedback_bytes=0)) as off:
        off.deploy(bundle)
        with pytest.raises(NotFoundError, match="feedback is off"):
            off.quality("tiny")


def test_quality_is_told_apart_by_segment(bundle: Bundle) -> None:
    with Runtime() as runtime:
        runtime.deploy(bundle, segment="colour")
        table = tiny_table(3_000, seed=9)
        answer = runtime.predict_many("tiny", table.drop("label"))
        labels = table["label"].to_numpy().astype(np.int64)
        runtime.feedback("tiny", pl.DataFrame({"prediction_id": answer.ids, "label": labels}))
        segments = runtime.quality("tiny").newest.segments
        colours = table["colour"].fill_null("(missing)")
        assert set(segments) == set(colours)
        for name, figures in segments.items():
            own = (colours == name).to_numpy()
            assert figures.predictions == figures.labelled == own.sum()
            due = metrics.accuracy_score(labels[own], answer.outputs["label"][own])
            assert figures.measure("accuracy").value == pytest.approx(due, rel=1e-12)
        for column in ("x", "nothing"):
            with pytest.raises(InputError, match=column):
                runtime.deploy(bundle, segment=column)
