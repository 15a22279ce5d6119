"""The script of the page: hover texts, tabs, and the network of any point of the front."""

__all__ = ["SCRIPT"]

_HOVER = """
  const tip = document.getElementById("tip");
  let hot = null;

  const leave = () => {
    if (hot) hot.classList.remove("hot");
    hot = null;
    tip.hidden = true;
  };

  const nearest = (svg, x, y) => {
    let best = null, least = 18 * 18;
    for (const mark of svg.querySelectorAll("[data-tip],[data-point]")) {
      const box = mark.getBoundingClientRect();
      const dx = box.left + box.width / 2 - x, dy = box.top + box.height / 2 - y;
      const distance = dx * dx + dy * dy;
      if (distance <= least) { best = mark; least = distance; }
    }
    return best;
  };

  const show = (mark, x, y) => {
    if (mark !== hot) {
      leave();
      hot = mark;
      mark.classList.add("hot");
      const [head, ...rest] = (mark.dataset.tip || pointTip(mark)).split("\\n");
      const bold = document.createElement("b");
      bold.textContent = head;
      tip.replaceChildren(bold, document.createTextNode(rest.join("\\n")));
      tip.hidden = false;
    }
    const box = tip.getBoundingClientRect();
    const room = document.documentElement.clientWidth - box.width - 8;
    const above = y - box.height - 14;
    tip.style.left = Math.max(8, Math.min(x + 14, room)) + "px";
    tip.style.top = (above < 8 ? y + 20 : above) + "px";
  };

  const prepare = svg => {
    // The browser would show the title of the picture over our own text.
    const words = ["title", "desc"].map(name => svg.querySelector(name));
    svg.setAttribute("aria-label", words.map(word => word.textContent).join(". "));
    svg.removeAttribute("aria-labelledby");
    words.forEach(word => word.remove());
    const at = event => {
      const own = event.target.closest("[data-tip],[data-point]");
      return own || nearest(svg, event.clientX, event.clientY);
    };
    const move = event => {
      const mark = at(event);
      if (mark) show(mark, event.clientX, event.clientY); else leave();
    };
    svg.addEventListener("pointermove", move);
    svg.addEventListener("pointerdown", move);
    svg.addEventListener("pointerleave", leave);
    svg.addEventListener("click", event => {
      const mark = at(event);
      if (mark && mark.dataset.point) choose(mark.closest(".search"), mark.dataset.point);
    });
  };
  document.querySelectorAll("svg[role=img]").forEach(prepare);
  addEventListener("scroll", leave, { passive: true });
"""

_DRAW = """
  const space = document.querySelector("svg")?.namespaceURI;
  const make = (parent, name, attributes, text) => {
    const element = document.createElementNS(space, name);
    for (const [key, value] of Object.entries(attributes)) {
      const short = typeof value === "number" ? String(+value.toFixed(1)) : value;
      element.setAttribute(key, short);
    }
    if (text !== undefined) element.textContent = text;
    parent.append(element);
    return element;
  };
  const MIDDLE = 102, FOOT = 158;

  const column = (parent, row, x, all) => {
    const [key, colour, out, mid, first, second, third, shortcut, se] = row.op;
    const [cost, ms, counts] = [row.op[10][all.which], row.op[11][all.which], row.op[12]];
    const high = channels => Math.max(6, 112 * Math.sqrt(channels / all.channels));
    const group = make(parent, "g", { class: "operator" });
    const box = (height, kind) => make(group, "rect", {
      class: kind, x: x - all.box / 2, y: MIDDLE - height / 2, width: all.box, height, rx: 3,
    });
    if (shortcut) {
      const top = MIDDLE - high(Math.max(out, mid)) / 2 - 6, reach = all.column / 2 - 4;
      const [left, right] = [(x - reach).toFixed(1), (x + reach - 5).toFixed(1)];
      const d = `M${left} 102.0V${(top + 5).toFixed(1)}q0 -5 5 -5H${right}q5 0 5 5V102.0`;
      make(group, "path", { class: "shortcut", d });
    }
    if (mid > 0) box(high(mid), colour + " expanded");
    box(high(out), colour);
    if (se) make(group, "circle", { class: "squeeze", cx: x, cy: MIDDLE, r: 3.2 });
    for (const [text, kind, y] of [[first, "channels", 16], [second, "minor", 30],
      [third, "minor", 42]]) if (text) make(group, "text", { class: kind, x, y: FOOT + y }, text);
    const length = 38 * (all.longest ? cost / all.longest : 0);
    const share = all.total ? 100 * cost / all.total : 0, top = FOOT + 52;
    make(group, "rect", {
      class: "share", x: x - all.box / 2, y: top, width: all.box, height: Math.max(1, length),
    });
    const text = share.toFixed(share >= 9.95 ? 0 : 1) + " %";
    make(group, "text", { class: "minor", x, y: top + length + 13 }, text);
    const much = (ms ? ms + ", " : "") + `${share.toFixed(1)} % of the ${all.what}`;
    group.dataset.tip = [row.slot, key, much, counts].join("\\n");
  };

  const stage = (parent, name, rows, all) => {
    const width = all.column * rows.length, height = 268;
    const svg = make(parent, "svg", {
      class: "stage-picture", viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
    });
    const cost = rows.reduce((sum, row) => sum + row.op[10][all.which], 0);
    const share = all.total ? 100 * cost / all.total : 0;
    const title = `${name}: ${rows.length} operator${rows.length > 1 ? "s" : ""}, ` +
      `${share.toFixed(0)} % of the ${all.what}`;
    make(svg, "title", {}, title);
    make(svg, "desc", {}, rows.map(row => `${row.slot}: ${row.op[0]}`).join(". "));
    make(svg, "line", { class: "flow", x1: 0, x2: width, y1: MIDDLE, y2: MIDDLE });
    make(svg, "path", { class: "bracket", d: `M5 32V26H${width - 5}V32` });
    const room = 8 * rows.length;
    const short = name.length > room ? name.slice(0, room - 1).trimEnd() + "\\u2026" : name;
    make(svg, "text", { class: "stage", x: width / 2, y: 10 }, short);
    make(svg, "text", { class: "minor", x: width / 2, y: 22 }, rows[rows.length - 1].op[9]);
    rows.forEach((row, i) => column(svg, row, all.column * (i + 0.5), all));
    prepare(svg);
  };

  const draw = (network, data, placed, which) => {
    const rows = [];
    for (let i = 0; i < placed.length; i += 2) {
      const [slot, group] = data.slots[placed[i]];
      rows.push({ slot, group, op: data.operators[placed[i + 1]] });
    }
    const costs = rows.map(row => row.op[10][which]);
    const wide = Math.min(84, Math.max(58, Math.floor(1060 / rows.length)));
    const all = {
      column: wide, box: Math.round(wide * 0.64), which, what: data.costs[which],
      channels: Math.max(...rows.map(row => Math.max(row.op[2], row.op[3]))),
      total: costs.reduce((sum, cost) => sum + cost, 0), longest: Math.max(...costs),
    };
    network.replaceChildren();
    for (let first = 0, next = 0; first < rows.length; first = next) {
      while (next < rows.length && rows[next].group === rows[first].group) next++;
      stage(network, rows[first].group, rows.slice(first, next), all);
    }
  };
"""

_PAGE = """
  const known = new Map();
  const dataOf = search => {
    if (!known.has(search)) {
      const element = search.querySelector("script.data");
      known.set(search, element ? JSON.parse(element.textContent) : null);
    }
    return known.get(search);
  };
  const figures = (data, number) => data.points[number][0]
    .map((text, i) => text && `${data.axes[i]} ${text}`).filter(Boolean).join(", ");
  const pointTip = mark => {
    const number = mark.dataset.point, data = dataOf(mark.closest(".search"));
    const [, label] = data.points[number];
    const short = label.length > 220 ? label.slice(0, 219) + "\\u2026" : label;
    const head = number === "0" ? "chosen" : `front, no. ${number}`;
    return `${head}\\n${figures(data, number)}\\n${short}`;
  };

  const button = (text, action, kind) => {
    const element = document.createElement("button");
    element.type = "button";
    element.className = kind || "";
    element.textContent = text;
    element.addEventListener("click", action);
    return element;
  };
  const choose = (search, number) => {
    const data = dataOf(search), detail = search.querySelector(".detail");
    if (!data || !detail || !data.points[number]) return;
    const [, label, placed] = data.points[number];
    const chosen = number === detail.dataset.number ? ", the chosen one" : "";
    const which = number === "0" ? "Not on the front" : `No. ${number} of the front`;
    const head = `${which}${chosen}: ${figures(data, number)}`;
    detail.querySelector(".which").textContent = head;
    detail.querySelector(".label-text").textContent = label;
    const code = detail.querySelector("code");
    const pick = number === "0" ? "" : `--pick ${number} `;
    if (code) code.textContent = data.commands.replaceAll("{pick}", pick);
    draw(detail.querySelector(".network"), data, placed, Number(detail.dataset.cost || 0));
    detail.dataset.shown = number;
    detail.querySelector("figcaption").hidden =
      number !== detail.dataset.number || Number(detail.dataset.cost || 0) > 0;
    for (const mark of search.querySelectorAll("[data-point]"))
      mark.classList.toggle("shown", mark.dataset.point === number);
  };
  const copy = (code, done) => {
    const range = document.createRange();
    range.selectNodeContents(code);
    const selected = getSelection();
    selected.removeAllRanges();
    selected.addRange(range);
    const old = () => { if (document.execCommand("copy")) done(); };
    if (!navigator.clipboard) old();
    else navigator.clipboard.writeText(code.textContent).then(done, old);
  };
  const tabs = (items, names, label, kind) => {
    const list = document.createElement("div");
    list.className = kind;
    list.setAttribute("role", "tablist");
    list.setAttribute("aria-label", label);
    const show = index => items.forEach((item, i) => {
      item.hidden = i !== index;
      list.children[i].setAttribute("aria-selected", String(i === index));
      list.children[i].tabIndex = i === index ? 0 : -1;
    });
    names.forEach((name, i) => {
      const tab = button(name, () => show(i));
      tab.setAttribute("role", "tab");
      list.append(tab);
    });
    list.addEventListener("keydown", event => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const at = [...list.children].indexOf(document.activeElement);
      const next = (at + step + items.length) % items.length;
      show(next);
      list.children[next].focus();
    });
    items[0].before(list);
    show(0);
  };

  const searches = [...document.querySelectorAll(".search")];
  if (searches.length > 1)
    tabs(searches, searches.map(search => search.dataset.name), "searches", "tabs");
  for (const group of document.querySelectorAll(".plots")) {
    const items = [...group.children];
    if (items.length > 1)
      tabs(items, items.map(item => item.dataset.label), "cost to the right", "axes");
  }
  for (const search of searches) {
    const detail = search.querySelector(".detail"), data = dataOf(search);
    if (!detail || !data) continue;
    const numbers = Object.keys(data.points).sort((a, b) => a - b);
    const walk = step => {
      const at = numbers.indexOf(detail.dataset.shown);
      choose(search, numbers[Math.min(numbers.length - 1, Math.max(0, at + step))]);
    };
    const row = document.createElement("div");
    row.className = "walk";
    row.append(button("\\u2039 previous", () => walk(-1)), button("next \\u203a", () => walk(1)),
      button("the chosen one", () => choose(search, detail.dataset.number)));
    detail.querySelector(".which").before(row);
    if (data.costs.length > 1) {
      const bars = document.createElement("div");
      bars.className = "bars";
      data.costs.forEach((name, i) => bars.append(button(name, () => {
        detail.dataset.cost = String(i);
        for (const [j, one] of [...bars.children].entries())
          one.setAttribute("aria-pressed", String(j === i));
        const legend = detail.querySelector(".swatch .share")?.closest("li");
        if (legend) legend.lastChild.textContent = `share of ${name}`;
        choose(search, detail.dataset.shown);
      })));
      bars.children[0].setAttribute("aria-pressed", "true");
      detail.querySelector(".drawing").before(bars);
    }
    const box = detail.querySelector(".commands");
    if (box) {
      const copied = button("copy", () => copy(box.querySelector("code"), () => {
        copied.textContent = "copied";
        setTimeout(() => { copied.textContent = "copy"; }, 1500);
      }), "copy");
      box.append(copied);
    }
    choose(search, detail.dataset.number);
  }
"""

SCRIPT = f'(() => {{\n  "use strict";{_HOVER}{_DRAW}{_PAGE}}})();\n'
