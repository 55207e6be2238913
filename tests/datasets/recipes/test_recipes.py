"""Manifests from folders as users of public sets have them; the files in them are made here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from lipbench import media
from lipbench.cli.data_recipe import main
from lipbench.core.errors import UnknownName, UsageError
from lipbench.datasets import load_manifest
from lipbench.datasets.recipes.speech_sets import grid_sentence
from lipbench.datasets.recipes.write import RECIPES, Written, write_manifest
from lipbench.datasets.types import Licence

SAID = {"consent": "research, vote 12", "licence": Licence("research-only")}
Make = Callable[..., Path]


@pytest.fixture
def video(tmp_path: Path) -> Make:
    """Writes a video of a few frames; every one is another file."""
    count = iter(range(1000))

    def make(name: str, size: tuple[int, int] = (32, 32)) -> Path:
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        frames = np.full((3, size[1], size[0], 3), next(count), np.uint8)
        if path.suffix == ".mp4":
            return media.write_video(path, frames, 25)
        made = media.write_video(path.with_suffix(".mp4"), frames, 25)
        return made.rename(path)

    return make


def write(name: str, tmp_path: Path, **more: object) -> Written:
    return write_manifest(name, tmp_path / "set", tmp_path / "m.yaml", **{**SAID, **more})  # type: ignore[arg-type]


def test_hdtf(video: Make, tmp_path: Path) -> None:
    video("WDA_Adam0_000.mp4", (40, 40))
    video("WRA_Bea_001.mp4", (512, 512))
    video("Radio11_0.mp4", (64, 64))
    video("_videos_raw/WDA_Adam0.mp4")
    video("Stranger_0.mp4")
    lists = {
        "WDA_crop_wh.txt": "Adam0_0.mp4 608 40 0 40\nAdam0_1.mp4 608 726 0 726\n",
        "WRA_crop_wh.txt": "Bea_1.mp4 10 400 0 400\n",
        "RD_crop_wh.txt": "Radio11_0.mp4 10 400 0 400\n",
        "WDA_video_url.txt": "Adam0 https://www.youtube.com/watch?v=x\n",
    }
    (tmp_path / "set" / "HDTF_dataset").mkdir()
    for name, text in lists.items():
        (tmp_path / "set" / "HDTF_dataset" / name).write_text(text)
    made = write("hdtf", tmp_path, licence=None)
    assert (made.present, made.expected) == (3, 4)
    assert made.sizes == ("Radio11_0 is 64x64, not 512x512 or 400x400",)
    clips = {clip.id: clip for clip in load_manifest(tmp_path / "m.yaml", verify=True).clips}
    assert {name: clip.speaker for name, clip in clips.items()} == {
        "Adam0_0": "Adam",
        "Bea_1": "Bea",
        "Radio11_0": "Radio11",
    }
    assert clips["Adam0_0"].source_url.endswith("v=x")
    assert clips["Adam0_0"].licence == Licence("other", "https://github.com/MRzzm/HDTF")


def test_celebvhq(video: Make, tmp_path: Path) -> None:
    video("processed/abc_1.mp4")
    video("raw/abc.mp4")
    video("raw/abc_1.mp4")
    listed = {"clips": {"abc_1": {"ytb_id": "abc"}, "abc_2": {"ytb_id": "abc"}}}
    (tmp_path / "set" / "celebvhq_info.json").write_text(json.dumps(listed))
    made = write("celebv-hq", tmp_path, licence=None)
    assert (made.present, made.expected) == (1, 2)
    assert made.manifest.clips[0].speaker == "abc"
    assert made.manifest.licence.id == "research-only"
    (tmp_path / "set" / "celebvhq_info.json").write_text("[]")
    with pytest.raises(UsageError, match="not the list"):
        write_manifest("celebv-hq", tmp_path / "set", tmp_path / "b.yaml", consent="c")


def test_voxceleb2(video: Make, tmp_path: Path) -> None:
    video("dev/mp4/id00012/21Uxsk56VDQ/00001.mp4")
    video("test/mp4/id00017/01dfn2spqyE/00001.mp4")
    made = write("voxceleb2", tmp_path)
    assert [(c.id, c.speaker) for c in made.manifest.clips] == [
        ("id00012/21Uxsk56VDQ/00001", "id00012"),
        ("id00017/01dfn2spqyE/00001", "id00017"),
    ]
    assert made.manifest.splits == {"dev": ("id00012/21Uxsk56VDQ/00001",), "test": ("id00017/01dfn2spqyE/00001",)}
    with pytest.raises(UsageError, match="there already"):
        write("voxceleb2", tmp_path)


def test_lrs3(video: Make, tmp_path: Path) -> None:
    video("trainval/Ab1/50001.mp4", (224, 224))
    (tmp_path / "set/trainval/Ab1/50001.txt").write_text("Text:  GOOD MORNING\nConf:  5\n")
    (tmp_path / "set/trainval/Ab1/50002.txt").write_text("Text:  GONE\n")
    made = write("lrs3", tmp_path)
    assert (made.present, made.expected, made.sizes) == (1, 2, ())
    (dub,) = load_manifest(tmp_path / "m.yaml").dubs
    assert (dub.kind, dub.language, dub.transcript) == ("original", "en", "good morning")


def test_grid(video: Make, tmp_path: Path) -> None:
    assert grid_sentence("swwp2s") == "set white with p two soon"
    assert grid_sentence("bbafzn") == "bin blue at f zero now"
    assert [grid_sentence(name) for name in ("bbaf2", "xbaf2n", "bbaw2n")] == [None] * 3
    video("s1/bbaf2n.mpg", (360, 288))
    video("s1/notes.mpg")
    made = write("grid", tmp_path)
    assert (made.present, made.expected) == (1, 1000)
    assert made.manifest.dubs[0].transcript == "bin blue at f two now"
    assert made.manifest.clips[0].id == "s1/bbaf2n"


def test_mead(video: Make, tmp_path: Path) -> None:
    video("M003/video/front/angry/level_1/001.mp4")
    video("W009/video/down/neutral/level_1/001.mp4")
    made = write("mead", tmp_path, speakers=("M003",))
    assert [clip.id for clip in made.manifest.clips] == ["M003/front/angry/level_1/001"]
    assert made.present == 2


@pytest.mark.parametrize("name", RECIPES)
def test_a_folder_of_something_else(name: str, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    with pytest.raises(UsageError, match="holds no"):
        write(name, tmp_path)


def test_what_has_to_be_said(video: Make, tmp_path: Path) -> None:
    video("s1/bbaf2n.mpg", (360, 288))
    with pytest.raises(UsageError, match="which licence"):
        write("grid", tmp_path, licence=None)
    with pytest.raises(UsageError, match="on what grounds"):
        write("grid", tmp_path, consent=" ")
    with pytest.raises(UsageError, match="speakers"):
        write("grid", tmp_path, speakers=("s2",))
    with pytest.raises(UsageError, match="no folder"):
        write_manifest("grid", tmp_path / "gone", tmp_path / "m.yaml", consent="c")
    with pytest.raises(UnknownName, match="recipe"):
        write("grid2", tmp_path)
    assert not (tmp_path / "m.yaml").exists()


def test_broken_files_are_left_out_and_said(video: Make, tmp_path: Path) -> None:
    video("s1/bbaf2n.mpg", (360, 288))
    (tmp_path / "set/s1/bbaf3s.mpg").write_bytes(b"\0" * 1000)
    made = write("grid", tmp_path)
    assert len(made.manifest.clips) == 1
    assert made.unread[0].startswith("s1/bbaf3s.mpg: ")


def test_a_part_of_a_large_set(video: Make, tmp_path: Path) -> None:
    for k in range(6):
        video(f"dev/mp4/id0000{k}/v/00001.mp4")
    made = write("voxceleb2", tmp_path, limit=3)
    assert [clip.speaker for clip in made.manifest.clips] == ["id00000", "id00002", "id00004"]


def test_the_command(video: Make, tmp_path: Path) -> None:
    video("s1/bbaf2n.mpg", (64, 64))
    args = ["grid", str(tmp_path / "set"), "--consent", "c", "--licence", "CC-BY-4.0", "-o", str(tmp_path / "g.yaml")]
    told = CliRunner().invoke(main, args, catch_exceptions=False).stdout
    assert "1 clips; present 1 of 1000" in told
    assert "s1/bbaf2n is 64x64, not 360x288 or 720x576" in told
    known = CliRunner().invoke(main, [], catch_exceptions=False).stdout
    for one in RECIPES.values():
        assert one.verified in known
        assert one.licence_note in known
