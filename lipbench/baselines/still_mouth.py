"""The control whose mouth never moves: the first frame's mouth, carried along with the head."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from lipbench.baselines.jobs import dub_of, track_of
from lipbench.core import media
from lipbench.core.errors import Unsupported
from lipbench.core.method import BaseMethod, Job, MethodSpec, Outputs
from lipbench.faces.track import MOUTH_68

Frame = NDArray[np.uint8]

RIGID = [*range(27, 36), 36, 39, 42, 45]  # nose and the corners of the eyes: what speech does not move
MARGIN = 0.28  # around the lips, of the mouth's width
FEATHER = 0.16  # width of the soft edge, of the mouth's width
STEADY = 1.0  # frames; sigma that takes the landmarks' jitter out of the head motion


class StillMouth(BaseMethod):
    """Head, eyes and light of every frame, mouth of the first one.

    A similarity transform per frame, fitted to nose and eye corners, carries the mouth along; its brightness follows
    the skin around it. Frames without a face are bridged linearly.
    """

    spec = MethodSpec(
        "still_mouth", "1", "Still mouth", licence="none: the source frames", needs=frozenset({"faces"}), kind="control"
    )

    def synthesize(self, job: Job) -> Outputs:
        dub, track = dub_of(job), track_of(job)
        points = track.points68()
        if points is None:
            raise Unsupported(
                "the still mouth cannot be made",
                f"the face backend {track.backend} finds boxes, no landmarks",
                "choose a face backend with landmarks",
            )
        first = int(np.argmax(track.found))
        reference = next(islice(media.read_frames(dub.video), first, None))
        mouth = Mouth(reference, bridged(points), first)
        video = media.write_video(
            job.out / "video.mp4", mouth.paste(media.read_frames(dub.video)), job.clip.fps, dub.audio, lossless=True
        )
        info = {"mouth_of_frame": first, "frames_without_face": len(track.lost_frames)}
        return Outputs({"video": video}, info)


def bridged(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """(T, K, 2) with NaN frames interpolated linearly, and held at the ends."""
    points = points.astype(np.float64)
    known = np.flatnonzero(np.isfinite(points).all((1, 2)))
    flat = points.reshape(len(points), -1)
    frames = np.arange(len(points))
    columns = [np.interp(frames, known, flat[known, k]) for k in range(flat.shape[1])]
    return np.stack(columns, axis=1).reshape(points.shape)


def similarity(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 3) rotation, scale and shift that takes (K, 2) source points to target, least squares (Umeyama 1991)."""
    a, b = source - source.mean(0), target - target.mean(0)
    # In the plane: b = z a with one complex z = sum(conj(a) b) / sum(|a|^2).
    za, zb = a[:, 0] + 1j * a[:, 1], b[:, 0] + 1j * b[:, 1]
    z = (za.conj() * zb).sum() / (np.abs(za) ** 2).sum()
    linear = np.array([[z.real, -z.imag], [z.imag, z.real]])
    return np.column_stack([linear, target.mean(0) - linear @ source.mean(0)])


class Mouth:
    """A mouth cut out of one frame, to be pasted into all.

    Args:
        reference: (H, W, 3) the frame it is cut from.
        points: (T, 68, 2) px landmarks of all frames.
        first: number of the reference frame.
    """

    def __init__(self, reference: Frame, points: NDArray[np.float64], first: int) -> None:
        self.reference = reference
        steady = gaussian_filter1d(points[:, RIGID], STEADY, axis=0, mode="nearest")
        self.motion = np.stack([similarity(steady[first], p) for p in steady])  # (T, 2, 3) reference -> frame
        self.alpha, self.ring = self._mask(points)

    def _mask(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(H, W) opacity in the reference frame, and the ring of skin around it that gives the brightness.

        One mask for all frames (an edge that moves would be seen): it covers every position that any lip takes.
        """
        h, w = self.reference.shape[:2]
        lips = []
        for motion, p in zip(self.motion, points, strict=True):
            back = cv2.invertAffineTransform(motion)
            lips.append(p[MOUTH_68] @ back[:, :2].T + back[:, 2])
        everywhere = np.stack(lips)  # (T, 20, 2) in reference px
        width = float(np.ptp(everywhere[..., 0], axis=1).mean())
        # Extremes are the landmarks' outliers: leave 1 % out on each side.
        low, high = np.percentile(everywhere, [1, 99], axis=0)
        hull = cv2.convexHull(np.concatenate([low, high]).astype(np.float32))
        core = np.zeros((h, w), np.uint8)
        cv2.fillConvexPoly(core, np.rint(hull * 16).astype(np.int32), 255, shift=4)
        distance = cv2.distanceTransform(255 - core, cv2.DIST_L2, 5)
        t = np.clip((MARGIN * width - distance) / (FEATHER * width), 0, 1)
        alpha = (t * t * (3 - 2 * t)).astype(np.float32)
        ring = ((alpha > 0) & (alpha < 1)).astype(np.float32)
        return alpha, ring

    def paste(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames with this mouth in them, in order."""
        h, w = self.reference.shape[:2]
        for frame, motion in zip(frames, self.motion, strict=False):
            mouth = cv2.warpAffine(
                self.reference, motion, (w, h), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
            )
            alpha = cv2.warpAffine(self.alpha, motion, (w, h))[..., None]
            ring = cv2.warpAffine(self.ring, motion, (w, h))
            weight = float(ring.sum())
            light = np.zeros(3, np.float32)
            if weight > 0:
                light = ((frame.astype(np.float32) - mouth) * ring[..., None]).sum((0, 1)) / weight
            mixed = frame + alpha * (mouth + light - frame)
            yield np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
