"""The YAML reader: what it takes, what it refuses, and how fast."""

from __future__ import annotations

import pytest
import yaml as pyyaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lipbench.core import yaml
from lipbench.core.document import InvalidDocument
from lipbench.core.errors import ManifestError


def refusal(text: str) -> str:
    with pytest.raises(InvalidDocument) as caught:
        yaml.parse(text, "f")
    assert len(str(caught.value).splitlines()) <= 3
    assert caught.value.fix
    return caught.value.what


SCALARS = {
    # written: (YAML 1.2's value, whether YAML 1.1 says something else than text)
    "no": ("no", True),
    "Yes": ("Yes", True),
    "off": ("off", True),
    "true": (True, False),
    "FALSE": (False, False),
    "010": (10, True),
    "08": (8, True),
    "0o10": (8, False),
    "0x1F": (31, False),
    "0b11": ("0b11", True),
    "1_000": ("1_000", True),
    "1:30": ("1:30", True),
    "-7": (-7, False),
    "1.10": (1.1, False),
    "1e-3": (0.001, False),
    "-.inf": (float("-inf"), False),
    "2020-01-01": ("2020-01-01", False),
    "'no'": ("no", False),
    '"12"': ("12", False),
    "~": (None, False),
    "null": (None, False),
    "": (None, False),
    "''": ("", False),
    "9" * 5000: (float("inf"), False),
}


@pytest.mark.parametrize("text", SCALARS, ids=lambda t: t[:12] or "nothing")
def test_scalars_are_kept_as_written_and_read_by_yaml_1_2(text):
    value, doubtful = SCALARS[text]
    document = yaml.parse(f"a: {text}\n", "f")
    assert document.data["a"] == (None if value is None else text.strip("'\""))
    assert document.values["a"] == value
    assert type(document.values["a"]) is type(value)
    assert bool(document.doubtful) == doubtful


def test_every_place_has_its_line():
    document = yaml.parse("a:\n  - b: 1\n    c: {d: 2,\n e: 3}\n# x\nf: |\n  text\n", "f")
    assert document.lines == {
        (): 1,
        ("a",): 1,
        ("a", 0): 2,
        ("a", 0, "b"): 2,
        ("a", 0, "c"): 3,
        ("a", 0, "c", "d"): 3,
        ("a", 0, "c", "e"): 4,
        ("f",): 6,
    }
    assert document.line(("a", 0, "x", "y")) == 2
    assert document.line(("x",)) == 1


def test_merge_keys_give_way_to_what_is_written_and_the_first_wins():
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  z: 3\n  <<: [*a, *b]\nd: {<<: *a, x: 4}\n"
    document = yaml.parse(text, "f")
    assert document.values["c"] == {"x": 1, "y": 1, "z": 3}
    assert document.values["d"] == {"x": 4, "y": 1}
    assert document.data["c"] == {"x": "1", "y": "1", "z": "3"}
    assert document.lines[("c", "z")] == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f:1: the file is empty"),
        ("# only this\n", "f:1: the file is empty"),
        ("- a\n", "f:1: the file must be a mapping of fields"),
        ("a: 1\nb: {c: 1,\n c: 2}\n", "f:3: b.c: given twice, first in line 2"),
        ("a: 1\n'a': 2\n", "f:2: a: given twice, first in line 1"),
        ("a: 1\na: 2\nb: 1\nb: 2\n", "f:2: a: given twice, first in line 1 (and 1 more)"),
        ("a:\n\tb: 1\n", "f:2: not valid YAML: a tab where only spaces may indent"),
        ("a:\n  b: 1\n\tc: 1\n", "f:3: not valid YAML: a tab where only spaces may indent"),
        ("a: 1\n---\nb: 2\n", "f:2: not valid YAML: a second document begins"),
        ("a: 1\nb: x\x01\n", "f:2: not valid YAML: the character U+0001 is not allowed"),
        ("a: [1\nb: 2\n", "f:2: not valid YAML: "),
        ('a: "\\UFFFFFFFF"\n', "f:1: not valid YAML: "),
        ('b: 1\na: "\\ud800"\n', "f:2: a: half of a surrogate pair is no character"),
        ('"\\ud800": 1\n', "f:1: half of a surrogate pair is no character"),
        ("a: *b\n", "f:1: not valid YAML: found undefined alias 'b'"),
        ("x: 1\na: !!python/object:os.system x\n", "f:2: a: tag tag:yaml.org,2002:python/object:os.system is not"),
        ("a: !!python/object/apply:os.system [x]\n", "f:1: a: tag tag:yaml.org,2002:python/object/apply:os.system"),
        ("a: !!python/object:os.X {x: 1}\n", "f:1: a: tag tag:yaml.org,2002:python/object:os.X is not allowed"),
        ("!!python/name:os.system a: 1\n", "f:1: tag tag:yaml.org,2002:python/name:os.system is not allowed"),
        ("a: !mine [1]\n", "f:1: a: tag !mine is not allowed"),
        ("a: !!binary aGk=\n", "f:1: a: tag tag:yaml.org,2002:binary is not allowed"),
        ("? [a]\n: 1\n", "f:1: a field name must be text"),
        ("a: {<<: 3}\n", "f:1: a: `<<` takes mappings only"),
        ("a: &a {<<: *a}\n", "f:1: a: the aliases expand without end"),
    ],
)
def test_what_is_refused_names_its_line(text, message):
    assert refusal(text).startswith(message)


def test_a_fault_that_an_alias_repeats_is_told_once():
    with pytest.raises(InvalidDocument) as caught:
        yaml.parse("a: &a {x: !no 1}\nb: *a\nc: {<<: *a}\n", "f")
    assert len(caught.value.problems) == 1


def laughs(entry: str) -> str:
    """Ten to the ninth x in 9 lines."""
    lines = ["a0: &a0 {x: x}\n"]
    for i in range(1, 10):
        lines.append(f"a{i}: &a{i} " + entry.format(", ".join([f"*a{i - 1}"] * 10)) + "\n")
    return "".join(lines)


BOMBS = {
    "aliases": (laughs("[{}]"), "the aliases expand without end"),
    "merge keys": (laughs("{{<<: [{}]}}"), "the aliases expand without end"),
    "a chain of aliases": (
        "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 1000)),
        "the aliases expand without end",
    ),
    "deep lists": ("a: " + "[" * 10_000 + "]" * 10_000, "nested more than 50 deep"),
    "deep mappings": ("a: " + "{a: " * 10_000 + "}" * 10_000, "nested more than 50 deep"),
    "deep block lists": ("a:\n " + "- " * 10_000, "nested more than 50 deep"),
    "deep keys": ("? " * 10_000, "nested more than 50 deep"),
}


@pytest.mark.parametrize("loaders", [yaml._LOADERS, yaml._LOADERS[-1:]], ids=["all", "python"])
@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_stands_for_a_huge_one(name, loaders, monkeypatch):
    monkeypatch.setattr(yaml, "_LOADERS", loaders)
    text, message = BOMBS[name]
    assert message in refusal(text)  # a file that expands takes minutes and all memory


def test_what_is_within_the_limits_is_read():
    depth = yaml.MAX_DEPTH - 2
    document = yaml.parse("a: " + "[" * depth + "]" * depth, "f")
    assert document.data["a"]
    shared = "a: &a {x: 1, y: 2}\nb: [" + ", ".join(["*a"] * 5000) + "]\n"
    assert len(yaml.parse(shared, "f").data["b"]) == 5000
    assert "the aliases expand without end" in refusal(shared.replace("b: [", "b: [" + "*a, " * 2000))


def test_too_many_values(monkeypatch):
    monkeypatch.setattr(yaml, "MAX_NODES", 100)
    assert len(yaml.parse("a: [" + "1, " * 97 + "]", "f").data["a"]) == 97  # and a, its list, the mapping
    assert refusal("a: [" + "1, " * 98 + "]") == "f:1: more than 100 values"


def test_a_large_file_is_refused_before_it_is_parsed(tmp_path, monkeypatch):
    path = tmp_path / "f.yaml"
    with open(path, "wb") as file:
        file.truncate(100 * 2**20)
    monkeypatch.setattr(yaml, "parse", lambda *_: pytest.fail("it was parsed"))
    with pytest.raises(ManifestError, match="too large for a file\na file has at most 16 MiB"):
        yaml.read(path)


def test_bytes_that_are_no_utf_8_have_their_line(tmp_path):
    path = tmp_path / "f.yaml"
    path.write_bytes("a: é\nb: 1\n".encode() + b"c: caf\xe9\n")
    with pytest.raises(InvalidDocument, match=r"f\.yaml:3: this file is not UTF-8 text\nfound the byte 0xe9"):
        yaml.read(path)


def test_the_escapes_of_json():
    assert yaml.parse('{"\\ud83d\\ude00": "\\u00e9\\/\\ud83d\\ude00"}', "f").data == {"\U0001f600": "é/\U0001f600"}


def test_values_on_their_own():
    assert yaml.parse_value("[0, 10, 'a', no, 1e-3, ~]", "-p") == [0, 10, "a", "no", 0.001, None]
    assert yaml.parse_value("", "-p") is None
    assert yaml.parse_value("{a: true}", "-p") == {"a": True}
    with pytest.raises(InvalidDocument, match="-p:1: not valid YAML"):
        yaml.parse_value("[1", "-p")


# ---- any document -------------------------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.integers(-(10**20), 10**20) | st.floats(allow_nan=False)
scalars = st.none() | st.booleans() | numbers | texts | st.sampled_from(["no", "010", "1:30", "2020-01-01", "~", "<<"])
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts.filter(lambda t: t != "<<"), inner, max_size=4),
    max_leaves=20,
)
documents = st.dictionaries(texts, trees, min_size=1, max_size=5)


class Dumper(pyyaml.SafeDumper):
    """Floats as YAML 1.2 has them, texts quoted where PyYAML would fold their line breaks."""

    def ignore_aliases(self, _):
        return True


Dumper.add_representer(str, lambda d, s: d.represent_scalar("tag:yaml.org,2002:str", s, style='"'))


@settings(max_examples=150, deadline=None)
@given(documents, st.booleans())
def test_any_document_comes_back(data, flow):
    text = pyyaml.dump(data, Dumper=Dumper, default_flow_style=flow, allow_unicode=True)
    assert yaml.parse(text, "f").values == data


@settings(max_examples=150, deadline=None)
@given(documents)
def test_text_that_needs_no_quotes_is_still_text(data):
    # PyYAML leaves out the quotes of what is text by YAML 1.1.
    def as_text(value):
        if isinstance(value, dict):
            return {k: as_text(v) for k, v in value.items()}
        return [as_text(v) for v in value] if isinstance(value, list) else f"t{value!r}"

    data = as_text(data)
    text = pyyaml.dump(data, Dumper=pyyaml.SafeDumper, allow_unicode=False)
    assert yaml.parse(text, "f").data == data


@settings(max_examples=150, deadline=None)
@given(st.text(st.sampled_from("ab1:-[]{},#&*!|>'\"%\n\t ?~<.\\é"), max_size=40))
def test_any_text_is_refused_or_read_by_both_loaders_alike(text):
    answers = []
    for loader in yaml._LOADERS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(yaml, "_LOADERS", [loader])
            try:
                answers.append(yaml.parse(text, "f").values)
            except InvalidDocument:
                answers.append(None)
    read = [a for a in answers if a is not None]
    assert all(a == read[0] for a in read)


@pytest.mark.skipif(not yaml.yaml.__with_libyaml__, reason="counts with libyaml")
def test_a_large_file_of_too_many_values_is_refused_before_a_tree_is_made_of_it(monkeypatch) -> None:
    """No node is composed, so the refusal takes a fraction of what reading would."""
    made = []
    for loader in yaml._LOADERS:
        monkeypatch.setattr(loader, "compose_node", lambda *_: made.append(1))
    monkeypatch.setattr(yaml, "MAX_NODES", 1000)
    monkeypatch.setattr(yaml, "LARGE", 5000)
    for text, line in (("a: [" + "1," * 5000 + "]", 1), ("a:\n" + "- 1\n" * 5000, 999), ("a: 1\n" * 5000, 500)):
        assert refusal(text) == f"f:{line}: more than 1000 values"
    assert made == []
