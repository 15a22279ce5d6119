"""The style sheet: one set of colours for light, one for dark, told apart by the colour-blind.

Hues are those of Okabe and Ito (2008); the shades of the search go from pale to strong
in lightness alone, so that they also read in grey.
"""

__all__ = ["STYLE"]

_COLOURS = """
:root {
  --paper: #fdfdfc; --raised: #f5f5f3; --ink: #1a1c20; --soft: #5d636c; --hair: #e3e4e6;
  --axis: #a5aab1; --accent: #c8450a; --accent-wash: #fdf1ea; --beyond: #f3f3f1;
  --s0: #c6dcf0; --s1: #97c0e3; --s2: #619fd2; --s3: #2f7ab8; --s4: #0b4f8a;
  --random: #8d939b; --front: #0b3c68; --pair: #0072b2; --band: #e4eef6;
  --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #a8588b; --c4: #b07d00; --c5: #6b7078;
  --k1: #a7adb5; --k3: #5fb6e6; --k5: #0072b2; --k7: #c0608f; --k-other: #e69f00;
  --k-none: #d3d6da; --share: #e0a06c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15171a; --raised: #1d2024; --ink: #e8e9eb; --soft: #9ea5ae; --hair: #2b2f35;
    --axis: #5c636c; --accent: #ff8f57; --accent-wash: #2b1f18; --beyond: #1b1e21;
    --s0: #28405a; --s1: #315f8a; --s2: #4386bf; --s3: #6fb0e6; --s4: #bcdffc;
    --random: #7c838c; --front: #b9dcf7; --pair: #58aee2; --band: #1b2c3a;
    --c0: #56b4e9; --c1: #ff9a56; --c2: #35c498; --c3: #e08fbd; --c4: #e3b23c; --c5: #a3a9b1;
    --k1: #6f767f; --k3: #7cc8f2; --k5: #2384c6; --k7: #d67fab; --k-other: #e3b23c;
    --k-none: #41464d; --share: #b8764a;
  }
}
"""

_PAGE = """
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums; -webkit-text-size-adjust: 100%;
}
main { max-width: 1120px; margin: 0 auto; padding: 48px 28px 64px; }
h1 { font-size: 30px; line-height: 1.2; font-weight: 650; letter-spacing: -0.015em; margin: 0; }
h2 {
  font-size: 13px; font-weight: 650; letter-spacing: 0.06em; text-transform: uppercase;
  color: var(--soft); margin: 0 0 18px; padding-top: 14px; border-top: 1px solid var(--hair);
}
h3 { font-size: 15px; font-weight: 600; margin: 0 0 6px; }
section { margin-top: 44px; }
.subtitle { margin: 6px 0 0; color: var(--soft); }
.summary { margin: 22px 0 0; font-size: 19px; line-height: 1.45; max-width: 56em; }
.summary em { font-style: normal; color: var(--accent); }
.under { margin: 10px 0 0; color: var(--soft); font-size: 13px; }
h1, .subtitle, .summary, dd, td, th, figcaption, li { overflow-wrap: anywhere; }
"""

_TABLES = """
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 400; }
.headline thead th { color: var(--soft); font-size: 13px; padding: 0 20px 8px 0; }
.headline tbody th, .headline td {
  padding: 12px 20px 12px 0; border-top: 1px solid var(--hair); vertical-align: top;
}
.headline tbody th { width: 30%; padding-left: 12px; }
.headline thead th:first-child { padding-left: 12px; }
.network-name { font-weight: 600; display: block; }
.headline small { color: var(--soft); font-size: 13px; display: block; line-height: 1.4; }
.value { font-weight: 600; }
.unit { color: var(--soft); margin-left: 0.25em; }
.relative { color: var(--soft); font-size: 13px; margin-left: 0.7em; white-space: nowrap; }
.bar { display: block; height: 4px; margin-top: 6px; background: var(--hair); border-radius: 2px; }
.bar span {
  display: block; height: 4px; background: var(--c0); border-radius: 2px;
  min-width: 1px;
}
.is-found th, .is-found td { background: var(--accent-wash); }
.is-found .network-name { color: var(--accent); }
.is-found .bar span { background: var(--accent); }
.figures { max-width: 760px; }
.figures th, .figures td { padding: 7px 0; border-bottom: 1px solid var(--hair); }
.figures tr:first-child > * { border-top: 1px solid var(--hair); }
.figures td { text-align: right; font-weight: 600; padding-left: 24px; }
dl {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr));
  margin: 0; gap: 14px 32px;
}
dt { color: var(--soft); font-size: 13px; }
dd { margin: 0; }
.long { grid-column: 1 / -1; }
"""

_FIGURES = """
figure { margin: 0; min-width: 0; }
figcaption {
  color: var(--soft); font-size: 13px; line-height: 1.5; margin-top: 8px;
  max-width: 72em;
}
.legend {
  list-style: none; margin: 0 0 12px; padding: 0; display: flex; flex-wrap: wrap;
  gap: 4px 20px;
}
.legend li { display: flex; align-items: center; font-size: 13px; color: var(--soft); }
.swatch { margin-right: 7px; flex: none; overflow: visible; }
.columns { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 36px 44px; }
.columns figure { display: flex; flex-direction: column; }
.plot { display: block; width: 100%; height: auto; overflow: visible; touch-action: pan-y; }
.square { max-width: 500px; }
.beside { display: grid; grid-template-columns: minmax(0, 1fr) 250px; gap: 0 36px; }
.beside .plot { grid-column: 1; grid-row: 1 / 3; }
.beside .swatch { width: 30px; }
.beside .legend {
  grid-column: 2; grid-row: 1; flex-direction: column; gap: 8px; padding-top: 30px;
}
.beside figcaption { grid-column: 2; grid-row: 2; align-self: end; padding-bottom: 50px; }
.network { display: flex; flex-wrap: wrap; row-gap: 22px; }
.stage-picture { display: block; max-width: 100%; height: auto; overflow: visible; }
#tip {
  position: fixed; z-index: 9; max-width: min(340px, calc(100vw - 16px)); pointer-events: none;
  padding: 8px 11px; border-radius: 6px; background: var(--ink); color: var(--paper);
  font-size: 12.5px; line-height: 1.45; white-space: pre-line; overflow-wrap: anywhere;
  box-shadow: 0 4px 18px rgb(0 0 0 / 0.18);
}
#tip[hidden] { display: none; }
#tip b { display: block; font-weight: 600; }
"""

_MARKS = """
svg text { fill: var(--ink); font-size: 12px; }
.grid { stroke: var(--hair); }
.axis { stroke: var(--axis); }
.tick, .label, .note { fill: var(--soft); }
.tx { text-anchor: middle; dominant-baseline: hanging; }
.ty { text-anchor: end; dominant-baseline: central; }
.end { text-anchor: end; }
.x-label { text-anchor: end; transform: translateY(-9px); }
.middle { text-anchor: middle; }
.hero text { font-size: 10.5px; }
.square text { font-size: 11.6px; }
.line text { font-size: 12.6px; }
.hero .name { font-weight: 600; font-size: 11.5px; dominant-baseline: central; }
.halo { paint-order: stroke; stroke: var(--paper); stroke-width: 4px; stroke-linejoin: round; }
.beyond { fill: var(--beyond); }
.limit { stroke: var(--ink); stroke-width: 1.2; stroke-dasharray: 1.5 3.5; stroke-linecap: round; }
.s0 { fill: var(--s0); } .s1 { fill: var(--s1); } .s2 { fill: var(--s2); }
.s3 { fill: var(--s3); } .s4 { fill: var(--s4); }
.random { fill: none; stroke: var(--random); stroke-width: 1.1; }
.front { fill: none; stroke: var(--front); stroke-width: 1.6; stroke-dasharray: 5 3; }
.front-dot { fill: var(--paper); stroke: var(--front); stroke-width: 1.4; }
.measured { fill: var(--ink); stroke: var(--paper); stroke-width: 2; }
.found { fill: var(--accent); stroke: var(--paper); stroke-width: 2; paint-order: stroke; }
.pair { fill: var(--pair); fill-opacity: 0.6; }
.equal { stroke: var(--axis); stroke-width: 1.3; }
.band { fill: var(--band); }
.share-of { fill: var(--c0); } .leading { text-anchor: end; fill: var(--ink); }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.c0 { stroke: var(--c0); } .c1 { stroke: var(--c1); stroke-dasharray: 7 4; }
.c2 { stroke: var(--c2); stroke-dasharray: 1 4.5; }
.c3 { stroke: var(--c3); stroke-dasharray: 9 4 1 4; }
.c4 { stroke: var(--c4); stroke-dasharray: 3 4; } .c5 { stroke: var(--c5); }
.k0 { fill: var(--c0); } .k1 { fill: var(--c1); } .k2 { fill: var(--c2); }
.k3 { fill: var(--c3); } .k4 { fill: var(--c4); } .k5 { fill: var(--c5); }
.hot { stroke: var(--ink); stroke-width: 2; stroke-opacity: 1; }
.knot.hot { r: 4px; stroke-width: 1.5; }
.kernel1 { fill: var(--k1); } .kernel3 { fill: var(--k3); } .kernel5 { fill: var(--k5); }
.kernel7 { fill: var(--k7); }
.kernel-other { fill: var(--k-other); }
.kernel-none { fill: var(--k-none); }
.expanded { fill-opacity: 0.25; }
.share { fill: var(--share); }
.squeeze { fill: var(--paper); stroke: var(--axis); stroke-width: 0.8; }
.flow { stroke: var(--axis); stroke-width: 1.2; }
.edge { stroke: var(--axis); stroke-width: 1.2; fill: none; }
.bracket { fill: none; stroke: var(--axis); }
.shortcut { fill: none; stroke: var(--soft); stroke-width: 1.2; }
svg .stage { font-weight: 600; text-anchor: middle; }
svg .channels { font-weight: 600; text-anchor: middle; }
svg .minor { fill: var(--soft); font-size: 11px; text-anchor: middle; }
.operator.hot { stroke: none; }
.operator.hot rect { stroke: var(--ink); stroke-width: 1.2; }
"""

_SEARCHES = """
.search > h2 { text-transform: none; letter-spacing: 0; font-size: 17px; color: var(--ink); }
.aim { margin: -10px 0 18px; color: var(--soft); max-width: 72em; overflow-wrap: anywhere; }
.part { margin-top: 34px; }
.part > h3 { margin-bottom: 10px; }
.tabs { margin-top: 44px; display: flex; flex-wrap: wrap; gap: 0 4px; }
.tabs + .search, .tabs ~ .search { margin-top: 0; }
.tabs { border-bottom: 1px solid var(--hair); }
.search > h2 { border-top: 0; }
.tabs button {
  border: 0; border-bottom: 2px solid transparent; border-radius: 0; padding: 8px 14px;
  margin-bottom: -1px; background: none; color: var(--soft); font-size: 14px;
}
.tabs button[aria-selected=true] { color: var(--ink); border-color: var(--accent); }
button {
  font: inherit; font-size: 13px; color: var(--ink); background: var(--raised); cursor: pointer;
  border: 1px solid var(--hair); border-radius: 6px; padding: 3px 11px;
}
button:hover { border-color: var(--axis); }
button:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.axes, .walk, .bars { display: flex; flex-wrap: wrap; gap: 6px; margin: 0 0 14px; }
.axes button[aria-selected=true], .bars button[aria-pressed=true] {
  background: var(--ink); color: var(--paper);
}
.bars::before { content: "bars"; color: var(--soft); font-size: 13px; align-self: center; }
.axes::before { content: "against"; color: var(--soft); font-size: 13px; align-self: center; }
.plots { margin-top: 26px; }
.against + .against { margin-top: 30px; }
.chosen { max-width: 760px; }
.chosen th, .chosen td { padding: 6px 20px 6px 0; border-bottom: 1px solid var(--hair); }
.chosen thead th { color: var(--soft); font-size: 13px; }
.chosen td { color: var(--soft); }
.chosen td.value { color: var(--ink); white-space: nowrap; }
.which { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
.label-text { margin: 2px 0 12px; }
.commands { position: relative; margin: 0 0 22px; max-width: 900px; }
pre {
  margin: 0; padding: 10px 84px 10px 14px; background: var(--raised); border-radius: 6px;
  font: 12.5px/1.6 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  white-space: pre-wrap; overflow-wrap: anywhere;
}
.copy { position: absolute; right: 8px; top: 8px; background: var(--paper); }
[data-point] { cursor: pointer; }
.cloud { fill: none; stroke-width: 6; stroke-linecap: round; }
.d0 { stroke: var(--s0); } .d1 { stroke: var(--s1); } .d2 { stroke: var(--s2); }
.d3 { stroke: var(--s3); } .d4 { stroke: var(--s4); }
.front-dot.shown { fill: var(--accent); stroke: var(--accent); r: 5px; }
.found.shown { stroke: var(--ink); }
"""

_NARROW = """
@media (max-width: 860px) {
  .columns, .beside { display: block; }
  .columns figure + figure { margin-top: 36px; }
  .beside .swatch { width: auto; }
  .beside .legend { flex-direction: row; gap: 4px 20px; padding-top: 0; }
  .beside figcaption { padding-bottom: 0; }
}
@media (max-width: 600px) {
  main { padding: 28px 18px 48px; }
  h1 { font-size: 25px; }
  .summary { font-size: 17px; }
  section { margin-top: 36px; }
  .x-label { transform: none; }
  .hero text { font-size: 20px; }
  .hero .name { font-size: 19.5px; }
  .line text { font-size: 16px; }
  .square text { font-size: 14.5px; }
  .headline thead { display: none; }
  .headline, .headline tbody { display: block; }
  .headline tr {
    display: grid; grid-template-columns: 1fr 1fr; padding: 12px 10px;
    border-top: 1px solid var(--hair);
  }
  .headline tbody th { grid-column: 1 / 3; width: auto; }
  .headline tbody th, .headline td { display: block; padding: 4px 14px 6px 0; border: 0; }
  .headline td::before {
    content: attr(data-label); display: block; color: var(--soft); font-size: 12px;
  }
  .headline tr.is-found { background: var(--accent-wash); }
  dl { grid-template-columns: 1fr; }
}
@media print { #tip, button { display: none; } figure, table { break-inside: avoid; } }
"""

STYLE = _COLOURS + _PAGE + _TABLES + _FIGURES + _MARKS + _SEARCHES + _NARROW
