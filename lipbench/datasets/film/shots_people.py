"""From measured shots to people, the actor, and which shots are of use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase

import numpy as np

from lipbench.core.errors import UsageError
from lipbench.datasets.film.people import Look, cluster
from lipbench.datasets.film.shots import ShotFacts


@dataclass(frozen=True)
class Rules:
    """What a shot needs to be used.

    Attributes:
        seconds: at least.
        face_px: height of the face, at least.
        alone: share of frames that show the actor and nobody else, at least.
        light_stops: the light changes by this at most.
        speaking: share of the shot in which the actor speaks, at least.
    """

    seconds: float = 1.0
    face_px: float = 96.0
    alone: float = 0.95
    light_stops: float = 1.0
    speaking: float = 0.3


@dataclass(frozen=True)
class Person:
    """Somebody who is seen in the film.

    Attributes:
        id: A, B, ... by how long they speak, then by how long they are seen.
        shots: how many show them.
        seconds: how long they are seen.
        speaking_s: how long they speak; None where it cannot be told anywhere.
    """

    id: str
    shots: int
    seconds: float
    speaking_s: float | None


@dataclass(frozen=True)
class Verdict:
    """Whether a shot is used.

    Attributes:
        faces: the person of each face of the shot, "" where it is nobody's that is known.
        actor: number of the actor's face among them, None where the actor is not seen.
        why: what speaks against it; empty: it is used.
    """

    faces: tuple[str, ...]
    actor: int | None
    why: tuple[str, ...]


def name_of(number: int) -> str:
    """0 -> A, 25 -> Z, 26 -> AA, as the columns of a sheet."""
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = ascii_uppercase[rest] + text
    return text


def people_of(shots: Sequence[ShotFacts], look: Look) -> tuple[list[Person], list[tuple[str, ...]]]:
    """The people of a film and, for each shot, the person of each face ("" for a face that nothing is known of).

    Args:
        look: how people are told apart (`people.EMBEDDINGS`).
    """
    tracks = [(s, f) for s, shot in enumerate(shots) for f in range(len(shot.faces))]
    at = {track: k for k, track in enumerate(tracks)}
    strangers = [(at[s, a], at[s, b]) for s, shot in enumerate(shots) for a, b in shot.at_once]
    vectors = [shots[s].faces[f].vector for s, f in tracks]
    numbers = cluster([None if v is None else np.asarray(v, np.float32) for v in vectors], look, strangers)
    seen: dict[int, float] = {}
    spoken: dict[int, float | None] = {}
    where: dict[int, set[int]] = {}
    for (s, f), number in zip(tracks, numbers, strict=True):
        if number is None:
            continue
        face, length = shots[s].faces[f], shots[s].span.seconds
        seen[number] = seen.get(number, 0.0) + face.share * length
        where.setdefault(number, set()).add(s)
        before = spoken.setdefault(number, None)
        if face.speaking is not None:
            spoken[number] = (before or 0.0) + face.speaking * length
    order = sorted(seen, key=lambda n: (-(spoken[n] or 0.0), -seen[n]))
    names = {number: name_of(k) for k, number in enumerate(order)}
    people = [Person(names[n], len(where[n]), seen[n], spoken[n]) for n in order]
    named = [
        tuple("" if (n := numbers[at[s, f]]) is None else names[n] for f in range(len(shot.faces)))
        for s, shot in enumerate(shots)
    ]
    return people, named


def choose_actor(people: Sequence[Person], wanted: str | None) -> str | None:
    """The id of the actor: the one who is wanted, by letter or by number from 1, else who speaks longest.

    Raises:
        UsageError: there is no such person.
    """
    if wanted is None:
        return people[0].id if people else None
    known = [person.id for person in people]
    if wanted.isdecimal() and 1 <= int(wanted) <= len(known):
        return known[int(wanted) - 1]
    if wanted.upper() in known:
        return wanted.upper()
    have = f"there are {', '.join(known)}" if known else "no face was found in any shot"
    raise UsageError(f"there is no person {wanted!r} in the film", have, "look at the contact sheet")


def judge(shot: ShotFacts, faces: tuple[str, ...], actor: str | None, rules: Rules) -> Verdict:
    """Whether a shot shows the actor as a clip has to, and in words why not."""
    own = [k for k, who in enumerate(faces) if who and who == actor]
    k = max(own, key=lambda i: shot.faces[i].share) if own else None
    why = []
    if shot.span.seconds < rules.seconds:
        why.append(f"{shot.span.seconds:.1f} s are less than {rules.seconds:g} s")
    if not shot.faces:
        why.append("no face")
    elif k is None:
        why.append("not the actor" if any(faces) else "whose face it is cannot be told")
    else:
        face = shot.faces[k]
        if shot.most > 1 and shot.alone < rules.alone:
            why.append(f"{shot.most} faces at once")
        elif shot.alone < rules.alone:
            why.append(f"the face is seen in {shot.alone:.0%} of it")
        elif face.share < rules.alone and len(shot.faces) > 1:
            why.append("somebody else is seen as well")
        if face.height < rules.face_px:
            why.append(f"the face is {face.height:.0f} px high, less than {rules.face_px:g}")
        if face.speaking is not None and face.speaking < rules.speaking:
            why.append(f"the actor speaks in {face.speaking:.0%} of it")
    if shot.camera == "moves":
        why.append("the camera moves")
    if shot.light_stops is not None and shot.light_stops > rules.light_stops:
        why.append(f"the light changes by {shot.light_stops:.1f} stops")
    return Verdict(faces, k, tuple(why))
