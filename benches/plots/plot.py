"""Draws the report of `tidegate bench --json`: throughput, latency, goodput under overload.

python plot.py REPORT.json FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
# The same figures give the same file.
matplotlib.rcParams["svg.hashsalt"] = "tidegate"
matplotlib.rcParams["svg.fonttype"] = "none"
matplotlib.rcParams["font.family"] = "sans-serif"

from matplotlib import pyplot as plt  # noqa: E402

OURS = "tidegate, trees"
BOLD = {"linewidth": 2.4, "color": "black", "zorder": 10}
REFERENCES = {"nginx, fixed body", "Starlette + onnxruntime"}


def chosen(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What serves the bare trees, by name: each peer in its best setting only."""
    peers = report["peers"].items()
    best = {peer["trees"]["name"]: name for name, peer in peers if peer.get("trees")}
    cells = report["http"]
    found = {name: cells[name] for name in cells if name == OURS or name in REFERENCES}
    return found | {label: cells[name] for name, label in best.items()}


def axes(title: str, x: str, y: str) -> Any:
    figure, place = plt.subplots(figsize=(8, 5), layout="constrained")
    place.set(title=title, xlabel=x, ylabel=y)
    place.grid(visible=True, which="both", alpha=0.25)
    return figure, place


def by_connections(report: dict[str, Any], folder: Path) -> None:
    servers = chosen(report)
    if not servers:
        return
    for file, title, y, pick in (
        (
            "throughput.svg",
            "One-row requests, one server core",
            "right answers a second",
            lambda cell: cell["rate"],
        ),
        (
            "latency.svg",
            "One-row requests, one server core",
            "p99 in milliseconds (p50 dashed)",
            lambda cell: cell["p99_us"] / 1e3,
        ),
    ):
        figure, place = axes(title, "connections", y)
        for name, cells in servers.items():
            at = sorted(int(connections) for connections in cells)
            style = BOLD if name == OURS else {"linewidth": 1.2}
            values = [pick(cells[str(connections)]) for connections in at]
            (line,) = place.plot(at, values, marker="o", markersize=3.5, label=name, **style)
            if file == "latency.svg":
                median = [cells[str(connections)]["p50_us"] / 1e3 for connections in at]
                place.plot(at, median, linestyle="--", linewidth=0.8, color=line.get_color())
        place.set(xscale="log", yscale="log")
        ticks = sorted({int(connections) for cells in servers.values() for connections in cells})
        place.set_xticks(ticks, [str(tick) for tick in ticks])
        place.minorticks_off()
        figure.legend(loc="outside right upper", fontsize="small")
        save(figure, folder / file)


def goodput(report: dict[str, Any], folder: Path) -> None:
    curves = {name: c for name, c in report["curves"].items() if "offered" in c}
    if not curves:
        return
    objective = next(iter(curves.values()))["objective_seconds"] * 1e3
    figure, (place, late) = plt.subplots(
        2, 1, figsize=(8, 6.5), layout="constrained", sharex=True, height_ratios=[2, 1]
    )
    place.set(title="Open loop beyond the capacity", ylabel="goodput over capacity")
    late.set(xlabel="offered load over capacity", ylabel="p99 of accepted, ms")
    for name, curve in curves.items():
        x = [offered / curve["capacity"] for offered in curve["offered"]]
        y = [good / curve["capacity"] for good in curve["goodput"]]
        place.plot(x, y, marker="o", markersize=3.5, label=name)
        late.plot(x, [value / 1e3 for value in curve["p99_us"]], marker="o", markersize=3.5)
    place.plot(
        [0, 1, 3],
        [0, 1, 1],
        color="grey",
        linestyle=":",
        label="all that is asked, up to the capacity",
    )
    late.axhline(objective, color="grey", linestyle=":", label=f"objective {objective:g} ms")
    for one in (place, late):
        one.set_ylim(bottom=0)
        one.grid(visible=True, alpha=0.25)
        one.legend(fontsize="small")
    save(figure, folder / "goodput.svg")


def memory(report: dict[str, Any], folder: Path) -> None:
    curve = report["curves"].get("memory")
    if curve is None:
        return
    figure, place = axes("Memory over requests", "million requests", "MB")
    place.plot([count / 1e6 for count in curve["requests"]], curve["memory_mb"])
    place.set_ylim(bottom=0)
    save(figure, folder / "memory.svg")


def save(figure: Any, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    document = json.loads(Path(sys.argv[1]).read_text())
    target = Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    for draw in (by_connections, goodput, memory):
        draw(document, target)
