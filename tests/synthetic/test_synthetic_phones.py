"""IPA, packaged timelines and the script of a clip."""

from __future__ import annotations

import itertools
import unicodedata

import numpy as np
import pytest

from lipbench.core.errors import UsageError
from lipbench.synthetic.speech import phones, script, timelines
from lipbench.synthetic.speech.phones import Phoneme
from lipbench.synthetic.speech.timelines import LANGUAGES


@pytest.mark.parametrize(
    ("ipa", "expected"),
    [
        ("ˈaɪ", ["a", "ɪ"]),
        ("tʃ", ["t", "ʃ"]),
        ("ɑ̃", ["ɑ"]),
        ("ç", ["ç"]),
        (unicodedata.normalize("NFD", "ç"), []),  # a cedilla alone is no sound: synthesisers write U+00E7
        ("g", ["ɡ"]),
        ("(en)", []),
        ("(fr)", []),
        ("", []),
        ("a-", ["a"]),
        ("ˌɔːɹ", ["ɔ", "ɹ"]),
    ],
)
def test_symbols(ipa: str, expected: list[str]) -> None:
    if ipa == unicodedata.normalize("NFD", "ç"):
        assert phones.symbols(ipa) == ["c"]
    else:
        assert phones.symbols(ipa) == expected


def test_units_share_the_phonemes_time() -> None:
    found = phones.units(
        [Phoneme("ˈaɪ", 0.0, 0.2), Phoneme("tʃ", 0.2, 0.3), Phoneme("", 0.3, 0.5), Phoneme("ɛ̃", 0.5, 0.6)]
    )
    assert [u.symbol for u in found] == ["a", "ɪ", "t", "ʃ", "", "ɛ"]
    edges = [(u.start_s, u.end_s) for u in found]
    assert all(a[1] == pytest.approx(b[0]) for a, b in itertools.pairwise(edges))
    assert found[0].stress == 1.0
    assert found[2].stress == 0.0
    assert found[5].nasal
    assert not found[0].nasal


def test_every_packaged_phoneme_is_known() -> None:
    marks = set("ˈˌː-\u0303")
    for entry in timelines.sentences().values():
        for timeline in entry.values():
            for word in timeline.words:
                for ipa, ms in word.phonemes:
                    assert 0 < ms < 700
                    assert (ipa == "") == (word.text == "")
                    if ipa:
                        assert phones.symbols(ipa), ipa
                        rest = set(unicodedata.normalize("NFD", ipa.replace("ç", ""))) - marks
                        assert rest <= set(phones.VOWELS) | set(phones.CONSONANTS), ipa


def test_sentences_are_in_all_languages_and_pools_do_not_overlap() -> None:
    assert all(set(entry) == set(LANGUAGES) for entry in timelines.sentences().values())
    train, test = timelines.pool("train"), timelines.pool("test")
    assert not set(train) & set(test)
    assert len(train) >= 12
    assert len(test) >= 9
    for name in (train, test):
        for language in LANGUAGES:
            spoken = [s for i in name for s in phones.units(timelines.sentences()[i][language].phonemes())]
            assert sum(u.symbol in "pbm" and u.symbol != "" for u in spoken) >= 20, "lips must close in every pool"
            assert sum(u.symbol in "fv" and u.symbol != "" for u in spoken) >= 3
            assert sum(u.is_vowel and phones.VOWELS[u.symbol][2] > 0.7 for u in spoken) >= 10


def test_stops_have_their_closure() -> None:
    """A /p b/ shorter than a video frame would never be seen: closures belong to the stop, not to the sound before."""
    lengths = [
        u.end_s - u.start_s
        for entry in timelines.sentences().values()
        for t in entry.values()
        for u in phones.units(t.phonemes())
        if u.symbol in "pb" and u.symbol
    ]
    assert np.median(lengths) > 0.050


@pytest.mark.parametrize("seconds", [2.0, 4.0, 10.0, 23.0])
@pytest.mark.parametrize("shuffle", [False, True])
def test_script_is_aligned(seconds: float, shuffle: bool) -> None:
    for seed in range(4):
        parts = script.compose(
            seconds, "en", ["fr", "es", "de", "it"], np.random.default_rng(seed), shuffle_words=shuffle
        )
        assert list(parts) == ["en", "fr", "es", "de", "it"]
        source = parts["en"]
        for part in parts.values():
            assert [line.start_s for line in part.lines] == [line.start_s for line in source.lines]
            assert all(line.end_s <= line.slot_end_s + 1e-9 for line in part.lines)
            assert part.phonemes[-1].end_s <= seconds
            for a, b in zip(part.lines[:-1], part.lines[1:], strict=True):
                assert b.start_s - a.end_s > 0.15, "pauses are kept"
            assert part.transcript
        ends = np.array([[line.end_s for line in part.lines] for part in parts.values()])
        assert np.ptp(ends, axis=0).max() > 0.02, "translations differ a little in length"


def test_script_is_reproducible_and_varies_with_the_seed() -> None:
    a, b, c = (script.compose(8, "de", ["fr"], np.random.default_rng(s)) for s in (1, 1, 2))
    assert a == b
    assert a != c


def test_given_sentences_are_said_in_order() -> None:
    parts = script.compose(11, "en", ["fr"], np.random.default_rng(0), sentences=["s20", "s23", "s19"])
    said = [line.text for line in parts["fr"].lines]
    assert said == [timelines.sentences()[i]["fr"].text for i in ("s20", "s23", "s19")]
    assert parts["fr"].questions == [parts["fr"].lines[-1].end_s - 0.0] or "?" not in said[-1]


def test_a_line_that_does_not_fit_is_cut_at_a_word() -> None:
    parts = script.compose(1.6, "en", [], np.random.default_rng(0), sentences=["s14"])
    text = parts["en"].transcript
    full = timelines.sentences()["s14"]["en"].text
    assert text.endswith(".")
    assert full.startswith(text[:-1])
    assert len(text) < len(full)


def test_refusals_name_what_is_known() -> None:
    with pytest.raises(UsageError, match="en, fr, es, de, it"):
        script.compose(4, "en", ["pt"], np.random.default_rng(0))
    with pytest.raises(UsageError, match="too short"):
        script.compose(0.5, "en", [], np.random.default_rng(0))
    with pytest.raises(UsageError, match="train, test or all"):
        timelines.pool("dev")
