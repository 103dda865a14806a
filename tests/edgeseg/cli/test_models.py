from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgeseg.cli.app import run
from edgeseg.cli.model_results import own_results, read_results
from edgeseg.models import MODELS
from edgeseg.models.instances.registry import INSTANCE_MODELS


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {name: MODELS[name] for name in ("unet", "fast_scnn")}
    monkeypatch.setattr("edgeseg.models.registry.MODELS", chosen)
    instances = {name: INSTANCE_MODELS[name] for name in ("yolact_shufflenet_v2_x0_5", "maskrcnn_mobilenet_v2_fpn")}
    monkeypatch.setattr("edgeseg.models.instances.registry.INSTANCE_MODELS", instances)
    monkeypatch.setattr("edgeseg.cli.models.own_results", lambda: None)  # as where edgeseg was installed from a wheel


def results(folder: Path, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    latency = [{"engine": "openvino", "threads": threads, "p50_ms": ms} for threads, ms in ((1, 9.5), (2, 5.0))]
    artifacts = [
        {"name": "float", "verdict": "pass", "latency": latency},
        {"name": "int8", "verdict": "warn", "latency": [{"engine": "onnxruntime", "threads": 1, "p50_ms": 4.25}]},
        {"name": "wrong", "verdict": "fail", "latency": [{"engine": "openvino", "threads": 1, "p50_ms": 1.0}]},
    ]
    one = {"kind": "original", "settings": {"model": "fast_scnn"}, "mean_iou": 0.6, "artifacts": artifacts}
    bench = {"made": "2026-01-01", "settings": {"scored_on": "camvid"}}
    document = {"bench": bench, "runs": [one | changes]}
    (folder / f"{len(list(folder.iterdir()))}.json").write_text(json.dumps(document))
    (folder / "other.json").write_text("[1]")
    return folder


def test_the_table_names_every_architecture_the_cheapest_first(few: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models"]) == 0
    shown, said = capsys.readouterr()
    assert "360×480, 11 classes" in shown
    assert "this installation has none" in said
    assert shown.index("fast_scnn") < shown.index("unet")
    (line,) = (line for line in shown.splitlines() if "fast_scnn" in line)
    assert [cell.strip() for cell in line.strip("│").split("│")] == [
        "fast_scnn", "semantic", "1.14", "0.56", "", "", "no", "Apache-2.0", "arXiv:1902.04502"
    ]  # fmt: skip


def test_json_holds_costs_and_where_they_come_from(few: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "--size", "64", "96", "--classes", "5", "--json"]) == 0
    rows = {row["model"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows.keys() == {"unet", "fast_scnn", "yolact_shufflenet_v2_x0_5", "maskrcnn_mobilenet_v2_fpn"}
    assert {name: row["task"] for name, row in rows.items() if name.endswith(("unet", "fpn"))} == {
        "unet": "semantic",
        "maskrcnn_mobilenet_v2_fpn": "instance",
    }
    assert rows["yolact_shufflenet_v2_x0_5"]["paper"] == "arXiv:1904.02689"
    assert rows["fast_scnn"]["published"]["source"] == "table 2 of the paper"
    assert rows["unet"]["weights"].startswith("torchvision")
    assert rows["unet"]["size"] == [64, 96] and rows["unet"]["classes"] == 5
    assert rows["unet"]["measured"] is None


def test_measured_figures_are_the_best_run_and_its_fastest_good_file(
    few: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = results(tmp_path / "results")
    results(folder, mean_iou=0.5)
    results(folder, mean_iou=0.9, kind="QAT")
    assert run(["models", "--results", str(folder), "--json"]) == 0
    rows = {row["model"]: row["measured"] for row in json.loads(capsys.readouterr().out)}
    assert rows["unet"] is None
    assert rows["fast_scnn"] == {
        "file": str(folder / "0.json"),
        "scored_on": "camvid",
        "measured_at": "2026-01-01",
        "mean_iou": 0.6,
        "artifact": "int8",
        "engine": "onnxruntime",
        "threads": 1,
        "p50_ms": 4.25,
    }
    assert run(["models", "--results", str(folder)]) == 0
    shown = capsys.readouterr()
    (line,) = (line for line in shown.out.splitlines() if "fast_scnn" in line)
    assert "60.00" in line and "4.25" in line
    assert "one thread" in shown.err and "in one bench" not in shown.err


def test_figures_of_several_benches_say_so(
    few: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts = [{"name": "a", "verdict": "pass", "latency": [{"engine": "openvino", "threads": 1, "p50_ms": 2.5}]}]
    benches = {made: {"made": made, "settings": {"scored_on": None}} for made in ("monday", "friday")}
    runs = [
        {"kind": "original", "settings": {"model": name}, "scored_on": "camvid, split val", "bench": made,
         "mean_iou": 0.5, "artifacts": artifacts}
        for name, made in (("unet", "monday"), ("fast_scnn", "friday"))
    ]  # fmt: skip
    zoo = tmp_path / "camvid_zoo.json"
    zoo.write_text(json.dumps({"remark": "", "benches": benches, "runs": runs}))
    monkeypatch.setattr("edgeseg.cli.models.own_results", lambda: zoo)
    assert run(["models"]) == 0
    shown, said = capsys.readouterr()
    assert all("50.00" in line and "2.50" in line for line in shown.splitlines() if "scnn" in line or "│ unet" in line)
    assert "camvid, split val" in said and "not all were measured in one bench" in said and str(zoo) in said


def test_a_checkouts_own_figures_are_the_zoos_where_there_are_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeseg.__file__", str(tmp_path / "edgeseg" / "__init__.py"))
    assert own_results() is None
    folder = tmp_path / "benchmarks" / "results"
    folder.mkdir(parents=True)
    assert own_results() == folder
    (folder / "camvid_zoo.json").write_text("{}")
    assert own_results() == folder / "camvid_zoo.json"


def test_this_checkouts_figures_are_read() -> None:
    where = own_results()
    assert where is not None
    assert all(name in MODELS and 0 < one["mean_iou"] < 1 for name, one in read_results(where).items())


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--size", "32", "32"], "fast_scnn needs inputs of at least 64×64, got 32×32"),
        (["--classes", "0"], "--classes must be between 1 and 255, got 0"),
        (["--results", "{tmp}/nowhere"], "there is no file or folder"),
        (["--results", "{tmp}/empty"], "holds no runs as benchmarks/zoo.py and compression.py write them"),
        (["--results", "{tmp}/damaged"], "is damaged"),
    ],
)
def test_mistakes_are_one_line(
    few: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], complaint: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "x.json").write_text("{")
    assert run(["models", *(flag.format(tmp=tmp_path) for flag in flags)]) == 2
    shown = capsys.readouterr().err
    assert complaint in shown and shown.count("\n") == 1
