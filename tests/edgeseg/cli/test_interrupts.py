from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from edgeseg.cli import interrupts
from edgeseg.cli.console import progress


class Dropping:
    """Raises while it is taken away, where Python can only print what was raised."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __del__(self) -> None:
        raise self.error


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What Python would have printed of dropped exceptions, but for `watch`."""
    shown: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: shown.append(dropped.exc_type))
    interrupts.watch()
    return shown


def test_a_dropped_interrupt_is_heard_once(printed: list[object]) -> None:
    interrupts.check()
    Dropping(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        interrupts.check()
    interrupts.check()
    assert printed == []


def test_other_exceptions_are_printed_as_ever(printed: list[object]) -> None:
    Dropping(ValueError())
    interrupts.check()
    assert printed == [ValueError]


def test_work_stops_at_its_next_item(printed: list[object]) -> None:
    def items() -> Iterable[int]:
        yield 1
        Dropping(KeyboardInterrupt())
        yield 2

    seen: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        for item in progress(items(), "working"):
            seen.append(item)  # noqa: PERF402
    assert seen == [1] and printed == []


def test_an_interrupt_in_a_hook_of_fork_ends_the_verb(tmp_path: Path) -> None:
    """Where a loader's workers are forked, logging's hooks run: one Ctrl-C there used to be printed and forgotten."""
    (tmp_path / "forker.py").write_text(
        "import os, signal\n"
        "from edgeseg.cli.console import progress\n"
        "os.register_at_fork(before=lambda: signal.raise_signal(signal.SIGINT))\n"
        "def fork():\n"
        "    for _ in progress(range(3), 'forking'):\n"
        "        if (child := os.fork()) == 0:\n"
        "            os._exit(0)\n"
        "        os.waitpid(child, 0)\n"
        "    print('went on')\n",
        encoding="utf-8",
    )
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from edgeseg.cli import app\n"
        "app.VERBS['fork'] = ('forker:fork', 'Fork.')\n"
        "app.main(['fork'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "edgeseg: interrupted; nothing half-written was left behind\n"
