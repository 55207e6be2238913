"""How good a generator is on people, sentences and voices that it never met, one language among them unheard.

python -m tools.evaluate_wav2lip --seed 1 [--weights FILE] [--sync-model FILE]

Every clip is dubbed as the method dubs it: coded video in, the boxes of the face track, whole frames out. Beside it
stand the video left as it was (the row `dubbed`) and truth.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from lipbench.baselines.wav2lip import boxes as framing
from lipbench.baselines.wav2lip.checkpoint import load
from lipbench.baselines.wav2lip.inference import Wav2LipInference, generate_frames
from lipbench.baselines.wav2lip.mel import melspectrogram, window_starts
from lipbench.baselines.wav2lip.networks import Wav2LipGenerator
from lipbench.metrics.functional.psnr import frame_psnr, mean_psnr
from lipbench.metrics.regions import Regions, from_track
from lipbench.synthetic.corpus.render import ClipRender, render_clip
from lipbench.synthetic.corpus.spec import ClipSpec
from lipbench.training.syncnet.cache import crops_of_track
from lipbench.training.syncnet.generated import through_codec
from lipbench.training.wav2lip.sources import LipDatasetConfig

if TYPE_CHECKING:
    from lipbench.metrics.sync.folded import FoldedSyncNet

LANGUAGES = ("en", "fr", "es", "de", "it")
CRF = 19  # of the packaged corpus
PROBE = 20  # px, edge of the mouths that the probe sees
ROWS = ("truth", "drawn", "dubbed")
Frames = NDArray[np.uint8]


@dataclass(frozen=True)
class Dubbing:
    """One clip under one dub: (T, H, W, 3) RGB of the three rows, what is heard, where the face and the mouth are."""

    clip: ClipRender
    language: str
    videos: Mapping[str, Frames]
    regions: Regions


def specs(seed: int, per_language: int, seconds: float) -> list[ClipSpec]:
    """New people, one per clip; every clip is dubbed into two other languages."""
    return LipDatasetConfig(
        "evaluation",
        per_language * len(LANGUAGES),
        seed=seed,
        seconds=seconds,
        takes=1,
        languages=LANGUAGES,
        view=(2.75, 2.9),
        pool="test",
        shuffled=0.0,
        levels=("normal",),
    ).specs()


def dubbings(net: Wav2LipGenerator, spec: ClipSpec) -> list[Dubbing]:
    """The clip with lips for each of its dubs, drawn as the method draws them."""
    clip = render_clip(spec)
    track = clip.annotations[spec.source].face_track()
    boxes, regions, drawer = framing.follow(track).xyxy, from_track(track), Wav2LipInference(net)
    coded = {tag: through_codec(frames, CRF, spec.fps) for tag, frames in clip.frames.items()}
    out = []
    for tag in spec.dubs:
        mel = melspectrogram(clip.audio[tag])
        starts = window_starts(mel.shape[1], spec.fps, spec.n_frames)
        drawn = np.stack(list(generate_frames(drawer, coded[spec.source], boxes, mel, starts)))
        videos = {"truth": coded[tag], "drawn": through_codec(drawn, 12, spec.fps), "dubbed": coded[spec.source]}
        out.append(Dubbing(clip, tag, videos, regions))
    return out


def score(dubbing: Dubbing, sync_model: FoldedSyncNet | None = None) -> dict[str, Any]:
    """Row -> its figures: PSNR of the mouth against truth (dB), correlation of the lips' opening with truth's, and
    under a sync model LSE-D and LSE-C."""
    gap = dubbing.clip.annotations[dubbing.language].lip_gap
    probe = _probe(dubbing)
    out: dict[str, Any] = {"clip": dubbing.clip.spec.id, "language": dubbing.language}
    for row in ROWS:
        opening = probe(_mouths(dubbing.videos[row], dubbing.regions))
        out[row] = {
            "mouth_psnr": _psnr(dubbing, row),
            "opening_corr": float(np.corrcoef(opening, gap)[0, 1]),
            "opening_ratio": float(opening.std() / gap.std()),
        }
        if sync_model is not None:
            track = dubbing.clip.annotations[dubbing.clip.spec.source].face_track()
            faces, first = crops_of_track(dubbing.videos[row], track, sync_model.size, margin=False)
            sync = sync_model.score(faces, dubbing.clip.audio[dubbing.language][first * 640 :])
            out[row] |= {"lse_d": sync.lse_d, "lse_c": sync.lse_c, "offset": sync.av_offset}
    return out


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over clips: language -> row -> figure; "all" beside the languages."""

    def means(which: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        keys = [k for k in which[0]["drawn"] if k != "offset"]
        return {row: {k: _mean([r[row][k] for r in which]) for k in keys} for row in ROWS} | {"dubbings": len(which)}

    tags = sorted({r["language"] for r in rows})
    return {"all": means(rows)} | {tag: means([r for r in rows if r["language"] == tag]) for tag in tags}


def strip(dubbing: Dubbing, columns: int = 10, edge: int = 128) -> Frames:
    """(3 edge, columns edge, 3) RGB mouths of the source, drawn, truth; every fourth frame from the first word on."""
    gap = dubbing.clip.annotations[dubbing.language].lip_gap
    first = min(int(np.argmax(gap > 0.3 * gap.max())), len(gap) - 4 * columns)
    at = range(max(0, first), len(gap), 4)[:columns]
    rows = []
    for name in ("dubbed", "drawn", "truth"):
        tiles = [dubbing.regions.cut(dubbing.videos[name][t], "mouth", t) for t in at]
        rows.append(np.concatenate([cv2.resize(t, (edge, edge)) for t in tiles if t is not None], axis=1))
    return np.concatenate(rows).astype(np.uint8)


def _psnr(dubbing: Dubbing, row: str) -> float | None:
    """Mean over the frames that differ, as the metric has it; None for truth itself."""
    if row == "truth":
        return None
    each = []
    for t, (frame, truth) in enumerate(zip(dubbing.videos[row], dubbing.videos["truth"], strict=True)):
        a, b = (dubbing.regions.cut(f, "mouth", t) for f in (frame, truth))
        each.append(np.nan if a is None or b is None else frame_psnr(np.ascontiguousarray(a), np.ascontiguousarray(b)))
    return mean_psnr(np.array(each))


def _mouths(frames: Frames, regions: Regions) -> NDArray[np.float64]:
    """(T, PROBE^2) gray mouths."""
    cut = [regions.cut(frame, "mouth", t) for t, frame in enumerate(frames)]
    size = (PROBE, PROBE)
    gray = [
        cv2.resize(cv2.cvtColor(np.ascontiguousarray(m), cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
        for m in cut
        if m is not None
    ]
    return np.stack(gray).reshape(len(gray), -1).astype(np.float64) / 255


def _probe(dubbing: Dubbing) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Reads the lips' opening (mm) off mouths: a ridge regression on this person's true videos in other languages."""
    clip = dubbing.clip
    others = [tag for tag in clip.frames if tag != dubbing.language]
    seen = np.concatenate([_mouths(clip.frames[tag], dubbing.regions) for tag in others])
    gap = np.concatenate([clip.annotations[tag].lip_gap for tag in others]).astype(np.float64)
    center, middle = seen.mean(axis=0), gap.mean()
    x = seen - center
    weights = np.linalg.solve(x.T @ x + 0.3 * np.eye(x.shape[1]), x.T @ (gap - middle))
    return lambda mouths: np.asarray((mouths - center) @ weights + middle, np.float64)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None and np.isfinite(v)]
    return round(float(np.mean(known)), 3) if known else None


@click.command()
@click.option("--weights", default="wav2lip-demo", show_default=True, help="A name in the registry, or a file.")
@click.option(
    "--sync-model", type=click.Path(exists=True, path_type=Path), help="A sync model's file, for LSE-D and LSE-C."
)
@click.option("--seed", default=1, show_default=True)
@click.option("--per-language", default=2, show_default=True)
@click.option("--seconds", default=5.0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Folder for evaluation.json and strips.")
def main(weights: str, sync_model: Path | None, seed: int, per_language: int, seconds: float, out: Path | None) -> None:
    """Evaluate a generator on freshly generated people."""
    from lipbench.core import weights as registry
    from lipbench.metrics.sync.network import SyncNet

    torch.set_num_threads(1)
    net = load(weights if Path(weights).is_file() else registry.path(weights))
    ear = SyncNet.from_file(sync_model).folded() if sync_model is not None else None
    folder = out or Path(tempfile.mkdtemp(prefix="wav2lip-"))
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for spec in specs(seed, per_language, seconds):
        for dubbing in dubbings(net, spec):
            rows.append(score(dubbing, ear))
            image = strip(dubbing)
            name = f"{spec.id}-{spec.source}-{dubbing.language}.png"
            cv2.imwrite(str(folder / name), np.ascontiguousarray(image[..., ::-1]))
        click.echo(f"{spec.id} {json.dumps(rows[-1])}", err=True)
    found = {"seed": seed, "weights": weights, "sync_model": str(sync_model) if sync_model else None, **summary(rows)}
    (folder / "evaluation.json").write_text(json.dumps({**found, "rows": rows}, indent=1))
    click.echo(json.dumps(found, indent=1))
    click.echo(f"{folder}", err=True)


if __name__ == "__main__":
    main()
