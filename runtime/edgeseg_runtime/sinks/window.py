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
    """Shows annotated frames, each live camera in a window of its own. Raises OutputError where none can be opened."""

    name = "window"
    in_main_thread = True
    patience = 0.03

    def __init__(self) -> None:
        if problem := window_problem():
            raise OutputError(problem)
        os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")  # Qt misses fonts that nobody sees
        self._titles: set[str] = set()

    def encode(self, shot: Shot) -> Image:
        """Draw the overlay."""
        return shot.picture

    def write(self, shot: Shot, encoded: Image) -> None:
        """Show the frame."""
        title = f"{shot.frame.camera}: {TITLE}" if shot.frame.camera else TITLE
        if title not in self._titles:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
            cv2.resizeWindow(title, encoded.shape[1], encoded.shape[0])
            self._titles.add(title)
        cv2.imshow(title, encoded)
        self.idle()

    def idle(self) -> None:
        """Let the windows react: q, Escape or a window's own button end the stream."""
        if not self._titles:
            return
        closed = any(cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) < 1 for title in self._titles)
        if cv2.pollKey() & 0xFF in _KEYS or closed:
            self.wanted = False

    def close(self) -> None:
        """Close the windows."""
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
