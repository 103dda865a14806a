from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest

from edgeseg.cli.app import run
from edgeseg.cli.sensitivity import FILES, usable
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.files import sha256

QUICK = ["--count", "3", "--calibration-count", "64", "--seconds", "0.02"]


@pytest.fixture(scope="module")
def measured(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run with what the verb wrote beside it."""
    folder = tmp_path_factory.mktemp("sensitivity") / "run"
    shutil.copytree(tiny_run, folder)
    assert run(["sensitivity", str(folder), *QUICK]) == 0
    return folder


def test_layers_operators_and_advice_are_written(measured: Path) -> None:
    found = json.loads((measured / "sensitivity" / "sensitivity.json").read_text(encoding="utf-8"))
    assert found["pictures"] == 3
    shares = [row["disagreement"] for row in found["rows"]]
    assert len(shares) > 40
    assert shares == sorted(shares, reverse=True)
    assert {"dense conv", "depthwise conv", "pointwise conv", "add"} <= {row["kind"] for row in found["rows"]}
    assert set(found["operators_ms"]) == {"onnxruntime", "openvino"}
    for rows in found["operators_ms"].values():
        convolutions = [row for row in rows if row["kind"].endswith("conv")]
        assert convolutions
        assert all(row["float32_ms"] > 0 and row["int8_ms"] > 0 for row in convolutions)
    assert {"onnxruntime int8", "onnxruntime float32", "openvino int8", "openvino float32"} <= set(found["p50_ms"])
    fastest = min(found["p50_ms"], key=found["p50_ms"].__getitem__)
    engine, precision = fastest.split()
    assert found["advice"][-1].startswith(f"fastest here: {precision} in {engine}, ")


def test_the_plot_is_a_picture(measured: Path) -> None:
    picture = cv2.imread(str(measured / "sensitivity" / "sensitivity.png"))
    assert picture is not None
    assert picture.std() > 10


@pytest.mark.slow
def test_an_export_of_the_run_is_used_and_the_masks_are_compared_once(
    measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loose = ["--min-agreement", "0", "--min-worst-agreement", "0", "--min-edge-agreement", "0"]
    loose += ["--max-miou-drop", "100", "--max-class-drop", "100", "--max-boundary-drop", "100"]
    assert run(["export", str(measured), "--int8", "--calibration-count", "64", *loose]) == 0
    folder = measured / "sensitivity"
    assert run(["sensitivity", str(measured), *QUICK, "--top", "3"]) == 0
    shown = capsys.readouterr()
    assert f"the files are those of {measured / 'export'}" in shown.err
    assert shown.out.count("net.") == 3
    cached = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.json") if path.stem != "sensitivity"}
    assert run(["sensitivity", str(measured), *QUICK, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pictures"] == 3
    after = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.json") if path.stem != "sensitivity"}
    assert after == cached


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (["{tmp}/gone"], "there is no checkpoint at"),
        (["{run}", "--count", "0"], "--count must be 1 or more, got 0"),
        (["{run}", "--seed", "-1"], "--seed must be 0 or more, got -1"),
        (["{run}", "--seconds", "inf"], "--seconds must be more than 0"),
        (["{run}", "--seconds", "0"], "--seconds must be more than 0"),
        (["{run}", "--calibration-count", "3"], "--calibration-count must be at least 64, got 3"),
    ],
)
def test_mistakes_are_one_line(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], complaint: str
) -> None:
    arguments = [text.format(tmp=tmp_path, run=tiny_run) for text in given]
    assert run(["sensitivity", *arguments, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("manifest", ["{", "[]", '{"artifacts": [5]}', '{"artifacts": [{"recipe": 1}]}'])
def test_an_export_whose_manifest_is_damaged_is_not_used(
    tmp_path: Path, colour_contract: Contract, manifest: str
) -> None:
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "manifest.json").write_text(manifest, encoding="utf-8")
    assert not usable(tmp_path, tmp_path / FILES[0], colour_contract)


def test_an_export_is_used_as_long_as_its_files_are_as_they_were_made(
    tmp_path: Path, colour_contract: Contract
) -> None:
    folder, checkpoint = tmp_path / "export", tmp_path / "best.safetensors"
    checkpoint.write_bytes(b"weights")
    names = (*FILES, "openvino-int8/model.bin")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    entries = [{"recipe": {}, "files": {name: {"sha256": sha256(folder / name)} for name in names}}]
    facts = {"checkpoint sha256": sha256(checkpoint)}
    manifest = {"artifacts": entries, "facts": facts, "contract": colour_contract.to_json()}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert usable(folder, checkpoint, colour_contract)
    others: tuple[dict[str, Any], ...] = ({"height": 48}, {"output": "mask"})
    for other in others:
        assert not usable(folder, checkpoint, replace(colour_contract, **other)), other
    for name in names:
        before = (folder / name).read_bytes()
        (folder / name).write_bytes(before[:-1])
        assert not usable(folder, checkpoint, colour_contract), name
        (folder / name).write_bytes(before)
    (folder / names[-1]).unlink()
    assert not usable(folder, checkpoint, colour_contract)
