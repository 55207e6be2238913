"""VoxCeleb2, LRS3, GRID and MEAD: sets in folders by speaker. What is known of each stands in its recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lipbench.core.errors import UsageError
from lipbench.datasets.recipes.recipe import Folder, FoundClip, Recipe, videos

UNVERIFIED = "not verified: say it with --licence"


def _none(folder: Path, name: str, form: str) -> UsageError:
    return UsageError(f"{folder} holds no {name}", f"no file is called like {form}", "give the folder above it")


# ---- VoxCeleb2 --------------------------------------------------------------------------------------------------


def look_voxceleb2(folder: Path) -> Folder:
    """SPLIT/mp4/SPEAKER/VIDEO/NUMBER.mp4, or the part of it from mp4 on."""
    clips = []
    for path in videos(folder, "**/mp4/*/*/*.mp4"):
        speaker, video = path.parts[-3:-1]
        split = path.parts[-5] if path.parts[-5] in ("dev", "test") else ""
        name, address = f"{speaker}/{video}/{path.stem}", f"https://www.youtube.com/watch?v={video}"
        clips.append(FoundClip(name, path, speaker, "", address, split=split))
    if not clips:
        raise _none(folder, "VoxCeleb2", "mp4/id00012/VIDEO/00001.mp4")
    return Folder(tuple(clips))


# ---- LRS3 -------------------------------------------------------------------------------------------------------


def look_lrs3(folder: Path) -> Folder:
    """SPLIT/TALK/NUMBER.mp4 with NUMBER.txt, whose first line is `Text: WORDS`."""
    clips, texts = [], 0
    for split in ("pretrain", "trainval", "test"):
        texts += sum(1 for _ in videos(folder, f"{split}/*/*.txt"))
        for path in videos(folder, f"{split}/*/*.mp4"):
            talk = path.parent.name
            address, name = f"https://www.youtube.com/watch?v={talk}", f"{split}/{talk}/{path.stem}"
            words = _lrs3_text(path.with_suffix(".txt"))
            clips.append(FoundClip(name, path, talk, "", address, words, ((224, 224),), split))
    if not clips:
        raise _none(folder, "LRS3", "trainval/TALK/00001.mp4")
    return Folder(tuple(clips), texts or None)


def _lrs3_text(path: Path) -> str | None:
    try:
        first = path.read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError):
        return None
    name, colon, words = first.partition(":")
    return words.strip().lower() if colon and name.strip() == "Text" else None


# ---- GRID -------------------------------------------------------------------------------------------------------

#: The six letters of a sentence's file name.
_GRID = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    {c: c for c in "abcdefghijklmnopqrstuvxyz"},
    dict(zip("z123456789", "zero one two three four five six seven eight nine".split(), strict=True)),  # noqa: SIM905
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)
#: Sentences of a speaker.
GRID_SENTENCES = 1000


def grid_sentence(name: str) -> str | None:
    """What a sentence of GRID says, by its file name: swwp2s is "set white with p two soon"; None for other names."""
    if len(name) != len(_GRID) or any(c not in words for c, words in zip(name, _GRID, strict=True)):
        return None
    return " ".join(words[c] for c, words in zip(name, _GRID, strict=True))


def look_grid(folder: Path) -> Folder:
    """sN/SENTENCE.mpg, or sN/video/SENTENCE.mpg; words come from the names."""
    clips = []
    for path in videos(folder, "**/*.mpg"):
        speaker = next((part for part in reversed(path.parts[:-1]) if part[:1] == "s" and part[1:].isdigit()), None)
        if speaker is not None and (words := grid_sentence(path.stem)):
            clips.append(FoundClip(f"{speaker}/{path.stem}", path, speaker, "", "", words, ((360, 288), (720, 576))))
    if not clips:
        raise _none(folder, "GRID", "s1/bbaf2n.mpg")
    speakers = {clip.speaker for clip in clips}
    return Folder(tuple(clips), GRID_SENTENCES * len(speakers), (f"{len(speakers)} of the 34 speakers are there",))


# ---- MEAD -------------------------------------------------------------------------------------------------------


def look_mead(folder: Path) -> Folder:
    """ACTOR/video/VIEW/EMOTION/LEVEL/NUMBER.mp4; the sound is that of the file, or ACTOR/audio/EMOTION/LEVEL."""
    clips = []
    for path in videos(folder, "**/video/*/*/*/*.mp4"):
        actor = path.parts[-6]
        if actor[:1] in ("M", "W") and actor[1:].isdigit():
            clips.append(FoundClip("/".join((actor, *path.parts[-4:-1], path.stem)), path, actor))
    if not clips:
        raise _none(folder, "MEAD", "M003/video/front/angry/level_1/001.mp4")
    return Folder(tuple(clips))


def _recipe(
    name: str, layout: str, look: Callable[[Path], Folder], language: str, verified: str, *traps: str
) -> Recipe:
    return Recipe(name, layout, look, language, None, UNVERIFIED, verified, traps)


VOXCELEB2 = _recipe(
    "voxceleb2",
    "dev|test/mp4/SPEAKER/VIDEO/NUMBER.mp4",
    look_voxceleb2,
    "und",
    "not from its own pages: vox_prepare.py of github.com/facebookresearch/av_hubert reads this layout",
    "crops of faces are small: most are below 96 px of face, the least that `data shots` uses",
    "a million clips: --limit and --speaker",
)
LRS3 = _recipe(
    "lrs3",
    "pretrain|trainval|test/TALK/NUMBER.mp4 with NUMBER.txt",
    look_lrs3,
    "en",
    "not from its own pages: lrs3_prepare.py of github.com/facebookresearch/av_hubert reads this layout; 224 x 224 at "
    "25 fps and English as its paper says (arXiv 1809.00496)",
    "speaker is the talk: one person may have given several",
)
GRID = _recipe(
    "grid",
    "sN/SENTENCE.mpg",
    look_grid,
    "en",
    "not from its own pages: grid.py of github.com/lhotse-speech/lhotse reads this layout; 360 x 288 and the words of "
    "names on the samples of github.com/rizkiarm/LipNet; 720 x 576 is from memory",
    "of the archive's alignments several speakers are exchanged (so lhotse's reader): words are taken from the names",
)
MEAD = _recipe(
    "mead",
    "ACTOR/video/VIEW/EMOTION/LEVEL/NUMBER.mp4",
    look_mead,
    "und",
    "actors' folders from the README of github.com/uniBruce/Mead; what is below them from the README of "
    "github.com/haonanhe/MEAD-3D, a set made from it",
    "seven views of each sentence: only `front` faces the camera",
)
