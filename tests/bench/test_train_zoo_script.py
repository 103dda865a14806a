"""The script on tiny pictures: how many epochs it gives a network, what it trains, what it does not repeat."""

from __future__ import annotations

from pathlib import Path

import pytest

import train_zoo
from edgeseg.cli.task import open_task
from edgeseg.config import TrainConfig, load_config
from edgeseg.training.checkpoint import LAST, read_checkpoint
from edgeseg.training.loop import TrainingResult
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.progress import silent
from train_zoo import COUNTED, NOT_COUNTED, BudgetConfig, Stopwatch, epochs_that_fit, run_config, seconds_an_epoch

pytestmark = pytest.mark.usefixtures("one_thread")


def config(out: Path, **changes: object) -> BudgetConfig:
    return BudgetConfig("procedural:32x32,n=20", out, size=(64, 64), batch=4, workers=0, **changes)  # type: ignore[arg-type]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that shows the list's first moment, and stops there."""
    now = [0.0]
    monkeypatch.setattr("train_zoo.time.perf_counter", lambda: now[0])
    return now


def run_through(watch: Stopwatch, seconds: list[float], now: list[float]) -> list[int]:
    """Let the watch see the steps; the clock goes on while the consumer works on a batch."""
    seen = []
    for number in watch(range(len(seconds)), "epoch"):
        seen.append(number)
        now[0] += seconds[number]
    return seen


def test_the_first_steps_are_not_counted_and_the_median_is_taken(clock: list[float]) -> None:
    watch = Stopwatch()
    seconds = [9.0] * (NOT_COUNTED + 1) + [1.0, 1.0, 2.0, 7.0, 2.0, 2.0, 1.0, 2.0, 2.0, 2.0] + [1.0] * 30
    assert run_through(watch, seconds, clock) == list(range(NOT_COUNTED + 1 + COUNTED))
    assert watch.seconds_a_step() == 2.0


def test_slow_steps_are_counted_for_a_minute(clock: list[float]) -> None:
    watch = Stopwatch()
    assert len(run_through(watch, [25.0] * 20, clock)) == NOT_COUNTED + 1 + 3
    assert watch.seconds_a_step() == 25.0


def test_too_few_batches_cannot_be_measured(clock: list[float]) -> None:
    watch = Stopwatch()
    run_through(watch, [1.0] * (NOT_COUNTED + 1), clock)
    with pytest.raises(ConfigError, match="4 batches at least"):
        watch.seconds_a_step()


@pytest.mark.parametrize(("minutes", "seconds", "epochs"), [(20, 60, 20), (20, 59.9, 20), (20, 61, 19), (1, 600, 1)])
def test_epochs_fill_the_minutes(minutes: float, seconds: float, epochs: int) -> None:
    assert epochs_that_fit(minutes, seconds) == epochs


def test_an_epoch_is_measured_in_the_run_itself_and_leaves_nothing(tmp_path: Path) -> None:
    run = run_config(config(tmp_path), "fast_scnn", epochs=1)
    steps = 5
    task = open_task("fast_scnn", run.data, silent)
    assert seconds_an_epoch(run, task) > steps * 1e-3  # no network takes a step in a millisecond
    assert not list(tmp_path.iterdir())


def test_each_network_gets_its_epochs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[tuple[str, int, int, bool]] = []

    def train(run: TrainConfig, *_: object, resume: bool, **__: object) -> TrainingResult:
        assert run.optim.epochs is not None and run.model.model is not None
        trained.append((run.model.model, run.optim.epochs, run.optim.score_every, resume))
        return TrainingResult(1, 0.5, 1, 1.0)

    seconds = {"fast_scnn": 6.0, "bricknet_t": 2.0}
    monkeypatch.setattr(train_zoo, "train", train)
    monkeypatch.setattr(train_zoo, "seconds_an_epoch", lambda run, _: seconds[run.model.model])
    train_zoo.train_zoo("fast_scnn", "bricknet_t", config=config(tmp_path, minutes=1))
    assert trained == [("fast_scnn", 10, 2, False), ("bricknet_t", 30, 7, False)]


@pytest.mark.slow
def test_a_finished_run_is_not_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = config(tmp_path, minutes=0.001)
    train_zoo.train_zoo("fast_scnn", config=chosen)
    assert load_config(tmp_path / "fast_scnn" / "config.yaml")["epochs"] == 1
    checkpoint = tmp_path / "fast_scnn" / LAST
    score = read_checkpoint(checkpoint).metrics["mean_iou"]
    shown = capsys.readouterr().out
    assert shown == f"fast_scnn: mIoU {score:.4f}, epoch 1 of 1\n"
    before = checkpoint.stat().st_mtime_ns
    train_zoo.train_zoo("fast_scnn", config=config(tmp_path, minutes=60))  # as many as it was begun with
    assert checkpoint.stat().st_mtime_ns == before and capsys.readouterr().out == shown


@pytest.mark.parametrize(("models", "minutes", "said"), [((), 1, "name the networks"), (("unet",), 0, "--minutes")])
def test_mistakes_are_named(models: tuple[str, ...], minutes: float, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        train_zoo.train_zoo(*models, config=config(tmp_path, minutes=minutes))
