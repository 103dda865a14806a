"""Several processes that `torchrun` starts, on the CPU through gloo: one training, not several."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from edgeseg.training.checkpoint import LAST
from edgeseg.training.machine import Processes, choose_processes, is_first_process
from edgeseg.training.runlog import METRICS, read_metrics
from edgeseg_runtime.errors import ConfigError

# Batch statistics are each process's own, so only a network without batch normalisation can show equality.
PROGRAM = """
import sys
from dataclasses import replace
from torch import nn
from edgeseg.cli import main
from edgeseg.models import registry

def plain(classes, *_):
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, classes, 3, 1, 1))

registry.MODELS["plain"] = replace(registry.MODELS["fast_scnn"], build=plain, minimum=8)
main()
"""
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
ENVIRONMENT = ("TORCHELASTIC_RUN_ID", "LOCAL_WORLD_SIZE", "WORLD_SIZE", "RANK", "LOCAL_RANK")


def train(
    folder: Path, out: str, launcher: tuple[str, ...], batch: int, *more: str
) -> subprocess.CompletedProcess[str]:
    program = folder / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    flags = [
        *("train", "--data", "procedural:32x32,n=24", "--size", "32", "32", "--model", "plain", "--augment", "none"),
        *("--batch", str(batch), "--epochs", "2", "--workers", "0", "--out", str(folder / out)),
        *(
            "--device",
            "cpu",
            "--precision",
            "float32",
            "--optimizer",
            "sgd",
            "--lr",
            "0.5",
            "--ema",
            "0",
            "--clip",
            "0",
            "--loss",
            "ce",  # a mean over pixels; Dice is of each process's own batch
        ),
    ]
    command = [sys.executable, *launcher, str(program), *flags, *more]
    environment = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    return subprocess.run(
        command, env=environment | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=240, check=False
    )


@pytest.mark.slow
def test_two_processes_are_one_with_twice_the_batch(tmp_path: Path) -> None:
    two, one = train(tmp_path, "two", TORCHRUN, 4), train(tmp_path, "one", (), 8)
    assert (two.returncode, one.returncode) == (0, 0), two.stderr + one.stderr
    assert two.stderr.count("epoch 1/2") == 1  # the first process speaks for both
    found, expected = (load_file(tmp_path / name / LAST) for name in ("two", "one"))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)
    losses = [[row["loss"] for row in read_metrics(tmp_path / name / METRICS)] for name in ("two", "one")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    different = train(tmp_path, "four", (), 4)  # what one process does with the smaller batch is something else
    assert different.returncode == 0, different.stderr
    other = load_file(tmp_path / "four" / LAST)
    assert any(not torch.allclose(other[name], value, rtol=1e-4, atol=1e-5) for name, value in expected.items())


@pytest.mark.slow
def test_a_number_of_devices_that_is_not_torchruns_is_refused(tmp_path: Path) -> None:
    done = train(tmp_path, "run", TORCHRUN, 4, "--devices", "3")
    assert done.returncode != 0
    assert "--devices 3: torchrun started 2 processes; leave --devices away" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.fixture
def under_torchrun(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Two machines with two processes each; this is the second process of the second."""
    for name, value in zip(ENVIRONMENT, ("a-run", "2", "4", "3", "1"), strict=True):
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_torchrun_says_how_many_processes_there_are(under_torchrun: pytest.MonkeyPatch) -> None:
    assert choose_processes(1) == choose_processes(4) == Processes(2, 2)
    assert Processes(2, 2).total == 4
    with pytest.raises(ConfigError, match="torchrun started 4 processes"):
        choose_processes(2)
    under_torchrun.setenv("WORLD_SIZE", "5")
    with pytest.raises(ConfigError, match="start as many on each"):
        choose_processes(1)


def test_one_process_of_all_machines_speaks(under_torchrun: pytest.MonkeyPatch) -> None:
    assert not is_first_process()
    under_torchrun.setenv("LOCAL_RANK", "0")
    assert not is_first_process()  # the first of the second machine
    under_torchrun.setenv("RANK", "0")
    assert is_first_process()


def test_without_torchrun_the_setting_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    assert choose_processes(3) == Processes(3, 1)
    assert is_first_process()
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert not is_first_process()
