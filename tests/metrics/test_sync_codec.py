"""`codec: published`: the codecs of the published route, against files that FFmpeg's and OpenCV's own writers make."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from lipbench import media
from lipbench.core.errors import UsageError
from lipbench.metrics.sync import codec, evaluate
from lipbench.metrics.sync.codec import CROP_SIZE, CropRoute, full_range, on_disk, read_published, rgb, widened
from lipbench.metrics.sync.sound_codec import heard_of_a_crop, read_published_sound
from tests.metrics.sync_videos import RULES, SIZE, clip, face_track, image, small_net, sound

N = 30


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 noisy frames, hard to compress."""
    rng = np.random.default_rng(0)
    frames = image(N).astype(int) + rng.normal(0, 6, (N, 120, 160, 3))
    folder = tmp_path_factory.mktemp("codec")
    return clip(folder / "clip.mp4", N, audio=sound(N), frames=frames.clip(0, 255).astype(np.uint8))


def jpegs(video: Path, folder: Path, options: dict[str, str]) -> list[Path]:
    """Pictures as FFmpeg's image2 writer leaves them."""
    with av.open(str(video)) as source, av.open(str(folder / "%06d.jpg"), "w", format="image2") as target:
        stream: Any = target.add_stream("mjpeg", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuvj420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.bit_rate_tolerance = 4_000_000  # ffmpeg's default; PyAV's containers have another
        if "b" in options:
            stream.bit_rate = int(options["b"])
        for n, frame in enumerate(source.decode(video=0)):
            picture = widened(frame.reformat(format="yuv420p"))
            picture.pict_type = 0  # as ffmpeg does: the encoder chooses
            picture.pts, picture.time_base = n, Fraction(1, 25)
            target.mux(stream.encode(picture))
        target.mux(stream.encode(None))
    return sorted(folder.glob("*.jpg"))


def test_the_full_range_is_that_of_ffmpeg_up_to_7() -> None:
    # Values 10, 26, ... of a ramp in yuv420p, written by ffmpeg 5.1.9 as yuvj420p, and the sums of all 256.
    luma, chroma = full_range()
    assert luma[10:250:16].tolist() == [0, 12, 30, 49, 68, 86, 105, 123, 142, 161, 179, 198, 217, 235, 254]
    assert chroma[10:250:16].tolist() == [0, 12, 30, 48, 67, 85, 103, 121, 139, 158, 176, 194, 212, 230, 249]
    assert (int(luma.sum()), int(chroma.sum())) == (33150, 32624)
    frame = av.VideoFrame.from_ndarray(np.full((12, 10, 3), 200, np.uint8), "rgb24").reformat(format="yuv420p")
    for plane in widened(frame).planes:
        assert len({bytes(plane)[: plane.width]}) == 1
    rows = [np.frombuffer(p, np.uint8)[0] for p in (*frame.planes, *widened(frame).planes)]
    assert rows[3:] == [luma[rows[0]], chroma[rows[1]], chroma[rows[2]]]


@pytest.mark.parametrize(("late", "shown"), [(0, "0123"), (1, "01123"), (2, "001123")])
def test_pictures_that_avi_leaves_out_are_filled_with_copies(late: int, shown: str) -> None:
    # As ffmpeg 5.1.9 and 9.0.2 wrote the pictures of a test picture's AVI with MP3 at 44.1 kHz (1) and 16 kHz (2).
    assert "".join(on_disk("0123", late)) == shown


def test_cropped_sees_the_jpeg_files_that_ffmpeg_writes(video: Path, tmp_path: Path) -> None:
    files = jpegs(video, tmp_path, {"b": "200000"})
    seen = list(read_published(video, "cropped"))
    assert len(seen) == len(files) == N
    for file, frame in zip(files, seen, strict=True):
        assert np.array_equal(cv2.imread(str(file))[..., ::-1], frame)
    # The rate control: the first picture is twice as large as those that the rate allows.
    sizes = [file.stat().st_size for file in files]
    assert sizes[0] > 1.8 * sizes[-1]


def test_the_jpeg_of_a_video_that_states_its_pixels_aspect_has_a_jfif_header(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As ffmpeg 5.1.9 writes them; the rate control counts the 18 bytes, which moves a quantizer here and there.
    files: list[bytes] = []
    monkeypatch.setattr(codec, "rgb", lambda file: files.append(bytes(file)) or rgb(file))

    def sizes(told: bool) -> list[int]:
        assert {file[2:11].endswith(b"JFIF\0") for file in files} == {told}
        found = [len(file) for file in files]
        files.clear()
        return found

    list(read_published(video, "cropped"))
    untold = sizes(told=False)
    stated = tmp_path / "stated.mp4"
    with av.open(str(video)) as source, av.open(str(stated), "w") as target:
        stream: Any = target.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(1)
        for n, frame in enumerate(source.decode(video=0)):
            frame.pts, frame.time_base, frame.pict_type = n, Fraction(1, 25), 0
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    list(read_published(stated, "cropped"))
    told = sizes(told=True)
    assert told[0] - untold[0] == 18
    assert told != [size + 18 for size in untold]
    route = CropRoute()
    for frame in media.read_frames(video):
        route.push(cv2.resize(frame, (CROP_SIZE, CROP_SIZE)))
    sizes(told=True)


def test_realvideo_is_fine_and_not_exact(video: Path) -> None:
    seen = np.stack(list(read_published(video, "realvideo"))).astype(int)
    whole = media.load_frames(video).astype(int)
    error = np.abs(seen - whole).mean(axis=(1, 2, 3))
    coarse = np.abs(np.stack(list(read_published(video, "cropped"))) - whole).mean(axis=(1, 2, 3))
    assert seen.shape == whole.shape
    assert (error > 0.5).all()
    assert (error[N // 2 :] < 0.9 * coarse[N // 2 :]).all()
    assert error.max() < 1.3 * error.min()  # a frame that the decoder misread would stand out


def test_crops_go_through_xvid_as_opencv_writes_it(tmp_path: Path) -> None:
    crops = np.stack([cv2.resize(frame, (CROP_SIZE, CROP_SIZE)) for frame in image(26)])
    path = tmp_path / "crops.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"XVID"), 25, (CROP_SIZE, CROP_SIZE))  # type: ignore[attr-defined]
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no XVID")
    for crop in crops:
        writer.write(np.ascontiguousarray(crop[..., ::-1]))
    writer.release()
    want = np.stack(list(read_published(path, "cropped"))).astype(int)
    route = CropRoute()
    got = np.stack([seen for crop in crops for seen in route.push(crop)] + route.flush())
    assert got.shape == want.shape
    gap = np.abs(got - want).mean()
    assert gap < 0.5 * np.abs(crops - want).mean()  # nothing with OpenCV 5, 0.46 with OpenCV 4.10
    assert gap < 1


def test_scores_are_those_of_the_recoded_frames(video: Path) -> None:
    net = small_net()
    seen = [cv2.resize(frame, (SIZE, SIZE))[..., ::-1] for frame in read_published(video, "cropped")]
    want = net.score(np.stack(seen), sound(N))
    got = evaluate(video, sound(N), sync_model=net, protocol="cropped", codec="published")
    plain = evaluate(video, sound(N), sync_model=net, protocol="cropped")
    assert got.value("lse_d") == pytest.approx(want.lse_d, rel=1e-6)
    assert got.value("lse_d") != pytest.approx(plain.value("lse_d"), rel=1e-5)
    assert got.facts["deviations"] == []
    real = evaluate(video, sound(N), sync_model=net, faces=face_track(N), codec="published", **RULES)
    other = evaluate(video, sound(N), sync_model=net, faces=face_track(N), **RULES)
    assert real.n_windows == other.n_windows == N - 5
    assert real.value("lse_d") != pytest.approx(other.value("lse_d"), rel=1e-6)


def test_latentsync_codes_with_h264_and_aac(video: Path) -> None:
    fine = np.stack(list(read_published(video, "latentsync"))).astype(int)
    whole = media.load_frames(video).astype(int)
    assert fine.shape == whole.shape
    other = np.stack(list(read_published(video, "realvideo"))).astype(int)
    assert 0.5 < np.abs(fine - whole).mean() < 8
    assert np.abs(fine - other).mean() > 0.5
    t = np.arange(N * 640) / 16000
    heard = (9000 * np.sin(2 * np.pi * 300 * t) * np.sin(2 * np.pi * 3 * t)).astype(np.int16)
    once = read_published_sound(heard, "latentsync")
    assert once.late == 0
    for got in (once.samples, heard_of_a_crop(heard, "latentsync")):
        assert len(got) == len(heard)
        assert 0 < np.abs(got[1000:-1000].astype(int) - heard[1000:-1000]).mean() < 60  # coded, and not a sample late
    assert heard_of_a_crop(heard, "realvideo") is heard
    net = small_net()
    values = {
        codec: evaluate(video, sound(N), sync_model=net, faces=face_track(N), codec=codec, **RULES).value("lse_d")
        for codec in ("none", "published", "latentsync")
    }
    assert len(set(values.values())) == 3
    with pytest.raises(UsageError, match="codec latentsync is of protocol realvideo"):
        evaluate(video, sound(N), sync_model=net, protocol="cropped", codec="latentsync")
