"""`lipbench train demo-face`: the demo's landmark network, on single frames of generated clips."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from lipbench.core import keys
from lipbench.core.atomic import atomic_write
from lipbench.core.threads import one_thread_each
from lipbench.core.training import Request
from lipbench.faces import demo_face
from lipbench.faces.demo_face import CROP, DemoFace
from lipbench.synthetic.corpus.render import RenderedShot
from lipbench.synthetic.corpus.scene import plan
from lipbench.synthetic.corpus.spec import DIFFICULTIES, ClipSpec, stream
from lipbench.training.base import SupervisedTraining, configuration, generated_only

DATA_VERSION = 1
SIZE = 192
#: Mouth and eyes decide what is measured; the jaw's points slide along it anyway.
WEIGHT = np.array([0.5] * 17 + [0.7] * 10 + [1.0] * 9 + [1.5] * 12 + [2.5] * 20, np.float32)


@dataclass(frozen=True)
class FaceConfig:
    """Settings of the training.

    Attributes:
        width: of the networks.
        batch: crops, and whole images.
        rate: AdamW's, cosine.
        frames: drawn of each clip.
    """

    width: int = 24
    batch: int = 64
    rate: float = 2e-3
    warm_up: int = 50
    frames: int = 8
    empty: float = 0.12


CONFIGS = {"demo": FaceConfig()}


def _frames(person: int, clips: int, per_clip: int, seed: int, split: str) -> tuple[Any, Any, Any]:
    """(n, 192, 192, 3) frames, (n, 68, 2) px and the clips' backdrops of one generated person."""
    cv2.setNumThreads(1)
    frames, points, empty = [], [], []
    levels = list(DIFFICULTIES)
    for number in range(clips):
        rng = stream(seed, "demo-face", split, person, number)
        spec = ClipSpec(
            f"{split}-{person}-{number}",
            int(rng.integers(1 << 62)),
            500_000 + 10_000 * (split != "train") + person,
            ("en", "fr", "es", "de")[number % 4],
            seconds=4.0,
            width=SIZE,
            height=SIZE,
            supersample=1,
            difficulty=levels[int(rng.integers(len(levels)))],
            view=float(rng.uniform(2.0, 3.1)),
            shuffle_words=True,
        )
        scene = plan(spec)
        shot = RenderedShot(scene, spec.source)
        for t in np.sort(rng.choice(spec.n_frames, per_clip, replace=False)):
            frames.append(shot.frame(int(t)))
            points.append(scene.head.landmarks68(shot.vertices(int(t)), scene.camera))
        empty.append(scene.backdrop)
    return np.stack(frames), np.stack(points).astype(np.float32), np.stack(empty)


def data(folder: Path, split: str, people: int, clips: int, config: FaceConfig, request: Request) -> tuple[Any, ...]:
    """frames, points, backdrops and a digest; kept in the folder."""
    key = keys.key_of(
        {
            "kind": "demo-face data",
            "version": DATA_VERSION,
            "split": split,
            "people": people,
            "clips": clips,
            "frames": config.frames,
            "seed": request.seed,
            "size": SIZE,
        }
    )
    file = folder / f"{split}-{key[:12]}.npz"
    if not file.exists():
        request.log(f"rendering {people * clips * config.frames} frames of {people} people ({split})")
        with one_thread_each(), ProcessPoolExecutor(max(1, request.workers), mp_context=get_context("spawn")) as pool:
            jobs = [pool.submit(_frames, p, clips, config.frames, request.seed, split) for p in range(people)]
            parts = [job.result() for job in jobs]
        frames, points, empty = (np.concatenate([part[k] for part in parts]) for k in range(3))
        with atomic_write(file) as draft:
            np.savez(draft, frames=frames, points=points, empty=empty)
    with np.load(file) as z:
        return z["frames"], z["points"], z["empty"], key


class FaceTraining(SupervisedTraining[FaceConfig]):
    """Finder and reader of the demo's face network, together."""

    name, monitor = "demo-face", "held_out_px"
    net: DemoFace

    def __init__(
        self, config: FaceConfig, train: tuple[Any, ...], held_out: tuple[Any, ...], seed: int = 0, device: str = "cpu"
    ) -> None:
        data = {"frames": len(train[0]), "data": train[3], "held_out": held_out[3]}
        super().__init__(config, seed, device, data)
        self.train_set, self.test_set = train, held_out
        self.net = DemoFace(config.width).to(self.device)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), config.rate, weight_decay=1e-4)
        self.weight = torch.from_numpy(WEIGHT).to(self.device)

    def objective(self, number: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        c, rng = self.config, self.rng(number)
        crops, points, has = _crops(self.train_set, c.batch, c.empty, rng)
        images, boxes, seen = _wholes(self.train_set, c.batch // 2, c.empty, rng)
        read = demo_face.read_loss(self.net, self._tensors(crops, points, has), self.weight)
        find = demo_face.find_loss(self.net, self._tensors(images, boxes, seen))
        return read + find, {"read": read, "find": find}

    def _tensors(self, images: Any, *others: Any) -> tuple[torch.Tensor, ...]:
        return tuple(x.to(self.device) for x in (demo_face.to_input(images), *map(torch.from_numpy, others)))

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean errors in px of the 192 px frames, found from the whole image as in use."""
        self.net.eval()
        frames, points = self.test_set[0][::4], self.test_set[1][::4]
        found = np.concatenate([demo_face.landmarks(self.net, [frame]) for frame in frames])
        away = np.linalg.norm(found - points, axis=2)
        none = np.concatenate([demo_face.landmarks(self.net, [frame]) for frame in self.test_set[2]])
        seen = np.isfinite(away).all(1)
        return {
            "held_out_px": float(away[seen].mean()) if seen.any() else 99.0,
            "mouth_px": float(away[seen, 48:].mean()),
            "seen": float(seen.mean()),
            "empty_seen": float(np.isfinite(none).all((1, 2)).mean()),
        }

    def image(self) -> NDArray[np.uint8]:
        """A batch of crops with the points that are wanted (green) and found (red)."""
        crops, points, _ = _crops(self.train_set, 16, 0.0, np.random.default_rng(self.seed))
        self.net.eval()
        with torch.no_grad():
            found = self.net.read(demo_face.to_input(crops).to(self.device))[1].cpu().numpy()
        big = [cv2.resize(crop, (2 * CROP, 2 * CROP)) for crop in crops]
        for image, wanted, got in zip(big, points, found, strict=True):
            for color, dots in (((0, 255, 0), wanted), ((255, 0, 0), got)):
                for x, y in dots * 2 * CROP:
                    cv2.circle(image, (int(x), int(y)), 1, color, -1)
        return np.concatenate([np.concatenate(big[i : i + 4], 1) for i in range(0, 16, 4)])

    def export(self, folder: Path, facts: Mapping[str, Any]) -> Path:
        """demo-face.npz, float16."""
        return self.net.save(folder / "demo-face.npz", facts)


def _crops(pool: tuple[Any, ...], n: int, empty: float, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """(n, 96, 96, 3), (n, 68, 2) in 0..1 and (n,) whether there is a face."""
    frames, points, backdrops = pool[:3]
    crops, places, has = [], [], []
    for _ in range(n):
        k = int(rng.integers(len(frames)))
        center, half = demo_face.place(points[k])
        if rng.uniform() < empty:  # a backdrop, or a place beside the face
            image = backdrops[int(rng.integers(len(backdrops)))]
            center, face = rng.uniform(0, SIZE, 2), 0.0
        else:
            image, face = frames[k], 1.0
        center = center + rng.normal(0, 0.09, 2) * half
        crop, back = demo_face.cut(image, center, half * np.exp(rng.normal(0, 0.1)), rng.normal(0, 0.1))
        inverse = np.linalg.inv(np.vstack([back, [0, 0, 1]]))[:2]
        crops.append(_damage(crop, rng))
        places.append(points[k] @ inverse[:, :2].T + inverse[:, 2])
        has.append(face)
    return np.stack(crops), np.stack(places).astype(np.float32), np.array(has, np.float32)


def _wholes(pool: tuple[Any, ...], n: int, empty: float, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """(n, 64, 64, 3), (n, 3) x, y, log size in 0..1 and (n,) whether there is a face."""
    frames, points, backdrops = pool[:3]
    images, boxes, has = [], [], []
    for _ in range(n):
        k = int(rng.integers(len(frames)))
        bare = rng.uniform() < 2 * empty
        image = backdrops[int(rng.integers(len(backdrops)))] if bare else frames[k]
        scale = rng.uniform(0.7, 1.3)  # zoom about a random point
        at = rng.uniform(0.25, 0.75, 2) * SIZE
        matrix = np.array([[scale, 0, at[0] * (1 - scale)], [0, scale, at[1] * (1 - scale)]])
        zoomed = np.asarray(cv2.warpAffine(image, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_REFLECT_101), np.uint8)
        moved = points[k] * scale + matrix[:, 2]
        small, back = demo_face.whole(zoomed)
        low, high = moved.min(0), moved.max(0)
        boxes.append([*((low + high) / 2 - back[:, 2]) / back[0, 0], math.log((high - low).max() / back[0, 0])])
        images.append(_damage(small, rng))
        has.append(0.0 if bare else 1.0)
    return np.stack(images), np.array(boxes, np.float32), np.array(has, np.float32)


def _damage(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Other light, now and then blur (everywhere, or of the lower face, as lip-sync methods leave it), noise, JPEG."""
    gain = rng.uniform(0.75, 1.3) * rng.uniform(0.9, 1.1, 3)
    out = np.clip((image - 127.5) * gain + 127.5 + rng.uniform(-25, 25), 0, 255).astype(np.uint8)
    if rng.uniform() < 0.25:
        out = np.asarray(cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.4, 1.6))), np.uint8)
    if rng.uniform() < 0.3:
        h = out.shape[0]
        soft = np.asarray(cv2.GaussianBlur(out, (0, 0), float(rng.uniform(0.5, 1.8)))).astype(np.float32)
        mask = np.zeros(out.shape[:2], np.float32)
        top, bottom = int(h * rng.uniform(0.45, 0.6)), int(h * rng.uniform(0.85, 1.0))
        left, right = int(h * rng.uniform(0.15, 0.35)), int(h * rng.uniform(0.65, 0.85))
        mask[top:bottom, left:right] = 1
        mixed = out + (soft + rng.uniform(-10, 10, 3) - out) * mask[..., None]
        out = np.clip(mixed, 0, 255).astype(np.uint8)
    if rng.uniform() < 0.2:
        out = np.clip(out + rng.normal(0, rng.uniform(1, 7), out.shape), 0, 255).astype(np.uint8)
    if rng.uniform() < 0.2:
        out = np.asarray(cv2.imdecode(cv2.imencode(".jpg", out, [1, int(rng.integers(25, 90))])[1], 1), np.uint8)
    return out


def trainer(request: Request) -> FaceTraining:
    """The training that a request asks for; renders its frames first.

    Raises:
        UsageError: an unknown configuration, or a manifest (only generated frames have true points).
    """
    config, cached = configuration(request, CONFIGS), request.out / "cache"
    generated_only(request, "demo-face", "it is for generated faces")
    people, clips = int(request.options.get("identities", 60)), int(request.options.get("clips", 8))
    return FaceTraining(
        config,
        data(cached, "train", people, clips, config, request),
        data(cached, "held-out", 10, 4, config, request),
        request.seed,
        request.device,
    )
