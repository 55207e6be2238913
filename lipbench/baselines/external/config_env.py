"""Where an external method runs: its environment, the recipe that builds it, or the service that it is."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from lipbench.baselines.external.parts import Argv, Part, placed
from lipbench.baselines.external.placeholders import NAMES, uses
from lipbench.core.fields import mistake

_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
_DIGEST = r"^sha256:[0-9a-f]{64}$"
#: A package with one version, or one place that it comes from.
_PINNED = re.compile(r"[A-Za-z0-9][\w.-]*(\[[\w,.-]+\])?\s*(===?[^=*\s][^*\s]*|@\s*\S+)|\.{0,2}/\S*|\S+/\S+")
#: Hosts on this machine: what is sent there does not travel.
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
#: `${NAME}`: a variable of lipbench's own environment.
SECRET = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
#: Headers that carry a secret, whatever they are called in detail.
_CONFIDENTIAL = re.compile(r"(?i)authori[sz]ation|cookie|token|secret|password|credential|api[-_]?key")


class Recipe(Part):
    """How `lipbench method setup` makes the environment. What it has made is recorded and part of the key."""

    requirements: tuple[str, ...] = Field(default=(), description="Requirements files of the checkout.")
    packages: tuple[str, ...] = Field(default=(), description="Python packages, each with its version: torch==2.5.1")
    until: str = Field(
        default="",
        pattern=r"^$|^\d{4}-\d{2}-\d{2}$",
        description="uv only: take no package that is newer than this day, for requirements without versions.",
    )
    conda: tuple[str, ...] = Field(default=(), description="conda packages, each with its version: ffmpeg=6.1")
    channels: tuple[str, ...] = Field(default=(), description="conda channels, in their order.")
    options: tuple[str, ...] = Field(
        default=(), description="Further words for the installer of Python packages, e.g. --extra-index-url URL."
    )
    commands: tuple[Argv, ...] = Field(
        default=(), description="Commands to run in the new environment, in the checkout: extensions to compile."
    )
    dockerfile: str = Field(default="", description="docker: file of the checkout to build the image from.")

    @field_validator("commands")
    @classmethod
    def _known_places(cls, value: tuple[Argv, ...]) -> tuple[Argv, ...]:
        for name in NAMES:
            if name not in ("python", "repo", "name") and uses(value, name):
                raise mistake(f"{{{name}}} means nothing while an environment is made", "{python} and {repo} do")
        return value

    @field_validator("packages")
    @classmethod
    def _pinned(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for package in value:
            if not _PINNED.fullmatch(package):
                raise mistake(f"{package!r} has no version", f"write {re.split('[<>=~! ]', package)[0]}==VERSION")
        return value

    @field_validator("conda")
    @classmethod
    def _pinned_conda(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for package in value:
            if not re.fullmatch(r"([\w.-]+::)?[\w.-]+==?[^=<>*\s]+(=\S+)?", package):
                raise mistake(f"{package!r} has no version", f"write {re.split('[<>=~! ]', package)[0]}=VERSION")
        return value


class Limit(Part):
    """How much a service may be asked, by all processes of this user on this machine together."""

    per_minute: float | None = Field(default=None, gt=0, description="Dubs that may be started in a minute.")
    at_once: int = Field(default=1, ge=1, description="Dubs that may be under way at a time.")


class ServiceVersion(Part):
    """Where a service says which version it is."""

    path: str = Field(description="Below `url`, or a whole address on its host; asked with GET.")
    field: str = Field(default="", description="Dotted place in its JSON; empty: the whole answer.")


class Env(Part):
    """Where the command runs; lipbench itself is never imported there."""

    type: Literal["none", "venv", "conda", "docker", "http"] = Field(
        default="none", description="none: lipbench's own Python. http: a service that is asked with `request`."
    )
    name_or_path: str = Field(
        default="",
        description="venv folder, conda environment (name or folder) or docker image; not needed with a recipe.",
    )
    python: str = Field(default="", description="Version that the environment has; `doctor` looks.")
    imports: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*$")], ...] = Field(
        default=(), description="Modules that it must be able to import, e.g. torch; `doctor` tries."
    )
    recipe: Recipe | None = Field(default=None, description="How to make it; see `lipbench method setup`.")
    digest: str = Field(
        default="", pattern=rf"^$|{_DIGEST}", description="docker: digest of the image; another one is refused."
    )
    vars: Annotated[dict[str, str], AfterValidator(placed)] = Field(
        default_factory=dict, description="Environment variables; placeholders allowed."
    )
    pass_on: tuple[Annotated[str, Field(pattern=_NAME)], ...] = Field(
        default=(),
        alias="pass",
        description="Names of variables of lipbench's own environment to hand over beside the usual ones; for tokens.",
    )
    url: str = Field(default="", description="http: the service's address.")
    headers: dict[str, str] = Field(
        default_factory=dict, description="http: sent with every request to its host; ${NAME} is a variable in `pass`."
    )
    limit: Limit = Field(default_factory=Limit, description="http: how often it may be asked.")
    service: ServiceVersion | str = Field(
        default="", description="http: where it says its version, or the version as text. Part of the key."
    )

    @model_validator(mode="after")
    def _of_one_type(self) -> Env:
        if self.type == "http":
            self._reachable()
        elif self.url or self.headers or self.service:
            raise mistake(f"an environment of type {self.type} has no url, headers or service", "`type: http` has")
        elif self.type != "none" and not self.name_or_path and self.recipe is None:
            raise mistake(f"an environment of type {self.type} needs name_or_path", "add `name_or_path:` or `recipe:`")
        if self.digest and self.type != "docker":
            raise mistake("only a docker image has a digest", "leave `digest` out")
        if self.recipe is not None:
            self._buildable(self.recipe)
        return self

    def _buildable(self, recipe: Recipe) -> None:
        fitting = {
            "venv": {"requirements", "packages", "until", "options", "commands"},
            "conda": {"requirements", "packages", "conda", "channels", "options", "commands"},
            "docker": {"dockerfile"},
        }.get(self.type)
        if fitting is None:
            raise mistake(f"an environment of type {self.type} is not built", "leave `recipe` out, or name its type")
        given = {name for name, value in recipe if value}
        if strange := sorted(given - fitting):
            raise mistake(f"{self.type} does not use {strange[0]}", f"its recipes have {', '.join(sorted(fitting))}")
        if self.type == "docker":
            if bool(recipe.dockerfile) == bool(self.name_or_path):
                raise mistake(
                    "an image is either built or pulled", "give `recipe: {dockerfile: ...}` or `name_or_path: IMAGE`"
                )
            if recipe.dockerfile == "" and "@sha256:" not in self.name_or_path and not self.digest:
                raise mistake("a pulled image needs its digest", "write IMAGE@sha256:..., or `digest: sha256:...`")
        elif self.type == "conda" and self.name_or_path and "/" not in self.name_or_path:
            raise mistake("a recipe makes a folder, not a name", "leave `name_or_path` out, or give a folder")
        elif not self.python:
            raise mistake("a recipe needs the version of Python", 'add `python: "3.10"`')

    def _reachable(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise mistake(f"{self.url!r} is no address of a service", "write `url: https://HOST/...`")
        if parts.username or parts.password or SECRET.search(self.url):
            raise mistake("addresses end up in logs: a secret has no place in one", "send it in `headers`")
        if parts.scheme == "http" and self.headers and parts.hostname not in LOOPBACK:
            raise mistake("headers would travel unencrypted", "use https://")
        if not self.service:
            raise mistake(
                "results of two versions of a service must not be taken for each other",
                "add `service: {path: /version, field: version}`, or the version as text",
            )
        for name, value in self.headers.items():
            named = SECRET.findall(value)
            if _CONFIDENTIAL.search(name) and not named:
                raise mistake(f"{name}: a secret does not stand in the file", "write ${NAME} and `pass: [NAME]`")
            if absent := [n for n in named if n not in self.pass_on]:
                raise mistake(f"{name}: {absent[0]} is not handed over", f"add `pass: [{absent[0]}]`")
