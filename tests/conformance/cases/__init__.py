"""The one list of cases; a name is given once."""

from tests.conformance.case import Case
from tests.conformance.cases.extensions import EXTENSIONS
from tests.conformance.cases.inference import INFERENCE
from tests.conformance.cases.refusals import REFUSALS
from tests.conformance.cases.server import SERVER

__all__ = ["CASES"]

CASES: tuple[Case, ...] = (*SERVER, *INFERENCE, *REFUSALS, *EXTENSIONS)
"""In the order in which they are asked: those that look at counts come last."""
