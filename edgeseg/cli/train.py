"""`edgeseg train`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeseg.cli.console import answer_json, note, progress
from edgeseg.cli.task import nothing, open_task
from edgeseg.config import TrainConfig, given
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.extras import require
from edgeseg_runtime.progress import silent

if TYPE_CHECKING:
    from edgeseg.training.task import Task


def train(*, config: TrainConfig, resume: bool = False, find_lr: bool = False, json: bool = False) -> None:
    """Train a model on labelled pictures.

    Leaves in --out: best.safetensors and last.safetensors, config.yaml,
    metrics.csv, curves.png and TensorBoard events, and at once batch.png: what
    the network is shown first. A run that was killed goes on from its last
    finished epoch with --resume, to the same result.

    For example:

      edgeseg train --data camvid --model fast_scnn --epochs 60 --out runs/camvid
      edgeseg train --config runs/camvid/config.yaml --resume
      edgeseg train --data camvid --find-lr --out runs/lr
      edgeseg train --data camvid --model fast_scnn --teacher runs/big --out runs/taught
      edgeseg train --data camvid --qat --init runs/camvid --out runs/camvid-qat
      edgeseg train --data pennfudan --model yolact_mobilenet_v2 --out runs/people
      edgeseg train --data pennfudan --qat --init runs/people --out runs/people-qat

    Parameters
    ----------
    resume
        Go on with the run in --out; its settings must be the same.
    find_lr
        Train a hundred steps while the learning rate rises, leave lr.png and lr.csv in --out, name the rate at which
        the loss falls fastest, and keep nothing else.
    json
        Print the result as JSON.
    """
    for package in ("torch", "torchvision", "lightning", "tensorboard", "safetensors", "matplotlib"):
        require(package, "train")
    from edgeseg.training.loop import train as run
    from edgeseg.training.machine import is_first_process
    from edgeseg.training.start import resolve
    from edgeseg.training.unheeded import check_heeded

    if not resume:  # what a run was once begun with is none of today's mistakes
        check_heeded(config)
    # Where several processes train, each runs this verb, and the first one speaks for all.
    first = is_first_process()
    show, say = (progress, note) if first else (silent, nothing)
    task = open_task(given(resolve(config).model.model), config.data, show, say)
    if find_lr:
        _find_learning_rate(config, task, resume, json)
        return
    result = run(config, task, resume=resume, progress=show, report=say)
    if json and first:
        answer_json({
            "out": str(config.out), "best_epoch": result.best_epoch, f"best_{task.headline.key}": result.best_score,
            "epochs": result.epochs, "seconds": result.seconds,
        })  # fmt: skip
    else:
        reached = f"val {task.headline.said} {result.best_score:.4f} in epoch {result.best_epoch}"
        say(f"{config.out}: {reached}, {result.seconds:.0f} s")


def _find_learning_rate(config: TrainConfig, task: Task, resume: bool, json: bool) -> None:
    from edgeseg.training.lr_range import PICTURE, find_learning_rate

    if resume:
        raise ConfigError("--find-lr begins anew; leave --resume away")
    found = find_learning_rate(config, task, progress=progress)
    rate = found.suggestion
    found.write(config.out)
    if json:
        answer_json({"out": str(config.out), "lr": rate, "rates": found.rates, "losses": found.losses})
    else:
        print(f"the loss falls fastest at a learning rate of {rate:.2g}; see {config.out / PICTURE}")
