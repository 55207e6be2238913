"""The stages of a method: prepare, fit and synthesize as nodes of a plan.

A plan may have a million of them. What a row says is kept once (`RowFacts`), and a stage holds little more than its
clip, its dub and the names of what it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lipbench.core import weights
from lipbench.core.errors import LipbenchError
from lipbench.datasets.types import Clip, Dub
from lipbench.engine.config import MethodEntry
from lipbench.engine.plan import GPU_SHARE, Node, PlanState, file_digest
from lipbench.engine.rows import MethodRow
from lipbench.engine.rows import row as row_of
from lipbench.engine.tasks import FitTask, PrepareTask, SynthesizeTask

NONE: Mapping[str, Any] = {}

#: What a method says of itself, and why it cannot run, if it cannot.
Identity = tuple[Mapping[str, Any], "LipbenchError | None"]


@dataclass
class RowFacts:
    """What all stages of a row share; asked of its method once.

    Attributes:
        code: digest of what runs such a stage and of further modules.
        made_by: what made the method, where that is more than calling its class.
    """

    row: MethodRow
    code: Callable[..., str]
    made_by: tuple[str, ...]
    _axes: dict[tuple[float | None, int], tuple[dict[str, Any], str]] = field(default_factory=dict)
    _owners: dict[str, dict[str, Any]] = field(default_factory=dict)
    _read: dict[str, tuple[Mapping[str, Any], tuple[str, ...]]] = field(default_factory=dict)
    _clip: tuple[str, Identity] = ("", (NONE, None))
    _same: Identity | None = None

    @cached_property
    def faces(self) -> bool:
        return "faces" in self.row.method.needs(self.row.params)

    @cached_property
    def source(self) -> dict[str, Any]:
        return self.row.source

    @cached_property
    def driver(self) -> MethodRow | None:
        """The row that is never shown: the method that this one starts from."""
        named = self.row.method.driver(self.row.params)
        if named is None:
            return None
        entry = MethodEntry(id=named[0], file=None, label=f"{named[0]} for {self.row.label}", params=dict(named[1]))
        return row_of(entry, self.row.base)

    @cached_property
    def _lacking(self) -> LipbenchError | None:
        """Weights that are not there."""
        try:
            for name in self.row.method.weights(self.row.params):
                weights.path(name)
        except LipbenchError as error:
            return error
        return None

    def of_clip(self, clip: str) -> Identity:
        """For the stages that know no dub."""
        if self._clip[0] != clip:
            self._clip = (clip, self._identity(clip, ""))
        return self._clip[1]

    def of_dub(self, clip: str, language: str) -> Identity:
        """For the synthesis."""
        return self._identity(clip, language)

    def _identity(self, clip: str, language: str) -> Identity:
        """Asked once where the method says the same of every clip."""
        if self.row.method.identity_by_clip:
            return self._ask(clip, language)
        if self._same is None:
            self._same = self._ask(clip, language)
        return self._same

    def _ask(self, clip: str, language: str) -> Identity:
        try:
            said = self.row.method.identity(self.row.params, clip, language)
        except LipbenchError as error:
            return NONE, self._lacking or error
        return said or NONE, self._lacking

    def axes(self, train_seconds: float | None, seed: int) -> tuple[dict[str, Any], str]:
        """The axes that the method uses, for keys and tasks, and as the end of a name."""
        if (train_seconds, seed) not in self._axes:
            spec = self.row.method.spec
            seconds = train_seconds if spec.uses_train_seconds else None
            used = {"train_seconds": seconds, "seed": seed if spec.uses_seed else 0}
            self._axes[train_seconds, seed] = used, "".join(f" {k}={v}" for k, v in used.items() if v)
        return self._axes[train_seconds, seed]

    def owner(self, kind: str) -> dict[str, Any]:
        """Whose a kind of stage is, and by what code: the method's, or of all that share it."""
        if kind not in self._owners:
            method = self.row.method
            of = method.stage_code(kind)
            code = self.code(*of.modules, *(() if of.shared else self.made_by))
            owner = {"shared": of.shared} if of.shared else {"id": method.spec.id, "version": method.spec.version}
            self._owners[kind] = {**owner, "code": code}
        return self._owners[kind]

    def read(self, kind: str) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """The parameters and the weights that a kind of stage reads."""
        if kind not in self._read:
            params, used = self.row.method.stage_inputs(kind, self.row.params)
            self._read[kind] = dict(params), tuple(used)
        return self._read[kind]


@dataclass(slots=True, eq=False)
class MethodStage:
    """A stage of a method that knows no dub: prepare or fit.

    Attributes:
        inputs: nodes of the clip and, where the method needs it, of its face.
        earlier: stages of the method that came before: kind -> node.
        identity: what the method says of itself.
    """

    facts: RowFacts
    kind: str
    clip: Clip
    inputs: tuple[str, ...]
    earlier: Mapping[str, str]
    axes: Mapping[str, Any]
    identity: Mapping[str, Any]

    @property
    def needs(self) -> tuple[str, ...]:
        return (*self.inputs, *self.earlier.values())

    def node(self, name: str, refusal: LipbenchError | None) -> Node:
        row = self.facts.row
        self.facts.owner(self.kind)  # code that cannot be read is told while planning
        gpu = GPU_SHARE[self.kind] if row.method.uses_gpu(self.kind, row.params) else 0.0
        return Node(name, self.kind, self.needs, self.preimage, self.task, refusal=refusal, gpu=gpu)

    def preimage(self, p: PlanState) -> dict[str, Any]:
        owner, (params, used) = self.facts.owner(self.kind), self.facts.read(self.kind)
        return {
            "kind": self.kind,
            "method": owner,
            "annotations": file_digest(self.clip.annotations),
            "identity": NONE if "shared" in owner else self.identity,
            "params": params,
            "weights": {n: weights.sha256(n) for n in used},
            "inputs": {n.partition(" ")[0]: p.key(n) for n in self.needs},
            **(self.axes if self.kind != "prepare" else NONE),
        }

    def _task(self, p: PlanState) -> dict[str, Any]:
        return {
            "method": self.facts.source,
            "clip": p.folder(self.inputs[0]),
            "clip_id": self.clip.id,
            "clip_language": self.clip.language,
            "clip_speaker": self.clip.speaker,
            "faces": p.path(self.inputs[1], "faces") if len(self.inputs) > 1 else None,
            "annotations": self.clip.annotations,
            **self.axes,
            **{f"{kind}_folder": p.folder(node) for kind, node in self.earlier.items()},
        }

    def task(self, p: PlanState) -> PrepareTask:
        return FitTask(**self._task(p)) if self.kind == "fit" else PrepareTask(**self._task(p))


@dataclass(slots=True, eq=False)
class DubStage(MethodStage):
    """The synthesis of a dub.

    Attributes:
        dub_node: the dub laid over its clip.
        driver: the synthesis of the method that this one starts from.
    """

    dub: Dub
    dub_node: str
    driver: str | None

    @property
    def needs(self) -> tuple[str, ...]:
        late = (self.dub_node,) if self.driver is None else (self.dub_node, self.driver)
        return (*self.inputs, *self.earlier.values(), *late)

    def preimage(self, p: PlanState) -> dict[str, Any]:
        mesh = self.clip.truth_annotations.get(self.dub.language)
        return {**MethodStage.preimage(self, p), "truth_annotations": file_digest(mesh)}

    def task(self, p: PlanState) -> SynthesizeTask:
        return SynthesizeTask(
            **self._task(p),
            driver=p.path(self.driver, "video") if self.driver else None,
            dub=p.folder(self.dub_node),
            dub_id=self.dub.id,
            dub_language=self.dub.language,
            transcript=self.dub.transcript,
            truth_annotations=self.clip.truth_annotations.get(self.dub.language),
        )
