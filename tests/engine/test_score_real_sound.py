"""score on files as people have them: several sounds, surround, silence, pictures, another size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import soundfile
from av.stream import Disposition

from lipbench import media
from lipbench.core.errors import MediaError
from lipbench.engine import score
from lipbench.engine.score import score_video

RATE, N = 16000, 20
PSNR = ("psnr_full", "ssim_full")
VOICES = {name: (np.random.default_rng(i).normal(size=12800) * 3000).astype(np.int16) for i, name in enumerate("abc")}


def film(path: Path, sounds: list[np.ndarray], languages: list[str], default: int | None = None, layout="mono") -> Path:
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25, options={"qp": "0"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        streams = [out.add_stream("pcm_s16le", rate=RATE, layout=layout) for _ in sounds]
        for i, (stream, language) in enumerate(zip(streams, languages, strict=True)):
            stream.metadata["language"] = language
            stream.disposition = Disposition.default if i == default else Disposition(0)
        for k in range(N):
            picture = np.full((48, 64, 3), 40 + 3 * k, np.uint8)
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        for stream, sound in zip(streams, sounds, strict=True):
            frame = av.AudioFrame.from_ndarray(sound.reshape(1, -1), format="s16", layout=layout)
            frame.sample_rate, frame.pts = RATE, 0
            out.mux([*stream.encode(frame), *stream.encode(None)])
        out.mux(video.encode(None))
    return path


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Callable[..., np.ndarray]:
    """heard(video, **options): the samples that the sync metrics get; `heard.rates`: and at which other rates."""

    def heard(video: Path | str, **options: object) -> np.ndarray:
        kept: list[np.ndarray] = []

        def run(measured, inputs, *more):
            kept.append(media.read_wav(inputs["audio"].file)[0])
            heard.rates = [soundfile.info(inputs["sound"].file).samplerate] if "sound" in inputs else []  # type: ignore[attr-defined]
            return {m.id: {"extra": {}} for family, _ in measured for m in family.metrics}

        monkeypatch.setattr(score, "run_families", run)
        monkeypatch.setattr(score, "_tracks", lambda *_: {})
        monkeypatch.setattr(score, "_foreseen", lambda *_: [])  # no weights are needed to hear
        score_video(video, metrics=["lse_d"], **options)
        return kept[0]

    return heard


def test_which_sound(tmp_path: Path, heard: Callable[..., np.ndarray]) -> None:
    path = film(tmp_path / "film.mkv", list(VOICES.values()), ["ger", "fre", "eng"], default=2)
    for i, voice in enumerate(VOICES.values()):
        assert np.array_equal(heard(f"{path}:a:{i}"), voice)
        assert np.array_equal(heard(path, audio=f"{path}:a:{i}"), voice)
    assert np.array_equal(heard(path), VOICES["c"])
    found = score_video(path, metrics=["lse_d"], protocol="cropped", sync_model="demo", faces="demo-face")
    assert any("a:1 fre" in remark and "a:2, is used" in remark for remark in found["remarks"])


def test_which_sound_is_not_guessed(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mkv", list(VOICES.values())[:2], ["ger", "fre"])
    with pytest.raises(MediaError, match="which of the audio streams"):
        score_video(path, metrics=["lse_d"], protocol="cropped", sync_model="demo", faces="demo-face")
    found = score_video(path, reference=f"{path}:a:1", metrics=PSNR)  # a picture needs no sound
    assert found["metrics"]["psnr_full"]["value"] == "inf"


def test_a_channel(tmp_path: Path, heard: Callable[..., np.ndarray]) -> None:
    sides = (np.random.default_rng(9).normal(size=(12800, 6)) * 3000).astype(np.int16)
    path = film(tmp_path / "film.mkv", [sides], ["eng"], layout="5.1")
    assert np.array_equal(heard(path, channel="center"), sides[:, 2])
    assert np.corrcoef(heard(path), sides[:, 2])[0, 1] > 0.5
    with pytest.raises(MediaError, match="no channel 'side_left'"):
        heard(path, channel="side_left")


@pytest.mark.parametrize(("codec", "rates"), [("none", []), ("published", [44100])])
def test_a_family_that_says_so_gets_the_sound_at_its_own_rate(
    codec: str, rates: list[int], tmp_path: Path, heard: Callable[..., np.ndarray]
) -> None:
    path, sound = film(tmp_path / "film.mkv", [VOICES["a"]], ["eng"]), tmp_path / "dub.wav"
    soundfile.write(sound, np.zeros((35280, 2)), 44100)
    options = {"sync_model": "demo", "protocol": "cropped", "options": {"sync": {"codec": codec}}}
    heard(path, audio=sound, faces="demo-face", **options)
    assert heard.rates == rates  # type: ignore[attr-defined]


def test_silence_is_a_reason(tmp_path: Path) -> None:
    """Measured, it would get a number: LSE-D of a sound that is none."""
    path = film(tmp_path / "film.mkv", [VOICES["a"]], ["eng"])
    quiet = media.write_wav(tmp_path / "quiet.wav", (VOICES["a"] // 400).astype(np.int16))
    still = media.write_wav(tmp_path / "still.wav", np.zeros(12800, np.int16))
    for protocol in ("cropped", "realvideo"):
        for audio in (quiet, still):
            found = score_video(
                path, audio=audio, metrics=["sync"], sync_model="demo", protocol=protocol, faces="demo-face"
            )
            for name in ("lse_d", "lse_c", "av_offset"):
                assert found["metrics"][name]["value"] is None
                assert found["metrics"][name]["reason"].startswith("silent: ")


def pictures(folder: Path, n: int = N) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(n):
        cv2.imwrite(str(folder / f"f{k:04d}.png"), rng.integers(0, 256, (47, 63, 3)).astype(np.uint8))
    return folder


def test_pictures_are_videos(tmp_path: Path) -> None:
    mine, other = pictures(tmp_path / "mine"), tmp_path / "other"
    other.mkdir()
    errors = []
    for file in sorted(mine.iterdir()):
        before = cv2.imread(str(file)).astype(int)
        after = np.clip(before + 9 * (np.arange(63) % 2)[None, :, None], 0, 255).astype(np.uint8)
        cv2.imwrite(str(other / file.name), after)
        errors.append(10 * np.log10(255**2 / np.square(after - before).mean()))
    for path in (other, other / "f%04d.png", other / "*.png"):
        found = score_video(path, reference=mine, metrics=PSNR)
        assert found["metrics"]["psnr_full"]["value"] == pytest.approx(np.mean(errors), abs=1e-6)
        assert found["metrics"]["psnr_full"]["n_valid"] == N
        assert found["sha256"] == media.digest(other)
    assert score_video(mine, reference=mine, metrics=PSNR, fps=30)["metrics"]["psnr_full"]["value"] == "inf"


def test_another_size_names_the_true_sizes_and_the_cure(tmp_path: Path) -> None:
    source = pictures(tmp_path / "source")
    small = tmp_path / "small"
    small.mkdir()
    for file in sorted(source.iterdir()):
        cv2.imwrite(str(small / file.name), cv2.imread(str(file))[:40, :60])
    reason = score_video(small, reference=source, metrics=PSNR)["metrics"]["psnr_full"]["reason"]
    assert "the prediction is 60x40, the reference 63x47" in reason
    assert "--resize" in reason
    found = score_video(small, reference=source, metrics=PSNR, resize=True)
    assert found["resized"] == {"from": [60, 40], "to": [63, 47]}
    assert any("scaled from 60x40 to 63x47" in remark for remark in found["remarks"])
    assert found["metrics"]["psnr_full"]["n_valid"] == N
    expected = []
    for file in sorted(source.iterdir()):
        whole = cv2.imread(str(file))
        up = cv2.resize(whole[:40, :60], (63, 47), interpolation=cv2.INTER_CUBIC)
        expected.append(10 * np.log10(255**2 / np.square(up.astype(int) - whole).mean()))
    assert found["metrics"]["psnr_full"]["value"] == pytest.approx(np.mean(expected), abs=1e-6)
    assert "resized" not in score_video(source, reference=source, metrics=PSNR, resize=True)
