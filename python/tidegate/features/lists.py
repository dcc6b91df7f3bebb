"""Lists: one number or one item of each."""

from __future__ import annotations

from typing import Generic, Self, TypeVar

from tidegate.features.tree import Tree, constant

__all__ = ["ItemList", "Lists"]

E = TypeVar("E", bound=Tree)


class ItemList(Generic[E]):
    """What can be done with a list: `col("delays").list.mean()`. Missing stays missing."""

    __slots__ = ("_input",)

    def __init__(self, expression: E) -> None:
        self._input = expression

    def len(self) -> E:
        """How many items there are, missing ones among them."""
        return self._input._apply("list_len")

    def mean(self) -> E:
        """The mean of the numbers; missing without any."""
        return self._input._apply("list_mean")

    def min(self) -> E:
        """The smallest number; missing without any."""
        return self._input._apply("list_min")

    def max(self) -> E:
        """The largest number; missing without any."""
        return self._input._apply("list_max")

    def sum(self) -> E:
        """The sum of the numbers; 0 without any."""
        return self._input._apply("list_sum")

    def contains(self, value: str | float) -> E:
        """1 where a value is among the items, else 0.

        Args:
            value: a number or a text, as the items are.
        """
        return self._input._apply("list_contains", value=constant(value)["value"])

    def get(self, index: int) -> E:
        """One item; missing where the list has no such place.

        Args:
            index: its place from 0; from the end if negative.

        >>> from tidegate.features import col
        >>> col("delays").list.get(-1)
        col("delays").list.get(index=-1)
        """
        return self._input._apply("list_get", index=index)

    def first(self) -> E:
        """The first item; missing in an empty list."""
        return self.get(0)

    def last(self) -> E:
        """The last item; missing in an empty list."""
        return self.get(-1)


class Lists(Tree):
    """The way from an expression to what can be done with its list."""

    __slots__ = ()

    @property
    def list(self) -> ItemList[Self]:
        """What can be done with a list."""
        return ItemList(self)
