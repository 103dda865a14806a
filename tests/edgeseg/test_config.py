from __future__ import annotations

import ast
import inspect
from dataclasses import MISSING, fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml

from edgeseg import config as module
from edgeseg.cli.app import make_app, run
from edgeseg.config import (
    DataConfig,
    DistillationConfig,
    LossConfig,
    MachineConfig,
    ModelConfig,
    OptimConfig,
    TrainConfig,
    flatten,
    load_config,
    save_config,
)
from edgeseg.data.augment_config import AugmentConfig
from edgeseg_runtime.errors import ConfigError

CLASSES = (
    DataConfig,
    AugmentConfig,
    ModelConfig,
    LossConfig,
    DistillationConfig,
    OptimConfig,
    MachineConfig,
    TrainConfig,
)
OTHER = TrainConfig(
    DataConfig("somewhere", "folder", "a", "b", True, (96, 128), "letterbox", "area", "strong", 0, "rare", 0.5),
    Path("runs/ü x"),
    ModelConfig("unet", "none", Path("runs/a"), True),
    LossConfig("ohem", "median", 0.1, 1.0, 0.5, 0.25, 0.2),
    DistillationConfig(Path("runs/b"), "logits", 2.0, 0.5),
    OptimConfig(7, 3, 2, "sgd", 0.1, 0.5, 1e-4, "cosine", 0.2, 0.0, 0.0, 4, 5),
    MachineConfig("cpu", 2, "bf16", 11, "off"),
    AugmentConfig(0.1, 0.2, 0.3, 3.0, 0.4, 0.5, 0.6, 7.0, 8.0, 0.25, 0.15, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7),
)
"""No setting at its default, but for the weights, which do not go together with another run's."""


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Collects what the command line makes of its flags, in place of training."""
    found: dict[str, Any] = {}

    def train(*, config: TrainConfig, resume: bool = False, json: bool = False) -> None:
        found.update(config=config, resume=resume)

    monkeypatch.setattr("edgeseg.cli.train.train", train)
    return found


def flags(config: TrainConfig) -> list[str]:
    found: list[str] = []
    for name, value in flatten(config).items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            found.append(flag)
        elif value is not False:
            found += [flag, *map(str, value if isinstance(value, list) else [value])]
    return found


def test_the_example_changes_every_setting() -> None:
    default = flatten(TrainConfig(DataConfig("other"), Path("other")))
    assert [name for name, value in flatten(OTHER).items() if default.get(name) == value] == ["weights"]


def test_flags_of_every_kind_are_read(parsed: dict[str, Any]) -> None:
    assert run(["train", *flags(OTHER)]) == 0
    assert parsed["config"] == OTHER


@pytest.mark.parametrize("config", [OTHER, TrainConfig(DataConfig("x"), Path("y"))])
def test_a_saved_file_repeats_the_settings(parsed: dict[str, Any], tmp_path: Path, config: TrainConfig) -> None:
    save_config(config, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == flatten(config)
    assert run(["train", "--config", str(tmp_path / "config.yaml")]) == 0
    assert parsed["config"] == config


def test_toml_says_the_same(parsed: dict[str, Any], tmp_path: Path) -> None:
    lines = []
    for name, value in flatten(OTHER).items():
        text = str(value).lower() if isinstance(value, bool) else repr(value).replace("'", '"')
        lines.append(f"{name} = {text}\n")
    (tmp_path / "config.toml").write_text("".join(lines), encoding="utf-8")
    assert run(["train", "--config", str(tmp_path / "config.toml")]) == 0
    assert parsed["config"] == OTHER


def test_flags_go_before_the_file(parsed: dict[str, Any], tmp_path: Path) -> None:
    save_config(OTHER, tmp_path / "config.yaml")
    assert run(["train", "--lr", "0.3", "--config", str(tmp_path / "config.yaml"), "--size", "32", "48"]) == 0
    expected = flatten(OTHER) | {"lr": 0.3, "size": [32, 48]}
    assert flatten(parsed["config"]) == expected


def test_a_file_may_hold_only_some_settings(parsed: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "few.yaml").write_text("data: x\nepochs: 3\n")
    assert run(["train", "--config", str(tmp_path / "few.yaml"), "--out", "y"]) == 0
    assert parsed["config"] == TrainConfig(DataConfig("x"), Path("y"), optim=OptimConfig(epochs=3))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("data: x\nout: y\nlearning_rate: 3\n", "learning"),
        ("data: x\nout: y\nepochs: many\n", "epochs"),
        ("data: x\nout: y\nepochs: 0\n", "--epochs must be at least 1, got 0"),
        ("data: x\nout: y\nloss: mse\n", "mse"),
        ("data: x\n", "out"),
    ],
)
def test_a_wrong_file_is_one_line(
    parsed: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, complaint: str
) -> None:
    (tmp_path / "config.yaml").write_text(text)
    assert run(["train", "--config", str(tmp_path / "config.yaml")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert complaint in error
    assert not parsed


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (["--epochs", "0"], "--epochs must be at least 1, got 0"),
        (["--batch", "1"], "--batch must be at least 2, got 1"),
        (["--workers", "-1"], "--workers must be at least 0, got -1"),
        (["--devices", "0"], "--devices must be at least 1, got 0"),
        (["--patience", "-1"], "--patience must be at least 0, got -1"),
        (["--score-every", "0"], "--score-every must be at least 1, got 0"),
        (["--warmup", "1.5"], "--warmup must be between 0 and 1, got 1.5"),
        (["--warmup", "nan"], "--warmup must be between 0 and 1, got nan"),
        (["--ema", "1"], "--ema must be between 0 and 0.999999, got 1.0"),
        (["--ohem-keep", "-0.1"], "--ohem-keep must be between 0 and 1, got -0.1"),
        (["--ohem-threshold", "2"], "--ohem-threshold must be between 0 and 1, got 2.0"),
        (["--lr", "0"], "--lr must be above 0"),
        (["--lr", "nan"], "--lr must be above 0"),
        (["--clip", "-1"], "--weight-decay and --clip must be at least 0"),
        (["--clip", "inf"], "--weight-decay and --clip must be at least 0"),
        (["--rotate", "-1"], "--rotate must be between 0 and 180, got -1.0"),
        (["--noise", "nan"], "--noise must be between 0 and 1, got nan"),
        (["--zoom-in", "0.5"], "--zoom-in must be between 1 and 8, got 0.5"),
        (["--warp", "0.5"], "--warp 0.5 does nothing without --rotate, --shear, --translate, --perspective"),
        (["--augment", "light", "--class-crop", "1"], "--class-crop 1 does nothing without --zoom-in above 1"),
        (["--augment", "wild"], "wild"),
        (["--sample", "often"], "often"),
        (["--temperature", "0"], "--temperature must be above 0, --distill-weight at least 0"),
        (["--distill-weight", "-1"], "--temperature must be above 0, --distill-weight at least 0"),
        (["--rare-temperature", "0"], "--rare-temperature must be between 0.0001 and 1000, got 0"),
        (["--size", "64"], "--size takes 2 values, got 64"),
        (["--loss", "-1*ce"], "--loss takes a value; one that begins with - is written --loss=VALUE"),
        (["--seed", "-1"], "--seed must be between 0 and 4294967295, got -1"),
        (["--seed", "4294967296"], "--seed must be between 0 and 4294967295, got 4294967296"),
        (["--optimizer", "lion"], "lion"),
        (["--precision", "int8"], "int8"),
        (["--nonsense", "1"], "--nonsense"),
    ],
)
def test_a_wrong_value_is_one_line(
    parsed: dict[str, Any], capsys: pytest.CaptureFixture[str], given: list[str], complaint: str
) -> None:
    assert run(["train", "--data", "x", "--out", "y", *given]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert complaint in error
    assert not parsed


def test_pieces_of_a_preset_are_changed_one_by_one(parsed: dict[str, Any], tmp_path: Path) -> None:
    arguments = ["--data", "x", "--out", "y", "--augment", "strong", "--rotate", "0", "--noise", "0.1"]
    assert run(["train", *arguments]) == 0
    config = parsed["config"]
    assert config.augmentation == AugmentConfig(rotate=0, noise=0.1)
    assert config.data.augment == "strong"
    save_config(config, tmp_path / "config.yaml")
    saved = load_config(tmp_path / "config.yaml")
    assert (saved["rotate"], saved["noise"]) == (0, 0.1)  # what is off is not what was left open
    assert "blur" not in saved


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words", ""])
def test_a_file_without_settings_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match="must hold settings"):
        load_config(tmp_path / "config.yaml")


def test_a_broken_or_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "gone.yaml")
    (tmp_path / "config.yaml").write_text("a: [1, 2")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "config.yaml")


def test_the_file_is_plain_yaml(tmp_path: Path) -> None:
    save_config(OTHER, tmp_path / "config.yaml")
    text = (tmp_path / "config.yaml").read_text(encoding="utf-8")
    assert "runs/ü x" in text
    assert yaml.safe_load(text)["size"] == [96, 128]


@pytest.mark.parametrize("config", CLASSES)
def test_every_setting_is_explained(config: type) -> None:
    tree = ast.parse(inspect.getsource(config))
    body = tree.body[0].body  # type: ignore[attr-defined]
    explained = {
        before.target.id
        for before, after in pairwise(body)
        if isinstance(before, ast.AnnAssign)
        and isinstance(before.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
    }
    hints = get_type_hints(config, vars(module))
    plain = {field.name for field in fields(config) if not is_dataclass(hints[field.name])}
    assert plain <= explained


def test_help_shows_every_setting_with_its_explanation(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for name in flatten(OTHER):
        assert "--" + name.replace("_", "-") in shown
    assert "Pulls convolution weights (not biases or normalisation) towards zero." in shown


def test_only_what_cannot_be_guessed_must_be_given() -> None:
    needed = [
        field.name
        for config in CLASSES
        for field in fields(config)
        if field.default is MISSING and field.default_factory is MISSING and not is_dataclass(field.type)
    ]
    assert needed == ["data", "data", "out"]  # TrainConfig.data is DataConfig, which holds `data`
    assert make_app("train")["train"] is not None
