from __future__ import annotations

import errno
import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from edgeseg.cli import app
from edgeseg.cli.app import VERBS, run, split_config
from edgeseg_runtime.errors import ConfigError, GateFailed, ModelFileError

HEAVY = ("torch", "torchvision", "lightning", "numpy", "cv2", "onnx", "onnxruntime", "openvino", "nncf", "matplotlib")
HEAVY_FOR_A_VERB = tuple(name for name in HEAVY if name not in ("numpy", "cv2"))


def modules_after(arguments: list[str], suspects: tuple[str, ...]) -> set[str]:
    """Run the command line in a process of its own and return which of `suspects` it imported."""
    code = (
        "import json, sys\nfrom edgeseg.cli.app import run\n"
        f"assert run({arguments!r}) == 0\n"
        f"print('\\n' + json.dumps([name for name in {suspects!r} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A module of fake verbs, in the table as `fake`; a test sets its function `fake`."""
    module = ModuleType("fake_verbs")
    monkeypatch.setitem(sys.modules, "fake_verbs", module)
    monkeypatch.setitem(VERBS, "fake", ("fake_verbs:fake", "Do nothing."))
    return module


# --- help ---


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_help_lists_every_verb_with_its_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for name, (_, line) in VERBS.items():
        assert f" {name} {line} " in words
    assert "Exit codes: 0 done, 1 a gate or budget failed, 2 a mistake to mend, 130 stopped." in words


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "edgeseg", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1 and done.stdout[0].isdecimal()


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    from edgeseg import __version__

    assert run(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


def test_help_imports_nothing_heavy() -> None:
    assert modules_after(["--help"], (*HEAVY, "edgeseg.cli.train", "rich.progress")) == set()


@pytest.mark.parametrize("name", VERBS)
def test_a_verbs_help_imports_no_framework(name: str) -> None:
    assert modules_after([name, "--help"], HEAVY_FOR_A_VERB) == set()


@pytest.mark.parametrize("name", VERBS)
def test_a_verbs_help_shows_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"edgeseg {name} " in out.lower().split("example:", 1)[1]


@pytest.mark.parametrize("name", [*VERBS, *(f"data {name}" for name in ("check", "convert", "split", "preview"))])
def test_the_flags_texts_stand_in_one_column(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*name.split(), "--help"]) == 0
    for panel in capsys.readouterr().out.split("╭")[1:]:
        starts = [re.match("│ {12,}(?=[^ │])", line) for line in panel.splitlines()]
        assert len({start.end() for start in starts if start}) <= 1, panel


# --- exit codes and messages ---


def test_a_verb_that_ends_well_is_0(verb: ModuleType) -> None:
    verb.fake = lambda: None  # type: ignore[attr-defined]
    assert run(["fake"]) == 0


@pytest.mark.parametrize("code", [0, 1, 3])
def test_a_verb_may_say_its_own_code(verb: ModuleType, code: int) -> None:
    verb.fake = lambda: code  # type: ignore[attr-defined]
    assert run(["fake"]) == code


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ModelFileError("there is no model at x"), 2, "edgeseg: there is no model at x\n"),
        (GateFailed("agreement .97 < .99"), 1, "edgeseg: agreement .97 < .99\n"),
        (KeyboardInterrupt(), 130, "edgeseg: interrupted; nothing half-written was left behind\n"),
    ],
)
def test_errors_are_one_line_on_stderr(
    verb: ModuleType, error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fake() -> None:
        raise error

    verb.fake = fake  # type: ignore[attr-defined]
    assert run(["fake"]) == code
    assert capsys.readouterr() == ("", line)


@pytest.mark.parametrize("bug", [ZeroDivisionError(), OSError("of nobody's file")])
def test_a_bug_keeps_its_traceback(verb: ModuleType, bug: Exception) -> None:
    def fake() -> None:
        raise bug

    verb.fake = fake  # type: ignore[attr-defined]
    with pytest.raises(type(bug)):
        run(["fake"])


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/data"), "edgeseg: /data: Permission denied\n"),
        (OSError(errno.ENOSPC, "No space left on device"), "edgeseg: No space left on device\n"),
    ],
)
def test_what_the_system_refuses_is_one_line(
    verb: ModuleType, error: OSError, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fake() -> None:
        raise error

    verb.fake = fake  # type: ignore[attr-defined]
    assert run(["fake"]) == 2
    assert capsys.readouterr() == ("", line)


def test_main_leaves_with_the_code(verb: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    verb.fake = lambda: 1  # type: ignore[attr-defined]
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as left:
        app.main(["fake"])
    assert left.value.code == 1


def test_an_unknown_verb_is_named_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["exprot"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("edgeseg: unknown verb 'exprot' (--help); choose one of data, train, prune, eval, export")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fake", "--nose"], "nose"),
        (["fake", "--count", "many"], "many"),
        (["fake", "--count"], "count"),
        (["fake", "--kind", "c"], "kind"),
        (["fake", "superfluous"], "superfluous"),
        (["--nose"], "nose"),
    ],
)
def test_flags_that_are_not_there_are_one_line(
    verb: ModuleType, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from typing import Literal

    def fake(*, count: int = 1, kind: Literal["a", "b"] = "a") -> None: ...

    fake.__annotations__ = {"count": int, "kind": Literal["a", "b"], "return": None}
    verb.fake = fake  # type: ignore[attr-defined]
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("edgeseg: ") and words in err and "--help" in err
    assert err.count("\n") == 1


# --- --config ---


def test_config_is_taken_out_wherever_it_stands(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.toml"):
        (tmp_path / name).touch()
    a, b = str(tmp_path / "a.yaml"), str(tmp_path / "b.toml")
    assert split_config(["train", "--config", a, "--epochs", "3", f"--config={b}"]) == (
        ["train", "--epochs", "3"],
        [Path(a), Path(b)],
    )


@pytest.mark.parametrize(
    ("name", "words"), [("absent.yaml", "no file"), ("a.ini", r"\.yaml, \.yml, \.toml"), ("", "takes a")]
)
def test_a_config_that_cannot_be_read_is_named(name: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.ini").touch()
    with pytest.raises(ConfigError, match=words):
        split_config(["train", "--config", str(tmp_path / name) if name else ""])


@pytest.mark.parametrize(
    ("name", "text"), [("c.yaml", "count: 7\n"), ("c.toml", "count = 7\n"), ("c.yml", "count: 7\n")]
)
def test_a_config_file_gives_flags_and_the_command_line_wins(
    verb: ModuleType, name: str, text: str, tmp_path: Path
) -> None:
    def fake(*, count: int = 1) -> int:
        return count

    fake.__annotations__ = {"count": int, "return": int}
    verb.fake = fake  # type: ignore[attr-defined]
    (tmp_path / name).write_text(text)
    assert run(["fake"]) == 1
    assert run(["fake", "--config", str(tmp_path / name)]) == 7
    assert run(["fake", "--count", "9", "--config", str(tmp_path / name)]) == 9


@pytest.mark.parametrize("text", [b"cuont: 7\n", b"count: many\n", b"count: [1\n", b"- 7\n", b"count: \xe9\n"])
def test_a_config_file_with_a_mistake_is_one_line(
    verb: ModuleType, text: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fake(*, count: int = 1) -> int:
        return count

    fake.__annotations__ = {"count": int, "return": int}
    verb.fake = fake  # type: ignore[attr-defined]
    (tmp_path / "c.yaml").write_bytes(text)
    assert run(["fake", "--config", str(tmp_path / "c.yaml")]) == 2
    err = capsys.readouterr().err
    assert err.startswith("edgeseg: ") and err.count("\n") == 1
    assert str(tmp_path / "c.yaml") in err


# --- signals ---


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_verb_in_one_line(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text(
        "import time\ndef sleep():\n    print('ready', flush=True)\n    time.sleep(60)\n", encoding="utf-8"
    )
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from edgeseg.cli import app\n"
        "app.VERBS['sleep'] = ('sleeper:sleep', 'Sleep.')\n"
        "app.main(['sleep'])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run_:
        assert run_.stdout is not None and run_.stdout.readline() == "ready\n"
        run_.send_signal(number)
        _, err = run_.communicate(timeout=20)
    assert run_.returncode == 130
    assert err == "edgeseg: interrupted; nothing half-written was left behind\n"


def test_a_reader_that_has_seen_enough_is_no_bug() -> None:
    # a pipe whose reading end is closed, as `| head` leaves it
    code = (
        "import os, sys\nreading, writing = os.pipe()\nos.close(reading)\nos.dup2(writing, 1)\n"
        "from edgeseg.cli.app import main\nmain(['doctor', '--json'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 141
    assert done.stderr == ""
