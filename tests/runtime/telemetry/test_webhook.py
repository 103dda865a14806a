from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgeseg_runtime.errors import ConfigError
from edgeseg_runtime.events import Events
from edgeseg_runtime.telemetry.backoff import Backoff
from edgeseg_runtime.telemetry.delivery import Delivery, DeliveryError
from edgeseg_runtime.telemetry.spool import MemorySpool
from edgeseg_runtime.telemetry.webhook import SIGNATURE, WebhookSender


@dataclass
class Receiver:
    """A web server that keeps what was posted and answers as told."""

    port: int = 0
    answers: list[int] = field(default_factory=list)
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    location: str = ""
    drip: threading.Event | None = None

    def url(self, rest: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{rest}"


def handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append((self.path, dict(self.headers), body))
            try:
                while receiver.drip is not None and not receiver.drip.wait(0.02):
                    self.wfile.write(b"H")
            except OSError:
                return
            self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - a redirect that is followed comes as a GET

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    return Handler


Start = Callable[..., Receiver]


@pytest.fixture
def start() -> Iterator[Start]:
    servers: list[tuple[ThreadingHTTPServer, threading.Thread]] = []

    def begin(tls: ssl.SSLContext | None = None, port: int = 0) -> Receiver:
        receiver = Receiver()
        server = ThreadingHTTPServer(("127.0.0.1", port), handler(receiver))
        server.daemon_threads = True
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        servers.append((server, thread))
        return receiver

    yield begin
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join(5)


def wait_until(true: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.005)


def test_an_event_is_posted_as_json_and_signed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "schlüssel")
    receiver, events = start(), Events()
    sender = WebhookSender(
        receiver.url("/in?token=abc").replace("//", "//jo%40e:p%3Aw@"), secret_variable="HOOK_SECRET"
    )
    delivery = Delivery("hook", sender, MemorySpool(), events=events)
    events.subscribe(delivery)
    events.publish("zone.enter", "Tür", zone="gate", share=0.25)
    wait_until(lambda: len(receiver.got) == 1)
    delivery.close()
    path, headers, body = receiver.got[0]
    assert path == "/in?token=abc"
    event = json.loads(body)
    assert (event["kind"], event["source"], event["zone"], event["share"]) == ("zone.enter", "Tür", "gate", 0.25)
    assert len(event["id"]) == 32
    assert headers["Content-Type"] == "application/json"
    assert headers[SIGNATURE] == "sha256=" + hmac.new("schlüssel".encode(), body, hashlib.sha256).hexdigest()
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"jo@e:p:w"
    assert sender.title == f"http://127.0.0.1:{receiver.port}"


def test_without_a_secret_nothing_is_signed(start: Start) -> None:
    receiver = start()
    assert WebhookSender(receiver.url()).send([b"{}", b"{}"]) == 2
    assert all(SIGNATURE not in headers and "Authorization" not in headers for _, headers, _ in receiver.got)


@pytest.mark.parametrize("status", [500, 503, 429, 401, 404])
def test_what_may_be_mended_is_tried_again_until_it_is_taken(start: Start, status: int) -> None:
    receiver = start()
    receiver.answers = [status, status]
    delivery = Delivery("hook", WebhookSender(receiver.url()), MemorySpool(), backoff=Backoff(0.01, 0.02))
    events = Events()
    events.subscribe(delivery)
    events.publish("a")
    events.publish("b")
    wait_until(lambda: len(receiver.got) == 4)
    delivery.close()
    kinds = [json.loads(body)["kind"] for _, _, body in receiver.got]
    assert kinds == ["a", "a", "a", "b"]
    assert len({json.loads(body)["id"] for _, _, body in receiver.got}) == 2  # so that the receiver can tell
    assert delivery.status().written == 2


def test_what_will_never_be_taken_is_given_up(start: Start) -> None:
    receiver = start()
    receiver.answers = [204, 413, 422]
    sender = WebhookSender(receiver.url())
    assert sender.send([b"{}"] * 4) == 4
    assert sender.refused == 2


def test_progress_before_a_failure_counts(start: Start) -> None:
    receiver = start()
    receiver.answers = [204, 204, 500]
    assert WebhookSender(receiver.url()).send([b"{}"] * 5) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(start: Start, status: int) -> None:
    here, elsewhere = start(), start()
    here.answers, here.location = [status], elsewhere.url("/stolen")
    sender = WebhookSender(here.url().replace("//", "//joe:hunter2@"))
    with pytest.raises(DeliveryError, match=rf"answers {status}, a redirect, which is not followed") as caught:
        sender.send([b"{}"])
    assert "hunter2" not in str(caught.value)
    assert elsewhere.got == []


def test_a_server_that_is_not_there_silent_or_slow_is_named(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(DeliveryError, match=rf"127\.0\.0\.1:{port}: cannot be reached: Connection refused"):
        WebhookSender(f"http://joe:hunter2@127.0.0.1:{port}/").send([b"{}"])
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sender = WebhookSender(f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout=0.2)
        with pytest.raises(DeliveryError, match="does not answer in time"):
            sender.send([b"{}"])
    dripping = start()
    dripping.drip = threading.Event()
    began = time.monotonic()
    with pytest.raises(DeliveryError):  # each byte comes in time, but the answer never does
        WebhookSender(dripping.url(), timeout=0.3).send([b"{}"])
    assert time.monotonic() - began < 20
    dripping.drip.set()


def test_an_answer_that_is_no_http_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            peer, _ = server.accept()
            peer.recv(1000)
            peer.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")
            peer.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(DeliveryError, match="does not speak HTTP: BadStatusLine"):
            WebhookSender(f"http://127.0.0.1:{server.getsockname()[1]}/").send([b"{}"])
        thread.join()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    key, path = tmp_path / "key.pem", tmp_path / "server.pem"
    order = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=camera.example -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([openssl, *order.split(), "-keyout", str(key), "-out", str(path)], check=True, capture_output=True)
    path.write_text(path.read_text() + key.read_text())
    return path


def test_a_certificate_is_checked(start: Start, certificate: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    receiver = start(tls)
    url = f"https://127.0.0.1:{receiver.port}/"
    with pytest.raises(DeliveryError, match="a certificate that is not to be trusted: self-signed certificate"):
        WebhookSender(url).send([b"{}"])
    assert receiver.got == []
    assert WebhookSender(url, authorities=str(certificate)).send([b"{}"]) == 1
    with pytest.raises(DeliveryError, match=r"not to be trusted: .*localhost"):  # another name
        WebhookSender(f"https://localhost:{receiver.port}/", authorities=str(certificate)).send([b"{}"])
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    "url",
    [
        "ftp://joe:hunter2@host/x",
        "file:///etc/hunter2?x=hunter2",
        "https:///hunter2hunter2hunter2",
        "http://joe:hunter2@host:99999/",
        "http://joe:hunter2@host:0/",
        "http://host/x?token=hunter2\r\nX: y",
        "http://host/x y?token=hunter2",
        "http://höst/?token=hunter2",
        "host/x?token=hunter2",
        "http://[::1/?token=hunter2",
        "",
    ],
)
def test_an_address_that_is_none_is_named_without_its_secrets(url: str) -> None:
    with pytest.raises(ConfigError, match="a webhook needs an address like https://host/path") as caught:
        WebhookSender(url)
    assert "hunter2" not in str(caught.value).replace("/etc/hunter2", "")


def test_settings_that_cannot_work_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SECRET", raising=False)
    with pytest.raises(ConfigError, match="the environment variable NO_SECRET is not set"):
        WebhookSender("https://host/", secret_variable="NO_SECRET")
    with pytest.raises(ConfigError, match=r"absent\.pem is no PEM file"):
        WebhookSender("https://host/", authorities=str(tmp_path / "absent.pem"))
