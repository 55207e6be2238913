"""Clips in memory, corpora on disk, the command."""

from __future__ import annotations

import filecmp
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from lipbench import media
from lipbench.core.errors import MediaError, UnknownName, UsageError
from lipbench.datasets import load_manifest
from lipbench.datasets.annotations import Annotations
from lipbench.faces.track import FaceTrack
from lipbench.synthetic.corpus import corpus, parallel, scene, spec
from lipbench.synthetic.corpus.render import ClipRender, RenderedShot, render_clip
from lipbench.synthetic.corpus.spec import ClipSpec, CorpusSpec
from lipbench.synthetic.speech import espeak, phones, sound

SMALL = ClipSpec("", 0, 0, seconds=1.6, width=96, height=96, supersample=1)
CLIP = replace(SMALL, id="c", seed=11, identity=3, source="en", dubs=("fr", "de"), seconds=3.0)
CORPUS = CorpusSpec(seed=4, identities=2, languages=("it", "es"), clip=SMALL)


@pytest.fixture(scope="module")
def clip() -> ClipRender:
    return render_clip(CLIP)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corpus") / "one"
    corpus.generate(CORPUS, out, workers=1, command="test")
    return out


# ---- one clip -------------------------------------------------------------------------------------------------


def test_a_clip_has_everything_in_every_language(clip: ClipRender) -> None:
    assert list(clip.frames) == ["en", "fr", "de"]
    for language, frames in clip.frames.items():
        truth = clip.annotations[language]
        assert frames.shape == (75, 96, 96, 3)
        assert clip.audio[language].shape == (48000,)
        assert np.abs(clip.audio[language].astype(int)).max() > 3000
        assert len(truth) == 75
        assert truth.phonemes[-1].end_s <= 3.0
        assert np.isfinite(truth.landmarks68).all()
        assert truth.expression.shape == (75, 79)
        assert truth.lip_vertices.shape == (75, 64, 3)


def test_languages_share_all_but_the_mouth(clip: ClipRender) -> None:
    english, french = clip.annotations["en"], clip.annotations["fr"]
    for name in ("rotation", "translation", "gaze", "camera", "identity"):
        assert (getattr(english, name) == getattr(french, name)).all(), name
    assert np.abs(english.lip_gap - french.lip_gap).max() > 2.0, "mm"
    moved = np.abs(clip.frames["en"].astype(int) - clip.frames["fr"].astype(int)).max((0, 3))
    brow = int(english.landmarks68[:, 17:27, 1].min()) - 2
    assert moved[:brow].max() <= 2, "background, hair and forehead are the same"
    assert moved.max() > 40
    # where the eyes look and when they blink is the same too
    eyes = np.concatenate([english.landmarks68[:, 36:48], french.landmarks68[:, 36:48]], 1)
    assert np.abs(eyes[:, :12] - eyes[:, 12:]).max() < 0.6, "px"


def test_a_language_does_not_depend_on_the_others(clip: ClipRender) -> None:
    alone = render_clip(CLIP, languages=["de"])
    assert (alone.frames["de"] == clip.frames["de"]).all()
    assert (alone.audio["de"] == clip.audio["de"]).all()


def test_lips_are_shut_when_bilabials_are_heard(clip: ClipRender) -> None:
    shut = []
    for truth in clip.annotations.values():
        for unit in phones.units(truth.phonemes):
            if unit.symbol in ("p", "b", "m"):
                shut.append(truth.lip_gap[min(int((unit.center_s - 0.01) * 25), 74)])
    assert len(shut) >= 8
    assert max(shut) < 0.3, "mm"
    assert max(truth.lip_gap.max() for truth in clip.annotations.values()) > 6.0


def test_landmarks_are_where_the_pixels_are(clip: ClipRender) -> None:
    """The inside of an open mouth is darker than the face."""
    truth = clip.annotations["en"]
    t = int(truth.lip_gap.argmax())
    frame = clip.frames["en"][t].astype(float).mean(-1)
    x, y = truth.landmarks68[t, 60:68].mean(0)
    nose_x, nose_y = truth.landmarks68[t, 30]
    assert frame[int(y), int(x)] < 0.6 * frame[int(nose_y), int(nose_x)]


def test_labels_are_exact() -> None:
    shot = RenderedShot(scene.plan(CLIP), "en")
    truth = shot.annotations()
    labels = shot.label(10)
    x, y = truth.landmarks68[10, 48:60].mean(0)
    assert labels.shape == (96, 96)
    assert {0, 1, 9} <= set(np.unique(labels).tolist())
    assert labels[int(y), int(x)] in (3, 4, 5)


def test_face_track_of_the_truth(clip: ClipRender, tmp_path: Path) -> None:
    track = clip.annotations["en"].face_track()
    assert track.backend == "corpus"
    assert len(track) == 75
    assert track.found.all()
    again = FaceTrack.load(track.save(tmp_path / "faces.npz"))
    points = again.points68()
    assert points is not None
    assert np.abs(points - clip.annotations["en"].landmarks68).max() <= 1 / 64
    inside = (points[..., 0] >= track.boxes[:, None, 0] - 1) & (points[..., 0] <= track.boxes[:, None, 2] + 1)
    assert inside.all()


def test_annotations_come_back(clip: ClipRender, tmp_path: Path) -> None:
    truth = clip.annotations["fr"]
    a, b = truth.save(tmp_path / "a.npz"), truth.save(tmp_path / "b.npz")
    assert a.read_bytes() == b.read_bytes()
    again = Annotations.load(a)
    assert again.language == "fr"
    assert again.fps == 25.0
    assert (again.width, again.height) == (96, 96)
    assert [p.ipa for p in again.phonemes] == [p.ipa for p in truth.phonemes]
    assert np.abs(again.lip_gap - truth.lip_gap).max() <= 2**-10, "mm"
    assert np.abs(again.lip_vertices - truth.lip_vertices).max() <= 2**-13, "dm"
    assert np.abs(again.rotation - truth.rotation).max() < 1e-6
    other = tmp_path / "other.npz"
    np.savez(other, x=1)
    with pytest.raises(MediaError, match="generate the corpus again"):
        Annotations.load(other)


def test_lip_vertices_are_free_of_pose(clip: ClipRender) -> None:
    truth = clip.annotations["en"]
    shut = truth.lip_gap < 0.05
    corner = truth.lip_vertices[shut, 0]
    assert corner.std(0).max() < 0.05, "dm: the corner stays while the head turns"
    upper, lower = truth.lip_vertices[:, 8], truth.lip_vertices[:, 24]
    assert np.corrcoef(upper[:, 1] - lower[:, 1], truth.lip_gap)[0, 1] > 0.98


def test_takes_are_other_voices_on_the_same_times() -> None:
    planned = scene.plan(replace(CLIP, takes=3, studio=False))
    takes = planned.takes["fr"]
    assert len({t.voice for t in takes}) == 3
    assert not any(t.clean for t in takes)

    def loudness(x: np.ndarray) -> np.ndarray:
        out: np.ndarray = np.log((x[: len(x) // 640 * 640].astype(float).reshape(-1, 640) ** 2).mean(1) + 1e3)
        return out

    for other in takes[1:]:
        assert np.corrcoef(loudness(takes[0].audio), loudness(other.audio))[0, 1] > 0.5


@pytest.mark.skipif(not espeak.available(), reason="the extra `speech` is not installed")
def test_espeak_voices_keep_the_script() -> None:
    wanted = replace(CLIP, voices="espeak", takes=2)
    planned = scene.plan(wanted)
    formant = scene.plan(CLIP)
    for language in wanted.languages:
        lines, theirs = planned.parts[language].lines, formant.parts[language].lines
        assert [line.start_s for line in lines] == [line.start_s for line in theirs]
        assert all(line.end_s <= line.slot_end_s + 1e-6 for line in lines)
        assert planned.takes[language][0].voice.startswith("espeak-ng")
        assert len(planned.takes[language][1].audio) == 48000


@pytest.mark.slow
def test_clips_in_memory_over_processes(clip: ClipRender) -> None:
    specs = [replace(CLIP, seed=s) for s in (11, 12)]
    made = list(parallel.render_clips(specs, workers=2, languages=["fr"]))
    assert [m.spec.seed for m in made] == [11, 12]
    assert (made[0].frames["fr"] == clip.frames["fr"]).all()
    assert list(made[1].frames) == ["fr"]


# ---- specs ----------------------------------------------------------------------------------------------------


def test_specs_differ_where_they_should() -> None:
    clips = replace(CORPUS, clips_per_identity=2, difficulties=("easy", "hard")).clips()
    assert [c.id for c in clips] == ["p000-00", "p000-01", "p001-00", "p001-01"]
    assert [c.source for c in clips] == ["it", "es", "it", "es"]
    assert [c.difficulty for c in clips] == ["easy", "hard", "easy", "hard"]
    assert all(set(c.languages) == {"it", "es"} for c in clips)
    assert len({c.seed for c in clips}) == 4
    assert ClipSpec.from_dict(json.loads(json.dumps(clips[0].to_dict()))) == clips[0]


def test_adding_people_keeps_the_first_ones() -> None:
    assert replace(CORPUS, identities=5).clips()[:2] == CORPUS.clips()


def test_difficulties_do_what_they_say() -> None:
    def spread(name: str) -> tuple[float, float, float]:
        planned = [scene.plan(replace(CLIP, seed=s, difficulty=name, dubs=())) for s in range(5)]
        yaw = np.mean([np.abs(p.motion.angles[:, 0]).mean() for p in planned])
        speed = np.mean([np.abs(np.diff(p.motion.angles[:, 0])).mean() for p in planned])
        return float(yaw), float(speed), float(np.mean([p.semantic["en"].sum(1).mean() for p in planned]))

    easy, pose, motion, vivid = (spread(n) for n in ("easy", "pose", "motion", "expression"))
    assert pose[0] > 2 * easy[0]
    assert motion[1] > 2 * easy[1]
    assert vivid[2] > 1.15 * easy[2]
    with pytest.raises(UnknownName, match="motion"):
        spec.difficulty("moton")


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(UsageError, match="even sides"):
        scene.plan(replace(CLIP, width=97))
    with pytest.raises(UsageError, match="nothing to generate"):
        replace(CORPUS, identities=0).clips()


def test_a_speaker_has_one_voice_and_each_dub_its_own() -> None:
    part = scene.plan(CLIP).parts["en"]
    first = sound.record(CLIP, part, True, None)[1][0].voice
    again = sound.record(replace(CLIP, seed=99), part, True, None)[1][0].voice
    other = sound.record(replace(CLIP, identity=4), part, True, None)[1][0].voice
    assert first == again != other


# ---- folders --------------------------------------------------------------------------------------------------


def test_corpus_on_disk(folder: Path) -> None:
    manifest = load_manifest(folder / "manifest.yaml", verify=True)
    assert [c.id for c in manifest.clips] == ["p000-00", "p001-00"]
    assert manifest.clips[1].language == "es"
    for clip in manifest.clips:
        assert set(clip.truth) == {"it", "es"} == set(clip.truth_annotations)
        assert clip.truth[clip.language] == clip.video
        info = media.probe(clip.video)
        assert (info.width, info.height, info.n_frames, info.fps) == (96, 96, 40, 25)
        assert info.audio is not None
        assert len(FaceTrack.load(clip.landmarks)) == 40  # type: ignore[arg-type]
        for path in clip.truth.values():
            assert media.probe(path).n_frames == 40
    dubs = {d.id: d for d in manifest.dubs}
    assert dubs["p000-00@it"].kind == "original"
    assert dubs["p000-00@it"].audio is None
    dub = dubs["p000-00@es"]
    samples, rate = media.read_wav(dub.audio)  # type: ignore[arg-type]
    assert (len(samples), rate) == (25600, 16000)
    rows = json.loads(dub.phonemes.read_text(encoding="utf-8"))  # type: ignore[union-attr]
    assert [row[2] for row in rows] == [
        p.ipa for p in Annotations.load(manifest.clips[0].truth_annotations["es"]).phonemes
    ]
    assert dub.transcript
    facts = json.loads((folder / "provenance.json").read_text())
    assert facts["seed"] == 4
    assert facts["command"] == "test"
    assert "generated" in facts["synthetic"]
    assert (folder / "contact_sheet.png").stat().st_size > 5000


def test_videos_say_that_they_are_synthetic(folder: Path) -> None:
    from lipbench.media.write import is_synthetic

    assert is_synthetic(folder / "clips" / "p000-00" / "p000-00.mp4")


def test_resume_keeps_finished_clips(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    shutil.rmtree(copy / "clips" / "p001-00")
    kept = (copy / "clips" / "p000-00" / "clip.json").stat().st_mtime_ns
    seen: list[corpus.CorpusProgress] = []
    corpus.generate(CORPUS, copy, workers=1, progress=seen.append)
    assert [(p.clip, p.frames, p.done) for p in seen] == [("p000-00", 0, 1), ("p001-00", 80, 2)]
    assert (copy / "clips" / "p000-00" / "clip.json").stat().st_mtime_ns == kept
    same = filecmp.dircmp(folder / "clips" / "p001-00", copy / "clips" / "p001-00")
    match, mismatch, errors = filecmp.cmpfiles(same.left, same.right, same.common_files, shallow=False)
    assert not mismatch
    assert not errors
    assert not same.left_only
    assert len(match) == 9


def test_another_corpus_is_not_mixed_in(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds another corpus\nseed is 4 there and 5 here"):
        corpus.generate(replace(CORPUS, seed=5), folder)
    (tmp_path / "note.txt").write_text("x")
    with pytest.raises(UsageError, match="not empty"):
        corpus.generate(CORPUS, tmp_path)


@pytest.mark.slow
def test_workers_change_nothing(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "two"
    corpus.generate(CORPUS, other, workers=2)
    for clip in ("p000-00", "p001-00"):
        names = [p.name for p in (folder / "clips" / clip).iterdir()]
        _, mismatch, errors = filecmp.cmpfiles(folder / "clips" / clip, other / "clips" / clip, names, shallow=False)
        assert not mismatch
        assert not errors
    assert (folder / "manifest.yaml").read_bytes() == (other / "manifest.yaml").read_bytes()


def test_command(tmp_path: Path) -> None:
    from lipbench.cli.data_synthesize import main, resolution

    assert resolution("720p") == (1280, 720)
    assert resolution("640x480") == (640, 480)
    with pytest.raises(UsageError, match="not a resolution"):
        resolution("huge")
    options = "--identities 1 --languages fr --seconds 1 --resolution 64 --workers 1 --name tiny --difficulty easy"
    result = CliRunner().invoke(main, [*options.split(), "-o", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "1 clips, 1 dubs, 25 new frames" in result.output
    assert load_manifest(tmp_path / "out" / "manifest.yaml", verify=True).name == "tiny"
