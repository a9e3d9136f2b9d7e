"""The course as a web page that needs no network: every notebook as it is stored, and an index.

python -m helpers.tools.site              # build/site; open index.html in there
"""

from __future__ import annotations

import json
import re
import shutil
import struct
import sys
import time
from pathlib import Path
from typing import NamedTuple

from bs4 import BeautifulSoup, Tag
from jinja2 import Environment, FileSystemLoader
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import MarkdownWithMath
from nbconvert.preprocessors import ExtractOutputPreprocessor
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_notebook, new_output

from helpers.support.commands import prepare_folder, run_command
from helpers.support.files import ROOT
from helpers.tools.course import NOTEBOOKS, WIDGET, read_without
from helpers.tools.guide import Lesson, WithFormulas, read_first_cell

SITE = ROOT / "build" / "site"
TOOLS = Path(__file__).parent
CELLS = TOOLS / "site_cells.html.j2"
FILES = ("site.css", "site.js")
IDS = ("main", "search", "found", "count", "theme", "pages")  # of what is around a page's text
README = ROOT / "README.md"
TEXTS = {README: "about.html", ROOT / "data" / "README.md": "data.html"}
BAR = re.compile(r"\d+%\|| \[\d\d:\d\d")  # what a progress bar leaves behind: 100%|, 0 lines [00:00
FOLDED = re.compile(r"Solution|Answer|Hint")


class Heading(NamedTuple):
    level: int
    id: str
    text: str


class Page(NamedTuple):
    """A page of the site, before what is around its text."""

    file: str
    title: str
    body: str
    headings: list[Heading]
    sections: list[list[str]]  # for the search: id, heading, prose, code
    lesson: Lesson | None = None


# -- from cells to HTML


def render(markdown: str) -> str:
    """The HTML of a text in Markdown."""
    renderer = WithFormulas(escape=False, exclude_anchor_links=True)
    return MarkdownWithMath(renderer=renderer).render(markdown)


def render_line(markdown: str) -> str:
    """The HTML of a line in Markdown, which is no paragraph of its own."""
    return render(markdown).strip().removeprefix("<p>").removesuffix("</p>")


def export(notebook: NotebookNode, name: str) -> tuple[BeautifulSoup, dict[str, bytes]]:
    """A notebook's cells as HTML, and its figures by the paths at which the HTML has them."""
    exporter = HTMLExporter(raw_template=CELLS.read_text(encoding="utf-8"))
    exporter.register_filter("markdown2html", render)
    pictures = ExtractOutputPreprocessor(
        enabled=True, output_filename_template="{unique_key}_{cell_index}_{index}{extension}"
    )
    exporter.register_preprocessor(pictures)
    html, resources = exporter.from_notebook_node(
        notebook, {"unique_key": name, "output_files_dir": "figures"}
    )
    return BeautifulSoup(html, "html.parser"), resources["outputs"]


def read_notebook(path: Path) -> NotebookNode:
    """A notebook as it is stored, without notes to the teacher, widgets and progress bars."""
    notebook = read_without(path, tags=set(), slide_types={"notes"})
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = replace_widgets(cell.outputs)
    return notebook


def replace_widgets(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Outputs with a line in place of a widget, which lives in a kernel; a bar leaves nothing."""
    kept = []
    for output in outputs:
        data = output.get("data", {})
        if WIDGET in data:
            left = data["text/plain"]
            if BAR.search(left):
                continue
            line = f"{left.split('(')[0]} needs a running kernel: open this notebook in JupyterLab."
            output = new_output("display_data", {"text/html": f'<p class="widget">{line}</p>'})
        kept.append(output)
    return kept


# -- from HTML to a page of the site


def make_page(path: Path, files: dict[Path, str]) -> tuple[Page, dict[str, bytes]]:
    """The page of a notebook or of a text in Markdown, and its figures by their paths on the site.

    ``files`` names the page of each source; a link to another file of the project becomes text.
    """
    file, lesson = files[path], None
    if path.suffix == ".ipynb":
        notebook = read_notebook(path)
        lesson = read_first_cell(notebook.cells[0].source, path)
    else:
        notebook = new_notebook(cells=[new_markdown_cell(path.read_text(encoding="utf-8"))])
    soup, figures = export(notebook, Path(file).stem)
    for link in soup.select("a[href]"):
        lead(link, path, files)
    for image in soup.select("img"):
        arrange_image(image, path, figures)
    for table in soup.select("table"):
        table.attrs.pop("border", None)
        table.wrap(soup.new_tag("div", attrs={"class": "scroll"}))
    for style in soup.select("style"):  # pandas' own
        style.decompose()
    taken = set(IDS)
    headings = [name_heading(heading, taken) for heading in soup.select("h1, h2, h3, h4")]
    sections = list_sections(soup)
    for heading in soup.select("h2, h3, h4"):
        about = {"class": "anchor", "href": f"#{heading['id']}", "aria-label": "Link to this part"}
        heading.append(soup.new_tag("a", string="#", attrs=about))
    title = "About the course" if path == README else headings[0].text
    contents = [each for each in headings if each.level in (2, 3)]
    return Page(file, title, str(soup), contents, sections, lesson), figures


def lead(link: Tag, path: Path, files: dict[Path, str]) -> None:
    """Leads a link, written in the file `path`, to the page that its target has on the site."""
    address, hash_, place = link["href"].partition("#")
    if not address or "://" in address:
        return
    page = files.get((path.parent / address).resolve())
    if page:
        link["href"] = page + hash_ + place
    else:
        link.unwrap()


def arrange_image(image: Tag, path: Path, figures: dict[str, bytes]) -> None:
    """Takes an image's file along, tells its size, and links to it: a phone shows it larger.

    An image on the web becomes its words: the site asks nothing of the web.
    """
    if "://" in image["src"]:
        image.replace_with(image["alt"])
        return
    if image["src"] not in figures:
        source = path.parent / image["src"]
        image["src"] = f"figures/{source.name}"
        figures[image["src"]] = source.read_bytes()
    width, height = struct.unpack(">II", figures[image["src"]][16:24])  # where a PNG has them
    image.attrs |= {"class": "figure", "width": width, "height": height, "loading": "lazy"}
    image.wrap(Tag(name="a", attrs={"href": image["src"]}))


def name_heading(heading: Tag, taken: set[str]) -> Heading:
    """Gives a heading an id of its own on its page, made of its words."""
    text = text_of(heading)
    name = id_ = re.sub(r"\W+", "-", text).strip("-").lower()
    number = 1
    while id_ in taken:
        number += 1
        id_ = f"{name}-{number}"
    taken.add(id_)
    heading["id"] = id_
    return Heading(int(heading.name[1]), id_, text)


def text_of(tag: Tag) -> str:
    """The words of a tag."""
    return re.sub(r"\s+", " ", tag.get_text()).strip()


def list_sections(soup: BeautifulSoup) -> list[list[str]]:
    """What the search looks through: id, heading, prose and code of each part of a page.

    What is folded away as an answer, a hint or a solution is not found, nor is what code prints.
    """
    sections = []
    for part in soup.select(".cell:not(.solution, .code) > *, .code > .highlight"):
        summary = part.find("summary")
        if part.name in ("h1", "h2", "h3", "h4"):
            sections.append([part["id"], text_of(part), "", ""])
        elif not (summary and FOLDED.match(summary.get_text())):
            field = 3 if "code" in part.parent["class"] else 2
            sections[-1][field] = f"{sections[-1][field]} {text_of(part)}".strip()
    return sections


# -- the whole site


def make_site(folder: Path = SITE) -> list[Page]:
    """Writes the site into a folder, in place of what was there; its pages, the index first."""
    notebooks = sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))
    if not notebooks:
        sys.exit(f"no notebook in {NOTEBOOKS}")
    files = {path: f"{path.stem}.html" for path in notebooks} | TEXTS
    shutil.rmtree(folder, ignore_errors=True)
    prepare_folder(folder / "figures")
    pages = []
    for path in files:
        page, figures = make_page(path, files)
        pages.append(page)
        for name, content in figures.items():
            (folder / name).write_bytes(content)
    pages.insert(0, make_index(files))
    write_pages(pages, folder)
    for name in FILES:
        shutil.copy(TOOLS / name, folder / name)
    found = [[page.file, page.title, page.sections] for page in pages[1:]]
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    # A script, since a page that was opened as a file may not fetch one.
    (folder / "search.js").write_text(f"const PAGES = {text};\n", encoding="utf-8")
    return pages


def make_index(files: dict[Path, str]) -> Page:
    """The first page: the README's title and first paragraph, and for whom the course is."""
    paragraphs = README.read_text(encoding="utf-8").split("\n\n")
    told = paragraphs[:2] + [each for each in paragraphs if each.startswith("**For whom.**")]
    soup = BeautifulSoup(render("\n\n".join(told)), "html.parser")
    for link in soup.select("a[href]"):
        lead(link, README, files)
    return Page("index.html", "The course", str(soup), [], [])


def write_pages(pages: list[Page], folder: Path) -> None:
    environment = Environment(loader=FileSystemLoader(TOOLS), autoescape=False)
    environment.filters["inline"] = render_line
    around = [None, *pages, None]
    for before, page, after in zip(around, pages, around[2:], strict=False):
        template = "site_index.html.j2" if page.file == "index.html" else "site_page.html.j2"
        html = environment.get_template(template).render(
            page=page, pages=pages, before=before, after=after
        )
        (folder / page.file).write_text(html, encoding="utf-8")


def main() -> None:
    start = time.perf_counter()
    pages = make_site()
    size = sum(path.stat().st_size for path in SITE.rglob("*") if path.is_file())
    print(
        f"{len(pages)} pages, {size / 1e6:.1f} MB, in {time.perf_counter() - start:.0f} s: "
        f"open {SITE / 'index.html'} in a browser; it needs no network"
    )


if __name__ == "__main__":
    run_command(main, "stopped; the same command makes the site anew")
