"""Ctrl-C that got lost: in a hook of fork or a finaliser Python prints an exception and goes on as if nothing was."""

from __future__ import annotations

import sys

_lost = False


def watch() -> None:
    """Remember from now on when a KeyboardInterrupt is dropped, instead of printing its traceback."""
    shown = sys.unraisablehook

    def hook(dropped: sys.UnraisableHookArgs) -> None:
        global _lost
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            _lost = True
        else:
            shown(dropped)

    sys.unraisablehook = hook


def check() -> None:
    """Raise KeyboardInterrupt, once, if one was dropped."""
    global _lost
    if _lost:
        _lost = False
        raise KeyboardInterrupt
