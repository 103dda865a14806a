"""Objects as LabelMe has them (github.com/wkentaro/labelme): a JSON file a picture."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.instances.outlines import outline, parts
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sinks.folder import Files, FolderSink
from edgeseg_runtime.sinks.objects.common import objects_of, one_a_line, result_of

LABELS = "labels.txt"
_VERSION = "5.5.0"
"""Of the program whose files look like this."""


class LabelmeSink(FolderSink):
    """Writes `<name>.json`, which names its picture, and the class names.

    A polygon for each piece of an object, along its pixels' edges; pieces of one object have its group id, counted from
    the surest, and its score as their description. The surest come last, for there the program draws what is on top.
    """

    name = "labelme"

    def __init__(self, folder: Path, contract: Contract, pictures: Mapping[str, Path]) -> None:
        """`pictures`: the file of each frame, by the frame's name. Raises OutputError."""
        super().__init__(folder, {LABELS: one_a_line(contract, LABELS)})
        self._pictures = pictures

    def encode(self, shot: Shot) -> Files:
        """Draw the outlines."""
        result = result_of(shot)
        shapes = [
            {
                "label": result.contract.names[result.labels[place]],
                "points": outline(part).tolist(),
                "group_id": place + 1,
                "description": f"{result.scores[place]:.4f}",
                "shape_type": "polygon",
                "flags": {},
            }
            for place, region in reversed(list(objects_of(result)))
            for part in parts(region)
        ]
        content: dict[str, Any] = {
            "version": _VERSION,
            "flags": {},
            "shapes": shapes,
            "imagePath": os.path.relpath(self._pictures[shot.frame.name], self._folder),
            "imageData": None,
            "imageHeight": result.height,
            "imageWidth": result.width,
        }
        return {f"{shot.frame.name}.json": json.dumps(content, ensure_ascii=False, indent=2).encode()}
