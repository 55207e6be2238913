"""The three kinds of file that people write: every mistake is named with its file, line and field in all of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipbench.baselines.external import reading
from lipbench.core.errors import ManifestError, UsageError
from lipbench.datasets import load_manifest
from lipbench.datasets.model import ManifestFile
from lipbench.engine import config
from lipbench.engine.config import load_run_file, parse_run_file
from lipbench.engine.rows import row

HASH = "a" * 64

MANIFEST = f"""\
schema: 1
name: demo-set
version: 1.10
licence: CC0-1.0
consent: written
clips:
  - id: one
    video: one.mp4
    sha256: {HASH}
    speaker: no
    language: no
"""
RUN = """\
schema: 1
name: 2024
manifest: demo
methods:
  - dubbed
  - id: wav2lip
    params: {weights: no, pads: [0, 10, 0, 0], rate: 1e-3, name: '1'}
languages: [no, fr]
seeds: [0, 1]
"""
METHOD = """\
name: mine
version: 1.10
licence: {commercial: no}
argv: [run, --scale, 1.50, --date, 2024-01-01, --on, yes, --code, 010]
env:
  vars: {MODE: 010, ON: yes}
caps: {deterministic: no}
"""


@dataclass(frozen=True)
class Form:
    """A kind of file: a good one, and what to spoil in it."""

    name: str
    load: Callable[[Path], Any]
    text: str
    top: tuple[str, str, int]
    nested: tuple[str, str, int, str]


FORMS = [
    Form("manifest", load_manifest, MANIFEST, ("name", "nmae", 2), ("speaker", "speker", 10, "clips[0].speker")),
    Form("run file", load_run_file, RUN, ("methods", "metods", 4), ("params", "parms", 7, "methods[1].parms")),
    Form("method file", reading.read, METHOD, ("argv", "agrv", 4), ("vars", "vras", 6, "env.vras")),
]


@pytest.fixture(params=FORMS, ids=lambda form: form.name)
def form(request) -> Form:
    return request.param


@pytest.fixture
def refusal(form, tmp_path):
    """The error for a file with this content, its folder taken out."""

    def refusal(content: str | bytes) -> list[str]:
        path = tmp_path / "f.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(ManifestError) as caught:
            form.load(path)
        error = caught.value
        assert error.exit_code == 2
        assert all("\n" not in part for part in (error.what, error.why, error.fix))
        assert error.fix
        return [part.replace(f"{tmp_path}/", "") for part in (error.what, error.why, error.fix)]

    return refusal


def test_the_good_file_is_read(form, tmp_path):
    (tmp_path / "f.yaml").write_text(form.text)
    assert form.load(tmp_path / "f.yaml")


def test_a_misspelt_field_at_the_top(form, refusal):
    right, wrong, line = form.top
    what, _, fix = refusal(form.text.replace(f"{right}:", f"{wrong}:", 1))
    if form.name == "method file":  # argv may be missing, with entry
        assert (what, fix) == (f"f.yaml:{line}: {wrong}: there is no such field", f"did you mean {right}?")
    else:
        assert what == f"f.yaml:1: {right} is missing (and 1 more)"
        assert fix.startswith(f"did you mean {right} by {wrong} in line {line}?")


def test_a_misspelt_field_further_in(form, refusal):
    right, wrong, line, field = form.nested
    what, _, fix = refusal(form.text.replace(f"{right}:", f"{wrong}:", 1))
    if form.name == "manifest":  # it is missing, too
        assert what == "f.yaml:7: clips[0]: speaker is missing (and 1 more)"
        assert fix == "did you mean speaker by speker in line 10? `lipbench data check FILE` lists them all"
    else:
        assert (what, fix) == (f"f.yaml:{line}: {field}: there is no such field", f"did you mean {right}?")


def test_a_field_that_was_never_heard_of(form, refusal):
    what, _, fix = refusal(form.text + "zzz: 1\n")
    assert what == f"f.yaml:{form.text.count(chr(10)) + 1}: zzz: there is no such field"
    assert fix.startswith("fields: ")
    assert form.top[0] in fix


def test_a_field_given_twice(form, refusal):
    lines = form.text.count("\n")
    assert refusal(form.text + "name: again\n")[0].startswith(f"f.yaml:{lines + 1}: name: given twice, first in line ")


def test_an_alias_bomb_is_answered_at_once(form, refusal):
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for i in range(1, 10):
        bomb += f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n"
    what, _, fix = refusal(form.text + bomb)  # without the limit a matter of days: pytest's timeout ends the test
    assert "the aliases expand without end" in what
    assert fix == "write the values out"


def test_ten_thousand_levels(form, refusal):
    what = refusal(form.text + "deep: " + "[" * 10_000 + "]" * 10_000 + "\n")[0]
    assert what == f"f.yaml:{form.text.count(chr(10)) + 1}: lists and mappings are nested more than 50 deep"


def test_a_hundred_megabytes(form, tmp_path):
    with open(tmp_path / "f.yaml", "wb") as file:
        file.truncate(100 * 2**20)
    with pytest.raises(ManifestError, match=f"f.yaml: this file is too large for a {form.name}\na {form.name} has at"):
        form.load(tmp_path / "f.yaml")


def test_tabs(form, refusal):
    what, _, fix = refusal(form.text + "more:\n\tless: 1\n")
    assert what == f"f.yaml:{form.text.count(chr(10)) + 2}: not valid YAML: a tab where only spaces may indent"
    assert fix == "indent with spaces"


def test_another_encoding(form, refusal):
    line = form.text.count("\n") + 1
    what, why, fix = refusal(form.text.encode() + "title: café\n".encode("latin-1"))
    assert (what, why) == (f"f.yaml:{line}: this {form.name} is not UTF-8 text", "found the byte 0xe9")
    assert fix == "save it as UTF-8"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("# nothing\n", "the file is empty"),
        ("- a\n- b\n", "the file must be a mapping of fields"),
        ("just text\n", "the file must be a mapping of fields"),
    ],
)
def test_no_mapping(form, refusal, content, message):
    what, _, fix = refusal(content)
    assert what == f"f.yaml:1: {message}"
    assert (
        fix
        == {
            "manifest": "start with `schema: 1`",
            "run file": "start with `manifest: demo`",
            "method file": "start with `name: my-method`",
        }[form.name]
    )


def test_a_tag_runs_no_code(form, refusal, tmp_path):
    what = refusal(form.text + f"x: !!python/object/apply:os.mkdir ['{tmp_path}/made']\n")[0]
    assert "x: tag tag:yaml.org,2002:python/object/apply:os.mkdir is not allowed" in what
    assert not (tmp_path / "made").exists()


def test_no_file_and_a_folder(form, tmp_path):
    with pytest.raises(ManifestError, match=f"there is no such {form.name}"):
        form.load(tmp_path / "none.yaml")
    with pytest.raises(ManifestError, match=f"is a folder, not a {form.name}"):
        form.load(tmp_path)


# ---- what YAML would make of plain text -----------------------------------------------------------------------------


def load(form: Form, folder: Path, text: str) -> Any:
    path = folder / "f.yaml"
    path.write_text(text)
    return form.load(path)


def test_norwegian_dates_and_octal_numbers_stay_what_was_written(tmp_path):
    manifest, run, method = (load(form, tmp_path, form.text) for form in FORMS)
    assert (manifest.clips[0].language, manifest.clips[0].speaker, manifest.version) == ("no", "no", "1.10")
    assert (run.name, run.languages, run.seeds) == ("2024", ("no", "fr"), (0, 1))
    assert run.methods[1].params == {"weights": "no", "pads": [0, 10, 0, 0], "rate": 0.001, "name": "1"}
    made = method.definition
    assert (made.version, made.licence.commercial, made.caps.deterministic) == ("1.10", "no", False)
    assert made.argv == ("run", "--scale", "1.50", "--date", "2024-01-01", "--on", "yes", "--code", "010")
    assert made.env.vars == {"MODE": "010", "ON": "yes"}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("no", "could be text or true or false", "write true or false, or 'no' for the text"),
        ("010", "could be text or a number", "write the number in plain digits, or '010' for the text"),
        ("1:30", "could be text or a number", "write the number in plain digits, or '1:30' for the text"),
    ],
)
def test_an_argument_of_an_unknown_function_must_be_plain(tmp_path, text, message, hint):
    file = "name: mine\nentry:\n  call: a:b\n  args:\n    x: {}\n    n: 1e-3\n    t: true\n    d: 2024-01-01\n"
    with pytest.raises(ManifestError, match=message) as caught:
        load(FORMS[2], tmp_path, file.format(text))
    assert caught.value.what.startswith(f"{tmp_path}/f.yaml:5: entry.args.x: ")
    assert caught.value.fix == hint
    assert caught.value.why == f"found '{text}'"
    args = load(FORMS[2], tmp_path, file.format(f"'{text}'")).definition.entry.args
    assert args == {"x": text, "n": 0.001, "t": True, "d": "2024-01-01"}


def test_a_setting_whose_type_nobody_knows_must_be_plain(tmp_path):
    file = (
        "manifest: demo\nmethods:\n- id: lipnerf\n  params:\n"
        "    clamp_expression: no\n    settings: {{rate: 1e-3, bf16: {}}}\n"
    )
    with pytest.raises(ManifestError, match="could be text or true or false") as caught:
        load(FORMS[1], tmp_path, file.format("no"))
    assert caught.value.what.startswith(f"{tmp_path}/f.yaml:6: methods[0].params.settings.bf16: ")
    assert caught.value.fix == "write true or false, or 'no' for the text"
    run = load(FORMS[1], tmp_path, file.format("false"))
    assert run.methods[0].params == {"clamp_expression": "no", "settings": {"rate": 0.001, "bf16": False}}
    assert row(run.methods[0], tmp_path).params.clamp_expression is False


def test_a_misspelt_parameter(tmp_path):
    entry = parse_run_file({"manifest": "m", "methods": [{"id": "lipnerf", "params": {"stesp": 3}}]}, "x").methods[0]
    with pytest.raises(UsageError) as caught:
        row(entry, tmp_path)
    assert caught.value.what == "method lipnerf: parameter stesp: there is no such field"
    assert caught.value.fix == "did you mean steps?"
    (missing,) = parse_run_file({"manifest": "m", "methods": ["precomputed"]}, "x").methods
    with pytest.raises(UsageError, match="method precomputed: parameter folder is missing"):
        row(missing, tmp_path)


def test_merge_keys_in_every_kind(tmp_path):
    clip = "  - &one\n    id: one\n"
    more = "  - {<<: *one, id: two}\n"
    manifest = load(FORMS[0], tmp_path, MANIFEST.replace("  - id: one\n", clip) + more)
    assert [c.id for c in manifest.clips] == ["one", "two"]
    assert manifest.clips[1].language == "no"
    run = load(
        FORMS[1], tmp_path, "manifest: demo\nmethods:\n- &a {id: x, params: {p: 1, q: no}}\n- {<<: *a, label: y}\n"
    )
    assert [(m.id, m.label, m.params) for m in run.methods] == [
        ("x", None, {"p": 1, "q": "no"}),
        ("x", "y", {"p": 1, "q": "no"}),
    ]
    method = load(FORMS[2], tmp_path, "name: m\nargv: [a]\nneeds: &n {gpu: yes}\npost: [{fps: 25}]\ncaps: {<<: {}}\n")
    assert method.definition.needs.gpu is True


# ---- run files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "what", "why", "fix"),
    [
        ("manifest: demo\n", "", "1: manifest is missing", "", "write `manifest: FILE`"),
        (
            "methods:\n",
            "metods:\n",
            "1: methods is missing (and 1 more)",
            "",
            "did you mean methods by metods in line 4",
        ),
        ("[0, 1]", "[0, x]", "9: seeds[1]: must be a whole number", "found 'x'", "a list of whole numbers"),
        ("[0, 1]", "0", "9: seeds: must be a list", "found '0'", ""),
        ("[0, 1]", "[0, null]", "9: seeds[1]: nothing is given", "", "a list of whole numbers"),
        ("seeds: [0, 1]", "fps: 200", "9: fps: must be less than or equal to 120", "found '200'", ""),
        ("schema: 1", "schema: 2", "1: schema: must be 1", "found 2", ""),
        (
            "  - dubbed\n",
            "  - wav2lip\n",
            "4: methods: two methods are called 'wav2lip'",
            "",
            "give one of them a label",
        ),
        ("  - dubbed\n", "  - label: x\n", "5: methods[0]: give either id", "", "`lipbench list methods` shows"),
        ("id: wav2lip", "id: [wav2lip]", "6: methods[1].id: must be text, not a list", "", "a list of ids or of {"),
        ("{weights: no,", "[weights,", "7: not valid YAML: ", "", "check the indentation"),
    ],
)
def test_mistakes_in_a_run_file(tmp_path, old, new, what, why, fix):
    assert RUN.count(old) == 1
    with pytest.raises(ManifestError) as caught:
        load(FORMS[1], tmp_path, RUN.replace(old, new))
    assert caught.value.what.replace(f"{tmp_path}/", "").startswith(f"f.yaml:{what}")
    assert (caught.value.why, caught.value.fix[: len(fix)]) == (why, fix)


def test_content_that_is_in_no_file_has_no_line():
    with pytest.raises(ManifestError) as caught:
        parse_run_file({"manifest": "m", "metods": ["dubbed"]}, "run")
    assert caught.value.what == "run: methods is missing (and 1 more)"


numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
params = st.dictionaries(
    st.from_regex(r"[a-z]{1,6}", fullmatch=True),
    st.none() | st.booleans() | numbers | st.text(max_size=8) | st.lists(st.text()),
    max_size=4,
)


@settings(max_examples=80, deadline=None)
@given(st.text(min_size=1), params, st.lists(st.integers(0, 9), min_size=1, max_size=3))
def test_any_run_file_comes_back(tmp_path_factory, manifest, content, seeds):
    data = {"manifest": manifest, "methods": [{"id": "dubbed", "params": content}], "seeds": seeds}
    path = tmp_path_factory.mktemp("r") / "f.yaml"
    path.write_text(json.dumps(data))  # JSON is YAML
    assert load_run_file(path) == parse_run_file(data, "x")


# ---- schemas --------------------------------------------------------------------------------------------------------


def test_the_shipped_schema_of_run_files_is_up_to_date():
    shipped = Path(config.__file__).with_name("run.schema.json")
    assert shipped.read_text() == config.json_schema(), "write it again: lipbench run --schema > run.schema.json"


@pytest.mark.parametrize(
    ("text", "model"), [(config.json_schema(), config.RunFile), (reading.json_schema(), reading.Definition)]
)
def test_a_schema_names_every_field_as_files_do(text, model):
    schema = json.loads(text)
    assert set(schema["properties"]) == {info.alias or name for name, info in model.model_fields.items()}
    assert schema["additionalProperties"] is False
    assert ManifestFile.model_fields["schema_version"].alias == "schema"


def test_the_schema_lets_a_method_be_plain_text():
    items = json.loads(config.json_schema())["properties"]["methods"]["items"]
    assert {"type": "string"} in items["anyOf"]
