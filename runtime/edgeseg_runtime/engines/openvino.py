"""OpenVINO."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from edgeseg_runtime.contract import CONTRACT_KEY, PRECISION_KEY
from edgeseg_runtime.engines.base import (
    Batch,
    Capabilities,
    EngineOptions,
    Port,
    Raw,
    Request,
    check_ports,
    check_request,
    contract_of,
    precision_of,
)
from edgeseg_runtime.engines.load_openvino import load_openvino
from edgeseg_runtime.errors import ModelFileError
from edgeseg_runtime.machine import usable_cores


class OpenVinoEngine:
    """A model in OpenVINO, from its own IR or from ONNX.

    OpenVINO computes in bf16 without being asked wherever the processor can. Here it never does: the file's
    precision decides, and a file that does not say is run in float32.
    """

    name: ClassVar[str] = "openvino"

    def __init__(self, path: Path, options: EngineOptions) -> None:
        openvino = load_openvino()
        capabilities = self.capabilities()
        check_request(self.name, path, options.device, capabilities)
        core = openvino.Core()
        model = _read(core, path)
        self.metadata: Mapping[str, str] = _metadata(model, path)
        self.contract = contract_of(self.metadata, path, options.contract)
        self.precision = precision_of(self.metadata, path, self.name, capabilities)
        outputs = [_port(output) for output in model.outputs]
        self._outputs = check_ports(path, self.contract, _port(model.inputs[0]), outputs)
        self.threads = options.threads or usable_cores()
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY" if options.lanes == 1 else "THROUGHPUT",
            "NUM_STREAMS": options.lanes,
            "INFERENCE_NUM_THREADS": self.threads,
            # Left alone, OpenVINO binds its first thread to the first core, in every process: two programs of one
            # thread each share that core and leave the others idle.
            "ENABLE_CPU_PINNING": self.threads >= usable_cores(),
            "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bf16" else "f32",
        }
        if options.device != "cpu":
            for name in ("NUM_STREAMS", "INFERENCE_NUM_THREADS", "ENABLE_CPU_PINNING"):
                del settings[name]  # the CPU plug-in's alone
        try:
            if model.is_dynamic():
                model.reshape([1, *self.contract.size, 3])
            self.compiled = core.compile_model(model, options.device.upper(), settings)
        except Exception as error:  # see _read
            raise ModelFileError(f"openvino cannot compile {path}: {_last_line(error)}") from error

    @classmethod
    def capabilities(cls) -> Capabilities:
        """Ask the installed OpenVINO for its devices, and the processor plug-in for its precisions."""
        core = load_openvino().Core()
        optimisations = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        precisions = ("float32", "bf16", "int8") if "BF16" in optimisations else ("float32", "int8")
        devices = tuple(device.lower() for device in core.available_devices)
        if core.get_versions("AUTO"):  # OpenVINO's own choice among these; it may be left out of a build
            devices += ("auto",)
        return Capabilities(suffixes=(".xml", ".onnx"), devices=devices, precisions=precisions)

    def request(self) -> Request:
        """Create an inference request of its own."""
        tensor = load_openvino().Tensor
        request, outputs = self.compiled.create_infer_request(), self._outputs

        def run(batch: Batch) -> Raw:
            # Shared memory both ways: the input is read in place (unless it is read-only or has gaps), the outputs
            # are valid until the next call. `infer([batch])` has up to 70 µs of Python around it.
            image = np.require(batch, requirements=("C", "W"))  # named, since the tensor does not keep it alive
            request.set_input_tensor(tensor(image, shared_memory=True))
            # Not `infer()`: on one thread OpenVINO 2026.4 swallows an inference's error there and leaves noise.
            request.start_async()
            try:
                request.wait()
            except RuntimeError as error:
                raise RuntimeError(f"openvino: {_last_line(error)}") from error
            return tuple(request.get_output_tensor(place).data for place in outputs)

        return run


def _read(core: Any, path: Path) -> Any:
    weights = path.with_suffix(".bin")
    if path.suffix == ".xml" and not weights.is_file():
        raise ModelFileError(f"{path} needs its weights beside it, and there is no {weights.name}")
    try:
        return core.read_model(path)
    except Exception as error:  # every fault of a file comes as a bare RuntimeError with a page of text
        raise ModelFileError(f"openvino cannot load {path}: {_last_line(error)}") from error


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


def _port(value: Any) -> Port:
    kinds = {"u8": "uint8", "f32": "float32", "i64": "int64"}
    kind = value.element_type.get_type_name()
    shape = value.partial_shape
    sizes = tuple(size.get_length() if size.is_static else None for size in shape) if shape.rank.is_static else ()
    return Port(kinds.get(kind, kind), sizes, tuple(sorted(value.get_names())))


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
