"""Makes up a small company, a bicycle workshop, and writes its orders as its programs export them.

    python -m helpers.tools.company     # remakes data/company.csv and company.xes.gz

The CSV is as such files come, with three rows that cannot be read. The XES lacks two of them and
has the third as it should be.
"""

from __future__ import annotations

import argparse
import gzip
import math
import random
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd

from helpers.support.commands import run_command
from helpers.support.files import DATA, make_folder, replace_file

SEED, ORDERS = 7, 740  # of this seed, the coins of the test parts are neither lucky nor unlucky
START, END = datetime(2023, 1, 2, 8), datetime(2024, 12, 31, 18)
NEW_CLERK = datetime(2024, 9, 1)  # from then on there is one more clerk, in Zoë's place
NEW_PACE = datetime(2024, 10, 1)  # and from then on everything takes three times as long
BICYCLES = {"city": (0.4, 60), "cargo": (0.25, 140), "e-bike": (0.35, 260)}  # shares, prices
# What a customer wishes when an order is taken in decides how it is told that all is done.
TELLS = {"phone": "customer called", "mail": "message sent", "post": "letter posted"}
DESK, MECHANICS = ["Köhler", "Müller", "Weiß"], ["Jörg", "Tomás", "Zoë"]
WORKSHOP = {"inspected", "part ordered", "repaired", "test ride"}  # the others are the desk's
FOLLOWED = {  # by what, whatever came before; None ends the order
    "taken in": {"inspected": 1.0},
    "inspected": {"offer sent": 0.5, "repaired": 0.5},
    "offer sent": {"offer accepted": 0.9, "offer declined": 0.1},
    "part ordered": {"repaired": 1.0},
    "repaired": {"test ride": 1.0},
    "reminder sent": {"paid": 1.0},
    "paid": {None: 0.94, "refunded": 0.06},
    "refunded": {None: 1.0},
}
HOURS = {  # how long one waits for it, at the median
    "inspected": 4,
    "offer sent": 2,
    "offer accepted": 20,
    "offer declined": 30,
    "part ordered": 1,
    "repaired": 8,
    "test ride": 1,
    "customer called": 2,
    "message sent": 1,
    "letter posted": 5,
    "paid": 60,
    "reminder sent": 340,
    "refunded": 200,
}
PARTS = {"city": 30, "cargo": 70, "e-bike": 300}  # the same of "repaired" after "part ordered"
HEADER = "Order;Date;Activity;Clerk;Contact;Amount;Bicycle;Receipt;Branch"
COLUMNS = HEADER.split(";")
# A day that does not exist, a number with two commas, and a semicolon in a name.
FAULTS = {"Date": "31.11.2023 16:40", "Amount": "12,3,4", "Clerk": "Köhler; trainee"}


def list_next(done: list[str], bicycle: str, contact: str) -> dict[str | None, float]:
    """What can come after these activities of an order, and how likely."""
    last = done[-1]
    if last == "offer accepted":
        ordered = 0.9 if bicycle == "e-bike" else 0.1
        return {"part ordered": ordered, "repaired": 1 - ordered}
    if last in ("offer declined", "test ride"):
        return {told: 0.94 if told == TELLS[contact] else 0.03 for told in TELLS.values()}
    if last in TELLS.values():
        return {None: 1.0} if "offer declined" in done else {"paid": 0.5, "reminder sent": 0.5}
    return FOLLOWED[last]


def simulate(seed: int = SEED, orders: int = ORDERS) -> pd.DataFrame:
    """The events in the order of time, no two in one minute: COLUMNS, `Date` being a datetime.

    And three columns that no export has: `p`, the probability that the activity had, given that
    another one came, and `most`, that of the likeliest one, both NaN at an order's first; and
    `fault`, the column that the CSV has wrong, "" for most.
    """
    rng, rows, taken = random.Random(seed), [], set()
    span = (END - START) / orders
    for number in range(orders):
        bicycle = draw(rng, {name: share for name, (share, _) in BICYCLES.items()})
        price = BICYCLES[bicycle][1] * math.exp(rng.gauss(0, 0.5))
        mechanic, time = rng.choice(MECHANICS), START + (number + rng.random()) * span
        odds, done, contact = {"taken in": 1.0}, [], rng.choice(list(TELLS))
        while activity := draw(rng, odds):
            time = wait(rng, time, activity, done, bicycle)
            while time in taken:
                time += timedelta(minutes=1)
            if time > END:
                break
            taken.add(time)
            come = [share for name, share in odds.items() if name]
            known = (odds[activity] / sum(come), max(come) / sum(come)) if done else (None, None)
            clerk, shown = rng.choice(DESK), contact
            if activity in WORKSHOP:
                clerk, shown = mechanic, ""
                if time >= NEW_CLERK and mechanic == "Zoë":
                    clerk = "Özlem"
            amount = {"offer sent": price, "paid": price, "refunded": -price / 2}.get(activity)
            receipt = f"{rng.randrange(16**5):05x}"
            values = (10_000 + number, time, activity, clerk, shown, amount, bicycle, receipt)
            rows.append((*values, "Graz", *known))
            done.append(activity)
            odds = list_next(done, bicycle, contact)
    events = pd.DataFrame(rows, columns=[*COLUMNS, "p", "most"])
    events = events.sort_values("Date", ignore_index=True).round({"Amount": 2})
    return events.assign(fault=place_faults(events))


def draw(rng: random.Random, odds: dict) -> str | None:
    return rng.choices(list(odds), list(odds.values()))[0]


def wait(
    rng: random.Random, time: datetime, activity: str, done: list[str], bicycle: str
) -> datetime:
    """When it happens: some hours later, and in the workshop's hours, 8 to 18 but on Sundays."""
    if done:
        hours = PARTS[bicycle] if done[-1] == "part ordered" else HOURS[activity]
        slower = 3 if time >= NEW_PACE else 1
        time += timedelta(hours=slower * hours * math.exp(rng.gauss(0, 0.5)))
    while time.weekday() == 6 or not 8 <= time.hour < 18:
        tomorrow = time + timedelta(days=time.hour >= 18 or time.weekday() == 6)
        time = tomorrow.replace(hour=8, minute=0) + timedelta(minutes=rng.randrange(120))
    return time.replace(second=0, microsecond=0)


def place_faults(events: pd.DataFrame) -> list[str]:
    """For each event the column of FAULTS whose value the CSV has wrong; "" for most."""
    places = {
        "Date": events["Date"] >= "2023-12-01",  # the date becomes the day before
        "Amount": (events["Activity"] == "paid") & (events.index > 3000),
        "Clerk": (events["Clerk"] == "Köhler") & (events.index > 4000),
    }
    faults = [""] * len(events)
    for column, fits in places.items():
        faults[fits.idxmax()] = column
    return faults


def is_lost(events: pd.DataFrame) -> pd.Series:
    """Whether an event's row in the CSV cannot be mended: nobody knows what it should say."""
    return events["fault"].isin(["Date", "Amount"])


def write_csv(events: pd.DataFrame) -> bytes:
    """As the cash desk exports it, the newest row first."""
    text = events[COLUMNS].astype(str)
    text["Date"] = events["Date"].dt.strftime("%d.%m.%Y %H:%M")
    amounts = events["Amount"].map("{:.2f}".format).str.replace(".", ",")
    text["Amount"] = amounts.where(events["Amount"].notna(), "NA")
    for column, fault in FAULTS.items():
        text.loc[events["fault"] == column, column] = fault
    lines = [";".join(row) for row in text[::-1].itertuples(index=False)]
    return ("\r\n".join([HEADER, *lines, ""])).encode("cp1252")


def write_xes(events: pd.DataFrame) -> bytes:
    """As a tool for process mining exports it, which leaves out what it cannot read."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<log xes.version="1.0">']
    for order, trace in events[~is_lost(events)].groupby("Order"):
        lines += ["<trace>", write_attribute("string", "concept:name", order)]
        lines.append(write_attribute("string", "Bicycle", trace["Bicycle"].iloc[0]))
        for event in trace.itertuples():
            time = event.Date.to_pydatetime().replace(tzinfo=ZoneInfo("Europe/Vienna"))
            lines += ["<event>", write_attribute("date", "time:timestamp", time.isoformat())]
            lines.append(write_attribute("string", "concept:name", event.Activity))
            lines.append(write_attribute("string", "org:resource", event.Clerk))
            if event.Contact:
                lines.append(write_attribute("string", "Contact", event.Contact))
            if not math.isnan(event.Amount):
                lines.append(write_attribute("float", "Amount", event.Amount))
            lines.append("</event>")
        lines.append("</trace>")
    return "\n".join([*lines, "</log>", ""]).encode()


def write_attribute(kind: str, key: str, value) -> str:
    return f'<{kind} key="{key}" value="{value}"/>'


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.tools.company",
        description="Makes up a bicycle workshop, and writes its orders as CSV and as XES.",
    )
    parser.add_argument("--out", type=Path, default=DATA, metavar="FOLDER", help="%(default)s")
    out = parser.parse_args(arguments).out
    make_folder(out, "--out")
    events = simulate()
    packed = gzip.compress(write_xes(events), 9, mtime=0)
    for name, content in (("company.csv", write_csv(events)), ("company.xes.gz", packed)):
        replace_file(out / name, lambda part, content=content: part.write_bytes(content))
        print(f"{out / name}: {len(content) / 1000:.0f} kB")
    print(f"{len(events):,} events of {events['Order'].nunique():,} orders")


if __name__ == "__main__":
    run_command(main, "stopped; nothing is written")
