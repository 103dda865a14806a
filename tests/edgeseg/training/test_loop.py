from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from edgeseg.cli.app import run
from edgeseg.config import TrainConfig, load_config
from edgeseg.data.base import IGNORE, Sample, SegmentationData
from edgeseg.data.open import open_data
from edgeseg.training.batch_preview import BATCH
from edgeseg.training.checkpoint import BEST, LAST, load_semantic, read_checkpoint
from edgeseg.training.evaluate import evaluate
from edgeseg.training.folder import held
from edgeseg.training.loop import TrainingResult, train
from edgeseg.training.runlog import CURVES, EVENTS, METRICS, read_metrics
from edgeseg.training.semantic import SemanticTask
from edgeseg.training.state import CONFIG, STATE
from edgeseg_export.deployable import TorchSegmenter
from edgeseg_runtime.contract import Label
from edgeseg_runtime.errors import CheckpointError, ConfigError, DatasetError, ScoresError

EDGESEG = [sys.executable, "-c", "from edgeseg.cli import main; main()"]


class Pictures:
    """A data set held in memory."""

    def __init__(self, source: SegmentationData, change: Any = lambda sample: sample) -> None:
        self.labels: tuple[Label, ...] = source.labels
        self.description = "pictures of a test"
        self._samples = [change(source.read(index)) for index in range(len(source))]

    def __len__(self) -> int:
        return len(self._samples)

    def name(self, index: int) -> str:
        return str(index)

    def read(self, index: int) -> Sample:
        sample: Sample = self._samples[index]
        return sample


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def train_on(config: TrainConfig, train_data: SegmentationData, val_data: SegmentationData) -> TrainingResult:
    return train(config, SemanticTask(train_data, val_data), report=lambda _: None)


def flags(config: TrainConfig) -> list[str]:
    return [
        *("--data", config.data.data, "--size", "64", "64", "--batch", "4", "--epochs", str(config.optim.epochs)),
        *("--device", "cpu", "--precision", "float32", "--out", str(config.out)),
        *("--workers", str(config.data.workers)),
    ]


def edgeseg(*arguments: str) -> subprocess.Popen[bytes]:
    """Start the command line in a process of its own, which loads pictures in workers forked from it alone."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    # a session of its own, so that the workers can be killed with it
    return subprocess.Popen([*EDGESEG, *arguments], env=environment, start_new_session=True)


class TestWhatARunLeaves:
    def test_files(self, finished: Any) -> None:
        names = {path.name for path in finished.out.iterdir()}
        assert names == {BATCH, BEST, LAST, CONFIG, STATE, METRICS, CURVES, EVENTS}

    def test_files_follow_the_umask(self, finished: Any) -> None:
        umask = os.umask(0)
        os.umask(umask)
        for path in finished.out.iterdir():
            if path.is_file():
                assert path.stat().st_mode & 0o777 == 0o666 & ~umask, path

    def test_metrics_are_those_of_the_checkpoints(self, finished: Any) -> None:
        rows = read_metrics(finished.out / METRICS)
        assert [row["epoch"] for row in rows] == [1, 2, 3]
        data = open_data(finished.config.data.data, "val")
        for name, epoch in ((LAST, 3), (BEST, finished.result.best_epoch)):
            module, checkpoint = load_semantic(finished.out / name)
            assert checkpoint.epoch == epoch
            scores = evaluate(TorchSegmenter(module), data, module.contract.names)
            row = rows[epoch - 1]
            assert row["mean_iou"] == scores.mean_iou == checkpoint.metrics["mean_iou"]
            assert row["pixel_accuracy"] == scores.pixel_accuracy
            for label, iou in zip(module.contract.names, scores.iou, strict=True):
                assert row[f"iou/{label}"] == pytest.approx(iou, abs=0, nan_ok=True)

    def test_the_best_is_the_epoch_with_the_highest_mean_iou(self, finished: Any) -> None:
        scores = [row["mean_iou"] for row in read_metrics(finished.out / METRICS)]
        assert finished.result.best_score == max(scores)
        assert finished.result.best_epoch == scores.index(max(scores)) + 1

    def test_something_is_learnt(self, finished: Any) -> None:
        rows = read_metrics(finished.out / METRICS)
        assert rows[-1]["loss"] < 0.9 * rows[0]["loss"]
        assert rows[-1]["mean_iou"] > rows[0]["mean_iou"]

    def test_settings_are_repeated_by_the_checkpoint_and_the_file(self, finished: Any) -> None:
        written = load_config(finished.out / CONFIG)
        assert read_checkpoint(finished.out / BEST).config == written
        assert written["batch"] == 4
        assert written["size"] == [64, 64]

    def test_tensorboard_holds_the_same_numbers_and_pictures(self, finished: Any) -> None:
        events = EventAccumulator(str(finished.out / EVENTS))
        events.Reload()
        rows = read_metrics(finished.out / METRICS)
        for name in ("loss", "lr", "mean_iou", "pixel_accuracy", "iou/road"):
            shown = [(event.step, event.value) for event in events.Scalars(name)]
            assert [step for step, _ in shown] == [1, 2, 3]
            np.testing.assert_allclose([value for _, value in shown], [row[name] for row in rows], rtol=1e-6)
        picture = events.Images("val/val_00000")[-1]
        assert (picture.step, picture.height, picture.width) == (3, 64, 3 * 64)

    def test_the_curves_are_a_picture(self, finished: Any) -> None:
        import cv2

        picture = cv2.imread(str(finished.out / CURVES))
        assert picture is not None
        assert picture.std() > 5

    def test_no_temporary_file_stays(self, finished: Any) -> None:
        assert not [path for path in finished.out.rglob("*") if ".partial" in path.name]


class TestRepeatability:
    def test_the_same_settings_give_the_same_run(self, finished: Any, twin: Any) -> None:
        assert (finished.out / METRICS).read_bytes() == (twin.out / METRICS).read_bytes()
        one, two = (load_semantic(run.out / LAST)[0].state_dict() for run in (finished, twin))
        assert all(torch.equal(one[name], two[name]) for name in one)

    def test_another_seed_gives_another_run(self, finished: Any, tiny: Any, train_tiny: Any, tmp_path: Path) -> None:
        train_tiny(tiny(tmp_path / "run", seed=1))
        assert (finished.out / METRICS).read_bytes() != (tmp_path / "run" / METRICS).read_bytes()

    @pytest.mark.slow
    def test_workers_change_nothing(self, finished: Any, tiny: Any, tmp_path: Path) -> None:
        assert edgeseg("train", *flags(tiny(tmp_path / "run", workers=2))).wait(240) == 0
        assert (finished.out / METRICS).read_bytes() == (tmp_path / "run" / METRICS).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_run_goes_on_to_the_same_end(tiny: Any, train_tiny: Any, tmp_path: Path, workers: int) -> None:
    uninterrupted = tiny(tmp_path / "whole", epochs=5)
    train_tiny(uninterrupted)
    killed = tiny(tmp_path / "killed", epochs=5, workers=workers)
    process = edgeseg("train", *flags(killed))
    metrics = killed.out / METRICS
    deadline = time.monotonic() + 120
    while not (metrics.is_file() and len(read_metrics(metrics)) >= 1):
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = len(read_metrics(metrics))
    assert 1 <= before < 5
    assert edgeseg("train", "--config", str(killed.out / CONFIG), "--resume").wait(240) == 0
    assert metrics.read_bytes() == (uninterrupted.out / METRICS).read_bytes()
    one, two = (load_semantic(config.out / BEST)[0].state_dict() for config in (uninterrupted, killed))
    assert all(torch.equal(one[name], two[name]) for name in one)
    events = EventAccumulator(str(killed.out / EVENTS))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == list(range(1, 6))


@pytest.mark.slow
def test_a_bug_ends_the_run_and_its_workers(tiny: Any, tmp_path: Path) -> None:
    program = (
        "from edgeseg.cli import main\nfrom edgeseg.training import semantic\n"
        "def broken(*_): raise ZeroDivisionError('a bug')\n"
        "semantic.make_objective = lambda *_: broken\nmain()\n"
    )
    command = [sys.executable, "-c", program, "train", *flags(tiny(tmp_path / "run", workers=2))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and done.stderr.rstrip().endswith("ZeroDivisionError: a bug")


class Stop(BaseException):
    """Thrown to end a run as a kill would."""


class TestResume:
    def test_a_run_killed_in_its_first_epoch_starts_again(
        self, finished: Any, tiny: Any, train_tiny: Any, tmp_path: Path
    ) -> None:
        config = tiny(tmp_path / "run")
        train_data, val_data = (open_data(config.data.data, split) for split in ("train", "val"))

        def stop(items: Any, label: str, total: int | None = None) -> Any:
            if label.startswith("epoch"):
                raise Stop
            return items

        with pytest.raises(Stop):
            train(config, SemanticTask(train_data, val_data), progress=stop, report=lambda _: None)
        train_tiny(config, resume=True)
        assert (config.out / METRICS).read_bytes() == (finished.out / METRICS).read_bytes()

    def test_an_epoch_whose_state_was_not_written_is_done_again(
        self, finished: Any, twin: Any, train_tiny: Any, tmp_path: Path
    ) -> None:
        # the rows run ahead of the state when the kill comes between the two
        config = replace(finished.config, out=tmp_path / "run", optim=replace(finished.config.optim, epochs=3))
        shutil.copytree(twin.out, config.out)
        state = torch.load(config.out / STATE, weights_only=True)
        assert state["epoch"] == 3
        rows = (config.out / METRICS).read_text().splitlines()
        (config.out / METRICS).write_text("\n".join([*rows, rows[-1].replace("3,", "4,", 1)]) + "\n")
        train_tiny(config, resume=True)
        assert [row["epoch"] for row in read_metrics(config.out / METRICS)][:3] == [1, 2, 3]

    def test_a_finished_run_stays_as_it_is(self, twin: Any, train_tiny: Any) -> None:
        files = (BEST, LAST, METRICS, STATE, CONFIG)
        before = {name: (twin.out / name).read_bytes() for name in files}
        result = train_tiny(twin.config, resume=True)
        assert result.best_score == twin.result.best_score
        assert before == {name: (twin.out / name).read_bytes() for name in files}

    def test_a_folder_with_a_run_is_refused_and_left_alone(
        self, finished: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = contents(finished.out)
        assert run(["train", *flags(finished.config)]) == 2
        assert f"{finished.out} already holds a run; go on with --resume" in capsys.readouterr().err
        assert contents(finished.out) == before

    def test_a_folder_that_another_process_trains_into_is_left_alone(
        self, tiny: Any, train_tiny: Any, tmp_path: Path
    ) -> None:
        with held(tmp_path / "run"):
            for resume in (False, True):
                with pytest.raises(ConfigError, match="another process is at work in"):
                    train_tiny(tiny(tmp_path / "run"), resume=resume)
            assert not contents(tmp_path / "run")

    def test_other_settings_are_named(self, finished: Any, capsys: pytest.CaptureFixture[str]) -> None:
        before = contents(finished.out)
        assert run(["train", *flags(finished.config), "--lr", "0.5", "--seed", "4", "--resume"]) == 2
        error = capsys.readouterr().err
        assert "lr was 0.002 and is 0.5, seed was 0 and is 4" in error
        assert contents(finished.out) == before

    def test_where_there_is_no_run(self, tiny: Any, train_tiny: Any, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"--resume: .* holds no run"):
            train_tiny(tiny(tmp_path / "run"), resume=True)
        assert not (tmp_path / "run").exists()

    @pytest.mark.parametrize("keep", [0, 1000, 100_000])
    def test_a_damaged_state_is_named_and_nothing_lost(
        self, finished: Any, train_tiny: Any, tmp_path: Path, keep: int
    ) -> None:
        config = replace(finished.config, out=tmp_path / "run")
        shutil.copytree(finished.out, config.out)
        (config.out / STATE).write_bytes((config.out / STATE).read_bytes()[:keep])
        before = contents(config.out)
        with pytest.raises(CheckpointError, match=r"resume\.pt cannot be resumed from"):
            train_tiny(config, resume=True)
        assert contents(config.out) == before

    def test_a_missing_state_is_named(self, finished: Any, train_tiny: Any, tmp_path: Path) -> None:
        config = replace(finished.config, out=tmp_path / "run")
        shutil.copytree(finished.out, config.out)
        (config.out / STATE).unlink()
        with pytest.raises(CheckpointError, match=r"holds no resume\.pt"):
            train_tiny(config, resume=True)


class TestEnds:
    def test_patience_ends_a_run_that_gets_no_better(self, tiny: Any, tmp_path: Path) -> None:
        config = tiny(tmp_path / "run", epochs=50)
        # steps too small to change any mask, so the first epoch stays the best
        config = replace(config, optim=replace(config.optim, patience=2, lr=1e-12, weight_decay=0, ema=0.999999))
        said: list[str] = []
        task = SemanticTask(*(open_data(config.data.data, split) for split in ("train", "val")))
        result = train(config, task, report=said.append)
        rows = read_metrics(config.out / METRICS)
        assert result.epochs == len(rows) == result.best_epoch + 2
        assert max(row["mean_iou"] for row in rows) == rows[result.best_epoch - 1]["mean_iou"]
        assert said[-1] == "stopped early: no better val mIoU for 2 epochs"

    def test_patience_waits_for_an_epoch_that_is_scored(self, tiny: Any, tmp_path: Path) -> None:
        config = tiny(tmp_path / "run", epochs=50)
        config = replace(
            config, optim=replace(config.optim, patience=1, score_every=3, lr=1e-12, weight_decay=0, ema=0.999999)
        )
        task = SemanticTask(*(open_data(config.data.data, split) for split in ("train", "val")))
        result = train(config, task, report=lambda _: None)
        assert result.epochs == result.best_epoch + 3  # and not + 1
        assert [row["epoch"] for row in read_metrics(config.out / METRICS)] == list(range(3, result.epochs + 1, 3))
        assert (config.out / BEST).is_file()

    def test_scoring_now_and_then_changes_nothing_but_how_often_is_scored(
        self, finished: Any, train_tiny: Any, tmp_path: Path
    ) -> None:
        config = replace(finished.config, out=tmp_path / "run")
        config = replace(config, optim=replace(config.optim, score_every=2))
        train_tiny(config)
        every = read_metrics(finished.out / METRICS)
        epochs = config.optim.epochs
        expected = [row for row in every if row["epoch"] % 2 == 0 or row["epoch"] == epochs]
        assert read_metrics(config.out / METRICS) == expected

    def test_a_loss_that_explodes_keeps_the_last_good_checkpoint(
        self, finished: Any, train_tiny: Any, tmp_path: Path
    ) -> None:
        config = replace(finished.config, out=tmp_path / "run")
        config = replace(config, optim=replace(config.optim, lr=1e30, clip=0, warmup=1.0))
        with pytest.raises((ConfigError, ScoresError), match=r"lower --lr|training diverged"):
            train_tiny(config)
        for name in (BEST, LAST):
            if (config.out / name).is_file():
                state = load_semantic(config.out / name)[0].state_dict()
                assert all(value.isfinite().all() for value in state.values())


class TestPictures:
    def test_ignored_pixels_teach_nothing_and_are_not_scored(self, finished: Any, tiny: Any, tmp_path: Path) -> None:
        source = [open_data(finished.config.data.data, split) for split in ("train", "val")]

        def half(sample: Sample, fill: int) -> Sample:
            image, mask = sample.image.copy(), sample.mask.copy()
            mask[:, 32:] = fill
            return Sample(image, mask)

        config = tiny(tmp_path / "run", epochs=1)
        train_on(config, *(Pictures(data, lambda sample: half(sample, IGNORE)) for data in source))
        confusion = np.array(read_checkpoint(config.out / LAST).metrics["confusion"])
        assert confusion.sum() == len(source[1]) * 64 * 32

    def test_pictures_without_any_label_are_an_error(self, finished: Any, tiny: Any, tmp_path: Path) -> None:
        source = [open_data(finished.config.data.data, split) for split in ("train", "val")]
        blank = Pictures(source[1], lambda sample: Sample(sample.image, np.full_like(sample.mask, IGNORE)))
        with pytest.raises(DatasetError, match="none of the 4 pictures has a labelled pixel"):
            train_on(tiny(tmp_path / "run", epochs=1), source[0], blank)

    def test_letterboxed_pictures_of_another_shape_are_scored_whole(
        self, tiny: Any, train_tiny: Any, tmp_path: Path
    ) -> None:
        config = tiny(tmp_path / "run", data="procedural:48x96,n=16", epochs=1)
        config = replace(config, data=replace(config.data, resize="letterbox"))
        train_tiny(config)
        checkpoint = read_checkpoint(config.out / BEST)
        assert checkpoint.contract.resize == "letterbox"
        assert np.sum(checkpoint.metrics["confusion"]) == 4 * 48 * 96

    @pytest.mark.parametrize(("model", "loss", "weights"), [
        ("unet", "ohem", "median"), ("lraspp_mobilenet_v3_large", "ce+dice", "log"),
    ])  # fmt: skip
    def test_every_architecture_and_loss_trains(
        self, tiny: Any, train_tiny: Any, tmp_path: Path, model: str, loss: Any, weights: Any
    ) -> None:
        config = tiny(tmp_path / "run", epochs=1)
        config = replace(
            config,
            model=replace(config.model, model=model),
            loss=replace(config.loss, loss=loss, class_weights=weights),
        )
        train_tiny(config)
        assert math.isfinite(read_metrics(config.out / METRICS)[0]["loss"])
        assert load_semantic(config.out)[1].model == model

    def test_other_classes_in_the_two_splits_are_refused(self, finished: Any, tiny: Any, tmp_path: Path) -> None:
        source = [open_data(finished.config.data.data, split) for split in ("train", "val")]
        other = Pictures(source[1])
        other.labels = other.labels[::-1]
        with pytest.raises(DatasetError, match="the same, in the same order"):
            train_on(tiny(tmp_path / "run"), source[0], other)
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("extra", "complaint"),
    [
        (["--batch", "17"], "--batch 17 is more than the 16 training pictures"),
        (["--size", "32", "32"], "fast_scnn needs inputs of at least 64×64"),
        (["--model", "resnet"], "model 'resnet' is unknown; choose one of fast_scnn"),
        (["--split", "nope"], "has no split 'nope'"),
        (["--weights", "imagenet"], "has no ImageNet weights"),
    ],
)
def test_mistakes_are_one_line_and_leave_no_run(
    tiny: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], extra: list[str], complaint: str
) -> None:
    given = flags(tiny(tmp_path / "run"))
    if extra[0] in given:  # a flag may stand only once
        place = given.index(extra[0])
        given[place : place + len(extra)] = extra
    else:
        given += extra
    assert run(["train", *given]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("edgeseg: ")]
    assert len(lines) == 1
    assert complaint in lines[0]
    assert not (tmp_path / "run" / CONFIG).exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card here")
def test_a_card_that_is_not_there(tiny: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = flags(tiny(tmp_path / "run"))
    config[config.index("cpu")] = "cuda"
    assert run(["train", *config]) == 2
    assert "edgeseg: --device cuda: PyTorch sees no CUDA card here" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_train_one_network_and_speak_with_one_voice(tiny: Any, tmp_path: Path) -> None:
    config = tiny(tmp_path / "run", epochs=2)
    script = tmp_path / "edgeseg"  # the launcher starts the script again, so there must be one
    script.write_text("from edgeseg.cli import main\nmain()\n")
    command = [sys.executable, str(script), "train", *flags(config), "--devices", "2", "--json"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["epochs"] == 2
    assert done.stderr.count("epoch 1/2") == done.stderr.count("16 train and 4 val pictures") == 1
    rows = read_metrics(config.out / METRICS)
    assert [row["epoch"] for row in rows] == [1, 2]
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert again.returncode == 2
    assert "already holds a run" in again.stderr.splitlines()[-1]
