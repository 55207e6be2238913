"""Compositing on drawn scenes whose answer is known."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from lipbench.core.errors import UsageError
from lipbench.faces.parsing import Label, Parsing, Plate
from lipbench.lipnerf.composite import CompositeOptions, Compositor, Render
from lipbench.lipnerf.composite import gap as gaps
from lipbench.lipnerf.composite.inpaint import match
from lipbench.lipnerf.composite.matte import place, straight, within

H, W = 120, 100
SKIN = (200, 150, 120)


def neck_picture() -> np.ndarray:
    """Background, a neck with a fine pattern, clothing: what is behind every head."""
    image = np.full((H, W, 3), (40, 90, 160), np.uint8)
    row, column = np.mgrid[:H, :W]
    pattern = 120 + 25 * np.sin(row / 3.0) + 15 * np.cos(column / 5.0)
    image[40:, 36:64] = (pattern[40:, 36:64, None] * (1.0, 0.8, 0.65)).astype(np.uint8)
    image[100:] = (30, 30, 35)
    return image


def scene(chins: list[int]) -> tuple[np.ndarray, Parsing, np.ndarray]:
    """One frame per chin row: frames, labels, and the image behind the head."""
    back = neck_picture()
    frames, labels = np.stack([back] * len(chins)), np.zeros((len(chins), H, W), np.uint8)
    labels[:, 40:, 36:64] = Label.NECK
    labels[:, 100:] = Label.TORSO
    for t, chin in enumerate(chins):
        mask = head(chin)
        frames[t][mask], labels[t][mask] = SKIN, Label.HEAD
    return frames, Parsing(labels, "truth"), back


def head(chin: int) -> np.ndarray:
    mask = np.zeros((H, W), np.uint8)
    cv2.ellipse(mask, (50, (10 + chin) // 2), (26, (chin - 10) // 2), 0, 0, 360, 1, -1)
    return mask == 1


def render(s: int, chin: int, color: tuple[int, int, int] = (180, 60, 60)) -> Render:
    alpha = head(chin).astype(np.float32)
    return Render(s, np.float32(color) / 255 * alpha[..., None], alpha)


PLATE = Plate.still(np.full((H, W, 3), (40, 90, 160), np.uint8))
OPEN, SHUT = 84, 70


def test_only_the_head_changes_and_it_changes() -> None:
    frames, parsing, _ = scene([OPEN, SHUT, OPEN])
    out = Compositor(frames, parsing, PLATE).frame(0, render(0, OPEN).rgb, render(0, OPEN).alpha)
    near = cv2.dilate(head(OPEN).astype(np.uint8), np.ones((13, 13), np.uint8)) == 1
    assert out.dtype == np.uint8
    assert (out[~near] == frames[0][~near]).all()
    inner = cv2.erode(head(OPEN).astype(np.uint8), np.ones((9, 9), np.uint8)) == 1
    assert (out[inner] == (180, 60, 60)).all()


def test_an_empty_render_leaves_no_head_and_no_trace_outside() -> None:
    frames, parsing, _ = scene([OPEN, SHUT])
    out = Compositor(frames, parsing, PLATE).frame(0, np.zeros((H, W, 3)), np.zeros((H, W)))
    assert not (out == SKIN).all(-1).any()
    assert (out[112:] == frames[0][112:]).all()
    none = Compositor(frames, parsing, PLATE, CompositeOptions(inpainter="none"))
    assert (none.frame(0, np.zeros((H, W, 3)), np.zeros((H, W))) == frames[0]).all()


def test_the_old_chin_is_replaced_by_the_neck_that_other_frames_show() -> None:
    frames, parsing, back = scene([OPEN, SHUT, OPEN, SHUT, SHUT])
    compositor = Compositor(frames, parsing, PLATE)
    layers = compositor.layers(render(0, SHUT))
    assert layers.gap.sum() > 200
    assert (layers.gap <= (head(OPEN) & ~head(SHUT))).all()
    neck = layers.neck & (np.abs(np.arange(W) - 50) < 12)
    assert neck.sum() > 150
    error = np.abs(layers.image[neck].astype(float) - back[neck])
    assert np.quantile(error, 0.9) < 12  # neighbors of the matte's edge carry some of the new head
    assert np.median(error) < 3
    # Beside the neck it is the background that comes to light.
    rim = layers.gap & ~layers.neck & (cv2.erode((~head(SHUT)).astype(np.uint8), np.ones((7, 7), np.uint8)) == 1)
    assert rim.sum() > 5
    assert np.abs(layers.behind[rim].astype(float) - (40, 90, 160)).max() < 12
    old = Compositor(frames, parsing, PLATE, CompositeOptions(inpainter="none")).frame(
        0, render(0, SHUT).rgb, render(0, SHUT).alpha
    )
    assert (old[neck] == SKIN).all(1).mean() > 0.6


def test_without_donors_the_fill_is_still_neck_colored() -> None:
    frames, parsing, _ = scene([OPEN, OPEN])
    for name in ("temporal", "telea"):
        layers = Compositor(frames, parsing, PLATE, CompositeOptions(inpainter=name)).layers(render(0, SHUT))
        inner = layers.neck & (cv2.erode((~head(SHUT)).astype(np.uint8), np.ones((7, 7), np.uint8)) == 1)
        colors = layers.image[inner].astype(float)
        assert (np.abs(colors - neck_picture()[85:100, 40:60].mean((0, 1))).max(1) < 60).mean() > 0.9
        assert not (layers.image[inner] == SKIN).all(1).any()


def test_donors_follow_a_body_that_moves() -> None:
    rng = np.random.default_rng(0)
    cloth = cv2.resize(rng.integers(0, 255, (8, 25, 3), dtype=np.uint8), (W, 30), interpolation=cv2.INTER_NEAREST)
    frames, parsing, _ = scene([OPEN, SHUT, SHUT, SHUT, SHUT, SHUT])
    frames[:, 90:] = cloth
    labels = parsing.labels.copy()
    labels[:, 90:] = Label.TORSO
    moved, moved_labels = frames.copy(), labels.copy()
    for t, dx in enumerate([0, 6, 7, 6, 8, 7]):
        moved[t], moved_labels[t] = np.roll(frames[t], dx, 1), np.roll(labels[t], dx, 1)
    layers = Compositor(moved, Parsing(moved_labels, "truth"), PLATE).layers(render(0, SHUT))
    neck = layers.neck & (cv2.erode((~head(SHUT)).astype(np.uint8), np.ones((7, 7), np.uint8)) == 1)
    error = np.abs(layers.image[neck].astype(float) - neck_picture()[neck])
    assert np.median(error) < 6


def test_a_gap_that_blinks_is_steadied_in_a_video_only() -> None:
    frames, parsing, _ = scene([OPEN] * 5)
    renders = [render(t, SHUT if t == 2 else OPEN) for t in range(5)]
    compositor = Compositor(frames, parsing, PLATE)
    steady = list(compositor.video(renders))
    single = [compositor.frame(r.s, r.rgb, r.alpha) for r in renders]
    assert len(steady) == 5
    for t in (0, 4):
        assert (steady[t] == single[t]).all()
    held = Compositor(frames, parsing, PLATE, CompositeOptions(gap_smoothing=1))
    for one, other in zip(held.video(renders), single, strict=True):
        assert (one == other).all()
    spot = gaps.weight(np.zeros((9, 9), bool), [np.eye(9, dtype=bool), np.zeros((9, 9), bool)])
    assert 0 < spot.max() < 0.5
    assert gaps.weight(np.eye(9, dtype=bool), [np.zeros((9, 9), bool)] * 2)[np.eye(9, dtype=bool)].min() == 1


def test_a_smaller_render_goes_into_its_box() -> None:
    frames, parsing, _ = scene([OPEN, SHUT])
    whole = render(0, OPEN)
    box = (10, 0, 90, 100)
    cropped = Render(0, whole.rgb[0:100, 10:90], whole.alpha[0:100, 10:90], box)
    half = Render(0, cv2.resize(cropped.rgb, (40, 50)), cv2.resize(cropped.alpha, (40, 50)), box)
    compositor = Compositor(frames, parsing, PLATE)
    expected = compositor.layers(whole).image.astype(int)
    assert (compositor.layers(cropped).image == expected).all()
    assert np.abs(compositor.layers(half).image - expected).mean() < 1.5


def test_haze_far_from_the_head_is_kept_out_and_faint_holes_are_closed() -> None:
    frames, parsing, _ = scene([OPEN, SHUT])
    alpha = head(OPEN).astype(np.float32)
    alpha[60:64, 45:55] = 0.93  # a faint hole inside
    alpha[0:5] += 0.06  # haze
    alpha[110:118, 5:15] = 1.0  # a floater
    out = Compositor(frames, parsing, PLATE).frame(0, np.ones((H, W, 3)) * alpha[..., None], alpha)
    assert (out[110:118, 5:15] == frames[0][110:118, 5:15]).all()
    assert (out[0:3, :10] == frames[0][0:3, :10]).all()
    assert (out[60:64, 45:55] >= 254).all()


def test_colors_are_freed_of_the_matte() -> None:
    matte = np.linspace(0, 1, 20, dtype=np.float32)[None].repeat(8, 0)
    free = straight(np.float32([0.8, 0.4, 0.2]) * matte[..., None], matte)
    np.testing.assert_allclose(free[:, 7:], np.broadcast_to(np.float32([0.8, 0.4, 0.2]), free[:, 7:].shape), rtol=1e-4)
    faded = within(np.ones((1, 60), np.float32), np.arange(60)[None] < 20, 15.0)[0]
    assert faded[20] == 1
    assert faded[45] == 0
    rgb, alpha = place(render(0, OPEN), (20, 30, 80, 90), (H, W))
    assert alpha.shape == (60, 60)
    assert (alpha == head(OPEN)[30:90, 20:80]).all()
    assert rgb.shape == (60, 60, 3)


def test_what_lies_behind_is_the_nearest_neighbors() -> None:
    _, parsing, _ = scene([OPEN])
    found = gaps.behind(parsing.labels[0])
    assert found[OPEN - 2, 50] == Label.NECK
    assert found[20, 30] == Label.BACKGROUND
    assert (found != Label.HEAD).all()
    assert (gaps.behind(np.ones((4, 4), np.uint8)) == Label.BACKGROUND).all()


def test_slivers_are_no_gaps() -> None:
    mask = head(OPEN)
    smaller = cv2.erode(mask.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))) == 1
    assert not gaps.uncovered(mask, smaller.astype(np.float32), 0.5).any()
    assert gaps.uncovered(mask, head(SHUT).astype(np.float32), 0.5).sum() > 0.7 * (mask & ~head(SHUT)).sum()


@pytest.mark.parametrize(
    ("name", "value"),
    [("inpainter", "gan"), ("threshold", 0.0), ("levels", (0.9, 0.1)), ("feather_px", -1), ("gap_smoothing", 2)],
)
def test_options_that_cannot_be(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=name):
        CompositeOptions(**{name: value})  # type: ignore[arg-type]


def test_shapes_that_do_not_fit_are_refused() -> None:
    frames, parsing, _ = scene([OPEN, SHUT])
    with pytest.raises(UsageError, match="belong together"):
        Compositor(frames[:1], parsing, PLATE)
    with pytest.raises(UsageError, match="fit together"):
        Render(0, np.zeros((4, 4, 3)), np.zeros((4, 5)))


def test_a_frame_without_a_head_takes_the_render_as_nothing() -> None:
    frames, parsing, _ = scene([OPEN, SHUT])
    labels = parsing.labels.copy()
    labels[1] = Label.BACKGROUND
    out = Compositor(frames, Parsing(labels, "x"), PLATE).frame(1, render(1, SHUT).rgb, render(1, SHUT).alpha)
    assert (out == frames[1]).all()


def test_what_is_looked_at_is_as_if_all_had_been_made() -> None:
    """Small heads, where blurs, reach and the gap's surroundings end beside one another, the chin's gap in view."""
    frames, parsing, _ = scene([OPEN, OPEN - 2, OPEN, SHUT])
    view = 30, 64, 72, 92
    x0, y0, x1, y1 = view
    renders = [render(s, chin) for s, chin in ((0, SHUT), (1, SHUT + 4), (2, SHUT), (2, OPEN))]
    compositor = Compositor(frames, parsing, PLATE)
    whole = list(compositor.video(renders))
    part = list(compositor.video(replace(each, view=view) for each in renders))
    for full, cut in zip(whole, part, strict=True):
        np.testing.assert_array_equal(cut[y0:y1, x0:x1], full[y0:y1, x0:x1])
    assert (whole[0] != frames[0])[y0:y1, x0:x1].any()
    assert (part[0] != whole[0]).any()  # the rest was not made
    (corner,) = compositor.video([replace(renders[0], view=(0, 0, 1, 1))])  # lips outside of the image
    np.testing.assert_array_equal(corner[48:, 48:], frames[0][48:, 48:])


@pytest.mark.parametrize("channel", range(3))
def test_a_border_that_differs_much_in_one_color_is_left_out(channel):
    """What one channel says of a border pixel is enough: the other image is not brought to that light."""
    hole = np.zeros((40, 40), np.bool_)
    hole[14:26, 14:26] = True
    image, candidate = np.full((40, 40, 3), 100, np.uint8), np.full((40, 40, 3), 90, np.float32)
    near = match(candidate, image, hole, ~hole, 50.0)
    assert np.abs(near[hole].astype(int) - 99).max() <= 2
    image[..., channel] = 200
    far = match(candidate, image, hole, ~hole, 50.0)
    assert (far[hole] == 90).all()
    assert (far[~hole] == image[~hole]).all()
    assert image[hole].max() == 200
