"""Names from a log that are not kind: markup, formulas, line ends and other hazards."""

import copy
import tempfile
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ipywidgets import HTML, HTMLMath
from matplotlib.cbook import is_math_text
from matplotlib.figure import Figure
from matplotlib.text import Text
from small import SOURCE, STEPS, small_run

from helpers.events import TEST, TRAIN, VALIDATION, Log, read_log
from helpers.schema import Category, LogMapping, Source, Stream
from helpers.training import Data, Trainer
from helpers.windows import Windows

UNKIND = [
    "<script>alert(1)</script>",
    "<img src=x onerror='alert(1)'>",
    "&amp; &lt;",
    r"$\frac{1}{2}$",
    r"$\frac$ and $",
    "two\nlines",
    "l" * 3000,
    "\u202eעברית مرحبا",
    "🦆 👩‍🔧",
    "_hidden",
    '"\' onload="alert(1)',
    r"costs \$1 or $2",
]
LOOKS = pytest.mark.filterwarnings("ignore:Glyph", "ignore:Matplotlib currently does not support")


def unkind_log(folder: Path) -> Log:
    """Columns, categories, streams and values all have such names."""
    rng, n = np.random.default_rng(0), 400
    values = {f"column {name}": rng.choice(UNKIND, n) for name in UNKIND}
    frame = pd.DataFrame(
        values
        | {
            "<i>who</i>": rng.choice(UNKIND[:4], n),
            "when": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(n), "h"),
        }
    )
    frame.to_csv(folder / "log.csv", index=False)
    categories = {f"number {i}": Source(column=f"column {UNKIND[i]}") for i in range(len(UNKIND))}
    streams = {"any": "number 0"}
    mapping = LogMapping(sequence="<i>who</i>", time="when", categories=categories, streams=streams)
    log = read_log(folder / "log.csv", mapping)
    # A mapping refuses some of these as names.
    log.categories = [
        Category(name, category.size) for name, category in zip(UNKIND, log.categories, strict=True)
    ]
    log.vocabularies = dict(zip(UNKIND, log.vocabularies.values(), strict=True))
    log.streams = [Stream(name, name) for name in UNKIND]
    return log


@cache
def _unkind_run() -> Trainer:
    with tempfile.TemporaryDirectory() as folder:
        log = unkind_log(Path(folder))
    windows = {part: Windows(log, part, SOURCE, STEPS) for part in (TRAIN, VALIDATION, TEST)}
    return small_run(Data(log, windows, None), batches=3).fit()


def unkind_run() -> Trainer:
    return copy.deepcopy(_unkind_run())


class Tags(HTMLParser):
    def __init__(self, page: str):
        super().__init__()
        self.found, self.text = set(), ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.found.add((tag, *dict(attributes)))

    def handle_data(self, data):
        self.text += data


OURS = {("table",), ("tr",), ("tr", "style"), ("td", "style")}


def assert_only_names(widget) -> None:
    """The widget's HTML has no tag but those of our table, and its figure no formula.

    Lab reads formulas in HTMLMath, not in HTML.
    """
    parts = [
        widget,
        *(
            one
            for part in getattr(widget, "children", ())
            for one in (part, *getattr(part, "children", ()))
        ),
    ]
    pages = [one.value for one in parts if isinstance(one, HTML) and one.value]
    assert not any(type(one) is HTMLMath for one in parts)
    assert pages
    for page in pages:
        assert Tags(page).found <= (OURS if page.startswith("<table>") else set())
    assert_no_formula(widget.figure)


def assert_no_formula(figure: Figure) -> None:
    figure.canvas.draw()
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert [
        text for text in texts if is_math_text(text) and not text.startswith(r"$\mathdefault")
    ] == []  # but for 10 to a power at an axis
