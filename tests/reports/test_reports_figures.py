"""Contact sheets: the right frames in the right places, moments chosen by sounds and by blinks."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from lipbench.cli import group
from lipbench.core.errors import NothingComparable, UnknownName, UsageError
from lipbench.faces.track import FaceTrack
from lipbench.reports import figures, plots
from lipbench.reports.details import Details
from lipbench.reports.figures import crops, moments
from lipbench.reports.figures.moments import Moment


@pytest.fixture(scope="module")
def details(stored_run):
    return Details(stored_run)


def points68(n=10, x=100.0, y=50.0, opening=4.0):
    """A (n, 68, 2) face whose mouth is 40 px wide around (x, y), eyes 20 px wide and `opening` high."""
    points = np.full((n, 68, 2), np.nan, np.float32)
    points[:, :36] = (x, y)
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    points[:, 48:68] = np.stack([x + 20 * np.cos(angle), y + 10 * np.sin(angle)], axis=1)
    for first, center in ((36, x - 25), (42, x + 25)):
        half = opening / 2
        eye = [(-10, 0), (-4, -half), (4, -half), (10, 0), (4, half), (-4, half)]
        points[:, first : first + 6] = np.add(eye, [center, y - 40])
    return points


def track(points):
    good = np.isfinite(points[:, 0, 0])
    boxes = np.where(good[:, None], np.float32([0, 0, 9, 9]), np.nan).astype(np.float32)
    landmarks = np.concatenate([points, np.zeros((*points.shape[:2], 1), np.float32)], axis=2)
    return FaceTrack("test", 25.0, 200, 120, boxes, good.astype(np.float32), good.astype(np.int16), landmarks)


# ---- moments --------------------------------------------------------------------------------------------------


def test_spread_takes_the_most_visible_sound_of_each_part():
    rows = [[0.0, 0.1, "t"], [0.1, 0.2, "p"], [0.2, 0.4, "k"], [0.4, 0.6, "s"], [0.6, 0.8, "ˈu"], [0.8, 1.0, ""]]
    assert moments.spread(rows, 2, 25, 20) == [Moment(3, "p"), Moment(17, "u")]
    # The sound starts 0.2 s later in the video: every moment moves by 5 frames.
    assert moments.spread(rows, 1, 25, 25, offset_s=0.2) == [Moment(8, "p")]


def test_spread_varies_the_looks():
    """m is the more visible sound in both halves; the second half shows the open mouth instead of a second m."""
    rows = [[0.0, 0.2, "m"], [0.2, 0.4, "t"], [0.4, 0.6, "b"], [0.6, 0.8, "a"]]
    assert [m.label for m in moments.spread(rows, 2, 25, 20)] == ["m", "a"]


def test_parts_without_a_sound_show_their_middle():
    assert moments.spread([[0.0, 0.1, "p"]], 2, 25, 20)[1] == Moment(15, "")


def test_moments_by_hand():
    rows = [[0.0, 0.2, "p"], [0.2, 0.5, "ɛː"]]
    assert moments.at([0.1, 0.24, 0.7], rows, 25, 20, 0.0) == [Moment(2, "p"), Moment(6, "ɛ"), Moment(17, "")]
    with pytest.raises(UsageError, match="not in the clip"):
        moments.at([0.8], rows, 25, 20, 0.0)


def test_blink_is_found_at_its_deepest_frame():
    points = points68(40)
    for frame, opening in {19: 2.0, 20: 0.5, 21: 1.5}.items():
        points[frame] = points68(1, opening=opening)[0]
    points[5] = np.nan
    opening = moments.eye_opening(track(points))
    assert opening[0] == pytest.approx(0.2)  # 4 high, 20 wide
    assert np.isnan(opening[5])
    found = moments.around_blink(opening, 5, 25.0)
    assert [m.frame for m in found] == [16, 18, 20, 22, 24]
    assert [m.label for m in found] == ["-160 ms", "-80 ms", "closed", "+80 ms", "+160 ms"]


def test_no_blink_is_told():
    with pytest.raises(NothingComparable, match="no blink") as error:
        moments.around_blink(np.array([0.2, 0.19, 0.15, 0.2]), 5, 25.0)
    assert "77%" in error.value.why


# ---- crops ----------------------------------------------------------------------------------------------------


def test_boxes_follow_the_mouth_with_one_size():
    points = points68(6)
    points[:, :, 0] += np.arange(6)[:, None] * 3
    points[2:4] = np.nan
    found = crops.boxes(track(points), "mouth")
    size = found[:, 2:] - found[:, :2]
    assert (size == [72, 54]).all()  # 40 * 1.8 wide, three quarters as high
    center = (found[:, 0] + found[:, 2]) / 2
    np.testing.assert_allclose(center, [100, 103, 103, 103, 112, 115], atol=1)


def test_cut_repeats_the_edge():
    frame = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    out = crops.cut(frame, np.array([-1, 0, 3, 3]))
    assert out.shape == (3, 4, 3)
    np.testing.assert_array_equal(out[2, :, 0], [6, 6, 9, 9])


# ---- sheets ---------------------------------------------------------------------------------------------------


def test_sheet_shows_the_frames_it_names(details):
    """Frame k of the fixture is 40 + 5 k gray: the corner of every image says which frame it is."""
    found = figures.sheet(details, clip="ann", language="fr", n=4)
    assert [row.title for row in found.rows] == ["Source", "Good one", "Bad <one>", "Still"]
    assert [c.label for c in found.columns] == ["p", "ɛ", "", ""]
    for row in found.rows:
        for moment, image in zip(found.columns, row.images, strict=True):
            assert abs(float(image[60, 4].mean()) - (40 + 5 * moment.frame)) < 4
    # bad is drawn with a yellow square, the others with a white one
    tints = {row.title: float(np.diff(row.images[0][30, 15, 1:].astype(int))[0]) for row in found.rows}
    assert tints["Bad <one>"] < -100 < tints["Good one"]


def test_methods_in_the_order_asked_for(details):
    found = figures.sheet(details, methods=["still", "good"], times=[0.0, 0.4])
    assert [row.title for row in found.rows] == ["Source", "Still", "Good one"]
    assert [c.frame for c in found.columns] == [0, 10]


def test_missing_videos_are_told(details):
    found = figures.sheet(details, clip="bob", language="de", n=2)
    assert [row.title for row in found.rows] == ["Source", "Good one", "Still"]
    assert found.notes == ("Bad <one>: oom: killed at 3.1 GB",)


def test_what_is_missing_is_not_in_the_image(details, tmp_path):
    found = figures.sheet(details, clip="bob", language="de", n=2)
    plots.save(figures.draw(found), tmp_path / "f.svg")
    text = (tmp_path / "f.svg").read_text(encoding="utf-8")
    assert ">Good one<" in text
    assert "oom" not in text


def test_moments_with_sounds_of_ones_own(stored_run, tmp_path):
    out = tmp_path / "f.svg"
    given = ["figure", str(stored_run), "-o", str(out), "--clip", "ann", "--lang", "fr", "--json"]
    found = CliRunner().invoke(group, [*given, "--moments", "0.1=m,0.3", "--moments", "0.7=ʃ"])
    assert found.exit_code == 0, found.output
    columns = [(c["frame"], c["label"]) for c in json.loads(found.output)["columns"]]
    assert columns == [(2, "m"), (7, "ɛ"), (17, "ʃ")]  # 0.3 s: the manifest's sound
    assert ">ʃ<" in out.read_text(encoding="utf-8")
    assert CliRunner().invoke(group, [*given, "--moments", "m=0.1"]).exit_code == 2
    both = CliRunner().invoke(group, [*given, "--moments", "0.1=m", "--time", "0.2"])
    assert isinstance(both.exception, UsageError)


def test_transcript_stands_in_where_sounds_are_unknown(details, stored_run, tmp_path):
    root = tmp_path / "run"
    shutil.copytree(stored_run, root)
    about = json.loads((root / "run.json").read_text())
    for dub in about["corpus"]["dubs"].values():
        dub["phonemes"] = None
    (root / "run.json").write_text(json.dumps(about))
    found = figures.sheet(Details(root), clip="ann", language="fr", n=4)
    assert found.title == "ann in fr: parole fr"
    assert [c.frame for c in found.columns] == [2, 7, 12, 17]


def test_wrong_requests(details):
    with pytest.raises(UnknownName):
        figures.sheet(details, clip="anna")
    with pytest.raises(UnknownName):
        figures.sheet(details, methods=["goood"])
    with pytest.raises(UsageError, match="columns"):
        figures.sheet(details, times=[0.1] * 17)
    with pytest.raises(NothingComparable, match="place of the mouth"):
        figures.sheet(details, crop="mouth")
    with pytest.raises(NothingComparable, match="face track"):
        figures.blink(details)


def test_command(stored_run, tmp_path):
    out = tmp_path / "sheet.svg"
    found = CliRunner().invoke(
        group, ["figure", str(stored_run), "-o", str(out), "--clip", "ann", "--lang", "fr", "--columns", "4", "--json"]
    )
    assert found.exit_code == 0, found.output
    answer = json.loads(found.output)
    assert answer["columns"][1]["label"] == "ɛ"
    text = out.read_text(encoding="utf-8")
    assert text.count("<image ") == 16
    assert ">ɛ<" in text
    assert ">Good one<" in text
    assert "ann in fr" in text
