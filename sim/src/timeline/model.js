"use strict";
// What happened: columns of numbers, as they were embedded, and what is shown of them.

const DATA = JSON.parse(document.getElementById("data").textContent);
const COUNT = DATA.events.after.length;

/** What kinds of events belong together: the name, the colour's variable, the shape, and how much of the lane's height a tick takes. */
const GROUPS = [
  { name: "timers, tasks", colour: "run", shape: "tick", height: 0.3, kinds: ["timer", "task", "disk"] },
  { name: "datagrams", colour: "net", shape: "tick", height: 0.45, kinds: ["send", "arrive"] },
  { name: "other", colour: "other", shape: "ring", height: 0.55, kinds: [] },
  { name: "messages", colour: "message", shape: "dot", height: 0.6, kinds: ["tell", "ask", "message", "answer"] },
  { name: "lives", colour: "life", shape: "square", height: 0.75,
    kinds: ["start", "node", "spawn", "stop", "restart", "link", "link-to", "down", "stopping", "stopped", "gave-up", "not-up"] },
  { name: "faults", colour: "fault", shape: "diamond", height: 0.9,
    kinds: ["kill", "cut", "mend", "fault", "plan", "climate", "cast", "troubles", "breach"] },
  { name: "troubles", colour: "trouble", shape: "cross", height: 0.8,
    kinds: ["given-back", "lost", "no-answer", "refused", "letter", "no-credit", "failed", "stale", "forgotten", "replan"] },
];
const OTHER = 2, TROUBLES = 6;

const ARROW_MESSAGE = 0, ARROW_ANSWER = 1, ARROW_DATAGRAM = 2;

const at = new Float64Array(COUNT);
const laneOf = Uint32Array.from(DATA.events.lane);
const kindOf = Uint16Array.from(DATA.events.kind);
const textOf = Uint32Array.from(DATA.events.text);
const groupOfKind = Uint8Array.from(DATA.kinds.map(kind => {
  const group = GROUPS.findIndex(group => group.kinds.includes(kind));
  return group < 0 ? OTHER : group;
}));
for (let i = 0, now = 0; i < COUNT; i++) at[i] = now += DATA.events.after[i];

// Arrows, and for each event the one that ends there and those that begin there.
const arrowTo = Uint32Array.from(DATA.arrows.to);
const arrowFrom = arrowTo.map((to, arrow) => to - DATA.arrows.back[arrow]);
const arrowKind = Uint8Array.from(DATA.arrows.kind);
const ARROWS = arrowTo.length;
const arrowInto = new Int32Array(COUNT).fill(-1);
const firstOut = new Int32Array(COUNT).fill(-1);
const nextOut = new Int32Array(ARROWS).fill(-1);
for (let arrow = ARROWS - 1; arrow >= 0; arrow--) {
  arrowInto[arrowTo[arrow]] = arrow;
  nextOut[arrow] = firstOut[arrowFrom[arrow]];
  firstOut[arrowFrom[arrow]] = arrow;
}
// Blocks of arrows with the span of time that they cover, so that most of those out of sight are never looked at.
const BLOCK = 256;
const blockFrom = new Float64Array(Math.ceil(ARROWS / BLOCK)).fill(Infinity);
const blockTo = new Float64Array(blockFrom.length).fill(-Infinity);
for (let arrow = 0; arrow < ARROWS; arrow++) {
  const block = arrow / BLOCK | 0;
  blockFrom[block] = Math.min(blockFrom[block], at[arrowFrom[arrow]]);
  blockTo[block] = Math.max(blockTo[block], at[arrowTo[arrow]]);
}

const kindName = event => DATA.kinds[kindOf[event]];
const textName = event => DATA.strings[textOf[event]];
const groupOf = event => groupOfKind[kindOf[event]];
const nodeOf = event => DATA.lanes[laneOf[event]].node;
const place = event => {
  const lane = DATA.lanes[laneOf[event]], node = DATA.nodes[lane.node].name;
  return lane.name ? `${node} · ${lane.name}` : node;
};
const milliseconds = (ns, digits = 3) =>
  (ns / 1e6).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
/** The life of a node that an event belongs to. */
const lifeOf = event => DATA.nodes[nodeOf(event)].lives.findLast(life => life.from <= at[event])?.name;

/** What is shown: 2 for what the filter finds, 1 for what an arrow joins to it, 0 for the rest. */
const shown = new Uint8Array(COUNT).fill(2);
const hiddenGroups = new Set();
let filterText = "", range = [0, DATA.end], found = COUNT;

/** Each term looks at tables, not at events: whether a kind, a text, a lane or a node has the word. */
function term(word) {
  const negative = word.startsWith("-") && word.length > 1;
  if (negative) word = word.slice(1);
  const [, field, rest] = word.match(/^(actor|message|kind|node):(.*)$/) ?? [, "", word];
  const has = text => text.toLowerCase().includes(rest);
  const flags = list => Uint8Array.from(list, has);
  const none = () => 0;
  const wants = (...fields) => field === "" || fields.includes(field);
  const kinds = wants("kind") ? flags(DATA.kinds) : DATA.kinds.map(none);
  const texts = wants("message") ? flags(DATA.strings) : DATA.strings.map(none);
  const lanes = DATA.lanes.map(lane =>
    wants("actor") && has(lane.name) || wants("node") && has(DATA.nodes[lane.node].name));
  return event => (kinds[kindOf[event]] || texts[textOf[event]] || lanes[laneOf[event]] ? 1 : 0) !== (negative ? 1 : 0);
}

function applyFilter() {
  const terms = filterText.toLowerCase().split(/\s+/).filter(Boolean).map(term);
  const visible = GROUPS.map((_, group) => !hiddenGroups.has(group));
  const inRange = event => at[event] >= range[0] && at[event] <= range[1];
  found = 0;
  for (let event = 0; event < COUNT; event++) {
    const hit = visible[groupOf(event)] && inRange(event) && terms.every(has => has(event));
    shown[event] = hit ? 2 : 0;
    if (hit) found++;
  }
  if (terms.length) {
    for (let arrow = 0; arrow < ARROWS; arrow++) {
      const from = arrowFrom[arrow], to = arrowTo[arrow];
      if (arrowKind[arrow] === ARROW_DATAGRAM && !datagramArrows) continue;
      if (shown[from] === 2 && !shown[to] && visible[groupOf(to)]) shown[to] = 1;
      if (shown[to] === 2 && !shown[from] && visible[groupOf(from)]) shown[from] = 1;
    }
  }
  layOut();
}

// Rows: what is drawn one below the other. A folded node is one row.
const ROW = 19, HEAD = 32;
const folded = new Set();
let rows = [], rowOfLane = new Int32Array(DATA.lanes.length), height = 0, datagramArrows = false;

function layOut() {
  const used = new Uint8Array(DATA.lanes.length);
  for (let event = 0; event < COUNT; event++) if (shown[event]) used[laneOf[event]] = 1;
  rows = [];
  let y = 0;
  DATA.lanes.forEach((lane, index) => {
    const head = lane.name === "";
    rowOfLane[index] = -1;
    if (!head && folded.has(lane.node)) {
      rowOfLane[index] = rows.length - 1;
    } else if (head || used[index]) {
      rowOfLane[index] = rows.length;
      rows.push({ node: lane.node, label: head ? DATA.nodes[lane.node].name : lane.name, head, actor: lane.actor, y, h: head ? HEAD : ROW });
      y += head ? HEAD : ROW;
    }
  });
  height = y;
  // Each row's events by group, in order: to draw a part of a row is to search twice.
  const sizes = rows.map(() => new Uint32Array(GROUPS.length));
  for (let event = 0; event < COUNT; event++) {
    if (shown[event]) sizes[rowOfLane[laneOf[event]]][groupOf(event)]++;
  }
  rows.forEach((row, index) => {
    row.groups = Array.from(sizes[index], size => new Uint32Array(size));
  });
  sizes.forEach(size => size.fill(0));
  for (let event = 0; event < COUNT; event++) {
    if (!shown[event]) continue;
    const row = rowOfLane[laneOf[event]], group = groupOf(event);
    rows[row].groups[group][sizes[row][group]++] = event;
  }
  densities = null;
}

/** How much happened in each part of the run, for the map. */
let densities = null;
function density(parts) {
  if (densities?.length === parts) return densities;
  densities = new Float32Array(parts);
  for (let event = 0; event < COUNT; event++) {
    if (shown[event] === 2) densities[Math.min(parts - 1, at[event] / (DATA.end || 1) * parts | 0)]++;
  }
  return densities;
}

/** The first index of `list`, which is in order, whose event is not before `time`. */
function lowerBound(list, time, from = 0) {
  let to = list.length;
  while (from < to) {
    const middle = from + to >> 1;
    if (at[list[middle]] < time) from = middle + 1; else to = middle;
  }
  return from;
}
