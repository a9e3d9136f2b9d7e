"""A log of one's own: what its columns seem to be, and a mapping and a recipe to begin with.

    look = look_at("my.csv")
    mapping, reasons = propose_mapping(look)

A column's name is a hint, in several languages; what its values do decides: a sequence has several
events, a kind of event changes within one. Whatever cannot be told is asked for.
"""

from __future__ import annotations

import copy
import json
import math
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.schema import LogMapping
from helpers.support.errors import InputError, in_one_line
from helpers.support.log_files import join_columns
from helpers.support.notes import Notes
from helpers.support.table_files import read_table
from helpers.support.text_values import (
    CLOCK,
    EPOCHS,
    blank_out,
    find_markers,
    fitting_dates,
    fitting_decimals,
    parse_times,
    read_moments,
    read_numbers,
)
from helpers.support.wording import shorten, tell_share, write_rows

# What columns are called, and how much that says. A long word is found at either end of one, too,
# as "nummer" in "Kundennummer". English, German, French, Spanish, Dutch; accents are dropped.
OF_SEQUENCES = {
    3: "case trace session visit fall vorgang dossier caso zaak sitzung sesion sessie cas",
    2: "order invoice ticket incident application claim patient visitor cookie request journey "
    "admission encounter stay loan permit contract batch document beleg auftrag rechnung "
    "bestellung antrag besuch "
    "commande facture demande pedido factura expediente solicitud paciente bestelling factuur "
    "aanvraag",
    1: "customer client user member person employee recipient student device machine account "
    "player vehicle kunde mitarbeiter maschine utilisateur cliente usuario klant gebruiker",
}
OF_KINDS = {
    3: "activity event action task webpage page aktivitat tatigkeit ereignis activite evenement "
    "actividad evento activiteit gebeurtenis",
    2: "step operation status state phase screen url handeling aktion schritt seite etape pagina "
    "estado etat procedure message",
    1: "item product article code type stock sku artikel produkt produit producto concept kind",
    -3: "resource user team group department org country customer client role lifecycle "
    "transition ressource benutzer bearbeiter abteilung land pays pais recurso medewerker",
}
OF_TIMES = {
    3: "complete completed completion end finish finished stop ende abschluss fin final einde",
    2: "timestamp time datetime event zeitstempel zeitpunkt zeit horodatage hora heure tijd "
    "tijdstip moment fecha datum date when ts epoch unix",
    -1: "start started begin beginn debut inicio",
    -4: "due birth born planned expected registration reg created creation deadline valid expiry "
    "geburt fallig naissance nacimiento geboorte",
}
OF_STREAMS = {
    1: "resource user team group department agent actor employee machine customer client role "
    "location site org product ressource benutzer bearbeiter kunde mitarbeiter maschine "
    "utilisateur recurso usuario cliente medewerker klant",
}
OF_AMOUNTS = {
    1: "amount quantity qty price cost value total sum count score rate age weight height "
    "temperature duration hours minutes seconds days size length distance percent balance salary "
    "menge betrag preis anzahl wert summe dauer kosten alter gewicht montant prix quantite duree "
    "valeur poids cantidad precio importe valor monto edad peso aantal bedrag prijs hoeveelheid "
    "waarde duur leeftijd",
}
OF_CODES = {
    1: "id ids identifier no nr num number nummer numero key ref reference zip plz postcode phone "
    "class category level kennung",
}
MOST_PARTS = 10
OF_SPLITS = {"fold", "split", "part", "partition", "subset"}
XES = {  # the standard's names, and ours
    "case:concept:name": "case",
    "concept:name": "activity",
    "lifecycle:transition": "lifecycle",
    "org:resource": "resource",
    "org:role": "role",
    "org:group": "group",
}

# How much of a log is proposed.
MOST_VALUES = 2000  # of a name; its rarer ones are unknown
MOST_NAMES = 10  # categories of names and numbers, beside the kind of event
MOST_FIXED, FIXED_VALUES = 5, 1000  # of them the same all through a sequence, and of so many values
MOST_STREAMS = 2  # beside that of the sequence
BINS = 24  # of a number
FIXED = 0.005  # changes at a smaller share of the steps: the same all through a sequence
SPLIT = {"train": 0.75, "validation": 0.1}  # in the order of time
# What the time of an event tells, where training covers it; the first that does of each group.
PARTS = [["SinceLast"], ["SinceFirst"], ["Weekday"], ["HourOfWeek", "Hour"], ["Month"]]
COVERED = 0.95  # of the later events, by two or more days, weeks or years of training

# The recipe: what every log begins with, and what its size decides.
RECIPE = {
    "model": {"d_model": 64, "num_heads": 4, "encoder_layers": 1, "decoder_layers": 1},
    "learning_rate": 0.003,
    "schedule": "cosine",
    "weight_decay": 0.05,
    "clip_norm": 1.0,
    "dropout": 0.2,
    "hide": 0.1,
    "views": True,
    "focus": 0.5,
    "step_decay": 1.0,
    "tied": True,
    "shuffle": True,
}
HISTORY = (10, 20)  # events of a history: as many as a sequence has (the median), within these
HORIZON = 3  # steps at most, and no more than follow in a sequence (the median)
FEW_WINDOWS = 50_000  # up to so many a batch has 32 windows, and 64 above
PASSES = (2, 20)  # over the training windows, as many as there is time for
SECONDS = 120  # for all of them, on one core


def count_seconds(streams: int, source: int, target: int, values: int) -> float:
    """What one window takes in training on one core; values: the sum of sizes. Measured."""
    return 1e-6 * (300 + 6 * streams * source + target * (40 + values / 60))


# -- what a file holds


@dataclass(eq=False)
class Seen:
    """One column of a file.

    text: (rows,) categorical text, blanks as ""
    kind: "time", "date" (without a time of day), "clock" (without a date), "number", "name",
        "text" (hardly a value twice), "row number", "constant" or "blank"
    dates: the forms in which all its values are dates; two where that is ambiguous
    missing: the values that stand for a blank, such as "NA"
    """

    text: pd.Series
    kind: str = "name"
    dates: list[str] = field(default_factory=list)
    decimal: str = "."
    missing: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.text.name

    @property
    def codes(self) -> np.ndarray:
        """(rows,) the number of each row's value."""
        return self.text.cat.codes.to_numpy()

    @property
    def values(self) -> pd.Index:
        """Its different values."""
        return self.text.cat.categories[self.text.cat.categories != ""]

    def share(self, values: list[str]) -> float:
        """The share of rows that hold one of these values."""
        return float(self.text.cat.categories.isin(values)[self.codes].mean())

    @property
    def size(self) -> int:
        """Of a category of its values."""
        return max(2, min(len(self.values) + 1, MOST_VALUES))


@dataclass(eq=False)
class Look:
    """What was seen of a file: its columns in their order, and the notes of reading it."""

    path: Path
    columns: dict[str, Seen]
    notes: Notes

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())).text)

    def table(self) -> pd.DataFrame:
        """A row a column: what it seems to be, how much is blank or missing, an example."""
        return pd.DataFrame([describe(seen) for seen in self.columns.values()])

    def tell(self) -> str:
        """The table as text, for a terminal."""
        table = self.table()
        for name in ("column", "example"):
            table[name] = table[name].map(shorten)
        table["values"] = table["values"].map("{:,}".format)
        for name in ("blank", "missing"):
            table[name] = table[name].map(lambda share: tell_share(share) if share else "")
        table["missing"] += table.pop("markers").map(lambda some: f" {some}" if some else "")
        seen = f"{len(self):,} events and {len(table)} columns, which seem to be"
        return in_one_line(f"{self.path}: {seen}:") + f"\n{write_rows(table)}"

    def list_kinds(self) -> str:
        kinds = [f"'{name}' ({seen.kind})" for name, seen in self.columns.items()]
        return f"{', '.join(kinds):.300}"


def look_at(path: str | Path) -> Look:
    """Reads a file whole, all columns, and tells what each seems to be."""
    notes = Notes(path)
    frame = read_table(path, None, notes)
    return Look(notes.path, {name: see(frame[name]) for name in frame}, notes)


def describe(seen: Seen) -> dict:
    seems = [seen.kind]
    if seen.dates:
        seems.append(" or ".join(seen.dates))
    if seen.decimal == ",":
        seems.append("decimal comma")
    return {
        "column": seen.name,
        "seems": ", ".join(seems),
        "values": len(seen.values),
        "blank": seen.share([""]),
        "missing": seen.share(seen.missing),
        "markers": " ".join(seen.missing),
        "example": next(iter(seen.values), ""),
    }


def see(text: pd.Series) -> Seen:
    """What a column seems to be, by its different values and its name."""
    seen = Seen(text, missing=find_markers(text))
    real = blank_out(text, seen.missing) if seen.missing else text
    values, every = real.cat.categories[real.cat.categories != ""], np.arange(len(text))
    if values.empty:
        seen.kind = "name" if seen.missing else "blank"
    elif dates := fit_dates(real):
        whole = dates[0] in EPOCHS or values.str.contains(":").any()
        seen.kind, seen.dates = "time" if whole else "date", dates
    elif len(seen.values) == 1 and not seen.share([""]):
        seen.kind = "constant"
    elif values.str.fullmatch(CLOCK).all():
        seen.kind = "clock"
    elif (marks := fitting_decimals(real)) and not is_code(text.name, values, marks[0]):
        seen.kind, seen.decimal = "number", marks[0]
    elif len(values) > 20 and len(values) > 0.9 * len(text):
        seen.kind = "text"
    if seen.kind in ("number", "text") and counts_on(find_steps(seen, every, every[1:] > 0)):
        seen.kind = "row number"
    return seen


def fit_dates(text: pd.Series) -> list[str]:
    """The forms of its dates; of digits alone only where its name, too, says that it is a time."""
    values = text.cat.categories[text.cat.categories != ""]
    few = values[:100]  # most columns hold no dates, as a few values tell
    if few.str.fullmatch(r"\d+(?:\.\d*)?").any() and not weigh(text.name, OF_TIMES):
        return []
    forms = fitting_dates(pd.Series(pd.Categorical(few)))
    return [form for form in forms if read_moments(values, form, False)["clock"].notna().all()]


def is_code(name: str, values: pd.Index, decimal: str) -> bool:
    """Whether what can be read as numbers are names: 0815, a customer's number, a team's."""
    numbers = read_numbers(values, decimal)
    if values.str.fullmatch(r"0\d+").any():
        return True
    if (numbers % 1 != 0).any() or (numbers < 0).any():
        return False
    for word in reversed(split_words(name)):  # an "order value" is no order
        if any(is_among(word, hints) for hints in (OF_CODES, OF_SEQUENCES, OF_KINDS, OF_STREAMS)):
            return True
        if is_among(word, OF_AMOUNTS):
            return False
    if values.str.contains(decimal, regex=False).any():
        return False
    digits = values.str.len()
    return len(values) <= 12 or digits.nunique() == 1 and digits[0] >= 4


def find_steps(seen: Seen, order: np.ndarray, same: np.ndarray) -> np.ndarray:
    """By how much it rises from row to row of this order, (rows,), where same, (rows - 1,)."""
    return np.diff(read_numbers(seen.text.cat.categories, ".")[seen.codes[order]])[same]


def counts_on(steps: np.ndarray, share: float = 0.9) -> bool:
    """Whether nearly all steps are by one, and hardly any by none."""
    return len(steps) > 0 and (steps == 1).mean() > share and (steps == 0).mean() < 0.05


# -- words in names


def split_words(name: str) -> list[str]:
    """The words of a column's name, in small letters without accents: "CaseID" is case and id."""
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    plain = re.sub(r"([a-z0-9])([A-Z])|([A-Z])(?=[A-Z][a-z])", r"\1\3 \2", plain)
    return re.findall(r"[^\W_]+", plain.lower())


def is_among(word: str, hints: dict[int, str]) -> bool:
    return any(fits(word, hint) for known in hints.values() for hint in known.split())


def fits(word: str, hint: str) -> bool:
    return word == hint or len(hint) > 3 and (word.startswith(hint) or word.endswith(hint))


def weigh(name: str, hints: dict[int, str]) -> int:
    """How much the words of a name say, added up."""
    words = split_words(name)
    return sum(w for w in hints if any(is_among(word, {w: hints[w]}) for word in words))


# -- from what was seen to a mapping


@dataclass(eq=False)
class Proposal:
    """A mapping in the making.

    reasons: what was chosen and why, a line each
    left: the columns that nothing was said of yet
    time, times: its columns, and (rows,) datetime64; forms: how the dates of columns are read
    order: (rows,) the rows by sequence and time; same: (rows - 1,) whether the next one there is of
        the same sequence, so that this is a step
    changing: the columns whose values change within sequences
    """

    look: Look
    dates: str | None
    reasons: list[str] = field(default_factory=list)
    categories: dict[str, dict] = field(default_factory=dict)
    forms: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        self.left = dict(self.look.columns)

    def say(self, what: str, why: str) -> None:
        self.reasons.append(in_one_line(f"{what}: {why}"))

    def leave_out(self, name: str, why: str) -> None:
        self.left.pop(name)
        self.say("left out", f"'{name}' {why}")

    def add(self, name: str, **source) -> None:
        """One more category, named like its column."""
        name = name_apart(name, [*self.categories, self.sequence.name, "mean"])
        self.categories[name] = source


def propose_mapping(
    look: Look,
    sequence: str | None = None,
    time: list[str] | None = None,
    kind: str | None = None,
    dates: str | None = None,
) -> tuple[dict, list[str]]:
    """A mapping that `LogMapping` accepts, and why it is so, a line each.

    sequence, time and kind name columns, which are then taken; dates is how a date is written. An
    InputError says what was seen, and which of these options decides, where the file does not.
    """
    for column in filter(None, [sequence, kind, *(time or [])]):
        if column not in look.columns:
            raise InputError(
                f"{look.path}: no column '{column}'; it has {look.list_kinds()}; correct the option"
            )
    p = Proposal(look, dates)
    choose_time(p, time)
    choose_sequence(p, sequence, kind)
    choose_kind(p, kind)
    leave_out_the_plain(p)
    leave_out_doubles(p)
    choose_rest(p)
    add_times(p)
    mapping = {
        "sequence": p.sequence.name,
        "time": p.time,
        "categories": p.categories,
        "streams": choose_streams(p),
    }
    if columns := tell_columns(p):
        mapping["columns"] = columns
    mapping["split"] = {"by": None} | SPLIT
    LogMapping(**mapping)
    return mapping, sorted(p.reasons, key=lambda reason: reason.startswith("left out"))


def name_apart(column: str, taken: list[str]) -> str:
    """A column's name as a category's or a stream's, told apart from others."""
    name = XES.get(column, column.removeprefix("case:"))
    name = re.sub(r"[/\\:]+", "_", in_one_line(name)).strip() or "column"
    number, first = 2, name
    while name in taken:
        name, number = f"{first}_{number}", number + 1
    return name


# -- its time


def choose_time(p: Proposal, given: list[str] | None) -> None:
    names = given or guess_time(p.look)
    p.time = names[0] if len(names) == 1 else names
    p.times = read_times(p, names)
    for name in names:
        p.left.pop(name, None)


def guess_time(look: Look) -> list[str]:
    """The time whose name says most and whose values are the finest; or a date and a clock."""
    full = [seen for seen in look.columns.values() if not seen.share(["", *seen.missing])]
    found = [seen for seen in full if seen.kind in ("time", "date")]
    clocks = [seen for seen in full if seen.kind == "clock"]
    if not found:
        raise InputError(
            f"{look.path}: no column has a date and time in every row; seen were "
            f"{look.list_kinds()}; name it by --time COLUMN, or a date's and a time's of day by "
            f"--time DATE TIME"
        )

    def judge(seen: Seen) -> float:
        finest = max(len(one.values) for one in found)
        fine = (seen.kind == "time") + len(seen.values) / finest
        return fine + weigh(seen.name, OF_TIMES) / 3

    best = max(found, key=judge)
    if best.kind == "time" or not clocks:
        return [best.name]
    words = set(split_words(best.name))
    clock = max(clocks, key=lambda seen: (len(words & set(split_words(seen.name))), judge(seen)))
    return [best.name, clock.name]


def read_times(p: Proposal, names: list[str]) -> np.ndarray:
    """(rows,) datetime64 of the columns that make one time; NaT where blank."""
    seen = [p.look.columns[name] for name in names]
    text, forms = blank_out(seen[0].text, seen[0].missing), seen[0].dates
    if len(names) > 1:
        text = join_columns(pd.DataFrame({one.name: one.text for one in seen}))
        forms = fit_dates(text)
    form = pick_form(p, text, forms)
    if form:
        p.forms[names[0]] = form
    times = parse_times(text, Notes(p.look.path), form)["instant"].to_numpy()
    return times[text.cat.codes]


def pick_form(p: Proposal, text: pd.Series, forms: list[str]) -> str | None:
    """How the dates of a column are written; asked for where more than one form fits.

    None where no form fits, and whoever reads them says why.
    """
    known = [p.dates, *(form for form in p.forms.values() if form in forms)]
    if said := next(filter(None, known), None):
        return said
    if len(forms) < 2:
        return next(iter(forms), None)
    value = next(value for value in text.cat.categories if value)
    raise InputError(
        f"{p.look.path}, column '{text.name}': dates such as {value!r} can be read {forms[0]} or "
        f'{forms[1]}; say which by --dates "{forms[0]}" or --dates "{forms[1]}"'
    )


# -- its sequence, and the kind of event


def choose_sequence(p: Proposal, given: str | None, kind: str | None) -> None:
    if not given:
        able = [one for one in p.left.values() if one.name != kind and could_be_sequence(p, one)]
        what = "which events belong together, with two or more events a value and no blank"
        given = choose(p, "sequence", what, {one.name: weigh_sequence(p, one) for one in able})
    p.sequence = p.look.columns[given]
    p.left.pop(given, None)
    p.order = np.lexsort((p.times, p.sequence.codes))
    p.same = np.diff(p.sequence.codes[p.order]) == 0
    values, waits = len(p.sequence.values), np.diff(p.times[p.order])[p.same]
    said = f"'{given}' ({values:,} values, {len(p.look) / values:.1f} events each)"
    if (waits == np.timedelta64(0)).mean() > 0.9:
        said += ", within which the time stands still: its events are in the order of the file"
    p.reasons.insert(0, in_one_line(f"sequence: {said}"))
    for seen in p.left.values():
        blank = seen.share([""])
        if blank and weigh(seen.name, OF_SEQUENCES) > 0 and seen.kind == "name":
            p.say("sequence", f"'{seen.name}' cannot be it, blank in {blank:.0%} of the rows")


def choose(p: Proposal, what: str, which: str, found: dict[str, float]) -> str:
    """The column for which most speaks; another one that is close is told."""
    if not found:
        raise InputError(
            f"{p.look.path}: no column says {which}; seen were {p.look.list_kinds()}; name it by "
            f"--{what} COLUMN"
        )
    best, *others = sorted(found, key=found.get, reverse=True)
    for other in others[:1]:
        if found[best] - found[other] < 0.5:
            p.say(what, f"'{other}' could be it as well: --{what} '{other}'")
    return best


def could_be_sequence(p: Proposal, seen: Seen) -> bool:
    named, every = weigh(seen.name, OF_SEQUENCES) > 0, np.arange(len(p.look))
    return (
        (seen.kind in ("name", "number") or named and seen.kind == "constant")
        and not seen.share([""])
        and len(p.look) >= (1.2 if named else 2) * len(seen.values)
        and not counts_on(find_steps(seen, every, every[1:] > 0), 0.5)
    )


def weigh_sequence(p: Proposal, seen: Seen) -> float:
    """What speaks for it: its name, many values, and events that lie close together in time."""
    named = weigh(seen.name, OF_SEQUENCES) + 3 * (seen.name == "case:concept:name")
    grouped, close = pd.Series(p.times).groupby(seen.codes), 1.0
    if len(seen.values) > 1:
        spans = (grouped.max() - grouped.min())[grouped.size() > 1]
        close -= spans.median() / max(np.ptp(p.times), np.timedelta64(1, "s"))
    if named > 1:  # a case is over at some time
        named = 1 + (named - 1) * min(1, 2 * close)
    many = np.log(len(seen.values)) / np.log(len(p.look))
    against = [
        1.0 * (weigh(seen.name, OF_KINDS) != 0 and named < 2),
        0.2 * (seen.kind == "number" and named < 1),
        3.0 * (len(seen.values) == 1),
    ]
    return named + many + close - sum(against)


def changes(p: Proposal, seen: Seen) -> float:
    """The share of the steps within sequences at which its value changes."""
    steps = np.diff(seen.codes[p.order])[p.same]
    return float((steps != 0).mean()) if len(steps) else 0.0


def choose_kind(p: Proposal, given: str | None) -> None:
    if not given:
        names = [seen for seen in p.left.values() if seen.kind == "name"]
        what = "what kind of event it is, by a few names that change from event to event"
        able = [
            seen
            for seen in names
            if changes(p, seen) > 0.02 and not counts_on(find_steps(seen, p.order, p.same))
        ]
        given = choose(p, "kind", what, {seen.name: weigh_kind(p, seen) for seen in able})
    p.kind = p.look.columns[given]
    p.left.pop(given, None)
    p.add(given, column=given, size=p.kind.size)
    p.say(
        "kind of event",
        f"'{given}' ({len(p.kind.values):,} values), another one at {changes(p, p.kind):.0%} of "
        f"the steps",
    )


def weigh_kind(p: Proposal, seen: Seen) -> float:
    """What speaks for it: its name, values that change and tell the next, neither 2 nor 2,000."""
    named = weigh(seen.name, OF_KINDS) + 3 * (seen.name == "concept:name")
    size = 1.0 if 3 <= len(seen.values) <= 1000 else 0.3
    moves = changes(p, seen) / 2 + tells_the_next(p, seen)
    return named + moves + size - 2 * seen.share([""])


def tells_the_next(p: Proposal, seen: Seen) -> float:
    """How often the value that it changes to is the most frequent one after the value before.

    Of half of the sequences, as counted in the other half.
    """
    codes, size = seen.codes[p.order].astype(np.int64), len(seen.text.cat.categories)
    moves = p.same & (codes[1:] != codes[:-1])
    pairs = (codes[:-1] * size + codes[1:])[moves]
    counted, checked = np.array_split(pairs, 2)
    seen_pairs, counts = np.unique(counted, return_counts=True)
    seen_pairs = seen_pairs[np.argsort(counts)]
    likely = np.full(size, -1)
    likely[seen_pairs // size] = seen_pairs % size  # the most frequent one is set last
    return float((likely[checked // size] == checked % size).mean()) if len(checked) else 0.0


# -- the other columns

PLAIN = {
    "constant": "holds one value alone",
    "blank": "is blank",
    "text": "hardly holds a value twice",
    "row number": "numbers the rows",
}


def leave_out_the_plain(p: Proposal) -> None:
    for name, seen in list(p.left.items()):
        if seen.kind in PLAIN:
            p.leave_out(name, PLAIN[seen.kind])
        elif is_split(p, seen):
            *train, test = seen.values
            how = json.dumps({"by": name, "train": train, "test": [test]}, ensure_ascii=False)
            p.leave_out(name, f'may say which events train and which test; if so: "split": {how}')
        elif seen.kind == "name" and repeats(seen) < 0.5:
            p.leave_out(name, "holds a value of its own in most rows")
        elif counts_on(find_steps(seen, p.order, p.same)):
            p.leave_out(name, "counts the events of each sequence")


def is_split(p: Proposal, seen: Seen) -> bool:
    words = split_words(seen.name)
    named = bool(words) and OF_SPLITS.issuperset(words)
    return named and 2 <= len(seen.values) <= MOST_PARTS and changes(p, seen) < FIXED


def repeats(seen: Seen) -> float:
    """The share of rows whose value another row has, too."""
    return float((np.bincount(seen.codes)[seen.codes] > 1).mean())


def leave_out_doubles(p: Proposal) -> None:
    """Of two columns that tell the same, the later one goes."""
    kept = [p.sequence, p.kind]
    for name, seen in list(p.left.items()):
        if seen.kind in ("name", "number"):
            same = [one for one in kept if tells_the_same(one, seen)]
            if same:
                p.leave_out(name, f"follows from '{same[0].name}'")
            else:
                kept.append(seen)


def tells_the_same(one: Seen, other: Seen) -> bool:
    """Whether each value of one goes with one value of the other, and the other way round."""
    fewer, more = sorted((len(one.values), len(other.values)))
    many = 2 * more > len(one.text)  # with so many values, whatever happens once follows from them
    if many or more > 1.25 * fewer or (one.kind == "number") != (other.kind == "number"):
        return False
    some = slice(None, None, max(1, len(one.text) // 1000))  # tell most pairs, and soon
    return all(
        follows(one.codes[rows], other.codes[rows]) and follows(other.codes[rows], one.codes[rows])
        for rows in (some, slice(None))
    )


def follows(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether other, (rows,), can be told from one, (rows,), in nearly every row."""
    size = other.max() + 1
    pairs, counts = np.unique(one.astype(np.int64) * size + other, return_counts=True)
    right = np.zeros(one.max() + 1, np.int64)
    np.maximum.at(right, pairs // size, counts)
    most = np.bincount(other).max()  # are right for one who knows nothing
    return len(one) - right.sum() <= 0.03 * (len(one) - most)


def choose_rest(p: Proposal) -> None:
    """Names and numbers that change within a sequence, and a few that do not."""
    rest = [seen for seen in p.left.values() if seen.kind in ("name", "number")]
    p.changing = [seen for seen in rest if changes(p, seen) >= FIXED]
    fixed = [seen for seen in rest if seen not in p.changing]
    for seen in p.changing[MOST_NAMES:]:
        p.leave_out(seen.name, f"is beyond the first {MOST_NAMES}; add it if it matters more")
    p.changing = p.changing[:MOST_NAMES]
    few = [seen for seen in fixed if seen.kind == "number" or len(seen.values) <= FIXED_VALUES]
    few = few[: max(0, min(MOST_FIXED, MOST_NAMES - len(p.changing)))]
    for seen in rest:
        if seen in p.changing or seen in few:
            keep(p, seen, ", the same all through a sequence" * (seen in few))
        elif seen.name in p.left:
            why = f"is the same all through a sequence, and has {len(seen.values):,} values"
            p.leave_out(seen.name, why)


def keep(p: Proposal, seen: Seen, same: str) -> None:
    p.left.pop(seen.name)
    if seen.kind == "number":
        size = min(BINS, seen.size)
        p.add(seen.name, column=seen.name, kind="number", bin="quantiles", size=size)
        comma = ", decimal comma" * (seen.decimal == ",")
        p.say("number", f"'{seen.name}'{comma}, in {size - 1} bins of as many events each{same}")
        return
    p.add(seen.name, column=seen.name, size=seen.size)
    p.say("name", f"'{seen.name}' ({len(seen.values):,} values){same}")
    if {"start", "complete"} <= set(seen.values.str.lower()):
        p.say(
            "name", f"'{seen.name}' says start and complete; \"pairs\" can make one event of both"
        )


# -- times, streams, and how columns are read


def add_times(p: Proposal) -> None:
    """What the time can tell, and the duration where a start stands beside it."""
    parts = [next((part for part in group if covers(p, part)), None) for group in PARTS]
    lacks = [group[0] for group, part in zip(PARTS, parts, strict=True) if part != group[0]]
    parts = [part for part in parts if part]
    p.add("time", column=p.time, kind="time", parts=parts)
    names = [p.time] if isinstance(p.time, str) else p.time
    first, last = (str(moment)[:10] for moment in (p.times.min(), p.times.max()))
    said = f"{' and '.join(map(repr, names))} ({p.forms[names[0]]}), {first} to {last}, as "
    without = f"; training does not cover {', '.join(lacks)}" if lacks else ""
    p.say("time", f"{said}{', '.join(parts)}{without}")
    starts = [name for name, seen in p.left.items() if seen.kind == "time" and is_start(p, seen)]
    for name in starts[:1]:
        p.left.pop(name)
        p.add("duration", column=[name, p.time], kind="span")
        p.say("duration", f"from '{name}' to '{p.time}'")
    for name in list(p.left):
        p.leave_out(name, "is another time; add it if it matters")


def covers(p: Proposal, part: str) -> bool:
    """Whether training tells of what the later events hold in this part of their time.

    Each hour on two days, each hour of the week in two weeks, each month in two years. Sequences
    that never end are older and older, as no event of training was.
    """
    if part == "SinceLast":
        return True
    order = np.argsort(p.times, kind="stable")
    times = pd.Series(p.times[order])
    months, hours = (times.to_numpy().astype(f"datetime64[{unit}]").astype(int) for unit in "Mh")
    age = times - times.groupby(p.sequence.codes[order]).transform("first")
    monday = hours + 3 * 24  # counted from one, as 1970 began on a Thursday
    value, period = {
        "SinceFirst": (np.log2(age.dt.total_seconds().clip(1)) // 1, np.arange(len(hours))),
        "Month": (months % 12, months // 12),
        "Weekday": (monday // 24 % 7, monday // 168),
        "HourOfWeek": (monday % 168, monday // 168),
        "Hour": (hours % 24, hours // 24),
    }[part]
    border = int(len(value) * SPLIT["train"])
    if part.startswith("Hour") and np.ptp(hours % 24) == 0:  # dates without a time of day
        return False
    often = pd.Series(period[:border]).groupby(np.asarray(value)[:border]).nunique()
    return np.isin(value[border:], often.index[often >= 2]).mean() >= COVERED


def is_start(p: Proposal, seen: Seen) -> bool:
    """Whether it is the start of what the log's time completes."""
    if not isinstance(p.time, str) or p.look.columns[p.time].kind != "time":
        return False
    named = weigh(seen.name, {1: OF_TIMES[-1]}) or weigh(p.time, {1: OF_TIMES[3]})
    readable = len(seen.dates) == 1 or p.dates or p.forms[p.time] in seen.dates
    if not named or not readable or changes(p, seen) < FIXED:
        return False
    spans = p.times - read_times(p, [seen.name])
    spans, none = spans[~np.isnat(spans)], np.timedelta64(0)
    return bool((spans >= none).mean() >= 0.99 and (spans > none).mean() >= 0.05)


def choose_streams(p: Proposal) -> dict[str, str]:
    """The sequence, the kind of event, and names whose histories may tell something."""
    streams = {name_apart(p.sequence.name, list(p.categories)): p.sequence.name}
    names = {
        source["column"]: name for name, source in p.categories.items() if "kind" not in source
    }
    others = [seen for seen in p.changing if seen.kind == "name" and seen.share([""]) < 0.5]
    others.sort(key=lambda seen: (-weigh(seen.name, OF_STREAMS), -len(seen.values)))
    for seen in others[:MOST_STREAMS]:
        streams[names[seen.name]] = names[seen.name]
    p.say("streams", ", ".join(map(repr, streams)))
    return streams


def tell_columns(p: Proposal) -> dict[str, dict]:
    """How the text of the chosen columns is to be read, where it is not as most."""
    columns = {}
    for source in p.categories.values():
        kind, named = source.get("kind", "name"), source["column"]
        for name in [named] if isinstance(named, str) else named:
            seen, about = p.look.columns[name], {}
            if p.forms.get(name, "year first") != "year first":
                about["dates"] = p.forms[name]
            if kind == "number" and seen.decimal != ".":
                about["decimal"] = seen.decimal
            if kind != "name" and seen.missing:
                about["missing"] = seen.missing
            if about:
                columns[name] = about
    return columns


# -- a recipe


def propose_config(look: Look, mapping: LogMapping) -> dict:
    """A recipe sized by the log: keys of `helpers.training.Config`, but for where things lie."""
    if mapping.sequence not in look.columns:
        raise InputError(
            f"{look.path}: no column '{mapping.sequence}'; it has {look.list_kinds()}; correct "
            f"the mapping's 'sequence'"
        )
    lengths = np.bincount(look.columns[mapping.sequence].codes)
    median = int(np.median(lengths[lengths > 1])) if (lengths > 1).any() else 1
    source, target = int(np.clip(median, *HISTORY)), int(np.clip(median - 1, 1, HORIZON))
    windows = max(1, int(SPLIT["train"] * np.maximum(lengths - 1, 0).sum()))
    values = sum(category.size for category in mapping.make_categories(100))
    passes = SECONDS / (windows * count_seconds(len(mapping.streams), source, target, values))
    batch = 32 if windows <= FEW_WINDOWS else 64
    sizes = {
        "src_seq_len": source,
        "tgt_seq_len": target,
        "epochs": int(np.clip(passes, *PASSES)),
        "batch_size": batch,
        "batches": math.ceil(min(1, passes / PASSES[0]) * windows / batch),
    }
    return sizes | copy.deepcopy(RECIPE)
