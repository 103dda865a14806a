"""ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from edgeseg_runtime.contract import Contract
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
from edgeseg_runtime.errors import EngineError, ModelFileError
from edgeseg_runtime.machine import usable_cores

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


class OrtEngine:
    """A model in ONNX Runtime. `run` is safe from several threads, so requests share the session."""

    name: ClassVar[str] = "onnxruntime"

    def __init__(self, path: Path, options: EngineOptions) -> None:
        capabilities = self.capabilities()
        check_request(self.name, path, options.device, capabilities)
        self.threads = options.threads or usable_cores()
        session = _session(path, options, self.threads, {})
        self.metadata: Mapping[str, str] = dict(session.get_modelmeta().custom_metadata_map)
        self.contract = contract_of(self.metadata, path, options.contract)
        self.precision = precision_of(self.metadata, path, self.name, capabilities)
        if sizes := _open_sizes(session.get_inputs()[0].shape, self.contract):
            # Sizes can only be fixed before the graph is optimised; left open they cost up to 40 % of the speed.
            session = _session(path, options, self.threads, sizes)
        outputs = [_port(output) for output in session.get_outputs()]
        places = check_ports(path, self.contract, _port(session.get_inputs()[0]), outputs)
        self._session, self._outputs = session, [outputs[place].names[0] for place in places]

    @classmethod
    def capabilities(cls) -> Capabilities:
        """Ask the installed build for its execution providers."""
        providers = _onnxruntime().get_available_providers()
        devices = tuple(device for device, provider in PROVIDERS.items() if provider in providers)
        return Capabilities(suffixes=(".onnx",), devices=devices, precisions=("float32", "int8"))

    def request(self) -> Request:
        """Return a request on the shared session."""
        session, outputs = self._session, self._outputs
        image = session.get_inputs()[0].name

        def run(batch: Batch) -> Raw:
            # Reads the batch in place; binding the output to a buffer of our own was no faster.
            return tuple(session.run(outputs, {image: batch}))

        return run


def _onnxruntime() -> Any:
    """Return the onnxruntime module; imported late, since whoever runs another engine need not wait for it."""
    import onnxruntime

    return onnxruntime


def _session(path: Path, options: EngineOptions, threads: int, sizes: Mapping[str, int]) -> Any:
    """Load the file, with the named open sizes fixed."""
    onnxruntime = _onnxruntime()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = max(1, threads // options.lanes)
    settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    # Spinning threads steal the core on which the next frame is being decoded.
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    for name, size in sizes.items():
        settings.add_free_dimension_override_by_name(name, size)
    provider = PROVIDERS[options.device]
    try:
        session = onnxruntime.InferenceSession(path, settings, providers=[provider])
    except Exception as error:  # onnxruntime raises a dozen unrelated types; all mean that the file is no good
        raise ModelFileError(f"onnxruntime cannot load {path}: {_first_line(error)}") from error
    if provider not in session.get_providers():
        raise EngineError(f"onnxruntime could not start {options.device!r} and would have used the CPU")
    return session


def _open_sizes(shape: list[Any], contract: Contract) -> dict[str, int]:
    """Return the value of each named open size of an input (N, height, width, 3)."""
    wanted = (1, *contract.size, 3)
    return {name: size for name, size in zip(shape, wanted, strict=False) if isinstance(name, str)}


def _port(value: Any) -> Port:
    kinds = {"tensor(uint8)": "uint8", "tensor(float)": "float32", "tensor(int64)": "int64"}
    sizes = tuple(size if isinstance(size, int) else None for size in value.shape)
    return Port(kinds.get(value.type, value.type), sizes, (value.name,))


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
