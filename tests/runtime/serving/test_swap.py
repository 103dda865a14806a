"""Another model takes over while frames come in: none is lost, and none gets the labels of the other."""

from __future__ import annotations

import gc
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import EngineError, ModelFileError, UserError
from edgeseg_runtime.live.base import InferenceFailed, ModelNotReady
from edgeseg_runtime.preprocess import Mask
from edgeseg_runtime.serving.server import ModelServer
from edgeseg_runtime.serving.spec import ModelSpec

if TYPE_CHECKING:
    from tests.runtime.serving.conftest import Diary, MakeServer, Paint, WriteModel

NAMES = np.array(["red", "green", "blue"])
Trapped = Callable[[str], ModelSpec]


def named(mask: Mask, contract: Contract) -> Any:
    """What each pixel is, in words."""
    return np.array(contract.names)[mask]


@dataclass
class Load:
    """A thread that asks for masks as fast as they come, and checks each."""

    server: ModelServer
    paint: Paint
    right: Counter[str] = field(default_factory=Counter)
    """Frames with every pixel named right, by the first label of their contract."""
    wrong: int = 0
    naive_wrong: int = 0
    """Frames that would have been named wrong by the contract that was there when the stream began."""
    missed: list[str] = field(default_factory=list)
    longest: float = 0.0

    def __post_init__(self) -> None:
        self._first = self.server.contract
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        seed = 0
        while not self._over.is_set():
            seed = (seed + 1) % 50
            frame, mask = self.paint(seed)
            started = time.monotonic()
            try:
                result = self.server.infer(frame)
            except (InferenceFailed, ModelNotReady) as error:
                self.missed.append(repr(error))
                continue
            self.longest = max(self.longest, time.monotonic() - started)
            if (named(result.mask, result.contract) == NAMES[mask]).all():
                self.right[result.contract.names[0]] += 1
            else:
                self.wrong += 1
            self.naive_wrong += bool((named(result.mask, self._first) != NAMES[mask]).any())


@pytest.fixture
def under_load(paint: Paint) -> Iterator[Callable[[ModelServer], Load]]:
    loads: list[Load] = []

    def make(server: ModelServer) -> Load:
        loads.append(Load(server, paint))
        return loads[-1]

    yield make
    for load in loads:
        load.end()


def children() -> int:
    count = 0
    for task in tasks():
        with suppress(FileNotFoundError):  # a thread that has ended meanwhile has none
            count += len((task / "children").read_text().split())
    return count


def tasks() -> list[Path]:
    return list(Path("/proc/self/task").iterdir())


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.parametrize("swaps", [6, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])])
def test_swaps_under_load_mix_nothing_lose_nothing_and_leave_nothing(
    swaps: int, forward: ModelSpec, backward: ModelSpec, serve_model: MakeServer, under_load: Any, diary: Diary
) -> None:
    server = serve_model(forward)
    load: Load = under_load(server)
    server.swap(backward)  # whatever is set up once is there now
    gc.collect()
    threads, files, processes = len(tasks()), descriptors(), children()
    halfway = 0
    for number in range(1, swaps):
        server.swap((forward, backward)[number % 2 == 0])
        if number == swaps // 2:
            halfway = resident()
    load.end()
    assert load.missed == [] and load.wrong == 0
    assert min(load.right["red"], load.right["blue"]) > 10
    assert load.naive_wrong > 10, "the control: with one contract for all, half of the frames are named wrong"
    assert [event.data["classes"][0] for event in diary.of("model.swapped")] == ["blue", "red"] * (swaps // 2)
    assert children() == processes == 1
    assert descriptors() == files
    assert len(tasks()) <= threads
    assert resident() - halfway < 8 << 20
    assert server.status().restarts == 0


def test_status_and_contract_are_the_new_models(
    forward: ModelSpec, backward: ModelSpec, serve_model: MakeServer, paint: Paint, diary: Diary
) -> None:
    server = serve_model(forward)
    server.swap(replace(backward, engine="openvino"))
    status = server.status()
    assert (status.name, status.engine, status.path) == ("backward", "openvino", str(backward.path))
    assert server.contract.names == ("blue", "green", "red")
    frame, mask = paint(0)
    np.testing.assert_array_equal(server.infer(frame).mask, 2 - mask)
    (event,) = diary.told
    assert event.kind == "model.swapped"
    assert event.data["name"] == "backward" and event.data["classes"] == ["blue", "green", "red"]


@pytest.fixture
def bad_models(trapped: Trapped, forward: ModelSpec, tmp_path: Path) -> list[tuple[ModelSpec, type[UserError], str]]:
    garbage = tmp_path / "garbage.onnx"
    garbage.write_bytes(b"garbage")
    pickled = tmp_path / "pickled.onnx"
    pickled.write_bytes(b"\x80\x04K\x01.")
    return [
        (ModelSpec(tmp_path / "absent.onnx"), ModelFileError, "there is no model"),
        (ModelSpec(garbage), ModelFileError, "is no ONNX model"),
        (ModelSpec(pickled), ModelFileError, "is a pickle"),
        (replace(forward, device="cuda"), EngineError, "no device 'cuda'"),
        (trapped("nan"), UserError, "gives no mask of the newest frame: the model gives NaN"),
    ]


def test_a_bad_model_is_refused_and_the_old_one_serves_on_under_load(
    bad_models: list[tuple[ModelSpec, type[UserError], str]],
    forward: ModelSpec,
    serve_model: MakeServer,
    under_load: Any,
    trap: Any,
    diary: Diary,
) -> None:
    server = serve_model(forward)
    server.infer(trap)  # harmless to the model that serves; the one that refuses it comes first
    first = bad_models[-1]
    for spec, error, words in [first]:
        with pytest.raises(error, match=words):
            server.swap(spec)
    load: Load = under_load(server)
    for spec, error, words in bad_models[:-1]:
        with pytest.raises(error, match=words):
            server.swap(spec)
    load.end()
    assert load.missed == [] and load.wrong == 0 and load.right["red"] > 10
    refused = diary.of("model.refused")
    assert [event.data["path"] for event in refused] == [str(spec.path) for spec, _, _ in [first, *bad_models[:-1]]]
    assert all(event.data["line"] and len(event.data["line"].splitlines()) == 1 for event in refused)
    assert len(diary.told) == len(refused)
    assert server.status().path == str(forward.path)
    assert children() == 1


def test_a_slow_one_is_given_up_and_one_swap_is_made_at_a_time(
    write: WriteModel,
    tmp_path: Path,
    colour_contract: Contract,
    forward: ModelSpec,
    backward: ModelSpec,
    serve_model: MakeServer,
    under_load: Any,
) -> None:
    endless = ModelSpec(write(tmp_path / "endless.onnx", colour_contract, trap="hang", white=0), threads=1)
    server = serve_model(forward, load_seconds=3)
    told: list[str] = []

    def swap() -> None:
        try:
            server.swap(endless)
        except UserError as error:
            told.append(str(error))

    load: Load = under_load(server)
    started = time.monotonic()
    thread = threading.Thread(target=swap, daemon=True)
    thread.start()
    time.sleep(0.3)
    with pytest.raises(UserError, match="another model is being loaded"):
        server.swap(backward)
    thread.join(20)
    load.end()
    assert 2.5 < time.monotonic() - started < 15
    assert f"{endless.path} gave no mask of a black picture within 3 s" in told[0]
    assert load.missed == [] and load.right["red"] > 10
    assert children() == 1


def test_a_swap_heals_a_model_that_is_lost(
    forward: ModelSpec, backward: ModelSpec, serve_model: MakeServer, paint: Paint, diary: Diary
) -> None:
    server = serve_model(forward, backoff_first=30, backoff_longest=30, degraded_after=2)
    forward.path.unlink()
    assert server._serving is not None
    server._serving._child._process.kill()
    with pytest.raises(InferenceFailed):
        server.infer(paint(0)[0])
    for _ in range(1000):
        if server.status().degraded:
            break
        time.sleep(0.01)
    server.swap(backward)
    frame, mask = paint(0)
    np.testing.assert_array_equal(server.infer(frame).mask, 2 - mask)
    assert not server.status().degraded
    assert [event.kind for event in diary.told][-2:] == ["model.swapped", "model.recovered"]
    assert children() == 1


def test_no_swap_after_the_end(forward: ModelSpec, backward: ModelSpec, serve_model: MakeServer) -> None:
    server = serve_model(forward)
    server.close()
    with pytest.raises(UserError, match="the stream has ended"):
        server.swap(backward)
    assert children() == 0
