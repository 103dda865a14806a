from __future__ import annotations

from dataclasses import fields
from math import nan
from typing import Any

import pytest

from edgeseg.data.augment_config import LIMITS, PRESETS, AugmentConfig, recipe
from edgeseg_runtime.errors import ConfigError


def said(settings: AugmentConfig) -> dict[str, float]:
    return {item.name: value for item in fields(settings) if (value := getattr(settings, item.name)) is not None}


def test_presets_are_these() -> None:
    light = {"color": 0.15, "hflip": 0.5}
    standard = {"color": 0.3, "hflip": 0.5, "zoom_in": 2.0, "zoom_out": 0.75}
    strong = {"color": 0.5, "hflip": 0.5, "zoom_in": 2.0, "zoom_out": 0.5, "warp": 0.3, "rotate": 8.0, "blur": 0.2}
    strong |= {"noise": 0.1, "jpeg": 0.1}
    assert [said(recipe(name)) for name in PRESETS] == [{}, light, standard, strong]


def test_what_is_given_goes_before_the_preset() -> None:
    changed = recipe("strong", AugmentConfig(rotate=0, noise=0.3, mosaic=0.2))
    assert said(changed) == said(recipe("strong")) | {"rotate": 0, "noise": 0.3, "mosaic": 0.2}


def test_a_warp_that_is_asked_for_happens_to_every_picture_unless_said_otherwise() -> None:
    assert recipe("standard", AugmentConfig(rotate=180)).warp == 1
    assert recipe("standard", AugmentConfig(rotate=180, warp=0.5)).warp == 0.5
    assert recipe("strong", AugmentConfig(warp=0)).warp == 0
    assert recipe("standard", AugmentConfig(rotate=0)).warp is None
    assert recipe("strong", AugmentConfig(shear=4)).warp == 0.3


def test_a_rotation_without_a_share_of_pictures_is_refused() -> None:
    with pytest.raises(ConfigError, match="--rotate 180 does nothing with --warp 0"):
        recipe("standard", AugmentConfig(rotate=180, warp=0))


@pytest.mark.parametrize("name", [item.name for item in fields(AugmentConfig)])
def test_values_outside_the_range_are_refused(name: str) -> None:
    low, high = LIMITS.get(name, (0.0, 1.0))
    flag = "--" + name.replace("_", "-")
    for value in (low - 0.01, high + 0.01, nan):
        with pytest.raises(ConfigError, match=rf"^{flag} must be between {low:g} and {high:g}, got {value}$"):
            AugmentConfig(**{name: value})
    for value in (low, high):
        assert said(AugmentConfig(**{name: value})) == {name: value}


@pytest.mark.parametrize(
    ("preset", "own", "complaint"),
    [
        ("standard", {"warp": 0.5}, "--warp 0.5 does nothing without --rotate, --shear, --translate, --perspective"),
        ("strong", {"warp": 0.5, "rotate": 0}, "--warp 0.5 does nothing"),
        ("light", {"class_crop": 0.5}, "--class-crop 0.5 does nothing without --zoom-in above 1"),
        ("strong", {"class_crop": 1, "zoom_in": 1}, "--class-crop 1 does nothing"),
        ("wild", {}, "--augment must be one of none, light, standard, strong, got 'wild'"),
    ],
)
def test_settings_that_do_nothing_are_refused(preset: Any, own: dict[str, float], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        recipe(preset, AugmentConfig(**own))
