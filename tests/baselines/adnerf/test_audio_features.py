"""Sources of audio features: the offline default, files, a DeepSpeech graph made here, wav2vec2's refusals."""

from __future__ import annotations

import json
import struct
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lipbench.baselines.adnerf import audio, wav2vec2
from lipbench.baselines.adnerf.deepspeech import ALPHABET, character_scores, input_vectors, load
from lipbench.baselines.adnerf.graphdef import GraphFile
from lipbench.core.errors import TooShort, Unsupported, UsageError, WeightsError, WeightsMismatch, WeightsMissing

HIDDEN = 12


def speech(seconds: float = 1.0, pitch: float = 140, gain: float = 1.0) -> np.ndarray:
    t = np.arange(round(seconds * 16000)) / 16000
    gate = 0.55 + 0.45 * np.sin(2 * np.pi * 3 * t)
    tone = sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 12))
    noise = np.random.default_rng(0).normal(0, 0.05, len(t))
    return (gain * 6000 * gate * (tone + noise)).clip(-32768, 32767).astype(np.int16)


# -- a frozen graph, written by hand ------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    out = b""
    while True:
        value, low = value >> 7, value & 0x7F
        out += bytes([low | (0x80 if value else 0)])
        if not value:
            return out


def field(number: int, payload: bytes | int) -> bytes:
    if isinstance(payload, int):
        return varint(number << 3) + varint(payload)
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def tensor(value: np.ndarray, form: str = "content") -> bytes:
    kind = {"float32": 1, "int32": 3, "float16": 19, "int64": 9}[value.dtype.name]
    shape = b"".join(field(2, field(1, n)) for n in value.shape)
    body = field(1, kind) + field(2, shape)
    if form == "content":
        return body + field(4, value.tobytes())
    if form == "packed":
        return body + field(5, value.astype("<f4").tobytes())
    if form == "single":  # one fixed32 for all
        return body + varint(5 << 3 | 5) + struct.pack("<f", float(value.flat[0]))
    if form == "half":
        return body + field(13, b"".join(varint(int(v)) for v in value.view(np.uint16).ravel()))
    return body + b"".join(field({3: 7, 9: 10}[kind], int(v) & (2**64 - 1)) for v in value.ravel())


def node(name: str, op: str, inputs: tuple[str, ...] = (), value: bytes | None = None) -> bytes:
    body = field(1, name.encode()) + field(2, op.encode())
    body += b"".join(field(3, i.encode()) for i in inputs) + field(4, b"/cpu:0")
    body += field(5, field(1, b"dtype") + field(2, field(6, 1)))
    if value is not None:
        body += field(5, field(1, b"value") + field(2, field(8, value)))
    return field(1, body)


def weights(seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    shapes = {
        "h1": (494, HIDDEN),
        "b1": (HIDDEN,),
        "h2": (HIDDEN, HIDDEN),
        "b2": (HIDDEN,),
        "h3": (HIDDEN, 2 * HIDDEN),
        "b3": (2 * HIDDEN,),
        "h5": (2 * HIDDEN, HIDDEN),
        "b5": (HIDDEN,),
        "h6": (HIDDEN, 29),
        "b6": (29,),
        **{
            f"bidirectional_rnn/{way}/basic_lstm_cell/{part}": size
            for way in ("fw", "bw")
            for part, size in (("kernel", (3 * HIDDEN, 4 * HIDDEN)), ("bias", (4 * HIDDEN,)))
        },
    }
    return {
        k: rng.normal(0, 1.6 / np.sqrt(s[0]) if len(s) > 1 else 0.3, s).astype(np.float32) for k, s in shapes.items()
    }


def graph(values: dict[str, np.ndarray], path: Path) -> Path:
    content = node("input_node", "Placeholder")
    for name, value in values.items():
        content += node(name, "Const", value=tensor(value)) + node(f"{name}/read", "Identity", (name,))
    content += node("logits", "Reshape", ("Add_4", "Reshape/shape"))
    path.write_bytes(content + field(4, field(1, 24)))  # versions { producer: 24 }
    return path


@pytest.fixture(scope="module")
def pb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return graph(weights(), tmp_path_factory.mktemp("ds") / "deepspeech.pb")


def reference(x: np.ndarray, w: dict[str, np.ndarray]) -> np.ndarray:
    """BiRNN of DeepSpeech 0.1.0 step by step: BasicLSTMCell with gates i, j, f, o and forget bias 1."""

    def clipped(v: np.ndarray) -> np.ndarray:
        return np.minimum(np.maximum(v, 0), 20)

    def sigmoid(v: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-v))

    for i in (1, 2, 3):
        x = clipped(x @ w[f"h{i}"] + w[f"b{i}"])
    sides = []
    for way in ("fw", "bw"):
        kernel, bias = (w[f"bidirectional_rnn/{way}/basic_lstm_cell/{p}"] for p in ("kernel", "bias"))
        c = h = np.zeros(HIDDEN)
        out = []
        for row in x if way == "fw" else x[::-1]:
            i, j, f, o = np.split(np.concatenate([row, h]) @ kernel + bias, 4)
            c = c * sigmoid(f + 1) + sigmoid(i) * np.tanh(j)
            h = np.tanh(c) * sigmoid(o)
            out.append(h)
        sides.append(np.array(out if way == "fw" else out[::-1]))
    x = clipped(np.concatenate(sides, 1) @ w["h5"] + w["b5"])
    return x @ w["h6"] + w["b6"]


def test_deepspeech_graph_answers_like_its_cells_step_by_step(pb: Path) -> None:
    sound = speech(0.8)
    got = character_scores(pb, sound)
    want = reference(input_vectors(sound).astype(np.float64), weights())
    assert got.shape == (40, 29)
    assert np.ptp(want) > 1
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_input_vectors_are_context_windows_of_every_second_row() -> None:
    from python_speech_features import mfcc

    sound = speech(1.0)
    rows = mfcc(sound, 16000, numcep=26)[::2]
    got = input_vectors(sound)
    assert got.shape == (len(rows), 494) == (50, 494)
    assert abs(got.mean()) < 1e-4
    assert got.std() == pytest.approx(1, abs=1e-4)
    scale = np.ptp(got) / np.ptp(np.append(rows, 0))  # zero rows of context belong to it
    np.testing.assert_allclose(
        np.diff(got[20].reshape(19, 26), axis=0), np.diff(rows[11:30], axis=0) * scale, atol=1e-3
    )
    assert np.ptp(got[0].reshape(19, 26)[:9]) == 0  # nothing before the beginning


def test_graph_file_reads_every_form_of_a_constant(tmp_path: Path) -> None:
    a = np.arange(6, dtype=np.float32).reshape(2, 3) - 2.5
    whole, half = np.array([-3, 500, 2**31 - 1], np.int32), np.array([1.5, -0.25], np.float16)
    content = (
        node("content", "Const", value=tensor(a))
        + node("packed", "Const", value=tensor(a, "packed"))
        + node("same", "Const", value=tensor(np.full((3, 4), 7, np.float32), "single"))
        + node("ints", "Const", value=tensor(whole, "ints"))
        + node("half", "Const", value=tensor(half, "half"))
        + node("scalar", "Const", value=tensor(np.array(20, np.float32), "single"))
        + node("relu", "Relu", ("content",))
    )
    path = tmp_path / "g.pb"
    path.write_bytes(content)
    found = GraphFile(path)
    for name in ("content", "packed"):
        np.testing.assert_array_equal(found.constant(name), a)
    np.testing.assert_array_equal(found.constant("same"), np.full((3, 4), 7))
    np.testing.assert_array_equal(found.constant("ints"), whole)
    np.testing.assert_array_equal(found.constant("half"), half)
    assert found.constant("scalar").shape == ()
    assert (found.nodes["relu"].op, found.nodes["relu"].inputs) == ("Relu", ("content",))
    with pytest.raises(WeightsError, match="not frozen"):
        found.constant("relu")
    with pytest.raises(WeightsError, match="no node 'h9'"):
        found.constant("h9")


@pytest.mark.parametrize("content", [b"", b"<html>not a model</html>", b"\x0a\xff\xff\x03short", b"\x0b\x0b\x0b"])
def test_no_graph(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.pb"
    path.write_bytes(content)
    with pytest.raises(WeightsError):
        GraphFile(path)
    with pytest.raises(WeightsMissing):
        load(tmp_path / "absent.pb")


def test_another_network(tmp_path: Path) -> None:
    values = weights()
    values["h2"] = values["h2"][:, :-1]
    with pytest.raises(WeightsMismatch, match="no DeepSpeech"):
        load(graph(values, tmp_path / "odd.pb"))
    del values["h6"]
    with pytest.raises(WeightsError, match="'h6'"):
        load(graph(values, tmp_path / "less.pb"))


# -- windows, files, the default ----------------------------------------------------------------------------------


def test_windows_have_their_frame_in_the_middle() -> None:
    rows = np.repeat(np.arange(1, 41, dtype=np.float32)[:, None], 29, 1)
    got = audio.windows(rows, 20)
    assert got.shape == (20, 16, 29)
    assert got[0, :, 0].tolist() == [0] * 8 + list(range(1, 9))
    assert got[10, :, 3].tolist() == list(range(13, 29))  # rows 12 .. 27
    assert got[19, :, 28].tolist() == [*range(31, 41), *[0] * 6]
    assert audio.windows(rows, 30)[29].max() == 0  # a video longer than its sound
    assert audio.windows(rows, 10, fps=12.5)[3, 8, 0] == 13  # row 4 i


def test_the_default_needs_nothing_and_says_so() -> None:
    sound = speech(1.2)
    made = audio.extract(sound, 30)
    assert made.windows.shape == (30, 16, 29)
    assert made.windows.dtype == np.float32
    assert made.record == {"features": "mel29"}
    np.testing.assert_array_equal(made.windows, audio.extract(sound, 30).windows)
    rows = audio.mel29(sound)
    assert rows.shape == (60, 29)
    assert np.abs(rows).max() <= 4
    np.testing.assert_allclose(rows.mean(0), 0, atol=0.05)
    # Loudness does not matter, the sound does.
    np.testing.assert_allclose(audio.mel29(speech(1.2, gain=0.5)), rows, atol=0.05)
    assert np.abs(audio.mel29(speech(1.2)[::-1].copy()) - rows).mean() > 0.2


def test_silence_gives_no_nan() -> None:
    assert np.abs(audio.mel29(np.zeros(16000, np.int16))).max() == 0
    with pytest.raises(TooShort):
        audio.mel29(np.zeros(500, np.int16))


def test_files_made_elsewhere(tmp_path: Path) -> None:
    made = np.random.default_rng(0).normal(size=(10, 16, 29))
    np.save(tmp_path / "aud.npy", made)
    got = audio.extract(np.zeros(0, np.int16), 14, source="file", file=tmp_path / "aud.npy")
    np.testing.assert_array_equal(got.windows[:10], made.astype(np.float32))
    np.testing.assert_array_equal(got.windows[10:], np.repeat(made[9:].astype(np.float32), 4, 0))
    assert got.record["features"] == "file"
    assert got.record["rows_in_file"] == 10
    np.save(tmp_path / "rows.npy", made[:, 0])
    again = audio.extract(np.zeros(0, np.int16), 5, source="file", file=tmp_path / "rows.npy")
    np.testing.assert_array_equal(again.windows, audio.windows(made[:, 0].astype(np.float32), 5))
    assert again.record["file"] != got.record["file"]


@pytest.mark.parametrize("value", [np.zeros((4, 16, 28)), np.zeros((0, 16, 29)), np.full((2, 29), np.nan), ["a"]])
def test_files_of_another_shape(value: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", value)
    with pytest.raises(WeightsError, match=r"x\.npy"):
        audio.read_npy(tmp_path / "x.npy")


def test_a_pickle_is_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(WeightsError):
        audio.read_npy(tmp_path / "x.npy")
    with pytest.raises(WeightsMissing):
        audio.read_npy(tmp_path / "no.npy")


def test_sources_and_their_files(pb: Path) -> None:
    with pytest.raises(UsageError, match=r"deepspeech-0_1_0"):
        audio.extract(speech(), 5, source="deepspeech")
    with pytest.raises(UsageError, match="needs no file"):
        audio.extract(speech(), 5, file=pb)
    with pytest.raises(UsageError, match="known: mel29"):
        audio.extract(speech(), 5, source="hubert")  # type: ignore[arg-type]
    with pytest.raises(WeightsMissing):
        audio.identity("deepspeech", "/nowhere.pb")
    made = audio.extract(speech(), 25, source="deepspeech", file=pb)
    assert made.windows.shape == (25, 16, 29)
    assert made.record["file"] == audio.identity("deepspeech", pb)["file"]


# -- wav2vec2 -----------------------------------------------------------------------------------------------------

TOKENS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(TOKENS)}))
    return tmp_path


def test_wav2vec2_without_transformers(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(Unsupported, match="transformers is not installed"):
        audio.extract(speech(), 5, source="wav2vec2", file=model)
    with pytest.raises(WeightsMissing, match=r"vocab\.json"):
        wav2vec2.character_scores(model / "none", speech())


def test_wav2vec2_speaks_deepspeechs_alphabet(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[torch.Tensor] = []

    class Net(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            heard.append(x)
            rows = (x.shape[1] - 400) // 320 + 1
            return types.SimpleNamespace(logits=torch.arange(32.0).expand(1, rows, 32))

    asked: list[Any] = []

    def from_pretrained(folder: Path, **options: Any) -> Net:
        asked.append((folder, options))
        return Net()

    fake = types.SimpleNamespace(Wav2Vec2ForCTC=types.SimpleNamespace(from_pretrained=from_pretrained))
    monkeypatch.setitem(sys.modules, "transformers", fake)
    with pytest.raises(WeightsError, match="pickles"):
        wav2vec2.character_scores(model, speech(1.0))
    (model / wav2vec2.TENSORS).write_bytes(bytes(8))
    scores = wav2vec2.character_scores(model, speech(1.0))
    assert asked == [(model, {"local_files_only": True, "use_safetensors": True})]
    assert scores.shape == (49, 29)
    said = [TOKENS[int(i)] for i in scores[0]]
    assert said == ["|", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ", "'", "<pad>"]
    assert len(said) == len(ALPHABET)
    assert abs(float(heard[0].mean())) < 1e-5
    assert float(heard[0].std()) == pytest.approx(1, abs=1e-3)
    assert audio.extract(speech(1.0), 25, source="wav2vec2", file=model).windows.shape == (25, 16, 29)


def test_wav2vec2_of_another_alphabet() -> None:
    with pytest.raises(WeightsMismatch, match="z"):
        wav2vec2.letters({t: i for i, t in enumerate(TOKENS[:-1])})
