from __future__ import annotations

import io
from pathlib import Path

import pytest

from tidegate.cli.predict import read_rows
from tidegate.errors import InputError, StorageError


def write(folder: Path, text: str) -> str:
    path = folder / "rows.json"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('{"a": 1}', [{"a": 1}]),
        ('[{"a": 1}, {"a": null}]', [{"a": 1}, {"a": None}]),
        ('{"instances": [{"a": 1}]}', [{"a": 1}]),
        ('{"a": 1}\n\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
    ],
)
def test_forms_of_rows(tmp_path: Path, text: str, rows: list[dict[str, object]]) -> None:
    assert read_rows(None, write(tmp_path, text)) == rows


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no row"),
        ("[]", "no row"),
        ("[1, 2]", "something else than objects"),
        ('{"a": 1}\n{"a": ', "neither JSON nor JSON lines"),
        ("nonsense", "neither JSON nor JSON lines"),
    ],
)
def test_what_is_no_row(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_rows(None, write(tmp_path, text))


def test_row_of_the_option_and_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_rows('{"a": 1}', "-") == [{"a": 1}]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'{"a": 2}')))
    assert read_rows(None, "-") == [{"a": 2}]


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"nowhere\.json"):
        read_rows(None, str(tmp_path / "nowhere.json"))
