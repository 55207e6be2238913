"""Manifests, for any content: written and read back they are the same; layout does not reach the digest."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lipbench.core import yaml as documents
from lipbench.datasets.append import append_entries
from lipbench.datasets.licences import LICENCES, NEED_URL
from lipbench.datasets.manifest import from_document
from lipbench.datasets.model import language_tag
from lipbench.datasets.types import Clip, Dub, Licence, Manifest
from lipbench.datasets.write import _Dumper as Dumper
from lipbench.datasets.write import manifest_text

ROOT = Path("/nowhere/root")

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_@-]{0,12}(/[A-Za-z0-9_]{1,5})?", fullmatch=True)
# What YAML can hold: no surrogates and no NUL in paths; anything else people may paste into a text.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
words = texts.filter(lambda s: len(s) > 0)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
tags = st.sampled_from(["en", "fr", "no", "pt-BR", "zh-Hant-TW", "es-419", "und", "de-CH-1996"])
parts = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\~"), min_size=1, max_size=8)
paths = st.lists(
    parts.filter(lambda s: s.strip() and s not in (".", "..") and ":" not in s), min_size=1, max_size=3
).map(lambda p: ROOT.joinpath(*p))
seconds = st.floats(-100, 100).map(lambda x: round(x, 6)).map(lambda x: x + 0.0)
streams = st.none() | st.integers(0, 9)
channels = st.none() | st.sampled_from(["left", "center", "side_right"])
licences = st.builds(
    Licence, st.sampled_from([x for x in LICENCES if x not in NEED_URL]), texts, texts, texts
) | st.builds(Licence, st.just("other"), words)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    clips, dubs = [], []
    for clip_id in draw(st.lists(names, min_size=1, max_size=3, unique=True)):
        start, length = draw(st.floats(0, 10)), draw(st.none() | st.floats(0.01, 9))
        truths = draw(st.lists(tags, max_size=2, unique=True))
        truth = {tag: draw(paths) for tag in truths}
        clips.append(
            Clip(
                clip_id,
                draw(paths),
                draw(hashes),
                draw(words),
                draw(tags),
                draw(licences),
                draw(words),
                draw(st.none() | st.floats(0.5, 240)),
                start,
                None if length is None else start + length,
                draw(texts),
                draw(st.none() | paths),
                draw(st.none() | paths),
                truth,
                {tag: draw(hashes) for tag in truths if draw(st.booleans())},
                {tag: draw(paths) for tag in truths if draw(st.booleans())},
                draw(streams),
                draw(channels),
            )
        )
        for tag in dict.fromkeys([*truths, *draw(st.lists(tags, max_size=2))]):
            kind = draw(st.sampled_from(["recorded", "tts", "synthetic"]))
            dubs.append(
                Dub(
                    f"{clip_id}@{tag}",
                    clip_id,
                    tag,
                    kind,
                    draw(paths),
                    draw(hashes),
                    draw(seconds),
                    draw(st.none() | texts),
                    draw(st.none() | paths),
                    draw(streams),
                    draw(channels),
                    draw(st.none() | st.floats(0, 50)),
                    draw(st.none() | st.floats(51, 99)),
                    draw(st.just(1.0) | st.floats(0.5, 2)),
                )
            )
    ids = [clip.id for clip in clips]
    splits = draw(st.dictionaries(names, st.lists(st.sampled_from(ids), unique=True).map(tuple), max_size=2))
    return Manifest(
        draw(names), draw(words), draw(licences), tuple(clips), tuple(dubs), ROOT, splits, draw(st.none() | texts)
    )


def read(text: str) -> Manifest:
    manifest, _, problems = from_document(documents.parse(text, "manifest.yaml"), ROOT)
    assert not problems, problems
    assert manifest is not None
    return manifest


@settings(max_examples=60, deadline=None)
@given(manifests())
def test_round_trip(manifest):
    again = read(manifest_text(manifest))
    assert again == manifest
    assert again.digest == manifest.digest


@settings(max_examples=40, deadline=None)
@given(manifests(), st.randoms(use_true_random=False))
def test_digest_ignores_order_comments_and_style(manifest, rng: random.Random):
    text = manifest_text(manifest)
    data = documents.parse(text, "m").data

    def shuffled(value):
        if isinstance(value, dict):
            items = list(value.items())
            rng.shuffle(items)
            return {k: shuffled(v) for k, v in items}
        return [shuffled(v) for v in value] if isinstance(value, list) else value

    data = shuffled(data)
    for name in ("clips", "dubs"):
        rng.shuffle(data.get(name, []))
    other = "# first\n" + yaml.dump(
        data,
        Dumper=Dumper,
        sort_keys=False,
        allow_unicode=rng.random() < 0.5,
        default_flow_style=rng.random() < 0.5,
        width=60,
    )
    assert read(other + "\n# last\n").digest == manifest.digest


@settings(max_examples=30, deadline=None)
@given(manifests(), hashes)
def test_digest_sees_every_hash(manifest, digest):
    first = manifest.clips[0]
    changed = replace(manifest, clips=(replace(first, sha256=digest), *manifest.clips[1:]))
    assert (changed.digest == manifest.digest) == (digest == first.sha256)


@settings(max_examples=40, deadline=None)
@given(manifests(), st.data())
def test_append_keeps_the_text_and_adds_the_entry(manifest, data):
    text = manifest_text(manifest)
    new = {"clip": manifest.clips[0].id, "language": "xh", "audio": data.draw(words), "sha256": "c" * 64}
    longer = append_entries(text, "dubs", [new])
    lines = iter(longer.splitlines())
    assert all(line in lines for line in text.splitlines())  # a subsequence: nothing was touched
    assert documents.parse(longer, "m").data["dubs"] == [*documents.parse(text, "m").data.get("dubs", []), new]


@given(tags)
def test_canonical_tags_stay(tag):
    assert language_tag(tag.lower()) == tag
    assert language_tag(tag.upper()) == tag
