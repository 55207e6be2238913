"""Training clips of PC-AVS: every fourth frame cut as the method cuts it, every recording, where the lips are.

A cached clip is one npz file, whose name ends in a hash of what it was made from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.baselines.pcavs import alignment, sound
from lipbench.core.atomic import atomic_write
from lipbench.core.keys import key_of
from lipbench.datasets.types import Manifest
from lipbench.faces import track_faces
from lipbench.faces.track import FaceTrack
from lipbench.synthetic.corpus.corpus import GENERATOR_VERSION
from lipbench.synthetic.corpus.render import RenderedShot
from lipbench.synthetic.corpus.scene import plan
from lipbench.synthetic.corpus.spec import DIFFICULTIES, ClipSpec, stream
from lipbench.synthetic.head.landmarks import landmarks
from lipbench.synthetic.speech.espeak import Espeak
from lipbench.training.cached import render_missing

Float32 = NDArray[np.float32]

CACHE_VERSION = 1
EDGE = 120  # px of a cached crop, the same view as the method's 224
EVERY = 4  # frames
FPS = 25.0
#: Pixels of an aligned crop of EDGE px per dm of a head: eyes 0.63 dm apart lie 50 of the 192 columns apart.
PX_PER_DM = 50 / 0.63 * EDGE / alignment.SEEN
#: First number of the people of each split; apart from those of the other trainings and of the packaged corpus.
PEOPLE = {"train": 1_600_000, "held-out": 1_700_000}
LANGUAGES = ("en", "fr", "es", "de")


@dataclass(frozen=True)
class PcAvsTrainingClip:
    """A clip, ready for training; the first language is the original, the others have other lips and nothing else.

    Attributes:
        at: (n,) frames that are kept as images.
        faces: language -> (n, EDGE, EDGE, 3) uint8 RGB.
        sounds: language -> (takes, 80, M) float32 mel.
        lips: language -> (T, 40) float32 px of the crop: the 20 points of the mouth, less their mean over the clip.
        key: hash of what it was made from.
    """

    id: str
    speaker: str
    at: NDArray[np.int64]
    faces: Mapping[str, NDArray[np.uint8]]
    sounds: Mapping[str, Float32]
    lips: Mapping[str, Float32]
    key: str

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self.faces)

    def mel(self, language: str, take: int, frame: int) -> Float32:
        """(80, 20), the same window as in inference."""
        mel = self.sounds[language][take]
        start = round(frame * sound.COLUMNS_PER_SECOND / FPS) - sound.BEFORE
        first, last = max(start, 0), min(start + sound.STEPS, mel.shape[1])
        out = np.zeros((sound.BANDS, sound.STEPS), np.float32)
        out[:, first - start : last - start] = mel[:, first:last]
        return out


def specs(split: str, people: int, seed: int = 0, seconds: float = 3.0, takes: int = 2) -> list[ClipSpec]:
    """One clip of every person, in two languages; half of those that are trained on say random words."""
    out, levels = [], ["easy", "normal", *DIFFICULTIES]
    for person in range(people):
        rng = stream(seed, "pcavs", split, person)
        spoken = [LANGUAGES[int(i)] for i in rng.permutation(len(LANGUAGES))[:2]]
        out.append(
            ClipSpec(
                id=f"{split}-{seed}-{person:03d}",
                seed=int(rng.integers(1 << 62)),
                identity=PEOPLE[split] + 1000 * seed + person,
                source=spoken[0],
                dubs=(spoken[1],),
                seconds=seconds,
                width=160,
                height=160,
                difficulty=levels[int(rng.integers(len(levels)))],
                pool="train" if split == "train" else "test",
                takes=takes,
                studio=bool(rng.uniform() < 0.5),
                shuffle_words=split == "train" and bool(rng.uniform() < 0.5),
                view=float(rng.uniform(2.3, 2.9)),
            )
        )
    return out


def generated(
    wanted: Sequence[ClipSpec], cache: Path, *, workers: int = 1, log: Callable[[str], None] = lambda _: None
) -> list[PcAvsTrainingClip]:
    """The specs' clips, rendered where the folder `cache` does not have them.

    Raises:
        DiskFull.
    """
    cache.mkdir(parents=True, exist_ok=True)
    files = {s.id: cache / f"{s.id}-{_key(s)[:12]}.npz" for s in wanted}
    render_missing(
        wanted,
        lambda spec: files[spec.id].is_file(),
        _render,
        lambda spec, talk: save(talk, files[spec.id]),
        workers=workers,
        log=log,
    )
    return [load(file) for file in files.values()]


def _key(spec: ClipSpec) -> str:
    return key_of(
        {"kind": "pcavs clip", "cache": CACHE_VERSION, "generator": GENERATOR_VERSION, "spec": spec.to_dict()}
    )


def _render(spec: ClipSpec, engine: Espeak | None) -> PcAvsTrainingClip:
    """Only the frames that are kept are drawn."""
    cv2.setNumThreads(1)
    scene, index = plan(spec, engine), landmarks().points
    at = np.arange(int(stream(spec.seed, "pcavs").integers(EVERY)), spec.n_frames, EVERY)
    faces, sounds, lips, matrices = {}, {}, {}, None
    for tag in spec.languages:
        shot = RenderedShot(scene, tag)
        if matrices is None:
            matrices = alignment.follow(shot.annotations().face_track())
        faces[tag] = np.stack([_cut(shot.frame(int(t)), matrices[t]) for t in at])
        sounds[tag] = np.stack([sound.melspectrogram(take.audio) for take in scene.takes[tag]])
        mouth = [scene.head.deform(weights)[index[48:], :2] for weights in scene.semantic[tag]]
        lips[tag] = _moved(np.stack(mouth) * (PX_PER_DM, -PX_PER_DM))
    return PcAvsTrainingClip(spec.id, f"person-{spec.identity}", at, faces, sounds, lips, _key(spec))


def _cut(frame: NDArray[np.uint8], matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(H, W, 3) -> (EDGE, EDGE, 3): the view of `alignment.cut`."""
    to = alignment.to_crop(matrix, EDGE)
    return np.asarray(cv2.warpAffine(frame, to, (EDGE, EDGE)), np.uint8)


def _moved(points: NDArray[np.float64]) -> Float32:
    return (points - points.mean(0)).reshape(len(points), -1).astype(np.float32)


def from_manifest(manifest: Manifest) -> list[PcAvsTrainingClip]:
    """The clips of a manifest with their own audio; truth videos of generated clips count as further languages.

    Raises:
        NoFace: a clip without a face.
        NoAudio: a clip without audio.
        Unsupported: the clip's landmarks, or the face backend, give boxes only.
    """
    talks = []
    for clip in manifest.clips:
        part = {"start_s": clip.start_s, "end_s": clip.end_s}
        frames = media.load_frames(clip.video, fps=FPS, **part)  # type: ignore[arg-type]
        height, width = frames.shape[1:3]
        if clip.landmarks is None:
            track = track_faces(frames, fps=FPS)
        else:
            track = track_faces(clip.landmarks, backend="file", fps=FPS, size=(width, height), n_frames=len(frames))
        matrices, at = alignment.follow(track), np.arange(0, len(frames), EVERY)
        first, n = round(clip.start_s * sound.RATE), round(len(frames) / FPS * sound.RATE)
        own = sound.melspectrogram(media.read_audio(clip.video)[first : first + n])[None]
        faces, sounds, lips = {clip.language: _chosen(frames, matrices, at)}, {clip.language: own}, {}
        lips[clip.language] = _mouth(track, matrices)
        for tag, video in clip.truth.items():
            dubbed = media.load_frames(video, fps=FPS)
            if tag != clip.language and dubbed.shape == frames.shape:
                faces[tag] = _chosen(dubbed, matrices, at)
                sounds[tag] = sound.melspectrogram(media.read_audio(video))[None]
                lips[tag] = _mouth(track_faces(dubbed, fps=FPS), matrices)
        made_from = {"clip": clip.sha256, "truth": dict(clip.truth_sha256), "cache": CACHE_VERSION, **part}
        talks.append(PcAvsTrainingClip(clip.id, clip.speaker, at, faces, sounds, lips, key_of(made_from)))
    return talks


def _chosen(
    frames: NDArray[np.uint8], matrices: NDArray[np.float64], at: Iterable[int] | NDArray[np.int64]
) -> NDArray[np.uint8]:
    return np.stack([_cut(frames[t], matrices[t]) for t in at])


def _mouth(track: FaceTrack, matrices: NDArray[np.float64]) -> Float32:
    """(T, 40) from landmarks in a video, which move with the head as well; 0 where there is no face."""
    points = track.points68()
    assert points is not None  # `alignment.follow` has asked
    mouth = points[:, 48:].astype(np.float64)
    to = np.stack([alignment.to_crop(m, EDGE) for m in matrices])
    placed = np.einsum("tij,tpj->tpi", to[:, :, :2], mouth) + to[:, None, :, 2]
    return np.nan_to_num((placed - np.nanmean(placed, 0)).reshape(len(placed), -1)).astype(np.float32)


def save(talk: PcAvsTrainingClip, file: Path) -> None:
    """Write a talk; the file appears whole or not at all.

    Raises:
        DiskFull.
    """
    arrays = {f"{kind}|{tag}": a for kind in ("faces", "sounds", "lips") for tag, a in getattr(talk, kind).items()}
    with atomic_write(file) as draft:
        np.savez(draft, id=talk.id, speaker=talk.speaker, at=talk.at, key=talk.key, **arrays)


def load(file: Path) -> PcAvsTrainingClip:
    """What `save` wrote."""
    with np.load(file, allow_pickle=False) as z:
        tags = [k.split("|")[1] for k in z.files if k.startswith("faces|")]
        faces, sounds, lips = ({tag: z[f"{k}|{tag}"] for tag in tags} for k in ("faces", "sounds", "lips"))
        return PcAvsTrainingClip(str(z["id"]), str(z["speaker"]), z["at"], faces, sounds, lips, str(z["key"]))
