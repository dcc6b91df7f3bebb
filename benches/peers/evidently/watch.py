"""Evidently: PSI, Kolmogorov-Smirnov and Jensen-Shannon of every column of a window."""

import sys
from pathlib import Path

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift

sys.path.insert(0, str(Path(__file__).parents[1]))
from watching import array, serve


def dataset(name):
    rows = array(name)
    names = [f"x{i}" for i in range(rows.shape[1])]
    definition = DataDefinition(numerical_columns=names)
    return Dataset.from_pandas(pd.DataFrame(rows, columns=names), data_definition=definition)


BASELINE, LIVE = dataset("baseline"), dataset("live")
METHODS = ("psi", "ks", "jensenshannon")


def window():
    columns = LIVE.as_dataframe().columns
    metrics = [ValueDrift(column=name, method=method) for name in columns for method in METHODS]
    return len(Report(metrics).run(LIVE, BASELINE).dict()["metrics"])


serve({"window": window})
