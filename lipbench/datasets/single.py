"""A manifest for one video and one dub, made on the spot: `lipbench dub` uses it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from lipbench import media
from lipbench.core import keys
from lipbench.core.errors import MediaError
from lipbench.datasets.new_entries import default_id
from lipbench.datasets.types import Clip, Dub, Licence, Manifest
from lipbench.media.image_series import is_series
from lipbench.media.streams import split_stream


def single_manifest(
    video: Path,
    audio: Path,
    *,
    language: str = "und",
    start_s: float = 0.0,
    end_s: float | None = None,
    fps: float | None = None,
    dub: Dub | None = None,
    face: str | None = None,
) -> Manifest:
    """One clip and one dub of it; hashes are taken now.

    Args:
        video: a file, or FILE:a:N for one of its sounds; a folder of numbered pictures or a pattern of them.
        audio: a file, or FILE:a:N.
        language: of the audio.
        start_s: where the part that is used begins, of the video and of the audio that says nothing else.
        end_s: where it ends.
        fps: rate of pictures.
        dub: what is known of the dub beside its file: `start_s`, `end_s`, `channel`.

    Raises:
        MediaError: a file that does not exist.
    """
    (video, own), (audio, heard) = split_stream(video), split_stream(audio)
    for path, there in ((video, media.present(video)), (audio, audio.is_file())):
        if not there:
            raise MediaError(f"{path}: no such file", "", "check the path")
    unknown = Licence("other")
    digest = media.digest(video)
    clip = Clip(
        id=default_id(video) if is_series(video) else video.stem,
        video=video.resolve(),
        start_s=start_s,
        end_s=end_s,
        fps=fps if is_series(video) else None,
        speaker="unknown",
        language="und",
        licence=unknown,
        consent="unknown",
        sha256=digest,
        stream=own,
        face=face,
    )
    known = dub or Dub("", "", language, "recorded", None, "")
    one = replace(
        known,
        id=f"{clip.id}/{audio.stem}",
        clip_id=clip.id,
        language=language,
        audio=audio.resolve(),
        kind="recorded",
        sha256=digest if audio == video else keys.sha256_file(audio),
        stream=heard,
    )
    return Manifest(
        name="single", version="0", licence=unknown, clips=(clip,), dubs=(one,), root=video.resolve().parent
    )
