"""Each kind of rule on a history that is known exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tidegate.monitoring.alerts import Rule, rules_of
from tidegate.monitoring.alerts.conditions.anomaly import rank
from tidegate.monitoring.alerts.history import FINE_SECONDS, MOST_SERIES, History, kept
from tidegate.monitoring.alerts.signals import SIGNALS, quantile
from tidegate.monitoring.exposition import Sample, labels_of, parse

EDGES = [(1 << power) / 1e6 for power in range(24)]


def rule(**values: Any) -> Rule:
    [found] = rules_of([{"name": "r", **values}])
    return found


class Server:
    """Counters of a model as its page of metrics has them."""

    def __init__(self) -> None:
        self.outcomes: dict[str, float] = {"ok": 0.0}
        self.latencies: list[float] = []
        self.gauges: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

    def ask(self, count: int, seconds: float = 0.001, outcome: str = "ok") -> None:
        self.outcomes[outcome] = self.outcomes.get(outcome, 0.0) + count
        if outcome == "ok":
            self.latencies += [seconds] * count

    def samples(self) -> list[Sample]:
        own = {"model": "m", "version": "1.0.0"}
        found = [
            Sample("tidegate_requests_total", labels_of(**own, outcome=name), value)
            for name, value in self.outcomes.items()
        ]
        name = "tidegate_stage_seconds"
        stage = {**own, "stage": "total"}
        times = np.array(self.latencies)
        for edge in EDGES:
            labels = labels_of(**stage, le=f"{edge:.6f}")
            found.append(Sample(f"{name}_bucket", labels, float((times <= edge).sum())))
        found.append(Sample(f"{name}_bucket", labels_of(**stage, le="+Inf"), float(len(times))))
        found.append(Sample(f"{name}_sum", labels_of(**stage), float(times.sum())))
        found.append(Sample(f"{name}_count", labels_of(**stage), float(len(times))))
        for (metric, labels), value in self.gauges.items():
            found.append(Sample(metric, tuple(sorted({**own, **dict(labels)}.items())), value))
        return found


def verdicts(found: Rule, history: History, now: float) -> Mapping[str, bool | None]:
    return {
        ",".join(value for _, value in finding.labels): finding.active
        for finding in found.condition.findings(history, now)
    }


def test_rates_need_two_looks_and_survive_a_restart() -> None:
    history, found = (
        History(600.0),
        rule(kind="threshold", signal="requests_per_second", above=1, over="1m"),
    )
    server = Server()
    history.take(0.0, server.samples())
    assert verdicts(found, history, 0.0) == {}
    server.ask(120)
    history.take(60.0, server.samples())
    assert verdicts(found, history, 60.0) == {"m,1.0.0": True}
    # The process began anew: counters fell to 30, all of which is growth.
    server = Server()
    server.ask(30)
    history.take(120.0, server.samples())
    value = SIGNALS["requests_per_second"].read(history, 120.0, 60.0)
    assert list(value.values()) == [0.5]


def test_an_outcome_that_appears_was_nothing_before() -> None:
    history, server = History(600.0), Server()
    server.ask(10)
    history.take(0.0, server.samples())
    server.ask(6)
    server.ask(2, outcome="backend")
    server.ask(2, outcome="invalid_input")
    history.take(60.0, server.samples())
    assert list(SIGNALS["error_ratio"].read(history, 60.0, 60.0).values()) == [0.2]
    assert list(SIGNALS["invalid_ratio"].read(history, 60.0, 60.0).values()) == [0.2]


def test_latency_is_within_its_bucket() -> None:
    history, server = History(600.0), Server()
    history.take(0.0, server.samples())
    server.ask(99, 0.001)
    server.ask(1, 0.1)
    history.take(60.0, server.samples())
    (p50,) = SIGNALS["latency_p50"].read(history, 60.0, 60.0).values()
    assert 0.000512 <= p50 <= 0.001024
    (mean,) = SIGNALS["stage_mean"].read(history, 60.0, 60.0).values()
    assert mean == pytest.approx((99 * 0.001 + 0.1) / 100)
    assert quantile({}, 0.5) is None
    assert quantile({1.0: 0.0, float("inf"): 10.0}, 0.5) == 1.0


def test_drift_is_watched_by_column() -> None:
    history, server = History(600.0), Server()
    for column, psi in (("distance", 0.3), ("dest", 0.01)):
        server.gauges["tidegate_drift_psi", (("column", column), ("role", "feature"))] = psi
    history.take(0.0, server.samples())
    found = rule(kind="threshold", signal="drift_psi", above=0.25, column="d*")
    assert verdicts(found, history, 0.0) == {
        "distance,m,feature,1.0.0": True,
        "dest,m,feature,1.0.0": False,
    }
    other = rule(kind="threshold", signal="drift_psi", above=0.25, column="dist*", model="n")
    assert verdicts(other, history, 0.0) == {}


def test_an_anomaly_is_far_from_its_own_median() -> None:
    rng = np.random.default_rng(3)
    history, server = History(600.0), Server()
    found = rule(kind="anomaly", signal="queue_rows", past="2h", least=30, deviations=6)
    said: list[bool | None] = []
    for minute, value in enumerate(rng.normal(100, 5, 200)):
        server.gauges["tidegate_queue_rows", ()] = value
        history.take(60.0 * minute, server.samples())
        said += verdicts(found, history, 60.0 * minute).values()
    assert said[:30] == [None] * 30
    assert set(said[30:]) == {False}
    server.gauges["tidegate_queue_rows", ()] = 160.0
    history.take(12_000.0, server.samples())
    assert list(verdicts(found, history, 12_000.0).values()) == [True]


def test_an_anomaly_of_a_steady_stream_lets_it_stir() -> None:
    history, server = History(600.0), Server()
    found = rule(kind="anomaly", signal="queue_rows", least=5, side="above")
    for minute, (value, expected) in enumerate(
        [*[(100.0, None)] * 5, (104.0, False), (106.0, True), (10.0, False)]
    ):
        server.gauges["tidegate_queue_rows", ()] = value
        history.take(60.0 * minute, server.samples())
        assert list(verdicts(found, history, 60.0 * minute).values()) == [expected], minute


def test_ranks_are_numpys() -> None:
    values = sorted(np.random.default_rng(1).normal(size=37).tolist())
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        assert rank(values, share) == pytest.approx(np.quantile(values, share))


def burning(slow: int, minutes: int) -> Mapping[str, bool | None]:
    found = rule(kind="burn_rate", objective="20ms", target=0.99)
    history, server = History(6 * 3_600.0), Server()
    for minute in range(400):
        server.ask(100)
        if minute >= 400 - minutes:
            server.ask(slow, 0.5)
        history.take(60.0 * minute, server.samples())
    return verdicts(found, history, 60.0 * 399)


def test_a_budget_that_burns_fast_or_slowly() -> None:
    assert burning(0, 0) == {"m,1.0.0": False}
    # Half of the requests for half an hour: 14 times too fast within the hour.
    assert burning(100, 40) == {"m,1.0.0": True}
    # 8 in 100 for four hours: 6 times too fast within six hours, and nothing in one.
    assert burning(12, 300) == {"m,1.0.0": True}
    # The same for an hour only does not use up much.
    assert burning(8, 60) == {"m,1.0.0": False}


def test_a_burn_rate_says_nothing_at_first_and_of_an_idle_model() -> None:
    found = rule(kind="burn_rate", objective="20ms")
    history, server = History(6 * 3_600.0), Server()
    server.ask(1, 0.5)
    for minute in range(10):
        server.ask(100, 0.5)
        history.take(60.0 * minute, server.samples())
    assert verdicts(found, history, 540.0) == {"m,1.0.0": None}
    history, idle = History(6 * 3_600.0), Server()
    for minute in range(300):
        history.take(60.0 * minute, idle.samples())
    assert verdicts(found, history, 60.0 * 299) == {}


def test_failures_of_the_server_burn_too() -> None:
    found = rule(kind="burn_rate", objective="20ms")
    history, server = History(6 * 3_600.0), Server()
    for minute in range(60):
        server.ask(100)
        server.ask(50, outcome="backend")
        server.ask(50, outcome="invalid_input")
        history.take(60.0 * minute, server.samples())
    assert verdicts(found, history, 60.0 * 59) == {"m,1.0.0": True}


def test_no_traffic_counts_all_versions_and_needs_the_whole_time() -> None:
    found = rule(kind="no_traffic", over="10m")
    history, server = History(3_600.0), Server()
    server.ask(5)
    for minute in range(9):
        history.take(60.0 * minute, server.samples())
    assert verdicts(found, history, 480.0) == {"m": None}
    history.take(600.0, server.samples())
    assert verdicts(found, history, 600.0) == {"m": True}
    server.ask(1)
    history.take(660.0, server.samples())
    assert verdicts(found, history, 660.0) == {"m": False}


def test_history_is_bounded_in_time_and_series() -> None:
    history = History(3_600.0)
    name, labels = "tidegate_queue_rows", labels_of(model="m")
    for second in range(0, 20_000, 5):
        history.take(float(second), [Sample(name, labels, float(second))])
    points = history.points(name, labels)
    assert len(points) <= FINE_SECONDS / 5 + 3_600 / 60 + 5
    assert points[0][0] >= 20_000 - 3_600 - 120
    assert [time for time, _ in points] == sorted(time for time, _ in points)
    many = (Sample(name, labels_of(model=str(i)), 1.0) for i in range(MOST_SERIES + 10))
    history.take(30_000.0, many)
    assert history.left_out == 11
    history.take(40_000.0, [Sample(name, labels, 1.0)])
    assert len(list(history.series(name))) == 1


def test_the_page_of_metrics_is_read_as_it_is_written() -> None:
    text = '# HELP x y\nx_total{model="a\\"b\\\\c\\nd",le="+Inf"} 3\ny 1e-3 1700000000\nz NaN\n'
    first, second, third = parse(text)
    assert first.labels == (("le", "+Inf"), ("model", 'a"b\\c\nd'))
    assert (second.value, second.labels) == (0.001, ())
    assert third.value != third.value
    assert not kept(Sample("tidegate_stage_seconds_bucket", (("stage", "decode"),), 1.0))


def test_an_alarm_of_a_column_is_an_alert() -> None:
    history, server, found = History(600.0), Server(), rule(kind="drift", role="feature")
    for column, role, raised in (
        ("x", "feature", 1.0),
        ("y", "feature", 0.0),
        ("p", "prediction", 1.0),
    ):
        server.gauges["tidegate_drift_alarm", (("column", column), ("role", role))] = raised
    history.take(0.0, server.samples())
    assert verdicts(found, history, 0.0) == {"x,m,feature,1.0.0": True, "y,m,feature,1.0.0": False}


def quality(server: Server, name: str, value: float, labelled: float = 1e3) -> None:
    server.gauges["tidegate_quality", (("measure", name),)] = value
    server.gauges["tidegate_quality_labelled_total", ()] = labelled


@pytest.mark.parametrize(
    ("values", "figures", "expected"),
    [
        ({"measure": "accuracy", "below": 0.8}, [0.9, 0.79], True),
        ({"measure": "accuracy", "below": 0.8}, [0.9, 0.81], False),
        ({"measure": "rmse", "above": 2.0}, [1.0, 2.5], True),
        ({"measure": "auc", "drop": 0.05}, [0.8, 0.9, 0.86], False),
        ({"measure": "auc", "drop": 0.05}, [0.8, 0.9, 0.84], True),
        ({"measure": "log_loss", "drop": 0.1}, [0.5, 0.4, 0.51], True),
        # The best is longer ago than the past that counts.
        ({"measure": "auc", "drop": 0.05, "past": "5m"}, [0.9, 0.8, 0.8], False),
    ],
)
def test_quality_that_drops(values: dict[str, Any], figures: list[float], expected: bool) -> None:
    found, server, history = rule(kind="quality", **values), Server(), History(90_000.0)
    name = values["measure"]
    for number, figure in enumerate(figures):
        quality(server, name, figure)
        history.take(240.0 * number, server.samples())
    now = 240.0 * (len(figures) - 1)
    assert verdicts(found, history, now) == {f"{name},m,1.0.0": expected}
    quality(server, name, figures[-1], labelled=5)
    history.take(now + 1, server.samples())
    assert verdicts(found, history, now + 1) == {f"{name},m,1.0.0": None}
