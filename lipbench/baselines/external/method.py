"""An external method as a lipbench method: prepare the folder, run, find, finish, check."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from lipbench import media
from lipbench.baselines.external import (
    cards,
    checkout,
    failures,
    learning,
    output,
    placeholders,
    post,
    process,
    running,
)
from lipbench.baselines.external.accept import accept
from lipbench.baselines.external.config import Definition, Stage
from lipbench.baselines.external.installation.record import identity_of
from lipbench.baselines.external.meaning import meaning
from lipbench.baselines.external.reading import MethodFile, read
from lipbench.baselines.external.service.client import Service
from lipbench.baselines.external.spec import SPEC, ExternalParams, FileParams
from lipbench.baselines.external.workspace import Workspace, workspace
from lipbench.baselines.jobs import track_of
from lipbench.core.errors import LipbenchError, MediaError, Refused, UsageError
from lipbench.core.keys import key_of
from lipbench.core.method import DubJob, Expected, FitJob, Method, MethodSpec, Outputs, PrepareJob


class ExternalMethod(Method):
    """A method described by a file, run in its own environment with files handed over."""

    own_environment = True
    identity_by_clip = False  # a look at the whole checkout, the same for every cell

    def __init__(self, located: MethodFile) -> None:
        self.located = located
        d = located.definition
        learns = {"prepare": d.prepare, "fit": d.fit}
        texts = (d.argv, d.before, d.files, d.entry, d.request, *(s.commands for s in learns.values() if s))
        stages = (*(name for name, stage in learns.items() if stage is not None), "synthesize")
        gpu = d.needs.gpu or placeholders.uses(texts, "gpu") or placeholders.uses(texts, "cuda_visible_devices")
        sent = (f"the clip's images and the dub are sent to {d.env.url}",) if d.env.type == "http" else ()
        self.spec = MethodSpec(
            id=d.name,
            version=d.version,
            title=d.title or d.name,
            paper=d.paper,
            licence=f"code: {d.licence.code}; weights: {d.licence.weights}",
            stages=stages,
            needs=frozenset(n for n, on in (("gpu", d.needs.gpu), ("faces", d.needs.faces)) if on),
            uses_gpu=stages if gpu else (),
            uses_seed=bool(d.caps.seed_flag) or placeholders.uses(texts, "seed"),
            uses_train_seconds=_uses_train_seconds(d),
            params=ExternalParams,
            paper_results=d.paper_results,
            deviations=(*d.deviations, *sent),
            kind=d.kind,
        )

    def identity(self, params: Any, clip_id: str, language: str) -> Mapping[str, Any]:
        """What is there of it: the checkout's commit, what is installed, the hashes of the weights, or the version
        that a service says it has.

        Raises:
            LipbenchError: something that the method needs is not there; see `checkout.check`.
        """
        definition = self.located.definition
        if definition.env.type == "http":
            return {"service": Service(definition).version()}
        checkout.check(self.located)
        built = identity_of(self.located)
        return {
            "repo": checkout.repo(self.located),
            "weights": {w.path: checkout.weight_hash(self.located, w) for w in definition.weights},
            **({"environment": built} if built else {}),
        }

    def stage_inputs(self, kind: str, params: Any) -> tuple[Mapping[str, Any], tuple[str, ...]]:
        """What of the method file and the parameters a stage reads: a new `argv` trains nothing again."""
        args = list(params.args) if kind == "synthesize" else []
        return {"args": args, "file": key_of({"definition": meaning(self.located.definition, kind)})}, ()

    def examine(self, params: Any, expected: Expected, train_seconds: float | None, seed: int) -> None:
        learning.check_person(self.located.definition, expected.speaker, params.speaker)

    def prepare(self, job: PrepareJob) -> Outputs:
        stage = self.located.definition.prepare
        assert stage is not None
        return self._learn(stage, "prepare", job, ())

    def fit(self, job: FitJob) -> Outputs:
        stage = self.located.definition.fit
        assert stage is not None
        return self._learn(stage, "fit", job, (job.prepare_folder,))

    def _learn(self, stage: Stage, kind: str, job: PrepareJob | FitJob, earlier: tuple[Path | None, ...]) -> Outputs:
        """Run the commands of a stage that knows no dub, and keep what they make."""
        definition = self.located.definition
        checkout.check(self.located)
        gpu = cards.card_of(definition, job.device)
        logs = running.logs_of(definition, job.out, stage.timeout_s)
        with workspace(self.located, job, gpu, kind, [f for f in earlier if f is not None]) as space:
            try:
                commands = [placeholders.fill_all(argv, space.values) for argv in stage.commands]
                info = running.run(definition, commands, space, job, gpu, logs)
                kept = learning.keep(stage, space, self.located.repo, job.out)
            except LipbenchError as error:
                raise running.lasting(running.explained(error, definition, logs), space, logs) from error
        return Outputs({"stdout": logs.stdout, "stderr": logs.stderr}, {**info, **kept, **self._provenance()})

    def synthesize(self, job: DubJob) -> Outputs:
        definition, dub = self.located.definition, job.dub
        learning.check_person(definition, job.clip.speaker, job.params.speaker)
        remote = definition.env.type == "http"
        if not remote:
            checkout.check(self.located)
        gpu = cards.card_of(definition, job.device)
        track = track_of(job) if job.clip.faces is not None else None
        logs = running.logs_of(definition, job.out, definition.timeout_s)
        earlier = [folder for folder in (job.prepare_folder, job.fit_folder) if folder is not None]
        with workspace(self.located, job, gpu, "synthesize", earlier) as space:
            try:
                if remote:
                    info = Service(definition, partial(_say, job, logs)).dub(space)
                else:
                    info = self._run(job, space, gpu, logs)
                found = self._find(space, logs, info)
                video = self._finish(found, space, job, info)
                checks = accept(
                    video,
                    dub.video,
                    dub.n_frames,
                    track,
                    own_words=dub.language == job.clip.language != "und",
                    pass_through=definition.caps.pass_through,
                    made=info["frames_made"],
                )
            except LipbenchError as error:
                raise running.lasting(running.explained(error, definition, logs), space, logs) from error
        outputs = {"video": video, "stdout": logs.stdout, "stderr": logs.stderr}
        return Outputs(outputs, {**info, **checks, **self._provenance()})

    def _provenance(self) -> dict[str, Any]:
        """What a record says of what ran."""
        env = self.located.definition.env
        if env.type == "http":
            return {"env": env.type, "url": env.url}
        built = identity_of(self.located)
        known = {"environment": built} if built else {}
        return {"repo": checkout.repo(self.located), "env": env.type, **known}

    def _run(self, job: DubJob, space: Workspace, gpu: str, logs: failures.Logs) -> dict[str, Any]:
        definition = self.located.definition
        if definition.entry is not None:
            running.write_entry(definition, space)
        commands = running.dub_commands(definition, space, job.params.args, job.seed)
        return running.run(definition, commands, space, job, gpu, logs)

    def _find(self, space: Workspace, logs: failures.Logs, info: dict[str, Any]) -> output.Found:
        definition, result = self.located.definition, space.root / "result.json"
        if result.exists():
            info["versions"] = json.loads(result.read_text()).get("versions", {})
        try:
            return output.find(definition.output, space.pattern, space.before, space.root)
        except LipbenchError as error:
            # Some programs print their failure and end with code 0.
            words = running.last_words(logs)
            reason = failures.said(words, definition.failures)
            if reason is None:
                raise
            ended = process.ProcessResult(0, False, info["wall_s"], info["peak_rss_bytes"])
            raise failures.error(definition.name, reason, ended, words, logs) from error

    def _finish(self, found: output.Found, space: Workspace, job: DubJob, info: dict[str, Any]) -> Path:
        """Post steps, the clip's frame rate, the dub's audio; `info` gets what the command itself has made."""
        definition, dub, video = self.located.definition, job.dub, job.out / "video.mp4"
        stream, info["frames_made"] = post.opened(definition.output, found, space)
        info["fps_made"] = round(stream.fps, 3)
        if not definition.inputs.reached(0) and post.fits(found, definition.post, job.clip.fps):
            return media.remux(found.path, dub.audio, video)  # its pixels, not a copy of them
        stream = post.apply(definition.post, stream, space, lambda: media.read_frames(dub.video))
        frames = stream.frames
        if abs(stream.fps - job.clip.fps) > 1e-3:
            job.log(f"{definition.name}: {stream.fps:g} fps brought to {job.clip.fps:g}")
            frames = post.resample(frames, stream.fps, job.clip.fps)
        if definition.inputs.reached(0):
            frames = islice(frames, dub.n_frames)  # what is beyond was asked for by us
        try:
            return media.write_video(video, frames, job.clip.fps, dub.audio, lossless=True, like=dub.video)
        except (MediaError, UsageError) as error:  # undecodable, no frames, odd size
            raise output.bad_output(
                "the command's video cannot be used", f"{error.what}: {error.why}" if error.why else error.what
            ) from error


class External(Method):
    """Any method file, named by a parameter. `file: method.yaml` in a run file gives a row under its own name."""

    spec = SPEC
    identity_by_clip = False

    def uses_gpu(self, kind: str, params: FileParams) -> bool:
        return load_external(params.file).uses_gpu(kind, params)

    def identity(self, params: FileParams, clip_id: str, language: str) -> Mapping[str, Any]:
        method = _without_stages(params.file)
        return {**method.identity(params, clip_id, language), **method.stage_inputs("synthesize", params)[0]}

    def examine(self, params: FileParams, expected: Expected, train_seconds: float | None, seed: int) -> None:
        load_external(params.file).examine(params, expected, train_seconds, seed)

    def synthesize(self, job: DubJob) -> Outputs:
        return _without_stages(job.params.file).synthesize(job)


def load_external(path: str | Path) -> ExternalMethod:
    """The method that a file describes.

    Raises:
        ManifestError: naming file, line, field and what to change.
    """
    return ExternalMethod(read(path))


def _without_stages(path: str) -> ExternalMethod:
    method = load_external(path)
    if method.spec.stages != ("synthesize",):
        raise Refused(
            f"the method `external` cannot train {method.spec.id}",
            f"{path} has the stages {', '.join(method.spec.stages)}",
            "name the file itself in the run file: `- file: method.yaml`",
            reason="unsupported",
        )
    return method


def _uses_train_seconds(definition: Definition) -> bool:
    """Whether the train length can change what it makes: its training sees the clip, or is told the length."""
    if definition.fit is None:
        return False
    texts = (definition.fit.commands, definition.files, definition.argv, definition.before)
    told = placeholders.uses(texts, "train_frames")
    return told or any(placeholders.uses(definition.fit.commands, name) for name in ("video", "audio"))


def _say(job: DubJob, logs: failures.Logs, line: str) -> None:
    """What passes between a service and us stands in the log like the words of a command."""
    job.log(line)
    with open(logs.stdout, "a", encoding="utf-8") as file:
        file.write(line + "\n")
