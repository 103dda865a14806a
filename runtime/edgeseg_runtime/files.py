"""Files that appear whole or not at all: written beside their final name, synced, renamed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgeseg_runtime.errors import OutputError


@contextmanager
def atomic_path(path: Path, *, over_folder: bool = False) -> Iterator[Path]:
    """Yield a temporary name in `path`'s folder with the same suffix; rename it to `path` if the body succeeds.

    The body writes a file or makes a folder there. If the body raises (or is interrupted), nothing is left. A folder
    that holds something is replaced only `over_folder`, by who has looked at what it holds.
    Raises OutputError when the folder cannot be made or written to, and for a folder in the way.
    """
    if not over_folder and path.is_dir() and any(path.iterdir()):
        raise OutputError(f"cannot write {path}: there is a folder of that name, which is not empty")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {path.parent}: {error.strerror}") from error
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"cannot write {path}: the folder is read-only")
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.partial{path.suffix}")
    try:
        yield temporary
        if temporary.is_file():
            with temporary.open("rb") as handle:
                os.fsync(handle.fileno())
            if path.is_dir():
                raise OutputError(f"cannot write {path}: there is a folder of that name")
        elif path.is_dir():
            remove(path)  # os.replace cannot put a folder over a full one
        temporary.replace(path)
    finally:
        remove(temporary)


def remove(path: Path) -> None:
    """Delete a file or a folder tree; nothing happens if there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically, in UTF-8; of names of files that are none, \\udcNN stands for a byte."""
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` atomically as indented JSON; NaN is refused because other readers refuse it."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
