"""Which convention moves which number."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from lipbench.cli.explain_score import main
from lipbench.core.errors import NothingComparable, UsageError
from lipbench.metrics.explain import explain, lines


def answer(video="aa" * 32, options=None, **metrics):
    """metrics: id -> (value, convention)."""
    return {
        "sha256": video,
        "metrics": {name: {"value": value} for name, (value, _) in metrics.items()},
        "conventions": {n: {"family": n.split("_")[0], "convention": words} for n, (_, words) in metrics.items()},
        "options": {"ssim": {}, "psnr": {}, "lse": options or {"codec": "none"}},
    }


WANG = (0.90, "ssim[rgb,gauss11,pop,full]")
FACE = (0.80, "ssim[rgb,gauss11,pop,face]")
SMALL = (0.95, "ssim[rgb,gauss11,pop,face,96x96]")


def test_the_same_answer_has_nothing_to_explain():
    assert explain(answer(ssim_full=WANG), answer(ssim_full=WANG)) == []


def test_an_option_moves_a_number():
    a = answer(lse_d=(7.0, "smallest; 31 shifts"))
    b = answer(lse_d=(7.5, "smallest; 31 shifts"), options={"codec": "published"})
    ((step,),) = explain(a, b)
    assert step.moved == pytest.approx(0.5)
    assert (step.gone, step.come) == (("codec: none",), ("codec: published",))


def test_a_codec_is_told_by_what_it_does():
    plain, coded = ({"codec": name, "protocol": "realvideo"} for name in ("none", "published"))
    words = (7.0, "smallest; 31 shifts")
    ((step,),) = explain(answer(lse_d=words, options=plain), answer(lse_d=words, options=coded))
    assert step.gone == ("codec: none",)
    assert {"codec: published", "sound through MP3, late"} < set(step.come)
    ((step,),) = explain(
        answer(lse_d=words, options=coded), answer(lse_d=words, options={**coded, "codec": "latentsync"})
    )
    assert "sound through MP3, late" in step.gone
    assert "sound through AAC twice" in step.come


def test_options_without_effect_are_not_told():
    def scored(value, **options):
        found = answer(lse_d=(value, "smallest; 31 shifts"), lse_d_at_own=(value, "at own"))
        about = {name: {**one, "family": "sync"} for name, one in found["conventions"].items()}
        return {**found, "conventions": about, "options": {"sync": options}}

    whole = {"protocol": "realvideo", "boxes_from": "reference", "detector": "s3fd-syncnet", "own_offset": 0}
    own = {**whole, "boxes_from": "prediction", "detector": "demo-face", "own_offset": None}
    (best,), (at_own,) = explain(scored(7.0, **whole), scored(7.5, **own))
    assert best.gone == ("boxes_from: reference",)
    assert best.come == ("boxes_from: prediction", "detector: demo-face")
    assert "own_offset: 0" in at_own.gone
    (best,), _ = explain(scored(7.0, **whole), scored(7.5, **{**own, "protocol": "cropped"}))
    assert best.gone == ("boxes_from: reference", "protocol: realvideo")
    assert best.come == ("protocol: cropped",)


def test_a_chain_goes_through_further_answers():
    a, b = answer(ssim_full=WANG), answer(ssim_96_face=SMALL)
    (straight,) = explain(a, b)
    (chain,) = explain(a, b, [answer(video="aa" * 32, psnr_full=(30.0, "x")), answer(ssim_face=FACE)])
    assert len(straight) == 1
    assert [(step.second.answer, step.second.metric) for step in chain] == [("D", "ssim_face"), ("B", "ssim_96_face")]
    assert [step.moved for step in chain] == pytest.approx([-0.10, 0.15])


def test_a_chain_goes_through_what_both_hold_one_convention_at_a_time():
    a, b = answer(ssim_full=WANG, ssim_face=FACE), answer(ssim_96_face=SMALL)
    chains = {chain[0].first.metric: chain for chain in explain(a, b)}
    whole = chains["ssim_full"]
    assert [step.second.metric for step in whole] == ["ssim_face", "ssim_96_face"]
    assert [step.moved for step in whole] == pytest.approx([-0.10, 0.15])
    assert (whole[0].gone, whole[0].come) == (("full",), ("face",))
    assert (whole[1].gone, whole[1].come) == ((), ("96x96",))
    assert len(chains["ssim_face"]) == 1
    text = list(lines(explain(a, b)))
    assert text[0] == "A ssim_full 0.9000 -> B ssim_96_face 0.9500: +0.0500"
    assert text[1] == "  -0.1000  full -> face"


def test_other_quantities_and_the_truth_are_no_counterparts():
    with pytest.raises(NothingComparable):
        explain(answer(ssim_full=WANG), answer(psnr_full=(30.0, "psnr[rgb,full]")))
    with pytest.raises(NothingComparable):
        explain(answer(ssim_full=WANG), answer(ssim_full_truth=WANG))
    ((step,),) = explain(answer(ssim_full=WANG), answer(video="bb" * 32, ssim_full=FACE))
    assert any(word.startswith("video") for word in step.come)
    assert explain(answer(ssim_full=("inf", "x")), answer(ssim_full=WANG))[0][0].as_json()["moved"] == "-inf"


def test_on_the_command_line(tmp_path):
    for name, content in (("a", answer(ssim_full=WANG)), ("b", answer(ssim_96_face=SMALL)), ("c", {"metrics": 1})):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    files = [str(tmp_path / f"{name}.json") for name in "abc"]
    result = CliRunner().invoke(main, files[:2])
    assert "+0.0500" in result.output
    ((step,),) = json.loads(CliRunner().invoke(main, [*files[:2], "--json"]).output)
    assert step["to"] == {"answer": "B", "metric": "ssim_96_face", "value": 0.95}
    assert "same" in CliRunner().invoke(main, [files[0], files[0]]).output
    assert isinstance(CliRunner().invoke(main, [files[0], files[2]]).exception, UsageError)
    assert isinstance(CliRunner().invoke(main, [files[0], "none.json"]).exception, UsageError)
    (tmp_path / "d.json").write_text(json.dumps(answer(ssim_face=FACE)))
    assert "full -> face" in CliRunner().invoke(main, [*files[:2], "--through", str(tmp_path / "d.json")]).output
