"""Objects on their way from a model's process: all of them arrive as they were, and nothing else is believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edgeseg_runtime.contract import Selection
from edgeseg_runtime.errors import ConfigError, ScoresError
from edgeseg_runtime.instances.result import InstanceResult
from edgeseg_runtime.live.base import InferenceFailed
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import UNTIMED
from edgeseg_runtime.segmenter import Segmenter
from edgeseg_runtime.serving.objects import RECORD, ObjectPad, Unbelievable
from edgeseg_runtime.serving.process import ModelProcess
from edgeseg_runtime.serving.spec import ModelSpec
from tests.instance_model import instance_contract, write_instance_model
from tests.runtime.instances.scripted import CONTRACT, Thing, at, scripted

MakeServer = Callable[..., Any]
Memory = npt.NDArray[np.uint8]


def things() -> list[Thing]:
    rng = np.random.default_rng(2)
    masks = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 5), (28, 28), (1, 1))]
    return [at(40 + 30 * number, 80, score=0.9 - 0.1 * number, values=mask) for number, mask in enumerate(masks)]


def assert_same(one: InstanceResult, other: InstanceResult) -> None:
    np.testing.assert_array_equal(one.boxes, other.boxes)
    np.testing.assert_array_equal(one.scores, other.scores)
    np.testing.assert_array_equal(one.labels, other.labels)
    assert len(one.patches) == len(other.patches)
    for mine, theirs in zip(one.patches, other.patches, strict=True):
        np.testing.assert_array_equal(mine.values, theirs.values)
        assert replace(mine, values=theirs.values).__dict__ == theirs.__dict__
    np.testing.assert_array_equal(one.mask, other.mask)
    assert (one.height, one.width, one.contract) == (other.height, other.width, other.contract)


@pytest.fixture
def memory() -> Memory:
    return np.zeros(20_000, np.uint8)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_what_is_put_is_what_is_taken(memory: Memory, number: int) -> None:
    result = scripted(things()[:number])
    pad = ObjectPad(memory)
    count = pad.put(result)
    taken = pad.take(count, CONTRACT, 120, 160, UNTIMED)
    memory[:] = 255  # the next frame's: what was taken is the taker's
    assert count == number
    assert_same(taken, result)


def test_what_does_not_fit_is_an_error_of_that_frame(memory: Memory) -> None:
    huge = scripted([at(80, 80, values=np.zeros((100, 100), np.float32))])
    with pytest.raises(ScoresError, match="masks of 1 objects"):
        ObjectPad(memory).put(huge)


def put_field(memory: Memory, name: str, value: object) -> None:
    memory[: 3 * RECORD.itemsize].view(RECORD)[1][name] = value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("box", (np.nan, 0, 1, 1)),
        ("box", (0, 0, 161, 10)),
        ("box", (-1, 0, 10, 10)),
        ("box", (10, 0, 5, 10)),
        ("score", np.nan),
        ("score", 1.5),
        ("label", 2),
        ("place", (0, 0, 0, 5)),
        ("place", (np.inf, 0, 5, 5)),
        ("place", (0, 0, 5, np.nan)),
        ("threshold", np.nan),
        ("cells", (0, 5)),
        ("cells", (28, 161)),
        ("cells", (2**32 - 1, 2**32 - 1)),
        ("cells", (120, 160)),
    ],
)
def test_what_there_cannot_be_is_not_believed(memory: Memory, name: str, value: object) -> None:
    pad = ObjectPad(memory)
    pad.put(scripted(things()))
    pad.take(3, CONTRACT, 120, 160, UNTIMED)  # the control: as it is, it is believed
    put_field(memory, name, value)
    with pytest.raises(Unbelievable):
        pad.take(3, CONTRACT, 120, 160, UNTIMED)


def test_cells_that_are_no_numbers_are_not_believed(memory: Memory) -> None:
    pad = ObjectPad(memory)
    pad.put(scripted(things()))
    memory[3 * RECORD.itemsize : 3 * RECORD.itemsize + 4].view("<f4")[:] = np.nan
    with pytest.raises(Unbelievable, match="NaN"):
        pad.take(3, CONTRACT, 120, 160, UNTIMED)


@pytest.mark.parametrize("count", [-1, 4, 2**40])
def test_more_objects_than_may_be_are_not_believed(memory: Memory, count: int) -> None:
    contract = replace(CONTRACT, selection=Selection((0.5, 0.5), limit=3))
    pad = ObjectPad(memory)
    pad.put(scripted(things()))
    assert len(pad.take(3, contract, 120, 160, UNTIMED)) == 3
    with pytest.raises(Unbelievable, match="objects"):
        pad.take(count, contract, 120, 160, UNTIMED)


def blocks(seed: int, size: tuple[int, int]) -> Image:
    """Coloured blocks, some of them dark."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 256, (3, 4, 3), np.uint8) * rng.integers(0, 2, (3, 4, 1), np.uint8)
    rows = np.arange(size[0]) * 3 // size[0]
    return np.ascontiguousarray(colours[rows][:, np.arange(size[1]) * 4 // size[1]])


@pytest.mark.parametrize("output", ["prototypes", "detections"])
@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_a_served_model_finds_what_it_finds_in_this_process(
    tmp_path: Path, serve_model: MakeServer, output: str, resize: str
) -> None:
    path = write_instance_model(instance_contract(output, resize=resize), tmp_path / "model.onnx")
    server, segmenter = serve_model(ModelSpec(path, threads=1)), Segmenter.load(path, threads=1)
    found = 0
    for seed, size in enumerate([(48, 64), (120, 200), (31, 17)]):
        frame = blocks(seed, size)
        served, direct = server.infer(frame), segmenter(frame)
        assert isinstance(served, InstanceResult) and isinstance(direct, InstanceResult)
        assert_same(served, direct)
        assert served.times.infer > 0
        found += len(served)
    assert found > 5


def test_a_tracker_is_told_of_unsure_objects_too(tmp_path: Path, serve_model: MakeServer) -> None:
    contract = instance_contract(selection=Selection((0.9, 0.9, 0.9)))
    path = write_instance_model(contract, tmp_path / "model.onnx")
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:16, :16] = (0, 0, 250)  # red, sure
    frame[16:32, 32:48] = (0, 130, 0)  # green, unsure
    frame[32:, :16] = (40, 44, 44)  # hardly anything
    plain, watchful = serve_model(ModelSpec(path, threads=1)), serve_model(ModelSpec(path, threads=1, track=True))
    assert plain.infer(frame).labels.tolist() == [0]
    result = watchful.infer(frame)
    assert result.labels.tolist() == [0, 1]
    assert result.contract == contract  # what is sure is the reader's to say
    assert Segmenter.load(path, threads=1).lane(unsure=True)(frame).area() == result.area()


def test_what_a_model_cannot_do_is_refused_in_one_line(
    tmp_path: Path, serve_model: MakeServer, forward: ModelSpec
) -> None:
    path = write_instance_model(instance_contract(), tmp_path / "model.onnx")
    with pytest.raises(ConfigError, match=r"--smooth steadies masks of classes, and .* finds objects"):
        serve_model(ModelSpec(path, threads=1, smooth=True))
    with pytest.raises(ConfigError, match=r"--track follows objects, and .* only tells classes"):
        serve_model(replace(forward, track=True))


def test_a_process_that_leaves_nonsense_is_replaced(
    tmp_path: Path, serve_model: MakeServer, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., bool]
) -> None:
    path = write_instance_model(instance_contract(), tmp_path / "model.onnx")
    server = serve_model(ModelSpec(path, threads=1))
    run = ModelProcess._run

    def lying(self: ModelProcess, message: dict[str, Any], deadline: float, seconds: float) -> dict[str, Any]:
        return run(self, message, deadline, seconds) | {"objects": 101}

    monkeypatch.setattr(ModelProcess, "_run", lying)
    with pytest.raises(InferenceFailed, match="tells of 101 objects"):
        server.infer(blocks(1, (48, 64)))
    monkeypatch.setattr(ModelProcess, "_run", run)
    assert wait_until(lambda: server.status().restarts == 1)
    assert len(server.infer(blocks(1, (48, 64)))) > 0
