"""Wav2Lip around its networks: checkpoints, boxes, drawing and pasting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch

from lipbench.baselines.wav2lip import boxes as w2l_boxes
from lipbench.baselines.wav2lip import checkpoint
from lipbench.baselines.wav2lip.inference import Wav2LipInference, add_change, blend, generate_frames
from lipbench.baselines.wav2lip.mel import window_starts
from lipbench.baselines.wav2lip.networks import SyncExpert, Wav2LipGenerator
from lipbench.core.errors import NoFace, Refused, WeightsError, WeightsMismatch, WeightsMissing
from lipbench.faces.track import FaceTrack

# -- drawing ------------------------------------------------------------------------------------------------------


def test_inference_is_golden(golden: Path, rule: ModuleType) -> None:
    reference = np.load(golden / "wav2lip_inference.npz")
    y1, y2, x1, x2 = (int(v) for v in reference["box"])
    bgr = rule.frames("w/frames", 12, 120, 160)
    mel = np.load(golden / "wav2lip_mel.npz")["mel"]
    net = Wav2LipGenerator().eval()
    rule.fill(net.state_dict(), gain=0.8)

    boxes = w2l_boxes.fixed((x1, y1, x2, y2), 12, 160, 120).xyxy
    out = np.stack(
        list(generate_frames(Wav2LipInference(net), bgr[..., ::-1], boxes, mel, window_starts(mel.shape[1], 25, 12)))
    )
    difference = np.abs(out[..., ::-1].astype(int) - reference["frames"])
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01
    inside = np.zeros((120, 160), bool)
    inside[y1:y2, x1:x2] = True
    assert np.array_equal(out[:, ~inside], bgr[..., ::-1][:, ~inside])


@pytest.fixture(scope="module")
def drawer() -> Wav2LipInference:
    torch.manual_seed(0)
    return Wav2LipInference(Wav2LipGenerator(1 / 16).eval())


def material(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[int]]:
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, (n, 64, 80, 3), dtype=np.uint8)
    boxes = np.stack([[10 + i % 3, 5, 60 + i % 5, 60] for i in range(n)])
    return frames, boxes, rng.uniform(-4, 4, (80, 120)), window_starts(120, 25, n)


def test_batches_do_not_change_the_frames(drawer: Wav2LipInference, monkeypatch: pytest.MonkeyPatch) -> None:
    frames, boxes, mel, starts = material(11)
    monkeypatch.setattr(drawer, "batch", 4)
    some = np.stack(list(generate_frames(drawer, frames, boxes, mel, starts)))
    monkeypatch.setattr(drawer, "batch", 11)
    all_at_once = np.stack(list(generate_frames(drawer, frames, boxes, mel, starts)))
    assert some.shape == frames.shape
    assert np.abs(some.astype(int) - all_at_once).max() <= 1
    assert not np.array_equal(some, frames)


def test_frames_are_streamed(drawer: Wav2LipInference, monkeypatch: pytest.MonkeyPatch) -> None:
    frames, boxes, mel, starts = material(11)
    monkeypatch.setattr(drawer, "batch", 4)
    taken = 0

    def source() -> Iterator[np.ndarray]:
        nonlocal taken
        for frame in frames:
            taken += 1
            yield frame

    out = generate_frames(drawer, source(), boxes, mel, starts)
    next(out)
    assert taken == 4
    assert len(list(out)) == 10


def test_the_sound_and_the_image_both_matter(drawer: Wav2LipInference) -> None:
    rng = np.random.default_rng(2)
    crops, mel = rng.integers(0, 256, (1, 96, 96, 3), dtype=np.uint8), rng.uniform(-4, 4, (1, 80, 16))
    raw = drawer.net
    face = torch.rand(1, 6, 96, 96)
    sound = torch.from_numpy(mel).float()[:, None]
    assert not torch.equal(raw(sound, face), raw(-sound, face))
    assert not torch.equal(raw(sound, face), raw(sound, 1 - face))
    assert drawer.infer(crops, mel).shape == (1, 96, 96, 3)


def test_feathering_keeps_the_edges_and_the_middle() -> None:
    old, new = np.full((80, 64, 3), 10, np.uint8), np.full((80, 64, 3), 210, np.uint8)
    mixed = blend(old, new)
    assert (mixed[12:-12, 10:-10] == 210).all()
    assert mixed[0].max() < 14
    assert mixed[:, 0].max() < 14
    steps = np.diff(mixed[:12, 32, 0].astype(int))
    assert (steps >= 0).all()
    assert steps.max() < 45  # no visible line


# -- boxes --------------------------------------------------------------------------------------------------------


def track(boxes: object, landmarks: np.ndarray | None = None, backend: str = "file") -> FaceTrack:
    xyxy = np.asarray(boxes, np.float32)
    found = np.isfinite(xyxy[:, 0])
    return FaceTrack(backend, 25, 200, 150, xyxy, found.astype(np.float32), found.astype(np.int16), landmarks)


def upstream_smoothing(boxes: np.ndarray, T: int) -> np.ndarray:
    """What the published code does, written from its description: in place on integers."""
    boxes = boxes.copy()
    for i in range(len(boxes)):
        window = boxes[len(boxes) - T :] if i + T > len(boxes) else boxes[i : i + T]
        boxes[i] = np.mean(window, axis=0)
    return boxes


@pytest.mark.parametrize("n", [1, 3, 4, 5, 6, 17])
def test_smoothing_is_upstreams(n: int) -> None:
    boxes = np.random.default_rng(n).integers(0, 200, (n, 4))
    assert np.array_equal(w2l_boxes.smoothed(boxes), upstream_smoothing(boxes, 5))


def test_smoothing_truncates_and_feeds_back_at_the_end() -> None:
    boxes = np.repeat(np.array([[0], [1], [2], [3], [5], [10]]), 4, axis=1)
    # forward means 11/5, 21/5; then windows [1:] = 4 2 3 5 10 -> 24/5, 4 4 3 5 10 -> 26/5, ...
    assert w2l_boxes.smoothed(boxes)[:, 0].tolist() == [2, 4, 4, 5, 5, 5]


def test_gaps_are_interpolated_and_held() -> None:
    nan = [np.nan] * 4
    got = w2l_boxes.filled(np.array([nan, [0, 0, 10, 10], nan, nan, [30, 3, 40, 13], nan], float))
    assert got[:, 0].tolist() == [0, 0, 10, 20, 30, 30]
    assert got[3].tolist() == [20, 2, 30, 12]
    with pytest.raises(NoFace):
        w2l_boxes.filled(np.full((3, 4), np.nan))


def test_pads_and_clamping() -> None:
    got = w2l_boxes.padded(np.array([[-3.7, 5.9, 190.2, 149.9]]), (2, 10, 7, 20), 200, 150)
    assert got.tolist() == [[0, 3, 200, 150]]


def test_landmarks_are_framed_like_a_detection() -> None:
    # The labels of the first face of WIDER FACE's training list (its brows, chin and ears), whose box there is
    # x 449..571, y 330..479.
    points = np.zeros((1, 68, 3), np.float32)
    points[0, :17, 0] = np.linspace(453, 572, 17)
    points[0, :17, 1] = 365 + 113 * np.sin(np.linspace(0, np.pi, 17))
    points[0, 17:27] = [520, 357, 0]
    points[0, 27:] = [510, 420, 0]
    face = FaceTrack(
        "file",
        25,
        1024,
        768,
        np.array([[453, 357, 572, 478]], np.float32),
        np.ones(1, np.float32),
        np.ones(1, np.int16),
        points,
    )
    assert np.abs(w2l_boxes.detector_boxes(face)[0] - [449, 330, 571, 479]).max() < 6


def test_detections_are_taken_as_they_are() -> None:
    points = np.full((1, 68, 3), 50, np.float32)
    for kind in (track([[1, 2, 30, 40]], None, "blazeface"), track([[1, 2, 30, 40]], points, "s3fd-wav2lip")):
        assert w2l_boxes.detector_boxes(kind).tolist() == [[1, 2, 30, 40]]


def test_following_a_track_counts_what_it_filled() -> None:
    boxes = np.array([[20, 20, 60, 70]] * 6, float)
    boxes[2] = np.nan
    got = w2l_boxes.follow(track(boxes))
    assert got.xyxy.tolist() == [[20, 20, 60, 80]] * 6
    assert got.info == {"boxes": "file", "frames_without_face": 1, "frames_with_other_faces": 0}


def test_given_boxes_are_checked() -> None:
    assert w2l_boxes.fixed((1, 2, 50, 60), 3, 80, 64).xyxy.tolist() == [[1, 2, 50, 60]] * 3
    for wrong in ((1, 2, 81, 60), (50, 2, 10, 60), (-1, 2, 10, 60), (5, 5, 6, 60)):
        with pytest.raises(Refused, match="frame 0"):
            w2l_boxes.fixed(wrong, 3, 80, 64)


# -- checkpoints --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small() -> Wav2LipGenerator:
    torch.manual_seed(3)
    return Wav2LipGenerator(1 / 16).eval()


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    x, y = a.state_dict(), b.state_dict()
    return x.keys() == y.keys() and all(torch.equal(x[k], y[k]) for k in x)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("form", ["training", "bare", "parallel"])
def test_pickled_forms(small: Wav2LipGenerator, tmp_path: Path, form: str, legacy: bool) -> None:
    state = small.state_dict()
    content = {
        "training": {"state_dict": state, "optimizer": {"lr": 1e-4}, "global_step": 7, "global_epoch": 1},
        "bare": state,
        "parallel": {"state_dict": {f"module.{k}": v for k, v in state.items()}},
    }[form]
    torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=not legacy)
    assert same(checkpoint.load(tmp_path / "w.pth"), small)


def test_torchscript_form(small: Wav2LipGenerator, tmp_path: Path) -> None:
    traced = torch.jit.trace(small, (torch.zeros(1, 1, 80, 16), torch.zeros(1, 6, 96, 96)))
    torch.jit.save(traced, str(tmp_path / "Wav2Lip-SD-GAN.pt"))
    assert same(checkpoint.load(tmp_path / "Wav2Lip-SD-GAN.pt"), small)


def test_half_precision_becomes_single(small: Wav2LipGenerator, tmp_path: Path) -> None:
    torch.save({k: v.half() if v.is_floating_point() else v for k, v in small.state_dict().items()}, tmp_path / "h.pt")
    assert next(checkpoint.load(tmp_path / "h.pt").parameters()).dtype == torch.float32


def test_wrong_files_say_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing):
        checkpoint.load(tmp_path / "absent.pth")
    (tmp_path / "page.pth").write_text("<html>Google Drive - Virus scan warning</html>")
    with pytest.raises(WeightsError) as caught:
        checkpoint.load(tmp_path / "page.pth")
    for form in ("'state_dict'", "bare state dict", "TorchScript"):
        assert form in caught.value.fix
    torch.save({"state_dict": {"a": 3}}, tmp_path / "number.pth")
    with pytest.raises(WeightsError, match="'a' in it is no tensor"):
        checkpoint.load(tmp_path / "number.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(WeightsError, match="holds a list"):
        checkpoint.load(tmp_path / "list.pth")


def test_another_network_is_named(small: Wav2LipGenerator, tmp_path: Path) -> None:
    torch.save(SyncExpert(1 / 16).state_dict(), tmp_path / "expert.pth")
    with pytest.raises(WeightsMismatch, match="looks like a SyncExpert"):
        checkpoint.load(tmp_path / "expert.pth")
    assert isinstance(checkpoint.load(tmp_path / "expert.pth", SyncExpert), SyncExpert)
    state = small.state_dict()
    state.pop("output_block.1.bias")
    torch.save(state, tmp_path / "cut.pth")
    with pytest.raises(WeightsMismatch, match=r"output_block\.1\.bias"):
        checkpoint.load(tmp_path / "cut.pth")


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "pwned",))

    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError):
        checkpoint.load(tmp_path / "evil.pth")
    assert not (tmp_path / "pwned").exists()


def test_change_leaves_what_was_not_redrawn_and_moves_what_was() -> None:
    old = np.random.default_rng(0).integers(60, 200, (150, 120, 3)).astype(np.uint8)
    crop = cv2.resize(old, (96, 96))
    assert np.array_equal(add_change(old, crop, crop), old)  # bit for bit: no resampling of the frame
    assert np.array_equal(add_change(old, crop, (crop - 1).astype(np.uint8)), old)
    face = crop.copy()
    face[60:80, 40:60] -= 40
    out = add_change(old, crop, face).astype(int)
    assert np.abs(out[100:120, 55:70] - (old[100:120, 55:70].astype(int) - 40)).max() <= 1
    assert np.array_equal(out[:80], old[:80])
