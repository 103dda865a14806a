"""What torchvision's own way of training Mask R-CNN reaches: what `edgeseg train` is held against.

    python benchmarks/torchvision_instances.py --data pennfudan --size 256 256 --epochs 20 --out reference.json
    edgeseg train --data pennfudan --size 256 256 --epochs 20 --batch 4 --model maskrcnn_mobilenet_v2_fpn --out mine

The same network, pictures, size, number of passes and score, but trained as torchvision's references/detection does it:
SGD with momentum, a linear warm-up and two steps down, no variation but mirror images, no average of the weights, in
float32; its own resizing and pasting of masks. Pictures without objects are left out of training there.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import numpy.typing as npt
import torch
from cyclopts import Parameter
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from command_line import run_command
from edgeseg.data.instances.base import InstanceData
from edgeseg.data.instances.open import open_instances
from edgeseg.models.foreign import load_foreign
from edgeseg.models.instances.registry import build_instance
from edgeseg.models.pretrained import Weights
from edgeseg.training.instances.average_precision import evaluate_instances
from edgeseg_runtime.contract import IMAGENET_MEAN, IMAGENET_STD
from edgeseg_runtime.errors import ConfigError, UserError
from edgeseg_runtime.files import write_json
from edgeseg_runtime.instances.region import Region
from edgeseg_runtime.machine import machine_facts
from edgeseg_runtime.preprocess import Image

RATE, PICTURES = 0.02, 16
"""torchvision's learning rate and the pictures a step that it is meant for; fewer take as much less."""
MOMENTUM, WEIGHT_DECAY = 0.9, 1e-4
STEPS_DOWN, EPOCHS = (16, 22), 26
"""After these of so many epochs the rate falls to a tenth."""
WARMUP_STEPS, WARMUP_START = 1000, 0.001
Item = tuple[Tensor, dict[str, Tensor]]


@Parameter(name="*")
@dataclass(frozen=True)
class ReferenceConfig:
    """What is trained on what, for how long."""

    data: str
    """Pictures whose objects are told apart, as `edgeseg train` takes them."""
    out: Path
    """JSON file to write."""
    model: str = "maskrcnn_mobilenet_v2_fpn"
    """One of edgeseg's Mask R-CNNs; its parts are torchvision's."""
    weights: str = "none"
    """Where the trunk starts: none, imagenet, or a file."""
    frozen: bool = False
    """Leave the trunk's batch normalisation as it came, as torchvision does with ImageNet weights."""
    split: str = "train"
    val_split: str = "val"
    size: tuple[int, int] = (360, 480)
    """Height and width that pictures are stretched to."""
    epochs: int = 26
    batch: int = 4
    lr: float | None = None
    """Highest learning rate; 0.02 for 16 pictures a step, and in proportion, if not given."""
    seed: int = 0
    threads: int = 0
    """Processor threads; torch's own choice if not given."""


class Pictures(Dataset[Item]):
    """Pictures with objects, half of them mirrored: float32 (3, H, W) RGB in 0..1, and torchvision's targets."""

    def __init__(self, data: InstanceData) -> None:
        self.data = data
        self.indices = [index for index in range(len(data)) if any(not one.crowd for one in data.read(index).instances)]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, item: int) -> Item:
        sample = self.data.read(self.indices[item])
        objects = [one for one in sample.instances if not one.crowd]
        masks = np.zeros((len(objects), *sample.image.shape[:2]), np.uint8)
        for mask, one in zip(masks, objects, strict=True):
            mask[one.region.window] = one.region.inside
        boxes = torch.tensor([one.box for one in objects], dtype=torch.float32)
        target = {
            "boxes": boxes,
            "labels": torch.tensor([one.label + 1 for one in objects]),
            "masks": torch.from_numpy(masks),
        }
        picture = to_tensor(sample.image)
        if torch.rand(()) < 0.5:
            picture, target["masks"] = picture.flip(-1), target["masks"].flip(-1)
            target["boxes"] = boxes[:, [2, 1, 0, 3]] * torch.tensor([-1, 1, -1, 1]) + torch.tensor(
                [picture.shape[-1], 0, picture.shape[-1], 0]
            )
        return picture, target


@dataclass(frozen=True)
class Found:
    """What torchvision's network says of a picture; masks are pasted by torchvision."""

    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8]
    regions: Sequence[Region]


def to_tensor(image: Image) -> Tensor:
    """Return a BGR picture as torchvision takes it."""
    return torch.from_numpy(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).permute(2, 0, 1).float() / 255


def make_detector(config: ReferenceConfig, classes: int) -> nn.Module:
    """Return the network with torchvision's own resizing and normalising."""
    named = config.weights in get_args(Weights)
    net: Any = build_instance(config.model, classes, config.size, config.weights if named else "none")  # type: ignore[arg-type]
    if not hasattr(net, "detector"):
        raise ConfigError(f"--model {config.model} is not torchvision's; take a maskrcnn")
    if not named:
        print(f"{config.weights}: {load_foreign(net, Path(config.weights))}", file=sys.stderr)
    height, width = config.size
    detector: nn.Module = net.detector
    detector.transform = GeneralizedRCNNTransform(
        min(config.size), max(config.size), IMAGENET_MEAN, IMAGENET_STD, fixed_size=(width, height)
    )
    return detector


def train_epoch(detector: nn.Module, loader: DataLoader[Item], optimizer: torch.optim.Optimizer, warm: bool) -> float:
    """Do one pass, with a rising rate if `warm`, and return the mean loss."""
    rise = min(WARMUP_STEPS, len(loader) - 1)
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, WARMUP_START, total_iters=rise) if warm and rise else None
    total = 0.0
    for images, targets in loader:
        loss = torch.stack(list(detector(list(images), list(targets)).values())).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total += float(loss.detach())
        if warmup is not None:
            warmup.step()
    return total / len(loader)


def find(detector: nn.Module, frame: Image) -> Found:
    """Return the objects of a BGR frame."""
    with torch.inference_mode():
        (found,) = detector([to_tensor(frame)])
    return Found(
        found["boxes"].numpy(),
        found["scores"].numpy(),
        (found["labels"] - 1).numpy().astype(np.uint8),
        [Region(0, 0, mask) for mask in (found["masks"][:, 0] > 0.5).numpy()],
    )


def reference(*, config: ReferenceConfig) -> None:
    """Train and score; write the scores of every epoch."""
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    train_data, val_data = (open_instances(config.data, split) for split in (config.split, config.val_split))
    names = tuple(label.name for label in train_data.labels)
    detector = make_detector(config, len(names))
    body = detector.get_submodule("backbone.body")
    frozen = [layer for layer in body.modules() if isinstance(layer, nn.BatchNorm2d)] if config.frozen else []
    for layer in frozen:
        layer.requires_grad_(False)
    rate = RATE * config.batch / PICTURES if config.lr is None else config.lr
    learnt = [value for value in detector.parameters() if value.requires_grad]
    optimizer = torch.optim.SGD(learnt, lr=rate, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    milestones = [round(config.epochs * epoch / EPOCHS) for epoch in STEPS_DOWN]
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones)
    loader = DataLoader(
        Pictures(train_data),
        config.batch,
        shuffle=True,
        drop_last=True,
        collate_fn=lambda items: tuple(zip(*items, strict=True)),
    )
    epochs, started = [], time.monotonic()
    for epoch in range(1, config.epochs + 1):
        detector.train()
        for layer in frozen:
            layer.eval()
        loss = train_epoch(detector, loader, optimizer, warm=epoch == 1)
        if not math.isfinite(loss):
            raise UserError(f"the loss became {loss} in epoch {epoch}; lower --lr (it is {rate})")
        schedule.step()
        detector.eval()
        scores = evaluate_instances(lambda frame: find(detector, frame), val_data, names)
        epochs.append({"epoch": epoch, "loss": loss, **scores.as_dict(names)})
        print(f"epoch {epoch}/{config.epochs}  loss {loss:.4f}  val mask AP {scores.mask.ap:.4f}", file=sys.stderr)
        write_json(config.out, _told(config, rate, train_data, val_data, epochs, time.monotonic() - started))
    best = max(epochs, key=lambda one: one["mask_ap"])
    print(json.dumps({"best_epoch": best["epoch"], "best_mask_ap": best["mask_ap"]}))


def _told(
    config: ReferenceConfig,
    rate: float,
    train_data: InstanceData,
    val_data: InstanceData,
    epochs: list[dict[str, Any]],
    seconds: float,
) -> dict[str, Any]:
    return {
        "command": " ".join(["python", *sys.argv]),
        "machine": machine_facts() | {"threads": torch.get_num_threads()},
        "settings": {name: str(value) for name, value in asdict(config).items()} | {"lr": rate},
        "data": {"train": train_data.description, "val": val_data.description},
        "seconds": seconds,
        "epochs": epochs,
    }


if __name__ == "__main__":
    run_command(reference)
