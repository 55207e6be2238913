"""People, the actor, and which shots are of use; camera, light, heads, speech."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lipbench.core.errors import UsageError
from lipbench.datasets.annotations import Annotations
from lipbench.datasets.film import shots_constraints as constraints
from lipbench.datasets.film.people import EMBEDDINGS, Look, cluster, colors
from lipbench.datasets.film.shots import FaceFacts, ShotFacts, Span, spans
from lipbench.datasets.film.shots_boundaries import Boundary
from lipbench.datasets.film.shots_faces import ShotFace
from lipbench.datasets.film.shots_people import Rules, choose_actor, judge, name_of, people_of
from lipbench.datasets.film.shots_pose import head_angles
from lipbench.datasets.film.shots_speaking import moving_mouths

DEMO = Path(__file__).parents[3] / "lipbench" / "datasets" / "demo" / "clips" / "demo-en"


def face(vector: tuple[float, ...] | None, speaking: float | None = 0.8, **more: object) -> FaceFacts:
    return replace(FaceFacts(1.0, 200.0, (-5, 5), (0, 3), speaking, vector, {}), **more)  # type: ignore[arg-type]


def shot(*faces: FaceFacts, seconds: float = 2.0, **more: object) -> ShotFacts:
    at_once = tuple((a, b) for b in range(len(faces)) for a in range(b))
    alone = 1.0 if len(faces) == 1 else 0.0
    facts = ShotFacts(Span(0, 50, 0, seconds, "cut"), faces, at_once, alone, len(faces), "static", 0.1, ())
    return replace(facts, **more)  # type: ignore[arg-type]


A, B = (1.0, 0.0), (0.0, 1.0)
LOOK = Look(lambda: colors, 0.5)


def test_tracks_become_people() -> None:
    near = [np.asarray(v, np.float32) for v in (A, (0.9, 0.1), B, (0.1, 1))]
    assert cluster([near[0], None, *near[1:]], LOOK) in ([0, None, 0, 1, 1], [1, None, 1, 0, 0])
    # Two that are seen at once are two, however alike they are.
    assert len(set(cluster(near[:2], LOOK, [(0, 1)]))) == 2
    assert cluster([None, None], LOOK) == [None, None]


def test_who_speaks_longest_is_the_actor() -> None:
    shots = [shot(face(A, 0.2)), shot(face(B, 0.9)), shot(face(A, 0.3)), shot(face(None)), shot()]
    people, named = people_of(shots, LOOK)
    assert [(p.id, p.shots, p.seconds) for p in people] == [("A", 1, 2.0), ("B", 2, 4.0)]
    assert people[0].speaking_s == pytest.approx(1.8)
    assert named == [("B",), ("A",), ("B",), ("",), ()]
    assert choose_actor(people, None) == "A"
    assert [choose_actor(people, said) for said in ("2", "b", "B")] == ["B"] * 3
    with pytest.raises(UsageError, match="there is no person 'C'"):
        choose_actor(people, "C")
    assert choose_actor([], None) is None


def test_nobody_is_known_to_speak_without_sound() -> None:
    people, _ = people_of([shot(face(A, None)), shot(face(B, None)), shot(face(B, None))], LOOK)
    assert [(p.seconds, p.speaking_s) for p in people] == [(4.0, None), (2.0, None)]


@pytest.mark.parametrize(
    ("facts", "people", "why"),
    [
        (shot(face(A)), ("A",), ()),
        (shot(face(A), camera="cannot tell"), ("A",), ()),
        (shot(face(A, None)), ("A",), ()),
        (shot(face(A), seconds=0.8), ("A",), ("0.8 s are less than 1 s",)),
        (shot(face(B)), ("B",), ("not the actor",)),
        (shot(face(None)), ("",), ("whose face it is cannot be told",)),
        (shot(), (), ("no face",)),
        (shot(face(A), face(B)), ("A", "B"), ("2 faces at once",)),
        (shot(face(A, height=60.0)), ("A",), ("the face is 60 px high, less than 96",)),
        (shot(face(A, 0.1)), ("A",), ("the actor speaks in 10% of it",)),
        (shot(face(A), camera="moves"), ("A",), ("the camera moves",)),
        (shot(face(A), light_stops=1.4), ("A",), ("the light changes by 1.4 stops",)),
        (shot(face(A, share=0.5), alone=0.5), ("A",), ("the face is seen in 50% of it",)),
    ],
)
def test_what_speaks_against_a_shot(facts: ShotFacts, people: tuple[str, ...], why: tuple[str, ...]) -> None:
    assert judge(facts, people, "A", Rules()).why == why


def test_names_and_spans() -> None:
    assert [name_of(n) for n in (0, 25, 26, 27, 52)] == ["A", "Z", "AA", "AB", "BA"]
    starts = [t / 25 for t in range(100)]
    found = spans([Boundary("cut", 20, 20), Boundary("dissolve", 50, 62)], starts, 4.0)
    assert [(s.first, s.end, s.into) for s in found] == [(0, 20, "start"), (20, 50, "cut"), (62, 100, "dissolve")]
    assert (found[2].from_s, found[2].to_s) == (2.48, 4.0)


def test_colors_are_those_of_a_person_in_any_light() -> None:
    rng = np.random.default_rng(0)

    def person(skin: tuple[int, int, int], cloth: tuple[int, int, int]) -> np.ndarray:
        image = np.full((120, 120, 3), 90, np.uint8)
        image[30:70, 40:80] = skin
        image[78:110, 28:92] = cloth
        return np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)

    box = np.asarray([40, 30, 80, 70], np.float32)
    points = np.zeros((68, 2), np.float32)
    one, other = person((200, 150, 120), (40, 60, 160)), person((200, 150, 120), (160, 40, 40))
    first, second = colors(one, box, points), colors(other, box, points)
    dark = colors((one * 0.3).astype(np.uint8), box, points)
    close = colors(one[:75], box, points)  # the same person, cut off above the clothes
    table = np.stack([v for v in (first, second, dark, close) if v is not None]).astype(np.float64)
    apart = EMBEDDINGS["colors"].distances(table)
    assert apart[0, 2] < 0.5 < apart[0, 1]
    assert apart[0, 3] < 0.1
    assert colors(one, np.asarray([0, 0, 5, 5], np.float32), points) is None


def pictures(frames: list[np.ndarray]) -> constraints.ShotPictures:
    seen = constraints.ShotPictures(frozenset())
    for _ in seen.watch(frames):
        pass
    return seen


def test_camera_and_light() -> None:
    rng = np.random.default_rng(1)
    wall = rng.uniform(40, 200, (40, 70)).repeat(6, 0).repeat(6, 1)[..., None].repeat(3, 2).astype(np.uint8)
    still = [wall[:180, :320] for _ in range(20)]
    moving = [wall[:180, 4 * t : 4 * t + 320] for t in range(20)]
    free = np.ones((constraints.HEIGHT, constraints.WIDTH), bool)
    assert constraints.camera(pictures(still), free) == "static"
    assert constraints.camera(pictures(moving), free) == "moves"
    assert constraints.camera(pictures([np.full((180, 320, 3), 80, np.uint8)] * 20), free) == "cannot tell"
    assert constraints.camera(pictures(still), ~free) == "cannot tell"
    assert constraints.light_stops(pictures(still), free) == pytest.approx(0)
    gray = [np.full((180, 320, 3), level, np.uint8) for level in (186, 186, 136)]  # half the light of 186
    assert constraints.light_stops(pictures(gray), free) == pytest.approx(1, abs=0.05)


def test_pictures_of_long_shots_do_not_pile_up() -> None:
    seen = pictures([np.zeros((9, 16, 3), np.uint8)] * (3 * constraints.MOST))
    assert constraints.MOST / 2 <= len(seen.luma) <= constraints.MOST
    assert np.unique(np.diff(sorted(seen.luma))).size == 1


def test_heads_turn_as_they_do() -> None:
    known = Annotations.load(DEMO / "annotations_en.npz")
    ahead = known.rotation @ np.asarray([0, 0, 1.0])
    yaw = np.degrees(np.arctan2(ahead[:, 0], ahead[:, 2]))
    found = head_angles(known.landmarks68, 256, 256)
    assert np.abs(found[:, 0] - yaw).mean() < 3
    assert np.corrcoef(found[:, 0], yaw)[0, 1] > 0.95
    assert np.isnan(head_angles(np.full((1, 68, 2), np.nan), 256, 256)).all()


def mouth(opening: np.ndarray) -> ShotFace:
    points = np.zeros((len(opening), 68, 2), np.float32)
    points[:, 66, 1] = opening * 100
    points[:, 57, 1] = 40 + opening * 100
    boxes = np.tile(np.asarray([0, 0, 80, 100], np.float32), (len(opening), 1))
    return ShotFace(np.arange(len(opening)), points, boxes)


def test_who_speaks() -> None:
    rng = np.random.default_rng(2)
    n, fps = 100, 12.5
    loud = np.repeat(rng.uniform(0, 1, n // 2), 2)
    sound = (rng.normal(size=n * 1280) * np.repeat(loud, 1280) * 3000).astype(np.int16)
    speaks, listens = mouth(0.08 * loud), mouth(0.001 * rng.normal(size=n))
    first, second = moving_mouths([listens, speaks], n, fps, sound)
    assert first is not None
    assert second is not None
    assert first < 0.05 < 0.6 < second
    assert moving_mouths([speaks], n, fps, np.zeros(n * 1280, np.int16)) == [0.0]  # nothing is heard
    assert moving_mouths([speaks], n, fps, None) == [None]
    assert moving_mouths([], n, fps, sound) == []
