"""Single architectures against torchvision's, the registry, and ImageNet weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2, segmentation

from edgeseg.models import MODELS, build
from edgeseg.models.blocks import window_means
from edgeseg.models.segnet import SegNet
from edgeseg_runtime.errors import CheckpointError, ConfigError


@pytest.mark.parametrize(
    "name",
    [
        "lraspp_mobilenet_v3_large",
        "deeplabv3_mobilenet_v3_large",
        "deeplabv3_resnet50",
        "fcn_resnet50",
    ],
)
def test_scores_are_torchvisions_before_its_last_upsampling(name: str) -> None:
    torch.manual_seed(0)
    net = build(name, 5, (64, 96)).eval()
    original = getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=5).eval()
    original.load_state_dict(net.state_dict())
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        full = torch.nn.functional.interpolate(net(image), size=(64, 96), mode="bilinear", align_corners=False)
        torch.testing.assert_close(full, original(image)["out"])


def test_unets_names_stay_so_that_old_checkpoints_load() -> None:
    with torch.device("meta"):
        names = list(build("unet", 5, (64, 64)).state_dict())
    features = [f"encoder.{name}" for name in mobilenet_v2(weights=None).features[:18].state_dict()]
    assert names[: len(features)] == features
    assert names[len(features)] == "decoder.0.body.0.0.weight" and names[-2:] == ["head.weight", "head.bias"]


def test_unpooling_puts_values_where_they_came_from() -> None:
    with torch.device("meta"):
        net = SegNet(2, unpooling=True)
    net.encoder = nn.Sequential(nn.MaxPool2d(2, 2, return_indices=True))
    net.decoder, net.head = nn.ModuleList([nn.Identity()]), nn.Identity()  # type: ignore[assignment]
    image = torch.arange(1.0, 25).reshape(1, 1, 4, 6)[:, :, :, [1, 0, 2, 3, 5, 4]]
    expected = torch.where(image == F.interpolate(F.max_pool2d(image, 2), scale_factor=2), image, 0)
    assert torch.equal(net(image), expected)
    assert int((expected != 0).sum()) == 6


@pytest.mark.parametrize("name", ["fast_scnn", "unet", "segnet"])
def test_a_size_below_the_minimum_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="at least"):
        build(name, 2, (MODELS[name].minimum - 1, 200))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'resnext'.*fast_scnn.*unet"):
        build("resnext", 2, (64, 64))


@pytest.mark.parametrize("old", [False, True])
def test_imagenet_weights_come_from_torchvisions_cache(
    old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path))
    torch.manual_seed(1)
    donor = dict(mobilenet_v2(weights=None).state_dict())
    if old:  # as files of 2017 are
        donor = {name: value for name, value in donor.items() if not name.endswith("num_batches_tracked")}
    scratch = tmp_path / "donor.pth"
    torch.save(donor, scratch)
    # torch.hub checks the digest that the file's name ends in only when it downloads: a cached file is trusted
    cached = tmp_path / "checkpoints" / Path(MobileNet_V2_Weights.IMAGENET1K_V1.url).name
    cached.parent.mkdir()
    scratch.rename(cached)
    assert not cached.stem.endswith(hashlib.sha256(cached.read_bytes()).hexdigest()[:8])
    net = build("unet", 4, (64, 64), "imagenet")
    loaded = net.state_dict()
    for name, value in donor.items():
        if name.startswith("features.") and f"encoder.{name.removeprefix('features.')}" in loaded:
            torch.testing.assert_close(loaded[f"encoder.{name.removeprefix('features.')}"], value)
    assert any(name.startswith("encoder.17.") for name in loaded)


def test_imagenet_weights_that_lack_the_backbone_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path))
    cached = tmp_path / "checkpoints" / Path(MobileNet_V2_Weights.IMAGENET1K_V1.url).name
    cached.parent.mkdir()
    torch.save({"classifier.1.bias": torch.zeros(1000)}, cached)
    with pytest.raises(CheckpointError, match=r"lacks .* of the backbone"):
        build("unet", 4, (64, 64), "imagenet")


def test_offline_without_cached_weights_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", no_network)
    with pytest.raises(CheckpointError, match=r"could not be downloaded .*--weights none") as caught:
        build("unet", 4, (64, 64), "imagenet")
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"fast_scnn has no ImageNet weights.*--weights none"):
        build("fast_scnn", 2, (64, 64), "imagenet")


@given(st.integers(1, 40), st.sampled_from([1, 2, 3, 6]))
def test_the_matrices_of_pooling_are_pytorchs_windows(length: int, bins: int) -> None:
    features = torch.randn(2, length, 7)
    expected = F.adaptive_avg_pool1d(features.transpose(1, 2), bins).transpose(1, 2)
    assert torch.allclose(window_means(length, bins) @ features, expected, atol=1e-5)
