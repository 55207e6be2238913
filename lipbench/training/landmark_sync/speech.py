"""What the sync model on landmarks learns from: generated speech with what jaw and lips do at it. Nothing is drawn.

Voices take turns: the built-in formant synthesiser, espeak-ng and flite, whose voices were made from recordings of
people. Sentences and voices of the benchmark's corpora never occur in the training split.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import UsageError
from lipbench.core.training import Request
from lipbench.datasets.annotations import Phoneme
from lipbench.metrics.sync.landmark.mouth import FPS
from lipbench.metrics.sync.landmark.sound import PER_FRAME, RATE, log_mel
from lipbench.synthetic.corpus import articulation
from lipbench.synthetic.corpus.spec import stream
from lipbench.synthetic.speech import espeak, flite, room, timelines
from lipbench.synthetic.speech.phones import Unit, units
from lipbench.training.speech import LANGUAGES, kept_speech, spoken_takes

DATA_VERSION = 2  # 2: espeak-ng's noise is seeded
#: Spoken in the held-out data alone, besides the languages of the training.
UNHEARD = "it"
#: Of a flite speaker: slowness, factor on the pitch, silence before the first word (s), words.
_SLOW, _PITCH, _LEAD_S, _WORDS = (0.75, 1.25), (0.75, 1.35), 0.8, 26


def data(folder: Path, split: str, n: int, config: Any, request: Request) -> tuple[Any, Any, str]:
    """(n, takes, 4 T, 40) float16 log-mels, (n, T, 10) articulation channels and a digest; kept in the folder.

    Args:
        config: has `seconds`, `takes` and `voices`, engines that take turns.

    Raises:
        UsageError: an engine is not installed.
    """
    missing = [
        name
        for name, there in (("espeak", espeak.available), ("flite", flite.available))
        if name in config.voices and not there()
    ]
    if missing:
        raise UsageError(
            f"voices of {' and '.join(missing)} are missing",
            "the packaged weights were trained on them",
            "pip install 'lipbench[speech]' and the program flite, or train with --config formant",
        )
    kind = f"landmark sync data, {'+'.join(config.voices)}, flite {flite.version()}"
    return kept_speech(folder, split, n, config, request, speak, kind, "channels", DATA_VERSION)


def speak(number: int, seed: int, split: str, config: Any, share: float) -> tuple[Any, Any]:
    """(takes, 4 T, 40) log-mels and (T, 10) articulation of one generated clip.

    Args:
        share: not used; `config.voices` says who speaks.
    """
    trained = split == "train"
    engine = config.voices[number % len(config.voices)]
    turn = number // len(config.voices)  # languages turn more slowly than engines: every engine speaks them all
    takes = config.takes if trained else 1
    n_frames = round(config.seconds * FPS)
    if engine == "flite":
        audio, spoken = _flite(stream(seed, "landmark-sync", split, "flite", number), trained, config.seconds, takes)
    else:
        languages = LANGUAGES if trained else (*LANGUAGES, UNHEARD)
        recorded, spoken, _ = spoken_takes(
            f"landmark-sync-{engine}",
            800_000,
            number,
            seed,
            split,
            config,
            float(engine == "espeak"),
            (languages[turn % len(languages)],),
            takes,
        )
        audio = [take.audio for take in recorded]
    bands = np.stack([log_mel(one)[: PER_FRAME * n_frames] for one in audio])
    return bands, articulation.track(spoken, n_frames).astype(np.float32)


def _flite(
    rng: np.random.Generator, trained: bool, seconds: float, takes: int
) -> tuple[list[NDArray[np.int16]], Sequence[Unit]]:
    """Random words in an English voice; words of the other languages are read as if they were English."""
    language = LANGUAGES[int(rng.integers(len(LANGUAGES)))] if rng.uniform() < 0.5 else "en"
    entries = timelines.sentences()
    pool = timelines.pool("train" if trained else "test")
    words = [w.text for i in pool for w in entries[i][language].words if w.text]
    chosen = [words[int(k)] for k in rng.integers(len(words), size=_WORDS)]
    pauses = set(rng.integers(_WORDS, size=4).tolist())
    text = " ".join(word + "," * (k in pauses) for k, word in enumerate(chosen))
    voice = list(flite.VOICES)[int(rng.integers(len(flite.VOICES)))]
    pitch = flite.VOICES[voice] * float(rng.uniform(*_PITCH)) if rng.uniform() < 0.7 else None
    said = flite.say(text, voice=voice, slowness=float(rng.uniform(*_SLOW)), pitch_hz=pitch)
    lead = float(rng.uniform(0, _LEAD_S))
    n, first = round(seconds * RATE), round(lead * RATE)
    dry = np.zeros(n, np.int16)
    dry[first : first + len(said.audio)] = said.audio[: n - first]
    heard = [Phoneme(p.ipa, p.start_s + lead, p.end_s + lead) for p in said.phonemes if p.start_s + lead < seconds]
    rooms = [room.random_acoustics(rng) for _ in range(takes)]
    return [room.record(dry, acoustics, int(rng.integers(1 << 62))) for acoustics in rooms], units(heard)
