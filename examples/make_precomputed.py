"""Make a folder of "videos somebody else made" for examples/real.yaml: here, the clips with a frozen image.

    python examples/make_precomputed.py runs/precomputed

Stands for any tool outside lipbench: it writes one mp4 per clip and language and knows nothing of runs.
"""

from __future__ import annotations

import sys
from itertools import repeat
from pathlib import Path

from lipbench import media
from lipbench.datasets.manifest import load_manifest


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    manifest = load_manifest(Path(__file__).with_name("real-manifest.yaml"))
    for dub in manifest.dubs:
        audio = media.read_audio(dub.audio)
        frame = next(iter(media.read_frames(manifest.clip(dub.clip_id).video)))
        out = folder / f"{dub.clip_id}.{dub.language}.mp4"
        media.write_video(out, repeat(frame, len(audio) // 640), fps=25, audio=audio)
        print(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
