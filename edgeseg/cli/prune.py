"""`edgeseg prune`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeseg.cli.console import answer_json, note, progress
from edgeseg.cli.prune_config import FinetuneConfig, PruneConfig
from edgeseg.cli.task import open_task
from edgeseg_runtime.errors import CheckpointError, ConfigError
from edgeseg_runtime.extras import require

if TYPE_CHECKING:
    from edgeseg.config import TrainConfig
    from edgeseg.training.checkpoint import Checkpoint
    from edgeseg.training.prune import PruneOutcome, Pruner
    from edgeseg.training.task import Headline, Task

LATENCY_TRIES = 6
"""Bisections towards a measured bound: each takes an export and a measurement, and noise makes finer steps idle."""


def prune(run: Path, /, *, config: PruneConfig, json: bool = False) -> None:
    """Take whole channels out of a trained network, then fine-tune it.

    RUN is a run folder or a .safetensors checkpoint. What is left is a smaller
    network, exported, measured and trained on like any other. A model of classes
    has its unpruned self as the teacher. Leaves in --out: start.safetensors, pruned
    and not yet fine-tuned, and the run that started from it. If that is killed, it
    goes on with `edgeseg train --config OUT/config.yaml --resume`. Of several steps
    each but the last has such a run in OUT/step-1, …; when that has ended, prune it
    by what is left to be pruned, with RUN as the --teacher.

    For example:

      edgeseg prune runs/camvid --ratio 0.4 --out runs/camvid-p40
      edgeseg prune runs/camvid --macs 0.5 --steps 3 --out runs/camvid-half
      edgeseg prune runs/camvid --latency 5ms --threads 2 --out runs/camvid-5ms
      edgeseg prune runs/people --macs 0.5 --epochs 20 --out runs/people-half

    Parameters
    ----------
    json
        Print the result as JSON.
    """
    for package in ("torch", "torchvision", "lightning", "tensorboard", "safetensors", "matplotlib", "torch_pruning"):
        require(package, "train")
    from edgeseg.training.checkpoint import checkpoint_file, read_checkpoint
    from edgeseg.training.prune import prune_run

    file = checkpoint_file(run)
    checkpoint = read_checkpoint(file)
    settings = finetune_settings(config, checkpoint, file)
    task = open_task(checkpoint.model, settings.data, progress)
    outcome = prune_run(
        settings,
        file,
        _pruners(config, file, settings, task),
        task,
        finetune=not config.finetune.no_finetune,
        progress=progress,
        report=note,
    )
    if json:
        answer_json({"out": str(config.out), **as_dict(outcome, task.headline)})
    else:
        _tell(outcome, task.headline)


def finetune_settings(config: PruneConfig, checkpoint: Checkpoint, file: Path) -> TrainConfig:
    """Return the settings of the fine-tuning: those of the checkpoint's own run, and what was said otherwise.

    A pretrained trunk that had a lower rate learns as fast as the rest from here on.

    Raises CheckpointError for a checkpoint that cannot be pruned, ConfigError for settings that cannot be.
    """
    from edgeseg.config import TrainConfig, given, unflatten

    if checkpoint.contract.output == "detections":
        raise CheckpointError(
            f"{file} holds {checkpoint.model}, which chooses its regions in the middle of the network; of the models "
            "that tell objects apart only those of prototypes (yolact_*) are pruned"
        )
    if checkpoint.quantized:
        raise CheckpointError(f"{file} holds quantisers; prune the network first, then train it with --qat")
    if "data" not in checkpoint.config:
        raise CheckpointError(f"{file} does not say how it was trained, and so not how to go on")
    own, wanted = unflatten(TrainConfig, checkpoint.config), config.finetune
    data = own.data if wanted.data is None else replace(own.data, data=wanted.data, format="auto")
    return replace(
        own,
        out=config.out,
        data=replace(
            data,
            size=checkpoint.contract.size,
            workers=own.data.workers if wanted.workers is None else wanted.workers,
        ),
        optim=replace(
            own.optim,
            epochs=own.optim.epochs if wanted.epochs is None else wanted.epochs,
            lr=given(own.optim.lr) / 2 if wanted.lr is None else wanted.lr,
            trunk_lr=1.0,  # a trunk that lost channels has as much to learn again as the rest
        ),
        distillation=replace(own.distillation, teacher=_teacher(wanted, checkpoint, file)),
        machine=replace(own.machine, device=wanted.device or own.machine.device, devices=1),
    )


def _teacher(wanted: FinetuneConfig, checkpoint: Checkpoint, file: Path) -> Path | None:
    """Return whose answers are imitated.

    Raises ConfigError for one of objects, which there is none, and for one of other classes.
    """
    from edgeseg.compress.distillation import check_teacher
    from edgeseg.training.checkpoint import check_semantic, checkpoint_file, read_checkpoint

    if checkpoint.contract.task == "instance":
        if wanted.teacher is not None:
            raise ConfigError(
                f"--teacher {wanted.teacher}: what is imitated are classes of pixels, and {checkpoint.model} tells "
                "objects apart; leave it away"
            )
        return None
    if wanted.no_teacher:
        return None
    if wanted.teacher is None:
        return file
    teacher = checkpoint_file(wanted.teacher)
    taught = read_checkpoint(teacher)
    check_semantic(teacher, taught)
    check_teacher(taught.contract.names, checkpoint.contract.names)
    return teacher


def as_dict(outcome: PruneOutcome, headline: Headline) -> dict[str, Any]:
    """Return the outcome as plain JSON values."""
    report, score = outcome.report, headline.key
    before, after = (
        {"parameters": parameters, "macs": macs}
        for parameters, macs in zip(report.parameters, report.macs, strict=True)
    )
    return {
        "ratio": round(report.ratio, 4),
        "before": before | {score: outcome.before},
        "after": after | {f"{score}_pruned": outcome.pruned, score: outcome.tuned},
        "macs_share": round(report.macs_share, 4),
        "widths": {name: list(widths) for name, widths in report.widths.items()},
    }


def _pruners(config: PruneConfig, file: Path, settings: TrainConfig, task: Task) -> list[Pruner]:
    from edgeseg.cli.latency import float_latency_ms
    from edgeseg.compress.pruning import Cost, PruneOptions, macs_share
    from edgeseg.optimize.budget import parse_latency
    from edgeseg.training.checkpoint import load_checkpoint
    from edgeseg.training.prune import cost_steps, ratio_steps
    from edgeseg_runtime.machine import usable_cores

    net, checkpoint = load_checkpoint(file)
    contract, target, channels = checkpoint.contract, config.target, config.channels
    losses = None
    if channels.criterion == "taylor":
        losses = task.sample_losses(contract, settings.machine.seed)
    options = PruneOptions(channels.criterion, channels.scope, channels.round_to, losses)
    if target.ratio is not None:
        return ratio_steps(contract.size, target.ratio, channels.steps, options)
    if target.macs is not None:
        cost = macs_share(net, contract.size)
        return cost_steps(net, contract.size, cost, target.macs, channels.steps, options, progress=progress)
    for package in ("onnx", "onnxscript", "onnxsim", target.engine):
        require(package, "export")
    bound, threads = parse_latency(target.latency or ""), target.threads or usable_cores()
    time = Cost(
        lambda candidate: float_latency_ms(candidate, contract, engine=target.engine, threads=threads),
        f"ms in {target.engine}, {threads} thread{'s' if threads > 1 else ''}",
    )
    return cost_steps(net, contract.size, time, bound, channels.steps, options, tries=LATENCY_TRIES, progress=progress)


def _tell(outcome: PruneOutcome, headline: Headline) -> None:
    report = outcome.report
    (before, after), (all_macs, macs) = report.parameters, report.macs
    note(f"parameters {before:,} → {after:,}, multiply-accumulates {all_macs / 1e6:,.0f} → {macs / 1e6:,.0f} million")
    tuned = "" if outcome.tuned is None else f", {outcome.tuned:.4f} after fine-tuning"
    note(f"val {headline.said} {outcome.before:.4f} → {outcome.pruned:.4f} right after pruning{tuned}")
