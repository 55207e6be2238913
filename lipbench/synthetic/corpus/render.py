"""Pixels and per-frame truth of a planned clip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipbench.datasets.annotations import Annotations, phoneme_arrays
from lipbench.faces.morphable.procedural import head_parts
from lipbench.faces.morphable.semantic import semantic_to_expression
from lipbench.faces.raster import Renderer, RenderOutput
from lipbench.synthetic.corpus.scene import CorpusScene, plan
from lipbench.synthetic.corpus.spec import ClipSpec
from lipbench.synthetic.head.landmarks import landmarks
from lipbench.synthetic.head.pose import SKULL_JOINT
from lipbench.synthetic.speech.espeak import Espeak
from lipbench.synthetic.speech.sound import Take


@dataclass(frozen=True)
class ClipRender:
    """A clip in memory.

    Attributes:
        spec: what it was made from.
        frames: language -> (T, H, W, 3) uint8 RGB.
        audio: language -> (N,) int16 at 16 kHz, the first take.
        takes: language -> all takes.
        transcripts: language -> text.
        annotations: language -> per-frame truth.
    """

    spec: ClipSpec
    frames: dict[str, NDArray[np.uint8]]
    audio: dict[str, NDArray[np.int16]]
    takes: dict[str, list[Take]]
    transcripts: dict[str, str]
    annotations: dict[str, Annotations]


def render_clip(spec: ClipSpec, languages: Sequence[str] | None = None, engine: Espeak | None = None) -> ClipRender:
    """Plan and render a clip in memory: what training reads instead of videos.

    Args:
        languages: of the spec's; all when None. Fewer languages do not change the others.
        engine: see `scene.plan`.
    """
    scene = plan(spec, engine)
    chosen = spec.languages if languages is None else tuple(languages)
    frames, truth = {}, {}
    for language in chosen:
        shot = RenderedShot(scene, language)
        video = np.empty((spec.n_frames, spec.height, spec.width, 3), np.uint8)
        for t, frame in enumerate(shot):
            video[t] = frame
        frames[language], truth[language] = video, shot.annotations()
    return ClipRender(
        spec,
        frames,
        {tag: scene.takes[tag][0].audio for tag in chosen},
        {tag: scene.takes[tag] for tag in chosen},
        {tag: scene.parts[tag].transcript for tag in chosen},
        truth,
    )


class RenderedShot:
    """One language of a scene: iterate for its frames (H, W, 3) uint8, then ask for its annotations.

    Frames are made one at a time, so that 720p clips need no memory.
    """

    def __init__(self, scene: CorpusScene, language: str) -> None:
        self.scene, self.language = scene, language
        self._renderer = Renderer(scene.head.surface)
        t = scene.spec.n_frames
        self._landmarks = np.full((t, 68, 2), np.nan, np.float32)
        self._depth = np.zeros((t, 68), np.float32)
        self._measures = np.zeros((t, 2), np.float32)
        self._lips = np.zeros((t, len(head_parts().lip_index), 3), np.float32)
        self._done = 0

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        scene = self.scene
        for t in range(scene.spec.n_frames):
            vertices = self.vertices(t)
            self._note(t, vertices)
            yield self._draw(vertices, scene.spec.supersample).image

    def _draw(self, vertices: NDArray[np.float64], supersample: int) -> RenderOutput:
        scene = self.scene
        return self._renderer.render(
            vertices, scene.camera, scene.light, supersample=supersample, background=scene.backdrop
        )

    def frame(self, t: int) -> NDArray[np.uint8]:
        """(H, W, 3) frame t alone."""
        return self._draw(self.vertices(t), self.scene.spec.supersample).image

    def vertices(self, t: int) -> NDArray[np.float64]:
        """(N, 3) camera-space vertices of frame t."""
        scene = self.scene
        return scene.head.pose_frame(
            scene.semantic[self.language][t],
            scene.rotation[t],
            scene.translation[t],
            gaze=scene.gaze[t],
            body_rotation=scene.body_rotation,
            body_translation=scene.body_translation,
        )

    def label(self, t: int) -> NDArray[np.uint8]:
        """(H, W) exact class of every pixel of frame t, see `raster.Label`."""
        return self._draw(self.vertices(t), 1).labels

    def _note(self, t: int, vertices: NDArray[np.float64]) -> None:
        scene = self.scene
        rotation, translation = scene.rotation[t], scene.translation[t]
        self._landmarks[t] = scene.head.landmarks68(vertices, scene.camera)
        joint = rotation @ SKULL_JOINT + translation
        # Depth in pixels of the plane through the head's joint; the camera looks down -z.
        self._depth[t] = -(vertices[landmarks().points, 2] - joint[2]) * scene.camera.focal / -joint[2]
        measures = scene.head.mouth_measures(vertices)
        self._measures[t] = measures["lip_gap_mm"], measures["mouth_width_mm"]
        self._lips[t] = (vertices[head_parts().lip_index] - translation) @ rotation
        self._done = t + 1

    def annotations(self) -> Annotations:
        """Truth of every frame; computes what was not iterated over."""
        scene, spec = self.scene, self.scene.spec
        for t in range(self._done, spec.n_frames):
            self._note(t, self.vertices(t))
        semantic = scene.semantic[self.language]
        focal, (cx, cy) = scene.camera.focal, scene.camera.center
        return Annotations(
            language=self.language,
            fps=spec.fps,
            width=spec.width,
            height=spec.height,
            expression=semantic_to_expression(semantic).astype(np.float32),
            semantic=semantic.astype(np.float32),
            gaze=scene.gaze.astype(np.float32),
            rotation=scene.rotation.astype(np.float32),
            translation=scene.translation.astype(np.float32),
            camera=np.array([focal, cx, cy], np.float32),
            landmarks68=self._landmarks,
            landmark_depth=self._depth,
            lip_gap=self._measures[:, 0],
            mouth_width=self._measures[:, 1],
            lip_vertices=self._lips,
            identity=scene.head.identity.coefficients().astype(np.float32),
            **phoneme_arrays(scene.parts[self.language].phonemes),  # type: ignore[arg-type]
        )
