"""The methods that are one file each: controls, and videos that somebody else made."""

from __future__ import annotations

import string

from pydantic import Field, field_validator

from lipbench.core.method import MethodSpec, Params

_SOURCE = "none: the source frames"
PLACEHOLDERS = ("clip", "language", "dub", "seed", "seconds")

DUBBED = MethodSpec(
    "dubbed",
    "1",
    "Dubbed",
    licence=_SOURCE,
    kind="control",
    uses_gpu=(),
    # LipNeRF (FG 2023), Table I: dubbed audio in all available languages.
    paper_results={"lse_d": 12.02, "lse_c": 0.84, "psnr_full": float("inf"), "ssim_full": 1.0, "lpips_full": 0.0},
    implementation="lipbench.baselines.controls:Dubbed",
)
TRUTH = MethodSpec(
    "truth",
    "1",
    "Truth",
    licence="that of the clip",
    needs=frozenset({"truth"}),
    kind="control",
    uses_gpu=(),
    implementation="lipbench.baselines.controls:Truth",
)
STILL_MOUTH = MethodSpec(
    "still-mouth",
    "2",
    "Still mouth",
    licence=_SOURCE,
    needs=frozenset({"faces"}),
    kind="control",
    uses_gpu=(),
    implementation="lipbench.baselines.still_mouth:StillMouth",
    former_ids=("still_mouth",),
)


class ShiftedParams(Params):
    frames: int = Field(6, description="Frames that the image comes late (negative: early).")


SHIFTED_AUDIO = MethodSpec(
    "shifted-audio",
    "1",
    "Shifted",
    licence=_SOURCE,
    params=ShiftedParams,
    kind="control",
    uses_gpu=(),
    implementation="lipbench.baselines.controls:ShiftedAudio",
    former_ids=("shifted_audio",),
)


class PrecomputedParams(Params):
    folder: str = Field(description="Folder with the videos.", json_schema_extra={"path": True})
    pattern: str | tuple[str, ...] = Field(
        "{clip}.{language}.mp4",
        min_length=1,
        description="File name below the folder, or several of which one is there: {clip} {language} {dub} {seed} "
        "{seconds} (`full` for the whole clip).",
    )
    resize: bool = Field(False, description="Scale videos of another size to the clip's instead of refusing them.")

    @field_validator("pattern")
    @classmethod
    def _known(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for pattern in (value,) if isinstance(value, str) else value:
            try:
                names = [name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None]
            except ValueError as error:
                raise ValueError(f"{pattern!r} is no pattern: {error}") from error
            for name in names:
                if name not in PLACEHOLDERS:
                    raise ValueError(f"there is no placeholder {{{name}}}; known: {', '.join(PLACEHOLDERS)}")
        return value

    @property
    def patterns(self) -> tuple[str, ...]:
        """The pattern, or all of them."""
        return (self.pattern,) if isinstance(self.pattern, str) else self.pattern


PRECOMPUTED = MethodSpec(
    "precomputed",
    "1",
    "Precomputed",
    licence="that of the videos",
    params=PrecomputedParams,
    # A pattern may name them; without that the same file serves all.
    uses_seed=True,
    uses_train_seconds=True,
    uses_gpu=(),
    made_elsewhere=True,
    implementation="lipbench.baselines.precomputed:Precomputed",
)

METHODS = (DUBBED, TRUTH, STILL_MOUTH, SHIFTED_AUDIO, PRECOMPUTED)
