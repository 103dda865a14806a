"""Where a run starts: the settings that were left open, and the network before its first step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

import torch
from torch import Tensor, nn

from edgeseg.compress.distillation import Distiller, check_teacher
from edgeseg.config import ModelConfig, TrainConfig, flatten, given
from edgeseg.data.base import IGNORE, Indexed, Pictured
from edgeseg.data.torch_dataset import drawn_samples, stack_frames
from edgeseg.models.branches import grow_branches
from edgeseg.models.foreign import load_foreign
from edgeseg.models.gray_input import take_gray_input
from edgeseg.models.instances.registry import INSTANCE_MODELS
from edgeseg.models.pretrained import Weights
from edgeseg.training.checkpoint import (
    Checkpoint,
    checkpoint_file,
    find_description,
    load_checkpoint,
    load_semantic,
    read_checkpoint,
)
from edgeseg.training.classes import for_classes, plan_for_classes
from edgeseg.training.evaluate import Labelled, check_classes
from edgeseg.training.networks import build_network
from edgeseg.training.supervision import supervise
from edgeseg_export.deployable import Deployable, FrameModule
from edgeseg_runtime.contract import GRAY_MEAN, GRAY_STD, IMAGENET_MEAN, IMAGENET_STD, Contract
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.progress import Progress, silent

MODEL, SIZE = "fast_scnn", (360, 480)
EPOCHS, LR = 60, 0.002
DETECTION_LR = 0.0005
"""Of two-stage networks: six epochs on Penn-Fudan end at a mask AP of .23 with it, of .17 with the others' rate."""
QAT_EPOCHS, QAT_LR = 6, 0.00002
TEMPERATURES = {"logits": 1.0, "channel": 3.0, "features": 3.0}
"""Class probabilities are imitated as they are: softened by 3 they cost bricknet_t 7 points of mIoU in 20 epochs."""
CALIBRATION, CALIBRATION_BATCH = 64, 8
"""Training pictures that the ranges of quantisation-aware training start from."""


def starting_point(config: TrainConfig) -> Checkpoint | None:
    """Return what the checkpoint that the run starts from says of itself. Raises CheckpointError."""
    return None if config.model.init is None else read_checkpoint(checkpoint_file(config.model.init))


def resolve(config: TrainConfig) -> TrainConfig:
    """Fill in the settings that were left open. Raises ConfigError or CheckpointError where --init does not fit."""
    start = starting_point(config)
    model, size = (MODEL, SIZE) if start is None else (start.model, start.contract.size)
    if start is not None and config.model.model not in (None, model):
        raise ConfigError(f"--model {config.model.model}: {config.model.init} is {model}; leave --model away")
    if start is not None and start.quantized and config.model.qat:
        raise ConfigError(f"--qat: {config.model.init} was trained for int8 already; start from the run it came from")
    model = config.model.model or model
    two_stages = model in INSTANCE_MODELS and INSTANCE_MODELS[model].output == "detections"
    distillation = config.distillation
    temperature = distillation.temperature or TEMPERATURES[distillation.distill]
    rounds = config.model.qat or (start is not None and start.quantized)
    if rounds and config.machine.precision == "bf16":
        raise ConfigError("--precision bf16: the network rounds as int8 does, and bf16 as coarsely; leave it away")
    epochs, lr = (QAT_EPOCHS, QAT_LR) if rounds else (EPOCHS, DETECTION_LR if two_stages else LR)
    return replace(
        config,
        model=replace(config.model, model=model),
        data=replace(
            config.data,
            size=config.data.size or size,
            resize=config.data.resize or (start.contract.resize if start else "stretch"),
            interpolation=config.data.interpolation or (start.contract.interpolation if start else "bilinear"),
        ),
        optim=replace(config.optim, epochs=config.optim.epochs or epochs, lr=config.optim.lr or lr),
        distillation=replace(distillation, temperature=temperature),
        machine=replace(config.machine, precision="float32") if rounds else config.machine,
    )


def describe(config: TrainConfig, contract: Contract) -> Checkpoint:
    """Return what the run's checkpoints say of themselves, but for epoch and metrics."""
    start = starting_point(config)
    return Checkpoint(
        given(config.model.model),
        contract,
        epoch=0,
        config=flatten(config),
        channels={} if start is None else plan_for_classes(start, len(contract.labels)),
        quantized=config.model.qat or (start is not None and start.quantized),
    )


def make_contract(config: TrainConfig, data: Labelled, **of_task: Any) -> Contract:
    """Return the contract between these pictures and the model that learns from them.

    `of_task` are the contract's fields that are not those of a model of classes. Raises DatasetError when the run to
    start from knows other classes, unless it knows another number of them: then its last layers are learnt anew, which
    int8 training cannot do.
    """
    mean, std = GRAY_MEAN, GRAY_STD
    if (start := starting_point(config)) is not None:
        mean, std = start.contract.mean, start.contract.std
        if len(start.contract.labels) == len(data.labels) or config.model.qat or start.quantized:
            check_classes(data, start.contract.names)
    height, width = given(config.data.size)
    return Contract(
        labels=data.labels,
        height=height,
        width=width,
        ignore_index=IGNORE,
        resize=given(config.data.resize),
        interpolation=given(config.data.interpolation),
        mean=mean,
        std=std,
        **of_task,
    )


def make_module(
    config: TrainConfig,
    contract: Contract,
    data: Indexed[Pictured],
    *,
    fresh: bool = True,
    progress: Progress = silent,
    report: Callable[[str], None] = print,
) -> Deployable:
    """Return the network of a semantic run in its contract, channels last, which is what CPUs and tensor cores like.

    It has its auxiliary heads beside it, if it names any and they count. With `--qat` it has none: see
    `round_as_int8`. What the weights that the run starts from do not give is said to `report`.
    """
    net = starting_net(config.model, contract, fresh=fresh, report=report)
    if config.model.init is None:
        net = grow_branches(net)
    module = Deployable(net, contract)
    if config.model.qat:
        round_as_int8(module, data, config.machine.seed, fresh=fresh, progress=progress)
    module.net.to(memory_format=torch.channels_last)
    return module if config.model.qat else supervise(module, config.loss.aux_weight)


def starting_net(
    config: ModelConfig, contract: Contract, *, fresh: bool = True, report: Callable[[str], None] = print
) -> nn.Module:
    """Return the network with its first weights: random, ImageNet's, another program's, or another run's.

    What stays random is said to `report`. Without `fresh` none are read or downloaded. Raises CheckpointError.
    """
    classes, weights = len(contract.labels), config.weights
    if config.init is not None:
        net, start = load_checkpoint(checkpoint_file(config.init))
        if len(start.contract.labels) == classes:
            return net
        net, anew = for_classes(net, start, classes)
        known = len(start.contract.labels)
        report(f"{config.init} knows {known} classes, these pictures have {classes}; learnt anew: {', '.join(anew)}")
        return net
    own = cast(Weights, weights) if fresh and weights in get_args(Weights) else "none"
    net = build_network(given(config.model), classes, contract.size, own)
    if not fresh or weights == "none":
        return net
    mean, std = IMAGENET_MEAN, IMAGENET_STD  # weights of other programs nearly all expect it, too
    if own == "none":
        report(f"{weights}: {load_foreign(net, Path(weights))}")
        if (described := find_description(Path(weights))) is not None:
            mean, std = described.contract.mean, described.contract.std
    if (mean, std) != (GRAY_MEAN, GRAY_STD):
        take_gray_input(net, contract.size, mean, std)
    return net


def round_as_int8(
    module: FrameModule, data: Indexed[Pictured], seed: int, *, fresh: bool = True, progress: Progress = silent
) -> None:
    """Replace the network of `module`, of any task, by a copy that computes as its int8 file will.

    The ranges of its quantisers are measured on training pictures, unless it is not `fresh`: all values will then be
    read from a saved state. Raises ConfigError naming what cannot be quantised.
    """
    from edgeseg.compress.quantize import calibrate, prepare_qat

    module.net = prepare_qat(module.net, module.contract)
    if fresh:
        calibrate(module.net, calibration_batches(module, data, seed), progress)


def calibration_batches(module: FrameModule, data: Indexed[Pictured], seed: int) -> Iterator[Tensor]:
    """Yield normalised (N, 3, H, W) batches of training pictures, drawn by `seed`."""
    for samples in drawn_samples(data, CALIBRATION, CALIBRATION_BATCH, seed):
        yield module.normalise(stack_frames(samples, module.contract))


def make_distiller(config: TrainConfig, module: Deployable, device: torch.device) -> Distiller | None:
    """Return what compares the student with its teacher, if it has one. Raises ConfigError or CheckpointError."""
    if config.distillation.teacher is None:
        return None
    teacher, _ = load_semantic(checkpoint_file(config.distillation.teacher))
    check_teacher(teacher.contract.names, module.contract.names)
    teacher.net.to(memory_format=torch.channels_last)
    return Distiller(config.distillation, module.net, teacher.to(device))
