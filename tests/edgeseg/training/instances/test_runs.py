"""Runs of instance models through the one training loop: what holds for semantic runs holds for them."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from edgeseg.config import LossConfig, ModelConfig, TrainConfig
from edgeseg.data.instances.base import Instance
from edgeseg.data.instances.open import open_instances
from edgeseg.training.batch_preview import BATCH
from edgeseg.training.checkpoint import BEST, LAST, load_checkpoint, load_deployable, load_semantic, read_checkpoint
from edgeseg.training.instances.average_precision import FLOOR, evaluate_instances
from edgeseg.training.instances.task import InstanceTask
from edgeseg.training.loop import TrainingResult, train
from edgeseg.training.lr_range import find_learning_rate
from edgeseg.training.runlog import CURVES, EVENTS, METRICS, read_metrics
from edgeseg.training.state import CONFIG, STATE
from edgeseg_export.instances.deployable import InstanceDeployable, TorchInstanceSegmenter
from edgeseg_runtime.contract import Label
from edgeseg_runtime.errors import CheckpointError, ConfigError, DatasetError
from tests.edgeseg.training.instances.conftest import MODEL
from tests.edgeseg.training.instances.scenes import Scenes, easy, rectangle

EPOCHS = 8


def train_quietly(config: TrainConfig, task: InstanceTask, *, resume: bool = False) -> TrainingResult:
    return train(config, task, resume=resume, report=lambda _: None)


class TestWhatARunLeaves:
    def test_files(self, finished_objects: Any) -> None:
        names = {path.name for path in finished_objects.out.iterdir()}
        assert names == {BATCH, BEST, LAST, CONFIG, STATE, METRICS, CURVES, EVENTS}

    def test_metrics_are_those_of_the_checkpoints(self, finished_objects: Any) -> None:
        rows = read_metrics(finished_objects.out / METRICS)
        assert [row["epoch"] for row in rows] == list(range(1, EPOCHS + 1))
        data = easy(4, seed=1)
        for name, epoch in ((LAST, EPOCHS), (BEST, finished_objects.result.best_epoch)):
            module, checkpoint = load_deployable(finished_objects.out / name)
            assert isinstance(module, InstanceDeployable)
            assert checkpoint.epoch == epoch
            names = module.contract.names
            find = TorchInstanceSegmenter(module, thresholds=(FLOOR,) * len(names))
            scores = evaluate_instances(find, data, names)
            row = rows[epoch - 1]
            assert {key: row[key] for key in scores.numbers()} == pytest.approx(scores.numbers(), nan_ok=True)
            told = scores.as_dict(names)
            assert checkpoint.metrics.keys() == told.keys()
            for label in names:
                assert checkpoint.metrics["classes"][label] == pytest.approx(told["classes"][label])
            for label, ap in zip(names, scores.mask.classes, strict=True):
                assert row[f"mask_ap/{label}"] == pytest.approx(ap)

    def test_the_best_thresholds_are_in_the_contract(self, finished_objects: Any) -> None:
        checkpoint = read_checkpoint(finished_objects.out / LAST)
        told = [one["threshold"] for one in checkpoint.metrics["classes"].values()]
        assert checkpoint.contract.selection is not None
        assert list(checkpoint.contract.selection.thresholds) == told
        assert (checkpoint.contract.task, checkpoint.contract.output) == ("instance", "prototypes")

    def test_the_best_is_the_epoch_with_the_highest_mask_ap(self, finished_objects: Any) -> None:
        scores = [row["mask_ap"] for row in read_metrics(finished_objects.out / METRICS)]
        assert finished_objects.result.best_score == max(scores)
        assert finished_objects.result.best_epoch == scores.index(max(scores)) + 1

    def test_objects_are_learnt(self, finished_objects: Any) -> None:
        rows = read_metrics(finished_objects.out / METRICS)
        assert rows[-1]["loss"] < 0.6 * rows[0]["loss"]
        assert rows[0]["mask_ap"] < 0.05
        assert rows[-1]["mask_ap"] > 0.2 and rows[-1]["mask_ap50"] > 0.4 and rows[-1]["box_ap"] > 0.2

    def test_tensorboard_holds_the_same_numbers_and_pictures(self, finished_objects: Any) -> None:
        events = EventAccumulator(str(finished_objects.out / EVENTS))
        events.Reload()
        rows = read_metrics(finished_objects.out / METRICS)
        for name in ("loss", "mask_ap", "box_ap", "mask_ap/cat"):
            shown = [event.value for event in events.Scalars(name)]
            np.testing.assert_allclose(shown, [row[name] for row in rows], rtol=1e-6)
        picture = events.Images("val/0")[-1]
        assert (picture.step, picture.height, picture.width) == (EPOCHS, 64, 3 * 64)


class Stop(BaseException):
    """Thrown to end a run as a kill would."""


def test_a_run_killed_in_its_second_epoch_goes_on_to_the_same_end(tiny_objects: Any, tmp_path: Path) -> None:
    task = InstanceTask(easy(8, seed=0), easy(2, seed=1))
    config, whole = (tiny_objects(tmp_path / name, epochs=2) for name in ("killed", "whole"))
    train_quietly(whole, task)

    def stop(items: Any, label: str, total: int | None = None) -> Any:
        if label == "epoch 2/2":
            raise Stop
        return items

    with pytest.raises(Stop):
        train(config, task, progress=stop, report=lambda _: None)
    assert len(read_metrics(config.out / METRICS)) == 1
    train_quietly(config, task, resume=True)
    assert (config.out / METRICS).read_bytes() == (whole.out / METRICS).read_bytes()
    one, two = (load_checkpoint(run.out / LAST)[0].state_dict() for run in (config, whole))
    assert all(torch.equal(one[name], two[name]) for name in one)


class TestStartingFromAnotherRun:
    def test_its_weights_and_score_come_first(self, finished_objects: Any, easy_task: Any, tmp_path: Path) -> None:
        config = replace(finished_objects.config, out=tmp_path / "run", model=ModelConfig(init=finished_objects.out))
        train_quietly(replace(config, optim=replace(config.optim, epochs=1)), easy_task)
        rows = read_metrics(config.out / METRICS)
        assert [row["epoch"] for row in rows] == [0, 1]
        assert rows[0]["mask_ap"] == finished_objects.result.best_score

    def test_other_classes_are_learnt_anew_from_scores_as_low_as_ever(
        self, finished_objects: Any, tmp_path: Path
    ) -> None:
        config = replace(finished_objects.config, out=tmp_path / "run", model=ModelConfig(init=finished_objects.out))
        config = replace(config, optim=replace(config.optim, epochs=1))
        task = InstanceTask(fewer_classes(4), fewer_classes(1))
        said: list[str] = []
        train(config, task, report=said.append)
        heads = "maps.heads.0.logits, maps.heads.1.logits, maps.heads.2.logits"
        assert said[0].endswith(f"knows 3 classes, these pictures have 1; learnt anew: {heads}")
        net, checkpoint = load_checkpoint(config.out / LAST)
        assert checkpoint.contract.names == ("thing",)
        assert float(net.state_dict()["maps.heads.0.logits.bias"].max()) < -4  # not drawn around 0

    def test_it_is_not_for_what_wants_classes_of_pixels(self, finished_objects: Any) -> None:
        with pytest.raises(CheckpointError, match=f"is {MODEL}, which tells objects apart"):
            load_semantic(finished_objects.out)


def fewer_classes(pictures: int) -> Scenes:
    scenes = Scenes([((64, 64), [Instance(0, rectangle(10, 10, 30, 20))])] * pictures)
    scenes.labels = (Label("thing", (9, 9, 9)),)
    return scenes


class TestPictures:
    def test_pictures_without_objects_are_learnt_from(self, tiny_objects: Any, tmp_path: Path) -> None:
        blank = Scenes([((64, 64), [])] * 4)
        config = tiny_objects(tmp_path / "run")
        train_quietly(config, InstanceTask(blank, easy(1, seed=1)))
        assert 0 < read_metrics(config.out / METRICS)[0]["loss"] < math.inf

    def test_validation_pictures_without_any_object_are_an_error(self, tiny_objects: Any, tmp_path: Path) -> None:
        blank = Scenes([((64, 64), [])] * 2)
        with pytest.raises(DatasetError, match="none of the 2 pictures has an object"):
            train_quietly(tiny_objects(tmp_path / "run"), InstanceTask(easy(4, seed=0), blank))

    def test_other_classes_in_the_two_splits_are_refused(self, tiny_objects: Any, tmp_path: Path) -> None:
        other = easy(1, seed=1)
        other.labels = other.labels[::-1]
        with pytest.raises(DatasetError, match="the same, in the same order"):
            train_quietly(tiny_objects(tmp_path / "run"), InstanceTask(easy(4, seed=0), other))
        assert not (tmp_path / "run").exists()

    def test_letterboxed_pictures_of_another_shape(self, tiny_objects: Any, tmp_path: Path) -> None:
        config = tiny_objects(tmp_path / "run")
        config = replace(config, data=replace(config.data, resize="letterbox"))
        task = InstanceTask(*(open_instances("procedural:48x96,n=4", split) for split in ("train", "val")))
        train_quietly(config, task)
        assert read_checkpoint(config.out / BEST).contract.resize == "letterbox"

    def test_bf16(self, tiny_objects: Any, tmp_path: Path) -> None:
        config = tiny_objects(tmp_path / "run")
        config = replace(config, machine=replace(config.machine, precision="bf16"))
        train_quietly(config, InstanceTask(easy(4, seed=0), easy(1, seed=1)))
        assert math.isfinite(read_metrics(config.out / METRICS)[0]["loss"])


def test_a_learning_rate_can_be_looked_for(tiny_objects: Any, tmp_path: Path) -> None:
    task = InstanceTask(easy(4, seed=0), easy(1, seed=1))
    found = find_learning_rate(tiny_objects(tmp_path / "run"), task, steps=16)
    assert len(found.rates) == len(found.losses) >= 10
    assert 1e-6 < found.suggestion < 1


def test_settings_of_classes_are_refused_before_anything_is_written(
    tiny_objects: Any, easy_task: Any, tmp_path: Path
) -> None:
    config = replace(tiny_objects(tmp_path / "run"), loss=LossConfig(class_weights="log"))
    with pytest.raises(ConfigError, match="--class-weights log"):
        train_quietly(config, easy_task)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("precision", [pytest.param("float32", marks=pytest.mark.slow), "bf16"])
def test_mask_rcnn_learns_by_its_own_losses(tiny_objects: Any, tmp_path: Path, precision: Any) -> None:
    config = tiny_objects(tmp_path / "run")
    config = replace(
        config,
        model=ModelConfig("maskrcnn_mobilenet_v2_fpn"),
        optim=replace(config.optim, batch=2),
        machine=replace(config.machine, precision=precision),
    )
    train_quietly(config, InstanceTask(easy(2, seed=0), easy(1, seed=1)))
    assert 0 < read_metrics(config.out / METRICS)[0]["loss"] < math.inf
    module, checkpoint = load_deployable(config.out)
    assert (checkpoint.contract.output, module.contract.output) == ("detections", "detections")
    learnt = {name: value for name, value in module.net.named_parameters() if value.requires_grad}
    assert any(".body.1.conv.0.1.weight" in name for name in learnt)  # a normalisation of the trunk


@pytest.mark.slow
def test_mask_rcnns_loss_falls(tiny_objects: Any, easy_task: Any, tmp_path: Path) -> None:
    """To find objects, without a pretrained trunk, takes it longer than a test may."""
    config = tiny_objects(tmp_path / "run", epochs=6)
    config = replace(
        config,
        model=ModelConfig("maskrcnn_mobilenet_v2_fpn"),
        optim=replace(config.optim, lr=0.002, clip=1.0, score_every=3),
    )
    train_quietly(config, easy_task)
    first, last = (row["loss"] for row in read_metrics(config.out / METRICS))
    assert last < 0.9 * first


@pytest.mark.slow
def test_street_scenes_are_learnt(tiny_objects: Any, tmp_path: Path) -> None:
    """Most cars are large enough to be found after some minutes; people of a few pixels are not."""
    data = "procedural:96x128,n=160"
    config = tiny_objects(tmp_path / "run", data=data, epochs=6)
    config = replace(
        config,
        data=replace(config.data, size=(96, 128)),
        optim=replace(config.optim, lr=0.002, clip=1.0, score_every=3),
    )
    train_quietly(config, InstanceTask(*(open_instances(data, split) for split in ("train", "val"))))
    first, last = read_metrics(config.out / METRICS)
    assert last["loss"] < first["loss"]
    assert last["mask_ap_medium"] > 0.2 and last["mask_ap/car"] > 0.04


@pytest.mark.slow
@pytest.mark.realdata
def test_people_are_learnt_from_a_pretrained_trunk(tiny_objects: Any, tmp_path: Path) -> None:
    root = Path(os.environ.get("EDGESEG_DATA", Path(__file__).parents[4] / "../shared/data")).resolve()
    if not root.is_dir():
        pytest.skip(f"no real pictures at {root}; set EDGESEG_DATA")
    config = tiny_objects(tmp_path / "run", epochs=12)
    config = replace(
        config,
        model=ModelConfig(MODEL, weights=str(root / "weights" / "fastestdet" / "shufflenetv2.pth")),
        data=replace(config.data, size=(192, 192)),
        optim=replace(config.optim, batch=8, lr=0.002, ema=0.9, score_every=12),
    )
    train_quietly(config, InstanceTask(*(open_instances(str(root / "pennfudan"), split) for split in ("train", "val"))))
    (row,) = read_metrics(config.out / METRICS)
    assert row["mask_ap"] > 0.1 and row["mask_ap50"] > 0.3


@pytest.mark.slow
@pytest.mark.parametrize("more", [["--batch", "4", "--workers", "2"], ["--batch", "2", "--devices", "2"]])
def test_workers_change_nothing_and_processes_share_a_batch(tiny_objects: Any, tmp_path: Path, more: list[str]) -> None:
    data = "procedural:64x64,n=8"
    config = tiny_objects(tmp_path / "here", data=data, epochs=2)
    train_quietly(config, InstanceTask(*(open_instances(data, split) for split in ("train", "val"))))
    script = tmp_path / "edgeseg"  # the launcher starts the script again, so there must be one
    script.write_text("from edgeseg.cli import main\nmain()\n")
    flags = [
        *("--data", data, "--model", MODEL, "--size", "64", "64", "--augment", "light", "--epochs", "2"),
        *("--lr", "0.005", "--ema", "0.5", "--device", "cpu", "--precision", "float32"),
        *("--workers", "0", "--out", str(tmp_path / "run")),
    ]
    if "--workers" in more:
        del flags[flags.index("--workers") : flags.index("--workers") + 2]
    command = [sys.executable, str(script), "train", *flags, *more]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch 1/2") == 1  # the first process speaks for both
    rows, expected = (read_metrics(folder / METRICS) for folder in (tmp_path / "run", config.out))
    if "--workers" in more:
        assert (tmp_path / "run" / METRICS).read_bytes() == (config.out / METRICS).read_bytes()
    else:  # batch statistics are each process's own: not the same, but as good
        losses = [[row["loss"] for row in found] for found in (rows, expected)]
        assert losses[0] == pytest.approx(losses[1], rel=0.2)
