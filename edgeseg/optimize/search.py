"""The search: cheapest first, nothing measured that cannot change the choice. Pure: all the world is a Workshop.

**Better** means: a higher mIoU among the trials that hold the latency (and, with `max_drop`, the accuracy); of equal
ones that were measured the faster. What is not tried is left out since it could at most equal the best so far by the
assumptions in `knowledge`, or for this reason: a training, or a mix of int8 and float, that could gain less than
`Budget.gain` over the best so far is not worth its time.

So the choice is the one that measuring everything would give, less `Budget.gain` at most. Of a net's mixed files only
the one with the fewest layers in float is meant, and what was met on the way to it: see `mixing`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgeseg.optimize.budget import Budget
from edgeseg.optimize.examiner import Examiner, TimeIsUpError
from edgeseg.optimize.knowledge import Knowledge
from edgeseg.optimize.measurements import Impossible, Workshop
from edgeseg.optimize.mixing import Mixer
from edgeseg.optimize.records import Outcome, Record
from edgeseg.optimize.space import PRECISIONS, Trial, Variant, Weights


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

    A mixed variant needs its int8 twin among `variants`, as `Space` gives them. Trainings are paid for in the order of
    Weights: first what needs none, then the least pruned. `proceed` is asked before every measurement; once it says
    no, the best so far stands.
    """
    known = Knowledge(variants, threads, budget)
    known.original = workshop.original()  # without it there is nothing to choose by, whatever the time
    rounds = _Rounds(known, Examiner(known, workshop, proceed, report))
    try:
        for weights in sorted({variant.weights for variant in variants}):
            rounds.play([record for record in known.records if record.variant.weights == weights], weights)
    except TimeIsUpError:
        return Outcome(known.original, tuple(known.records), known.best, finished=False)
    return Outcome(known.original, tuple(known.records), known.best, finished=True)


class _Rounds:
    """A round for each set of weights."""

    def __init__(self, known: Knowledge, examiner: Examiner) -> None:
        self.known, self.examiner = known, examiner
        self.trained: dict[Weights, str | None] = {}
        """Why weights cannot be had; None where they can."""

    def play(self, records: Sequence[Record], weights: Weights) -> None:
        """Try everything that has the same weights, most promising first."""
        if weights.trained:
            if not self.worth_training(records):
                return
            if problem := self.train(weights):
                for record in records:
                    self.examiner.close(record, problem)
                return
        while waiting := [record for record in records if record.verdict is None and self.is_not_best(record)]:
            self.examiner.guarded(self.examine, min(waiting, key=self.promise))

    def worth_training(self, records: Sequence[Record]) -> bool:
        """Whether one of these would hold the latency and could gain enough."""
        for record in sorted(records, key=self.promise):
            if record.verdict is not None or self.examiner.hopeless(record):
                continue
            if self.examiner.worth(record, "trained") and self.examiner.guarded(self.examiner.fits, record):
                return True
        return False

    def train(self, weights: Weights) -> str | None:
        """Train what leads to these weights, each once; return why they cannot be had, or None."""
        for step in weights.lineage:
            if step not in self.trained:
                self.examiner.report(f"training: {step}")
                try:
                    self.examiner.workshop.train(step)
                except Impossible as error:
                    self.trained[step] = str(error)
                else:
                    self.trained[step] = None
            if (problem := self.trained[step]) is not None:
                return problem
        return None

    def examine(self, record: Record) -> None:
        """Take a variant as far as it stays interesting."""
        examiner = self.examiner
        if examiner.hopeless(record) or not examiner.fits(record):
            return
        if record.variant.precision == "mixed":
            if examiner.worth(record, "built"):
                self.mix(Mixer(record, examiner))
        elif examiner.score(record) and examiner.confirm(record):
            self.compare(record)

    def mix(self, mixer: Mixer) -> None:
        """Look for the best mix; what was found when the time is up counts, too."""
        try:
            mixer.settle()
        finally:
            for found in mixer.good:
                self.compare(found)

    def compare(self, record: Record) -> None:
        """Make a variant that was confirmed the best, unless the best so far is no worse."""
        known, close = self.known, self.examiner.close
        assert record.mean_iou is not None
        in_time = {threads: found.latency_ms for threads, found in record.confirmed.items()}
        threads = min(in_time, key=in_time.__getitem__)
        if record.mean_iou < known.best_score:
            close(record, f"{100 * record.mean_iou:.2f} mIoU, below {known.best}")
        elif record.mean_iou == known.best_score and in_time[threads] >= known.best_latency:
            close(record, f"scores the same as {known.best} and is no faster")
        else:
            previous, known.best = known.best, Trial(record.variant, threads)
            self.examiner.report(
                f"best so far: {known.best}, {100 * record.mean_iou:.2f} mIoU, {in_time[threads]:.2f} ms"
            )
            if previous is not None:
                close(known.record(previous.variant), f"{known.best} is better")

    def promise(self, record: Record) -> tuple[bool, float, int, float]:
        """Sort key: the highest possible mIoU first, then the cheapest to make, then the largest.

        Mixed ones come last: many files have to be made to find one, and int8 has to be known to be not enough.
        """
        variant = record.variant
        ceiling = self.known.bound(record)[0]
        return variant.precision == "mixed", -ceiling, PRECISIONS.index(variant.precision), -variant.resolution

    def is_not_best(self, record: Record) -> bool:
        return self.known.best is None or record.variant != self.known.best.variant
