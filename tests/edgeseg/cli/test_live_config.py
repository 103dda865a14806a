from __future__ import annotations

import ssl
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path

import pytest

from edgeseg.cli.camera_config import CameraConfig
from edgeseg.cli.live_config import LiveConfig, LiveModelConfig
from edgeseg.cli.live_controls import short_names
from edgeseg.cli.outward_config import PrivacyConfig
from edgeseg.cli.record_config import RecordConfig
from edgeseg.cli.viewer_config import TOKEN_VARIABLE, ViewerConfig
from edgeseg_runtime.capture.options import CaptureOptions
from edgeseg_runtime.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "size"),
    [("10GB", 10_000_000_000), ("1.5 MB", 1_500_000), ("800kB", 800_000), ("12B", 12), ("2TB", 2 * 10**12)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert RecordConfig(record=Path("rec"), record_quota=text).quota_bytes() == size
    assert RecordConfig().quota_bytes() is None


@pytest.mark.parametrize("text", ["", "10", "GB", "-1GB", "0GB", "1gb", "1e3GB", "nan GB", "0.1B"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--record-quota is a size"):
        RecordConfig(record=Path("rec"), record_quota=text)


def test_the_flags_that_were_given_are_named() -> None:
    assert LiveConfig().named() == []
    given = LiveConfig(
        LiveModelConfig(every_frame=True, smooth=True),
        CameraConfig(frozen_after=0),
        ViewerConfig(web="8080"),
        RecordConfig(record=Path("rec"), record_on="manual"),
        PrivacyConfig(blur=("car",)),
    )
    flags = "--every-frame --smooth --frozen-after --web --record --record-on --blur"
    assert given.named() == flags.split()


def test_every_live_flag_is_told_apart_from_those_of_recordings() -> None:
    names = [one.name for group in fields(LiveConfig()) for one in fields(getattr(LiveConfig(), group.name))]
    assert len(names) == len(set(names)) >= 23


def test_cameras_are_told_what_was_given_and_nothing_else(tmp_path: Path, certificate: Path) -> None:
    assert CameraConfig().options() == CaptureOptions()
    wanted = CameraConfig(rtsp_transport="udp", ca_file=certificate, frozen_after=0)
    assert wanted.options() == CaptureOptions(rtsp_transport="udp", ca_file=str(certificate), frozen_after=0)


@pytest.fixture
def certificate() -> Path:
    """The system's certificates."""
    path = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    if not Path(path).is_file():
        pytest.skip("the system has no file of certificates")
    return Path(path)


@pytest.mark.parametrize(
    ("config", "sources", "message"),
    [
        (CameraConfig(rtsp_transport="tcp"), ["http://a/1", "0"], "--rtsp-transport is for rtsp:// and rtsps://"),
        (CameraConfig(rtsp_transport="tcp"), ["RTSP://a/1", "0"], None),
        (CameraConfig(rtsp_transport="udp"), ["http://a/1", "rtsps://a/1"], None),
        (CameraConfig(ca_file=Path("x")), ["rtsp://a/1", "http://a", "/dev/video0"], "--ca-file is for https://"),
        (CameraConfig(ca_file=Path("x")), ["https://a/1"], None),
        (CameraConfig(frozen_after=9), ["0"], None),
    ],
)
def test_flags_that_no_camera_can_use_are_refused(
    config: CameraConfig, sources: list[str], message: str | None
) -> None:
    with nullcontext() if message is None else pytest.raises(ConfigError, match=message):
        config.check(sources)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_what_is_no_time_is_refused(value: float) -> None:
    with pytest.raises(ConfigError, match="--frozen-after must be a number of seconds, or 0 for never"):
        CameraConfig(frozen_after=value)


def test_a_file_without_certificates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    for name in ("empty.pem", "key.pem"):
        with pytest.raises(ConfigError, match=f"{name} holds no certificate in PEM form"):
            CameraConfig(ca_file=tmp_path / name).options()
    with pytest.raises(ConfigError, match=r"missing\.pem cannot be read: No such file"):
        CameraConfig(ca_file=tmp_path / "missing.pem").options()


TOKEN = "0123456789abcdef-._~"


def test_a_token_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert ViewerConfig(web="0").token() is None
    monkeypatch.setenv(TOKEN_VARIABLE, "of-the-environment-1")
    assert ViewerConfig(web="0").token() == "of-the-environment-1"
    (tmp_path / "token").write_text(f"  {TOKEN}\n")
    assert ViewerConfig(web="0", web_token_file=tmp_path / "token").token() == TOKEN


@pytest.mark.parametrize(
    "text", ["", "\n", "short-secret", "with a blank in the middle", "0123456789abcdef&x=1", "ü" * 20]
)
def test_what_is_no_token_is_refused_without_being_told(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(text, encoding="latin-1")
    config = ViewerConfig(web="0", web_token_file=tmp_path / "token")
    with pytest.raises(ConfigError, match=r"--web-token-file .* must hold one token, of 16 or more") as refused:
        config.token()
    assert not text.strip() or text.strip() not in str(refused.value)
    monkeypatch.setenv(TOKEN_VARIABLE, text)
    with pytest.raises(ConfigError, match="EDGESEG_WEB_TOKEN must hold one token"):
        ViewerConfig(web="0").token()
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        ViewerConfig(web="0", web_token_file=tmp_path / "missing").token()


def test_models_have_the_shortest_names_that_tell_them_apart(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("a/int8/model.xml", "b/int8/model.xml", "b/float/model.xml"))
    assert short_names([first]) == ["model.xml"]
    assert short_names([second, third]) == ["int8/model.xml", "float/model.xml"]
    assert short_names([first, second, third]) == ["a/int8/model.xml", "b/int8/model.xml", "b/float/model.xml"]
    with pytest.raises(ConfigError, match="named twice"):
        short_names([first, tmp_path / "a" / ".." / "a" / "int8" / "model.xml"])
