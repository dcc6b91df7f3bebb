"""A canary by fixed thresholds, as Argo Rollouts and Flagger do it.

The analysis of a rollout there takes a measurement an interval, compares it with a constant that somebody has
chosen, and aborts when more measurements have failed than `failureLimit`; each step lasts for a fixed pause. Numbers as
in the examples of their documentation: an interval of a minute, five minutes a step, a success rate of at
least 95 %, and a limit on the 99th percentile of the latency.
"""

from dataclasses import dataclass, field


@dataclass
class FixedThresholds:
    """One rollout.

    Attributes:
        weights: The candidate's share in percent, step by step.
        pause: Minutes that a step lasts.
        errors: The greatest share of errors of a minute.
        p99: The greatest 99th percentile of a minute, in seconds.
        failure_limit: Measurements that may fail, of each metric.
    """

    weights: tuple[float, ...] = (10.0, 50.0)
    pause: int = 5
    errors: float = 0.05
    p99: float = 0.04
    failure_limit: int = 3
    _minute: int = 0
    _failed: dict[str, int] = field(default_factory=lambda: {"errors": 0, "p99": 0})

    @property
    def weight(self):
        return self.weights[min(self._minute // self.pause, len(self.weights) - 1)]

    def decide(self, stable, candidate):
        del stable  # Nothing is compared with it.
        if candidate.requests and candidate.errors / candidate.requests > self.errors:
            self._failed["errors"] += 1
        if candidate.p99 is not None and candidate.p99 > self.p99:
            self._failed["p99"] += 1
        if any(count > self.failure_limit for count in self._failed.values()):
            return "abort"
        self._minute += 1
        if self._minute == self.pause * len(self.weights):
            return "promote"
        return "step" if self._minute % self.pause == 0 else None
