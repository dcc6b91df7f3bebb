"""Data validation in the language of features: rules over tables, streams and requests.

A `Rules` is a schema and rules; `validate` holds a table against it in one pass of compiled code
and gives a `ValidationReport`. What can be checked is listed in `docs/validation.md`.
"""

from __future__ import annotations

from tidegate.validation.checks import (
    Statistic,
    aggregate,
    foreign_key,
    freshness,
    in_range,
    length,
    matches,
    monotone,
    not_null,
    one_of,
    outliers,
    rule,
    unique,
    volume,
)
from tidegate.validation.diff import RuleChange, RulesDiff
from tidegate.validation.distributions import distribution
from tidegate.validation.evolution import SchemaChange, SchemaDiff, compare_schemas
from tidegate.validation.inference import infer
from tidegate.validation.ingestion import Ingested, Progress, fingerprint, ingest, ingested
from tidegate.validation.report import (
    BrokenRow,
    Finding,
    RuleResult,
    Status,
    ValidationReport,
)
from tidegate.validation.rule import Rule, RuleOptions, Severity
from tidegate.validation.rules import Extra, Rules
from tidegate.validation.stream import Validation

__all__ = [
    "BrokenRow",
    "Extra",
    "Finding",
    "Ingested",
    "Progress",
    "Rule",
    "RuleChange",
    "RuleOptions",
    "RuleResult",
    "Rules",
    "RulesDiff",
    "SchemaChange",
    "SchemaDiff",
    "Severity",
    "Statistic",
    "Status",
    "Validation",
    "ValidationReport",
    "aggregate",
    "compare_schemas",
    "distribution",
    "fingerprint",
    "foreign_key",
    "freshness",
    "in_range",
    "infer",
    "ingest",
    "ingested",
    "length",
    "matches",
    "monotone",
    "not_null",
    "one_of",
    "outliers",
    "rule",
    "unique",
    "volume",
]
