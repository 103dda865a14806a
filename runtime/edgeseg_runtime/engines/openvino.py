"""OpenVINO."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from edgeseg_runtime.contract import CONTRACT_KEY, PRECISION_KEY
from edgeseg_runtime.engines.base import Batch, Capabilities, EngineOptions, Raw, Request
from edgeseg_runtime.errors import EngineError, ModelFileError
from edgeseg_runtime.extras import require


class OpenVinoEngine:
    """A model in OpenVINO, from its own IR or from ONNX.

    OpenVINO computes in bf16 without being asked wherever the processor can. Here it never does: the file's
    precision decides, and a file that does not say is run in float32.
    """

    name: ClassVar[str] = "openvino"

    def __init__(self, path: Path, options: EngineOptions) -> None:
        openvino = require("openvino", "openvino")
        capabilities = self.capabilities()
        if options.device not in capabilities.devices:
            raise EngineError(
                f"openvino has no device {options.device!r} here; it has {', '.join(capabilities.devices)}"
            )
        core = openvino.Core()
        try:
            model = core.read_model(path)
        except Exception as error:  # every fault of a file comes as a bare RuntimeError with a page of text
            raise ModelFileError(f"openvino cannot load {path}: {_last_line(error)}") from error
        self.metadata: Mapping[str, str] = _metadata(model, path)
        precision = self.metadata.get(PRECISION_KEY, "float32")
        if precision not in capabilities.precisions:
            raise EngineError(f"{path} is meant for {precision}, which this processor cannot compute in")
        if options.input_size is not None and model.is_dynamic():
            model.reshape([1, *options.input_size, 3])
        self.threads = options.threads or os.cpu_count() or 1
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY" if options.lanes == 1 else "THROUGHPUT",
            "NUM_STREAMS": options.lanes,
            "INFERENCE_NUM_THREADS": self.threads,
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        }
        if options.device != "cpu":
            del settings["NUM_STREAMS"], settings["INFERENCE_NUM_THREADS"]  # settings of the CPU plug-in alone
        try:
            self.compiled = core.compile_model(model, options.device.upper(), settings)
        except Exception as error:
            raise ModelFileError(f"openvino cannot compile {path}: {_last_line(error)}") from error

    @classmethod
    def capabilities(cls) -> Capabilities:
        """Ask the installed OpenVINO for its devices, and the processor plug-in for its precisions."""
        core = require("openvino", "openvino").Core()
        optimisations = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        precisions = ("float32", "bf16", "int8") if "BF16" in optimisations else ("float32", "int8")
        devices = tuple(device.lower() for device in core.available_devices)
        return Capabilities(suffixes=(".xml", ".onnx"), devices=devices, precisions=precisions)

    def request(self) -> Request:
        """Create an inference request of its own."""
        request = self.compiled.create_infer_request()

        def run(batch: Batch) -> Raw:
            # Shared memory both ways: the input is read in place, the output is valid until the next call.
            result: Raw = request.infer([batch], share_inputs=True, share_outputs=True)[0]
            return result

        return run


def _metadata(model: Any, path: Path) -> dict[str, str]:
    """Read what the file says of itself; ONNX metadata reaches OpenVINO under `framework`."""
    found: dict[str, str] = {}
    for key in (CONTRACT_KEY, PRECISION_KEY):
        place = key.split(".")
        for route in (place, ["framework", key]) if path.suffix == ".onnx" else (place,):
            if model.has_rt_info(route):
                found[key] = str(model.get_rt_info(route).astype(str))
                break
    return found


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
