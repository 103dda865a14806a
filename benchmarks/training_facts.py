"""What the training of a run began with and took, from what it left in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeseg.training.checkpoint import Checkpoint
from edgeseg.training.runlog import EVENTS, METRICS, read_metrics


def training_facts(run: Path, checkpoint: Checkpoint) -> dict[str, Any]:
    """Return what a run's training took; None where the folder does not say."""
    rows = read_metrics(run / METRICS)
    return {
        "start": started_from(checkpoint.config),
        "epochs_planned": checkpoint.config.get("epochs"),
        "epochs_done": int(rows[-1]["epoch"]) if rows else None,
        "best_epoch": checkpoint.epoch,
        "minutes": training_minutes(run),
    }


def started_from(config: dict[str, Any]) -> str:
    """Say where a run's weights come from; files and runs by their names alone."""
    if config.get("init"):
        init = Path(config["init"])
        run = init.parent.name if init.suffix else init.name
        return (
            init.name if run == Path(config.get("out", "")).name else f"run {run}"
        )  # a pruned run begins with its own
    weights = config.get("weights", "none")
    return {"none": "scratch", "imagenet": "ImageNet, torchvision"}.get(weights, Path(weights).name)


def training_in_words(row: dict[str, Any]) -> str:
    """Return what was done to the network of a table's row, what it began with, and its epochs and minutes."""
    training = row["training"]
    done, planned, minutes = training["epochs_done"], training["epochs_planned"], training["minutes"]
    epochs = f"at least {training['best_epoch']}" if done is None else f"{done}"
    return ", ".join([
        *([] if row["kind"] == "original" else [row["kind"]]),
        training["start"],
        f"{epochs} epochs" if done == planned else f"{epochs} of {planned} epochs",
        "time unknown" if minutes is None else f"{minutes:.0f} min",
    ])  # fmt: skip


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
