"""S3FD: the network against the golden vector, decoding and suppression against naive forms, loading."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from lipbench.core import weights
from lipbench.core.errors import UsageError, WeightsError
from lipbench.faces.boxes import nms, overlaps, weighted_nms
from lipbench.faces.detect import S3FD, Detector
from lipbench.faces.detect.s3fd import first_suppression
from lipbench.faces.detect.s3fd_net import Map


@pytest.fixture(scope="module")
def filled(rule: ModuleType) -> S3FD:
    net = S3FD("syncnet")
    rule.fill(net.state_dict())
    return net


def raw_detections(net: S3FD, x: np.ndarray) -> np.ndarray:
    """(1, 2, 750, 5) as the reference returns them: score, then the box in parts of the frame."""
    height, width = x.shape[2:]
    with torch.inference_mode():
        maps = [Map(torch.softmax(m.scores, 1), m.offsets) for m in net(torch.from_numpy(x))]
    boxes, scores = net.candidates(maps, 0, (height, width))
    keep = first_suppression(boxes, scores)
    out = np.zeros((1, 2, 750, 5), np.float32)
    out[0, 1, : len(keep), 0] = scores[keep]
    out[0, 1, : len(keep), 1:] = boxes[keep] / np.asarray([width, height, width, height], np.float32)
    return out


def test_golden_detections(filled: S3FD, rule: ModuleType, golden: Path) -> None:
    expected = np.load(golden / "s3fd.npz")["detections"]
    found = raw_detections(filled, rule.array("s3fd/image", 1, 3, 128, 160, scale=50))
    assert not expected[0, 0].any()
    expected, found = (rows[0, 1][rows[0, 1, :, 0] > 0] for rows in (expected, found))
    assert len(found) == len(expected)
    np.testing.assert_allclose(found[:, 0], expected[:, 0], atol=1e-4)
    # Dozens of cells score exactly 1 with these weights, and the order among equals is nobody's promise: match rows.
    # Some boxes are 1e7 frames long (exp of a large number), so the error is counted in box sizes.
    extent = np.maximum(1, np.abs(expected[:, 3:] - expected[:, 1:3]).max(1))
    errors = np.abs(found[:, None] - expected[None]).max(2) / extent
    assert errors.min(0).max() < 1e-4
    assert sorted(errors.argmin(0).tolist()) == list(range(len(expected)))


@pytest.mark.parametrize(
    ("variant", "first", "last"), [("syncnet", "vgg.0.weight", "conf.5.bias"), ("wav2lip", "conv1_1.weight", "")]
)
def test_state_dict_has_the_names_of_the_weight_files(variant, first: str, last: str) -> None:
    state = S3FD(variant).state_dict()
    assert len(state) == 65
    assert sum(v.numel() for v in state.values()) == 22_459_110
    assert first in state
    if variant == "syncnet":
        assert last in state
        assert {"vgg.33.weight", "L2Norm3_3.weight", "L2Norm5_3.weight", "extras.3.bias", "loc.3.weight"} <= set(state)
        assert state["conf.0.weight"].shape == (4, 256, 3, 3)
    else:
        assert {"fc6.weight", "conv5_3_norm.weight", "conv7_2_mbox_loc.bias", "fc7_mbox_conf.weight"} <= set(state)


def test_variants_differ_in_fc6_and_pool3() -> None:
    x = torch.zeros(1, 3, 100, 84)
    with torch.inference_mode():
        sizes = {v: [tuple(m.scores.shape[2:]) for m in S3FD(v)(x)] for v in ("syncnet", "wav2lip")}
    assert sizes["syncnet"] == [(25, 21), (13, 11), (6, 5), (3, 2), (2, 1), (1, 1)]
    assert sizes["wav2lip"] == [(25, 21), (12, 10), (6, 5), (7, 6), (4, 3), (2, 2)]


def planted(variant: str, level: int, row: int, column: int, score: float = 0.99) -> S3FD:
    """A detector whose network is replaced: one cell fires, offsets say (0.5, -0.5, 0.2, -0.2)."""
    net = S3FD(variant)

    def forward(x: torch.Tensor) -> list[Map]:
        maps = []
        for k in range(6):
            h, w = -(-x.shape[2] // 2 ** (k + 2)) + 2, -(-x.shape[3] // 2 ** (k + 2)) + 2
            scores, offsets = torch.zeros(len(x), 2, h, w), torch.zeros(len(x), 4, h, w)
            scores[:, 0] = 9.0
            if k == level:
                scores[:, 1, row, column] = 9.0 + float(np.log(score / (1 - score)))
                offsets[:, :, row, column] = torch.tensor([0.5, -0.5, 0.2, -0.2])
            maps.append(Map(scores, offsets))
        return maps

    net.forward = forward  # type: ignore[method-assign]
    return net


@pytest.mark.parametrize("variant", ["syncnet", "wav2lip"])
def test_decoding_of_one_cell(variant: str) -> None:
    net = planted(variant, level=2, row=1, column=3)  # stride 16: center (56, 24), side 64
    (box,) = net.detect(np.zeros((1, 96, 128, 3), np.uint8), scale=1.0)[0]
    cx, cy, w, h = 56 + 0.5 * 0.1 * 64, 24 - 0.5 * 0.1 * 64, 64 * np.exp(0.04), 64 * np.exp(-0.04)
    expected = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
    np.testing.assert_allclose((box.x1, box.y1, box.x2, box.y2), expected, rtol=1e-5)
    assert box.score == pytest.approx(0.99, abs=1e-5)


def test_scaled_boxes_come_back_in_pixels_of_the_frame() -> None:
    net = planted("syncnet", level=2, row=1, column=3)
    (full,) = net.detect(np.zeros((1, 96, 128, 3), np.uint8), scale=1.0)[0]
    (quarter,) = net.detect(np.zeros((1, 384, 512, 3), np.uint8))[0]  # 0.25 is this variant's default
    np.testing.assert_allclose(
        (quarter.x1, quarter.y1, quarter.x2, quarter.y2),
        np.multiply((full.x1, full.y1, full.x2, full.y2), 4),
        rtol=1e-6,
    )


@pytest.mark.parametrize(("variant", "own"), [("syncnet", 0.9), ("wav2lip", 0.5)])
def test_thresholds(variant: str, own: float) -> None:
    frames = np.zeros((1, 64, 64, 3), np.uint8)
    below, above = planted(variant, 1, 2, 2, own - 0.02), planted(variant, 1, 2, 2, own + 0.02)
    assert [len(net.detect(frames, scale=1.0)[0]) for net in (below, above)] == [0, 1]
    assert len(below.detect(frames, scale=1.0, threshold=0.3)[0]) == 1


@pytest.mark.parametrize(("variant", "means"), [("syncnet", (123, 117, 104)), ("wav2lip", (104, 117, 123))])
def test_means_are_subtracted_from_rgb_as_upstream_does(variant: str, means: tuple[int, int, int]) -> None:
    seen = []
    net = planted(variant, 0, 0, 0)
    forward = net.forward
    net.forward = lambda x: (seen.append(x.clone()), forward(x))[1]  # type: ignore[method-assign]
    frame = np.empty((1, 32, 32, 3), np.uint8)
    frame[:] = (200, 100, 50)
    net.detect(frame, scale=1.0)
    np.testing.assert_array_equal(seen[0][0, :, 5, 7].numpy(), np.subtract((200, 100, 50), means))


def test_a_batch_gives_what_single_frames_give(filled: S3FD, rule: ModuleType) -> None:
    frames = rule.frames("s3fd/batch", 3, 64, 96)
    together = filled.detect(frames, scale=1.0, threshold=0.06)
    alone = [filled.detect(frames[i : i + 1], scale=1.0, threshold=0.06)[0] for i in range(3)]
    assert [len(boxes) for boxes in together] == [len(boxes) for boxes in alone]
    assert sum(len(boxes) for boxes in together) > 0
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose([vars(x)["score"] for x in a], [vars(x)["score"] for x in b], atol=1e-5)


def test_is_a_detector_and_checks_its_input(filled: S3FD) -> None:
    assert isinstance(filled, Detector)
    with pytest.raises(UsageError, match="uint8"):
        filled.detect(np.zeros((2, 8, 8, 3), np.float32))
    with pytest.raises(UsageError, match="variant"):
        S3FD("original")  # type: ignore[arg-type]


def test_load(tmp_path: Path, filled: S3FD) -> None:
    state = filled.state_dict()
    torch.save(state, tmp_path / "good.pth")
    torch.save({f"module.{k}": v for k, v in state.items()}, tmp_path / "parallel.pth")
    for name in ("good.pth", "parallel.pth"):
        net = S3FD("syncnet").load(tmp_path / name)
        assert torch.equal(net.state_dict()["vgg.31.weight"], state["vgg.31.weight"])
    with pytest.raises(WeightsError, match="variant 'syncnet'"):
        S3FD("wav2lip").load(tmp_path / "good.pth")
    torch.save({k: v for k, v in state.items() if k != "loc.3.bias"}, tmp_path / "short.pth")
    with pytest.raises(WeightsError, match=r"1 missing \['loc\.3\.bias'\], 0 unknown"):
        S3FD("syncnet").load(tmp_path / "short.pth")
    torch.save({**state, "loc.3.bias": torch.zeros(5)}, tmp_path / "shape.pth")
    with pytest.raises(WeightsError, match="1 of another shape"):
        S3FD("syncnet").load(tmp_path / "shape.pth")
    (tmp_path / "page.pth").write_text("<html>")
    with pytest.raises(WeightsError, match="cannot read"):
        S3FD("syncnet").load(tmp_path / "page.pth")


# -- suppression ---------------------------------------------------------------------------------------------------


def naive_nms(boxes: np.ndarray, scores: np.ndarray, threshold: float, one: float) -> list[int]:
    order, keep = list(np.argsort(-scores, kind="stable")), []
    while order:
        i = order.pop(0)
        keep.append(i)
        rest = []
        for j in order:
            w = max(0.0, min(boxes[i, 2], boxes[j, 2]) - max(boxes[i, 0], boxes[j, 0]) + one)
            h = max(0.0, min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1]) + one)
            area = [(boxes[k, 2] - boxes[k, 0] + one) * (boxes[k, 3] - boxes[k, 1] + one) for k in (i, j)]
            if w * h / (area[0] + area[1] - w * h) <= threshold:
                rest.append(j)
        order = rest
    return keep


@pytest.mark.parametrize("one", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_nms_equals_the_naive_form(seed: int, one: float) -> None:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 60, (80, 2))
    boxes, scores = np.concatenate([low, low + rng.uniform(4, 40, (80, 2))], 1), rng.random(80)
    found = nms(boxes, scores, 0.3, one)
    assert found.tolist() == naive_nms(boxes, scores, 0.3, one)
    assert 1 < len(found) < 80


def test_plus_one_areas_matter_for_small_boxes() -> None:
    boxes = np.asarray([[0, 0, 3, 3], [2, 0, 5, 3]], float)
    assert overlaps(boxes[0], boxes[1:])[0] == pytest.approx(3 / 15)
    assert overlaps(boxes[0], boxes[1:], 1.0)[0] == pytest.approx(8 / 24)
    assert len(nms(boxes, np.asarray([0.9, 0.8]), 0.3)) == 2
    assert len(nms(boxes, np.asarray([0.9, 0.8]), 0.3, 1.0)) == 1


def test_empty_boxes() -> None:
    assert len(nms(np.zeros((0, 4)), np.zeros(0), 0.3)) == 0
    point = np.zeros((2, 4))
    assert overlaps(point[0], point).tolist() == [0.0, 0.0]
    means, _ = weighted_nms(point, np.asarray([0.5, 0.6]), 0.3)
    assert len(means) == 2
    assert weighted_nms(np.zeros((0, 16)), np.zeros(0), 0.3)[0].shape == (0, 16)


def test_weighted_nms_averages_the_group() -> None:
    values = np.asarray([[0, 0, 10, 10, 5], [1, 0, 11, 10, 8], [50, 50, 60, 60, 1]], float)
    means, scores = weighted_nms(values, np.asarray([0.6, 0.9, 0.7]), 0.3)
    np.testing.assert_allclose(means[0], (0.6 * values[0] + 0.9 * values[1]) / 1.5)
    np.testing.assert_allclose(means[1], values[2])
    assert scores.tolist() == [0.9, 0.7]


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("variant", ["syncnet", "wav2lip"])
def test_official_weights_find_the_speaker(variant, real_clips: Path) -> None:
    import cv2

    net = S3FD(variant)
    if not weights.available(net.weights_name):
        pytest.skip(f"the weights {net.weights_name} are not here")
    ok, frame = cv2.VideoCapture(str(real_clips / "katie.mp4")).read()
    assert ok
    found = net.load(weights.path(net.weights_name)).detect(frame[None, ..., ::-1].copy())
    assert len(found[0]) == 1
