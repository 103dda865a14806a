"""`edgeseg train`."""

from __future__ import annotations

from dataclasses import asdict

from edgeseg.cli.console import answer_json, note, progress
from edgeseg.config import TrainConfig
from edgeseg_runtime.extras import require
from edgeseg_runtime.progress import silent


def train(*, config: TrainConfig, resume: bool = False, json: bool = False) -> None:
    """Train a model on labelled pictures.

    Leaves in --out: best.safetensors and last.safetensors, config.yaml,
    metrics.csv, curves.png and TensorBoard events, and at once batch.png: what
    the network is shown first. A run that was killed goes on from its last
    finished epoch with --resume, to the same result.

    For example:

      edgeseg train --data camvid --model fast_scnn --epochs 60 --out runs/camvid
      edgeseg train --config runs/camvid/config.yaml --resume
      edgeseg train --data camvid --model fast_scnn --teacher runs/big --out runs/taught
      edgeseg train --data camvid --qat --init runs/camvid --out runs/camvid-qat

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
    from edgeseg.training.machine import is_first_process

    # Where several processes train, each runs this verb, and the first one speaks for all.
    first = is_first_process()
    show, say = (progress, note) if first else (silent, _nothing)
    settings = config.data
    train_data, val_data = (
        open_data(settings.data, split, format=settings.format, skip_bad=settings.skip_bad, progress=show)
        for split in (settings.split, settings.val_split)
    )
    say(f"{settings.data}: {len(train_data)} {settings.split} and {len(val_data)} {settings.val_split} pictures")
    result = run(config, train_data, val_data, resume=resume, progress=show, report=say)
    if json and first:
        answer_json({"out": str(config.out), **asdict(result)})
    else:
        say(f"{config.out}: val mIoU {result.best_mean_iou:.4f} in epoch {result.best_epoch}, {result.seconds:.0f} s")


def _nothing(_message: str) -> None:
    pass
