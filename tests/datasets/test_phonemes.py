"""Timed phonemes in the forms that aligners write."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lipbench.core.errors import MediaError
from lipbench.datasets.phonemes import read_phonemes

LONG = '''File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 0.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 0.5
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = "a ""word"""
    item [2]:
        class = "IntervalTier"
        name = "jo - phones"
        xmin = 0
        xmax = 0.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.1
            text = "sil"
        intervals [2]:
            xmin = 0.1
            xmax = 0.3
            text = "B"
        intervals [3]:
            xmin = 0.3
            xmax = 0.5
            text = "AY1"
'''
SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
0.5
<exists>
2
"TextTier"
"notes"
0
0.5
1
0.2
"a click"
"IntervalTier"
"phones"
0
0.5
3
0
0.1
""
0.1
0.3
"b"
0.3
0.5
"aɪ"
"""
ROWS = [(0.0, 0.1, ""), (0.1, 0.3, "b"), (0.3, 0.5, "aɪ")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_textgrid(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(LONG, encoding=encoding)
    assert read_phonemes(path) == [*ROWS[:2], (0.3, 0.5, "ˈaɪ")]
    path.write_text(SHORT, encoding=encoding)
    assert read_phonemes(path) == ROWS


def test_ctm(tmp_path: Path) -> None:
    path = tmp_path / "a.ctm"
    path.write_text(";; phones\nfilm 1 0.0 0.1 SIL\nfilm 1 0.1 0.2 B 0.98\nfilm 1 0.3 0.2 AY\n")
    assert read_phonemes(path) == ROWS
    path.write_text("one 1 0.0 0.1 b\ntwo 1 0.1 0.2 a\n")
    with pytest.raises(MediaError, match="2 recordings"):
        read_phonemes(path)


@pytest.mark.parametrize(
    "data",
    [
        ROWS,
        [{"start": a, "end": b, "phoneme": c} for a, b, c in ROWS],
        {"phones": [{"start": a, "duration": b - a, "label": c} for a, b, c in ROWS]},
        {"phonemes": [{"start": a, "end": b, "text": c} for a, b, c in ROWS]},
    ],
)
def test_json(tmp_path: Path, data: object) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(data))
    assert [(a, pytest.approx(b), c) for a, b, c in read_phonemes(path)] == ROWS


def test_arpabet_becomes_ipa_only_where_all_of_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for given, expected in (
        (["HH", "AH0", "L", "OW1"], ["h", "ə", "l", "ˈoʊ"]),
        (["b", "AY"], ["b", "AY"]),
        (["t", "s"], ["t", "s"]),
    ):
        path.write_text(json.dumps([[i, i + 1, c] for i, c in enumerate(given)]))
        assert [symbol for _, _, symbol in read_phonemes(path)] == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "a.json"),
        ("a.json", '{"a": 1}', "form is another"),
        ("a.json", '[[1, 0, "a"]]', "'a' at 1 s to 0 s"),
        ("a.json", '[[1, 2, "a"], [0, 1, "b"]]', "'b' at 0 s"),
        ("a.json", '[[-1, 2, "a"]]', "'a' at -1 s"),
        ("a.json", "[[1, 2]]", "form is another"),
        ("a.ctm", "film 1 0.0", "a.ctm"),
        ("a.TextGrid", "hello", "no TextGrid"),
        ("a.TextGrid", LONG.replace("phones", "sounds"), "which tier .* words, jo - sounds"),
    ],
)
def test_mistakes(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(MediaError, match=message):
        read_phonemes(tmp_path / name)
    with pytest.raises(MediaError, match="cannot read"):
        read_phonemes(tmp_path / f"none-{name}")
