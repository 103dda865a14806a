from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

from edgeseg.config import DataConfig, DistillationConfig, MachineConfig, ModelConfig, OptimConfig, TrainConfig
from edgeseg.data.open import open_data
from edgeseg.training.checkpoint import BEST, load_checkpoint, load_deployable, read_checkpoint, save_checkpoint
from edgeseg.training.runlog import METRICS, read_metrics
from edgeseg.training.start import make_contract, resolve, starting_net
from edgeseg_runtime.contract import GRAY_MEAN, GRAY_STD, IMAGENET_STD
from edgeseg_runtime.errors import CheckpointError, ConfigError, DatasetError


class TestResolve:
    def test_what_was_left_open_is_filled_in(self) -> None:
        config = resolve(TrainConfig(DataConfig("x"), Path("y")))
        assert (config.model.model, config.data.size) == ("fast_scnn", (360, 480))
        assert (config.optim.epochs, config.optim.lr) == (60, 0.002)

    def test_a_two_stage_detector_learns_more_slowly(self) -> None:
        rates = {}
        for model in ("maskrcnn_mobilenet_v2_fpn", "maskrcnn_resnet50_fpn", "yolact_mobilenet_v2"):
            rates[model] = resolve(TrainConfig(DataConfig("x"), Path("y"), ModelConfig(model))).optim.lr
        assert list(rates.values()) == [0.0005, 0.0005, 0.002]

    def test_what_was_given_stays(self) -> None:
        given = TrainConfig(
            DataConfig("x", size=(64, 96), resize="letterbox", interpolation="nearest"),
            Path("y"),
            ModelConfig("unet"),
            distillation=DistillationConfig(distill="logits", temperature=4.0),
            optim=OptimConfig(epochs=3, lr=0.5),
        )
        assert resolve(given) == given

    @pytest.mark.parametrize(("distill", "temperature"), [("logits", 1), ("channel", 3), ("features", 3)])
    def test_answers_are_softened_as_suits_them(self, distill: Any, temperature: float) -> None:
        config = TrainConfig(DataConfig("x"), Path("y"), distillation=DistillationConfig(distill=distill))
        assert resolve(config).distillation.temperature == temperature

    def test_another_run_gives_architecture_and_size(self, finished: Any) -> None:
        config = resolve(TrainConfig(DataConfig("x"), Path("y"), ModelConfig(init=finished.out)))
        assert (config.model.model, config.data.size) == ("fast_scnn", (64, 64))
        assert (config.optim.epochs, config.optim.lr) == (60, 0.002)

    def test_quantisation_aware_training_is_short_and_gentle(self, finished: Any) -> None:
        config = resolve(TrainConfig(DataConfig("x"), Path("y"), ModelConfig(init=finished.out, qat=True)))
        assert (config.optim.epochs, config.optim.lr) == (6, 0.00002)

    def test_quantisation_aware_training_is_in_float32(self, finished: Any) -> None:
        training = TrainConfig(DataConfig("x"), Path("y"), ModelConfig(init=finished.out, qat=True))
        assert resolve(training).machine.precision == "float32"
        with pytest.raises(ConfigError, match=r"--precision bf16: the network rounds as int8 does"):
            resolve(replace(training, machine=MachineConfig(precision="bf16")))

    def test_pictures_are_brought_to_its_size_as_the_run_did(self, finished: Any, tmp_path: Path) -> None:
        net, checkpoint = load_checkpoint(finished.out / BEST)
        contract = replace(checkpoint.contract, resize="letterbox", interpolation="area")
        save_checkpoint(tmp_path / "run" / BEST, net, replace(checkpoint, contract=contract))
        start = ModelConfig(init=tmp_path / "run", qat=True)
        config = resolve(TrainConfig(DataConfig("x"), Path("y"), start))
        assert (config.data.resize, config.data.interpolation) == ("letterbox", "area")
        config = resolve(TrainConfig(DataConfig("x", resize="stretch"), Path("y"), start))
        assert (config.data.resize, config.data.interpolation) == ("stretch", "area")

    def test_what_rounds_as_int8_does_goes_on_gently_and_in_float32(self, finished: Any, tmp_path: Path) -> None:
        net, checkpoint = load_checkpoint(finished.out / BEST)
        save_checkpoint(tmp_path / "run" / BEST, net, replace(checkpoint, quantized=True))
        going_on = TrainConfig(DataConfig("x"), Path("y"), ModelConfig(init=tmp_path / "run"))
        config = resolve(going_on)
        assert (config.optim.epochs, config.optim.lr, config.machine.precision) == (6, 0.00002, "float32")
        with pytest.raises(ConfigError, match="--precision bf16"):
            resolve(replace(going_on, machine=MachineConfig(precision="bf16")))

    def test_another_architecture_than_the_run_has(self, finished: Any) -> None:
        with pytest.raises(ConfigError, match=r"--model unet: .* is fast_scnn; leave --model away"):
            resolve(TrainConfig(DataConfig("x"), Path("y"), ModelConfig("unet", init=finished.out)))

    def test_a_run_that_was_trained_for_int8_already(self, finished: Any, tmp_path: Path) -> None:
        net, checkpoint = load_checkpoint(finished.out / BEST)
        save_checkpoint(tmp_path / "run" / BEST, net, replace(checkpoint, quantized=True))
        with pytest.raises(ConfigError, match=r"--qat: .*run was trained for int8 already; start from the run it came"):
            resolve(TrainConfig(DataConfig("x"), Path("y"), ModelConfig(init=tmp_path / "run", qat=True)))

    def test_a_run_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match="nowhere"):
            resolve(TrainConfig(DataConfig("x"), Path("y"), ModelConfig(init=tmp_path / "nowhere")))


def test_the_weights_are_the_other_runs(finished: Any) -> None:
    config = resolve(replace(finished.config, model=ModelConfig(init=finished.out)))
    data = open_data(config.data.data, "train")
    contract = make_contract(config, data)
    before = load_checkpoint(finished.out / BEST)[0].state_dict()
    assert contract == read_checkpoint(finished.out / BEST).contract
    after = starting_net(config.model, contract).state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_imagenet_weights_take_the_same_frames_as_all_others(
    tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.hub._hub_dir", str(tmp_path))
    cached = tmp_path / "checkpoints" / Path(MobileNet_V2_Weights.IMAGENET1K_V1.url).name
    cached.parent.mkdir()
    torch.manual_seed(1)
    donor = mobilenet_v2(weights=None).state_dict()
    torch.save(donor, cached)
    config = resolve(replace(tiny(tmp_path / "run"), model=ModelConfig("unet", weights="imagenet")))
    contract = make_contract(config, open_data(config.data.data, "train"))
    assert (contract.mean, contract.std) == (GRAY_MEAN, GRAY_STD)
    first = starting_net(config.model, contract).state_dict()["encoder.0.0.weight"]
    factor = torch.tensor(GRAY_STD) / torch.tensor(IMAGENET_STD)
    torch.testing.assert_close(first, donor["features.0.0.weight"] * factor.reshape(1, 3, 1, 1))


def test_the_weights_of_a_run_take_its_frames_as_they_are(finished: Any, tmp_path: Path) -> None:
    model = ModelConfig(read_checkpoint(finished.out / BEST).model, weights=str(finished.out / BEST))
    contract = make_contract(resolve(finished.config), open_data(finished.config.data.data, "train"))
    before = load_checkpoint(finished.out / BEST)[0].state_dict()
    after = starting_net(model, contract, report=lambda _: None).state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_the_same_weights_without_a_description_are_taken_for_imagenets(finished: Any, tmp_path: Path) -> None:
    before = load_checkpoint(finished.out / BEST)[0].state_dict()
    save_file(before, tmp_path / "bare.safetensors")
    contract = make_contract(resolve(finished.config), open_data(finished.config.data.data, "train"))
    after = starting_net(
        ModelConfig(read_checkpoint(finished.out / BEST).model, weights=str(tmp_path / "bare.safetensors")),
        contract,
        report=lambda _: None,
    )
    changed = [name for name, value in after.state_dict().items() if not torch.equal(value, before[name])]
    assert len(changed) == 2 and changed[0].endswith("weight") and changed[1].endswith("running_mean")


def test_a_run_goes_on_without_the_weights_that_it_started_from(finished: Any, tmp_path: Path) -> None:
    contract = make_contract(resolve(finished.config), open_data(finished.config.data.data, "train"))
    for weights in ("imagenet", str(tmp_path / "gone.pth")):
        net = starting_net(ModelConfig("unet", weights=weights), contract, fresh=False)
        assert sum(value.numel() for value in net.parameters()) > 0


def test_other_classes_than_the_run_knows(finished: Any, tmp_path: Path) -> None:
    config = resolve(replace(finished.config, model=ModelConfig(init=finished.out)))
    data = open_data(config.data.data, "train")
    with pytest.raises(DatasetError, match="they must be the same, in the same order"):
        make_contract(config, Renamed(data))


class Renamed:
    """A data set whose last class has another name."""

    def __init__(self, data: Any) -> None:
        self.data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self.data, name)

    @property
    def labels(self) -> Any:
        return (*self.data.labels[:-1], replace(self.data.labels[-1], name="else"))

    def __len__(self) -> int:
        return len(self.data)


class TestRuns:
    def test_a_run_killed_in_its_first_epoch_scores_its_start_once(
        self, finished: Any, train_tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config = replace(finished.config, out=tmp_path / "run", model=ModelConfig(init=finished.out))

        def killed(*_: Any) -> float:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr("edgeseg.training.loop.train_epoch", killed)
            with pytest.raises(KeyboardInterrupt):
                train_tiny(config)
        train_tiny(config, resume=True)
        assert [row["epoch"] for row in read_metrics(config.out / METRICS)] == [0, 1, 2, 3]

    def test_learning_from_a_teacher_on_from_another_run(self, finished: Any, train_tiny: Any, tmp_path: Path) -> None:
        config = replace(
            finished.config,
            out=tmp_path / "run",
            model=ModelConfig(init=finished.out),
            distillation=DistillationConfig(teacher=finished.out, distill="features"),
        )
        alone = replace(config, out=tmp_path / "alone", distillation=DistillationConfig())
        results = [train_tiny(config), train_tiny(alone)]
        assert results[0].epochs == results[1].epochs == 3
        taught, free = (load_deployable(where)[0].state_dict() for where in (config.out, alone.out))
        assert any(not torch.equal(value, free[name]) for name, value in taught.items())
        assert read_checkpoint(config.out / BEST).config["teacher"] == str(finished.out)
