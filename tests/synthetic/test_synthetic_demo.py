"""The packaged data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import lipbench.datasets.demo as demo
from lipbench import media
from lipbench.datasets import resolve
from lipbench.datasets.annotations import Annotations
from lipbench.synthetic.speech import phones, timelines


def test_demo_is_complete_and_small() -> None:
    manifest = resolve("demo", verify=True)
    assert len(manifest.clips) >= 3
    assert len({clip.speaker for clip in manifest.clips}) == len(manifest.clips)
    assert len({clip.language for clip in manifest.clips}) == len(manifest.clips)
    for clip in manifest.clips:
        dubs = [dub for dub in manifest.dubs_of(clip.id) if dub.kind != "original"]
        assert len(dubs) >= 3
        assert {dub.language for dub in dubs} | {clip.language} == set(clip.truth) == set(clip.truth_annotations)
    size = sum(p.stat().st_size for p in Path(demo.__file__).parent.rglob("*") if p.is_file())
    assert size < 8 * 2**20


def test_demo_videos_and_sounds_have_one_length() -> None:
    manifest = resolve("demo")
    for clip in manifest.clips:
        info = media.probe(clip.video)
        assert (info.width, info.height, info.fps) == (256, 256, 25)
        assert 8 <= info.n_frames / 25 <= 12
        for path in clip.truth.values():
            assert media.probe(path).n_frames == info.n_frames
        for dub in manifest.dubs_of(clip.id):
            if dub.audio is not None:
                assert len(media.read_audio(dub.audio)) == info.n_frames * 640


def test_demo_truth_differs_at_the_mouth_only() -> None:
    clip = resolve("demo").clips[0]
    tags = list(clip.truth)
    source, dub = (np.stack(list(media.read_frames(clip.truth[t]))).astype(int) for t in tags[:2])
    landmarks = Annotations.load(clip.truth_annotations[tags[0]]).landmarks68
    moved = np.abs(source - dub).mean((0, 3))
    brow = int(landmarks[:, 17:27, 1].min())
    x, y = landmarks[:, 48:68].reshape(-1, 2).mean(0).astype(int)
    assert moved[y - 8 : y + 8, x - 12 : x + 12].mean() > 8 * moved[: brow - 4].mean()


def test_demo_says_what_training_corpora_never_say() -> None:
    manifest = resolve("demo")
    kept = {timelines.sentences()[i][tag].text for i in timelines.pool("test") for tag in timelines.LANGUAGES}
    for dub in manifest.dubs:
        assert dub.transcript is not None
        left = dub.transcript
        for sentence in kept:
            left = left.replace(sentence, "")
        assert not left.strip(), left


def test_demo_lips_close_on_bilabials() -> None:
    for clip in resolve("demo").clips:
        for path in clip.truth_annotations.values():
            truth = Annotations.load(path)
            shut = [
                truth.lip_gap[min(int((u.center_s - 0.01) * 25), len(truth) - 1)]
                for u in phones.units(truth.phonemes)
                if u.symbol in ("p", "b", "m")
            ]
            assert len(shut) >= 5
            assert max(shut) < 0.4
