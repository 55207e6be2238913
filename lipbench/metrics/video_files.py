"""Files that another program wrote about the videos of a pair, as options of a family.

A file is found by the video it tells of: in `folder`, under the first twelve digits of that video's SHA-256; or it is
named itself, for one pair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from lipbench.core.errors import LipbenchError
from lipbench.core.keys import sha256_file
from lipbench.core.metric import MetricFamily, Options

#: Digits of the hash in a file's name.
DIGITS = 12
VIDEOS = ("prediction", "reference", "truth")


class VideoFiles(Options):
    """Where the files are."""

    folder: str = Field("", description="Folder of files, each named by 12 digits of its video's SHA-256.")
    prediction: str = Field("", description="The prediction's file itself, for one video.")
    reference: str = Field("", description="The reference's file itself.")
    truth: str = Field("", description="The truth's file itself.")

    @property
    def given(self) -> bool:
        """Whether there is anything to read."""
        return bool(self.folder or self.prediction)

    def find(self, video: str, path: Path, endings: Sequence[str], family: str, how: str) -> Path:
        """The file of a video.

        Args:
            video: one of `VIDEOS`.
            path: of that video.
            endings: of files in the folder, such as ".csv"; "" is a folder.
            family: for the error: whose options these are.
            how: for the error: what makes such a file.

        Raises:
            LipbenchError: none is named ("not_asked"), or none is there ("no_file").
        """
        if named := getattr(self, video):
            places = [Path(named).expanduser()]
        elif self.folder:
            digits = sha256_file(path)[:DIGITS]
            places = [Path(self.folder).expanduser() / f"{digits}{ending}" for ending in endings]
        else:
            raise self.none_named(family, how)
        if found := next((place for place in places if place.exists()), None):
            return found
        raise LipbenchError(
            f"there is no file about the {video} {path}", f"looked for {places[0]}", f"{how}", reason="no_file"
        )

    @staticmethod
    def none_named(family: str, how: str) -> LipbenchError:
        """The error where no option says where the files are."""
        fix = f"{how}; the option {family}.folder says where they are"
        return LipbenchError("no files are named", "", fix, reason="not_asked")

    def identity(self) -> dict[str, Any]:
        """The content of every file that may be read, in place of where it is: for keys."""
        found: dict[str, Any] = {video: _content(getattr(self, video)) for video in VIDEOS}
        folder = Path(self.folder).expanduser()
        files = sorted(file for file in folder.rglob("*") if file.is_file()) if self.folder else []
        return {**found, "folder": {file.relative_to(folder).as_posix(): sha256_file(file) for file in files}}


class VideoFilesFamily(MetricFamily):
    """A family that measures such files instead of pictures, on request.

    Attributes:
        how: what makes such files, for errors.
    """

    on_request = True
    options = VideoFiles
    how: ClassVar[str]

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        found: dict[str, Any] = self.parse(options).identity()
        return found

    def obstacles(self, options: Mapping[str, Any]) -> dict[str, LipbenchError]:
        found = super().obstacles(options)
        if not self.parse(options).given:
            found[f"the option {self.id}.folder"] = VideoFiles.none_named(self.id, self.how)
        return found

    def uses_gpu(self, options: Mapping[str, Any]) -> bool:
        return False


def _content(named: str) -> Any:
    path = Path(named).expanduser()
    if not named or not path.exists():
        return ""
    if path.is_dir():
        return {file.name: sha256_file(file) for file in sorted(path.iterdir()) if file.is_file()}
    return sha256_file(path)
