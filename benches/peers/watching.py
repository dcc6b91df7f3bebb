"""What the peers of watching have in common: turns at the command of the suite.

Started as `watch.py FOLDER`; each line on standard input is the name of a task, answered by a line of
JSON with the seconds that it took and what it found.
"""

import gc
import json
import os
import sys
import time
from pathlib import Path

# Whatever a library prints must not come between the answers.
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def array(name):
    import numpy as np

    return np.load(Path(sys.argv[1]) / f"{name}.npy")


def stream(name):
    """Values as the Python numbers that a caller would have."""
    return array(name).tolist()


def detect(make, values, flag):
    """A task: all values through a fresh detector; what it finds are the positions of changes."""

    def run():
        detector = make()
        found = []
        for at, value in enumerate(values):
            detector.update(value)
            if getattr(detector, flag):
                found.append(at)
        return found

    return run


def answer(document):
    ANSWERS.write(json.dumps(document) + "\n")
    ANSWERS.flush()


def serve(tasks):
    answer({"ready": True})
    for line in sys.stdin:
        task = tasks[line.strip()]
        gc.collect()
        begin = time.perf_counter()
        found = task()
        seconds = time.perf_counter() - begin
        answer({"seconds": seconds, "found": found})
