"""Landmarks of a whole dub: the networks in upstream's order (src/approaches/train_audio2landmark.py)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lipbench.baselines.makeittalk import landmarks as rules
from lipbench.baselines.makeittalk import sound
from lipbench.baselines.makeittalk.autovc import MULTIPLE, AutoVC
from lipbench.baselines.makeittalk.checkpoint import Content
from lipbench.baselines.makeittalk.landmark_nets import COORDINATES, SEGMENT, SPEAKER, SpeakerBranch

Float32 = NDArray[np.float32]
SHORTEST = 10  # frames; a segment under that is not predicted
VOICE_FACTOR = 3.0
CONVERTED_AT_ONCE = 4096  # mel rows


@dataclass(frozen=True)
class Amounts:
    """How much of what.

    Attributes:
        lip_x: factors on the lips' movement sideways and up, and on the speaker branch's.
        lip_y: see `lip_x`.
        head: see `lip_x`.
        calibrate: take the content branch's rest out, as upstream does.
        upper_face: let the content branch move brows, eyes and nose.
    """

    lip_x: float = 2.0
    lip_y: float = 2.0
    head: float = 0.5
    calibrate: bool = True
    upper_face: bool = True


@torch.inference_mode()
def converted(net: AutoVC, mel: Float32, pitch: Float32, voice: Float32, wanted: Float32, device: str) -> Float32:
    """(T, 80) mel of one voice -> (T, 80) of another, 4096 rows at a time, each filled up to a multiple of 32."""
    out = []
    owner, target = (torch.from_numpy(v.astype(np.float32))[None].to(device) for v in (voice, wanted))
    for start in range(0, len(mel), CONVERTED_AT_ONCE):
        rows = mel[start : start + CONVERTED_AT_ONCE]
        fill = -len(rows) % MULTIPLE
        x, f0 = (
            torch.from_numpy(np.pad(v, ((0, fill), (0, 0)))).float()[None].to(device)
            for v in (rows, pitch[start : start + CONVERTED_AT_ONCE])
        )
        out.append(net(x, owner, f0, target)[1][0, : len(rows)].cpu().numpy())
    return np.concatenate(out)


@torch.inference_mode()
def normalized_landmarks(
    windows: Float32,
    face: Float32,
    content: Content,
    amounts: Amounts,
    *,
    speaker: SpeakerBranch | None = None,
    voice: Float32 | None = None,
    device: str = "cpu",
) -> rules.Points:
    """(T, 18, 80) standardized audio and (204,) face at rest -> (T, 68, 3) normalized landmarks, 62.5 per second.

    In segments of 512, as upstream; a last one of under ten frames holds the last landmarks (upstream drops it).
    """
    rest = torch.from_numpy(face.astype(np.float32))[None].to(device)
    parts: list[rules.Points] = []
    for start in range(0, len(windows), SEGMENT):
        heard = torch.from_numpy(windows[start : start + SEGMENT]).to(device)
        if len(heard) < SHORTEST and parts:
            parts.append(np.repeat(parts[-1][-1:], len(heard), 0))
            continue
        moved = np.zeros((len(heard), 68, 3))
        if speaker is not None and voice is not None:
            owner = torch.from_numpy(VOICE_FACTOR * voice.astype(np.float32)).to(device).expand(len(heard), SPEAKER)
            own = speaker(heard, owner).cpu().numpy().astype(np.float64)
            own = rules.smoothed(own, 31).reshape(-1, 68, 3)
            moved += amounts.head * rules.without_lip_opening(own)
        said = content.net(heard, rest).cpu().numpy().astype(np.float64).reshape(-1, 68, 3)
        said = rules.calibrated(said) if amounts.calibrate else said
        if not amounts.upper_face:
            said[:, rules.UPPER_FACE] = 0
        moved += rules.amplified(said, amounts.lip_x, amounts.lip_y)
        parts.append(rules.uncrossed(moved + face.reshape(68, 3)))
    points = rules.with_straight_nose(np.concatenate(parts))
    flat = rules.smoothed(points.reshape(-1, COORDINATES), 5)
    return flat.reshape(-1, 68, 3)


def placed(points: rules.Points, frame: rules.Frame, *, blink: bool, seed: int) -> rules.Points:
    """(T, 68, 3) normalized -> (T, 68, 2) px: blinks, then smoothing, 15 frames for the face and 5 for the mouth."""
    out = frame.place(points)
    if blink:
        out = rules.with_blinks(out, rules.blinks(len(out), seed))
    out[:, :48], out[:, 48:] = rules.smoothed(out[:, :48], 15), rules.smoothed(out[:, 48:], 5)
    return out


def standardized(mel: Float32, content: Content, count: int) -> Float32:
    """(T, 80) mel -> (count, 18, 80) windows as the networks take them."""
    normal = np.clip((mel - content.mean) / content.std, -content.limit, content.limit)
    return sound.windows(normal.astype(np.float32), count)
