"""Lines of text into a file, or to stdout, as they come."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TextIO

from edgeseg_runtime.errors import OutputError

STDOUT = "-"


class LineFile:
    """Writes whole lines to a new file, or to stdout for `-`. Raises OutputError where it cannot be opened.

    Lines go straight to the final name and are flushed one by one, so that another program can follow them.
    """

    def __init__(self, target: str) -> None:
        self._target = target
        self.wanted = True
        """Turns False when the reader of stdout has had enough."""
        self._file: TextIO
        if target == STDOUT:
            self._file = sys.stdout
            return
        try:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            self._file = Path(target).open("w", encoding="utf-8")  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise OutputError(f"{target} cannot be written: {error.strerror}") from error

    def put(self, line: str) -> None:
        """Write a line. Raises OutputError, but not when the reader of stdout has had enough."""
        try:
            self._file.write(line + "\n")
            self._file.flush()
        except BrokenPipeError:
            # What Python still holds for stdout would raise once more when the process ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._file.fileno())
            self.wanted = False
        except OSError as error:
            raise OutputError(f"{self._target} cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Close the file; stdout stays open. Raises OutputError."""
        if self._target == STDOUT:
            return
        try:
            self._file.close()
        except OSError as error:
            raise OutputError(f"{self._target} cannot be written: {error.strerror}") from error
