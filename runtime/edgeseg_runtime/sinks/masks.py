"""A mask file for every frame."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.sinks.base import Shot
from edgeseg_runtime.sinks.folder import Files, FolderSink, compress_png

CLASS_TABLE = "classes.csv"


class MasksSink(FolderSink):
    """Writes `<name>.png`, 8-bit class indices, and the class table."""

    name = "masks"

    def __init__(self, folder: Path, contract: Contract) -> None:
        super().__init__(folder, {CLASS_TABLE: class_table(contract)})

    def encode(self, shot: Shot) -> Files:
        """Compress the mask."""
        return {f"{shot.frame.name}.png": compress_png(shot.result.mask)}


def class_table(contract: Contract) -> str:
    """Return the CSV that the folder reader of labelled pictures takes: index, name, r, g, b."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["index", "name", "r", "g", "b"])
    rows.writerows([index, label.name, *label.color] for index, label in enumerate(contract.labels))
    return text.getvalue()
