"""How training pictures are varied: presets, and settings that change single pieces of them. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal, get_args

from cyclopts import Group, Parameter

from edgeseg_runtime.contract import Task
from edgeseg_runtime.errors import ConfigError

Preset = Literal["none", "light", "standard", "strong"]
PRESETS: tuple[Preset, ...] = get_args(Preset)


@Parameter(name="*", group=Group("Augmentation", help="Changes single pieces of what --augment sets.", sort_key=7))
@dataclass(frozen=True)
class AugmentConfig:
    """One number a piece: a share of the pictures or a strength. None is what the preset says, 0 is off."""

    color: float | None = None
    """Strength of changes of brightness, contrast, saturation and warmth (light .15, standard .3, strong .5)."""
    hflip: float | None = None
    """Share of pictures that are mirrored (light, standard, strong .5)."""
    vflip: float | None = None
    """Share of pictures that are turned upside down."""
    zoom_in: float | None = None
    """Largest factor of the random zoom, at least 1 (standard, strong 2; of objects, standard 1.5)."""
    zoom_out: float | None = None
    """Smallest factor of the random zoom, at most 1 (standard .75, strong .5; of objects .5 and .1)."""
    class_crop: float | None = None
    """Share of enlarged pictures whose crop holds a class drawn from those in them, each class as likely."""
    warp: float | None = None
    """Share of pictures that the next four change (strong .3 but of objects; else 1 where one of the four is given)."""
    rotate: float | None = None
    """Largest rotation, in degrees either way (strong 8 but of objects)."""
    shear: float | None = None
    """Largest shear, in degrees either way, across and down."""
    translate: float | None = None
    """Largest shift, as a share of width and height."""
    perspective: float | None = None
    """Farthest that corners move inwards, as a share of width and height."""
    blur: float | None = None
    """Share of pictures that are out of focus (strong .2)."""
    noise: float | None = None
    """Share of pictures with a sensor's noise (strong .1)."""
    jpeg: float | None = None
    """Share of pictures that were JPEG files of low quality (strong .1)."""
    cutout: float | None = None
    """Share of pictures with a rectangle cut out, which is ignored."""
    mosaic: float | None = None
    """Share of pictures made of four: parts of this one and three others around a point."""
    classmix: float | None = None
    """Share of pictures with half of the classes of another pasted over them (ClassMix)."""
    copy_paste: float | None = None
    """Share of pictures with a class, mostly a rare one, or objects of another pasted over them (objects strong .5)."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value, (low, high) = getattr(self, item.name), LIMITS.get(item.name, (0.0, 1.0))
            if value is not None and not low <= value <= high:
                flag = item.name.replace("_", "-")
                raise ConfigError(f"--{flag} must be between {low:g} and {high:g}, got {value}")


LIMITS = {
    "zoom_in": (1.0, 8.0),
    "zoom_out": (0.1, 1.0),
    "rotate": (0.0, 180.0),
    "shear": (0.0, 45.0),
    "translate": (0.0, 0.5),
    "perspective": (0.0, 0.4),
}
"""Smallest and largest value of a piece; all others are shares or strengths from 0 to 1."""
WARPS = ("rotate", "shear", "translate", "perspective")

# What is not named is off. `strong` adds what cameras do to pictures; mixing pictures is left to whoever asks for it.
_SEMANTIC: dict[Preset, AugmentConfig] = {
    "none": AugmentConfig(),
    "light": AugmentConfig(color=0.15, hflip=0.5),
    "standard": AugmentConfig(color=0.3, hflip=0.5, zoom_in=2.0, zoom_out=0.75),
    "strong": AugmentConfig(
        color=0.5, hflip=0.5, zoom_in=2.0, zoom_out=0.5, warp=0.3, rotate=8.0, blur=0.2, noise=0.1, jpeg=0.1
    ),
}
# `strong` has the large-scale jitter and the copy-paste of arXiv:2012.07177.
_INSTANCE: dict[Preset, AugmentConfig] = {
    "none": AugmentConfig(),
    "light": AugmentConfig(color=0.15, hflip=0.5),
    "standard": AugmentConfig(color=0.3, hflip=0.5, zoom_in=1.5, zoom_out=0.5),
    "strong": AugmentConfig(
        color=0.5, hflip=0.5, zoom_in=2.0, zoom_out=0.1, blur=0.2, noise=0.1, jpeg=0.1, copy_paste=0.5
    ),
}
_RECIPES: dict[Task, dict[Preset, AugmentConfig]] = {"semantic": _SEMANTIC, "instance": _INSTANCE}
_OF_CLASSES = ("class_crop", "classmix")
"""Pieces that work on classes of pixels: there are none where objects are learnt."""


def recipe(preset: Preset, own: AugmentConfig | None = None, task: Task = "semantic") -> AugmentConfig:
    """Return the preset's pieces for a task with what `own` says otherwise; None is off there.

    Raises ConfigError for an unknown preset, for settings that together can do nothing and for pieces that the task
    does not have.
    """
    if preset not in PRESETS:
        raise ConfigError(f"--augment must be one of {', '.join(PRESETS)}, got {preset!r}")
    said = {} if own is None else {item.name: getattr(own, item.name) for item in fields(own)}
    said = {name: value for name, value in said.items() if value is not None}
    if task == "instance" and (foreign := [name for name in _OF_CLASSES if said.get(name)]):
        flag = foreign[0].replace("_", "-")
        raise ConfigError(f"--{flag} is for classes of pixels; objects are mixed by --copy-paste and --mosaic")
    whole = replace(_RECIPES[task][preset], **said)
    warps = any(getattr(whole, name) for name in WARPS)
    if said.get("warp") and not warps:
        raise ConfigError(f"--warp {whole.warp:g} does nothing without {', '.join(f'--{name}' for name in WARPS)}")
    if said.get("warp") == 0 and (idle := [name for name in WARPS if said.get(name)]):
        raise ConfigError(f"--{idle[0]} {said[idle[0]]:g} does nothing with --warp 0")
    if said.get("class_crop") and (whole.zoom_in or 1) == 1:
        raise ConfigError(f"--class-crop {whole.class_crop:g} does nothing without --zoom-in above 1")
    return replace(whole, warp=1.0) if warps and whole.warp is None else whole
