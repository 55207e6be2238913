"""record.json: what is no record, or not the record that was written, is told as damaged, with the reason."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipbench.core.errors import Damaged
from lipbench.core.record import Record, parse_record, record_text

KEY = "ab" * 32
RECORD = Record(
    KEY,
    "synthesize",
    "ok",
    {"kind": "synthesize", "x": 3.0},
    outputs={"video": {"path": "out/video.mp4", "sha256": "cd" * 32, "bytes": 3, "mtime_ns": 4}},
    rest={"clip.json": [2, 3, "ef" * 32]},
    scores={"psnr_full": {"value": 28.98, "reason": None}},
    timing={"wall_s": 0.1},
)
TEXT = record_text(RECORD)


def why(text: str | bytes, key: str = KEY) -> str:
    with pytest.raises(Damaged) as caught:
        parse_record(text if isinstance(text, bytes) else text.encode(), key)
    assert caught.value.exit_code == 2
    assert caught.value.fix
    return caught.value.why


def edited(**changes: Any) -> str:
    """The record with other fields and a digest that fits them: only their form is wrong."""
    return record_text(replace(RECORD, **changes))


def test_what_was_written_is_read() -> None:
    assert parse_record(TEXT.encode(), KEY) == RECORD
    assert json.loads(TEXT)["status"] == "ok"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it is empty"),
        (TEXT[:40], "no JSON"),
        ("\0" * 100, "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        ("[]", "it holds a list"),
        ("null", "it holds a NoneType"),
        ("{}", "its schema is None"),
        ('{"schema": 1}', "it has no key"),
        ('{"schema": 2}', "it was changed"),
        (TEXT.replace('"schema": 2', '"schema": 99'), "its schema is 99"),
        (TEXT.replace("28.98", "98.98"), "it was changed after it was written"),
        (TEXT.replace('"attempts": 1', '"attempts": 1, "extra": 2'), "it was changed after it was written"),
        (TEXT.replace("28.98", "NaN"), "it was changed after it was written"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_what_is_no_record(text: str | bytes, told: str) -> None:
    assert told in why(text)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"status": "fine"}, "its status is 'fine'"),
        ({"outputs": []}, "its outputs is a list"),
        ({"outputs": {"video": {}}}, "its output video lacks"),
        ({"outputs": {"video": {"path": "out/../../x", "sha256": "", "bytes": 1}}}, "not in its own folder"),
        ({"outputs": {"video": {"path": "/etc/passwd", "sha256": "", "bytes": 1}}}, "not in its own folder"),
        ({"rest": {"../x": [1, 2, ""]}}, "in its own folder"),
        ({"rest": {"x": 3}}, "no size, time and hash"),
        ({"error": {"what": "x"}}, "its error has no reason"),
        ({"scores": None}, "its scores is a NoneType"),
    ],
)
def test_a_record_of_another_form(changes: dict[str, Any], told: str) -> None:
    assert told in why(edited(**changes))


def test_the_record_of_another_key() -> None:
    assert why(TEXT, "cd" * 32) == f"it is the record of {KEY[:12]}"


def test_records_of_the_first_schema_have_no_digest() -> None:
    data = {k: v for k, v in json.loads(TEXT).items() if k not in ("digest", "rest")}
    assert parse_record(json.dumps({**data, "schema": 1}).encode(), KEY) == replace(RECORD, rest=None, schema=1)
    assert "nothing is called 'extra'" in why(json.dumps({**data, "schema": 1, "extra": 1}))


@settings(deadline=None)
@given(st.integers(0, len(TEXT) - 1), st.characters(codec="ascii"))
def test_no_edit_of_one_letter_goes_unseen(at: int, letter: str) -> None:
    text = TEXT[:at] + letter + TEXT[at + 1 :]
    try:
        assert parse_record(text.encode(), KEY) == RECORD
        assert text == TEXT
    except Damaged:
        assert text != TEXT
