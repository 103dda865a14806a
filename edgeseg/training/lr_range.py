"""Which learning rate suits a run: train a few steps while it rises, and look where the loss falls fastest.

Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, arXiv:1506.01186, section 3.3.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgeseg.config import TrainConfig
from edgeseg.training.loop import assemble, make_fabric
from edgeseg.training.start import resolve
from edgeseg.training.task import Task
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.extras import require
from edgeseg_runtime.files import atomic_path, write_text
from edgeseg_runtime.progress import Progress, silent

LOWEST, HIGHEST = 1e-6, 1.0
STEPS = 100
LEAST_STEPS = 10
"""With fewer losses there is no curve."""
MEMORY = 0.9
"""Decay of the moving average of the losses."""
EXPLODED = 4.0
"""Times the lowest loss, above which looking on is of no use."""
TABLE, PICTURE = "lr.csv", "lr.png"


@dataclass(frozen=True)
class RangeTest:
    """Losses, averaged over the last steps, at rising learning rates."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def suggestion(self) -> float:
        """The rate at which the loss falls fastest for a relative growth of the rate, before it is lowest.

        Raises ConfigError when it never falls.
        """
        lowest = self.losses.index(min(self.losses))
        slopes = [
            (self.losses[at + 1] - self.losses[at - 1]) / math.log(self.rates[at + 1] / self.rates[at - 1])
            for at in range(1, lowest)
        ]
        if not slopes or min(slopes) >= 0:
            raise ConfigError("the loss never falls while the learning rate rises; look at the data and the loss")
        return self.rates[1 + slopes.index(min(slopes))]

    def write(self, folder: Path) -> None:
        """Write the curve as a table and a picture."""
        lines = [f"{rate:.6g},{loss:.6g}" for rate, loss in zip(self.rates, self.losses, strict=True)]
        write_text(folder / TABLE, "\n".join(["lr,loss", *lines, ""]))
        require("matplotlib", "train")
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 3.5), layout="constrained")
        FigureCanvasAgg(figure)  # without pyplot: no window system, no global state
        axes = figure.add_subplot(xscale="log", xlabel="learning rate", ylabel="loss, averaged over the last steps")
        axes.plot(self.rates, self.losses)
        axes.axvline(self.suggestion, ls="--", color="#888888", label=f"falls fastest: {self.suggestion:.2g}")
        axes.legend()
        with atomic_path(folder / PICTURE) as temporary:
            figure.savefig(temporary, format="png", dpi=110)


def smoothed(losses: list[float]) -> list[float]:
    """Return the moving averages of losses, without the pull towards 0 that they would begin with."""
    average, found = 0.0, []
    for count, loss in enumerate(losses, 1):
        average = MEMORY * average + (1 - MEMORY) * loss
        found.append(average / (1 - MEMORY**count))
    return found


def find_learning_rate(
    config: TrainConfig, task: Task, *, steps: int = STEPS, progress: Progress = silent
) -> RangeTest:
    """Train for `steps` steps while the learning rate rises from LOWEST to HIGHEST; nothing of it is kept.

    Raises ConfigError for several processes, or when the loss is no number before a curve can be seen.
    """
    config = resolve(config)
    fabric = make_fabric(config)
    if fabric.world_size > 1:
        raise ConfigError("--find-lr needs one process; leave --devices and torchrun away")
    contract = task.make_contract(config)
    config = replace(config, optim=replace(config.optim, lr=1.0))
    loader, module, state, training_step = assemble(
        config, contract, task, fabric, progress=progress, report=lambda _: None
    )
    wrapped, optimizer = fabric.setup(module, state.optimizer)
    shares = [group["initial_lr"] for group in state.optimizer.param_groups]  # of a rate of 1: a trunk has less
    rates, losses = [], []
    together, batches = config.optim.accumulate, _endless(loader)
    wrapped.train()
    for step in progress(range(steps), "looking for a learning rate", steps):
        rates.append(LOWEST * (HIGHEST / LOWEST) ** (step / (steps - 1)))
        for group, share in zip(state.optimizer.param_groups, shares, strict=True):
            group["lr"] = rates[-1] * share
        optimizer.zero_grad()
        losses.append(0.0)
        for batch in itertools.islice(batches, together):
            loss = training_step(wrapped, *fabric.to_device(batch)) / together
            fabric.backward(loss)
            losses[-1] += float(loss.detach())
        if not math.isfinite(losses[-1]) or losses[-1] > EXPLODED * min(losses):
            rates.pop(), losses.pop()
            break
        if config.optim.clip > 0:
            fabric.clip_gradients(wrapped, optimizer, max_norm=config.optim.clip, error_if_nonfinite=False)
        optimizer.step()
    if len(losses) < LEAST_STEPS:
        raise ConfigError(f"the loss explodes after {len(losses)} steps at a learning rate of {LOWEST:g} already")
    return RangeTest(tuple(rates), tuple(smoothed(losses)))


def _endless(loader: Any) -> Iterator[Any]:
    """Yield the batches of one epoch after another."""
    for epoch in itertools.count():
        loader.dataset.set_epoch(epoch)
        loader.sampler.set_epoch(epoch)
        yield from loader
