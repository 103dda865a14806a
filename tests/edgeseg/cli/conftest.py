"""A run that the verbs work on."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeseg.cli.app import run

DATA = "procedural:64x64,n=72"


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    """The folder of a short run, made by the verb. Read it, leave it as it is."""
    out = tmp_path_factory.mktemp("verbs") / "run"
    flags = ["--data", DATA, "--size", "64", "64", "--epochs", "3", "--batch", "8", "--workers", "0", "--lr", "0.01"]
    assert run(["train", *flags, "--device", "cpu", "--precision", "float32", "--out", str(out)]) == 0
    return out
