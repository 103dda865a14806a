"""How each kind of thing in the street is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgeseg.data.canvas import NEAR, Canvas, Points, flat
from edgeseg.data.scene import BUILDING, CAR, PERSON, POLE, SIGN, VEGETATION, Color, Kind, Thing

FINE = 30.0
"""Metres beyond which details smaller than a pixel are left out."""
CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 15)[:-1]), np.sin(np.linspace(0, 2 * np.pi, 15)[:-1])], 1)
_SQUARE = np.array([[-0.85, -0.85], [0.85, -0.85], [0.85, 0.85], [-0.85, 0.85]])
SIGN_SHAPES = (CIRCLE, np.array([[0.0, -1.1], [1.15, 0.85], [-1.15, 0.85]]), _SQUARE)


def _building(canvas: Canvas, thing: Thing) -> None:
    side = 1.0 if thing.x > 0 else -1.0
    inner, outer = thing.x - side * thing.width / 2, thing.x + side * thing.width / 2
    near, far, top = max(thing.z, NEAR), thing.z + thing.depth, thing.height
    sun = canvas.light.sun * side
    lit = 0.95 - 0.25 * sun
    wall = [[inner, 0, near], [inner, 0, far], [inner, top, far], [inner, top, near]]
    front = [[inner, 0, near], [outer, 0, near], [outer, top, near], [inner, top, near]]
    middle = (near + far) / 2
    if thing.z > NEAR:
        canvas.fill(canvas.project(front), canvas.shade(thing.color, near, 0.82), BUILDING)
    canvas.fill(canvas.project(wall), canvas.shade(thing.color, middle, lit), BUILDING)
    floors, columns = max(1, int(top / 3)), max(1, int(thing.depth / 2.4))
    y = (np.arange(floors) + 0.35) * top / floors
    z = thing.z + (np.arange(columns) + 0.25) * thing.depth / columns
    panes = np.zeros((floors, columns, 4, 3))
    panes[..., 0] = inner
    panes[..., :2, 1] = y[:, None, None]
    panes[..., 2:, 1] = (y + 0.45 * top / floors)[:, None, None]
    panes[..., (0, 3), 2] = z[None, :, None]
    panes[..., (1, 2), 2] = (z + 0.5 * thing.depth / columns)[None, :, None]
    visible = panes[panes[..., 0, 2] > NEAR]
    if len(visible):
        lights = (np.arange(len(visible)) * 7919 + thing.style) % 5 == 0
        canvas.paint(canvas.project(visible), canvas.shade(thing.accent, middle, lit))
        if canvas.light.night and lights.any():
            canvas.paint(canvas.project(visible[lights]), (90.0, 175.0, 215.0))


def _tree(canvas: Canvas, thing: Thing) -> None:
    if thing.z < NEAR:
        return
    _post(canvas, thing, 0.22, 0.5 * thing.height, thing.accent, VEGETATION)
    _leaves(canvas, thing, 0.68 * thing.height, 0.2 * thing.height, 0.45 * thing.width)


def _bush(canvas: Canvas, thing: Thing) -> None:
    if thing.z >= NEAR:
        _leaves(canvas, thing, 0.45 * thing.height, 0.2 * thing.height, 0.55 * thing.height)


def _leaves(canvas: Canvas, thing: Thing, middle: float, spread: float, radius: float) -> None:
    """Draw a crown of discs around the height `middle`, the low and dark ones first."""
    for dx, dy, size in _blobs(thing.style, 5 if thing.z < FINE else 2):
        centre = (thing.x + dx * thing.width * 0.35, middle + dy * spread, thing.z)
        color = canvas.shade(thing.color, thing.z, 1.0 + 0.25 * dy)
        _disc(canvas, centre, size * radius, color, VEGETATION)


def _blobs(style: int, count: int) -> list[tuple[float, float, float]]:
    rng = np.random.default_rng(style)
    values = rng.uniform([-1, -1, 0.7], [1, 1, 1.1], (count, 3))
    order = np.argsort(values[:, 1])
    return [(float(dx), float(y), float(radius)) for dx, y, radius in values[order]]


def _pole(canvas: Canvas, thing: Thing) -> None:
    if thing.z < NEAR:
        return
    _post(canvas, thing, thing.width, thing.height, thing.color, POLE)
    # An arm over the road; a lamp at its end.
    thickness = max(thing.width * 0.7, 1.6 / canvas.metre(thing.z))
    tip = thing.x - thing.style * 1.3
    low = thing.height - thickness
    arm = [(thing.x, low), (tip, low), (tip, thing.height), (thing.x, thing.height)]
    canvas.fill(_upright(canvas, arm, thing.z), canvas.shade(thing.color, thing.z), POLE)
    if canvas.light.night:
        lamp = canvas.project([tip, thing.height - thickness, thing.z])
        canvas.paint(lamp + CIRCLE * max(2.0, 0.22 * canvas.metre(thing.z)), (170.0, 225.0, 250.0))


def _sign(canvas: Canvas, thing: Thing) -> None:
    if thing.z < NEAR:
        return
    _post(canvas, thing, 0.08, thing.height, (120.0, 120.0, 120.0), POLE)
    centre = canvas.project([thing.x, thing.height, thing.z])
    radius = thing.width / 2 * canvas.metre(thing.z)
    shape = SIGN_SHAPES[thing.style]
    shine = 1.0 if not canvas.light.night else 1.6
    canvas.fill(centre + shape * radius, canvas.shade(thing.accent, thing.z, shine), SIGN)
    canvas.paint(centre + shape * radius * 0.7, canvas.shade(thing.color, thing.z, shine))


def _car(canvas: Canvas, thing: Thing) -> None:
    van = bool(thing.style)
    waist = thing.height * (0.5 if van else 0.62)
    inset = thing.width * (0.02 if van else 0.08)  # how much narrower the roof is on each side
    left, right = thing.x - thing.width / 2, thing.x + thing.width / 2
    near, far = max(thing.z, NEAR), thing.z + thing.depth
    canvas.paint(flat(canvas, left - 0.15, right + 0.15, near, far), canvas.shade((35.0, 35.0, 35.0), near))
    if left > canvas.world.shift:
        _car_flank(canvas, thing, left, waist, inset)
    elif right < canvas.world.shift:
        _car_flank(canvas, thing, right, waist, -inset)
    if thing.z > NEAR:
        _car_end(canvas, thing, waist, inset)


def _car_flank(canvas: Canvas, thing: Thing, side: float, waist: float, inset: float) -> None:
    near, far = max(thing.z, NEAR), thing.z + thing.depth
    body = [(side, 0.22, near), (side, 0.22, far), (side, waist, far), (side, waist, near)]
    canvas.fill(canvas.project(body), canvas.shade(thing.color, near, 0.8), CAR, thing.instance)
    glass = [(side, waist, near), (side, waist, far - 1.0)]
    roof = [(side + inset * 1.6, thing.height, far - 1.5), (side + inset * 1.6, thing.height, near)]
    canvas.fill(canvas.project(glass + roof), canvas.shade(thing.accent, near, 0.9), CAR, thing.instance)
    for z in (near + 0.75, far - 0.75):
        if NEAR + 0.4 < z < FINE:
            flattened = np.array([max(abs(side - canvas.world.shift) / z, 0.15), 1.0])
            wheel = canvas.project([side, 0.32, z]) + CIRCLE * flattened * 0.32 * canvas.metre(z)
            canvas.fill(wheel, canvas.shade((30.0, 30.0, 30.0), z), CAR, thing.instance)


def _car_end(canvas: Canvas, thing: Thing, waist: float, inset: float) -> None:
    x, z, half, top = thing.x, thing.z, thing.width / 2, thing.height
    black, body, glass = (30.0, 30.0, 30.0), thing.color, thing.accent
    parts = (
        (_trapezoid(x - half + 0.2, 0.0, 0.12, 0.35, 0.12), black, 1.0),
        (_trapezoid(x + half - 0.2, 0.0, 0.12, 0.35, 0.12), black, 1.0),
        (_trapezoid(x, waist, half - inset * 0.4, top, half - inset * 1.6), body, 0.9),
        (_trapezoid(x, waist, half - inset - 0.1, top - 0.12, half - inset * 1.8 - 0.1), glass, 1.0),
        (_trapezoid(x, 0.22, half, waist, half), body, 1.0),
    )
    for corners, color, light in parts:
        canvas.fill(_upright(canvas, corners, z), canvas.shade(color, z, light), CAR, thing.instance)
    if z > FINE:
        return
    plate = _upright(canvas, _trapezoid(x, 0.42, 0.25, 0.55, 0.25), z)
    canvas.paint(plate, canvas.shade((210.0, 225.0, 225.0), z))
    oncoming, night = thing.vz < 0, canvas.light.night
    lamp = (215.0, 245.0, 250.0) if oncoming else (40.0, 35.0, 190.0)
    radius = max(0.13 * canvas.metre(z), 1.0) * (1.7 if night and oncoming else 1.0)
    for lamp_x in (x - half + 0.22, x + half - 0.22):
        spot = canvas.project([lamp_x, waist * 0.78, z])
        canvas.paint(spot + CIRCLE * radius, lamp if night else canvas.shade(lamp, z))


def _person(canvas: Canvas, thing: Thing) -> None:
    if thing.z < NEAR:
        return
    x, z, tall = thing.x, thing.z, thing.height
    half = max(thing.width * 0.31, 1.2 / canvas.metre(z))
    shadow = canvas.project([x, 0.02, z]) + CIRCLE * np.array([0.35, 0.08]) * canvas.metre(z)
    canvas.paint(shadow, canvas.shade((50.0, 50.0, 50.0), z))
    stride = 0.13 * tall * np.sin(thing.style + 2 * np.pi * 1.6 * canvas.time)
    for side in (-1.0, 1.0):
        hip, foot = x + side * half * 0.4, x + side * stride
        leg = [
            (hip - half / 2, tall / 2),
            (hip + half / 2, tall / 2),
            (foot + half * 0.4, 0.0),
            (foot - half * 0.4, 0.0),
        ]
        canvas.fill(_upright(canvas, leg, z), canvas.shade(thing.accent, z), PERSON, thing.instance)
    coat = _upright(canvas, _trapezoid(x, 0.45 * tall, half, 0.845 * tall, half * 1.05), z)
    canvas.fill(coat, canvas.shade(thing.color, z), PERSON, thing.instance)
    skin = ((120.0, 150.0, 205.0), (70.0, 95.0, 140.0), (50.0, 60.0, 85.0))[thing.style % 3]
    _disc(canvas, (x, 0.91 * tall, z), 0.075 * tall, canvas.shade(skin, z), PERSON, thing.instance)


def _trapezoid(x: float, low: float, half_low: float, high: float, half_high: float) -> list[tuple[float, float]]:
    return [(x - half_low, low), (x + half_low, low), (x + half_high, high), (x - half_high, high)]


def _upright(canvas: Canvas, corners: Sequence[tuple[float, float]], z: float) -> Points:
    """Project (x, y) corners that stand at distance z."""
    return canvas.project([(x, y, z) for x, y in corners])


def _post(canvas: Canvas, thing: Thing, width: float, height: float, color: Color, label: int) -> None:
    """Draw a post of at least nearly one pixel of the final picture."""
    half = max(width, 1.6 / canvas.metre(thing.z)) / 2
    quad = _upright(canvas, _trapezoid(thing.x, 0.0, half, height, half), thing.z)
    canvas.fill(quad, canvas.shade(color, thing.z), label)


def _disc(
    canvas: Canvas, centre: tuple[float, float, float], radius: float, color: Color, label: int, instance: int = 0
) -> None:
    outline = canvas.project(centre) + CIRCLE * max(radius * canvas.metre(centre[2]), 1.0)
    canvas.fill(outline, color, label, instance)


DRAWERS: dict[Kind, Callable[[Canvas, Thing], None]] = {
    "building": _building,
    "tree": _tree,
    "bush": _bush,
    "pole": _pole,
    "sign": _sign,
    "car": _car,
    "person": _person,
}
