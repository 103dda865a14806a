"""The folder of a run or a search, which one process at a time may work in."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgeseg_runtime.errors import ConfigError, OutputError


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make a folder, if there is none, and keep other processes that ask from it while the body runs.

    A folder that was made is taken away again if nothing came into it. Raises OutputError when it cannot be made,
    ConfigError when another process holds it.
    """
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}; choose another --out") from error
    try:
        _lock(number, folder)
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(number, fcntl.LOCK_UN)  # closing leaves it to the workers that were forked meanwhile
        os.close(number)
        if made:
            with suppress(OSError):  # it is not empty
                folder.rmdir()


def _lock(number: int, folder: Path) -> None:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConfigError(f"another process is at work in {folder}; wait for it, or choose another --out") from error
    except OSError:  # a file system without locks
        return
