"""What the temporal tricks of a live stream gain and cost, on video with the truth of every frame.

    python benchmarks/temporal.py --out benchmarks/results/temporal_oracle.json
    python benchmarks/temporal.py --model runs/camvid/export/openvino-int8 --out temporal_model.json
    python benchmarks/temporal.py --model runs/camvid/open/openvino-int8 --sizes --out temporal_sizes.json

Without a model, an oracle stands in for it, so that what a trick alone loses is seen: `truth` says the true masks,
`noisy` gives scores with errors of a stated kind. For each clip and trick: mean IoU against the truth, the two figures
of `edgeseg_bench.temporal_metrics`, and the core-milliseconds that the trick costs a frame on one thread. Clips:
CamVid's validation drive (seen in training by way of other frames of the same drive, so a trained model's figures are
optimistic), the DAVIS sequences that are there, and a standing and a creeping camera made of CamVid's first frame.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from time import process_time
from typing import Any

import cv2
from cyclopts import Parameter

from command_line import run_command
from edgeseg.cli.console import note, table
from edgeseg_bench.floors import one_opencv_thread
from edgeseg_bench.report import circumstances, load_average
from edgeseg_bench.temporal_clips import Clip, camvid_clip, davis_clips, standing
from edgeseg_bench.temporal_oracle import NoiseModel, filled, noisy_scores
from edgeseg_bench.temporal_pictures import comparison
from edgeseg_bench.temporal_tricks import Outcome, Outputs, Trick, play
from edgeseg_runtime.contract import Contract, Label, voc_color
from edgeseg_runtime.decode import ScoreDecoder
from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.files import write_bytes, write_json
from edgeseg_runtime.segmenter import Segmenter
from edgeseg_runtime.serving.sizes import contracts_at

RESULT = Path(__file__).parent / "results" / "temporal_oracle.json"

STILL_SECONDS, STILL_SIGMA = 20.0, 3.0
"""Length and noise (grey levels) of the clips made from one frame."""

OFF = Trick()
CARRIED = [Trick(every=every, warp=warp) for every in (2, 3, 5, 10) for warp in (False, True)]
SKIPPED = [Trick(skip=True), Trick(skip=True, warp=True)]
LABELLED = [Trick(smooth="labels"), Trick(smooth="labels, no motion")]
SMOOTHED = [Trick(smooth="scores"), Trick(smooth="scores, no motion"), Trick(skip=True, smooth="scores")]
TOGETHER = [Trick(every=every, warp=True, smooth="scores") for every in (2, 3, 5)]
NEEDS_SCORES = [*SMOOTHED, *TOGETHER]

FIGURES = ("inferred", "mean_iou", "consistency", "flicker", "trick_ms")


@Parameter(name="*")
@dataclass(frozen=True)
class TemporalConfig:
    """What is measured."""

    model: tuple[Path, ...] = ()
    """Exported files to measure with; the oracle if not given."""
    sizes: bool = False
    """Play no trick, but measure the models at the input sizes of `--adapt`; for those exported with --dynamic-size."""
    data: Path = Path(os.environ.get("EDGESEG_DATA", "../shared/data"))
    """Folder that holds camvid and davis; EDGESEG_DATA if not given."""
    seed: int = 0
    """Of all noise."""
    out: Path = RESULT
    """JSON file to write."""
    picture: Path | None = None
    """PNG to draw: a held mask beside a carried one, on the last clip."""


def temporal(*, config: TemporalConfig | None = None) -> None:
    """Play every clip with every trick and write down what became of its masks."""
    config = config or TemporalConfig()
    if config.sizes and not config.model:
        raise ConfigError("--sizes is about models; name one with --model")
    before = load_average()
    rows: list[dict[str, Any]] = []
    clips: list[dict[str, Any]] = []
    for clip in all_clips(config):
        size = list(clip.truths[0].shape)
        clips.append({"name": clip.name, "frames": len(clip.frames), "size": size, "fps": clip.fps})
        where = clip.origins
        for name, outputs, model_ms in sources(config, clip):
            for trick in tricks_for(config, outputs):
                outcome = play(clip, outputs, trick, where)
                rows.append({"source": name, "model_ms": model_ms, **outcome.as_dict()})
                note(" · ".join([name, *cells(outcome)]))
    if not rows:
        raise ConfigError("no clip has the model's classes: it must know CamVid's 11 or DAVIS' 2, by their names")
    averages = means(rows)
    result = {
        **circumstances(before),
        "clips": clips,
        "noise": None if config.model else NoiseModel(seed=config.seed).as_dict(),
        "still": {"seconds": STILL_SECONDS, "sigma": STILL_SIGMA},
        "rows": rows,
        "means": averages,
    }
    write_json(config.out, result)
    headers = ["source", "trick", "clips", "inferred", "mIoU", "consistency", "flicker", "trick ms"]
    table("means over the clips that move", headers, [list(map(str, row.values())) for row in averages])
    if config.picture is not None:
        draw(clip, config.picture)


def all_clips(config: TemporalConfig) -> Iterator[Clip]:
    """Yield every clip there is."""
    drive = camvid_clip(config.data)
    yield drive
    yield standing(drive, STILL_SECONDS, 0.0, STILL_SIGMA, config.seed)
    yield standing(drive, STILL_SECONDS, 1.0, STILL_SIGMA, config.seed)
    yield from davis_clips(config.data)


def tricks_for(config: TemporalConfig, outputs: Outputs) -> list[Trick]:
    """Return what is done to each clip."""
    if config.sizes:
        return [OFF]
    return [OFF, *CARRIED, *SKIPPED, *LABELLED, *(NEEDS_SCORES if outputs.scores is not None else ())]


def sources(config: TemporalConfig, clip: Clip) -> Iterator[tuple[str, Outputs, float | None]]:
    """Yield the name of each model or oracle, what it says of the clip, and its core-milliseconds a frame."""
    if config.model:
        for path in config.model:
            whole = Segmenter.load(path, threads=1)
            if whole.contract.names != clip.names:
                continue
            for contract in contracts_at(whole.contract) if config.sizes else (whole.contract,):
                segmenter = Segmenter.load(path, threads=1, contract=contract)
                name = f"{path.as_posix()} at {contract.height}×{contract.width}" if config.sizes else path.as_posix()
                yield name, *model_outputs(segmenter, clip)
        return
    contract = clip_contract(clip)
    yield "truth", Outputs(contract, [filled(truth) for truth in clip.truths]), None
    scores = noisy_scores(clip, NoiseModel(seed=config.seed))
    decoder = ScoreDecoder(*contract.size)
    yield "noisy", Outputs(contract, [decoder(one) for one in scores], scores, decoder), None


def clip_contract(clip: Clip) -> Contract:
    """Return the contract of a model that takes the clip's frames as they are."""
    labels = tuple(Label(name, voc_color(index)) for index, name in enumerate(clip.names))
    return Contract(labels, *clip.truths[0].shape)


def model_outputs(segmenter: Segmenter, clip: Clip) -> tuple[Outputs, float]:
    """Run a model over a clip; return what it says and its core-milliseconds a frame on one thread."""
    lane, (height, width) = segmenter.lane(), clip.truths[0].shape
    segmenter.warm_up()
    masks, scores = [], []
    with one_opencv_thread():
        started = process_time()
        for image in clip.frames:
            raw = lane.infer(lane.preprocess(image))
            scores.append(raw[0].copy())
            masks.append(lane.decode(raw, height, width).mask)
        seconds = process_time() - started
    milliseconds = round(1e3 * seconds / len(clip.frames), 3)
    if segmenter.contract.output == "mask":
        return Outputs(segmenter.contract, masks), milliseconds
    return Outputs(segmenter.contract, masks, scores, lambda raw: lane.decode((raw,), height, width).mask), milliseconds


def means(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the mean of each source and trick over the clips that were filmed, in the order of the rows."""
    filmed = [row for row in rows if not row["clip"].endswith(("-still", "-drift"))]
    answer = []
    for source, trick in dict.fromkeys((row["source"], row["trick"]) for row in filmed):
        same = [row for row in filmed if (row["source"], row["trick"]) == (source, trick)]
        figures = {name: round(fmean(row[name] for row in same), 4) for name in FIGURES}
        answer.append({"source": source, "trick": trick, "clips": len(same), **figures})
    return answer


def draw(clip: Clip, path: Path) -> None:
    """Draw what holding and carrying the true mask make of a clip."""
    contract = clip_contract(clip)
    outputs = Outputs(contract, [filled(truth) for truth in clip.truths])
    last = len(clip.frames) - 1
    places = [last * part // 4 // 5 * 5 + 4 for part in (1, 2, 3)]  # the last frame before a keyframe
    sheet = comparison(clip, outputs, [Trick(every=5), Trick(every=5, warp=True)], places, contract)
    done, data = cv2.imencode(".png", cv2.resize(sheet, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    assert done
    write_bytes(path, data.tobytes())
    note(f"wrote {path}")


def cells(outcome: Outcome) -> list[str]:
    """Return a row of the log."""
    figures = (f"{name} {getattr(outcome, name):.4f}" for name in FIGURES)
    return [outcome.clip, outcome.trick, *figures]


if __name__ == "__main__":
    run_command(temporal)
