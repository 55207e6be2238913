"""The stage that follows a face: one node for each video in which somebody asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipbench.core import weights
from lipbench.datasets.types import Clip
from lipbench.engine.plan import STAGE_VERSIONS, Node, PlanState, file_digest
from lipbench.engine.tasks import FacesTask


def chooses_by_sound(backend: str) -> bool:
    """Whether a backend looks, among several faces, for the one whose lips go with what is heard."""
    return backend == "mediapipe-face"


@dataclass(frozen=True, slots=True)
class SourceFaces:
    """The clip that a video was made of, and the nodes of its video and of the face in it."""

    clip: Clip
    video: str
    track: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A video in which a face is followed.

    Attributes:
        video_node: what makes it.
        output: which of the node's outputs it is.
        backend: finds faces; "file" where landmarks are given.
        fps: of the video.
        landmarks: a file of them.
        face: which face, where there are several.
        sound: the node's output that holds what is said, for a choice that nobody made.
        like: the source: where it has several faces, the same one is followed here, and an image that is the source's
            own has the source's track.
    """

    video_node: str
    output: str
    backend: str
    fps: float
    landmarks: Path | None
    face: str | None
    sound: str | None
    like: SourceFaces | None

    def node(self, name: str, code: str) -> Node:
        """The node of this name.

        Args:
            code: digest of what follows a face, for the key.
        """
        return Node(
            name,
            "faces",
            (self.video_node,),
            lambda p: self._preimage(p, code),
            lambda p: FacesTask(
                video=p.made(self.video_node, self.output),
                backend=self.backend,
                landmarks=self.landmarks,
                fps=self.fps,
                face=self._meant(p),
                sound=self._heard(p, p.path),
            ),
            optional_deps=() if self.like is None else (self.like.track,),
        )

    def _preimage(self, p: PlanState, code: str) -> dict[str, Any]:
        from lipbench.faces import backend_identity

        said = self._heard(p, p.digest)
        chosen = chooses_by_sound(self.backend) and said is not None
        return {
            "kind": "faces",
            "version": STAGE_VERSIONS["faces"],
            "code": code,
            # The source comes back in the dubs of it, the truth in the method of that name: searched once each.
            "video": p.image_hash(self.video_node, self.output),
            "backend": self.backend,
            "identity": dict(backend_identity(self.backend)),
            "landmarks": file_digest(self.landmarks),
            "face": self._meant(p),
            "sound": said,
            **({"speaker": weights.sha256("landmark-sync")} if chosen else {}),
        }

    def _copied(self, p: PlanState) -> bool:
        """Whether these are the source's own pictures, whose track is no file's."""
        if self.like is None or self.like.clip.landmarks is not None:
            return False
        return p.image_hash(self.video_node, self.output) == p.image_hash(self.like.video, "video")

    def _meant(self, p: PlanState) -> str | None:
        """Which face is followed: the one that was named, or that stands where the source's is."""
        if self.face is not None or self.like is None:
            return self.face
        if self._copied(p):
            return self.like.clip.face
        record = p.find(self.like.track)
        if record is None or not record.info.get("frames_with_several_faces") or not record.info.get("mean_box"):
            return None
        x1, y1, x2, y2 = record.info["mean_box"]
        return f"{max((x1 + x2) / 2, 1):.1f},{max((y1 + y2) / 2, 1):.1f}"

    def _heard(self, p: PlanState, look: Callable[[str, str], Any]) -> Any:
        """What is said, as `look` answers for an output of a node; None where nobody has to choose."""
        if self._meant(p) is not None or self.landmarks is not None:
            return None
        if self.like is not None and self._copied(p):
            return look(self.like.video, "audio")
        return None if self.sound is None else look(self.video_node, self.sound)
