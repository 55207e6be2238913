"""An external method as a lipbench method: prepare the folder, run, find, finish, check."""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lipbench import media
from lipbench.baselines.external import checkout, environment, failures, output, placeholders, post, process
from lipbench.baselines.external.accept import accept
from lipbench.baselines.external.config import Definition
from lipbench.baselines.external.reading import MethodFile, read
from lipbench.baselines.external.spec import SPEC, ExternalParams, FileParams
from lipbench.baselines.external.workspace import Workspace, workspace
from lipbench.baselines.jobs import track_of
from lipbench.core.errors import LipbenchError, MediaError, Refused, UsageError
from lipbench.core.keys import canonical, key_of
from lipbench.core.method import DubJob, Method, MethodSpec, Outputs

SHIM = Path(__file__).with_name("shim.py")


class ExternalMethod(Method):
    """A method described by a file, run in its own environment with files handed over."""

    own_environment = True
    identity_by_clip = False  # a look at the whole checkout, the same for every cell

    def __init__(self, located: MethodFile) -> None:
        self.located = located
        d = located.definition
        texts = (d.argv, d.prepare, d.files, d.entry)
        self.spec = MethodSpec(
            id=d.name,
            version=d.version,
            title=d.title or d.name,
            paper=d.paper,
            licence=f"code: {d.licence.code}; weights: {d.licence.weights}",
            needs=frozenset(n for n, on in (("gpu", d.needs.gpu), ("faces", d.needs.faces)) if on),
            uses_gpu=("synthesize",) if d.needs.gpu or placeholders.uses(texts, "gpu") else (),
            uses_seed=bool(d.caps.seed_flag) or placeholders.uses(texts, "seed"),
            params=ExternalParams,
            paper_results=d.paper_results,
            deviations=d.deviations,
            kind=d.kind,
        )

    def identity(self, params: Any, clip_id: str, language: str) -> Mapping[str, Any]:
        """The method file's content, the checkout's commit and the hashes of the weights.

        Raises:
            LipbenchError: something that the method needs is not there; see `checkout.check`.
        """
        checkout.check(self.located)
        return {
            "file": key_of({"definition": _meaning(self.located.definition)}),
            "repo": checkout.repo(self.located),
            "weights": {w.path: checkout.weight_hash(self.located, w) for w in self.located.definition.weights},
        }

    def synthesize(self, job: DubJob) -> Outputs:
        definition, dub = self.located.definition, job.dub
        checkout.check(self.located)
        gpu = _gpu(definition, job.device)
        track = track_of(job) if job.clip.faces is not None else None
        logs = failures.Logs(
            job.out / "stdout.txt", job.out / "stderr.txt", definition.timeout_s, environment.withheld(definition.env)
        )
        with workspace(self.located, job, gpu) as space:
            try:
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
                raise _lasting(self._explained(error, logs), space, logs) from error
        return Outputs(
            {"video": video, "stdout": logs.stdout, "stderr": logs.stderr},
            {**info, **checks, "repo": checkout.repo(self.located), "env": definition.env.type},
        )

    def commands(self, space: Workspace, args: Sequence[str], seed: int) -> list[list[str]]:
        """The words of every command of one run, in order, placeholders filled."""
        definition = self.located.definition
        found = [placeholders.fill_all(argv, space.values) for argv in definition.prepare]
        if definition.entry is not None:
            interpreter = definition.entry.python or "{python}"
            main = [interpreter, "{work}/shim.py", "{work}/job.json"]
        else:
            main = list(definition.argv or ())
        if definition.caps.seed_flag:
            main += [definition.caps.seed_flag, str(seed)]
        return [*found, [*placeholders.fill_all(main, space.values), *args]]

    def _run(self, job: DubJob, space: Workspace, gpu: str, logs: failures.Logs) -> dict[str, Any]:
        """Run the commands.

        Raises:
            LipbenchError: one of them failed; the reason says how.
        """
        definition = self.located.definition
        env = definition.env
        if definition.entry is not None:
            self._write_job(space)
        own = {name: placeholders.fill(text, space.values) for name, text in env.vars.items()}
        added = environment.variables(env, own, gpu=gpu, threads=job.threads, tmp=space.root / "tmp")
        deadline, peak = time.monotonic() + definition.timeout_s, 0
        start = time.monotonic()
        for argv in self.commands(space, job.params.args, job.seed):
            command = environment.wrap(
                env, argv, added, cwd=space.cwd, mounts=space.mounts, label=f"lipbench-{uuid.uuid4().hex[:12]}"
            )
            job.log(f"{definition.name}: {' '.join(argv)}")
            ended = process.run(
                command.argv,
                cwd=space.cwd,
                env=command.env,
                timeout_s=max(0.0, deadline - time.monotonic()),
                stdout=logs.stdout,
                stderr=logs.stderr,
                kill=command.kill,
            )
            peak = max(peak, ended.peak_rss)
            if ended.strays:
                job.log(f"{definition.name}: ended {ended.strays} processes that it left behind")
            words = _words(logs)
            if reason := failures.classify(ended, words, definition.failures):
                raise failures.error(definition.name, reason, ended, words, logs)
        return {"rc": 0, "wall_s": round(time.monotonic() - start, 3), "peak_rss_bytes": peak}

    def _write_job(self, space: Workspace) -> None:
        entry = self.located.definition.entry
        assert entry is not None
        shutil.copyfile(SHIM, space.root / "shim.py")  # a container sees the folder, not our package
        job = {
            "call": entry.call,
            "init": _filled(entry.init, space.values),
            "args": _filled(entry.args, space.values),
            **{name: space.values[name] for name in ("video", "audio", "out")},
            "result": str(space.root / "result.json"),
        }
        (space.root / "job.json").write_text(json.dumps(job))

    def _find(self, space: Workspace, logs: failures.Logs, info: dict[str, Any]) -> output.Found:
        definition, result = self.located.definition, space.root / "result.json"
        if result.exists():
            info["versions"] = json.loads(result.read_text()).get("versions", {})
        try:
            return output.find(definition.output, space.pattern, space.before, space.root)
        except LipbenchError as error:
            # Some programs print their failure and end with code 0.
            words = _words(logs)
            reason = failures.said(words, definition.failures)
            if reason is None:
                raise
            ended = process.ProcessResult(0, False, info["wall_s"], info["peak_rss_bytes"])
            raise failures.error(definition.name, reason, ended, words, logs) from error

    def _explained(self, error: LipbenchError, logs: failures.Logs) -> LipbenchError:
        """What the command itself said about a video that cannot be used, if the method file knows the words."""
        definition = self.located.definition
        if error.reason not in ("length_mismatch", "bad_output"):
            return error
        words = _words(logs)
        reason = failures.said(words, definition.failures, common=False)
        if reason is None:
            return error
        ended = process.ProcessResult(0, False, 0.0, 0)
        return failures.error(definition.name, reason, ended, f"{words}\n{error.why}", logs)

    def _finish(self, found: output.Found, space: Workspace, job: DubJob, info: dict[str, Any]) -> Path:
        """Post steps, the clip's frame rate, the dub's audio; `info` gets what the command itself has made."""
        definition, dub, video = self.located.definition, job.dub, job.out / "video.mp4"
        stream, info["frames_made"] = post.opened(definition.output, found, space)
        info["fps_made"] = round(stream.fps, 3)
        if post.fits(found, definition.post, job.clip.fps):
            return media.remux(found.path, dub.audio, video)  # its pixels, not a copy of them
        stream = post.apply(definition.post, stream, space, lambda: media.read_frames(dub.video))
        frames = stream.frames
        if abs(stream.fps - job.clip.fps) > 1e-3:
            job.log(f"{definition.name}: {stream.fps:g} fps brought to {job.clip.fps:g}")
            frames = post.resample(frames, stream.fps, job.clip.fps)
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
        return load_external(params.file).identity(params, clip_id, language)

    def synthesize(self, job: DubJob) -> Outputs:
        return load_external(job.params.file).synthesize(job)


def load_external(path: str | Path) -> ExternalMethod:
    """The method that a file describes.

    Raises:
        ManifestError: naming file, line, field and what to change.
    """
    return ExternalMethod(read(path))


def _words(logs: failures.Logs) -> str:
    """The end of what a command wrote."""
    return process.tail(logs.stdout) + "\n" + process.tail(logs.stderr)


def _lasting(error: LipbenchError, space: Workspace, logs: failures.Logs) -> LipbenchError:
    """The same error with nothing in it that is gone when it is read: the private folder is `{work}`."""
    what, why, fix = (space.named(text) for text in (error.what, error.why, error.fix))
    if error.reason == "bad_output" and "stdout.txt" in fix:
        fix = str(logs)
    return type(error)(what, why, fix, reason=error.reason)


def _meaning(definition: Definition) -> dict[str, Any]:
    """What of a definition can change pixels: not where things lie, not how long it may take."""
    unread = {"timeout_s", "title", "paper", "licence", "paper_results", "caches"}
    content = definition.model_dump(mode="json", exclude=unread)
    content["repo"].pop("path")
    for name in ("pass", "imports"):
        content["env"].pop(name)
    if definition.env.type in ("venv", "conda"):
        content["env"].pop("name_or_path")
    canonical(content)  # fails here, not deep in the planner, if a new field cannot be hashed
    return content


def _gpu(definition: Definition, device: str) -> str:
    """The word for the command's CUDA_VISIBLE_DEVICES: the card that `device` means in this process, "" on the CPU.

    Raises:
        Refused: reason "gpu_missing".
    """
    if device.startswith("cuda"):
        if definition.needs.min_vram_gb:
            import torch

            have = torch.cuda.get_device_properties(device).total_memory / 2**30
            if have < definition.needs.min_vram_gb:
                raise Refused(
                    f"{definition.name} needs {definition.needs.min_vram_gb:g} GB of GPU memory",
                    f"{device} has {have:.0f} GB",
                    "use a larger GPU",
                    reason="gpu_missing",
                )
        return _card(definition, device)
    if definition.needs.gpu:
        raise Refused(f"{definition.name} needs a GPU", f"the job runs on {device}", "use a GPU", reason="gpu_missing")
    return ""


def _card(definition: Definition, device: str) -> str:
    """The card behind "cuda:N": N counts those that this process may see, and the command would count from 0 again."""
    number = int(device.partition(":")[2] or 0)
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    if shown is None:
        return str(number)
    cards = [word.strip() for word in shown.split(",") if word.strip()]
    if number >= len(cards):
        raise Refused(
            f"{definition.name} needs the GPU {device}",
            f"CUDA_VISIBLE_DEVICES shows {len(cards)} here",
            "leave the choice to lipbench: unset LIPBENCH_DEVICE",
            reason="gpu_missing",
        )
    return cards[number]


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return placeholders.fill(value, values)
    if isinstance(value, dict):
        return {k: _filled(v, values) for k, v in value.items()}
    if isinstance(value, list):
        return [_filled(v, values) for v in value]
    return value
