"""The search: cheapest first, nothing measured that cannot change the choice. Pure: all the world is a Workshop.

**Better** means: a higher mIoU among the trials that hold the latency (and, with `max_drop`, the accuracy); of equal
ones the faster. What is not tried is left out for one of these reasons, each an assumption about nets that a person
would make too:

1. The same kind of file (precision and engine, on as many threads) with fewer pixels or fewer channels is no slower.
2. With fewer pixels, fewer channels or a coarser precision it scores no higher.
3. A training that could gain less than `Budget.gain` over the best so far is not worth its time.

Under 1 and 2 the choice is the one that measuring everything would give, less `Budget.gain` at most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import inf

from edgeseg.optimize.budget import Budget
from edgeseg.optimize.measurements import Impossible, Workshop
from edgeseg.optimize.records import Outcome, Record
from edgeseg.optimize.space import PRECISIONS, Trial, Variant, Weights


class _TimeIsUpError(Exception):
    pass


def search(
    variants: Sequence[Variant],
    threads: Sequence[int],
    budget: Budget,
    workshop: Workshop,
    *,
    proceed: Callable[[], bool] = lambda: True,
    report: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Look for the best trial; see the module for what best means and what is left out.

    Trainings are paid for in the order of Weights: first what needs none, then the least pruned. `proceed` is asked
    before every measurement; once it says no, the best so far stands.
    """
    return _Search(variants, threads, budget, workshop, proceed, report).run()


class _Search:
    def __init__(
        self,
        variants: Sequence[Variant],
        threads: Sequence[int],
        budget: Budget,
        workshop: Workshop,
        proceed: Callable[[], bool],
        report: Callable[[str], None],
    ) -> None:
        self.records = {variant: Record(variant) for variant in variants}
        self.threads, self.budget = sorted(set(threads)), budget
        self._workshop, self._proceed, self.report = workshop, proceed, report
        self.original = self.floor = -inf
        self.best: Trial | None = None
        self.trained: dict[Weights, str | None] = {}

    @property
    def workshop(self) -> Workshop:
        """The world, as long as there is time for it."""
        if not self._proceed():
            raise _TimeIsUpError
        return self._workshop

    def run(self) -> Outcome:
        self.original = self._workshop.original()  # without it there is nothing to choose by, whatever the time
        self.floor = self.budget.floor(self.original)
        finished = True
        try:
            for weights in sorted({variant.weights for variant in self.records}):
                self.round([record for record in self.records.values() if record.variant.weights == weights], weights)
        except _TimeIsUpError:
            finished = False
        return Outcome(self.original, tuple(self.records.values()), self.best, finished)

    def round(self, records: Sequence[Record], weights: Weights) -> None:
        """Try everything that has the same weights, most promising first."""
        if weights.trained:
            if not self.worth_training(records):
                return
            if problem := self.train(weights):
                for record in records:
                    self.close(record, problem)
                return
        while waiting := [record for record in records if record.verdict is None and self._is_not_best(record)]:
            self.guarded(self.examine, min(waiting, key=self.promise))

    def train(self, weights: Weights) -> str | None:
        """Train what leads to these weights, each once; return why they cannot be had, or None."""
        for step in weights.lineage:
            if step not in self.trained:
                self.report(f"training: {step}")
                try:
                    self.workshop.train(step)
                except Impossible as error:
                    self.trained[step] = str(error)
                else:
                    self.trained[step] = None
            if (problem := self.trained[step]) is not None:
                return problem
        return None

    def worth_training(self, records: Sequence[Record]) -> bool:
        """Whether one of these would hold the latency and could gain enough."""
        for record in sorted(records, key=self.promise):
            if record.verdict is not None or self.hopeless(record):
                continue
            gain = self.bound(record)[0] - self.best_score
            if gain <= self.budget.gain:
                self.close(
                    record,
                    f"not trained: it could gain {100 * gain:.2f} points at most over {self.best}, "
                    f"and less than {100 * self.budget.gain:.2f} are not worth a training",
                )
            elif self.guarded(self.fits, record):
                return True
        return False

    def examine(self, record: Record) -> None:
        """Take a variant as far as it stays interesting."""
        if self.hopeless(record) or not self.fits(record):
            return
        variant = record.variant
        record.estimate = self.workshop.quick_score(variant)
        if self.hopeless(record):
            return
        record.mean_iou = self.workshop.score(variant)
        if record.mean_iou < self.floor:
            self.close(record, f"loses {self.points_lost(record.mean_iou)}")
        elif record.mean_iou < self.best_score:
            self.close(record, f"{100 * record.mean_iou:.2f} mIoU, below {self.best}")
        else:
            self.confirm(record)

    def confirm(self, record: Record) -> None:
        """Measure the finished file on the threads that promise most, until one holds; make it the best."""
        assert record.mean_iou is not None
        for threads in sorted(self.fitting(record), key=record.latency_ms.__getitem__):
            trial = Trial(record.variant, threads)
            found = record.confirmed[threads] = self.workshop.confirm(trial)
            if found.refusal is not None:
                self.close(record, f"refused by the parity gate: {found.refusal}")
                return
            if found.latency_ms > self.budget.latency_ms:
                continue
            if record.mean_iou == self.best_score and found.latency_ms >= self.best_latency:
                self.close(record, f"scores the same as {self.best} and is no faster")
                return
            previous, self.best = self.best, trial
            self.report(f"best so far: {trial}, {100 * record.mean_iou:.2f} mIoU, {found.latency_ms:.2f} ms")
            if previous is not None:
                self.close(self.records[previous.variant], f"{trial} is better")
            return
        fastest = min(found.latency_ms for found in record.confirmed.values())
        self.close(record, f"too slow: the finished file takes {fastest:.2f} ms")

    def hopeless(self, record: Record) -> bool:
        """Close a variant that cannot become the choice, by what is known already."""
        ceiling, source = self.bound(record)
        if not self.possible_threads(record.variant):
            self.close(record, self.too_slow(record.variant))
        elif ceiling < self.floor:
            own = source == str(record.variant)
            self.close(record, f"{'' if own else source + ' already '}loses at least {self.points_lost(ceiling)}")
        elif self.best is not None and ceiling <= self.best_score:
            self.close(record, f"cannot beat {self.best}: {source} has {100 * ceiling:.2f} mIoU at most")
        return record.verdict is not None

    def fits(self, record: Record) -> bool:
        """Whether a net of this shape holds the latency on some number of threads; close it otherwise."""
        variant = record.variant
        for threads in self.possible_threads(variant):
            self.measure(record, threads)
        if self.fitting(record):
            return True
        self.close(record, f"too slow: {min(record.latency_ms.values()):.2f} ms")
        family = [other for other in self.records.values() if other.variant.kind == variant.kind]
        smallest = min(family, key=lambda other: (other.variant.resolution, -other.variant.prune))
        if smallest.verdict is None and not smallest.latency_ms:
            # If not even this one fits, the whole family is done with at the price of one measurement.
            for threads in self.possible_threads(smallest.variant):
                self.guarded(partial(self.measure, threads=threads), smallest)
        return False

    def measure(self, record: Record, threads: int) -> None:
        """Measure the latency of a shape, once."""
        if threads not in record.latency_ms:
            trial = Trial(record.variant, threads)
            record.latency_ms[threads] = self.workshop.latency(trial)
            self.report(f"{trial}: {record.latency_ms[threads]:.2f} ms")

    def fitting(self, record: Record) -> list[int]:
        """Return the numbers of threads that hold the latency."""
        return [threads for threads, latency in record.latency_ms.items() if latency <= self.budget.latency_ms]

    def too_slow(self, variant: Variant) -> str:
        """Name the measurements that rule every number of threads out, the variant's own or of a smaller one."""
        smaller = [other for other in self.records.values() if other.variant.no_larger_than(variant)]
        fastest = min((ms, str(other.variant)) for other in smaller for ms in other.latency_ms.values())
        own = self.records[variant].latency_ms.values()
        return f"too slow: {min(own):.2f} ms" if own else f"too slow: {fastest[1]} already takes {fastest[0]:.2f} ms"

    def possible_threads(self, variant: Variant) -> list[int]:
        """Return the numbers of threads on which no variant that is no larger was too slow."""
        smaller = [other for other in self.records.values() if other.variant.no_larger_than(variant)]
        limit = self.budget.latency_ms
        return [count for count in self.threads if all(other.latency_ms.get(count, 0) <= limit for other in smaller)]

    def bound(self, record: Record) -> tuple[float, str]:
        """Return the highest mIoU a variant may have, and what says so."""
        above = [other for other in self.records.values() if record.variant.no_better_than(other.variant)]
        lowest = min(above, key=lambda other: other.ceiling)
        return min((self.original, "the original"), (lowest.ceiling, str(lowest.variant)), key=lambda pair: pair[0])

    def promise(self, record: Record) -> tuple[float, int, float]:
        """Sort key: the highest possible mIoU first, then the cheapest to make, then the largest."""
        variant = record.variant
        return -self.bound(record)[0], PRECISIONS.index(variant.precision), -variant.resolution

    def close(self, record: Record, verdict: str) -> None:
        """Note why a variant is out."""
        record.verdict = verdict
        self.report(f"{record.variant}: {verdict}")

    def guarded(self, action: Callable[[Record], bool | None], record: Record) -> bool | None:
        """Do it; settings that cannot be had close the variant and are no result."""
        try:
            return action(record)
        except Impossible as error:
            self.close(record, str(error))
            return None

    def points_lost(self, mean_iou: float) -> str:
        allowed = self.budget.max_drop
        return f"{100 * (self.original - mean_iou):.2f} points of mIoU, {allowed:g} are allowed"

    @property
    def best_score(self) -> float:
        score = self.records[self.best.variant].mean_iou if self.best else None
        return -inf if score is None else score

    @property
    def best_latency(self) -> float:
        return self.records[self.best.variant].confirmed[self.best.threads].latency_ms if self.best else inf

    def _is_not_best(self, record: Record) -> bool:
        return self.best is None or record.variant != self.best.variant
