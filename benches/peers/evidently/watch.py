"""Evidently: PSI, Kolmogorov-Smirnov and Jensen-Shannon of every column of a window, and of the flights
of six months."""

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


FLIGHTS = pd.read_parquet(Path(sys.argv[1]) / "flights.parquet")


def of_months(months):
    rows = FLIGHTS[FLIGHTS["month"].isin(months)].drop(columns="month")
    numbers = list(rows.select_dtypes("number").columns)
    texts = [name for name in rows.columns if name not in numbers]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=texts)
    return Dataset.from_pandas(rows, data_definition=definition), numbers, texts


def months():
    """Each month against January to June; a column is drifted by the thresholds of each method."""
    before, numbers, texts = of_months(range(1, 7))
    asked = [(name, method) for method in METHODS for name in numbers]
    asked += [(name, method) for method in METHODS if method != "ks" for name in texts]
    found = {method: {} for method in METHODS}
    for month in range(7, 13):
        live, _, _ = of_months([month])
        metrics = [ValueDrift(column=name, method=method) for name, method in asked]
        results = Report(metrics).run(live, before).dict()["metrics"]
        for (name, method), result in zip(asked, results, strict=True):
            value = float(result["value"])
            drifted = value < 0.05 if method == "ks" else value >= 0.1
            found[method].setdefault(str(month), {})[name] = (value, drifted)
    return {"decisions": found}


serve({"window": window, "months": months})
