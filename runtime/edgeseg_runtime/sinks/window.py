"""A window on the screen, where there is one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from time import monotonic
from typing import TypeAlias

import cv2

from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.sinks.base import Shot, Sink
from edgeseg_runtime.sinks.window_keys import HELP, View, with_words

TITLE = "edgeseg (h: keys)"
MESSAGE_SECONDS = 3.0

Keep: TypeAlias = Callable[[Shot], str]
"""Keeps a shot and returns the name it got. Raises OutputError."""


class WindowSink(Sink["tuple[float, Image]"]):
    """Shows annotated frames, each live camera in a window of its own. Raises OutputError where none can be opened.

    Keys hold the picture, change the mask, keep a picture with `keep`, and end the stream; see `window_keys`. What they
    change is this window's alone: other outputs go on as they were.
    """

    name = "window"
    in_main_thread = True
    patience = 0.03

    def __init__(self, opacity: float = 0.5, keep: Keep | None = None) -> None:
        if problem := window_problem():
            raise OutputError(problem)
        os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")  # Qt misses fonts that nobody sees
        self._view, self._keep = View(opacity), keep
        self._newest: dict[str, Shot] = {}
        self._shown: dict[str, Shot] = {}
        self._message, self._message_until = "", 0.0

    def encode(self, shot: Shot) -> tuple[float, Image]:
        """Draw the overlay as it is wanted now."""
        opacity = self._view.opacity
        return opacity, shot.drawn(opacity)

    def write(self, shot: Shot, encoded: tuple[float, Image]) -> None:
        """Show the frame, unless the picture is held."""
        title = f"{shot.frame.camera}: {TITLE}" if shot.frame.camera else TITLE
        opacity, picture = encoded
        if title not in self._newest:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
            cv2.resizeWindow(title, picture.shape[1], picture.shape[0])
        self._newest[title] = shot
        if not self._view.held or title not in self._shown:
            self._shown[title] = shot
            # a key may have been pressed since the picture was drawn
            self._show(title, picture if opacity == self._view.opacity else shot.drawn(self._view.opacity))
        self.idle()

    def idle(self) -> None:
        """Let the windows react: to keys, and to their own buttons, which end the stream."""
        if not self._newest:
            return
        if any(cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) < 1 for title in self._newest):
            self.wanted = False
            return
        changed = self._view.press(cv2.pollKey())
        if self._view.over:
            self.wanted = False
        if self._view.keep:
            self._view.keep = False
            self._keep_shown()
        if self._message and monotonic() >= self._message_until:
            self._message, changed = "", True
        if changed:
            self._show_again()

    def close(self) -> None:
        """Close the windows."""
        cv2.destroyAllWindows()

    def _show_again(self) -> None:
        if not self._view.held:
            self._shown = dict(self._newest)
        for title, shot in self._shown.items():
            self._show(title, shot.drawn(self._view.opacity))

    def _show(self, title: str, picture: Image) -> None:
        lines = [*(("held",) if self._view.held else ()), *(HELP if self._view.helping else ())]
        if self._message:
            lines.append(self._message)
        cv2.imshow(title, with_words(picture, lines) if lines else picture)

    def _keep_shown(self) -> None:
        if self._keep is None:
            self._say("pictures are not kept here")
            return
        try:
            self._say("kept " + ", ".join(self._keep(shot) for shot in self._shown.values()))
        except OutputError as error:  # a full disk must not close the window
            self._say(str(error))

    def _say(self, message: str) -> None:
        self._message, self._message_until = message, monotonic() + MESSAGE_SECONDS


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
