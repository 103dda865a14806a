"""What holds for every registered architecture."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2
from torchvision.models.segmentation import lraspp_mobilenet_v3_large

from edgeseg.models import MODELS, build
from edgeseg.models.blocks import window_means
from edgeseg_runtime.errors import CheckpointError, ConfigError

STRIDES = {"fast_scnn": 8, "lraspp_mobilenet_v3_large": 8, "unet": 2}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("classes", "size"), [(2, (64, 96)), (11, (90, 130))])
def test_scores_have_the_stride_of_the_architecture(name: str, classes: int, size: tuple[int, int]) -> None:
    net = build(name, classes, size).eval()
    with torch.no_grad():
        scores = net(torch.zeros(2, 3, *size))
    stride = STRIDES[name]
    assert scores.shape == (2, classes, -(-size[0] // stride), -(-size[1] // stride))


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_learns(name: str) -> None:
    torch.manual_seed(0)
    net = build(name, 3, (64, 64)).train()
    net(torch.randn(2, 3, 64, 64)).square().mean().backward()
    idle = [label for label, value in net.named_parameters() if value.grad is None or not value.grad.any()]
    assert idle == []


def test_fast_scnn_has_the_papers_number_of_parameters() -> None:
    # table 2 of the paper: 1.11 million with the 19 classes of Cityscapes
    net = build("fast_scnn", 19, (1024, 2048))
    assert sum(value.numel() for value in net.parameters()) / 1e6 == pytest.approx(1.11, rel=0.04)


def test_lraspp_gives_torchvisions_scores_before_its_last_upsampling() -> None:
    torch.manual_seed(0)
    net = build("lraspp_mobilenet_v3_large", 5, (64, 96)).eval()
    original = lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=5).eval()
    original.load_state_dict(net.state_dict())
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        full = torch.nn.functional.interpolate(net(image), size=(64, 96), mode="bilinear", align_corners=False)
        torch.testing.assert_close(full, original(image)["out"])


@pytest.mark.parametrize("name", MODELS)
def test_a_size_below_the_minimum_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="at least"):
        build(name, 2, (MODELS[name].minimum - 1, 200))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'resnext'.*fast_scnn.*unet"):
        build("resnext", 2, (64, 64))


def test_imagenet_weights_come_from_torchvisions_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path))
    torch.manual_seed(1)
    donor = mobilenet_v2(weights=None).state_dict()
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
    with pytest.raises(ConfigError, match=r"fast_scnn has no ImageNet weights.*unet"):
        build("fast_scnn", 2, (64, 64), "imagenet")


@given(st.integers(1, 40), st.sampled_from([1, 2, 3, 6]))
def test_the_matrices_of_pooling_are_pytorchs_windows(length: int, bins: int) -> None:
    features = torch.randn(2, length, 7)
    expected = F.adaptive_avg_pool1d(features.transpose(1, 2), bins).transpose(1, 2)
    assert torch.allclose(window_means(length, bins) @ features, expected, atol=1e-5)
