"""The control whose mouth never moves: the clip's most neutral mouth, carried along with the head."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.baselines.jobs import track_of
from lipbench.baselines.spec import STILL_MOUTH
from lipbench.core.errors import Unsupported
from lipbench.core.method import DubJob, Method, Outputs
from lipbench.faces.track import MESH_TO_68, MOUTH_68, FaceTrack

Frame = NDArray[np.uint8]

# Of the 68 points: what speech does not move (ears, nose, corners of the eyes), and the patch that is carried.
RIGID = [0, 1, 15, 16, *range(27, 36), 36, 39, 42, 45]
#: Points above and below the gap of the lips.
INNER_LIPS = ((61, 67), (62, 66), (63, 65))
PATCH = [*range(6, 11), *range(31, 36), *range(48, 68)]
MARGIN = 0.28  # around the lips, of the mouth's width
FEATHER = 0.24  # width of the soft edge, of the mouth's width
STEADY = 1.0  # frames; sigma that takes the landmarks' jitter out of the head motion


class StillMouth(Method):
    """Head, eyes and light of every frame, mouth of the one whose opening is the median.

    The head's rigid motion, fitted to ears, nose and eye corners, carries the mouth along: in space where the
    landmarks have a depth, so that the mouth foreshortens when the head nods, else as a similarity in the image.
    The mouth's brightness follows the skin around it. Frames without a face are bridged linearly.
    """

    spec = STILL_MOUTH

    def synthesize(self, job: DubJob) -> Outputs:
        dub, track = job.dub, track_of(job)
        points = points_in_space(track)
        if points is None:
            raise Unsupported(
                "the still mouth cannot be made",
                f"the face backend {track.backend} finds boxes, no landmarks",
                "choose a face backend with landmarks",
            )
        neutral = neutral_frame(points)
        reference = next(islice(media.read_frames(dub.video), neutral, None))
        mouth = Mouth(reference, bridged(points), neutral)
        video = media.write_video(
            job.out / "video.mp4",
            mouth.paste(media.read_frames(dub.video)),
            job.clip.fps,
            dub.audio,
            lossless=True,
            like=dub.video,
        )
        info = {
            "mouth_of_frame": neutral,
            "frames_without_face": len(track.lost_frames),
            "motion": "space" if points.shape[2] == 3 else "picture",
        }
        return Outputs({"video": video}, info)


def points_in_space(track: FaceTrack) -> NDArray[np.float64] | None:
    """(T, 68, 3) px with depth, (T, 68, 2) where the landmarks have none, None where there are no landmarks."""
    flat = track.points68()
    if flat is None or track.landmarks is None:
        return None
    points = track.landmarks if track.landmarks.shape[1] == 68 else track.landmarks[:, list(MESH_TO_68)]
    deep = points.shape[2] == 3 and np.isfinite(points[track.found]).all() and np.ptp(points[track.found, :, 2]) > 0
    return (points if deep else flat).astype(np.float64)


def neutral_frame(points: NDArray[np.floating]) -> int:
    """Which frame shows the mouth at its most usual: the first whose opening is nearest to the median.

    A clip may begin or end in the middle of a vowel: a mouth that is wide open all the time is no neutral one. The
    opening is the gap of the inner lips over the distance of the outer eye corners, both in the image.

    Args:
        points: (T, 68, 2 or 3) px landmarks, NaN where the face is lost; one frame at least has a face.
    """
    flat = points[..., :2].astype(np.float64)
    gaps = [np.linalg.norm(flat[:, above] - flat[:, below], axis=1) for above, below in INNER_LIPS]
    opening = np.mean(gaps, axis=0) / np.linalg.norm(flat[:, 36] - flat[:, 45], axis=1)
    return int(np.nanargmin(np.abs(opening - np.nanmedian(opening))))


def bridged(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """(T, K, D) with NaN frames interpolated linearly, and held at the ends."""
    points = points.astype(np.float64)
    known = np.flatnonzero(np.isfinite(points).all((1, 2)))
    flat = points.reshape(len(points), -1)
    frames = np.arange(len(points))
    columns = [np.interp(frames, known, flat[known, k]) for k in range(flat.shape[1])]
    return np.stack(columns, axis=1).reshape(points.shape)


def rigid(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """(D, D + 1) rotation, scale and shift that takes (K, D) source points to target, least squares (Umeyama 1991)."""
    a, b = source - source.mean(0), target - target.mean(0)
    u, s, vt = np.linalg.svd(b.T @ a)
    s[-1] *= (mirror := np.sign(np.linalg.det(u @ vt)))
    u[:, -1] *= mirror
    linear = s.sum() / (a**2).sum() * u @ vt
    return np.column_stack([linear, target.mean(0) - linear @ source.mean(0)])


def affine(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 3) affine map that takes (K, 2) source points to target, least squares."""
    ones = np.column_stack([source, np.ones(len(source))])
    return np.asarray(np.linalg.lstsq(ones, target, rcond=None)[0].T, np.float64)


def head_motion(points: NDArray[np.float64], first: int) -> NDArray[np.float64]:
    """(T, 2, 3) how a patch around the mouth of frame `first` lies in every frame; (T, 68, 2 or 3) px landmarks."""
    from scipy.ndimage import gaussian_filter1d  # half a second that planning a run does not need

    steady = gaussian_filter1d(points[:, RIGID], STEADY, axis=0, mode="nearest")
    patch = points[first, PATCH]
    motions = []
    for now in steady:
        motion = rigid(steady[first], now)
        moved = patch @ motion[:, :-1].T + motion[:, -1]
        motions.append(affine(patch[:, :2], moved[:, :2]))
    return np.stack(motions)


class Mouth:
    """A mouth cut out of one frame, to be pasted into all.

    Args:
        reference: (H, W, 3) the frame it is cut from.
        points: (T, 68, 2 or 3) px landmarks of all frames.
        first: number of the reference frame.
    """

    def __init__(self, reference: Frame, points: NDArray[np.float64], first: int) -> None:
        self.reference = reference
        self.motion = head_motion(points, first)  # (T, 2, 3) reference -> frame
        self.alpha, self.ring = self._mask(points)

    def _mask(self, points: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(H, W) opacity in the reference frame, and the ring of skin around it that gives the brightness.

        One mask for all frames (an edge that moves would be seen): it covers every position that any lip takes.
        """
        h, w = self.reference.shape[:2]
        lips = []
        for motion, p in zip(self.motion, points, strict=True):
            back = cv2.invertAffineTransform(motion)
            lips.append(p[MOUTH_68, :2] @ back[:, :2].T + back[:, 2])
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
            x, y, wide, high = cv2.boundingRect((alpha[..., 0] > 0).astype(np.uint8))  # beyond it the frame stays
            here = slice(y, y + high), slice(x, x + wide)
            mixed = frame[here] + alpha[here] * (mouth[here] + light - frame[here])
            out = frame.copy()
            out[here] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
            yield out
