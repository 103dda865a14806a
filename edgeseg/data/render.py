"""Draw a `World` at a moment: sky, ground, and then its things from far to near."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgeseg.data.canvas import NEAR, Canvas, Scene, flat
from edgeseg.data.scene import BUILDING, LANE, PAVEMENT, ROAD, SKY, VEGETATION, VIEW, Thing, World
from edgeseg.data.things import DRAWERS


def render(world: World, size: tuple[int, int], time: float, rng: np.random.Generator) -> Scene:
    """Draw the world at (height, width) as the camera sees it after `time` seconds; `rng` makes the sensor noise."""
    canvas = Canvas(world, size, time)
    _sky(canvas, world)
    _ground(canvas, world)
    for thing in _painting_order([_moved(thing, time, world.speed * time) for thing in world.things]):
        if canvas.sees(thing):
            DRAWERS[thing.kind](canvas, thing)
    return canvas.finish(rng)


def _moved(thing: Thing, time: float, travelled: float) -> Thing:
    if time == 0:
        return thing
    return replace(thing, x=thing.x + thing.vx * time, z=thing.z + thing.vz * time - travelled)


def _painting_order(things: list[Thing]) -> list[Thing]:
    """Sort from far to near; houses line the street, so that nothing is ever behind one, and come first."""
    return sorted(things, key=lambda thing: (thing.kind != "building", -thing.z))


def _sky(canvas: Canvas, world: World) -> None:
    rows = int(np.ceil(canvas.horizon)) + 1
    top, low = np.array(world.light.sky_top), np.array(world.light.sky_low)
    gain = 1.0 if world.light.night else min(1.0, 0.35 + 0.65 * world.light.gain)
    share = np.linspace(0, 1, rows)[:, None]
    canvas.image[:rows] = np.clip((top + (low - top) * share) * gain, 0, 255).astype(np.uint8)[:, None]
    canvas.truth[:rows] = (SKY, 0)
    _skyline(canvas, world)


def _skyline(canvas: Canvas, world: World) -> None:
    """Close the far end of the street, which would be a bare horizon, with low houses and woods."""
    height, width = canvas.image.shape[:2]
    rng = np.random.default_rng(round(world.road * 1e6))  # the same in every frame of a clip
    edges = np.linspace(-0.1, 1.1, 10) * width
    for left, right, share in zip(edges[:-1] - 4, edges[1:] + 4, rng.uniform(0.01, 0.09, 9), strict=True):
        top, low = canvas.horizon - share * height, canvas.horizon + 2
        quad = np.array([[left, top], [right, top], [right, low], [left, low]])
        wood = rng.random() < 0.5
        color = canvas.shade((70.0, 120.0, 80.0) if wood else (150.0, 150.0, 155.0), VIEW)
        canvas.fill(quad, color, VEGETATION if wood else BUILDING)


def _ground(canvas: Canvas, world: World) -> None:
    edge, far = world.road + world.pavement, 500.0
    blue, green, red = world.ground
    canvas.fill(flat(canvas, -200, 200, NEAR, far), (60.0, 115.0, 85.0), VEGETATION)
    canvas.fill(flat(canvas, -edge, edge, NEAR, far), world.ground, PAVEMENT)
    canvas.fill(flat(canvas, -world.road, world.road, NEAR, far), world.asphalt, ROAD)
    for side in (-1.0, 1.0):
        kerb = (blue * 0.75, green * 0.75, red * 0.75)
        canvas.paint(flat(canvas, side * world.road, side * (world.road + 0.15), NEAR, far), kerb)
    _lane_marks(canvas, world)
    _light_ground(canvas)


def _lane_marks(canvas: Canvas, world: World) -> None:
    period, dash, half, white = 6.0, 3.0, 0.08, (220.0, 228.0, 228.0)
    reach = VIEW * 0.7
    every = np.arange(-(canvas.travelled % period), reach, period)
    starts = every[every + dash > NEAR]
    dashes = np.zeros((len(starts), 4, 3))
    dashes[:, :2, 2] = np.maximum(starts, NEAR)[:, None]
    dashes[:, 2:, 2] = (starts + dash)[:, None]
    for x in world.lanes:
        dashes[:, (0, 3), 0], dashes[:, (1, 2), 0] = x - half, x + half
        canvas.fill(canvas.project(dashes), white, LANE)
    for x in (-world.road + 0.3, world.road - 0.3):
        canvas.fill(flat(canvas, x - half * 0.8, x + half * 0.8, NEAR, reach), white, LANE)


def _light_ground(canvas: Canvas) -> None:
    """Light and haze everything below the horizon, row by row: a row of flat ground is one distance."""
    first = int(np.ceil(canvas.horizon))
    rows = np.arange(first, len(canvas.image)) + 0.5
    distances = -canvas.focal[1] * canvas.eye[1] / np.maximum(rows - canvas.horizon, 0.5)
    black = np.array([canvas.shade((0.0, 0.0, 0.0), float(z)) for z in distances])
    white = np.array([canvas.shade((100.0, 100.0, 100.0), float(z)) for z in distances])
    lit = canvas.image[first:] * ((white - black) / 100)[:, None].astype(np.float32)
    lit += black[:, None].astype(np.float32)
    canvas.image[first:] = np.minimum(lit, 255)
