"""int8 after training, in two ways: quickly, for files that are only timed, and as well as `edgeseg export` does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from edgeseg_export.deployable import Deployable
from edgeseg_export.layers import find_layers
from edgeseg_export.ptq import choose_openvino, choose_ort
from edgeseg_export.quantize_openvino import quantize_ir
from edgeseg_export.quantize_ort import prepare, quantize_onnx
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.progress import Progress, silent

Write = Callable[[Path, Sequence[str]], None]
"""(file to write, layers that stay in float) → None."""


class Quantise(Protocol):
    """A way to make int8 files for either engine."""

    def writer(self, engine: str, source: Path, module: Deployable) -> Write:
        """Return what writes int8 files of a float32 ONNX file, which was made of `module`."""
        ...


@dataclass(frozen=True)
class Quickly:
    """Measures ranges on these pictures and tries nothing else; has no layers in float."""

    pictures: Sequence[Image]

    def writer(self, engine: str, source: Path, module: Deployable) -> Write:
        """See Quantise."""

        def write(path: Path, float_layers: Sequence[str]) -> None:
            if float_layers:
                raise ValueError(f"files that are only timed have every layer in int8, not {', '.join(float_layers)}")
            (quantize_ir if engine == "openvino" else quantize_onnx)(source, path, module, self.pictures)

        return write


@dataclass(frozen=True)
class Well:
    """Chooses how to quantise by the masks of held-back pictures.

    What was chosen last for an engine is kept, since files with more or fewer layers in float are often wanted next.
    """

    pictures: Sequence[Image]
    progress: Progress = silent
    _last: dict[str, tuple[Path, Write]] = field(default_factory=dict)

    def writer(self, engine: str, source: Path, module: Deployable) -> Write:
        """See Quantise."""
        if engine not in self._last or self._last[engine][0] != source:
            self._last.pop(engine, None)  # its measured values take memory
            choose = self._openvino if engine == "openvino" else self._onnxruntime
            self._last[engine] = source, choose(source, module)
        return self._last[engine][1]

    def _onnxruntime(self, source: Path, module: Deployable) -> Write:
        found = choose_ort(source, module, self.pictures, self.progress)
        return lambda path, float_layers: found.quantiser.write(path, found.recipe, float_layers)

    def _openvino(self, source: Path, module: Deployable) -> Write:
        layers = find_layers(prepare(source, equalised=False))
        return choose_openvino(source, module, self.pictures, layers, self.progress).quantiser.write
