"""Records river's decisions on river's own examples, for `rust/drift/tests/detectors.rs`.

Run in the environment of this folder: `python decisions.py > tests/golden/drift/decisions.json`. CUSUM is not in the
released river; its stream and its two changes are those of the docstring in river's main branch.
"""

import json
import random

import numpy as np
import river
from river import drift

SEEDS = 200


def examples():
    """Streams of river's docstrings and tests, and normal ones whose mean and spread change."""
    rng = random.Random(12345)
    yield "steps", rng.choices([0, 1], k=1000) + rng.choices(range(4, 8), k=1000)
    rng = random.Random(42)
    errors = rng.choices([0, 1], k=1000) + rng.choices([0, 1], k=1000, weights=[0.3, 0.7])
    yield "errors", errors
    np.random.seed(12345)  # noqa: NPY002
    tests = np.concatenate((np.random.randint(2, size=1000), np.random.randint(8, size=1000)))  # noqa: NPY002
    yield "test_1", tests.tolist()
    np.random.seed(12345)  # noqa: NPY002
    rates = [0.2] * 1000 + [0.8] * 1000
    yield "test_2", [int(np.random.binomial(1, rate)) for rate in rates]  # noqa: NPY002
    np.random.seed(12345)  # noqa: NPY002
    parts = [np.random.normal(mean, 0.1, 500) > 0 for mean in (0.0, 0.25, 0.0, 0.25)]  # noqa: NPY002
    yield "test_3", np.concatenate(parts).astype(int).tolist()
    rng = np.random.default_rng(7)
    means = np.repeat([0.0, 0.6, -0.4, 3.0, 3.0], 800)
    spreads = np.repeat([1.0, 1.0, 1.0, 1.0, 4.0], 800)
    yield "normal", np.round(rng.normal(means, spreads), 3).tolist()
    yield "shares", np.round(rng.beta(np.linspace(2, 6, 3000), 5), 3).tolist()
    rng = random.Random(12345)
    gauss = [rng.gauss(0, 1) for _ in range(200)] + [rng.gauss(3, 1) for _ in range(200)]
    yield "cusum", gauss


CASES = [
    ("adwin", drift.ADWIN, {}, {}, ["steps", "test_1", "test_2", "normal", "shares"]),
    (
        "adwin",
        drift.ADWIN,
        {"delta": 0.05, "clock": 1, "max_buckets": 3, "min_window": 10, "grace": 50},
        {
            "delta": 0.05,
            "clock": 1,
            "max_buckets": 3,
            "min_window_length": 10,
            "grace_period": 50,
        },
        ["steps", "test_3", "normal"],
    ),
    ("page_hinkley", drift.PageHinkley, {}, {}, ["steps", "test_1", "test_2", "normal"]),
    (
        "page_hinkley",
        drift.PageHinkley,
        {"threshold": 15.0, "delta": 0.1, "fading": 1.0, "direction": "up", "min_count": 10},
        {"threshold": 15.0, "delta": 0.1, "alpha": 1.0, "mode": "up", "min_instances": 10},
        ["steps", "normal"],
    ),
    ("ddm", drift.binary.DDM, {}, {}, ["errors", "test_2", "test_3", "shares"]),
    (
        "ddm",
        drift.binary.DDM,
        {"min_count": 100, "warning": 1.5, "drift": 2.5},
        {"warm_start": 100, "warning_threshold": 1.5, "drift_threshold": 2.5},
        ["errors", "test_3"],
    ),
    ("hddm_a", drift.binary.HDDMA, {}, {}, ["errors", "test_2", "shares"]),
    (
        "hddm_a",
        drift.binary.HDDMA,
        {"two_sided": True},
        {"two_sided_test": True},
        ["errors", "test_3", "shares"],
    ),
    ("hddm_w", drift.binary.HDDMW, {}, {}, ["errors", "test_2", "shares"]),
    (
        "hddm_w",
        drift.binary.HDDMW,
        {"two_sided": True, "weight": 0.02},
        {"two_sided_test": True, "lambda_val": 0.02},
        ["errors", "test_3", "shares"],
    ),
]


def decisions(detector, stream):
    """Positions of changes, and of the warnings without a change."""
    drifts, warnings = [], []
    for at, value in enumerate(stream):
        detector.update(value)
        if detector.drift_detected:
            drifts.append(at)
        elif getattr(detector, "warning_detected", False):
            warnings.append(at)
    return {"drifts": drifts, "warnings": warnings}


def main():
    """Writes the streams and what was decided."""
    streams = dict(examples())
    cases = [
        {"method": name, "parameters": ours, "stream": stream}
        | decisions(make(**theirs), streams[stream])
        for name, make, ours, theirs, chosen in CASES
        for stream in chosen
    ]
    first = []
    for seed in range(SEEDS):
        found = decisions(drift.KSWIN(alpha=0.0001, seed=seed), streams["test_1"])["drifts"]
        first.append(found[0] if found else len(streams["test_1"]))
    document = {"river": river.__version__, "streams": streams, "cases": cases, "kswin": first}
    print(json.dumps(document, separators=(",", ":")))


main()
