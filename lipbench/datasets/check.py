"""Look at everything that a manifest names: fields, files, hashes, and what the media hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lipbench.core.document import Document, Problem
from lipbench.core.errors import LipbenchError, TooShort
from lipbench.datasets.manifest import examine, verify_files
from lipbench.datasets.phonemes import read_phonemes
from lipbench.datasets.types import Clip, Dub, Manifest

if TYPE_CHECKING:
    from lipbench import media


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
    """What `check` found. Errors make a run fail or a number wrong; warnings are worth knowing.

    `heard` is the length of each clip's own sound between start_s and end_s, s.
    """

    manifest: Manifest | None
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    clips: dict[str, ClipFacts] = field(default_factory=dict)
    dubs: dict[str, DubFacts] = field(default_factory=dict)
    heard: dict[str, float] = field(default_factory=dict)

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
    from lipbench.media import present

    for i, clip in enumerate(manifest.clips):
        if present(clip.video):
            try:
                _clip(i, clip, document, report)
            except LipbenchError as error:
                where = "stream" if error.reason == "which_audio" else "video"
                report.errors.append(document.problem(("clips", i, where), _flat(error), None, error.fix))
        for tag, path in clip.truth.items():
            if path.is_file():
                try:
                    _truth(path, report.clips.get(clip.id), ("clips", i, "truth", tag), document, report)
                except LipbenchError as error:
                    report.errors.append(document.problem(("clips", i, "truth", tag), _flat(error)))
    for i, dub in enumerate(manifest.dubs):
        try:
            _dub(i, dub, manifest.clip(dub.clip_id), document, report)
        except TooShort as error:
            span = ("dubs", i, "offset_s" if dub.offset_s else "start_s")
            what = "cuts the whole audio" if dub.offset_s else _flat(error)
            report.errors.append(document.problem(span, what, dub.offset_s or dub.start_s))
        except LipbenchError as error:
            where = "stream" if error.reason == "which_audio" else "audio"
            report.errors.append(document.problem(("dubs", i, where), _flat(error), None, error.fix))
        if dub.phonemes is not None and dub.phonemes.is_file():
            try:
                read_phonemes(dub.phonemes)
            except LipbenchError as error:
                report.errors.append(document.problem(("dubs", i, "phonemes"), _flat(error), None, error.fix))


def _dub(i: int, dub: Dub, clip: Clip, document: Document, report: ManifestReport) -> None:
    from lipbench.datasets.drift import speed_words
    from lipbench.datasets.dub_sound import LENGTH_SLACK_S, DubSound

    facts = report.clips.get(clip.id)
    if dub.audio is None:
        used = report.heard.get(clip.id)
        if used is None:
            return
        length = facts.used_s if facts is not None else used
        sound = None
    else:
        if not dub.audio.is_file():
            return
        sound = DubSound.of(dub, clip)
        track = sound.read(None if facts is None else facts.used_s)
        length = len(track.samples) / track.rate
        if len(track.samples):
            warn_of_sound(track, ("dubs", i, "audio"), document, report)
    longer = None if facts is None else length - facts.used_s
    report.dubs[dub.id] = DubFacts(dub.id, dub.clip_id, length, longer)
    if length == 0:
        report.errors.append(document.problem(("dubs", i, "offset_s"), "cuts the whole audio", dub.offset_s))
    elif longer is not None and facts is not None and abs(longer) > LENGTH_SLACK_S:
        what = "longer than its clip: the clip will play back and forth"
        if longer < 0:
            what = "shorter than its clip: the clip will be cut"
        ratio = speed_words(facts.used_s, length - dub.offset_s) if sound is not None and sound.whole else ""
        report.warnings.append(document.problem(("dubs", i), f"{dub.id} is {abs(longer):.2f} s {what}{ratio}"))


def warn_of_sound(
    track: media.AudioTrack, location: tuple[str | int, ...], document: Document, report: ManifestReport
) -> None:
    """Warnings about a sound that was read: which one it is, and whether it is one."""
    from lipbench import media

    silent = media.silence(track.samples)
    for text in (*track.remarks, *([silent] if silent else [])):
        report.warnings.append(document.problem(location, text))


def _clip(i: int, clip: Clip, document: Document, report: ManifestReport) -> None:
    from lipbench import media
    from lipbench.media.color import HDR, is_hdr

    info = media.probe(clip.video, picture_fps=clip.fps)
    fps, sound = float(info.fps), info.audio
    report.clips[clip.id] = ClipFacts(
        clip.id,
        info.width,
        info.height,
        fps,
        info.vfr,
        info.rotation,
        info.duration_s,
        clip.used_s(info.duration_s),
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
    if clip.segments and clip.segments[-1][1] > info.duration_s + 1 / fps:
        late = clip.segments[-1][1] - info.duration_s
        what = f"the last one ends {late:.2f} s after the end of the video"
        report.errors.append(document.problem(("clips", i, "segments"), what, clip.segments[-1][1], "correct it"))
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
        return
    choice = media.SoundChoice(clip.stream, clip.channel, clip.language)
    track = media.load_audio(clip.video, start_s=clip.start_s, end_s=clip.end_s, choice=choice)
    report.heard[clip.id] = len(track.samples) / track.rate
    warn_of_sound(track, ("clips", i, "video"), document, report)


def _truth(
    path: Path, clip: ClipFacts | None, location: tuple[str | int, ...], document: Document, report: ManifestReport
) -> None:
    from lipbench import media

    info = media.probe(path)
    if clip is not None and (info.width, info.height) != (clip.width, clip.height):
        report.errors.append(
            document.problem(location, f"is {info.width}x{info.height}, the clip is {clip.width}x{clip.height}")
        )


def _flat(error: LipbenchError) -> str:
    return "; ".join(part for part in (error.what, error.why) if part)
