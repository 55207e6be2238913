"""Bad input, end to end: one run over clips and dubs that are broken in every way.

Each must end in a number or a recorded reason that says what happened, and must not disturb its neighbors. The other
lines of the list: a full disk is in test_disk_full.py, two runs in one directory in test_run.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lipbench import media
from lipbench.core import keys
from lipbench.core.errors import ManifestError
from lipbench.core.store import Store
from lipbench.datasets.types import Clip, Dub, Licence, Manifest
from lipbench.engine import api
from lipbench.faces.track import FaceTrack

WIDTH, HEIGHT, N = 128, 96, 30
METRICS = ["image", "sync", "landmarks", "temporal"]
METHODS = ["dubbed", "still-mouth"]

pytestmark = pytest.mark.usefixtures("module_in_process", "tiny_sync_model")


def face68(x: float = 64, y: float = 46, width: float = 44) -> np.ndarray:
    """(68, 3) a plain frontal face in the iBUG order, px."""
    points = [(np.cos(a), 0.15 + 0.95 * np.sin(a)) for a in np.linspace(np.pi, 0, 17)]  # jaw
    points += [(sx, -0.5) for sx in (*np.linspace(-0.8, -0.2, 5), *np.linspace(0.2, 0.8, 5))]  # brows
    points += [(0, sy) for sy in np.linspace(-0.3, 0.2, 4)] + [(sx, 0.3) for sx in np.linspace(-0.2, 0.2, 5)]  # nose
    ring = np.radians([180, 240, 300, 0, 60, 120])
    for center in (-0.45, 0.45):
        points += [(center + 0.17 * np.cos(a), -0.25 + 0.07 * np.sin(a)) for a in ring]
    points += [(0.38 * np.cos(a), 0.62 + 0.16 * np.sin(a)) for a in np.radians(np.arange(180, 540, 30))]
    points += [(0.3 * np.cos(a), 0.62 + 0.07 * np.sin(a)) for a in np.radians(np.arange(180, 540, 45))]
    flat = np.array(points) * width / 2 + (x, y)
    return np.column_stack([flat, np.zeros(68)]).astype(np.float32)


def pictures(n: int = N, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(n, height, width, 3) a picture that moves."""
    y, x = np.mgrid[:height, :width]
    frames = [127 + 60 * np.sin((x + 2 * t) / 9) + 50 * np.cos((y - t) / 7) for t in range(n)]
    return np.repeat(np.clip(frames, 0, 255).astype(np.uint8)[..., None], 3, axis=3)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 3000, round(16000 * seconds)).astype(np.int16)


def track(path: Path, lost: slice = slice(0, 0), n: int = N, size: tuple[int, int] = (WIDTH, HEIGHT), faces: int = 1):
    points = np.stack([face68(64 + np.sin(t / 4), 46) for t in range(n)])
    points[:, 48:, 1] += np.random.default_rng(1).normal(0, 0.5, (n, 20))  # the lips move
    boxes = np.tile(np.float32([40, 20, 88, 80]), (n, 1))
    score, count = np.ones(n, np.float32), np.full(n, faces, np.int16)
    points[lost], boxes[lost], score[lost], count[lost] = np.nan, np.nan, 0, 0
    return FaceTrack("file", 25.0, *size, boxes, score, count, points.astype(np.float32)).save(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """clip -> <clip>.mp4 and its landmarks <clip>.npz; the dubs are <language>.wav."""
    from fractions import Fraction

    import av

    root = tmp_path_factory.mktemp("bad")
    sound = noise(N / 25)
    media.write_video(root / "good.mp4", pictures(), fps=25, audio=sound, synthetic=False)
    for name in ("faceless", "two", "leaves", "wrong", "other"):
        media.write_video(root / f"{name}.mp4", pictures(), fps=25, audio=sound, synthetic=False)
    media.write_video(root / "six.mp4", pictures(6), fps=25, audio=noise(0.24), synthetic=False)
    media.write_video(root / "mute.mp4", pictures(), fps=25, synthetic=False)
    whole = (root / "good.mp4").read_bytes()
    (root / "cut.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    (root / "empty.mp4").write_bytes(b"")
    for name, form, size in (("odd", "yuv444p", (127, 95)), ("tenbit", "yuv420p10le", (WIDTH, HEIGHT))):
        with av.open(str(root / f"{name}.mp4"), "w") as out:
            stream = out.add_stream("libx264", rate=Fraction(25), options={"crf": "12"})
            stream.width, stream.height, stream.pix_fmt = *size, form
            for picture in pictures(N, *size):
                out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format=form)))
            out.mux(stream.encode(None))
    for name in ("good", "wrong", "cut", "empty", "mute", "tenbit"):
        track(root / f"{name}.npz")
    track(root / "odd.npz", size=(127, 95))
    track(root / "faceless.npz", lost=slice(None))
    track(root / "leaves.npz", lost=slice(N // 2, None))
    track(root / "two.npz", faces=2)
    track(root / "six.npz", n=6)
    for language, seconds in (("fr", N / 25), ("de", 0.6), ("es", 1.6), ("pt", 0.01)):
        media.write_wav(root / f"{language}.wav", noise(seconds, len(language)))
    media.write_wav(root / "six.wav", noise(0.24))
    (root / "it.wav").write_bytes(b"")
    return root


@pytest.fixture(scope="module")
def manifest(folder) -> Manifest:
    licence = Licence("CC0-1.0")
    names = ("good", "faceless", "two", "leaves", "six", "mute", "cut", "empty", "odd", "tenbit", "wrong", "other")
    clips, dubs = [], []
    for name in names:
        video = folder / f"{name}.mp4"
        digest = "0" * 64 if name == "wrong" else keys.sha256_file(video)
        points = folder / ("six.npz" if name == "other" else f"{name}.npz")
        clips.append(Clip(name, video, digest, name, "en", licence, "none needed", landmarks=points))
        for language in ("fr", "de", "es", "pt", "it") if name == "good" else ("fr",):
            audio = folder / ("six.wav" if name == "six" else f"{language}.wav")
            dubs.append(Dub(f"{name}/{language}", name, language, "synthetic", audio, keys.sha256_file(audio)))
    return Manifest("bad", "1", licence, tuple(clips), tuple(dubs), folder)


def request(**fields):
    return {
        "manifest": "bad",
        "methods": METHODS,
        "metrics": METRICS,
        "sync_model": "tiny",
        "sync": {"min_track": 10, "min_face_size": 10},
        **fields,
    }


class Answer:
    """A finished run and shorthands to look at it."""

    def __init__(self, result):
        self.result, self.store = result, Store(result.root)

    def cell(self, clip, method="dubbed", language="fr"):
        (found,) = [c for c in self.result.cells if (c["clip"], c["method"], c["language"]) == (clip, method, language)]
        return found

    def score(self, clip, metric, method="dubbed", language="fr"):
        return self.cell(clip, method, language)["metrics"][metric]

    def record(self, node):
        return self.result.outcome.states[node].record

    def refused(self, clip, language="fr"):
        """The reason why a clip has no cell at all: the same one line in every cell and every metric."""
        reasons = set()
        for method in METHODS:
            cell = self.cell(clip, method, language)
            assert cell["status"] != "ok"
            assert cell["video"] is None
            reasons |= {cell["reason"], *(score["reason"] for score in cell["metrics"].values())}
            assert all(score["value"] is None for score in cell["metrics"].values())
            assert len(cell["metrics"]) > 10
        (reason,) = reasons
        assert "\n" not in reason
        assert "Traceback" not in reason
        return reason


@pytest.fixture(scope="module")
def answer(manifest, tmp_path_factory) -> Answer:
    prepared = api.prepare(request(), out=tmp_path_factory.mktemp("run") / "run", manifest=manifest)
    return Answer(api.execute(prepared, workers=1, quiet=True))


def test_the_good_clip_has_its_numbers(answer):
    for method in METHODS:
        assert answer.cell("good", method)["status"] == "ok"
    assert answer.score("good", "psnr_full")["value"] == "inf"
    assert answer.score("good", "ssim_mouth")["value"] == 1
    assert answer.score("good", "tde_mouth")["value"] == 0
    assert answer.score("good", "lse_d")["value"] > 0
    assert 0 < answer.score("good", "ssim_mouth", "still-mouth")["value"] < 1
    # The only thing missing is the face detector for the predictions.
    assert answer.score("good", "mld")["reason"].startswith("weights_missing: ")


def test_the_run_is_complete_and_every_cell_answers(answer, manifest):
    # Nothing here would end otherwise if it were tried again.
    assert answer.result.complete
    answer.result.raise_if_incomplete()
    assert len(answer.result.cells) == len(METHODS) * len(manifest.dubs)
    lines = [json.loads(line) for line in (answer.result.root / "cells.jsonl").read_text().splitlines()]
    assert lines == answer.result.cells
    names = {m["id"] for m in json.loads((answer.result.root / "run.json").read_text())["metrics"]}
    for line in lines:
        assert set(line["metrics"]) == names
        for score in line["metrics"].values():
            assert score["value"] is not None or score["reason"]


def test_no_face(answer):
    refused = answer.cell("faceless", "still-mouth")
    assert refused["status"] == "refused"
    assert refused["reason"].startswith("no_face: no face was found in clip faceless")
    assert answer.cell("faceless")["status"] == "ok"
    assert answer.score("faceless", "psnr_full")["value"] == "inf"
    for metric in ("psnr_mouth", "ssim_face", "tde_mouth", "lse_d", "lse_c"):
        score = answer.score("faceless", metric)
        assert score["value"] is None
        assert score["reason"].startswith("no_face"), (metric, score["reason"])


def test_two_faces(answer):
    assert answer.record("faces two").info["frames_with_several_faces"] == N
    assert answer.cell("two", "still-mouth")["status"] == "ok"
    assert answer.score("two", "ssim_mouth")["value"] == 1
    assert answer.score("two", "lse_d")["value"] > 0


def test_face_leaves_half_way(answer):
    info = answer.record("faces leaves").info
    assert info["found"] == N // 2
    assert info["lost_frames"] == list(range(N // 2, N))
    assert answer.record("synthesize still-mouth leaves/fr").info["frames_without_face"] == N // 2
    score = answer.score("leaves", "psnr_mouth", "still-mouth")
    assert (score["n_valid"], score["n_total"]) == (N // 2, N)
    full = answer.score("leaves", "ssim_full", "still-mouth")
    assert (full["n_valid"], full["n_total"]) == (N, N)
    assert answer.score("leaves", "lse_d")["n_valid"] < answer.score("good", "lse_d")["n_valid"]


def test_six_frames(answer):
    assert answer.record("clip six").info["n_frames"] == 6
    for method in METHODS:
        assert answer.score("six", "ssim_mouth", method)["n_total"] == 6
        assert answer.score("six", "ssim_mouth", method)["value"] is not None
    for metric in ("lse_d", "lse_c", "av_offset"):
        assert answer.score("six", metric)["value"] is None
        assert answer.score("six", metric)["reason"].startswith("too_short: the longest face track has 6 frames")


def test_no_audio_stream(answer, manifest):
    # A dub brings its own audio.
    assert answer.cell("mute", "still-mouth")["status"] == "ok"
    assert answer.score("mute", "lse_d")["value"] > 0
    # The original dub is the clip's own sound, and there is none; the same run goes on with the other clip.
    asked = request(original=True, clips=["mute", "good"], languages=["fr"], metrics=["image"])
    prepared = api.prepare(asked, out=answer.result.root, manifest=manifest)
    again = Answer(api.execute(prepared, workers=1, quiet=True))
    assert again.result.complete
    assert again.refused("mute", "en").startswith("no_audio: the clip has no sound of its own")
    assert again.cell("good", language="en")["status"] == "ok"
    assert again.score("good", "psnr_full", language="en")["value"] == "inf"
    assert again.result.outcome.states["score image of dubbed mute/fr"].how == "cached"


def test_dub_shorter_than_the_clip(answer):
    info = answer.record("dub good/de").info
    assert (info["n_frames"], info["policy"]) == (15, "dub 15 frames shorter than the clip: clip cut")
    assert media.probe(answer.result.root / answer.cell("good", "still-mouth", "de")["video"]).n_frames == 15
    assert answer.score("good", "ssim_mouth", "still-mouth", "de")["n_total"] == 15


def test_dub_longer_than_the_clip(answer):
    info = answer.record("dub good/es").info
    assert (info["n_frames"], info["policy"]) == (40, "dub 10 frames longer: clip played back and forth")
    index = json.loads(answer.store.output(answer.record("dub good/es"), "index").read_text())
    assert index == [*range(30), *range(28, 18, -1)]
    assert media.probe(answer.result.root / answer.cell("good", "still-mouth", "es")["video"]).n_frames == 40
    score = answer.score("good", "psnr_mouth", "still-mouth", "es")
    assert (score["n_valid"], score["n_total"]) == (40, 40)


def test_dub_shorter_than_a_frame_and_empty_dub(answer):
    assert answer.refused("good", "pt").startswith("too_short: the dub has 160 samples")
    reason = answer.refused("good", "it")
    assert reason.startswith("bad_media: ")
    assert "it.wav" in reason


def test_truncated_video(answer):
    reason = answer.refused("cut")
    assert reason.startswith("truncated: ")
    assert "cut.mp4 is cut off" in reason


def test_zero_byte_video(answer):
    reason = answer.refused("empty")
    assert reason.startswith("bad_media: ")
    assert "empty.mp4" in reason
    assert "empty" in reason.replace("empty.mp4", "")


def test_odd_size(answer):
    info = answer.record("clip odd").info
    assert (info["width"], info["height"], info["pix_fmt"]) == (127, 95, "rgb24")
    for method in METHODS:
        assert answer.cell("odd", method)["status"] == "ok"
        assert answer.score("odd", "ssim_mouth", method)["n_valid"] == N


def test_ten_bits(answer):
    clip = answer.store.output(answer.record("clip tenbit"), "video")
    assert media.probe(clip).pix_fmt == "gbrp"  # RGB: four by two pixels do not share a color
    shown = media.load_frames(clip).astype(float)
    assert np.abs(shown - pictures()).mean() < 3  # the same picture, in eight bits
    assert answer.cell("tenbit", "still-mouth")["status"] == "ok"
    assert answer.score("tenbit", "psnr_full")["value"] == "inf"


def test_wrong_hash(answer):
    reason = answer.refused("wrong")
    assert reason.startswith("manifest: ")
    assert "wrong.mp4 is not the file the manifest names" in reason
    assert "the manifest says 000000" in reason


MANIFEST = """schema: 1
name: tiny
version: "1"
licence: {{id: CC0-1.0}}
clips:
- {{id: a, video: {video}, sha256: {sha}, speaker: a, language: en, consent: none needed}}
dubs:
- {{id: a/fr, clip: a, language: fr, kind: synthetic, audio: fr.wav, sha256: {dub}}}
"""


@pytest.mark.parametrize("where", ["parent", "absolute", "link"])
def test_path_outside_the_manifests_folder(folder, tmp_path, where):
    (tmp_path / "set").mkdir()
    inside = tmp_path / "set" / "link.mp4"
    inside.symlink_to(folder / "good.mp4")
    (tmp_path / "set" / "fr.wav").write_bytes((folder / "fr.wav").read_bytes())
    (tmp_path / "good.mp4").write_bytes((folder / "good.mp4").read_bytes())
    video = {"parent": "../good.mp4", "absolute": str(tmp_path / "good.mp4"), "link": "link.mp4"}[where]
    path = tmp_path / "set" / "tiny.yaml"
    hashes = {"sha": keys.sha256_file(folder / "good.mp4"), "dub": keys.sha256_file(folder / "fr.wav")}
    text = MANIFEST.format(video=video, **hashes)
    path.write_text(text)
    with pytest.raises(ManifestError) as caught:
        api.prepare({"manifest": str(path), "methods": ["dubbed"], "metrics": ["image"]}, out=tmp_path / "run")
    assert "tiny.yaml" in caught.value.what
    assert "video" in caught.value.what
    assert caught.value.fix
    assert not (tmp_path / "run").exists()


def test_landmarks_of_another_video(answer):
    """A landmark file with too few frames is refused by name; the picture is still measured."""
    for method in METHODS[1:]:
        assert answer.cell("other", method)["status"] == "blocked"
        assert "six.npz" in answer.cell("other", method)["reason"]
    assert answer.score("other", "psnr_full")["value"] == "inf"
    assert "six.npz" in answer.score("other", "psnr_mouth")["reason"]
    assert "six.npz" in answer.score("other", "lse_d")["reason"]


def test_two_faces_say_which_was_measured(answer):
    record = answer.record("faces two").info
    assert record["who"].startswith(f"up to 2 faces in {N} of {N} frames; measured is the one at x = ")
    x1, y1, x2, y2 = record["mean_box"]
    assert x1 < x2
    assert y1 < y2
    (track,) = answer.score("two", "lse_d")["extra"]["tracks"]
    assert len(track["box"]) == 4
    assert answer.record("faces good").info["who"] == ""
