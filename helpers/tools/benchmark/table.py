"""The benchmark's table: a row per figure, and in words whether the machine was disturbed."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from helpers.tools.benchmark.machine import describe_machine

SETTINGS = ["batch", "d_model", "size"]
COLUMNS = ["part", "name", *SETTINGS, "value", "low", "high", "unit", "disturbed", "machine"]


def make_table(rows: list[dict]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=COLUMNS).assign(machine=describe_machine())
    return table.astype(dict.fromkeys(SETTINGS, "Int64")).round(4)


def read_table(path: Path) -> pd.DataFrame:
    blank = dict.fromkeys([*SETTINGS, "disturbed"], "")  # elsewhere "" is a text, as of a unit
    table = pd.read_csv(path, keep_default_na=False, na_values=blank)
    return table.astype(dict.fromkeys(SETTINGS, "Int64"))


def replace_parts(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """The table that is stored there, with these rows in the place of those of the same parts."""
    stored = read_table(path)
    return pd.concat([stored[~stored["part"].isin(table["part"])], table], ignore_index=True)


def tell_disturbance(table: pd.DataFrame) -> str:
    """Whether something else was at work, and which part's figures stand on such turns."""
    shares = table.groupby("part", sort=False)["disturbed"].max()
    named = [f"{part} ({share:.0%})" for part, share in shares[shares > 0].items()]
    if not named:
        return "Nothing else was at work on this machine, as far as could be seen."
    return (
        f"The machine was disturbed: something else was at work in so large a share of the turns, "
        f"though they were repeated: {', '.join(named)}. Close what else runs, and measure anew."
    )
