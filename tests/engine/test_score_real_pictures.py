"""Files as people have them: pictures of other rates, clocks and colors, measured right or told why not.

Each case stands for public bug reports of other tools; the right value is worked out from the frames that went in.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from lipbench import media
from lipbench.cli.score import main
from lipbench.engine.score import score_video
from lipbench.metrics import psnr_per_frame, ssim_per_frame
from lipbench.metrics.sync.measure import grid_deviation

rng = np.random.default_rng(1)
CARPET = np.kron(rng.integers(30, 226, (12, 16, 3)), np.ones((8, 8, 1))).astype(np.uint8)
#: (90, 96, 128, 3): a picture that wanders, every frame another.
WALK = np.stack([np.roll(CARPET, (2 * t, 3 * t), (0, 1)) for t in range(90)])
LOSSLESS = {"codec": "ffv1", "options": {}, "size": (128, 96)}


def picture(found: dict, name: str = "psnr_full"):
    return found["metrics"][name]["value"]


def test_rgb_is_measured_as_rgb(films) -> None:
    """A fine error of color: a squeeze through 4:2:0 averages it away."""
    reference = WALK[:4]
    fine = reference.copy()
    fine[:, :, ::2, 0] = np.minimum(fine[:, :, ::2, 0].astype(int) + 24, 255)
    fine[:, :, 1::2, 2] = np.minimum(fine[:, :, 1::2, 2].astype(int) + 24, 255)
    pix = {"codec": "png", "options": {}, "size": (128, 96), "pix_fmt": "rgb24"}
    a, b = (films.make(f"{n}.mov", 4, 30, frames=f, **pix) for n, f in (("p", fine), ("r", reference)))
    for fps in (25, 30):  # resampled, and as it is
        found = score_video(a, reference=b, metrics=["psnr_full", "ssim_full"], fps=fps)
        picks = [0, 1, 2] if fps == 25 else [0, 1, 2, 3]
        assert picture(found) == pytest.approx(psnr_per_frame(fine[picks], reference[picks]).mean(), abs=1e-9)
        right = ssim_per_frame(fine[picks], reference[picks]).mean()
        assert picture(found, "ssim_full") == pytest.approx(right, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("444.mkv", {"pix_fmt": "yuv444p"}),
        ("422.mkv", {"pix_fmt": "yuv422p"}),
        ("10.mkv", {"pix_fmt": "yuv420p10le"}),
        ("odd.mkv", {"pix_fmt": "yuv420p", "size": (127, 95)}),
        ("turned.mp4", {"rotation": 90, "codec": "mpeg4", "options": {"qscale": "1", "b": "9000000"}}),
    ],
)
def test_every_form_is_measured_as_it_is(films, name: str, how: dict) -> None:
    width, height = how.get("size", (128, 96))
    video = films.make(name, 6, 30, **{**LOSSLESS, **how}, frames=np.ascontiguousarray(WALK[:6, :height, :width]))
    shown = media.load_frames(video)
    spoiled = shown.copy()
    spoiled[:, ::3, ::2, 1] ^= 8
    rgb = {"codec": "png", "options": {}, "pix_fmt": "rgb24", "size": shown.shape[2:0:-1]}
    other = films.make("other.mov", 6, 30, frames=spoiled, **rgb)
    for fps, n in ((30, 6), (25, 5)):
        found = score_video(other, reference=video, metrics=["psnr_full"], fps=fps)
        assert found["metrics"]["psnr_full"]["n_valid"] == n
        want = psnr_per_frame(spoiled, shown)
        assert picture(found) == pytest.approx(want.mean(), abs=0.05)
    assert picture(score_video(video, reference=video, metrics=["psnr_full"])) == "inf"


#: What `ffmpeg -r 25` (9, and 5.1) keeps of 90 frames at 30 fps; what is on the screen 25 times a second.
RULES = {
    "ffmpeg -r": [t for t in range(90) if t < 12 or t % 6],
    "ffmpeg -r (up to ffmpeg 5)": [t for t in range(90) if t < 13 or t % 6 != 1],
    "frame on screen": [n * 30 // 25 for n in range(75)],
}


@pytest.mark.parametrize("rule", RULES)
def test_a_video_made_at_another_rate_is_compared_on_its_own_grid(films, rule: str) -> None:
    reference = films.make("r.mkv", 90, 30, frames=WALK, **LOSSLESS)
    kept = WALK[RULES[rule]]
    video = films.make("p.mkv", len(kept), 25, frames=kept, **LOSSLESS)
    found = score_video(video, reference=reference, metrics=["psnr_full"])
    assert picture(found) == "inf"
    assert found["metrics"]["psnr_full"]["n_valid"] == len(kept)
    assert found["timing"]["reference"]["rates"] == {"prediction": 25, "reference": 30}
    assert found["timing"]["reference"]["grid"] == rule
    remark = next(text for text in found["remarks"] if text.startswith("reference: "))
    assert "it has 30 fps, the video 25 fps; compared at 25 fps" in remark
    assert rule in remark


def test_rates_are_named_where_time_stamps_are_right(films) -> None:
    reference = films.make("r.mkv", 90, 30, frames=WALK, **LOSSLESS)
    kept = WALK[[t for t in range(90) if t % 6 != 3]]  # ffmpeg's filter fps=25
    video = films.make("p.mkv", len(kept), 25, frames=kept, **LOSSLESS)
    found = score_video(video, reference=reference, metrics=["psnr_full"])
    assert picture(found) == "inf"
    assert found["timing"]["reference"]["grid"] == "by time stamps"
    (remark,) = (text for text in found["remarks"] if text.startswith("reference: "))
    assert "30 fps, the video 25 fps" in remark
    # The other way round: made at 30 fps from 25.
    found = score_video(reference, reference=video, metrics=["psnr_full"])
    assert any("it has 25 fps, the video 30 fps" in text for text in found["remarks"])


@pytest.mark.parametrize(("lost", "words"), [(1, "1 frame ahead of"), (-2, "2 frames behind")])
def test_frames_lost_or_added_at_the_start(films, lost: int, words: str) -> None:
    reference = films.make("r.mkv", 40, 25, frames=WALK[:40], **LOSSLESS)
    index = np.clip(np.arange(40) + lost, 0, 39)
    video = films.make("p.mkv", 40, 25, frames=WALK[index], **LOSSLESS)
    plain = score_video(video, reference=reference, metrics=["psnr_full", "ssim_full", "tde_mouth"])
    assert picture(plain) < 20
    said = f"the video runs {words} the undubbed source: psnr_full is then inf dB; --align compares so"
    assert said in plain["remarks"]
    assert said in plain["metrics"]["ssim_full"]["reason"]
    put_right = score_video(video, reference=reference, metrics=["psnr_full"], align=True)
    assert picture(put_right) == "inf"
    assert any(words in text and "compared at that shift" in text for text in put_right["remarks"])
    # on the command line the remark stands once, not behind every metric
    command = [str(video), "--reference", str(reference), "--metric", "psnr_full", "--metric", "ssim_full"]
    shown = CliRunner().invoke(main, command)
    assert shown.output.count(said) == 1
    aligned = CliRunner().invoke(main, [*command, "--align", "--json"])
    assert json.loads(aligned.stdout)["metrics"]["psnr_full"]["value"] == "inf"


def test_odd_sizes_have_their_own_name(films) -> None:
    odd, even = (
        films.make(f"{w}.mkv", 3, 25, frames=np.ascontiguousarray(WALK[:3, :h, :w]), **{**LOSSLESS, "size": (w, h)})
        for w, h in ((127, 95), (126, 94))
    )
    found = score_video(even, reference=odd, metrics=["psnr_full"])
    reason = found["metrics"]["psnr_full"]["reason"]
    assert "126x94" in reason
    assert "127x95" in reason


@pytest.mark.parametrize(("transfer", "curve"), [("smpte2084", "PQ"), ("arib-std-b67", "HLG")])
@pytest.mark.parametrize("fps", [25, 20])
def test_hdr_against_sdr_is_refused(films, transfer: str, curve: str, fps: int) -> None:
    how = {"pix_fmt": "yuv420p10le", "size": (128, 96)}
    hdr = films.make("hdr.mp4", 5, 25, frames=WALK, options={"x264-params": f"transfer={transfer}"}, **how)
    sdr = films.make("sdr.mp4", 5, 25, frames=WALK, size=(128, 96))
    for video, reference in ((sdr, hdr), (hdr, sdr)):
        found = score_video(video, reference=reference, metrics=["image"], fps=fps)
        for name in ("psnr_full", "ssim_full", "psnr_mouth"):
            assert found["metrics"][name]["value"] is None
            if name.endswith("full"):
                assert found["metrics"][name]["reason"].startswith("color_mismatch: ")
                assert f"HDR ({curve})" in found["metrics"][name]["reason"]
    assert picture(score_video(hdr, reference=hdr, metrics=["psnr_full"], fps=fps)) == "inf"


@pytest.mark.parametrize(
    ("mine", "theirs"), [((2, 0), (1, 1)), ((6, 1), (1, 1)), ((1, 2), (1, 1)), ((9, 1), (1, 1)), ((1, 1), (1, 1))]
)
def test_other_color_tags_are_remarked(films, mine: tuple[int, int], theirs: tuple[int, int]) -> None:
    """The same bytes under other tags."""
    import av

    paths = []
    for name, (matrix, limits) in (("p.mp4", mine), ("r.mp4", theirs)):
        with av.open(str(films.folder / name), "w") as out:
            stream = out.add_stream("libx264", rate=25, options={"qp": "0"})
            stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
            stream.codec_context.colorspace, stream.codec_context.color_range = matrix, limits
            for picture_ in WALK[:4]:
                frame = av.VideoFrame.from_ndarray(picture_, format="rgb24").reformat(format="yuv420p")
                frame.colorspace, frame.color_range = matrix, limits
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        paths.append(films.folder / name)
    found = score_video(paths[0], reference=paths[1], metrics=["psnr_full"])
    said = [text for text in found["remarks"] if text.startswith("the color tags differ")]
    assert (picture(found) == "inf") == (not said) == (mine == theirs)
    assert all("BT.709 limited" in text for text in said)


def test_interlaced_files_are_named(films) -> None:
    fields = films.make(
        "i.mp4",
        6,
        25,
        frames=WALK,
        size=(128, 96),
        options={"crf": "14", "flags": "+ilme+ildct", "x264-params": "tff=1"},
    )
    plain = films.make("p.mp4", 6, 25, frames=WALK, size=(128, 96))
    found = score_video(fields, reference=plain, metrics=["psnr_full"])
    assert any(text.startswith("the video is interlaced (6 of 6 frames)") for text in found["remarks"])
    found = score_video(plain, reference=fields, metrics=["psnr_full"])
    assert any(text.startswith("the reference is interlaced") for text in found["remarks"])
    found = score_video(plain, reference=plain, metrics=["psnr_full"])
    assert not any("is interlaced" in text for text in found["remarks"])


def test_the_published_routes_lag_is_a_deviation(films, tiny_sync_model) -> None:
    sound = (rng.normal(size=16000) * 3000).astype(np.int16)
    video = films.make("a.mp4", 30, 30, frames=WALK, size=(128, 96), audio=sound)
    found = score_video(video, metrics=["lse_d"], sync_model="tiny", protocol="cropped")
    told = found["metrics"]["lse_d"]["extra"]
    assert (told["source_fps"], told["resampled"]) == (30, True)
    assert "47 ms late in the mean" in " ".join(told["deviations"])
    assert [bool(grid_deviation(fps)) for fps in (25, 24, 30000 / 1001, 50)] == [False, False, True, True]
