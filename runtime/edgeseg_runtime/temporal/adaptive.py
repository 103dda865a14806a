"""Choose the model's input size by how long inference takes: smaller under load, larger again when it is gone."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from edgeseg_runtime.errors import ConfigError

DOWN, UP = 0.95, 0.80
"""Share of the period above which inference takes too long, and share that a larger size may be expected to take. The
room between them is what keeps a size that fits from being left again."""

DOWN_SAMPLES, UP_SAMPLES = 5, 15
"""Times needed at a size before leaving it. Few to go down, for frames are being lost; their median, so that two slow
ones in five do not count. Three times as many to go up, of which nine in ten must leave room."""

FIRST_WAIT_S, LONGEST_WAIT_S = 2.0, 60.0
"""Least seconds at a size before going up. They double with each time that it had to go down of late."""

LATE_S = 600.0
"""Seconds for which having gone down counts."""


class AdaptiveSize:
    """A place in a row of sizes, moved by the inference times it is told of. Depends on nothing else.

    A size here is anything prepared beforehand that has a cost: a model loaded for it, or an input size of one that
    takes several.
    """

    def __init__(self, costs: Sequence[float], period_s: float) -> None:
        """`costs`: what inference costs at each size, smallest first, in any unit: only their ratios matter.

        Best measured when the models are warmed up; numbers of pixels will do. `period_s`: seconds a frame may take.
        It starts at the largest size. Raises ConfigError unless costs rise from above 0 and the period is above 0.
        """
        if not costs or not costs[0] > 0 or any(not high > low for low, high in pairwise(costs)):
            raise ConfigError(f"costs of the sizes must rise, from above 0, got {list(costs)}")
        if not period_s > 0:
            raise ConfigError(f"period_s must be above 0 seconds, got {period_s}")
        self._costs, self._period = tuple(costs), period_s
        self.index = len(costs) - 1
        """Which size to use for the next frame."""
        self._times: deque[float] = deque(maxlen=UP_SAMPLES)
        self._warm = False
        self._since: float | None = None
        self._downs: deque[float] = deque()

    def observe(self, seconds: float, now: float) -> int:
        """Tell how long an inference at size `index` took; return which size to use from now on.

        `now`: seconds (`time.monotonic`). The first time after a change is left out: it may hold lazy set-up.
        """
        if self._since is None:
            self._since = now
        if not self._warm:
            self._warm = True
            return self.index
        self._times.append(seconds)
        if len(self._times) >= DOWN_SAMPLES and self.index > 0:
            recent = median(list(self._times)[-DOWN_SAMPLES:])
            if recent > DOWN * self._period:
                self._downs.append(now)
                self._move(self._fitting(recent), now)
                return self.index
        rested = len(self._times) == UP_SAMPLES and now - self._since >= self._wait(now)
        if rested and self.index + 1 < len(self._costs):
            slow = sorted(self._times)[int(0.9 * UP_SAMPLES)]
            if slow * self._ratio(self.index + 1) <= UP * self._period:
                self._move(self.index + 1, now)
        return self.index

    def _fitting(self, seconds: float) -> int:
        """Return the largest smaller size that should leave room, or the smallest."""
        fits = (place for place in range(self.index - 1, 0, -1) if seconds * self._ratio(place) <= UP * self._period)
        return next(fits, 0)

    def _ratio(self, place: int) -> float:
        return self._costs[place] / self._costs[self.index]

    def _wait(self, now: float) -> float:
        while self._downs and now - self._downs[0] > LATE_S:
            self._downs.popleft()
        return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** len(self._downs))  # type: ignore[no-any-return]

    def _move(self, place: int, now: float) -> None:
        self.index, self._since, self._warm = place, now, False
        self._times.clear()
