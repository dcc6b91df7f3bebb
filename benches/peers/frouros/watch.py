"""frouros, value by value: it takes no other form. It does not start afresh, so the suite's streams
have no change for it to stay in."""

import sys
from pathlib import Path

from frouros.detectors import concept_drift

sys.path.insert(0, str(Path(__file__).parents[1]))
from watching import detect, serve, stream

NUMBERS, ERRORS = stream("numbers"), stream("errors")


def task(name, values):
    return detect(getattr(concept_drift, name), values, "drift")


serve(
    {
        "adwin": task("ADWIN", NUMBERS),
        "page_hinkley": task("PageHinkley", NUMBERS),
        "cusum": task("CUSUM", NUMBERS),
        "ddm": task("DDM", ERRORS),
        "hddm_a": task("HDDMA", ERRORS),
        "hddm_w": task("HDDMW", ERRORS),
        "kswin": task("KSWIN", NUMBERS[:500]),
    }
)
