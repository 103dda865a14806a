"""A run that starts from another one, pruned: pruned at once or step by step, fine-tuned after each step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from math import nan
from pathlib import Path

import torch
from torch import nn

from edgeseg.compress.channels import channel_plan
from edgeseg.compress.pruning import Cost, NothingToPruneError, PruneOptions, PruneReport, prune, prune_to, step_ratios
from edgeseg.config import ModelConfig, TrainConfig, flatten, given
from edgeseg.training.checkpoint import Checkpoint, checkpoint_file, load_checkpoint, save_checkpoint
from edgeseg.training.folder import held
from edgeseg.training.loop import train
from edgeseg.training.machine import choose_accelerator
from edgeseg.training.state import CONFIG
from edgeseg.training.task import Scored, Task
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.files import remove
from edgeseg_runtime.progress import Progress, silent

START = "start.safetensors"

Pruner = Callable[[nn.Module], PruneReport]
"""Makes a network narrower, in place."""


@dataclass(frozen=True)
class PruneOutcome:
    """What became of a run that was pruned. Scores are the task's headline (0..1) over the validation pictures."""

    report: PruneReport
    before: float
    pruned: float
    """After the (last) pruning, nothing learnt since."""
    tuned: float | None
    """Best of the fine-tuning; None without."""


def ratio_steps(size: tuple[int, int], ratio: float, steps: int, options: PruneOptions) -> list[Pruner]:
    """Return the steps that together remove the share `ratio` of the channels. Raises ConfigError."""
    if not 0 < ratio < 1:
        raise ConfigError(f"the ratio is the share of channels to remove, between 0 and 1; got {ratio}")
    return [partial(prune, size=size, ratio=share, options=options) for share in step_ratios(ratio, steps)]


def cost_steps(
    net: nn.Module,
    size: tuple[int, int],
    cost: Cost,
    bound: float,
    steps: int,
    options: PruneOptions,
    *,
    tries: int = 10,
    progress: Progress = silent,
) -> list[Pruner]:
    """Return the steps that bring the cost of `net` down to `bound`, in equal parts. Raises ConfigError."""
    if steps < 1:
        raise ConfigError(f"pruning takes at least 1 step, got {steps}")
    whole = cost.measure(net) if steps > 1 else bound
    bounds = [whole + (bound - whole) * step / steps for step in range(1, steps + 1)]
    return [
        partial(prune_to, size=size, cost=cost, bound=part, options=options, tries=tries, progress=progress)
        for part in bounds
    ]


def prune_run(
    settings: TrainConfig,
    source: Path,
    pruners: Sequence[Pruner],
    task: Task,
    *,
    finetune: bool = True,
    progress: Progress = silent,
    report: Callable[[str], None] = print,
) -> PruneOutcome:
    """Prune the run or checkpoint `source` and fine-tune it by `settings`, whose `--init` is filled in here.

    Leaves START in `settings.out`, the pruned network before it learnt again, and the run beside it. Of several
    pruners each but the last has a run in the folder step-1, step-2, …; they share the epochs. Without `finetune`
    there is only START. Raises ConfigError when the folder already holds a run or there are fewer epochs than pruners,
    and what pruning and training raise.
    """
    epochs = given(settings.optim.epochs)
    if finetune and epochs < len(pruners):
        raise ConfigError(f"{epochs} epochs are too few for {len(pruners)} steps; give --epochs or --steps")
    folders = _free_folders(settings.out, len(pruners))
    device = torch.device(choose_accelerator(settings.machine.device))
    score, said = partial(_score, task, device, progress), f"val {task.headline.said}"
    net, checkpoint = load_checkpoint(checkpoint_file(source))
    original = deepcopy(net)
    whole: PruneReport | None = None
    before = pruned = nan
    tuned: float | None = None
    for folder, prune_net, share in zip(folders, pruners, _epochs(epochs, len(pruners)), strict=True):
        try:
            part = prune_net(net.to(device))
        except NothingToPruneError as error:
            if whole is None:
                raise
            report(f"{folder}: {error}; it only learns on")  # an earlier step took more than its part
        else:
            if whole is None:  # only now: scoring takes long, and a target that cannot be had shows at once
                before = score(original, checkpoint.contract).score
                report(f"{source}: {said} {before:.4f}")
            whole = part if whole is None else whole.then(part)
        net.cpu()
        scored = score(net, checkpoint.contract)
        pruned = scored.score
        config = replace(
            settings,
            out=folder,
            model=ModelConfig(checkpoint.model, init=folder / START),
            optim=replace(settings.optim, epochs=share),
        )
        description = replace(
            checkpoint,
            contract=scored.contract,
            epoch=0,
            metrics={task.headline.key: pruned},
            config=flatten(config),
        )
        with _starting_file(folder / START, net, description):
            report(f"{folder / START}: {whole.macs_share:.1%} of the MACs, {said} {pruned:.4f}")
            if finetune:
                tuned = train(config, task, progress=progress, report=report).best_score
                net, checkpoint = load_checkpoint(checkpoint_file(folder))
    assert whole is not None, "there is at least one pruner"
    return PruneOutcome(whole, before, pruned, tuned)


def _free_folders(out: Path, steps: int) -> list[Path]:
    """Return the steps' folders, `out` the last. Raises ConfigError for one in use, OutputError where none can be."""
    folders = [out / f"step-{step}" for step in range(1, steps)] + [out]
    for folder in folders:
        _refuse_run(folder)
    with held(out):  # now, and not after the work of a first pruning
        pass
    return folders


def _refuse_run(folder: Path) -> None:
    if (folder / CONFIG).exists():
        raise ConfigError(f"{folder} already holds a run; choose another --out")
    if (folder / START).exists():
        raise ConfigError(f"{folder / START} is of an earlier pruning; remove it, or choose another --out")


def _score(task: Task, device: torch.device, progress: Progress, net: nn.Module, contract: Contract) -> Scored:
    scored = task.score(net, contract, device, progress)
    net.cpu()
    return scored


def _epochs(epochs: int, steps: int) -> Iterable[int]:
    """Share the epochs out, at least one a step, what does not divide going to the last."""
    share = max(1, epochs // steps)
    return [share] * (steps - 1) + [max(1, epochs - share * (steps - 1))]


@contextmanager
def _starting_file(path: Path, net: nn.Module, description: Checkpoint) -> Iterator[None]:
    """Write the pruned network; take it away again when the body fails before it has begun a run beside it.

    Raises ConfigError when another process has begun one there meanwhile.
    """
    _refuse_run(path.parent)
    save_checkpoint(path, net, replace(description, channels=channel_plan(net)))
    try:
        yield
    except BaseException:
        if not (path.parent / CONFIG).exists():
            remove(path)
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
        raise
