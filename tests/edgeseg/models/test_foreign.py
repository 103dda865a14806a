from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models as vision
from torchvision.models import segmentation

from edgeseg.models import build
from edgeseg.models.foreign import MappingReport, load_foreign, read_tensors
from edgeseg.models.instances.registry import build_instance
from edgeseg_runtime.errors import CheckpointError

SIZE = (64, 64)
SHARED = Path(os.environ.get("EDGESEG_DATA", "../shared/data"))
TRUNK = SHARED / "weights" / "derived" / "mobilenet_v2_features_imagenet_from_coral_fp16.pth"


def donor() -> Any:
    torch.manual_seed(1)
    return vision.mobilenet_v2(weights=None)


@pytest.mark.parametrize(
    ("suffix", "wrapper", "trunk"),
    [
        (".safetensors", "", "features."),
        (".safetensors", "module.", ""),
        (".pt", "_orig_mod.module.", "backbone."),
        (".pth", "model.", "encoder."),
    ],
)
def test_a_trunk_is_found_under_any_of_its_names(tmp_path: Path, suffix: str, wrapper: str, trunk: str) -> None:
    state = {f"{wrapper}{trunk}{key}": value for key, value in donor().features.state_dict().items()}
    path = tmp_path / f"weights{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    net = build("unet", 4, SIZE)
    head = net.state_dict()["head.weight"].clone()
    report = load_foreign(net, path)
    expected = donor().features.state_dict()
    for key, value in net.state_dict().items():
        if key.startswith("encoder."):
            assert torch.equal(value, expected[key.removeprefix("encoder.")]), key
    assert torch.equal(net.state_dict()["head.weight"], head)
    assert all(name.startswith("encoder.") for name in report.used)
    assert all(name.startswith(("decoder.", "head.")) for name in report.missing)
    assert len(report.unexpected) == 5 and all("18." in name for name in report.unexpected)
    assert report.mismatched == ()


def test_a_trunk_that_lies_deeper_is_found_and_fills_a_part_of_its_own(tmp_path: Path) -> None:
    state = donor().features.state_dict()
    save_file(state, tmp_path / "x.safetensors")
    net = build_instance("yolact_mobilenet_v2", 4, SIZE)
    report = load_foreign(net, tmp_path / "x.safetensors")
    own = net.state_dict()
    assert set(report.used) == {key for key in own if key.startswith("maps.encoder.")}
    for key in report.used:
        assert torch.equal(own[key], state[key.removeprefix("maps.encoder.")]), key


def test_one_layer_of_a_trunk_is_no_part(tmp_path: Path) -> None:
    state = {key: value for key, value in donor().features.state_dict().items() if key.startswith("0.")}
    save_file(state, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match="less than half of every part"):
        load_foreign(build_instance("yolact_mobilenet_v2", 4, SIZE), tmp_path / "x.safetensors")


def test_a_whole_network_with_other_classes_gives_all_but_its_head(tmp_path: Path) -> None:
    torch.manual_seed(1)
    whole = segmentation.lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=21)
    save_file(whole.state_dict(), tmp_path / "x.safetensors")
    net = build("lraspp_mobilenet_v3_large", 5, SIZE)
    report = load_foreign(net, tmp_path / "x.safetensors")
    assert report.mismatched == (
        "classifier.low_classifier.weight 21×40×1×1≠5×40×1×1",
        "classifier.low_classifier.bias 21≠5",
        "classifier.high_classifier.weight 21×128×1×1≠5×128×1×1",
        "classifier.high_classifier.bias 21≠5",
    )
    assert report.missing == report.unexpected == ()
    assert torch.equal(net.state_dict()["classifier.cbr.0.weight"], whole.state_dict()["classifier.cbr.0.weight"])


def test_half_precision_and_a_training_checkpoint(tmp_path: Path) -> None:
    state = {key: value.half() if value.is_floating_point() else value for key, value in donor().state_dict().items()}
    torch.save({"epoch": 3, "lr": [0.1], "state_dict": state}, tmp_path / "x.pth")
    net = build("unet", 4, SIZE)
    load_foreign(net, tmp_path / "x.pth")
    weight = net.state_dict()["encoder.0.0.weight"]
    assert weight.dtype == torch.float32
    assert torch.equal(weight, state["features.0.0.weight"].float())


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_a_score_beside_the_weights_is_not_taken_for_them(tmp_path: Path, key: str) -> None:
    state = donor().state_dict()
    torch.save({"epoch": 3, "best_acc1": torch.tensor(71.9), key: state}, tmp_path / "x.pth")
    assert read_tensors(tmp_path / "x.pth").keys() == state.keys()


def test_settings_under_a_name_of_weights_do_not_hide_those(tmp_path: Path) -> None:
    state = donor().state_dict()
    torch.save({"model": {"width": 1.0}, **state}, tmp_path / "x.pth")
    assert read_tensors(tmp_path / "x.pth").keys() == state.keys()


def test_what_does_not_fit_at_all_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    save_file({"left.weight": torch.ones(3, 3), "left.bias": torch.ones(3)}, tmp_path / "x.safetensors")
    net = build("fast_scnn", 4, SIZE)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"does not fit: 0 of its 2 tensors.*'left\.bias'.*'downsample"):
        load_foreign(net, tmp_path / "x.safetensors")
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


def test_a_few_names_that_agree_by_chance_are_no_fit(tmp_path: Path) -> None:
    net = build("fast_scnn", 4, SIZE)
    first = {name: value for name, value in net.state_dict().items() if name.startswith("downsample.0.")}
    assert len(first) == 6
    save_file(first | {"1.conv.0.0.weight": torch.ones(32, 1, 3, 3)}, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match="6 of its 7 tensors have a place, less than half of every part"):
        load_foreign(build("fast_scnn", 4, SIZE), tmp_path / "x.safetensors")


class Runs:
    """Would run code when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("ran",))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.safetensors", b"\xff" * 20, "cannot be read as weights"),
        ("x.pth", b"no weights", "plain containers"),
        ("x.pt", b"", "cannot be read as weights"),
    ],
)
def test_damaged_files_are_one_clear_line(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=said) as caught:
        read_tensors(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_file_that_would_run_code_does_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"weight": Runs()}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="holds more than tensors and plain containers"):
        read_tensors(tmp_path / "x.pth")
    assert "ran" not in capsys.readouterr().out


def test_files_that_are_missing_or_hold_no_tensors(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there are no weights at"):
        read_tensors(tmp_path / "x.pth")
    torch.save({"epoch": 3}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="holds no tensors by name"):
        read_tensors(tmp_path / "x.pth")


@pytest.mark.realdata
@pytest.mark.skipif(not TRUNK.is_file(), reason=f"{TRUNK} is missing")
@pytest.mark.parametrize("name", ["unet", "deeplabv3plus_mobilenet_v2", "pspnet_mobilenet_v2"])
def test_a_published_trunk_fills_every_encoder_of_its_kind(name: str) -> None:
    net = build(name, 4, SIZE)
    report = load_foreign(net, TRUNK)
    assert set(report.used) == {key for key in net.state_dict() if key.startswith("encoder.")}
    assert report.mismatched == () and all(key.startswith("18.") for key in report.unexpected)


@pytest.mark.realdata
@pytest.mark.skipif(not TRUNK.is_file(), reason=f"{TRUNK} is missing")
@pytest.mark.parametrize("name", ["yolact_mobilenet_v2", "maskrcnn_mobilenet_v2_fpn"])
def test_a_published_trunk_fills_those_that_lie_deeper(name: str) -> None:
    net = build_instance(name, 4, SIZE)
    report = load_foreign(net, TRUNK)
    trunk = str(net.trunk)
    assert set(report.used) == {key for key in net.state_dict() if key.startswith(f"{trunk}.")}
    assert report.mismatched == () and all(key.startswith("18.") for key in report.unexpected)


def test_the_report_is_one_line_that_names_the_first() -> None:
    report = MappingReport(("a",), ("b", "c", "d", "e"), (), ("f 1≠2",))
    assert str(report) == "1 tensors used; 4 missing (b, c, d, and 1 more); 1 misfits (f 1≠2)"
