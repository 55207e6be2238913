"""From a run file and a manifest to a plan: which stages there are and what each one's key is made of."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from lipbench.core import keys, registry, weights
from lipbench.core.errors import LipbenchError, UsageError
from lipbench.core.method import Method
from lipbench.core.metric import MetricFamily
from lipbench.datasets.types import Clip, Dub, Manifest
from lipbench.engine.config import MethodEntry, RunFile
from lipbench.engine.plan import STAGE_VERSIONS, Cell, Node, Plan, Progress, file_digest, select
from lipbench.engine.rows import Row, families, rows
from lipbench.engine.rows import row as row_of


def code_of(method: Method, kind: str) -> str:
    """Hash of the source that makes a method's stage."""
    names = method.stage_code(kind).modules
    return keys.code_hash(*(importlib.import_module(name) for name in names))


class Builder:
    """Collects the nodes of a plan; asking twice for the same stage gives the same node."""

    def __init__(self, config: RunFile, manifest: Manifest) -> None:
        self.config, self.manifest = config, manifest
        self.plan = Plan([], {})

    def add(self, node: Node) -> str:
        self.plan.nodes.setdefault(node.id, node)
        return node.id

    # ---- inputs: one clip, its face, a dub laid over it -------------------------------------------------------

    def clip(self, clip: Clip) -> str:
        span = {"fps": self.config.fps, "start_s": clip.start_s, "end_s": clip.end_s}
        return self.add(
            Node(
                f"clip {clip.id}",
                "clip",
                (),
                lambda p: {"kind": "clip", "version": STAGE_VERSIONS["clip"], "video": clip.sha256, **span},
                lambda p: {"video": str(clip.video), "sha256": clip.sha256, **span},
            )
        )

    def faces(self, clip: Clip) -> str:
        node, landmarks = self.clip(clip), clip.landmarks
        return self.faces_of(f"faces {clip.id}", node, landmarks)

    def faces_of(self, node_id: str, video_node: str, landmarks: Path | None = None, output: str = "video") -> str:
        """The face track of a node's output; from a landmark file where there is one."""
        backend = "file" if landmarks is not None else self.config.faces

        def preimage(p: Progress) -> dict[str, Any]:
            from lipbench.faces import backend_identity

            return {
                "kind": "faces",
                "version": STAGE_VERSIONS["faces"],
                "video": p.digest(video_node, output),
                "backend": backend,
                "identity": dict(backend_identity(backend)),
                "landmarks": file_digest(landmarks),
            }

        return self.add(
            Node(
                node_id,
                "faces",
                (video_node,),
                preimage,
                lambda p: {
                    "video": p.file(video_node, output),
                    "backend": backend,
                    "landmarks": None if landmarks is None else str(landmarks),
                    "fps": self.config.fps,
                },
            )
        )

    def dub(self, clip: Clip, dub: Dub) -> str:
        node, truth = self.clip(clip), clip.truth.get(dub.language)
        truth_hash = clip.truth_sha256.get(dub.language) or file_digest(truth)
        return self.add(
            Node(
                f"dub {dub.id}",
                "dub",
                (node,),
                lambda p: {
                    "kind": "dub",
                    "version": STAGE_VERSIONS["dub"],
                    "clip": p.key(node),
                    "offset_s": dub.offset_s,
                    "original": dub.audio is None,
                    "audio": dub.sha256,
                    "truth": truth_hash,
                },
                lambda p: {
                    "clip_video": p.file(node, "video"),
                    "clip_audio": p.file(node, "audio"),
                    "audio": None if dub.audio is None else str(dub.audio),
                    "sha256": dub.sha256,
                    "offset_s": dub.offset_s,
                    "truth": None if truth is None else str(truth),
                    "fps": self.config.fps,
                },
            )
        )

    # ---- methods ----------------------------------------------------------------------------------------------

    def method(self, row: Row, clip: Clip, dub: Dub, train_seconds: float | None, seed: int) -> str:
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

        def stage(kind: str, where: str, earlier: dict[str, str], language: str, dub_node: str | None) -> str:
            needs = (*inputs, *earlier.values(), *(n for n in (dub_node, driver if dub_node else None) if n))

            def preimage(p: Progress) -> dict[str, Any]:
                params, used = row.method.stage_inputs(kind, row.params)
                owner = {"id": spec.id, "version": spec.version}
                if shared := row.method.stage_code(kind).shared:
                    owner = {"shared": shared}
                # a method file's own identity covers its code: the package's would name the adapter alone
                code = code_of(row.method, kind) if row.entry.file is None else ""
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

            def task(p: Progress) -> dict[str, Any]:
                return {
                    "method": row.source,
                    "clip_id": clip.id,
                    "clip_language": clip.language,
                    **axes,
                    "clip": p.folder(clip_node),
                    "faces": p.file(inputs[1], "faces") if len(inputs) > 1 else None,
                    "annotations": None if clip.annotations is None else str(clip.annotations),
                    "driver": p.file(driver, "video") if driver and dub_node else None,
                    "dub": p.folder(dub_node),
                    "dub_id": dub.id,
                    "dub_language": dub.language,
                    "transcript": dub.transcript,
                    "truth_annotations": str(truth_mesh) if truth_mesh else None,
                    **{f"{k}_dir": p.folder(n) for k, n in earlier.items()},
                }

            return self.add(Node(f"{kind} {row.label} {where}", kind, needs, preimage, task, refusal=refusal, gpu=True))

        earlier: dict[str, str] = {}
        if "prepare" in spec.stages:
            earlier["prepare"] = stage("prepare", clip.id, {}, "", None)
        if "fit" in spec.stages:
            earlier["fit"] = stage("fit", clip.id + axes_name, dict(earlier), "", None)
        return stage("synthesize", f"{dub.id}{axes_name}", earlier, dub.language, self.dub(clip, dub))

    def _driver(self, row: Row, clip: Clip, dub: Dub, train_seconds: float | None, seed: int) -> str | None:
        """The synthesize node of the method that a row's method starts from."""
        named = row.method.driver(row.params)
        if named is None:
            return None
        entry = MethodEntry(id=named[0], file=None, label=f"{named[0]} for {row.label}", params=dict(named[1]))
        return self.method(row_of(entry, row.base), clip, dub, train_seconds, seed)

    # ---- scores -----------------------------------------------------------------------------------------------

    def score(self, family: MetricFamily, options: Mapping[str, Any], made: str, clip: Clip, dub: Dub) -> str:
        dub_node = self.dub(clip, dub)
        wanted = {need for metric in family.metrics for need in metric.needs}
        faces = self.faces(clip) if "faces" in wanted else None
        wants = [faces] if faces is not None else []
        own = None
        if "prediction_faces" in wanted:
            own = self.faces_of(f"faces of {made}", made)
            wants.append(own)
        right = None
        if "truth_faces" in wanted and dub.language in clip.truth:
            right = self.faces_of(f"faces of truth {dub.id}", dub_node, output="truth")
            wants.append(right)
        truth_annotations, mesh = clip.truth_annotations.get(dub.language), "mesh" in wanted

        def track(p: Progress, node: str | None) -> str | None:
            record = None if node is None else p.find(node)
            return str(record.outputs["faces"]["sha256"]) if record is not None and record.status == "ok" else None

        def preimage(p: Progress) -> dict[str, Any]:
            return {
                "kind": "score",
                "family": family.id,
                "metrics": {m.id: m.version for m in family.metrics},
                "options": dict(options),
                "identity": dict(family.identity(options)),
                "prediction": p.digest(made, "video"),
                "reference": p.digest(dub_node, "video"),
                "truth": p.digest(dub_node, "truth"),
                "audio": p.digest(dub_node, "audio"),
                "index": p.digest(dub_node, "index"),
                "fps": self.config.fps,
                "faces": track(p, faces),
                "prediction_faces": track(p, own),
                "truth_faces": track(p, right),
                "annotations": file_digest(truth_annotations),
                "mesh": p.digest(made, "annotations") if mesh else None,
            }

        def task(p: Progress) -> dict[str, Any]:
            def why(node: str | None) -> str:
                record = None if node is None else p.find(node)
                return "" if record is None else record.reason or ""

            return {
                "family": family.id,
                "options": dict(options),
                "prediction": p.file(made, "video"),
                "reference": p.file(dub_node, "video"),
                "truth": p.file(dub_node, "truth"),
                "audio": p.file(dub_node, "audio"),
                "index": p.file(dub_node, "index"),
                "faces": None if faces is None else p.file(faces, "faces"),
                "faces_reason": why(faces),
                "prediction_faces": None if own is None else p.file(own, "faces"),
                "prediction_faces_reason": why(own),
                "truth_faces_reason": why(right),
                "truth_faces": None if right is None else p.file(right, "faces"),
                "fps": self.config.fps,
                "annotations": None if truth_annotations is None else str(truth_annotations),
                "mesh": p.file(made, "annotations") if mesh else None,
            }

        return self.add(
            Node(
                f"score {family.id} of {made.removeprefix('synthesize ')}",
                "score",
                (made, dub_node),
                preimage,
                task,
                wants=tuple(wants),
                gpu=True,
            )
        )


def build(
    config: RunFile, manifest: Manifest, base: Path, shard: tuple[int, int] | None = None
) -> tuple[Plan, list[Row], list[tuple[MetricFamily, dict[str, Any]]]]:
    """The plan of a run.

    Args:
        base: folder that relative paths in the run file start from.
        shard: (i, n) with 1 <= i <= n: only the clips whose id hashes to i; every stage of a clip stays together.

    Raises:
        UsageError: an axis value that the manifest or the registry does not have.
    """
    chosen = rows(config, base)
    measured = families(config)
    builder = Builder(config, manifest)
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
