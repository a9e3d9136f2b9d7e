"""What is said stays in a line, and commands no terminal."""

import pytest

from helpers.support.errors import InputError, TrainingStopped, in_one_line

SHOWN = {
    "a colour": ("\x1b[31mred", r"\x1b[31mred"),
    "a title": ("\x1b]0;mine\x07", r"\x1b]0;mine\x07"),
    "a command of one byte": ("\x9b2J", r"\x9b2J"),
    "letters turned round": ("a\u202eb\u2066c", r"a\u202eb\u2066c"),
    "marks of direction": ("\u200ea\u200f", r"\u200ea\u200f"),
    "NUL, backspace and delete": ("\x00\b\x7f", r"\x00\x08\x7f"),
    "a tabulator": ("a\tb", r"a\tb"),
    "nothing to be seen": ("\ufeff\u00ad\u2060", r"\ufeff\xad\u2060"),
    "half a letter": ("\ud800", r"\ud800"),
    "a letter of nobody's": ("\U000e0001", r"\U000e0001"),
    "line ends": ("a\r\nb\nc\vd\x85e\u2028f", "a b c d e f"),
    "nothing": ("", ""),
}
AS_THEY_ARE = ["Grüße, Ærøskøbing", "Ünal e\u0301", "Привет", "山田　太郎", "עברית مرحبا", "नमस्ते"]
AS_THEY_ARE += [
    "می\u200cخواهم",
    "🦆 👩\u200d🔧",
    "a\\b \\x1b",
    "10\u00a0000\u202f€",
    "<b>&amp;</b>",
]


@pytest.mark.parametrize("text, shown", SHOWN.values(), ids=SHOWN)
def test_what_would_command_a_terminal_is_shown_by_its_number(text, shown):
    assert in_one_line(text) == shown
    for error in (InputError, TrainingStopped):
        assert str(error(f"log.csv: {text}; mend it")) == f"log.csv: {shown}; mend it"


@pytest.mark.parametrize("text", AS_THEY_ARE)
def test_letters_of_all_languages_stay_as_they_are(text):
    assert in_one_line(text) == text
