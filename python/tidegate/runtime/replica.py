"""A runtime as one of the replicas that follow the revisions of what they serve."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from tidegate.check import before_rollout
from tidegate.errors import (
    ClosedError,
    ConflictError,
    InputError,
    NotFoundError,
    StateError,
    StorageError,
)
from tidegate.monitoring.quality import QualityReport
from tidegate.registry import Registry
from tidegate.routing.catalogue import RegistryCatalogue
from tidegate.routing.changes import changes
from tidegate.routing.control import Control
from tidegate.routing.follower import Follower, FollowerState, Next
from tidegate.routing.history import History
from tidegate.routing.revision import Revision
from tidegate.routing.rollout import decided
from tidegate.routing.settings import Follow
from tidegate.runtime.switching import Switching

if TYPE_CHECKING:
    from tidegate import _core
    from tidegate.runtime.loading import Loading
    from tidegate.storage import Store

__all__ = ["Replica", "replica_of"]


class Replica:
    """What follows the revisions for one runtime, each deployment on a thread of its own.

    Args:
        core: What serves.
        loading: What loads models.
        registry: Where versions are looked up.
        store: What the replicas share.
        settings: How to follow.

    Attributes:
        name: This replica's, which no other has ever had.
        store: What the replicas share.
        told: Told of each decision that was made here and is on record.
    """

    def __init__(
        self,
        core: _core.Runtime,
        loading: Loading,
        registry: Registry,
        store: Store,
        settings: Follow,
    ) -> None:
        self.name: Final = settings.name()
        self.store: Final = store
        self.told: Callable[[Revision, Next], object] | None = None
        self._core = core
        self._loading = loading
        self._registry = registry
        self._settings = settings
        self._followers: dict[str, Follower] = {}
        self._models: dict[str, str] = {}
        self._guard = threading.Lock()
        self._ended = False

    def follow(
        self,
        deployment: str,
        model: str | None = None,
        otherwise: Callable[[], object] | None = None,
    ) -> Follower:
        """Follows a deployment from now on; its newest revision is taken before this returns.

        Args:
            deployment: The served name.
            model: The model's name, where it is another.
            otherwise: Called where no revision is served, before anything is followed.

        Raises:
            StateError: If there are revisions, and none can be served.
        """
        with self._guard:
            if self._ended:
                raise ClosedError(f"deployment {deployment!r} cannot be followed: this has ended")
            found = self._followers.get(deployment)
            if found is not None:
                return found
            follower = Follower(
                self.store,
                deployment,
                Switching(self._core, self._loading, deployment, model, warm=self._settings.warm),
                decided,
                replica=self.name,
                every=self._settings.every,
                lease=self._settings.lease,
                publish=self._settings.samples,
                told=self._tell,
            )
            state = follower.turn()
            if not state.live:
                if state.refused is not None:
                    raise StateError(
                        f"deployment {deployment!r} has revisions, and none can be served: "
                        f"{state.refused[1]}"
                    )
                if otherwise is not None:
                    otherwise()
            self._followers[deployment] = follower
            self._models[deployment] = model or deployment
            follower.start()
            return follower

    def followed(self, deployment: str) -> Follower | None:
        """What follows a deployment, if anything does."""
        return self._followers.get(deployment)

    def leave(self, deployment: str) -> None:
        """Follows a deployment no longer; what is served stays."""
        with self._guard:
            follower = self._followers.pop(deployment, None)
        if follower is not None:
            follower.close()

    def follows(self, deployment: str) -> bool:
        """Whether a deployment is served by a revision."""
        follower = self._followers.get(deployment)
        return follower is not None and follower.state.live > 0

    def check_free(self, deployment: str) -> None:
        """Refuses to deploy by hand what follows its revisions.

        Raises:
            ConflictError: If it does.
        """
        if self.follows(deployment):
            raise ConflictError(
                f"deployment {deployment!r} follows its revisions: start a rollout, or set its "
                "arms by a plan"
            )

    def control(self, deployment: str) -> Control:
        """The commands of a deployment; a candidate is tested before its rollout starts."""
        model = self._models.get(deployment)
        catalogue = RegistryCatalogue(self._registry, model)
        # Reports are kept beside the bundles, though a runtime itself only reads them.
        check = before_rollout(Registry(self._registry.store), model=model)
        return Control(
            self.store,
            deployment,
            catalogue,
            check=check,
            labels=lambda: self._has_labels(deployment),
        )

    def _has_labels(self, deployment: str) -> bool:
        """Whether labels of a deployment have ever come to this replica."""
        try:
            report = QualityReport.from_json(self._core.quality(deployment))
        except NotFoundError:
            return False  # its predictions are not even kept
        return any(version.total.labelled for version in report.versions)

    def wake(self, deployment: str) -> None:
        """Lets a deployment be looked at now, and followed from now on."""
        self.follow(deployment).turn()

    def states(self) -> list[FollowerState]:
        """How each deployment stands here, by name."""
        return [follower.state for _, follower in sorted(self._followers.items())]

    def changes(self, since: float) -> list[Mapping[str, Any]]:
        """What has changed of what is followed here, see `tidegate.routing.changes`.

        Raises:
            StorageError: If the store cannot be read.
        """
        found = [changes(History(self.store, name), since) for name in sorted(self._followers)]
        return sorted(itertools.chain.from_iterable(found), key=lambda change: change["at"])

    def close(self) -> None:
        """Ends all following. Twice does no harm."""
        with self._guard:
            self._ended = True
            followers = list(self._followers.values())
        for follower in followers:
            follower.close()

    def _tell(self, before: Revision, decision: Next) -> None:
        if self.told is not None:
            self.told(before, decision)


def replica_of(
    core: _core.Runtime, loading: Loading, registry: Registry | None, settings: Follow
) -> Replica:
    """A runtime as a replica.

    Raises:
        InputError: If it has no registry.
        StorageError: If there is nowhere to write to that replicas share.
    """
    if registry is None:
        raise InputError(
            "revisions name versions, and this runtime has no registry to find them in: pass one "
            "to Runtime(…)"
        )
    store = settings.store(registry.store)
    if store is None:
        raise StorageError(
            f"registry {registry.location} cannot be written to, and revisions need a place that "
            "replicas share: set [routing] location"
        )
    return Replica(core, loading, registry, store, settings)
