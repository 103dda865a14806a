"""The script: its settings, its table, and one subject that is always at hand, the loop over OpenCV."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import peers
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import ConfigError
from ordeals import gone, stage
from ordeals.catalogue import ORDEALS
from ordeals.stage import Ordeal, Stage
from ordeals.subjects import SUBJECTS, find_python
from ordeals.table import markdown

if TYPE_CHECKING:
    from tests.conftest import TinyModel

BY_NAME = {subject.name: subject for subject in SUBJECTS}


@pytest.fixture
def model(tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path) -> Path:
    return tiny_model(colour_contract, tmp_path / "model.onnx")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "SETTLE_SECONDS", 0.5)
    monkeypatch.setattr(gone, "AWAY_SECONDS", 1.0)
    monkeypatch.setattr(gone, "AFTER_SECONDS", 0.2)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (peers.PeersConfig(only=("gone", "flood")), "no ordeal 'flood'; there are gone"),
        (peers.PeersConfig(subject=("frigate",)), "no subject 'frigate'; there are edgeseg"),
        (peers.PeersConfig(python=("frigate=/usr/bin/python",)), "no subject 'frigate'"),
        (peers.PeersConfig(python=("opencv",)), "NAME=PATH, got 'opencv'"),
        (peers.PeersConfig(python=("opencv=/nowhere/python",)), "no such file"),
    ],
)
def test_what_does_not_exist_is_named(model: Path, config: peers.PeersConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        peers.measure(model, config=config)


def test_ordeals_are_chosen_by_name_or_number_and_keep_their_order() -> None:
    assert [one.name for one in peers.PeersConfig(only=("20", "gone")).ordeals()] == ["gone", "soak"]
    assert peers.PeersConfig().ordeals() == list(ORDEALS)


def test_only_a_whole_run_takes_the_place_of_the_results(tmp_path: Path) -> None:
    assert peers.PeersConfig().file() == peers.RESULT
    assert peers.PeersConfig(only=("gone",)).file() is None
    assert peers.PeersConfig(subject=("opencv",)).file() is None
    assert peers.PeersConfig(only=("gone",), out=tmp_path / "x.json").file() == tmp_path / "x.json"


def test_a_python_is_found_where_it_is_said_to_be(tmp_path: Path) -> None:
    ultralytics = BY_NAME["ultralytics"]
    assert find_python(ultralytics, tmp_path, {}) is None
    python = tmp_path / "ultralytics" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert find_python(ultralytics, tmp_path, {}) == python
    other = tmp_path / "other"
    other.touch()
    assert find_python(ultralytics, tmp_path, {"ultralytics": other}) == other


def test_a_subject_that_is_not_installed_is_told_and_left_out(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "peers.json"
    peers.measure(model, config=peers.PeersConfig(tmp_path, subject=("ultralytics",), only=("gone",), out=out))
    said = capsys.readouterr()
    assert "ultralytics: not run" in said.err and "pip install ultralytics" in said.err
    assert "| 1. camera gone 10 s | – |" in said.out
    result = json.loads(out.read_text(encoding="utf-8"))
    assert result["results"] == {"gone": {}} and result["subjects"]["ultralytics"]["versions"] is None


def test_a_subject_that_cannot_start_is_a_problem_of_its_own(model: Path, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'no module named ultralytics' >&2\nexit 1\n", encoding="utf-8")
    python.chmod(0o755)
    figures = peers.put_through(ORDEALS[0], Stage(BY_NAME["ultralytics"], python, model))
    assert "could not be started" in figures["problem"] and "no module named ultralytics" in figures["problem"]


@pytest.mark.usefixtures("short")
def test_the_loop_over_opencv_notices_and_ends(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "peers.json"
    peers.measure(model, config=peers.PeersConfig(subject=("opencv",), only=("gone", "viewer"), out=out))
    result = json.loads(out.read_text(encoding="utf-8"))
    figures = result["results"]["gone"]["opencv"]
    assert figures["noticed"]["text"] == "read() gave no picture" and figures["back_seconds"] is None
    assert figures["ended"] == "returned by itself: read() gave no picture"
    assert figures["given_as_live"]["old"] == figures["given_as_live"]["black"] == 0
    assert result["subjects"]["opencv"]["versions"]["opencv-python"]
    assert "has no viewer" in "\n".join(result["table"])


@pytest.mark.usefixtures("short")
def test_edgeseg_notices_and_comes_back(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "peers.json"
    peers.measure(model, config=peers.PeersConfig(subject=("edgeseg",), only=("gone",), out=out))
    figures = json.loads(out.read_text(encoding="utf-8"))["results"]["gone"]["edgeseg"]
    assert figures["noticed"]["how"] == "told" and figures["back_seconds"] is not None
    assert figures["ended"] == ""


def test_a_table_has_a_cell_for_everything() -> None:
    def cell(figures: dict[str, Any]) -> str:
        return f"{figures['value']} | more"

    ordeals = [Ordeal(number, f"o{number}", f"ordeal {number}", lambda _: {}, cell) for number in (1, 14)]
    results: dict[str, dict[str, dict[str, Any]]] = {
        "o1": {"a": {"value": 1}, "b": {"problem": "process\nended | so"}},
        "o14": {"b": {"value": 2}},
    }
    assert markdown(ordeals, ["a", "b"], results).splitlines() == [
        "|  | a | b |",
        "| --- | --- | --- |",
        "| 1. ordeal 1 | 1 / more | process ended / so |",
        "| 14. ordeal 14 | – | 2 / more |",
    ]


def test_every_ordeal_can_say_that_it_could_not_begin() -> None:
    """The script's own word for it, and not that of an ordeal."""
    subject = replace(BY_NAME["opencv"], name="any")
    results = {one.name: {subject.name: {"problem": "gave no good picture in 20 s"}} for one in ORDEALS}
    assert markdown(ORDEALS, [subject.name], results).count("gave no good picture in 20 s") == len(ORDEALS)
