"""CelebV-HQ: short clips of faces with attributes; a JSON file names them."""

from __future__ import annotations

import json
from pathlib import Path

from lipbench.core.errors import UsageError
from lipbench.datasets.recipes.recipe import Folder, FoundClip, Recipe, videos
from lipbench.datasets.types import Licence

LIST = "celebvhq_info.json"
WATCH = "https://www.youtube.com/watch?v="


def look(folder: Path) -> Folder:
    """The clips that the list names, as processed/ID.mp4 or anywhere below the folder; never the raw downloads.

    Raises:
        UsageError: the list is not there, or is none.
    """
    path = next(iter(sorted(folder.glob(f"**/{LIST}"))), None)
    if path is None:
        raise UsageError(f"{folder} holds no CelebV-HQ", f"there is no {LIST} in it", "put the set's list there")
    try:
        listed = {str(name): str(entry["ytb_id"]) for name, entry in json.loads(path.read_bytes())["clips"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = "it has no `clips` with a `ytb_id` each"
        raise UsageError(f"{path} is not the list of CelebV-HQ", why, "download it again") from error
    clips = tuple(
        # The set does not say who is who: clips of one video may show one person, so they share the video's name.
        FoundClip(video.stem, video, listed[video.stem], "", WATCH + listed[video.stem])
        for video in videos(folder, "**/*.mp4")
        if video.stem in listed and video.parent.name != "raw"
    )
    return Folder(clips, len(listed))


RECIPE = Recipe(
    "celebv-hq",
    "processed/CLIP.mp4 with celebvhq_info.json",
    look,
    "und",
    Licence("research-only", "https://github.com/CelebV-HQ/CelebV-HQ"),
    "the agreement in the README: non-commercial research only; the videos are not property of the set's authors",
    "README and download_and_process.py of github.com/CelebV-HQ/CelebV-HQ",
    (
        "clips hold shot changes: run `lipbench data shots` on them",
        "the set names no people and no languages: speaker is the video, language und",
        "many clips are not speech",
    ),
)
