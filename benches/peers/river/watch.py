"""river, value by value: it takes no other form."""

import sys
from pathlib import Path

from river import drift

sys.path.insert(0, str(Path(__file__).parents[1]))
from watching import detect, serve, stream

NUMBERS, ERRORS = stream("numbers"), stream("errors")

serve(
    {
        "adwin": detect(drift.ADWIN, NUMBERS, "drift_detected"),
        "page_hinkley": detect(drift.PageHinkley, NUMBERS, "drift_detected"),
        "ddm": detect(drift.binary.DDM, ERRORS, "drift_detected"),
        "hddm_a": detect(drift.binary.HDDMA, ERRORS, "drift_detected"),
        "hddm_w": detect(drift.binary.HDDMW, ERRORS, "drift_detected"),
        "kswin": detect(lambda: drift.KSWIN(seed=1), NUMBERS[:500], "drift_detected"),
    }
)
