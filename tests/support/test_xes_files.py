"""XES, event by event: traces' attributes, nested ones, offsets, faults, and memory."""

import gzip
import tracemalloc

import pytest
from small import read_written, refused

from helpers.support.notes import Notes
from helpers.support.table_files import read_table

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def string(key: str, value: str, inner: str = "") -> str:
    return f'<string key="{key}" value="{value}">{inner}</string>'


def event(*attributes: str) -> str:
    return f"<event>{''.join(attributes)}</event>"


def trace(*parts: str) -> str:
    return f"<trace>{''.join(parts)}</trace>"


def log(*parts: str, about: str = "") -> str:
    return f'{HEAD}<log xes.version="1.0"{about}>{"".join(parts)}</log>'


A, B = event(string("concept:name", "A")), event(string("concept:name", "B"))
ONE = string("concept:name", "one")


@pytest.fixture
def read(tmp_path):
    def read(content, wanted=None, name="log.xes"):
        return read_written(tmp_path / name, content, wanted)

    return read


# What is written, and the columns that it must be read as.
CASE, WHAT = "case:concept:name", "concept:name"
READ = {
    "two traces": (
        log(trace(ONE, A, B), trace(string(WHAT, "two"), B)),
        {CASE: ["one", "one", "two"], WHAT: ["A", "B", "B"]},
    ),
    "a trace's attributes behind its events": (
        log(trace(A, B, ONE), trace(string(WHAT, "two"), B)),
        {WHAT: ["A", "B", "B"], CASE: ["one", "one", "two"]},
    ),
    "a trace without events": (
        log(trace(ONE), trace(string(WHAT, "two"), A)),
        {CASE: ["two"], WHAT: ["A"]},
    ),
    "a trace's attribute that its events have, too": (
        log(trace(ONE, event(string(CASE, "of the event")), A), trace(A)),
        {CASE: ["one", "one", ""], WHAT: ["", "A", "A"]},
    ),
    "an attribute of some events and traces": (
        log(trace(A), trace(ONE, event(string("who", "E")), A)),
        {WHAT: ["A", "", "A"], "who": ["", "E", ""], CASE: ["", "one", "one"]},
    ),
    "one within another": (
        log(trace(event(string("cost", "7", string("currency", "EUR", string("of", "2022")))))),
        {"cost": ["7"], "cost/currency": ["EUR"], "cost/currency/of": ["2022"]},
    ),
    "one within a trace's": (
        log(trace(string("customer", "C", string("town", "Ulm")), A)),
        {WHAT: ["A"], "case:customer": ["C"], "case:customer/town": ["Ulm"]},
    ),
    "a list": (
        log(
            trace(
                event(
                    '<list key="parts"><values>',
                    string("part", "x"),
                    string("part", "y"),
                    "</values></list>",
                )
            )
        ),
        {"parts/part": ["x; y"]},
    ),
    "a container": (
        log(trace(event('<container key="at">', string("room", "3"), "</container>"))),
        {"at/room": ["3"]},
    ),
    "all kinds of values": (
        log(
            trace(
                event(
                    '<date key="time:timestamp" value="2011-10-01T00:38:44.546+02:00"/>',
                    '<int key="n" value="-3"/>',
                    '<float key="x" value="1.50"/>',
                    '<boolean key="ok" value="true"/>',
                    '<id key="id" value="a-b"/>',
                )
            )
        ),
        {
            "time:timestamp": ["2011-10-01T00:38:44.546+02:00"],
            "n": ["-3"],
            "x": ["1.50"],
            "ok": ["true"],
            "id": ["a-b"],
        },
    ),
    "what says nothing of an event": (
        log(
            '<extension name="Time" prefix="time" uri="http://www.xes-standard.org/time.xesext"/>',
            '<global scope="event">' + string("who", "nobody") + "</global>",
            '<classifier name="Activity" keys="concept:name"/>',
            string("source", "a system"),
            trace(ONE, A),
        ),
        {CASE: ["one"], WHAT: ["A"]},
    ),
    "a namespace": (
        log(trace(ONE, A), about=' xmlns="http://www.xes-standard.org/"'),
        {CASE: ["one"], WHAT: ["A"]},
    ),
    "a namespace with a prefix": (
        log(trace(ONE, A), about=' xmlns:x="http://www.xes-standard.org/"')
        .replace("<", "<x:")
        .replace("<x:/", "</x:")
        .replace("<x:?", "<?"),
        {CASE: ["one"], WHAT: ["A"]},
    ),
    "events without a trace": (log(A, B), {WHAT: ["A", "B"]}),
    "escaped signs and spaces": (
        log(trace(event(string(WHAT, " a &lt;b&gt; &amp; Zo&#235; ")))),
        {WHAT: ["a <b> & Zoë"]},
    ),
    "a blank value": (log(trace(event(string(WHAT, "")), A)), {WHAT: ["", "A"]}),
    "a DOCTYPE that declares nothing": (
        log(trace(A)).replace("<log", "<!DOCTYPE log>\n<log"),
        {WHAT: ["A"]},
    ),
}


@pytest.mark.parametrize("content, columns", READ.values(), ids=READ)
def test_attributes_become_columns(read, content, columns):
    frame = read(content)
    assert frame.astype(str).to_dict("list") == columns
    assert frame.index.tolist() == list(range(1, len(frame) + 1))


def test_what_no_event_has_is_no_value(read):
    assert read(log(trace(ONE), trace(string(WHAT, "two"), A)))[CASE].cat.categories == ["two"]


@pytest.mark.parametrize("name", ["log.xes.gz", "log.xes", "log.csv", "log.xml"])
def test_content_tells_what_a_file_is(read, name):
    content = log(trace(ONE, A, B)).encode()
    content = gzip.compress(content) if name.endswith("gz") else content
    assert read(content, [WHAT, CASE], name).to_dict("list") == {
        WHAT: ["A", "B"],
        CASE: ["one", "one"],
    }


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1"])
def test_xml_names_its_own_encoding(read, encoding):
    content = log(trace(event(string(WHAT, "Zoë")))).replace("UTF-8", encoding)
    assert read(content.encode(encoding))[WHAT].tolist() == ["Zoë"]


ENTITIES = '<!DOCTYPE log [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>\n<log'
OCEL = ("object-centric", "flatten it to one type of object")
REFUSED = {
    "cut short": (log(trace(ONE, A))[:-15], ["line 2", "not valid XML", "export the log anew"]),
    "a tag not closed": (log("<trace>", A, "\n\n"), ["line 4", "mismatched tag"]),
    "entities": (log(trace(A)).replace("<log", ENTITIES), ["entities", "without a DOCTYPE"]),
    "another XML": (f"{HEAD}<WorkflowLog><Process/></WorkflowLog>", ["is XML, and not XES"]),
    "objects, the first standard": (
        f"{HEAD}<log><global scope='event'/><events/><objects/></log>",
        OCEL,
    ),
    "objects, the second standard": (f"{HEAD}<log><object-types/></log>", OCEL),
    "an encoding that there is not": (
        log(trace(A)).replace("UTF-8", "no-such"),
        ["cannot be read", "unknown encoding"],
    ),
    "no events": (log(trace(ONE)), ["no column 'concept:name'", "'case:concept:name'"]),
    "no log": ("<html><body>Sign in</body></html>", ["is a web page", "download the log itself"]),
}


@pytest.mark.parametrize("content, words", REFUSED.values(), ids=REFUSED)
def test_what_is_no_log_is_refused_by_what_it_is(read, tmp_path, content, words):
    refused(lambda: read(content, [WHAT]), *words, start=tmp_path / "log.xes")


@pytest.mark.parametrize("end", ["", "</trace><trace>"], ids=["one trace", "many traces"])
def test_memory_does_not_grow_with_the_file(tmp_path, end):
    path, more = tmp_path / "log.xes", [string(f"x{i}", "y" * 300) for i in range(20)]
    path.write_text(log(trace((event(string(WHAT, "A"), *more) + end) * 2000)))
    tracemalloc.start()
    frame = read_table(path, [WHAT], Notes(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(frame) == 2000
    assert peak < 5e6 < path.stat().st_size / 2  # bytes
