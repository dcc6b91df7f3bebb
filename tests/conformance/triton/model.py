"""The models for Triton's Python backend, which runs this file in an interpreter of its own."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import triton_python_backend_utils as backend


class TritonPythonModel:
    """Does what the parameter `does` of its configuration says."""

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        self.does = config["parameters"]["does"]["string_value"]
        self.inputs = [port["name"] for port in config["input"]]
        self.outputs = [port["name"] for port in config["output"]]

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self.answer(request) for request in requests]

    def answer(self, request: Any) -> Any:
        given = [backend.get_input_tensor_by_name(request, name) for name in self.inputs]
        if self.does == "add_sub":
            a, b = (tensor.as_numpy() for tensor in given)
            made = [self.tensor(0, a + b), self.tensor(1, a - b)]
        elif self.does == "look_up":
            (x,) = (tensor.as_numpy() for tensor in given)
            if ((x < 0) | (x > 9)).any():
                failure = backend.TritonError("index out of bounds")
                return backend.InferenceResponse(output_tensors=[], error=failure)
            made = [self.tensor(0, np.square(x))]
        else:
            made = [self.same(i, tensor) for i, tensor in enumerate(given)]
        return backend.InferenceResponse(output_tensors=made)

    def tensor(self, at: int, values: Any) -> Any:
        return backend.Tensor(self.outputs[at], values)

    def same(self, at: int, tensor: Any) -> Any:
        if tensor.name().endswith("BF16"):
            # NumPy has no such type.
            return backend.Tensor.from_dlpack(self.outputs[at], tensor.to_dlpack())
        return self.tensor(at, tensor.as_numpy())
