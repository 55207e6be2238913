"""lipbench data check, show, add, schema."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from lipbench import media
from lipbench.cli import data as module
from lipbench.core import registry, weights
from lipbench.core.errors import ManifestError, UsageError
from lipbench.core.keys import sha256_file
from lipbench.datasets import load_manifest, resolve
from lipbench.datasets.model import json_schema
from lipbench.engine import own_offsets
from lipbench.metrics.sync.landmark import OwnOffset


def call(*args, **more):
    return CliRunner().invoke(module.main, [str(a) for a in args], **more)


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(1).integers(-3000, 3000, round(16000 * seconds)).astype(np.int16)


@pytest.fixture(scope="module")
def media_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    frames = np.random.default_rng(0).integers(0, 255, (25, 32, 48, 3), dtype=np.uint8)
    media.write_video(folder / "clip.mp4", frames, 25, noise(1))
    media.write_video(folder / "mute.mp4", frames, 25)
    media.write_wav(folder / "fr.wav", noise(1))
    media.write_wav(folder / "de.wav", noise(2))
    return folder


@pytest.fixture
def manifest(media_folder, tmp_path):
    """Two clips, three dubs; root is the media folder."""

    def sha(name):
        return sha256_file(media_folder / name)

    path = tmp_path / "m.yaml"
    path.write_text(f"""\
schema: 1
name: m
version: "1"
licence: CC-BY-NC-4.0
consent: written
root: {media_folder}
clips:
  - {{id: talk, video: clip.mp4, sha256: {sha("clip.mp4")}, speaker: x, language: en, fps: 30}}
  - {{id: mute, video: mute.mp4, sha256: {sha("mute.mp4")}, speaker: x, language: en, end_s: 1.4}}
dubs:
  - {{clip: talk, language: fr, audio: fr.wav, sha256: {sha("fr.wav")}}}
  - {{clip: talk, language: de, audio: de.wav, sha256: {sha("de.wav")}}}
  - {{clip: mute, language: de, audio: de.wav, sha256: {sha("de.wav")}, offset_s: -1.5}}
splits: {{ci: [talk]}}
""")
    return path


def test_check(manifest):
    result = call("check", manifest)
    assert result.exit_code == 0, result.output
    lines = [line.replace(str(manifest.parent) + "/", "") for line in result.output.splitlines()]
    assert lines[:5] == [
        "warning: m.yaml:8: clips[0].fps: says 30, the file has 25",
        "warning: m.yaml:9: clips[1].end_s: lies 0.40 s after the end of the video",
        "warning: m.yaml:9: clips[1].video: has no sound: no original dub, and no sync score of the source",
        "warning: m.yaml:12: dubs[1]: talk@de is 1.00 s longer than its clip: the clip will play back and forth",
        "warning: m.yaml:13: dubs[2]: mute@de is 0.50 s shorter than its clip: the clip will be cut",
    ]
    assert lines[5] == "m.yaml: ok, 2 clips, 3 dubs, 5 warnings"


def test_check_warns_of_fields_and_hdr(films, tmp_path):
    """Combs would be measured like picture, and HDR cannot be compared with SDR results."""
    fields = {"flags": "+ilme+ildct", "x264-params": "tff=1"}
    films.make("i.mp4", 5, 25, options={"crf": "14", **fields})
    films.make("h.mp4", 5, 25, pix_fmt="yuv420p10le", options={"x264-params": "transfer=arib-std-b67"})
    films.make("p.mp4", 5, 25)
    clips = "".join(
        f"  - {{id: {n}, video: {n}.mp4, sha256: {sha256_file(films.folder / f'{n}.mp4')}, speaker: x, language: en}}\n"
        for n in "ihp"
    )
    path = tmp_path / "m.yaml"
    head = f"schema: 1\nname: m\nversion: '1'\nlicence: CC0-1.0\nconsent: none needed\nroot: {films.folder}\n"
    path.write_text(f"{head}clips:\n{clips}dubs: []\n")
    lines = call("check", path).output.splitlines()
    assert sum("clips[0].video: is interlaced" in line for line in lines) == 1
    assert sum("clips[1].video: is HDR (HLG)" in line for line in lines) == 1
    assert sum("is interlaced" in line or "is HDR" in line for line in lines) == 2


def test_check_takes_the_name_of_a_data_set(manifest, monkeypatch):
    known = {"by-file": str(manifest), "by-object": resolve(str(manifest))}
    monkeypatch.setattr(registry, "names", lambda kind: [*known])
    monkeypatch.setattr(registry, "load", lambda kind, name: known[name])
    for name in known:
        result = call("check", name)
        assert result.exit_code == 0, result.output
        assert f"{name}: ok, 2 clips" in result.output
    known["by-object"] = dataclasses.replace(known["by-object"], clips=known["by-object"].clips[:1], dubs=())
    assert "by-object: ok, 1 clips, 0 dubs" in call("check", "by-object", "--no-hash").output
    known["gone"] = str(manifest.with_name("gone.yaml"))
    assert "gone.yaml" in str(call("check", "gone").exception)


def test_check_json(manifest):
    data = json.loads(call("check", manifest, "--json").stdout)
    assert data["ok"]
    assert len(data["warnings"]) == 5
    talk, mute = data["clips"]
    assert (talk["width"], talk["height"], talk["fps"], talk["rate"]) == (48, 32, 25.0, 16000)
    assert (mute["rate"], mute["used_s"]) == (None, pytest.approx(1.0))
    assert data["dubs"][1] == {"id": "talk@de", "clip": "talk", "duration_s": 2.0, "longer_s": pytest.approx(1.0)}


def test_check_finds_wrong_files(manifest, media_folder, tmp_path):
    text = manifest.read_text().replace(sha256_file(media_folder / "fr.wav"), "0" * 64)
    text = text.replace("video: mute.mp4", "video: gone.mp4").replace("offset_s: -1.5", "offset_s: -2")
    manifest.write_text(text)
    result = call("check", manifest)
    assert isinstance(result.exception, ManifestError)
    assert result.exception.what.endswith("m.yaml: 3 errors")
    assert ":9: clips[1].video: there is no file" in result.output
    assert ":11: dubs[0].sha256: the file's is" in result.output
    assert ":13: dubs[2].offset_s: cuts the whole audio" in result.output
    assert "ok," not in result.output
    assert "sha256: the file's" not in call("check", manifest, "--no-hash").output


def test_check_finds_what_cannot_be_opened(manifest, tmp_path):
    (tmp_path / "text.mp4").write_text("this is no video")
    text = manifest.read_text().replace("clip.mp4", "text.mp4").replace("root: ", "# ")
    manifest.write_text(text)
    data = json.loads(call("check", manifest, "--json", "--no-hash").stdout)
    assert not data["ok"]
    assert any(e["field"] == "clips[0].video" and "text.mp4" in e["message"] for e in data["errors"])


def test_check_lists_every_mistake(manifest):
    manifest.write_text(manifest.read_text().replace("id: talk", "idd: talk").replace("offset_s: -1.5", "offset_s: x"))
    result = call("check", manifest)
    assert isinstance(result.exception, ManifestError)
    assert "clips[0].idd: there is no such field\n       did you mean id?" in result.output
    assert "dubs[2].offset_s: must be a number (found 'x')" in result.output


def test_check_of_several_files_hides_none(manifest, tmp_path):
    wrong, gone = tmp_path / "wrong.yaml", tmp_path / "gone.yaml"
    wrong.write_text(manifest.read_text().replace("id: talk", "idd: talk"))
    result = call("check", gone, wrong, manifest)
    lines = result.output.splitlines()
    assert f"error: {gone}: there is no such manifest. check the path." in lines
    assert any(line.startswith(f"error: {wrong}:8: clips[0].idd: ") for line in lines)
    assert f"{manifest}: ok, 2 clips, 3 dubs, 5 warnings" in lines
    assert (result.exception.what, result.exception.exit_code) == ("2 of 3 manifests have errors", 2)
    assert call("check", manifest, manifest).exit_code == 0


def test_check_of_several_files_ends_with_the_worst_exit_code(manifest, monkeypatch):
    from lipbench.core.errors import StoreError
    from lipbench.datasets import check

    def broken(file, hashes):
        raise StoreError("worse") if file == manifest else ManifestError("bad")

    monkeypatch.setattr(check, "check", broken)
    for files in ((manifest, "other"), ("other", manifest)):
        assert call("check", *files).exception.exit_code == 5


def test_check_json_of_several_files_is_a_list(manifest, tmp_path):
    (tmp_path / "wrong.yaml").write_text("a: b: c")
    gone, wrong, fine = json.loads(
        call("check", tmp_path / "gone.yaml", tmp_path / "wrong.yaml", manifest, "--json").stdout
    )
    assert [Path(r["file"]).name for r in (gone, wrong, fine)] == ["gone.yaml", "wrong.yaml", "m.yaml"]
    assert [r["ok"] for r in (gone, wrong, fine)] == [False, False, True]
    assert gone["errors"][0]["message"].endswith("there is no such manifest")
    assert wrong["errors"][0]["message"].startswith("not valid YAML")
    assert set(gone) == set(wrong) == set(fine)


def test_check_json_of_one_unreadable_file_is_an_object(tmp_path):
    result = call("check", tmp_path / "gone.yaml", "--json")
    assert json.loads(result.stdout)["ok"] is False
    assert result.exception.what.endswith("there is no such manifest")


def test_show(manifest):
    out = call("show", manifest).output
    assert "m 1: 2 clips, 3 dubs" in out
    talk = next(line for line in out.splitlines() if line.strip().startswith("talk "))
    assert talk.split() == ["talk", "48x32", "25", "1.00", "s", "x", "en", "fr", "de", "CC-BY-NC-4.0", "written"]
    dub = next(line for line in out.splitlines() if "talk@de" in line)
    assert dub.split() == ["talk@de", "talk", "de", "recorded", "2.00", "s", "+1.00", "s"]
    assert "CC-BY-NC-4.0, 2 clips: commercial use: no; dubs of it may be shared, the author named" in out
    assert "split ci: talk" in out


def test_show_without_the_media(manifest):
    manifest.write_text(manifest.read_text().replace("root: ", "root: nowhere # "))
    out = call("show", manifest).output
    assert "talk" in out
    assert "2 files are missing or cannot be opened" in out
    data = json.loads(call("show", manifest, "--json").stdout)
    assert data["clips"][0]["media"] is None
    assert data["dubs"][0]["duration_s"] is None
    assert data["splits"] == {"ci": ["talk"]}


def test_add_then_check(media_folder, tmp_path):
    path = tmp_path / "new.yaml"
    result = call(
        "add",
        path,
        media_folder / "clip.mp4",
        "--dub",
        f"fr={media_folder / 'fr.wav'}",
        "--language",
        "en",
        "--licence",
        "other",
        "--licence-url",
        "https://x.org",
        "--consent",
        "written",
        "--copy",
        "--no-own-offset",
    )
    assert result.exit_code == 0, result.output
    assert result.output == f"{path}: added clip clip, dub clip@fr\n"
    assert call("check", path).exit_code == 0
    more = call("add", path, media_folder / "clip.mp4", "--dub", f"de={media_folder / 'de.wav'}", "--copy", "--json")
    assert json.loads(more.stdout)["dubs"] == ["clip@de"]


NEW = ("--language", "en", "--licence", "MIT", "--consent", "written", "--copy")


def test_add_measures_how_far_a_clip_is_out_of_sync_itself(media_folder, tmp_path, monkeypatch):
    asked = []

    def measured(clip, faces):
        asked.append((clip.id, clip.end_s))
        frames = -2 if clip.id == "clip" else None
        return own_offsets.ClipOffset(clip.id, OwnOffset(frames, 0.97, "why"), None)

    monkeypatch.setattr(own_offsets, "clip_offset", measured)
    monkeypatch.setattr(weights, "path", lambda name: tmp_path)
    monkeypatch.setattr(weights, "available", lambda name: True)
    path = tmp_path / "new.yaml"
    told = call("add", path, media_folder / "clip.mp4", *NEW)
    assert told.output.endswith("  own offset of clip: -2, confidence 0.97: why\n")
    assert load_manifest(path).clips[0].av_offset == -2
    more = call("add", path, media_folder / "clip.mp4", "--dub", f"de={media_folder / 'de.wav'}", "--copy")
    assert asked == [("clip", 60.0)]  # a clip that is there already is not measured again
    assert "own offset" not in more.output
    quiet = call("add", path, media_folder / "clip.mp4", *NEW, "--id", "other", "--end", "1", "--json")
    assert json.loads(quiet.stdout)["own_offset"] == {"frames": None, "confidence": 0.97, "why": "why"}
    assert json.loads(quiet.stdout)["digest"] == load_manifest(path).digest
    assert asked[1:] == [("other", 1.0)]
    assert load_manifest(path).clips[1].av_offset is None


def test_add_without_the_weights_says_that_nothing_was_measured(media_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "available", lambda name: False)
    path = tmp_path / "new.yaml"
    told = call("add", path, media_folder / "clip.mp4", *NEW)
    assert told.exit_code == 0
    assert f"`lipbench data offsets {path} --write`" in told.stderr
    assert load_manifest(path).clips[0].av_offset is None
    assert "own offset" not in call("add", path, media_folder / "clip.mp4", *NEW, "--id", "b", "--no-own-offset").output


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "is new and needs a licence"),
        (["--licence", "CC-BY"], "there is no licence called 'CC-BY'"),
        (["--licence", "other"], 'licence "other" needs a URL'),
        (["--licence", "MIT", "--dub", "fr"], "--dub fr: not LANG=FILE"),
        (["--licence", "MIT", "--dub", "fr=a", "--dub", "fr=b"], "--dub fr is given twice"),
    ],
)
def test_add_asks_nothing_without_a_terminal(media_folder, tmp_path, args, message):
    result = call("add", tmp_path / "new.yaml", media_folder / "clip.mp4", "--language", "en", "--consent", "x", *args)
    assert isinstance(result.exception, UsageError)
    assert result.exception.what.endswith(message)
    assert not (tmp_path / "new.yaml").exists()


def test_add_asks_on_a_terminal(media_folder, tmp_path, monkeypatch):
    class Terminal:
        def isatty(self):
            return True

    class Sys:
        stdin, stdout = Terminal(), sys.stdout

    monkeypatch.setattr(module, "sys", Sys)
    path = tmp_path / "new.yaml"
    result = call("add", path, media_folder / "clip.mp4", "--copy", input="en\nother\nhttps://x.org/l\non file\n")
    assert result.exit_code == 0, result.output
    text = path.read_text()
    assert "id: other" in text
    assert "consent: on file" in text
    again = call("add", path, media_folder / "clip.mp4", "--dub", f"de={media_folder / 'de.wav'}", "--copy")
    assert again.exit_code == 0, again.output  # a known clip: nothing to ask


def test_schema():
    assert call("schema").stdout == json_schema()
    assert json.loads(call("schema", "method").stdout)["title"] == "lipbench external method"
    assert json.loads(call("schema", "run").stdout)["title"] == "lipbench run file, schema 1"


def test_later_commands_are_found_by_name(monkeypatch):
    monkeypatch.setitem(module.SUBCOMMANDS, "plan-b", ("lipbench.cli.weights:main", "Another module's command."))
    assert "plan-b" in call("--help").output
    assert "fetch, add and check network weights" in call("plan-b", "--help").output


def test_help_needs_no_heavy_import():
    code = "import sys; from lipbench.cli import data; print({'torch', 'pandas', 'av', 'cv2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
