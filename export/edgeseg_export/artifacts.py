"""The files an export makes: their names, how each is built, and what is written down about them."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from edgeseg_export.calibration import Audit
from edgeseg_export.deployable import Deployable
from edgeseg_export.onnx_file import DynamicAxes, contract_metadata, export_onnx
from edgeseg_runtime.contract import Precision
from edgeseg_runtime.files import sha256
from edgeseg_runtime.preprocess import Image

PACKAGES = ("torch", "torchvision", "onnx", "onnxscript", "onnxsim", "onnxruntime", "openvino", "nncf", "numpy")


@dataclass(frozen=True)
class Artifact:
    """One exported model: a folder that holds it whole."""

    name: str
    """`<format>-<precision>`, also the folder's name."""
    file: Path
    """model.onnx or model.xml (its model.bin lies beside it)."""
    precision: Precision

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.file.parent

    def facts(self, root: Path) -> dict[str, Any]:
        """Return name, precision and the SHA-256 and size of every file, paths relative to `root`."""
        files = {
            str(file.relative_to(root)): {"sha256": sha256(file), "bytes": file.stat().st_size}
            for file in sorted(self.folder.iterdir())
        }
        return {"name": self.name, "precision": self.precision, "files": files}


@dataclass(frozen=True)
class Calibration:
    """The pictures that int8 ranges are measured on."""

    source: str
    """Where they come from, as a person would say it."""
    seed: int
    names: tuple[str, ...]
    pictures: Sequence[Image]
    audit: Audit

    def facts(self) -> dict[str, Any]:
        """Return everything needed to choose the same pictures again."""
        return {
            "source": self.source,
            "seed": self.seed,
            "brightness_distance": self.audit.brightness_distance,
            "pictures": list(self.names),
        }


def build_artifacts(
    module: Deployable, folder: Path, calibration: Calibration | None, dynamic: DynamicAxes, bf16: bool
) -> Iterator[Artifact]:
    """Build one artifact after another below `folder`; int8 only with a calibration set, bf16 only where asked for."""
    # openvino and nncf take seconds to import, and the ONNX writer is of use without them
    from edgeseg_export.openvino_file import read_folded, save_ir
    from edgeseg_export.quantize_openvino import quantize_ir
    from edgeseg_export.quantize_ort import quantize_onnx

    source = folder / "onnx-float32" / "model.onnx"
    export_onnx(module, source, dynamic)
    yield Artifact("onnx-float32", source, "float32")
    precisions: tuple[Precision, ...] = ("float32", "bf16") if bf16 else ("float32",)
    for precision in precisions:
        path = folder / f"openvino-{precision}" / "model.xml"
        save_ir(read_folded(source), path, contract_metadata(module, precision))
        yield Artifact(f"openvino-{precision}", path, precision)
    if calibration is None:
        return
    path = folder / "onnx-int8" / "model.onnx"
    quantize_onnx(source, path, module, calibration.pictures)
    yield Artifact("onnx-int8", path, "int8")
    path = folder / "openvino-int8" / "model.xml"
    quantize_ir(source, path, module, calibration.pictures)
    yield Artifact("openvino-int8", path, "int8")


def package_versions() -> dict[str, str]:
    """Return the versions of everything that had a hand in the files."""
    installed = {str(item.name).lower(): item.version for item in distributions()}
    return {"python": platform.python_version()} | {name: installed.get(name, "not installed") for name in PACKAGES}
