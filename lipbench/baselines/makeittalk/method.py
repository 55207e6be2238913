"""MakeItTalk as a lipbench method: one image of the clip, animated by the dub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lipbench.baselines.makeittalk.files import files
from lipbench.baselines.makeittalk.spec import AUTOVC, CONTENT, DEMO, IMAGE, SPEAKER, SPEC
from lipbench.core import keys, weights
from lipbench.core.method import DubJob, Method, Outputs


class MakeItTalk(Method):
    """Predicts 68 landmarks from audio and redraws one image with them.

    The answer is that image, talking: the clip's own movement is not in it (the paper's method takes one photo).
    """

    spec = SPEC

    def weights(self, params: Any) -> tuple[str, ...]:
        if params.weights == DEMO:
            own: tuple[str, ...] = params.registered()
            return own
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
        found = {name: keys.sha256_file(weights.existing(path, name)) for name, path in files(params).items()}
        return {**found, **params.file_identity()}

    def synthesize(self, job: DubJob) -> Outputs:
        from lipbench.baselines.makeittalk import stages  # loads torch

        return stages.synthesize(job)
