// The theme, and the search. Without this script all pages can be read.

// -- the theme: the system's, until the button chooses another

const root = document.documentElement;
root.classList.add("scripted");
const system = matchMedia("(prefers-color-scheme: dark)");

function stored() {
  try { return localStorage.getItem("theme"); } catch { return null; } // where a browser keeps nothing
}

function theme() {
  return stored() ?? root.dataset.theme ?? (system.matches ? "dark" : "light");
}

function choose(name) {
  root.dataset.theme = name;
  try { localStorage.setItem("theme", name); } catch { /* it holds for this page alone */ }
  label();
}

function label() {
  document.getElementById("theme").textContent = theme() === "dark" ? "Light" : "Dark";
  document.getElementById("theme").ariaLabel = theme() === "dark" ? "Light theme" : "Dark theme";
}

if (stored()) root.dataset.theme = stored(); // before the page is drawn

// -- the search: what was found is a list of links below the field

const MOST = 12; // shown
const AROUND = 50; // letters before the word that was found
let sections = []; // of all pages, once search.js is here

const plain = (text) => ` ${text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ")} `;

function loadSections() {
  if (document.getElementById("pages")) return;
  const script = document.createElement("script");
  script.id = "pages";
  script.src = "search.js";
  script.onload = () => {
    sections = PAGES.flatMap(([file, title, parts]) => parts.map(([id, heading, prose, code]) => ({
      address: `${file}#${id}`, title, heading, prose, code,
      fields: [[plain(heading), 100], [plain(title), 50], [plain(prose), 4], [plain(code), 1]],
    })));
    search();
  };
  document.head.append(script);
}

// Each word counts where it weighs most, by how often words begin with it; all must be found.
function rate(words, fields) {
  let sum = 0;
  for (const word of words) {
    const best = Math.max(...fields.map(([text, weight]) => {
      const times = Math.min(5, text.split(` ${word}`).length - 1);
      return weight * (times ? 1 + times : text.includes(word) ? 1 : 0);
    }));
    if (!best) return 0;
    sum += best;
  }
  return sum;
}

function search() {
  const list = document.getElementById("found");
  const words = plain(document.getElementById("search").value).split(" ").filter(Boolean);
  const found = words.length ? sections.map((each) => ({ ...each, score: rate(words, each.fields) }))
    .filter((each) => each.score).sort((a, b) => b.score - a.score) : [];
  list.replaceChildren(...found.slice(0, MOST).map((each) => makeResult(each, words)));
  list.hidden = !words.length;
  const told = found.length > MOST ? `the first ${MOST} of ${found.length} places` :
    found.length === 1 ? "1 place" : `${found.length} places`;
  document.getElementById("count").textContent = words.length ? told : "";
  document.getElementById("count").hidden = !words.length;
}

function makeResult({ address, title, heading, prose, code }, words) {
  const link = document.createElement("a");
  link.href = address;
  link.append(makeLine("strong", heading, words));
  if (title !== heading) link.append(makeLine("small", title, []));
  link.append(makeLine("span", cut(prose, words) ?? cut(code, words) ?? cut(prose, [""]), words));
  const item = document.createElement("li");
  item.append(link);
  return item;
}

// What stands around the first of the words in a text, if one does.
function cut(text, words) {
  const places = words.map((word) => text.toLowerCase().indexOf(word)).filter((at) => at >= 0);
  if (!places.length) return null;
  const start = Math.max(0, Math.min(...places) - AROUND);
  const line = text.slice(start, start + 3 * AROUND);
  return line.slice(start ? line.indexOf(" ") + 1 : 0, line.length < 3 * AROUND ? undefined : line.lastIndexOf(" "));
}

// A line of text with the words marked.
function makeLine(tag, text, words) {
  const line = document.createElement(tag);
  const parts = words.length ? text.split(new RegExp(`(${words.join("|")})`, "iu")) : [text];
  line.append(...parts.map((part, i) => {
    if (i % 2 === 0) return part;
    const mark = document.createElement("mark");
    mark.textContent = part;
    return mark;
  }));
  return line;
}

function closeSearch() {
  document.getElementById("found").hidden = document.getElementById("count").hidden = true;
}

function moveAmongFound(event) {
  const stops = [document.getElementById("search"), ...document.querySelectorAll("#found a")];
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const next = stops.indexOf(document.activeElement) + step;
  stops[Math.max(0, Math.min(next, stops.length - 1))].focus();
}

// -- when the page is there

document.addEventListener("DOMContentLoaded", () => {
  label();
  system.addEventListener("change", label);
  document.getElementById("theme").addEventListener("click", () =>
    choose(theme() === "dark" ? "light" : "dark"));

  const field = document.getElementById("search");
  field.addEventListener("focus", loadSections);
  field.addEventListener("input", search);
  field.addEventListener("focus", search);
  document.querySelector("search").addEventListener("keydown", moveAmongFound);
  document.querySelector("#found").addEventListener("click", closeSearch);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("search")) closeSearch();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { field.focus(); closeSearch(); }
    if (event.key === "/" && document.activeElement === document.body) {
      event.preventDefault();
      field.focus();
    }
  });

  // What scrolls sideways can be reached by the keyboard.
  for (const box of document.querySelectorAll("pre, .scroll, .formula")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
});
