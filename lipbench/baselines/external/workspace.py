"""The private folder in which an external method runs: its inputs, its shadow of the checkout, its generated files."""

from __future__ import annotations

import glob
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lipbench.baselines.external import placeholders
from lipbench.baselines.external.config import Definition
from lipbench.baselines.external.environment import Mount, interpreter
from lipbench.baselines.external.handover import given, rate, train_frames, write_audio, write_video
from lipbench.baselines.external.output import Signature, clear, fixed_part, snapshot
from lipbench.baselines.external.reading import MethodFile
from lipbench.baselines.external.shadow import deepen, lay, make_real, shadow
from lipbench.core.errors import Refused
from lipbench.core.job import Job

#: Paths that upstream scripts can stand: Wav2Lip splits at dots, others build shell strings without quotes.
_TAME = re.compile(r"[A-Za-z0-9_/-]+")


@dataclass(frozen=True)
class Workspace:
    """A prepared folder.

    Attributes:
        root: `{work}`; short ASCII without dots or spaces (a link to the job's folder where that has them).
        cwd: where commands run.
        values: placeholder -> text.
        fps: of `{video}`.
        pattern: the output's place, absolute.
        before: what lay there already when all was prepared.
        mounts: what a container must see.
    """

    root: Path
    cwd: Path
    values: Mapping[str, str]
    fps: float
    pattern: Path
    before: Mapping[Path, Signature]
    mounts: tuple[Mount, ...]

    def named(self, text: str) -> str:
        """The text with the folder's path as `{work}`: the folder is gone when somebody reads it."""
        return text.replace(str(self.root.resolve()), "{work}").replace(str(self.root), "{work}")


@contextmanager
def workspace(
    located: MethodFile, job: Job, gpu: str, kind: str = "synthesize", earlier: Sequence[Path] = ()
) -> Iterator[Workspace]:
    """Prepare the folder of one run; it is removed afterwards.

    Args:
        located: the method file.
        job: of the stage.
        gpu: the card's word for CUDA_VISIBLE_DEVICES, "" for none.
        kind: of the stage: prepare, fit or synthesize.
        earlier: folders of the stages before it.

    Raises:
        Refused: a generated file lies outside of the folder.
        NoAudio: there is nothing to learn from.
    """
    definition = located.definition
    media_of = given(definition, job, kind)
    real = job.out.absolute() / "work"
    (real / "tmp").mkdir(parents=True)
    alias = None
    try:
        root = real
        if not _TAME.fullmatch(str(real)):
            alias = Path(tempfile.mkdtemp(prefix="lipbench_"))
            root = alias / "w"
            root.symlink_to(real)
        remote = definition.env.type == "http"
        cwd = root if remote else {"private": root / "src", "repo": located.repo, "work": root}[definition.cwd]
        if definition.cwd == "private" and not remote:
            shadow(located.repo, cwd, definition.writable, _scripts(definition, located.repo))
            lay(earlier, definition.writable, cwd, root)
        mounts = () if remote else _caches(definition, located.repo, cwd, root, earlier)
        shown = "0" if definition.env.type == "docker" else gpu
        fps = rate(definition.inputs, job.clip.fps)
        values = {
            "video": str(root / ("image.png" if media_of.image else "video.mp4")),
            "audio": str(root / "audio.wav"),
            "out": str(root / "out.mp4"),
            "work": str(root),
            "repo": str(cwd if definition.cwd == "private" else located.repo),
            "weights": str(located.weights_file(definition.weights[0].path)) if definition.weights else "",
            "gpu": "0" if gpu else "",
            "cuda_visible_devices": shown if gpu else "",
            "python": interpreter(definition.env),
            "seed": str(job.seed),
            "fps": f"{fps:g}",
            "name": definition.name,
            "train_frames": str(round(train_frames(job) / job.clip.fps * fps)),
        }
        # The checkout's own path may hold what a pattern takes for a wildcard.
        place = Path(glob.escape(str(cwd))) if definition.output.find == "newest-glob" else cwd
        pattern = place / placeholders.fill(definition.output.pattern, values)
        if kind == "synthesize":
            _empty(definition, pattern, cwd, root)
        write_video(media_of, job.clip.fps, definition.inputs, root)
        write_audio(media_of, job.clip.fps, definition.inputs.audio_rate, root)
        _write_files(definition.files, values, cwd, root)
        before = snapshot(definition.output, pattern)
        yield Workspace(root, cwd, values, fps, pattern, before, mounts)
    finally:
        shutil.rmtree(real, ignore_errors=True)
        if alias is not None:
            shutil.rmtree(alias, ignore_errors=True)  # removes the link, not what it points to


def _scripts(definition: Definition, repo: Path) -> list[str]:
    """The Python files of the checkout that the commands name."""
    learning = [s.commands for s in (definition.prepare, definition.fit) if s is not None]
    commands = (*definition.before, *(argv for stage in learning for argv in stage), definition.argv or ())
    words = [w.removeprefix("{repo}/") for argv in commands for w in argv]
    return [w for w in words if w.endswith(".py") and not Path(w).is_absolute() and (repo / w).is_file()]


def _caches(definition: Definition, repo: Path, cwd: Path, root: Path, earlier: Sequence[Path]) -> tuple[Mount, ...]:
    """Make the download caches, lay those of the checkout into its shadow; the folders a container must see.

    A folder inside the checkout is the checkout's own: what is downloaded into it stays there for the next dub.
    """
    mounts = [Mount(repo, False), *(Mount(folder.resolve(), False) for folder in earlier), Mount(root, True)]
    for cache in definition.caches:
        if cache.startswith("~/"):
            here, below = _made(Path(cache).expanduser()), root / "tmp" / cache[2:]
            if definition.env.type == "docker":  # its home is the private folder
                below.mkdir(parents=True, exist_ok=True)
                mounts.append(Mount(here, True, below))
            continue
        here = _made(repo / cache)
        mounts.append(Mount(here, True))
        if definition.cwd == "private":
            place = cwd / cache
            make_real(place.parent, root)
            if place.is_symlink():
                place.unlink()
            elif place.exists():
                shutil.rmtree(place)
            place.symlink_to(here)
    return tuple(mounts)


def _made(cache: Path) -> Path:
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(
            f"cannot make the download cache {cache}",
            f"{error.strerror}",
            "make the folder, or correct `caches` in the method file",
            reason="bad_method_file",
        ) from error
    return cache


def _empty(definition: Definition, pattern: Path, cwd: Path, root: Path) -> None:
    """Nothing lies at the output's place, and writing there does not reach the checkout."""
    folder = fixed_part(str(pattern))
    if definition.cwd == "private" and folder.is_relative_to(cwd) and folder.exists():
        make_real(folder, root)
        if folder != cwd and pattern.parent != folder:
            deepen(folder)
    clear(definition.output, pattern, root)


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
        make_real(inside.parent, root)
        inside.unlink(missing_ok=True)  # a link into the checkout must not be written through
        inside.write_text(placeholders.fill(content, values), encoding="utf-8")
