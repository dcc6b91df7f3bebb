"""What the peers of validation have in common: turns at the command of the suite.

Started as `validate.py TABLE`; each line on standard input is one turn, answered by a line of JSON
with the seconds that it took and, by rule, how many rows or values break it.
"""

import gc
import json
import sys
import time

RANGES = {
    "month": (1, 12),
    "day": (1, 31),
    "dep_time": (1, 2400),
    "arr_time": (1, 2400),
    "distance": (1, 6000),
    "air_time": (1, 1000),
}
VALUES = {
    "origin": ["EWR", "JFK", "LGA"],
    "carrier": [
        "9E",
        "AA",
        "AS",
        "B6",
        "DL",
        "EV",
        "F9",
        "FL",
        "HA",
        "MQ",
        "OO",
        "UA",
        "US",
        "VX",
        "WN",
        "YV",
    ],
}
PATTERN = "^N[0-9A-Z]+$"
LENGTH = 3
MISSING = 0.03


def serve(load, validate):
    table = load(sys.argv[1])
    validate(table)
    print(json.dumps({"ready": True}), flush=True)
    for _ in sys.stdin:
        gc.collect()
        begin = time.perf_counter()
        failures = validate(table)
        seconds = time.perf_counter() - begin
        print(json.dumps({"seconds": seconds, "failures": failures}), flush=True)
