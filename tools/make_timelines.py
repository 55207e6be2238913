"""Write timelines.json from texts.yaml with espeak-ng: `python -m tools.make_timelines`.

Needs the extra `speech`. The file is committed; this runs only when a text changes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lipbench.core.atomic import write_text
from lipbench.synthetic.speech import timelines
from lipbench.synthetic.speech.espeak import Espeak, SpokenText
from lipbench.synthetic.speech.timelines import LANGUAGES

RATE_WPM = 160
#: Shorter silences are glides and releases, not pauses (espeak-ng gives a comma 175 ms).
PAUSE_MS = 120


def words_of(speech: SpokenText) -> list[list[Any]]:
    """[[word, [[ipa, ms], ...]], ...] of a sentence, silence at both ends cut, pauses within kept as word ""."""
    phonemes = list(speech.phonemes)
    while phonemes and not phonemes[0].ipa:
        phonemes.pop(0)
    while phonemes and not phonemes[-1].ipa:
        phonemes.pop()
    out: list[list[Any]] = []
    waiting = list(speech.words)
    for phoneme in phonemes:
        if phoneme.ipa and waiting and phoneme.start_s >= waiting[0][0] - 1e-6:
            out.append([waiting.pop(0)[1], []])
            # Some short words are spoken with their neighbor and have no time of their own.
            while waiting and phoneme.start_s >= waiting[0][0] - 1e-6:
                out[-1][0] += " " + waiting.pop(0)[1]
        ms = round(phoneme.duration_s * 1e3)
        if ms <= 0:
            continue
        if not phoneme.ipa and ms >= PAUSE_MS:
            out.append(["", [["", ms]]])
        elif not phoneme.ipa and out and out[-1][1]:
            out[-1][1][-1][1] += ms  # glides and releases of a few ms belong to the sound before
        else:
            if not out or (out[-1][0] == "" and out[-1][1]):
                out.append(["", []])
            out[-1][1].append([phoneme.ipa, ms])
    return [word for word in out if word[1]]


def main() -> None:
    from lipbench.core import yaml

    folder = Path(timelines.__file__).parent
    texts = yaml.read(folder / "texts.yaml").values
    entries = []
    with Espeak() as engine:
        for text in texts:
            words = {k: words_of(engine.say(text[k], k, variant="m3", rate=RATE_WPM)) for k in LANGUAGES}
            entries.append(
                {"id": text["id"], "pool": text["pool"], "text": {k: text[k] for k in LANGUAGES}, "words": words}
            )
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in entries)
    made_with = "espeak-ng 1.52.0 (espeakng-loader): python -m tools.make_timelines"
    head = json.dumps({"schema": 1, "made_with": made_with, "rate_wpm": RATE_WPM})
    write_text(folder / "timelines.json", head[:-1] + ', "sentences": [\n' + lines + "\n]}\n")


if __name__ == "__main__":
    main()
