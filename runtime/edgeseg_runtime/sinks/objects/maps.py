"""Objects as two pictures: which class is at each pixel, and which object."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.instances.region import paint
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sinks.folder import Files, FolderSink, compress_png
from edgeseg_runtime.sinks.masks import CLASS_TABLE, class_table
from edgeseg_runtime.sinks.objects.common import result_of

OBJECTS = "objects"


class MapsSink(FolderSink):
    """Writes `<name>.png`, 8-bit class indices with 255 for none, `objects/<name>.png`, and the class table.

    `objects/` is 16-bit: the surest object at each pixel, counted from 1 in the order of their scores, 0 for none.
    """

    name = "png"

    def __init__(self, folder: Path, contract: Contract) -> None:
        super().__init__(folder, {CLASS_TABLE: class_table(contract)}, OBJECTS)

    def encode(self, shot: Shot) -> Files:
        """Compress both."""
        result, name = result_of(shot), f"{shot.frame.name}.png"
        return {name: compress_png(result.mask), f"{OBJECTS}/{name}": compress_png(object_map(result))}


def object_map(result: InstanceResult) -> npt.NDArray[np.uint16]:
    """Return the number of the surest object at each pixel, counted from 1; 0: none."""
    empty = np.zeros((result.height, result.width), np.uint16)
    return paint(empty, result.regions, range(1, len(result) + 1))
