// Keyboard, theme, graph and chart. Every page works without this file, except that the two pictures are missing.
"use strict";

const search = document.getElementById("search");
const suggestions = document.getElementById("suggestions");

document.addEventListener("keydown", (event) => {
  if (!search) return;
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  const wanted = (event.key === "/" && !typing) || (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey));
  if (wanted) {
    event.preventDefault();
    search.focus();
    search.select();
  }
});

if (search) {
  search.form.addEventListener("keydown", (event) => {
    const links = [...suggestions.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (event.key === "Escape") {
      suggestions.replaceChildren();
      search.focus();
    } else if (links.length && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const next = event.key === "ArrowDown" ? at + 1 : at - 1;
      (next < 0 ? search : links[Math.min(next, links.length - 1)]).focus();
    }
  });
  search.addEventListener("input", () => { if (!search.value) suggestions.replaceChildren(); });
}

// What changes a page in place and fails leads where it would have led without a script, so that the cause is seen. A
// page that looks again by itself does so once more, as a whole, where the session has ended. Elsewhere the cause stands
// where the answer would, or above what stays until there is one, and is said once however often the page asks.
document.addEventListener("htmx:responseError", (event) => {
  const { target, xhr, pathInfo } = event.detail;
  if (event.target.matches("a[href], form")) location.href = pathInfo.finalRequestPath;
  else if (xhr.status === 401) location.reload();
  else if (event.target.getAttribute("hx-trigger") === "load") event.target.replaceChildren(failure(xhr));
  else if (target !== suggestions && !toldAbove(target)) {
    target.before(failure(xhr));
    toldAbove(target).appendChild(document.createElement("p")).append("What is shown below may be out of date.");
  }
});

function failure(answer) {
  const page = new DOMParser().parseFromString(answer.response, "text/html");
  const said = [...page.querySelectorAll(".error > h1, .error > .cure")].map((each) => [...each.childNodes]);
  if (!said.length) said.push([`The dashboard could not answer (${answer.status}).`]); // a proxy's page is not ours
  const box = document.createElement("div");
  box.className = "failure";
  box.dataset.told = "";
  box.setAttribute("role", "alert");
  for (const each of said) box.appendChild(document.createElement("p")).append(...each);
  return box;
}

function toldAbove(place) {
  const above = place.previousElementSibling;
  return above?.matches("[data-told]") ? above : null;
}

// While nobody answers, the page says so: what it shows may be old.
const away = document.getElementById("away");
document.addEventListener("htmx:sendError", () => {
  if (!away.hidden) return;
  away.hidden = false;
  const looking = setInterval(() => fetch("/healthz").then(() => {
    clearInterval(looking);
    away.hidden = true;
    if (document.querySelector("[hx-trigger=load]")) location.reload(); // what it never got is asked for again
  }, () => {}), 3000);
});

// A page that looks again by itself takes nothing away from under a finger, since the next look brings the same, and leaves
// tables where they were scrolled to. Nor does a late answer replace suggestions that somebody has gone on to. Whatever
// changes in place leaves open what was, and the focus where it was: htmx finds it again by its id, and links and buttons
// without one are known by what they are and send. Were their place alone to tell, it could be another row's by then.
let pressing = false;
let scrolled = null;
let kept = null;
const NAMELESS = "main :is(a[href], button):not([id])";
const tables = () => [...document.querySelectorAll(".scroll")];
for (const name of ["pointerdown", "keydown"]) addEventListener(name, () => { pressing = true; }, true);
for (const name of ["pointerup", "pointercancel", "keyup", "blur"]) {
  addEventListener(name, (event) => { if (name !== "blur" || event.target === window) setTimeout(() => { pressing = false; }); }, true);
}
document.addEventListener("htmx:beforeSwap", (event) => {
  const { requestConfig, target } = event.detail;
  const looks = requestConfig.elt.getAttribute("hx-trigger")?.startsWith("every");
  if ((looks && pressing) || (target === suggestions && suggestions.contains(document.activeElement))) event.detail.shouldSwap = false;
  if (!event.detail.shouldSwap) return;
  toldAbove(target)?.remove();
  if (looks) scrolled = tables().map((table) => table.scrollLeft);
  const active = document.activeElement;
  const what = active.matches(NAMELESS) && knownBy(active);
  kept = {
    id: active.id,
    what,
    at: what ? alike(what).indexOf(active) : -1,
    open: [...document.querySelectorAll("details[id][open]")].map((each) => each.id),
  };
});
document.addEventListener("htmx:afterSettle", () => {
  if (scrolled) tables().forEach((table, index) => { table.scrollLeft = scrolled[index] ?? 0; });
  for (const id of kept?.open ?? []) document.getElementById(id)?.setAttribute("open", "");
  const lost = kept && document.activeElement === document.body;
  const again = lost && (kept.id ? document.getElementById(kept.id) : kept.what && alike(kept.what)[kept.at]);
  if (again) again.focus({ preventScroll: true });
  scrolled = kept = null;
});

function knownBy(element) {
  const sent = [...(element.form?.elements ?? [])].filter((each) => each.type === "hidden" && each.name !== "csrf_token");
  return [element.outerHTML, ...sent.map((each) => each.value)].join("\n");
}
function alike(what) {
  return [...document.querySelectorAll(NAMELESS)].filter((each) => knownBy(each) === what);
}

// On a phone the rows of a wide table stand below each other: each value then says what it is.
document.addEventListener("htmx:load", (event) => {
  for (const table of event.target.querySelectorAll("table[data-stacks]")) {
    const names = [...table.tHead.rows[0].cells].map((cell) => (cell.firstElementChild ? "" : cell.textContent));
    for (const row of table.tBodies[0].rows) for (const cell of row.cells) cell.dataset.label = names[cell.cellIndex];
    table.classList.add("stacked");
  }
});

// Whoever asks what would be recommended is shown it: on a narrow screen the list stands far above the question. Where
// they stood on what the answer does without, as `undo`, they go on from its heading.
document.addEventListener("htmx:afterSettle", (event) => {
  const heading = event.target.id === "taste" && document.getElementById("recommended");
  if (!heading) return;
  if (document.activeElement === document.body) heading.focus({ preventScroll: true });
  const { top, bottom } = heading.getBoundingClientRect();
  if (top < 0 || bottom > innerHeight) heading.closest("section").scrollIntoView();
});

// What cannot be taken back is asked about; what a button has sent is not sent twice by a second click.
let sent = new WeakMap();
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.getAttribute("method") !== "post" || event.defaultPrevented) return; // a field may be called `method`
  const button = event.submitter ?? form;
  const question = button.dataset.confirm;
  if (sent.get(form) === button || (question && !confirm(question))) {
    event.preventDefault();
    return;
  }
  sent.set(form, button);
  button.dataset.sent = "";
  setTimeout(() => { // what it answers with may be a file, and the page stay
    if (sent.get(form) === button) sent.delete(form);
    delete button.dataset.sent;
  }, 3000);
});
addEventListener("pageshow", () => {
  sent = new WeakMap();
  document.querySelectorAll("[data-sent]").forEach((button) => delete button.dataset.sent);
});

// Whatever somebody asked for and that takes longer than a moment shows, at the top of the window, that it is under way.
const busy = document.getElementById("busy");
document.addEventListener("submit", (event) => {
  if (!event.defaultPrevented && !event.submitter?.hasAttribute("data-file")) busy.hidden = false; // of a file nobody tells when it is there
});
for (const [name, done] of [["beforeRequest", false], ["afterRequest", true]]) {
  document.addEventListener(`htmx:${name}`, (event) => {
    if (["click", "submit"].includes(event.detail.requestConfig.triggeringEvent?.type)) busy.hidden = done;
  });
}
addEventListener("pageshow", () => { busy.hidden = true; });

// On a narrow screen the areas scroll sideways: begin with the one that is open.
const areas = document.querySelector(".bar nav");
const current = areas?.querySelector("[aria-current]");
if (current) areas.scrollLeft = current.offsetLeft - areas.offsetLeft - (areas.clientWidth - current.offsetWidth) / 2;

document.addEventListener("click", (event) => {
  const open = document.querySelector("details.menu[open]");
  if (open && !open.contains(event.target)) open.open = false;
});
document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (!open) return;
  open.open = false;
  open.firstElementChild.focus();
});

function theme() {
  const chosen = document.documentElement.dataset.theme;
  return chosen || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

document.querySelector("[data-theme-toggle]").addEventListener("click", () => {
  const other = theme() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = other;
  document.cookie = `theme=${other}; path=/; max-age=31536000; samesite=lax`;
  draw();
});

// A property holds both themes (`light-dark(…)`); only an element's computed colour says which holds.
function colour(name) {
  const probe = document.body.appendChild(document.createElement("span"));
  probe.style.color = `var(--${name})`;
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

// The layout is a pure function of the data: a column a kind, rows ordered by the mean row of their neighbours, so
// that the same page always shows the same picture and labels never cover each other.
const COLUMNS = ["Intent", "Interest", "User", "Item", "Entity"];
const SHAPES = { User: "ellipse", Item: "round-rectangle", Entity: "diamond", Interest: "hexagon", Intent: "triangle" };
const COLUMN_WIDTH = 215;
const TALL = 500;
const MOST_ROWS = 18;
const LARGEST = 1.15;

function positions(nodes, edges, width) {
  const present = COLUMNS.filter((label) => nodes.some((node) => node.label === label));
  const columns = present.map((label) => nodes.filter((node) => node.label === label).map((node) => node.key));
  const around = new Map(nodes.map((node) => [node.key, []]));
  for (const edge of edges) {
    around.get(edge.source).push(edge.target);
    around.get(edge.target).push(edge.source);
  }
  const row = new Map();
  const place = (column) => column.forEach((key, index) => row.set(key, index - (column.length - 1) / 2));
  columns.forEach(place);
  for (let sweep = 0; sweep < 8; sweep += 1) {
    for (const column of columns) {
      const mean = (key) => {
        const others = around.get(key).filter((other) => !column.includes(other));
        return others.length ? others.reduce((sum, other) => sum + row.get(other), 0) / others.length : row.get(key);
      };
      const wanted = new Map(column.map((key) => [key, mean(key)]));
      column.sort((a, b) => wanted.get(a) - wanted.get(b) || (a < b ? -1 : 1));
      place(column);
    }
  }
  // Few rows stand further apart, so that the picture is as tall as the list beside it.
  const split = columns.map((column) => Math.ceil(column.length / MOST_ROWS));
  const most = Math.max(...columns.map((column, index) => Math.ceil(column.length / split[index])));
  const zoom = Math.min(1.1, width / (COLUMN_WIDTH * split.reduce((sum, parts) => sum + parts, 0)));
  const rowHeight = Math.min(40, Math.max(24, TALL / zoom / (most + 1)));
  let x = 0;
  const at = new Map();
  for (const column of columns) { // a long column goes on beside itself
    const rows = Math.ceil(column.length / Math.ceil(column.length / MOST_ROWS));
    column.forEach((key, index) => {
      const height = Math.min(rows, column.length - Math.floor(index / rows) * rows);
      at.set(key, {
        x: (x + Math.floor(index / rows)) * COLUMN_WIDTH,
        y: ((index % rows) - (height - 1) / 2) * rowHeight,
      });
    });
    x += Math.ceil(column.length / rows);
  }
  return { at, height: Math.max(160, (most + 1) * rowHeight * zoom) };
}

let picture = null;
function drawGraph(box) {
  const { nodes, edges, centres = 1 } = JSON.parse(document.getElementById("graph-data").textContent);
  const { at, height } = positions(nodes, edges, box.clientWidth);
  const column = (node) => at.get(node.key).x;
  const middle = centres ? Math.min(...nodes.slice(0, centres).map(column)) : Math.max(...nodes.map(column));
  box.style.height = `${height}px`;
  const short = (name) => (name.length > 28 ? `${name.slice(0, 27)}…` : name);
  if (picture) picture.destroy();
  picture = cytoscape({
    container: box,
    elements: [
      ...nodes.map((node, index) => ({
        data: { id: node.key, name: short(node.name), href: node.href },
        classes: [node.label, index < centres && "centre", index >= centres && column(node) < middle && "before",
          index < centres && nodes.every((other) => other === node || column(other) !== column(node)) && "alone"].filter(Boolean),
        position: at.get(node.key),
      })),
      ...edges.map((edge, index) => ({ data: { id: `e${index}`, source: edge.source, target: edge.target }, classes: `${edge.type}${edge.pruned ? " pruned" : ""}` })),
    ],
    layout: { name: "preset", fit: true, padding: 24 },
    minZoom: 0.3, maxZoom: 2.5, autoungrabify: true, boxSelectionEnabled: false,
    style: [
      { selector: "node", style: {
        label: "data(name)", width: 10, height: 10, "font-size": 11, "font-family": "system-ui, sans-serif",
        color: colour("ink"), "text-halign": "right", "text-valign": "center", "text-margin-x": 5,
        "text-background-color": colour("ground"), "text-background-opacity": 0.85, "text-background-padding": 1 } },
      ...Object.entries(SHAPES).map(([label, shape]) => (
        { selector: `node.${label}`, style: { shape, "background-color": colour(label.toLowerCase()) } })),
      { selector: "node.before", style: { "text-halign": "left", "text-margin-x": -5 } }, // its edges go to the right
      { selector: "node.centre", style: { width: 18, height: 18, "font-weight": 700, "font-size": 12, "text-background-opacity": 1 } },
      { selector: "node.alone", style: { "text-halign": "center", "text-valign": "top", "text-margin-x": 0, "text-margin-y": -3 } },
      { selector: "edge", style: { width: 1, "line-color": colour("muted"), opacity: 0.28, "curve-style": "haystack" } },
      { selector: "edge.RECOMMENDED", style: { "line-style": "dashed", "line-color": colour("accent"), opacity: 0.6 } },
      { selector: "edge.pruned", style: { "line-style": "dotted", "line-color": colour("bad"), opacity: 0.6 } },
      { selector: ".faint", style: { opacity: 0.1 } },
      { selector: "edge.near", style: { width: 1.5, opacity: 0.9 } },
    ],
  });
  if (picture.zoom() > LARGEST) { // few nodes stay as large as their names beside them
    picture.zoom(LARGEST);
    picture.center();
  }
  picture.on("mouseover", "node", (event) => {
    const near = event.target.closedNeighborhood();
    box.dataset.hovering = "";
    picture.elements().not(near).addClass("faint");
    near.edges().addClass("near");
  });
  picture.on("mouseout", "node", () => {
    delete box.dataset.hovering;
    picture.elements().removeClass("faint near");
  });
  picture.on("tap", "node", (event) => { location.href = event.target.data("href"); });
  picture.userZoomingEnabled(false); // the page scrolls over the picture; zoom with Ctrl held
  box.addEventListener("wheel", (event) => picture.userZoomingEnabled(event.ctrlKey), { capture: true, passive: true });
}

// Charts write numbers as the page does, whatever the browser prefers: uPlot asks for its language when it loads, and Intl
// refuses what some systems call theirs (`en-US@posix`).
Object.defineProperty(navigator, "language", { value: document.documentElement.lang, configurable: true });

let charts = [];
function drawCharts(boxes) {
  const { epochs, series, counted } = JSON.parse(document.getElementById("curve-data").textContent);
  const say = (box, index) => { // the value under the pointer, else the last
    const at = index ?? epochs.length - 1;
    const value = series[box.dataset.chart][at];
    box.previousElementSibling.textContent = `${box.dataset.chart}: ${value === null ? "–" : value.toPrecision(4)} at ${counted} ${epochs[at]}`;
  };
  charts.forEach((chart) => chart.destroy());
  charts = boxes.map((box) => {
    const axis = { stroke: colour("muted"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line") } };
    const options = {
      width: box.clientWidth, height: 180, scales: { x: { time: false } }, cursor: { y: false }, legend: { show: false },
      axes: [{ ...axis, space: 60, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] }, { ...axis, size: 64 }],
      series: [{}, { stroke: colour("accent"), width: 1.5, spanGaps: true, points: { show: epochs.length < 40 } }],
      hooks: { setCursor: [(chart) => say(box, chart.cursor.idx)] },
    };
    return new uPlot(options, [epochs, series[box.dataset.chart]], box);
  });
}

function draw() {
  const box = document.querySelector("[data-graph]");
  const boxes = [...document.querySelectorAll("[data-chart]")];
  if (box && window.cytoscape) drawGraph(box);
  if (boxes.length && window.uPlot) drawCharts(boxes);
}

let waiting;
addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(draw, 200); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
document.addEventListener("DOMContentLoaded", draw);
