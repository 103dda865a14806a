from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from edgeseg.config import OptimConfig, save_config
from edgeseg.training.optimisation import make_average, make_optimizer, make_schedule
from edgeseg.training.state import CONFIG, STATE, State, begin, check_folder
from edgeseg_runtime.errors import CheckpointError, ConfigError

OPTIM = OptimConfig(epochs=2, lr=0.1, ema=0.5)


def new_state(width: int = 3) -> State:
    torch.manual_seed(width)
    net = torch.nn.Sequential(torch.nn.Linear(2, width), torch.nn.BatchNorm1d(width))
    optimizer = make_optimizer(net, OPTIM)
    return State(net, make_average(net, OPTIM.ema), optimizer, make_schedule(optimizer, 20, OPTIM))


def step(state: State, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    state.optimizer.zero_grad()
    state.net(torch.randn(4, 2, generator=generator)).square().sum().backward()
    state.optimizer.step()
    state.schedule.step()
    state.average.update_parameters(state.net)


def test_a_loaded_state_goes_on_as_the_saved_one_does(tmp_path: Path) -> None:
    state = new_state()
    for seed in range(5):
        step(state, seed)
    state.epoch, state.best_epoch, state.best = 5, 3, 0.25
    state.save(tmp_path)
    other = new_state()
    other.load(tmp_path)
    assert (other.epoch, other.best_epoch, other.best) == (5, 3, 0.25)
    for seed in range(5, 9):
        step(state, seed)
        step(other, seed)
    assert state.schedule.get_last_lr() == other.schedule.get_last_lr()
    for one, two in ((state.net, other.net), (state.average, other.average)):
        left, right = one.state_dict(), two.state_dict()
        assert all(torch.equal(left[name], right[name]) for name in left)


def test_a_state_of_another_network_is_refused(tmp_path: Path) -> None:
    new_state(3).save(tmp_path)
    with pytest.raises(CheckpointError, match=r"resume\.pt cannot be resumed from"):
        new_state(4).load(tmp_path)


def test_a_state_without_its_parts_is_refused(tmp_path: Path) -> None:
    torch.save({"net": new_state().net.state_dict()}, tmp_path / STATE)
    with pytest.raises(CheckpointError, match="cannot be resumed from: 'average'"):
        new_state().load(tmp_path)


def test_loading_runs_no_code(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "sprung",)

    torch.save({"net": Trap()}, tmp_path / STATE)
    with pytest.raises(CheckpointError, match="cannot be resumed from"):
        new_state().load(tmp_path)
    assert not (tmp_path / "sprung").exists()


class TestFolder:
    def test_a_new_folder_will_do_and_is_not_made(self, tiny: Any, tmp_path: Path) -> None:
        check_folder(tiny(tmp_path / "run"), resume=False)
        assert not (tmp_path / "run").exists()

    def test_a_begun_run_is_there(self, tiny: Any, tmp_path: Path) -> None:
        config = tiny(tmp_path / "run")
        begin(config, new_state())
        assert {path.name for path in config.out.iterdir()} == {CONFIG, STATE}
        check_folder(config, resume=True)
        with pytest.raises(ConfigError, match="already holds a run"):
            check_folder(config, resume=False)

    def test_more_workers_or_a_moved_folder_are_the_same_run(self, tiny: Any, tmp_path: Path) -> None:
        begin(tiny(tmp_path / "old"), new_state())
        (tmp_path / "old").rename(tmp_path / "new")
        check_folder(tiny(tmp_path / "new", workers=2), resume=True)

    def test_a_run_begun_before_there_was_a_setting_has_its_default(self, tiny: Any, tmp_path: Path) -> None:
        config = tiny(tmp_path / "run")
        save_config(config, config.out / CONFIG)
        lines = (config.out / CONFIG).read_text().splitlines(keepends=True)
        (config.out / CONFIG).write_text("".join(line for line in lines if not line.startswith("aux_weight:")))
        check_folder(config, resume=True)
        with pytest.raises(ConfigError, match=r"aux_weight was 0\.4 and is 0\.1"):
            check_folder(replace(config, loss=replace(config.loss, aux_weight=0.1)), resume=True)

    def test_every_other_setting_counts(self, tiny: Any, tmp_path: Path) -> None:
        config = tiny(tmp_path / "run")
        save_config(config, config.out / CONFIG)
        with pytest.raises(ConfigError, match="seed was 0 and is 1"):
            check_folder(tiny(tmp_path / "run", seed=1), resume=True)
        changed = replace(config, data=replace(config.data, augment="none"))
        with pytest.raises(ConfigError, match=r"augment was 'standard' and is 'none'; `--config .*config\.yaml`"):
            check_folder(changed, resume=True)
