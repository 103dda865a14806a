from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

from edgeseg.cli.app import run
from edgeseg.cli.optimize_config import BudgetConfig, EffortConfig, GridConfig, OptimizeConfig
from edgeseg.cli.optimize_parts import assemble, search_folder, training_settings
from edgeseg.config import ModelConfig
from edgeseg.optimize.budget import MIXED_DROP
from edgeseg.optimize.space import Trial, Weights
from edgeseg.optimize.training import Trainer
from edgeseg.training.checkpoint import BEST, load_checkpoint, read_checkpoint
from edgeseg.training.folder import held
from edgeseg.training.loop import make_fabric
from edgeseg.training.prune import START
from edgeseg_runtime.segmenter import Segmenter

GRID = ["--resolutions", "1", "0.5", "--prune", "0", "--threads", "1", "--seconds", "0.02"]
FLOATS = [*GRID, "--precisions", "float32", "--engines", "onnxruntime"]
PICTURES = ["--pictures", "8", "--quick-pictures", "4"]


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a search that has to fail by the user's mistake, and return its one line."""
    assert run(["optimize", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err.splitlines()[-1]


@pytest.fixture(scope="module")
def met(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a search whose budget everything meets."""
    out = tmp_path_factory.mktemp("optimize") / "out"
    assert (
        run(["optimize", str(tiny_run), "--latency", "10s", "--max-drop", "5", "--out", str(out), *FLOATS, *PICTURES])
        == 0
    )
    return out


def test_the_choice_lies_in_its_folder_with_the_reason(met: Path) -> None:
    names = {"choice.json", "manifest.json", "model.onnx", "parity.json", "report.html"}
    assert {path.name for path in (met / "chosen").iterdir()} == names
    choice = json.loads((met / "chosen" / "choice.json").read_text(encoding="utf-8"))
    assert choice["choice"]["precision"] == "float32" and choice["choice"]["resolution"] == 1.0
    assert choice["choice"]["agreement"] >= 0.9999
    assert "from picture to mask, 10000 are allowed" in choice["reason"]
    segmenter = Segmenter.load(met / "chosen")
    assert segmenter.contract.size == (64, 64)
    manifest = json.loads((met / "chosen" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["artifacts"][0]["passed"] and manifest["facts"]["model"] == "fast_scnn"


def test_every_trial_is_in_the_table_and_the_picture_is_drawn(met: Path) -> None:
    with (met / "trials.csv").open(encoding="utf-8") as file:
        entries = list(csv.DictReader(file))
    assert [(entry["resolution"], entry["precision"]) for entry in entries] == [("1.0", "float32"), ("0.5", "float32")]
    document: dict[str, Any] = json.loads((met / "optimize.json").read_text(encoding="utf-8"))
    assert document["met"] and document["finished"] and len(document["trials"]) == 2
    assert document["facts"]["pictures"] == "8 of 18"
    assert document["front"][0]["verdict"] == "chosen"
    assert document["trials"][1]["verdict"].startswith("cannot beat 1× · float32 · onnxruntime · 1 thread")
    assert cv2.imread(str(met / "pareto.png")) is not None


def test_the_score_is_that_of_edgeseg_eval(
    met: Path, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = ["--latency", "10s", "--out", str(tmp_path / "out"), *FLOATS, "--json"]
    assert run(["optimize", str(tiny_run), *whole]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads((tmp_path / "out" / "optimize.json").read_text(encoding="utf-8"))
    data = "procedural:64x64,n=72"
    assert run(["eval", str(tmp_path / "out" / "chosen"), "--data", data, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert document["choice"]["mean_iou"] == pytest.approx(100 * scores["mean_iou"], abs=1e-9)


def test_a_search_that_lost_its_last_line_goes_on(met: Path, tiny_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(met, out)
    lines = (out / "trials.jsonl").read_bytes().splitlines(keepends=True)
    (out / "trials.jsonl").write_bytes(b"".join(lines[:-1]) + lines[-1][:9])
    arguments = ["--latency", "10s", "--max-drop", "5", "--out", str(out), *FLOATS, *PICTURES, "--resume"]
    assert run(["optimize", str(tiny_run), *arguments]) == 0
    again = (out / "trials.jsonl").read_bytes().splitlines(keepends=True)
    assert again[:-1] == lines[:-1] and json.loads(again[-1])["step"] == "confirm"


def test_a_search_goes_on_where_its_run_and_its_folder_were_moved_to(
    met: Path, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_folder, out = tmp_path / "moved", tmp_path / "out"
    shutil.copytree(tiny_run, run_folder)
    shutil.copytree(met, out)
    before = (out / "trials.jsonl").read_bytes()
    arguments = ["--latency", "10s", "--max-drop", "5", "--out", str(out), *FLOATS, *PICTURES, "--resume", "--json"]
    assert run(["optimize", str(run_folder), *arguments]) == 0
    assert (out / "trials.jsonl").read_bytes() == before, "nothing is measured again"
    assert json.loads(capsys.readouterr().out)["facts"]["checkpoint"] == str(run_folder / "best.safetensors")


def test_a_folder_that_another_search_is_at_work_in(
    met: Path, tiny_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (met / "trials.jsonl").read_bytes()
    with held(met):
        line = error_of([str(tiny_run), "--latency", "10s", "--out", str(met), *FLOATS, *PICTURES, "--resume"], capsys)
    assert f"another process is at work in {met}; wait for it, or choose another --out" in line
    assert (met / "trials.jsonl").read_bytes() == before


def test_the_folder_of_a_run_is_no_place_for_a_search(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in tiny_run.rglob("*")}
    line = error_of([str(tiny_run), "--latency", "10s", "--out", str(tiny_run), *FLOATS], capsys)
    assert f"--out {tiny_run} holds a run; choose another folder" in line
    assert {path: path.stat().st_mtime_ns for path in tiny_run.rglob("*")} == before


@pytest.mark.parametrize("left", ["work", "runs"])
def test_files_of_a_search_without_its_journal_are_not_taken_over(
    left: str, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    (out / left).mkdir(parents=True)
    line = error_of([str(tiny_run), "--latency", "10s", "--out", str(out), *FLOATS, *PICTURES], capsys)
    assert f"{out} holds files of a search without its trials.jsonl; remove it, or choose another --out" in line
    assert [path.name for path in out.iterdir()] == [left]


def test_a_run_that_the_journal_tells_of_is_missed(
    met: Path, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(met, out)
    with (out / "trials.jsonl").open("a") as journal:
        journal.write('{"step": "train", "about": {"prune": 0.3, "qat": true}, "result": null}\n')
    line = error_of([str(tiny_run), "--latency", "10s", "--out", str(out), *FLOATS, *PICTURES, "--resume"], capsys)
    assert f"--resume: {out / 'runs' / 'p30-qat'} is gone, which {out / 'trials.jsonl'} tells of" in line


def test_a_search_prunes_as_the_verb_does(tiny_run: Path, tmp_path: Path) -> None:
    """What is timed before it is trained is the network that is trained then, and that `edgeseg prune` makes."""
    grid = GridConfig((1.0,), (0.3,), ("float32",), ("onnxruntime",), (1,))
    effort = EffortConfig(pictures=8, quick_pictures=4, epochs=1)
    trainer = assemble(
        tiny_run, OptimizeConfig(BudgetConfig("10s"), grid, effort, tmp_path / "out"), resume=False
    ).workshop.trainer
    timed = trainer.shape(Weights(0.3))
    trainer.train(Weights(0.3))
    trained, _ = load_checkpoint(tmp_path / "out" / "runs" / "p30" / START)
    assert run(["prune", str(tiny_run), "--ratio", "0.3", "--no-finetune", "--out", str(tmp_path / "verb")]) == 0
    pruned, _ = load_checkpoint(tmp_path / "verb" / START)
    for net in (timed, trained):
        torch.testing.assert_close(net.state_dict(), pruned.state_dict(), rtol=0, atol=0)


def test_a_run_from_another_machine_is_trained_on_this_one(tiny_run: Path, tmp_path: Path) -> None:
    file = tiny_run / BEST
    checkpoint = read_checkpoint(file)
    elsewhere = replace(checkpoint, config=checkpoint.config | {"device": "cuda", "precision": "bf16"})
    for weights in (Weights(0.3), Weights(0.0, True), Weights(0.3, True)):
        config = training_settings(elsewhere, file, EffortConfig(), weights, tmp_path)
        fabric = make_fabric(replace(config, model=ModelConfig(init=file, qat=weights.qat)))
        assert fabric.device.type == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_search_lies_beside_its_run_however_that_is_named(tiny_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = tiny_run.with_name(tiny_run.name + "-opt")
    config = OptimizeConfig(BudgetConfig("10s"))
    assert search_folder(tiny_run, config) == beside
    monkeypatch.chdir(tiny_run)
    for name in (".", BEST):
        assert search_folder(Path(name), config) == beside.resolve()
    (tiny_run / "tensorboard").mkdir(exist_ok=True)
    monkeypatch.chdir(tiny_run / "tensorboard")
    assert search_folder(Path(".."), config) == beside.resolve()


def test_what_is_trained_for_int8_is_scaled_by_calibrated_files(tiny_run: Path, tmp_path: Path) -> None:
    row = {"engine": "onnxruntime", "precision": "int8", "threads": 1, "file": "m.onnx", "p50_ms": 5000.0}
    profile = tmp_path / "bench.json"
    profile.write_text(json.dumps({"machine": {"cpu": {"model": "Small Board"}}, "rows": [row]}))
    grid = GridConfig((1.0,), (0.0,), ("qat",), ("onnxruntime",), (1,))
    effort = EffortConfig(pictures=8, quick_pictures=4)
    for target in (None, profile):
        budget = BudgetConfig("10s", target=target)
        parts = assemble(tiny_run, OptimizeConfig(budget, grid, effort, tmp_path / f"{target is None}"), resume=False)
        assert (parts.workshop.calibration is not None) == (target is not None)


def test_a_training_goes_on_where_its_search_was_moved_to(tiny_run: Path, tmp_path: Path) -> None:
    grid = GridConfig((1.0,), (0.0,), ("qat",), ("onnxruntime",), (1,))
    effort, weights = EffortConfig(pictures=8, quick_pictures=4, epochs=2), Weights(0.0, True)

    def trainer(out: Path, resume: bool = False) -> Trainer:
        return assemble(tiny_run, OptimizeConfig(BudgetConfig("10s"), grid, effort, out), resume).workshop.trainer

    def stop(line: str) -> None:
        if line.startswith("epoch 1/2"):
            raise KeyboardInterrupt

    first, second = tmp_path / "first", tmp_path / "second"
    with pytest.raises(KeyboardInterrupt):
        replace(trainer(first), report=stop).train(weights)
    first.rename(second)
    trainer(second, resume=True).train(weights)
    assert not first.exists()
    with (second / "runs/p0-qat/metrics.csv").open(encoding="utf-8") as file:
        assert [row["epoch"] for row in csv.DictReader(file)][-1] == "2"


def test_only_the_models_own_files_are_delivered(met: Path, tiny_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(met, out)
    (made,) = (out / "work/models").glob("r1-*")
    (made / ".model.0123abcd.partial.onnx").write_bytes(b"half")
    arguments = ["--latency", "10s", "--max-drop", "5", "--out", str(out), *FLOATS, *PICTURES, "--resume"]
    assert run(["optimize", str(tiny_run), *arguments]) == 0
    assert {path.name for path in (out / "chosen").iterdir()} == {path.name for path in (met / "chosen").iterdir()}


def test_what_info_says_of_a_choice(met: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(met / "chosen"), "--json"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert model["file"] == str(met / "chosen" / "model.onnx")


def test_an_unmet_budget_is_exit_code_1_and_leaves_no_choice(
    met: Path, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(met, out)
    arguments = ["--latency", "0.1us", "--out", str(out), *FLOATS, *PICTURES, "--resume"]
    assert run(["optimize", str(tiny_run), *arguments]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("edgeseg: nothing that was tried meets the budget; nearest is 1× · float32 · onnxruntime")
    assert "over the 0.0001 allowed. What would help: --latency" in error
    assert not (out / "chosen").exists()
    document = json.loads((out / "optimize.json").read_text(encoding="utf-8"))
    assert not document["met"] and document["choice"] is None and document["nearest"]["resolution"] == 1.0
    assert not list(out.rglob("*partial*"))


def test_time_can_run_out_and_the_search_goes_on(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["optimize", str(tiny_run), "--latency", "10s", "--out", str(tmp_path / "out"), *FLOATS, *PICTURES]
    assert run([*arguments, "--budget-minutes", "0.000001"]) == 1
    assert "Time was up before everything was tried; --resume goes on." in capsys.readouterr().err
    assert run([*arguments, "--resume"]) == 0


def test_latencies_for_another_machine_are_called_estimates(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"engine": "onnxruntime", "precision": "float32", "threads": 1, "file": "m.onnx", "p50_ms": 5000.0}
    profile = tmp_path / "bench.json"
    profile.write_text(json.dumps({"machine": {"cpu": {"model": "Small Board"}}, "rows": [row]}))
    grid = [*GRID, "--precisions", "float32", "--target", str(profile)]
    arguments = ["optimize", str(tiny_run), "--out", str(tmp_path / "out"), *grid, *PICTURES]
    assert run([*arguments, "--latency", "9s"]) == 0
    out, err = capsys.readouterr()
    assert "ESTIMATED median latency on Small Board by ratios" in out and "estimates for Small Board" in out
    assert "left out, since the profile does not hold them: float32 in openvino" in err
    assert run([*arguments, "--latency", "1ms", "--resume"]) == 1
    document = json.loads((tmp_path / "out" / "optimize.json").read_text(encoding="utf-8"))
    full = next(trial for trial in document["trials"] if trial["resolution"] == 1.0)
    assert full["latency_ms"] == pytest.approx(5000.0)
    assert document["target"]["machine"] == "Small Board"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("grid", "runs"),
    [
        (["--prune", "0.3", "--precisions", "float32"], ["p30"]),
        (["--prune", "0", "--precisions", "qat"], ["p0-qat"]),
        (["--prune", "0.3", "--precisions", "qat", "--engines", "onnxruntime"], ["p30", "p30-qat"]),
    ],
)
def test_what_needs_training_is_trained_and_delivered(
    grid: list[str], runs: list[str], tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing else is in the grid, so it has to be trained; what is left is a run like any other."""
    arguments = ["--latency", "10s", "--resolutions", "1", "--threads", "1", "--seconds", "0.02", "--epochs", "1"]
    out = tmp_path / "out"
    code = run(["optimize", str(tiny_run), "--out", str(out), *arguments, *grid, *PICTURES, "--json"])
    document = json.loads(capsys.readouterr().out)
    assert sorted(path.name for path in (out / "runs").iterdir()) == runs
    assert all((out / "runs" / name / "best.safetensors").is_file() for name in runs)
    scored = [trial for trial in document["trials"] if trial["mean_iou"] is not None]
    assert scored and all(trial["agreement"] is not None for trial in scored if trial["latency_of"] == "file")
    assert code == (0 if document["met"] else 1)
    if document["met"]:
        assert Segmenter.load(out / "chosen").precision == ("float32" if "float32" in grid else "int8")
    else:
        assert "refused by the parity gate" in document["reason"], "a net of a few steps has too many near-ties"


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_mixed_file_is_timed_scored_confirmed_and_delivered(engine: str, tiny_run: Path, tmp_path: Path) -> None:
    grid = GridConfig((1.0,), (0.0,), ("mixed",), (engine,), (1,))  # type: ignore[arg-type]
    effort = EffortConfig(pictures=8, quick_pictures=4, calibration_count=64, seconds=0.02)
    parts = assemble(tiny_run, OptimizeConfig(BudgetConfig("10s"), grid, effort, tmp_path / "out"), resume=False)
    workshop, family = parts.workshop, parts.variants[-1]
    assert workshop.layers(family) >= 20
    mixed = replace(family, float_layers=2)
    assert workshop.latency(Trial(mixed, 1)) > 0
    assert workshop.quick_score(mixed).ceiling >= 0 <= workshop.score(mixed)
    assert workshop.confirm(Trial(mixed, 1)).agreement > 0.8
    workshop.deliver(mixed, tmp_path / "chosen", {}, {})
    manifest = json.loads((tmp_path / "chosen" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["calibration"]["seed"] == 0
    assert len(manifest["artifacts"][0]["mixed"]["float_layers"]) == 2
    assert Segmenter.load(tmp_path / "chosen").precision == "int8"


@pytest.mark.slow
def test_layers_go_back_to_float_where_int8_loses(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """int8 has lost or it has not: a mix is tried in the one case, and said to be of no use in the other."""
    grid = ["--resolutions", "1", "--prune", "0", "--precisions", "mixed", "--engines", "onnxruntime", "--threads", "1"]
    budget = ["--latency", "10s", "--max-drop", "0", "--seconds", "0.02", "--out", str(tmp_path / "out")]
    code = run(["optimize", str(tiny_run), *budget, *grid, *PICTURES, "--json"])
    document = json.loads(capsys.readouterr().out)
    assert code == (0 if document["met"] else 1)
    int8 = next(trial for trial in document["trials"] if trial["precision"] == "int8")
    tried = [trial for trial in document["trials"] if trial["float_layers"]]
    assert bool(tried) == (int8["verdict"] != "chosen")
    assert all(trial["latency_ms"] is not None and trial["quick_mean_iou"] is not None for trial in tried)


def test_the_help_tells_what_a_mix_may_lose(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["optimize", "--help"]) == 0
    assert f"loses {MIXED_DROP:g} points at most" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{run}"], "--latency must be given"),
        (
            ["{run}", "--latency", "12"],
            "--latency must be a time above 0 with its unit, such as 12ms or 0.012s; got '12'",
        ),
        (["{run}", "--latency", "-1ms"], "--latency"),
        (["{run}", "--latency", "1ms", "--max-drop", "-1"], "--max-drop must be 0 or more points of mIoU, got -1"),
        (["{run}", "--latency", "1ms", "--resolutions", "2"], "--resolutions must be above 0 and at most 1, got 2"),
        (["{run}", "--latency", "1ms", "--prune", "1"], "--prune must be at least 0 and below 1, got 1"),
        (["{run}", "--latency", "1ms", "--precisions", "int4"], "int4"),
        (["{run}", "--latency", "1ms", "--threads", "512"], "--threads 512: there are"),
        (["{run}", "--latency", "1ms", "--budget-minutes", "0"], "--budget-minutes must be more than 0, got 0"),
        (["{run}", "--latency", "1ms", "--budget-minutes", "nan"], "--budget-minutes must be more than 0, got nan"),
        (["{run}", "--latency", "1ms", "--seconds", "nan"], "--seconds must be more than 0 and not endless, got nan"),
        (["{run}", "--latency", "1ms", "--seconds", "inf"], "--seconds must be more than 0 and not endless, got inf"),
        (["{run}", "--latency", "1ms", "--precisions", "mixd"], "mixd"),
        (["{run}", "--latency", "1ms", "--quick-pictures", "0"], "--quick-pictures must be at least 1, got 0"),
        (["{run}", "--latency", "1ms", "--target", "{tmp}/absent.json"], "absent.json cannot be read"),
        (["{run}", "--latency", "1ms", "--resume", "--precisions", "float32"], "--resume: there is no search in"),
        (["{tmp}/absent", "--latency", "1ms"], "there is no checkpoint at"),
        (
            ["{run}", "--latency", "1ms", "--precisions", "bf16", "--engines", "onnxruntime"],
            "--precisions bf16: no engine here computes in it",
        ),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    arguments: list[str], words: str, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [argument.replace("{run}", str(tiny_run)).replace("{tmp}", str(tmp_path)) for argument in arguments]
    line = error_of([*filled, "--out", str(tmp_path / "out")], capsys)
    assert line.startswith("edgeseg: ") and words in line
    assert not (tmp_path / "out").exists()


def test_a_search_is_not_written_over(met: Path, tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = error_of([str(tiny_run), "--latency", "10s", "--out", str(met), *FLOATS, *PICTURES], capsys)
    assert "trials.jsonl holds a search; go on with --resume, or choose another --out" in line
    line = error_of([str(tiny_run), "--latency", "10s", "--out", str(met), *FLOATS, "--resume"], capsys)
    assert "was measured with pictures '8 of 18', now it is '18 of 18'" in line
