"""The steps that take a variant further, each of which may find that it is out, and why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from edgeseg.optimize.knowledge import Knowledge
from edgeseg.optimize.measurements import Impossible, Workshop
from edgeseg.optimize.records import Record
from edgeseg.optimize.space import Trial


class TimeIsUpError(Exception):
    """There is no time for another measurement."""


class Examiner:
    """Measures, and closes the records of what cannot become the choice."""

    def __init__(
        self, known: Knowledge, workshop: Workshop, proceed: Callable[[], bool], report: Callable[[str], None]
    ) -> None:
        self.known, self.report = known, report
        self._workshop, self._proceed = workshop, proceed

    @property
    def workshop(self) -> Workshop:
        """The world, as long as there is time for it. Raises TimeIsUpError."""
        if not self._proceed():
            raise TimeIsUpError
        return self._workshop

    def close(self, record: Record, verdict: str) -> None:
        """Note why a variant is out."""
        record.verdict = verdict
        self.report(f"{record.variant}: {verdict}")

    def guarded(self, action: Callable[[Record], bool | None], record: Record) -> bool | None:
        """Do it; settings that cannot be had close the variant and are no result."""
        try:
            return action(record)
        except Impossible as error:
            record.impossible = True
            self.close(record, str(error))
            return None

    def hopeless(self, record: Record) -> bool:
        """Close a variant that cannot become the choice, by what is known already."""
        known = self.known
        ceiling, source = known.bound(record)
        if not known.possible_threads(record.variant):
            self.close(record, known.too_slow(record))
        elif ceiling < known.floor:
            own = source == str(record.variant)
            self.close(record, f"{'' if own else source + ' already '}loses at least {known.points_lost(ceiling)}")
        elif known.best is not None and ceiling <= known.best_score:
            self.close(record, f"cannot beat {known.best}: {source} has {100 * ceiling:.2f} mIoU at most")
        return record.verdict is not None

    def worth(self, record: Record, effort: str) -> bool:
        """Whether a variant could gain enough over the best so far for an `effort` such as `trained`; else close it."""
        gain, wanted = self.known.bound(record)[0] - self.known.best_score, self.known.budget.gain
        if gain > wanted:
            return True
        self.close(
            record,
            f"not {effort}: it could gain {100 * gain:.2f} points at most over {self.known.best}, "
            f"and less than {100 * wanted:.2f} are not worth it",
        )
        return False

    def fits(self, record: Record) -> bool:
        """Whether a net of this shape holds the latency on some number of threads; close it otherwise.

        A mixed one is no faster than int8, which is what is timed for it.
        """
        known = self.known
        timed = self.int8_twin(record) if record.variant.precision == "mixed" else record
        if timed is not record and timed.impossible:
            self.close(record, str(timed.verdict))
            return False
        for threads in known.possible_threads(record.variant):
            self.measure(timed, threads)
        if known.in_time(timed):
            return True
        self.close(record, known.too_slow(record))
        family = [other for other in known.records if other.variant.kind == timed.variant.kind]
        smallest = min(family, key=lambda other: (other.variant.resolution, -other.variant.prune))
        if smallest.verdict is None and not smallest.latency_ms:
            # If not even this one fits, the whole family is done with at the price of one measurement.
            for threads in known.possible_threads(smallest.variant):
                self.guarded(partial(self.measure, threads=threads), smallest)
        return False

    def int8_twin(self, record: Record) -> Record:
        """Return the record of the int8 file that a mixed one has all but some layers in common with."""
        return self.known.record(replace(record.variant, precision="int8", float_layers=None))

    def measure(self, record: Record, threads: int) -> None:
        """Measure the latency of a shape, once."""
        if threads not in record.latency_ms:
            trial = Trial(record.variant, threads)
            record.latency_ms[threads] = self.workshop.latency(trial)
            self.report(f"{trial}: {record.latency_ms[threads]:.2f} ms")

    def score(self, record: Record) -> bool:
        """Score a variant as far as it stays interesting; whether it does, and could be the best."""
        record.estimate = self.workshop.quick_score(record.variant)
        if self.hopeless(record):
            return False
        record.mean_iou = self.workshop.score(record.variant)
        if record.mean_iou < self.known.floor:
            self.close(record, f"loses {self.known.points_lost(record.mean_iou)}")
        elif record.mean_iou < self.known.best_score:
            self.close(record, f"{100 * record.mean_iou:.2f} mIoU, below {self.known.best}")
        return record.verdict is None

    def confirm(self, record: Record) -> bool:
        """Measure the finished file on the threads that promise most, until one holds; whether one does."""
        for threads in sorted(self.known.in_time(record), key=record.latency_ms.__getitem__):
            found = record.confirmed[threads] = self.workshop.confirm(Trial(record.variant, threads))
            if found.refusal is not None:
                self.close(record, f"refused by the parity gate: {found.refusal}")
                return False
            if found.latency_ms <= self.known.budget.latency_ms:
                return True
        fastest = min(found.latency_ms for found in record.confirmed.values())
        self.close(record, f"too slow: the finished file takes {fastest:.2f} ms")
        return False
