"""The whole bench: every subject loaded once, measured in turns, probed for start-up and memory, scored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2

from edgeseg_bench.accuracy import Labelled, Pictured, mean_iou
from edgeseg_bench.measure import take_turns, throughputs
from edgeseg_bench.probe import probe
from edgeseg_bench.report import Row
from edgeseg_bench.subjects import Case, Extra, Find, Subject, file_bytes, load, with_threads
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.progress import Progress, silent

LATENCY_SHARE = 2 / 3
"""Of a subject's seconds; the rest goes to throughput."""


AveragePrecision = Callable[[Find, str], "float | None"]
"""From what finds candidates, and what to call it while it works, to its mask AP (0..1); None where nothing is true."""


@dataclass(frozen=True)
class Scoring:
    """Labelled pictures and the names of their classes, in index order."""

    pictures: Labelled
    names: tuple[str, ...]


@dataclass(frozen=True)
class ObjectScoring:
    """Pictures whose objects are told apart, and what scores them; names are those of the classes, in index order."""

    pictures: Pictured
    names: tuple[str, ...]
    average_precision: AveragePrecision


def run_suite(
    cases: Sequence[Case],
    frames: Sequence[Image],
    seconds: float = 3.0,
    scoring: Scoring | ObjectScoring | None = None,
    extras: Sequence[Extra] = (),
    progress: Progress = silent,
) -> list[Row]:
    """Measure every case, and every extra with each number of threads the cases have, for `seconds` each.

    Rows come in the order of `extras` and `cases`. Raises ConfigError for no frames or no time, and what loading
    and segmenting raise.
    """
    if not frames:
        raise ConfigError("the bench needs at least one frame")
    if seconds <= 0:
        raise ConfigError(f"seconds must be more than 0, got {seconds}")
    threads = sorted({case.threads for case in cases})
    subjects = [with_threads(extra, count) for extra in extras for count in threads]
    subjects += [load(case) for case in progress(cases, "loading", len(cases))]
    _check_names(subjects, scoring)
    before = cv2.getNumThreads()
    try:
        laps = take_turns(subjects, frames, seconds * LATENCY_SHARE, progress)
        rates = throughputs(subjects, frames, seconds * (1 - LATENCY_SHARE), progress)
        scores = _score(subjects, scoring, progress)
    finally:
        cv2.setNumThreads(before)
    objects = isinstance(scoring, ObjectScoring)
    probes = [probe(case) for case in progress(cases, "start-up and memory", len(cases))]
    starts = [*({} for _ in range(len(subjects) - len(cases))), *probes]
    return [
        Row(
            name=subject.name,
            engine=subject.engine,
            precision=subject.precision,
            threads=subject.threads,
            file=subject.file.as_posix() if subject.file else None,
            **lap.as_dict(),
            fps=round(fps, 2),
            size_bytes=file_bytes(subject.file) if subject.file else None,
            **start,
            mean_iou=None if objects else scores.get(_identity(subject)),
            mask_ap=scores.get(_identity(subject)) if objects else None,
            network=subject.network,
        )
        for subject, lap, fps, start in zip(subjects, laps, rates, starts, strict=True)
    ]


def _check_names(subjects: Sequence[Subject], scoring: Scoring | ObjectScoring | None) -> None:
    if scoring is None:
        return
    objects = isinstance(scoring, ObjectScoring)
    for subject in subjects:
        if (subject.find is not None) != objects:
            told, wanted = ("classes of pixels", "objects") if objects else ("objects", "classes of pixels")
            raise ConfigError(f"{subject.name} tells {told}, the truth of the pictures is of {wanted}")
        if subject.names != scoring.names:
            raise ConfigError(
                f"{subject.name} knows the classes {', '.join(subject.names)}; the pictures have "
                f"{', '.join(scoring.names)}: they must be the same, in the same order"
            )


def _score(
    subjects: Sequence[Subject], scoring: Scoring | ObjectScoring | None, progress: Progress
) -> dict[object, float | None]:
    """Return the accuracy of each file in each engine; threads make no difference, so the most are used."""
    if scoring is None:
        return {}
    unique = {_identity(subject): subject for subject in sorted(subjects, key=lambda subject: subject.threads)}
    scores: dict[object, float | None] = {}
    for key, subject in unique.items():
        subject.set_threads(subject.threads)
        label = f"scoring {subject.name} in {subject.engine}"
        if isinstance(scoring, Scoring):
            scores[key] = mean_iou(subject.segment, scoring.pictures, len(scoring.names), label, progress)
        else:
            assert subject.find is not None  # see _check_names
            scores[key] = scoring.average_precision(subject.find, label)
    return scores


def _identity(subject: Subject) -> object:
    return subject.file, subject.network, subject.name, subject.engine
