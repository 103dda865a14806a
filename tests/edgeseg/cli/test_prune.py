from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from edgeseg.cli import latency
from edgeseg.cli.app import run
from edgeseg.cli.prune import finetune_settings
from edgeseg.cli.prune_config import PruneConfig, TargetConfig
from edgeseg.compress.channels import channel_plan
from edgeseg.config import load_config
from edgeseg.models.cost import count_macs, count_parameters
from edgeseg.training import prune as pruning
from edgeseg.training.checkpoint import load_checkpoint, read_checkpoint, save_checkpoint
from edgeseg.training.runlog import read_metrics

START, BEST = "start.safetensors", "best.safetensors"


def prune(source: Path, out: Path, *flags: str) -> int:
    return run(["prune", str(source), "--out", str(out), *flags])


def test_a_run_is_pruned_and_fine_tuned(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "p40"
    assert prune(tiny_run, out, "--ratio", "0.4", "--epochs", "2", "--json") == 0
    shown = capsys.readouterr()
    answer = json.loads(shown.out)
    own, _ = load_checkpoint(tiny_run / BEST)
    start, described = load_checkpoint(out / START)
    best, tuned = load_checkpoint(out / BEST)
    assert answer["before"]["parameters"] == count_parameters(own)
    assert answer["after"]["parameters"] == count_parameters(start) == count_parameters(best)
    assert answer["before"]["macs"] == count_macs(own, (64, 64))
    assert answer["after"]["macs"] == count_macs(best, (64, 64)) < 0.75 * answer["before"]["macs"]
    assert answer["before"]["mean_iou"] == pytest.approx(read_checkpoint(tiny_run / BEST).metrics["mean_iou"])
    assert answer["after"]["mean_iou_pruned"] == described.metrics["mean_iou"]
    assert answer["after"]["mean_iou"] == tuned.metrics["mean_iou"]
    assert described.channels == tuned.channels == channel_plan(best)
    assert tuned.contract == described.contract == read_checkpoint(tiny_run / BEST).contract
    assert answer["widths"]["context.0.body.0.0"] == [384, channel_plan(best)["context.0.body.0.0"][0]]
    assert f"{tiny_run / BEST}: val mIoU {answer['before']['mean_iou']:.4f}" in shown.err


def test_it_learns_again_as_it_was_taught(tiny_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert prune(tiny_run, out, "--ratio", "0.3", "--epochs", "1") == 0
    own, now = load_config(tiny_run / "config.yaml"), load_config(out / "config.yaml")
    differs = {name for name in {**own, **now} if own.get(name) != now.get(name)}
    assert differs == {"out", "init", "epochs", "lr", "teacher"}
    assert (now["init"], now["teacher"]) == (str(out / START), str(tiny_run / BEST))
    assert (now["epochs"], now["lr"]) == (1, own["lr"] / 2)


def test_settings_may_be_others(tiny_run: Path, tmp_path: Path) -> None:
    flags = ["--epochs", "1", "--lr", "0.004", "--no-teacher", "--data", "procedural:64x64,n=16"]
    assert prune(tiny_run, tmp_path / "run", "--ratio", "0.3", *flags) == 0
    now = load_config(tmp_path / "run" / "config.yaml")
    assert "teacher" not in now
    assert (now["lr"], now["data"]) == (0.004, "procedural:64x64,n=16")


def test_a_pruned_trunk_learns_as_fast_as_the_rest(tiny_run: Path, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(tiny_run / BEST)
    spared = replace(checkpoint, config={**checkpoint.config, "trunk_lr": 0.1})
    config = PruneConfig(tmp_path / "run", TargetConfig(ratio=0.3))
    assert finetune_settings(config, spared, tiny_run / BEST).optim.trunk_lr == 1


@pytest.mark.slow
def test_steps_share_the_epochs_and_end_at_the_target(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "half"
    assert prune(tiny_run, out, "--macs", "0.5", "--steps", "2", "--epochs", "3", "--no-teacher", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert 0.45 < answer["macs_share"] <= 0.5
    whole, part, half = (
        count_macs(load_checkpoint(file)[0], (64, 64)) for file in (tiny_run / BEST, out / "step-1" / BEST, out / BEST)
    )
    assert 0.7 < part / whole <= 0.75
    assert half == answer["after"]["macs"]
    assert [len(read_metrics(folder / "metrics.csv")) for folder in (out / "step-1", out)] == [
        2,
        3,
    ]  # the start is scored too


def test_only_pruning(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--ratio", "0.3", "--criterion", "taylor", "--scope", "layer", "--round-to", "4", "--no-finetune"]
    assert prune(tiny_run / BEST, tmp_path / "run", *flags) == 0
    assert [file.name for file in (tmp_path / "run").iterdir()] == [START]
    net, checkpoint = load_checkpoint(tmp_path / "run" / START)
    assert net(torch.zeros(1, 3, 64, 64)).shape[1] == len(checkpoint.contract.labels)
    assert channel_plan(net)["downsample.1.1.0"][0] == 32  # of 48: 33.6, to a multiple of 4
    told = capsys.readouterr().err
    assert "right after pruning" in told and "after fine-tuning" not in told


def test_what_was_pruned_can_be_pruned_on(tiny_run: Path, tmp_path: Path) -> None:
    for source, out in ((tiny_run, "first"), (tmp_path / "first" / START, "second")):
        assert prune(source, tmp_path / out, "--ratio", "0.25", "--no-finetune") == 0
    widths = [channel_plan(load_checkpoint(tmp_path / out / START)[0]) for out in ("first", "second")]
    assert widths[1]["context.8.body.0.0"][0] < widths[0]["context.8.body.0.0"][0] < 768


def test_a_latency_is_measured(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is replaced: a network takes as many milliseconds as it has hundreds of thousands of parameters."""
    asked = []

    def clock(net: torch.nn.Module, *_: object, **settings: object) -> float:
        asked.append(settings)
        return count_parameters(net) / 1e5

    monkeypatch.setattr(latency, "float_latency_ms", clock)
    flags = ["--latency", "5ms", "--engine", "onnxruntime", "--threads", "1", "--no-finetune"]
    assert prune(tiny_run, tmp_path / "run", *flags) == 0
    assert 4.2e5 < count_parameters(load_checkpoint(tmp_path / "run" / START)[0]) <= 5e5
    assert all(settings == {"engine": "onnxruntime", "threads": 1} for settings in asked)


@pytest.mark.slow
def test_a_latency_that_nothing_reaches(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prune(tiny_run, tmp_path / "run", "--latency", "0.001ms", "--threads", "1") == 1
    assert "cannot reach 0.001 ms in openvino, 1 thread: the nearest is" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_the_clock_runs_an_export_of_the_network(tiny_run: Path, engine: str) -> None:
    net, checkpoint = load_checkpoint(tiny_run / BEST)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    took = latency.float_latency_ms(net, checkpoint.contract, engine=engine, seconds=0.01)  # type: ignore[arg-type]
    assert 0 < took < 1e4
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


@pytest.mark.parametrize(
    ("flags", "code", "complaint"),
    [
        ([], 2, "say how much to prune with one of --ratio, --macs and --latency"),
        (["--ratio", "0.4", "--macs", "0.5"], 2, "with one of --ratio, --macs and --latency"),
        (["--ratio", "1.5"], 2, "--ratio must lie between 0 and 1, got 1.5"),
        (["--ratio", "0"], 2, "--ratio must lie between 0 and 1, got 0.0"),
        (["--ratio", "0.99"], 2, "a ratio of 0.99 would empty a layer; at most 0.9"),
        (["--macs", "1"], 2, "--macs must lie between 0 and 1"),
        (["--macs", "0.001"], 1, "cannot reach 0.001 of the MACs: the nearest is 0.0"),
        (["--latency", "5"], 2, "with its unit, such as 12ms"),
        (["--ratio", "0.3", "--round-to", "0"], 2, "--round-to must be at least 1"),
        (["--ratio", "0.3", "--steps", "0"], 2, "--steps must be at least 1"),
        (["--ratio", "0.3", "--steps", "3", "--epochs", "2"], 2, "2 epochs are too few for 3 steps; give --epochs or"),
        (["--ratio", "0.3", "--threads", "1"], 2, "--threads is what --latency is measured with"),
        (["--latency", "5ms", "--threads", "0"], 2, "--threads must be 1 or more, got 0"),
        (["--latency", "5ms", "--threads", "999"], 2, "--threads 999: there are "),
        (["--ratio", "0.3", "--epochs", "0"], 2, "--epochs must be at least 1"),
        (["--ratio", "0.3", "--lr", "0"], 2, "--lr must be above 0"),
        (["--ratio", "0.3", "--criterion", "luck"], 2, "--criterion"),
        (["--ratio", "0.3", "--teacher", "x", "--no-teacher"], 2, "--teacher and --no-teacher contradict each other"),
        (["--ratio", "0.3", "--teacher", "nowhere"], 2, "there is no checkpoint at nowhere"),
        (["--ratio", "0.3", "--data", "nowhere"], 2, "nowhere"),
        (["--ratio", "0.3", "--data", "procedural:64x64,n=4"], 2, "--batch 8 is more than the 4 training pictures"),
    ],
)
def test_mistakes_leave_nothing_behind(
    tiny_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    code: int,
    complaint: str,
) -> None:
    assert prune(tiny_run, tmp_path / "run", *flags) == code
    *_, error = capsys.readouterr().err.splitlines()
    assert complaint in error and error.startswith("edgeseg: ")
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_other_classes_is_refused_before_the_work(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net, checkpoint = load_checkpoint(tiny_run / BEST)
    labels = tuple(replace(label, name=f"{label.name}s") for label in checkpoint.contract.labels)
    save_checkpoint(
        tmp_path / "t.safetensors", net, replace(checkpoint, contract=replace(checkpoint.contract, labels=labels))
    )
    assert prune(tiny_run, tmp_path / "run", "--ratio", "0.3", "--teacher", str(tmp_path / "t.safetensors")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--teacher knows the classes " in line and labels[0].name in line
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_a_run_is_left_as_it_is(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--ratio", "0.3", "--no-finetune"]
    assert prune(tiny_run, tmp_path / "run", *flags) == 0
    before = (tmp_path / "run" / START).read_bytes()
    assert prune(tiny_run, tmp_path / "run", "--ratio", "0.5", "--no-finetune") == 2
    assert prune(tiny_run, tiny_run, *flags) == 2
    errors = capsys.readouterr().err
    assert f"{tmp_path / 'run' / START} is of an earlier pruning; remove it, or choose another --out" in errors
    assert f"{tiny_run} already holds a run; choose another --out" in errors
    assert (tmp_path / "run" / START).read_bytes() == before


def test_a_file_in_the_way_is_told_before_the_work(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert prune(tiny_run, tmp_path / "file", "--ratio", "0.3") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot make the folder" in line and "choose another --out" in line


def test_a_run_that_another_process_began_meanwhile_is_left_alone(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    score = pruning._score

    def meanwhile(*arguments: Any) -> Any:
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / START).write_text("theirs")
        return score(*arguments)

    monkeypatch.setattr("edgeseg.training.prune._score", meanwhile)
    assert prune(tiny_run, tmp_path / "run", "--ratio", "0.3") == 2
    assert "is of an earlier pruning" in capsys.readouterr().err
    assert (tmp_path / "run" / START).read_text() == "theirs"


def test_what_cannot_be_pruned(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net, checkpoint = load_checkpoint(tiny_run / BEST)
    for name, changed in (
        ("quantized", replace(checkpoint, quantized=True)),
        ("bare", replace(checkpoint, config={})),
    ):
        file = tmp_path / f"{name}.safetensors"
        save_checkpoint(file, net, changed)
        assert prune(file, tmp_path / "run", "--ratio", "0.3") == 2
    assert prune(tmp_path / "none", tmp_path / "run", "--ratio", "0.3") == 2
    lines = capsys.readouterr().err.splitlines()
    assert "prune the network first, then train it with --qat" in lines[0]
    assert "does not say how it was trained" in lines[1]
    assert "there is no checkpoint at" in lines[2]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("moment", ["edgeseg.training.prune.train", "edgeseg.training.prune.save_checkpoint"])
def test_an_interruption_leaves_no_half_run(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(moment, interrupted)
    assert prune(tiny_run, tmp_path / "run", "--ratio", "0.3") == 130
    assert not (tmp_path / "run").exists()


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["prune", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "edgeseg prune runs/camvid --ratio 0.4 --out runs/camvid-p40" in shown
    assert "--no-no" not in shown and "--empty" not in shown
