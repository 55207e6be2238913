"""Speech from flite, where that program is installed: voices made from recordings of people, with phoneme times.

Carnegie Mellon University's flite 2 (its own permissive licence) speaks English; `apt install flite` or the like brings
the program. The voices are `slt`, `rms` and `awb` (models of CMU Arctic speakers) and `kal16` (diphones).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from lipbench import media
from lipbench.core.errors import LipbenchError, UsageError
from lipbench.core.registry import unknown
from lipbench.datasets.annotations import Phoneme
from lipbench.synthetic.speech.espeak import RATE, SpokenText

#: voice -> its usual pitch, Hz
VOICES = {"slt": 170.0, "rms": 100.0, "awb": 120.0, "kal16": 105.0}
FEMALE = frozenset(("slt",))
_PHONES = (
    "aa:ɑ ae:æ ah:ʌ ao:ɔ aw:aʊ ax:ə axr:ɚ ay:aɪ b:b ch:tʃ d:d dh:ð eh:ɛ er:ɝ ey:eɪ f:f g:ɡ hh:h ih:ɪ ix:ɨ iy:i jh:dʒ "
    "k:k l:l m:m n:n ng:ŋ ow:oʊ oy:ɔɪ p:p r:ɹ s:s sh:ʃ t:t th:θ uh:ʊ uw:u v:v w:w y:j z:z zh:ʒ pau:"
)
_ARPABET = dict(pair.split(":") for pair in _PHONES.split())


def available() -> bool:
    """Whether the program flite is on PATH."""
    return shutil.which("flite") is not None


def version() -> str:
    """The program's name for its version, "" where it is missing."""
    if not available():
        return ""
    said = subprocess.run(["flite", "--version"], capture_output=True, text=True, check=False)
    return next((line.split()[1] for line in said.stdout.splitlines() if "version:" in line), "")


def say(text: str, *, voice: str = "slt", slowness: float = 1.0, pitch_hz: float | None = None) -> SpokenText:
    """Speak an English text.

    Args:
        slowness: factor on all durations.
        pitch_hz: mean fundamental frequency; None: the voice's own.

    Raises:
        UsageError: the program is not installed.
        UnknownName: no such voice.
        LipbenchError: flite failed.
    """
    if not available():
        raise UsageError(
            "flite is not installed", "some speech is to come from its voices", "install the program flite"
        )
    if voice not in VOICES:
        raise unknown("voices", voice, list(VOICES))
    settings = [f"duration_stretch={slowness:.4f}"]
    if pitch_hz is not None:
        settings.append(f"int_f0_target_mean={pitch_hz:.2f}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "speech.wav"
        options = [part for setting in settings for part in ("--setf", setting)]
        command = ["flite", "-voice", voice, "-psdur", *options, "-t", text, str(file)]
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        if said.returncode or not file.exists():
            raise LipbenchError(f"flite could not say {text[:40]!r}", said.stderr.strip(), "check the installed voices")
        audio = media.read_audio(file, RATE)
    phonemes, at = [], 0.0
    for name, end in (part.rsplit(":", 1) for part in said.stdout.split() if ":" in part):
        phonemes.append(Phoneme(_ARPABET.get(name, ""), at, float(end)))
        at = float(end)
    return SpokenText(audio, tuple(phonemes), ())
