"""What cannot work, refused before it is tried: mappings, configurations, origins, counts.

`check_...` are validators of the settings in `helpers.schema` and `helpers.training`: each gives
back what it was given, or raises what pydantic takes for a complaint.
"""

from __future__ import annotations

import math

import numpy as np

from helpers.support.errors import InputError, in_one_line


def check_parts(split):
    """Of a `Split`: lists with a column, shares without one, and nothing in two parts."""
    parts = (split.train, split.validation, split.test)
    lists = [part for part in parts if isinstance(part, list)]
    shares = [part for part in parts if isinstance(part, float)]
    if split.by is None and (lists or len(shares) != 2):
        raise ValueError(
            "without 'by', train and validation must be shares, and the test is what they leave"
        )
    if split.by == "sequence" and not lists:  # or else it is a column of that name
        if len(shares) != 2:
            raise ValueError("by 'sequence', train and validation must be shares")
    elif split.by is not None and not (
        isinstance(split.train, list) and isinstance(split.test, list)
    ):
        raise ValueError(
            f"train and test must be lists of values of the column '{split.by}'; "
            f'by "sequence" draws whole sequences, in shares'
        )
    if not (all(share > 0 for share in shares) and sum(shares) < 1):
        found = " and ".join(map(str, shares))
        raise ValueError(f"shares must be above 0 and add up to less than 1, found {found}")
    values = [str(value) for part in lists for value in part]
    if repeated := [value for value in values if values.count(value) > 1]:
        raise ValueError(f"'{repeated[0]}' is listed twice; a value belongs to one part")
    return split


def check_source(source):
    """Of a `Source`: as many columns as its kind needs."""
    columns = [source.column] if isinstance(source.column, str) else source.column
    if source.kind == "span" and len(columns) != 2:
        raise ValueError("a span must have two columns of times, [start, end]")
    if not columns or source.kind in ("name", "number") and not isinstance(source.column, str):
        raise ValueError(f"a {source.kind} must have one column; only times are made of several")
    if len(set(source.parts)) < len(source.parts):
        raise ValueError("key 'parts': must name each part once")
    return source


def check_names(mapping):
    """Of a `LogMapping`: names told apart, and streams with a key that there is."""
    names = [category.name for category in mapping.make_categories(2)]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"two categories are named '{repeated[0]}'; rename one")
    if "mean" in names:
        raise ValueError("a category is named 'mean', as a report's last row is; rename it")
    for name in names:
        if name != in_one_line(name):  # tables show it in a terminal
            raise ValueError(
                f"category {name!r}: a name holds no line end and no control character; rename it"
            )
    for stream, key in mapping.streams.items():
        if not stream.isprintable() or set(stream) & set("/\\:"):  # it names a folder
            raise ValueError(
                f"stream {stream!r}: a name holds none of / \\ : and no line end; rename it"
            )
        if key not in [*names, mapping.sequence]:
            raise ValueError(
                f"stream '{stream}': key '{key}' is neither a category nor the sequence "
                f"column, '{mapping.sequence}'; categories are {', '.join(names)}"
            )
    return mapping


def check_heads(model):
    """Of a `ModelConfig`: heads share the width equally."""
    if model.d_model % model.num_heads:
        sizes = f"{model.d_model} is not a multiple of num_heads {model.num_heads}"
        raise ValueError(f"key 'd_model': {sizes}; change one of them")
    return model


def check_together(config):
    """Of a `Config`: what one key asks of another."""
    if config.carry > config.src_seq_len:
        most = f"src_seq_len {config.src_seq_len}"
        raise ValueError(f"key 'carry': must be at most {most}, found {config.carry}")
    if config.log and not config.mapping:
        raise ValueError("key 'mapping': a log of your own needs one; see data/README.md")
    return config


def refuse_strangers(origins: np.ndarray, known: np.ndarray, part: str) -> None:
    """Names an origin that is not among the known ones, which are sorted."""
    nearest = np.searchsorted(known, origins).clip(max=len(known) - 1)
    strangers = origins[known[nearest] != origins]
    if len(strangers):
        raise InputError(
            f"origins: event {strangers[0]} begins no window of the {part} part; take some of "
            f"this part's `origins`"
        )


def check_count(name: str, count, most: float = math.inf, why: str = "") -> None:
    """Refuses what is no whole number from 1 to `most`; why: what that is, ", all there are"."""
    if not (isinstance(count, (int, np.integer)) and 1 <= count <= most):
        reach = "of at least 1" if most == math.inf else f"from 1 to {most}{why}"
        raise InputError(f"{name}: must be a whole number {reach}, found {count}")


def check_events(events, among: int) -> np.ndarray:
    """Numbers of so many events, as an array; an InputError names one that is none, or says that
    there are none.
    """
    events = np.asarray(events)
    if not events.size:
        raise InputError("events: there are none; give the number of at least one")
    whole = np.issubdtype(events.dtype, np.integer)
    strangers = events[(events < 0) | (events >= among)] if whole else events.ravel()
    if len(strangers):
        raise InputError(
            f"event {strangers[0]}: is not in the log; its events have the numbers 0 to {among - 1}"
        )
    return events
