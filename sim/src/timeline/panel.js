// Words around the picture: the selected event, what the pointer is over, what is shown.

const panel = document.getElementById("panel"), tip = document.getElementById("tip");

/** Events of one course that are listed. */
const COURSE_MAX = 60;

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** The arrows of the course that an event is part of: back to its beginning, and from there all that came of it. */
function course(event) {
  let first = event;
  while (arrowInto[first] >= 0) first = arrowFrom[arrowInto[first]];
  const arrows = [];
  for (const open = [first]; open.length && arrows.length < COURSE_MAX;) {
    const from = open.shift();
    for (let arrow = firstOut[from]; arrow >= 0; arrow = nextOut[arrow]) {
      arrows.push(arrow);
      open.push(arrowTo[arrow]);
    }
  }
  return arrows;
}

const isShown = event => event >= 0 && event < COUNT && shown[event] > 0;

function neighbour(event, way) {
  for (let other = event + way; other >= 0 && other < COUNT; other += way) {
    if (laneOf[other] === laneOf[event] && shown[other]) return other;
  }
  return -1;
}

const cause = event => arrowInto[event] >= 0 ? arrowFrom[arrowInto[event]] : -1;
const effect = event => firstOut[event] >= 0 ? arrowTo[firstOut[event]] : -1;

function describe() {
  panel.replaceChildren();
  if (DATA.flag) {
    const { promise, seen, kind } = DATA.verdict ?? {};
    panel.append(element("div", { className: "broken" },
      element("h2", { textContent: promise ? "Broken promise" : kind ?? "Broken promise" }),
      element("div", { textContent: promise ?? "" }),
      element("div", { className: "soft", textContent: seen ?? "" })));
  }
  if (selected < 0) {
    panel.append(element("p", { className: "soft", textContent: "Click a mark to see what it is, press ? for the keys." }));
    return;
  }
  const list = element("dl");
  const row = (name, value) => value && list.append(element("dt", { textContent: name }), element("dd", { textContent: value }));
  row("event", String(selected));
  row("at", `${milliseconds(at[selected], 6)} ms`);
  row("node", lifeOf(selected) ?? DATA.nodes[nodeOf(selected)].name);
  row("lane", DATA.lanes[laneOf[selected]].name);
  row("kind", `${kindName(selected)} (${GROUPS[groupOf(selected)].name})`);
  const faults = DATA.bands.filter(band => band.from <= at[selected] && at[selected] <= band.to &&
    (!band.nodes.length || band.nodes.includes(nodeOf(selected))));
  row("during", faults.map(band => band.text).join("; "));
  panel.append(list);
  if (textName(selected)) panel.append(element("pre", { textContent: textName(selected) }));
  const go = (text, event, key) => element("button", { textContent: text, disabled: event < 0, title: `key ${key}`, onclick: () => select(event, true) });
  panel.append(element("nav", {},
    go("◂ previous", neighbour(selected, -1), "p"), go("next ▸", neighbour(selected, 1), "n"),
    go("cause", cause(selected), "c"), go("effect", effect(selected), "e"),
    element("button", { textContent: "close up", title: "key z", onclick: closeUp }),
    element("button", { textContent: "copy link", onclick: () => navigator.clipboard?.writeText(location.href) })));
  const arrows = course(selected);
  if (arrows.length) {
    const events = [arrowFrom[arrows[0]], ...arrows.map(arrow => arrowTo[arrow])];
    const items = events.map(event => {
      const button = element("button", { onclick: () => select(event, true) },
        element("span", { textContent: `${milliseconds(at[event])} ${kindName(event)} ` }),
        element("small", { textContent: place(event) }));
      if (event === selected) button.setAttribute("aria-current", "true");
      return element("li", {}, button);
    });
    panel.append(element("h2", { textContent: arrowKind[arrows[0]] === ARROW_DATAGRAM ? "This datagram" : "This message" }), element("ol", {}, ...items));
  }
}

function sayWhatIsShown() {
  const parts = [`${found.toLocaleString("en")} of ${COUNT.toLocaleString("en")} events`];
  parts.push(`${milliseconds(Math.max(t0, 0), 1)} – ${milliseconds(Math.min(t1, DATA.end), 1)} ms`);
  if (thinned > 1) parts.push(`one of ${thinned} arrows is drawn: come closer to see all`);
  if (DATA.left_out) parts.push(`the run was longer: its last ${DATA.left_out.toLocaleString("en")} events are not in this page`);
  const text = parts.join(" · "), where = document.getElementById("shown");
  if (where.textContent !== text) where.textContent = text;
}

function sayVerdict() {
  const where = document.getElementById("verdict"), verdict = DATA.verdict;
  where.className = verdict ? "broken" : "held";
  where.textContent = verdict ? `✗ ${[verdict.kind, verdict.promise, verdict.seen].filter(Boolean).join(": ")}` : "✓ all promises held";
  where.title = where.textContent;
  document.getElementById("command").append(element("code", { textContent: DATA.run.command }), ` · ledger ${DATA.run.hash.slice(0, 12)}`);
  document.getElementById("flag").hidden = !DATA.flag;
}

function sayKinds() {
  const where = document.getElementById("kinds");
  // The most important first.
  for (let index = GROUPS.length - 1; index >= 0; index--) {
    const group = GROUPS[index];
    const button = element("button", { title: group.kinds.join(", ") || "all other kinds" });
    const path = {
      tick: "M5 1h2v10H5z", ring: "M6 1a5 5 0 100 10A5 5 0 006 1zm0 3a2 2 0 110 4 2 2 0 010-4z", dot: "M6 1a5 5 0 100 10A5 5 0 006 1z",
      square: "M1.5 1.5h9v9h-9z", diamond: "M6 0l6 6-6 6-6-6z", cross: "M2 0l4 4 4-4 2 2-4 4 4 4-2 2-4-4-4 4-2-2 4-4-4-4z",
    }[group.shape];
    button.innerHTML = `<svg viewBox="0 0 12 12" aria-hidden="true"><path fill="var(--${group.colour})" fill-rule="evenodd" d="${path}"/></svg>`;
    button.append(group.name);
    const press = () => button.setAttribute("aria-pressed", String(!hiddenGroups.has(index)));
    button.onclick = () => {
      if (!hiddenGroups.delete(index)) hiddenGroups.add(index);
      press();
      applyFilter();
      scrollTo(scroll);
    };
    press();
    where.append(button);
  }
  const arrows = element("button", { id: "datagrams", textContent: "datagrams’ arrows", title: "Arrows of datagrams (d)", onclick: toggleDatagrams });
  arrows.setAttribute("aria-pressed", "false");
  where.append(arrows);
}

function toggleDatagrams() {
  datagramArrows = !datagramArrows;
  document.getElementById("datagrams").setAttribute("aria-pressed", String(datagramArrows));
  applyFilter();
  redraw();
}

function hint(event, px, py) {
  tip.hidden = event < 0;
  if (event < 0) return;
  const text = textName(event);
  tip.textContent = `${milliseconds(at[event])} ms  ${place(event)}  ${kindName(event)}  ${text.length > 160 ? text.slice(0, 160) + "…" : text}`;
  const left = Math.min(px + 14, width - tip.offsetWidth - 8), top = py + mapTall + 18;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${top + tip.offsetHeight > mapTall + tall ? top - tip.offsetHeight - 30 : top}px`;
}
