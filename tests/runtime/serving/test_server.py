"""A model that fails, hangs or dies costs frames, never the stream."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgeseg_runtime.contract import MAX_PIXELS, Contract
from edgeseg_runtime.errors import ConfigError, ContractError, EngineError, ModelFileError, UserError
from edgeseg_runtime.live.base import InferenceFailed, LiveModel, ModelNotReady
from edgeseg_runtime.preprocess import Image
from edgeseg_runtime.result import Result
from edgeseg_runtime.segmenter import Segmenter
from edgeseg_runtime.serving.server import ModelServer
from edgeseg_runtime.serving.spec import ModelSpec, ServingOptions

if TYPE_CHECKING:
    from tests.runtime.serving.conftest import Diary, MakeServer, Paint, WriteModel

Trapped = Callable[[str], ModelSpec]
Wait = Callable[..., bool]


def pid_of(server: ModelServer) -> int:
    assert server._serving is not None
    return server._serving._child.pid


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until_mask(server: ModelServer, frame: Image, seconds: float = 30) -> Result:
    """Ask until a process is there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(ModelNotReady):
            return server.infer(frame)
        time.sleep(0.01)
    raise AssertionError("the model did not come back")


# --- the same as in one process ---


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_masks_are_those_of_the_segmenter_at_every_size(
    engine: str, forward: ModelSpec, serve_model: MakeServer, paint: Paint
) -> None:
    server: LiveModel = serve_model(replace(forward, engine=engine))
    alone = Segmenter.load(forward.path, engine=engine, threads=1)
    assert server.contract == alone.contract
    rng = np.random.default_rng(0)
    for size in [(24, 32), (48, 64), (24, 32), (7, 5), (480, 640), (1, 1)]:
        frame = rng.integers(0, 255, (*size, 3), np.uint8)
        result = server.infer(frame)
        np.testing.assert_array_equal(result.mask, alone(frame).mask)
        assert result.contract == alone.contract
        assert min(result.times.preprocess, result.times.infer, result.times.decode) >= 0
    status = server.status()
    assert (status.name, status.engine, status.precision, status.restarts) == ("forward", engine, "float32", 0)


def test_letterboxed_frames_and_odd_memory_come_through(
    write: WriteModel, tmp_path: Path, colour_contract: Contract, serve_model: MakeServer, paint: Paint
) -> None:
    contract = replace(colour_contract, resize="letterbox")
    path = write(tmp_path / "box.onnx", contract)
    server, alone = serve_model(ModelSpec(path, threads=1)), Segmenter.load(path, threads=1)
    wide = np.random.default_rng(1).integers(0, 255, (20, 90, 3), np.uint8)
    wide.flags.writeable = False
    for frame in (wide, wide[:, ::-1], wide[::2, 3:50]):
        np.testing.assert_array_equal(server.infer(frame).mask, alone(frame).mask)


def test_earlier_results_survive_later_frames(forward: ModelSpec, serve_model: MakeServer, paint: Paint) -> None:
    server = serve_model(forward)
    results = [server.infer(paint(seed)[0]) for seed in range(5)]
    for seed, result in enumerate(results):
        np.testing.assert_array_equal(result.mask, paint(seed)[1])
        result.mask[:] = 7  # it is the caller's


def test_a_contract_given_goes_along(
    forward: ModelSpec, colour_contract: Contract, serve_model: MakeServer, paint: Paint
) -> None:
    given = replace(colour_contract, color_order="bgr")
    server = serve_model(replace(forward, contract=given))
    frame, mask = paint(0)
    assert server.contract == given
    np.testing.assert_array_equal(server.infer(frame).mask, 2 - mask)


# --- frames that fail ---


def test_what_is_no_picture_fails_alone(forward: ModelSpec, serve_model: MakeServer, paint: Paint) -> None:
    server = serve_model(forward)
    huge = np.lib.stride_tricks.as_strided(np.zeros(3, np.uint8), (10_000, 10_000, 3), (0, 0, 1))  # of 3 bytes
    wrong: list[tuple[Any, str]] = [
        (None, "a frame must be a uint8"),
        (np.zeros((4, 4), np.uint8), "a frame must be uint8"),
        (np.zeros((4, 4, 3)), "got float64"),
        (np.zeros((0, 4, 3), np.uint8), "got uint8 0×4×3"),
        (huge, f"at most {MAX_PIXELS} pixels, got 10000×10000"),
    ]
    for frame, words in wrong:
        with pytest.raises(InferenceFailed, match=words):
            server.infer(frame)
    frame, mask = paint(0)
    np.testing.assert_array_equal(server.infer(frame).mask, mask)
    assert server.status().restarts == 0


def test_scores_that_are_no_numbers_fail_one_frame_and_end_nothing(
    trapped: Trapped, serve_model: MakeServer, paint: Paint, trap: Image, diary: Diary
) -> None:
    server = serve_model(trapped("nan"))
    before = pid_of(server)
    with pytest.raises(InferenceFailed, match="NaN or infinite"):
        server.infer(trap)
    frame, mask = paint(0)
    np.testing.assert_array_equal(server.infer(frame).mask, mask)
    assert pid_of(server) == before
    (event,) = diary.of("model.failed")
    assert event.data["reason"] == "raised" and "NaN" in event.data["line"]


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_an_engine_that_fails_is_restarted(
    engine: str, trapped: Trapped, serve_model: MakeServer, paint: Paint, trap: Image, diary: Diary
) -> None:
    """The frame makes the graph ask for 8 GiB; what state the engine is in after that, nobody knows."""
    server = serve_model(replace(trapped("memory"), engine=engine))
    before = pid_of(server)
    with pytest.raises(InferenceFailed, match="allocate"):
        server.infer(trap)
    frame, mask = paint(0)
    np.testing.assert_array_equal(until_mask(server, frame).mask, mask)
    assert pid_of(server) != before and not alive(before)
    assert server.status().restarts == 1
    assert diary.of("model.failed")[0].data["reason"] == "broken"


@pytest.mark.parametrize("engine", ["onnxruntime", pytest.param("openvino", marks=pytest.mark.slow)])
def test_a_hang_ends_at_its_deadline_and_the_model_comes_back(
    engine: str, trapped: Trapped, serve_model: MakeServer, paint: Paint, trap: Image, diary: Diary
) -> None:
    spec = replace(trapped("hang"), engine=engine)
    server = serve_model(spec, deadline_seconds=0.5)
    before = pid_of(server)
    started = time.monotonic()
    with pytest.raises(InferenceFailed, match=r"no mask within 0.5 s"):
        server.infer(trap)
    assert 0.4 < time.monotonic() - started < 5
    started = time.monotonic()
    with pytest.raises(ModelNotReady):  # at once: the restart is not this frame's to wait for
        server.infer(paint(0)[0])
    assert time.monotonic() - started < 0.3
    frame, mask = paint(1)
    np.testing.assert_array_equal(until_mask(server, frame).mask, mask)
    assert not alive(before)
    (event,) = diary.of("model.failed")
    assert (event.data["reason"], event.data["path"]) == ("deadline", str(spec.path))
    assert [event.kind for event in diary.told] == ["model.failed", "model.restarted"]


def test_in_one_process_the_same_hang_would_last(trapped: Trapped, trap: Image) -> None:
    """The control: without a process of its own the inference is still running long after the deadline, for good."""
    script = (
        "import sys, time, threading, numpy as np\n"
        "from edgeseg_runtime.segmenter import Segmenter\n"
        "seg = Segmenter.load(sys.argv[1], threads=1)\n"
        "thread = threading.Thread(target=seg, args=(np.full((24, 32, 3), 255, np.uint8),), daemon=True)\n"
        "thread.start(); thread.join(1.5); print(thread.is_alive(), flush=True)\n"
        "import os; os._exit(0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, trapped("hang").path], capture_output=True, text=True)
    assert done.stdout.strip() == "True", done.stderr


@pytest.mark.parametrize("number", [signal.SIGSEGV, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)])
def test_a_process_that_dies_between_two_frames_is_replaced(
    number: signal.Signals, forward: ModelSpec, serve_model: MakeServer, paint: Paint, diary: Diary
) -> None:
    server = serve_model(forward)
    frame, mask = paint(0)
    server.infer(frame)
    os.kill(pid_of(server), number)
    with pytest.raises(InferenceFailed, match=f"process ended: signal {number.value}"):
        server.infer(frame)
    np.testing.assert_array_equal(until_mask(server, frame).mask, mask)
    assert diary.of("model.restarted")[0].data["seconds"] > 0


def test_a_model_that_went_away_is_tried_until_it_is_back(
    forward: ModelSpec, serve_model: MakeServer, paint: Paint, diary: Diary, wait_until: Wait
) -> None:
    server = serve_model(forward, backoff_first=0.05, backoff_longest=0.1, degraded_after=3)
    away = forward.path.rename(forward.path.with_suffix(".away"))
    os.kill(pid_of(server), signal.SIGKILL)
    with pytest.raises(InferenceFailed):
        server.infer(paint(0)[0])
    assert wait_until(lambda: server.status().degraded)
    with pytest.raises(ModelNotReady):
        server.infer(paint(0)[0])
    assert any("there is no model at" in event.data["line"] for event in diary.of("model.degraded"))
    away.rename(forward.path)
    frame, mask = paint(0)
    np.testing.assert_array_equal(until_mask(server, frame).mask, mask)


def test_many_failures_are_degraded_and_a_quiet_time_is_recovery(
    trapped: Trapped, serve_model: MakeServer, paint: Paint, trap: Image, diary: Diary
) -> None:
    server = serve_model(trapped("nan"), degraded_after=3, window_seconds=1.0)
    frame = paint(0)[0]
    for _ in range(2):
        with pytest.raises(InferenceFailed):
            server.infer(trap)
    assert not server.status().degraded
    with pytest.raises(InferenceFailed):
        server.infer(trap)
    assert server.status().degraded
    server.infer(frame)
    assert server.status().degraded  # one good frame is no recovery
    time.sleep(1.1)
    server.infer(frame)
    assert not server.status().degraded
    kinds = [event.kind for event in diary.told]
    assert kinds == ["model.failed", "model.degraded", "model.recovered"]  # failures are told once a second


# --- loading ---


@pytest.mark.parametrize(
    ("engine", "device"),
    [("onnxruntime", "cuda"), ("onnxruntime", "tensorrt"), ("openvino", "gpu"), ("openvino", "npu")],
)
def test_a_device_that_is_not_there_gives_the_engines_own_line(engine: str, device: str, forward: ModelSpec) -> None:
    with pytest.raises(EngineError) as alone:
        Segmenter.load(forward.path, engine=engine, device=device)
    server = ModelServer(replace(forward, engine=engine, device=device))
    with pytest.raises(EngineError) as there:
        server.wait_ready()
    server.close()
    assert str(there.value) == str(alone.value)
    assert f"no device {device!r} here; it has cpu" in str(there.value)


def test_openvino_chooses_by_itself_when_asked_to(forward: ModelSpec, serve_model: MakeServer, paint: Paint) -> None:
    server = serve_model(replace(forward, engine="openvino", device="auto"))
    frame, mask = paint(0)
    np.testing.assert_array_equal(server.infer(frame).mask, mask)
    assert server.status().device == "auto"


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"path": Path("absent.onnx")}, ModelFileError, "there is no model at absent.onnx"),
        ({"engine": "abacus"}, EngineError, "'abacus' is unknown; choose one of onnxruntime, openvino"),
        ({"threads": -1}, EngineError, "threads must be 0"),
        ({"path": Path("/dev/null")}, ModelFileError, "there is no model at /dev/null"),
    ],
)
def test_what_cannot_be_loaded_is_said_once_and_never_retried(
    change: dict[str, Any], error: type[UserError], words: str, forward: ModelSpec, diary: Diary
) -> None:
    server = ModelServer(replace(forward, **change), diary.events)
    for _ in range(2):
        with pytest.raises(error, match=words) as caught:
            server.wait_ready()
    assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(error):
        _ = server.contract
    with pytest.raises(ModelNotReady):
        server.infer(np.zeros((4, 4, 3), np.uint8))
    assert server._household._processes == set()
    server.close()


def test_an_engine_that_crashes_while_it_loads_is_reported(forward: ModelSpec, wait_until: Wait) -> None:
    server = ModelServer(forward)
    assert wait_until(lambda: bool(server._household._processes))
    (process,) = server._household._processes
    os.kill(process._child.pid, signal.SIGSEGV)
    with pytest.raises(ModelFileError, match="ended the process that loaded it: signal 11"):
        server.wait_ready()
    server.close()


def test_the_process_has_its_limits_and_this_one_has_none(forward: ModelSpec, serve_model: MakeServer) -> None:
    server = serve_model(forward, memory_bytes=1 << 30)

    def data_limit(pid: int | str) -> str:
        lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
        return next(line.split()[3] for line in lines if line.startswith("Max data size"))

    assert 1 << 30 < int(data_limit(pid_of(server))) < 3 << 30
    assert data_limit("self") == "unlimited"
    assert Path(f"/proc/{pid_of(server)}/oom_score_adj").read_text().strip() == "800"


def test_a_contract_that_does_not_fit_is_refused(forward: ModelSpec, colour_contract: Contract) -> None:
    server = ModelServer(replace(forward, contract=replace(colour_contract, height=48)))
    with pytest.raises(ContractError, match="its contract says uint8"):
        server.wait_ready()
    server.close()


@pytest.mark.parametrize(
    "name", ["memory_bytes", "load_seconds", "deadline_seconds", "degraded_after", "backoff_first"]
)
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_limits_that_are_none_are_refused(name: str, value: float) -> None:
    changes: dict[str, Any] = {name: value}
    with pytest.raises(ConfigError, match=f"{name} must be positive, got {value}"):
        ServingOptions(**changes)


# --- the end ---


def test_close_ends_the_process_and_is_quick_even_in_a_hang(
    trapped: Trapped, serve_model: MakeServer, paint: Paint, trap: Image
) -> None:
    server = serve_model(trapped("hang"), deadline_seconds=60)
    pid = pid_of(server)
    caught: list[Exception] = []

    def ask() -> None:
        try:
            server.infer(trap)
        except Exception as error:
            caught.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    time.sleep(0.3)
    started = time.monotonic()
    server.close()
    assert time.monotonic() - started < 2
    thread.join(5)
    assert isinstance(caught[0], ModelNotReady)
    assert not alive(pid)
    server.close()
    with pytest.raises(ModelNotReady):
        server.infer(paint(0)[0])


def test_close_ends_what_is_still_loading(trapped: Trapped, wait_until: Wait, forward: ModelSpec) -> None:
    server = ModelServer(forward)
    assert wait_until(lambda: bool(server._household._processes) or server._facts is not None)
    pids = [process._child.pid for process in server._household._processes]
    server.close()
    with pytest.raises(UserError):
        server.wait_ready()
    assert wait_until(lambda: not any(map(alive, pids)))


def test_nothing_is_left_of_a_server(
    forward: ModelSpec, serve_model: MakeServer, paint: Paint, wait_until: Wait
) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    serve_model(forward).close()
    threads, before = threading.active_count(), descriptors()
    for _ in range(2):
        server = serve_model(forward)
        server.infer(paint(0)[0])
        server.close()
    assert wait_until(lambda: threading.active_count() <= threads)
    assert descriptors() == before


def test_no_process_outlives_a_killed_parent(trapped: Trapped, wait_until: Wait) -> None:
    """Not even one that is in the middle of an inference without an end."""
    script = (
        "import sys, threading, time, numpy as np\n"
        "from pathlib import Path\n"
        "from edgeseg_runtime.serving.server import ModelServer\n"
        "from edgeseg_runtime.serving.spec import ModelSpec, ServingOptions\n"
        "server = ModelServer(ModelSpec(Path(sys.argv[1])), options=ServingOptions(deadline_seconds=600))\n"
        "server.wait_ready()\n"
        "white = np.full((24, 32, 3), 255, np.uint8)\n"
        "threading.Thread(target=server.infer, args=(white,), daemon=True).start()\n"
        "time.sleep(0.3)\n"
        "print(server._serving._child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [sys.executable, "-c", script, str(trapped("hang").path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    assert wait_until(lambda: not alive(pid))


def test_the_parent_needs_no_engine() -> None:
    """Its own start would pay for what only the child uses."""
    script = (
        "import sys\n"
        "import edgeseg_runtime.serving.server\n"
        "print([name for name in ('onnxruntime', 'openvino') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
