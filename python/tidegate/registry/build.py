"""Building a bundle: the files in their order, the manifest last."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from tidegate.errors import InputError, StorageError
from tidegate.registry.card import write_card
from tidegate.registry.manifest import FILE, FileEntry, GoldenEntry, Manifest
from tidegate.registry.reference import check_name
from tidegate.registry.requirements import CHECK_FILE, Requirements
from tidegate.registry.semver import SemanticVersion
from tidegate.types import ArrowTable, Json, JsonObject

if TYPE_CHECKING:
    from tidegate.export import Exported, Proof
    from tidegate.types import FittedFeatures, FloatMatrix, RulesLike, SchemaLike, WatchingLike

__all__ = ["BuildOptions", "Builder"]

MAX_GOLDEN_ROWS: Final = 10_000
"""Most golden rows taken from a sample: each load replays them all."""


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What a bundle says of itself, and how its export is proven.

    Attributes:
        metrics: what was measured when the model was trained, such as `{"auc": 0.74}`.
        lineage: where it came from: data, code, run.
        card: the text of the model card; by default one is written from what is known.
        created: when it was built, with a time zone; by default now.
        proof: rows and tolerance of the proof that the export agrees with the model.
        rules: rules that guard the model: those that one row can break are held against each
            request. They look at the columns that the feature set takes; `Rules.for_serving`
            picks them.
        requirements: what `tidegate check` holds the bundle against before it may go live: budgets,
            holdout, groups, limits.
        watching: how the bundle is watched where nothing else is said when it is served: a
            `tidegate.monitoring.Watching`. With a `segment` the baseline knows the sample by the values
            of that column too.
    """

    metrics: JsonObject = field(default_factory=dict)
    lineage: JsonObject = field(default_factory=dict)
    card: str | None = None
    created: datetime | None = None
    proof: Proof | None = None
    rules: RulesLike | None = None
    requirements: Requirements | None = None
    watching: WatchingLike | None = None

    def __post_init__(self) -> None:
        if self.created is not None and self.created.tzinfo is None:
            raise InputError("created has no time zone: use datetime.now(UTC)")


class Builder:
    """Writes one bundle into a new or empty folder.

    Args:
        name: the model's name.
        version: its semantic version.
        path: the folder.
        options: what the bundle says of itself.

    Raises:
        InputError: the name or version is wrong, or the folder is not empty.
        StorageError: the folder cannot be made.
    """

    def __init__(self, name: str, version: str, path: Path, options: BuildOptions) -> None:
        self._path = path
        self._options = options
        created = (options.created or datetime.now(UTC)).astimezone(UTC)
        self._manifest = Manifest(
            name=check_name(name),
            version=str(SemanticVersion.parse(version)),
            created=created.isoformat(timespec="seconds").replace("+00:00", "Z"),
            files={},
            kind="tensors",
            classes=None,
            schema_fingerprint=None,
            golden=None,
            lineage=options.lineage,
            metrics=options.metrics,
            watching=None if options.watching is None else options.watching.to_document(),
        )
        self._manifest.to_json()  # Before an hour of work: are metrics and lineage JSON?
        try:
            path.mkdir(parents=True, exist_ok=True)
            occupied = any(path.iterdir())
        except OSError as error:
            raise StorageError(f"cannot make folder {path}: {error.strerror}") from error
        if occupied:
            raise InputError(f"folder {path} is not empty: name a new one for the bundle")

    def build(
        self,
        *,
        model: Any,
        features: FittedFeatures | None,
        sample: ArrowTable | FloatMatrix | None,
        golden_rows: int | ArrowTable | None,
    ) -> Manifest:
        """Writes all files; parameters as `Bundle.build`."""
        self._check(features, sample, golden_rows)
        exported = self._export(model, features, sample)
        self._write("model.onnx", exported.onnx)
        manifest = replace(self._manifest, kind=exported.kind, classes=exported.classes)
        if exported.agreement is not None:
            proof: dict[str, Json] = {
                "largest_difference": exported.agreement.largest,
                "rows": exported.agreement.rows,
                "thresholds": exported.agreement.thresholds,
            }
            manifest = replace(manifest, lineage={**manifest.lineage, "export": proof})
        names: tuple[str, ...] = ()
        if features is not None:
            schema = features.input_schema
            names = tuple(features.get_feature_names_out())
            self._write("schema.json", schema.to_json().encode())
            self._write("features.json", features.to_json().encode())
            manifest = replace(manifest, schema_fingerprint=schema.fingerprint)
            if self._options.rules is not None:
                self._guard(self._options.rules, schema)
            if sample is not None:
                golden = self._evidence(exported.kind, cast("ArrowTable", sample), golden_rows)
                manifest = replace(manifest, golden=golden)
        if self._options.requirements is not None:
            self._write(CHECK_FILE, self._options.requirements.to_json())
        card = self._options.card
        self._write("card.md", (card or write_card(manifest, names)).encode())
        manifest = replace(manifest, files=self._entries())
        self._write(FILE, manifest.to_json())
        return manifest

    def _check(
        self,
        features: FittedFeatures | None,
        sample: ArrowTable | FloatMatrix | None,
        golden_rows: int | ArrowTable | None,
    ) -> None:
        if isinstance(golden_rows, int) and not 1 <= golden_rows <= MAX_GOLDEN_ROWS:
            raise InputError(f"golden_rows is {golden_rows}: use 1 to {MAX_GOLDEN_ROWS}")
        is_table = hasattr(sample, "__arrow_c_stream__")
        if features is not None and sample is not None and not is_table:
            raise InputError(
                f"the sample is a {type(sample).__name__}: with a feature set it is the raw rows, "
                "as an Arrow table (pyarrow, polars, pandas)"
            )
        if features is None and self._options.rules is not None:
            raise InputError(
                "rules look at columns, and a model without a feature set takes tensors: give "
                "features=…, or leave the rules out"
            )
        if features is None and is_table:
            raise InputError(
                "the sample is a table and there is no feature set: give features=…, or the float32 "
                "matrix that the model was trained on"
            )

    def _export(
        self,
        model: Any,
        features: FittedFeatures | None,
        sample: ArrowTable | FloatMatrix | None,
    ) -> Exported:
        # A process that only serves bundles never loads the exporters.
        from tidegate.export import export_model, read_onnx
        from tidegate.features import FeatureSet

        if isinstance(model, str | os.PathLike | bytes) or hasattr(model, "SerializeToString"):
            return read_onnx(model)
        if sample is None:
            raise InputError(
                f"exporting a {type(model).__name__} is proven on real rows: give sample=…, the "
                "rows that it was trained on"
            )
        if features is None:
            return export_model(model, cast("FloatMatrix", sample), proof=self._options.proof)
        # As it is served: whatever the set gives to its owner, the runtime makes float32 of it.
        served = FeatureSet.from_json(features.to_json())
        matrix = served.transform(cast("ArrowTable", sample))
        width = getattr(model, "n_features_in_", matrix.shape[1])
        if width != matrix.shape[1]:
            raise InputError(
                f"the model was fitted on {width} features and the feature set makes "
                f"{matrix.shape[1]}: fit the model on the matrix of this feature set"
            )
        return export_model(model, matrix, proof=self._options.proof)

    def _evidence(
        self, kind: str, sample: ArrowTable, golden_rows: int | ArrowTable | None
    ) -> GoldenEntry:
        from tidegate import _core, library

        library.load()
        watching = self._options.watching
        segment = None if watching is None else watching.segment
        found = _core.write_evidence(self._path, kind, sample, golden_rows, segment)
        return GoldenEntry(
            rows=int(found["rows"]),
            rtol=float(found["rtol"]),
            atol=float(found["atol"]),
            onnxruntime=str(found["onnxruntime"]),
        )

    def _guard(self, rules: RulesLike, schema: SchemaLike) -> None:
        from tidegate import _core

        text = rules.to_json()
        # What would be refused when the bundle is loaded is refused now.
        _core.check_guard(text, _core.Schema.from_json(schema.to_json()))
        self._write("rules.json", text.encode())

    def _entries(self) -> dict[str, FileEntry]:
        entries: dict[str, FileEntry] = {}
        for path in sorted(self._path.iterdir()):
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                entries[path.name] = FileEntry(digest, file.tell())
        return entries

    def _write(self, name: str, data: bytes) -> None:
        try:
            with (self._path / name).open("xb") as file:
                file.write(data)
        except OSError as error:
            raise StorageError(
                f"cannot write {self._path / name}: {error.strerror}: name another folder"
            ) from error
