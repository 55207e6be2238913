"""Several shots of one actor as one training: one identity and one camera, plates and poses per shot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.core.errors import Unsupported, UsageError
from lipbench.faces import track_faces
from lipbench.faces.parsing import HeadGuide, Label, Parsing, mend_heads, parser
from lipbench.faces.raster import visibility
from lipbench.faces.track import FaceTrack
from lipbench.lipnerf.fitting import Fit, FitOptions, fit_clip, temporal
from lipbench.lipnerf.prepared import PreparedClip, head_crop
from lipbench.media.held import room

Frames = NDArray[np.uint8]
Log = Callable[[str], None]
FOLDER = "shots"


@dataclass(frozen=True)
class Shot:
    """A video of the actor.

    Attributes:
        frames: (T, H, W, 3) uint8 RGB at the clip's rate.
        track: of the same frames.
    """

    frames: Frames
    track: FaceTrack


def read_shot(video: str | Path, like: Shot, backend: str, folder: Path) -> Shot:
    """A further shot as the clip has it: its rate, even size, a face track; kept in `folder` for the training.

    Args:
        like: the clip.
        backend: face backend that finds the face.

    Raises:
        Unsupported: another image size than the clip's.
        MediaError, NoVideo, Truncated, TooShort, NoFace: see `media.normalize_clip` and `faces.track_faces`.
    """
    folder.mkdir(parents=True)
    media.normalize_clip(video, folder / "video.mp4", fps=like.track.fps)
    frames = media.load_frames(folder / "video.mp4")
    if frames.shape[1:] != like.frames.shape[1:]:
        (h, w), (wanted_h, wanted_w) = frames.shape[1:3], like.frames.shape[1:3]
        raise Unsupported(
            f"the shot {Path(video).name} is {w}x{h}, the clip {wanted_w}x{wanted_h}",
            "pooled shots are fitted with one camera",
            "cut all shots from one video, or train without this one",
        )
    track = track_faces(frames, backend=backend, fps=like.track.fps)
    track.save(folder / "faces.npz")
    return Shot(frames, track)


def load_shots(prepared: Path) -> list[tuple[PreparedClip, Shot]]:
    """What `read_shot` and `prepare_shots` left in the prepare stage's folder; empty for a single shot."""
    found = []
    for folder in sorted((prepared / FOLDER).glob("*")):
        shot = Shot(media.load_frames(folder / "video.mp4"), FaceTrack.load(folder / "faces.npz"))
        found.append((PreparedClip.load(folder), shot))
    return found


def prepare_shots(shots: Sequence[Shot], options: FitOptions, parser_name: str, log: Log) -> list[PreparedClip]:
    """Fit all shots at once and parse each: identity, albedo and focal length are common, and so is the crop's box.

    Args:
        shots: of one actor and camera; the clip that is dubbed first.

    Raises:
        NoFace, Unsupported, UsageError: see `fit_clip` and the parsers.
        WeightsMissing: a parser without weights.
    """
    frames = _joined([shot.frames for shot in shots])
    fit = fit_clip(frames, join([shot.track for shot in shots]), options, log)
    log(f"fitted {len(shots)} shots, {len(fit) - len(shots) + 1} frames, as one person")
    ends = np.cumsum([len(shot.frames) + 1 for shot in shots]) - 1
    fits = [_own(fit, np.arange(end - len(shot.frames), end)) for shot, end in zip(shots, ends, strict=True)]
    parsings = [_parsed(shot, own, parser_name) for shot, own in zip(shots, fits, strict=True)]
    crop = head_crop(labels == Label.HEAD for parsing in parsings for labels in parsing.labels)
    return [PreparedClip(own, parsing, crop) for own, parsing in zip(fits, parsings, strict=True)]


def _joined(shots: Sequence[Frames]) -> Frames:
    """The shots one after the other with a black frame in between, as `join` joins their tracks; one stays itself."""
    if len(shots) == 1:
        return shots[0]
    blank = np.zeros_like(shots[0][:1])
    return media.hold(frame for part in [x for shot in shots for x in (shot, blank)][:-1] for frame in part)


def parts(clip: Shot, spans: Sequence[tuple[int, int]]) -> list[Shot]:
    """The shots of a clip, by [first, end) of each; the clip itself where there is one.

    Raises:
        UsageError: the spans do not cover the clip.
    """
    if len(spans) < 2:
        return [clip]
    if spans[-1][1] != len(clip.frames):
        raise UsageError(
            f"the clip has {len(clip.frames)} frames, its shots {spans[-1][1]}", "", "normalize the clip again"
        )
    return [Shot(clip.frames[a:b], clip.track.take(np.arange(a, b))) for a, b in spans]


def merged(found: Sequence[PreparedClip]) -> PreparedClip:
    """Shots that were fitted together as one clip again, one after the other."""
    if len(found) == 1:
        return found[0]
    first = found[0]
    by_frame = ("expression", "rotation", "translation", "light", "found", "landmark_error_px", "photometric_error")
    rows: dict[str, Any] = {name: np.concatenate([getattr(one.fit, name) for one in found]) for name in by_frame}
    fit = replace(first.fit, **rows)
    notes = tuple(dict.fromkeys(note for one in found for note in one.parsing.notes))
    labels = media.hold(labels for one in found for labels in one.parsing.labels)
    return PreparedClip(fit, Parsing(labels, first.parsing.parser, notes), first.crop)


def spans_under(index: NDArray[np.integer], cuts: Sequence[int]) -> list[tuple[int, int]]:
    """[first, end) of every stretch of a dub that shows one shot.

    Args:
        index: (N,) frame of the clip under each frame of the dub.
        cuts: frames of the clip that begin another shot.
    """
    shot = np.searchsorted(np.asarray(cuts, np.int64), index, side="right")
    edges = [0, *(int(t) + 1 for t in np.flatnonzero(np.diff(shot))), len(index)]
    return list(pairwise(edges))


def spread(spans: Sequence[tuple[int, int]], most: int) -> NDArray[np.int64]:
    """Frames of a clip that a field is trained on, ascending: about `most`, evenly spread, and of every shot both ends.

    Args:
        spans: [first, end) of each shot; together they cover the clip.
        most: all frames where they are no more.
    """
    total = spans[-1][1]
    if total <= most:
        return np.arange(total)
    counts = [max(2, most * (end - first) // total) for first, end in spans]
    rows = [np.linspace(first, end - 1, count).round() for (first, end), count in zip(spans, counts, strict=True)]
    return np.unique(np.concatenate(rows).astype(np.int64))


def _parsed(shot: Shot, fit: Fit, parser_name: str) -> Parsing:
    """Labels of a shot, its head masks put right by the fitted mesh."""
    guide, model = HeadGuide.from_track(shot.track), fit.load_model()
    found = parser(parser_name).parse(shot.frames, guide)

    size = shot.frames.shape[1:3]
    count = len(shot.frames)
    # A bit a pixel: every frame is asked for more than once.
    drawn, known = room((count, -(-size[0] * size[1] // 8)), np.uint8), np.zeros(count, np.bool_)

    def mesh(t: int) -> NDArray[np.bool_]:
        if not known[t]:
            drawn[t] = np.packbits(visibility(fit.vertices(model, t), model.triangles, fit.camera).triangle >= 0)
            known[t] = True
        seen: NDArray[np.bool_] = np.unpackbits(drawn[t], count=size[0] * size[1]).reshape(size).view(np.bool_)
        return seen

    return mend_heads(shot.frames, found, guide, mesh)


def join(tracks: Sequence[FaceTrack]) -> FaceTrack:
    """The tracks one after the other with a lost frame in between: smoothness in time ends at lost frames, and so it
    does not reach across a cut.

    Raises:
        Unsupported: tracks with landmarks of different kinds, or of another image size.
    """
    first = tracks[0]
    shape = None if first.landmarks is None else first.landmarks.shape[1:]
    for track in tracks:
        if (track.width, track.height) != (first.width, first.height) or (
            None if track.landmarks is None else track.landmarks.shape[1:]
        ) != shape:
            raise Unsupported(
                f"cannot fit faces of {track.backend} and {first.backend} together",
                "their landmarks or image sizes differ",
                "use one face backend for the clip and its further shots",
            )
    n_all = sum(len(track) for track in tracks)
    lost = np.zeros(n_all + len(tracks) - 1, bool)
    lost[np.cumsum([len(track) + 1 for track in tracks[:-1]], dtype=np.int64) - 1] = True
    rows = np.cumsum(~lost) - 1

    def spread(values: NDArray[np.float32], blank: float) -> NDArray[np.float32]:
        out = values[rows].copy()
        out[lost] = blank
        return out

    marks = [track.landmarks for track in tracks if track.landmarks is not None]
    return replace(
        first,
        boxes=spread(np.concatenate([track.boxes for track in tracks]), np.nan),
        score=spread(np.concatenate([track.score for track in tracks]), 0),
        n_faces=np.where(lost, 0, np.concatenate([track.n_faces for track in tracks])[rows]).astype(np.int16),
        landmarks=spread(np.concatenate(marks), np.nan) if marks else None,
    )


def _own(fit: Fit, rows: NDArray[np.int64]) -> Fit:
    """One shot's part of a fit; frames without a face are filled from that shot alone."""
    part = fit.take(rows)
    found = part.found
    if found.all() or not found.any():
        return part
    return replace(
        part,
        expression=temporal.fill(part.expression[found], found),
        rotation=temporal.fill_rotations(part.rotation[found], found),
        translation=temporal.fill(part.translation[found], found),
        light=temporal.fill(part.light[found], found),
    )
