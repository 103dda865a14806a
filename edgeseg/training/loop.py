"""The training loop: set up, then one plain loop over epochs and steps.

A run is a function of its settings. Everything random in epoch `e` is drawn from (seed, e): the order of the
pictures, how they are varied, dropout. So a run that is killed and resumed goes on as if nothing had happened, and on
the CPU its numbers are the same to the last bit.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, cast

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader, DistributedSampler

from edgeseg.compress.distillation import Distiller
from edgeseg.config import TrainConfig, given
from edgeseg.data.augmentation import augmentation
from edgeseg.data.base import IGNORE, SegmentationData
from edgeseg.data.sampling import RareClassSampler
from edgeseg.data.torch_dataset import TrainingSet
from edgeseg.models.branches import fold_branches
from edgeseg.training.batch_preview import BATCH, first_items, write_batch
from edgeseg.training.checkpoint import BEST, LAST, Checkpoint, save_checkpoint
from edgeseg.training.evaluate import check_classes, evaluate
from edgeseg.training.losses import Loss, class_weights, make_loss
from edgeseg.training.machine import choose_accelerator, choose_precision, choose_processes
from edgeseg.training.optimisation import make_average, make_optimizer, make_schedule
from edgeseg.training.runlog import RunLog, prediction_strip
from edgeseg.training.start import describe, make_contract, make_distiller, make_module, resolve
from edgeseg.training.state import State, begin, check_folder
from edgeseg.training.supervision import Supervised, supervised_objective
from edgeseg_export.deployable import Deployable, TorchSegmenter
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.metrics import Scores
from edgeseg_runtime.progress import Progress, silent

Objective: TypeAlias = Callable[[Tensor, Any, Tensor], Tensor]
"""From uint8 (N, H, W, 3) frames, what the module answers to them and (N, H, W) targets to what is minimised.

The answer is (N, C, h, w) scores; with deep supervision a list of them and of what each auxiliary head says.
"""
LAST_SECONDS = 3
"""How long a worker that is asked to end leaves it to its parent."""
SHOWN = 3
"""Validation pictures whose masks go to TensorBoard after every epoch."""


@dataclass(frozen=True)
class TrainingResult:
    """What a finished run reached."""

    best_epoch: int
    best_mean_iou: float
    epochs: int
    seconds: float
    """Wall-clock time of this process; what came before a resume is not counted."""


def train(
    config: TrainConfig,
    train_data: SegmentationData,
    val_data: SegmentationData,
    *,
    resume: bool = False,
    progress: Progress = silent,
    report: Callable[[str], None] = print,
) -> TrainingResult:
    """Train in `config.out` and return what was reached.

    Raises ConfigError when the folder already holds a run (without `resume`) or a different one (with it) or a setting
    does not fit, CheckpointError when there is nothing to resume, DatasetError when the splits' classes differ.
    """
    started = time.monotonic()
    for name in ("lightning.fabric", "lightning.pytorch"):  # their greetings are no business of the user's
        logging.getLogger(name).setLevel(logging.WARNING)
    config = resolve(config)
    processes = choose_processes(config.machine.devices)
    config = replace(config, machine=replace(config.machine, devices=processes.total))
    epochs = given(config.optim.epochs)
    accelerator = choose_accelerator(config.machine.device, processes.here)
    precision = choose_precision(config.machine.precision, accelerator, config.model.qat)
    fabric = Fabric(accelerator=accelerator, devices=processes.here, num_nodes=processes.machines, precision=precision)
    contract = make_contract(config, train_data)
    check_classes(val_data, contract.names)
    if fabric.is_global_zero:
        check_folder(config, resume)
    else:
        progress = silent
    fabric.launch()
    loader = make_loader(config, train_data, contract, fabric, progress)
    criterion = make_criterion(config, train_data, fabric.device)
    torch.manual_seed(config.machine.seed)
    module = make_module(config, contract, train_data, fresh=not resume, progress=progress, report=report)
    module = module.to(fabric.device)
    state = make_state(config, module, steps=epochs * steps_an_epoch(len(loader), config.optim.accumulate))
    distiller = make_distiller(config, module, fabric.device)  # after the average was copied, which it must not watch
    if resume:
        state.load(config.out)
    elif fabric.is_global_zero:
        write_batch(config.out / BATCH, first_items(loader), contract)
        begin(config, state)
    objective, described = make_objective(criterion, distiller, fabric), describe(config, contract)
    if isinstance(module, Supervised):
        objective = supervised_objective(objective, criterion, module, config.loss.aux_weight)
    # Fabric's optimiser only wraps the state's own, which is what the schedule drives and what is saved.
    wrapped, optimizer = fabric.setup(module, state.optimizer)
    with RunLog(config.out, state.epoch) if fabric.is_global_zero else nullcontext() as log:
        if log is not None and config.model.init is not None and state.best == -math.inf:
            # what another run reached is only replaced by something better
            scores = score_epoch(config.out, state, described, log, math.nan, val_data, fabric.device, progress)
            report(f"at the start  val mIoU {scores.mean_iou:.4f}")
        while state.epoch < epochs and not _out_of_patience(state, config.optim.patience):
            state.epoch += 1
            loss = train_epoch(config, state, fabric, wrapped, optimizer, loader, objective, progress)
            due = state.epoch % config.optim.score_every == 0 or state.epoch == epochs
            if log is not None and due:
                scores = score_epoch(config.out, state, described, log, loss, val_data, fabric.device, progress)
                report(
                    f"epoch {state.epoch}/{epochs}  loss {loss:.4f}  val mIoU {scores.mean_iou:.4f}"
                    f"  best {state.best:.4f} (epoch {state.best_epoch})"
                )
            state.best, state.best_epoch = fabric.broadcast((state.best, state.best_epoch))
    if fabric.is_global_zero and state.epoch < epochs:
        report(f"stopped early: no better val mIoU for {config.optim.patience} epochs")
    return TrainingResult(state.best_epoch, state.best, state.epoch, time.monotonic() - started)


def train_epoch(
    config: TrainConfig,
    state: State,
    fabric: Fabric,
    module: Any,
    optimizer: Any,
    loader: DataLoader[tuple[Tensor, Tensor]],
    objective: Objective,
    progress: Progress,
) -> float:
    """Do one pass over the training pictures and return the mean loss."""
    epoch_seed = config.machine.seed * 1_000_003 + state.epoch
    torch.manual_seed(epoch_seed + 7919 * fabric.global_rank)  # dropout differs between processes
    loader.dataset.set_epoch(state.epoch)  # type: ignore[attr-defined]
    loader.sampler.set_epoch(state.epoch)  # type: ignore[attr-defined]
    module.train()
    total = torch.zeros((), device=fabric.device)
    label = f"epoch {state.epoch}/{config.optim.epochs}"
    together, batches = config.optim.accumulate, len(loader)
    for number, (frames, target) in enumerate(progress(loader, label, batches)):
        frames, target = frames.to(fabric.device, non_blocking=True), target.to(fabric.device, non_blocking=True)
        first = number - number % together
        in_step = min(together, batches - first)  # the last step of an epoch may have fewer batches
        if number == first:
            optimizer.zero_grad()
        due = number == first + in_step - 1
        with fabric.no_backward_sync(module, enabled=not due):
            loss = objective(frames, module(frames), target)
            fabric.backward(loss / in_step)
        total += loss.detach()
        if not due:
            continue
        if config.optim.clip > 0:
            fabric.clip_gradients(module, optimizer, max_norm=config.optim.clip, error_if_nonfinite=False)
        optimizer.step()
        state.schedule.step()
        state.average.update_parameters(state.net)
    mean = float(cast(Tensor, fabric.all_reduce(total / len(loader), reduce_op="mean")))
    if not np.isfinite(mean):
        raise ConfigError(f"the loss became {mean} in epoch {state.epoch}; lower --lr (it is {config.optim.lr})")
    return mean


def steps_an_epoch(batches: int, accumulate: int) -> int:
    """Return how often the weights change in an epoch."""
    return math.ceil(batches / accumulate)


def score_epoch(
    out: Path,
    state: State,
    described: Checkpoint,
    log: RunLog,
    loss: float,
    val_data: SegmentationData,
    device: torch.device,
    progress: Progress,
) -> Scores:
    """Score the averaged weights through the deployed path, in float32; log them; save checkpoints and state."""
    net, contract = fold_branches(state.average.module), described.contract
    segment = TorchSegmenter(Deployable(net, contract), device)
    scores = evaluate(segment, val_data, contract.names, progress)
    metrics = scores.as_dict(contract.names)
    numbers = {name: float(value) for name, value in metrics.items() if isinstance(value, (int, float))}
    for name, iou in zip(contract.names, scores.iou, strict=True):
        numbers[f"iou/{name}"] = float(iou)
    log.add(state.epoch, {"loss": loss, "lr": float(state.schedule.get_last_lr()[0]), **numbers})
    for index in range(min(SHOWN, len(val_data))):
        sample = val_data.read(index)
        strip = prediction_strip(sample.image, sample.mask, segment(sample.image), contract)
        log.add_picture(f"val/{val_data.name(index)}", strip, state.epoch)
    checkpoint = replace(described, epoch=state.epoch, metrics=metrics)
    if scores.mean_iou > state.best:
        state.best, state.best_epoch = scores.mean_iou, state.epoch
        save_checkpoint(out / BEST, net, checkpoint)
    save_checkpoint(out / LAST, net, checkpoint)
    state.save(out)  # last: an epoch counts as done when all its files are there
    return scores


def make_state(config: TrainConfig, module: Deployable, steps: int) -> State:
    """Return the state of a run that has not begun."""
    optimizer = make_optimizer(module, config.optim)
    average = make_average(module.net, config.optim.ema)
    heads = module.heads if isinstance(module, Supervised) else nn.ModuleList()
    return State(module.net, average, optimizer, make_schedule(optimizer, steps, config.optim), heads)


def make_loader(
    config: TrainConfig, data: SegmentationData, contract: Contract, fabric: Fabric, progress: Progress = silent
) -> DataLoader[tuple[Tensor, Tensor]]:
    """Return a loader of uint8 (batch, H, W, 3) frames and (batch, H, W) targets, this process's share of them."""
    # OpenCV's thread pool does not survive the fork that makes the workers: they would wait for it for ever.
    cv2.setNumThreads(1)
    augment = augmentation(config.data.augment, contract, config.augmentation)
    counted = config.data.sample == "rare" or augment.counts_classes
    temperature = config.data.rare_temperature if counted else None
    dataset = TrainingSet(data, contract, augment, config.machine.seed, rare_temperature=temperature, progress=progress)
    sampler = make_sampler(config, dataset, fabric)
    if len(sampler) < config.optim.batch:
        raise ConfigError(f"--batch {config.optim.batch} is more than the {len(sampler)} training pictures")
    return DataLoader(
        dataset,
        batch_size=config.optim.batch,
        sampler=sampler,
        num_workers=config.data.workers,
        drop_last=True,
        persistent_workers=config.data.workers > 0,
        multiprocessing_context="fork" if config.data.workers else None,
        # The loader draws a seed when its workers start, and from then on none. Drawn from the common generator, that
        # would make dropout depend on the number of workers, and on whether the run was resumed.
        generator=torch.Generator(),
        pin_memory=fabric.device.type == "cuda",
        worker_init_fn=_leave_signals_to_the_parent,
    )


def make_sampler(
    config: TrainConfig, dataset: TrainingSet, fabric: Fabric
) -> RareClassSampler | DistributedSampler[tuple[Tensor, Tensor]]:
    """Return what says which pictures come when, this process's share of them."""
    seed, replicas, rank = config.machine.seed, fabric.world_size, fabric.global_rank
    if config.data.sample == "rare":
        return RareClassSampler(dataset.rare, len(dataset), seed=seed, replicas=replicas, rank=rank)
    return DistributedSampler(dataset, replicas, rank, shuffle=True, seed=seed, drop_last=True)


def _leave_signals_to_the_parent(_worker: int) -> None:
    """Ctrl-C reaches the whole process group; a worker that died of it would look like a fault to the parent.

    SIGTERM is also how Python ends the workers that are left when a bug ends the parent, which then waits for them: it
    comes with a delay in which a parent that got it too has ended them in good order.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))  # an end by the alarm itself would look like a fault again
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(LAST_SECONDS))


def make_criterion(config: TrainConfig, data: SegmentationData, device: torch.device) -> Loss:
    """Return the loss, its class weights counted over the training masks where it uses any."""
    weight = None
    if config.loss.class_weights != "none":
        counts = np.zeros(256, np.int64)
        for index in range(len(data)):
            counts += np.bincount(data.read(index).mask.ravel(), minlength=256)
        values = class_weights(counts[: len(data.labels)].tolist(), config.loss.class_weights)
        weight = torch.tensor(values, device=device)
    return make_loss(config.loss, IGNORE, weight)


def make_objective(criterion: Loss, distiller: Distiller | None, fabric: Fabric) -> Objective:
    """Return the loss at the targets' size, with what the teacher adds to it where there is one."""

    def objective(frames: Tensor, scores: Tensor, target: Tensor) -> Tensor:
        full = F.interpolate(scores.float(), size=target.shape[1:], mode="bilinear", align_corners=False)
        loss = criterion(full, target.long())
        if distiller is None:
            return loss
        with fabric.autocast():
            return loss + distiller(frames, scores)

    return objective


def _out_of_patience(state: State, patience: int) -> bool:
    return patience > 0 and state.epoch - state.best_epoch >= patience
