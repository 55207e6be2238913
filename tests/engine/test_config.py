"""Run files: what is accepted and how mistakes are named."""

from __future__ import annotations

import pytest

from lipbench.core.errors import ManifestError, UnknownName, UsageError
from lipbench.engine.config import load_run_file, parse_run_file
from lipbench.engine.plan import select


def test_short_and_long_methods():
    config = parse_run_file(
        {"manifest": "m.yaml", "methods": ["dubbed", {"id": "wav2lip", "label": "w2l", "params": {"a": 1}}]}, "x"
    )
    assert [m.id for m in config.methods] == ["dubbed", "wav2lip"]
    assert config.methods[1].label == "w2l"
    assert (config.judge, config.fps, config.seeds, config.train_seconds) == ("syncnet_v2", 25.0, (0,), (None,))


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
