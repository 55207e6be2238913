"""Scenes of a film as files: a clip with its own sound, and each dub's sound from the same moment on.

A file appears whole or not at all, and what was cut is written down beside it: the same call goes on after an
interruption or a full disk, and makes nothing twice.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from lipbench.core.atomic import write_json
from lipbench.core.errors import MediaError, Refused, UsageError, disk_full
from lipbench.core.keys import key_of, sha256_file
from lipbench.datasets.film.align_file import AlignFile, DubTrack
from lipbench.datasets.film.film_tracks import ends_sha256
from lipbench.datasets.film.scenes import ASK, SURE, SceneState, read_dub, scene_state
from lipbench.datasets.film.times import Scene, clock
from lipbench.datasets.new_entries import default_id
from lipbench.datasets.types import Aligned
from lipbench.media import VideoWriter, load_audio, read_frames
from lipbench.media.atomic import atomic_path
from lipbench.media.opening import fraction
from lipbench.media.pixels import orientation
from lipbench.media.resize import scaled
from lipbench.media.source import VideoSource
from lipbench.media.streams import SoundChoice

#: Samples a second of a dub, and of a clip's own sound.
DUB_RATE, OWN_RATE = 16000, 48000

#: What a change of these makes necessary: cutting anew.
VERSION = 1


@dataclass(frozen=True)
class CutForm:
    """How scenes are cut.

    Attributes:
        fps: of the clips; frames are picked by their time stamps.
        height: px of the clips; films that are smaller keep their size.
        channel: the dub's one channel that is taken, such as center; all mixed when None.
        accept_carried: cut dubs that are one-sided, too.
        change_pitch: resample dubs whose pitch was kept, which moves it.
    """

    fps: float = 25.0
    height: int = 720
    channel: str | None = None
    accept_carried: bool = False
    change_pitch: bool = False


@dataclass(frozen=True)
class CutScene:
    """What `cut_scene` made.

    Attributes:
        id: of the clip; its files are named by it.
        scene: seconds of the film.
        clip: the video.
        dubs: language -> its sound.
        states: language -> what is known of the dub in this scene, those left out included.
        made: names of the files that were made now; the others were there.
        aligned: language -> how its sound was found.
    """

    id: str
    scene: Scene
    clip: Path
    dubs: dict[str, Path]
    states: dict[str, SceneState]
    made: tuple[str, ...] = ()
    aligned: Mapping[str, Aligned] = field(default_factory=dict)


def check_scenes(file: AlignFile, scenes: Sequence[Scene]) -> None:
    """
    Raises:
        UsageError: a scene lies outside the film.
    """
    for scene in scenes:
        if scene.end > file.film.seconds + 0.05:
            raise UsageError(
                f"the scene {scene} lies outside the film",
                f"{file.film.file} is {clock(round(file.film.seconds, 1))} long",
                "name a scene within it",
            )


def scene_id(film: Path, scene: Scene) -> str:
    """film.mkv, 00:12:30 -> film-001230; with the fraction where there is one."""
    return f"{default_id(film)}-{clock(scene.start).replace(':', '')}"


def states_of(file: AlignFile, scene: Scene, form: CutForm) -> dict[str, SceneState]:
    """What is known of each dub in a scene, with what keeps it from being cut.

    A dub whose pitch was kept is refused unless the form allows to move it.
    """
    found = {}
    for language, dub in file.dubs.items():
        state = scene_state(dub, scene)
        if state.piece is not None and _pitch_kept(dub) and not form.change_pitch:
            why = "its speed was changed and its pitch kept: resampled, its pitch would be wrong"
            state = SceneState("refused", None, why + " (--change-pitch takes it all the same)")
        found[language] = state
    return found


def _pitch_kept(dub: DubTrack) -> bool:
    return dub.pitch == "kept" and abs(dub.rate - 1) > 1e-3


def usable(state: SceneState, form: CutForm) -> bool:
    """Whether a dub may be cut in a scene."""
    return state.state in SURE or (state.state in ASK and form.accept_carried)


def cut_scene(
    file: AlignFile,
    folder: Path,
    scene: Scene,
    out: Path,
    form: CutForm | None = None,
    *,
    languages: Sequence[str] | None = None,
) -> CutScene:
    """Cut a scene: `out`/ID.mp4, and `out`/ID.LANG.flac of each dub that is known there.

    Args:
        file: what is known of the film.
        folder: that of the file, which its paths start from.
        scene: seconds of the film.
        out: folder for the files, made where it is not there.
        form: how.
        languages: of the dubs; all that the file has when left out.

    Raises:
        UsageError: the scene lies outside the film.
        Refused: no dub can be cut there.
        MediaError, NoVideo, TooShort: a file that cannot be read.
        DiskFull: there is no room; what was cut before stays.
    """
    form = form or CutForm()
    check_scenes(file, [scene])
    film = folder / file.film.file
    states = {k: v for k, v in states_of(file, scene, form).items() if languages is None or k in languages}
    wanted = {k: v for k, v in states.items() if usable(v, form)}
    if file.film.ends_sha256 and ends_sha256(film) != file.film.ends_sha256:
        raise MediaError(f"{film} is not the film that was aligned", "its content has changed", "align it anew")
    if not wanted:
        told = "; ".join(f"{k}: {v.state}, {v.why}" for k, v in states.items())
        fix = "choose another scene"
        if any(v.state == "edge" for v in states.values()):
            fix = "make two scenes of it, one on either side of the edit"
        elif any(v.state == "one-sided" for v in states.values()):
            fix = "--accept-carried takes the offset of the nearest sounds"
        raise Refused(f"no dub can be cut in the scene {scene}", told or "there are no dubs", fix)
    name = scene_id(film, scene)
    out.mkdir(parents=True, exist_ok=True)
    work = _Work(out / f"{name}.cut.json", out)
    clip = f"{name}.mp4"
    about = {"version": VERSION, "film": file.film.ends_sha256, "scene": [scene.start, scene.end]}
    form_key = {"fps": form.fps, "height": form.height, "track": file.film.track}
    work.make(clip, {**about, **form_key}, lambda: _clip(film, file, scene, out / clip, form))
    dubs, aligned = {}, {}
    for language, state in wanted.items():
        dub, piece = file.dubs[language], state.piece
        assert piece is not None
        sound = f"{name}.{language}.flac"
        key = {**about, "dub": [dub.ends_sha256, dub.track, form.channel], "at": [dub.rate, piece.offset]}
        aligned[language] = Aligned(piece.offset, dub.rate, piece.heard, piece.precision_ms, state.state)
        make = _flac(folder / dub.file, dub, state, scene, out / sound, form)
        work.make(sound, key, make, {"scene": [scene.start, scene.end], "aligned": asdict(aligned[language])})
        dubs[language] = out / sound
    return CutScene(name, scene, out / clip, dubs, states, tuple(work.made), aligned)


def _flac(file: Path, dub: DubTrack, state: SceneState, scene: Scene, path: Path, form: CutForm) -> Callable[[], None]:
    def make() -> None:
        assert state.piece is not None
        samples = read_dub(file, dub, state.piece, scene, DUB_RATE, form.channel)
        held = io.BytesIO()
        sf.write(held, samples, DUB_RATE, format="FLAC", subtype="PCM_16")
        with atomic_path(path) as temporary:
            try:
                temporary.write_bytes(held.getvalue())
            except OSError as error:
                raise disk_full(error, path) from error

    return make


def _clip(film: Path, file: AlignFile, scene: Scene, path: Path, form: CutForm) -> None:
    size = clip_size(film, form.height)
    n = round((scene.end - scene.start) * OWN_RATE)
    sound = load_audio(
        film, OWN_RATE, start_s=scene.start, end_s=scene.end, choice=SoundChoice(file.film.track)
    ).samples[:n]
    frames: Iterator[NDArray[np.uint8]] = read_frames(film, fps=form.fps, start_s=scene.start, end_s=scene.end)
    with VideoWriter(
        path, fps=form.fps, width=size[0], height=size[1], audio=sound, rate=OWN_RATE, synthetic=False
    ) as video:
        for frame in scaled(frames, size):
            video.write(frame)


def clip_size(film: Path, height: int) -> tuple[int, int]:
    """(width, height) of clips of a film, px, both even: square pixels, and no larger than the film."""
    with VideoSource(film) as source:
        turn = orientation(source.first)
        width, own = turn.size(source.first.width, source.first.height)
        aspect = fraction(source.stream.sample_aspect_ratio) or Fraction(1)
    shape = Fraction(width, own) * (1 / aspect if turn.transpose else aspect)
    tall = min(height, own) // 2 * 2
    return max(round(shape * tall / 2) * 2, 2), tall


class _Work:
    """What was made of a scene: a JSON beside its files, written after each of them."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._path, self._folder = path, folder
        self.made: list[str] = []
        try:
            self._files: dict[str, dict[str, Any]] = json.loads(path.read_text())["files"]
        except (OSError, ValueError, KeyError, TypeError):
            self._files = {}  # none, or one that was not written by this: everything is made

    def make(
        self, name: str, key: dict[str, Any], make: Callable[[], None], about: dict[str, Any] | None = None
    ) -> None:
        """Make a file, unless it is there and was made of the same."""
        digest, path = key_of(key), self._folder / name
        known = self._files.get(name)
        there = known is not None and known.get("key") == digest and path.is_file()
        if there and known is not None and known.get("sha256") == sha256_file(path):
            return
        make()
        self.made.append(name)
        self._files[name] = {"key": digest, "sha256": sha256_file(path), **(about or {})}
        write_json(self._path, {"schema": 1, "files": self._files})
