"""An external method as a lipbench method: prepare the folder, run, find, finish, check."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lipbench import media
from lipbench.baselines.external import checkout, environment, failures, placeholders, post, process
from lipbench.baselines.external.accept import accept
from lipbench.baselines.external.config import Definition
from lipbench.baselines.external.reading import MethodFile, read
from lipbench.baselines.external.spec import SPEC, ExternalParams, FileParams
from lipbench.baselines.external.workspace import Workspace, workspace
from lipbench.baselines.jobs import track_of
from lipbench.core.errors import MediaError, Refused, UsageError
from lipbench.core.keys import canonical, key_of
from lipbench.core.method import DubJob, Method, MethodSpec, Outputs

SHIM = Path(__file__).with_name("shim.py")


class ExternalMethod(Method):
    """A method described by a file, run in its own environment with files handed over."""

    own_environment = True

    def __init__(self, located: MethodFile) -> None:
        self.located = located
        d = located.definition
        self.spec = MethodSpec(
            id=d.name,
            version=d.version,
            title=d.title or d.name,
            paper=d.paper,
            licence=f"code: {d.licence.code}; weights: {d.licence.weights}",
            needs=frozenset(n for n, on in (("gpu", d.needs.gpu), ("faces", d.needs.faces)) if on),
            uses_seed=bool(d.caps.seed_flag) or placeholders.uses((d.argv, d.prepare, d.files, d.entry), "seed"),
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
        logs = (job.out / "stdout.txt", job.out / "stderr.txt")
        with workspace(self.located, job, gpu) as space:
            started = time.time()
            info = self._run(job, space, gpu, logs)
            found = self._find(space, started, logs, info)
            video = self._finish(found, space, job)
            checks = accept(
                video,
                dub.video,
                dub.n_frames,
                track,
                own_words=dub.language == job.clip.language != "und",
                pass_through=definition.caps.pass_through,
            )
        return Outputs(
            {"video": video, "stdout": logs[0], "stderr": logs[1]},
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

    def _run(self, job: DubJob, space: Workspace, gpu: str, logs: tuple[Path, Path]) -> dict[str, Any]:
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
                env,
                argv,
                added,
                cwd=space.cwd,
                mounts=((self.located.repo, False), (space.root, True)),
                label=f"lipbench-{uuid.uuid4().hex[:12]}",
            )
            job.log(f"{definition.name}: {' '.join(argv)}")
            ended = process.run(
                command.argv,
                cwd=space.cwd,
                env=command.env,
                timeout_s=max(0.0, deadline - time.monotonic()),
                stdout=logs[0],
                stderr=logs[1],
                kill=command.kill,
            )
            peak = max(peak, ended.peak_rss)
            output = process.tail(logs[0]) + "\n" + process.tail(logs[1])
            if reason := failures.classify(ended, output, definition.failures):
                raise failures.error(definition.name, reason, ended, output)
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

    def _find(self, space: Workspace, started: float, logs: tuple[Path, Path], info: dict[str, Any]) -> Path:
        result = space.root / "result.json"
        if result.exists():
            info["versions"] = json.loads(result.read_text()).get("versions", {})
        try:
            return post.find(self.located.definition.output, space, started)
        except Exception as error:
            # Some programs print their failure and end with code 0.
            output = process.tail(logs[0]) + "\n" + process.tail(logs[1])
            reason = failures.said(output, self.located.definition.failures)
            if reason is None:
                raise
            ended = process.ProcessResult(0, False, info["wall_s"], info["peak_rss_bytes"])
            raise failures.error(self.located.definition.name, reason, ended, output) from error

    def _finish(self, found: Path, space: Workspace, job: DubJob) -> Path:
        """Post steps, the clip's frame rate, the dub's audio."""
        definition, dub, video = self.located.definition, job.dub, job.out / "video.mp4"
        if post.fits(definition.output, definition.post, found, job.clip.fps):
            return media.remux(found, dub.audio, video)  # its pixels, not a copy of them
        stream = post.opened(definition.output, found, space)
        stream = post.apply(definition.post, stream, space, lambda: media.read_frames(dub.video))
        frames = stream.frames
        if abs(stream.fps - job.clip.fps) > 1e-3:
            job.log(f"{definition.name}: {stream.fps:g} fps brought to {job.clip.fps:g}")
            frames = post.resample(frames, stream.fps, job.clip.fps)
        try:
            return media.write_video(video, frames, job.clip.fps, dub.audio, lossless=True)
        except (MediaError, UsageError) as error:  # undecodable, no frames, odd size
            raise post.bad_output("the command's video cannot be used", f"{error.what}: {error.why}") from error


class External(Method):
    """Any method file, named by a parameter. `file: method.yaml` in a run file gives a row under its own name."""

    spec = SPEC

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


def _meaning(definition: Definition) -> dict[str, Any]:
    """What of a definition can change pixels: not where things lie, not how long it may take."""
    content = definition.model_dump(mode="json", exclude={"timeout_s", "title", "paper", "licence", "paper_results"})
    content["repo"].pop("path")
    if definition.env.type in ("venv", "conda"):
        content["env"].pop("name_or_path")
    canonical(content)  # fails here, not deep in the planner, if a new field cannot be hashed
    return content


def _gpu(definition: Definition, device: str) -> str:
    """`{gpu}`: the index, "" on the CPU.

    Raises:
        Refused: reason "gpu_missing".
    """
    _, _, index = device.partition(":")
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
        return index or "0"
    if definition.needs.gpu:
        raise Refused(f"{definition.name} needs a GPU", f"the job runs on {device}", "use a GPU", reason="gpu_missing")
    return ""


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return placeholders.fill(value, values)
    if isinstance(value, dict):
        return {k: _filled(v, values) for k, v in value.items()}
    if isinstance(value, list):
        return [_filled(v, values) for v in value]
    return value
