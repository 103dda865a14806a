"""Mixed precision: the fewest layers in float with which an int8 file is good enough.

Good enough: it holds `--max-drop`, or, where none is given, loses little against the float32 file of its own size and
weights; and it passes the parity gate. Layers go back to float in the order of what int8 costs in them. A file is
timed before it is scored: more layers in float are taken to be no faster, so from one that is too slow the way leads
only to fewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf

from edgeseg.optimize.budget import ROUNDING
from edgeseg.optimize.examiner import Examiner
from edgeseg.optimize.records import Record
from edgeseg_export.fewest import fewest


@dataclass(frozen=True)
class Goal:
    """What a mixed file has to reach."""

    reference: float
    """An mIoU (0..1)."""
    drop: float
    """Most points below it."""
    name: str
    """Whose mIoU it is."""

    @property
    def floor(self) -> float:
        """The lowest mIoU (0..1) that will do."""
        return self.reference - self.drop / 100 - ROUNDING

    def lost(self, mean_iou: float) -> str:
        """Say how far below an mIoU is."""
        points = 100 * (self.reference - mean_iou)
        return f"{points:.2f} points of mIoU against {self.name}, {self.drop:g} are allowed"


class Mixer:
    """Settles how many layers of one mixed variant stay in float. Every file it tries becomes a record of its own."""

    def __init__(self, record: Record, examiner: Examiner) -> None:
        self.record, self.examiner, self.known = record, examiner, examiner.known
        self.tried: dict[int, Record] = {}

    def settle(self) -> None:
        """Find the fewest layers in float that will do. The variant itself is closed, and told why."""
        goal = self.goal()
        if goal is None or self.int8_is_enough(goal):
            return
        most = self.examiner.workshop.layers(self.record.variant)
        count = fewest(lambda layers: self.try_layers(layers, goal), most)
        self.examiner.close(self.record, self.summary(count, most))

    @property
    def good(self) -> Sequence[Record]:
        """The files that were found good enough and in time so far, the one with the fewest layers in float first.

        On the way to the fewest others may be met, which score higher.
        """
        found = (self.tried[layers] for layers in sorted(self.tried))
        return [record for record in found if record.verdict is None and record.confirmed]

    def goal(self) -> Goal | None:
        """Return what has to be reached; None, the record closed, where not even float32 of this size does.

        The size's own float32 may never have been looked at, since it was too slow.
        """
        known = self.known
        variant = replace(self.record.variant, precision="float32")
        exact = next((other for other in known.records if other.variant == variant), Record(variant))
        if known.budget.max_drop is None:
            if exact.mean_iou is None:
                exact.mean_iou = self.examiner.workshop.score(variant)
            return Goal(exact.mean_iou, known.budget.mixed_drop, str(variant))
        goal = Goal(known.original, known.budget.mixed_drop, "the original")
        if exact.ceiling == inf:
            exact.estimate = self.examiner.workshop.quick_score(variant)
        if exact.ceiling < goal.floor:
            self.examiner.close(self.record, f"{variant} already loses at least {goal.lost(exact.ceiling)}")
            return None
        return goal

    def int8_is_enough(self, goal: Goal) -> bool:
        """Whether the file with no layer in float will do; the record is then closed, as there is nothing to add."""
        twin = self.examiner.int8_twin(self.record)
        if twin.refused or twin.ceiling < goal.floor:
            return False
        if twin.mean_iou is None:
            twin.mean_iou = self.examiner.workshop.score(twin.variant)
        if twin.mean_iou < goal.floor:
            return False
        self.examiner.close(self.record, f"nothing to add: int8 loses {goal.lost(twin.mean_iou)}")
        return True

    def try_layers(self, layers: int, goal: Goal) -> bool:
        """Whether so many layers in float are enough, or so many that the file is too slow."""
        attempt = self.tried[layers] = Record(replace(self.record.variant, float_layers=layers))
        self.known.records.insert(self.known.records.index(self.record), attempt)
        return bool(self.examiner.guarded(partial(self.examine, goal=goal), attempt))

    def examine(self, attempt: Record, goal: Goal) -> bool:
        """Take a file as far as it stays interesting; the answer is that of `try_layers`."""
        examiner = self.examiner
        for threads in self.known.possible_threads(attempt.variant):
            examiner.measure(attempt, threads)
        if not self.known.in_time(attempt):
            examiner.close(attempt, self.known.too_slow(attempt))
            return True
        attempt.estimate = examiner.workshop.quick_score(attempt.variant)
        if attempt.ceiling < goal.floor:
            examiner.close(attempt, f"loses at least {goal.lost(attempt.ceiling)}")
            return False
        attempt.mean_iou = examiner.workshop.score(attempt.variant)
        if attempt.mean_iou < goal.floor:
            examiner.close(attempt, f"loses {goal.lost(attempt.mean_iou)}")
            return False
        return examiner.confirm(attempt) or not attempt.refused

    def summary(self, count: int | None, most: int) -> str:
        """Say what came of it."""
        if count is None:
            last = f"{self.tried[most].variant} {self.tried[most].verdict}" if most else "it has no layers to put back"
            return f"no mix will do: {last}"
        verdict = self.tried[count].verdict
        if verdict is not None:
            return f"no mix will do: {self.tried[count].variant} is {verdict}, and with fewer it is not good enough"
        return f"settled: {count} of {most} layers in float are the fewest that will do"
