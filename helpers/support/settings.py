"""Settings that check themselves, by pydantic, with its complaints as one-line InputErrors."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from helpers.support.errors import InputError

PATHS = ("log", "mapping", "model_checkpoint", "start_from")  # keys that name a file to be read
MOST = 2**20  # any size or length; more is a slip of the keyboard, and no memory holds it


# pydantic's words, and ours in their place.
WORDS = {
    "Input should be": "must be",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "above",
    "less than": "below",
}
OURS = {
    "model_type": "must be an object of keys and values",
    "dict_type": "must be an object of keys and values",
    "too_short": "must list at least one",
}


def refuse_empty(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError("is an empty text or holds a NUL; correct it or leave the key out")
    return text


def check_share(value: object) -> float | list:
    if type(value) is int:
        value = float(value) if abs(value) <= MOST else math.inf
    if isinstance(value, (float, list)):
        return value
    raise ValueError(f"must be a share or a list of values, found {value!r:.100}")


Size = Annotated[int, Field(ge=1, le=MOST)]
Count = Annotated[int, Field(ge=0, le=MOST)]
Amount = Annotated[float, Field(ge=0)]
Text = Annotated[str, AfterValidator(refuse_empty)]
Share = Annotated[object, AfterValidator(check_share)]  # of all events, or a list of values


class Settings(BaseModel):
    """Keys and values, checked when they are put together and never changed after it.

    Types are not converted: "5" is no number. An InputError names the key that is wrong.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    def __init__(self, /, **given):
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise InputError(tell_error(error)) from None

    def change(self, **changes):
        """The same settings but for these values, checked anew."""
        return type(self)(**self.model_dump() | changes)

    @model_validator(mode="before")
    @classmethod
    def refuse_unknown_keys(cls, given):
        for key in given if isinstance(given, dict) else ():
            if key not in cls.model_fields:
                known = ", ".join(cls.model_fields)
                raise ValueError(f"unknown key '{key}'; known keys are {known}")
        return given


Kind = TypeVar("Kind", bound=Settings)


def fill(kind: type[Kind], given: dict, path: str | Path) -> Kind:
    """Settings of this kind from what stands in a file; an InputError names file and key."""
    try:
        return kind(**given)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def tell_error(error: ValidationError) -> str:
    """The first of pydantic's complaints in one line: where, what is wrong, what was found."""
    first = error.errors(include_url=False)[0]
    keys = list(first["loc"])
    if first["type"] == "missing":
        what = f"no key '{keys.pop()}'; add it"
    elif first["type"] == "value_error":  # one of ours, raised by a validator
        what = str(first["ctx"]["error"])
    else:
        wanted = OURS.get(first["type"], first["msg"])
        for theirs, ours in WORDS.items():
            wanted = wanted.replace(theirs, ours, 1)
        what = f"{wanted}, found {json.dumps(first['input'], default=repr):.100}"
    place = ", ".join(f"key '{key}'" for key in keys)
    if not place:
        return what
    return f"{place}{', ' if what.startswith('key ') else ': '}{what}"  # of a key further in


def change_keys(given: dict, changes: dict, path: str | Path) -> dict:
    """Replaces values in what stands in a file; a dot leads inside: {"model.d_model": 64}."""
    for key, value in changes.items():
        *outer, last = key.split(".")
        place = given
        for name in outer:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise InputError(
                    f"{path}: '{name}' in '{key}' is not an object, so it has no key '{last}'"
                )
        place[last] = value
    return given


def find_files(given: dict, changes: dict, path: str | Path) -> dict:
    """Puts in the place of a file's name where it lies: beside the configuration, or else here.

    What `changes` names is looked for the other way round; ~ is the home. An InputError names both
    places.
    """
    for key in PATHS:
        name = given.get(key)
        if not isinstance(name, str) or not name:  # null, or what the key will refuse
            continue
        here = Path(os.path.expanduser(name))
        beside = Path(path).parent / here
        places = [here, beside] if key in changes else [beside, here]
        found = [place for place in places if os.path.exists(place)]
        if found:
            given[key] = str(found[0])
        elif key != "start_from":  # which a run that goes on needs no more
            tried = " and no ".join(dict.fromkeys(map(str, places)))
            raise InputError(f"{path}: key '{key}': there is no {tried}; correct it")
    return given


def pick_named(items: list, wanted: list, key: str) -> list:
    """Those of the items that are wanted, each of which has a name."""
    known = {item.name: item for item in items}
    strangers = [name for name in wanted if name not in list(known) or wanted.count(name) > 1]
    if strangers or not wanted:
        raise InputError(
            f"key '{key}': must name one or more of {', '.join(known)}, each once, found "
            f"{json.dumps(wanted):.200}; correct it or write null for all"
        )
    return [known[name] for name in wanted]
