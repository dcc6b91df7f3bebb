"""Feature sets: expressions over a schema, fitted on tables, run on tables and on rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, overload

from tidegate import _core
from tidegate.errors import InputError, StateError
from tidegate.features.estimator import is_matrix, is_table, tabled, tags
from tidegate.features.expression import Expr
from tidegate.features.output import check_output, container, framed, joined
from tidegate.features.output import given as give
from tidegate.features.parameters import parameters, replaced
from tidegate.features.pieces import fit_pieces, tables
from tidegate.features.schema import Schema
from tidegate.features.selection import numeric
from tidegate.features.target import classes_as_numbers, target_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from tidegate.features.output import Container, Output, Width
    from tidegate.features.progress import Progress
    from tidegate.types import ArrowTable, FloatMatrix

    Data: TypeAlias = (
        ArrowTable
        | Iterable[ArrowTable | tuple[ArrowTable, object]]
        | Callable[[], Iterable[ArrowTable | tuple[ArrowTable, object]]]
        | npt.NDArray[Any]
        | list[list[float]]
    )

__all__ = ["FeatureSet"]


class FeatureSet:
    """Expressions over a schema: fitted once, then the same code for training and for serving.

    It follows scikit-learn's estimator contract, so it can be the first step of a `Pipeline`.

    Args:
        schema: the raw columns; those that no expression uses are left aside. Left out, it is that
            of the data that `fit` gets, and every column may have missing values.
        features: the expressions, whose columns stand in this order in the matrix; all numbers as
            they are if left out.
        target: the column that expressions such as `target_mean` learn from, unless `fit` is given
            a `y`. It is there to fit, and never asked for when serving.
        output: what `transform` gives: `"matrix"`, `"sparse"` or `"arrow"`.
        dtype: the type of what it gives, `"float32"` or `"float64"`. Neither is a part of the state:
            what is served is a matrix of float32.

    Raises:
        InputError: an expression names no column of the schema, does not fit its type, cannot be a
            column of numbers, is made of the target, or has the name of another.

    >>> import pyarrow as pa
    >>> from tidegate.features import col
    >>> table = pa.table({"distance": [100.0, 200.0, None], "carrier": ["UA", "AA", "UA"]})
    >>> features = FeatureSet(
    ...     schema=Schema.infer(table),
    ...     features=[col("distance").fill_null("mean").standardize(), col("carrier").one_hot()],
    ... )
    >>> features.fit_transform(table)
    array([[-1.2247449,  0.       ,  1.       ,  0.       ],
           [ 1.2247449,  1.       ,  0.       ,  0.       ],
           [ 0.       ,  0.       ,  1.       ,  0.       ]], dtype=float32)
    >>> features.get_feature_names_out().tolist()
    ['distance', 'carrier=AA', 'carrier=UA', 'carrier=(unknown)']
    >>> features.transform_row({"distance": 150.0, "carrier": "ZZ"})
    array([0., 0., 0., 1.], dtype=float32)
    """

    def __init__(
        self,
        schema: Schema | None = None,
        features: Sequence[Expr] | None = None,
        *,
        target: str | None = None,
        output: Output = "matrix",
        dtype: Width = "float32",
    ) -> None:
        check_output(output, dtype)
        # Kept as they are given: scikit-learn's `clone` compares them by identity.
        self.schema = schema
        self.features = features
        self.target = target
        self.output = output
        self.dtype = dtype
        self._sklearn_output_config: dict[str, Any] = {}
        # Checked at once where that can be; what is wrong is said where it was written.
        self._spec = None if schema is None else _specification(schema, features, target)
        self._plan: _core.Plan | None = None

    def fit(
        self,
        X: Data,
        y: object = None,
        *,
        progress: Progress | None = None,
    ) -> FeatureSet:
        """Learns what the expressions need.

        Args:
            X: a table of Arrow's PyCapsule interface (pyarrow, polars, pandas, DuckDB) with the
                columns of `input_schema`, others beside them do not matter; or several tables that
                are one in pieces: a list of them, or a function that begins to yield them anew,
                since nested learning reads the data `passes` times, each alone or as a pair
                `(table, y)`; or, as scikit-learn has it, a
                matrix of numbers with the schema's columns in their order (`x0`, `x1` and so on
                without a schema).
            y: the target, one value a row, which is taken before the column `target`; not looked at
                if no expression learns from one. With several tables the target is a column, or
                stands beside each in a pair.
            progress: is called, on this thread, some twenty times a second and once at the end, with
                the rows that were read so far, of all passes, and those of all of them (`None` if
                the data comes in pieces). Ctrl-C ends a fit within a moment, with or without it.

        Returns:
            The feature set itself.

        Raises:
            InputError: a column is missing, of another type, infinite, or missing values where it
                may not; the table has no rows; there is nothing to learn a replacement from; an
                expression learns from a target and there is none.
        """
        names = None if self.schema is None else self.schema.names
        matrix = is_matrix(X)
        table: Any = tabled(X, self, names, reset=True) if matrix else X
        if self.schema is None:
            self._spec = self._inferred(table)
        spec = self._specified()
        beside = None if y is None or not spec.supervised else target_values(y)
        if is_table(table) and not (beside is None and self._streams(table)):
            if beside is not None and not spec.learns_classes:
                beside = classes_as_numbers(beside)
            self._plan = spec.fit(table, beside, progress)
            if not matrix:
                self._note_columns(spec)
        elif beside is None:
            self._plan = fit_pieces(spec, table, progress)
            self._note_columns(spec)
        else:
            raise InputError(
                "y beside several tables: give each its own as a pair (table, y), or make the "
                "target a column of them and name it with FeatureSet(..., target=...)"
            )
        return self

    def _inferred(self, table: Any) -> _core.FeatureSpec:
        if not is_table(table):
            raise InputError(
                "a feature set without a schema learns it from one table: pass one, or give the "
                "schema with FeatureSet(Schema.infer(...), ...)"
            )
        return _specification(Schema.infer(table, nullable=True), self.features, self.target)

    def _note_columns(self, spec: _core.FeatureSpec) -> None:
        import numpy as np

        names = Schema._of(spec.schema).names
        self.n_features_in_ = len(names)
        self.feature_names_in_ = np.asarray(names, dtype=object)

    def _specified(self) -> _core.FeatureSpec:
        if self._spec is None:
            raise StateError(
                "this feature set has no schema yet: give one, or call fit with a table first"
            )
        return self._spec

    def _streams(self, table: object) -> bool:
        """Is this a stream of tables (pyarrow's `RecordBatchReader`) that is read once only?

        Then its batches are read one by one, and never lie in memory together.
        """
        return isinstance(table, Iterator) and self.passes == 1

    @overload
    def transform(
        self,
        X: ArrowTable | list[dict[str, Any]] | npt.NDArray[Any] | list[list[float]],
        *,
        output: Literal["matrix"] | None = ...,
        dtype: Literal["float32"] | None = ...,
        extra: Literal["error", "ignore"] | None = ...,
        progress: Progress | None = ...,
    ) -> FloatMatrix: ...

    @overload
    def transform(
        self,
        X: ArrowTable | list[dict[str, Any]] | npt.NDArray[Any] | list[list[float]],
        *,
        output: Literal["arrow"],
        dtype: Width | None = ...,
        extra: Literal["error", "ignore"] | None = ...,
        progress: Progress | None = ...,
    ) -> _core.ArrowTable: ...

    @overload
    def transform(
        self,
        X: ArrowTable | list[dict[str, Any]] | npt.NDArray[Any] | list[list[float]],
        *,
        output: Output | None = ...,
        dtype: Width | None = ...,
        extra: Literal["error", "ignore"] | None = ...,
        progress: Progress | None = ...,
    ) -> Any: ...

    def transform(
        self,
        X: ArrowTable | list[dict[str, Any]] | npt.NDArray[Any] | list[list[float]],
        *,
        output: Output | None = None,
        dtype: Width | None = None,
        extra: Literal["error", "ignore"] | None = None,
        progress: Progress | None = None,
    ) -> Any:
        """The features of a table.

        Args:
            X: a table as for `fit`, or a list of rows as dicts.
            output: `"matrix"` for an array `[rows, width]`, row-major, in which NaN is missing;
                `"sparse"` for a `scipy.sparse.csr_array`, made without a dense one; `"arrow"` for
                an Arrow table, in which null is missing. The set's own if left out.
            dtype: `"float32"` or `"float64"`. The set's own if left out.
            extra: whether keys of dicts that no column has are an error (the default) or ignored.
            progress: is called with the rows that are done and those of all, as for `fit`.

        Returns:
            The features; nothing in them is infinite. A frame, if `set_output` asks for one and
            `output` is left out.

        Raises:
            StateError: the feature set is not fitted.
            InputError: as for `fit`, except that a table may be empty.
        """
        return self._given(X, output, dtype, extra=extra, progress=progress)

    def _given(
        self,
        X: Any,
        output: Output | None,
        dtype: Width | None,
        *,
        extra: Literal["error", "ignore"] | None = None,
        learned: int | None = None,
        progress: Progress | None = None,
    ) -> Any:
        plan = self._fitted()
        table = X
        if is_matrix(X):
            names = None if self.schema is None else self.schema.names
            table = tabled(X, self, names, reset=learned is not None)
        features = give(
            plan,
            table,
            output=output or self.output,
            dtype=dtype or self.dtype,
            extra=extra,
            learned=learned,
            progress=progress,
        )
        kind = container(self._sklearn_output_config)
        if output is not None or self.output != "matrix" or kind == "default":
            return features
        return framed(features, plan.names, X, kind)

    def set_output(self, *, transform: Container | None = None) -> FeatureSet:
        """Says what `transform` and `fit_transform` give, as scikit-learn has it.

        Args:
            transform: `"pandas"` or `"polars"` for frames with named columns, `"default"` for the
                matrix; `None` changes nothing.

        Returns:
            The feature set itself.

        Raises:
            InputError: there is no such container.
        """
        if transform is not None:
            if transform not in ("default", "pandas", "polars"):
                raise InputError(
                    f"set_output(transform={transform!r}): use 'default', 'pandas' or 'polars'"
                )
            self._sklearn_output_config["transform"] = transform
        return self

    def fit_transform(
        self,
        X: Data,
        y: object = None,
        *,
        progress: Progress | None = None,
    ) -> FloatMatrix:
        """`fit`, and the features of the data that it has learned from.

        Expressions that learn from the target give each row what the others teach: a row does not
        see its own target. For them this is not what `transform` gives to the same rows; it is what
        a model is to be trained on.

        Args:
            X: as for `fit`.
            y: as for `fit`.
            progress: as for `fit`, which is followed by the features.

        Returns:
            The features, as `transform` gives them; those of several tables one after the other.

        Raises:
            InputError: as for `fit`; the data is an iterator, which can be read once.
        """
        if isinstance(X, Iterator):
            raise InputError(
                "fit_transform reads the data once more than fit and an iterator can be read once: "
                "pass a list of tables, or a function that returns a new iterator"
            )
        self.fit(X, y, progress=progress)
        if is_table(X) or is_matrix(X):
            return cast("FloatMatrix", self._given(X, None, None, learned=0, progress=progress))
        parts: list[Any] = []
        rows = 0
        for table in tables(X):
            parts.append(
                give(self._fitted(), table, output=self.output, dtype=self.dtype, learned=rows)
            )
            rows += parts[-1].num_rows if self.output == "arrow" else parts[-1].shape[0]
        return cast("FloatMatrix", joined(parts, self.output))

    def transform_row(
        self,
        row: Mapping[str, object],
        *,
        extra: Literal["error", "ignore"] | None = None,
    ) -> npt.NDArray[np.float32]:
        """The features of one row, by the same code as a table's.

        Args:
            row: values by column; an absent or `None` nullable column is missing. What is converted
                is listed in `docs/features.md`; text never becomes a number.
            extra: whether keys that no column has are an error (the default) or ignored.

        Returns:
            An array `[width]` of the set's type.

        Raises:
            StateError: the feature set is not fitted.
            InputError: a key is unknown, a value is of another type, or a column is missing that
                may not.
        """
        features: npt.NDArray[np.float32] = self._fitted().transform_row(
            row if isinstance(row, dict) else dict(row),
            extra=extra,
            double=self.dtype == "float64",
        )
        return features

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        """The names of the matrix's columns, also before a fit where they do not depend on it.

        Args:
            input_features: not used but for its length; it is here for scikit-learn's pipelines.

        Raises:
            StateError: the feature set is not fitted, and an expression learns its columns.
            InputError: there are not as many input features as columns.
        """
        import numpy as np

        columns = getattr(self, "n_features_in_", None)
        given = None if input_features is None else len(cast("Sequence[str]", input_features))
        if None not in (columns, given) and columns != given:
            raise InputError(
                "input_features should have length equal to number of features "
                f"({columns}), got {given}"
            )
        names = None
        if self._plan is None and self._spec is not None:
            names = self._spec.names
        return np.asarray(self._fitted().names if names is None else names, dtype=object)

    @property
    def input_schema(self) -> Schema:
        """The raw columns that the expressions use, in the schema's order."""
        return Schema._of(self._specified().input_schema)

    @property
    def passes(self) -> int:
        """How often `fit` reads the data: once for each level of nested learning."""
        return self._specified().passes

    @property
    def fingerprint(self) -> str:
        """`sha256:` and the digest of the fitted set's canonical JSON."""
        return self._fitted().fingerprint

    def to_json(self) -> str:
        """Schema, expressions and what they have learned, if fitted, as canonical JSON."""
        return self._specified().to_json() if self._plan is None else self._plan.to_json()

    @classmethod
    def from_json(cls, text: str) -> FeatureSet:
        """Reads what `to_json` wrote, of this or any earlier version.

        Returns:
            The feature set. A fitted one has the columns that it uses as its schema, and no target:
            to fit it anew, give a `y`.

        Raises:
            StateError: the text is no feature set, or of a later version.
        """
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        if isinstance(document, dict) and document.get("rows") is not None:
            plan = _core.Plan.from_json(text)
            found = cls(Schema._of(plan.input_schema), [Expr.from_json(f) for f in plan.features])
            found._plan = plan
            return found
        spec = _core.FeatureSpec.from_json(text)
        features = [Expr.from_json(f) for f in spec.features]
        return cls(Schema._of(spec.schema), features, target=spec.target)

    def describe(self) -> str:
        """What was fitted: each feature with its columns, and below it what its parts have learned.

        >>> import pyarrow as pa
        >>> from tidegate.features import col
        >>> table = pa.table({"x": [1.0, 3.0], "s": ["a", "b"]})
        >>> features = FeatureSet(Schema.infer(table), [col("x").standardize(), col("s").one_hot()])
        >>> print(features.fit(table).describe(), end="")
        col("x").standardize() -> x
            standardize: mean 2.0, std 1.0
        col("s").one_hot() -> s=a … s=(unknown) (3 columns)
            one_hot: categories ["a", "b"]
        """
        if self._plan is not None:
            return self._plan.describe()
        return "".join(f"{feature!r}\n" for feature in self.features or ())

    def explain(self) -> str:
        """What is computed and learned, in order: each part once, with what shares it.

        >>> from tidegate.features import Field, col
        >>> size = col("x").fill_null("mean")
        >>> features = FeatureSet(Schema([Field("x", "float64", nullable=True)]), [size, size * 2])
        >>> print(features.explain(), end="")
        #0 col("x") is a number
        #1 col("x").fill_null(strategy="mean") is a number, of #0, learns in pass 1, shared by 2
        #2 2 is a number
        #3 (col("x").fill_null(strategy="mean") * 2) is a number, of #1, #2
        x is #1
        x * 2 is #3
        1 of 1 columns are read
        """
        return self._specified().explain() if self._plan is None else self._plan.explain()

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor, for scikit-learn's `clone` and searches.

        Args:
            deep: whether the parameters inside of the expressions are among them, by paths such as
                `features__0__input__min_count`.
        """
        own = {
            "schema": self.schema,
            "features": self.features,
            "target": self.target,
            "output": self.output,
            "dtype": self.dtype,
        }
        return {**own, **(parameters(self.features or []) if deep else {})}

    def set_params(self, **params: Any) -> FeatureSet:
        """Replaces arguments of the constructor, or parameters inside of the expressions by path.

        What was learned is forgotten.

        Raises:
            InputError: there is no such argument, a path leads nowhere, or the features do not fit
                the schema.
        """
        known = self.get_params(deep=False)
        inside = {name: value for name, value in params.items() if name.startswith("features__")}
        own = {name: value for name, value in params.items() if name not in inside}
        for name in own:
            if name not in known:
                raise InputError(f"a FeatureSet has no parameter {name!r}: {', '.join(known)}")
        given: dict[str, Any] = {**known, **own}
        if inside:
            own["features"] = given["features"] = replaced(given["features"] or [], inside)
        check_output(given["output"], given["dtype"])
        self._spec = (
            None
            if given["schema"] is None
            else _specification(given["schema"], given["features"], given["target"])
        )
        for name, value in own.items():
            setattr(self, name, value)
        self._plan = None
        return self

    def _fitted(self) -> _core.Plan:
        if self._plan is None:
            raise StateError("this feature set is not fitted: call fit with a table first")
        return self._plan

    def __sklearn_is_fitted__(self) -> bool:
        return self._plan is not None

    def __sklearn_tags__(self) -> object:
        return tags(target=self._spec is not None and self._spec.supervised and self.target is None)

    def __getstate__(self) -> dict[str, object]:
        plan = None if self._plan is None else self._plan.to_json()
        config = self._sklearn_output_config
        noted = {
            name: getattr(self, name)
            for name in ("n_features_in_", "feature_names_in_")
            if hasattr(self, name)
        }
        return {
            **self.get_params(deep=False),
            **noted,
            "plan": plan,
            "_sklearn_output_config": config,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.schema, self.features = state["schema"], state["features"]
        # Pickles of earlier versions lack what came later.
        self.target = state.get("target")
        self.output = state.get("output", "matrix")
        self.dtype = state.get("dtype", "float32")
        self._sklearn_output_config = state.get("_sklearn_output_config", {})
        self._spec = (
            None if self.schema is None else _specification(self.schema, self.features, self.target)
        )
        for name in ("n_features_in_", "feature_names_in_"):
            if name in state:
                setattr(self, name, state[name])
        plan = state["plan"]
        self._plan = None if plan is None else _core.Plan.from_json(plan)

    def __repr__(self) -> str:
        fitted = "" if self._plan is None else f", {len(self._plan.names)} columns"
        features = "" if self.features is None else f"{len(self.features)} features"
        return f"FeatureSet({features}{fitted})"


def _specification(
    schema: Schema, features: Sequence[Expr] | None, target: str | None
) -> _core.FeatureSpec:
    features = [numeric()] if features is None else features
    for feature in features:
        if not isinstance(feature, Expr):
            raise InputError(
                f"{feature!r} is no expression: write col({feature!r}) for a column as it is"
                if isinstance(feature, str)
                else f"{type(feature).__name__} is no expression: begin with col(...)"
            )
    if not isinstance(schema, Schema):
        raise InputError(
            f"{type(schema).__name__} is no schema: use Schema.infer(table) or Schema([...])"
        )
    return _core.FeatureSpec(schema._native, [feature.to_json() for feature in features], target)
