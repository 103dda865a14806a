"""OpenVINO."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
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
from edgeseg_runtime.engines.load_openvino import load_openvino, openvino_core
from edgeseg_runtime.errors import ModelFileError
from edgeseg_runtime.machine import usable_cores

_UNTOUCHED = 255
"""Fills each byte of an output's last value before an inference."""


class OpenVinoEngine:
    """A model in OpenVINO, from its own IR or from ONNX.

    OpenVINO computes in bf16 without being asked wherever the processor can. Here it never does: the file's
    precision decides, and a file that does not say is run in float32.
    """

    name: ClassVar[str] = "openvino"

    def __init__(self, path: Path, options: EngineOptions) -> None:
        capabilities = self.capabilities()
        check_request(self.name, path, options.device, capabilities)
        core = openvino_core()
        model = _read(core, path)
        self.metadata: Mapping[str, str] = _metadata(model, path)
        self.contract = contract_of(self.metadata, path, options.contract)
        self.precision = precision_of(self.metadata, path, self.name, capabilities)
        outputs = [_port(output) for output in model.outputs]
        self._outputs = check_ports(path, self.contract, _port(model.inputs[0]), outputs)
        self.threads = options.threads or usable_cores()
        with _compiling(path):
            if model.is_dynamic():
                model.reshape([1, *self.contract.size, 3])
        self._compile = partial(_compile, core, model, path, options.device.upper(), self._settings(options))
        self.compiled = self._compile()
        # Streams of one compiled model hand each frame to a thread of OpenVINO's and back, and leave a core waiting
        # for 5 to 15 % of the time; a lane with a model of its own on one thread computes where it stands.
        self._shared = options.lanes == 1 or options.device != "cpu"
        self._unused = [self.compiled]
        static = all(output.partial_shape.is_static for output in self.compiled.outputs)
        self._computes_here = static and options.device == "cpu" and self.threads // options.lanes <= 1

    def _settings(self, options: EngineOptions) -> dict[str, Any]:
        precision = {"INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bf16" else "f32"}
        if options.device != "cpu":
            return {"PERFORMANCE_HINT": "LATENCY" if options.lanes == 1 else "THROUGHPUT", **precision}
        return {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": max(1, self.threads // options.lanes),
            # Left alone, OpenVINO binds its first thread to the first core, in every process: two programs of one
            # thread each share that core and leave the others idle.
            "ENABLE_CPU_PINNING": options.lanes == 1 and self.threads >= usable_cores(),
            **precision,
        }

    @classmethod
    def capabilities(cls) -> Capabilities:
        """Ask the installed OpenVINO for its devices, and the processor plug-in for its precisions."""
        core = openvino_core()
        optimisations = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        precisions = ("float32", "bf16", "int8") if "BF16" in optimisations else ("float32", "int8")
        devices = tuple(device.lower() for device in core.available_devices)
        if core.get_versions("AUTO"):  # OpenVINO's own choice among these; it may be left out of a build
            devices += ("auto",)
        return Capabilities(suffixes=(".xml", ".onnx"), devices=devices, precisions=precisions)

    def request(self) -> Request:
        """Create an inference request of its own; on the CPU, where there are several lanes, with its own model."""
        tensor = load_openvino().Tensor
        request, outputs = self._for_request().create_infer_request(), self._outputs
        infer = partial(_infer_here, outputs=outputs) if self._computes_here else _infer_aside

        def run(batch: Batch) -> Raw:
            # Shared memory both ways: the input is read in place (unless it is read-only or has gaps), the outputs
            # are valid until the next call. `infer([batch])` has up to 70 µs of Python around it.
            image = np.require(batch, requirements=("C", "W"))  # named, since the tensor does not keep it alive
            request.set_input_tensor(tensor(image, shared_memory=True))
            infer(request)
            return tuple(request.get_output_tensor(place).data for place in outputs)

        return run

    def _for_request(self) -> Any:
        if self._shared:
            return self.compiled
        try:
            return self._unused.pop()
        except IndexError:
            return self._compile()


@contextmanager
def _compiling(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # see _read
        raise ModelFileError(f"openvino cannot compile {path}: {_last_line(error)}") from error


def _compile(core: Any, model: Any, path: Path, device: str, settings: Mapping[str, Any]) -> Any:
    """Compile the model, for one lane more perhaps. Raises ModelFileError."""
    with _compiling(path):
        return core.compile_model(model, device, settings)


def _infer_aside(request: Any) -> None:
    """Run a request in OpenVINO's own threads. Raises RuntimeError."""
    request.start_async()
    try:
        request.wait()
    except RuntimeError as error:
        raise RuntimeError(f"openvino: {_last_line(error)}") from error


def _infer_here(request: Any, outputs: Sequence[int]) -> None:
    """Run a request whose outputs have fixed sizes in the calling thread, about 90 µs sooner. Raises RuntimeError.

    On one thread `infer()` of OpenVINO 2026.4 swallows an inference's error and leaves the outputs as they were. So
    what no inference leaves behind is put at their ends beforehand: all bits set is no class of a mask, and of all NaN
    none that arithmetic makes. Where it is still there, a second run, aside, tells the reason; what it may compute is
    not to be had, since a run after a failure is known to pass over what made the first one fail. The core keeps this
    model's thread for the next one, which would end in a segmentation fault; so the next one gets another core.
    """
    ends = [request.get_output_tensor(place).data.reshape(-1)[-1:].view(np.uint8) for place in outputs]
    for end in ends:
        end.fill(_UNTOUCHED)
    request.infer(share_outputs=True)
    if any((end == _UNTOUCHED).all() for end in ends):
        openvino_core.cache_clear()
        _infer_aside(request)
        raise RuntimeError("openvino: an inference failed and did not say why")


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
