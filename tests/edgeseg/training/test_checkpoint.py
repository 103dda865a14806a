from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from edgeseg.models import build
from edgeseg.models.attention import LAYERS
from edgeseg.training.checkpoint import (
    BEST,
    Checkpoint,
    checkpoint_file,
    load_checkpoint,
    load_deployable,
    read_checkpoint,
    save_checkpoint,
)
from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.errors import CheckpointError

CONTRACT = Contract((Label("a", (1, 2, 3)), Label("ü", (4, 5, 6))), 64, 96)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    checkpoint = Checkpoint("fast_scnn", CONTRACT, 7, {"mean_iou": 0.5}, {"data": "somewhere"})
    save_checkpoint(tmp_path / BEST, build("fast_scnn", 2, CONTRACT.size), checkpoint)
    return tmp_path / BEST


def test_what_is_saved_is_read_back(saved: Path) -> None:
    torch.manual_seed(0)
    original = build("fast_scnn", 2, CONTRACT.size)
    net, checkpoint = load_checkpoint(saved)
    assert checkpoint == Checkpoint("fast_scnn", CONTRACT, 7, {"mean_iou": 0.5}, {"data": "somewhere"})
    assert not net.training
    for name, value in original.state_dict().items():
        assert torch.equal(net.state_dict()[name], value)


def test_a_run_folder_stands_for_its_best_checkpoint(saved: Path) -> None:
    assert checkpoint_file(saved.parent) == saved
    module, _ = load_deployable(saved.parent, output="mask")
    assert module.contract.output == "mask"


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no best"):
        checkpoint_file(tmp_path)
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        checkpoint_file(tmp_path / "gone.safetensors")
    (tmp_path / "model.pt").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        checkpoint_file(tmp_path / "model.pt")


def test_a_cut_off_file_is_damaged(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:2000])
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(saved)


def test_weights_without_a_description_are_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "bare.safetensors")
    with pytest.raises(CheckpointError, match="not the description"):
        read_checkpoint(tmp_path / "bare.safetensors")


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    checkpoint = Checkpoint("unet", CONTRACT, 1)
    save_checkpoint(tmp_path / "x.safetensors", build("fast_scnn", 2, CONTRACT.size), checkpoint)
    told = r"does not fit unet: 0 tensors used; \d+ missing \(.*; \d+ unexpected \("
    with pytest.raises(CheckpointError, match=told) as caught:
        load_checkpoint(tmp_path / "x.safetensors")
    assert "\n" not in str(caught.value)


def test_a_segformer_of_the_time_when_attentions_weights_were_one_is_read(tmp_path: Path) -> None:
    net = build("segformer_b0", 2, CONTRACT.size).eval()
    older: dict[str, torch.Tensor] = {}
    for name, value in net.state_dict().items():
        stem, _, last = name.rpartition(".attend.")
        layer, _, kind = last.partition(".")
        if stem and layer == "out":
            older[f"{stem}.attend.out_proj.{kind}"] = value
        elif stem and layer == "query":
            attend = net.get_submodule(f"{stem}.attend")
            parts: list[torch.Tensor] = [attend.get_parameter(f"{part}.{kind}") for part in LAYERS]
            older[f"{stem}.attend.in_proj_{kind}"] = torch.cat(parts).detach()
        elif not stem:
            older[name] = value
    save_checkpoint(tmp_path / "x.safetensors", net, Checkpoint("segformer_b0", CONTRACT, 1))
    with safe_open(tmp_path / "x.safetensors", framework="pt") as file:
        header = file.metadata()
    save_file(older, tmp_path / "older.safetensors", header)
    again, _ = load_checkpoint(tmp_path / "older.safetensors")
    assert all(torch.equal(again.state_dict()[name], value) for name, value in net.state_dict().items())
