"""Each check passes on a bundle that is right and fails on one with a real defect."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.check.conftest import Make, forged, holdout, trained

from tidegate.check import CHECKS, CheckReport, Request, probe, run_checks
from tidegate.check.context import Context
from tidegate.check.result import Result
from tidegate.errors import InputError
from tidegate.monitoring.log import Log
from tidegate.registry import Bundle, Registry, Requirements
from tidegate.runtime import Runtime
from tidegate.validation import Rules, in_range


def one(name: str, candidate: Bundle, **request: Any) -> Result:
    """One check alone."""
    with Context(Request(candidate, **request)) as context:
        return dict(CHECKS)[name](context)


def labelled(**more: Any) -> Requirements:
    return Requirements(label="label", **more)


# ---- the whole


@pytest.fixture(scope="module")
def whole(make: Make, champion: Bundle, rows: pl.DataFrame) -> CheckReport:
    requirements = labelled(latency="10s", memory="2GB", limits={"perturbation": 0.2})
    return run_checks(Request(make(), champion=champion, holdout=rows, requirements=requirements))


def test_a_bundle_as_good_as_the_champion_passes(whole: CheckReport) -> None:
    assert {result.name: result.outcome for result in whole.results} == {
        "integrity": "pass",
        "signature": "skipped",
        "golden rows": "pass",
        "schema": "pass",
        "clients": "skipped",
        "export parity": "pass",
        "latency": "pass",
        "memory": "pass",
        "quality": "pass",
        "calibration": "pass",
        "stability": "pass",
        "perturbation": "pass",
        "bias": "skipped",
    }
    assert whole.outcome == "pass"
    assert bool(whole)
    assert whole.verdict == "tiny@1.1.0 against tiny@1.0.0 passes: 10 checks"


def test_every_skipped_check_says_what_is_missing(whole: CheckReport) -> None:
    said = {result.name: result.sentence for result in whole.results}
    assert "--key" in said["signature"]
    assert "--log" in said["clients"]
    assert "--groups" in said["bias"]


def test_a_broken_feature_fails(make: Make, champion: Bundle, rows: pl.DataFrame) -> None:
    request = Request(
        make("1.2.0", broken_feature=True),
        champion=champion,
        holdout=rows,
        requirements=labelled(),
    )
    report = run_checks(request)
    assert report.outcome == "fail"
    assert not report
    for name in ("quality", "calibration", "stability"):
        assert report[name].outcome == "fail", report[name].sentence
    assert "fails: quality, calibration, stability" in report.verdict


def test_a_bundle_alone_is_checked_alone(make: Make) -> None:
    report = run_checks(Request(make()))
    assert report.outcome == "pass"
    for name in ("schema", "quality", "stability"):
        assert report[name].outcome == "skipped"


# ---- integrity, signature, golden rows


def test_a_changed_byte(champion: Bundle, tmp_path: Path) -> None:
    shutil.copytree(champion.path, tmp_path / "b")
    model = tmp_path / "b" / "model.onnx"
    data = bytearray(model.read_bytes())
    data[100] ^= 1
    model.write_bytes(data)
    report = run_checks(Request(Bundle.open(tmp_path / "b")))
    assert report["integrity"].outcome == "fail"
    assert "model.onnx" in report["integrity"].sentence
    assert report["latency"].outcome == "skipped"
    assert report["latency"].sentence == "the bundle cannot be loaded"


def test_golden_rows_of_another_model(make: Make, champion: Bundle, tmp_path: Path) -> None:
    other = make(shuffled=True).read("model.onnx")
    report = run_checks(Request(forged(champion, tmp_path / "b", "model.onnx", other)))
    assert report["integrity"].outcome == "pass"
    assert report["golden rows"].outcome == "fail"
    assert report["quality"].outcome == "skipped"


def key_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """As people make them."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    made = ["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(private)]
    subprocess.run(made, check=True, capture_output=True)
    half = ["openssl", "pkey", "-in", str(private), "-pubout", "-out", str(public)]
    subprocess.run(half, check=True, capture_output=True)
    return private, public


def test_signatures(champion: Bundle, make: Make, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    digest = registry.publish(champion)
    other = registry.publish(make())
    private, public = key_pair(tmp_path, "mine")
    _, stranger = key_pair(tmp_path, "stranger")
    assert one("signature", champion).outcome == "skipped"
    unsigned = one("signature", champion, key=public)
    assert unsigned.outcome == "fail"
    assert "tidegate registry sign" in unsigned.sentence
    registry.sign("tiny@1.0.0", private)
    signatures = registry.signatures(digest)
    assert len(signatures) == 1
    assert one("signature", champion, key=public, signatures=signatures).outcome == "pass"
    assert one("signature", champion, key=private, signatures=signatures).outcome == "pass"
    assert one("signature", champion, signatures=signatures).outcome == "warn"
    wrong = one("signature", champion, key=stranger, signatures=signatures)
    assert wrong.outcome == "fail"
    assert "is signed by key" in wrong.sentence
    # Copied from another bundle of the same signer.
    registry.sign("tiny@1.1.0", private)
    copied = one("signature", champion, key=public, signatures=registry.signatures(other))
    assert copied.outcome == "fail"
    assert "made for another bundle" in copied.sentence
    with pytest.raises(InputError, match="no private key"):
        registry.sign("tiny", public)


# ---- schema and clients


@pytest.mark.parametrize(
    ("defect", "said"),
    [
        ({"extra": True}, "size: added, required"),
        ({"dtype": "int64"}, "x: type float64 -> int64"),
        ({"nullable": False}, "x: may no longer be missing"),
        ({"without_at": True}, "at: removed"),
        ({"texts": True}, "the classes were 0, 1 and are no, yes"),
        ({"regressor": True}, "the champion is a classifier and the candidate a regressor"),
    ],
)
def test_what_breaks_clients(
    make: Make, champion: Bundle, defect: dict[str, Any], said: str
) -> None:
    result = one("schema", make("2.0.0", **defect), champion=champion)
    assert result.outcome == "fail"
    assert said in result.sentence


def test_what_clients_do_not_notice_is_a_warning(make: Make, champion: Bundle) -> None:
    wider = one("schema", champion, champion=make("0.9.0", nullable=False))
    assert wider.outcome == "warn"
    assert "x: may be missing" in wider.sentence
    rules = Rules(in_range("x", -1, 1, name="x range"))
    guarded = one("schema", make("1.3.0", rules=rules), champion=champion)
    assert guarded.outcome == "warn"
    assert "x range" in guarded.sentence


@pytest.fixture(scope="module")
def log(champion: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What clients sent to the champion."""
    place = tmp_path_factory.mktemp("log")
    with Runtime(log=Log(location=str(place))) as runtime:
        runtime.deploy(champion)
        runtime.predict_many("tiny", holdout(300))
    return place


def test_what_clients_really_send(make: Make, champion: Bundle, log: Path) -> None:
    fine = one("clients", make(), champion=champion, log=log)
    assert fine.outcome == "pass", fine.sentence
    assert fine.figure("rows").value == 300
    strict = one("clients", make("2.0.0", nullable=False), champion=champion, log=log)
    assert strict.outcome == "fail"
    missing = holdout(300)["x"].null_count()
    assert f"{missing} of the last 300 logged rows would be refused, 0 by" in strict.sentence
    rules = Rules(in_range("x", -1, 1, name="x range"))
    guarded = one("clients", make("1.3.0", rules=rules), champion=champion, log=log)
    assert guarded.outcome == "fail"
    beyond = holdout(300).filter(pl.col("x").abs() > 1).height
    assert guarded.figure("refused").value == pytest.approx(beyond / 300)
    # Rules that the champion has, too, refuse nothing more.
    same = one("clients", make("1.3.1", rules=rules), champion=make("1.3.0", rules=rules), log=log)
    assert same.outcome == "pass"


def test_a_log_that_cannot_be_asked_again(make: Make, champion: Bundle, tmp_path: Path) -> None:
    empty = one("clients", make(), champion=champion, log=tmp_path)
    assert empty.outcome == "skipped"
    place = tmp_path / "redacted"
    with Runtime(log=Log(location=str(place), redact=("colour",))) as runtime:
        runtime.deploy(champion)
        runtime.predict_many("tiny", holdout(100))
    redacted = one("clients", make(), champion=champion, log=place)
    assert redacted.outcome == "skipped"
    assert "colour" in redacted.sentence


# ---- parity and budgets


def test_export_parity(make: Make, tmp_path: Path, rows: pl.DataFrame) -> None:
    kept = one("export parity", make())
    assert kept.outcome == "pass"
    assert (kept.figure("largest difference").value or 0) < 1e-5
    _, model = trained(tmp_path / "a", "1.0.0")
    again = one("export parity", make(), original=model, holdout=rows)
    assert again.outcome == "pass", again.sentence
    _, other = trained(tmp_path / "b", "1.0.0", shuffled=True)
    differs = one("export parity", make(), original=other, holdout=rows)
    assert differs.outcome == "fail"
    assert "differs from it by" in differs.sentence
    onnx = make().read("model.onnx")
    bare = Bundle.build("bare", "1.0.0", model=onnx, directory=tmp_path / "bare")
    assert one("export parity", bare).outcome == "skipped"


def test_budgets(make: Make) -> None:
    candidate = make()
    tight = Requirements(latency=1e-9, memory="1kB")
    with Context(Request(candidate, requirements=tight)) as context:
        slow, large = (dict(CHECKS)[name](context) for name in ("latency", "memory"))
    assert slow.outcome == "fail"
    assert "over the budget" in slow.sentence
    assert large.outcome == "fail"
    assert "over the budget of 0.001 MB" in large.sentence
    figure = slow.figure("latency p99")
    assert figure.low is not None
    assert figure.high is not None
    assert figure.value is not None
    assert figure.low <= figure.value <= figure.high


def test_a_bundle_may_bring_its_own_budgets(make: Make) -> None:
    strict = make("1.4.0", requirements=Requirements(memory=1_000))
    assert one("memory", strict).outcome == "fail"
    # What is said by hand goes before.
    assert one("memory", strict, requirements=Requirements(memory="1GB")).outcome == "pass"


def test_a_bundle_that_hangs(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "TIMEOUT_SECONDS", 0.01)
    result = one("latency", make())
    assert result.outcome == "fail"
    assert "did not load and answer within" in result.sentence


def test_a_bundle_that_ends_its_process(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "_CODE", "import os; os.abort()")
    result = one("memory", make())
    assert result.outcome == "fail"
    assert "ended with status -6" in result.sentence


# ---- quality, calibration, stability, perturbation


def test_a_worthless_model(make: Make, champion: Bundle, rows: pl.DataFrame) -> None:
    worthless = make("1.5.0", shuffled=True)
    result = one("quality", worthless, champion=champion, holdout=rows, requirements=labelled())
    assert result.outcome == "fail"
    for measure in ("accuracy", "auc", "log_loss", "brier"):
        assert measure in result.sentence
    figure = result.figure("auc difference")
    assert figure.high is not None
    assert figure.high < -0.1
    # The other way round it is better than what is there.
    better = one("quality", champion, champion=worthless, holdout=rows, requirements=labelled())
    assert better.outcome == "pass"


def test_few_rows_do_not_tell(make: Make, champion: Bundle) -> None:
    a_little_worse = make("1.6.0", coefficient_of_x=1.2)
    result = one(
        "quality",
        a_little_worse,
        champion=champion,
        holdout=holdout(120),
        requirements=labelled(),
    )
    assert result.outcome == "warn"
    assert "does not tell" in result.sentence
    few = one("quality", make(), champion=champion, holdout=holdout(99), requirements=labelled())
    assert few.outcome == "skipped"


def test_the_margin_decides(make: Make, champion: Bundle, rows: pl.DataFrame) -> None:
    request = {"champion": champion, "holdout": rows}
    surer = make("1.7.0", stretch=1.5)
    strict = one("quality", surer, requirements=labelled(margins={"log_loss": 0.001}), **request)
    assert strict.outcome == "fail"
    assert "log_loss" in strict.sentence
    lax = one(
        "quality", surer, requirements=labelled(margins={"log_loss": 1.0, "brier": 1.0}), **request
    )
    assert lax.outcome == "pass"


def test_regressors(make: Make, rows: pl.DataFrame) -> None:
    before, same = make("1.0.0", regressor=True), make("1.0.1", regressor=True)
    off = make("1.0.2", regressor=True, offset=0.3)
    table = rows.with_columns(pl.col("label").cast(pl.Float64))
    request = {"champion": before, "holdout": table, "requirements": labelled()}
    assert one("quality", same, **request).outcome == "pass"
    result = one("quality", off, **request)
    assert result.outcome == "fail"
    assert result.figure("rmse difference").value == pytest.approx(
        (result.figure("rmse").value or 0) - (result.figure("rmse of champion").value or 0)
    )
    assert one("calibration", off, **request).outcome == "skipped"
    assert one("stability", off, **request).outcome == "fail"


def test_too_sure_of_itself(make: Make, champion: Bundle, rows: pl.DataFrame) -> None:
    result = one(
        "calibration",
        make("1.8.0", stretch=4.0),
        champion=champion,
        holdout=rows,
        requirements=labelled(),
    )
    assert result.outcome == "fail"
    low = result.figure("calibration_error difference").low
    assert low is not None
    assert low > 0.01


def test_stability(make: Make, champion: Bundle, rows: pl.DataFrame) -> None:
    result = one("stability", make("1.5.0", shuffled=True), champion=champion, holdout=rows)
    assert result.outcome == "fail"
    assert "PSI of scores" in result.sentence
    assert "labels flip" in result.sentence
    lax = Requirements(limits={"psi": 100.0, "flips": 2.0})
    allowed = one(
        "stability",
        make("1.5.0", shuffled=True),
        champion=champion,
        holdout=rows,
        requirements=lax,
    )
    assert allowed.outcome == "pass"


def test_perturbation(make: Make, rows: pl.DataFrame) -> None:
    calm = one("perturbation", make(), holdout=rows)
    assert calm.outcome == "pass"
    far = rows.with_columns(pl.col("x") + 100)
    nervous = one("perturbation", make("1.9.0", shift=100.0), holdout=far)
    assert nervous.outcome == "warn"
    assert "more or less of x moves" in nervous.sentence
    # A column that always moved predictions as much is no news.
    as_before = one(
        "perturbation", make("1.9.0", shift=100.0), champion=make("1.8.9", shift=100.0), holdout=far
    )
    assert as_before.outcome == "pass"
    assert (as_before.figure("mean move by x of champion").value or 0) > 0.05
    whole_numbers = one("perturbation", make("2.0.0", dtype="int64", nullable=False))
    assert whole_numbers.outcome == "pass"
    assert whole_numbers.figure("largest move").value == 0.0


# ---- bias


def test_bias(make: Make, rows: pl.DataFrame) -> None:
    unfair = one("bias", make(), holdout=rows, requirements=labelled(groups=("colour",)))
    assert unfair.outcome == "fail"
    ratio = unfair.figure("four-fifths ratio by colour")
    assert ratio.high is not None
    assert ratio.high < 0.8
    # Of groups that mean nothing none is treated worse.
    random = np.random.default_rng(5).choice(["a", "b"], len(rows))
    fair = one(
        "bias",
        make(),
        holdout=rows.with_columns(team=pl.Series(random)),
        requirements=labelled(groups=("team",)),
    )
    assert fair.outcome == "pass", fair.sentence
    lax = labelled(groups=("colour",), limits={"parity": 1, "odds": 1, "four_fifths": 0})
    assert one("bias", make(), holdout=rows, requirements=lax).outcome == "pass"


def test_small_groups_are_named(make: Make, rows: pl.DataFrame) -> None:
    team = ["c"] * 10 + ["a", "b"] * 1_995
    result = one(
        "bias",
        make(),
        holdout=rows.with_columns(team=pl.Series(team)),
        requirements=labelled(groups=("team",)),
    )
    assert "team = c" in result.sentence


# ---- requests that are wrong


@pytest.mark.parametrize(
    ("requirements", "said"),
    [
        (Requirements(label="lable"), "no label column 'lable': it has x, colour"),
        (Requirements(groups=("age",)), "no group column 'age'"),
    ],
)
def test_a_column_that_the_holdout_lacks(
    make: Make, rows: pl.DataFrame, requirements: Requirements, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        run_checks(Request(make(), holdout=rows, requirements=requirements))


def test_labels_of_no_class(make: Make, champion: Bundle, rows: pl.DataFrame) -> None:
    table = rows.with_columns(label=pl.lit("late"))
    report = run_checks(Request(make(), champion=champion, holdout=table, requirements=labelled()))
    assert report["quality"].outcome == "fail"
    assert "label 'late' in column 'label' of the holdout is none of" in report["quality"].sentence
