"""The page in a real browser without a window: tabs, hover, click, copy, light and dark.

A script is put into a copy of the page: it does what a reader does, and writes down what
it sees. Needs chromium (Debian's package of that name); skipped where there is none.
"""

import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from supernet.report import FrontPoint, OperatorRow, PlotAxis, Report, SearchView, render
from supernet.space import decode, load_space, slot_operators
from supernet.space.genes import largest, smallest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (Debian: apt install chromium)"),
    pytest.mark.timeout(300),
]

AXES = (
    PlotAxis(name="top1", label="top-1 accuracy", unit="%", maximise=True),
    PlotAxis(name="latency@pixel", label="latency on pixel", unit="ms", limit=12),
    PlotAxis(name="macs", label="multiply-adds", unit="M", divisor=1e6),
)
COMMAND = "supernet results show pixel --run 'my run' {pick}-o subnet.json"


def _point(number: int) -> FrontPoint:
    space = load_space("mobilenet_v3")
    subnet = decode(space, (smallest if number == 1 else largest)(space))[0]
    operators = tuple(
        OperatorRow(
            slot=slot.name, group=slot.place.group, operator=operator, costs=(operator.macs / 1e8,)
        )
        for slot, operator in slot_operators(space, subnet)
    )
    values = (70.0 + number, 3.0 * number, 1e8 * number)
    return FrontPoint(values=values, label=str(subnet), number=number, operators=operators)


SEARCH = SearchView(
    name="pixel",
    axes=AXES,
    searched=tuple((70 + i / 10, 3 + i / 4, 1e8 + i * 1e7) for i in range(40)),
    front=(_point(1), _point(2), _point(3)),
    chosen=2,
    commands=COMMAND,
)
REPORT = Report(
    title="in a browser",
    subtitle="",
    facts={},
    networks=(),
    searches=(SEARCH, replace(SEARCH, name="server")),
)
PAGE = render(REPORT)

_BEFORE = "<script>window.errors = []; onerror = m => { window.errors.push(String(m)); };</script>"
_AFTER = """<pre id="seen"></pre><script>
const seen = {errors: window.errors}, search = document.querySelector(".search");
const put = (name, value) => { seen[name] = value; };
const shown = element => element.offsetParent !== null;
const act = (element, kind) => {
  const box = element.getBoundingClientRect();
  element.dispatchEvent(new (kind === "click" ? MouseEvent : PointerEvent)(kind, {
    bubbles: true, clientX: box.x + box.width / 2, clientY: box.y + box.height / 2,
  }));
};
try { %s } catch (error) { seen.errors.push(String(error)); }
document.getElementById("seen").textContent = JSON.stringify(seen);
</script>"""


def browse(page: str, script: str, tmp_path: Path, *options: str) -> tuple[dict[str, Any], str]:
    """What a script saw in the page, and the page as it was then."""
    path = tmp_path / "page.html"
    page = page.replace("<head>", f"<head>{_BEFORE}").replace(
        "</body>", _AFTER % script + "</body>"
    )
    path.write_text(page, encoding="utf-8")
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom",
            "--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1200,900",
            f"--user-data-dir={tmp_path / 'profile'}", *options, path.as_uri(),
        ],
        capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr[-2000:]
    seen = json.loads(html.unescape(found[1]))
    assert seen.pop("errors") == []
    return seen, done.stdout


def test_a_reader_finds_every_network_of_every_search(tmp_path: Path) -> None:
    seen, _ = browse(
        PAGE,
        """
        const searches = [...document.querySelectorAll(".search")];
        put("before", searches.map(shown));
        document.querySelectorAll(".tabs button")[1].click();
        put("after", searches.map(shown));
        document.querySelectorAll(".tabs button")[0].click();
        const plots = [...search.querySelectorAll(".against")];
        put("plot", plots.map(shown));
        search.querySelectorAll(".axes button")[1].click();
        put("other plot", plots.map(shown));
        const dot = plots[1].querySelector('[data-point="1"]');
        act(dot, "pointermove");
        put("tip", document.getElementById("tip").textContent);
        act(dot, "click");
        put("which", search.querySelector(".which").textContent);
        put("command", search.querySelector("code").textContent);
        put("boxes", search.querySelectorAll(".operator").length);
        put("marked", search.querySelectorAll(".shown").length);
        search.querySelector(".copy").click();
        put("selected", getSelection().toString());
        search.querySelectorAll(".walk button")[1].click();
        put("next", search.querySelector(".which").textContent);
        put("others", document.querySelectorAll(".search")[1].querySelector(".which").textContent);
        put("loaded", performance.getEntriesByType("resource").length);
        """,
        tmp_path,
    )
    assert (seen["before"], seen["after"]) == ([True, False], [False, True])
    assert (seen["plot"], seen["other plot"]) == ([True, False], [False, True])
    figures = "top-1 accuracy 71.00 %, latency on pixel 3.00 ms, multiply-adds 100 M"
    assert seen["tip"].startswith(f"front, no. 1{figures}")
    assert seen["which"] == f"No. 1 of the front: {figures}"
    assert seen["command"] == COMMAND.replace("{pick}", "--pick 1 ")
    assert seen["selected"] == seen["command"]
    assert seen["boxes"] == len(SEARCH.front[0].operators)
    assert seen["marked"] == 2  # in both plots
    assert seen["next"].startswith("No. 2 of the front: top-1 accuracy 72.00 %")
    assert seen["others"].startswith("No. 3 of the front, the chosen one: top-1 accuracy 73.00 %")
    assert seen["loaded"] == 0


def _drawn(page: str) -> list[list[tuple[str, ...]]]:
    """Every mark of the drawn stages: name, class, place and text."""
    svgs = re.findall(r'<svg class="stage-picture".*?</svg>', page, re.DOTALL)
    found = []
    for svg in svgs:
        root = ET.fromstring(re.sub(r' xmlns="[^"]*"', "", svg))
        names = ("class", "x", "y", "width", "height", "cx", "d", "data-tip")
        found.append(
            [
                (
                    element.tag,
                    *(" ".join(element.get(name, "").split()) for name in names),
                    element.text or "",
                )
                for element in root.iter()
                if element.tag in ("rect", "path", "circle", "text", "g")
            ]
        )
    return found


def test_the_script_draws_as_the_page_was_drawn(tmp_path: Path) -> None:
    one = render(replace(REPORT, searches=(SEARCH,)))
    _, after = browse(one, "", tmp_path)
    before = _drawn(one)
    assert len(before) == 8
    assert _drawn(after) == before


@pytest.mark.parametrize("width", [1200, 500])
def test_nothing_is_wider_than_the_screen(width: int, tmp_path: Path) -> None:
    seen, _ = browse(
        PAGE,
        """put("overflow", document.documentElement.scrollWidth - innerWidth);
        put("width", innerWidth);""",
        tmp_path,
        f"--window-size={width},800",
    )
    assert seen["width"] <= width
    assert seen["overflow"] <= 0


def test_light_and_dark_have_colours_of_their_own(tmp_path: Path) -> None:
    script = """
        const paint = name => getComputedStyle(search.querySelector(name) || document.body);
        put("paper", getComputedStyle(document.body).backgroundColor);
        put("ink", getComputedStyle(document.body).color);
        put("front", paint(".front").stroke);"""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    light, _ = browse(PAGE, script, tmp_path / "a")
    dark, _ = browse(PAGE, script, tmp_path / "b", "--blink-settings=preferredColorScheme=0")
    assert light["paper"] == "rgb(253, 253, 252)"
    assert dark["paper"] == "rgb(21, 23, 26)"
    assert all(light[name] != dark[name] for name in light)


def test_without_the_script_everything_is_there_one_below_the_other() -> None:
    bare = re.sub(r"<script>.*?</script>", "", PAGE, flags=re.DOTALL)
    assert " hidden" not in re.sub(r'<div id="tip".*?>', "", bare).split("</style>")[1]
    assert bare.count('class="against"') == 4


def test_bars_are_of_the_target_that_is_asked_for(tmp_path: Path) -> None:
    def both(point: FrontPoint) -> FrontPoint:
        # on the other target only the stem takes time
        rows = tuple(
            replace(row, costs=(*row.costs, float(row.slot == "stem"))) for row in point.operators
        )
        return replace(point, operators=rows)

    front = tuple(map(both, SEARCH.front))
    costs = ("latency on pixel", "latency on server")
    report = replace(REPORT, searches=(replace(SEARCH, front=front, costs=costs),))
    seen, _ = browse(
        render(report),
        """
        const tips = () => [...search.querySelectorAll(".operator")]
          .map(group => group.dataset.tip.split("\\n")[2]);
        const legend = () => search.querySelector(".swatch .share").closest("li").textContent;
        const buttons = [...search.querySelectorAll(".bars button")];
        put("names", buttons.map(one => one.textContent));
        put("legend", legend());
        buttons[1].click();
        put("pressed", buttons.map(one => one.getAttribute("aria-pressed")));
        put("server", tips().slice(0, 2));
        put("server legend", legend());
        search.querySelectorAll(".walk button")[0].click();
        put("another", tips().slice(0, 2));
        buttons[0].click();
        put("pixel", tips()[1]);
        """,
        tmp_path,
    )
    nothing = "0 ms, 0.0 % of the latency on server"
    assert seen["names"] == list(costs)
    assert seen["legend"] == "share of latency on pixel"
    assert seen["pressed"] == ["false", "true"]
    assert seen["server"] == ["1.00 ms, 100.0 % of the latency on server", nothing]
    assert seen["server legend"] == "share of latency on server"
    assert seen["another"] == seen["server"]
    assert seen["pixel"].endswith("of the latency on pixel")
    assert seen["pixel"] != nothing
