from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg_bench.temporal_clips import NO_CLASS, Clip, camvid_clip, davis_clips, make_clip, standing
from edgeseg_bench.temporal_oracle import NoiseModel, filled, noisy_scores
from edgeseg_bench.temporal_pictures import comparison
from edgeseg_bench.temporal_tricks import Outputs, Player, Trick, play
from edgeseg_runtime.contract import Contract, Label
from edgeseg_runtime.decode import ScoreDecoder
from edgeseg_runtime.errors import DatasetError

SIZE = (96, 128)
CONTRACT = Contract((Label("ground", (0, 0, 0)), Label("thing", (255, 0, 0))), *SIZE)


@pytest.fixture(scope="module")
def clip() -> Clip:
    """A camera that pans two pixels a frame over a texture with one thing on it."""
    coarse = np.random.default_rng(0).integers(0, 256, (24, 64, 3), np.uint8)
    wide = cv2.resize(coarse, (256, 96), interpolation=cv2.INTER_CUBIC)
    truth = np.zeros((96, 256), np.uint8)
    truth[30:70, 60:120] = 1
    windows = [np.s_[:, 2 * step : 2 * step + 128] for step in range(24)]
    frames = [np.ascontiguousarray(wide[window]) for window in windows]
    truths = [np.ascontiguousarray(truth[window]) for window in windows]
    return make_clip("pan", CONTRACT.names, 15.0, frames, truths)  # type: ignore[arg-type]


def truth_of(clip: Clip) -> Outputs:
    return Outputs(CONTRACT, clip.truths)


def test_the_motion_of_the_clip_is_found(clip: Clip) -> None:
    inner = np.array(clip.fields)[:, 16:-16, 16:-16]
    np.testing.assert_allclose(inner.mean((0, 1, 2)), [2, 0], atol=0.1)


def test_off_shows_what_the_model_says(clip: Clip) -> None:
    outcome = play(clip, truth_of(clip), Trick(), clip.origins)
    assert (outcome.mean_iou, outcome.inferred, outcome.flicker, outcome.trick_ms) == (1.0, 1.0, 0.0, 0.0)


def test_holding_shows_the_keyframe_and_loses_what_it_must(clip: Clip) -> None:
    player = Player(Trick(every=4), truth_of(clip))
    for index, image in enumerate(clip.frames):
        shown = player.show(index, image, index / clip.fps)
        assert (shown == clip.truths[index // 4 * 4]).all()
    assert player.inferred == 6
    held, carried = (play(clip, truth_of(clip), Trick(every=4, warp=warp), clip.origins) for warp in (False, True))
    assert held.inferred == carried.inferred == 0.25
    assert held.mean_iou < carried.mean_iou - 0.02
    assert held.flicker > carried.flicker


def test_time_is_the_trick_s_alone(clip: Clip) -> None:
    ticks = iter(range(1000))

    def slow_decode(scores: np.ndarray) -> np.ndarray:
        for _ in range(50):
            next(ticks)
        return ScoreDecoder(*SIZE)(scores)

    scores = noisy_scores(clip, NoiseModel())
    outputs = Outputs(CONTRACT, clip.truths, scores, slow_decode)
    player = Player(Trick(smooth="scores"), outputs, clock=lambda: float(next(ticks)))
    player.show(0, clip.frames[0], 0.0)
    # begin, before and after decoding, end: three ticks, of which the one tick of decoding and its fifty are not ours
    assert player.seconds == 2.0


@pytest.mark.parametrize(
    ("trick", "name"),
    [
        (Trick(), "off"),
        (Trick(every=3), "hold every 3"),
        (Trick(skip=True), "skip static + hold"),
        (Trick(skip=True, warp=True), "skip static + warp"),
        (Trick(every=2, warp=True, smooth="scores"), "smooth scores + warp every 2"),
        (Trick(smooth="labels, no motion"), "smooth labels, no motion"),
    ],
)
def test_a_trick_is_called_by_what_it_does(trick: Trick, name: str) -> None:
    assert trick.name == name


def test_smoothing_steadies_noisy_scores(clip: Clip) -> None:
    scores = noisy_scores(clip, NoiseModel())
    decoder = ScoreDecoder(*SIZE)
    outputs = Outputs(CONTRACT, [decoder(one) for one in scores], scores, decoder)
    off, smooth = (play(clip, outputs, trick, clip.origins) for trick in (Trick(), Trick(smooth="scores")))
    assert smooth.flicker < 0.5 * off.flicker and smooth.mean_iou > off.mean_iou


def test_skipping_infers_less_of_a_standing_camera_than_of_a_creeping_one(clip: Clip) -> None:
    still, drift = (standing(clip, 8.0, speed, 3.0, 0) for speed in (0.0, 4.0))
    shares = [play(one, truth_of(one), Trick(skip=True), one.origins) for one in (still, drift)]
    assert shares[0].inferred < shares[1].inferred
    assert shares[0].mean_iou == 1.0 and shares[1].mean_iou > 0.97


def test_a_creeping_camera_takes_its_truth_along(clip: Clip) -> None:
    drift = standing(clip, 4.0, 3.0, 0.0, 0)
    assert len(drift.frames) == 60
    assert (drift.truths[20][:, :-4] == clip.truths[0][:, 4:]).all()  # 20 frames at 15 a second: 4 pixels
    np.testing.assert_allclose(drift.fields[0][0, 0], [0.2, 0])


def test_the_oracle_s_noise_is_what_it_says(clip: Clip) -> None:
    model = NoiseModel(gain=0.0, sigma=2.0, memory=0.8, seed=3)
    still = standing(clip, 10.0, 0.0, 0.0, 0)
    noise = np.stack(noisy_scores(still, model))
    assert noise.shape == (150, 2, 12, 16)
    assert noise.std() == pytest.approx(2.0, rel=0.1)
    correlation = float((noise[1:] * noise[:-1]).mean() / noise.var())
    assert correlation == pytest.approx(0.8, abs=0.05)
    assert (noise == np.stack(noisy_scores(still, model))).all()
    assert (noise != np.stack(noisy_scores(still, NoiseModel(gain=0.0, sigma=2.0, seed=4)))).any()


def test_without_noise_the_oracle_s_scores_are_the_share_of_each_class(clip: Clip) -> None:
    scores = noisy_scores(clip, NoiseModel(sigma=0.0, gain=4.0))[0]
    cells = (clip.truths[0] == 1).reshape(12, 8, 16, 8).mean((1, 3))
    np.testing.assert_allclose(scores[1], 4 * cells, atol=1e-4)


def test_unknown_truth_becomes_the_nearest_class() -> None:
    truth = np.array([[0, 0, NO_CLASS, NO_CLASS, NO_CLASS, NO_CLASS, 3]], np.uint8).repeat(5, 0)
    assert filled(truth)[2].tolist() == [0, 0, 0, 0, 3, 3, 3]
    assert (filled(np.full((2, 2), NO_CLASS, np.uint8)) == 0).all()


def test_the_sheet_has_a_row_a_frame_and_a_column_a_trick(clip: Clip) -> None:
    sheet = comparison(clip, truth_of(clip), [Trick(every=5), Trick(every=5, warp=True)], [4, 9], CONTRACT)
    assert sheet.shape == (2 * SIZE[0], 3 * SIZE[1], 3)


def test_clips_are_read_with_their_truth(tmp_path: Path) -> None:
    frame, mask = np.zeros((32, 48, 3), np.uint8), np.zeros((32, 48), np.uint8)
    mask[:8], mask[8:16] = 11, 8
    folders = "camvid/val", "camvid/valannot", "davis/JPEGImages/one", "davis/Annotations/one"
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    for index in range(3):
        cv2.imwrite(str(tmp_path / folders[0] / f"{index}.png"), frame)
        cv2.imwrite(str(tmp_path / folders[1] / f"{index}.png"), mask)
        cv2.imwrite(str(tmp_path / folders[2] / f"{index}.jpg"), frame)
        cv2.imwrite(str(tmp_path / folders[3] / f"{index}.png"), mask * 20)
    drive = camvid_clip(tmp_path)
    assert len(drive.frames) == 3 and set(np.unique(drive.truths[0])) == {0, 8, NO_CLASS}
    (sequence,) = davis_clips(tmp_path)
    assert sequence.name == "davis-one" and set(np.unique(sequence.truths[0])) == {0, 1}


def test_data_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="EDGESEG_DATA"):
        camvid_clip(tmp_path)
    with pytest.raises(DatasetError, match="holds no sequences"):
        list(davis_clips(tmp_path))
    with pytest.raises(DatasetError, match="2 frames and 1 masks do not make a clip"):
        make_clip("x", ("a",), 15.0, [np.zeros((4, 4, 3), np.uint8)] * 2, [np.zeros((4, 4), np.uint8)])
