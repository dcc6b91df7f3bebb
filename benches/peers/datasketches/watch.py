"""Apache DataSketches (C++) with NumPy where it takes NumPy."""

import sys
from pathlib import Path

import datasketches as ds

sys.path.insert(0, str(Path(__file__).parents[1]))
from watching import array, serve

VALUES = array("values")
WORDS = [f"w{x}" for x in array("words").tolist()]
WHOLE = array("words").tolist()


def quantiles():
    sketch = ds.kll_doubles_sketch(200)
    sketch.update(VALUES)
    return sketch.get_quantiles([0.5, 0.99])


def distinct():
    sketch = ds.hll_sketch(14)
    for value in WHOLE:
        sketch.update(value)
    return sketch.get_estimate()


def frequent():
    sketch = ds.frequent_strings_sketch(11)
    for word in WORDS:
        sketch.update(word)
    return len(sketch.get_frequent_items(ds.frequent_items_error_type.NO_FALSE_NEGATIVES))


serve({"quantiles": quantiles, "distinct": distinct, "frequent": frequent})
