"""One exported model, and what is written down about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeseg_runtime.contract import Precision
from edgeseg_runtime.files import sha256


@dataclass(frozen=True)
class Artifact:
    """One exported model: a folder that holds it whole."""

    name: str
    """`<format>-<precision>`, also the folder's name."""
    file: Path
    """model.onnx or model.xml (its model.bin lies beside it)."""
    precision: Precision
    about: Mapping[str, Any] = field(default_factory=dict)
    """How int8 was made: the recipe, and the layers that stay in float."""
    remarks: tuple[str, ...] = ()
    """The same in a line or two."""

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
        return {"name": self.name, "precision": self.precision, **self.about, "files": files}
