"""Keys: canonical form, frozen values, which fields are in."""

from __future__ import annotations

import json
import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipbench.core import keys
from lipbench.engine.config import RunFile
from lipbench.engine.runner import Options

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=8) | st.floats(-1e6, 1e6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=5), PLAIN, max_size=5))
def test_order_of_fields_does_not_matter(data):
    backwards = dict(reversed(list(data.items())))
    assert keys.key_of(data) == keys.key_of(backwards)


@given(st.dictionaries(st.text(max_size=5), PLAIN, max_size=5), st.dictionaries(st.text(max_size=5), PLAIN, max_size=5))
def test_different_content_has_different_keys(a, b):
    same = keys.canonical(a) == keys.canonical(b)
    assert (keys.key_of(a) == keys.key_of(b)) == same
    assert (keys.first_difference(json.loads(keys.canonical(a)), json.loads(keys.canonical(b))) is None) == same


@given(PLAIN)
def test_canonical_survives_a_json_round_trip(value):
    text = keys.canonical(value)
    assert keys.canonical(json.loads(text)) == text


def test_whole_floats_tuples_and_sets_have_one_form():
    assert keys.canonical({"a": 3.0, "b": (1, 2), "c": {"y", "x"}}) == '{"a":3,"b":[1,2],"c":["x","y"]}'


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_not_a_number_is_refused(bad):
    with pytest.raises(ValueError):
        keys.canonical({"a": bad})


def test_paths_are_refused(tmp_path):
    with pytest.raises(TypeError, match="Path"):
        keys.canonical({"file": tmp_path})


#: One frozen key per KEY_VERSION. A change here is a change of every user's cache: bump KEY_VERSION and add a line.
FROZEN = {
    1: "6e31a72a1fec60bbd2c7c7c4b12271ee08d7af187958a628705becff6e2de868",
    2: "e19139d2e8ae63eb1b810916d0fd164c84fdcdd4791c289a7ee647a13a4442ad",  # code: closures, in every kind of key
}


def test_frozen_key():
    preimage = {"kind": "clip", "version": "1", "video": "0" * 64, "fps": 25.0, "start_s": 0, "end_s": None}
    assert keys.key_of(preimage) == FROZEN[keys.KEY_VERSION]


#: Every field of a run file is either part of some stage's key or chooses cells. A new field must be classed here.
IN_KEYS = {"judge", "protocol", "sync", "fps", "faces", "methods", "train_seconds", "seeds"}
CHOOSES = {"name", "manifest", "split", "metrics", "clips", "languages", "original", "schema_version"}
#: Options never enter a key: none of them can change a number.
NOT_IN_KEYS = {"retries", "timeout_s", "max_failures"}


def test_every_run_field_is_classed():
    assert set(RunFile.model_fields) == IN_KEYS | CHOOSES
    assert {f.name for f in fields(Options)} == NOT_IN_KEYS
