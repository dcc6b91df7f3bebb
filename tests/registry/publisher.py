"""Processes that publish, die and read; run by the tests of killed and concurrent publishers."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tidegate.errors import AlreadyExistsError, TidegateError
from tidegate.registry import Bundle, Registry
from tidegate.storage import FolderStore


class Stepping(FolderStore):
    """Names each step of each write, before and after it; may die at one of them."""

    def __init__(self, root: Path, die_at: int | None = None) -> None:
        super().__init__(root)
        self.steps: list[str] = []
        self._die_at = die_at

    def _step(self, name: str) -> None:
        if len(self.steps) == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.steps.append(name)

    def _create(self, key: str, data: bytes) -> None:
        self._key = key
        super()._create(key, data)

    def _write(self, temporary: Path, data: bytes) -> None:
        self._step(f"{self._key}: before its bytes")
        if self._die_at is not None and len(self.steps) == self._die_at:
            temporary.write_bytes(data[: len(data) // 2])  # Killed in the middle of the file.
        self._step(f"{self._key}: within its bytes")
        super()._write(temporary, data)
        self._step(f"{self._key}: written")

    def _link(self, temporary: Path, target: Path) -> None:
        super()._link(temporary, target)
        self._step(f"{self._key}: linked")

    def _sync_folder(self, folder: Path) -> None:
        super()._sync_folder(folder)
        self._step(f"{self._key}: synced {folder.name}")

    def _discard(self, temporary: Path) -> None:
        super()._discard(temporary)
        self._step(f"{self._key}: discarded")


def in_child(work: Callable[[], None]) -> int:
    """Runs work in a child of this process, which has one thread, and gives its raw status."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
    return os.waitpid(child, 0)[1]


def check(registry: Registry) -> list[str]:
    """Everything that is published is whole; gives what is published."""
    published = []
    for listing in registry.list():
        for record in listing.versions:
            registry.verify(str(record))
            bundle = registry.open(str(record))
            assert bundle.verify().manifest_verified
            published.append(str(record))
        for alias in listing.aliases:
            assert registry.resolve(f"{listing.name}@{alias.alias}").version == alias.version
    return published


def every_step(root: Path, bundle: Path) -> None:
    """Kills a publish at each of its steps; after each the registry is whole and can go on."""
    root.mkdir()
    rehearsal = Stepping(root / "rehearsal")
    Registry(rehearsal).publish(bundle, alias="champion")
    name = str(Bundle.open(bundle))
    outcomes = {}
    for position, step in enumerate(rehearsal.steps):
        place = root / str(position)
        store = Stepping(place, die_at=position)
        status = in_child(partial(publish, store, bundle, "champion"))
        assert os.WIFSIGNALED(status), (step, status)
        assert os.WTERMSIG(status) == signal.SIGKILL, step
        registry = Registry(place)
        published = check(registry)
        assert published in ([], [name]), published
        try:
            registry.publish(bundle, alias="champion")
            assert published == [], step
        except AlreadyExistsError:
            assert published == [name], step
            registry.alias(name.split("@")[0], "champion", version=name.split("@")[1])
        assert check(registry) == [name]
        assert str(registry.resolve(f"{name.split('@')[0]}@champion")) == name
        outcomes[f"{position} {step}"] = bool(published)
    print(json.dumps(outcomes))


def random_instants(root: Path, bundle: Path, kills: int, seed: int) -> None:
    """Kills publishes at random instants while a reader loops."""
    place = root / "registry"
    stop = root / "stop"

    def read() -> None:
        reads = 0
        while not stop.exists():
            check(Registry(place, read_only=True))
            reads += 1
        (root / "reads").write_text(str(reads))

    durations = []
    for index in range(5):
        start = time.perf_counter()
        assert in_child(partial(publish, FolderStore(root / f"r{index}"), bundle)) == 0
        durations.append(time.perf_counter() - start)
    longest = window = max(durations)

    reader = os.fork()
    if reader == 0:
        try:
            read()
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
    randomness = random.Random(seed)
    completed = killed = 0
    while killed < kills:
        number = killed + completed
        assert number < 10 * kills, "publishes end before they can be killed"
        source = versioned(bundle, root / f"source-{number}", f"1.0.{number}")
        child = os.fork()
        if child == 0:
            try:
                Registry(FolderStore(place)).publish(source)
                os._exit(0)
            except BaseException:
                os._exit(1)
        time.sleep(randomness.uniform(0.0, window))
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        # A publish that was over already was killed at no instant of it: the window follows how
        # fast this machine is now, so that half of the publishes or more are hit.
        if os.WIFSIGNALED(status):
            killed += 1
            window = min(window * 1.1, longest)
        else:
            completed += 1
            window *= 0.9
    attempts = killed + completed
    published = check(Registry(place))
    for number in range(attempts):
        source = root / f"source-{number}"
        try:
            Registry(place).publish(source)
            assert f"m@1.0.{number}" not in published
        except AlreadyExistsError:
            assert f"m@1.0.{number}" in published
    stop.touch()
    status = os.waitpid(reader, 0)[1]
    assert status == 0, "the reader saw part of a bundle"
    assert len(check(Registry(place))) == attempts
    print(
        json.dumps(
            {
                "completed": completed,
                "killed": killed,
                "published_before_mending": len(published),
                "reads": int((root / "reads").read_text()),
            }
        )
    )


def publish(store: FolderStore, bundle: Path, alias: str | None = None) -> None:
    Registry(store).publish(bundle, alias=alias)


def versioned(bundle: Path, target: Path, version: str) -> Path:
    model = (bundle / "model.onnx").read_bytes()
    Bundle.build("m", version, model=model, directory=target)
    return target


def race(root: Path, bundle: Path, start: float) -> None:
    """Publishes at an agreed instant; says whether it won."""
    registry = Registry(root)
    time.sleep(max(0.0, start - time.time()))
    try:
        digest = registry.publish(bundle)
    except AlreadyExistsError:
        print(json.dumps({"won": False}))
    except TidegateError as error:
        print(json.dumps({"error": str(error)}))
    else:
        print(json.dumps({"digest": digest, "won": True}))


def main(command: str, root: str, bundle: str, *rest: str) -> None:
    if command == "every-step":
        every_step(Path(root), Path(bundle))
    elif command == "random-instants":
        random_instants(Path(root), Path(bundle), int(rest[0]), int(rest[1]))
    else:
        race(Path(root), Path(bundle), float(rest[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
