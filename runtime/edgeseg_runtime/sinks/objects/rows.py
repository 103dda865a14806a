"""Objects as a table: a row for each object of each frame."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TextIO

from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.sinks.base import Shot, Sink
from edgeseg_runtime.sinks.objects.common import result_of

COLUMNS = ("frame", "camera", "time", "id", "class", "score", "left", "top", "right", "bottom")


class CsvSink(Sink[str]):
    """Writes CSV (RFC 4180, UTF-8) with a header row.

    `frame` counts from 0; `camera` is empty where there is only one source; `time` is the frame's position in seconds,
    empty for pictures; `id` is empty where an object has none; boxes are in pixels. Frames that are shown with an
    earlier one's objects have no rows. Rows are flushed frame by frame, so that another program can follow them.
    """

    name = "csv"
    backlog = 64

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror}") from error
        self._put(_rows([COLUMNS]))

    def encode(self, shot: Shot) -> str:
        """Format the rows. Raises OutputError for a model that finds no objects."""
        result, frame = result_of(shot), shot.frame
        if not shot.fresh:
            return ""
        time = "" if frame.position is None else f"{frame.position:.4f}"
        return _rows(
            [
                (
                    frame.index,
                    frame.camera,
                    time,
                    result.ids[place] or "" if result.ids else "",
                    result.contract.names[result.labels[place]],
                    f"{result.scores[place]:.4f}",
                    *(f"{value:.2f}" for value in result.boxes[place]),
                )
                for place in range(len(result))
            ]
        )

    def write(self, shot: Shot, encoded: str) -> None:  # noqa: ARG002
        """Write the rows. Raises OutputError."""
        if encoded:
            self._put(encoded)

    def close(self) -> None:
        """Close the file. Raises OutputError."""
        try:
            self._file.close()
        except OSError as error:
            raise OutputError(f"{self._path} cannot be written: {error.strerror}") from error

    def _put(self, text: str) -> None:
        try:
            self._file.write(text)
            self._file.flush()
        except OSError as error:
            raise OutputError(f"{self._path} cannot be written: {error.strerror}") from error


def _rows(rows: list[tuple[object, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
