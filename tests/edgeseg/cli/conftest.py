"""A run that the verbs work on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from edgeseg.cli.app import run
from edgeseg.data.procedural import ProceduralData, ProceduralSpec
from edgeseg.models import build
from edgeseg.training.checkpoint import BEST, Checkpoint, save_checkpoint
from edgeseg_export.deployable import Deployable
from edgeseg_export.onnx_file import export_onnx
from edgeseg_runtime.contract import Contract

DATA = "procedural:64x64,n=72"


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    """The folder of a short run, made by the verb. Read it, leave it as it is."""
    out = tmp_path_factory.mktemp("verbs") / "run"
    flags = ["--data", DATA, "--size", "64", "64", "--epochs", "3", "--batch", "8", "--workers", "0", "--lr", "0.01"]
    assert run(["train", *flags, "--device", "cpu", "--precision", "float32", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def untrained_run(one_thread: None) -> Callable[[Path, str], Path]:
    """Return a function from a folder and a data set's name to that folder, now a run, with its float file."""

    def make(folder: Path, data: str) -> Path:
        labels = ProceduralData(ProceduralSpec.parse(data), "val").labels
        contract = Contract(labels, 64, 96)
        torch.manual_seed(0)
        net = build("fast_scnn", len(labels), contract.size)
        for parameter in net.parameters():
            if parameter.ndim > 1:
                torch.nn.init.kaiming_normal_(parameter)  # scores far enough apart that no rounding decides
        checkpoint = Checkpoint("fast_scnn", contract, epoch=1, config={"data": data, "val_split": "val"})
        save_checkpoint(folder / BEST, net, checkpoint)
        export_onnx(Deployable(net.eval(), contract), folder / "model.onnx")
        return folder

    return make
