"""Speakers of the formant synthesiser."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lipbench.core.registry import unknown


@dataclass(frozen=True)
class Voice:
    """How a formant speaker sounds.

    Attributes:
        id: name.
        female: picks a face and dub voices that go with it.
        pitch_hz: mean fundamental frequency.
        span: liveliness of the melody (see prosody.contour).
        tract: factor on all formants: about 0.95 for a long vocal tract, 1.18 for a short one.
        tilt_db: spectral tilt of the glottal source at 3 kHz; more is softer.
        breath: aspiration noise while voiced, 0 .. 0.5.
        open_quotient: open share of the glottal cycle, 0.4 pressed .. 0.75 lax.
        jitter: random change of the period, as a share.
        creak: how much the pitch breaks at the end of phrases, 0 .. 1.
        width: factor on formant bandwidths: over 1 is muffled.
    """

    id: str
    female: bool
    pitch_hz: float
    span: float = 1.0
    tract: float = 1.0
    tilt_db: float = 3.0
    breath: float = 0.06
    open_quotient: float = 0.55
    jitter: float = 0.008
    creak: float = 0.0
    width: float = 1.0


VOICES: dict[str, Voice] = {
    voice.id: voice
    for voice in (
        Voice("arno", False, 108, 0.9, 0.97, 2.5, 0.05, 0.52, 0.008, 0.2),
        Voice("bruno", False, 92, 0.8, 0.93, 5, 0.08, 0.58, 0.010, 0.5, 1.1),
        Voice("carlo", False, 128, 1.2, 1.00, 1.5, 0.04, 0.48, 0.007),
        Voice("david", False, 118, 1.0, 1.02, 4.5, 0.12, 0.62, 0.009, 0.1, 1.15),
        Voice("emil", False, 146, 1.3, 1.04, 2, 0.05, 0.50, 0.006, 0.0, 0.9),
        Voice("frank", False, 84, 0.7, 0.95, 2, 0.03, 0.45, 0.014, 0.7, 0.95),
        Voice("alma", True, 205, 1.0, 1.15, 4.5, 0.10, 0.62, 0.006),
        Voice("bella", True, 188, 1.2, 1.12, 2.5, 0.06, 0.55, 0.006),
        Voice("clara", True, 228, 1.1, 1.18, 3.5, 0.08, 0.58, 0.005, 0.0, 0.95),
        Voice("diana", True, 172, 0.8, 1.10, 6, 0.16, 0.68, 0.008, 0.4, 1.15),
        Voice("elena", True, 214, 1.4, 1.16, 2, 0.05, 0.52, 0.006),
        Voice("flora", True, 196, 0.9, 1.20, 5, 0.12, 0.64, 0.007, 0.2, 1.1),
    )
}


def voice(name: str) -> Voice:
    """The packaged voice of that name.

    Raises:
        UnknownName: with the nearest names.
    """
    if name not in VOICES:
        raise unknown("voices", name, list(VOICES))
    return VOICES[name]


def random_voice(rng: np.random.Generator, female: bool) -> Voice:
    """A new voice: a packaged one with every parameter changed."""
    names = [v.id for v in VOICES.values() if v.female == female]
    base = VOICES[names[int(rng.integers(len(names)))]]
    return replace(
        base,
        id=f"{base.id}-{int(rng.integers(1 << 20)):05x}",
        pitch_hz=base.pitch_hz * 2.0 ** rng.uniform(-0.3, 0.3),
        span=base.span * rng.uniform(0.7, 1.3),
        tract=float(np.clip(base.tract * rng.uniform(0.95, 1.05), 0.88, 1.25)),
        tilt_db=max(0.5, base.tilt_db + rng.uniform(-2, 3)),
        breath=float(np.clip(base.breath * rng.uniform(0.5, 2.0), 0.01, 0.3)),
        open_quotient=float(np.clip(base.open_quotient + rng.uniform(-0.06, 0.06), 0.4, 0.75)),
        width=base.width * rng.uniform(0.85, 1.25),
    )
