"""Files that people write, checked by a pydantic model: every mistake with its line, its field and a hint."""

from __future__ import annotations

import difflib
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic_core import PydanticCustomError

from lipbench.core.document import Document, Location, Problem

Model = TypeVar("Model", bound=BaseModel)


def mistake(what: str, hint: str = "") -> PydanticCustomError:
    """The error for a validator to raise: what is wrong, and what to write instead. It is a ValueError."""
    return PydanticCustomError("mistake", "{what}", {"what": what, "hint": hint})


def or_text(field: str, form: Any) -> BeforeValidator:
    """Accept plain text for a model with one main field; `form` is what JSON Schema says of it."""
    return BeforeValidator(lambda v: {field: v} if isinstance(v, str) else v, json_schema_input_type=form)


def validate(model: type[Model], document: Document) -> tuple[Model | None, list[Problem]]:
    """The document as a model, or None and every problem that the model sees in it, in the order of their lines."""
    try:
        return model.model_validate(written(model, document.data, document.values)), []
    except ValidationError as error:
        problems: dict[Location, Problem] = {}
        for errors in error.errors():
            details: dict[str, Any] = dict(errors)
            location = _location(model, document.data, details["loc"])
            if _echo(details):
                continue
            problem = _problem(document, model, location, details)
            if location in problems:  # the branches of a union, or a second complaint about one value
                problem = _either(problems[location], problem)
            problems[location] = problem
        return None, sorted(problems.values(), key=lambda p: p.line)


def unclear(document: Document, concerns: Callable[[Location], bool]) -> list[Problem]:
    """Plain text that YAML's two versions read differently (no, 010, 1:30), at places whose type no model knows."""
    problems = []
    for location in filter(concerns, sorted(document.doubtful, key=document.line)):
        text: Any = document.data
        for part in location:
            text = text[part]
        word = text.isalpha()
        message = f"could be text or {'true or false' if word else 'a number'}"
        hint = f"write {'true or false' if word else 'the number in plain digits'}, or '{text}' for the text"
        problems.append(document.problem(location, message, text, hint))
    return problems


def json_schema(model: type[BaseModel], title: str) -> dict[str, Any]:
    """JSON Schema of the files that a model describes, for editors."""
    schema = model.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **{k: v for k, v in schema.items() if k != "title"},
    }


# ---- which form of a scalar a model wants ---------------------------------------------------------------------------


def written(annotation: Any, data: Any, values: Any) -> Any:
    """A document's content for a type: text as it was written, but numbers and booleans where anything may stand."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is Any:
        return values
    if origin is Annotated:
        return written(arguments[0], data, values)
    if origin in (Union, types.UnionType):
        return _written_union(arguments, data, values)
    if isinstance(data, dict):
        return {k: written(_entry(annotation, k), v, values[k]) for k, v in data.items()}
    if isinstance(data, list):
        return [written(_entry(annotation, i), v, values[i]) for i, v in enumerate(data)]
    if origin is Literal and not all(isinstance(a, str) for a in arguments):
        return values
    return data


def _written_union(arms: tuple[Any, ...], data: Any, values: Any) -> Any:
    arms = tuple(a for a in arms if a is not type(None))
    if isinstance(data, (dict, list)):
        fitting = [a for a in arms if a is Any or _is_container(a, type(data))]
        return written(fitting[0] if fitting else str, data, values)
    scalars = [a for a in arms if not _is_container(a, dict) and not _is_container(a, list)]
    # A number beside text: only its form in the file tells them apart.
    return values if len(scalars) > 1 else written(scalars[0] if scalars else str, data, values)


def _is_container(annotation: Any, kind: type) -> bool:
    origin = get_origin(annotation) or annotation
    if origin is Annotated:
        return _is_container(get_args(annotation)[0], kind)
    wanted = (dict, BaseModel) if kind is dict else (list, tuple, set, frozenset)
    return isinstance(origin, type) and issubclass(origin, wanted)


def _entry(annotation: Any, key: str | int) -> Any:
    """The type of a mapping's or list's entry; str where the type does not say."""
    origin, arguments = get_origin(annotation) or annotation, get_args(annotation)
    if isinstance(origin, type) and issubclass(origin, BaseModel):
        return next((i.annotation for n, i in origin.model_fields.items() if key == (i.alias or n)), str)
    if isinstance(key, str):
        return arguments[1] if len(arguments) == 2 else Any if origin in (dict, object) else str
    if origin is tuple and Ellipsis not in arguments:
        return arguments[key] if key < len(arguments) else str
    return arguments[0] if arguments else Any if origin in (list, tuple, object) else str


# ---- pydantic's errors -> problems ----------------------------------------------------------------------------------

#: pydantic's error type -> what to say.
_MESSAGES = {
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "too_short": "needs at least one entry",
}


def _echo(details: dict[str, Any]) -> bool:
    """Whether pydantic counts only the good items of a list whose bad ones it reports anyway."""
    return details["type"] == "too_short" and isinstance(details["input"], list) and len(details["input"]) > 0


def _location(model: type[BaseModel], data: Any, loc: Location) -> Location:
    """pydantic's location without its own words in it, the names of a union's branches and `[key]`."""
    found: list[str | int] = []
    for part in loc:
        there = part in data if isinstance(data, dict) else isinstance(data, list) and isinstance(part, int)
        if there:
            data = data[part]
        elif part not in field_names(model, tuple(found)):
            continue
        found.append(part)
    return tuple(found)


def _problem(document: Document, model: type[BaseModel], location: Location, details: dict[str, Any]) -> Problem:
    kind, found, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "missing":
        name, meant = str(location[-1]), _misspelt(document, model, location)
        hint = meant or f"add `{name}:`"
        return document.problem(location[:-1], f"{name} is missing", None, hint, general=not meant, missing=name)
    if kind == "extra_forbidden":
        names = field_names(model, location[:-1])
        near = difflib.get_close_matches(str(location[-1]), names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"fields: {', '.join(names)}" if names else "there are none"
        return document.problem(location, "there is no such field", None, hint)
    if found is None:
        hint = "write a value, or leave the field out"
        return document.problem(location, "nothing is given", None, hint, general=True)
    message, hint = str(context.get("what") or _MESSAGES.get(kind) or details["msg"]), str(context.get("hint", ""))
    if kind == "value_error":
        message = str(context["error"])
    elif kind == "too_long":
        message = f"has {context['actual_length']} entries, at most {context['max_length']} are allowed"
    message = message.replace("Input should be", "must be").replace("String should", "must")
    if isinstance(found, (dict, list, tuple, BaseModel)):
        message += f", not a {'mapping' if isinstance(found, dict) else 'list'}" if kind.endswith("_type") else ""
        found = None
    return document.problem(location, message, found, hint)


def _misspelt(document: Document, model: type[BaseModel], location: Location) -> str:
    """A hint when something much like a missing field stands in its place; "" otherwise."""
    *around, name = location
    here: Any = document.data
    for part in around:
        here = here[part]
    unknown = set(here).difference(field_names(model, tuple(around))) if isinstance(here, dict) else set()
    near = difflib.get_close_matches(str(name), sorted(unknown), n=1)
    line = document.line((*around, *near))
    return f"did you mean {name} by {near[0]}{f' in line {line}' if line else ''}?" if near else ""


def _either(first: Problem, second: Problem) -> Problem:
    if first.message == second.message or not second.message.startswith("must be "):
        return first
    message = f"{first.message} or {second.message.removeprefix('must be ')}"
    told = first if first.hint else second
    return replace(first, message=message, hint=told.hint, general=told.general)


def field_names(model: Any, location: Location) -> list[str]:
    """The names of the fields at a location of a model, as they are written in the file; [] where names are free."""
    found = next(_models(model, location), None)
    return [] if found is None else [info.alias or name for name, info in found.model_fields.items()]


def _models(annotation: Any, location: Location) -> Iterator[type[BaseModel]]:
    """The models that may stand at a location below a type."""
    if get_origin(annotation) in (Union, types.UnionType, Annotated):
        for arm in get_args(annotation):
            yield from _models(arm, location)
    elif location:
        yield from _models(_entry(annotation, location[0]), location[1:])
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
