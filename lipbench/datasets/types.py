"""Clips, dubs and manifests as the rest of lipbench sees them: frozen, validated, every path absolute."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lipbench.core import keys

SCHEMA = 1

DubKind = Literal["original", "recorded", "tts", "synthetic"]


@dataclass(frozen=True)
class Licence:
    """What may be done with footage.

    Attributes:
        id: from `lipbench.datasets.licences.LICENCES`.
        url: of the text; required for "other".
        checked: when the licence was looked up, free text.
        by: who looked it up.
    """

    id: str
    url: str = ""
    checked: str = ""
    by: str = ""


@dataclass(frozen=True)
class Clip:
    """One shot-consistent video of one speaker with its original audio.

    Attributes:
        id: unique in the manifest.
        video: absolute path of a file, a folder of numbered pictures or a pattern of them.
        sha256: of the video file, 64 hex digits; of pictures see `lipbench.media.digest`.
        fps: frames per second that the manifest declares, or None; pictures need it.
        start_s: where the part that is used begins, in seconds of the file.
        end_s: where it ends; None = to the end.
        speaker: who speaks; clips of one person share it.
        language: BCP-47 of the original speech.
        licence: the clip's own, or the manifest's.
        consent: on what grounds the person's face may be altered, free text.
        source_url: where the clip comes from, "" when unknown.
        landmarks: a file of face landmarks over the video, when detection is not wanted.
        annotations: per-frame truth (npz) of generated clips.
        truth: language -> the correct video of the dub in that language; generated clips only.
        truth_sha256: language -> hash of the truth video, where the manifest has it.
        truth_annotations: language -> per-frame truth (npz) of the truth video.
        stream: number of the audio stream that is the original sound; None = chosen by the language.
        channel: the one channel of it that is used; None = all, mixed.
        segments: the parts (start, end) of the file that are used, in seconds, one after the other; empty: from start_s
            to end_s.
        face: which face is meant where there are several: "left", "right", "largest" or "X,Y"; None = the one that
            speaks where that is clear, else the largest.
        av_offset: frames at 25 fps by which the clip's own audio leads its image (negative: it lags); None = unknown.
    """

    id: str
    video: Path
    sha256: str
    speaker: str
    language: str
    licence: Licence
    consent: str
    fps: float | None = None
    start_s: float = 0.0
    end_s: float | None = None
    source_url: str = ""
    landmarks: Path | None = None
    annotations: Path | None = None
    truth: Mapping[str, Path] = field(default_factory=dict)
    truth_sha256: Mapping[str, str] = field(default_factory=dict)
    truth_annotations: Mapping[str, Path] = field(default_factory=dict)
    stream: int | None = None
    channel: str | None = None
    face: str | None = None
    segments: tuple[tuple[float, float], ...] = ()
    av_offset: int | None = None

    def used_s(self, duration_s: float) -> float:
        """How much of a video of that length is used, seconds."""
        if self.segments:
            return sum(max(0.0, min(end, duration_s) - start) for start, end in self.segments)
        end = duration_s if self.end_s is None else min(self.end_s, duration_s)
        return max(0.0, end - self.start_s)


@dataclass(frozen=True)
class Aligned:
    """Where a dub that was cut out of a film lay in its track.

    Attributes:
        film_offset_s: dub time = rate * film time + this, in seconds.
        rate: dub seconds per second of film; the dub's own file runs at the film's speed already.
        heard: share of its piece in which sounds of the film are heard in it; None = not known, written by hand.
        precision_ms: of the offset; None = not known.
        state: what is known in this scene: measured, by hand, carried or one-sided.
    """

    film_offset_s: float
    rate: float
    heard: float | None
    precision_ms: float | None
    state: str


@dataclass(frozen=True)
class Dub:
    """An aligned target audio of a clip in one language.

    Attributes:
        id: unique in the manifest.
        clip_id: the clip it belongs to.
        language: BCP-47.
        kind: original (the clip's own sound), recorded, tts or synthetic.
        audio: absolute path; None (kind original only) = the sound of the clip's video.
        sha256: of the audio file (of the clip's video when `audio` is None).
        offset_s: > 0 delays the audio, < 0 cuts its start, in seconds.
        transcript: what is said.
        phonemes: file with timed phonemes, or None.
        stream: number of the audio stream in the file; None = chosen by the language.
        channel: the one channel of it that is used; None = all, mixed.
        start_s: where the part that is used begins, in seconds of the audio file; None = where the clip's does.
        end_s: where it ends; None = where the clip's does.
        rate: how much faster than its clip the audio runs.
        aligned: how it was found, where it was cut out of a film; changes nothing of the sound.
    """

    id: str
    clip_id: str
    language: str
    kind: DubKind
    audio: Path | None
    sha256: str
    offset_s: float = 0.0
    transcript: str | None = None
    phonemes: Path | None = None
    stream: int | None = None
    channel: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    rate: float = 1.0
    aligned: Aligned | None = None


@dataclass(frozen=True)
class Manifest:
    """One data set: clips, dubs, splits and licences.

    Attributes:
        schema: version of the file format.
        name: of the data set.
        version: of the data set.
        licence: of the collection.
        clips: in the file's order.
        dubs: in the file's order.
        splits: name -> clip ids.
        superseded_by: the data set to use instead, or None.
        root: absolute folder that the media lie in.
    """

    name: str
    version: str
    licence: Licence
    clips: tuple[Clip, ...]
    dubs: tuple[Dub, ...]
    root: Path
    splits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    superseded_by: str | None = None
    schema: int = SCHEMA

    def clip(self, clip_id: str) -> Clip:
        """The clip with that id; KeyError when there is none."""
        for clip in self.clips:
            if clip.id == clip_id:
                return clip
        raise KeyError(clip_id)

    def dubs_of(self, clip_id: str) -> tuple[Dub, ...]:
        """The declared dubs of a clip, in the file's order."""
        return tuple(dub for dub in self.dubs if dub.clip_id == clip_id)

    @property
    def languages(self) -> tuple[str, ...]:
        """The dubs' languages, sorted."""
        return tuple(sorted({dub.language for dub in self.dubs}))

    @property
    def digest(self) -> str:
        """SHA-256 of what the manifest says, 64 hex digits.

        Comments, layout and the order of entries are free; so are `root` and the names of hashed files, for the hash
        stands for the file. A file that the manifest does not hash enters by its path below `root`.
        """
        return keys.key_of(
            {
                "kind": "manifest",
                "schema": self.schema,
                "name": self.name,
                "version": self.version,
                "licence": self.licence,
                "superseded_by": self.superseded_by,
                "clips": {clip.id: self._clip_identity(clip) for clip in self.clips},
                "dubs": {dub.id: self._dub_identity(dub) for dub in self.dubs},
                "splits": {name: sorted(ids) for name, ids in self.splits.items()},
            }
        )

    def _clip_identity(self, clip: Clip) -> dict[str, Any]:
        return {
            "video": clip.sha256,
            "speaker": clip.speaker,
            "language": clip.language,
            "licence": clip.licence,
            "consent": clip.consent,
            "fps": clip.fps,
            "start_s": clip.start_s,
            "end_s": clip.end_s,
            "source_url": clip.source_url,
            "landmarks": self._name(clip.landmarks),
            "annotations": self._name(clip.annotations),
            "truth": {tag: clip.truth_sha256.get(tag) or self._name(path) for tag, path in clip.truth.items()},
            "truth_annotations": {tag: self._name(path) for tag, path in clip.truth_annotations.items()},
            **_said(stream=clip.stream, channel=clip.channel, av_offset=clip.av_offset),
            **({"segments": clip.segments} if clip.segments else {}),
            **({} if clip.face is None else {"face": clip.face}),  # manifests without it keep their digest
        }

    def _dub_identity(self, dub: Dub) -> dict[str, Any]:
        return {
            "clip": dub.clip_id,
            "language": dub.language,
            "kind": dub.kind,
            "audio": dub.sha256,
            "own_sound": dub.audio is None,
            "offset_s": dub.offset_s,
            "transcript": dub.transcript,
            "phonemes": self._name(dub.phonemes),
            **_said(stream=dub.stream, channel=dub.channel, start_s=dub.start_s, end_s=dub.end_s, aligned=dub.aligned),
            **({} if dub.rate == 1 else {"rate": dub.rate}),
        }

    def _name(self, path: Path | None) -> str | None:
        return None if path is None else path.relative_to(self.root).as_posix()


def _said(**values: Any) -> dict[str, Any]:
    """Those that are not None: what came into the format later, so that older manifests keep their digests."""
    return {name: value for name, value in values.items() if value is not None}
