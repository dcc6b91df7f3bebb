"""Our protocol files say what a client's own descriptors say: names, numbers and types."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PROTO = Path(__file__).parent.parent / "rust" / "protocol" / "proto" / "inference.proto"

SCALARS = {
    "double": 1,
    "float": 2,
    "int64": 3,
    "uint64": 4,
    "int32": 5,
    "bool": 8,
    "string": 9,
    "bytes": 12,
    "uint32": 13,
}
"""The types as descriptors number them."""

FIELD = re.compile(r"(repeated )?(map<string, \w+>|\w+) (\w+) = (\d+);")


def fields() -> dict[str, dict[str, tuple[int, str, bool]]]:
    """Every field of the file: by message, then by name, its number, type and whether it repeats."""
    found: dict[str, dict[str, tuple[int, str, bool]]] = {}
    open_messages: list[str] = []
    for line in PROTO.read_text().splitlines():
        text = line.strip()
        if match := re.match(r"(message|oneof|enum|service) (\w+) \{(\})?", text):
            kind, name, closed = match.groups()
            outer = open_messages[-1] if open_messages else ""
            if kind == "message":
                name = f"{outer}.{name}" if outer else name
                found[name] = {}
            else:
                name = outer
            if not closed:
                open_messages.append(name)
        elif text == "}":
            open_messages.pop()
        elif open_messages and (match := FIELD.fullmatch(text)):
            repeated, kind, name, number = match.groups()
            many = repeated is not None or kind.startswith("map<")
            found[open_messages[-1]][name] = (int(number), kind, many)
    return found


def test_the_fields_are_those_of_the_public_protocol() -> None:
    from tritonclient.grpc import model_config_pb2, service_pb2

    ours = fields()
    assert "ModelInferRequest.InferInputTensor" in ours
    compared = 0
    for name, known in ours.items():
        outer, *inner = name.split(".")
        file = service_pb2 if hasattr(service_pb2, outer) else model_config_pb2
        theirs: Any = file.DESCRIPTOR.message_types_by_name[outer]
        for part in inner:
            theirs = theirs.nested_types_by_name[part]
        for field, (number, kind, many) in known.items():
            public = theirs.fields_by_name[field]
            assert public.number == number, f"{name}.{field}"
            assert public.is_repeated == many, f"{name}.{field}"
            if kind in SCALARS:
                assert public.type == SCALARS[kind], f"{name}.{field}"
            elif not kind.startswith("map<"):
                type_of = public.message_type or public.enum_type
                assert type_of.name == kind, f"{name}.{field}"
            compared += 1
    assert compared > 80


def test_the_methods_are_those_of_the_public_protocol() -> None:
    from tritonclient.grpc import service_pb2

    (service,) = service_pb2.DESCRIPTOR.services_by_name.values()
    pattern = re.compile(r"rpc (\w+)\((stream )?(\w+)\) returns \((stream )?(\w+)\)")
    ours = pattern.findall(PROTO.read_text())
    assert len(ours) == 13
    for name, takes_many, request, gives_many, response in ours:
        method = service.methods_by_name[name]
        assert method.input_type.name == request
        assert method.output_type.name == response
        assert method.client_streaming == bool(takes_many)
        assert method.server_streaming == bool(gives_many)
