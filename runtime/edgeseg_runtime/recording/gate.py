"""Whether to record now: what was asked for by hand, what the trigger says, and the post-roll."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal, TypeAlias

Command: TypeAlias = Literal["start", "stop"]


@dataclass
class Gate:
    """Decides for one camera, frame by frame.

    `start` records until `stop`. `stop` ends a recording at once, without post-roll: what is always recorded then waits
    for `start`; what a condition records waits until the condition has not held once, or for `start`.
    """

    always: bool
    """Record without being asked to."""
    post_roll: float
    """Seconds to go on for after the condition last held, so that a flickering mask makes one recording."""
    _last: Command | None = None
    _until: float = -inf
    _dismissed: bool = False

    def command(self, command: Command) -> None:
        """Take an order given by hand."""
        self._last = command
        if command == "stop":
            self._until, self._dismissed = -inf, True

    def see(self, holds: bool, now: float) -> None:
        """Take note of whether the condition holds in the frame of `now`, seconds."""
        if holds and not self._dismissed:
            self._until = now + self.post_roll
        self._dismissed = self._dismissed and holds
        self._until = min(self._until, now + self.post_roll)  # a source's time may start anew

    def wants(self, now: float) -> bool:
        """Tell whether to record at `now`."""
        if self._last == "start":
            return True
        return (self.always and self._last is None) or now <= self._until
