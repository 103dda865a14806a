"""Events of a live stream, from the command line to the place that they are sent to."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgeseg.cli.app import run
from edgeseg.cli.live import SECRET_VARIABLE

if TYPE_CHECKING:
    from edgeseg_runtime.contract import Contract
    from tests.conftest import TinyModel


class Hook:
    """A webhook on this machine."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, str | None]] = []
        self.open = True
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if hook.open:
                    hook.got.append((body, self.headers.get("X-Edgeseg-Signature")))
                self.send_response(204 if hook.open else 503)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://joe:hunter2@127.0.0.1:{self._server.server_address[1]}/in?key=s3cret"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body, _ in self.got]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    yield hook
    hook.close()


@pytest.fixture
def model(tmp_path: Path, colour_contract: Contract, tiny_model: TinyModel) -> str:
    return str(tiny_model(colour_contract, tmp_path / "model.onnx", stride=4))


def test_events_are_posted_and_signed_without_the_hooks_own_credentials(
    tmp_path: Path,
    model: str,
    hook: Hook,
    serve: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(SECRET_VARIABLE, "a shared secret")
    source = f"door={serve('live/1000')}"
    arguments = ["--source", source, "--none", "--limit", "5", "--webhook", hook.url, "--json"]
    assert run(["stream", "--model", model, *arguments]) == 0
    told = capsys.readouterr()
    assert ("source.state", "live") in [(event["kind"], event.get("state")) for event in hook.events()]
    for body, signature in hook.got:
        assert signature == "sha256=" + hmac.new(b"a shared secret", body, hashlib.sha256).hexdigest()
    assert "hunter2" not in told.out + told.err and "s3cret" not in told.out + told.err
    (output,) = json.loads(told.out)["outputs"]
    assert output["name"] == "webhook" and output["written"] >= 1 and output["error"] is None


def test_what_could_not_be_delivered_waits_on_disk_for_the_next_start(
    tmp_path: Path, model: str, hook: Hook, serve: Callable[[str], str]
) -> None:
    source, spool = f"door={serve('live/1000')}", str(tmp_path / "spool")
    arguments = ["--source", source, "--none", "--limit", "3", "--webhook", hook.url]
    hook.open = False
    assert run(["stream", "--model", model, *arguments, "--spool", spool]) == 0
    assert hook.got == []
    hook.open = True
    assert run(["stream", "--model", model, *arguments, "--spool", spool]) == 0
    live = [event for event in hook.events() if event["kind"] == "source.state" and event["state"] == "live"]
    assert len(live) == 2 and live[0]["at"] < live[1]["at"]

    # the negative control: without a spool on disk the first start's events are gone
    hook.got.clear()
    hook.open = False
    assert run(["stream", "--model", model, *arguments]) == 0
    hook.open = True
    assert run(["stream", "--model", model, *arguments]) == 0
    assert sum(event["kind"] == "source.state" and event["state"] == "live" for event in hook.events()) == 1
