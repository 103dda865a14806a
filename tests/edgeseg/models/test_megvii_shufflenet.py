"""Megvii's layout against a network written down here as Megvii defines it, and against pictures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from edgeseg.models import build
from edgeseg.models.encoders import shufflenet_v2_x0_5
from edgeseg.models.foreign import load_foreign, read_tensors
from edgeseg.models.megvii_shufflenet import _made, _twins, to_torchvision
from edgeseg_runtime.contract import IMAGENET_MEAN, IMAGENET_STD
from edgeseg_runtime.errors import CheckpointError

STAGES = {"stage2": (24, 48, 4), "stage3": (48, 96, 8), "stage4": (96, 192, 4)}
SHARED = Path(os.environ.get("EDGESEG_DATA", "../shared/data"))
WEIGHTS = SHARED / "weights" / "fastestdet" / "shufflenetv2.pth"


def invented() -> dict[str, Tensor]:
    """Return random weights under Megvii's names."""
    torch.manual_seed(0)
    state: dict[str, Tensor] = {}

    def add(name: str, number: int, *shape: int) -> None:
        state[f"{name}.{number}.weight"] = torch.randn(shape) / (shape[1] * shape[2] * shape[3]) ** 0.5
        for part in ("weight", "bias", "running_mean", "running_var"):
            state[f"{name}.{number + 1}.{part}"] = torch.rand(shape[0]) + 0.5
        state[f"{name}.{number + 1}.num_batches_tracked"] = torch.tensor(7)

    add("first_conv", 0, 24, 3, 3, 3)
    for stage, (inputs, outputs, blocks) in STAGES.items():
        half = outputs // 2
        for block in range(blocks):
            read = inputs if block == 0 else half
            if block == 0:
                add(f"{stage}.0.branch_proj", 0, inputs, 1, 3, 3)
                add(f"{stage}.0.branch_proj", 2, half, inputs, 1, 1)
            add(f"{stage}.{block}.branch_main", 0, half, read, 1, 1)
            add(f"{stage}.{block}.branch_main", 3, half, 1, 3, 3)
            add(f"{stage}.{block}.branch_main", 5, half, half, 1, 1)
    return state


def layer(state: Mapping[str, Tensor], name: str, number: int, features: Tensor, stride: int = 1) -> Tensor:
    weight, norm = state[f"{name}.{number}.weight"], f"{name}.{number + 1}"
    groups = features.shape[1] if weight.shape[1] == 1 else 1
    padding = 0 if name == "first_conv" else weight.shape[-1] // 2
    made = F.conv2d(features, weight, stride=stride, padding=padding, groups=groups)
    mean, variance, scale, shift = (
        state[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return F.batch_norm(made, mean, variance, scale, shift, training=False)


def megvii(state: Mapping[str, Tensor], image: Tensor) -> list[Tensor]:
    """Run the network as Megvii defines it: even channels pass, odd ones are convolved, the two are put in a row.

    Only its picture is framed by ImageNet's mean colour in place of black.
    """
    framed = torch.tensor(IMAGENET_MEAN[::-1]).reshape(1, 3, 1, 1).repeat(2, 1, image.shape[2] + 2, image.shape[3] + 2)
    framed[:, :, 1:-1, 1:-1] = image
    features = F.max_pool2d(layer(state, "first_conv", 0, framed, 2).relu(), 3, 2, 1)
    found = []
    for stage, (_, _, blocks) in STAGES.items():
        for block in range(blocks):
            name, stride = f"{stage}.{block}.branch_main", 2 if block == 0 else 1
            passed, read = (features, features) if block == 0 else (features[:, ::2], features[:, 1::2])
            if block == 0:
                passed = layer(state, f"{stage}.0.branch_proj", 0, passed, 2)
                passed = layer(state, f"{stage}.0.branch_proj", 2, passed).relu()
            read = layer(state, name, 3, layer(state, name, 0, read).relu(), stride)
            features = torch.cat([passed, layer(state, name, 5, read).relu()], dim=1)
        found.append(features)
    return found


def imagenet_rgb(bgr: Tensor) -> Tensor:
    """Normalise (N, 3, H, W) BGR pictures from 0 to 1."""
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (bgr.flip(1) - mean) / std


def in_common_order(features: Tensor) -> Tensor:
    """Sort channels by their values, so that only their order may differ between two networks."""
    rows = features.transpose(0, 1).flatten(1)
    return rows[torch.argsort(rows.double().sum(1))]


def test_the_features_are_megviis_in_another_order() -> None:
    state = invented()
    net = shufflenet_v2_x0_5().eval()
    net.load_state_dict(to_torchvision(state))
    image = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        expected, found = megvii(state, image), net(imagenet_rgb(image))[2:]
    for one, other in zip(expected, found, strict=True):
        assert not torch.allclose(one, other)
        torch.testing.assert_close(in_common_order(other), in_common_order(one), rtol=1e-3, atol=1e-4)


@settings(max_examples=30)
@given(st.integers(1, 40).map(lambda quarter: 2 * quarter), st.integers(1, 9))
def test_each_channel_has_a_twin_that_is_passed_on_as_often(half: int, blocks: int) -> None:
    theirs, ours = _made(half, blocks, interleaved=False), _made(half, blocks, interleaved=True)
    twin = _twins(theirs, ours)
    for mine, yours in zip(ours, theirs, strict=True):
        assert {twin[channel] for channel in mine} == set(yours)
    for mine, yours in zip(ours[:-1], theirs, strict=False):  # what the next block reads
        assert {twin[channel] for channel in mine[half:]} == set(yours[1::2])
    assert all(mine[0] == yours[0] for mine, yours in twin.items())


def test_a_trunk_with_unequal_halves_is_refused() -> None:
    state = invented()
    state["stage2.0.branch_main.5.weight"] = torch.zeros(92, 24, 1, 1)
    with pytest.raises(CheckpointError, match="passes on fewer channels than it convolves"):
        to_torchvision(state)


@pytest.mark.realdata
@pytest.mark.skipif(not WEIGHTS.is_file(), reason=f"{WEIGHTS} is missing")
class TestPublishedWeights:
    def test_every_tensor_has_a_place(self) -> None:
        report = load_foreign(build("unet_shufflenet_v2_x0_5", 4, (64, 64)), WEIGHTS)
        assert len(report.used) == 330
        assert report.unexpected == report.mismatched == ()
        assert all(name.startswith(("decoder.", "head.")) for name in report.missing)

    def test_features_of_pictures_have_the_statistics_that_were_learnt(self) -> None:
        """Of wrong channels, colours or scales the means lie about one standard deviation off."""
        net = shufflenet_v2_x0_5().eval()
        net.load_state_dict(to_torchvision(read_tensors(WEIGHTS)))
        files = sorted((SHARED / "tinycoco" / "images").rglob("*.jpg"))[:32]
        files += sorted((SHARED / "voc-person" / "JPEGImages").glob("*.jpg"))[:32]
        if len(files) < 16:
            pytest.skip(f"{SHARED} has too few pictures")
        pictures = np.stack([cv2.resize(cv2.imread(str(file)), (320, 320)) for file in files])  # type: ignore[arg-type]
        images = imagenet_rgb(torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255)
        off: list[float] = []
        ratio: list[float] = []

        def compare(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
            spread = (norm.running_var + norm.eps).sqrt()
            off.append(float(((inputs[0].mean((0, 2, 3)) - norm.running_mean) / spread).abs().median()))
            ratio.append(float((inputs[0].std((0, 2, 3)) / spread).median()))

        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.register_forward_pre_hook(compare)
        with torch.no_grad():
            net(images)
        assert len(off) == sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())
        assert max(off) < 0.3 and np.median(off) < 0.1
        assert min(ratio) > 0.7 and max(ratio) < 1.5
