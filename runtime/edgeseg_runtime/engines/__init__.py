"""Inference engines: one file each, one literal table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg_runtime.engines.base import Batch, Capabilities, Engine, EngineOptions, Raw, Request
from edgeseg_runtime.engines.openvino import OpenVinoEngine
from edgeseg_runtime.engines.ort import OrtEngine
from edgeseg_runtime.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ENGINES", "Batch", "Capabilities", "Engine", "EngineOptions", "Raw", "Request", "engine_for"]

ENGINES: Mapping[str, type[Engine]] = {OrtEngine.name: OrtEngine, OpenVinoEngine.name: OpenVinoEngine}


def engine_for(path: Path, name: str | None) -> type[Engine]:
    """Return the engine called `name`, or, without a name, the one at home in the file's format.

    Raises EngineError when the name is unknown.
    """
    if name is None:
        name = OpenVinoEngine.name if path.suffix == ".xml" else OrtEngine.name
    if name not in ENGINES:
        raise EngineError(f"engine {name!r} is unknown; choose one of {', '.join(ENGINES)}")
    return ENGINES[name]
