"""The files that the networks are read from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lipbench.baselines.makeittalk.spec import DEMO
from lipbench.core.errors import UsageError


def files(params: Any) -> dict[str, str]:
    """What the networks need besides checkpoints: name -> path.

    Raises:
        UsageError: a parameter is missing.
    """
    if params.weights == DEMO:
        return {}
    from lipbench.baselines.makeittalk.checkpoint import FACE, MEAN_STD, VOICE

    if params.checkout is None:
        raise UsageError(
            "MakeItTalk's published networks need small files of its repository",
            f"`checkout` does not say where {MEAN_STD} is",
            f"git clone https://github.com/yzhou359/MakeItTalk, then `checkout: MakeItTalk`; or use `weights: {DEMO}`",
        )
    root = Path(params.checkout)
    found = {"mean_std": str(root / MEAN_STD), "face": str(root / FACE)}
    converted, moving = params.chosen("voice") == "converted", params.chosen("head") == "speaker"
    if converted:
        found["voice"] = str(root / VOICE)
    if converted or moving:
        if params.speaker_embedding is None:
            raise UsageError(
                "MakeItTalk does not know whose voice it hears",
                "`speaker_embedding` is not given",
                "make one with Resemblyzer, or use `voice: own` and `head: still`",
            )
        found["speaker_embedding"] = params.speaker_embedding
    return found
