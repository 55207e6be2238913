"""The sync metrics as a metric family: every metric, its reasons, its identity."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lipbench import media
from lipbench.core import weights
from lipbench.core.errors import UnknownName, UsageError, WeightsError, WeightsMissing
from lipbench.core.keys import sha256_file
from lipbench.core.metric import MetricFamily, Pair
from lipbench.core.registry import load
from lipbench.core.store import Store
from lipbench.engine.plan import Plan, PlanState
from lipbench.engine.score_json import score_json
from lipbench.engine.score_node import score_node
from lipbench.metrics.sync import SyncFamily, SyncNet, SyncOptions, evaluate, models
from lipbench.metrics.sync.family import METRICS
from lipbench.metrics.sync.models import SyncModel
from lipbench.metrics.sync.protocol import NO_MP3
from lipbench.metrics.sync.result import METRIC_IDS
from tests.metrics.sync_videos import RULES, SIZE, clip, face_track, small_net, sound


@pytest.fixture(scope="module")
def net() -> SyncNet:
    return small_net()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """70 frames at 25 fps with sound."""
    return clip(tmp_path_factory.mktemp("sync") / "clip.mp4", 70, audio=sound(70))


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, net: SyncNet) -> Iterator[None]:
    """A sync model called "small" whose weights exist."""
    file = net.save(tmp_path / "small.npz", half=False)
    monkeypatch.setattr(models, "BUILTIN", (*models.BUILTIN, SyncModel("small", "small_w", 0.1, SIZE, False, "test")))
    models.sync_models.cache_clear()
    path, sha256 = weights.path, weights.sha256
    monkeypatch.setattr(weights, "path", lambda name: file if name == "small_w" else path(name))
    monkeypatch.setattr(weights, "sha256", lambda name: "ab" * 32 if name == "small_w" else sha256(name))
    yield
    models.sync_models.cache_clear()


def pair(video: Path, tmp_path: Path, **options: Any) -> Pair:
    media.write_wav(tmp_path / "dub.wav", sound(70))
    faces = face_track(70).save(tmp_path / "faces.npz")
    return Pair(
        video,
        None,
        None,
        tmp_path / "dub.wav",
        faces,
        "",
        None,
        None,
        25.0,
        tmp_path,
        {"sync_model": "small", **RULES, **options},
    )


@pytest.mark.usefixtures("scored")
def test_family_answers_every_metric(video: Path, tmp_path: Path, net: SyncNet) -> None:
    family = load("metrics", "sync")
    assert isinstance(family, SyncFamily)
    assert isinstance(family, MetricFamily)
    scores = family.score(pair(video, tmp_path))
    want = evaluate(video, sound(70), sync_model=net, faces=face_track(70), **RULES)
    assert set(scores) == {spec.id for spec in family.metrics} == {*METRIC_IDS, "lse_d_at_own"}
    at_own = scores.pop("lse_d_at_own")
    assert at_own.value is None
    assert at_own.reason.startswith("not_asked: the option sync.own_offset")
    for name, score in scores.items():
        assert score.value == pytest.approx(want.value(name), rel=1e-6)
        assert (score.n_valid, score.n_total) == (65, 65)
        assert score.extra["sync_model"] == "small"
        assert score.extra["sync_model_published"] is False
        assert score.extra["published_protocol"] is False
        json.dumps(score_json(score, "1"), allow_nan=False)
    assert "audio" in scores["av_offset"].extra["words"]
    (row,) = scores["lse_d"].extra["tracks"]
    assert len(row["distances"]) == 31
    assert row["n_windows"] == 65
    assert scores["lse_d"].per_frame is not None
    assert scores["av_offset"].per_frame is None


@pytest.mark.usefixtures("scored")
def test_a_source_that_is_out_of_sync_itself_is_no_fault_of_its_dub(video: Path, tmp_path: Path) -> None:
    scores = {own: SyncFamily().score(pair(video, tmp_path, own_offset=own)) for own in (0, -3)}
    assert scores[0]["lse_d_at_own"].value == pytest.approx(scores[0]["lse_d_at_zero"].value, rel=1e-6)
    row = scores[-3]["lse_d"].extra["tracks"][0]
    assert scores[-3]["lse_d_at_own"].value == pytest.approx(row["distances"][18], abs=1e-4)


def test_the_model_on_landmarks_has_no_lse() -> None:
    with pytest.raises(UsageError, match="no LSE") as caught:
        SyncFamily().identity({"sync_model": "landmarks"})
    assert "landmark-sync" in caught.value.fix


@pytest.mark.usefixtures("scored")
def test_family_gives_reasons(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    family = SyncFamily()
    asked = pair(video, tmp_path)
    for changed, start in (
        (replace(asked, faces=None, faces_reason="no_face: none in the source"), "no_face: none in the source"),
        (replace(asked, faces=None), "no_face: "),
        (replace(asked, options={**asked.options, "min_track": 100}), "too_short: "),
        (replace(asked, prediction=tmp_path / "absent.mp4"), "bad_media: "),
    ):
        scores = family.score(changed)
        assert all(s.value is None and str(s.reason).startswith(start) for s in scores.values()), start
        assert all(s.extra["sync_model"] == "small" for s in scores.values())
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path / "none"))
    missing = family.score(replace(asked, options={"sync_model": "syncnet_v2"}))
    assert set(missing) == {*METRIC_IDS, "lse_d_at_own"}
    assert all("lipbench weights get syncnet_v2" in str(s.reason) for s in missing.values())
    no_detector = family.score(replace(asked, options={**asked.options, "boxes_from": "prediction"}))
    assert all("lipbench weights get sfd_face" in str(s.reason) for s in no_detector.values())
    with pytest.raises(UsageError):
        family.score(replace(asked, options={"sync_model": "small", "protocol": "best"}))


@pytest.mark.usefixtures("scored")
def test_few_windows_have_no_valid_variant(video: Path, tmp_path: Path) -> None:
    asked = pair(video, tmp_path, min_track=5)
    media.write_wav(tmp_path / "dub.wav", sound(16))
    scores = SyncFamily().score(asked)
    assert scores["lse_c"].value is not None
    assert "only 11 windows" in str(scores["lse_c"].reason)
    assert scores["lse_c_valid"].value is None
    assert str(scores["lse_c_valid"].reason).startswith("too_short")


@pytest.mark.usefixtures("scored")
def test_identity_names_the_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    family = SyncFamily()
    assert family.identity({"sync_model": "small"})["sync_model_sha256"] == "ab" * 32
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path / "none"))
    assert family.identity({})["sync_model_sha256"] is None
    assert family.identity({}) != family.identity({"min_track": 50})
    assert "boxes" not in family.identity({})
    boxes = family.identity({"boxes_from": "prediction"})["boxes"]
    assert (boxes["detector"], boxes["weights"]) == ("s3fd-syncnet", None)
    with pytest.raises(UnknownName):
        family.identity({"sync_model": "smal"})


def test_what_counts_as_the_published_protocol() -> None:
    real, cropped = (
        SyncOptions(boxes_from="prediction", codec="published"),
        SyncOptions(protocol="cropped", codec="published"),
    )
    assert real.published_protocol
    assert cropped.published_protocol
    assert not cropped.deviations
    assert not real.deviations
    for other, n in (
        (SyncOptions(), 3),
        (SyncOptions(codec="published"), 1),
        (SyncOptions(boxes_from="prediction", codec="published", detector="mediapipe-face"), 1),
        (SyncOptions(boxes_from="prediction", codec="published", min_track=50), 1),
        (SyncOptions(protocol="cropped", codec="published", precision="bfloat16"), 1),
        (SyncOptions(protocol="cropped"), 1),
    ):
        assert not other.published_protocol
        assert len(other.deviations) == n
    assert "one lossy" in SyncOptions(protocol="cropped").deviations[0]
    assert "four lossy" in SyncOptions().deviations[0]
    assert SyncOptions().deviations[1] == NO_MP3


def test_directions_and_conventions() -> None:
    better = {spec.id: spec.better for spec in SyncFamily.metrics}
    assert better == {
        "lse_d": "lower",
        "lse_c": "higher",
        "av_offset": "zero",
        "lse_d_at_zero": "lower",
        "lse_d_at_own": "lower",
        "lse_c_valid": "higher",
    }
    offset = next(spec for spec in SyncFamily.metrics if spec.id == "av_offset")
    assert "positive: the audio leads" in offset.convention
    assert offset.unit == "frames"


def test_importing_the_family_loads_no_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from lipbench.metrics.sync import SyncFamily; SyncFamily().metrics; print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_published_numbers_stand_beside_their_own_sync_model_alone():
    spec = next(m for m in METRICS if m.id == "lse_d")
    assert "LRS2" in SyncFamily().named(spec, {"sync_model": "syncnet_v2"}).published
    assert SyncFamily().named(spec, {}).published == spec.published
    assert SyncFamily().named(spec, {"sync_model": "demo"}).published == ""


def _key(family: SyncFamily, file: Path) -> dict[str, Any]:
    nothing = PlanState(Plan([], {}), Store(file.parent / "store"))
    return score_node(family, {"sync_model": str(file)}, "x", 25.0, {}).preimage(nothing)


def test_a_file_of_weights_is_a_sync_model(video: Path, tmp_path: Path, net: SyncNet) -> None:
    file = net.save(tmp_path / "mine.npz", half=False)
    family = SyncFamily()
    name = f"mine@{sha256_file(file)[:8]}"
    asked, before = pair(video, tmp_path, sync_model=str(file)), _key(family, file)
    scores = family.score(asked)
    want = evaluate(video, sound(70), sync_model=net, faces=face_track(70), **RULES)
    assert scores["lse_d"].value == pytest.approx(want.value("lse_d"), rel=1e-6)
    assert {score.extra["sync_model"] for score in scores.values()} == {name}
    assert family.identity(asked.options)["sync_model_sha256"] == sha256_file(file)
    assert family.weights(asked.options) == ()
    (tmp_path / "moved").mkdir()
    moved = file.rename(tmp_path / "moved" / file.name)
    assert _key(family, moved) == before  # by content, not by place
    with pytest.raises(WeightsMissing, match="absent"):
        family.identity({"sync_model": "folder/absent.npz"})
    (tmp_path / "other.npz").write_bytes(b"no network")
    with pytest.raises(WeightsError):
        family.identity({"sync_model": str(tmp_path / "other.npz")})
