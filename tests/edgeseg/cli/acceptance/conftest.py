"""A model, cameras, and the command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from edgeseg_runtime.contract import Contract
from tests.edgeseg.cli.acceptance.command import Command
from tests.servers.several import Serve, camera_servers

if TYPE_CHECKING:
    from tests.conftest import TinyModel


class Start(Protocol):
    """Starts the command; see `start`."""

    def __call__(self, *arguments: object, model: Path | None = None) -> Command: ...


@pytest.fixture
def camera_server() -> Iterator[Serve]:
    """Return a function that makes a camera of a kind; all go at the end."""
    with camera_servers() as make:
        yield make


@pytest.fixture
def quick_model(tmp_path: Path, colour_contract: Contract, tiny_model: TinyModel) -> Path:
    """A model of no weights, which takes less than a millisecond."""
    return tiny_model(colour_contract, tmp_path / "model.onnx", stride=4)


@pytest.fixture
def start(quick_model: Path, camera_server: Serve) -> Iterator[Start]:
    """Return a function that starts the command with a model; all are ended at the end, before the cameras are."""
    commands: list[Command] = []

    def make(*arguments: object, model: Path | None = None) -> Command:
        command = Command("--model", model or quick_model, "--threads", 1, *arguments)
        commands.append(command)
        return command

    yield make
    for command in commands:
        if command.process.returncode is None:
            command.__exit__()
