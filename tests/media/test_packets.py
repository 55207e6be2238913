from __future__ import annotations

import numpy as np
import pytest

from lipbench import media
from lipbench.core.errors import MediaError, NoVideo


def gray(first: int) -> np.ndarray:
    return np.stack([np.full((48, 64, 3), first + i, np.uint8) for i in range(5)])


def test_a_copy_under_another_sound_is_the_same_picture(tmp_path):
    sounds = [np.full(3200, n, np.int16) for n in (0, 1000)]
    one = media.write_video(tmp_path / "one.mp4", gray(40), 25, audio=sounds[0], lossless=True)
    copy = media.remux(one, sounds[1], tmp_path / "copy.mp4")
    mute = media.write_video(tmp_path / "mute.mp4", gray(40), 25, lossless=True)
    assert one.read_bytes() != copy.read_bytes()
    assert media.image_sha256(one) == media.image_sha256(copy) == media.image_sha256(mute)
    assert len(media.image_sha256(one)) == 64


def test_other_pictures_differ(tmp_path):
    found = {
        media.image_sha256(media.write_video(tmp_path / f"{i}.mp4", frames, 25, lossless=True))
        for i, frames in enumerate([gray(40), gray(41), gray(40)[:4], gray(40)[::-1], gray(40)[:, :, :32]])
    }
    assert len(found) == 5


def test_what_shows_nothing_is_said(tmp_path):
    wav = media.write_wav(tmp_path / "sound.wav", np.zeros(1600, np.int16))
    with pytest.raises(NoVideo):
        media.image_sha256(wav)
    with pytest.raises(MediaError):
        media.image_sha256(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(MediaError):
        media.image_sha256(tmp_path / "text.mp4")
