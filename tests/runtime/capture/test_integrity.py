"""Damage against the pictures that were encoded, and against a decoder that is told to notice nothing."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from typing import cast

import av
import av.logging
import cv2
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext

from edgeseg_runtime.capture.complaints import FfmpegLog
from edgeseg_runtime.capture.integrity import Integrity
from edgeseg_runtime.preprocess import Image
from tests.runtime.capture.pictures import H264Decoder, access_unit, cut, jpeg, overwritten, without_a_piece
from tests.servers.h264 import Encoder
from tests.servers.scene import draw, now, read

Damage = Callable[[bytes, random.Random], bytes]


@pytest.fixture
def log() -> Iterator[FfmpegLog]:
    yield FfmpegLog().install()
    av.logging.set_level(None)


def decoder(codec: str) -> VideoCodecContext:
    context = cast("VideoCodecContext", av.CodecContext.create(codec, "r"))
    context.thread_count = 1
    return context


def shown(integrity: Integrity, data: bytes) -> list[Image]:
    packet = cast("av.Packet[av.VideoStream]", av.Packet(data))
    return [cast("Image", frame.to_ndarray(format="bgr24")) for frame in integrity.decode(packet)]


def is_damaged(image: Image, whole: bytes) -> bool:
    """Whether anybody would see it."""
    good = cast("Image", cv2.imdecode(np.frombuffer(whole, np.uint8), cv2.IMREAD_COLOR))
    return float(cv2.absdiff(image, good).max()) > 60


def test_whole_pictures_are_shown(log: FfmpegLog) -> None:
    integrity = Integrity(decoder("mjpeg"), log)
    for number, size in enumerate([(48, 64), (240, 320), (241, 319), (600, 800)]):
        (image,) = shown(integrity, jpeg(number, size))
        stamp = read(image)
        assert stamp is not None
        assert stamp.number == number
    assert integrity.damaged == 0


@pytest.mark.parametrize(("damage", "at_least"), [(cut, 1.0), (without_a_piece, 0.95), (overwritten, 0.75)])
def test_damaged_jpeg_is_not_shown(log: FfmpegLog, damage: Damage, at_least: float) -> None:
    """Bytes that are missing are found; some bytes that were replaced make another valid picture."""
    chance, integrity, visible, hidden = random.Random(5), Integrity(decoder("mjpeg"), log), 0, 0
    for number in range(60):
        whole = jpeg(number)
        broken = damage(whole, chance)
        images = shown(integrity, broken)
        if not images:
            visible += 1
            hidden += 1
        elif is_damaged(images[0], whole):
            visible += 1
    assert visible > 50
    assert hidden / visible >= at_least
    assert integrity.damaged == hidden


def test_opencv_returns_damaged_jpeg_as_good(log: FfmpegLog) -> None:
    """The negative control."""
    chance, as_good = random.Random(5), 0
    for number in range(30):
        whole = jpeg(number)
        image = cv2.imdecode(np.frombuffer(without_a_piece(whole, chance), np.uint8), cv2.IMREAD_COLOR)
        as_good += image is not None and is_damaged(cast("Image", image), whole)
    assert as_good > 20


def test_one_decoder_alone_misses_more(log: FfmpegLog) -> None:
    """The negative control of the second opinion."""
    chance, first, both = random.Random(7), Integrity(decoder("mjpeg"), log), Integrity(decoder("mjpeg"), log)
    first._second = None
    for number in range(80):
        broken = overwritten(jpeg(number), chance)
        shown(first, broken)
        shown(both, broken)
    assert both.damaged > first.damaged


def lose_frames(units: list[bytes], chance: random.Random) -> list[bytes]:
    return []


def lose_a_piece(units: list[bytes], chance: random.Random) -> list[bytes]:
    return [*units[:-1], without_a_piece(units[-1], chance)] if len(units[-1]) > 400 else units[:-1]


def cut_short(units: list[bytes], chance: random.Random) -> list[bytes]:
    return [*units[:-1], cut(units[-1], chance)]


@pytest.mark.parametrize("damage", [lose_frames, lose_a_piece, cut_short])
def test_nothing_that_rests_on_damaged_h264_is_shown(
    log: FfmpegLog, damage: Callable[[list[bytes], random.Random], list[bytes]]
) -> None:
    chance, integrity, naive = random.Random(3), Integrity(decoder("h264"), log), H264Decoder()
    encoder, good, bad, naively_bad, after_damage = Encoder(25, keyframe_every=20), 0, 0, 0, 0
    for number in range(200):
        units = encoder.encode(draw(now(number), (144, 192)))
        if number % 20 == 7:
            units = damage(units, chance)
        after_damage += number % 20 > 7
        if not units:
            continue
        for image in shown(integrity, access_unit(units)):
            stamp = read(image)
            good += stamp is not None
            bad += stamp is None
        naively_bad += sum(read(image) is None for image in naive.decode(units))
    assert bad == 0
    assert good == 200 - after_damage - 10
    assert naively_bad > 0, "the negative control"


def test_a_missing_frame_is_told_by_the_log_only(log: FfmpegLog) -> None:
    encoder, context = Encoder(25), decoder("h264")
    log.listen(lost_frames=True)
    for number in range(10):
        units = encoder.encode(draw(now(number), (96, 128)))
        if number != 5:
            frames = context.decode(av.Packet(access_unit(units)))
            assert not any(frame.is_corrupt for frame in frames)
        assert log.lost_frames == (number > 5)


def test_lost_packets_make_both_frames_suspect_that_they_may_belong_to(log: FfmpegLog) -> None:
    integrity, encoder = Integrity(decoder("h264"), log), Encoder(25, keyframe_every=5)
    counts = []
    for number in range(20):
        if number == 10:  # a key frame
            log.handle(log_record("RTP: missed 3 packets"))
        counts.append(len(shown(integrity, access_unit(encoder.encode(draw(now(number), (96, 128)))))))
    assert counts == [1] * 10 + [0] * 5 + [1] * 5
    assert integrity.damaged == 5


def log_record(text: str) -> logging.LogRecord:
    return logging.LogRecord("libav.rtsp", logging.WARNING, "", 0, text, (), None)


def test_nothing_of_the_talkative_lines_is_kept(log: FfmpegLog) -> None:
    """They hold the request's headers."""
    logger = logging.getLogger("libav.http")
    logger.log(5, "request: GET / HTTP/1.1\\r\\nAuthorization: Basic c2VjcmV0")
    logger.warning("HTTP error 401 Unauthorized")
    assert list(log.lines) == ["HTTP error 401 Unauthorized"]
