"""The weights and the method that a dub's lips come from. A plan asks for them, so nothing heavy is imported here."""

from __future__ import annotations

from typing import Any

from lipbench.core import registry
from lipbench.core.errors import UsageError
from lipbench.core.method import Method
from lipbench.lipnerf.params import LipNerfParams

ARTICULATION = "articulation-demo"


def lip_source(params: LipNerfParams) -> tuple[Method, Any]:
    """The method that supplies the lips, and its parameters.

    Raises:
        UnknownName: no such method.
        UsageError: wrong parameters, or LipNeRF itself.
    """
    if params.lip_source == "lipnerf":
        raise UsageError("LipNeRF cannot be its own lip source", "", "name another method, e.g. wav2lip")
    method: Method = registry.load("methods", params.lip_source)
    try:
        return method, method.spec.params(**params.lip_source_params)
    except ValueError as error:
        raise UsageError(
            f"the lip source {params.lip_source} cannot take these parameters",
            str(error).splitlines()[0],
            "correct lip_source_params",
        ) from error
