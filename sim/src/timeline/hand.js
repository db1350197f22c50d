// What the hand does: pointer, wheel, keys, inputs, links.

const byId = id => document.getElementById(id);

function select(event, follow) {
  if (event < 0 || event >= COUNT) return;
  selected = event;
  if (!isShown(event)) clearFilter();
  if (follow) bringIntoSight(event);
  describe();
  writeLink();
  redraw();
}

function clearFilter() {
  [byId("filter").value, byId("from").value, byId("to").value] = ["", "", ""];
  filterText = "";
  range = [0, DATA.end];
  hiddenGroups.clear();
  byId("kinds").querySelectorAll("button:not(#datagrams)").forEach(button => button.setAttribute("aria-pressed", "true"));
  applyFilter();
}

function bringIntoSight(event) {
  const span = t1 - t0, time = at[event];
  if (time < t0 + span * 0.05 || time > t1 - span * 0.05) show(time - span / 2, time + span / 2);
  const row = rows[rowOfLane[laneOf[event]]];
  if (row && (rowY(row) < AXIS || rowY(row) + row.h > tall)) scrollTo(row.y - tall / 2);
}

/** So close that an event's surroundings can be told apart. */
function closeUp() {
  if (selected < 0) return;
  const times = [selected, ...course(selected).flatMap(arrow => [arrowFrom[arrow], arrowTo[arrow]])].map(event => at[event]);
  const from = Math.min(...times), to = Math.max(...times), room = Math.max((to - from) * 0.6, course(selected).length ? 2e6 : 15e6);
  show(from - room, to + room);
  bringIntoSight(selected);
}

function goToFlag() {
  if (!DATA.flag) return;
  select(DATA.flag.event, true);
  closeUp();
}

function zoom(factor, time) {
  show(time - (time - t0) * factor, time + (t1 - time) * factor);
}

/** The most important event near a point. */
function eventAt(px, py) {
  const row = rows.find(row => py >= Math.max(rowY(row), AXIS) && py < rowY(row) + row.h);
  if (!row || px < NAMES) return -1;
  const reach = 7 * (t1 - t0) / (width - NAMES), time = timeAt(px);
  let best = -1, distance = Infinity;
  for (let group = GROUPS.length - 1; group >= 0; group--) {
    const list = row.groups[group];
    for (let i = lowerBound(list, time - reach); i < list.length && at[list[i]] <= time + reach; i++) {
      // Of equally near ones the more important.
      const away = Math.abs(at[list[i]] - time) + (GROUPS.length - group) * reach / 50;
      if (away < distance) [best, distance] = [list[i], away];
      if (at[list[i]] > time) break;
    }
  }
  return best;
}

function fold(node, all) {
  if (all === undefined ? !folded.delete(node) : all) folded.add(node);
  if (all === false) folded.delete(node);
  layOut();
  scrollTo(scroll);
}

let grip = null;
view.addEventListener("pointerdown", down => {
  view.focus({ preventScroll: true });
  const row = down.offsetX < NAMES ? rows.find(row => down.offsetY >= rowY(row) && down.offsetY < rowY(row) + row.h) : null;
  if (row?.head && down.offsetY > AXIS) return fold(row.node);
  grip = { px: down.offsetX, py: down.offsetY, t0, t1, scroll, moved: false };
  view.setPointerCapture(down.pointerId);
});
view.addEventListener("pointermove", move => {
  if (!grip) return hint(eventAt(move.offsetX, move.offsetY), move.offsetX, move.offsetY);
  const dx = move.offsetX - grip.px, dy = move.offsetY - grip.py;
  if (!grip.moved && Math.hypot(dx, dy) < 4) return;
  grip.moved = true;
  hint(-1);
  const shift = dx / (width - NAMES) * (grip.t1 - grip.t0);
  show(grip.t0 - shift, grip.t1 - shift);
  scrollTo(grip.scroll - dy);
});
view.addEventListener("pointerup", up => {
  if (grip && !grip.moved) {
    const event = eventAt(up.offsetX, up.offsetY);
    if (event >= 0) select(event, false); else unselect();
  }
  grip = null;
});
view.addEventListener("pointerleave", () => hint(-1));
view.addEventListener("wheel", wheel => {
  wheel.preventDefault();
  hint(-1);
  const sideways = wheel.deltaX || (wheel.shiftKey ? wheel.deltaY : 0);
  if (sideways) return show(t0 + sideways / 800 * (t1 - t0), t1 + sideways / 800 * (t1 - t0));
  if (wheel.offsetX < NAMES) return scrollTo(scroll + wheel.deltaY);
  zoom(Math.exp(Math.max(-1, Math.min(1, wheel.deltaY / 300))), timeAt(wheel.offsetX));
}, { passive: false });

map.addEventListener("pointerdown", down => {
  map.setPointerCapture(down.pointerId);
  moveMap(down);
});
map.addEventListener("pointermove", move => move.buttons && moveMap(move));
function moveMap({ offsetX }) {
  const time = offsetX / mapWidth * DATA.end, half = (t1 - t0) / 2;
  show(time - half, time + half);
}

function unselect() {
  selected = -1;
  describe();
  writeLink();
  redraw();
}

const KEYS = {
  ArrowLeft: () => show(t0 - (t1 - t0) / 8, t1 - (t1 - t0) / 8),
  ArrowRight: () => show(t0 + (t1 - t0) / 8, t1 + (t1 - t0) / 8),
  ArrowUp: () => scrollTo(scroll - 3 * ROW),
  ArrowDown: () => scrollTo(scroll + 3 * ROW),
  PageUp: () => scrollTo(scroll - tall / 2),
  PageDown: () => scrollTo(scroll + tall / 2),
  "+": () => zoom(1 / 1.5, focusTime()),
  "=": () => zoom(1 / 1.5, focusTime()),
  "-": () => zoom(1.5, focusTime()),
  f: () => show(...range),
  n: () => select(selected < 0 ? 0 : neighbour(selected, 1), true),
  p: () => select(selected < 0 ? COUNT - 1 : neighbour(selected, -1), true),
  c: () => select(cause(selected), true),
  e: () => select(effect(selected), true),
  b: goToFlag,
  z: closeUp,
  d: toggleDatagrams,
  Enter: () => selected >= 0 && fold(nodeOf(selected)),
  "[": () => DATA.nodes.forEach((_, node) => fold(node, true)),
  "]": () => DATA.nodes.forEach((_, node) => fold(node, false)),
  "/": () => byId("filter").focus(),
  "?": () => byId("help").showModal(),
  Escape: unselect,
};
const focusTime = () => selected >= 0 && at[selected] > t0 && at[selected] < t1 ? at[selected] : (t0 + t1) / 2;

document.addEventListener("keydown", down => {
  if (down.ctrlKey || down.metaKey || down.altKey || byId("help").open) return;
  if (down.target instanceof HTMLInputElement) {
    if (down.key === "Escape") view.focus();
    return;
  }
  if (down.key === "Enter" && down.target instanceof HTMLButtonElement) return;
  const act = KEYS[down.key];
  if (!act) return;
  down.preventDefault();
  act();
});

byId("filter").addEventListener("input", () => {
  filterText = byId("filter").value;
  applyFilter();
  scrollTo(scroll);
  writeLink();
});
for (const id of ["from", "to"]) byId(id).addEventListener("change", () => {
  readRange();
  applyFilter();
  show(...range);
  writeLink();
});
function readRange() {
  const number = (id, none) => {
    const text = byId(id).value.replaceAll(",", "").trim(), ms = Number(text);
    return text && Number.isFinite(ms) ? Math.min(Math.max(ms * 1e6, 0), DATA.end) : none;
  };
  range = [number("from", 0), number("to", DATA.end)];
  if (range[1] <= range[0]) range = [0, DATA.end];
}
byId("fit").onclick = KEYS.f;
byId("flag").onclick = goToFlag;
byId("help-button").onclick = KEYS["?"];

// Links: what is selected, filtered and shown.
let written = "";
function writeLink() {
  const parts = [];
  if (selected >= 0) parts.push(`e=${selected}`);
  if (filterText) parts.push(`q=${encodeURIComponent(filterText)}`);
  if (range[0] > 0 || range[1] < DATA.end) parts.push(`t=${range[0] / 1e6}-${range[1] / 1e6}`);
  written = parts.length ? `#${parts.join("&")}` : "";
  // A page that was opened from a file may not be allowed to.
  try { history.replaceState(null, "", written || location.pathname + location.search); } catch { location.hash = written; }
}
function readLink() {
  if (location.hash && location.hash === written) return;
  const parts = new URLSearchParams(location.hash.slice(1));
  if (parts.has("q")) byId("filter").value = filterText = parts.get("q");
  if (parts.has("t")) {
    [byId("from").value, byId("to").value] = parts.get("t").split("-");
    readRange();
  }
  applyFilter();
  show(...range);
  const event = Number(parts.get("e") ?? -1);
  if (parts.has("e") && Number.isInteger(event) && event >= 0 && event < COUNT) {
    select(event, true);
    if (!parts.has("t")) closeUp();
  }
}
addEventListener("hashchange", readLink);
addEventListener("resize", resize);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  readTheme();
  redraw();
});

/** `?bench`: how long pictures take, from far to near and along the run, each drawn to its last pixel. */
function bench() {
  const times = [], frame = () => {
    // The best of three: what else the machine does is not counted.
    let best = Infinity;
    for (let i = 0; i < 3; i++) {
      const began = performance.now();
      draw();
      ink.getImageData(0, 0, 1, 1);
      best = Math.min(best, performance.now() - began);
    }
    times.push(best);
  };
  const first = performance.now();
  applyFilter();
  const filter = performance.now() - first, whole = DATA.end || 1;
  for (let i = 0; i < 20; i++) frame();
  for (let i = 0; i < 60; i++) { show(...range); zoom(0.9 ** i, whole * 0.4); frame(); }
  for (const span of [whole, whole / 4, whole / 30, whole / 500]) {
    for (let i = 0; i < 40; i++) { show(whole * i / 40 - span / 2, whole * i / 40 + span / 2); frame(); }
  }
  const sorted = times.toSorted((a, b) => a - b), part = p => sorted[Math.min(sorted.length - 1, sorted.length * p | 0)].toFixed(1);
  document.body.append(element("pre", { id: "bench", textContent:
    `${COUNT} events, ${ARROWS} arrows, ${rows.length} lanes, ${width}x${tall}: ${times.length} frames, ` +
    `median ${part(0.5)} ms, 95 % ${part(0.95)} ms, worst ${part(1)} ms; ready after ${ready.toFixed(0)} ms, filter ${filter.toFixed(0)} ms` }));
}

readTheme();
sayVerdict();
sayKinds();
resize();
readLink();
describe();
draw();
const ready = performance.now();
if (location.search === "?bench") bench();
