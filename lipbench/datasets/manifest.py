"""Read, check and find manifests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lipbench.core import registry, yaml
from lipbench.core.document import Document, Kind, Location, Problem, invalid, of_mapping
from lipbench.core.errors import MediaError
from lipbench.core.fields import validate
from lipbench.datasets.build import ManifestBuilder
from lipbench.datasets.model import ManifestFile
from lipbench.datasets.types import SCHEMA, Manifest

KIND = Kind("manifest", "schema: 1")
HINT = "`lipbench data check FILE` lists them all"


def load_manifest(path: str | Path, verify: bool = False) -> Manifest:
    """Read a manifest file.

    Args:
        verify: also look at every file that the manifest names: it must be there and have the hash that is written.

    Raises:
        ManifestError: missing, not YAML, a wrong field, a wrong reference or, with `verify`, a wrong file. The message
            names file, line and field: "manifest.yaml:41: clips[3].sha256: 63 characters, 64 needed".
    """
    manifest, document, problems = examine(Path(path))
    if manifest is not None and not problems and verify:
        problems = verify_files(manifest, document)
    if manifest is None or problems:
        raise invalid(problems, HINT)
    return manifest


def resolve(name_or_path: str | Path, base: Path | None = None, verify: bool = False) -> Manifest:
    """The manifest of a registered data set, or of a file.

    A registered name (`lipbench list datasets`) wins over a file of that name; `./demo` is always the file. A data
    set's registered object is a Manifest, the path of one, or a function that returns either.

    Args:
        base: folder that a relative path starts from; the current directory when left out.
        verify: see `load_manifest`.

    Raises:
        UnknownName: neither, with the nearest names.
        ManifestError: see `load_manifest`.
    """
    text = str(name_or_path)
    known = registry.names("datasets")
    if isinstance(name_or_path, str) and text in known:
        found = registry.load("datasets", text)
        if not isinstance(found, Manifest):
            return load_manifest(found, verify)
        if verify:
            _verify_generated(found, text)
        return found
    path = (base or Path()) / Path(text).expanduser()
    if isinstance(name_or_path, Path) or "/" in text or text.endswith((".yaml", ".yml")) or path.exists():
        return load_manifest(path, verify)
    raise registry.unknown("datasets", text, known)


def _verify_generated(manifest: Manifest, name: str) -> None:
    empty = of_mapping({}, f"data set {name}")
    if problems := verify_files(manifest, empty):
        raise invalid(problems)


def examine(path: Path) -> tuple[Manifest | None, Document, list[Problem]]:
    """The manifest (None when it cannot be built), the parsed file and every problem in it.

    Raises:
        ManifestError: no such file.
        InvalidDocument: not YAML.
    """
    document = yaml.read(path, KIND)
    return from_document(document, path.resolve().parent)


def from_document(document: Document, folder: Path) -> tuple[Manifest | None, Document, list[Problem]]:
    """As `examine`, for text that is not in a file yet; `folder` is where `root` starts from."""
    written = document.data.get("schema")
    if isinstance(written, str) and written.isdecimal() and int(written) > SCHEMA:
        what = f"schema {written} is newer than this lipbench, which reads {SCHEMA}"
        return None, document, [document.problem(("schema",), what, None, "upgrade lipbench")]
    model, problems = validate(ManifestFile, document)
    if model is None:
        return None, document, problems
    builder = ManifestBuilder(document, model, folder)
    manifest = builder.build()
    return (None if builder.problems else manifest), document, builder.problems


def files(manifest: Manifest) -> Iterator[tuple[Location, Path, str | None]]:
    """Every file that a manifest names: where it is named, its path, the hash that is written (None: not hashed)."""
    for i, clip in enumerate(manifest.clips):
        yield ("clips", i, "video"), clip.video, clip.sha256
        for name, path in (("landmarks", clip.landmarks), ("annotations", clip.annotations)):
            if path is not None:
                yield ("clips", i, name), path, None
        for tag, path in clip.truth.items():
            yield ("clips", i, "truth", tag), path, clip.truth_sha256.get(tag)
        for tag, path in clip.truth_annotations.items():
            yield ("clips", i, "truth", tag, "annotations"), path, None
    for i, dub in enumerate(manifest.dubs):
        if dub.audio is not None:
            yield ("dubs", i, "audio"), dub.audio, dub.sha256
        if dub.phonemes is not None:
            yield ("dubs", i, "phonemes"), dub.phonemes, None


def verify_files(manifest: Manifest, document: Document, hashes: bool = True) -> list[Problem]:
    """What is wrong with the files on disk: missing, unreadable, another content than the manifest says."""
    from lipbench.media import digest, present

    problems: list[Problem] = []
    digests: dict[Path, str] = {}
    for location, path, expected in files(manifest):
        if not present(path):
            problems.append(document.problem(location, f"there is no file {path}", None, _hint(path)))
            continue
        if expected is None or not hashes:
            continue
        try:
            if path not in digests:
                digests[path] = digest(path)
        except OSError as error:
            problems.append(document.problem(location, f"cannot be read: {error.strerror}", str(path), ""))
            continue
        except MediaError as error:
            problems.append(document.problem(location, f"{error.what}; {error.why}", None, error.fix))
            continue
        if digests[path] != expected:
            hashed = (*location, "sha256") if "truth" in location else (*location[:-1], "sha256")
            problems.append(
                document.problem(
                    hashed,
                    f"the file's is {digests[path]}",
                    expected,
                    "restore the file, or write the new hash and a new version",
                )
            )
    return problems


def _hint(path: Path) -> str:
    from lipbench.media.streams import split_stream

    file, stream = split_stream(path)
    if stream is not None and file.is_file():
        return f"the file's name alone, and `stream: {stream}` beside it"
    return "check the path and `root:`"
