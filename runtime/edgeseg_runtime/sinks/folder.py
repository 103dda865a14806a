"""Some files for every frame."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.files import write_text
from edgeseg_runtime.sinks.base import Shot, Sink

Files = dict[str, bytes]
"""Content by the name in the output's folder."""


class FolderSink(Sink[Files]):
    """Writes the files that `encode` returns, each under a temporary name first, into one folder."""

    backlog = 8

    def __init__(self, folder: Path, tables: Mapping[str, str], subfolder: str = "") -> None:
        """Write `tables`, text by file name, which is all of a stream without frames. Raises OutputError."""
        self._folder = folder
        try:
            for name, text in tables.items():
                write_text(folder / name, text)
            (folder / subfolder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder} cannot be written to: {error.strerror}") from error

    def write(self, shot: Shot, encoded: Files) -> None:  # noqa: ARG002
        """Write the files. Raises OutputError."""
        for name, data in encoded.items():
            path = self._folder / name
            temporary = path.with_name(f".{path.name}.partial")
            try:
                # Renamed into place but not synced: a sync per frame costs more than the frame.
                temporary.write_bytes(data)
                temporary.replace(path)
            except OSError as error:
                temporary.unlink(missing_ok=True)
                raise OutputError(f"{path} cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Every file is already closed."""


def compress(suffix: str, picture: npt.NDArray[np.uint8 | np.uint16], settings: list[int]) -> bytes:
    """Return a picture as a file of that kind. Raises OutputError."""
    done, data = cv2.imencode(suffix, picture, settings)
    if not done:
        raise OutputError(f"OpenCV could not encode a {suffix} of {picture.shape}")
    return data.tobytes()


def compress_png(picture: npt.NDArray[np.uint8 | np.uint16]) -> bytes:
    """Return a mask as a PNG; level 1, because masks shrink well at any and time counts. Raises OutputError."""
    return compress(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])
