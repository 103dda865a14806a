"""Whose a file is that somebody may still be writing: writers lock theirs, and what a killed process left is free."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def claimed(path: Path) -> Iterator[BinaryIO | None]:
    """Open a file that nobody writes, and keep others from it; None where somebody does. Raises OSError."""
    try:
        number = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    with os.fdopen(number, "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        same = path.exists() and os.path.samestat(path.lstat(), os.fstat(file.fileno()))
        yield file if same else None


@contextmanager
def own(path: Path) -> Iterator[None]:
    """Make a file and keep it claimed while the body writes it, by whatever means. Raises OSError."""
    number = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)
    try:
        with suppress(OSError):  # a file system without locks, where nobody can claim it either
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(number)
