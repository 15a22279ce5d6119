"""The script of the page: hover text for the mark nearest to the pointer."""

__all__ = ["SCRIPT"]

SCRIPT = """
(() => {
  "use strict";
  const tip = document.getElementById("tip");
  let hot = null;

  const leave = () => {
    if (hot) hot.classList.remove("hot");
    hot = null;
    tip.hidden = true;
  };

  const nearest = (svg, x, y) => {
    let best = null, least = 18 * 18;
    for (const mark of svg.querySelectorAll("[data-tip]")) {
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
      const [head, ...rest] = mark.dataset.tip.split("\\n");
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

  for (const svg of document.querySelectorAll("svg[role=img]")) {
    // The browser would show the title of the picture over our own text.
    const words = ["title", "desc"].map(name => svg.querySelector(name));
    svg.setAttribute("aria-label", words.map(word => word.textContent).join(". "));
    svg.removeAttribute("aria-labelledby");
    words.forEach(word => word.remove());
    const move = event => {
      const own = event.target.closest("[data-tip]");
      const mark = own || nearest(svg, event.clientX, event.clientY);
      if (mark) show(mark, event.clientX, event.clientY); else leave();
    };
    svg.addEventListener("pointermove", move);
    svg.addEventListener("pointerdown", move);
    svg.addEventListener("pointerleave", leave);
  }
  addEventListener("scroll", leave, { passive: true });
})();
"""
