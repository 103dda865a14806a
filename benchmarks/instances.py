"""What post-processing instances costs a frame, against torchvision's pasting of the same detections.

    python benchmarks/instances.py

The outputs of a model are made up (seeded): objects of random sizes at random places of a 1280×720 frame. In one run,
on one thread and in turns: (a) `InstanceDecoder` and pasting all masks, from `detections` (n×28×28 masks in their
boxes, as Mask R-CNN gives them) and from `prototypes` (a net's candidates, three for each object, 32 prototypes of
80×80); (b) torchvision's `paste_masks_in_image` on the very detections of (a), thresholded, which is what its models
do at the end. Medians of the rounds are compared: of the time on the clock, and of processor time, which a busy
machine disturbs less. How many pixels are the same is told too: torchvision rounds boxes to whole pixels first and
lets masks fade at their borders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch
from cyclopts import Parameter
from torchvision.models.detection.roi_heads import paste_masks_in_image

from command_line import run_command
from edgeseg.cli.console import note
from edgeseg_bench.floors import one_opencv_thread
from edgeseg_bench.object_scenes import HEIGHT, SCENES, WIDTH, decoder, detections, prototypes, scene_boxes
from edgeseg_bench.report import circumstances, load_average
from edgeseg_runtime.files import write_json
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.memory import keep_freed_memory

RESULT = Path(__file__).parent / "results" / "instance_paste.json"
WANTED_MS, WANTED_TIMES = 5.0, 3.0

Lap = tuple[float, float]
"""Seconds on the clock, and of processor time."""


@Parameter(name="*")
@dataclass(frozen=True)
class PasteConfig:
    """What is compared."""

    objects: int = 100
    """In each frame."""
    rounds: int = 40
    """Turns of everything; medians count."""
    seed: int = 0
    """Of the scenes."""
    out: Path = RESULT
    """JSON file to write."""


def measure(*, config: PasteConfig | None = None) -> int:
    """Compare; the exit code is 1 where post-processing takes more than 5 core-ms, or a third of torchvision's."""
    config = config or PasteConfig()
    torch.set_num_threads(1)
    keep_freed_memory()  # as a stream does; it is for both
    before = load_average()
    with one_opencv_thread():
        scenes = {name: one_scene(sides, config) for name, sides in SCENES.items()}
    write_json(
        config.out,
        {
            **circumstances(before),
            "frame": [HEIGHT, WIDTH],
            "rounds": config.rounds,
            "scenes": scenes,
        },
    )
    for name, scene in scenes.items():
        times = ", ".join(f"{way} {value:.2f} core-ms" for way, value in scene["core_ms"].items())
        note(f"{name}: {times}; {scene['times_torchvision']:.1f} times as fast from the same detections")
    note(f"wrote {config.out}")
    quick = all(scene["core_ms"][way] <= WANTED_MS for scene in scenes.values() for way in ("detections", "prototypes"))
    return 0 if quick and all(scene["times_torchvision"] >= WANTED_TIMES for scene in scenes.values()) else 1


def one_scene(sides: tuple[int, int], config: PasteConfig) -> dict[str, Any]:
    """Measure every way of one scene in turns; return plain JSON values."""
    rng = np.random.default_rng(config.seed)
    boxes = scene_boxes(rng, config.objects, sides)
    found, candidates = detections(rng, boxes), prototypes(rng, boxes)
    masks, frame_boxes = torch.from_numpy(found[3])[:, None], torch.from_numpy(boxes)
    ours = {"detections": (decoder("detections"), found), "prototypes": (decoder("prototypes"), candidates)}
    results: dict[str, InstanceResult] = {}

    def torchvision() -> torch.Tensor:
        return paste_masks_in_image(masks, frame_boxes, (HEIGHT, WIDTH)) > 0.5  # type: ignore[no-any-return]

    def decode(way: str) -> InstanceResult:
        decoder, outputs = ours[way]
        result = decoder(outputs, HEIGHT, WIDTH)
        _ = result.regions
        return result

    laps: dict[str, list[Lap]] = {way: [] for way in (*ours, "torchvision")}
    for _ in range(config.rounds):
        for way in ours:
            results[way] = timed(lambda way=way: decode(way), laps[way])  # type: ignore[misc]
        theirs = timed(torchvision, laps["torchvision"])
    ms = {way: round(1e3 * median(wall for wall, _ in seconds), 3) for way, seconds in laps.items()}
    core_ms = {way: round(1e3 * median(core for _, core in seconds), 3) for way, seconds in laps.items()}
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return {
        "sides_px": sides,
        "objects": {way: len(result) for way, result in results.items()},
        "mean_box_px": round(float(area.mean())),
        "boxes_per_frame_area": round(float(area.sum()) / (HEIGHT * WIDTH), 2),
        "ms": ms,
        "core_ms": core_ms,
        "times_torchvision": round(core_ms["torchvision"] / core_ms["detections"], 2),
        "same_pixels_in_boxes": round(agreement(results["detections"], theirs), 5),
    }


def timed(work: Callable[[], Any], laps: list[Lap]) -> Any:
    """Do the work, note how long it took, return what it gave."""
    started, begun = perf_counter(), process_time()
    given = work()
    laps.append((perf_counter() - started, process_time() - begun))
    return given


def agreement(result: InstanceResult, theirs: torch.Tensor) -> float:
    """Return the share of the pixels in the boxes on which both say the same."""
    same = total = 0
    for region, mask in zip(result.regions, theirs[:, 0].numpy(), strict=True):
        part = mask[region.window]
        same, total = same + int((part == region.inside).sum()), total + part.size
    return same / total


if __name__ == "__main__":
    run_command(measure)
