"""Method files: what they say, what is wrong with them, and the commands that come out."""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from lipbench.baselines.external import environment, json_schema, load_external, placeholders, post, read, reading
from lipbench.baselines.external import shim as shim_module
from lipbench.baselines.external.config import Definition, Env, Post
from lipbench.baselines.external.failures import classify
from lipbench.baselines.external.process import ProcessResult
from lipbench.core.errors import LipbenchError, ManifestError, Refused

LATENTSYNC = """\
name: latentsync
title: LatentSync 1.6
paper: https://arxiv.org/abs/2412.09262
repo: {url: https://github.com/bytedance/LatentSync, commit: a229c39, path: "${LIPBENCH_REPOS}/LatentSync"}
licence: {code: Apache-2.0, weights: see-upstream, commercial: unknown}
env: {type: conda, name_or_path: latentsync, python: "3.10", vars: {HF_HUB_OFFLINE: 1, GPU: "{gpu}"}}
weights: [{path: checkpoints/latentsync_unet.pt, size: null, sha256: null, required: true}]
needs: {gpu: true, min_vram_gb: 18, binaries: [ffmpeg]}
inputs: {kind: video, fps: 25, size: any}
before:
  - ["{python}", -m, preprocess, --video, "{video}"]
files:
  "{work}/task.yaml": "task_0:\\n  video_path: {video}\\n  audio_path: {audio}\\n"
argv: ["{python}", -m, scripts.inference, --video_path, "{video}", --audio_path, "{audio}", --video_out_path, "{out}",
       --inference_steps, 20, --guidance_scale, 1.5, --temp_dir, "{work}/tmp"]
cwd: private
writable: [temp, results]
timeout_s: 3600
output: {find: exact, pattern: "{out}"}
post: [{crop: [256, 0, 256, 256]}, {fps: 25}, {drop_head: 2, drop_tail: 2}, {paste: "{work}/affine.json", blend: none},
       {mux: "{audio}"}]
caps: {deterministic: false, seed_flag: --seed, modifies_full_frame: false}
failures: {oom: "CUDA out of memory|Image too big"}
paper_results: {lse_c: 8.05}
"""


def written_file(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "method.yaml"
    file.write_text(text)
    return file


def test_the_contracts_example_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPBENCH_REPOS", "/repos")
    file = written_file(tmp_path, LATENTSYNC)
    located, spec = read(file), load_external(file).spec
    assert located.repo == Path("/repos/LatentSync")
    assert located.definition.argv is not None
    assert located.definition.argv[9:14] == ("--inference_steps", "20", "--guidance_scale", "1.5", "--temp_dir")
    assert located.definition.env.vars == {"HF_HUB_OFFLINE": "1", "GPU": "{gpu}"}
    assert (spec.id, spec.title, spec.needs) == ("latentsync", "LatentSync 1.6", {"gpu", "faces"})
    assert spec.uses_seed
    assert not spec.uses_train_seconds
    assert spec.paper_results == {"lse_c": 8.05}
    assert spec.stages == ("synthesize",)


@pytest.mark.parametrize(
    ("change", "line", "field", "why", "fix"),
    [
        (("env: {type: conda", "env: {type: cond"), 6, "env.type", "found 'cond'", ""),
        (("timeout_s: 3600", "timeout: 3600"), 18, "timeout", "no such field", "did you mean timeout_s?"),
        (("modifies_full_frame", "modify_full_frame"), 22, "caps.modify_full_frame", "", "modifies_full_frame?"),
        (("required: true", "needed: true"), 7, "weights[0].needed", "no such field", "fields: path, sha256"),
        (("{fps: 25}, {drop", "{fps: 25, resize: clip}, {drop"), 20, "post[1]", "one step per list item", ""),
        (('"{audio}", --video_out', '"{sound}", --video_out'), 14, "argv", "no placeholder {sound}", ""),
        (
            ("{video}\\n  audio_path", "{vidio}\\n  audio_path"),
            12,
            "files",
            "no placeholder {vidio}",
            "did you mean {video}?",
        ),
        (('vars: {HF_HUB_OFFLINE: 1, GPU: "{gpu}"}', 'vars: {A: "{card}"}'), 6, "env.vars", "{card}", ""),
        (("name: latentsync\n", ""), 1, "name", "missing", "add `name:`"),
        (("name: latentsync\n", "name: Latent Sync\n"), 1, "name", "found 'Latent Sync'", ""),
        (("failures: {oom", "failures: {oom: '(', x"), 23, "failures", "no regular expression", ""),
        (("writable: [temp, results]", "writable: [../temp]"), 17, "writable", "inside the checkout", ""),
        (("name_or_path: latentsync, ", ""), 6, "env", "needs name_or_path", ""),
        (('["{python}", -m, preprocess, --video, "{video}"]', "python -m x"), 11, "before[0]", "never one", ""),
    ],
)
def test_errors_name_line_field_and_mend(
    tmp_path: Path, change: tuple[str, str], line: int, field: str, why: str, fix: str
) -> None:
    assert change[0] in LATENTSYNC
    text = LATENTSYNC.replace(*change)
    with pytest.raises(ManifestError) as caught:
        read(written_file(tmp_path, text))
    assert f"method.yaml:{line}: {field}" in caught.value.what
    assert why in f"{caught.value.what}\n{caught.value.why}"
    assert fix in caught.value.fix


def test_files_that_are_no_method_files(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no such method file"):
        read(tmp_path / "absent.yaml")
    with pytest.raises(ManifestError, match="yaml:3: not valid YAML"):
        read(written_file(tmp_path, "name: x\nargv: [a, b\n"))
    with pytest.raises(ManifestError, match="must be a mapping"):
        read(written_file(tmp_path, "- a\n- b\n"))
    with pytest.raises(ManifestError, match=r"either argv .* or entry"):
        read(written_file(tmp_path, "name: x\n"))
    with pytest.raises(ManifestError, match=r"either argv .* or entry"):
        read(written_file(tmp_path, "name: x\nargv: [a]\nentry: {call: 'a:b'}\n"))


def test_the_schema_describes_every_field(tmp_path: Path) -> None:
    schema = json.loads(json_schema())
    assert set(yaml.safe_load(LATENTSYNC)) <= set(schema["properties"])
    assert schema["additionalProperties"] is False


def test_placeholders() -> None:
    values = dict.fromkeys(placeholders.NAMES, "") | {"video": "v.mp4", "seed": "{out}"}
    assert placeholders.fill("{video} {{video}} {seed} {{", values) == "v.mp4 {video} {out} {{"
    assert placeholders.fill('{"a": {"b": 1}} ${HOME} {0}', values) == '{"a": {"b": 1}} ${HOME} {0}'
    assert placeholders.uses({"x": ["{seed}"]}, "seed")
    assert not placeholders.uses(["{{seed}}"], "seed")


# -- environments -------------------------------------------------------------------------------------------------

MOUNTS = (
    environment.Mount(Path("/repos/x"), False),
    environment.Mount(Path("/scratch/y"), True),
    environment.Mount(Path("/home/me/.cache/torch"), True, Path("/scratch/y/tmp/.cache/torch")),
)


def wrapped(env: Env, **extra: str) -> environment.Command:
    added = environment.variables(env, extra, gpu="2", threads=3, tmp=Path("/scratch/y/tmp"))
    return environment.wrap(
        env, ["python", "run.py", "a b"], added, cwd=Path("/scratch/y/src"), mounts=MOUNTS, label="lipbench-1"
    )


def test_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/ours")
    command = wrapped(Env(), HF_HOME="/hf")
    assert command.argv == ("python", "run.py", "a b")
    assert environment.interpreter(Env()) == sys.executable
    assert "PYTHONPATH" not in command.env
    assert {command.env[k] for k in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "HF_HOME")} == {"2", "3", "/hf"}
    assert command.env["TMPDIR"] == "/scratch/y/tmp"
    assert command.env["PATH"] == os.environ["PATH"]


def test_venv() -> None:
    env = Env(type="venv", name_or_path="/envs/m")
    command = wrapped(env)
    assert environment.interpreter(env) == "/envs/m/bin/python"
    assert command.env["VIRTUAL_ENV"] == "/envs/m"
    assert command.env["PATH"].startswith("/envs/m/bin" + os.pathsep)


def test_conda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDA_EXE", "/opt/conda/bin/conda")
    run = ("/opt/conda/bin/conda", "run", "--no-capture-output")
    words = ("python", "run.py", "a b")
    assert wrapped(Env(type="conda", name_or_path="m")).argv == (*run, "-n", "m", *words)
    assert wrapped(Env(type="conda", name_or_path="/envs/m")).argv == (*run, "-p", "/envs/m", *words)
    assert environment.interpreter(Env(type="conda", name_or_path="m")) == "python"
    with pytest.raises(Refused, match="/opt/conda/bin/conda"):
        environment.check(Env(type="conda", name_or_path="m"), ())


def test_docker() -> None:
    command = wrapped(Env(type="docker", name_or_path="me/image:1"), HF_HOME="/hf")
    words = list(command.argv)
    assert words[:5] == ["docker", "run", "--rm", "--init", "--network"]
    assert words[-4:] == ["me/image:1", "python", "run.py", "a b"]
    volumes = [words[i + 1] for i, word in enumerate(words) if word == "--volume"]
    assert volumes == [
        "/repos/x:/repos/x:ro",
        "/scratch/y:/scratch/y",
        "/home/me/.cache/torch:/scratch/y/tmp/.cache/torch",
    ]
    assert words[words.index("--workdir") + 1] == "/scratch/y/src"
    assert words[words.index("--gpus") + 1] == "device=2"
    assert words[words.index("--user") + 1] == f"{os.getuid()}:{os.getgid()}"
    inside = dict(words[i + 1].split("=", 1) for i, word in enumerate(words) if word == "--env")
    assert inside["CUDA_VISIBLE_DEVICES"] == "0"  # the only one it sees
    assert inside["HF_HOME"] == "/hf"
    assert command.kill == ("docker", "kill", "lipbench-1")
    cpu = environment.variables(Env(type="docker", name_or_path="i"), {}, gpu="", threads=1, tmp=Path("/t"))
    on_cpu = environment.wrap(Env(type="docker", name_or_path="i"), ["x"], cpu, cwd=Path("/"), mounts=(), label="l")
    assert "--gpus" not in on_cpu.argv


# -- small parts --------------------------------------------------------------------------------------------------


def test_the_worker_runs_on_old_pythons() -> None:
    source = Path(shim_module.__file__).read_text()
    tree = ast.parse(source, feature_version=(3, 7))
    assert len(source.splitlines()) < 120
    imported = {
        name.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert imported <= {"importlib", "inspect", "json", "os", "sys", "time", "traceback", "typing"}


@pytest.mark.parametrize(
    ("ended", "output", "reason"),
    [
        (ProcessResult(0, False, 1, 0), "CUDA out of memory", None),
        (ProcessResult(1, False, 1, 0), "torch.OutOfMemoryError: CUDA out of memory.", "oom"),
        (ProcessResult(1, False, 1, 0), "Traceback\nModuleNotFoundError: No module named 'mmcv'\n", "module_missing"),
        (
            ProcessResult(1, False, 1, 0),
            "ImportError: No module named mmcv\n\nERROR conda.cli.main_run:execute(49): `conda run x` failed.",
            "module_missing",
        ),
        # A warning that the program got over, then something else.
        (ProcessResult(1, False, 1, 0), "ModuleNotFoundError: No module named 'triton'\nValueError: 3", "crash"),
        (ProcessResult(2, False, 1, 0), "ModuleNotFoundError: No module named 'triton'", "crash"),
        (ProcessResult(-11, False, 1, 0), "ModuleNotFoundError: No module named 'triton'", "crash"),
        (ProcessResult(1, False, 1, 0), "EnvironmentLocationNotFound: Not a conda environment: /x", "env_missing"),
        (ProcessResult(-9, False, 1, 0), "", "oom"),
        (ProcessResult(137, False, 1, 0), "", "oom"),
        (ProcessResult(-11, False, 1, 0), "", "crash"),
        (ProcessResult(-15, True, 1, 0), "Face not detected", "timeout"),
        (ProcessResult(None, False, 0, 0, "x: not found"), "", "env_missing"),
        (ProcessResult(1, False, 1, 0), "Image too big to run face detection on GPU", "oom"),
        (ProcessResult(1, False, 1, 0), "Could not detect any faces", "no_face"),
    ],
)
def test_classes_of_failure(ended: ProcessResult, output: str, reason: str | None) -> None:
    assert classify(ended, output, {"oom": "CUDA out of memory|Image too big"}) == reason


@pytest.mark.parametrize("n", [0, 1, 5])
def test_dropping_and_padding(n: int) -> None:
    frames = list(range(n))
    assert list(post.drop(iter(frames), 1, 2)) == frames[1:-2]  # type: ignore[arg-type]
    assert list(post.drop(iter(frames), 0, 0)) == frames  # type: ignore[arg-type]
    padded = frames[:1] * 2 + frames + frames[-1:] * 3
    assert list(post.pad(iter(frames), 2, 3)) == padded  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "size", "edges"),
    [
        ("[256, 0, 256, 128]", (768, 256), (256, 0, 512, 128)),
        ("[0.5, 0, 0.5, 1]", (1024, 512), (512, 0, 1024, 512)),
        ("right half", (97, 50), (48, 0, 97, 50)),
        ("left half", (97, 50), (0, 0, 48, 50)),
        ("top half", (96, 80), (0, 0, 96, 40)),
        ("bottom half", (96, 80), (0, 40, 96, 80)),
        ("[0.333333, 0.0, 0.333333, 1.0]", (768, 256), (256, 0, 512, 256)),
        ("[0.0, 0.0, 1.0, 1.0]", (96, 80), (0, 0, 96, 80)),
    ],
)
def test_crops_in_pixels_and_in_parts(
    tmp_path: Path, written: str, size: tuple[int, int], edges: tuple[int, int, int, int]
) -> None:
    text = LATENTSYNC.replace("crop: [256, 0, 256, 256]", f"crop: {written}")
    definition = read(written_file(tmp_path, text)).definition
    box = definition.post[0].crop
    assert box is not None
    assert post.pixels(box, *size) == edges
    assert Definition.model_validate(json.loads(definition.model_dump_json())) == definition
    frame = np.zeros((size[1], size[0], 3), np.uint8)
    frame[..., 0] = np.arange(size[0]) % 256
    (cut,) = post._crop(iter([frame]), box)
    assert np.array_equal(cut, frame[edges[1] : edges[3], edges[0] : edges[2]])


@pytest.mark.parametrize(
    "box",
    [
        *("[0, 0, 1, 1]", "[0.5, 0.0, 0.6, 1.0]", "[-1, 0, 4, 4]", "[-0.1, 0.0, 0.5, 1.0]", "[0.0, 0.0, 0.0, 1.0]"),
        *("middle half", "[a, 0, 1, 1]", "[1, 2, 3]", "[.nan, 0.0, 0.5, 0.5]", "[256, 0, 256.5, 256]"),
    ],
)
def test_crops_that_are_none(tmp_path: Path, box: str) -> None:
    with pytest.raises(ManifestError, match=r"method.yaml:20: post\[0\].crop"):
        read(written_file(tmp_path, LATENTSYNC.replace("crop: [256, 0, 256, 256]", f"crop: {box}")))


def test_a_crop_beyond_the_frame_is_told() -> None:
    with pytest.raises(LipbenchError, match="its frames are 300 x 200"):
        next(post._crop(iter([np.zeros((200, 300, 3), np.uint8)]), (256, 0, 256, 128)))


def test_resampling_keeps_the_duration() -> None:
    def shown(n: int, source: float, target: float) -> list[int]:
        return list(post.resample(iter(range(n)), source, target))  # type: ignore[arg-type]

    assert shown(5, 25, 25) == [0, 1, 2, 3, 4]
    assert shown(3, 25, 50) == [0, 0, 1, 1, 2, 2]
    assert shown(6, 50, 25) == [1, 3, 5]
    assert len(shown(125, 62.5, 25)) == 50
    assert shown(0, 25, 30) == []


def test_matrices_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    file.write_text("[[1, 0, 5], [0, 1, 6]]")
    assert len(post.read_matrices(file)) == 1
    file.write_text(json.dumps(np.zeros((4, 2, 3)).tolist()))
    assert len(post.read_matrices(file)) == 4
    for wrong in ("[1, 2]", "{", "[[1, 0, NaN], [0, 1, 6]]"):
        file.write_text(wrong)
        with pytest.raises(LipbenchError) as caught:
            post.read_matrices(file)
        assert caught.value.reason == "bad_output"


DOCS = (Path(__file__).parents[3] / "docs" / "external-methods.md").read_text()


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", DOCS, re.S))
def test_the_documentations_examples_are_valid(tmp_path: Path, block: str) -> None:
    assert load_external(written_file(tmp_path, block)).spec.id in DOCS


def test_the_documentation_knows_every_field_and_placeholder() -> None:
    assert [name for name in Definition.model_fields if f"`{name}`" not in DOCS] == []
    assert [name for name in placeholders.NAMES if f"`{{{name}}}`" not in DOCS] == []
    assert [name for name in Post.model_fields if f"`{name}:" not in DOCS] == []


def test_the_shipped_schema_is_up_to_date() -> None:
    shipped = Path(reading.__file__).with_name("method.schema.json")
    assert shipped.read_text() == json_schema(), "write it again: lipbench data schema method > method.schema.json"
