"""Great Expectations on pandas, without files or a store."""

import os
import sys
from pathlib import Path

os.environ["GX_ANALYTICS_ENABLED"] = "false"
import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from contest import LENGTH, MISSING, PATTERN, RANGES, VALUES, serve

CONTEXT = gx.get_context(mode="ephemeral")
CONTEXT.variables.progress_bars = {"globally": False}
BATCH = (
    CONTEXT.data_sources.add_pandas("flights")
    .add_dataframe_asset("flights")
    .add_batch_definition_whole_dataframe("flights")
)
SUITE = gx.ExpectationSuite(
    "flights",
    expectations=[
        *(
            gxe.ExpectColumnValuesToBeBetween(column=name, min_value=low, max_value=high)
            for name, (low, high) in RANGES.items()
        ),
        *(
            gxe.ExpectColumnValuesToBeInSet(column=name, value_set=values)
            for name, values in VALUES.items()
        ),
        gxe.ExpectColumnValuesToMatchRegex(column="tailnum", regex=PATTERN),
        gxe.ExpectColumnValueLengthsToEqual(column="dest", value=LENGTH),
        gxe.ExpectColumnValuesToNotBeNull(column="dep_delay", mostly=1 - MISSING),
        # There is no sum of columns here: the nearest is a pair of two.
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="sched_dep_time", column_B="hour", or_equal=True
        ),
    ],
)


def validate(table):
    batch = BATCH.get_batch(batch_parameters={"dataframe": table})
    found = batch.validate(SUITE)
    return {
        result.expectation_config.kwargs.get("column", "clock"): int(
            result.result.get("unexpected_count", 0)
        )
        for result in found.results
        if not result.success
    }


serve(pd.read_parquet, validate)
