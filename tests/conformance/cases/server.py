"""Health, metadata, configuration, the repository: what is asked about the server."""

from __future__ import annotations

from tests.conformance.case import ABOVE, ANY, Case, Differs, Holds

__all__ = ["SERVER"]

ADD_SUB_INPUTS = [
    {"name": "INPUT0", "datatype": "INT32", "shape": [-1, 4]},
    {"name": "INPUT1", "datatype": "INT32", "shape": [-1, 4]},
]
ADD_SUB_OUTPUTS = [
    {"name": "OUTPUT0", "datatype": "INT32", "shape": [-1, 4]},
    {"name": "OUTPUT1", "datatype": "INT32", "shape": [-1, 4]},
]
BY_TRITON = ("plain", "triton_http", "triton_grpc")
EMPTY = {"triton kserve_rest": Differs("no body, and this client reads JSON", "broken")}

SERVER = (
    Case(name="live", call="live", fields=True, differs=EMPTY),
    Case(name="ready", call="ready", fields=True, differs=EMPTY),
    Case(
        name="health check of gRPC",
        call="health",
        clients=("triton_grpc",),
        fields={"serving": True},
    ),
    Case(name="model ready", call="model_ready", model="add_sub", fields=True),
    Case(
        name="version ready", call="model_ready", model="add_sub", version="{version}", fields=True
    ),
    Case(
        name="unknown model is not ready",
        call="model_ready",
        model="nobody",
        fields=False,
    ),
    Case(
        name="unknown version is not ready",
        call="model_ready",
        model="add_sub",
        version="99",
        fields=False,
    ),
    Case(
        name="server metadata",
        call="server",
        fields={
            "name": ANY,
            "version": ANY,
            "extensions": Holds(
                (
                    "binary_tensor_data",
                    "classification",
                    "logging",
                    "model_configuration",
                    "model_repository",
                    "model_repository(unload_dependents)",
                    "parameters",
                    "statistics",
                )
            ),
        },
    ),
    Case(
        name="model metadata",
        call="model",
        model="add_sub",
        fields={
            "name": "add_sub",
            "versions": ["{version}"],
            "platform": ANY,
            "inputs": ADD_SUB_INPUTS,
            "outputs": ADD_SUB_OUTPUTS,
        },
    ),
    Case(
        name="version metadata",
        call="model",
        model="add_sub",
        version="{version}",
        fields={"name": "add_sub", "inputs": ADD_SUB_INPUTS},
    ),
    Case(
        name="metadata of a model without a batch",
        call="model",
        model="fixed",
        fields={"inputs": [{"name": "IN", "datatype": "FP32", "shape": [2, 3]}]},
    ),
    Case(
        name="variable extents",
        call="model",
        model="vector",
        fields={"inputs": [{"name": "IN", "datatype": "FP32", "shape": [-1, -1]}]},
    ),
    Case(name="metadata of an unknown model", call="model", model="nobody", status="not_found"),
    Case(
        name="metadata of an unknown version",
        call="model",
        model="add_sub",
        version="99",
        status="not_found",
    ),
    Case(
        name="configuration",
        call="config",
        model="add_sub",
        fields={
            "name": "add_sub",
            "max_batch_size": ABOVE(1),
            "dynamic_batching": ANY,
            "input": [{"name": "INPUT0", "dims": [4]}, {"name": "INPUT1", "dims": [4]}],
            "output": [{"name": "OUTPUT0", "dims": [4]}, {"name": "OUTPUT1", "dims": [4]}],
        },
    ),
    Case(
        name="configuration names datatypes",
        call="config",
        model="text",
        clients=("plain", "triton_http"),
        fields={"input": [{"name": "IN", "data_type": "TYPE_STRING"}]},
    ),
    Case(
        name="configuration without a batch",
        call="config",
        model="fixed",
        fields={"max_batch_size": 0, "input": [{"name": "IN", "dims": [2, 3]}]},
    ),
    Case(
        name="configuration of an unknown model", call="config", model="nobody", status="not_found"
    ),
    Case(
        name="repository index",
        call="index",
        fields={
            "models": Holds(
                (
                    {"name": "add_sub", "version": "{version}", "state": "READY"},
                    {"name": "text", "version": "{version}", "state": "READY"},
                )
            )
        },
    ),
    Case(name="load", call="load", model="spare"),
    Case(
        name="what was loaded is ready",
        call="model_ready",
        model="spare",
        clients=BY_TRITON,
        fields=True,
    ),
    Case(name="load again", call="load", model="spare"),
    Case(name="unload", call="unload", model="spare"),
    Case(
        name="what was unloaded is not ready",
        call="model_ready",
        model="spare",
        clients=BY_TRITON,
        fields=False,
    ),
    Case(
        name="load what does not exist",
        call="load",
        model="nobody",
        status="not_found",
        differs={"triton": Differs("it takes it for its own failure", "internal")},
    ),
    Case(
        name="log settings",
        call="logging",
        fields={"log_info": ANY, "log_verbose_level": 0},
    ),
    Case(
        name="change a log setting",
        call="logging",
        parameters={"log_verbose_level": 1},
        fields={"log_verbose_level": 1, "log_info": ANY, "log_error": ANY},
    ),
    Case(
        name="change it back",
        call="logging",
        parameters={"log_verbose_level": 0},
        fields={"log_verbose_level": 0},
    ),
    Case(
        name="unknown log setting",
        call="logging",
        parameters={"log_colour": "red"},
        # The other client knows the settings by name.
        clients=("plain", "triton_http"),
        status="invalid",
        differs={"triton": Differs("it passes over what it does not know", "ok")},
    ),
    Case(
        name="statistics of an unknown model",
        call="statistics",
        model="nobody",
        status="not_found",
        differs={"triton": Differs("404 is for what is not there, on every route", "invalid")},
    ),
    Case(name="no such path", call="http", method="GET", path="/v2/nothing", status="not_found"),
    Case(
        name="wrong method",
        call="http",
        method="GET",
        path="/v2/models/add_sub/infer",
        status="wrong_method",
    ),
)
