"""The native half of tidegate: one section a file of `rust/py/src`."""

from typing import final

from typing_extensions import CapsuleType

__version__: str

# ---- errors.rs

def error_kinds() -> list[tuple[str, str]]: ...

# ---- arrow.rs

@final
class ArrowTable:
    @property
    def num_rows(self) -> int: ...
    @property
    def column_names(self) -> list[str]: ...
    def __arrow_c_schema__(self) -> CapsuleType: ...
    def __arrow_c_stream__(
        self, requested_schema: CapsuleType | None = None
    ) -> CapsuleType: ...
    def __len__(self) -> int: ...
