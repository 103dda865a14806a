"""A window on the screen, where there is one."""

from __future__ import annotations

import os
import subprocess
import sys

import cv2

from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.sinks.base import Shot, Sink

TITLE = "edgeseg (q closes)"
_KEYS = (ord("q"), 27)  # 27: Escape


class WindowSink(Sink[Image]):
    """Shows annotated frames. Raises OutputError where no window can be opened."""

    name = "window"
    in_main_thread = True
    patience = 0.03

    def __init__(self) -> None:
        if problem := window_problem():
            raise OutputError(problem)
        os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")  # Qt misses fonts that nobody sees
        cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        self._shown = False

    def encode(self, shot: Shot) -> Image:
        """Draw the overlay."""
        return shot.picture

    def write(self, shot: Shot, encoded: Image) -> None:  # noqa: ARG002
        """Show the frame."""
        if not self._shown:
            cv2.resizeWindow(TITLE, encoded.shape[1], encoded.shape[0])
        cv2.imshow(TITLE, encoded)
        self._shown = True
        self.idle()

    def idle(self) -> None:
        """Let the window react: q, Escape or its own button end the stream."""
        if cv2.pollKey() & 0xFF in _KEYS or cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1:
            self.wanted = False

    def close(self) -> None:
        """Close the window."""
        cv2.destroyAllWindows()


def window_problem() -> str | None:
    """Return why no window can be opened on this machine, None if one can.

    A process of its own tries it: OpenCV's toolkit aborts the whole process when the display does not answer.
    """
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "a window needs a display, and this machine shows none (DISPLAY is not set)"
    probe = [sys.executable, "-c", "import cv2; cv2.namedWindow('edgeseg'); cv2.destroyAllWindows()"]
    try:
        attempt = subprocess.run(probe, capture_output=True, text=True, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return "a window needs a display, and this machine's does not answer"
    if attempt.returncode == 0:
        return None
    if "not implemented" in attempt.stderr:
        return (
            "the installed OpenCV is built without windows; "
            "use: pip uninstall opencv-python-headless && pip install --force-reinstall opencv-python"
        )
    return f"the display {os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')!r} cannot be opened"
