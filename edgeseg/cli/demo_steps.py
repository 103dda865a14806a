"""Numbered steps, and verbs run as the commands that a user would give."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from edgeseg.cli.console import note


@dataclass
class Steps:
    """Numbers the steps, says what each does, and keeps the time each took."""

    total: int
    started: float = field(default_factory=monotonic)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str, purpose: str) -> Iterator[None]:
        """Announce a step and time it."""
        began = monotonic()
        minutes, seconds = divmod(int(began - self.started), 60)
        note(f"\n[{len(self.seconds) + 1}/{self.total}  {minutes}:{seconds:02d}] {name}: {purpose}")
        yield
        self.seconds[name] = round(monotonic() - began, 1)


def verb(*arguments: str) -> None:
    """Show a command and run it in this process. Raises what the verb raises."""
    from edgeseg.cli.app import INTERRUPTED, make_app

    note(f"$ edgeseg {shlex.join(arguments)}")
    app = make_app(arguments[0])
    code = app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    assert not code, f"edgeseg {arguments[0]} left with {code}"
