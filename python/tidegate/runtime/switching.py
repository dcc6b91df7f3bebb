"""Loading what a revision needs, before anything is switched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from tidegate.errors import NotFoundError
from tidegate.runtime.loading import Said

if TYPE_CHECKING:
    from tidegate import _core
    from tidegate.routing.revision import Revision
    from tidegate.runtime.loading import Loading

__all__ = ["Switching"]

Wanted = tuple[str, "str | None"]
"""Version and digest of a bundle."""


class Switching:
    """The models of one deployment: those of the live plan, and of the plan before.

    Args:
        core: What serves.
        loading: What loads models.
        deployment: The served name.
        model: The model's name, where it is another.
        warm: Keep the models of the plan before, so that going back loads nothing.
    """

    def __init__(
        self,
        core: _core.Runtime,
        loading: Loading,
        deployment: str,
        model: str | None = None,
        *,
        warm: bool = True,
    ) -> None:
        self._core = core
        self._loading = loading
        self._deployment = deployment
        self._model = model or deployment
        self._warm = warm
        self._live: dict[Wanted, _core.Model] = {}
        self._before: dict[Wanted, _core.Model] = {}

    def switch(self, revision: Revision) -> None:
        """Loads what is not loaded yet, verified and warmed, and only then switches.

        Raises:
            TidegateError: If a bundle cannot be had or is refused; what was served goes on.
        """
        loaded = {**self._before, **self._live}
        wanted: dict[Wanted, _core.Model] = {}
        for version, digest in revision.routing.models:
            known = loaded.get((version, digest))
            if known is None:
                reference = f"{self._model}@{digest or version}"
                # What was said of the name when it was deployed holds for all of its versions.
                known, _, _ = self._loading.load(reference, Said(), self._deployment)
            wanted[version, digest] = known
        document = orjson.dumps(revision.routing.to_document()).decode()
        self._core.route(self._deployment, revision.number, document, list(wanted.values()))
        if wanted.keys() != self._live.keys():
            self._before = self._live if self._warm else {}
        self._live = wanted

    def samples(self, revision: Revision) -> str | None:
        """What was counted within a revision; `None` where nothing is."""
        try:
            return self._core.samples(self._deployment, revision.number)
        except NotFoundError:
            return None
