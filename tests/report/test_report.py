"""The report: complete, self-contained, well-formed, and calm about odd data."""

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from supernet.errors import ConfigError
from supernet.report import (
    ChoiceShares,
    Curve,
    FrontPoint,
    NetworkRow,
    OperatorRow,
    PlotAxis,
    PolicyView,
    Quality,
    QualityPoint,
    Report,
    Scatter,
    SearchView,
    render,
)
from supernet.report._axes import domain, nice_ticks, tick_text
from supernet.report._labels import Box, place
from supernet.report._markup import compact, escape, signed, significant, tag
from supernet.space import Operator

NASTY = "</script><img src=x onerror=\"alert('1')\">&\x00"
HEADINGS = (
    "Networks",
    "Search pixel",
    "Search all &amp; more",
    "Probabilities of the choices",
    "Supernet quality",
    "Supernet training",
    "Further figures",
    "How this was made",
)
MINIMUM = Report(title="minimum", subtitle="", facts={}, networks=())
VOID = {"meta", "circle", "line", "path", "rect"}


class Outline(HTMLParser):
    """Collects elements and checks that each is closed where it was opened."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


AXES = (
    PlotAxis(name="top1", label="top-1 accuracy", unit="%", maximise=True),
    PlotAxis(name="latency@pixel", label="latency on pixel", unit="ms", limit=2.6),
    PlotAxis(name="macs", label="multiply-adds", unit="M", divisor=1e6),
)


def point(latency_ms: float, top1: float, name: str = "", **known: Any) -> FrontPoint:
    values = (top1, latency_ms, latency_ms * 2e6)
    return FrontPoint(values=values, label=f"arch {latency_ms}", name=name, **known)


def view(**changes: Any) -> SearchView:
    return replace(SearchView(name="pixel", axes=AXES), **changes)


def network(name: str, top1: float, latency_ms: float, note: str = "") -> NetworkRow:
    return NetworkRow(
        name=name, top1=top1, latency_ms=latency_ms, macs=11_300_000, params=660_000, note=note
    )


def rows() -> tuple[OperatorRow, ...]:
    stem = Operator(op="conv", in_channels=1, out_channels=16, kernel=3, height=32, width=32)
    first = Operator(
        op="mbconv", in_channels=16, mid_channels=64, out_channels=24, kernel=5, stride=2,
        height=32, width=32,
    )  # fmt: skip
    second = Operator(
        op="mbconv", in_channels=24, mid_channels=72, out_channels=24, kernel=9, se=16,
        shortcut="identity", height=16, width=16,
    )  # fmt: skip
    pool = Operator(op="pool", in_channels=24, out_channels=24, height=16, width=16)
    linear = Operator(op="linear", in_channels=24, out_channels=10, bias=True)
    slots = ("stem", "stage1.block1", "stage1.block2", "head.pool", "head.classifier")
    latencies = (0.1, 0.5, 0.3, 0.0, 0.1)
    return tuple(
        OperatorRow(slot=slot, group=slot.partition(".")[0], operator=operator, costs=(latency,))
        for slot, operator, latency in zip(
            slots, (stem, first, second, pool, linear), latencies, strict=True
        )
    )


QUALITY = Quality(
    points=(
        QualityPoint(name="smallest", macs=10**6, top1=70, standalone=71.5, label="small <k3>"),
        QualityPoint(name="random 1", macs=2 * 10**6, top1=75.25, label="k5"),
        QualityPoint(name="largest", macs=5 * 10**6, top1=80, standalone=79, label="k7"),
    ),
    caption="n = 3 subnets on 100 test images.",
)


POLICY = PolicyView(
    name="tunas",
    epochs=(1.0, 2.0, 3.0),
    genes=tuple(
        ChoiceShares(
            name=f"stage{stage}.<kernel>",
            choices=("3", "5", "7"),
            shares=((0.25, 0.25, 0.5), (0.25, 0.5, 0.25), (0.0, 1.0, 0.0)),
        )
        for stage in range(1, 7)
    ),
    caption="Method tunas.",
)


def searched() -> SearchView:
    """A search with everything."""
    cloud = tuple(point(1 + i / 20, 80 + i % 7) for i in range(60))
    pairs = tuple(1 + i / 10 for i in range(20))
    front = tuple(
        point(1 + i / 2, 80 + i, number=i + 1, operators=rows()[: 3 + i % 3]) for i in range(6)
    )
    return view(
        subtitle="latency@pixel <= 2.6 ms",
        searched=tuple(p.values for p in cloud),
        random=cloud[::3],
        front=front,
        chosen=3,
        measured=(point(5.4, 92.6, "largest"), point(2.5, 92.0, "Found")),
        commands="supernet results show pixel {pick}-o subnet.json",
        predictor=Scatter(measured=pairs, predicted=pairs, caption="n = 20, tau 0.71"),
        latencies={
            "pixel": Scatter(
                measured=pairs,
                predicted=tuple(p * (1.01 if p < 2 else 1.2) for p in pairs),
                labels=tuple(f"net {p}" for p in pairs),
                caption="n = 20 held out.",
            )
        },
        facts={"Searched": "today"},
    )


def full() -> Report:
    return Report(
        title="Everything",
        subtitle="all sections",
        facts={"Device": "two cores", "Seed": "0"},
        networks=(network("largest", 92.6, 5.4), network("found", 92.0, 2.5, "starred")),
        training=(Curve(name="loss", x=(1, 2, 3), y=(2.1, 1.2, 0.9)),),
        validation=tuple(Curve(name=f"net {i}", x=(1, 2), y=(50, 60 + i)) for i in range(7)),
        policies=(POLICY,),
        quality=QUALITY,
        searches=(searched(), replace(searched(), name="all & more")),
        figures={"ONNX Runtime against torch": "1.2e-06"},
    )


def pictures(page: str) -> list[ET.Element]:
    return [ET.fromstring(text) for text in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def plots(page: str) -> list[ET.Element]:
    return [svg for svg in pictures(page) if svg.get("role") == "img"]


def test_probabilities_are_bands_that_fill_their_panel() -> None:
    page = render(full())
    (plot,) = [svg for svg in plots(page) if svg.get("class") == "plot policy"]
    bands = [path for path in plot.iter("path") if path.get("class") == "share-of"]
    assert len(bands) == 6 * 3
    heights = []
    for band in bands[:3]:  # there along the top, back along the bottom
        path = (band.get("d") or "").strip("MZ").split("L")
        values = [float(spot.split()[1]) for spot in path]
        heights.append([low - high for high, low in zip(values[:3], values[:2:-1])])
    assert heights == [[11, 11, 0], [11, 22, 44], [22, 11, 0]]
    assert "5: 100 %" in page
    assert "stage1.&lt;kernel&gt;" in page


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"epochs": ()}, "epochs: at least one"),
        ({"epochs": (1.0,)}, "needs 1 epochs"),
    ],
)
def test_probabilities_of_other_epochs_are_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        replace(POLICY, **wrong)
    with pytest.raises(ConfigError, match="one from 0 to 1 for each choice"):
        ChoiceShares(name="x", choices=("a", "b"), shares=((0.5, 1.5),))


def test_full_report_has_every_section_in_order() -> None:
    page = render(full())
    assert tuple(re.findall(r"<h2>(.*?)</h2>", page)) == HEADINGS
    assert Outline(page).open == []


def test_minimum_report_has_no_section_and_no_picture() -> None:
    page = render(MINIMUM)
    assert "<h2>" not in page
    assert pictures(page) == []
    assert Outline(page).open == []


@pytest.mark.parametrize(
    ("heading", "change"),
    [
        ("Networks", {"networks": ()}),
        ("Search all &amp; more", {"searches": (searched(),)}),
        ("Supernet training", {"training": (), "validation": ()}),
        ("Further figures", {"figures": {}}),
        ("How this was made", {"facts": {}}),
    ],
)
def test_section_without_data_is_left_out(heading: str, change: dict[str, Any]) -> None:
    page = render(replace(full(), **change))
    assert tuple(re.findall(r"<h2>(.*?)</h2>", page)) == tuple(h for h in HEADINGS if h != heading)


@pytest.mark.parametrize(
    ("heading", "change"),
    [
        ("Architecture", {"chosen": None}),
        ("Predictions", {"predictor": None, "latencies": {}}),
        ("How it was searched", {"facts": {}}),
    ],
)
def test_part_of_a_search_without_data_is_left_out(heading: str, change: dict[str, Any]) -> None:
    page = render(replace(MINIMUM, searches=(searched(),)))
    assert f"<h3>{heading}</h3>" in page
    page = render(replace(MINIMUM, searches=(replace(searched(), **change),)))
    assert f"<h3>{heading}</h3>" not in page


def test_empty_curves_and_scatters_count_as_absent() -> None:
    empty = Scatter(measured=(), predicted=(), caption="")
    curve = Curve(name="loss", x=(), y=())
    report = replace(MINIMUM, training=(curve,))
    assert "<h2>" not in render(report)
    page = render(replace(MINIMUM, searches=(view(predictor=empty, latencies={"a": empty}),)))
    assert pictures(page) == []


def test_all_text_is_escaped() -> None:
    where = FrontPoint(values=(1.0, 2.0, 3.0), label=NASTY, name=NASTY)
    scatter = Scatter(measured=(1.0,), predicted=(1.0,), labels=(NASTY,), caption=NASTY)
    curve = Curve(name=NASTY, x=(1,), y=(1,))
    operators = tuple(replace(row, slot=NASTY, group=NASTY) for row in rows())
    search = SearchView(
        name=NASTY,
        subtitle=NASTY,
        axes=(*AXES[:2], replace(AXES[2], name=NASTY, label=NASTY, unit=NASTY)),
        searched=((1.0, 2.0, 3.0),),
        random=(where,),
        front=(where, replace(where, number=2, operators=operators)),
        chosen=1,
        measured=(where,),
        found=NASTY,
        commands=NASTY,
        predictor=scatter,
        latencies={NASTY: scatter},
        facts={NASTY: NASTY},
    )
    report = Report(
        title=NASTY,
        subtitle=NASTY,
        facts={NASTY: NASTY},
        networks=(network(NASTY, 90, 1, NASTY), network("other", 90, 1)),
        training=(curve,),
        validation=(curve, curve),
        searches=(search,),
        figures={NASTY: NASTY},
        found=NASTY,
    )
    page = render(report)
    assert "<img" not in page
    assert "\x00" not in page
    assert page.count("</script>") == page.count("<script") == 2
    assert all(name != "img" for name, _ in Outline(page).seen)
    assert len(plots(page)) == 2 + 1 + 2 + 2


def test_page_loads_nothing_from_outside() -> None:
    page = render(full())
    assert not re.search(r"https?:|//[a-z]|url\(|@import|\bfetch\(|XMLHttpRequest", page)
    for name, attributes in Outline(page).seen:
        assert name not in {"link", "img", "iframe", "object", "embed", "base", "image", "use"}
        assert not {"src", "href", "xlink:href", "srcset", "action"} & set(attributes)
        assert not any(key.startswith("on") for key in attributes)


def test_pictures_are_well_formed_and_titled() -> None:
    drawn = plots(render(full()))
    assert len(drawn) == 2 * (2 + 2 + 2) + 1 + 1 + 2
    ids = [element.get("id") for svg in drawn for element in svg.iter() if element.get("id")]
    assert len(ids) == len(set(ids)) == 2 * len(drawn)
    for svg in drawn:
        title, description = svg.find("title"), svg.find("desc")
        assert title is not None
        assert description is not None
        assert title.text
        assert description.text
        assert svg.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"


def test_marks_lie_inside_their_picture() -> None:
    for svg in plots(render(full())):
        _, _, width, height = (float(v) for v in svg.get("viewBox", "").split())
        for circle in svg.iter("circle"):
            assert 0 <= float(circle.get("cx", "nan")) <= width
            assert 0 <= float(circle.get("cy", "nan")) <= height


def test_found_subnet_is_starred_whatever_the_case_of_its_name() -> None:
    page = render(full())
    front = next(svg for svg in plots(page) if svg.get("class") == "plot hero")
    stars = [path for path in front.iter("path") if path.get("class") == "found"]
    assert len(stars) == 1
    assert "Found, measured: 92.00 %, 2.50 ms\narch 2.5" in (stars[0].get("data-tip") or "")
    assert "★ found" in page


def test_summary_compares_found_with_the_first_network() -> None:
    page = render(full())
    assert "92.00 % at 2.50 ms" in page
    assert "2.2 times as fast as largest, at \N{MINUS SIGN}0.60 points." in page


def test_summary_says_slow_where_found_is_slower() -> None:
    report = replace(MINIMUM, networks=(network("base", 90, 2), network("found", 91, 3)))
    assert "1.5 times as slow as base, at +1.00 points." in render(report)


def test_limit_is_drawn_and_inside_the_axis_even_when_far_from_the_points() -> None:
    axes = (AXES[0], replace(AXES[1], limit=40.0))
    front = (FrontPoint(values=(90.0, 1.0), label="", number=1),)
    report = replace(MINIMUM, searches=(SearchView(name="a", axes=axes, front=front),))
    (drawn,) = plots(render(report))
    (line,) = [e for e in drawn.iter("line") if e.get("class") == "limit"]
    assert 0 < float(line.get("x1", "nan")) < 680
    assert "limit 40.0 ms" in [e.text for e in drawn.iter("text")]


def test_against_a_figure_of_which_more_is_better_the_front_and_the_limit_face_right() -> None:
    """Such as what the rungs of a ladder measured: the second point is best of all."""
    rung = PlotAxis(name="top1@100", label="top1@100", unit="%", maximise=True, limit=50.0)
    values = ((60.0, 40.0), (90.0, 80.0), (80.0, 90.0))
    front = tuple(FrontPoint(values=own, label="", number=n) for n, own in enumerate(values, 1))
    shown = SearchView(name="a", axes=(AXES[0], rung), front=front)
    page = render(replace(MINIMUM, searches=(shown,)))
    (drawn,) = plots(page)
    at = [(float(e.get("cx", 0)), float(e.get("cy", 0))) for e in drawn.iter("circle")]
    (path,) = [e.get("d", "") for e in drawn.iter("path") if e.get("class") == "front"]
    (_, _), (x, y), (last_x, last_y) = at
    assert path == f"M{last_x:g} {last_y:g}H{x:g}V{y:g}"
    (shade,) = [e for e in drawn.iter("rect") if e.get("class") == "beyond"]
    (line,) = [e for e in drawn.iter("line") if e.get("class") == "limit"]
    end = float(shade.get("x", 0)) + float(shade.get("width", 0))
    assert end == pytest.approx(float(line.get("x1", 0)), abs=0.11)
    assert "Up and to the right is better" in page


def test_latency_caption_counts_pairs_in_the_band() -> None:
    page = render(full())
    assert "n = 20 held out. 10 of 20 within ±5 %." in page


def test_hover_text_tells_the_architecture() -> None:
    front, _ = plots(render(replace(MINIMUM, searches=(view(random=(point(1.25, 90),)),))))
    (mark,) = [e for e in front.iter("circle") if e.get("data-tip")]
    assert mark.get("data-tip") == "random: 90.00 %, 1.25 ms\narch 1.25"


def test_operators_show_kernel_expansion_channels_and_share() -> None:
    search = view(front=(point(1, 80, number=1, operators=rows()),), chosen=0)
    page = render(replace(MINIMUM, searches=(search,)))
    stages = [s for s in plots(page) if s.get("class") == "stage-picture"]
    texts = [[e.text for e in stage.iter("text")] for stage in stages]
    assert texts[0] == ["stem", "32×32", "16", "k3", "10 %"]  # noqa: RUF001  # the sign as it is drawn
    assert texts[1][2:] == ["24", "k5 e4", "s2", "50 %", "24", "k9 e3", "SE", "30 %"]
    assert [len(list(stage.iter("path"))) for stage in stages] == [1, 2, 1]  # brackets, one arc


@pytest.mark.parametrize("value", [0.0, 1.0, 90.0, 1e-9, 1e12])
def test_single_and_constant_values_render(value: float) -> None:
    scatter = Scatter(measured=(value, value), predicted=(value, value), caption="n = 2")
    curve = Curve(name="loss", x=(value,), y=(value,))
    free = tuple(replace(row, costs=(0.0,)) for row in rows())
    report = Report(
        title="constant",
        subtitle="",
        facts={},
        networks=(NetworkRow(name="found", top1=0, latency_ms=value, macs=0, params=0),),
        training=(curve, curve),
        validation=(curve,),
        searches=(
            view(
                predictor=scatter,
                latencies={"a": scatter},
                searched=((value, value, value),),
                front=(
                    FrontPoint(values=(value, value, value), label="", operators=free),
                    FrontPoint(values=(value, value, value), label="", operators=free),
                ),
                chosen=1,
                measured=(FrontPoint(values=(value, value, value), label="", name="found"),) * 3,
            ),
        ),
    )
    page = render(report)
    assert "nan" not in re.sub(r"<(style|script)[^>]*>.*?</\1>", "", page, flags=re.DOTALL)
    assert len(plots(page)) == 2 + 2 + 3 + 2


def test_negative_values_render() -> None:
    scatter = Scatter(measured=(-3.0, 2.0), predicted=(-2.5, 1.0), caption="n = 2")
    page = render(replace(MINIMUM, searches=(view(latencies={"a": scatter}, predictor=scatter),)))
    assert len(plots(page)) == 2


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e300])
@pytest.mark.parametrize(
    ("field", "build"),
    [
        ("Scatter.measured[1]", lambda v: Scatter(measured=(1, v), predicted=(1, 1), caption="")),
        ("Scatter.predicted[0]", lambda v: Scatter(measured=(1,), predicted=(v,), caption="")),
        ("Curve 'loss': x[0]", lambda v: Curve(name="loss", x=(v,), y=(1,))),
        ("Curve 'loss': y[1]", lambda v: Curve(name="loss", x=(1, 2), y=(1, v))),
        ("FrontPoint.values[1]", lambda v: point(v, 1)),
        ("FrontPoint.values[0]", lambda v: point(1, v)),
        ("NetworkRow 'a': top1", lambda v: network("a", v, 1)),
        ("NetworkRow 'a': latency_ms", lambda v: network("a", 1, v)),
        ("OperatorRow 'stem': costs", lambda v: replace(rows()[0], costs=(v,))),
        ("PlotAxis 'macs': limit", lambda v: replace(AXES[2], limit=v)),
        ("SearchView 'pixel': searched", lambda v: view(searched=((1, v, 1),))),
    ],
)
def test_values_that_are_not_finite_are_refused_by_name(field: str, build: Any, bad: float) -> None:
    with pytest.raises(ValueError, match=re.escape(field)):
        build(bad)


def test_lengths_that_differ_are_refused_all_at_once() -> None:
    with pytest.raises(ValueError, match=r"found 2 and 1.*found 3 for 2 pairs"):
        Scatter(measured=(1, 2), predicted=(1,), labels=("a", "b", "c"), caption="")
    with pytest.raises(ValueError, match="Curve 'loss': y: must be as long as x"):
        Curve(name="loss", x=(1, 2), y=(1,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"top1": 101.0}, "top1: must be a percentage, found 101.0"),
        ({"macs": -1}, "macs: must not be negative, found -1"),
    ],
)
def test_impossible_network_rows_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(network("a", 90, 1), **change)


def test_a_page_without_searches_is_as_long_as_it_must_be() -> None:
    page = render(replace(full(), searches=(), facts={"Run": "x" * 400_000}))
    assert "x" * 400_000 in page


@pytest.mark.parametrize("label", ["16: k3e4 k5e6 | " * 10, '<&">' * 60], ids=["plain", "escaped"])
def test_page_stays_below_400_kb_and_says_what_it_left_out(label: str) -> None:
    many = tuple(
        FrontPoint(values=(i / 60, i / 100, i * 1e6), label=label, number=i + 1, operators=rows())
        for i in range(5000)
    )
    values = tuple(float(i) for i in range(5000))
    scatter = Scatter(
        measured=values, predicted=values, labels=(label,) * 5000, caption="n = 5,000"
    )
    curve = Curve(name="loss", x=values, y=values)
    search = view(
        searched=tuple(p.values for p in many), random=many, front=many, chosen=77,
        predictor=scatter, latencies={"pixel": scatter},
    )  # fmt: skip
    page = render(replace(full(), searches=(search,) * 3, training=(curve,) * 3))
    assert len(page.encode()) < 400_000
    shown = r"n: 5,000 scored \(\d+ drawn\), 5,000 random \(\d+ drawn\), 5,000 on the predicted"
    assert re.search(shown, page)
    assert re.search(r"n = 5,000\. \d+ of 5,000 drawn\.", page)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"axes": AXES[:1]}, "at least two are needed"),
        ({"searched": ((1.0, 2.0),)}, "every point needs 3 values"),
        (
            {
                "costs": ("latency on a", "latency on b"),
                "front": (replace(point(1, 1.0), operators=rows()),),
            },
            "every operator needs 2 costs",
        ),
        ({"chosen": 0}, "chosen: must be from 0 and below 0"),
    ],
)
def test_a_search_whose_parts_do_not_fit_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=f"SearchView 'pixel': .*{text}"):
        view(**changes)


def test_each_cost_has_a_plot_and_each_point_of_the_front_its_data() -> None:
    page = render(replace(MINIMUM, searches=(searched(),)))
    titles = [svg.findtext("title") for svg in plots(page) if svg.get("class") == "plot hero"]
    assert titles == [
        "top-1 accuracy against latency on pixel",
        "top-1 accuracy against multiply-adds",
    ]
    (text,) = re.findall(r'<script type="application/json" class="data">(.*?)</script>', page)
    data = json.loads(text)
    assert data["axes"] == ["top-1 accuracy", "latency on pixel", "multiply-adds"]
    assert list(data["points"]) == ["1", "2", "3", "4", "5", "6"]
    texts, label, placed = data["points"]["2"]
    assert texts == ["81.00 %", "1.50 ms", "3.00 M"]
    assert label == "arch 1.5"
    names = [data["slots"][slot][0] for slot in placed[::2]]
    assert names == ["stem", "stage1.block1", "stage1.block2", "head.pool"]


def test_groups_of_operators_are_not_read_from_names() -> None:
    operators = tuple(replace(row, slot=f"x{i}", group="one") for i, row in enumerate(rows()))
    search = view(front=(point(1, 80, number=1, operators=operators),), chosen=0)
    stages = [
        svg for svg in plots(render(replace(MINIMUM, searches=(search,))))
        if svg.get("class") == "stage-picture"
    ]  # fmt: skip
    assert [stage.findtext("title") for stage in stages] == [
        "one: 5 operators, 100 % of the latency"
    ]


def test_same_report_renders_the_same_bytes() -> None:
    assert render(full()) == render(full())


def test_report_never_imports_torch() -> None:
    code = "import sys, supernet.report; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("low", "high", "target", "expected"),
    [
        (0, 10, 5, (0, 2, 4, 6, 8, 10)),
        (0.69, 5.6, 5, (1, 2, 3, 4, 5)),
        (-1, 1, 4, (-1, -0.5, 0, 0.5, 1)),
        (91.2, 91.9, 4, (91.2, 91.4, 91.6, 91.8)),
    ],
)
def test_ticks_are_round(low: float, high: float, target: int, expected: tuple[float, ...]) -> None:
    assert nice_ticks(low, high, target) == pytest.approx(expected)


def test_tick_text_has_the_decimals_of_the_step() -> None:
    assert [tick_text(v, (0.0, 0.5)) for v in (-0.5, 0.0, 1.0)] == [
        "\N{MINUS SIGN}0.5",
        "0.0",
        "1.0",
    ]
    assert tick_text(12_000, (10_000, 12_000)) == "12,000"


def test_domain_of_non_negative_values_never_goes_below_zero() -> None:
    assert domain([0.0, 10.0])[0] == 0.0
    assert domain([3.0, 3.0]) == pytest.approx((2.832, 3.168))


def test_labels_of_close_markers_do_not_overlap() -> None:
    spots = [(300.0, 200.0), (306.0, 204.0), (300.0, 230.0), (660.0, 40.0)]
    inside = Box(58, 34, 680, 388)
    labels = place(spots, ["found", "largest", "random", "smallest"], inside=inside, avoid=[])
    boxes = [label.box for label in labels]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert all(inside.holds(box) for box in boxes)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1.926, "1.93"), (12.34, "12.3"), (258.4, "258"), (0.09996, "0.100"), (0, "0"),
     (9.999, "10.0"), (12345.0, "12,345"), (-0.5, "\N{MINUS SIGN}0.500")],
)  # fmt: skip
def test_numbers_have_three_significant_digits(value: float, expected: str) -> None:
    assert significant(value) == expected


def test_counts_and_differences_are_short() -> None:
    assert [compact(n) for n in (999, 1500, 999_999, 12_345_678)] == [
        "999",
        "1.50 k",
        "1.00 M",
        "12.3 M",
    ]
    assert [signed(v, 2) for v in (0.421, -0.421, -0.001)] == [
        "+0.42",
        "\N{MINUS SIGN}0.42",
        "±0",
    ]


def test_markup_escapes_attributes_and_leaves_out_none() -> None:
    assert tag("text", escape("a<b"), data_tip='"', id=None) == (
        '<text data-tip="&quot;">a&lt;b</text>'
    )


# ---------------------------------------------------------------- quality


def test_quality_draws_every_subnet_and_its_gap() -> None:
    page = render(replace(MINIMUM, quality=QUALITY))
    assert re.findall(r"<h2>(.*?)</h2>", page) == ["Supernet quality"]
    (plot,) = plots(page)
    tips = [mark.get("data-tip") or "" for mark in plot.iter() if mark.get("data-tip")]
    assert [tip.partition("\n")[0] for tip in tips] == [
        "smallest, trained standalone: 71.50 %",
        "largest, trained standalone: 79.00 %",
        "random 1: 75.25 %, 2.00 M MACs",
        "smallest: 70.00 %, 1.00 M MACs",
        "largest: 80.00 %, 5.00 M MACs",
    ]
    assert "70.00 %, standalone 71.50 %: \N{MINUS SIGN}1.50 points" in page
    assert "80.00 %, standalone 79.00 %: +1.00 points" in page
    assert "trained standalone" not in render(
        replace(MINIMUM, quality=replace(QUALITY, points=QUALITY.points[1:2]))
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"top1": 101}, "top1: must be a percentage"),
        ({"standalone": math.nan}, "standalone: must be a per"),
    ],
)
def test_a_quality_that_is_none_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=f"QualityPoint 'largest': {text}"):
        replace(QUALITY.points[-1], **changes)


def test_a_chosen_one_that_is_not_on_the_front_is_taken_out_without_a_number() -> None:
    own = point(1, 80, number=0, operators=rows())
    search = replace(searched(), front=(*searched().front, own), chosen=6)
    page = render(replace(MINIMUM, searches=(search,)))
    assert "Not on the front, the chosen one: top-1 accuracy 80.00 %" in page
    assert "<code>supernet results show pixel -o subnet.json</code>" in page
