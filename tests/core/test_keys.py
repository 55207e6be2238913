"""Keys: canonical form, frozen values, which fields are in."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lipbench.core import keys
from lipbench.engine.config import RunFile
from lipbench.engine.outcome import RunOptions

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


@dataclass
class Crop:
    size: int
    scale: float = 2.0


def test_a_dataclass_counts_by_its_fields():
    assert keys.canonical({"crop": Crop(96)}) == '{"crop":{"scale":2,"size":96}}'


def test_a_dataclass_itself_is_refused():
    """The class was meant to be called: without its fields two different crops would share a key."""
    with pytest.raises(TypeError, match=r"cannot put type into a key: .*Crop"):
        keys.canonical({"crop": Crop})


def test_a_model_counts_by_its_fields():
    data = {"manifest": "m.yaml", "methods": ["dubbed"]}
    model = RunFile.model_validate(data)
    assert keys.canonical({"run": model}) == keys.canonical({"run": model.model_dump(mode="json")})


def test_field_names_are_text():
    """JSON would write 1 and "1" alike."""
    with pytest.raises(TypeError, match=r"strings, not 1$"):
        keys.canonical({"seeds": {1: "a"}})


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        ({"in": [1, {"x": 2}]}, {"in": [1, {"x": 3}]}, ("in[1].x", 2, 3)),
        ({"in": [[1, 2], [3, 4]]}, {"in": [[1, 2], [3, 5]]}, ("in[1][1]", 4, 5)),
        ({"in": [1, 9, 8]}, {"in": [1, 2, 3]}, ("in[1]", 9, 2)),
        ({"in": [1, 2]}, {"in": [1, 2]}, None),
        ({"in": [1, 2]}, {"in": [1, 2, 3]}, ("in", [1, 2], [1, 2, 3])),
        ({"in": [1, 2]}, {"in": [7]}, ("in", [1, 2], [7])),
        ({"in": [1]}, {"in": 1}, ("in", [1], 1)),
        ({"in": {"x": 1}}, {"in": {}}, ("in.x", 1, "(absent)")),
        ({"in": {}}, {"in": {"x": 1}}, ("in.x", "(absent)", 1)),
        ({"in": {"x": 1}}, {"in": [1]}, ("in", {"x": 1}, [1])),
        ({"b": 1, "a": 1}, {"b": 2, "a": 2}, ("a", 1, 2)),
    ],
)
def test_first_difference_names_the_place_and_both_values(a, b, found):
    assert keys.first_difference(a, b) == found


def test_a_file_larger_than_one_block_is_hashed_whole(tmp_path):
    path = tmp_path / "large.bin"
    path.write_bytes(b"0123456789abcdef" * (1 << 17) + b"end")
    assert keys.sha256_file(path) == sha256(path.read_bytes()).hexdigest()


#: One frozen key per KEY_VERSION. A change here is a change of every user's cache: bump KEY_VERSION and add a line.
FROZEN = {
    1: "6e31a72a1fec60bbd2c7c7c4b12271ee08d7af187958a628705becff6e2de868",
    2: "e19139d2e8ae63eb1b810916d0fd164c84fdcdd4791c289a7ee647a13a4442ad",  # code: closures, in every kind of key
}


def test_frozen_key():
    preimage = {"kind": "clip", "version": "1", "video": "0" * 64, "fps": 25.0, "start_s": 0, "end_s": None}
    assert keys.key_of(preimage) == FROZEN[keys.KEY_VERSION]


#: Every field of a run file is either part of some stage's key or chooses cells. A new field must be classed here.
IN_KEYS = {"sync_model", "protocol", "sync", "fps", "faces", "methods", "train_seconds", "seeds"}
CHOOSES = {"name", "manifest", "split", "metrics", "clips", "languages", "original", "schema_version", "allow_missing"}
# It stands for metrics and sync, which are there.
CHOOSES |= {"recipe"}
#: Options never enter a key: none of them can change a number.
NOT_IN_KEYS = {"gpu_share", "retries", "timeout_s", "max_failures"}


def test_every_run_field_is_classed():
    assert set(RunFile.model_fields) == IN_KEYS | CHOOSES
    assert {f.name for f in fields(RunOptions)} == NOT_IN_KEYS
