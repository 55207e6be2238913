"""Write the packaged data set again: `python -m tools.make_demo`.

To be run when the head, the voices or the renderer change; the result is committed. It stays under 8 MiB.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from lipbench.datasets import demo
from lipbench.datasets.types import Manifest
from lipbench.synthetic.corpus.corpus import MANIFEST, generate
from lipbench.synthetic.corpus.spec import ClipSpec, CorpusSpec

LIMIT_BYTES = 8 * 2**20
SECONDS = 8.0

# Sentences, voices and people of the demo appear in no training corpus: pool "test", identities from 900.
CLIPS = (
    ClipSpec("demo-en", 2101, 908, "en", ("fr", "es", "de"), SECONDS, pool="test", sentences=("s22", "s24")),
    ClipSpec("demo-fr", 2102, 921, "fr", ("en", "de", "it"), SECONDS, pool="test", sentences=("s17", "s15")),
    ClipSpec("demo-it", 2103, 922, "it", ("en", "fr", "es"), SECONDS, pool="test", sentences=("s21", "s23")),
)
SPEC = CorpusSpec(name="demo", identities=len(CLIPS), audio="flac", crf=19, chosen=CLIPS)


def make(folder: Path, workers: int = 1) -> Manifest:
    """Write clips and manifest into `folder`, replacing what was there.

    Raises:
        RuntimeError: it came out larger than the limit.
    """
    with tempfile.TemporaryDirectory() as name:
        work = Path(name) / "demo"
        generate(SPEC, work, workers=workers, command="python -m tools.make_demo")
        size = sum(p.stat().st_size for p in work.rglob("*") if p.is_file() and p.suffix != ".png")
        if size > LIMIT_BYTES:
            raise RuntimeError(f"the demo data set has {size} bytes, more than {LIMIT_BYTES}")
        shutil.rmtree(folder / "clips", ignore_errors=True)
        shutil.copytree(work / "clips", folder / "clips")
        shutil.copy(work / MANIFEST, folder / MANIFEST)
        print(f"{size / 2**20:.2f} MiB in {folder}")
        shutil.copy(work / "contact_sheet.png", Path(tempfile.gettempdir()) / "lipbench-demo-contact-sheet.png")
    from lipbench.datasets.manifest import load_manifest

    return load_manifest(folder / MANIFEST, verify=True)


if __name__ == "__main__":
    make(Path(demo.__file__).parent, workers=int(sys.argv[1]) if len(sys.argv) > 1 else 1)
