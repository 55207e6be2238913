"""HDTF: talking heads of public videos; its lists name parts of videos and where to crop them."""

from __future__ import annotations

import re
from pathlib import Path

from lipbench.core.errors import UsageError
from lipbench.datasets.recipes.recipe import Folder, FoundClip, Recipe, videos
from lipbench.datasets.types import Licence

PARTS = ("RD", "WDA", "WRA")
#: The authors' processing scales every crop to this.
AUTHORS_SIZE = (512, 512)
#: Names by the authors' README (Radio11_0.mp4) and by the download script that it points to (RD_Radio11_000.mp4).
_PLAIN = re.compile(r"(?P<video>.+)_(?P<k>\d{1,2})")
_SCRIPT = re.compile(r"(?P<part>RD|WDA|WRA)_(?P<video>.+)_(?P<k>\d{3})")

Name = tuple[str, int]


def look(folder: Path) -> Folder:
    """Clips named after the set's lists, anywhere below the folder but in `_videos_raw`.

    Raises:
        UsageError: there are neither clips nor lists.
    """
    crops, urls, parts = _lists(folder)
    clips = []
    for path in videos(folder, "**/*.mp4"):
        if "_videos_raw" in path.parts:
            continue
        match = _SCRIPT.fullmatch(path.stem) or _PLAIN.fullmatch(path.stem)
        if match is None:
            continue
        name = match["video"], int(match["k"])
        if crops and name not in crops:
            continue
        size = (AUTHORS_SIZE, *([crops[name]] if name in crops else []))
        speaker = re.sub(r"\d+$", "", name[0]) if parts.get(name[0]) != "RD" else name[0]
        clips.append(FoundClip(f"{name[0]}_{name[1]}", path, speaker, "", urls.get(name[0], ""), None, size))
    if not clips and not crops:
        raise UsageError(f"{folder} holds no HDTF", "no clip is called like Radio11_0.mp4", "give the folder of clips")
    remarks = () if crops else ("without the lists *_crop_wh.txt nobody knows how many clips the set has",)
    return Folder(tuple(clips), len(crops) or None, remarks)


def _lists(folder: Path) -> tuple[dict[Name, tuple[int, int]], dict[str, str], dict[str, str]]:
    """(clip -> width and height of its crop, video -> address, video -> part of the set) from the set's lists."""
    crops: dict[Name, tuple[int, int]] = {}
    urls: dict[str, str] = {}
    parts: dict[str, str] = {}
    for part in PARTS:
        for line in _lines(folder, f"{part}_crop_wh.txt"):
            match = _PLAIN.fullmatch(line[0].removesuffix(".mp4"))
            if match and len(line) == 5 and all(value.isdigit() for value in line[1:]):
                crops[match["video"], int(match["k"])] = int(line[2]), int(line[4])
                parts[match["video"]] = part
        for line in _lines(folder, f"{part}_video_url.txt"):
            if len(line) >= 2:
                urls[line[0].removesuffix(".mp4")] = line[1]
    return crops, urls, parts


def _lines(folder: Path, name: str) -> list[list[str]]:
    found = next(iter(sorted(folder.glob(f"**/{name}"))), None)
    return [] if found is None else [line.split() for line in found.read_text(encoding="utf-8").splitlines() if line]


RECIPE = Recipe(
    "hdtf",
    "clips VIDEO_K.mp4 or PART_VIDEO_KKK.mp4, beside them the lists RD|WDA|WRA_crop_wh.txt and _video_url.txt",
    look,
    "und",
    Licence("other", "https://github.com/MRzzm/HDTF"),
    "the set's README puts the annotations under CC BY 4.0; the footage belongs to those who published the videos",
    "README and lists of github.com/MRzzm/HDTF; names of clips also from download.py of github.com/universome/HDTF",
    (
        "some crops were made for another resolution than that of the best download: sizes are compared",
        "some clips of the lists have no crop: they are not counted",
    ),
)
