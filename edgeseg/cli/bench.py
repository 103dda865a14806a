"""`edgeseg bench`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from edgeseg.cli.console import answer_json, note, progress, table
from edgeseg.cli.flag_checks import check_cores, check_seconds
from edgeseg_runtime.errors import ConfigError, MissingExtraError, SourceError

if TYPE_CHECKING:
    from edgeseg_bench.report import Row
    from edgeseg_bench.subjects import Case, Extra, Find
    from edgeseg_bench.suite import ObjectScoring, Scoring
    from edgeseg_runtime.contract import Contract
    from edgeseg_runtime.preprocess import Image, Mask

FRAMES = 24
"""Pictures that latency and throughput are measured on."""
PATTERN_SIZE = (480, 640)


@Parameter(name="*")
@dataclass(frozen=True)
class BenchConfig:
    """What is measured, and on what."""

    data: str | None = None
    """Labelled pictures: measured on some of them, scored on all of --split."""
    split: str = "val"
    """Split of --data."""
    source: str | None = None
    """A clip, or pictures, to measure on; a generated pattern if neither this nor --data is given."""
    threads: Annotated[tuple[int, ...], Parameter(show_default=False)] = ()
    """Numbers of processor threads; repeat it for several. One, and every core, if not given."""
    engine: Annotated[tuple[Literal["onnxruntime", "openvino"], ...], Parameter(show_default=False)] = ()
    """Run every file it can read in this engine, and no other; repeat it for several."""
    seconds: float = 3.0
    """Of measuring, for each file, engine and number of threads."""
    max_drop: float = 1.0
    """Points of mIoU or mask AP that int8 may cost and still be called worth it."""
    original: str = "auto"
    """Run or checkpoint to measure in PyTorch beside; `auto` looks next to the files, `none` leaves it out."""
    contract: Path | None = None
    """JSON file with the contract, for files that carry none."""
    out: Path | None = None
    """Folder for bench.json and bench.png; next to the files if not given."""
    json: bool = False
    """Print the whole result as JSON."""

    def __post_init__(self) -> None:
        check_seconds(self.seconds)
        if not 0 <= self.max_drop <= 100:
            raise ConfigError(f"--max-drop must lie between 0 and 100, got {self.max_drop:g}")
        check_cores(self.threads)


def bench(paths: tuple[Path, ...], /, *, config: BenchConfig | None = None) -> None:
    """Measure exported files on this machine, and say whether int8 is worth it here.

    Latency from picture to mask and its stages, frames a second, start-up, memory,
    size and, with --data, accuracy. PATHS are model files, their folders, or a
    whole export (what failed its gate is left out). All of them take turns in one
    process, so ratios hold on a busy machine too. The files of each export are
    judged by themselves. Writes bench.json and bench.png.

    For example:

      edgeseg bench runs/camvid/export --data camvid
      edgeseg bench model.onnx --engine openvino --threads 1 --threads 4
      edgeseg bench runs/camvid/export --source clip.mp4 --seconds 10 --json
    """
    from edgeseg.cli.loading import read_contract
    from edgeseg_bench.pareto import draw
    from edgeseg_bench.report import document, load_average
    from edgeseg_bench.subjects import discover, plan
    from edgeseg_bench.suite import run_suite
    from edgeseg_bench.verdict import verdicts
    from edgeseg_runtime.files import write_json
    from edgeseg_runtime.machine import usable_cores

    config = config or BenchConfig()
    files = sorted({file for path in paths for file in discover(path)})
    threads = sorted(set(config.threads or (1, usable_cores())))
    cases = plan(files, threads, config.engine, read_contract(config.contract))
    scoring = _scoring(config, cases)
    frames, what = _frames(config, scoring)
    note(f"combinations of file, engine and threads: {len(cases)}; measured on {what}")
    extras = _originals(config, cases)
    before = load_average()
    with _as_many_threads_after(extras):
        rows = run_suite(cases, frames, config.seconds, scoring, extras, progress)
    judged = verdicts(rows, config.max_drop)
    settings = {
        "command": " ".join(["edgeseg", *sys.argv[1:]]),
        "seconds": config.seconds,
        "frames": what,
        "scored_on": f"{config.data}, split {config.split}" if scoring else None,
        "pictures_scored": len(scoring.pictures) if scoring else 0,
        "max_drop": config.max_drop,
    }
    result = document(rows, [verdict.as_dict() for verdict in judged], settings, (before, load_average()))
    out = config.out or (paths[0] if paths[0].is_dir() else paths[0].parent)
    write_json(out / "bench.json", result)
    written = ["bench.json"]
    try:
        draw(rows, out / "bench.png")
        written.append("bench.png")
    except MissingExtraError as error:
        note(f"no picture: {error}")
    if config.json:
        answer_json(result)
    else:
        _show(rows, [verdict.text for verdict in judged])
    note(f"wrote {' and '.join(str(out / name) for name in written)}")


def _show(rows: list[Row], sentences: list[str]) -> None:
    from edgeseg_bench.report import HEADERS, cells

    table("Latency of a whole frame, from picture to mask", list(HEADERS), [cells(row) for row in rows])
    for sentence in sentences:
        print(sentence)


def _scoring(config: BenchConfig, cases: list[Case]) -> Scoring | ObjectScoring | None:
    if config.data is None:
        return None
    from edgeseg.data.open import open_data
    from edgeseg_bench.suite import Scoring

    if _contract(cases[0]).task == "instance":
        return _scoring_objects(config.data, config.split)

    data = open_data(config.data, config.split, progress=progress)
    return Scoring(data, tuple(label.name for label in data.labels))


def _scoring_objects(where: str, split: str) -> ObjectScoring:
    from edgeseg.data.instances.open import open_instances
    from edgeseg.training.instances.average_precision import evaluate_instances
    from edgeseg_bench.suite import ObjectScoring

    data = open_instances(where, split, progress=progress)
    names = tuple(label.name for label in data.labels)

    def average_precision(find: Find, label: str) -> float | None:
        # the label is what shows which file is being scored
        found = evaluate_instances(find, data, names, lambda items, _, total=None: progress(items, label, total))
        return None if isnan(found.mask.ap) else found.mask.ap

    return ObjectScoring(data, names, average_precision)


def _contract(case: Case) -> Contract:
    from edgeseg_runtime.segmenter import Segmenter

    return Segmenter.load(case.file, engine=case.engine, threads=1, contract=case.contract).contract


def _frames(config: BenchConfig, scoring: Scoring | ObjectScoring | None) -> tuple[list[Image], str]:
    """Return the frames to measure on and what they are."""
    if config.source is not None:
        frames = _from_source(config.source)
        where = config.source
    elif scoring is not None:
        total = len(scoring.pictures)
        places = sorted({number * total // FRAMES for number in range(FRAMES)})
        frames = [scoring.pictures.read(place).image for place in places]
        where = f"{config.data}, split {config.split}"
    else:
        from edgeseg_bench.frames import pattern

        frames = pattern(FRAMES, *PATTERN_SIZE)
        where = "a generated pattern (--data or --source give real pictures)"
    height, width = frames[0].shape[:2]
    return frames, f"{len(frames)} frames of {height}×{width} from {where}"


def _from_source(spec: str) -> list[Image]:
    from edgeseg_runtime.sources import open_source

    source = open_source(spec)
    frames: list[Image] = []
    try:
        while len(frames) < FRAMES and (frame := source.read()) is not None:
            frames.append(frame.image)
    finally:
        source.close()
    if not frames:
        raise SourceError(f"{source.title} gives no frame")
    return frames


def _originals(config: BenchConfig, cases: list[Case]) -> list[Extra]:
    """Return the PyTorch original of each network as something to measure, or nothing, saying why."""
    if config.original == "none":
        return []
    firsts = {case.network: case for case in reversed(cases)}
    if config.original != "auto":
        if len(firsts) > 1:
            raise ConfigError("--original names one run, and files of several networks are measured; use auto or none")
        runs = dict.fromkeys(firsts, Path(config.original))
    else:
        runs = {network: run for network, case in firsts.items() if (run := _run_beside(case.file)) is not None}
    if not runs:
        note("no run lies beside the files, so PyTorch is not measured (--original names one)")
        return []
    from edgeseg_runtime.extras import require

    try:
        torch = require("torch", "train")
        require("safetensors", "train")
    except MissingExtraError as error:
        if config.original != "auto":
            raise
        note(f"PyTorch is not measured: {error}")
        return []
    return [_extra(run, firsts[network], torch) for network, run in sorted(runs.items())]


def _extra(run: Path, case: Case, torch: Any) -> Extra:
    from edgeseg.cli.evaluate_instances import original_finder
    from edgeseg.training.checkpoint import load_deployable
    from edgeseg_bench.subjects import Extra
    from edgeseg_export.deployable import Deployable, TorchSegmenter
    from edgeseg_export.instances.deployable import TorchInstanceSegmenter

    # at the size of the file it is compared with, which may be another than it was trained at
    size = _contract(case).size
    module, checkpoint = load_deployable(run, height=size[0], width=size[1])
    segment: Callable[[Image], Mask]
    if isinstance(module, Deployable):
        segment, find = TorchSegmenter(module), None
    else:
        segmenter, find = TorchInstanceSegmenter(module), original_finder(module)
        # with its objects pasted, as every file is measured
        segment = lambda frame: segmenter(frame).mask  # noqa: E731
    return Extra(
        name=checkpoint.model,
        engine="pytorch",
        precision="fake int8" if checkpoint.quantized else "float32",
        names=checkpoint.contract.names,
        segment=segment,
        set_threads=torch.set_num_threads,
        network=case.network,
        find=find,
    )


@contextmanager
def _as_many_threads_after(extras: list[Extra]) -> Iterator[None]:
    """Leave PyTorch, if it is measured, as many threads as it had: what it computes depends on them to the bit."""
    if not extras:
        yield
        return
    import torch

    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _run_beside(file: Path) -> Path | None:
    """Return the run folder that an export's file lies in."""
    for folder in list(file.resolve().parents)[:3]:
        if (folder / "best.safetensors").is_file():
            return folder
    return None
