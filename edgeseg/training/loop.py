"""The training loop: set up, then one plain loop over epochs and steps.

A run is a function of its settings. Everything random in epoch `e` is drawn from (seed, e): the order of the
pictures, how they are varied, dropout. So a run that is killed and resumed goes on as if nothing had happened, and on
the CPU its numbers are the same to the last bit.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader

from edgeseg.config import OptimConfig, TrainConfig, given
from edgeseg.training.batch_preview import BATCH
from edgeseg.training.checkpoint import BEST, LAST, Checkpoint, save_checkpoint
from edgeseg.training.convolutions import mend_convolutions
from edgeseg.training.folder import held
from edgeseg.training.machine import (
    choose_accelerator,
    choose_precision,
    choose_processes,
    share_batch_statistics,
)
from edgeseg.training.optimisation import make_average, make_optimizer, make_schedule
from edgeseg.training.runlog import RunLog
from edgeseg.training.start import describe, resolve
from edgeseg.training.state import State, begin, check_folder
from edgeseg.training.supervision import Supervised
from edgeseg.training.task import Step, Task
from edgeseg_export.deployable import FrameModule
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.memory import all_freed_memory_kept
from edgeseg_runtime.progress import Progress, silent


@dataclass(frozen=True)
class TrainingResult:
    """What a finished run reached."""

    best_epoch: int
    best_score: float
    """The task's headline, 0..1."""
    epochs: int
    seconds: float
    """Wall-clock time of this process; what came before a resume is not counted."""


@all_freed_memory_kept()
def train(
    config: TrainConfig,
    task: Task,
    *,
    resume: bool = False,
    progress: Progress = silent,
    report: Callable[[str], None] = print,
) -> TrainingResult:
    """Train in `config.out` and return what was reached.

    Raises ConfigError when the folder already holds a run (without `resume`) or a different one (with it), another
    process trains into it, or a setting does not fit, CheckpointError when there is nothing to resume, DatasetError
    when the splits' classes differ, OutputError when the folder cannot be made.
    """
    for name in ("lightning.fabric", "lightning.pytorch"):  # their greetings are no business of the user's
        logging.getLogger(name).setLevel(logging.WARNING)
    config = resolve(config)
    config = replace(config, machine=replace(config.machine, devices=choose_processes(config.machine.devices).total))
    fabric = make_fabric(config)
    contract = task.make_contract(config)
    if not fabric.is_global_zero:
        return _train(config, contract, task, fabric, resume, silent, report)
    with held(config.out):
        check_folder(config, resume)
        return _train(config, contract, task, fabric, resume, progress, report)


def _train(
    config: TrainConfig,
    contract: Contract,
    task: Task,
    fabric: Fabric,
    resume: bool,
    progress: Progress,
    report: Callable[[str], None],
) -> TrainingResult:
    epochs, said = given(config.optim.epochs), f"val {task.headline.said}"
    started = time.monotonic()
    fabric.launch()
    loader, module, state, step = assemble(
        config, contract, task, fabric, fresh=not resume, progress=progress, report=report
    )
    if resume:
        state.load(config.out)
    elif fabric.is_global_zero:
        task.write_preview(config.out / BATCH, loader, contract)
        begin(config, state)
    described = describe(config, contract)
    # Fabric's optimiser only wraps the state's own, which is what the schedule drives and what is saved.
    wrapped, optimizer = fabric.setup(module, state.optimizer)
    with RunLog(config.out, state.epoch, task.headline) if fabric.is_global_zero else nullcontext() as log:

        def score(loss: float) -> float:
            assert log is not None
            return score_epoch(config.out, state, described, log, loss, task, fabric.device, progress)

        if log is not None and config.model.init is not None and state.best == -math.inf:
            # what another run reached is only replaced by something better
            report(f"at the start  {said} {score(math.nan):.4f}")
        while state.epoch < epochs and not _out_of_patience(state, config.optim):
            state.epoch += 1
            loss = train_epoch(config, state, fabric, wrapped, optimizer, loader, step, progress)
            due = state.epoch % config.optim.score_every == 0 or state.epoch == epochs
            if log is not None and due:
                report(
                    f"epoch {state.epoch}/{epochs}  loss {loss:.4f}  {said} {score(loss):.4f}"
                    f"  best {state.best:.4f} (epoch {state.best_epoch})"
                )
            state.best, state.best_epoch = fabric.broadcast((state.best, state.best_epoch))
    if fabric.is_global_zero and state.epoch < epochs:
        report(f"stopped early: no better {said} for {config.optim.patience} epochs")
    return TrainingResult(state.best_epoch, state.best, state.epoch, time.monotonic() - started)


def make_fabric(config: TrainConfig) -> Fabric:
    """Return what knows the processors and the arithmetic of a run. Raises ConfigError for what is not here."""
    processes = choose_processes(config.machine.devices)
    accelerator = choose_accelerator(config.machine.device, processes.here)
    precision = choose_precision(config.machine.precision, accelerator)
    return Fabric(accelerator=accelerator, devices=processes.here, num_nodes=processes.machines, precision=precision)


class Parts(NamedTuple):
    """What a training step needs."""

    loader: DataLoader[Any]
    module: FrameModule
    state: State
    step: Step


def assemble(
    config: TrainConfig,
    contract: Contract,
    task: Task,
    fabric: Fabric,
    *,
    fresh: bool = True,
    progress: Progress = silent,
    report: Callable[[str], None] = print,
) -> Parts:
    """Make the parts of a run that has not begun; see `Task.make_module` for `fresh` and `report`."""
    loader = task.make_loader(config, contract, fabric, progress)
    torch.manual_seed(config.machine.seed)
    module = task.make_module(config, contract, fresh=fresh, progress=progress, report=report).to(fabric.device)
    if fabric.device.type == "cpu":
        mend_convolutions(module.net)
    module = share_batch_statistics(module, config.machine.sync_bn, fabric.world_size, fabric.device)
    steps = given(config.optim.epochs) * steps_an_epoch(len(loader), config.optim.accumulate)
    state = make_state(config, module, steps)
    # after the average was copied: a step may watch the network, which the average must not
    return Parts(loader, module, state, task.make_step(config, module, fabric))


def train_epoch(
    config: TrainConfig,
    state: State,
    fabric: Fabric,
    module: Any,
    optimizer: Any,
    loader: DataLoader[Any],
    step: Step,
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
    for number, batch in enumerate(progress(loader, label, batches)):
        frames, targets = fabric.to_device(batch)
        first = number - number % together
        in_step = min(together, batches - first)  # the last step of an epoch may have fewer batches
        if number == first:
            optimizer.zero_grad()
        due = number == first + in_step - 1
        with fabric.no_backward_sync(module, enabled=not due):
            loss = step(module, frames, targets)
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
    task: Task,
    device: torch.device,
    progress: Progress,
) -> float:
    """Score the averaged weights; log the scores; save checkpoints and state; return the headline."""
    scored = task.score(state.average.module, described.contract, device, progress)
    log.add(state.epoch, {"loss": loss, "lr": float(state.schedule.get_last_lr()[0]), **scored.numbers})
    for name, strip in scored.strips:
        log.add_picture(f"val/{name}", strip, state.epoch)
    checkpoint = replace(described, epoch=state.epoch, metrics=scored.metrics, contract=scored.contract)
    if scored.score > state.best:
        state.best, state.best_epoch = scored.score, state.epoch
        save_checkpoint(out / BEST, scored.net, checkpoint)
    save_checkpoint(out / LAST, scored.net, checkpoint)
    state.save(out)  # last: an epoch counts as done when all its files are there
    return scored.score


def make_state(config: TrainConfig, module: FrameModule, steps: int) -> State:
    """Return the state of a run that has not begun."""
    optimizer = make_optimizer(module, config.optim)
    average = make_average(module.net, config.optim.ema)
    heads = module.heads if isinstance(module, Supervised) else nn.ModuleList()
    return State(module.net, average, optimizer, make_schedule(optimizer, steps, config.optim), heads)


def _out_of_patience(state: State, config: OptimConfig) -> bool:
    """Whether nothing better came for long enough: known only when an epoch has just been scored."""
    waited = state.epoch - state.best_epoch
    return waited >= config.patience > 0 and state.epoch % config.score_every == 0
