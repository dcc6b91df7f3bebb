"""Gates: tests with margins that may be looked at at any time, and never promote without evidence."""

from tidegate.routing.gates.budget import Budget
from tidegate.routing.gates.disagreement import Disagreement
from tidegate.routing.gates.errors import Errors
from tidegate.routing.gates.expression import Expression
from tidegate.routing.gates.features import Features
from tidegate.routing.gates.gate import Gate
from tidegate.routing.gates.latency import Latency
from tidegate.routing.gates.material import Material, Stage
from tidegate.routing.gates.metric import Metric
from tidegate.routing.gates.plan import (
    checked,
    default_gates,
    gates_of,
    observed,
    stages_of,
)
from tidegate.routing.gates.prediction import Prediction
from tidegate.routing.gates.quality import Quality
from tidegate.routing.gates.verdict import Outcome, Verdict

__all__ = [
    "Budget",
    "Disagreement",
    "Errors",
    "Expression",
    "Features",
    "Gate",
    "Latency",
    "Material",
    "Metric",
    "Outcome",
    "Prediction",
    "Quality",
    "Stage",
    "Verdict",
    "checked",
    "default_gates",
    "gates_of",
    "observed",
    "stages_of",
]
