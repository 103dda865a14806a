"""Instance networks that learn with int8's rounding in place, through the one training loop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgeseg.compress.quantize import calibrate, prepare_qat
from edgeseg.config import ModelConfig, OptimConfig, TrainConfig
from edgeseg.models.instances.registry import build_instance
from edgeseg.training.checkpoint import BEST, LAST, Checkpoint, load_checkpoint, load_deployable, save_checkpoint
from edgeseg.training.instances.average_precision import FLOOR, evaluate_instances
from edgeseg.training.instances.task import InstanceTask
from edgeseg.training.loop import train
from edgeseg.training.runlog import METRICS, read_metrics
from edgeseg.training.start import CALIBRATION_BATCH, resolve
from edgeseg_export.fake_quantize import ActivationQuantizer
from edgeseg_export.instances.deployable import InstanceDeployable, TorchInstanceSegmenter
from edgeseg_export.quantized_onnx import export_quantized
from edgeseg_runtime.errors import ConfigError, DatasetError
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.preprocess import to_input
from edgeseg_runtime.progress import silent
from edgeseg_runtime.segmenter import Segmenter
from tests.edgeseg.training.instances.scenes import CONTRACT, easy


def quiet(_message: str) -> None:
    pass


def rounding_run(finished: Any, out: Path, epochs: int = 1) -> TrainConfig:
    """Return the settings of a run that goes on from `finished` with int8's rounding in place."""
    own: TrainConfig = finished.config
    optim = replace(own.optim, epochs=epochs, lr=0.001)
    return replace(own, out=out, model=ModelConfig(init=finished.out, qat=True), optim=optim)


def ranges(net: torch.nn.Module) -> dict[str, tuple[float, float]]:
    return {
        name: (float(part.low.detach()), float(part.high.detach()))
        for name, part in net.named_modules()
        if isinstance(part, ActivationQuantizer) and not part.fixed
    }


@pytest.fixture(scope="module")
def rounded(finished_objects: Any, easy_task: InstanceTask, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """A run that learnt with rounding in place. Read it, leave it as it is."""
    config = rounding_run(finished_objects, tmp_path_factory.mktemp("runs") / "rounded", epochs=2)
    train(config, easy_task, report=quiet)
    return config


class TestStart:
    def module(self, finished: Any, task: InstanceTask, tmp_path: Path, *, fresh: bool) -> InstanceDeployable:
        config = resolve(rounding_run(finished, tmp_path / "run"))
        contract = task.make_contract(config)
        return task.make_module(config, contract, fresh=fresh, progress=silent, report=quiet)

    def test_ranges_are_those_of_the_training_pictures(
        self, finished_objects: Any, easy_task: InstanceTask, tmp_path: Path
    ) -> None:
        module = self.module(finished_objects, easy_task, tmp_path, fresh=True)
        net, checkpoint = load_checkpoint(finished_objects.out / BEST)
        expected = prepare_qat(net, checkpoint.contract)
        data: Any = easy_task.train_data
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0)).tolist()
        frames = np.stack([to_input(data.read(index).image, checkpoint.contract) for index in order])
        batches = [
            InstanceDeployable(net, checkpoint.contract).normalise(torch.from_numpy(part))
            for part in np.array_split(frames, len(frames) // CALIBRATION_BATCH)
        ]
        calibrate(expected, batches)
        assert len(ranges(module.net)) > 30
        assert ranges(module.net) == ranges(expected)

    def test_a_run_that_goes_on_reads_no_picture_for_them(
        self, finished_objects: Any, easy_task: InstanceTask, tmp_path: Path
    ) -> None:
        fresh, later = (self.module(finished_objects, easy_task, tmp_path, fresh=fresh) for fresh in (True, False))
        assert ranges(fresh.net).keys() == ranges(later.net).keys()
        assert len(set(ranges(later.net).values())) == 1  # placeholders
        assert len(set(ranges(fresh.net).values())) > 20

    def test_it_is_short_and_gentle_if_nothing_is_said(self, finished_objects: Any, tmp_path: Path) -> None:
        config = replace(rounding_run(finished_objects, tmp_path / "run"), optim=OptimConfig())
        assert (resolve(config).optim.epochs, resolve(config).optim.lr) == (6, 0.00002)


class TestRun:
    def test_it_starts_near_what_it_came_from_and_learns(self, finished_objects: Any, rounded: TrainConfig) -> None:
        start, *_, last = read_metrics(rounded.out / METRICS)
        assert start["epoch"] == 0
        assert start["mask_ap"] > finished_objects.result.best_score - 0.1
        assert np.isfinite(last["loss"])
        net, checkpoint = load_checkpoint(rounded.out / LAST)
        assert checkpoint.quantized
        before = prepare_qat(load_checkpoint(finished_objects.out / BEST)[0], checkpoint.contract).state_dict()
        weights = [name for name, value in before.items() if name.endswith("weight") and value.ndim == 4]
        assert all(not torch.equal(before[name], net.state_dict()[name]) for name in weights)

    def test_ranges_are_learnt(self, rounded: TrainConfig, finished_objects: Any, easy_task: InstanceTask) -> None:
        start = TestStart().module(finished_objects, easy_task, rounded.out.parent, fresh=True)
        after = ranges(load_checkpoint(rounded.out / LAST)[0])
        moved = [name for name, bounds in ranges(start.net).items() if after[name] != bounds]
        assert len(moved) > 0.8 * len(after)

    def test_the_checkpoint_is_what_was_scored(self, rounded: TrainConfig, easy_task: InstanceTask) -> None:
        module, checkpoint = load_deployable(rounded.out / LAST)
        assert isinstance(module, InstanceDeployable)
        names = module.contract.names
        find = TorchInstanceSegmenter(module, thresholds=(FLOOR,) * len(names))
        scores = evaluate_instances(find, easy_task.val_data, names)
        assert checkpoint.metrics["mask_ap"] == pytest.approx(scores.mask.ap)
        assert module.contract.selection is not None
        assert module.contract.selection.thresholds == pytest.approx(scores.thresholds, abs=1e-6)

    @pytest.mark.slow
    @pytest.mark.parametrize("suffix", [".onnx", ".xml"])
    def test_the_engines_compute_what_was_trained(self, rounded: TrainConfig, tmp_path: Path, suffix: str) -> None:
        module, _ = load_deployable(rounded.out)
        assert isinstance(module, InstanceDeployable)
        export_quantized(module, tmp_path / f"model{suffix}")
        segmenter, original = Segmenter.load(tmp_path / f"model{suffix}"), TorchInstanceSegmenter(module)
        data, found = easy(12, seed=3), 0
        for index in range(len(data)):
            image = data.read(index).image
            mine, theirs = original(image), segmenter(image)
            assert isinstance(theirs, InstanceResult)
            found += len(mine)
            assert mine.labels.tolist() == theirs.labels.tolist()
            np.testing.assert_allclose(theirs.scores, mine.scores, atol=1e-3)
            np.testing.assert_allclose(theirs.boxes, mine.boxes, atol=0.02)
            assert (mine.mask == theirs.mask).mean() >= 0.999
        assert found >= 10

    @pytest.mark.slow
    def test_a_killed_run_goes_on_to_the_same_end(self, finished_objects: Any, tmp_path: Path) -> None:
        task = InstanceTask(easy(8, seed=0), easy(2, seed=1))
        killed, whole = (rounding_run(finished_objects, tmp_path / name, epochs=2) for name in ("killed", "whole"))
        train(whole, task, report=quiet)

        def stop(items: Any, label: str, total: int | None = None) -> Any:
            if label == "epoch 2/2":
                raise KeyboardInterrupt
            return items

        with pytest.raises(KeyboardInterrupt):
            train(killed, task, progress=stop, report=quiet)
        train(killed, task, resume=True, report=quiet)
        one, two = (load_checkpoint(run.out / LAST)[0].state_dict() for run in (killed, whole))
        assert all(torch.equal(one[name], two[name]) for name in one)


class TestMistakes:
    def test_regions_that_are_chosen_inside_the_network(self, tiny_objects: Any, tmp_path: Path) -> None:
        name = "maskrcnn_mobilenet_v2_fpn"
        contract = replace(CONTRACT, output="detections")
        save_checkpoint(tmp_path / BEST, build_instance(name, 3, contract.size), Checkpoint(name, contract, 1))
        config = replace(tiny_objects(tmp_path / "run"), model=ModelConfig(init=tmp_path, qat=True))
        with pytest.raises(ConfigError, match=f"--qat: {name} chooses its regions") as raised:
            train(config, InstanceTask(easy(2, seed=0), easy(1, seed=1)), report=quiet)
        assert "\n" not in str(raised.value)
        assert not config.out.exists()

    def test_other_classes_than_the_run_knows(self, finished_objects: Any, tmp_path: Path) -> None:
        other = easy(4, seed=0)
        other.labels = other.labels[::-1]
        with pytest.raises(DatasetError, match="they must be the same, in the same order"):
            train(rounding_run(finished_objects, tmp_path / "run"), InstanceTask(other, other), report=quiet)
        assert not (tmp_path / "run").exists()
