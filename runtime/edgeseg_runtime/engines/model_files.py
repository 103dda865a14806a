"""What a model file must be before an engine may see it.

Engines read what a model names: weights anywhere on the disk, through links too. Here a model is its own file and
regular files of its own folder, each of one name, so that whoever gives a model cannot make it read anything else.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edgeseg_runtime.engines.onnx_external import external_files
from edgeseg_runtime.errors import ModelFileError

PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".bin")
"""Suffixes of files that are often pickles."""

_ZIP = b"PK\x03\x04"
"""How a file that `torch.save` wrote begins: a zip with a pickle in it."""


def check_model_file(path: Path) -> None:
    """Raise ModelFileError unless `path` is no pickle and keeps to its own folder."""
    head = _head(path)
    if head == _ZIP or (head[:1] == b"\x80" and head[1:2] <= b"\x05"):
        raise ModelFileError(
            f"{path} is a pickle by its content, whatever its name; a pickle can run any program when it is read, "
            "so a device never loads one: export the model to ONNX"
        )
    if path.suffix == ".xml":
        weights = path.with_suffix(".bin")
        if os.path.lexists(weights):  # the engine says it best where there are none
            check_beside(path, weights.name)
    else:
        for location in sorted(external_files(path)):
            check_beside(path, location)


def check_beside(path: Path, location: str) -> None:
    """Raise ModelFileError unless `location` names a regular file in the folder of the model `path` or below it."""
    where = f"{path} keeps weights in {location!r}"
    if path.is_symlink():  # beside the link or beside its target? engines differ
        raise ModelFileError(f"{where} and is a symbolic link; give the model's real path")
    parts = location.split("/")
    if location.startswith("/") or ".." in parts or "\\" in location or "\0" in location:
        raise ModelFileError(f"{where}, which is not in the model's own folder")
    place = path.parent
    for part in parts:
        place = place / part
        try:
            facts = os.lstat(place)
        except OSError as error:
            raise ModelFileError(f"{where}, which cannot be read: {error.strerror}") from error
        if stat.S_ISLNK(facts.st_mode):
            raise ModelFileError(f"{where}, but {place} is a symbolic link; put a copy there in its place")
    if not stat.S_ISREG(facts.st_mode):
        raise ModelFileError(f"{where}, which is not a regular file")
    if facts.st_nlink > 1:
        raise ModelFileError(
            f"{where}, a hard link to a file that has {facts.st_nlink} names; put a copy of it in the model's folder"
        )


def why_not(path: Path) -> str:
    """Return the reason, to be put in brackets, why a file of this suffix is never loaded; empty if there is none."""
    if path.suffix.lower() in PICKLES:
        return f" (a {path.suffix} file may be a pickle, which can run any program when it is read)"
    if path.suffix == ".safetensors":
        return " (a .safetensors file holds weights without a network; export it)"
    return ""


def size_on_disk(path: Path) -> int:
    """Return the bytes of the model and its weights. Raises ModelFileError."""
    names = [path.with_suffix(".bin").name] if path.suffix == ".xml" else external_files(path)
    return path.stat().st_size + sum((path.parent / name).stat().st_size for name in names)


def _head(path: Path) -> bytes:
    try:
        if not path.is_file():  # opening a pipe would wait for its writer
            raise ModelFileError(f"{path} is not a file" if path.exists() else f"there is no model at {path}")
        with path.open("rb") as handle:
            return handle.read(4)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}") from error
