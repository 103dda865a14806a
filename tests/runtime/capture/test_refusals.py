"""Cameras that answer, and say no."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from edgeseg_runtime.capture.camera import Camera
from edgeseg_runtime.capture.options import CaptureOptions
from edgeseg_runtime.errors import MissingExtraError, SourceError
from tests.conftest import ColourClip
from tests.conftest import Serve as ServeFile
from tests.runtime.capture.conftest import FAST, Watch
from tests.servers.base import CameraServer
from tests.servers.mjpeg import MjpegServer
from tests.servers.rtsp import RtspServer
from tests.servers.scene import Scene
from tests.servers.several import Serve

PASSWORD = "pa55-w0rd-of-joe"


@pytest.mark.parametrize(
    ("kind", "auth"),
    [
        (RtspServer, "digest"),
        (MjpegServer, "basic"),
        pytest.param(RtspServer, "basic", marks=pytest.mark.slow),
        pytest.param(MjpegServer, "digest", marks=pytest.mark.slow),
    ],
)
def test_a_right_password_opens(kind: type[CameraServer], auth: str, watch: Watch, camera_server: Serve) -> None:
    server = camera_server(kind, Scene(credentials=("joe", PASSWORD), auth=auth))
    watched = watch(server.url_with("joe", PASSWORD))
    assert watched.live().stamp is not None
    assert server.refusals == 0


@pytest.mark.parametrize(
    ("kind", "auth"), [(RtspServer, "digest"), pytest.param(MjpegServer, "basic", marks=pytest.mark.slow)]
)
def test_a_wrong_password_is_named_and_seldom_tried(
    kind: type[CameraServer], auth: str, watch: Watch, camera_server: Serve
) -> None:
    """On a clock of a twelfth: so what may be tried in five seconds is what may be tried in a minute."""
    server = camera_server(kind, Scene(credentials=("joe", PASSWORD), auth=auth))
    began = time.monotonic()
    watched = watch(server.url_with("joe", "another-one"), replace(FAST, backoff_most=5 / 12))
    watched.wait("connecting", "auth")
    watched.look(until=lambda: server.refusals >= 4)
    assert server.refusals / (time.monotonic() - began) <= 15 / 5
    server.scene.credentials = ("joe", "another-one")  # somebody mends it
    assert watched.live().stamp is not None
    assert [state["reason"] for state in watched.told("source.state")] == ["auth", None]


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        (RtspServer, 404, "not found"),
        (MjpegServer, 500, "server error"),
        pytest.param(MjpegServer, 404, "not found", marks=pytest.mark.slow),
        pytest.param(MjpegServer, 403, "auth", marks=pytest.mark.slow),
    ],
)
def test_what_it_says_is_passed_on(
    kind: type[CameraServer], status: int, reason: str, watch: Watch, camera_server: Serve
) -> None:
    server = camera_server(kind, Scene(status=status))
    watched = watch(server.url)
    watched.wait("connecting", reason)
    server.scene.status = 200
    assert watched.live().stamp is not None


@pytest.mark.slow
def test_no_such_host(watch: Watch) -> None:
    watch("rtsp://camera.invalid/live").wait("connecting", "not found")


@pytest.mark.slow
def test_another_protocol_behind_the_port(watch: Watch, camera_server: Serve) -> None:
    watched = watch(camera_server(MjpegServer).url.replace("http", "rtsp"))
    watched.wait("connecting", "codec")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody but its own file vouches for, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    names = "subjectAltName=IP:127.0.0.1"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-addext", names]
    files = (folder / "cert.pem", folder / "key.pem")
    subprocess.run([*command, "-out", str(files[0]), "-keyout", str(files[1])], check=True, capture_output=True)
    return files


@pytest.mark.slow
@pytest.mark.parametrize("kind", [MjpegServer, pytest.param(RtspServer, marks=pytest.mark.slow)])
def test_a_certificate_that_nobody_vouches_for(
    kind: type[CameraServer], certificate: tuple[Path, Path], watch: Watch
) -> None:
    server = kind(certificate=certificate)
    server.up()
    try:
        assert server.url.startswith(("https://", "rtsps://"))
        watch(server.url).wait("connecting", "tls")
        trusting = watch(server.url, replace(FAST, ca_file=str(certificate[0])))
        careless = watch(server.url, replace(FAST, verify_tls=False))
        assert trusting.live().stamp is not None
        assert careless.live().stamp is not None
    finally:
        server.down()


def test_a_recording_is_no_live_source(watch: Watch, serve: ServeFile, tmp_path: Path, colour_clip: ColourClip) -> None:
    """It is said once, and not tried again; recordings are read by `sources.open_url`."""
    colour_clip(tmp_path / "clip.mp4")
    watched = watch(serve("clip.mp4"))
    watched.wait("failed", "not live")
    assert len(watched.told("source.state")) == 1
    assert watched.camera.worker_pid is None or watched.camera.captured == 0


@pytest.mark.parametrize(
    "spec",
    [
        -1,
        "",
        "front door",
        "clip.mp4",
        "file:///etc/passwd",
        "concat://a|b",
        "gopher://camera/live",
        "rtsp://x/" + "y" * 9000,
    ],
)
def test_what_is_no_camera_is_refused_at_once(spec: str | int) -> None:
    with pytest.raises(SourceError):
        Camera("door", spec)


def test_a_missing_package_is_named_with_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"edgeseg\[live\]"):
        Camera("door", "rtsp://camera/live")
    Camera("door", 0)  # local cameras do without


FORMS = [
    "{scheme}://joe:{password}@{host}/live",
    "{scheme}://joe:{password}@{host}/live?token={password}",
    "{scheme}://{host}/live?user=joe&password={password}",
    "{scheme}://{host}/user=joe_password={password}_channel=1",
    "{scheme}://{password}@{host}/live",
]


@pytest.mark.parametrize("kind", [RtspServer, pytest.param(MjpegServer, marks=pytest.mark.slow)])
def test_credentials_reach_nobody(kind: type[CameraServer], watch: Watch, camera_server: Serve) -> None:
    """Not events, not representations, not the arguments or the environment of the worker."""
    server = camera_server(kind, Scene(credentials=("joe", "another-one")), up=False)
    host = f"127.0.0.1:{server.port}"
    urls = [form.format(scheme=server.scheme, password=PASSWORD, host=host) for form in FORMS]
    cameras = [watch(url) for url in urls]
    for watched in cameras:
        watched.wait("connecting", "refused")
        pid = watched.camera.worker_pid
        for name in ("cmdline", "environ"):
            assert PASSWORD.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
    server.up()
    for watched in cameras:
        watched.wait("connecting", "auth")
        watched.camera.stop()
        told = repr([event.as_dict() for event in watched.events])
        assert "auth" in told
        shown = told + repr(watched.camera) + watched.camera.title + str(vars(watched.camera)["_condition"])
        assert PASSWORD not in shown
    assert any(PASSWORD in request for request in server.requests), "the negative control: it was sent"


@pytest.mark.slow
def test_libraries_do_name_credentials(camera_server: Serve) -> None:
    """The negative control of scrubbing: FFmpeg's own error holds the URL."""
    import av

    url = camera_server(MjpegServer, Scene(status=404)).url_with("joe", PASSWORD)
    with pytest.raises(av.FFmpegError, match=PASSWORD):
        av.open(url)


@pytest.mark.slow
def test_options_travel(watch: Watch, camera_server: Serve) -> None:
    """A worker gets the very options: with UDP alone this server cannot be read."""
    watched = watch(camera_server(RtspServer).url, CaptureOptions(rtsp_transport="udp", connect_timeout=2))
    end = time.monotonic() + 20
    while watched.camera.reason is None and time.monotonic() < end:
        time.sleep(0.05)
    assert watched.camera.state == "connecting"
    assert watched.camera.captured == 0
