"""whylogs: a profile of a table."""

import sys
from pathlib import Path

import pandas as pd
import whylogs as why

sys.path.insert(0, str(Path(__file__).parents[1]))
from watching import array, serve

TABLE = pd.DataFrame(array("live"), columns=[f"x{i}" for i in range(array("live").shape[1])])


def profile():
    return len(why.log(TABLE).view().get_columns())


serve({"profile": profile})
