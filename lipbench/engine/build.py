"""From a run file and a manifest to a plan: which stages there are and what each one's key is made of."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from lipbench.core import keys, registry
from lipbench.core.code import renew
from lipbench.core.metric import MetricFamily
from lipbench.core.system import rare_collections
from lipbench.datasets.types import Clip, Dub, Manifest
from lipbench.engine.axes import chosen_clips, dubs_by_clip
from lipbench.engine.config import RunFile
from lipbench.engine.faces_node import Seen, SourceFaces, chooses_by_sound
from lipbench.engine.method_node import NONE, DubStage, MethodStage, RowFacts
from lipbench.engine.plan import STAGE_VERSIONS, Cell, Node, Plan, file_digest
from lipbench.engine.rows import Measured, MethodRow, families, rows
from lipbench.engine.score_node import File, Source, StageOutput, StageTrack, score_node
from lipbench.engine.score_offset import at_own
from lipbench.engine.tasks import ClipTask, DubTask
from lipbench.media.image_series import is_series
from lipbench.media.languages import primary

#: The module whose functions run the stages; each kind's key holds its own function's closure.
STAGES = "lipbench.engine.stages"
SCORING = "lipbench.engine.score_stage"
#: Tells which of several faces is followed.
SPEAKER = "lipbench.metrics.sync.landmark.speaker"


def maker(kind: str, name: str, made: Any) -> tuple[str, ...]:
    """What made a registered method or metric, where that is more than calling its class: a function, an instance."""
    source = registry.sources(kind).get(name, "")
    module, _, attribute = source.partition(":")
    same = getattr(sys.modules.get(module), attribute, type(made)) is type(made)
    return () if same else (source,)


#: What a score takes from the dub laid over its clip: field of the task, output of the stage.
DUB = (("reference", "video"), ("truth", "truth"), ("audio", "audio"), ("index", "index"))


class PlanBuilder:
    """Collects the nodes of a plan; asking twice for the same stage gives the same node."""

    def __init__(self, config: RunFile, manifest: Manifest) -> None:
        self.config, self.manifest = config, manifest
        self.plan = Plan([], {}, sources=renew())
        self._code: dict[tuple[Any, ...], str] = {}
        self._facts: dict[int, RowFacts] = {}
        self._sources: dict[str, Source] = {}

    def add(self, node: Node) -> str:
        return self.plan.nodes.setdefault(node.id, node).id

    def known(self, name: str) -> str | None:
        """The id of a node that is there; one text for all who name it, for a plan may have millions."""
        node = self.plan.nodes.get(name)
        return None if node is None else node.id

    def code(self, *roots: str, skip: frozenset[str] = frozenset()) -> str:
        """Digest of the code of modules and of all they import: what an edit changes."""
        if (roots, skip) not in self._code:
            self._code[roots, skip] = self.plan.sources.code(*roots, skip=skip).digest
        return self._code[roots, skip]

    # ---- inputs: one clip, its face, a dub laid over it -------------------------------------------------------

    def clip(self, clip: Clip) -> str:
        if (known := self.known(f"clip {clip.id}")) is not None:
            return known
        span: dict[str, Any] = {"fps": self.config.fps, "start_s": clip.start_s, "end_s": clip.end_s}
        heard: dict[str, Any] = {"stream": clip.stream, "channel": clip.channel, "language": clip.language}
        pictures: dict[str, Any] = {} if clip.fps is None or not is_series(clip.video) else {"picture_fps": clip.fps}
        if clip.segments:
            pictures["segments"] = clip.segments
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
                    **pictures,
                    "sound": {**heard, "language": primary(clip.language)},
                },
                lambda p: ClipTask(video=clip.video, sha256=clip.sha256, **span, **heard, **pictures),
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
        like: Clip | None = None,
    ) -> str:
        """The face track of a node's output; from a landmark file where there is one.

        Args:
            face: which face, where there are several.
            sound: the node's output that holds what is said, for a choice that nobody made.
            like: the source: where it has several faces, the same one is followed here, and an image that is the
                source's own has the source's track.
        """
        if (known := self.known(node_id)) is not None:
            return known
        backend = "file" if landmarks is not None else self.config.faces
        # The backend's identity holds the code of the pipeline, as far as that backend uses it.
        unused = {"lipbench.faces.pipeline", *(() if chooses_by_sound(backend) else (SPEAKER,))}
        code = self.code(f"{STAGES}:run_faces", skip=frozenset(unused))
        source = None if like is None else SourceFaces(like, self.clip(like), self.faces(like))
        seen = Seen(video_node, output, backend, self.config.fps, landmarks, face, sound, source)
        return self.add(seen.node(node_id, code))

    def dub(self, clip: Clip, dub: Dub) -> str:
        if (known := self.known(f"dub {dub.id}")) is not None:
            return known
        node, truth = self.clip(clip), clip.truth.get(dub.language)
        code = self.code(f"{STAGES}:run_dub")
        heard: dict[str, Any] = {"stream": dub.stream, "channel": dub.channel, "language": dub.language}
        heard |= {"start_s": dub.start_s, "end_s": dub.end_s, "rate": dub.rate}
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
                    "sound": {**heard, "language": primary(dub.language)},
                    "truth": truth_hash,
                },
                lambda p: DubTask(
                    clip_video=p.made(node, "video"),
                    clip_audio=p.path(node, "audio"),
                    audio=dub.audio,
                    sha256=dub.sha256,
                    offset_s=dub.offset_s,
                    truth=truth,
                    truth_sha256=truth_hash,
                    fps=self.config.fps,
                    clip_start_s=clip.start_s,
                    clip_end_s=clip.end_s,
                    segments=clip.segments,
                    **heard,
                ),
            )
        )

    # ---- methods ----------------------------------------------------------------------------------------------

    def method(self, row: MethodRow, clip: Clip, dub: Dub, train_seconds: float | None, seed: int) -> str:
        """The synthesize node of a cell, and behind it fit and prepare where the method has them."""
        facts = self._row(row)
        axes, name = facts.axes(train_seconds, seed)
        made = f"synthesize {row.label} {dub.id}{name}"
        if (known := self.known(made)) is not None:
            return known
        stages = row.method.spec.stages
        of_clip, refusal = facts.of_clip(clip.id)
        of_dub, no_dub = facts.of_dub(clip.id, dub.language)
        inputs = (self.clip(clip), *((self.faces(clip),) if facts.faces else ()))
        driver = None
        if refusal is None and no_dub is None and facts.driver is not None:
            driver = self.method(facts.driver, clip, dub, train_seconds, seed)
        earlier: dict[str, str] = {}
        if "prepare" in stages:
            where = f"prepare {row.label} {clip.id}"
            stage = MethodStage(facts, "prepare", clip, inputs, earlier, axes, of_clip)
            earlier = {"prepare": self.known(where) or self.add(stage.node(where, refusal))}
        if "fit" in stages:
            where = f"fit {row.label} {clip.id}{name}"
            stage = MethodStage(facts, "fit", clip, inputs, earlier, axes, of_clip)
            earlier = {**earlier, "fit": self.known(where) or self.add(stage.node(where, refusal))}
        dub_stage = DubStage(
            facts, "synthesize", clip, inputs, earlier or NONE, axes, of_dub, dub, self.dub(clip, dub), driver
        )
        return self.add(dub_stage.node(made, refusal or no_dub))

    def _row(self, row: MethodRow) -> RowFacts:
        if id(row) not in self._facts:
            made_by = () if row.entry.id is None else maker("methods", row.entry.id, row.method)
            self._facts[id(row)] = RowFacts(row, partial(self.code, f"{STAGES}:run_method"), made_by)
        return self._facts[id(row)]

    # ---- scores -----------------------------------------------------------------------------------------------

    def score(self, family: MetricFamily, options: Mapping[str, Any], made: str, clip: Clip, dub: Dub) -> str:
        label = made.removeprefix("synthesize ")
        if (known := self.known(f"score {family.id} of {label}")) is not None:
            return known
        if clip.av_offset is not None:
            options = at_own(family, options, clip.av_offset)
        dub_node = self.dub(clip, dub)
        inputs: dict[str, Source] = {
            "prediction": StageOutput(made, "video"),
            **{name: self._source(f"{output} of {dub_node}", StageOutput, dub_node, output) for name, output in DUB},
            "truth_annotations": self._source(f"mesh of {dub_node}", File, clip.truth_annotations.get(dub.language)),
        }
        needs = family.needs(options)
        if "faces" in needs:
            faces = self.faces(clip)
            inputs["faces"] = self._source(faces, StageTrack, faces)
        if "prediction_faces" in needs:
            inputs["prediction_faces"] = StageTrack(self.faces_of(f"faces of {made}", made, like=clip))
        if "truth_faces" in needs and dub.language in clip.truth:
            faces = self.faces_of(f"faces of truth {dub.id}", dub_node, output="truth", like=clip)
            inputs["truth_faces"] = self._source(faces, StageTrack, faces)
        if "mesh" in needs:
            inputs["prediction_annotations"] = StageOutput(made, "annotations")
        code = self._score_code(family)
        return self.add(score_node(family, options, label, self.config.fps, inputs, code, needs=(made, dub_node)))

    def _score_code(self, family: MetricFamily) -> str:
        return self.code(f"{SCORING}:run_score", type(family).__module__, *maker("metrics", family.id, family))

    # ---- the whole --------------------------------------------------------------------------------------------

    def request(self, chosen: Sequence[MethodRow], measured: Sequence[Measured]) -> str:
        """Digest of what was asked for and of the code that answers; no matter which clips this plan has."""
        owners = {row.label: [self._row(row).owner(kind) for kind in row.method.spec.stages] for row in chosen}
        families = {family.id: [options, self._score_code(family)] for family, options in measured}
        asked = self.config.model_dump(mode="json", by_alias=True)
        return keys.key_of({"run": asked, "manifest": self.manifest.digest, "rows": owners, "families": families})

    def _source(self, name: str, kind: Callable[..., Source], *given: Any) -> Source:
        """A source that all scores of a dub share."""
        if name not in self._sources:
            self._sources[name] = kind(*given)
        return self._sources[name]


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
    plan, all_dubs = builder.plan, dubs_by_clip(config, manifest)
    with rare_collections():
        for clip in chosen_clips(config, manifest, shard):
            cells: dict[str, list[Cell]] = {row.label: [] for row in chosen}
            # Dub by dub: what a worker remembers of a dub's reference serves the next method on the same dub.
            for dub, row in product(all_dubs(clip), chosen):
                for seconds, seed in product(config.train_seconds, config.seeds):
                    cell = Cell(row.label, clip.id, dub.language, dub.id, seconds, seed)
                    made = builder.method(row, clip, dub, seconds, seed)
                    cells[row.label].append(cell)
                    plan.synthesize[cell] = made
                    plan.scores[cell] = {
                        family.id: builder.score(family, options, made, clip, dub) for family, options in measured
                    }
            plan.cells += [cell for of_row in cells.values() for cell in of_row]
    plan.request = builder.request(chosen, measured)
    return plan, chosen, measured
