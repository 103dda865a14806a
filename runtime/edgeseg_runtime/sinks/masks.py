"""A mask file for every frame."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import cv2

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.files import write_text
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.sinks.base import Shot, Sink

CLASS_TABLE = "classes.csv"


class MasksSink(Sink[dict[str, bytes]]):
    """Writes `<name>.png`, 8-bit class indices, and the class table; with `overlays` also `<name>.overlay.jpg`."""

    name = "masks"
    backlog = 8

    def __init__(self, folder: Path, contract: Contract, *, overlays: bool = False) -> None:
        self._folder, self._overlays = folder, overlays
        try:
            write_text(folder / CLASS_TABLE, class_table(contract))
        except OSError as error:
            raise OutputError(f"{folder} cannot be written to: {error.strerror}") from error

    def encode(self, shot: Shot) -> dict[str, bytes]:
        """Compress the files; level 1, because masks shrink well at any and time counts."""
        files = {f"{shot.frame.name}.png": _compress(".png", shot.result.mask, [cv2.IMWRITE_PNG_COMPRESSION, 1])}
        if self._overlays:
            files[f"{shot.frame.name}.overlay.jpg"] = _compress(".jpg", shot.picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
        return files

    def write(self, shot: Shot, encoded: dict[str, bytes]) -> None:  # noqa: ARG002
        """Write the files. Raises OutputError."""
        for name, data in encoded.items():
            temporary = self._folder / f".{name}.partial"
            try:
                # Renamed into place but not synced: a sync per frame costs more than the frame.
                temporary.write_bytes(data)
                temporary.replace(self._folder / name)
            except OSError as error:
                temporary.unlink(missing_ok=True)
                raise OutputError(f"{self._folder / name} cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Every file is already closed."""


def class_table(contract: Contract) -> str:
    """Return the CSV that the folder reader of labelled pictures takes: index, name, r, g, b."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["index", "name", "r", "g", "b"])
    rows.writerows([index, label.name, *label.color] for index, label in enumerate(contract.labels))
    return text.getvalue()


def _compress(suffix: str, picture: Image, settings: list[int]) -> bytes:
    done, data = cv2.imencode(suffix, picture, settings)
    if not done:
        raise OutputError(f"OpenCV could not encode a {suffix} of {picture.shape}")
    return data.tobytes()
