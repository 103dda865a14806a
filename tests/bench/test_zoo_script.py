"""The script end to end on runs and a bench that the test writes: every figure in the table is one that was left."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import cv2
import pytest
from torch.utils.tensorboard import SummaryWriter

import zoo
from edgeseg.models.instances.registry import build_instance
from edgeseg.training.checkpoint import BEST, Checkpoint, save_checkpoint
from edgeseg_runtime.contract import Contract, Selection
from edgeseg_runtime.errors import UserError
from tests.bench.left_runs import CONTRACT, LABELS, make_bench, make_run, net, times
from training_facts import started_from, training_minutes
from zoo import ZooConfig
from zoo_table import REFERENCE, int8_points, markdown


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return make_run(tmp_path / "small", 0.6)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    return make_run(tmp_path / "large", 0.7, weights="/models/trunk.pth")


@pytest.fixture
def monday(tmp_path: Path, small: Path, large: Path) -> Path:
    return make_bench(
        tmp_path / "monday.json", "monday", {small: times(8, 7, 5.25, 3.5), large: times(40, 30.5, 20, 10)}
    )


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no picture, which takes longer than all the rest."""
    monkeypatch.setattr(zoo, "draw", lambda *_: None)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "zoo.json"


def rows_of(out: Path) -> dict[str, dict[str, Any]]:
    return {row["run"]: row for row in json.loads(out.read_text(encoding="utf-8"))["runs"]}


def test_the_table_holds_what_was_left(
    small: Path, large: Path, monday: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo.zoo(small, large, config=ZooConfig(monday, out, "two cores"))
    written = json.loads(out.read_text(encoding="utf-8"))
    assert written["remark"] == "two cores"
    assert written["benches"] == {
        "monday": {"made": "monday", "machine": {}, "load_average": {}, "settings": {"seconds": 3}}
    }
    assert [row["run"] for row in written["runs"]] == ["large", "small"]  # the best first
    row = rows_of(out)["small"]
    assert row["parameters"] == sum(value.numel() for value in net().parameters())
    assert row["size"] == [64, 96] and row["scored_on"] == "camvid, split val"
    assert row["training"] == {
        "start": "scratch", "epochs_planned": 60, "epochs_done": 50, "best_epoch": 40, "minutes": None
    }  # fmt: skip
    assert rows_of(out)["large"]["training"]["start"] == "trunk.pth"
    lines = capsys.readouterr().out.splitlines()
    cells = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in lines[2:]}
    parameters, macs = f"{row['parameters'] / 1e6:.2f}", f"{row['macs'] / 1e9:.2f}"
    assert cells["**small**"] == [
        "scratch, 50 of 60 epochs, time unknown", parameters, macs, "60.00 [58.00, 63.00]", "8.00 / 7.00",
        "5.25 / 3.50", "–", "59.00 / 59.00", "100.00 % / 100.00 %", "98.70 % / 98.70 %", "4.0 / 1.5",
    ]  # fmt: skip
    assert cells["**large**"][4] == "40.00 / 30.50"
    assert len(lines) == 4  # one bench: nothing is said of several
    picture = cv2.imread(str(out.with_suffix(".png")))
    assert picture is not None and min(picture.shape[:2]) > 100


@pytest.mark.usefixtures("undrawn")
def test_names_off_the_front_are_not_bold_and_rejected_files_not_shown(
    tmp_path: Path, small: Path, large: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = make_run(tmp_path / "slow", 0.55, missing=("onnx-int8",))
    runs = {small: times(8, 7, 5, 3.5), large: times(40, 30, 20, 10), slow: times(9, 8, 0.1, 4)}
    zoo.zoo(*runs, config=ZooConfig(make_bench(tmp_path / "b.json", "monday", runs), out))
    shown = capsys.readouterr().out
    assert "**small**" in shown and "**large**" in shown and "| slow |" in shown
    (line,) = (line for line in shown.splitlines() if line.startswith("| slow"))
    assert "– / 4.00" in line


@pytest.mark.usefixtures("undrawn")
def test_a_new_run_takes_its_old_rows_place_and_others_stay(
    tmp_path: Path, small: Path, large: Path, monday: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo.zoo(small, large, config=ZooConfig(monday, out, "a remark"))
    before = rows_of(out)
    make_run(small, 0.65)
    friday = make_bench(tmp_path / "friday.json", "friday", {small: times(4, 4, 4, 4)})
    capsys.readouterr()
    zoo.zoo(small, config=ZooConfig(friday, out))
    after = rows_of(out)
    assert after["large"] == before["large"]
    assert (after["small"]["mean_iou"], after["small"]["bench"]) == (0.65, "friday")
    shown = capsys.readouterr().out
    assert "**small** (a)" in shown and "**large** (b)" in shown  # each is on the front of its own bench
    assert "milliseconds are not to be compared with each other: (a) friday, (b) monday" in shown
    assert json.loads(out.read_text(encoding="utf-8"))["remark"] == "a remark"
    zoo.zoo(config=ZooConfig(out=out))  # the table again
    assert capsys.readouterr().out == shown
    zoo.zoo(large, config=ZooConfig(make_bench(friday, "friday", {large: times(1, 1, 1, 1)}), out))
    assert list(json.loads(out.read_text(encoding="utf-8"))["benches"]) == ["friday"]  # nothing refers to the other


@pytest.mark.usefixtures("undrawn")
def test_runs_of_several_benches_are_compared_by_what_was_measured_beside_them(
    tmp_path: Path, small: Path, large: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = make_run(tmp_path / REFERENCE, 0.65)
    runs = {common: times(8, 8, 8, 4), small: times(8, 8, 8, 3)}
    zoo.zoo(*runs, config=ZooConfig(make_bench(tmp_path / "a.json", "monday", runs), out))
    runs = {common: times(9, 9, 9, 5), large: times(9, 9, 25, 20)}  # the same net on a slower day
    bench = make_bench(tmp_path / "b.json", "tuesday", runs)
    zoo.zoo(*runs, config=ZooConfig(bench, out))
    capsys.readouterr()
    slow = make_run(tmp_path / "slow", 0.6)
    alone = {slow: times(9, 9, 9, 4.5)}  # of fewer ms than its fellow, but not of fewer than small in the other bench
    zoo.zoo(slow, config=ZooConfig(make_bench(tmp_path / "b.json", "tuesday", alone), out))  # keeps the reference's
    rows = {
        line.split("|")[1].strip(): line.split("|")[8].strip() for line in capsys.readouterr().out.splitlines()[2:6]
    }
    assert rows == {
        "**large** (b)": "4.00",
        f"**{REFERENCE}** (b)": "1.00",
        "**small** (a)": "0.75",
        "slow (b)": "0.90",
    }


@pytest.mark.usefixtures("undrawn")
def test_the_picture_brings_other_benches_to_the_milliseconds_of_the_largest(
    tmp_path: Path, small: Path, large: Path, out: Path
) -> None:
    common, alone = make_run(tmp_path / REFERENCE, 0.65), make_run(tmp_path / "alone", 0.6)
    runs = {common: times(8, 8, 8, 4), small: times(8, 8, 8, 3)}
    zoo.zoo(*runs, config=ZooConfig(make_bench(tmp_path / "a.json", "monday", runs), out))
    runs = {common: times(9, 9, 9, 5), large: times(9, 9, 25, 20)}
    zoo.zoo(large, config=ZooConfig(make_bench(tmp_path / "b.json", "tuesday", runs), out, beside=common))
    zoo.zoo(alone, config=ZooConfig(make_bench(tmp_path / "c.json", "friday", {alone: times(9, 9, 9, 1)}), out))
    points = int8_points(json.loads(out.read_text(encoding="utf-8")))
    shown = {(row.name, row.engine): row.p50_ms for row in points if row.threads == 1}
    assert shown == pytest.approx({  # 4 ms of the reference on Monday, 5 on Tuesday; Friday had none
        (REFERENCE, "onnxruntime"): 8, (REFERENCE, "openvino"): 4, ("small", "onnxruntime"): 8,
        ("small", "openvino"): 3, ("large", "onnxruntime"): 20, ("large", "openvino"): 16,
    })  # fmt: skip


@pytest.mark.usefixtures("undrawn")
def test_the_references_row_stays_where_it_is_only_measured_beside(
    tmp_path: Path, small: Path, large: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = make_run(tmp_path / REFERENCE, 0.65)
    runs = {common: times(8, 8, 8, 4), small: times(8, 8, 8, 3)}
    zoo.zoo(*runs, config=ZooConfig(make_bench(tmp_path / "a.json", "monday", runs), out))
    before = rows_of(out)
    runs = {common: times(9, 9, 9, 5), large: times(9, 9, 25, 20)}
    capsys.readouterr()
    zoo.zoo(large, config=ZooConfig(make_bench(tmp_path / "b.json", "tuesday", runs), out, beside=common))
    after = rows_of(out)
    assert after[REFERENCE] == before[REFERENCE] and after["small"] == before["small"]
    table = [line.split("|") for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    shown = {cells[1].strip(): cells[8].strip() for cells in table}
    assert shown["**large** (b)"] == "4.00" and shown["**small** (a)"] == "0.75"


@pytest.mark.usefixtures("undrawn")
def test_the_bench_is_looked_for_where_the_verb_leaves_it(small: Path, out: Path) -> None:
    make_bench(small / "export/bench.json", "monday", {small: times(8, 7, 5, 3.5)})
    zoo.zoo(small, config=ZooConfig(out=out))
    assert rows_of(out)["small"]["bench"] == "monday"


@pytest.mark.usefixtures("undrawn")
def test_mistakes_are_named_and_leave_the_file_as_it_was(
    tmp_path: Path, small: Path, large: Path, monday: Path, out: Path
) -> None:
    zoo.zoo(small, config=ZooConfig(monday, out))
    before = out.read_text(encoding="utf-8")

    def refused(*runs: Path, bench: Path = monday, match: str) -> None:
        with pytest.raises(UserError, match=match):
            zoo.zoo(*runs, config=ZooConfig(bench, out))
        assert out.read_text(encoding="utf-8") == before

    refused(large, large, match="same name")
    refused(tmp_path / "small", large, bench=tmp_path / "none.json", match=r"none\.json is missing")
    unknown = make_run(tmp_path / "unknown", 0.6)
    refused(unknown, match="the bench knows no file of .*unknown")
    pets = make_run(tmp_path / "pets", 0.6, data="pets")
    refused(
        pets, bench=make_bench(tmp_path / "p.json", "p", {pets: times(1, 1, 1, 1)}), match=r"pets, split val.*--out"
    )
    (large / BEST).unlink()
    save_checkpoint(large / BEST, net(), Checkpoint("fast_scnn", CONTRACT, 1))
    refused(large, match="made of another checkpoint")
    objects = Contract(LABELS, 64, 64, task="instance", output="prototypes", selection=Selection((0.5, 0.5)))
    name = "yolact_shufflenet_v2_x0_5"
    save_checkpoint(large / BEST, build_instance(name, 2, (64, 64)), Checkpoint(name, objects, 1))
    refused(large, match="tells objects apart")
    with pytest.raises(UserError, match="holds no run yet"):
        zoo.zoo(config=ZooConfig(out=tmp_path / "empty.json"))


@pytest.mark.parametrize(
    ("kind", "changes", "told"),
    [
        ("original", {}, "scratch, 60 epochs, 9 min"),
        ("original", {"epochs_done": None, "minutes": None}, "scratch, at least 40 of 60 epochs, time unknown"),
        ("pruned + QAT", {"start": "run a"}, "pruned + QAT, run a, 60 epochs, 9 min"),
    ],
)
def test_a_budget_says_what_is_known(kind: str, changes: dict[str, Any], told: str) -> None:
    training = {"start": "scratch", "epochs_planned": 60, "epochs_done": 60, "best_epoch": 40, "minutes": 9.4}
    run = {
        "run": "a", "kind": kind, "training": training | changes, "parameters": 1, "macs": 1, "mean_iou": 0.5,
        "interval_95": None, "artifacts": [], "bench": "monday", "size": [64, 96],
    }  # fmt: skip
    assert f"| a | {told} |" in markdown({"benches": {"monday": {}}, "runs": [run]})
    other = run | {"run": "b", "size": [32, 32]}
    assert "| b 32×32 |" in markdown({"benches": {"monday": {}}, "runs": [run, other]})


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, "scratch"),
        ({"weights": "imagenet"}, "ImageNet, torchvision"),
        ({"init": "/runs/unet"}, "run unet"),
        ({"init": "/runs/unet/last.safetensors"}, "run unet"),
        ({"init": "runs/half/start.safetensors", "out": "runs/half"}, "start.safetensors"),
    ],
)
def test_where_weights_come_from(config: dict[str, Any], told: str) -> None:
    assert started_from(config) == told


def test_minutes_are_those_of_all_processes_up_to_their_last_scores(tmp_path: Path) -> None:
    assert training_minutes(tmp_path) is None
    for process, minutes in enumerate((30, 12)):
        with SummaryWriter(str(tmp_path / "tensorboard"), filename_suffix=f".{process}") as events:
            for share in (0.5, 1.0):
                events.add_scalar("loss", 1.0, walltime=time.time() + 60 * minutes * share)
    assert training_minutes(tmp_path) == pytest.approx(42, abs=0.2)
