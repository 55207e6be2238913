"""One clip, planned: who, where, which light, how the head moves, what is said and heard. Pixels come from `render`.

Everything but articulation is drawn once and is the same in every language of the clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.morphable import visemes
from lipbench.faces.raster import Camera, Light, euler_to_matrix
from lipbench.synthetic.corpus import articulation, motion
from lipbench.synthetic.corpus.background import background
from lipbench.synthetic.corpus.motion import HeadMotion, Manner
from lipbench.synthetic.corpus.spec import ClipSpec, Difficulty, check_size, difficulty, stream
from lipbench.synthetic.head import REST_TRANSLATION, Head, Identity, build, joint_translation, sample_identity
from lipbench.synthetic.speech import prosody, script, sound
from lipbench.synthetic.speech.espeak import Espeak
from lipbench.synthetic.speech.script import ScriptPart
from lipbench.synthetic.speech.sound import Take

Array = NDArray[np.float64]

#: Moods a clip may be in, by semantic expression; strengths are scaled by the difficulty.
MOODS: dict[str, dict[str, float]] = {
    "calm": {"smileL": 0.05, "smileR": 0.05},
    "friendly": {"smileL": 0.24, "smileR": 0.24, "squintL": 0.10, "squintR": 0.10},
    "wry": {"smileL": 0.26, "smileR": 0.08, "browOuterL": 0.10},
    "serious": {"browDownL": 0.28, "browDownR": 0.28, "frownL": 0.08, "frownR": 0.08},
    "concerned": {"browInner": 0.40, "frownL": 0.14, "frownR": 0.14},
    "keen": {"browOuterL": 0.25, "browOuterR": 0.25, "browInner": 0.15, "smileL": 0.10, "smileR": 0.10},
}


@dataclass(frozen=True)
class CorpusScene:
    """A planned clip.

    Attributes:
        spec: what it was planned from.
        head: who speaks.
        camera: where.
        light: where.
        backdrop: where.
        mood: name in MOODS.
        motion: of the head, the eyes, the lids and the brows.
        rotation: (T, 3, 3), head to camera space.
        translation: (T, 3) dm, head to camera space.
        body_rotation: (3, 3), how the shoulders stand.
        body_translation: (3,) dm, where they stand.
        parts: language -> what is said.
        takes: language -> recordings of it.
        semantic: language -> (T, 36) expression weights.
    """

    spec: ClipSpec
    head: Head
    camera: Camera
    light: Light
    backdrop: NDArray[np.uint8]
    mood: str
    motion: HeadMotion
    rotation: Array
    translation: Array
    body_rotation: Array
    body_translation: Array
    parts: dict[str, ScriptPart]
    takes: dict[str, list[Take]]
    semantic: dict[str, Array]

    @property
    def gaze(self) -> Array:
        """(T, 2) radians, yaw to the image's right and pitch up, as `Head.deform` takes it."""
        return np.deg2rad(self.motion.gaze)


@lru_cache(maxsize=4)
def head_of(identity: int) -> Head:
    """The built head of a person; kept, for building takes about a second."""
    return build(sample_identity(identity))


#: Hair styles that the head's sampler gives to women only; "curly" to both.
_LONG_HAIR = ("bob", "lob", "long", "wavy", "bun", "pixie")


def sounds_female(identity: Identity, number: int) -> bool:
    """Which voices go with a face; by looks where they tell, else by the person's number."""
    if identity.makeup > 0 or identity.hair_style in _LONG_HAIR:
        return True
    if identity.stubble > 0 or identity.brows > 0.8 or identity.hair_style != "curly":
        return False
    return bool(stream(0, "sex", number).integers(2))


def plan(spec: ClipSpec, engine: Espeak | None = None) -> CorpusScene:
    """Plan a clip: everything but its pixels, in about 0.2 s.

    Args:
        engine: the espeak-ng process, needed when `spec.voices` is "espeak".

    Raises:
        UsageError: sizes, languages or lengths that cannot be.
    """
    check_size([spec])
    level = difficulty(spec.difficulty)
    head = head_of(spec.identity)
    parts = script.compose(
        spec.duration_s,
        spec.source,
        spec.dubs,
        stream(spec.seed, "script"),
        pool=spec.pool,
        shuffle_words=spec.shuffle_words,
        sentences=spec.sentences or None,
    )
    if spec.voices == "espeak" and engine is None:
        with Espeak() as own:
            return _finish(spec, level, head, parts, own)
    return _finish(spec, level, head, parts, engine if spec.voices == "espeak" else None)


def _finish(
    spec: ClipSpec, level: Difficulty, head: Head, parts: dict[str, ScriptPart], engine: Espeak | None
) -> CorpusScene:
    female = sounds_female(head.identity, spec.identity)
    takes: dict[str, list[Take]] = {}
    for language, part in parts.items():
        parts[language], takes[language] = sound.record(spec, part, female, engine)

    source = parts[spec.source].units
    rng = stream(spec.seed, "manner")
    manner, mood = _manner(level, rng)
    moved = motion.move(
        spec.n_frames,
        spec.fps,
        manner,
        prosody.accents(source),
        [p.end_s for p in prosody.phrases(source)],
        stream(spec.seed, "motion"),
    )
    effort = float(level.effort * stream(spec.seed, "effort").uniform(0.88, 1.08))
    semantic = {}
    for language, part in parts.items():
        channels = articulation.track(part.units, spec.n_frames, spec.fps, effort=effort)
        semantic[language] = motion.add_layers(visemes.weights(channels), moved, manner.mood)

    rotation = euler_to_matrix(np.deg2rad(moved.angles[:, [1, 0, 2]]))
    body_rotation, body_translation = _body(manner, spec.view, stream(spec.seed, "place"))
    body = (body_rotation, body_translation)
    translation = np.stack([joint_translation(r, body) for r in rotation]) + moved.shift
    place = stream(spec.seed, "light")
    return CorpusScene(
        spec=spec,
        head=head,
        camera=Camera.portrait(spec.width, view=spec.view, height=spec.height),
        light=Light.sample(place, level.drama),
        backdrop=background(spec.height, spec.width, place, 1.0 - 0.5 * level.drama),
        mood=mood,
        motion=moved,
        rotation=rotation,
        translation=translation,
        body_rotation=body_rotation,
        body_translation=body_translation,
        parts=parts,
        takes=takes,
        semantic=semantic,
    )


def _manner(level: Difficulty, rng: np.random.Generator) -> tuple[Manner, str]:
    mood = list(MOODS)[int(rng.integers(len(MOODS)))]
    sway = level.sway * float(rng.uniform(0.7, 1.2))
    return Manner(
        yaw=(float(rng.uniform(-level.yaw, level.yaw)), 3.6 * sway),
        pitch=(float(rng.uniform(-level.pitch, level.pitch)), 2.0 * sway),
        roll=(float(rng.normal(0, 1.2)), 1.6 * sway),
        speed=level.speed * float(rng.uniform(0.8, 1.2)),
        nod=float(rng.uniform(0.8, 2.0)) * min(sway, 1.5),
        shift_dm=0.03 * sway,
        blink_every_s=float(rng.uniform(2.4, 4.5)),
        gaze=float(rng.uniform(0.15, 0.6)),
        mood={name: value * level.mood for name, value in MOODS[mood].items()},
        vivid=float(rng.uniform(0.6, 1.2)) * max(level.mood, 0.5),
    ), mood


def _body(manner: Manner, view: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Shoulders turn part of the way with the head's mean direction; the face is framed a little off-center."""
    yaw = np.deg2rad(0.4 * manner.yaw[0] + rng.normal(0, 3.0))
    rotation = euler_to_matrix((0.0, yaw, 0.0))
    offset = np.array([rng.normal(0, 0.03), rng.normal(0, 0.02), 0.0]) * view
    return rotation, REST_TRANSLATION + offset + np.array([0.0, -0.01 * view, 0.0])
