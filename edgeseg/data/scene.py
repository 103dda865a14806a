"""A small made-up street: what stands in it, where, and how it moves. Metres and seconds; drawn by `render`.

The camera looks along +z from (0, height, 0); x grows to the right, y upwards. Traffic keeps to the right.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from edgeseg_runtime.contract import Label

LABELS = (
    Label("sky", (128, 180, 230)),
    Label("building", (128, 70, 60)),
    Label("road", (100, 80, 120)),
    Label("lane", (240, 240, 240)),
    Label("pavement", (230, 60, 220)),
    Label("vegetation", (90, 150, 40)),
    Label("pole", (250, 170, 30)),
    Label("sign", (220, 220, 0)),
    Label("car", (20, 40, 200)),
    Label("person", (220, 20, 60)),
)
SKY, BUILDING, ROAD, LANE, PAVEMENT, VEGETATION, POLE, SIGN, CAR, PERSON = range(len(LABELS))

VIEW = 75.0
"""Metres that the camera sees ahead."""

Color = tuple[float, float, float]
Kind = Literal["building", "tree", "bush", "pole", "sign", "car", "person"]
COUNTED: tuple[Kind, ...] = ("car", "person")
"""Kinds whose members carry an instance id."""


@dataclass(frozen=True)
class Thing:
    """Something that stands on the ground with its near side at z, centred on x."""

    kind: Kind
    x: float
    z: float
    width: float
    height: float
    depth: float
    color: Color
    """B, G, R in daylight."""
    accent: Color
    """Windows, sign rim, trousers: the second colour."""
    style: int
    """Picks a shape within the kind."""
    vx: float = 0.0
    vz: float = 0.0
    """Metres a second."""
    instance: int = 0
    """1, 2, … for cars and people, 0 for what is not counted."""


@dataclass(frozen=True)
class Light:
    """Weather, time of day and camera."""

    night: bool
    gain: float
    """Brightness of everything; 1 is a clear day."""
    tint: Color
    sky_top: Color
    sky_low: Color
    haze: float
    """Share of a thing's colour lost per metre."""
    sun: float
    """-1..1: which side of the street is lit."""
    blur: float
    """Standard deviation in pixels of a picture 96 rows high."""
    noise: float
    """Standard deviation in grey levels."""


@dataclass(frozen=True)
class World:
    """A street and the camera that drives through it."""

    things: tuple[Thing, ...]
    light: Light
    road: float
    """Half the width of the carriageway."""
    pavement: float
    verge: float
    """Grass between pavement and houses."""
    lanes: tuple[float, ...]
    """x of the dashed lines."""
    ground: Color
    asphalt: Color
    eye: float
    """Height of the camera."""
    shift: float
    """x of the camera."""
    horizon: float
    """Row of the horizon as a share of the height."""
    vanishing: float
    """Column where the street ends as a share of the width."""
    focal: float
    """Focal length as a share of the width."""
    speed: float
    """Metres a second that the camera moves ahead."""


def make_world(rng: np.random.Generator, *, night: bool, travel: float = 0.0, speed: float = 0.0) -> World:
    """Make a street long enough for `travel` metres of driving at `speed`."""
    wide = rng.random() < 0.3
    road = rng.uniform(6.0, 7.5) if wide else rng.uniform(3.6, 4.8)
    pavement, verge = rng.uniform(1.4, 3.0), rng.choice([0.3, rng.uniform(0.5, 6.0)])
    lanes = (-road / 2, 0.0, road / 2) if wide else (0.0,)
    end = VIEW + travel
    edge = road + pavement + verge
    things = [
        *_houses(rng, edge, end),
        *_plants(rng, road + pavement, verge, end),
        *_posts(rng, road, end),
        *_cars(rng, road, lanes, end, speed),
        *_people(rng, road, pavement, end, travel),
    ]
    asphalt = float(rng.uniform(70, 120))
    return World(
        things=_numbered(things),
        light=make_light(rng, night),
        road=float(road),
        pavement=float(pavement),
        verge=float(verge),
        lanes=lanes,
        ground=_grey(rng, 120, 190, 14),
        asphalt=(asphalt + 3, asphalt, asphalt - 2),
        eye=float(rng.uniform(1.3, 1.9)),
        shift=float((lanes[-1] + road) / 2 + rng.uniform(-0.5, 0.5)),
        horizon=float(rng.uniform(0.40, 0.52)),
        vanishing=float(rng.uniform(0.42, 0.58)),
        focal=float(rng.uniform(0.72, 0.95)),
        speed=speed,
    )


def make_light(rng: np.random.Generator, night: bool) -> Light:
    """Draw a day between clear, dull and low sun, or a night."""
    warm = float(rng.uniform(-1, 1))
    tint = (1 - 0.10 * warm, 1.0, 1 + 0.10 * warm)
    if night:
        glow = float(rng.uniform(18, 45))
        low = (glow * 1.1, glow, glow * 1.15)
        return Light(True, float(rng.uniform(0.16, 0.32)), tint, (22, 12, 10), low, 0.002, 0.0, 0.5, rng.uniform(5, 9))
    cloud = float(rng.random())
    top = (235 - 40 * cloud, 165 + 30 * cloud, 95 + 95 * cloud)
    low = (240 - 20 * cloud, 225 - 10 * cloud, 205 + 5 * cloud)
    return Light(
        night=False,
        gain=float(rng.uniform(0.62, 1.12)),
        tint=tint,
        sky_top=top,
        sky_low=low,
        haze=float(rng.choice([0.003, 0.006, rng.uniform(0.006, 0.02)])),
        sun=float(rng.uniform(-1, 1)) * (1 - cloud),
        blur=float(rng.uniform(0.0, 0.7)),
        noise=float(rng.uniform(1.5, 5.0)),
    )


def _houses(rng: np.random.Generator, edge: float, end: float) -> Iterator[Thing]:
    for side in (-1, 1):
        z = float(rng.uniform(-6, 4))
        while z < end:
            depth, width = rng.uniform(7, 18), rng.uniform(6, 14)
            if rng.random() < 0.82:
                brick = rng.random() < 0.5
                base = np.array([70, 95, 150] if brick else [170, 185, 195]) + rng.uniform(-30, 30, 3)
                accent = (95.0, 75.0, 60.0) if rng.random() < 0.7 else (190.0, 170.0, 150.0)
                x, height = side * (edge + width / 2), rng.uniform(4.5, 15)
                style = int(rng.integers(1 << 16))
                yield Thing("building", float(x), z, width, float(height), float(depth), _bgr(base), accent, style)
            z += float(depth + rng.choice([0.0, 0.0, rng.uniform(1, 9)]))


def _plants(rng: np.random.Generator, kerb: float, verge: float, end: float) -> Iterator[Thing]:
    for side in (-1, 1):
        density = rng.uniform(0.0, 0.10)
        for z in _spaced(rng, end, density, 3.0):
            leaf = _bgr(np.array([45, 110, 65]) + rng.uniform(-25, 25, 3))
            trunk = _bgr(np.array([45, 65, 85]) + rng.uniform(-15, 15, 3))
            bush = rng.random() < 0.35
            x = side * float(kerb + (rng.uniform(0.2, max(verge, 0.6)) if bush else rng.uniform(-0.4, 0.5)))
            height = float(rng.uniform(0.6, 1.6) if bush else rng.uniform(3.5, 8))
            width = height * float(rng.uniform(1.0, 1.8) if bush else rng.uniform(0.45, 0.7))
            kind: Kind = "bush" if bush else "tree"
            yield Thing(kind, x, z, width, height, 0.3, leaf, trunk, int(rng.integers(1 << 16)))


def _posts(rng: np.random.Generator, road: float, end: float) -> Iterator[Thing]:
    for side in (-1, 1):
        step, start = rng.uniform(12, 26), rng.uniform(3, 20)
        for z in np.arange(start, end, step).tolist():
            grey = _grey(rng, 60, 130, 6)
            height = float(rng.uniform(5.5, 8))
            x = side * (road + 0.35)
            yield Thing("pole", x, z, float(rng.uniform(0.09, 0.16)), height, 0.1, grey, grey, side)
    colors = [(40.0, 35.0, 200.0), (185.0, 90.0, 20.0), (30.0, 200.0, 230.0), (240.0, 240.0, 240.0)]
    for z in _spaced(rng, end, 0.065, 4.0):
        side = 1 if rng.random() < 0.7 else -1
        color, rim = colors[int(rng.integers(4))], colors[int(rng.integers(4))]
        x = side * float(road + rng.uniform(0.3, 0.9))
        size, height = float(rng.uniform(0.65, 1.0)), float(rng.uniform(2.3, 3.0))
        yield Thing("sign", x, z, size, height, 0.05, color, rim, int(rng.integers(3)))


def _cars(rng: np.random.Generator, road: float, lanes: tuple[float, ...], end: float, speed: float) -> Iterator[Thing]:
    edges = (-road, *lanes, road)
    for left, right in itertools.pairwise(edges):
        centre = (left + right) / 2
        ahead = centre > 0
        pace = speed + rng.uniform(0, 3) if ahead else -rng.uniform(6, 11)
        reach = VIEW if ahead else end + (abs(pace) / speed * (end - VIEW) if speed else 0.0)
        for z in _spaced(rng, reach, 0.045, 8.0, first=7.0):
            yield _car(rng, float(centre + rng.uniform(-0.3, 0.3)), z, float(pace))
    # Clear of the moving traffic, with two wheels on the pavement where the street is narrow.
    parked = max(road - 0.95, (lanes[-1] + road) / 2 + 1.95)
    for side in (-1, 1):
        if rng.random() < 0.4:
            for z in _spaced(rng, end, 0.07, 5.5, first=4.0):
                yield _car(rng, side * parked, z, 0.0)


def _car(rng: np.random.Generator, x: float, z: float, vz: float) -> Thing:
    paint = [(35, 35, 40), (200, 200, 205), (120, 120, 125), (40, 40, 170), (150, 70, 40), (60, 90, 60), (40, 150, 200)]
    color = _bgr(np.array(paint[int(rng.integers(len(paint)))]) + rng.uniform(-15, 15, 3))
    van = rng.random() < 0.15
    height = float(rng.uniform(1.9, 2.4) if van else rng.uniform(1.35, 1.65))
    glass = (75.0, 62.0, 55.0)
    return Thing("car", x, z, float(rng.uniform(1.65, 1.9)), height, 4.2, color, glass, int(van), vz=vz)


def _people(rng: np.random.Generator, road: float, pavement: float, end: float, travel: float) -> Iterator[Thing]:
    for z in _spaced(rng, end, 0.18, 1.0, first=4.0):
        side = 1 if rng.random() < 0.5 else -1
        # Only where the camera does not get to in time: nobody is run over.
        crossing = z > travel + 8 and rng.random() < 0.18
        x = float(rng.uniform(-road, road)) if crossing else side * float(road + rng.uniform(0.4, pavement))
        coat = _bgr(rng.uniform(25, 215, 3))
        trousers = _bgr(np.array([60, 50, 50]) + rng.uniform(-30, 50, 3))
        pace = float(rng.uniform(0.8, 1.6)) * (1 if rng.random() < 0.5 else -1)
        vx, vz = (pace, 0.0) if crossing else (0.0, pace)
        height = float(rng.uniform(1.5, 1.9))
        yield Thing("person", x, z, 0.32 * height, height, 0.3, coat, trousers, int(rng.integers(1 << 16)), vx, vz)


def _numbered(things: list[Thing]) -> tuple[Thing, ...]:
    """Give cars and people instance ids from 1, in the order in which they were made."""
    ids = itertools.count(1)
    return tuple(replace(thing, instance=next(ids)) if thing.kind in COUNTED else thing for thing in things)


def _spaced(rng: np.random.Generator, end: float, density: float, gap: float, first: float = 3.0) -> Iterator[float]:
    """Yield places along the street, `density` of them a metre on average and never closer than `gap`."""
    if density <= 0:
        return
    z = first + float(rng.exponential(1 / density)) * float(rng.random())
    while z < end:
        yield z
        z += gap + float(rng.exponential(max(1 / density - gap, 0.1)))


def _grey(rng: np.random.Generator, low: float, high: float, spread: float) -> Color:
    return _bgr(rng.uniform(low, high) + rng.uniform(-spread, spread, 3))


def _bgr(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Color:
    blue, green, red = np.clip(values, 0, 255)
    return float(blue), float(green), float(red)
