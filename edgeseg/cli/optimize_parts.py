"""From the flags of `edgeseg optimize` to the parts of its search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from edgeseg.cli.console import note, progress
from edgeseg.cli.flag_checks import check_cores
from edgeseg.cli.optimize_config import EffortConfig, GridConfig, OptimizeConfig
from edgeseg.cli.pictures import calibration_set, labelled_pictures, run_data
from edgeseg.cli.prune import finetune_settings
from edgeseg.cli.prune_config import FinetuneConfig, PruneConfig, TargetConfig
from edgeseg.config import TrainConfig
from edgeseg.data.base import SegmentationData
from edgeseg.optimize.budget import Budget, parse_latency
from edgeseg.optimize.journal import Journal
from edgeseg.optimize.run import TRIALS, Parts
from edgeseg.optimize.scoring import Subset
from edgeseg.optimize.space import Space, Trial, Variant, Weights, computed_in
from edgeseg.optimize.target import Profile, read_profile
from edgeseg.optimize.training import Trainer
from edgeseg.optimize.workshop import RealWorkshop
from edgeseg.training.checkpoint import BEST, LAST, Checkpoint, check_semantic, checkpoint_file, read_checkpoint
from edgeseg.training.start import QAT_EPOCHS
from edgeseg_runtime.engines import ENGINES
from edgeseg_runtime.errors import CheckpointError, ConfigError
from edgeseg_runtime.files import sha256
from edgeseg_runtime.machine import machine_facts, usable_cores

RUNS, WORK = "runs", "work"
"""Folders of a search: what was trained, and the files that were made."""


def search_folder(run: Path, config: OptimizeConfig) -> Path:
    """Return the folder that a search works in. Raises ConfigError for that of a run, whose files it would mix with."""
    file = checkpoint_file(run)
    folder = file.parent if file.parent.name.strip(".") else file.parent.resolve()
    out = config.out or folder.with_name(folder.name + "-opt")
    if (out / BEST).exists() or (out / LAST).exists():
        raise ConfigError(f"--out {out} holds a run; choose another folder")
    return out


def assemble(run: Path, config: OptimizeConfig, resume: bool) -> Parts:
    """Read everything, check everything, begin or go on with the journal. Writes nothing before all is right."""
    budget = Budget(parse_latency(config.budget.latency), config.budget.max_drop, config.budget.min_gain)
    file = checkpoint_file(run)
    checkpoint = read_checkpoint(file)
    check_semantic(file, checkpoint)
    if checkpoint.quantized:
        raise CheckpointError(f"{file} was trained for int8 already; start from the float run it came from")
    profile = None if config.budget.target is None else read_profile(config.budget.target)
    variants, threads = _grid(config.grid, profile)
    effort = config.effort
    everything = run_data(checkpoint, effort.data, effort.split, "val_split", progress)
    count = len(everything) if effort.pictures is None else effort.pictures
    data = Subset.of(everything, min(count, len(everything)))
    pictures = labelled_pictures(data, checkpoint.contract.names)
    calibration = None
    # the ratio of a trained int8 file is that of the calibrated one, which the profile holds
    scaled = profile is not None and any(computed_in(variant.precision) == "int8" for variant in variants)
    if scaled or any(variant.calibrated for variant in variants):
        calibration = calibration_set(
            checkpoint, effort.calibration, effort.calibration_count, effort.seed, progress=progress
        )
    out = search_folder(run, config)
    trainer = Trainer(
        file,
        out / RUNS,
        partial(training_settings, checkpoint, file, effort),
        partial(_training_data, checkpoint, effort),
        progress=progress,
        report=note,
    )
    workshop = RealWorkshop(
        out / WORK,
        checkpoint,
        trainer,
        data,
        Subset.of(data, min(effort.quick_pictures, len(data))),
        pictures,
        calibration,
        effort.seconds,
        progress,
    )
    facts = _facts(file, checkpoint, effort, data)
    # that the weights are the same is told by their sum, wherever they lie now
    same = {name: value for name, value in facts.items() if name != "checkpoint"}
    settings = same | {"processor": machine_facts()["cpu"]["model"], "seconds": effort.seconds}
    journal = _resumed(out, settings, trainer) if resume else _begun(out, settings)
    return Parts(out, variants, threads, budget, workshop, journal, profile, config.budget.budget_minutes, facts)


def _begun(out: Path, settings: Mapping[str, Any]) -> Journal:
    """Begin a journal. Raises ConfigError where files of another search would be taken for this one's."""
    if not (out / TRIALS).exists() and any((out / name).exists() for name in (RUNS, WORK)):
        raise ConfigError(f"{out} holds files of a search without its {TRIALS}; remove it, or choose another --out")
    return Journal.begin(out / TRIALS, settings)


def _resumed(out: Path, settings: Mapping[str, Any], trainer: Trainer) -> Journal:
    """Read a journal back. Raises ConfigError when runs that it tells of are gone."""
    journal = Journal.resume(out / TRIALS, settings)
    for weights in journal.trained():
        if not (folder := trainer.run(weights)).is_dir():
            raise ConfigError(f"--resume: {folder} is gone, which {out / TRIALS} tells of; choose another --out")
    return journal


def _grid(config: GridConfig, profile: Profile | None) -> tuple[tuple[Variant, ...], tuple[int, ...]]:
    """Return the files and the numbers of threads that are tried; with a profile only what it holds."""
    cores = usable_cores()
    threads = tuple(sorted(set(config.threads or (1, cores))))
    check_cores(threads)
    space = Space(config.resolutions, config.prune, config.precisions, config.engines, threads)
    variants = space.variants({name: ENGINES[name].capabilities().precisions for name in config.engines})
    if profile is None:
        return variants, threads
    shared = tuple(count for count in threads if any(profile.holds(Trial(each, count)) for each in variants))
    kept = tuple(each for each in variants if shared and all(profile.holds(Trial(each, count)) for count in shared))
    if not kept:
        held = ", ".join(f"{kind[0]} in {kind[1]} on {kind[2]}" for kind in sorted(profile.latency_ms))
        raise ConfigError(f"--target holds none of what is tried on 1 to {cores} threads; it holds {held}")
    left_out = sorted({" in ".join(each.kind) for each in variants if each not in kept})
    note(f"latencies are ESTIMATES for {profile.machine}: ratios of the profile to this machine, by kind of file")
    if left_out:
        note(f"left out, since the profile does not hold them: {', '.join(left_out)}")
    return kept, shared


def training_settings(
    checkpoint: Checkpoint, file: Path, effort: EffortConfig, weights: Weights, folder: Path
) -> TrainConfig:
    """Return how a net of these weights is trained: as the run was, imitating the run's own net.

    On the processors and in the arithmetic that are here: the run may have been trained elsewhere, and int8's rounding
    is learnt in float32.
    """
    finetune = FinetuneConfig(epochs=effort.epochs, data=effort.data)
    pruned = finetune_settings(
        PruneConfig(folder, TargetConfig(ratio=weights.prune or 0.5), finetune=finetune), checkpoint, file
    )
    here = replace(pruned, machine=replace(pruned.machine, device="auto", precision="auto"))
    if not weights.qat:
        return here
    return replace(here, optim=replace(here.optim, epochs=effort.epochs, lr=None))


def _training_data(checkpoint: Checkpoint, effort: EffortConfig) -> tuple[SegmentationData, SegmentationData]:
    training = run_data(checkpoint, effort.data, None, "split", progress)
    return training, run_data(checkpoint, effort.data, effort.split, "val_split", progress)


def _facts(file: Path, checkpoint: Checkpoint, effort: EffortConfig, data: Subset) -> dict[str, str]:
    """Return what the measurements depend on, besides the settings of each trial."""
    return {
        "checkpoint": str(file),
        "checkpoint sha256": sha256(file),
        "model": checkpoint.model,
        "data": str(effort.data or checkpoint.config.get("data")),
        "split": str(effort.split or checkpoint.config.get("val_split", "val")),
        "pictures": f"{len(data)} of {len(data.data)}",
        "quick pictures": str(min(effort.quick_pictures, len(data))),
        "calibration": str(effort.calibration or "training pictures"),
        "calibration count": str(effort.calibration_count),
        "seed": str(effort.seed),
        "pruned by": "taylor",
        "epochs": str(effort.epochs or f"as the run, {QAT_EPOCHS} for QAT"),
    }
