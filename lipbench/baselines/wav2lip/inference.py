"""Drawing new lips into frames: crop, mask, generate, paste. Frames are streamed, a batch at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.baselines.wav2lip.mel import STEPS
from lipbench.baselines.wav2lip.networks import SIZE, Wav2LipGenerator, folded

Frame = NDArray[np.uint8]
Paste = Literal["hard", "feather", "change"]
FEATHER = 1 / 8  # of the box, on each side


class Wav2LipInference:
    """A generator made ready for inference: norms folded, channels last, on its device."""

    def __init__(self, net: Wav2LipGenerator, device: str = "cpu") -> None:
        self.device = torch.device(device)
        # Folding and channels last together: 1.3 times as fast on a CPU, same answers to 1e-5.
        self.net = folded(net).to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.batch = 8 if self.device.type == "cpu" else 64

    @torch.inference_mode()
    def infer(self, crops: NDArray[np.uint8], mel: NDArray[np.floating]) -> NDArray[np.uint8]:
        """(B, 96, 96, 3) RGB faces and (B, 80, 16) windows -> (B, 96, 96, 3) RGB faces with other lips."""
        bgr = torch.from_numpy(np.ascontiguousarray(crops[..., ::-1].transpose(0, 3, 1, 2)))  # (B, 3, 96, 96)
        face = bgr.to(self.device, torch.float32) / 255
        masked = face.clone()
        masked[:, :, SIZE // 2 :] = 0
        x = torch.cat((masked, face), dim=1).contiguous(memory_format=torch.channels_last)  # (B, 6, 96, 96)
        sound = torch.as_tensor(mel, dtype=torch.float32, device=self.device)[:, None]  # (B, 1, 80, 16)
        out: Tensor = self.net(sound, x)
        # Truncated, not rounded: upstream's astype(uint8).
        drawn: NDArray[np.uint8] = (out * 255).to(torch.uint8).permute(0, 2, 3, 1).flip(-1).cpu().numpy()
        return drawn


def generate_frames(
    drawer: Wav2LipInference,
    frames: Iterable[Frame],
    boxes: NDArray[np.int64],
    mel: NDArray[np.floating],
    starts: Sequence[int],
    paste: Paste = "hard",
) -> Iterator[Frame]:
    """The frames with lips that fit the audio, in order; at most one batch of them is held.

    Args:
        frames: (H, W, 3) RGB, as many as there are boxes and starts (the shortest of the three ends it).
        boxes: (n, 4) x1 y1 x2 y2 px, inside the frames.
        mel: (80, T) spectrogram of the dub.
        starts: first spectrogram column of every frame's window.
        paste: "hard" overwrites the box as upstream does; "feather" fades the new face out towards the box's edges;
            "change" adds what the network changed to the frame, which keeps its own sharpness everywhere else.
    """
    # The sequences come first: zip then ends without having taken (and lost) a frame more.
    work = zip(boxes.tolist(), starts, frames, strict=False)
    while batch := list(islice(work, drawer.batch)):
        crops = np.stack([cv2.resize(frame[y1:y2, x1:x2], (SIZE, SIZE)) for (x1, y1, x2, y2), _, frame in batch])
        windows = np.stack([mel[:, start : start + STEPS] for _, start, _ in batch])
        faces = drawer.infer(crops.astype(np.uint8), windows)
        for ((x1, y1, x2, y2), _, frame), crop, face in zip(batch, crops, faces, strict=True):
            out = frame.copy()
            region = out[y1:y2, x1:x2]
            if paste == "change":
                region[:] = add_change(region, crop, face)
            else:
                new = cv2.resize(np.ascontiguousarray(face), (x2 - x1, y2 - y1))
                region[:] = new if paste == "hard" else blend(region, new.astype(np.uint8))
            yield out


def add_change(old: Frame, crop: Frame, face: Frame) -> Frame:
    """(h, w, 3) `old` plus the difference between `face` and `crop`, (96, 96, 3) each, enlarged to its size.

    Differences of one gray level are the cut-off of the network's answer, not a change. Fades towards the edges.
    """
    difference = face.astype(np.float32) - crop
    difference[np.abs(difference) <= 1] = 0
    h, w = old.shape[:2]
    change = np.asarray(cv2.resize(difference, (w, h), interpolation=cv2.INTER_CUBIC))
    mixed = old + np.outer(_ramp(h), _ramp(w))[..., None].astype(np.float32) * change
    return np.clip(np.rint(mixed), 0, 255).astype(np.uint8)


def blend(old: Frame, new: Frame) -> Frame:
    """(h, w, 3) each: `new` inside, fading (smoothstep) to `old` over `FEATHER` of the size at every edge."""
    h, w = old.shape[:2]
    alpha = np.outer(_ramp(h), _ramp(w))[..., None].astype(np.float32)
    mixed = old + alpha * (new.astype(np.float32) - old)
    return np.rint(mixed).astype(np.uint8)


def _ramp(n: int) -> NDArray[np.float64]:
    """(n,) 0 outside, 1 inside, smoothstep over FEATHER n pixels from either end."""
    edge = np.minimum(np.arange(n) + 0.5, n - np.arange(n) - 0.5) / max(1.0, FEATHER * n)
    t = np.clip(edge, 0, 1)
    return t * t * (3 - 2 * t)
