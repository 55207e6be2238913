"""From a run file and a manifest to a plan: which stages there are and what each one's key is made of."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from lipbench.core import keys, registry, weights
from lipbench.core.code import renew
from lipbench.core.errors import LipbenchError, UsageError
from lipbench.core.metric import MetricFamily
from lipbench.datasets.types import Clip, Dub, Manifest
from lipbench.engine.config import MethodEntry, RunFile
from lipbench.engine.plan import STAGE_VERSIONS, Cell, Node, Plan, PlanState, file_digest, select
from lipbench.engine.rows import Measured, MethodRow, families, rows
from lipbench.engine.rows import row as row_of
from lipbench.engine.score_node import File, Source, StageOutput, StageTrack, score_node
from lipbench.engine.tasks import ClipTask, DubTask, FacesTask, FitTask, PrepareTask, SynthesizeTask

#: The module whose functions run the stages; each kind's key holds its own function's closure.
STAGES = "lipbench.engine.stages"


def maker(kind: str, name: str, made: Any) -> tuple[str, ...]:
    """What made a registered method or metric, where that is more than calling its class: a function, an instance."""
    source = registry.sources(kind).get(name, "")
    module, _, attribute = source.partition(":")
    same = getattr(sys.modules.get(module), attribute, type(made)) is type(made)
    return () if same else (source,)


#: What a score takes from the dub laid over its clip: field of the task -> output of the stage.
DUB_OUTPUTS = {"reference": "video", "truth": "truth", "audio": "audio", "index": "index"}


class PlanBuilder:
    """Collects the nodes of a plan; asking twice for the same stage gives the same node."""

    def __init__(self, config: RunFile, manifest: Manifest) -> None:
        self.config, self.manifest = config, manifest
        self.plan = Plan([], {}, sources=renew())

    def add(self, node: Node) -> str:
        self.plan.nodes.setdefault(node.id, node)
        return node.id

    def code(self, *roots: str, skip: frozenset[str] = frozenset()) -> str:
        """Digest of the code of modules and of all they import: what an edit changes."""
        return self.plan.sources.code(*roots, skip=skip).digest

    # ---- inputs: one clip, its face, a dub laid over it -------------------------------------------------------

    def clip(self, clip: Clip) -> str:
        span: dict[str, Any] = {"fps": self.config.fps, "start_s": clip.start_s, "end_s": clip.end_s}
        code = self.code(f"{STAGES}:run_clip")
        return self.add(
            Node(
                f"clip {clip.id}",
                "clip",
                (),
                lambda p: {
                    "kind": "clip",
                    "version": STAGE_VERSIONS["clip"],
                    "code": code,
                    "video": clip.sha256,
                    **span,
                },
                lambda p: ClipTask(video=clip.video, sha256=clip.sha256, **span),
            )
        )

    def faces(self, clip: Clip) -> str:
        node, landmarks = self.clip(clip), clip.landmarks
        return self.faces_of(f"faces {clip.id}", node, landmarks, face=clip.face, sound="audio")

    def faces_of(
        self,
        node_id: str,
        video_node: str,
        landmarks: Path | None = None,
        output: str = "video",
        face: str | None = None,
        sound: str | None = None,
        like: str | None = None,
    ) -> str:
        """The face track of a node's output; from a landmark file where there is one.

        Args:
            face: which face, where there are several.
            sound: the node's output that holds what is said, for a choice that nobody made.
            like: node of the source's face track: where that has several faces, the same one is followed here.
        """
        backend = "file" if landmarks is not None else self.config.faces
        # The backend's identity holds the code of the pipeline, as far as that backend uses it.
        code = self.code(f"{STAGES}:run_faces", skip=frozenset({"lipbench.faces.pipeline"}))

        def meant(p: PlanState) -> str | None:
            if face is not None or like is None:
                return face
            record = p.find(like)
            if record is None or not record.info.get("frames_with_several_faces") or not record.info.get("mean_box"):
                return None
            x1, y1, x2, y2 = record.info["mean_box"]
            return f"{max((x1 + x2) / 2, 1):.1f},{max((y1 + y2) / 2, 1):.1f}"

        def heard(p: PlanState, look: Callable[[str, str], Any]) -> Any:
            return None if sound is None or face is not None or landmarks is not None else look(video_node, sound)

        def preimage(p: PlanState) -> dict[str, Any]:
            from lipbench.faces import backend_identity

            return {
                "kind": "faces",
                "version": STAGE_VERSIONS["faces"],
                "code": code,
                "video": p.digest(video_node, output),
                "backend": backend,
                "identity": dict(backend_identity(backend)),
                "landmarks": file_digest(landmarks),
                "face": meant(p),
                "sound": heard(p, p.digest),
            }

        return self.add(
            Node(
                node_id,
                "faces",
                (video_node,),
                preimage,
                lambda p: FacesTask(
                    video=p.made(video_node, output),
                    backend=backend,
                    landmarks=landmarks,
                    fps=self.config.fps,
                    face=meant(p),
                    sound=heard(p, p.path),
                ),
                optional_deps=() if like is None else (like,),
            )
        )

    def dub(self, clip: Clip, dub: Dub) -> str:
        node, truth = self.clip(clip), clip.truth.get(dub.language)
        code = self.code(f"{STAGES}:run_dub")
        truth_hash = clip.truth_sha256.get(dub.language) or file_digest(truth)
        return self.add(
            Node(
                f"dub {dub.id}",
                "dub",
                (node,),
                lambda p: {
                    "kind": "dub",
                    "version": STAGE_VERSIONS["dub"],
                    "code": code,
                    "clip": p.key(node),
                    "offset_s": dub.offset_s,
                    "original": dub.audio is None,
                    "audio": dub.sha256,
                    "truth": truth_hash,
                },
                lambda p: DubTask(
                    clip_video=p.made(node, "video"),
                    clip_audio=p.path(node, "audio"),
                    audio=dub.audio,
                    sha256=dub.sha256,
                    offset_s=dub.offset_s,
                    truth=truth,
                    fps=self.config.fps,
                ),
            )
        )

    # ---- methods ----------------------------------------------------------------------------------------------

    def method(self, row: MethodRow, clip: Clip, dub: Dub, train_seconds: float | None, seed: int) -> str:
        """The synthesize node of a cell, and behind it fit and prepare where the method has them."""
        spec = row.method.spec
        refusal: LipbenchError | None = None
        names: tuple[str, ...] = ()
        extra: dict[str, dict[str, Any]] = {}
        try:
            names = row.method.weights(row.params)
            extra = {"": dict(row.method.identity(row.params, clip.id, ""))}
            extra[dub.language] = dict(row.method.identity(row.params, clip.id, dub.language))
            for name in names:
                weights.path(name)
        except LipbenchError as error:
            refusal = error
        clip_node = self.clip(clip)
        inputs = (clip_node, *((self.faces(clip),) if "faces" in row.method.needs(row.params) else ()))
        driver = None if refusal else self._driver(row, clip, dub, train_seconds, seed)
        truth_mesh = clip.truth_annotations.get(dub.language)
        seconds = train_seconds if spec.uses_train_seconds else None
        axes = {"train_seconds": seconds, "seed": seed if spec.uses_seed else 0}
        axes_name = "".join(f" {k}={v}" for k, v in axes.items() if v)

        made_by = () if row.entry.id is None else maker("methods", row.entry.id, row.method)

        def stage(kind: str, where: str, earlier: dict[str, str], language: str, dub_node: str | None) -> str:
            needs = (*inputs, *earlier.values(), *(n for n in (dub_node, driver if dub_node else None) if n))
            stage_code = row.method.stage_code(kind)
            shared = stage_code.shared
            code = self.code(f"{STAGES}:run_method", *stage_code.modules, *(() if shared else made_by))

            def preimage(p: PlanState) -> dict[str, Any]:
                params, used = row.method.stage_inputs(kind, row.params)
                owner = {"id": spec.id, "version": spec.version}
                if shared:
                    owner = {"shared": shared}
                return {
                    "kind": kind,
                    "method": {**owner, "code": code},
                    "annotations": file_digest(clip.annotations),
                    "identity": {} if shared else extra.get(language, {}),
                    "params": dict(params),
                    "weights": {n: weights.sha256(n) for n in used},
                    "inputs": {n.split(" ")[0]: p.key(n) for n in needs},
                    **(axes if kind != "prepare" else {}),
                    **({"truth_annotations": file_digest(truth_mesh)} if kind == "synthesize" else {}),
                }

            def task(p: PlanState) -> PrepareTask:
                facts: dict[str, Any] = {
                    "method": row.source,
                    "clip": p.folder(clip_node),
                    "clip_id": clip.id,
                    "clip_language": clip.language,
                    "faces": p.path(inputs[1], "faces") if len(inputs) > 1 else None,
                    "annotations": clip.annotations,
                    **axes,
                    **{f"{k}_folder": p.folder(n) for k, n in earlier.items()},
                }
                if dub_node is None:
                    return FitTask(**facts) if kind == "fit" else PrepareTask(**facts)
                return SynthesizeTask(
                    **facts,
                    driver=p.path(driver, "video") if driver else None,
                    dub=p.folder(dub_node),
                    dub_id=dub.id,
                    dub_language=dub.language,
                    transcript=dub.transcript,
                    truth_annotations=truth_mesh,
                )

            return self.add(Node(f"{kind} {row.label} {where}", kind, needs, preimage, task, refusal=refusal, gpu=True))

        earlier: dict[str, str] = {}
        if "prepare" in spec.stages:
            earlier["prepare"] = stage("prepare", clip.id, {}, "", None)
        if "fit" in spec.stages:
            earlier["fit"] = stage("fit", clip.id + axes_name, dict(earlier), "", None)
        return stage("synthesize", f"{dub.id}{axes_name}", earlier, dub.language, self.dub(clip, dub))

    def _driver(self, row: MethodRow, clip: Clip, dub: Dub, train_seconds: float | None, seed: int) -> str | None:
        """The synthesize node of the method that a row's method starts from."""
        named = row.method.driver(row.params)
        if named is None:
            return None
        entry = MethodEntry(id=named[0], file=None, label=f"{named[0]} for {row.label}", params=dict(named[1]))
        return self.method(row_of(entry, row.base), clip, dub, train_seconds, seed)

    # ---- scores -----------------------------------------------------------------------------------------------

    def score(self, family: MetricFamily, options: Mapping[str, Any], made: str, clip: Clip, dub: Dub) -> str:
        dub_node, truth_annotations = self.dub(clip, dub), clip.truth_annotations.get(dub.language)
        inputs: dict[str, Source] = {
            "prediction": StageOutput(made, "video"),
            **{name: StageOutput(dub_node, output) for name, output in DUB_OUTPUTS.items()},
            "truth_annotations": File(truth_annotations),
        }
        needs = family.needs(options)
        if "faces" in needs:
            inputs["faces"] = StageTrack(self.faces(clip))
        if "prediction_faces" in needs:
            inputs["prediction_faces"] = StageTrack(self.faces_of(f"faces of {made}", made, like=self.faces(clip)))
        if "truth_faces" in needs and dub.language in clip.truth:
            inputs["truth_faces"] = StageTrack(
                self.faces_of(f"faces of truth {dub.id}", dub_node, output="truth", like=self.faces(clip))
            )
        if "mesh" in needs:
            inputs["prediction_annotations"] = StageOutput(made, "annotations")
        label = made.removeprefix("synthesize ")
        code = self.code(f"{STAGES}:run_score", type(family).__module__, *maker("metrics", family.id, family))
        return self.add(score_node(family, options, label, self.config.fps, inputs, code, needs=(made, dub_node)))


def build(
    config: RunFile, manifest: Manifest, base: Path, shard: tuple[int, int] | None = None
) -> tuple[Plan, list[MethodRow], list[Measured]]:
    """The plan of a run.

    Args:
        base: folder that relative paths in the run file start from.
        shard: (i, n) with 1 <= i <= n: only the clips whose id hashes to i; every stage of a clip stays together.

    Raises:
        UsageError: an axis value that the manifest or the registry does not have.
    """
    chosen = rows(config, base)
    measured = families(config)
    builder = PlanBuilder(config, manifest)
    for clip in _clips(config, manifest, shard):
        for row, dub in product(chosen, _dubs(config, manifest, clip)):
            for seconds, seed in product(config.train_seconds, config.seeds):
                cell = Cell(row.label, clip.id, dub.language, dub.id, seconds, seed)
                made = builder.method(row, clip, dub, seconds, seed)
                builder.plan.cells.append(cell)
                builder.plan.synthesize[cell] = made
                builder.plan.scores[cell] = {
                    family.id: builder.score(family, options, made, clip, dub) for family, options in measured
                }
    return builder.plan, chosen, measured


def _clips(config: RunFile, manifest: Manifest, shard: tuple[int, int] | None) -> list[Clip]:
    by_id = {clip.id: clip for clip in manifest.clips}
    names = list(by_id)
    if config.split is not None:
        if config.split not in manifest.splits:
            raise registry.unknown("splits", config.split, list(manifest.splits))
        names = [n for n in names if n in manifest.splits[config.split]]
    names = select(names, config.clips, "clip")
    if shard is not None:
        i, n = shard
        names = [name for name in names if int(keys.key_of({"clip": name})[:8], 16) % n == i - 1]
    return [by_id[name] for name in names]


def _dubs(config: RunFile, manifest: Manifest, clip: Clip) -> Sequence[Dub]:
    dubs = [d for d in manifest.dubs if d.clip_id == clip.id and d.kind != "original"]
    if config.languages:
        known = sorted({d.language for d in manifest.dubs})
        for language in config.languages:
            if language not in known:
                raise UsageError(f"no dub in {language!r}", f"the manifest has: {', '.join(known)}", "check --lang")
        dubs = [d for d in dubs if d.language in config.languages]
    if config.original:
        declared = next((d for d in manifest.dubs if d.clip_id == clip.id and d.kind == "original"), None)
        dubs.append(declared or original_dub(clip))
    return dubs


def original_dub(clip: Clip) -> Dub:
    """The clip's own audio as a dub: the reconstruction test."""
    return Dub(f"{clip.id}/original", clip.id, clip.language, "original", None, clip.sha256)
