"""By how much the clips of a manifest are out of sync themselves, each measured once and written beside it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lipbench import media
from lipbench.core import yaml
from lipbench.core.atomic import write_text
from lipbench.core.errors import LipbenchError, UsageError, WeightsError
from lipbench.datasets.append import set_field
from lipbench.datasets.manifest import from_document
from lipbench.datasets.types import Clip, Manifest
from lipbench.engine import stages
from lipbench.engine.tasks import ClipTask, FacesTask
from lipbench.faces.track import FaceTrack
from lipbench.media.image_series import is_series
from lipbench.metrics.sync.landmark import OwnOffset, own_offset


@dataclass(frozen=True)
class ClipOffset:
    """A clip's own offset.

    Attributes:
        clip: its id.
        found: what was measured.
        written: what the manifest says; None where it says nothing.
    """

    clip: str
    found: OwnOffset
    written: int | None

    def as_json(self) -> dict[str, Any]:
        """For people's scripts."""
        return {"clip": self.clip, **self.found.as_json(), "written": self.written}

    def line(self) -> str:
        """For people."""
        number = "unknown" if self.found.frames is None else _frames(self.found.frames)
        sure = f", confidence {self.found.confidence:.2f}" if self.found.confidence else ""
        said = "" if self.written is None else f"; the manifest says {_frames(self.written)}"
        return f"{self.clip}: {number}{sure}: {self.found.why}{said}"


def _frames(n: int) -> str:
    return f"{n:+d}" if n else "0"


def clip_offset(clip: Clip, *, faces: str = "mediapipe-face", fps: float = 25.0) -> ClipOffset:
    """Measure one clip as a run would use it: its part, its sound, its face.

    Args:
        faces: the face backend; a clip's own landmark file wins.
        fps: rate that the clip is brought to.

    Raises:
        UnknownName: no such face backend.
        WeightsError: those of the face backend or of the sync model are not here. Everything else that keeps a clip
            from being measured stands in the answer.
    """
    with tempfile.TemporaryDirectory(prefix="lipbench-offset-") as folder:
        try:
            found = _measured(clip, faces, fps, Path(folder))
        except (UsageError, WeightsError):
            raise
        except LipbenchError as error:
            found = OwnOffset(None, 0.0, error.one_line())
    return ClipOffset(clip.id, found, clip.av_offset)


def _measured(clip: Clip, faces: str, fps: float, work: Path) -> OwnOffset:
    task = ClipTask(
        video=clip.video,
        sha256=clip.sha256,
        fps=fps,
        start_s=clip.start_s,
        end_s=clip.end_s,
        stream=clip.stream,
        channel=clip.channel,
        language=clip.language,
        picture_fps=clip.fps if is_series(clip.video) else None,
        segments=clip.segments,
    )
    made, info, _ = stages.run_clip(task, work)
    if "audio" not in made:
        return OwnOffset(None, 0.0, "; ".join(info.get("remarks", ())) or "the clip has no sound of its own")
    sound = media.read_audio(made["audio"])
    if silent := media.silence(sound):
        return OwnOffset(None, 0.0, f"silent: {silent}")
    seen = FacesTask(
        video=made["video"],
        backend="file" if clip.landmarks is not None else faces,
        fps=fps,
        landmarks=clip.landmarks,
        face=clip.face,
        sound=made["audio"],
    )
    tracked, _, _ = stages.run_faces(seen, work)
    return own_offset(FaceTrack.load(tracked["faces"]), sound)


def write_offsets(path: Path, offsets: Mapping[str, int]) -> Manifest:
    """Write `av_offset` into a manifest file; the rest of its text stays as it is. Returns the manifest.

    Args:
        offsets: clip id -> frames at 25 fps by which its audio leads.

    Raises:
        UsageError: the file is laid out in a way that cannot be edited; it is not touched.
    """
    text = path.read_text(encoding="utf-8")
    folder = path.resolve().parent
    before, _, _ = from_document(yaml.parse(text, str(path)), folder)
    assert before is not None
    for i, clip in enumerate(before.clips):
        if clip.id in offsets:
            text = set_field(text, "clips", i, "av_offset", offsets[clip.id])
    wanted = replace(before, clips=tuple(replace(c, av_offset=offsets.get(c.id, c.av_offset)) for c in before.clips))
    after, _, _ = from_document(yaml.parse(text, str(path)), folder)
    if after != wanted:
        raise UsageError(f"cannot write into {path}", "its layout is unusual", "write `av_offset:` by hand")
    write_text(path, text)
    return after
