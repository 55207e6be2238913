"""FVD: pieces of 16 frames through a network that stands in for I3D, the distance against scipy, and the family."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from torch import nn

from lipbench import media
from lipbench.core import registry
from lipbench.core.errors import LipbenchError, TooShort, UsageError
from lipbench.metrics.functional import video_features


class StandIn(nn.Module):
    """Takes what I3D's file takes; gives means of parts of the pixels in -1..1 at 224 px, and their change in time."""

    def forward(self, x: torch.Tensor, rescale: bool, resize: bool, return_features: bool) -> torch.Tensor:
        if resize:
            x = nn.functional.interpolate(x, size=(x.shape[2], 224, 224), mode="trilinear", align_corners=False)
        if rescale:
            x = 2 * x / 255 - 1
        change = (x[:, :, 1:] - x[:, :, :-1]).abs().mean(dim=(2, 3, 4))
        parts = nn.functional.adaptive_avg_pool3d(x, (1, 2, 2)).flatten(1)
        assert return_features
        return torch.cat([parts, change], 1)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("fvd") / "i3d_torchscript.pt"
    torch.jit.script(StandIn()).save(str(path))
    return path


def pieces(seed, n, length=16):
    return np.random.default_rng(seed).integers(0, 256, (n, length, 6, 9, 3), np.uint8)


def test_the_network_is_called_as_stylegan_v_calls_it(file):
    given = pieces(0, 3)
    found = video_features.features(video_features.load(file, trust=True), given)
    pixels = torch.from_numpy(given).permute(0, 4, 1, 2, 3).float()
    want = StandIn()(pixels, rescale=True, resize=True, return_features=True)
    assert found == pytest.approx(want.double().numpy(), abs=1e-6)
    assert np.abs(found).max() < 1  # in -1..1, not in 0..255


def test_what_is_no_such_network_is_refused(file, tmp_path):
    with pytest.raises(UsageError, match="no file"):
        video_features.load(tmp_path / "none.pt", trust=True)
    (tmp_path / "other.pt").write_bytes(b"no network")
    with pytest.raises(LipbenchError, match="no TorchScript"):
        video_features.load(tmp_path / "other.pt", trust=True)
    with pytest.raises(LipbenchError, match="cannot be called"):
        video_features.features(torch.jit.script(nn.Identity()), pieces(0, 1))
    with pytest.raises(LipbenchError, match="no row"):
        video_features.features(lambda x, **_: x, pieces(0, 1))
    with pytest.raises(UsageError, match="cut them first"):
        video_features.features(None, pieces(0, 2, length=15))


def test_pieces_lie_side_by_side():
    frames = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    assert video_features.cut(frames)[:, [0, -1], 0, 0, 0].tolist() == [[0, 15], [16, 31]]
    assert video_features.cut(frames, 8)[:, 0, 0, 0, 0].tolist() == [0, 8, 16, 24]
    with pytest.raises(TooShort):
        video_features.cut(frames[:15])


@pytest.fixture
def pair(scene, file):
    frames = np.stack([np.roll(scene.frames[t % len(scene.frames)], t, 1) for t in range(52)])
    made = {"prediction": scene.video("p", 255 - frames), "reference": scene.video("r", frames)}
    faces = scene.faces(scene.track.take([0] * 52))
    return replace(scene.pair(**made, faces=faces), options={"model": str(file), "trust": True})


def scipys(a, b):
    cov = [np.cov(x, rowvar=False) for x in (a, b)]
    root = np.real(sqrtm(cov[0] @ cov[1] + 1e-14 * np.eye(a.shape[1])))
    return np.square(a.mean(axis=0) - b.mean(axis=0)).sum() + np.trace(cov[0] + cov[1] - 2 * root)


def test_the_family_measures_the_pieces_of_a_clip(pair, scene, file):
    family = registry.load("metrics", "fvd")
    assert family.on_request
    scores = family.score(pair)
    net = video_features.load(file, trust=True)
    videos = [media.load_frames(v) for v in (pair.prediction, pair.reference)]
    both = [video_features.features(net, video_features.cut(v)) for v in videos]
    assert len(both[0]) == 3
    assert scores["fvd_full"].value == pytest.approx(scipys(*both), rel=1e-3)
    assert scores["fvd_full"].n_valid == 3
    assert scores["fvd_face"].value > 0
    assert scores["fvd_face"].value != pytest.approx(scores["fvd_full"].value, rel=1e-3)
    assert scores["fvd_full_truth"].reason.startswith("no_truth: ")
    closer = family.score(replace(pair, options={**pair.options, "step": 6}))["fvd_full"]
    both = [video_features.features(net, video_features.cut(v, 6)) for v in videos]
    assert closer.n_valid == len(both[0]) == 7
    assert closer.value == pytest.approx(scipys(*both), rel=1e-3)
    nobody = replace(pair, faces=None, faces_reason="no_face: nobody looked", prediction=pair.reference)
    alone = family.score(nobody)
    assert alone["fvd_full"].value == pytest.approx(0, abs=1e-6)
    assert alone["fvd_face"].reason == "no_face: nobody looked"


def test_what_is_missing_is_said(pair, scene, file, tmp_path):
    family = registry.load("metrics", "fvd")
    assert [e.reason for e in family.obstacles({}).values()] == ["not_asked"]
    assert not family.obstacles({"model": str(file), "trust": True})
    assert family.score(replace(pair, options={}))["fvd_full"].reason.startswith("not_asked: no I3D")
    gone = replace(pair, options={"model": str(tmp_path / "gone.pt"), "trust": True})
    assert "no file" in family.score(gone)["fvd_full"].reason
    short = {name: scene.video(f"s {name}", scene.frames[:1].repeat(31, 0)) for name in ("prediction", "reference")}
    assert family.score(replace(pair, faces=None, **short))["fvd_full"].reason.startswith("too_short: ")
    assert family.identity({"model": str(file)})["model"]["sha256"] != family.identity({})["model"]


def test_a_program_runs_for_those_alone_who_trust_it(pair, file, monkeypatch):
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("the file was read"))
    video_features._load.cache_clear()
    with pytest.raises(UsageError, match="not trusted"):
        video_features.load(file)
    family = registry.load("metrics", "fvd")
    assert [e.reason for e in family.obstacles({"model": str(file)}).values()] == ["not_asked"]
    scores = family.score(replace(pair, options={"model": str(file)}))
    assert all("not trusted" in score.reason for score in scores.values())
