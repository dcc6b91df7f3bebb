"""Rules as people write them: what is wrong is one sentence that says the mend."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.configuration import Setting
from tidegate.errors import ConfigurationError, InputError
from tidegate.monitoring.alerts import Alerts, rules_of
from tidegate.monitoring.alerts.channels import KINDS as CHANNELS
from tidegate.monitoring.alerts.clock import Clock
from tidegate.monitoring.alerts.conditions import KINDS
from tidegate.monitoring.alerts.signals import SIGNALS
from tidegate.monitoring.alerts.silence import LONGEST_SECONDS, silence_of
from tidegate.server.configuration import configured

THRESHOLD: dict[str, Any] = {
    "name": "r",
    "kind": "threshold",
    "signal": "error_ratio",
    "above": 0.1,
}
STEP = {"owner": "me", "channels": ["ops"]}

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"abov": 1}, "there is no key 'abov': did you mean 'above'?"),
    ({"signal": "latency_p98"}, "there is no signal 'latency_p98': did you mean latency_p99?"),
    ({"kind": "treshold"}, "did you mean 'threshold'?"),
    ({"kind": None}, "kind is missing"),
    ({"name": ""}, "name is missing"),
    ({"above": 1.0}, "above 1 can never be reached, as error_ratio is at most 1: lower it"),
    ({"above": None, "below": 0}, "below 0 can never be reached, as error_ratio is at least 0"),
    ({"below": 0.1}, "give it either above or below"),
    ({"above": "high"}, "above is 'high': give it a number"),
    ({"above": float("nan")}, "above is nan: give it a finite number"),
    ({"for": "soon"}, "for is 'soon': give it a time such as 30s, 5m or 6h"),
    ({"for": -1}, "for is -1: give it a time from 0"),
    ({"for": True}, "for is True: give it a time"),
    ({"severity": "bad"}, "choose from critical, warning, info"),
    ({"labels": {"model": "x"}}, "labels has 'model'"),
    ({"labels": {"a": 1}}, "give it a table of texts"),
    ({"channels": ["op"]}, "there is no channel 'op': did you mean 'ops'?"),
    ({"channels": ["ops"], "escalation": [STEP]}, "either channels or escalation"),
    ({"escalation": [{**STEP, "after": "5m"}]}, "the first step of escalation must come at once"),
    ({"escalation": [STEP, {**STEP, "after": 0}]}, "not later than the step before it"),
    ({"escalation": [{"owner": "me"}]}, "escalation step 1: channels is missing"),
    ({"group_by": ["colour"]}, "group_by has 'colour'"),
    ({"repeat": "1s"}, "repeat is '1s': give it a time from 60"),
    ({"kind": "anomaly", "above": None, "least": 100, "past": "1h"}, "least 100 can never be"),
    ({"kind": "anomaly", "above": None, "side": "left"}, "choose from both, above, below"),
    (
        {"kind": "burn_rate", "signal": None, "above": None, "objective": "20ms", "target": 0.9},
        "fast_burn 14.4 can never be reached, as a target of 0.9 burns at 10 at most",
    ),
    ({"kind": "quality", "signal": None, "measure": "acuracy"}, "did you mean 'accuracy'?"),
    ({"kind": "quality", "signal": None, "measure": "auc"}, "give below instead of above"),
    (
        {"kind": "quality", "signal": None, "measure": "brier", "above": 1},
        "above 1 can never be reached, as brier is from 0 to 1",
    ),
    (
        {"kind": "quality", "signal": None, "above": None, "measure": "auc", "drop": 0},
        "drop 0 can never be reached",
    ),
    ({"kind": "quality", "signal": None, "above": None, "measure": "auc"}, "either below or drop"),
    ({"kind": "burn_rate", "signal": None, "above": None}, "objective is 0 s"),
    (
        {
            "kind": "burn_rate",
            "signal": None,
            "above": None,
            "objective": "20ms",
            "fast_window": "6h",
        },
        "fast_window must be shorter",
    ),
]


@pytest.mark.parametrize(("values", "said"), WRONG)
def test_a_wrong_rule_is_one_sentence(values: dict[str, Any], said: str) -> None:
    merged = {**THRESHOLD, **values}
    merged = {key: value for key, value in merged.items() if value is not None}
    with pytest.raises(ConfigurationError) as error:
        rules_of([merged], ("ops",))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@given(
    st.dictionaries(
        st.sampled_from([*THRESHOLD, "for", "labels", "channels", "escalation", "x", "model"]),
        st.none()
        | st.booleans()
        | st.floats()
        | st.integers()
        | st.text(max_size=5)
        | st.lists(st.text(max_size=3) | st.dictionaries(st.text(max_size=3), st.integers()))
        | st.sampled_from(list(THRESHOLD.values())),
    )
)
def test_whatever_is_written_is_read_or_refused(values: dict[str, Any]) -> None:
    # Any other error fails the test.
    with suppress(ConfigurationError):
        rules_of([values], ("ops",))


def test_two_rules_have_two_names() -> None:
    with pytest.raises(ConfigurationError, match="two rules are named 'r': rename one"):
        rules_of([THRESHOLD, THRESHOLD])


FILE = """
[alerts]
every = 5
storage = "alerts"
notify = ["ops"]
group_wait = "10s"

[alerts.channels.ops]
kind = "slack"
url = "https://hooks.example.com/SECRET"

[[alerts.rules]]
name = "slow"
kind = "burn_rate"
objective = "20ms"
model = "flight-*"
escalation = [
  { after = 0, owner = "on call", channels = ["ops"] },
  { after = "15m", owner = "lead", channels = ["ops"] },
]

[[alerts.rules]]
name = "idle"
kind = "no_traffic"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tidegate.toml"
    path.write_text(FILE)
    return path


def test_the_file_holds_rules_and_channels(file: Path) -> None:
    section = configured(file, environment={}).section(Alerts)
    slow, idle = section.built()
    assert [step.owner for step in slow.policy.steps] == ["on call", "lead"]
    assert idle.policy.steps[0].channels == ("ops",)
    assert idle.policy.group_wait == 10.0
    assert section.every == 5.0
    assert "SECRET" not in repr(section)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("every = 0", "every is 0: give seconds from 1 to 3600"),
        ('link = "example"', "give an address such as"),
        ("rules = 3", "rules is 3: give it a list of tables"),
        ('notify = ["pager"]', "[alerts]: there is no channel 'pager'"),
        ('evry = 3', "alerts.evry: there is no such setting: did you mean alerts.every?"),
        ('group_wait = "long"', "[alerts]: group_wait is 'long'"),
    ],
)  # fmt: skip
def test_a_wrong_section_is_one_sentence(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "tidegate.toml"
    path.write_text(f"[alerts]\n{line}\n")
    with pytest.raises(ConfigurationError) as error:
        configured(path, environment={})
    assert said in str(error.value)


def test_tables_cannot_be_flags(file: Path) -> None:
    for name in ("alerts.rules", "alerts.channels"):
        with pytest.raises(ConfigurationError, match="give it a"):
            configured(file, environment={}, flags=[Setting(name, "x", "--set")])


def test_a_rule_that_is_shorter_than_a_look_is_refused() -> None:
    values = {"name": "idle", "kind": "no_traffic", "for": "5s"}
    with pytest.raises(ConfigurationError, match="for 5s is shorter than every"):
        Alerts(rules=(values,))


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"matchers": {"rule": "r"}}, "a silence needs an end"),
        ({"seconds": 5}, "a silence needs matchers"),
        ({"matchers": {}, "seconds": 5}, "a silence needs matchers"),
        ({"matchers": {"color": "x"}, "seconds": 5}, "cannot match 'color'"),
        ({"matchers": {"rule": "r"}, "seconds": 0}, "give it an end within the next 30 days"),
        ({"matchers": {"rule": "r"}, "until": 99}, "give it an end within"),
        ({"matchers": {"rule": "r"}, "seconds": LONGEST_SECONDS + 1}, "within the next 30 days"),
        ({"matchers": {"rule": "r"}, "seconds": float("inf")}, "within the next 30 days"),
        ({"matchers": {"rule": "r"}, "seconds": float("nan")}, "within the next 30 days"),
        ({"matchers": {"rule": "r"}, "seconds": "long"}, "give a number of seconds"),
        ({"matchers": {"rule": "r"}, "seconds": 5, "why": ""}, "no key 'why'"),
    ],
)
def test_a_wrong_silence_is_one_sentence(document: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as error:
        silence_of(document, 100.0)
    assert said in str(error.value)


def test_time_never_goes_back(caplog: pytest.LogCaptureFixture) -> None:
    wall, steady = [1_000.0], [0.0]
    clock = Clock(lambda: wall[0], lambda: steady[0])
    assert clock.now() == 1_000.0
    wall[0], steady[0] = 400.0, 10.0
    assert clock.now() == 1_010.0
    wall[0], steady[0] = 405.0, 15.0
    assert clock.now() == 1_015.0
    assert caplog.text.count("the system's clock is 610 s behind what alerts have seen") == 1
    wall[0], steady[0] = 2_000.0, 16.0
    assert clock.now() == 2_000.0
    clock.at_least(3_000.0)
    assert clock.now() == 3_000.0


def test_the_page_names_every_signal_and_kind() -> None:
    page = (Path(__file__).parents[3] / "docs" / "alerts.md").read_text()
    for found in SIGNALS.values():
        assert f"| `{found.name}` | {found.meaning} |" in page
    for kind in [*KINDS, *CHANNELS]:
        assert f"| `{kind}` |" in page


def test_the_page_s_example_is_read() -> None:
    page = (Path(__file__).parents[3] / "docs" / "alerts.md").read_text()
    example = page.split("```toml\n")[1].split("```")[0]
    section = Alerts(**tomllib.loads(example)["alerts"])
    assert [rule.name for rule in section.built()] == ["distances drifted", "too slow"]
