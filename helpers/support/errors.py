"""Errors in one line, and a table's check."""

import unicodedata

# Shown as they are though Python calls them unprintable: what joins letters, or keeps them apart,
# in Persian, in Hindi or in an emoji.
JOINERS = "\u200c\u200d"


def in_one_line(text: str) -> str:
    """The text without line ends, of which a name in it may hold any, such as a vertical tab.

    What would move a terminal's cursor, colour it or turn its letters round is shown as \\x1b is.
    """
    return "".join(map(show_letter, " ".join(text.splitlines())))


def show_letter(letter: str) -> str:
    if letter.isprintable() or letter in JOINERS or unicodedata.category(letter) == "Zs":
        return letter
    return letter.encode("unicode_escape").decode()


class InputError(ValueError):
    """Something a user gave us is wrong. One line names the file, the place and the remedy."""

    def __init__(self, message: str):
        super().__init__(in_one_line(message))


class TrainingStopped(RuntimeError):
    """Training cannot go on. One line says where it went wrong."""

    def __init__(self, message: str):
        super().__init__(in_one_line(message))


def check_table(table, columns: tuple, what: str) -> None:
    """Refuses a table that lacks one of these columns or has no row, before a figure would."""
    found = list(getattr(table, "columns", []))
    if missing := [name for name in columns if name not in found]:
        raise InputError(
            f"{what}: no column '{missing[0]}'; it needs {', '.join(columns)}, "
            f"and has {', '.join(map(str, found)) or 'none'}"
        )
    if not getattr(table, "size", 0):
        raise InputError(f"{what}: the table is empty; give one of at least one row")
