"""What a shadow of everything costs live requests, on a server that has one core for all it does.

    python benches/python/shadow.py

The server runs on core 1, the load on core 0: as much as is answered (64 connections), with and without a shadow in turns. Says requests a
second and latencies of both, the median of their ratios, and what became of the copies.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Final

from tidegate.bench.load import Load, run_load
from tidegate.demo.tiny import tiny_bundle
from tidegate.registry import Registry

ROUNDS: Final = 8
SECONDS: Final = 4.0
WARMUP: Final = 0.5
CONNECTIONS: Final = 64
PATIENCE: Final = 60.0
ROLLOUT: Final = "/v1/deployments/tiny/rollout"
BODIES: Final = [
    json.dumps({"instances": [{"x": index / 100, "colour": "red"}]}).encode()
    for index in range(1_000)
]
PLAN: Final[dict[str, Any]] = {
    "candidate": "1.1.0",
    "strategy": {"kind": "shadow", "only": True, "min_seconds": "24h"},
    "gates": [],
}


def post(url: str, verb: str, body: dict[str, Any]) -> None:
    """A command that must be carried out."""
    data = json.dumps(body).encode()
    with urllib.request.urlopen(f"{url}{ROLLOUT}/{verb}", data=data, timeout=PATIENCE) as answer:
        assert answer.status == 200


def copies(url: str) -> dict[str, float]:
    """What has become of the copies since the server started."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=PATIENCE) as answer:
        lines = answer.read().decode().splitlines()
    found = [line for line in lines if line.startswith("tidegate_shadow_copies_total{")]
    return {line.split('outcome="')[1].split('"')[0]: float(line.split()[-1]) for line in found}


def measured(address: str) -> dict[str, Any]:
    """What comes of the load."""
    load = Load(
        address=address,
        path="/v1/models/tiny:predict",
        connections=CONNECTIONS,
        seconds=SECONDS,
        warmup_seconds=WARMUP,
        cpu=0,
    )
    return run_load(load, BODIES)


def main() -> None:
    """Measures in turns, and prints the medians."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        registry = Registry(folder / "registry")
        for version in ("1.0.0", "1.1.0"):
            registry.publish(tiny_bundle(version=version))
        registry.alias("tiny", "champion", version="1.0.0")
        address = folder / "address"
        command = [
            *(sys.executable, "-m", "tidegate.cli", "serve", "tiny@champion", "--port", "0"),
            *("--registry", str(registry.location), "--no-grpc", "--workers", "1"),
            *("--address-file", str(address)),
        ]
        os.sched_setaffinity(0, {1})
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.sched_setaffinity(0, {0})
        try:
            end = time.monotonic() + PATIENCE
            while not address.exists():
                assert time.monotonic() < end
                time.sleep(0.02)
            url = address.read_text().strip()
            plain, shadowed, told = [], [], {}
            for number in range(ROUNDS):
                for shadow in (False, True) if number % 2 else (True, False):
                    if shadow:
                        post(url, "start", {"plan": PLAN, "skip_check": "a measurement"})
                    found = measured(url.removeprefix("http://"))
                    (shadowed if shadow else plain).append(found)
                    if shadow:
                        told = copies(url)
                        post(url, "abort", {"reason": "measured"})
            say(plain, shadowed, told)
        finally:
            server.kill()
            server.wait()


def say(
    plain: list[dict[str, Any]], shadowed: list[dict[str, Any]], told: dict[str, float]
) -> None:
    """Prints the medians."""

    def middle(runs: list[dict[str, Any]], key: str) -> float:
        return statistics.median(
            run["rate"] if key == "rate" else run["latency_us"][key] / 1e3 for run in runs
        )

    print(f"{'':<16}{'without':>10}{'with':>10}")
    for key, unit in (("rate", "a second"), ("p50", "ms"), ("p99", "ms"), ("p999", "ms")):
        print(f"{key + ', ' + unit:<16}{middle(plain, key):>10.4g}{middle(shadowed, key):>10.4g}")
    pairs = zip(plain, shadowed, strict=True)
    ratio = statistics.median(after["rate"] / before["rate"] for before, after in pairs)
    print(f"rate with a shadow: {ratio:.1%} of that without (median of {len(plain)} pairs)")
    print(f"copies of the last round's server: {told}")


if __name__ == "__main__":
    main()
