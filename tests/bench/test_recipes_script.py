"""The script on runs of one epoch: what it trains, writes and compares, not what any recipe gains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import recipes
from edgeseg.config import TrainConfig, flatten, load_config
from edgeseg.training.checkpoint import LAST, read_checkpoint
from edgeseg.training.loop import TrainingResult
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.files import write_text
from recipes import PLAIN, RECIPES, RecipesConfig, gains, run_config

pytestmark = pytest.mark.usefixtures("one_thread")


def config(out: Path, **changes: object) -> RecipesConfig:
    return RecipesConfig("procedural:32x32,n=8", out, size=(64, 64), epochs=1, batch=4, workers=0, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_is_a_run_that_differs_in_what_it_says(name: str, tmp_path: Path) -> None:
    plain, changed = (flatten(run_config(config(tmp_path), one, 1)) for one in (PLAIN, name))
    different = {key: value for key, value in changed.items() if plain.get(key) != value and key != "out"}
    assert different == dict(RECIPES[name])


def test_gains_are_paired_by_seed() -> None:
    scores = {PLAIN: [0.60, 0.64], "ohem": [0.61, 0.66], "focal": [0.7]}
    found = gains("ohem", scores)
    assert found["mean"] == pytest.approx(63.5) and found["gain"] == pytest.approx(1.5)
    assert found["gain_apart"] == pytest.approx(0.5**0.5)  # of 1 and 2 points
    assert gains("focal", scores)["gain"] == pytest.approx(10) and gains("focal", scores)["gain_apart"] is None
    assert gains(PLAIN, scores)["gain"] == 0


def test_every_recipe_is_trained_with_every_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[tuple[str, int, float, bool]] = []

    def train(run: TrainConfig, *_: object, resume: bool, **__: object) -> TrainingResult:
        trained.append((run.out.name, run.machine.seed, run.optim.ema, resume))
        return TrainingResult(1, 0.5 + 0.1 * run.machine.seed - 0.02 * (run.optim.ema == 0), 1, 1.0)

    monkeypatch.setattr(recipes, "train", train)
    write_text(tmp_path / "no-ema-0" / "config.yaml", "")  # was begun before
    recipes.recipes(config=config(tmp_path, seeds=2, only=("no-ema",)))
    assert trained == [
        ("plain-0", 0, 0.995, False), ("no-ema-0", 0, 0.0, True),
        ("plain-1", 1, 0.995, False), ("no-ema-1", 1, 0.0, False),
    ]  # fmt: skip
    _, row = json.loads((tmp_path / "recipes.json").read_text(encoding="utf-8"))["recipes"]
    assert (row["recipe"], row["changes"]) == ("no-ema", {"ema": 0.0})
    assert row["scores"] == pytest.approx([0.48, 0.58]) and row["gain"] == pytest.approx(-2)


@pytest.mark.slow
def test_runs_are_trained_once_and_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = config(tmp_path, seeds=2, only=("no-ema",))
    recipes.recipes(config=chosen)
    names = ("plain-0", "no-ema-0", "plain-1", "no-ema-1")
    assert load_config(tmp_path / "no-ema-1" / "config.yaml")["ema"] == 0
    written = json.loads((tmp_path / "recipes.json").read_text(encoding="utf-8"))
    reached = {name: read_checkpoint(tmp_path / name / LAST).metrics["mean_iou"] for name in names}
    found = {row["recipe"]: row["scores"] for row in written["recipes"]}
    assert found == {name: [reached[f"{name}-{seed}"] for seed in (0, 1)] for name in (PLAIN, "no-ema")}
    shown = capsys.readouterr().out
    before = [(tmp_path / name / LAST).stat().st_mtime_ns for name in names]
    recipes.recipes(config=chosen)  # all are finished
    assert [(tmp_path / name / LAST).stat().st_mtime_ns for name in names] == before
    assert capsys.readouterr().out == shown


@pytest.mark.parametrize(
    ("changes", "said"), [({"only": ("mixup",)}, "--only mixup: the recipes are plain, "), ({"seeds": 1}, "--seeds")]
)
def test_mistakes_are_named(changes: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        config(tmp_path, **changes)
