"""ONNX Runtime."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import onnxruntime

from edgeseg_runtime.engines.base import Batch, Capabilities, EngineOptions, Raw, Request
from edgeseg_runtime.errors import EngineError, ModelFileError

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


class OrtEngine:
    """A model in ONNX Runtime. `run` is safe from several threads, so requests share the session."""

    name: ClassVar[str] = "onnxruntime"

    def __init__(self, path: Path, options: EngineOptions) -> None:
        available = self.capabilities().devices
        if options.device not in available:
            raise EngineError(
                f"onnxruntime has no device {options.device!r} here; it has {', '.join(available)}"
                + ("; for NVIDIA cards install onnxruntime-gpu" if options.device in ("cuda", "tensorrt") else "")
            )
        self.threads = options.threads or os.cpu_count() or 1
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = max(1, self.threads // options.lanes)
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        # Spinning threads steal the core on which the next frame is being decoded.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(path, settings, providers=[PROVIDERS[options.device]])
        except Exception as error:  # onnxruntime raises a dozen unrelated types; all mean that the file is no good
            raise ModelFileError(f"onnxruntime cannot load {path}: {_first_line(error)}") from error
        if options.device != "cpu" and PROVIDERS[options.device] not in self._session.get_providers():
            raise EngineError(f"onnxruntime could not start {options.device!r} and would have used the CPU")
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._input: str = self._session.get_inputs()[0].name

    @classmethod
    def capabilities(cls) -> Capabilities:
        """Ask the installed build for its execution providers."""
        providers = onnxruntime.get_available_providers()
        devices = tuple(device for device, provider in PROVIDERS.items() if provider in providers)
        return Capabilities(suffixes=(".onnx",), devices=devices, precisions=("float32", "int8"))

    def request(self) -> Request:
        """Return a request on the shared session."""
        session, name = self._session, self._input

        def run(batch: Batch) -> Raw:
            result: Raw = session.run(None, {name: batch})[0]
            return result

        return run


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
