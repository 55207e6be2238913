"""Timed phonemes of a dub, as aligners write them: Praat's TextGrid, NIST's CTM, or JSON.

Symbols are IPA; those of ARPABET (CMUdict, LibriSpeech models of the Montreal Forced Aligner) are turned into it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from lipbench.core.errors import MediaError

Row = tuple[float, float, str]

#: Names of tiers that hold phonemes, as aligners write them.
TIERS = ("phones", "phonemes", "phone", "phoneme", "phons", "segments", "mau")

#: Marks of a pause.
_PAUSES = frozenset({"", "sil", "sp", "spn", "pau", "<eps>", "<p:>", "<sil>", "_", "#"})

_ARPABET = {
    **{"AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AX": "ə", "AXR": "ɚ", "AY": "aɪ", "EH": "ɛ", "ER": "ɝ"},
    **{"EY": "eɪ", "IH": "ɪ", "IX": "ɨ", "IY": "i", "OW": "oʊ", "OY": "ɔɪ", "UH": "ʊ", "UW": "u", "B": "b", "CH": "tʃ"},
    **{"D": "d", "DH": "ð", "F": "f", "G": "ɡ", "HH": "h", "JH": "dʒ", "K": "k", "L": "l", "M": "m", "N": "n"},
    **{"NG": "ŋ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t", "TH": "θ", "V": "v", "W": "w", "Y": "j"},
    **{"Z": "z", "ZH": "ʒ"},
}
_STRESSED = re.compile(r"([A-Z]{1,3})([012]?)")

_INTERVAL = re.compile(
    r"xmin\s*=\s*(?P<start>[-\d.eE+]+)\s+xmax\s*=\s*(?P<end>[-\d.eE+]+)\s+text\s*=\s*\"(?P<text>(?:[^\"]|\"\")*)\""
)
_TOKEN = re.compile(r"\"(?:[^\"]|\"\")*\"|<\w+>|[^\s\"]+")


def read_phonemes(path: str | Path) -> list[Row]:
    """(start s, end s, IPA) of every phoneme on the clock of the audio file, in order; "" is a pause.

    Args:
        path: *.TextGrid (an interval tier named as one of TIERS, or the only one), *.ctm (file, channel, start,
            duration, symbol), or JSON: [[start, end, symbol], ...], or objects with "start", "end" (or "duration")
            and "phoneme", "phone", "symbol", "label" or "text", in a list by itself or under "phonemes" or "phones".

    Raises:
        MediaError: the file is missing or of another form, or its times run backwards.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise MediaError(f"cannot read the phonemes {path}", str(error), "check the path and the encoding") from error
    try:
        if path.suffix.lower() == ".textgrid":
            rows = _textgrid(text)
        elif path.suffix.lower() == ".ctm":
            rows = _ctm(text)
        else:
            rows = _json(json.loads(text))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        why = str(error) if isinstance(error, ValueError) and str(error) else "its form is another"
        raise MediaError(f"cannot read the phonemes {path}", why, _FORMS) from error
    for before, after in zip([None, *rows], rows, strict=False):
        if not after[1] >= after[0] >= 0 or (before and after[0] < before[0]):
            raise MediaError(
                f"cannot use the phonemes {path}", f"{after[2]!r} at {after[0]:g} s to {after[1]:g} s", "mend its times"
            )
    return _ipa(rows)


_FORMS = "give a TextGrid, a ctm or JSON as [[start, end, symbol], ...]"


def _textgrid(text: str) -> list[Row]:
    if "ooTextFile" not in text[:200]:
        raise ValueError("it is no TextGrid in text form")
    tiers = _long_tiers(text) if re.search(r"item\s*\[\d", text) else _short_tiers(text)
    if not tiers:
        raise ValueError("it has no interval tier")
    named = [name for name in tiers if name.lower().split(" - ")[-1].strip() in TIERS]
    if len(named) != 1 and len(tiers) > 1:
        raise ValueError(f"which tier holds the phonemes? It has {', '.join(tiers)}; call it phones")
    return tiers[named[0] if named else next(iter(tiers))]


def _long_tiers(text: str) -> dict[str, list[Row]]:
    tiers: dict[str, list[Row]] = {}
    for part in re.split(r"item\s*\[\d+\]\s*:", text)[1:]:
        if re.search(r"class\s*=\s*\"IntervalTier\"", part):
            name = re.search(r"name\s*=\s*\"((?:[^\"]|\"\")*)\"", part)
            rows = [(float(m["start"]), float(m["end"]), _plain(m["text"])) for m in _INTERVAL.finditer(part)]
            tiers[_plain(name[1]) if name else ""] = rows
    return tiers


def _short_tiers(text: str) -> dict[str, list[Row]]:
    """The form without names of fields: values one after another."""
    tokens = iter(_TOKEN.findall(text))
    next(token for token in tokens if token == "<exists>")
    tiers: dict[str, list[Row]] = {}
    for _ in range(int(next(tokens))):
        kind, name = _plain(next(tokens).strip('"')), _plain(next(tokens)[1:-1])
        _ = next(tokens), next(tokens)
        size = 3 if kind == "IntervalTier" else 2
        values = [[next(tokens) for _ in range(size)] for _ in range(int(next(tokens)))]
        if kind == "IntervalTier":
            tiers[name] = [(float(start), float(end), _plain(label[1:-1])) for start, end, label in values]
    return tiers


def _plain(text: str) -> str:
    return text.replace('""', '"').strip()


def _ctm(text: str) -> list[Row]:
    rows, names = [], set()
    for line in text.splitlines():
        if line.strip() and not line.startswith(";;"):
            name, channel, start, length, symbol = line.split()[:5]
            names.add((name, channel))
            rows.append((float(start), round(float(start) + float(length), 6), symbol))
    if len(names) != 1:
        raise ValueError(f"it holds {len(names)} recordings, one is needed")
    return rows


def _json(data: Any) -> list[Row]:
    if isinstance(data, dict):
        data = data["phonemes"] if "phonemes" in data else data["phones"]
    rows = []
    for row in data:
        if isinstance(row, dict):
            start = float(row["start"])
            end = float(row["end"]) if "end" in row else start + float(row["duration"])
            symbol = next(row[name] for name in ("phoneme", "phone", "symbol", "label", "text") if name in row)
        else:
            start, end, symbol = float(row[0]), float(row[1]), row[2]
        rows.append((start, end, str(symbol)))
    return rows


def _ipa(rows: list[Row]) -> list[Row]:
    rows = [(start, end, "" if symbol.lower() in _PAUSES else symbol) for start, end, symbol in rows]
    codes = {symbol for _, _, symbol in rows if symbol}
    parts = {code: _STRESSED.fullmatch(code) for code in codes}
    if not codes or not all(part and part[1] in _ARPABET for part in parts.values()):
        return rows

    def ipa(code: str) -> str:
        part = parts[code]
        assert part is not None
        # An unstressed AH is the neutral vowel.
        return "ə" if code == "AH0" else {"1": "ˈ", "2": "ˌ"}.get(part[2], "") + _ARPABET[part[1]]

    return [(start, end, ipa(symbol) if symbol else "") for start, end, symbol in rows]
