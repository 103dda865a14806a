"""The files an export makes: which are wanted, and how each is built."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeseg_export.artifact import Artifact
from edgeseg_export.calibration import Audit
from edgeseg_export.deployable import FrameModule
from edgeseg_export.onnx_file import DynamicAxes, contract_metadata, export_onnx
from edgeseg_runtime.contract import Precision
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.progress import Progress, silent

if TYPE_CHECKING:
    from edgeseg_export.mixed import Mixed, MixedSearch

PACKAGES = ("torch", "torchvision", "onnx", "onnxscript", "onnxsim", "onnxruntime", "openvino", "nncf", "numpy")


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


@dataclass(frozen=True)
class Wanted:
    """Which files to build besides the float32 ones."""

    calibration: Calibration | None = None
    """None makes no int8 files."""
    dynamic: DynamicAxes = field(default_factory=DynamicAxes)
    bf16: bool = False
    search: MixedSearch | None = None
    """Puts layers of int8 files back to float until a bound holds; None leaves all in int8."""


def build_artifacts(
    module: FrameModule, folder: Path, wanted: Wanted, progress: Progress = silent
) -> Iterator[Artifact]:
    """Build one artifact after another below `folder`; of a module that was trained for int8, only the int8 ones.

    Raises GateFailed when a bound on what int8 may lose is not to be had.
    """
    # openvino takes seconds to import, and the ONNX writer is of use without it
    from edgeseg_export.openvino_file import read_folded, save_ir
    from edgeseg_export.quantized_onnx import build_quantized
    from edgeseg_export.quantized_ops import is_quantized

    if is_quantized(module):
        yield from build_quantized(module, folder, wanted.dynamic)
        return
    source = folder / "onnx-float32" / "model.onnx"
    export_onnx(module, source, wanted.dynamic)
    yield Artifact("onnx-float32", source, "float32")
    precisions: tuple[Precision, ...] = ("float32", "bf16") if wanted.bf16 else ("float32",)
    for precision in precisions:
        path = folder / f"openvino-{precision}" / "model.xml"
        save_ir(read_folded(source), path, contract_metadata(module, precision))
        yield Artifact(f"openvino-{precision}", path, precision)
    if wanted.calibration is not None:
        yield from _after_training(module, folder, wanted.calibration.pictures, wanted.search, progress)


def _after_training(
    module: FrameModule, folder: Path, pictures: Sequence[Image], search: MixedSearch | None, progress: Progress
) -> Iterator[Artifact]:
    """Build the int8 files of a network that was trained in float."""
    from edgeseg_export.ptq import choose_openvino, choose_ort

    source = folder / "onnx-float32" / "model.onnx"
    chosen = choose_ort(source, module, pictures, progress)

    def build_onnx(path: Path, float_layers: Sequence[str]) -> None:
        chosen.quantiser.write(path, chosen.recipe, float_layers)

    @cache
    def rank() -> Sequence[str]:
        assert search is not None
        with tempfile.TemporaryDirectory() as temporary:
            twin = Path(temporary) / "model.onnx"
            build_onnx(twin, ())
            return search.rank(source, twin)

    mixed = _write(build_onnx, folder / "onnx-int8" / "model.onnx", source, rank, search)
    yield _int8(folder / "onnx-int8" / "model.onnx", chosen.as_dict(), mixed)
    other = choose_openvino(source, module, pictures, chosen.quantiser.layers, progress)
    float_file = folder / "openvino-float32" / "model.xml"
    mixed = _write(other.quantiser.write, folder / "openvino-int8" / "model.xml", float_file, rank, search)
    yield _int8(folder / "openvino-int8" / "model.xml", other.as_dict(), mixed)


def _write(
    build: Callable[[Path, Sequence[str]], None],
    path: Path,
    float_file: Path,
    rank: Callable[[], Sequence[str]],
    search: MixedSearch | None,
) -> Mixed | None:
    if search is not None:
        return search.settle(build, rank, float_file, path)
    build(path, ())
    return None


def _int8(path: Path, recipe: Mapping[str, Any], mixed: Mixed | None) -> Artifact:
    about: dict[str, Any] = {"recipe": dict(recipe)}
    remarks = [f"{recipe['chosen']}"]
    if mixed is not None:
        about["mixed"] = mixed.as_dict()
        remarks.append(str(mixed))
    return Artifact(path.parent.name, path, "int8", about, tuple(remarks))


def package_versions() -> dict[str, str]:
    """Return the versions of everything that had a hand in the files."""
    installed = {str(item.name).lower(): item.version for item in distributions()}
    return {"python": platform.python_version()} | {name: installed.get(name, "not installed") for name in PACKAGES}
