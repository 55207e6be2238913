"""A manifest for one video and one dub, made on the spot: `lipbench dub` uses it."""

from __future__ import annotations

from pathlib import Path

from lipbench.core import keys
from lipbench.core.errors import MediaError
from lipbench.datasets.types import Clip, Dub, Licence, Manifest


def single_manifest(
    video: Path,
    audio: Path,
    *,
    language: str = "und",
    start_s: float = 0.0,
    end_s: float | None = None,
    face: str | None = None,
) -> Manifest:
    """One clip and one dub of it; hashes are taken now.

    Raises:
        MediaError: a file that does not exist.
    """
    for path in (video, audio):
        if not path.is_file():
            raise MediaError(f"{path}: no such file", "", "check the path")
    unknown = Licence("other")
    clip = Clip(
        id=video.stem,
        video=video.resolve(),
        start_s=start_s,
        end_s=end_s,
        speaker="unknown",
        language="und",
        licence=unknown,
        consent="unknown",
        sha256=keys.sha256_file(video),
        face=face,
    )
    dub = Dub(
        id=f"{video.stem}/{audio.stem}",
        clip_id=clip.id,
        language=language,
        audio=audio.resolve(),
        kind="recorded",
        sha256=keys.sha256_file(audio),
    )
    return Manifest(
        name="single", version="0", licence=unknown, clips=(clip,), dubs=(dub,), root=video.resolve().parent
    )
