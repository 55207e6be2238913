"""lipbench dub."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from lipbench import media
from lipbench.cli.dub import main
from lipbench.core.errors import LipbenchError, MediaError, UnknownName, UsageError


def call(*args):
    return CliRunner().invoke(main, [str(a) for a in args])


def test_dubbed(tiny, tmp_path):
    out = tmp_path / "sub" / "out.mp4"
    args = ("dubbed", tiny / "one.mp4", tiny / "fr.wav", "-o", out, "--work", tmp_path / "work", "--json")
    result = call(*args)
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert (answer["out"], answer["method"], answer["cached"]) == (str(out), "dubbed", False)
    assert np.array_equal(media.load_frames(out), media.load_frames(tiny / "one.mp4"))
    assert media.probe(out).audio is not None
    first = out.read_bytes()
    out.unlink()
    again = json.loads(call(*args).stdout)
    assert again["cached"] is True
    assert out.read_bytes() == first


def test_external_method_file(tiny, fake, tmp_path):
    # The example, without the face track that is there to notice unchanged mouths: it needs weights.
    text = fake.with_name("method.yaml").read_text().replace("path: .", f"path: {fake.parent}")
    (tmp_path / "method.yaml").write_text(text + "needs: {faces: false}\n")
    out = tmp_path / "out.mp4"
    result = call(tmp_path / "method.yaml", tiny / "one.mp4", tiny / "fr.wav", "-o", out, "--work", tmp_path / "work")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(out)
    frames = media.load_frames(out).astype(int)
    assert len(frames) == 20
    assert np.abs(frames - frames[0]).max() <= 3  # frozen, but for the codec
    source = media.load_frames(tiny / "one.mp4").astype(int)
    assert np.abs(source[-1] - source[0]).min() > 40


def test_without_a_face_backend_the_reason_is_told(tiny, tmp_path):
    result = call("still-mouth", tiny / "one.mp4", tiny / "fr.wav", "-o", tmp_path / "o.mp4", "--work", tmp_path / "w")
    assert isinstance(result.exception, LipbenchError)
    assert result.exception.what.startswith("still-mouth makes no video of ")
    assert "weights_missing: " in result.exception.why
    assert "lipbench weights get mediapipe-face" in result.exception.fix
    assert not (tmp_path / "w").exists()  # said before any work
    assert result.exception.reason == "weights_missing"
    assert not (tmp_path / "o.mp4").exists()


@pytest.mark.parametrize(
    ("method", "video", "out", "error", "text"),
    [
        ("dubed", "one.mp4", "o.mp4", UnknownName, "did you mean dubbed"),
        ("dubbed", "none.mp4", "o.mp4", MediaError, "none.mp4"),
        ("dubbed", "one.mp4", "o.avi", UsageError, "o.mp4"),
    ],
)
def test_mistakes(tiny, tmp_path, method, video, out, error, text):
    result = call(method, tiny / video, tiny / "fr.wav", "-o", tmp_path / out, "--work", tmp_path / "w")
    assert isinstance(result.exception, error), result.output
    assert text in str(result.exception)


def test_parameters(tiny, tmp_path):
    args = ("shifted-audio", tiny / "one.mp4", tiny / "fr.wav", "-o", tmp_path / "o.mp4", "--work", tmp_path / "w")
    result = call(*args, "-p", "frame=3")
    assert isinstance(result.exception, UsageError)
    assert "parameter frame" in result.exception.what
    assert "frames" in result.exception.fix
    assert call(*args, "-p", "frames").exit_code == 2
