"""The private folder in which an external method runs: its inputs, its shadow of the checkout, its generated files."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lipbench import media
from lipbench.baselines.external import placeholders
from lipbench.baselines.external.config import Inputs
from lipbench.baselines.external.environment import interpreter
from lipbench.baselines.external.reading import MethodFile
from lipbench.core.errors import Refused
from lipbench.core.method import DubJob

#: Paths that upstream scripts can stand: Wav2Lip splits at dots, others build shell strings without quotes.
_TAME = re.compile(r"[A-Za-z0-9_/-]+")
_LEFT_OUT = frozenset({".git", ".venv", "__pycache__"})


@dataclass(frozen=True)
class Workspace:
    """A prepared folder.

    Attributes:
        root: `{work}`; short ASCII without dots or spaces (a link to the job's folder where that has them).
        cwd: where commands run.
        values: placeholder -> text.
        fps: of `{video}`.
    """

    root: Path
    cwd: Path
    values: Mapping[str, str]
    fps: float


@contextmanager
def workspace(located: MethodFile, job: DubJob, gpu: str) -> Iterator[Workspace]:
    """Prepare the folder of one run; it is removed afterwards.

    Raises:
        Refused: a generated file lies outside of the folder.
    """
    definition, dub = located.definition, job.dub
    real = job.out.absolute() / "work"
    (real / "tmp").mkdir(parents=True)
    alias = None
    try:
        root = real
        if not _TAME.fullmatch(str(real)):
            alias = Path(tempfile.mkdtemp(prefix="lipbench_"))
            root = alias / "w"
            root.symlink_to(real)
        video, fps = _video(dub.video, dub.audio, job.clip.fps, definition.inputs, root)
        audio = _audio(dub.audio, definition.inputs.audio_rate, root)
        cwd = {"private": root / "src", "repo": located.repo, "work": root}[definition.cwd]
        if definition.cwd == "private":
            shadow(located.repo, cwd, definition.writable)
        values = {
            "video": str(video),
            "audio": str(audio),
            "out": str(root / "out.mp4"),
            "work": str(root),
            "repo": str(cwd if definition.cwd == "private" else located.repo),
            "weights": str(located.repo / definition.weights[0].path) if definition.weights else "",
            "gpu": gpu,
            "python": interpreter(definition.env),
            "seed": str(job.seed),
            "fps": f"{fps:g}",
            "name": definition.name,
        }
        _write_files(definition.files, values, cwd, root)
        yield Workspace(root, cwd, values, fps)
    finally:
        shutil.rmtree(real, ignore_errors=True)
        if alias is not None:
            shutil.rmtree(alias, ignore_errors=True)  # removes the link, not what it points to


def shadow(source: Path, target: Path, writable: tuple[str, ...]) -> None:
    """A folder that looks like `source` and can be written to: links, with real folders where `writable` says so.

    What is in a writable folder stays readable through links; new files land in the shadow only.
    """
    _farm(source, target, {Path(folder) for folder in writable}, Path())
    for folder in writable:
        (target / folder).mkdir(parents=True, exist_ok=True)


def _farm(source: Path, target: Path, writable: set[Path], here: Path) -> None:
    target.mkdir()
    for entry in sorted(source.iterdir()):
        place = here / entry.name
        if entry.name in _LEFT_OUT:
            continue
        if entry.is_dir() and any(folder == place or place in folder.parents for folder in writable):
            _farm(entry, target / entry.name, writable, place)
        else:
            (target / entry.name).symlink_to(entry)


def _video(source: Path, audio: Path, clip_fps: float, inputs: Inputs, root: Path) -> tuple[Path, float]:
    """`{video}` and its frame rate."""
    fps = clip_fps if inputs.fps == "any" else float(inputs.fps)
    size = None if inputs.size == "any" else inputs.size
    same_fps = abs(fps - clip_fps) < 1e-6
    if inputs.kind == "image":
        target = root / "image.png"
        frame = next(media.read_frames(source))
        cv2.imwrite(str(target), (frame if size is None else cv2.resize(frame, size))[..., ::-1])
        return target, fps
    target = root / "video.mp4"
    if same_fps and size is None:
        shutil.copyfile(source, target)  # never a link: the method may overwrite it
        return target, fps
    frames = media.read_frames(source, fps=None if same_fps else fps)
    scaled = (frame if size is None else np.asarray(cv2.resize(frame, size), np.uint8) for frame in frames)
    media.write_video(target, scaled, fps, audio, lossless=True, synthetic=False, like=source)
    return target, fps


def _audio(source: Path, rate: int, root: Path) -> Path:
    target = root / "audio.wav"
    samples, found = media.read_wav(source)
    if found == rate:
        shutil.copyfile(source, target)
    else:
        samples = media.read_audio(source, rate)
        media.write_wav(target, samples, rate)
    return target


def _write_files(files: Mapping[str, str], values: Mapping[str, str], cwd: Path, root: Path) -> None:
    for name, content in files.items():
        target = cwd / placeholders.fill(name, values)
        inside = Path(os.path.normpath(target))
        if not inside.is_relative_to(root):
            raise Refused(
                f"cannot write the generated file {name}",
                f"{inside} lies outside of the private folder",
                "name it {work}/..., or use `cwd: private`",
                reason="bad_method_file",
            )
        _real_parents(inside.parent, root)
        inside.unlink(missing_ok=True)  # a link into the checkout must not be written through
        inside.write_text(placeholders.fill(content, values), encoding="utf-8")


def _real_parents(folder: Path, root: Path) -> None:
    """Make `folder`, replacing links on the way by shadows of what they point to."""
    for parent in [*reversed(folder.relative_to(root).parents), folder.relative_to(root)]:
        place = root / parent
        if place != root and place.is_symlink():
            source = place.resolve()
            place.unlink()
            _farm(source, place, set(), Path())
        place.mkdir(exist_ok=True)
