"""Character scores of a wav2vec 2.0 CTC model, in DeepSpeech's alphabet: 29 numbers, 50 rows per second.

English CTC models such as facebook/wav2vec2-base-960h know 32 tokens: DeepSpeech's 29 (space, a to z, apostrophe,
blank) and three that are never spoken. A row covers 25 ms from k / 50 s on, exactly like a row of DeepSpeech.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import TooShort, Unsupported, WeightsMismatch, WeightsMissing
from lipbench.core.weights.opening import first_line, looked_at, unreadable

#: The only form of weights that is read: tensors and nothing else.
TENSORS = "model.safetensors"
_FRAME = 400  # samples that a row of the model sees
_PAD_TOKENS = ("<pad>", "[PAD]")  # CTC's blank


def letters(vocabulary: dict[str, int]) -> list[int]:
    """Token numbers of space, a to z, apostrophe and blank, in DeepSpeech's order.

    Raises:
        WeightsMismatch: one of them is not in the vocabulary.
    """
    lower = {token.lower(): number for token, number in vocabulary.items()}
    blank = next((vocabulary[token] for token in _PAD_TOKENS if token in vocabulary), None)
    wanted = [("space", lower.get("|")), *((c, lower.get(c)) for c in "abcdefghijklmnopqrstuvwxyz'"), ("blank", blank)]
    lacking = [name for name, number in wanted if number is None]
    if lacking:
        raise WeightsMismatch(
            "the wav2vec2 model has another alphabet",
            f"it lacks {', '.join(lacking)}",
            "use an English CTC model such as facebook/wav2vec2-base-960h",
        )
    return [number for _, number in wanted if number is not None]


def character_scores(folder: str | Path, audio: NDArray[np.int16], device: str = "cpu") -> NDArray[np.float32]:
    """(N,) int16 samples at 16 kHz -> (T, 29) scores with the model in `folder`. Nothing is fetched.

    Raises:
        Unsupported: transformers is not installed.
        WeightsMissing: no such folder, or no model in it.
        WeightsError: the model is not stored as plain tensors, or damaged.
        WeightsMismatch: a model of another alphabet.
        TooShort: less than 25 ms.
    """
    folder = Path(folder)
    vocabulary = folder / "vocab.json"
    if not vocabulary.is_file():
        raise WeightsMissing(
            f"there is no wav2vec2 model in {folder}",
            "it has no vocab.json",
            "download one, e.g. `huggingface-cli download facebook/wav2vec2-base-960h --local-dir FOLDER`",
        )
    if len(audio) < _FRAME:
        raise TooShort(f"the audio has {len(audio)} samples", f"wav2vec2 needs {_FRAME}", "use a longer dub")
    order = letters(json.loads(vocabulary.read_text(encoding="utf-8")))
    model = _model(folder).to(device).eval()
    import torch

    x = audio.astype(np.float32) / 32768
    x = (x - x.mean()) / np.sqrt(x.var() + 1e-7)  # the models' feature extractor: zero mean, unit variance
    with torch.inference_mode():
        scores = model(torch.from_numpy(x)[None].to(device)).logits[0].float().cpu().numpy()  # (T, tokens)
    return np.ascontiguousarray(scores[:, order], np.float32)


def _model(folder: Path) -> Any:
    try:
        from transformers import Wav2Vec2ForCTC  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise Unsupported(
            "wav2vec2 features cannot be made here",
            f"transformers is not installed ({error})",
            "`pip install transformers`, or use the features mel29, deepspeech or file",
        ) from error
    if not (folder / TENSORS).is_file():
        raise unreadable(
            folder,
            f"it has no {TENSORS}; the other forms are pickles, which could run anything",
            "download a model that has it, such as facebook/wav2vec2-base-960h",
        )
    looked_at(folder / TENSORS)
    try:
        return Wav2Vec2ForCTC.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    except Exception as error:  # transformers and safetensors raise many kinds
        raise unreadable(folder, first_line(error), "download it again") from error
