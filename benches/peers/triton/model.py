"""The model for Triton's Python backend, which runs this file in an interpreter of its own."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as backend


class TritonPythonModel:
    """Runs what Triton gathered as one batch."""

    def initialize(self, args: dict[str, str]) -> None:
        config = json.loads(args["model_config"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = config["parameters"]["onnx"]["string_value"]
        self.session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        self.entry = self.session.get_inputs()[0].name
        self.names = [output.name for output in self.session.get_outputs()]

    def execute(self, requests: list[Any]) -> list[Any]:
        parts = [
            backend.get_input_tensor_by_name(request, self.entry).as_numpy() for request in requests
        ]
        rows = parts[0] if len(parts) == 1 else np.concatenate(parts)
        outputs = self.session.run(None, {self.entry: rows})
        answers, at = [], 0
        for part in parts:
            end = at + len(part)
            made = [
                backend.Tensor(name, output[at:end])
                for name, output in zip(self.names, outputs, strict=True)
            ]
            answers.append(backend.InferenceResponse(output_tensors=made))
            at = end
        return answers
