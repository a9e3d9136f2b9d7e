"""What is seen of a log of one's own, and the mapping and the recipe that are proposed for it."""

import json

import numpy as np
import pandas as pd
import pytest
from small import refused

from helpers.own_log import (
    MOST_FIXED,
    PASSES,
    RECIPE,
    look_at,
    propose_config,
    propose_mapping,
    split_words,
)
from helpers.schema import LogMapping
from helpers.training import Config

DAY = np.timedelta64(1, "D")


def make_events(cases: int = 60, events: int = 6, days: float = 120, seed: int = 0) -> pd.DataFrame:
    """A log of cases that begin one after another; each event has a who, a what and an amount."""
    rng = np.random.default_rng(seed)
    start = np.sort(rng.uniform(0, days, cases))[:, None]
    hours = start * 24 + np.cumsum(rng.uniform(0.1, 5, (cases, events)), 1)
    steps = (np.arange(events) + rng.integers(0, 3, (cases, events))) % 8
    table = pd.DataFrame({"case": np.repeat(np.arange(cases), events) + 1000})
    table["what"] = [f"step {step}" for step in steps.ravel()]
    table["who"] = [f"P{who}" for who in rng.integers(0, 9, len(table))]
    seconds = (3600 * hours.ravel()).astype("timedelta64[s]")
    table["when"] = np.datetime64("2023-01-02T00:00:00") + seconds
    table["amount"] = rng.integers(-400, 9000, len(table)) / 100
    return table.sort_values("when", ignore_index=True)


@pytest.fixture
def look(tmp_path):
    """Writes a table as CSV and looks at it."""

    def look(table: pd.DataFrame, **how):
        path = tmp_path / "log.csv"
        table.to_csv(path, index=False, **how)
        return look_at(path)

    return look


def columns_of(mapping: dict) -> list:
    return [source["column"] for source in mapping["categories"].values()]


def reason_for(reasons: list[str], name: str) -> str:
    return next(reason for reason in reasons if f"'{name}'" in reason)


# -- a plain log, in several languages

LANGUAGES = {
    "English": ["Case ID", "Activity", "Resource", "Complete Timestamp", "Amount"],
    "German": ["Vorgangsnummer", "Tätigkeit", "Bearbeiter", "Zeitpunkt", "Betrag"],
    "French": ["Numéro de dossier", "Activité", "Utilisateur", "Horodatage", "Montant"],
    "Spanish": ["Expediente", "Actividad", "Recurso", "Fecha y hora", "Importe"],
    "Dutch": ["Zaaknummer", "Activiteit", "Medewerker", "Tijdstip", "Bedrag"],
    "a web site": ["visitor", "pageUrl", "customer_country", "ts", "seconds_spent"],
    "a hospital": ["patient_id", "procedure", "department", "event_time", "cost"],
    "none": ["a", "b", "c", "d", "e"],
}


@pytest.mark.parametrize("names", LANGUAGES.values(), ids=LANGUAGES)
@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0]], ids=["", "turned round"])
def test_a_plain_log_in_any_language_and_any_order_of_columns(look, names, order):
    table = make_events().set_axis(names, axis=1)
    mapping, reasons = propose_mapping(look(table[[names[place] for place in order]]))
    sequence, kind, who, when, amount = names
    assert mapping["sequence"] == sequence and mapping["time"] == when
    first, *others = mapping["categories"].values()
    assert first == {"column": kind, "size": 9}
    assert {"column": who, "size": 10} in others
    assert {"column": amount, "kind": "number", "bin": "quantiles", "size": 24} in others
    assert mapping["categories"]["time"]["column"] == when
    assert list(mapping["streams"].values()) == [sequence, who]
    assert mapping["split"] == {"by": None, "train": 0.75, "validation": 0.1}
    assert reasons[0] == f"sequence: '{sequence}' (60 values, 6.0 events each)"
    assert json.loads(json.dumps(mapping)) == mapping
    assert LogMapping(**mapping).sequence == sequence


def test_the_words_of_a_name():
    assert split_words("CaseID") == ["case", "id"]
    assert split_words("case:concept:name") == ["case", "concept", "name"]
    assert split_words("XMLHttpRequest_no2") == ["xml", "http", "request", "no2"]
    assert split_words("Tätigkeit (Schritt)") == ["tatigkeit", "schritt"]


# -- times


def write_times(when: pd.Series, form: str) -> pd.Series:
    return when.dt.strftime(form)


@pytest.mark.parametrize(
    "form, dates",
    [
        ("%Y-%m-%d %H:%M:%S", "year first"),
        ("%d.%m.%Y %H:%M", "day first"),
        ("%m/%d/%Y %I:%M %p", "month first"),
        ("%s", "seconds"),
        ("%s000", "milliseconds"),
    ],
)
def test_how_a_time_is_written_is_seen_and_said(look, form, dates):
    table = make_events()
    if form.startswith("%s"):
        whole = (table["when"] - pd.Timestamp(0)) // pd.Timedelta(seconds=1)
        table["when"] = whole.astype(str) + form[2:]
    else:
        table["when"] = write_times(table["when"], form)
    mapping, reasons = propose_mapping(look(table))
    assert mapping["time"] == "when" and f"'when' ({dates})" in reason_for(reasons, "when")
    said = {} if dates == "year first" else {"when": {"dates": dates}}
    assert mapping.get("columns", {}) == said


def test_numbers_are_times_only_where_their_name_says_so(look):
    table = make_events()
    table["sum"] = np.arange(len(table)) * 7 % 50 + 1_700_000_000
    seen = look(table).columns
    assert seen["sum"].kind == "number" and seen["when"].kind == "time"
    table = table.rename(columns={"sum": "timestamp"})
    assert look(table).columns["timestamp"].dates == ["seconds"]


def test_a_date_and_a_time_of_day_make_one_time(look):
    table = make_events()
    when = table.pop("when")
    table["Datum"], table["Uhrzeit"] = write_times(when, "%d.%m.%Y"), write_times(when, "%H:%M:%S")
    mapping, _ = propose_mapping(look(table))
    assert mapping["time"] == mapping["categories"]["time"]["column"] == ["Datum", "Uhrzeit"]
    assert mapping["columns"] == {"Datum": {"dates": "day first"}}


def test_ambiguous_dates_are_asked_for(look):
    table = make_events(days=9)
    table["when"] = write_times(table["when"], "%d/%m/%Y %H:%M")
    seen = look(table)
    assert seen.columns["when"].dates == ["day first", "month first"]
    options = ['--dates "day first"', '--dates "month first"']
    refused(lambda: propose_mapping(seen), "column 'when'", *options, start=seen.path)
    mapping, _ = propose_mapping(seen, dates="month first")
    assert mapping["columns"] == {"when": {"dates": "month first"}}


@pytest.mark.parametrize("start, end", [("start_timestamp", "time:timestamp"), ("Beginn", "Ende")])
def test_start_and_completion_make_a_duration(look, start, end):
    table = make_events()
    table[start] = table["when"] - np.timedelta64(20, "m")
    mapping, _ = propose_mapping(look(table.rename(columns={"when": end})))
    assert mapping["time"] == end
    assert mapping["categories"]["duration"] == {"column": [start, end], "kind": "span"}


def test_a_time_that_a_case_has_from_its_beginning_is_no_start(look):
    table = make_events()
    table["start_of_contract"] = table.groupby("case")["when"].transform("min")
    table["due"] = table["when"] + 3 * DAY
    mapping, reasons = propose_mapping(look(table))
    assert mapping["time"] == "when" and "duration" not in mapping["categories"]
    for name in ("start_of_contract", "due"):
        assert "another time" in reason_for(reasons, name)


def test_of_two_events_too_a_mapping_can_be_made(look):
    mapping, _ = propose_mapping(look(make_events(cases=1, events=2)))
    assert mapping["categories"]["time"]["parts"] == ["SinceLast"]


def test_sequences_that_never_end_have_no_age(look):
    table = make_events(cases=800)
    table["machine"] = table.pop("case") % 7
    mapping, reasons = propose_mapping(look(table))
    assert mapping["sequence"] == "machine"
    assert mapping["categories"]["time"]["parts"] == ["SinceLast", "Weekday", "HourOfWeek"]
    assert "does not cover SinceFirst, Month" in reason_for(reasons, "when")


def test_a_date_without_a_time_of_day_has_no_hours(look):
    table = make_events(cases=200)
    mapping, _ = propose_mapping(look(table.assign(when=write_times(table["when"], "%Y-%m-%d"))))
    assert mapping["categories"]["time"]["parts"] == ["SinceLast", "SinceFirst", "Weekday"]


@pytest.mark.parametrize(
    "days, parts",
    [
        (0.2, ["SinceLast", "SinceFirst"]),
        (4, ["SinceLast", "SinceFirst", "Hour"]),
        (60, ["SinceLast", "SinceFirst", "Weekday", "HourOfWeek"]),
        (1200, ["SinceLast", "SinceFirst", "Weekday", "HourOfWeek", "Month"]),
    ],
)
def test_a_time_tells_what_training_covers(look, days, parts):
    mapping, reasons = propose_mapping(look(make_events(cases=2000, events=3, days=days)))
    assert mapping["categories"]["time"]["parts"] == parts
    lacking = "Month" not in parts
    assert ("training does not cover" in reason_for(reasons, "when")) == lacking


# -- sequences and kinds


def test_of_a_basket_whose_customer_is_often_blank_the_invoice_is_the_sequence(look):
    table = make_events(cases=100, events=8)
    table["when"] = table.groupby("case")["when"].transform("min")
    table["CustomerID"] = (table["case"] % 30).astype(float).where(table["case"] % 4 > 0)
    table = table.rename(columns={"case": "InvoiceNo", "what": "StockCode"})
    mapping, reasons = propose_mapping(look(table))
    assert (mapping["sequence"], columns_of(mapping)[0]) == ("InvoiceNo", "StockCode")
    assert "the time stands still" in reasons[0]
    assert "cannot be it, blank in 25%" in reason_for(reasons, "CustomerID")


def test_a_kind_of_event_may_look_like_numbers(look):
    table = make_events()
    table["ActivityID"] = table.pop("what").str[5:].astype(int) + 20
    mapping, _ = propose_mapping(look(table))
    assert mapping["categories"]["ActivityID"] == {"column": "ActivityID", "size": 9}
    assert next(iter(mapping["categories"])) == "ActivityID"


def test_a_word_for_a_case_is_one_for_an_activity_where_the_values_say_so(look):
    names = {"case": "Belegnummer", "what": "Vorgang", "when": "Zeit"}
    mapping, _ = propose_mapping(look(make_events(cases=400).rename(columns=names)))
    assert (mapping["sequence"], columns_of(mapping)[0]) == ("Belegnummer", "Vorgang")


def test_a_single_sequence_counts_where_its_column_is_named_so(look):
    mapping, reasons = propose_mapping(look(make_events(1, 300).assign(case="machine 7")))
    assert mapping["sequence"] == "case" and "(1 values, 300.0 events each)" in reasons[0]


def test_the_names_of_xes_become_plain_ones(look):
    names = ["case:concept:name", "concept:name", "org:resource", "time:timestamp", "case:AMOUNT"]
    table = make_events().set_axis(names, axis=1)
    table["lifecycle:transition"] = np.where(np.arange(len(table)) % 2, "complete", "start")
    mapping, reasons = propose_mapping(look(table))
    assert list(mapping["categories"]) == ["activity", "resource", "AMOUNT", "lifecycle", "time"]
    assert list(mapping["streams"])[0] == "case"
    assert any('"pairs"' in reason for reason in reasons)


def test_names_are_told_apart_and_none_is_a_path_or_the_mean(look):
    table = make_events()
    names = {"who": "case:what", "amount": "mean"}
    table = table.rename(columns=names).assign(**{"a/b:c\\d": table["who"].str[::-1] + "x"})
    table["a/b:c\\d"] = np.roll(table["a/b:c\\d"], 1)
    mapping, _ = propose_mapping(look(table))
    assert list(mapping["categories"]) == ["what", "what_2", "mean_2", "a_b_c_d", "time"]
    LogMapping(**mapping)


# -- what is left out, and why


def number_within(table: pd.DataFrame) -> pd.Series:
    return table.groupby("case").cumcount() + 1


LEFT_OUT = {
    "one value": (lambda table: "x", "holds one value alone"),
    "nothing": (lambda table: "", "is blank"),
    "a row's number": (lambda table: np.arange(len(table)), "numbers the rows"),
    "a comment": (lambda table: [f"note {i * 7919 % 9973}" for i in table.index], "hardly holds"),
    "an event's number": (number_within, "counts the events of each sequence"),
    "another name of a kind": (lambda table: table["what"].str.upper(), "follows from 'what'"),
    "another name of a case": (
        lambda table: "K" + table["case"].astype(str),
        "follows from 'case'",
    ),
    "another date": (lambda table: table["when"] + DAY, "is another time"),
}


@pytest.mark.parametrize("make, why", LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_tells_nothing_is_left_out_with_its_reason(look, make, why):
    table = make_events(cases=120)
    mapping, reasons = propose_mapping(look(table.assign(extra=make(table))))
    assert "extra" not in columns_of(mapping)
    (said,) = [reason for reason in reasons if reason.startswith("left out: 'extra' ")]
    assert why in said


def test_a_division_into_parts_is_told_and_not_learned(look):
    table = make_events().assign(fold=lambda table: table["case"] % 3)
    mapping, reasons = propose_mapping(look(table))
    assert "fold" not in columns_of(mapping)
    said = json.loads(reason_for(reasons, "fold").split('"split": ')[1])
    LogMapping(**mapping | {"split": said})
    assert said["by"] == "fold" and len(said["train"]) == 2 and len(said["test"]) == 1
    parts = make_events().assign(part=lambda table: table["what"].str[-1])  # of a machine
    assert "part" in columns_of(propose_mapping(look(parts.drop(columns="what")))[0])


def test_of_what_is_the_same_all_through_a_case_some_are_kept(look):
    table = make_events()
    for number in range(MOST_FIXED + 2):
        table[f"fixed{number}"] = "v" + (table["case"] // (number + 2) % (number + 3)).astype(str)
    mapping, reasons = propose_mapping(look(table))
    kept = [name for name in columns_of(mapping) if "fixed" in name]
    assert kept == [f"fixed{number}" for number in range(MOST_FIXED)]
    assert "the same all through a sequence" in reason_for(reasons, f"fixed{MOST_FIXED}")
    assert list(mapping["streams"].values()) == ["case", "who"]


def test_a_name_of_thousands_of_values_gets_a_size_that_is_borne(look):
    table = make_events(cases=1500, events=6)
    table["product"] = np.random.default_rng(1).integers(0, 2500, len(table)).astype(str)
    mapping, _ = propose_mapping(look(table))
    assert mapping["categories"]["product"]["size"] == 2000


# -- numbers


@pytest.mark.parametrize("marker", ["NA", "NULL", "n/a", "-"])
def test_missing_markers_of_a_number_are_blanks(look, marker):
    table = make_events()
    table["amount"] = table["amount"].astype(str).mask(table.index % 5 == 0, marker)
    seen = look(table)
    mapping, _ = propose_mapping(seen)
    assert mapping["columns"] == {"amount": {"missing": [marker]}}
    row = seen.table().set_index("column").loc["amount"]
    assert row["seems"] == "number" and row["missing"] == 0.2 and row["markers"] == marker
    assert f"20% {marker}" in seen.tell()


def test_a_decimal_comma_is_seen_where_it_alone_fits(look):
    mapping, reasons = propose_mapping(look(make_events(), sep=";", decimal=","))
    assert mapping["columns"] == {"amount": {"decimal": ","}}
    assert "decimal comma" in reason_for(reasons, "amount")


@pytest.mark.parametrize(
    "name, values, kind",
    [
        ("quantity", [1, 2, 3], "number"),
        ("order value", [10, 20, 30], "number"),
        ("team", range(100), "name"),
        ("customer no", range(100), "name"),
        ("zip", ["01067", "10115", "80331"], "name"),
        ("x", [-1, 0, 1], "number"),
        ("x", [0.5, 1, 2], "number"),
        ("x", [0, 1], "name"),
        ("x", range(100), "number"),
        ("x", range(10_000, 10_100), "name"),
    ],
)
def test_numbers_and_codes(look, name, values, kind):
    table = make_events()
    table[name] = np.random.default_rng(2).choice(values, len(table))
    assert look(table).columns[name].kind == kind


# -- what cannot be told


def test_without_a_time_its_option_is_named(look):
    seen = look(make_events().drop(columns="when"))
    refused(lambda: propose_mapping(seen), "--time COLUMN", "'what' (name)", start=seen.path)


def test_a_time_with_blanks_is_none_for_every_event(look):
    table = make_events()
    table["when"] = table["when"].where(table.index > 3)
    refused(lambda: propose_mapping(look(table)), "in every row", "--time COLUMN")


def test_without_a_sequence_its_option_is_named(look):
    seen = look(make_events()[["when", "amount"]])
    refused(lambda: propose_mapping(seen), "--sequence COLUMN", "'amount' (number)")


def test_without_a_kind_its_option_is_named_and_decides(look):
    table = make_events()[["case", "when", "amount"]]
    seen = look(table.assign(x=np.arange(len(table)) * 7 % 90))
    refused(lambda: propose_mapping(seen), "--kind COLUMN")
    mapping, _ = propose_mapping(seen, kind="x")
    assert mapping["categories"]["x"] == {"column": "x", "size": 91}


def test_what_is_said_is_done(look):
    table = make_events().assign(ordered=lambda table: table["when"] - 2 * DAY)
    mapping, _ = propose_mapping(look(table), sequence="who", time=["ordered"], kind="what")
    assert mapping["sequence"] == "who" and mapping["time"] == "ordered"
    refused(lambda: propose_mapping(look(table), kind="wat"), "no column 'wat'", "correct")


def test_a_given_time_that_is_none_is_named_by_row(look):
    refused(lambda: propose_mapping(look(make_events()), time=["who"]), "row 2, column 'who'")


def test_a_close_call_is_told(look):
    table = make_events().rename(columns={"what": "action", "who": "event"})
    _, reasons = propose_mapping(look(table))
    assert "kind: 'event' could be it as well: --kind 'event'" in reasons


# -- the look, and the recipe


def test_the_look_as_a_table_and_as_text(look):
    table = make_events().assign(**{"bad\x1b[31m": "x\x1b[2J"})
    table["who"] = table["who"].where(table.index % 4 > 0)
    seen = look(table)
    shown = seen.table().set_index("column")
    assert shown.loc["who", "blank"] == 0.25 and shown.loc["case", "values"] == 60
    assert shown["seems"].tolist()[:4] == ["name", "name", "name", "time, year first"]
    text = seen.tell()
    assert f"{len(table):,} events and 6 columns" in text and "\x1b" not in text
    assert len(text.splitlines()) == 2 + 6


@pytest.mark.parametrize(
    "cases, events, source, target, batch",
    [(50, 4, 10, 3, 32), (50, 15, 15, 3, 32), (240, 300, 20, 3, 64), (40, 2, 10, 1, 32)],
)
def test_a_recipe_is_sized_by_the_log(look, cases, events, source, target, batch):
    seen = look(make_events(cases, events))
    config = propose_config(seen, LogMapping(**propose_mapping(seen)[0]))
    assert (config["src_seq_len"], config["tgt_seq_len"]) == (source, target)
    windows = int(0.75 * cases * (events - 1))
    assert config["batch_size"] == batch and config["batches"] <= -(-windows // batch)
    assert PASSES[0] <= config["epochs"] <= PASSES[1]
    assert Config(**config).model_dump(include={"hide", "views"}) == {"hide": 0.1, "views": True}
    config["model"]["d_model"] = 8
    assert RECIPE["model"]["d_model"] == 64


def test_a_mapping_of_another_log_has_no_recipe(look):
    seen = look(make_events())
    mapping = propose_mapping(seen)[0] | {"sequence": "nobody", "streams": {"all": "nobody"}}
    mapping = LogMapping(**mapping)
    refused(lambda: propose_config(seen, mapping), "no column 'nobody'")
