from __future__ import annotations

import multiprocessing
import subprocess
import sys
import warnings
from pathlib import Path
from time import sleep

import pytest

from edgeseg.training.folder import held
from edgeseg_runtime.errors import ConfigError, OutputError


def test_a_folder_is_made_and_stays_if_something_came_into_it(tmp_path: Path) -> None:
    with held(tmp_path / "deep" / "run"):
        (tmp_path / "deep" / "run" / "config.yaml").touch()
    assert (tmp_path / "deep" / "run" / "config.yaml").is_file()


def test_an_empty_folder_goes_again_unless_it_was_there_before(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    for name in ("old", "new"):
        with pytest.raises(RuntimeError), held(tmp_path / name):
            raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_two_do_not_hold_one_folder(tmp_path: Path) -> None:
    refused = pytest.raises(ConfigError, match=r"another process is at work in .* choose another --out")
    with held(tmp_path), refused, held(tmp_path):
        raise AssertionError("it is held already")
    with held(tmp_path):
        pass


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from edgeseg.training.folder import held\n"
        "with held(Path(sys.argv[1])):\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match="another process"), held(tmp_path):
            raise AssertionError("another process holds it")
        process.kill()
    with held(tmp_path):
        pass


def test_a_worker_that_outlives_the_run_holds_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads, which some Pythons warn of
        with held(tmp_path):
            worker = context.Process(target=sleep, args=(60,))
            worker.start()  # with the same open file
    try:
        with held(tmp_path):
            assert worker.is_alive()
    finally:
        worker.kill()
        worker.join()


def test_a_place_that_cannot_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file", "file/run"):
        with pytest.raises(OutputError, match=r"cannot make the folder .*; choose another"), held(tmp_path / name):
            raise AssertionError("there is no such folder")
