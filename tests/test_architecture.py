"""The house's own rules: who may import whom, and tables that must name everything."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidegate import _core, errors

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "python" / "tidegate"

# A package imports packages of lower levels only. The first and the last level are ordered within
# themselves: errors come first, and the command line runs the benchmarks and the demonstration.
LEVELS: dict[str, float] = {
    "_core": 0,
    "errors": 0.1,
    "types": 0.2,
    "library": 0.2,
    "configuration": 0.3,
    "features": 1,
    "sketch": 1,
    "storage": 1,
    "export": 1,
    "validation": 2,
    "registry": 2,
    "backends": 2,
    "featurestore": 2,
    "monitoring": 2,
    "check": 3,
    "routing": 3,
    "training": 3,
    "governance": 3,
    "runtime": 4,
    "server": 5,
    "dashboard": 6,
    "demo": 6.1,
    "bench": 6.2,
    "cli": 6.3,
}

# Crates may use crates of lower levels only, and one of them knows Python.
CRATES: dict[str, int] = {
    "schema": 0,
    "sketch": 0,
    "batching": 0,
    "features": 1,
    "drift": 1,
    "protocol": 1,
    "predictionlog": 1,
    "runtime": 2,
    "load": 2,
    "server": 3,
    "py": 4,
}
# The summaries speak of schema's error kind; both stand on the lowest level.
CRATE_EXCEPTIONS = {("sketch", "schema"), ("batching", "schema")}

MAXIMUM_LINES = 600


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT / "python").with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path) -> Iterator[str]:
    """The modules of tidegate that a file imports when it runs, wherever in the file."""
    known = {name for name, _ in modules()}
    tree = ast.parse(path.read_text())
    typing_only: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for statement in node.body:
                typing_only.update(ast.walk(statement))
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] == "tidegate")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "tidegate":
            for name in node.names:
                # `from tidegate.x import y` may name a module y: then that is what is imported.
                inner = f"{node.module}.{name.name}"
                yield inner if inner in known or node.module == "tidegate" else str(node.module)


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def test_every_package_has_a_level() -> None:
    rooms = {room(name) for name, _ in modules()} - {""}
    assert rooms <= set(LEVELS)


def test_imports_point_down() -> None:
    wrong = []
    for name, path in modules():
        here = room(name)
        if not here:  # the package's own face: names only, loaded lazily
            continue
        for target in imports(path):
            there = room(target)
            if there not in LEVELS:  # the face itself, for its version
                assert there in {"__version__"}, f"{name} imports {target}"
            elif there != here and LEVELS[there] >= LEVELS[here]:
                wrong.append(f"{name} (level {LEVELS[here]}) imports {target} ({LEVELS[there]})")
    assert wrong == []


def test_no_import_cycles_between_modules() -> None:
    known = dict(modules())
    edges: dict[str, set[str]] = {}
    for name, path in known.items():
        edges[name] = {target for target in imports(path) if target in known and target != name}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name in done:
            return
        for target in sorted(edges[name]):
            visit(target, (*trail, name))
        done.add(name)

    for name in sorted(edges):
        visit(name, ())


def crates() -> dict[str, dict[str, object]]:
    return {
        path.parent.name: tomllib.loads(path.read_text())
        for path in sorted((ROOT / "rust").glob("*/Cargo.toml"))
    }


def test_crates_use_lower_levels_only() -> None:
    found = crates()
    assert set(found) <= set(CRATES)
    for name, manifest in found.items():
        dependencies = manifest.get("dependencies", {})
        assert isinstance(dependencies, dict)
        for dependency in dependencies:
            if dependency.startswith("tidegate-"):
                used = dependency.removeprefix("tidegate-")
                assert CRATES[used] < CRATES[name] or (name, used) in CRATE_EXCEPTIONS, (name, used)


def test_one_crate_knows_python() -> None:
    for name, manifest in crates().items():
        dependencies = manifest.get("dependencies", {})
        assert isinstance(dependencies, dict)
        assert name == "py" or not {"pyo3", "numpy", "pyo3-arrow"} & set(dependencies), name


def test_every_crate_inherits_the_lints() -> None:
    for name, manifest in crates().items():
        assert manifest.get("lints") == {"workspace": True}, name


def test_the_page_of_the_house_lists_every_crate_and_package() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    rooms = {room(name) for name, _ in modules()} - {""}
    missing = [name for name in sorted(rooms | {"_core"}) if f"`{name}`" not in page]
    missing += [f"rust/{name}" for name in crates() if f"`rust/{name}`" not in page]
    assert missing == []


def test_the_page_of_the_house_names_files_that_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    for name in re.findall(r"`((?:rust|python|tests|docs|benches|docker)/[\w./-]+)`", page):
        assert (ROOT / name).exists(), name


def test_every_kind_of_error_has_its_exception() -> None:
    kinds = dict(_core.error_kinds())
    assert {kind: cls.__name__ for kind, cls in errors.KINDS.items()} == kinds


def test_every_error_is_tidegates_own() -> None:
    for name in errors.__all__:
        value = getattr(errors, name)
        if isinstance(value, type):
            assert issubclass(value, errors.TidegateError), name


@pytest.mark.parametrize("name", [n for n, _ in modules() if not n.endswith("__main__")])
def test_every_name_handed_out_exists(name: str) -> None:
    module = importlib.import_module(name)
    names: list[str] = getattr(module, "__all__", [])
    assert len(set(names)) == len(names)
    for handed_out in names:
        assert hasattr(module, handed_out), f"{name}.{handed_out}"


def test_versions_agree() -> None:
    import tidegate

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    workspace = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    assert tidegate.__version__ == project == workspace == _core.__version__


def test_import_is_light() -> None:
    # Counted, not timed: a busy machine makes every import slow.
    code = "import sys; n = len(sys.modules); import tidegate; print(len(sys.modules) - n)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert int(done.stdout) < 60


def test_import_brings_no_heavy_package() -> None:
    code = "import sys, tidegate; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    ).stdout.split()
    assert not {"numpy", "starlette", "typer", "onnxruntime", "polars"} & set(loaded)


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False, text=True
    )
    if listed.returncode != 0:
        pytest.skip("not a checkout of git")
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_no_file_is_longer_than_a_reader_likes() -> None:
    long = []
    for name in tracked():
        if not name.endswith((".py", ".rs")) or "tests/" in name:
            continue
        if "/generated/" in name:  # nobody reads it: its source is beside it
            continue
        text = (ROOT / name).read_text()
        lines = text.split("#[cfg(test)]\nmod tests {")[0].count("\n")
        if lines > MAXIMUM_LINES:
            long.append(f"{name}: {lines} lines")
    assert long == []


def test_nothing_is_called_a_drawer() -> None:
    drawers = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}
    assert [name for name in tracked() if Path(name).stem in drawers] == []
