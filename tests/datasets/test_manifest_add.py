"""Adding clips: probed and hashed, the text that is there stays."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from lipbench import media
from lipbench.core.errors import ManifestError, MediaError, NoAudio, UsageError
from lipbench.datasets import load_manifest
from lipbench.datasets.add import add_clip
from lipbench.datasets.append import append_entries, set_field
from lipbench.datasets.new_entries import default_id
from lipbench.datasets.types import Licence

CC = Licence("CC-BY-4.0")


def tone(seconds: float) -> np.ndarray:
    return (8000 * np.sin(np.arange(round(16000 * seconds)) * 0.1)).astype(np.int16)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """clip.mp4 (30 fps, 1 s, sound), mute.mp4, fr.wav (1 s), de.wav (1.5 s)."""
    folder = tmp_path_factory.mktemp("media")
    frames = np.random.default_rng(0).integers(0, 255, (30, 32, 48, 3), dtype=np.uint8)
    media.write_video(folder / "clip.mp4", frames, 30, tone(1))
    media.write_video(folder / "mute.mp4", frames[:10], 25)
    media.write_wav(folder / "fr.wav", tone(1))
    media.write_wav(folder / "de.wav", tone(1.5))
    return folder


@pytest.fixture
def folder(files, tmp_path):
    """A folder of its own with the media in it."""
    for path in files.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_new_manifest(folder):
    path = folder / "mine.yaml"
    done = add_clip(
        path,
        folder / "clip.mp4",
        {"fr": folder / "fr.wav", "PT-br": folder / "de.wav"},
        language="EN",
        licence=CC,
        consent="written",
        speaker="jo",
        source_url="https://x.org",
    )
    m = load_manifest(path, verify=True)
    assert m == done.manifest
    assert (done.clip_id, done.new_clip, done.dub_ids) == ("clip", True, ("clip@fr", "clip@pt-BR"))
    clip = m.clips[0]
    assert (clip.id, clip.fps, clip.speaker, clip.language, clip.consent) == ("clip", 30.0, "jo", "en", "written")
    assert (clip.source_url, clip.licence, m.licence) == ("https://x.org", CC, CC)
    assert clip.sha256 == digest(folder / "clip.mp4")
    assert [d.sha256 for d in m.dubs] == [digest(folder / "fr.wav"), digest(folder / "de.wav")]


def test_text_is_kept(folder):
    path = folder / "mine.yaml"
    before = (
        "# mine, all mine\n"
        "schema: 1\nname: mine      # a name\nversion: '1'\nlicence: MIT\nconsent: on file\n\n"
        "clips:\n"
        "  # the first\n"
        f"  - {{id: a, video: mute.mp4, sha256: {digest(folder / 'mute.mp4')}, speaker: x, language: en}}  # short\n"
        "  # behind the first\n\n"
        "splits: {ci: [a]}\n# the end\n"
    )
    path.write_text(before)
    add_clip(path, folder / "clip.mp4", {"fr": folder / "fr.wav"}, language="en")
    text = path.read_text()
    lines = iter(text.splitlines())
    assert all(line in lines for line in before.splitlines())
    assert text.index("  # behind the first") > text.index("  - id: clip") > text.index("# short")
    m = load_manifest(path, verify=True)
    assert [clip.id for clip in m.clips] == ["a", "clip"]
    assert m.clips[1].licence == Licence("MIT")
    assert m.clips[1].consent == "on file"


def test_more_dubs_of_a_known_clip(folder):
    path = folder / "mine.yaml"
    add_clip(path, folder / "clip.mp4", {"fr": folder / "fr.wav"}, language="en", licence=CC, consent="written")
    done = add_clip(path, folder / "clip.mp4", {"de": folder / "de.wav"}, kind="tts")
    assert (done.new_clip, done.dub_ids) == (False, ("clip@de",))
    m = load_manifest(path)
    assert [(d.id, d.kind) for d in m.dubs] == [("clip@fr", "recorded"), ("clip@de", "tts")]
    with pytest.raises(UsageError, match="has a dub 'clip@de' already"):
        add_clip(path, folder / "clip.mp4", {"de": folder / "de.wav"})
    with pytest.raises(UsageError, match="nothing to add"):
        add_clip(path, folder / "clip.mp4", {})
    with pytest.raises(UsageError, match="its video is another file"):
        add_clip(path, folder / "mute.mp4", {}, clip_id="clip", language="en", consent="written")


def test_outside_root_needs_copy(files, tmp_path):
    path = tmp_path / "mine.yaml"
    given = {"language": "en", "licence": CC, "consent": "written"}
    with pytest.raises(UsageError, match="lies outside the manifest's root"):
        add_clip(path, files / "clip.mp4", {"fr": files / "fr.wav"}, **given)
    assert list(tmp_path.iterdir()) == []
    add_clip(path, files / "clip.mp4", {"fr": files / "fr.wav"}, copy=True, **given)
    assert load_manifest(path, verify=True).clips[0].video == tmp_path / "clip.mp4"
    (tmp_path / "de.wav").write_bytes(b"something else")
    with pytest.raises(UsageError, match="is there already"):
        add_clip(path, files / "clip.mp4", {"de": files / "de.wav"}, copy=True)
    assert (tmp_path / "de.wav").read_bytes() == b"something else"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"licence": None}, UsageError, "is new and needs a licence"),
        ({"language": None}, UsageError, "which language is spoken in clip.mp4"),
        ({"language": "klingon!"}, UsageError, "'klingon!': not a language tag"),
        ({"consent": ""}, UsageError, "on what grounds"),
        ({"clip_id": "a b"}, ManifestError, "not an id"),
    ],
)
def test_what_is_needed(folder, change, error, message):
    given = {"language": "en", "licence": CC, "consent": "written", **change}
    with pytest.raises(error, match=message):
        add_clip(folder / "mine.yaml", folder / "clip.mp4", {"fr": folder / "fr.wav"}, **given)
    assert not (folder / "mine.yaml").exists()


def test_unusable_files(folder):
    given = {"language": "en", "licence": CC, "consent": "written"}
    with pytest.raises(MediaError, match="there is no such file"):
        add_clip(folder / "mine.yaml", folder / "none.mp4", {}, **given)
    with pytest.raises(NoAudio):
        add_clip(folder / "mine.yaml", folder / "clip.mp4", {"fr": folder / "mute.mp4"}, **given)
    (folder / "text.mp4").write_text("no video")
    with pytest.raises(MediaError):
        add_clip(folder / "mine.yaml", folder / "text.mp4", {}, **given)
    assert not (folder / "mine.yaml").exists()


def test_windows_line_ends_stay(folder):
    path = folder / "mine.yaml"
    add_clip(path, folder / "clip.mp4", {}, language="en", licence=CC, consent="written")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    add_clip(path, folder / "clip.mp4", {"fr": folder / "fr.wav"})
    assert b"\n" not in path.read_bytes().replace(b"\r\n", b"")
    assert load_manifest(path).dubs[0].id == "clip@fr"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\n", "a: 1\nx:\n  - n: 1\n"),
        ("a: 1", "a: 1\nx:\n  - n: 1\n"),
        ("x: []  # none\na: 1\n", "x:  # none\n  - n: 1\na: 1\n"),
        ("x:\na: 1\n", "x:\n  - n: 1\na: 1\n"),
        ("x: [{n: 0}]\na: 1\n", 'x: [{n: 0}, {"n": "1"}]\na: 1\n'),
        ("x:\n- n: 0\n\n# c\na: 1\n", "x:\n- n: 0\n- n: 1\n\n# c\na: 1\n"),
        ("x:\n    - n: 0 # c\na: 1\n", "x:\n    - n: 0 # c\n    - n: 1\na: 1\n"),
        ("x:\n- n: |\n    text\n    more\na: 1\n", "x:\n- n: |\n    text\n    more\n- n: 1\na: 1\n"),
        ("x:\n- n: 0", "x:\n- n: 0\n- n: 1\n"),
    ],
)
def test_append_in_the_lists_style(text, expected):
    assert append_entries(text, "x", [{"n": "1"}]).replace("'", "") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x:\n- n: 0\n- n: 1 # c\n\n# d\na: 1\n", "x:\n- n: 0\n- n: 1 # c\n  v: -3\n\n# d\na: 1\n"),
        ("x:\n  - n: 0\n  - n:\n      m: 1\n  - n: 2", "x:\n  - n: 0\n  - n:\n      m: 1\n    v: -3\n  - n: 2\n"),
        ("x: [{n: 0}, {n: 1}] # c\n", "x: [{n: 0}, {n: 1, v: -3}] # c\n"),
        ("x:\n- n: 0\n- v: 12 # old\n  n: 1\n", "x:\n- n: 0\n- v: -3 # old\n  n: 1\n"),
    ],
)
def test_set_a_field_in_the_entrys_style(text, expected):
    assert set_field(text, "x", 1, "v", -3) == expected


@pytest.mark.parametrize("text", ["y: []\n", "x: 5\n", "x: [{n: 0}]\n", "x: [a, b]\n"])
def test_set_refuses(text):
    with pytest.raises(UsageError, match="cannot write v"):
        set_field(text, "x", 1, "v", -3)


@pytest.mark.parametrize("text", ["{x: [1]}\n", "x: 5\n"])
def test_append_refuses(text):
    with pytest.raises(UsageError, match="cannot add to"):
        append_entries(text, "x", [{"n": "1"}])


@pytest.mark.parametrize(("name", "expected"), [("a b.mp4", "a-b"), ("---.mp4", "clip"), ("été 1.mov", "t-1")])
def test_default_id(tmp_path, name, expected):
    assert default_id(tmp_path / name) == expected
