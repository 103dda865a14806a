"""Requests that no honest client sends: each gets its 4xx, nothing of it is repeated, and the viewer serves on."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgeseg_runtime.address import Address
from edgeseg_runtime.contract import Contract
from edgeseg_runtime.web.controls import Controls
from edgeseg_runtime.web.options import WebOptions
from edgeseg_runtime.web.server import WebServer
from edgeseg_runtime.web.sink import WebSink
from tests.runtime.web.clients import UPGRADE, connect, exchange, request, shot, status

if TYPE_CHECKING:
    from tests.runtime.web.conftest import Serving

JSON = {"Content-Type": "application/json"}
RECORD = b'{"recording": true}'
TOKEN = "a-token-of-some-length"


class Recorder:
    def __init__(self) -> None:
        self.calls = 0

    def recording(self) -> bool:
        return self.calls > 0

    def start(self) -> None:
        self.calls += 1

    def stop(self) -> None:
        self.calls += 1


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def server(serving: Serving, recorder: Recorder, colour_contract: Contract) -> Iterator[WebServer]:
    """A viewer that anybody on this machine may use, and that still serves when the test is over."""
    made = serving(Controls(record=recorder), options=WebOptions(request_seconds=1.0))
    WebSink(made).write(shot(colour_contract), None)
    yield made
    assert status(exchange(made, request())) == 200
    assert recorder.calls == 0
    assert status(exchange(made, request("POST", "/api/record", JSON, RECORD))) == 200  # the control
    assert recorder.calls == 1


@pytest.fixture
def closed(serving: Serving, recorder: Recorder) -> WebServer:
    """A viewer that asks for a token."""
    return serving(Controls(record=recorder), token=TOKEN)


PATHS = [
    "/../../etc/passwd",
    "/js/../../__init__.py",
    "/js/..%2f..%2fserver.py",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/..\\..\\etc\\passwd",
    "//etc/passwd",
    "/js//main.js",
    "/js/main.js/",
    "/js/main.js%00.css",
    "/js/main.js;x=1",
    "/JS/MAIN.JS",
    "/js/",
    "/static/index.html",
    "/index.html",
    "/denied.html",
    "/file:///etc/passwd",
    "/" + "a" * 4000,
    "/%ff%fe",
    "/<script>alert(1)</script>",
    "/.git/config",
    "/server.py",
    "/live/",
    "/js/%6dain.js",
    "http://127.0.0.1/js/main.js",
    "http://evil.example/",
]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_reaches_anything_but_the_table(server: WebServer, path: str) -> None:
    answer = exchange(server, request(path=path))
    assert status(answer) == 404
    assert b"root:" not in answer and b"import" not in answer and b"script>" not in answer


def test_a_naive_file_server_does_follow_such_a_path(tmp_path: Path) -> None:
    """The negative control: the requests above are real ones, and a server that looks into a folder answers them."""
    (tmp_path / "secret.txt").write_text("secret")

    class Folder(SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            return f"{tmp_path}/js{path.split('?')[0]}"

        def log_message(self, format: str, *args: Any) -> None:
            pass

    (tmp_path / "js").mkdir()
    naive = ThreadingHTTPServer(("127.0.0.1", 0), Folder)
    thread = threading.Thread(target=naive.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    with socket.create_connection(("127.0.0.1", naive.server_address[1]), 10) as client:
        client.sendall(request(path="/../secret.txt"))
        received = b""
        while part := client.recv(4096):
            received += part
    naive.shutdown()
    naive.server_close()
    thread.join(5)
    assert received.endswith(b"secret")


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("evil.example", 421),
        ("evil.example:80", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("192.168.1.1", 421),
        ("", 400),
        ("127.0.0.1@evil.example", 400),
        ("127.0.0.1/x", 400),
        ("[::1", 400),
        ("127.0.0.1, evil.example", 400),
        ("xn--80ak6aa92e.com", 421),
        ("127.0.0.1", 200),
        ("127.0.0.1:9999", 200),
        ("LOCALHOST", 200),
        ("[::1]:80", 200),
    ],
)
def test_the_host_must_be_a_known_one(server: WebServer, host: str, code: int) -> None:
    assert status(exchange(server, request(headers={"Host": host}))) == code


def test_there_must_be_one_host(server: WebServer) -> None:
    assert status(exchange(server, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")) == 400
    two = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert status(exchange(server, two)) == 400


def test_more_names_can_be_allowed_and_others_reach_it_by_address(serving: Serving) -> None:
    named = serving(options=WebOptions(hosts=("cam.example",)))
    assert status(exchange(named, request(headers={"Host": "cam.example:8080"}))) == 200
    assert status(exchange(named, request(headers={"Host": "other.example"}))) == 421
    everywhere = WebServer(Address("0.0.0.0", 0))
    everywhere.start()
    try:
        for host, code in (("10.1.2.3:8080", 401), (socket.gethostname(), 401), ("evil.example", 421)):
            assert status(exchange(everywhere, request(headers={"Host": host}))) == code
    finally:
        everywhere.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "file://"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
)
def test_pages_of_other_sites_change_nothing(server: WebServer, headers: dict[str, str]) -> None:
    assert status(exchange(server, request("POST", "/api/record", {**JSON, **headers}, RECORD))) == 403
    followed = headers.get("Sec-Fetch-Mode") == "navigate"
    assert status(exchange(server, request(path="/snapshot.jpg", headers=headers))) == (200 if followed else 403)
    if not followed:
        assert status(exchange(server, request(path="/live", headers={**UPGRADE, **headers}), 2.0)) == 403


def test_the_page_itself_may(server: WebServer) -> None:
    own = {"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"}
    assert status(exchange(server, request(path="/live", headers={**UPGRADE, **own}), 0.5)) == 101
    assert status(exchange(server, request(path="/snapshot.jpg", headers=own))) == 200
    assert status(exchange(server, request("POST", "/api/record", {**JSON, **own}, b"{}"))) == 400  # heard, at least


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({"Content-Type": "text/plain"}, RECORD, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"recording=true", 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x--", 415),
        ({}, RECORD, 415),
        ({**JSON, "Content-Encoding": "gzip"}, b"\x1f\x8b", 415),
        (JSON, b"", 400),
        (JSON, b"{", 400),
        (JSON, b"\xff\xfe{}", 400),
        (JSON, b"[true]", 400),
        (JSON, b"null", 400),
        (JSON, b"{}", 400),
        (JSON, b'{"recording": 1}', 400),
        (JSON, b'{"recording": "true"}', 400),
        (JSON, b'{"recording": true, "x": 1}', 400),
        (JSON, b'{"recording": ' + b"[" * 30_000, 400),
        (JSON, b'{"recording": ' + b"9" * 10_000 + b"}", 400),
        (JSON, b" " * 70_000 + RECORD, 413),
        ({**JSON, "Content-Length": "99999999999"}, b"", 413),
    ],
)
def test_bad_bodies_are_refused(server: WebServer, headers: dict[str, str], body: bytes, code: int) -> None:
    answer = exchange(server, request("POST", "/api/record", headers, body))
    assert status(answer) == code
    assert "error" in json.loads(answer.partition(b"\r\n\r\n")[2])


def test_a_body_in_endless_pieces_is_cut_off(server: WebServer) -> None:
    with connect(server) as client:
        client.sendall(request("POST", "/api/record", {**JSON, "Transfer-Encoding": "chunked"}))
        started = time.monotonic()
        with pytest.raises(ConnectionError):
            while time.monotonic() - started < 30:
                client.sendall(b"1000\r\n" + b" " * 4096 + b"\r\n")


def test_a_body_that_does_not_come_is_not_waited_for(server: WebServer) -> None:
    head = request("POST", "/api/record", {**JSON, "Content-Length": "19"})
    assert status(exchange(server, head + b'{"rec', timeout=10)) == 408


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/record"),
        ("HEAD", "/api/record"),
        ("PUT", "/api/record"),
        ("DELETE", "/api/record"),
        ("OPTIONS", "/api/record"),
        ("POST", "/"),
        ("POST", "/snapshot.jpg"),
        ("POST", "/js/main.js"),
        ("TRACE", "/"),
        ("PROPFIND", "/"),
    ],
)
def test_each_route_has_its_method(server: WebServer, method: str, path: str) -> None:
    answer = exchange(server, request(method, path, JSON, RECORD if method != "HEAD" else b""))
    assert status(answer) == 405
    assert re.search(rb"\r\nAllow: (GET|POST)\r\n", answer)
    assert b"Access-Control" not in answer


@pytest.mark.parametrize(
    "bytes_",
    [
        b"\r\n\r\n",
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # somebody tries TLS
        b"GET / HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX : y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n folded\r\n\r\n",
        b"GET /\r\nSet-Cookie: x=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /<script> HTTP/1.1 x\r\nHost: 127.0.0.1\r\nAccept: text/html\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"".join(b"X%d: a\r\n" % i for i in range(1000)) + b"\r\n",
        b"POST /api/record HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /api/record HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/record HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /api/record HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: gzip\r\n\r\n",
    ],
    ids=lambda value: repr(value[:24]),
)
def test_what_is_no_request_is_answered_and_not_repeated(
    server: WebServer, bytes_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer = exchange(server, bytes_, timeout=3.0)
    assert status(answer) in (0, 400, 405, 505)
    assert b"script" not in answer.partition(b"\r\n\r\n")[2] and b"Set-Cookie" not in answer
    assert b"aaaa" not in answer
    if answer:
        assert b"X-Content-Type-Options: nosniff" in answer and b"text/html" not in answer
    assert caplog.text == ""  # or the disk could be filled


def test_lines_cannot_be_put_into_an_answer(server: WebServer) -> None:
    for path in ("/?x=%0d%0aSet-Cookie:%20a=b", "/snapshot.jpg?camera=%0d%0aX:%20y", "/?token=%0d%0aX-Bad:%20y"):
        answer = exchange(server, request(path=path))
        assert status(answer) in (200, 303, 404)
        assert b"X-Bad" not in answer and b"Set-Cookie" not in answer and b"X: y" not in answer


@pytest.mark.parametrize("after", ["-1", "x", "1e3", "9" * 30, "%00", "²", "1;2"])
def test_questions_must_make_sense(server: WebServer, after: str) -> None:
    path = f"/api/events?after={after}".encode().decode("latin-1")
    assert status(exchange(server, request(path=path))) == 400


def test_an_upgrade_that_is_none_is_told_so(server: WebServer) -> None:
    assert status(exchange(server, request(path="/live"))) == 426
    for change in ({"Sec-WebSocket-Version": "1"}, {"Sec-WebSocket-Key": "short"}, {"Upgrade": "h2c"}):
        assert 400 <= status(exchange(server, request(path="/live", headers={**UPGRADE, **change}), 3.0)) < 500


DATA = ["/", "/js/main.js", "/live", "/stream.mjpg", "/snapshot.jpg", "/api/status", "/api/events", "/metrics", "/x"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer \u00e9\u00e9"},
        {"Cookie": "edgeseg_viewer_80=x"},
        {"Cookie": f"edgeseg_viewer={TOKEN}"},
        {"X-Token": TOKEN},
    ],
)
def test_nothing_is_given_out_without_the_token(closed: WebServer, recorder: Recorder, headers: dict[str, str]) -> None:
    for path in DATA:
        answer = exchange(closed, request(path=path, headers={**headers}))
        assert status(answer) == 401, path
        assert b"WWW-Authenticate: Bearer" in answer and TOKEN.encode() not in answer
    assert status(exchange(closed, request("POST", "/api/record", {**JSON, **headers}, RECORD))) == 401
    assert recorder.calls == 0


@pytest.mark.parametrize("path", ["/?token=wrong", "/?token=", f"/js/main.js?token={TOKEN}", f"/live?token={TOKEN}"])
def test_the_token_opens_the_page_only_and_only_if_it_is_right(closed: WebServer, path: str) -> None:
    answer = exchange(closed, request(path=path))
    assert status(answer) == 401 and b"Set-Cookie" not in answer


def test_the_link_sets_a_cookie_and_takes_the_token_out_of_the_address(closed: WebServer, recorder: Recorder) -> None:
    answer = exchange(closed, request(path=f"/?token={TOKEN}"))
    assert status(answer) == 303 and b"\r\nLocation: /\r\n" in answer
    (cookie,) = re.findall(rb"Set-Cookie: ([^\r]*)", answer)
    name, _, rest = cookie.decode().partition("=")
    value, *rules = rest.split("; ")
    assert name == f"edgeseg_viewer_{closed.address.port}"
    assert {rule.lower() for rule in rules} >= {"httponly", "samesite=strict", "path=/"}
    assert TOKEN not in value
    cookies = {"Cookie": f"{name}={value}"}
    assert status(exchange(closed, request(headers=cookies))) == 200
    assert status(exchange(closed, request("POST", "/api/record", {**JSON, **cookies}, RECORD))) == 200
    assert status(exchange(closed, request(headers={"Cookie": f"{name}={value[:-1]}0"}))) in (200, 401)
    assert status(exchange(closed, request(headers={"Cookie": f"{name}={'0' * len(value)}"}))) == 401
    assert recorder.calls == 1


def test_software_sends_the_token_as_a_header(closed: WebServer) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert status(exchange(closed, request(path="/api/events", headers=bearer))) == 200
    assert status(exchange(closed, request(path="/live", headers={**UPGRADE, **bearer}), 0.5)) == 101
    # a wrong host or origin is refused even with the token
    assert status(exchange(closed, request(headers={**bearer, "Host": "evil.example"}))) == 421
    assert status(exchange(closed, request(headers={**bearer, "Origin": "http://evil.example"}))) == 403


def test_people_without_the_token_are_told_where_it_is(closed: WebServer) -> None:
    answer = exchange(closed, request())
    assert status(answer) == 401 and b"Open the link that was printed" in answer


def test_a_request_that_drips_in_is_cut_off_and_others_are_served(server: WebServer) -> None:
    with connect(server) as client:
        started = time.monotonic()
        try:
            client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
            while time.monotonic() - started < 30:
                client.sendall(b"X: a\r\n")
                assert status(exchange(server, request())) == 200
                time.sleep(0.1)
        except ConnectionError:
            pass
        assert time.monotonic() - started < 30


def test_many_requests_in_one_go_are_all_answered(server: WebServer) -> None:
    one = b"GET /icon.svg HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    answer = exchange(server, one * 200 + request())
    assert answer.count(b"HTTP/1.1 200 OK") == 201
