"""The written page, without a browser: what stands in it, what is escaped, what fits a budget."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner

from lipbench.cli import group
from lipbench.core.errors import NothingComparable, StoreError
from lipbench.reports.details import Details
from lipbench.reports.html import write
from lipbench.reports.html.grid import badness, file_name, grid
from lipbench.reports.html.verdict import banner, read_gate
from lipbench.reports.html.videos import fitted, folder, named


@pytest.fixture
def page(folder_page):
    return folder_page


class Outline(HTMLParser):
    """Ids, and every address that the page could ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.unnamed: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if "id" in found:
            self.ids.append(found["id"])
        self.addresses += [v for k, v in attrs if k in ("src", "poster", "srcset") or (k == "href" and tag == "link")]
        if (tag == "img" and not found.get("alt")) or (tag in ("video",) and not found.get("aria-label")):
            self.unnamed.append(tag)
        if tag == "svg" and found.get("role") != "img":
            self.unnamed.append(tag)


def test_page_is_whole_and_asks_nobody(page):
    text = page.read_text(encoding="utf-8")
    outline = Outline(text)
    assert len(set(outline.ids)) == len(outline.ids)
    assert {"videos", "numbers", "curves", "clips", "failures", "details", "provenance", "licences"} <= set(outline.ids)
    assert outline.unnamed == []
    local = [a for a in outline.addresses if not a.startswith("data:")]
    # 2 clips x 2 languages x 3 methods less the failed cell, and the source of each row
    assert len(local) == 15
    assert set(local) == {
        f"media/{clip}_{language}_{name}.mp4"
        for clip in ("ann", "bob")
        for language in ("fr", "de")
        for name in ("source", "good", "bad", "still")
        if (clip, language, name) != ("bob", "de", "bad")
    }
    assert all((page.parent / a).stat().st_size > 500 for a in local)
    assert "undefined" not in text.split("<script>")[0].lower()


def test_text_is_escaped(page):
    text = page.read_text(encoding="utf-8")
    assert "Bad &lt;one&gt;" in text
    assert "Bad <one>" not in text
    assert "last line &lt;b&gt;of&lt;/b&gt; bad bob de None" in text
    assert "Traceback &lt;here&gt;" in text


def test_page_tells_failures_licences_and_provenance(page):
    text = page.read_text(encoding="utf-8")
    assert "1 of 12 videos are missing: 1 ran out of memory" in text
    assert "oom: killed at 3.1 GB" in text
    assert "CC-BY-4.0 (https://example.org/by)" in text
    assert "parole fr" in text
    assert "bob in de (its own audio)" in text
    assert "lip sync measured with the sync model syncnet_v2" in text
    assert "<b>ran out of memory</b>: bad, bob in de" in text


def test_story_and_videos_come_before_tables(page):
    text = page.read_text(encoding="utf-8")
    places = [text.index(part) for part in ('aria-label="Verdict"', "<video", "<table", 'id="curves"', 'id="details"')]
    assert places == sorted(places)
    head = text[: text.index("<table")]
    for inner in ("cell", "realvideo", "protocol", "refused", "oom:"):
        assert inner not in head.split("</style>")[1].lower()


def test_each_metric_has_a_legend(page):
    text = page.read_text(encoding="utf-8")
    part = text[text.index('class="legend"') :]
    assert "<b>Good is</b> low. <b>On people published as</b> 6.3 to 7.2 on recorded speech." in part
    assert "<b>Good is</b> near 0." in part  # no words of its own: by its direction


def test_rows_stand_worst_first(page):
    """By LSE-D: bob is worse than ann, de worse than fr; bob in de counts with its only method."""
    text = page.read_text(encoding="utf-8")
    names = re.findall(r'<article class="row" id="[^"]+" aria-label="([^"]+)"', text)
    assert names == ["bob in de (its own audio)", "bob in fr", "ann in de (its own audio)", "ann in fr"]


def test_series_are_those_of_the_records(page):
    text = page.read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    assert len(data["series"]) == 11
    rows = [own["psnr_full"] for own in data["series"].values()]
    assert all(len(row) == 20 and row[-1] - row[0] == pytest.approx(10) for row in rows)
    assert all(own["lse_d"] == [None] * 20 for own in data["series"].values())


def test_second_report_keeps_the_videos(stored_run, page):
    before = {p.name: p.stat().st_mtime_ns for p in (page.parent / "media").iterdir()}
    details = Details(stored_run)
    rows = grid(details, [], [])
    names = named((tile.video, tile.name) for row in rows for tile in row.tiles if tile.video is not None)
    album = folder(names, page.parent / "media", lambda line: None)
    assert len(album.previews) == 15
    assert {p.name: p.stat().st_mtime_ns for p in (page.parent / "media").iterdir()} == before


def test_a_video_made_anew_replaces_the_one_of_its_name(stored_run, tmp_path):
    details = Details(stored_run)
    good, bad = (next(details.video(c) for c in details.cells if c["method"] == m) for m in ("good", "bad"))
    first = folder({good: "x"}, tmp_path, lambda line: None).previews[good].video.read_bytes()
    second = folder({bad: "x"}, tmp_path, lambda line: None).previews[bad].video.read_bytes()
    assert first != second


def test_names_of_files_are_unique_and_plain(tmp_path):
    a, b, c = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    assert named([(a, "x"), (b, "X"), (c, "x"), (a, "y")]) == {a: "x", b: "X-2", c: "x-3"}
    cell = {"clip": "../a b", "language": "pt-BR", "train_seconds": 5.0, "seed": 2}
    assert file_name(cell, r"$\frac{x}$_y") == "a-b_pt-BR_frac-x-y_5s_seed2"
    assert file_name({**cell, "train_seconds": None, "seed": 0}, "é" * 80) == "a-b_pt-BR_x"


def test_single_file_holds_everything(single_report):
    made = single_report
    text = made.page.read_text(encoding="utf-8")
    assert (made.videos, made.left_out) == (15, 0)
    assert [a for a in Outline(text).addresses if not a.startswith("data:")] == []
    assert set(re.findall(r'data-blob="([^"]+)"', text)) == set(re.findall(r'id="blob-([^"]+)"', text))
    assert list(made.page.parent.iterdir()) == [made.page]
    assert "previews to keep this file below 25.0 MB" in text


def test_budget_is_kept_and_told(stored_run, page, tmp_path):
    budget = page.stat().st_size + 40_000
    made = write(stored_run, tmp_path / "one.html", single_file=True, budget=budget)
    assert made.size <= budget
    assert 0 < made.left_out < 15
    text = made.page.read_text(encoding="utf-8")
    assert f"{made.left_out} of 15 videos are left out" in text
    # Rows go as a whole, the best ones first: the last row has none, the first one all.
    rows = text.split('<article class="row"')[1:]
    assert "data-blob" in rows[0]
    assert "data-blob" not in rows[-1]
    assert "left out to keep the file small" in rows[-1]


def test_gate_verdict_leads(stored_run, tmp_path):
    verdict = {
        "schema": 1,
        "verdict": "regression",
        "exit_code": 1,
        "reason": "1 headline is worse",
        "remarks": [],
        "headlines": [
            {"method": "good", "metric": "lse_d", "verdict": "worse", "reason": "by 0.4 over 6 clips"},
            {"method": "bad", "metric": "lse_d", "verdict": "same", "reason": "x"},
        ],
    }
    file = tmp_path / "gate.json"
    file.write_text(json.dumps(verdict))
    found = banner(Details(stored_run), ["lse_d"], read_gate(file))
    assert (found.look, found.title) == ("bad", "Worse than the stored baseline (gate: regression, exit code 1)")
    assert found.lines[:2] == ("1 headline is worse", "Good one, LSE-D: worse. by 0.4 over 6 clips")
    assert not any("Bad <one>, LSE-D: same" in line for line in found.lines)
    assert "Only Good one has numbers on every clip, so nobody is ahead" in found.lines
    file.write_text('{"schema": 7}')
    with pytest.raises(StoreError, match="not a verdict"):
        read_gate(file)


def test_run_without_records_has_a_page(runs, tmp_path):
    """Videos and records may have been deleted: tables stay."""
    made = write(runs.example(), tmp_path / "out")
    text = made.page.read_text()
    assert made.videos == 0
    assert "the video is no longer in the run directory" in text
    assert "Wav2Lip †" in text
    assert "LipNeRF and Wav2Lip are even on the picture" in text


def test_run_without_cells(runs, tmp_path):
    with pytest.raises(NothingComparable, match="no cells"):
        write(runs.write([], []), tmp_path / "out")


def test_command(runs, tmp_path):
    out = tmp_path / "r.html"
    run = str(runs.example())
    found = CliRunner().invoke(group, ["report", run, "--single-file", "--budget", "900kB", "-o", str(out), "--json"])
    assert found.exit_code == 0, found.output
    answer = json.loads(found.output)
    assert answer["bytes"] == out.stat().st_size <= 900_000
    assert CliRunner().invoke(group, ["report", run, "--budget", "much"]).exit_code == 2


@pytest.mark.parametrize(
    ("value", "better", "expected"),
    [(2.0, "higher", -2.0), (2.0, "lower", 2.0), (-3.0, "zero", 3.0), (1.0, "none", None), (None, "lower", None)],
)
def test_badness(value, better, expected):
    assert badness(value, better) == expected


SIZES = [
    ((1280, 720), 360, (360, 202)),
    ((100, 60), 360, (100, 60)),
    ((100, 60), 0, (100, 60)),
    ((640, 3), 64, (64, 2)),
]


@pytest.mark.parametrize(("size", "side", "expected"), SIZES)
def test_fitted(size, side, expected):
    assert fitted(*size, side) == expected


def test_a_run_that_goes_on_shows_what_it_has(stored_run, tmp_path):
    root = tmp_path / "run"
    shutil.copytree(stored_run, root)
    cells = [json.loads(line) for line in (root / "cells.jsonl").read_text().splitlines()]
    for cell in cells:
        if cell["clip"] == "bob":
            cell |= {"status": "pending", "reason": "not run yet", "video": None, "metrics": {}, "keys": {}}
    (root / "cells.jsonl").write_text("".join(json.dumps(cell) + "\n" for cell in cells))
    text = write(root).page.read_text(encoding="utf-8")
    names = re.findall(r'<article class="row" id="[^"]+" aria-label="([^"]+)"', text)
    assert names == ["ann in de (its own audio)", "ann in fr"]
    assert "Not finished: 6 of 12 videos have all their numbers" in text
    assert "6 of 12 videos are missing: 6 not made yet" in text
