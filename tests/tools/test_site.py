"""The web page of the course: what it shows, where its links lead, what a browser makes of it."""

import base64
import re
import tomllib
from fnmatch import fnmatch
from itertools import pairwise

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_output
from test_browser import chromium_page, needs_chromium
from test_notebooks import ROOT, cell, text, tiny

from helpers.support.files import DATA
from helpers.tools import site
from helpers.tools.course import WIDGET
from helpers.tools.guide import space_out

PICTURE = DATA / "shift.png"
README = (
    "# A course\n\nIt is *small*.\n\n![What is drawn](shift.png)\n\n**For whom.** For you.\n\n"
    "[![Open it](https://example.org/badge.svg)](https://example.org/open)\n"
)


def picture_output():
    data = {"image/png": base64.b64encode(PICTURE.read_bytes()).decode(), "text/plain": "<Figure>"}
    return new_output("display_data", data)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project of two tiny notebooks and two texts; the pages are made in its folder `site`."""
    for name in ("01_tiny", "02_next"):
        notebook = tiny()
        notebook.cells[0].source = notebook.cells[0].source.replace("# 01", f"# {name[:2]}")
        notebook.cells += [
            text("## Sums\n\n$x < 1$ and\n\n$$\\sum_i x_i$$\n\nIt costs `$5`."),
            text("## Sums\n\nAgain, with [data](../data/README.md#rows), [one](01_tiny.ipynb), "
                 "[code](../helpers/world.py) and [web](https://example.org)."),
            cell("plot(rare_name)"),
            cell("train()"),
        ]  # fmt: skip
        notebook.cells[-2].outputs = [picture_output()]
        notebook.cells[-2].metadata["alt"] = 'A line that "falls" & rises.'
        notebook.cells[-1].outputs = [
            new_output(
                "display_data", {WIDGET: {}, "text/plain": "epoch 0:   0%|    | 0/9 [00:00"}
            ),
            new_output("execute_result", {WIDGET: {}, "text/plain": "LossExplorer(children=())"}),
            new_output("execute_result", {"text/html": "<table border='1'><td>7</td></table>"}),
        ]
        (tmp_path / "notebooks").mkdir(exist_ok=True)
        nbformat.write(notebook, tmp_path / "notebooks" / f"{name}.ipynb")
    (tmp_path / "data").mkdir()
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "data" / "README.md").write_text("# Data\n\n## Rows\n\nSee [all](../README.md).")
    (tmp_path / "shift.png").write_bytes(PICTURE.read_bytes())
    monkeypatch.setattr(site, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(site, "README", tmp_path / "README.md")
    texts = {tmp_path / "README.md": "about.html", tmp_path / "data" / "README.md": "data.html"}
    monkeypatch.setattr(site, "TEXTS", texts)
    site.make_site(tmp_path / "site")
    return tmp_path / "site"


def read(path):
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def test_a_page_shows_the_notebook_with_solutions_folded_and_no_notes(folder):
    page = read(folder / "02_next.html").main
    shown = page.get_text()
    assert "Ask first" not in shown
    assert [each.summary.get_text() for each in page.select("details.solution")] == 3 * ["Solution"]
    assert all("return a + b" in each.get_text() for each in page.select("details.solution"))
    assert len(page.select(".predict")) == 2
    assert "Not done yet: add" in shown and "One and one is 2" in shown
    assert page.select_one("details > summary").get_text() == "On this page"
    assert "Answer" in [each.get_text() for each in page.select("summary")]


def test_a_progress_bar_leaves_nothing_and_a_widget_a_line(folder):
    page = read(folder / "02_next.html").main
    assert "epoch 0" not in page.get_text()
    assert [each.get_text() for each in page.select(".widget")] == [
        "LossExplorer needs a running kernel: open this notebook in JupyterLab."
    ]


@pytest.mark.parametrize(
    "left, shown",
    [
        ("epoch 0:   0%|          | 0/450 [00:00<?, ?batch/s]", []),
        ("the other program: 0 lines [00:00, ? lines/s]", []),
        ("ForecastExplorer(children=(HBox(children=(VBox(...", ["ForecastExplorer needs"]),
    ],
)
def test_bars_are_told_from_widgets(left, shown):
    widget = new_output("display_data", {WIDGET: {"model_id": "1"}, "text/plain": left})
    kept = site.replace_widgets([widget, new_output("stream", text=left)])
    assert kept[-1].text == left
    assert [each.data["text/html"][18:40] for each in kept[:-1]] == shown


def test_formulas_are_mathml(folder):
    page = read(folder / "02_next.html").main
    inline, block = page.select("math")
    assert (inline["display"], block["display"]) == ("inline", "block")
    assert inline.get_text() == "x<1"
    assert "$" not in page.get_text().replace("$5", "")


@pytest.mark.parametrize(
    "formula, spaced",
    [
        (r"T \ln 8", r"T \,\ln\, 8"),
        (r"-\ln p_\text{true}", r"-\ln\, p_\text{true}"),
        (r"\ln(\text{size})", r"\ln(\text{size})"),
        (r"-\ln", r"-\ln"),
        (r"(1 - c) \ln 8", r"(1 - c) \,\ln\, 8"),
    ],
)
def test_a_logarithm_stands_apart_from_its_neighbours(formula, spaced):
    assert space_out(formula) == spaced


def test_a_figure_is_a_file_with_its_text_its_size_and_a_link_to_it(folder):
    image = read(folder / "02_next.html").select_one(".output img")
    assert image["alt"] == 'A line that "falls" & rises.'
    assert re.fullmatch(r"figures/02_next_\d+_0\.png", image["src"])
    assert image["src"] == image.parent["href"]
    assert (folder / image["src"]).read_bytes() == PICTURE.read_bytes()
    assert int(image["width"]) > int(image["height"]) > 100
    about = read(folder / "about.html").select_one("img")
    assert (about["src"], about["alt"]) == ("figures/shift.png", "What is drawn")
    badge = read(folder / "about.html").find("a", href="https://example.org/open")
    assert badge.get_text() == "Open it" and not badge.find("img")


def test_links_lead_to_pages_of_the_site_and_what_is_not_there_is_text(folder):
    page = read(folder / "02_next.html").main
    links = {link.get_text(): link["href"] for link in page.select("a[href]")}
    assert links["data"] == "data.html#rows"
    assert links["one"] == "01_tiny.html"
    assert links["web"] == "https://example.org"
    assert "code" not in links and "code and" in page.get_text()
    assert "Before 01 · A tiny notebook" in links and "Next About the course" in links
    assert read(folder / "data.html").main.find("a", string="all")["href"] == "about.html"


def test_headings_of_the_same_words_have_ids_of_their_own_and_are_listed(folder):
    page = read(folder / "02_next.html")
    ids = [each["id"] for each in page.main.select("h2")]
    assert ids == ["quiz", "what-we-saw", "sums", "sums-2"]
    listed = [link["href"] for link in page.select("nav.contents a")]
    assert listed[-3:] == ["#what-we-saw", "#sums", "#sums-2"]
    assert listed[0] == "#exercise-01-1-add"


def test_the_index_says_of_each_notebook_what_its_first_cell_says(folder):
    page = read(folder / "index.html")
    assert page.h1.get_text() == "A course" and "For you." in page.main.get_text()
    cards = page.select(".cards > li")
    assert [card.a["href"] for card in cards] == ["01_tiny.html", "02_next.html"]
    said = re.sub(r"\s+", " ", cards[0].get_text())
    assert "How small may it be?" in said
    assert "40 minutes to teach, 50 for the exercises, 1 to run" in said
    assert [each.get_text() for each in cards[0].select("li")] == ["add", "say so", "stop"]
    assert "Before it: nothing." in said
    assert page.select(".question strong") == []


def test_the_search_knows_prose_and_code_and_no_answer(folder):
    page, _ = site.make_page(
        site.NOTEBOOKS / "02_next.ipynb", {site.NOTEBOOKS / "02_next.ipynb": "02_next.html"}
    )
    headings, whole = [section[1] for section in page.sections], str(page.sections)
    assert headings[0] == "02 · A tiny notebook" and headings[-2:] == ["Sums", "Sums"]
    id_, _, prose, code = page.sections[-1]
    assert id_ == "sums-2"
    assert prose.startswith("Again, with data") and "plot(rare_name)" in code
    assert "your code" in whole and "Predict before" in whole
    for hidden in ("It is 2", "Think.", "return a + b", "Not done yet: add\\n"):
        assert hidden not in whole
    assert "rare_name" in (folder / "search.js").read_text(encoding="utf-8")


def test_an_old_site_is_replaced_and_a_folder_without_notebooks_is_said(folder, monkeypatch):
    (folder / "old.html").touch()
    site.make_site(folder)
    assert not (folder / "old.html").exists()
    monkeypatch.setattr(site, "NOTEBOOKS", folder)
    with pytest.raises(SystemExit, match="no notebook in"):
        site.make_site(folder)


def test_what_the_site_is_made_of_is_installed_with_the_package():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["helpers.tools"]
    parts = [path.name for path in site.TOOLS.glob("site*") if path.suffix != ".py"]
    assert {"site.css", "site.js", "site_cells.html.j2", "site_page.html.j2"} < set(parts)
    assert all(any(fnmatch(part, pattern) for pattern in patterns) for part in parts)


# -- colours


def brightness(colour: str) -> float:
    """Relative luminance, as WCAG has it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return sum(weight * x for weight, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    dark, light = sorted(map(brightness, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(theme):
    css = (site.TOOLS / "site.css").read_text(encoding="utf-8")
    pairs = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", css)
    colours = {name: values[theme] for name, *values in pairs}
    grounds = ("page", "raised", "warm-page", "mark")
    texts = set(colours) - {*grounds, "line"}
    assert len(texts) >= 9
    weak = {
        (front, behind): contrast(colours[front], colours[behind])
        for front in texts
        for behind in grounds
        if behind != "mark" or front == "text"
    }
    assert {pair: value for pair, value in weak.items() if value < 4.5} == {}


# -- the whole site, as it is


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The site of the course."""
    folder = tmp_path_factory.mktemp("whole") / "a site with ümläuts"
    site.make_site(folder)
    return folder


@pytest.fixture(scope="module")
def pages(whole):
    """Its pages by the names of their files, to be read."""
    return {path.name: read(path) for path in whole.glob("*.html")}


def test_no_link_of_the_site_is_dead(whole, pages):
    assert len(pages) == len(list(site.NOTEBOOKS.glob("*.ipynb"))) + 3
    dead = []
    for name, page in pages.items():
        for link in page.select("a[href]"):
            file, _, place = link["href"].partition("#")
            if "://" in file:
                continue
            there = pages.get(file or name)
            if not (whole / file).exists() or (place and not there.find(id=place)):
                dead.append(f"{name}: {link['href']}")
    assert dead == []


def test_the_site_asks_the_web_for_nothing(pages):
    for page in pages.values():
        sources = [each.get("src") or each.get("href") for each in page.select("[src], link[href]")]
        assert all("//" not in source for source in sources)
        assert {each for each in sources if not each.startswith("data:")} >= {"site.css", "site.js"}
        assert page.select("iframe, object, embed, script:not([src])") == []
    for name in site.FILES:
        text = (site.TOOLS / name).read_text(encoding="utf-8")
        assert not re.search(r"https?:|@import|url\(", text)


def test_every_page_is_a_page_of_its_own(pages):
    for name, page in pages.items():
        assert page.html["lang"] == "en" and page.title.get_text()
        assert len(page.select("h1")) == len(page.select("main")) == 1
        ids = [each["id"] for each in page.select("[id]")]
        assert len(ids) == len(set(ids)), name
        assert "$" not in re.sub(r"\$\d", "", " ".join(page.main.find_all(string=is_prose)))
        levels = [int(each.name[1]) for each in page.select("h1, h2, h3, h4")]
        assert all(after - before <= 1 for before, after in pairwise(levels)), name


def is_prose(string) -> bool:
    return string.find_parent(["code", "pre"]) is None


# -- in a browser, from the files


@needs_chromium
def test_on_a_phone_no_page_scrolls_sideways_and_none_asks_the_web(whole):
    with chromium_page(390, 844) as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        for path in sorted(whole.glob("*.html")):
            page.goto(path.as_uri())
            page.eval_on_selector_all("details", "all => all.forEach(each => each.open = true)")
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 390, (path.name, wide)
        assert len(asked) > 30
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


@needs_chromium
def test_a_search_leads_to_the_heading(whole):
    heading = read(whole / "06_category_losses.html").select_one("h2")
    words = heading.get_text().removesuffix("#")
    with chromium_page() as page:
        page.goto((whole / "index.html").as_uri())
        page.keyboard.press("/")
        page.keyboard.type("floor")
        found = page.locator("#found a")
        found.first.wait_for()
        texts = found.all_inner_texts()
        assert len(texts) > 5 and all("floor" in each.lower() for each in texts)
        page.keyboard.type(" zebra")
        page.get_by_text("0 places").wait_for()
        page.locator("#search").fill(words)
        assert found.first.locator("strong").inner_text() == words
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**/06_category_losses.html#{heading['id']}")
        top = page.locator(f"#{heading['id']}").bounding_box()["y"]
        assert 40 < top < 300  # below the bar at the top
        page.keyboard.press("/")
        page.keyboard.type("floor")
        found.first.wait_for()
        page.keyboard.press("Escape")
        assert page.locator("#found").is_hidden()


@needs_chromium
def test_the_theme_is_the_system_s_until_another_is_chosen_and_is_kept(whole):
    def ground(page) -> str:
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    with chromium_page() as page:
        page.emulate_media(color_scheme="light")
        page.goto((whole / "index.html").as_uri())
        light = ground(page)
        page.emulate_media(color_scheme="dark")
        dark = ground(page)
        assert light != dark
        page.get_by_role("button", name="Light theme").click()
        assert ground(page) == light
        page.goto((whole / "01_data_prep.html").as_uri())
        assert ground(page) == light
        page.get_by_role("button", name="Dark theme").click()
        page.reload()
        assert ground(page) == dark
        image = page.locator("img.figure").first
        assert image.evaluate("each => getComputedStyle(each).backgroundColor") == light


@needs_chromium
def test_the_keyboard_reaches_the_text_and_shows_where_it_is(whole):
    with chromium_page() as page:
        page.goto((whole / "06_category_losses.html").as_uri())
        page.keyboard.press("Tab")
        skip = page.locator(".skip")
        assert skip.bounding_box()["y"] >= 0
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
