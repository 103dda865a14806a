"""How long a run was trained, from the times in its TensorBoard events."""

from __future__ import annotations

from pathlib import Path

from edgeseg.training.runlog import EVENTS


def training_minutes(run: Path) -> float | None:
    """Return the minutes from the beginning of a run's training to its last scored epoch; None without events.

    Each process that trained left a file of events, which begins when its training does. What a killed process did
    after its last score is not counted, as it was done again; nor is the time until somebody resumed the run.
    """
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    seconds = []
    for file in sorted((run / EVENTS).glob("events.out.tfevents.*")):
        times = [event.wall_time for event in EventFileLoader(str(file)).Load()]
        seconds.append(max(times) - min(times) if times else 0.0)
    return round(sum(seconds) / 60, 1) if seconds else None
