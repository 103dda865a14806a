"""`edgeseg train`."""

from __future__ import annotations

from dataclasses import asdict

from edgeseg.cli.console import answer_json, note, progress
from edgeseg.config import TrainConfig
from edgeseg_runtime.extras import require


def train(*, config: TrainConfig, resume: bool = False, json: bool = False) -> None:
    """Train a model on labelled pictures.

    Leaves in --out: best.safetensors and last.safetensors, config.yaml, metrics.csv, curves.png and TensorBoard events.
    A run that was killed goes on from its last finished epoch with --resume, to the same result.

    For example:

      edgeseg train --data camvid --model fast_scnn --epochs 60 --out runs/camvid
      edgeseg train --config runs/camvid/config.yaml --resume

    Parameters
    ----------
    resume
        Go on with the run in --out; its settings must be the same.
    json
        Print the result as JSON.
    """
    for package in ("torch", "torchvision", "lightning", "tensorboard", "safetensors", "matplotlib"):
        require(package, "train")
    from edgeseg.data.open import open_data
    from edgeseg.training.loop import train as run

    settings = config.data
    train_data, val_data = (
        open_data(settings.data, split, format=settings.format, skip_bad=settings.skip_bad, progress=progress)
        for split in (settings.split, settings.val_split)
    )
    note(f"{settings.data}: {len(train_data)} {settings.split} and {len(val_data)} {settings.val_split} pictures")
    result = run(config, train_data, val_data, resume=resume, progress=progress, report=note)
    if json:
        answer_json({"out": str(config.out), **asdict(result)})
    else:
        note(f"{config.out}: val mIoU {result.best_mean_iou:.4f} in epoch {result.best_epoch}, {result.seconds:.0f} s")
