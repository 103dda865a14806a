"""Counts frames that were not shown, and reports them now and then."""

from __future__ import annotations

from edgeseg_runtime.events import Events


class Tally:
    """Of one kind of trouble, over all connections. Used by one thread."""

    def __init__(self, kind: str, camera: str, events: Events, period: float) -> None:
        """`kind` is the event's; `period` the least seconds between two events."""
        self._kind, self._camera, self._events, self._period = kind, camera, events, period
        self.total = 0
        self._connection = 0
        self._reported, self._reported_at = 0, float("-inf")

    def new_connection(self) -> None:
        """The count that `update` is told begins at 0 again."""
        self._connection = 0

    def update(self, count: int) -> bool:
        """Take the count of this connection, and return whether it is a new one."""
        more = count - self._connection
        self.total += more
        self._connection = count
        return more > 0

    def report(self, now: float) -> None:
        """Publish what came since the last event, if there is something and it is time (monotonic seconds)."""
        if self.total > self._reported and now - self._reported_at >= self._period:
            self._events.publish(self._kind, self._camera, count=self.total - self._reported, total=self.total)
            self._reported, self._reported_at = self.total, now
