"""Texts: lengths, search, patterns, and new texts from old ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Literal, Self, TypeAlias, TypeVar

from tidegate.features.tree import Tree

if TYPE_CHECKING:
    from tidegate.types import Json

__all__ = ["Text", "Texts"]

Analyzer: TypeAlias = Literal["word", "char", "char_wb"]
"""What terms are made of: words, characters, or characters of one word."""

E = TypeVar("E", bound=Tree)


class Text(Generic[E]):
    """What can be done with a text: `col("tail").str.len_chars()`. Missing stays missing."""

    __slots__ = ("_input",)

    def __init__(self, expression: E) -> None:
        self._input = expression

    def len_chars(self) -> E:
        """The number of characters, as `len` counts them."""
        return self._input._apply("str_len_chars")

    def len_bytes(self) -> E:
        """The number of bytes in UTF-8."""
        return self._input._apply("str_len_bytes")

    def token_count(self) -> E:
        """The number of words: of runs without white space."""
        return self._input._apply("str_token_count")

    def to_lowercase(self) -> E:
        """The text in lower case, by Unicode's rules."""
        return self._input._apply("str_to_lowercase")

    def to_uppercase(self) -> E:
        """The text in upper case, by Unicode's rules."""
        return self._input._apply("str_to_uppercase")

    def strip(self) -> E:
        """The text without white space at its ends."""
        return self._input._apply("str_strip")

    def contains(self, text: str) -> E:
        """1 where another text is a part of this one, else 0.

        Args:
            text: what is looked for, as it is; for a pattern there is `matches`.
        """
        return self._input._apply("str_contains", text=text)

    def starts_with(self, text: str) -> E:
        """1 where the text begins with another, else 0.

        Args:
            text: what is looked for, as it is.
        """
        return self._input._apply("str_starts_with", text=text)

    def ends_with(self, text: str) -> E:
        """1 where the text ends with another, else 0.

        Args:
            text: what is looked for, as it is.
        """
        return self._input._apply("str_ends_with", text=text)

    def matches(self, pattern: str) -> E:
        """1 where a regular expression matches somewhere in the text, else 0.

        Args:
            pattern: in the syntax of Rust's `regex`: Python's without look-around and
                back-references. `^` and `$` bind it to the ends of the text.

        >>> from tidegate.features import col
        >>> col("tail").str.matches("^N[0-9]+")
        col("tail").str.matches(pattern="^N[0-9]+")
        """
        return self._input._apply("str_matches", pattern=pattern)

    def replace(self, pattern: str, value: str, *, regex: bool = False) -> E:
        """The text with every occurrence of another replaced.

        Args:
            pattern: what is looked for: as it is, or a regular expression.
            value: what is put in its place; with a regular expression `$1` and `${name}` stand for
                its groups and `$$` for a dollar.
            regex: whether the pattern is a regular expression.
        """
        return self._input._apply("str_replace", pattern=pattern, value=value, regex=regex)

    def slice(self, start: int, length: int | None = None) -> E:
        """A part of the text, by places of its characters.

        Args:
            start: the first character, from 0; a negative number counts from the end.
            length: how many characters; all that follow if left out.
        """
        return self._input._apply("str_slice", start=start, length=length)

    def hash_ngrams(
        self,
        columns: int,
        *,
        analyzer: Analyzer = "word",
        ngrams: tuple[int, int] = (1, 1),
        lowercase: bool = True,
        signed: bool | None = None,
        normalize: bool | None = None,
    ) -> E:
        """How often terms occur, hashed into columns (`HashingVectorizer`). Nothing is learned.

        Args:
            columns: how many buckets.
            analyzer: whether terms are words, characters, or characters within words.
            ngrams: the shortest and the longest run of words or characters that is a term.
            lowercase: whether the text is made lower case first.
            signed: whether a term counts as the sign of its hash says; it does by default.
            normalize: whether a row is divided by its Euclidean length; it is by default.

        Returns:
            Several columns, which end the expression. A missing text is 0 in all of them.
        """
        return self._input._apply(
            "str_hash_ngrams",
            columns=columns,
            signed=signed,
            normalize=normalize,
            terms=_terms(analyzer, ngrams, lowercase=lowercase),
        )

    def tfidf(
        self,
        *,
        max_terms: int | None = None,
        min_count: int | None = None,
        analyzer: Analyzer = "word",
        ngrams: tuple[int, int] = (1, 1),
        lowercase: bool = True,
        sublinear: bool | None = None,
        normalize: bool | None = None,
    ) -> E:
        """How often terms occur that `fit` has seen, times how rare they are (`TfidfVectorizer`).

        Args:
            max_terms: how many terms have a column, those in most texts; 10,000 by default.
            min_count: in how many texts a term must be; 1 by default.
            analyzer: whether terms are words, characters, or characters within words.
            ngrams: the shortest and the longest run of words or characters that is a term.
            lowercase: whether the text is made lower case first.
            sublinear: whether 1 + ln(count) is taken for the count; it is not by default.
            normalize: whether a row is divided by its Euclidean length; it is by default.

        Returns:
            Several columns, which end the expression. A missing text is 0 in all of them.
        """
        return self._input._apply(
            "str_tfidf",
            max_terms=max_terms,
            min_count=min_count,
            sublinear=sublinear,
            normalize=normalize,
            terms=_terms(analyzer, ngrams, lowercase=lowercase),
        )


def _terms(analyzer: Analyzer, ngrams: tuple[int, int], *, lowercase: bool) -> Json:
    return {"analyzer": analyzer, "lowercase": lowercase, "ngrams": list(ngrams)}


class Texts(Tree):
    """The way from an expression to what can be done with its text."""

    __slots__ = ()

    @property
    def str(self) -> Text[Self]:
        """What can be done with a text."""
        return Text(self)
