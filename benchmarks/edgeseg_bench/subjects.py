"""What is measured: model files in the engines that read them, and code handed in from above."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.engines import ENGINES, EngineOptions, engine_for
from edgeseg_runtime.errors import ConfigError, ModelFileError
from edgeseg_runtime.instances.decode import InstanceDecoder
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.result import Result, StageTimes
from edgeseg_runtime.segmenter import MODEL_SUFFIXES, REJECTED, Segmenter

EXPORT, MANIFEST = "export", "manifest.json"
"""What `edgeseg export` calls its folder in a run, and the file that lists what it made."""

Lane = Callable[[Image], "StageTimes | None"]
"""Does a frame's whole path, from BGR frame to mask of its size, and says how long its stages took if it knows."""


Find = Callable[[Image], InstanceResult]
"""Finds the candidates in a BGR frame, those with scores from FLOOR on: average precision is about the order of all."""
FLOOR = 0.05


@dataclass(frozen=True)
class Case:
    """A model file in an engine, with so many processor threads."""

    name: str
    engine: str
    precision: str
    threads: int
    file: Path
    contract: Contract | None = None
    """For a file that carries none."""
    network: str = ""
    """Which network the file was made of, where several are measured."""


@dataclass(frozen=True)
class Extra:
    """Code handed in from above to be a row of its own, such as the original in PyTorch."""

    name: str
    engine: str
    precision: str
    names: tuple[str, ...]
    """Class names in index order."""
    segment: Callable[[Image], Mask]
    set_threads: Callable[[int], None]
    network: str = ""
    find: Find | None = None
    """Of instance models."""


@dataclass(frozen=True)
class Subject:
    """Something ready to be measured."""

    name: str
    engine: str
    precision: str
    threads: int
    file: Path | None
    names: tuple[str, ...]
    segment: Callable[[Image], Mask]
    lane: Lane
    """A frame at a time on all threads: for latency."""
    lanes: tuple[Lane, ...]
    """Several frames at a time, the threads shared out among them: for throughput."""
    set_threads: Callable[[int], None]
    """Called with a number of threads before a turn: settings that belong to the process, not to the subject."""
    network: str = ""
    find: Find | None = None
    """Of instance models."""


def discover(path: Path) -> list[Path]:
    """Return the model files that `path` is or holds at any depth, without rejected and half-written ones.

    Raises ModelFileError when there is none.
    """
    if path.is_file():
        if path.suffix not in MODEL_SUFFIXES:
            raise ModelFileError(f"{path} is not a model a device runs; give an .onnx or an OpenVINO .xml file")
        return [path]
    if not path.is_dir():
        raise ModelFileError(f"there is no model at {path}")
    found = [file for suffix in MODEL_SUFFIXES for file in path.rglob(f"*{suffix}")]
    usable = [file for file in found if not _is_off_limits(file.relative_to(path))]
    if not usable:
        raise ModelFileError(f"{path} holds no .onnx or .xml model")
    return sorted(usable)


def plan(
    files: Sequence[Path], threads: Sequence[int], engines: Sequence[str] = (), contract: Contract | None = None
) -> list[Case]:
    """Return the cases to measure: every file in the engine at home in its format, and float32 ONNX in OpenVINO too.

    Int8 ONNX files are made for ONNX Runtime, where the same graph may be far faster than in OpenVINO; they run
    elsewhere only if `engines` says so, which then holds for every file that engine reads. Raises what loading
    raises, and ConfigError when nothing is left.
    """
    for count in threads:
        if count < 1:
            raise ConfigError(f"threads must be 1 or more, got {count}")
    cases: list[Case] = []
    networks = networks_of(files)
    names = {
        file: name
        for network in set(networks.values())
        for file, name in distinct_names([file for file in files if networks[file] == network]).items()
    }
    for file in files:
        for engine, precision in _engines(file, engines, contract):
            cases += [Case(names[file], engine, precision, count, file, contract, networks[file]) for count in threads]
    if not cases:
        raise ConfigError(f"no file given runs in {', '.join(engines)}")
    return cases


def distinct_names(files: Sequence[Path]) -> dict[Path, str]:
    """Name each file by its folder if it is simply called `model`, else by its stem; longer where two would agree."""
    short = {file: file.parent.name if file.stem == "model" and file.parent.name else file.stem for file in files}
    names = list(short.values())
    return {file: name if names.count(name) == 1 else f"{file.parent.name}/{file.name}" for file, name in short.items()}


def networks_of(files: Sequence[Path]) -> dict[Path, str]:
    """Name the network that each file was made of: by the run whose export it lies in.

    Empty where all files are of one network, and for files that lie in no export, which count as one network too.
    """
    exports = {file: _export_of(file) for file in files}
    found = {export for export in exports.values() if export is not None}
    if len(set(exports.values())) == 1:
        return dict.fromkeys(files, "")
    short = {export: export.parent.name if export.name == EXPORT else export.name for export in found}
    names = list(short.values())
    distinct = {export: name if names.count(name) == 1 else export.as_posix() for export, name in short.items()}
    return {file: distinct[export] if export is not None else "" for file, export in exports.items()}


def _export_of(file: Path) -> Path | None:
    """Return the folder with the manifest that tells of `file`: its own or the one above."""
    return next((folder for folder in list(file.resolve().parents)[:2] if (folder / MANIFEST).is_file()), None)


def load(case: Case) -> Subject:
    """Load a case twice: on all its threads for latency, and with one lane a thread for throughput."""

    def segmenter(lanes: int) -> Segmenter:
        return Segmenter.load(case.file, engine=case.engine, threads=case.threads, lanes=lanes, contract=case.contract)

    single = segmenter(1)
    shared = single if case.threads == 1 else segmenter(case.threads)
    lanes = tuple(_timed(shared.lane()) for _ in range(case.threads))
    return Subject(
        case.name,
        case.engine,
        case.precision,
        case.threads,
        case.file,
        single.contract.names,
        lambda frame: single(frame).mask,
        _timed(single),
        lanes,
        cv2.setNumThreads,
        case.network,
        _finder(single) if single.contract.task == "instance" else None,
    )


def with_threads(extra: Extra, threads: int) -> Subject:
    """Make a subject of code handed in. It does one frame at a time, for throughput too."""

    def set_threads(count: int) -> None:
        cv2.setNumThreads(count)
        extra.set_threads(threads)  # its one lane has all the threads, also when throughput is measured

    def lane(frame: Image) -> None:
        extra.segment(frame)

    return Subject(
        extra.name,
        extra.engine,
        extra.precision,
        threads,
        None,
        extra.names,
        extra.segment,
        lane,
        (lane,),
        set_threads,
        extra.network,
        extra.find,
    )


def _finder(segmenter: Segmenter) -> Find:
    lane = segmenter.lane()
    decode = InstanceDecoder(segmenter.contract, (FLOOR,) * len(segmenter.contract.labels))

    def find(frame: Image) -> InstanceResult:
        return decode(lane.infer(lane.preprocess(frame)), frame.shape[0], frame.shape[1])

    return find


def _timed(segment: Callable[[Image], Result]) -> Lane:
    def lane(frame: Image) -> StageTimes:
        result = segment(frame)
        _ = result.mask  # objects are pasted when somebody asks
        return result.times

    return lane


def _engines(file: Path, asked: Sequence[str], contract: Contract | None) -> list[tuple[str, str]]:
    """Return the engines to run a file in, and the precision it asks for."""
    options = EngineOptions(threads=1, contract=contract)
    if asked:
        kinds = [engine_for(file, name) for name in asked]
        return [
            (kind.name, kind(file, options).precision) for kind in kinds if file.suffix in kind.capabilities().suffixes
        ]
    home = engine_for(file, None)
    precision = home(file, options).precision
    also = [name for name in ENGINES if name != home.name and file.suffix in _suffixes(name) and precision == "float32"]
    return [(name, precision) for name in (home.name, *also)]


def _suffixes(engine: str) -> tuple[str, ...]:
    suffixes: tuple[str, ...] = ENGINES[engine].capabilities().suffixes
    return suffixes


def _is_off_limits(relative: Path) -> bool:
    return REJECTED in relative.parts or any(part.startswith(".") for part in relative.parts)


def file_bytes(file: Path) -> int:
    """Return the size of a model with what belongs to it: an IR's weights, an ONNX file's external data."""
    companions: list[Path] = [file.with_suffix(".bin")] if file.suffix == ".xml" else [Path(f"{file}.data")]
    return sum(part.stat().st_size for part in (file, *companions) if part.is_file())
