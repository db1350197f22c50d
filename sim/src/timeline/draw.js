// Drawing: only what is in sight, and no more marks than there are pixels for.

const view = document.getElementById("view"), map = document.getElementById("map");
const ink = view.getContext("2d"), mapInk = map.getContext("2d");

const NAMES = 178, AXIS = 24, SHORTEST = 2000, MARK = 4.5;
/** Arrows in one picture; of more, an even part is drawn. */
const ARROWS_MAX = 1500;

let width = 0, tall = 0, mapWidth = 0, mapTall = 0;
let t0 = 0, t1 = DATA.end || 1, scroll = 0, selected = -1, colours = {}, bandAlpha = 0.1, thinned = 1;

const x = time => NAMES + (time - t0) / (t1 - t0) * (width - NAMES);
const timeAt = px => t0 + (px - NAMES) / (width - NAMES) * (t1 - t0);
const rowY = row => AXIS + row.y - scroll;
/** Where a row's marks are: in a node's own below the names of faults. */
const middle = row => rowY(row) + (row.head ? row.h - 11 : row.h / 2);

function readTheme() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["paper", "raised", "line", "ink", "soft", "faint", "message", "trouble", "life", "fault", "net", "run", "other", "alive", "select", "broken"]) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
  bandAlpha = Number(style.getPropertyValue("--band"));
  patterns = {};
  sprites = [];
}

/** Faults differ by their hatching too. */
let patterns = {}, sprites = [];
function pattern(kind) {
  if (patterns[kind]) return patterns[kind];
  const tile = document.createElement("canvas"), pen = tile.getContext("2d");
  tile.width = tile.height = 8;
  const colour = kind === "down" ? colours.soft : kind === "cut" ? colours.fault : colours.other;
  pen.fillStyle = colour;
  pen.globalAlpha = bandAlpha;
  pen.fillRect(0, 0, 8, 8);
  pen.strokeStyle = colour;
  pen.globalAlpha = bandAlpha * 2.2;
  pen.lineWidth = 1.2;
  pen.beginPath();
  for (const shift of [-8, 0, 8]) {
    if (kind !== "fault") { pen.moveTo(shift, 8); pen.lineTo(shift + 8, 0); }
    if (kind !== "cut") { pen.moveTo(shift, 0); pen.lineTo(shift + 8, 8); }
  }
  pen.stroke();
  return patterns[kind] = ink.createPattern(tile, "repeat");
}

function resize() {
  sprites = [];
  const ratio = devicePixelRatio || 1;
  for (const [canvas, pen] of [[view, ink], [map, mapInk]]) {
    const { clientWidth, clientHeight } = canvas;
    canvas.width = clientWidth * ratio;
    canvas.height = clientHeight * ratio;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  }
  [width, tall, mapWidth, mapTall] = [view.clientWidth, view.clientHeight, map.clientWidth, map.clientHeight];
  redraw();
}

let waiting = false;
function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    draw();
  });
}

function show(from, to) {
  const [low, high] = range, whole = Math.max(high - low, SHORTEST), span = Math.min(Math.max(to - from, SHORTEST), whole * 1.04);
  const centre = (from + to) / 2, slack = span < whole ? span * 0.1 : whole * 0.02;
  const start = Math.min(Math.max(centre - span / 2, low - slack), high + slack - span);
  [t0, t1] = span >= whole ? [low - whole * 0.02, low + whole * 1.02] : [start, start + span];
  redraw();
}

function scrollTo(y) {
  scroll = Math.max(0, Math.min(y, height + AXIS + 20 - tall));
  redraw();
}

function draw() {
  ink.fillStyle = colours.paper;
  ink.fillRect(0, 0, width, tall);
  ink.save();
  ink.beginPath();
  ink.rect(0, AXIS, width, tall - AXIS);
  ink.clip();
  const visible = rows.filter(row => rowY(row) < tall && rowY(row) + row.h > AXIS);
  drawLives(visible);
  drawGrid();
  drawBands(visible);
  drawArrows();
  drawMarks(visible);
  drawFlag();
  drawSelected();
  drawNames(visible);
  ink.restore();
  drawAxis();
  drawMap();
  sayWhatIsShown();
}

function drawLives(visible) {
  for (const row of visible) {
    const node = DATA.nodes[row.node], y = rowY(row);
    ink.fillStyle = colours.alive;
    for (const life of node.lives) {
      const from = Math.max(x(life.from), NAMES), to = Math.min(x(life.to), width);
      if (to > from) ink.fillRect(from, y + 1, to - from, row.h - 1);
    }
    ink.fillStyle = colours.line;
    if (row.head) ink.fillRect(0, y, width, 1);
  }
}

/** A round step in nanoseconds so that some ten fit. */
function step() {
  const rough = (t1 - t0) / Math.max(3, (width - NAMES) / 110), power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].find(factor => factor * power >= rough) * power;
}

function drawGrid() {
  ink.strokeStyle = colours.line;
  ink.globalAlpha = 0.7;
  ink.lineWidth = 1;
  ink.beginPath();
  const each = step();
  for (let time = Math.ceil(t0 / each) * each; time <= t1; time += each) {
    const px = Math.round(x(time)) + 0.5;
    if (px >= NAMES) { ink.moveTo(px, AXIS); ink.lineTo(px, tall); }
  }
  ink.stroke();
  ink.globalAlpha = 1;
}

function drawAxis() {
  ink.fillStyle = colours.raised;
  ink.fillRect(0, 0, width, AXIS);
  ink.fillStyle = colours.line;
  ink.fillRect(0, AXIS - 1, width, 1);
  ink.font = "11px system-ui, 'DejaVu Sans', sans-serif";
  ink.fillStyle = colours.soft;
  ink.textBaseline = "middle";
  ink.textAlign = "left";
  ink.fillText("virtual milliseconds", 10, AXIS / 2);
  ink.textAlign = "center";
  const each = step(), digits = Math.max(0, Math.min(6, -Math.floor(Math.log10(each / 1e6) + 1e-9)));
  for (let time = Math.ceil(t0 / each) * each; time <= t1; time += each) {
    const px = x(time);
    if (px >= NAMES + 12) ink.fillText(milliseconds(time + 0, digits), px, AXIS / 2);
  }
}

function drawBands(visible) {
  const labels = [];
  for (const band of DATA.bands) {
    if (band.to < t0 || band.from > t1 || band.from > range[1] || band.to < range[0]) continue;
    const from = Math.max(x(band.from), NAMES), to = Math.max(Math.min(x(band.to), width), from + 1.5);
    for (const row of visible) {
      if (band.nodes.length && !band.nodes.includes(row.node)) continue;
      ink.fillStyle = pattern(band.kind);
      ink.fillRect(from, rowY(row) + 1, to - from, row.h - 1);
      if (row.head) labels.push([band, from, to, row]);
    }
  }
  ink.font = "600 11px system-ui, 'DejaVu Sans', sans-serif";
  ink.textBaseline = "middle";
  ink.textAlign = "left";
  const taken = new Map();
  for (const [band, from, to, row] of labels) {
    const start = Math.max(from + 4, taken.get(row) ?? 0), room = Math.min(to, width) - start - 4;
    const text = fitted(band.text, room);
    if (!text) continue;
    ink.fillStyle = band.kind === "down" ? colours.soft : band.kind === "cut" ? colours.fault : colours.other;
    ink.fillText(text, start, rowY(row) + 9);
    taken.set(row, start + ink.measureText(text).width + 8);
  }
}

/** The text, or as much of it as there is room for; nothing if that says nothing. */
function fitted(text, room) {
  if (room < 24) return "";
  if (ink.measureText(text).width <= room) return text;
  let length = Math.floor(text.length * room / ink.measureText(text).width) - 1;
  return length < 3 ? "" : text.slice(0, length) + "…";
}

function drawArrows() {
  // First which ones, then how many of them.
  const wanted = [];
  for (let block = 0; block < blockFrom.length; block++) {
    if (blockTo[block] < t0 || blockFrom[block] > t1) continue;
    for (let arrow = block * BLOCK, end = Math.min(ARROWS, arrow + BLOCK); arrow < end; arrow++) {
      if (arrowKind[arrow] === ARROW_DATAGRAM && !datagramArrows) continue;
      const from = arrowFrom[arrow], to = arrowTo[arrow];
      if (at[to] < t0 || at[from] > t1 || !shown[from] || !shown[to]) continue;
      if (shown[from] + shown[to] < 3) continue;
      const one = rows[rowOfLane[laneOf[from]]], other = rows[rowOfLane[laneOf[to]]];
      // In one row only what is long enough to be seen beside its marks.
      if (one === other && x(at[to]) - x(at[from]) < 12) continue;
      const top = Math.min(one.y, other.y) - scroll + AXIS, bottom = Math.max(one.y, other.y) - scroll + AXIS;
      if (bottom < AXIS - ROW || top > tall) continue;
      wanted.push(arrow);
    }
  }
  thinned = Math.max(1, Math.ceil(wanted.length / ARROWS_MAX));
  // Which ones does not change while the picture moves.
  const chosen = thinned === 1 ? wanted : wanted.filter(arrow => Math.imul(arrow, 0x9e3779b1) >>> 0 < 2 ** 32 / thinned);
  // Of those that would cover each other, one.
  const places = new Set(), drawn = chosen.filter(arrow => {
    const from = arrowFrom[arrow], to = arrowTo[arrow], cell = time => Math.max(-1, Math.min(width, x(time))) / 2 | 0;
    const rowsOf = rowOfLane[laneOf[from]] * rows.length + rowOfLane[laneOf[to]];
    const key = ((rowsOf * 2 + (groupOf(to) === TROUBLES ? 1 : 0)) * 4096 + cell(at[from])) * 4096 + cell(at[to]), before = places.size;
    return at[from] < t0 || at[to] > t1 || places.add(key).size > before;
  });
  const heads = drawn.length < 700;
  const styles = [["message", []], ["life", [4, 3]], ["net", []], ["trouble", []]];
  const lists = styles.map(() => []);
  for (const arrow of drawn) {
    const bad = arrowKind[arrow] !== ARROW_DATAGRAM && groupOf(arrowTo[arrow]) === TROUBLES;
    lists[bad ? 3 : arrowKind[arrow]].push(arrow);
  }
  lists.forEach((list, style) => {
    const [colour, dash] = styles[style];
    ink.strokeStyle = ink.fillStyle = colours[colour];
    // The more there are, the fainter each is.
    const alpha = Math.min(0.8, Math.max(0.1, 160 / drawn.length));
    ink.globalAlpha = style === ARROW_DATAGRAM ? alpha / 2 : alpha;
    ink.lineWidth = 1;
    ink.setLineDash(heads ? dash : []);
    strokeArrows(list, heads);
  });
  ink.setLineDash([]);
  ink.globalAlpha = 1;
}

function strokeArrows(list, heads) {
  ink.beginPath();
  const tips = [];
  list.forEach((arrow, index) => {
    // A long path of many strokes is slow to paint.
    if (index % 16 === 15) { ink.stroke(); ink.beginPath(); }
    const from = arrowFrom[arrow], to = arrowTo[arrow];
    const one = rows[rowOfLane[laneOf[from]]], other = rows[rowOfLane[laneOf[to]]];
    if (!one || !other) return;
    const x1 = x(at[from]), y1 = middle(one), x2 = x(at[to]), y2 = middle(other);
    if (one === other && x2 - x1 < 8) return;
    ink.moveTo(x1, y1);
    if (one === other) {
      ink.quadraticCurveTo((x1 + x2) / 2, y1 - Math.min(14, (x2 - x1) / 4 + 4), x2, y2);
      tips.push([x2, y2, 0.4]);
    } else {
      ink.lineTo(x2, y2);
      tips.push([x2, y2, Math.atan2(y2 - y1, x2 - x1)]);
    }
  });
  ink.stroke();
  if (!heads) return;
  ink.beginPath();
  for (const [px, py, angle] of tips) {
    if (px < NAMES - 10 || px > width + 10) continue;
    // Before the mark that it points to.
    const tipX = px - Math.cos(angle) * MARK, tipY = py - Math.sin(angle) * MARK;
    ink.moveTo(tipX, tipY);
    ink.lineTo(tipX - 7 * Math.cos(angle - 0.4), tipY - 7 * Math.sin(angle - 0.4));
    ink.lineTo(tipX - 7 * Math.cos(angle + 0.4), tipY - 7 * Math.sin(angle + 0.4));
  }
  ink.fill();
}

const SHAPES = {
  dot(pen, px, py, r) { pen.arc(px, py, r, 0, 7); },
  ring(pen, px, py, r) { pen.arc(px, py, r, 0, 7); pen.moveTo(px + r / 2, py); pen.arc(px, py, r / 2, 0, 7, true); },
  square(pen, px, py, r) { pen.rect(px - r * 0.85, py - r * 0.85, r * 1.7, r * 1.7); },
  diamond(pen, px, py, r) {
    r *= 1.25;
    pen.moveTo(px, py - r);
    for (const [dx, dy] of [[1, 0], [0, 1], [-1, 0]]) pen.lineTo(px + r * dx, py + r * dy);
  },
  cross(pen, px, py, r) {
    const w = r * 0.24;
    r *= 1.05;
    for (const dy of [1, -1]) {
      pen.moveTo(px - r - w * dy, py - r * dy + w);
      pen.lineTo(px - r + w * dy, py - r * dy - w);
      pen.lineTo(px + r + w * dy, py + r * dy - w);
      pen.lineTo(px + r - w * dy, py + r * dy + w);
    }
  },
};

/** A mark, painted once and copied from then on: that is much faster than a path for each. */
const SPRITE = 8;
function sprite(group) {
  if (sprites[group]) return sprites[group];
  const ratio = devicePixelRatio || 1, tile = document.createElement("canvas"), pen = tile.getContext("2d");
  tile.width = tile.height = 2 * SPRITE * ratio;
  pen.scale(ratio, ratio);
  pen.fillStyle = colours[GROUPS[group].colour];
  pen.beginPath();
  SHAPES[GROUPS[group].shape](pen, SPRITE, SPRITE, MARK);
  pen.fill();
  return sprites[group] = tile;
}

/** Marks, or bars as high as there are many where marks would cover each other. */
function drawMarks(visible) {
  const perPixel = (t1 - t0) / (width - NAMES);
  GROUPS.forEach((group, index) => {
    ink.fillStyle = colours[group.colour];
    for (const row of visible) {
      const list = row.groups[index], from = lowerBound(list, t0 - 6 * perPixel), to = lowerBound(list, t1 + 6 * perPixel, from);
      const many = (to - from) * 5 > width - NAMES, gap = (many ? 2 : 1) * perPixel, centre = middle(row);
      let before = -Infinity;
      for (let i = from; i < to;) {
        const time = at[list[i]], px = x(time);
        let next = i + 1;
        // What falls onto the same pixels is one mark.
        if (next < to && at[list[next]] < time + gap) next = lowerBound(list, time + gap, next);
        // Also where there are many, one that stands alone has its shape.
        const dense = many && (time - before < 9 * perPixel || next < to && at[list[next]] - time < 9 * perPixel);
        before = time;
        ink.globalAlpha = shown[list[i]] === 1 ? 0.35 : 1;
        if (dense || group.shape === "tick") {
          const crowd = dense ? 0.55 + Math.log2(next - i) / 8 : 1, half = (ROW - 4) / 2 * Math.min(1, group.height * crowd);
          ink.fillRect(px - (dense ? 1 : 0.75), centre - half, dense ? 2 : 1.5, half * 2);
        } else {
          ink.drawImage(sprite(index), px - SPRITE, centre - SPRITE, 2 * SPRITE, 2 * SPRITE);
        }
        i = next;
      }
    }
  });
  ink.globalAlpha = 1;
}

function drawFlag() {
  if (!DATA.flag) return;
  const px = Math.round(x(at[DATA.flag.event])) + 0.5;
  if (px < NAMES || px > width) return;
  ink.strokeStyle = ink.fillStyle = colours.broken;
  ink.lineWidth = 1.5;
  ink.beginPath();
  ink.moveTo(px, AXIS);
  ink.lineTo(px, tall);
  ink.stroke();
  const row = rows[rowOfLane[laneOf[DATA.flag.event]]];
  if (row && shown[DATA.flag.event]) {
    ink.beginPath();
    SHAPES.diamond(ink, px, middle(row), MARK * 1.4);
    ink.fill();
  }
  const text = DATA.flag.seen_at_once ? "promise broken" : "found broken at the end";
  ink.font = "700 11px system-ui, 'DejaVu Sans', sans-serif";
  const wide = ink.measureText(text).width + 14, left = px + wide > width ? px - wide : px;
  ink.fillRect(left, AXIS, wide, 17);
  ink.fillStyle = colours.paper;
  ink.textAlign = "left";
  ink.textBaseline = "middle";
  ink.fillText(text, left + 7, AXIS + 9);
}

function drawSelected() {
  const row = selected < 0 ? null : rows[rowOfLane[laneOf[selected]]];
  if (!row) return;
  // The whole course of its message.
  ink.strokeStyle = ink.fillStyle = colours.select;
  ink.lineWidth = 2;
  strokeArrows(course(selected), true);
  const px = x(at[selected]);
  ink.beginPath();
  ink.arc(px, middle(row), MARK + 4, 0, 7);
  ink.stroke();
}

function drawNames(visible) {
  ink.fillStyle = colours.raised;
  ink.fillRect(0, AXIS, NAMES, tall);
  ink.fillStyle = colours.line;
  ink.fillRect(NAMES - 1, AXIS, 1, tall);
  ink.textBaseline = "middle";
  ink.textAlign = "left";
  for (const row of visible) {
    const y = middle(row);
    if (row.head) {
      ink.fillStyle = colours.line;
      ink.fillRect(0, rowY(row), NAMES, 1);
      ink.fillStyle = colours.ink;
      ink.font = "700 13px system-ui, 'DejaVu Sans', sans-serif";
      ink.fillText(`${folded.has(row.node) ? "▸" : "▾"} ${row.label}`, 8, y);
    } else {
      ink.font = `${row.actor ? "" : "italic "}12px system-ui, 'DejaVu Sans', sans-serif`;
      ink.fillStyle = row.actor ? colours.ink : colours.soft;
      // The end of a name says more than its beginning.
      let label = row.label;
      while (ink.measureText(label).width > NAMES - 34 && label.length > 8) label = "…" + label.slice(label[0] === "…" ? 2 : 1);
      ink.fillText(label, 26, y);
    }
  }
}

function drawMap() {
  const parts = Math.max(1, mapWidth / 2 | 0), counts = density(parts), most = counts.reduce((a, b) => Math.max(a, b), 1);
  const px = time => time / (DATA.end || 1) * mapWidth;
  mapInk.fillStyle = colours.paper;
  mapInk.fillRect(0, 0, mapWidth, mapTall);
  for (const band of DATA.bands) {
    mapInk.fillStyle = band.kind === "down" ? colours.soft : band.kind === "cut" ? colours.fault : colours.other;
    mapInk.globalAlpha = 0.5;
    mapInk.fillRect(px(band.from), band.kind === "down" ? 1 : band.kind === "cut" ? 5 : 9, Math.max(2, px(band.to) - px(band.from)), 3);
  }
  mapInk.globalAlpha = 1;
  mapInk.fillStyle = colours.net;
  for (let i = 0; i < parts; i++) {
    const h = counts[i] ? 2 + Math.log1p(counts[i]) / Math.log1p(most) * (mapTall - 18) : 0;
    mapInk.fillRect(i * mapWidth / parts, mapTall - h, mapWidth / parts - 0.5, h);
  }
  if (DATA.flag) {
    mapInk.fillStyle = colours.broken;
    mapInk.fillRect(px(at[DATA.flag.event]) - 1, 0, 2, mapTall);
  }
  const from = Math.max(0, px(t0)), to = Math.min(mapWidth, px(t1));
  mapInk.fillStyle = colours.message;
  mapInk.globalAlpha = 0.12;
  mapInk.fillRect(from, 0, to - from, mapTall);
  mapInk.globalAlpha = 1;
  mapInk.strokeStyle = colours.message;
  mapInk.lineWidth = 1.5;
  mapInk.strokeRect(from + 0.75, 0.75, Math.max(3, to - from - 1.5), mapTall - 1.5);
}
