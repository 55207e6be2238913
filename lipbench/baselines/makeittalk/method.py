"""MakeItTalk as a lipbench method: one picture of the clip, animated by the dub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lipbench.baselines.makeittalk.spec import AUTOVC, CONTENT, DEMO, IMAGE, SPEAKER, SPEC
from lipbench.core import keys, weights
from lipbench.core.errors import UsageError
from lipbench.core.method import DubJob, Method, Outputs


class MakeItTalk(Method):
    """Predicts 68 landmarks from sound and redraws one picture with them.

    The answer is that picture, talking: the clip's own movement is not in it (the paper's method takes one photo).
    """

    spec = SPEC

    def weights(self, params: Any) -> tuple[str, ...]:
        if params.weights == DEMO:
            return () if params.weights_file else (DEMO,)
        wanted = {
            SPEAKER: params.chosen("head") == "speaker",
            AUTOVC: params.chosen("voice") == "converted",
            IMAGE: params.chosen("renderer") == "network",
        }
        return (CONTENT, *(name for name, needed in wanted.items() if needed))

    def identity(self, params: Any, clip_id: str, language: str) -> Mapping[str, Any]:
        """Hashes of the files that params point to.

        Raises:
            UsageError, WeightsMissing: `checkout` or `speaker_embedding` is needed and not there.
        """
        paths = files(params)
        if params.weights_file:
            paths["weights_file"] = params.weights_file
        return {name: keys.sha256_file(weights.existing(path, name)) for name, path in paths.items()}

    def synthesize(self, job: DubJob) -> Outputs:
        from lipbench.baselines.makeittalk import stages  # loads torch

        return stages.synthesize(job)


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
