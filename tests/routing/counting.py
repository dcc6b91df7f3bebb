"""A store that remembers what was read of it."""

from __future__ import annotations

from pathlib import Path

from tidegate.storage import FolderStore


class Counting(FolderStore):
    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: list[str] = []

    def children(self, prefix: str = "") -> list[str]:
        self.reads.append(f"list {prefix}")
        return super().children(prefix)

    def _get(self, key: str, limit: int) -> bytes | None:
        self.reads.append(f"get {key}")
        return super()._get(key, limit)
