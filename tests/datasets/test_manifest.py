"""Manifests: what is read, and every mistake with its line."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from lipbench.core.document import InvalidDocument
from lipbench.core.errors import ManifestError, UnknownName, UsageError
from lipbench.datasets import Manifest, load_manifest, resolve, save_manifest
from lipbench.datasets import manifest as module
from lipbench.datasets.model import SCHEMA_FILE, json_schema, language_tag
from lipbench.datasets.types import Aligned, Licence

A, B = "a" * 64, "b" * 64

TEXT = f"""\
# a comment
schema: 1
name: demo-set
version: 1.10
licence: CC-BY-4.0
consent: written, on file
clips:
  - id: one
    video: one.mp4
    sha256: {A}
    fps: 25
    speaker: no
    language: en
    truth: {{fr: {{video: t/fr.mp4, sha256: {B}, annotations: t/fr.npz}}}}
  - id: two
    video: sub/two.mp4
    sha256: {A}
    end_s: 2.5
    speaker: yes
    language: pt-br
    licence: {{id: other, url: https://example.org/licence}}
    consent: actor's contract
dubs:
  - {{clip: one, language: fr, audio: fr.wav, sha256: {B}}}
  - {{id: two/tts, clip: two, language: de, kind: tts, audio: de.wav, sha256: {B}, offset_s: -0.5}}
  - {{id: two/own, clip: two, language: pt-BR, kind: original}}
splits:
  ci: [one]
"""


@pytest.fixture
def write(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "manifest.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def first(path: Path) -> str:
    """The message without the folder."""
    with pytest.raises(ManifestError) as caught:
        load_manifest(path)
    assert caught.value.exit_code == 2
    return caught.value.what.replace(f"{path.parent}/", "")


def test_what_is_read(write, tmp_path):
    m = load_manifest(write(TEXT))
    one, two = m.clips
    fr, tts, own = m.dubs
    assert (m.name, m.version, m.licence, m.root) == ("demo-set", "1.10", Licence("CC-BY-4.0"), tmp_path)
    assert one.video == tmp_path / "one.mp4"
    assert (one.fps, one.start_s, one.end_s, one.speaker, one.consent) == (25.0, 0.0, None, "no", "written, on file")
    assert one.licence == m.licence
    assert one.truth == {"fr": tmp_path / "t/fr.mp4"}
    assert one.truth_sha256 == {"fr": B}
    assert one.truth_annotations == {"fr": tmp_path / "t/fr.npz"}
    assert (two.speaker, two.language, two.end_s) == ("yes", "pt-BR", 2.5)
    assert two.licence == Licence("other", "https://example.org/licence")
    assert two.consent == "actor's contract"
    assert (fr.id, fr.kind, fr.audio, fr.sha256) == ("one@fr", "recorded", tmp_path / "fr.wav", B)
    assert (tts.offset_s, tts.kind) == (-0.5, "tts")
    assert (own.audio, own.sha256) == (None, A)
    assert m.splits == {"ci": ("one",)}
    assert m.dubs_of("two") == (tts, own)
    assert m.clip("two") is two
    assert m.languages == ("de", "fr", "pt-BR")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            f"    sha256: {A}\n    fps",
            f"    sha256: {A[1:]}\n    fps",
            "manifest.yaml:10: clips[0].sha256: 63 characters, 64 needed",
        ),
        (
            f"    sha256: {A}\n    fps",
            f"    sha256: {'g' * 64}\n    fps",
            "manifest.yaml:10: clips[0].sha256: not a hash: only the digits 0-9 and a-f",
        ),
        ("    speaker: no\n", "    speker: no\n", "manifest.yaml:8: clips[0]: speaker is missing (and 1 more)"),
        ("fps: 25", "fps: quick", "manifest.yaml:11: clips[0].fps: must be a number"),
        ("fps: 25", "fps: .nan", "manifest.yaml:11: clips[0].fps: must be a number"),
        ("fps: 25", "fps: inf", "manifest.yaml:11: clips[0].fps: must be a finite number"),
        ("fps: 25", "fps: 0", "manifest.yaml:11: clips[0].fps: must be greater than 0"),
        ("end_s: 2.5", "end_s: 2.5\n    start_s: 3", "manifest.yaml:15: clips[1]: ends (2.5 s) before it starts (3 s)"),
        ("pt-br", "portuguese-brazil-x", "manifest.yaml:20: clips[1].language: not a language tag"),
        ("licence: CC-BY-4.0", "licence: CC-BY4", "manifest.yaml:5: licence.id: not a licence on the list"),
        (", url: https://example.org/licence", "", 'manifest.yaml:21: clips[1].licence: licence "other" needs a url'),
        ("id: two\n", "id: one\n", "manifest.yaml:15: clips[1].id: 'one' is taken, first in line 8 (and 2 more)"),
        ("id: two\n", "id: two words\n", "manifest.yaml:15: clips[1].id: not an id"),
        (
            "id: two\n",
            "id: a/../b\n",
            "manifest.yaml:15: clips[1].id: not an id: an empty or dotted part between slashes",
        ),
        ("clip: one,", "clip: onee,", "manifest.yaml:24: dubs[0].clip: there is no such clip"),
        ("ci: [one]", "ci: [one, six]", "manifest.yaml:28: splits.ci[1]: there is no such clip"),
        ("ci: [one]", "ci: [one, one]", "manifest.yaml:28: splits.ci[1]: is in this split already"),
        (
            f", audio: fr.wav, sha256: {B}",
            "",
            "manifest.yaml:24: dubs[0]: audio is missing: kind recorded needs a file",
        ),
        (f"audio: fr.wav, sha256: {B}", "audio: fr.wav", "manifest.yaml:24: dubs[0]: sha256 is missing"),
        (
            "kind: tts",
            "kind: robot",
            "manifest.yaml:25: dubs[1].kind: must be 'original', 'recorded', 'tts' or 'synthetic'",
        ),
        (
            "language: pt-BR, kind",
            "language: es, kind",
            "manifest.yaml:26: dubs[2].language: the original of a clip in pt-BR cannot be in another language",
        ),
        ("truth: {fr", "truth: {it", "manifest.yaml:14: clips[0].truth.it: the clip has no dub in it"),
        ("schema: 1", "schema: 2", "manifest.yaml:2: schema: schema 2 is newer than this lipbench, which reads 1"),
        ("schema: 1\n", "", "manifest.yaml:1: schema is missing"),
        ("version: 1.10", "version:", "manifest.yaml:4: version: nothing is given"),
        ("version: 1.10", "version: [1]", "manifest.yaml:4: version: must be text, not a list"),
        ("version: 1.10", "version: 1\nversion: 2", "manifest.yaml:5: version: given twice, first in line 4"),
        ("video: one.mp4", "video: ../one.mp4", "manifest.yaml:9: clips[0].video: leads out of root"),
        ("video: one.mp4", "video: sub/../../one.mp4", "manifest.yaml:9: clips[0].video: leads out of root"),
        ("video: one.mp4", "video: /one.mp4", "manifest.yaml:9: clips[0].video: must be a path relative to root"),
        (
            "video: one.mp4",
            "video: https://x.org/a.mp4",
            "manifest.yaml:9: clips[0].video: must be a path relative to root",
        ),
        ("t/fr.npz", "../fr.npz", "manifest.yaml:14: clips[0].truth.fr.annotations: leads out of root"),
        ("audio: de.wav", "audio: ../de.wav", "manifest.yaml:25: dubs[1].audio: leads out of root"),
        (
            "consent: written, on file\n",
            "",
            "manifest.yaml:7: clips[0].consent: is missing, and the manifest names none",
        ),
        (
            "# a comment",
            "root: ${LIPBENCH_TEST_UNSET}/x",
            "manifest.yaml:1: root: the environment variable LIPBENCH_TEST_UNSET is not set",
        ),
        ("# a comment", "root: $HOME", "manifest.yaml:1: root: a $ that is no variable"),
        ("  ci: [one]", "  ci: [one", "manifest.yaml:29: not valid YAML: expected ',' or ']', but got '<stream end>'"),
        ("name: demo-set", "name: !!python/name:os.system demo", "manifest.yaml:3: name: tag tag:yaml.org,2002:python"),
        ("# a comment", "clips2: &x [*x]", "manifest.yaml:1: clips2[0]: the aliases expand without end"),
    ],
)
def test_mistakes(write, old, new, message):
    assert TEXT.count(old) == 1 or old.startswith(("    sha256", "id: "))
    assert first(write(TEXT.replace(old, new, 1))).startswith(message)


def test_every_problem_is_kept_and_sorted(write):
    text = TEXT.replace("speaker: no", "speker: no").replace("fps: 25", "fps: x").replace("id: two/tts", "id: t t")
    with pytest.raises(InvalidDocument) as caught:
        load_manifest(write(text))
    assert [p.line for p in caught.value.problems] == [8, 11, 12, 25]
    assert caught.value.problems[2].hint == "did you mean speaker?"
    assert "lipbench data check" in caught.value.fix


def test_two_truths_in_one_language(write):
    extra = f"  - {{id: again, clip: one, language: fr, audio: fr.wav, sha256: {B}}}\n"
    text = TEXT.replace("splits:", f"{extra}splits:")
    assert first(write(text)) == "manifest.yaml:14: clips[0].truth.fr: 2 dubs of this clip are in fr"


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "the file is empty"), ("- 1\n", "the file must be a mapping"), ("a\n", "the file must be a mapping")],
)
def test_no_mapping(write, text, message):
    assert first(write(text)).startswith(f"manifest.yaml:1: {message}")


def test_empty_lists(write):
    text = TEXT.split("clips:")[0] + "clips: []\n"
    assert first(write(text)) == "manifest.yaml:7: clips: needs at least one entry"


def test_aliases_and_merge_keys(write):
    text = TEXT.replace("  - id: one\n", "  - &base\n    id: one\n").replace(
        f"    video: sub/two.mp4\n    sha256: {A}\n", "    <<: *base\n"
    )
    two = load_manifest(write(text.replace("    truth:", "    source_url: ''\n    # ").replace("# a", "#"))).clips[1]
    assert two.sha256 == A
    assert two.speaker == "yes"
    assert two.fps == 25


def test_billion_laughs(write):
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for i in range(1, 9):
        text += f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n"
    assert "the aliases expand without end" in first(write(text))


def test_root_from_environment(write, tmp_path, monkeypatch):
    monkeypatch.setenv("LIPBENCH_TEST_ROOT", str(tmp_path / "media"))
    m = load_manifest(write(TEXT.replace("# a comment", "root: ${LIPBENCH_TEST_ROOT}/x")))
    assert m.root == tmp_path / "media/x"
    assert m.clips[0].video == tmp_path / "media/x/one.mp4"


def test_symlinks(write, tmp_path):
    root = tmp_path / "root"
    (root / "real").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (root / "sub").symlink_to(root / "real")
    text = TEXT.replace("# a comment", "root: root")
    assert load_manifest(write(text)).clips[1].video == root / "sub/two.mp4"
    (root / "sub").unlink()
    (root / "sub").symlink_to(tmp_path / "outside")
    assert first(write(text)).startswith("manifest.yaml:16: clips[1].video: leads out of root through a symbolic link")
    (root / "sub").unlink()
    (root / "sub").symlink_to(root / "sub")
    assert "clips[1].video: " in first(write(text))


def test_verify(write, tmp_path):
    text = TEXT
    for i, name in enumerate(("one.mp4", "sub/two.mp4", "fr.wav", "de.wav", "t/fr.mp4", "t/fr.npz")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes([i]))
    digest = [hashlib.sha256(bytes([i])).hexdigest() for i in range(5)]
    text = text.replace(f"sha256: {A}\n    fps", f"sha256: {digest[0]}\n    fps")
    text = text.replace(A, digest[1]).replace(f"fr.wav, sha256: {B}", f"fr.wav, sha256: {digest[2]}")
    text = text.replace(f"de.wav, sha256: {B}", f"de.wav, sha256: {digest[3].upper()}").replace(B, digest[4])
    path = write(text)
    assert load_manifest(path, verify=True).clips[0].sha256 == digest[0]
    (tmp_path / "de.wav").write_bytes(b"other")
    assert load_manifest(path).dubs  # not looked at
    with pytest.raises(ManifestError, match=r"manifest\.yaml:25: dubs\[1\]\.sha256: the file's is"):
        load_manifest(path, verify=True)
    (tmp_path / "de.wav").write_bytes(bytes([3]))
    (tmp_path / "t/fr.mp4").write_bytes(b"other")
    with pytest.raises(ManifestError, match=r"manifest\.yaml:14: clips\[0\]\.truth\.fr\.sha256: the file's is"):
        load_manifest(path, verify=True)
    (tmp_path / "t/fr.npz").unlink()
    (tmp_path / "one.mp4").unlink()
    with pytest.raises(ManifestError, match=r"manifest\.yaml:9: clips\[0\]\.video: there is no file .*\(and 2 more\)"):
        load_manifest(path, verify=True)


def test_missing_and_unreadable(tmp_path):
    with pytest.raises(ManifestError, match="there is no such manifest"):
        load_manifest(tmp_path / "none.yaml")
    with pytest.raises(ManifestError, match="is a folder"):
        load_manifest(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(ManifestError, match="not UTF-8"):
        load_manifest(tmp_path / "latin.yaml")


def test_byte_order_mark(write):
    path = write(TEXT)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_manifest(path).name == "demo-set"


def test_resolve(write, tmp_path, monkeypatch):
    path = write(TEXT)
    m = load_manifest(path)
    assert resolve(path) == m
    assert resolve("manifest.yaml", tmp_path) == m
    assert resolve("manifest.yaml", base=tmp_path) == m
    with pytest.raises(ManifestError, match="there is no such manifest"):
        resolve("./nothing", tmp_path)
    known: dict[str, object] = {"corpus": m, "by-path": path}
    monkeypatch.setattr(module.registry, "names", lambda kind: list(known))
    monkeypatch.setattr(module.registry, "load", lambda kind, name: known[name])
    assert resolve("corpus") is m
    assert resolve("by-path") == m
    with pytest.raises(UnknownName, match="did you mean corpus"):
        resolve("korpus", tmp_path)
    with pytest.raises(ManifestError, match="data set corpus"):
        resolve("corpus", verify=True)


def test_digest_of_what_matters(write):
    m = load_manifest(write(TEXT))
    same = [
        ("# a comment", "# another"),
        ("one.mp4", "uno.mp4"),
        ("audio: fr.wav", "audio: x/y.wav"),
        ("t/fr.mp4", "tt.mp4"),
        ("    fps: 25\n    speaker: no\n", "    speaker: no\n    fps: 25.0\n"),
        ("licence: CC-BY-4.0", "licence: {id: CC-BY-4.0}"),
        ("pt-br", "pt-BR"),
    ]
    other = [
        ("version: 1.10", "version: 1.1"),
        ("speaker: no", "speaker: nobody"),
        ("offset_s: -0.5", "offset_s: -0.4"),
        (B, "c" * 64),
        ("t/fr.npz", "t/new.npz"),
        ("end_s: 2.5", "end_s: 2.6"),
        ("ci: [one]", "ci: [two]"),
        ("written, on file", "spoken"),
        ("    end_s: 2.5", "    end_s: 2.5\n    av_offset: 0"),
        ("    end_s: 2.5", "    end_s: 2.5\n    av_offset: -3"),
    ]
    for old, new in same:
        assert load_manifest(write(TEXT.replace(old, new))).digest == m.digest, new
    digests = {load_manifest(write(TEXT.replace(old, new, 1))).digest for old, new in other}
    assert len(digests | {m.digest}) == len(other) + 1


def test_own_offset(write, tmp_path):
    m = load_manifest(write(TEXT.replace("    end_s: 2.5", "    end_s: 2.5\n    av_offset: -3")))
    assert [clip.av_offset for clip in m.clips] == [None, -3]
    assert load_manifest(save_manifest(m, tmp_path / "copy.yaml")).clips[1].av_offset == -3
    with pytest.raises(ManifestError, match="av_offset"):
        load_manifest(write(TEXT.replace("    end_s: 2.5", "    end_s: 2.5\n    av_offset: 16")))


def test_save_relative_to_the_file(write, tmp_path):
    m = load_manifest(write(TEXT))
    path = save_manifest(m, tmp_path / "deep/down/copy.yaml")
    assert "root: ../.." in path.read_text()
    assert load_manifest(path) == m
    assert load_manifest(path).digest == m.digest


def test_a_dub_says_how_it_was_aligned(write, tmp_path):
    plain, line = load_manifest(write(TEXT)), f"audio: fr.wav, sha256: {B}"
    about = "aligned: {film_offset_s: 0.48, rate: 0.96, heard: 0.9, precision_ms: 0.02, state: measured}"
    m = load_manifest(write(TEXT.replace(line, f"{line}, {about}")))
    assert m.dubs[0].aligned == Aligned(0.48, 0.96, 0.9, 0.02, "measured")
    assert plain.dubs[0].aligned is None
    assert m.digest != plain.digest
    assert load_manifest(save_manifest(m, tmp_path / "copy.yaml")) == m
    wrong = TEXT.replace(line, f"{line}, {about.replace('measured', 'guessed')}")
    assert "dubs[0].aligned.state" in first(write(wrong))


def test_save_refuses_files_outside_root(write, tmp_path):
    m = load_manifest(write(TEXT))
    moved = Manifest(m.name, m.version, m.licence, m.clips, m.dubs, tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="cannot write the manifest"):
        save_manifest(moved, tmp_path / "copy.yaml")
    assert not (tmp_path / "copy.yaml").exists()


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("EN", "en"),
        ("pt-br", "pt-BR"),
        ("ZH-hANT-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        ("de-ch-1996", "de-CH-1996"),
        ("sl-ROZAJ", "sl-rozaj"),
        ("en-x-ab", "en-x-ab"),
        ("und", "und"),
        ("yue", "yue"),
    ],
)
def test_language_tags(given, canonical):
    assert language_tag(given) == canonical
    assert language_tag(canonical) == canonical


@pytest.mark.parametrize("bad", ["", "e", "english!", "en_US", "en-", "-en", "en\n", "e1", "en-abcdefghi", "fr fr"])
def test_no_language_tags(bad):
    with pytest.raises(ValueError, match="not a language tag"):
        language_tag(bad)


def test_json_schema_is_up_to_date():
    assert SCHEMA_FILE.read_text() == json_schema(), "write it again: lipbench data schema > manifest.schema.json"


@pytest.mark.real
def test_the_real_example(real_clips, monkeypatch):
    monkeypatch.setenv("LIPBENCH_REAL_CLIPS", str(real_clips))
    example = Path(__file__).parents[2] / "examples/real-manifest.yaml"
    m = load_manifest(example, verify=True)
    assert [clip.id for clip in m.clips] == ["katie", "office"]
    assert m.languages == ("de", "fr")
