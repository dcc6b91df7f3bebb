"""The model for Triton's Python backend, which runs this file in an interpreter of its own."""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
import triton_python_backend_utils as backend
from served import Served, apart


class TritonPythonModel:
    """Runs what Triton gathered as one batch."""

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        given = json.loads(config["parameters"]["given"]["string_value"])
        self.served = Served(argparse.Namespace(**given))

    def rows(self, requests: list[Any]) -> list[np.ndarray]:
        if self.served.features is None:
            return [request.inputs()[0].as_numpy() for request in requests]
        return [
            self.served.features.rows(
                [{one.name(): one.as_numpy().item() for one in request.inputs()}]
            )
            for request in requests
        ]

    def execute(self, requests: list[Any]) -> list[Any]:
        parts = self.rows(requests)
        made = self.served.run(parts[0] if len(parts) == 1 else np.concatenate(parts))
        return [
            backend.InferenceResponse(
                output_tensors=[
                    backend.Tensor(name, output)
                    for name, output in zip(self.served.names, part, strict=True)
                ]
            )
            for part in apart(made, map(len, parts))
        ]
