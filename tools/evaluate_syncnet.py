"""How good a sync model is, on generated people, voices and sentences that it never met, in one language unheard.

python -m tools.evaluate_syncnet --weights syncnet.npz --seed 1
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.metrics.sync.arithmetic import SyncScore, pair_distances, score_embeddings
from lipbench.metrics.sync.folded import FoldedSyncNet
from lipbench.metrics.sync.network import SyncNet
from lipbench.metrics.sync.protocol import VSHIFT
from lipbench.synthetic.corpus.scene import CorpusScene, plan
from lipbench.synthetic.corpus.spec import ClipSpec
from lipbench.training.syncnet import augment, cache
from lipbench.training.syncnet.generated import SyncNetDatasetConfig, damped_scene, through_codec, video_of

LANGUAGES = ("en", "fr", "es", "de", "it")
AMPLITUDES = (0.75, 0.5, 0.25, 0.0)
SECOND = 25  # windows
Frames = NDArray[np.uint8]

#: Damage at the sync model's input, 112 px; none of it touches the timing of the lips.
DAMAGE: dict[str, Callable[[Frames], Frames]] = {
    "blur sigma 1": lambda v: augment.blur(v, 1.0),
    "blur sigma 2": lambda v: augment.blur(v, 2.0),
    "32 px enlarged": lambda v: augment.low_resolution(v, 32),
    "JPEG 15": lambda v: augment.jpeg(v, 15),
    "mouth box": lambda v: augment.mouth_box(v, np.random.default_rng(3)),
}


def specs(seed: int, per_language: int, seconds: float, size: int, supersample: int) -> list[ClipSpec]:
    """New people, one per clip; every clip also has the sound of all other languages."""
    recipe = SyncNetDatasetConfig(
        "evaluation",
        seed,
        per_language * len(LANGUAGES),
        1,
        seconds,
        LANGUAGES,
        size,
        supersample,
        view=(2.75, 2.75),
        takes=1,
        pool="test",
        shuffled=0.0,
    )
    out = []
    for spec in recipe.specs():
        values = spec.to_dict() | {"dubs": tuple(x for x in LANGUAGES if x != spec.source), "difficulty": "normal"}
        out.append(ClipSpec.from_dict(values))
    return out


def _crops(scene: CorpusScene, language: str, size: int) -> tuple[Frames, int]:
    frames, shot = video_of(scene, language)
    return cache.crops_of_track(through_codec(frames, 16), shot.annotations().face_track(), size, margin=False)


def second_by_second(video: Tensor, audio: Tensor, shifts: range) -> list[bool]:
    """For every second (stepped by half) and every shift of +-`shifts` frames: is the unshifted distance smaller?"""
    each = pair_distances(video, audio).numpy()
    n, out = len(each), []
    for start in range(0, n - SECOND + 1, SECOND // 2):
        here = each[start : start + SECOND, VSHIFT].mean()
        for k in (s * sign for s in shifts for sign in (-1, 1)):
            if start + k >= 0 and start + SECOND + k <= n:
                out.append(bool(here < each[start : start + SECOND, VSHIFT + k].mean()))
    return out


def delayed(video: Tensor, audio: Tensor, frames: int) -> SyncScore:
    """The score of an image that comes `frames` late; the start, which nothing fills, is left out."""
    n = len(video) - frames
    return score_embeddings(video[:n], audio[frames : frames + n])


def evaluate(
    net: FoldedSyncNet,
    seed: int,
    *,
    per_language: int = 3,
    seconds: float = 6.0,
    size: int = 256,
    supersample: int = 1,
    log: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """All figures of the model card.

    Args:
        net: the sync model.
        seed: of people, voices and sentences.
        per_language, seconds: how many clips, of which length.
        size, supersample: of the rendered images.

    Returns:
        JSON values, named by the figures above.
    """
    rows: list[dict[str, Any]] = []
    for spec in specs(seed, per_language, seconds, size, supersample):
        scene = plan(spec)
        tag = spec.source
        crops, first = _crops(scene, tag, net.size)
        sound = {x: scene.takes[x][0].audio[first * 640 : (first + len(crops)) * 640] for x in spec.languages}
        video, audio = net.embed_video(crops), {x: net.embed_audio(a) for x, a in sound.items()}
        truth = score_embeddings(video, audio[tag])
        row: dict[str, Any] = {
            "clip": spec.id,
            "language": tag,
            "lse_d": truth.lse_d,
            "lse_c": truth.lse_c,
            "offset": truth.av_offset,
            "distances": truth.distances.tolist(),
            "dubbed": {x: score_embeddings(video, audio[x]).lse_d for x in audio if x != tag},
            "dubbed_c": {x: score_embeddings(video, audio[x]).lse_c for x in audio if x != tag},
            "far": second_by_second(video, audio[tag], range(5, 16)),
            "near": second_by_second(video, audio[tag], range(2, 5)),
            "delay": [delayed(video, audio[tag], k).lse_d_at_zero for k in range(7)],
            "damage": {k: score_embeddings(net.embed_video(f(crops)), audio[tag]).lse_d for k, f in DAMAGE.items()},
            "damped": {},
        }
        for amplitude in AMPLITUDES:
            less = net.embed_video(_crops(damped_scene(scene, amplitude), tag, net.size)[0])
            row["damped"][f"{amplitude:g}"] = score_embeddings(less, audio[tag]).lse_d
        rows.append(row)
        log(f"{spec.id} {tag}: LSE-D {truth.lse_d:.2f}, dubbed {np.mean(list(row['dubbed'].values())):.2f}")
    return summary(rows, seed)


def summary(rows: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    """Means over clips, and the rows themselves."""

    def mean(values: Any) -> float:
        return round(float(np.mean(list(values))), 4)

    def group(which: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "clips": len(which),
            "right_5_to_15": mean(x for r in which for x in r["far"]),
            "right_2_to_4": mean(x for r in which for x in r["near"]),
            "offset_within_1": mean(abs(r["offset"]) <= 1 for r in which),
            "lse_d": mean(r["lse_d"] for r in which),
            "lse_c": mean(r["lse_c"] for r in which),
            "lse_d_dubbed": mean(x for r in which for x in r["dubbed"].values()),
            "lse_c_dubbed": mean(x for r in which for x in r["dubbed_c"].values()),
            "truth_below_dubbed": mean(r["lse_d"] < x for r in which for x in r["dubbed"].values()),
        }

    tags = list(dict.fromkeys(r["language"] for r in rows))
    delays = [mean(r["delay"][k] for r in rows) for k in range(7)]
    return {
        "seed": seed,
        "all": group(rows),
        "languages": {t: group([r for r in rows if r["language"] == t]) for t in tags},
        "lse_d_at_zero_by_delay": delays,
        "delay_monotone": all(a < b for a, b in pairwise(delays)),
        "lse_d_by_amplitude": {"1": mean(r["lse_d"] for r in rows)}
        | {a: mean(r["damped"][a] for r in rows) for a in rows[0]["damped"]},
        "lse_d_by_damage": {k: mean(r["damage"][k] for r in rows) for k in rows[0]["damage"]},
        "rows": rows,
    }


@click.command()
@click.option("--weights", type=click.Path(exists=True, path_type=Path), required=True, help="A sync model's file.")
@click.option("--seed", default=1, show_default=True)
@click.option("--per-language", default=3, show_default=True)
@click.option("--seconds", default=6.0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for evaluation.json.")
def main(weights: Path, seed: int, per_language: int, seconds: float, out: Path | None) -> None:
    """Evaluate a sync model on freshly generated people."""
    torch.set_num_threads(min(2, torch.get_num_threads()))
    net = SyncNet.from_file(weights).folded()
    found = evaluate(net, seed, per_language=per_language, seconds=seconds, log=lambda s: click.echo(s, err=True))
    folder = out or Path(tempfile.mkdtemp(prefix="syncnet-"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps(found, indent=1))
    click.echo(json.dumps({k: v for k, v in found.items() if k != "rows"}, indent=1))
    click.echo(f"{folder / 'evaluation.json'}", err=True)


if __name__ == "__main__":
    main()
