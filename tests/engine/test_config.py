"""Run files: what is accepted and how mistakes are named."""

from __future__ import annotations

import pytest

from lipbench.core.errors import ManifestError, UnknownName, UsageError
from lipbench.engine.config import HINTS, MethodEntry, RunFile, load_run_file, parse_run_file
from lipbench.engine.plan import select


def test_short_and_long_methods():
    config = parse_run_file(
        {"manifest": "m.yaml", "methods": ["dubbed", {"id": "wav2lip", "label": "w2l", "params": {"a": 1}}]}, "x"
    )
    assert [m.id for m in config.methods] == ["dubbed", "wav2lip"]
    assert config.methods[1].label == "w2l"
    assert (config.sync_model, config.fps, config.seeds, config.train_seconds) == ("syncnet_v2", 25.0, (0,), (None,))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"manifest": "m", "methods": []}, "methods"),
        ({"methods": ["dubbed"]}, "manifest"),
        ({"manifest": "m", "methods": ["dubbed"], "fsp": 25}, "fsp"),
        ({"manifest": "m", "methods": ["dubbed", "dubbed"]}, "two methods are called 'dubbed'"),
        ({"manifest": "m", "methods": [{"params": {}}]}, "either id"),
        ({"manifest": "m", "methods": ["dubbed"], "schema": 2}, "schema"),
        ({"manifest": "m", "methods": ["dubbed"], "name": "../x"}, "name"),
        (["dubbed"], "mapping"),
    ],
)
def test_mistakes_name_the_field(data, message):
    with pytest.raises(ManifestError, match=message) as caught:
        parse_run_file(data, "run.yaml")
    assert caught.value.what.startswith("run.yaml")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("data", "what", "fix"),
    [
        ({"methods": ["dubbed"]}, "manifest is missing", "`manifest: FILE`"),
        ({"manifest": "m"}, "methods is missing", "lipbench list methods"),
        ({"manifest": "m", "methods": [{"params": {}}]}, "methods[0]", "lipbench list methods"),
        ({"manifest": "m", "methods": ["a"], "languages": "fr"}, "languages", "languages: [fr, de]"),
        ({"manifest": "m", "methods": ["a"], "seeds": ["x"]}, "seeds[0]", "seeds: [0, 1, 2]"),
        ({"manifest": "m", "methods": ["a"], "protocol": "x"}, "protocol", "`realvideo` or `cropped`"),
        ({"manifest": "m", "methods": ["a"], "schema": 2}, "schema", "`schema: 1`"),
        ({"manifst": "m", "methods": ["a"]}, "manifest is missing (and 1 more)", "did you mean manifest by manifst?"),
        ({"manifest": "m", "methods": ["a"], "shema": 1}, "shema", "did you mean schema?"),
        ({"manifest": "m", "methods": [{"id": "a", "lable": "x"}]}, "methods[0].lable", "did you mean label?"),
        ({"manifest": "m", "methods": [{"id": "a", "weights": "x"}]}, "methods[0].weights", "fields: id, file, label"),
        (None, "a run file is a mapping", "`manifest:` and `methods:`"),
    ],
)
def test_hints_fit_the_mistake(data, what, fix):
    with pytest.raises(ManifestError) as caught:
        parse_run_file(data, "run.yaml")
    assert caught.value.what.startswith(f"run.yaml: {what}")
    assert fix in caught.value.fix
    assert ("lipbench list methods" in caught.value.fix) == ("lipbench list methods" in fix)


def test_every_field_has_a_hint_and_a_description():
    assert set(HINTS) == {info.alias or name for name, info in RunFile.model_fields.items()}
    assert all(info.description for model in (RunFile, MethodEntry) for info in model.model_fields.values())


def test_broken_yaml_names_the_line(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("manifest: m\nmethods: [dubbed\nname: x\n")
    with pytest.raises(ManifestError, match=r"run\.yaml:3"):
        load_run_file(path)
    with pytest.raises(ManifestError, match="no such run file"):
        load_run_file(tmp_path / "other.yaml")


def test_select_refuses_a_pattern_without_a_match():
    assert select(["a1", "a2", "b"], ("a*",), "clip") == ["a1", "a2"]
    with pytest.raises(UsageError, match="'c\\*'"):
        select(["a1"], ("c*",), "clip")


def test_unknown_metric_is_named():
    from lipbench.engine.rows import families

    config = parse_run_file({"manifest": "m", "methods": ["dubbed"], "metrics": ["psnr_fulll"]}, "x")
    with pytest.raises(UnknownName, match="psnr_full"):
        families(config)
