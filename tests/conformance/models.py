"""The models that every server under test is given: so simple that anybody knows their answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["MODELS", "WIDE", "Model", "Port"]

WIDE = (
    *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
    *("FP32", "FP64", "BYTES"),
)
"""The datatypes that have a form in JSON and in gRPC's typed contents; FP16 and BF16 have none."""


@dataclass(frozen=True)
class Port:
    """One input or output: its extents leave out the batch, and -1 is any extent."""

    name: str
    datatype: str
    dims: tuple[int, ...]


@dataclass(frozen=True)
class Model:
    """A model, and the one thing it does to its inputs."""

    name: str
    does: Literal["echo", "add_sub", "look_up"]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    batched: bool = True


def echo(name: str, *ports: tuple[str, str, tuple[int, ...]], batched: bool = True) -> Model:
    """Gives back what it gets; the ports are suffix, datatype, extents."""
    inputs = tuple(Port(f"IN{suffix}", kind, dims) for suffix, kind, dims in ports)
    outputs = tuple(Port(f"OUT{suffix}", kind, dims) for suffix, kind, dims in ports)
    return Model(name, "echo", inputs, outputs, batched)


MODELS = (
    echo("every", *((f"_{kind}", kind, (-1,)) for kind in WIDE)),
    echo("half", *((f"_{kind}", kind, (-1,)) for kind in ("FP16", "BF16"))),
    echo("text", ("", "BYTES", (1,))),
    echo("vector", ("", "FP32", (-1,))),
    echo("scores", ("", "FP32", (4,))),
    echo("fixed", ("", "FP32", (2, 3)), batched=False),
    Model(
        "add_sub",
        "add_sub",
        (Port("INPUT0", "INT32", (4,)), Port("INPUT1", "INT32", (4,))),
        (Port("OUTPUT0", "INT32", (4,)), Port("OUTPUT1", "INT32", (4,))),
    ),
    # The square of a digit; any other number fails the run.
    Model("poison", "look_up", (Port("IN", "FP32", (1,)),), (Port("OUT", "FP32", (1,)),)),
)
