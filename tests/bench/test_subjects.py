from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import openvino as ov
import pytest

from edgeseg_bench.subjects import (
    Case,
    Extra,
    discover,
    distinct_names,
    file_bytes,
    load,
    networks_of,
    plan,
    with_threads,
)
from edgeseg_runtime.contract import Contract, Precision
from edgeseg_runtime.errors import ConfigError, EngineError, ModelFileError

if TYPE_CHECKING:
    from tests.conftest import TinyModel


@pytest.fixture
def export(tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path) -> Path:
    """A folder as `edgeseg export` leaves it, with a rejected and a half-written file."""
    root = tmp_path / "export"
    for name in ("onnx-float32", "onnx-int8", "openvino-int8", "rejected/openvino-int8", ".onnx-int8.1a.partial"):
        (root / name).mkdir(parents=True)
    (root / "report.html").touch()
    precisions: dict[str, Precision] = {"onnx-float32": "float32", "onnx-int8": "int8"}
    for name, precision in precisions.items():
        tiny_model(colour_contract, root / name / "model.onnx", precision=precision)
    model = ov.Core().read_model(root / "onnx-int8" / "model.onnx")
    model.set_rt_info(colour_contract.to_json(), ["edgeseg", "contract"])
    model.set_rt_info("int8", ["edgeseg", "precision"])
    for name in ("openvino-int8", "rejected/openvino-int8"):
        ov.save_model(model, root / name / "model.xml")
    (root / ".onnx-int8.1a.partial" / "model.onnx").write_bytes(b"half")
    return root


def combinations(cases: list[Case]) -> list[tuple[str, str, str, int]]:
    return [(case.name, case.engine, case.precision, case.threads) for case in cases]


def test_every_artifact_is_found_but_no_rejected_or_half_written_one(export: Path) -> None:
    found = [path.relative_to(export).as_posix() for path in discover(export)]
    assert found == ["onnx-float32/model.onnx", "onnx-int8/model.onnx", "openvino-int8/model.xml"]
    assert discover(export / "onnx-int8") == discover(export / "onnx-int8" / "model.onnx")


def test_a_folder_that_lies_in_a_hidden_one_can_be_measured(tmp_path: Path) -> None:
    (tmp_path / ".cache" / "rejected").mkdir(parents=True)
    (tmp_path / ".cache" / "rejected" / "model.onnx").touch()
    assert len(discover(tmp_path / ".cache" / "rejected")) == 1  # named outright: the person knows


@pytest.mark.parametrize(
    ("name", "words"), [("nowhere", "no model at"), ("empty", "holds no"), ("best.pt", "not a model")]
)
def test_places_without_models_are_named(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "best.pt").touch()
    with pytest.raises(ModelFileError, match=words):
        discover(tmp_path / name)


def test_files_run_in_their_own_engine_and_float32_onnx_in_both(export: Path) -> None:
    assert combinations(plan(discover(export), [1, 2])) == [
        ("onnx-float32", "onnxruntime", "float32", 1),
        ("onnx-float32", "onnxruntime", "float32", 2),
        ("onnx-float32", "openvino", "float32", 1),
        ("onnx-float32", "openvino", "float32", 2),
        ("onnx-int8", "onnxruntime", "int8", 1),
        ("onnx-int8", "onnxruntime", "int8", 2),
        ("openvino-int8", "openvino", "int8", 1),
        ("openvino-int8", "openvino", "int8", 2),
    ]


def test_an_engine_asked_for_runs_all_it_reads_and_no_other_runs(export: Path) -> None:
    names = combinations(plan(discover(export), [1], ["openvino"]))
    assert [(name, engine) for name, engine, _, _ in names] == [
        ("onnx-float32", "openvino"),
        ("onnx-int8", "openvino"),
        ("openvino-int8", "openvino"),
    ]
    names = combinations(plan(discover(export), [1], ["onnxruntime"]))
    assert [name for name, *_ in names] == ["onnx-float32", "onnx-int8"]


def test_plans_that_cannot_be_are_refused(export: Path) -> None:
    with pytest.raises(ConfigError, match="1 or more, got 0"):
        plan(discover(export), [0])
    with pytest.raises(EngineError, match="unknown"):
        plan(discover(export), [1], ["abacus"])
    with pytest.raises(ConfigError, match="no file given runs in onnxruntime"):
        plan(discover(export / "openvino-int8"), [1], ["onnxruntime"])


def test_names_are_short_and_distinct() -> None:
    paths = [Path("e/onnx-int8/model.onnx"), Path("e/lone.onnx"), Path("e/both/model.onnx"), Path("e/both/model.xml")]
    assert list(distinct_names(paths).values()) == ["onnx-int8", "lone", "both/model.onnx", "both/model.xml"]


def _exports(root: Path, *runs: str) -> list[Path]:
    files = []
    for run in runs:
        (root / run / "onnx-int8").mkdir(parents=True)
        (root / run / "manifest.json").touch()
        files += [root / run / "onnx-int8" / "model.onnx", root / run / "lone.onnx"]
    return files


def test_files_of_one_export_are_one_network(tmp_path: Path) -> None:
    files = [*_exports(tmp_path, "a/export")]
    assert networks_of(files) == dict.fromkeys(files, "")
    elsewhere = [tmp_path / "x.onnx", tmp_path / "y" / "model.onnx"]
    assert networks_of(elsewhere) == dict.fromkeys(elsewhere, "")


def test_each_export_is_a_network_named_by_its_run(tmp_path: Path) -> None:
    files = _exports(tmp_path, "a/export", "b/export", "c")
    assert list(networks_of(files).values()) == ["a", "a", "b", "b", "c", "c"]
    assert networks_of([*files, tmp_path / "x.onnx"])[tmp_path / "x.onnx"] == ""


def test_runs_of_one_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    files = _exports(tmp_path, "one/a/export", "two/a/export")
    names = list(dict.fromkeys(networks_of(files).values()))
    assert names == [(tmp_path / run / "a" / "export").as_posix() for run in ("one", "two")]


def test_the_same_file_name_in_two_exports_stays_short(
    tmp_path: Path, tiny_model: TinyModel, colour_contract: Contract
) -> None:
    files = [file for file in _exports(tmp_path, "a/export", "b/export") if file.name == "model.onnx"]
    for file in files:
        tiny_model(colour_contract, file)
    cases = plan(files, [1], ["onnxruntime"])
    assert [(case.network, case.name) for case in cases] == [("a", "onnx-int8"), ("b", "onnx-int8")]
    assert [load(case).network for case in cases] == ["a", "b"]


def test_a_loaded_case_segments_and_has_a_lane_a_thread(export: Path, colour_contract: Contract) -> None:
    frame = np.zeros((24, 32, 3), np.uint8)
    frame[..., 1] = 255
    for case in plan(discover(export), [1, 2]):
        subject = load(case)
        assert subject.names == colour_contract.names
        assert (subject.segment(frame) == 1).all()
        assert len(subject.lanes) == case.threads
        for lane in (subject.lane, *subject.lanes):
            times = lane(frame)
            assert times is not None and times.infer > 0


def test_a_contract_reaches_files_that_carry_none(
    tiny_model: TinyModel, colour_contract: Contract, tmp_path: Path
) -> None:
    other = replace(colour_contract, color_order="bgr")
    file = tiny_model(colour_contract, tmp_path / "model.onnx")
    frame = np.zeros((24, 32, 3), np.uint8)
    frame[..., 0] = 255  # blue: class 0 for a net that takes BGR
    (case,) = plan([file], [1], ["onnxruntime"], other)
    assert (load(case).segment(frame) == 0).all()


def test_size_counts_what_belongs_to_the_model(tmp_path: Path) -> None:
    sizes = {"m.xml": 10, "m.bin": 200, "n.onnx": 3000, "n.onnx.data": 40000, "n.bin": 500000}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(bytes(size))
    assert file_bytes(tmp_path / "m.xml") == 210
    assert file_bytes(tmp_path / "n.onnx") == 43000


def test_code_handed_in_keeps_all_its_threads_in_throughput_too() -> None:
    asked: list[int] = []
    extra = Extra("net", "pytorch", "float32", ("a",), lambda frame: frame[..., 0], asked.append)
    subject = with_threads(extra, 4)
    before = cv2.getNumThreads()
    try:
        subject.set_threads(1)
        assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before)
    assert asked == [4]
    assert subject.file is None and subject.threads == 4
    assert subject.lane(np.zeros((2, 2, 3), np.uint8)) is None and len(subject.lanes) == 1
