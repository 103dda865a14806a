"""Objects as YOLO's segmentation sets have them: a text file a picture, `class x1 y1 x2 y2 …` in shares of its size."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.instances.outlines import outline
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sinks.folder import Files, FolderSink
from edgeseg_runtime.sinks.objects.common import objects_of, one_a_line, result_of

CLASSES, LABELS = "classes.txt", "labels"


class YoloSink(FolderSink):
    """Writes `labels/<name>.txt`, empty for a picture without objects, and the class names in their order.

    The format has one polygon for an object and no score: pieces and holes are joined by lines that enclose nothing.
    """

    name = "yolo"

    def __init__(self, folder: Path, contract: Contract) -> None:
        super().__init__(folder, {CLASSES: one_a_line(contract, CLASSES)}, LABELS)

    def encode(self, shot: Shot) -> Files:
        """Draw the outlines."""
        result = result_of(shot)
        size = np.array([result.width, result.height])
        lines = [
            " ".join([str(result.labels[place]), *(f"{share:.6g}" for share in (outline(region) / size).ravel())])
            for place, region in objects_of(result)
        ]
        return {f"{LABELS}/{shot.frame.name}.txt": "".join(f"{line}\n" for line in lines).encode()}
