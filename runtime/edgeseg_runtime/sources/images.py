"""Pictures on disk: one file, a folder, or a glob."""

from __future__ import annotations

import glob
import re
from collections.abc import Generator, Sequence
from pathlib import Path
from time import monotonic

import cv2
import numpy as np

from edgeseg_runtime.errors import SourceError
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.progress import Progress, silent
from edgeseg_runtime.sources.base import Frame
from edgeseg_runtime.sources.quiet import without_warnings

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


class ImagesSource:
    """Pictures in the order given, each read when its turn comes.

    With `skip_unreadable`, a picture that cannot be read is left out and named in `remarks`; without, it
    raises SourceError.
    """

    size: tuple[int, int] | None = None
    fps: float | None = None

    def __init__(
        self, paths: Sequence[Path], title: str, *, skip_unreadable: bool = False, progress: Progress = silent
    ) -> None:
        check_stems(paths)
        self.title, self.paths, self.length = title, tuple(paths), len(paths)
        self.remarks: list[str] = []
        self._skip = skip_unreadable
        self._waiting = iter(progress(self.paths, "pictures"))
        self._index = 0

    def read(self) -> Frame | None:
        """Return the next picture, None after the last. Raises SourceError."""
        for path in self._waiting:
            try:
                image = read_picture(path)
            except SourceError as error:
                if not self._skip:
                    raise
                self.remarks.append(str(error))
                continue
            frame = Frame(self._index, image, monotonic(), None, path.stem)
            self._index += 1
            return frame
        return None

    def close(self) -> None:
        """End the progress display; no file is open between pictures."""
        if isinstance(self._waiting, Generator):
            self._waiting.close()


def read_picture(path: Path) -> Image:
    """Read a picture as uint8 H×W×3 BGR, turned as its EXIF says. Raises SourceError naming the file and the reason."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error
    if not data:
        raise SourceError(f"{path} is empty")
    try:
        with without_warnings():
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:  # a header that asks for more pixels than OpenCV reads
        raise SourceError(f"{path} cannot be decoded: {error.err}") from error
    if image is None:
        raise SourceError(f"{path} is damaged, or not a picture")
    return image  # type: ignore[return-value]


def list_pictures(spec: str) -> list[Path]:
    """Return the pictures that `spec` names (a file, a folder, or a glob), in name order.

    Raises SourceError when there is none.
    """
    path = Path(spec)
    if path.is_file():
        return [path]
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if _is_picture(file))
        if not found:
            raise SourceError(f"{path} holds no picture ({', '.join(IMAGE_SUFFIXES)})")
        return found
    if not glob.has_magic(spec):
        # somebody may have forgotten rtsp:// before user:password@host
        raise SourceError(f"there is no file or folder {re.sub(r'(?s).*@', '***@', spec)}")
    matches = glob.glob(spec, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
    found = sorted(file for file in map(Path, matches) if _is_picture(file))
    if not found:
        raise SourceError(f"no picture matches {spec} ({', '.join(IMAGE_SUFFIXES)})")
    return found


def check_stems(paths: Sequence[Path]) -> None:
    """Raise SourceError when two pictures have the same stem: files named after them would overwrite each other."""
    seen: dict[str, Path] = {}
    for path in paths:
        if (other := seen.setdefault(path.stem, path)) is not path:
            raise SourceError(
                f"{other} and {path} would both give {path.stem!r} and overwrite each other; "
                f"name one kind or folder of pictures, with a glob if need be"
            )


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and not path.name.startswith(".")
