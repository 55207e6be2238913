"""Look at everything that a manifest names: fields, files, hashes, and what the media hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lipbench.core.document import Document, Problem
from lipbench.core.errors import LipbenchError
from lipbench.datasets.manifest import examine, verify_files
from lipbench.datasets.types import Clip, Manifest

#: A dub may differ this much from its clip before it is worth a word, s (2.5 frames at 25 fps).
LENGTH_SLACK_S = 0.1


@dataclass(frozen=True)
class ClipFacts:
    """What a clip's file holds. `used_s` is the length between start_s and end_s; rate in Hz, None = no sound."""

    id: str
    width: int
    height: int
    fps: float
    vfr: bool
    rotation: int
    duration_s: float
    used_s: float
    rate: int | None
    channels: int | None


@dataclass(frozen=True)
class DubFacts:
    """Length of a dub with its offset applied, and how much longer than its clip it is (negative: shorter), s."""

    id: str
    clip: str
    duration_s: float
    longer_s: float | None


@dataclass
class ManifestReport:
    """What `check` found. Errors make a run fail or a number wrong; warnings are worth knowing."""

    manifest: Manifest | None
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    clips: dict[str, ClipFacts] = field(default_factory=dict)
    dubs: dict[str, DubFacts] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.errors


def check(path: Path, *, hashes: bool = True) -> ManifestReport:
    """Check a manifest file and the media behind it.

    Args:
        hashes: False skips hashing (large collections on slow disks); missing files are still found.

    Raises:
        ManifestError: the file is missing or not YAML; everything else is in the report.
    """
    manifest, document, problems = examine(path)
    if manifest is None or problems:
        return ManifestReport(manifest, problems)
    report = ManifestReport(manifest, verify_files(manifest, document, hashes=hashes))
    if manifest.superseded_by:
        report.warnings.append(
            document.problem(("superseded_by",), f"this data set is superseded by {manifest.superseded_by}")
        )
    probe_media(manifest, document, report)
    for problems in (report.errors, report.warnings):
        problems.sort(key=lambda p: p.line)
    return report


def probe_media(manifest: Manifest, document: Document, report: ManifestReport) -> None:
    """Open every file that is there; adds facts, errors and warnings to the report."""
    for i, clip in enumerate(manifest.clips):
        if clip.video.is_file():
            try:
                _clip(i, clip, document, report)
            except LipbenchError as error:
                report.errors.append(document.problem(("clips", i, "video"), _flat(error)))
        for tag, path in clip.truth.items():
            if path.is_file():
                try:
                    _truth(path, report.clips.get(clip.id), ("clips", i, "truth", tag), document, report)
                except LipbenchError as error:
                    report.errors.append(document.problem(("clips", i, "truth", tag), _flat(error)))
    lengths: dict[Path, float] = {}
    for i, dub in enumerate(manifest.dubs):
        try:
            source = dub.audio or manifest.clip(dub.clip_id).video
            if not source.is_file():
                continue
            if source not in lengths:
                lengths[source] = audio_seconds(source)
        except LipbenchError as error:
            report.errors.append(document.problem(("dubs", i, "audio"), _flat(error)))
            continue
        length = max(0.0, lengths[source] + dub.offset_s)
        clip_facts = report.clips.get(dub.clip_id)
        if clip_facts is not None and dub.audio is None:
            length = clip_facts.used_s
        longer = None if clip_facts is None else length - clip_facts.used_s
        report.dubs[dub.id] = DubFacts(dub.id, dub.clip_id, length, longer)
        if length == 0:
            report.errors.append(document.problem(("dubs", i, "offset_s"), "cuts the whole audio", dub.offset_s))
        elif longer is not None and abs(longer) > LENGTH_SLACK_S:
            what = "longer than its clip: the clip will play back and forth"
            if longer < 0:
                what = "shorter than its clip: the clip will be cut"
            report.warnings.append(document.problem(("dubs", i), f"{dub.id} is {abs(longer):.2f} s {what}"))


def _clip(i: int, clip: Clip, document: Document, report: ManifestReport) -> None:
    from lipbench import media
    from lipbench.media.color import HDR, is_hdr

    info = media.probe(clip.video)
    fps, end = float(info.fps), info.duration_s if clip.end_s is None else min(clip.end_s, info.duration_s)
    sound = info.audio
    report.clips[clip.id] = ClipFacts(
        clip.id,
        info.width,
        info.height,
        fps,
        info.vfr,
        info.rotation,
        info.duration_s,
        max(0.0, end - clip.start_s),
        None if sound is None else sound.rate,
        None if sound is None else sound.channels,
    )

    def warn(name: str, message: str) -> None:
        report.warnings.append(document.problem(("clips", i, name), message))

    if clip.start_s >= info.duration_s:
        report.errors.append(
            document.problem(
                ("clips", i, "start_s"), f"starts after the end of the video ({info.duration_s:.2f} s)", clip.start_s
            )
        )
    if clip.end_s is not None and clip.end_s > info.duration_s + 1 / fps:
        warn("end_s", f"lies {clip.end_s - info.duration_s:.2f} s after the end of the video")
    if clip.fps is not None and abs(clip.fps / fps - 1) > 0.005:
        warn("fps", f"says {clip.fps:g}, the file has {fps:g}")
    if info.interlaced:
        warn("video", "is interlaced: its combs would be measured; deinterlace it first (ffmpeg's filter bwdif)")
    if info.color is not None and is_hdr(info.color):
        warn("video", f"is HDR ({HDR[info.color.transfer]}): results in SDR cannot be compared with it")
    if info.vfr:
        warn("video", "has a variable frame rate: it will be resampled by time stamps")
    if sound is None:
        warn("video", "has no sound: no original dub, and no sync score of the source")


def _truth(
    path: Path, clip: ClipFacts | None, location: tuple[str | int, ...], document: Document, report: ManifestReport
) -> None:
    from lipbench import media

    info = media.probe(path)
    if clip is not None and (info.width, info.height) != (clip.width, clip.height):
        report.errors.append(
            document.problem(location, f"is {info.width}x{info.height}, the clip is {clip.width}x{clip.height}")
        )


def audio_seconds(path: Path) -> float:
    """Length of the sound in an audio or video file, by decoding it.

    Raises:
        MediaError: the file is missing or cannot be decoded.
        NoAudio: the file has no audio.
    """
    from lipbench import media

    rate = 16000
    return len(media.read_audio(path, rate=rate)) / rate


def _flat(error: LipbenchError) -> str:
    return "; ".join(part for part in (error.what, error.why) if part)
