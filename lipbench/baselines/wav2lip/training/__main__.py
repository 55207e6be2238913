"""python -m lipbench.baselines.wav2lip.training FOLDER: expert, then generator; the same command goes on."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import click
import cv2
import torch

from lipbench.baselines.wav2lip.training.config import SIZES
from lipbench.baselines.wav2lip.training.data import split, usable
from lipbench.baselines.wav2lip.training.evaluate import score
from lipbench.baselines.wav2lip.training.expert import ExpertTraining
from lipbench.baselines.wav2lip.training.generator import GeneratorTraining
from lipbench.baselines.wav2lip.training.run import run
from lipbench.baselines.wav2lip.training.sources import Recipe, from_manifest, generated
from lipbench.core.store import write_atomic
from lipbench.datasets.manifest import resolve


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--size", default="demo", show_default=True, type=click.Choice(list(SIZES)), help="Of the networks.")
@click.option("--manifest", default="", help="Train on these clips; generated ones when left out.")
@click.option("--identities", default=60, show_default=True, type=click.IntRange(2), help="Generated people.")
@click.option("--seconds", default=3.0, show_default=True, type=click.FloatRange(1), help="Length of a generated clip.")
@click.option("--expert-steps", default=1500, show_default=True, type=click.IntRange(1), help="Of the expert.")
@click.option("--steps", default=3000, show_default=True, type=click.IntRange(1), help="Of the generator.")
@click.option("--every", default=100, show_default=True, type=click.IntRange(1), help="Steps between checkpoints.")
@click.option("--minutes", type=click.FloatRange(0), help="Stop each network after this time.")
@click.option("--threads", default=2, show_default=True, type=click.IntRange(1), help="CPU threads.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--data", type=click.Path(path_type=Path), help="Folder of rendered clips, FOLDER/data when left out.")
def main(
    folder: Path, size: str, manifest: str, identities: int, seconds: float, expert_steps: int, steps: int, every: int,
    minutes: float | None, threads: int, device: str, data: Path | None,
) -> None:  # fmt: skip
    """Train a Wav2Lip expert and generator into FOLDER."""
    torch.set_num_threads(threads)
    at = data or folder / "data"
    if manifest:
        talks, held_out = split(usable(from_manifest(resolve(manifest))), 0.2, 0)
    else:
        few = max(2, identities // 5)
        talks = usable(generated(Recipe("train", identities, seconds=seconds), at, workers=threads, say=click.echo))
        held_out = usable(generated(Recipe("held-out", few, seconds=seconds), at, workers=threads, say=click.echo))
    expert_config, config = SIZES[size]
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"expert": asdict(expert_config), "generator": asdict(config), "clips": [t.id for t in talks]}
    write_atomic(folder / "config.json", json.dumps(facts, indent=1))

    expert = ExpertTraining(talks, held_out, expert_config, device)
    run(expert, folder / "expert", expert_steps, every=every, minutes=minutes, say=click.echo)
    found = expert.validate()
    if found["sync"] > expert_config.good_enough:
        click.echo(f"the expert's held-out loss is {found['sync']:.3f}: the generator is trained without the sync loss")
        config = replace(config, sync_threshold=0.0)
    generator = GeneratorTraining(talks, held_out, config, expert.net, device)
    run(generator, folder / "generator", steps, every=every, minutes=minutes, say=click.echo)
    cv2.imwrite(str(folder / "sample.png"), generator.picture()[..., ::-1])
    torch.save({k: v.half() if v.is_floating_point() else v for k, v in generator.net.state_dict().items()},
               folder / "generator.pt")  # fmt: skip
    for tag, mouth in score(generator.net.cpu(), held_out).items():
        click.echo(f"{tag}: mouth {mouth.drawn:.2f} dB, untouched video {mouth.untouched:.2f} dB, {mouth.n} frames")


if __name__ == "__main__":
    main()
