"""What following many objects costs a frame.

    python benchmarks/following.py

The outputs of a model are made up (seeded) as in `instances.py`: 100 objects of random sizes at random places of a
1280×720 frame, here each going its way. All are of one class, so that every object could be any that it overlaps. Two
things are timed, on one thread: `track`, giving ids, and `follow`, which is `track`, leaving out what is unsure, a line
and a zone to count at. Pasting the masks comes before and is not counted; `instances.py` measures it. Medians and 95th
percentiles over the frames: of the time on the clock, and of processor time, which a busy machine disturbs less.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from cyclopts import Parameter

from command_line import run_command
from edgeseg.cli.console import note
from edgeseg_bench.floors import one_opencv_thread
from edgeseg_bench.object_scenes import HEIGHT, SCENES, WIDTH, decoder, detections, moving, scene_boxes, to_input
from edgeseg_bench.report import circumstances, load_average
from edgeseg_runtime.events import Events
from edgeseg_runtime.files import write_json
from edgeseg_runtime.instances.following import Follower, Following
from edgeseg_runtime.instances.lines import CountLine
from edgeseg_runtime.instances.tracking import NO_ID, Tracker
from edgeseg_runtime.memory import keep_freed_memory
from edgeseg_runtime.zones.polygon import Zone

RESULT = Path(__file__).parent / "results" / "instance_following.json"
FPS = 25.0
WANTED_MS = 5.0
HOW = Following(
    lines=(CountLine("middle", (0, 0.5), (1, 0.5)),),
    zones=lambda _: (Zone("left", ((0, 0), (0.5, 0), (0.5, 1), (0, 1))),),
)


@Parameter(name="*")
@dataclass(frozen=True)
class FollowingConfig:
    """What is followed."""

    objects: int = 100
    """In each frame."""
    frames: int = 60
    """Of each scene, at 25 a second."""
    seed: int = 0
    """Of the scenes."""
    out: Path = RESULT
    """JSON file to write."""


def measure(*, config: FollowingConfig | None = None) -> int:
    """Follow every scene; the exit code is 1 where that takes more than 5 core-milliseconds a frame."""
    config = config or FollowingConfig()
    keep_freed_memory()
    before = load_average()
    with one_opencv_thread():
        scenes = {name: one_scene(sides, config) for name, sides in SCENES.items()}
    write_json(
        config.out,
        {
            **circumstances(before),
            "frame": [HEIGHT, WIDTH],
            "frames": config.frames,
            "scenes": scenes,
        },
    )
    for name, scene in scenes.items():
        times = ", ".join(f"{way} {ms[0]:.2f}, p95 {ms[1]:.2f} core-ms" for way, ms in scene["core_ms"].items())
        note(f"{name}: {times}; {scene['ids']} ids for {scene['objects']} objects")
    note(f"wrote {config.out}")
    return 0 if all(scene["core_ms"]["follow"][0] <= WANTED_MS for scene in scenes.values()) else 1


def one_scene(sides: tuple[int, int], config: FollowingConfig) -> dict[str, Any]:
    """Follow the objects of one scene in two ways, in turns; return plain JSON values."""
    rng = np.random.default_rng(config.seed)
    boxes = scene_boxes(rng, config.objects, sides)
    _, labels, scores, masks = detections(rng, boxes)
    decode = decoder("detections")
    tracker, follower = Tracker(), Follower("", Events(), HOW)
    ms: dict[str, list[float]] = {"track": [], "follow": []}
    core_ms: dict[str, list[float]] = {"track": [], "follow": []}
    ids: set[int] = set()
    for index, placed in enumerate(moving(rng, boxes, config.frames, FPS)):
        for way, work in (("track", tracker.update), ("follow", follower)):
            result = decode((to_input(placed), np.zeros_like(labels), scores, masks), HEIGHT, WIDTH)
            _ = result.regions
            started, begun = perf_counter(), process_time()
            work(result, index / FPS)
            core_ms[way].append(1e3 * (process_time() - begun))
            ms[way].append(1e3 * (perf_counter() - started))
        ids |= tracker.ids - {NO_ID}
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return {
        "sides_px": sides,
        "objects": config.objects,
        "ids": len(ids),
        "boxes_per_frame_area": round(float(area.sum()) / (HEIGHT * WIDTH), 2),
        "ms": {way: spread(times) for way, times in ms.items()},
        "core_ms": {way: spread(times) for way, times in core_ms.items()},
    }


def spread(times: list[float]) -> list[float]:
    """Return the median and the 95th percentile."""
    return [round(float(value), 3) for value in np.percentile(times, [50, 95])]


if __name__ == "__main__":
    run_command(measure)
