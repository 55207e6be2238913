"""What is in the built sdist and wheel: `python .ci/distributions.py FOLDER`. Fails on what is missing or extra.

The sdist has to hold what git tracks, the wheel what git tracks under lipbench/ and the licence files.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
#: What building adds to an sdist.
MADE = {"PKG-INFO", "setup.cfg"}


def tracked() -> set[str]:
    """Paths that git tracks.

    Raises:
        SystemExit: this is no git checkout, so that there is nothing to compare with.
    """
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True)
    if listed.returncode or not (ROOT / ".git").exists():
        sys.exit("the contents cannot be judged: this is not a git checkout")
    return {name for name in listed.stdout.split("\0") if name}


def sdist_files(archive: Path) -> set[str]:
    """Files of an sdist without its top folder and without what building adds."""
    with tarfile.open(archive) as tar:
        names = {member.name.split("/", 1)[1] for member in tar.getmembers() if member.isfile()}
    return {n for n in names if n not in MADE and not n.startswith("lipbench.egg-info/")}


def wheel_files(archive: Path) -> tuple[set[str], set[str]]:
    """Files of the package in a wheel, and its licence files by their path in the repository."""
    with zipfile.ZipFile(archive) as z:
        names = {n for n in z.namelist() if not n.endswith("/")}
    licences = {n.split(".dist-info/licenses/", 1)[1] for n in names if ".dist-info/licenses/" in n}
    return {n for n in names if ".dist-info/" not in n}, licences


def compare(what: str, found: set[str], wanted: set[str]) -> bool:
    """Whether both hold the same; says what differs."""
    for title, names in (("missing in", wanted - found), ("extra in", found - wanted)):
        for name in sorted(names):
            print(f"{title} the {what}: {name}")
    return found == wanted


def main(folder: Path) -> int:
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    files = tracked()
    package, licences = wheel_files(wheel)
    texts = {n for n in files if n in {"LICENSE", "NOTICE"} or n.startswith("licenses/")}
    good = [
        compare("sdist", sdist_files(sdist), files),
        compare("wheel", package, {n for n in files if n.startswith("lipbench/")}),
        compare("wheel's licences", licences, texts),
    ]
    print(f"{sdist.name}: {sdist.stat().st_size / 2**20:.1f} MiB, {len(sdist_files(sdist))} files")
    print(f"{wheel.name}: {wheel.stat().st_size / 2**20:.1f} MiB, {len(package)} files, {len(licences)} licence files")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
