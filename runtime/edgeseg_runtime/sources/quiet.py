"""OpenCV's own messages, where a SourceError says the same thing better."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2


@contextmanager
def without_warnings() -> Iterator[None]:
    """Keep OpenCV from printing warnings; errors still show."""
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(min(before, cv2.utils.logging.LOG_LEVEL_ERROR))
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)
