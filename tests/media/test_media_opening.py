"""The door to PyAV: tags that are not UTF-8, rates that a file does not state, on every version that is admitted."""

from __future__ import annotations

import ast
import json
import re
from fractions import Fraction
from pathlib import Path

import av
import av.logging
import numpy as np
import pytest

import lipbench
from lipbench import media
from lipbench.media.opening import fraction, open_input, tags

#: "Café" in ISO 8859-1, as old cameras and taggers write it, and what is to be read in its place.
LATIN, READ = b"Caf\xe9-title", "Caf\ufffd-title"


@pytest.fixture(params=["a.mp4", "a.mkv", "a.avi"])
def old_tags(films, request: pytest.FixtureRequest) -> Path:
    """A video whose title is ISO 8859-1."""
    path = films.folder / request.param
    plain = films.make(f"plain{path.suffix}", 5, 25)
    with av.open(str(plain)) as source, av.open(str(path), "w") as out:
        out.metadata["title"] = "Cafx-title"
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    data = path.read_bytes()
    assert data.count(b"Cafx-title") == 1
    path.write_bytes(data.replace(b"Cafx-title", LATIN))
    return path


def test_tags_that_are_not_utf8_are_readable_text(old_tags: Path) -> None:
    with open_input(old_tags) as container:
        assert tags(container)["title"] == READ
        json.dumps(tags(container), ensure_ascii=False).encode()


def test_a_file_with_such_tags_is_used_like_any_other(old_tags: Path, films, tmp_path: Path) -> None:
    assert media.probe(old_tags).n_frames == 5
    assert films.numbers(media.read_frames(old_tags)) == [0, 1, 2, 3, 4]
    assert not media.is_synthetic(old_tags)
    assert media.probe(media.remux(old_tags, None, tmp_path / "b.mp4")).n_frames == 5


def test_tags_in_other_alphabets_stay_as_they_are(films) -> None:
    path = films.make("c.mkv", 2, 25)
    with av.open(str(path)) as source, av.open(str(films.folder / "d.mkv"), "w") as out:
        out.metadata["title"] = "映画 été"
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    with open_input(films.folder / "d.mkv") as container:
        assert tags(container)["title"] == "映画 été"


def test_no_decoder_thread_waits_for_the_interpreter_to_log(films, tmp_path: Path) -> None:
    """What other packages switched on is off again: freeing a decoder whose thread logs would never end."""
    path = films.make("g.mp4", 2, 25)
    av.logging.set_level(av.logging.ERROR)
    media.probe(path)
    assert av.logging.get_level() is None
    av.logging.set_level(av.logging.ERROR)
    media.write_video(tmp_path / "h.mp4", [np.zeros((32, 32, 3), np.uint8)] * 2, 25)
    assert av.logging.get_level() is None


class Rational:
    """A rational that is true or not as PyAV 19's is."""

    def __init__(self, numerator: int, denominator: int) -> None:
        self.numerator, self.denominator = numerator, denominator

    def __bool__(self) -> bool:
        return self.numerator != 0 and self.denominator != 0


@pytest.mark.parametrize("unknown", [None, Fraction(0), Rational(0, 1), Rational(1, 0), Rational(0, 0)])
def test_a_rate_that_is_not_known_is_none(unknown: object) -> None:
    assert fraction(unknown) is None


@pytest.mark.parametrize("known", [Fraction(30000, 1001), Rational(30000, 1001)])
def test_a_rate_that_is_known_is_an_exact_fraction(known: object) -> None:
    assert type(fraction(known)) is Fraction
    assert fraction(known) == Fraction(30000, 1001)


def test_what_probe_tells_is_made_of_fractions(films) -> None:
    info = media.probe(films.make("f.mp4", 5, Fraction(30000, 1001)))
    assert type(info.fps) is Fraction
    assert type(info.sample_aspect) is Fraction


def test_nothing_else_opens_containers_or_reads_their_tags_and_rates() -> None:
    """PyAV's versions differ in these, so they are asked in one place."""
    root = Path(lipbench.__file__).parent
    doors = {root / "media/opening.py"}
    differing = {"metadata", "average_rate", "guessed_rate", "base_rate", "sample_aspect_ratio", "display_aspect_ratio"}
    found = []
    for path in sorted(root.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if not re.search(r"\bav\b", text):
            continue
        tree = ast.parse(text)
        imports = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        if path in doors or not any(name.split(".")[0] == "av" for name in imports | _froms(tree)):
            continue
        wrapped = {
            id(argument)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "fraction"
            for argument in node.args
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute) or not isinstance(node.ctx, ast.Load) or id(node) in wrapped:
                continue
            opens = node.attr == "open" and getattr(node.value, "id", "") == "av"
            if opens or (node.attr in differing and not _written(node, tree)):
                found.append(f"{path.relative_to(root)}:{node.lineno} {node.attr}")
    assert found == []


def _froms(tree: ast.Module) -> set[str]:
    return {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def _written(node: ast.Attribute, tree: ast.Module) -> bool:
    """Whether tags are set here, as in `container.metadata[name] = value`."""
    return any(
        isinstance(other, ast.Subscript) and other.value is node and isinstance(other.ctx, ast.Store)
        for other in ast.walk(tree)
    )
