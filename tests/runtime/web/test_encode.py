from __future__ import annotations

import json
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgeseg_runtime.contract import Contract
from edgeseg_runtime.errors import OutputError
from edgeseg_runtime.preprocess import Image, Mask
from edgeseg_runtime.result import SemanticResult
from edgeseg_runtime.web.encode import Encoder, deflated, jpeg
from edgeseg_runtime.web.layers import reduced
from edgeseg_runtime.web.options import WebOptions
from edgeseg_runtime.web.packets import Kind, Packet, Take, facts, legend, pack
from tests.runtime.web.clients import parse, shot


def decoded(packet: Packet) -> Image:
    return cv2.imdecode(np.frombuffer(packet.jpeg, np.uint8), cv2.IMREAD_COLOR)  # type: ignore[return-value]


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_a_mask_comes_back_exactly(mask: Mask) -> None:
    assert zlib.decompress(deflated(mask)) == mask.tobytes()
    assert zlib.decompress(deflated(mask[::-1, ::-1])) == mask[::-1, ::-1].tobytes()  # not in one piece


def test_the_page_gets_the_bare_picture_and_the_mask_apart(colour_contract: Contract) -> None:
    packet = Encoder(WebOptions())(Take(3, shot(colour_contract, 2, camera="door")), Kind.VIEW)
    np.testing.assert_allclose(decoded(packet), 100, atol=2)  # no colour of a class
    mask = np.zeros((48, 64), np.uint8)
    mask[:, 32:] = 2
    assert zlib.decompress(packet.mask) == mask.tobytes()
    assert (packet.number, packet.camera, packet.frame, packet.size) == (3, "door", 2, (48, 64))
    assert packet.area == (0.5, 0.0, 0.5)


@pytest.mark.parametrize("kind", [Kind.STREAM, Kind.STILL])
def test_other_software_gets_the_mask_drawn_in(colour_contract: Contract, kind: Kind) -> None:
    one = shot(colour_contract, 2)
    packet = Encoder(WebOptions(quality=100))(Take(1, one), kind)
    np.testing.assert_allclose(decoded(packet)[:, :24], one.picture[:, :24], atol=6)
    np.testing.assert_allclose(decoded(packet)[0, -1], [178, 50, 50], atol=6)  # half grey 100, half blue
    assert packet.mask == b""


def test_pictures_are_reduced_but_snapshots_are_not(colour_contract: Contract) -> None:
    encode = Encoder(WebOptions(picture_side=32, mask_side=16))
    one = shot(colour_contract, size=(60, 120))
    mask = np.random.default_rng(0).choice(np.array([0, 2], np.uint8), (60, 120))
    one.result = SemanticResult(mask, one.result.contract, one.result.times)
    take = Take(1, one)
    view, stream, still = (encode(take, kind) for kind in Kind)
    assert [decoded(packet).shape[:2] for packet in (view, stream, still)] == [(16, 32), (16, 32), (60, 120)]
    assert view.size == (60, 120) and view.mask_size == (8, 16)
    assert set(zlib.decompress(view.mask)) == {0, 2}  # classes, nothing in between
    assert view.area == pytest.approx([(mask == index).mean() for index in range(3)])  # of the whole mask
    assert encode.counts == dict.fromkeys(Kind, 1)


def test_without_a_mask_nothing_is_made_up(colour_contract: Contract) -> None:
    packet = Encoder(WebOptions())(Take(1, shot(colour_contract, masked=False)), Kind.VIEW)
    assert (packet.mask, packet.area, packet.masked_at, packet.fresh) == (b"", (), None, False)
    assert facts(packet, packet.captured_at + 0.25)["mask_age_ms"] is None


def test_what_is_small_enough_is_left_alone() -> None:
    picture = np.zeros((10, 20, 3), np.uint8)
    assert reduced(picture, 20, cv2.INTER_AREA) is picture
    assert reduced(np.zeros((1000, 2), np.uint8), 10, cv2.INTER_NEAREST).shape == (10, 1)


def test_a_picture_that_is_none_is_named() -> None:
    with pytest.raises(OutputError, match="could not encode a JPEG"):
        jpeg(np.zeros((0, 5, 3), np.uint8), 80)


def test_a_message_can_be_taken_apart(colour_contract: Contract) -> None:
    packet = Encoder(WebOptions())(Take(1, shot(colour_contract, 1)), Kind.VIEW)
    message = parse(pack({"type": "frame", "id": 5, **facts(packet, packet.captured_at + 0.1234)}, packet))
    assert message.jpeg == packet.jpeg
    assert message.mask is not None and message.mask.shape == (48, 64) and message.mask[0, -1] == 1
    assert message.header["picture_age_ms"] == message.header["mask_age_ms"] == 123.4
    assert json.loads(json.dumps(legend(colour_contract)))[1] == {"name": "green", "color": [0, 255, 0]}
