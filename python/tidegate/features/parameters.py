"""Parameters inside of expressions, by paths that scikit-learn's searches can walk.

`features__0__input__min_count` is `min_count` of the input of the first feature: the numbers are
places in a list, the other words keys of the expression's JSON.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tidegate.errors import InputError
from tidegate.features.expression import Expr

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["parameters", "replaced"]


def parameters(features: Sequence[Expr]) -> dict[str, object]:
    """The parameters of all expressions that were given, by path.

    >>> from tidegate.features import col
    >>> parameters([col("s").group_rare(min_count=3).target_mean(smooth=5)])
    {'features__0__input__min_count': 3, 'features__0__smooth': 5}
    """
    found: dict[str, object] = {}
    for position, feature in enumerate(features):
        found.update(_walk(feature.to_dict(), f"features__{position}"))
    return dict(sorted(found.items()))


def _walk(tree: Any, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(tree, list) and any(isinstance(item, dict) for item in tree):
        for position, item in enumerate(tree):
            yield from _walk(item, f"{path}__{position}")
    elif isinstance(tree, dict) and "op" in tree:
        # What a column or a constant is, is no parameter to be searched.
        for key, value in tree.items():
            if (key != "op" and tree["op"] not in ("col", "literal", "alias")) or key == "input":
                yield from _walk(value, f"{path}__{key}")
    elif not isinstance(tree, dict):
        yield path, tree


def replaced(features: Sequence[Expr], given: dict[str, object]) -> list[Expr]:
    """Features with some parameters replaced.

    Args:
        features: the expressions, which stay as they are.
        given: values by path.

    Raises:
        InputError: a path leads nowhere.

    >>> from tidegate.features import col
    >>> replaced([col("s").target_mean(smooth=5)], {"features__0__smooth": 1})
    [col("s").target_mean(smooth=1)]
    """
    trees: list[Any] = [json.loads(feature.to_json()) for feature in features]
    for path, value in given.items():
        *way, last = path.split("__")[1:]
        place: Any = trees
        for word in way:
            place = _step(place, word, path)
        if isinstance(place, list):
            place[_place(place, last, path)] = value.to_dict() if isinstance(value, Expr) else value
        elif isinstance(place, dict) and "op" in place:
            place[last] = value.to_dict() if isinstance(value, Expr) else value
        else:
            raise InputError(f"{path!r} leads nowhere: {last!r} is no parameter there")
    return [Expr(tree) for tree in trees]


def _place(items: list[Any], word: str, path: str) -> int:
    if not word.isdigit() or int(word) >= len(items):
        raise InputError(f"{path!r} leads nowhere: there are {len(items)} at {word!r}, from 0")
    return int(word)


def _step(place: Any, word: str, path: str) -> Any:
    if isinstance(place, list):
        return place[_place(place, word, path)]
    if isinstance(place, dict) and word in place:
        return place[word]
    raise InputError(f"{path!r} leads nowhere: there is no {word!r}")
