"""A bench as an SVG picture: two line charts. Written by hand, since a few lines need no drawing library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from sgcx.bench.report import Report

_WIDTH, _HEIGHT = 760, 300
_PANEL_WIDTH, _PANEL_HEIGHT, _TOP, _GAP, _LEFT = 290, 190, 60, 100, 55
_COLORS = ("#1f6feb", "#d9480f", "#2b8a3e")
_STYLE = "text{font:12px sans-serif;fill:#333}.title{font-size:15px;font-weight:bold}.axis{stroke:#999;fill:none}"


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """A value of each line for every number of `streams`."""

    title: str
    streams: tuple[int, ...]
    lines: tuple[Line, ...]


def draw_chart(report: Report) -> str:
    """Streams to the right; on the left side tokens per second, on the right side times to the first token."""
    rows = [row for row in report.rows if row.output_tokens]
    streams = tuple(row.streams for row in rows)
    throughput = Line("all streams", tuple(row.output_tokens_per_s for row in rows))
    waiting = (
        Line("p50", tuple(row.first_token_p50_s * 1000 for row in rows)),
        Line("p90", tuple(row.first_token_p90_s * 1000 for row in rows)),
    )
    return draw_panels(
        f"{report.model}: prompts of about {report.prefix_tokens:,} tokens, {report.turns} turns",
        Panel("Output tokens/s", streams, (throughput,)),
        Panel("Time to first token, ms", streams, waiting),
    )


def draw_panels(title: str, left: Panel, right: Panel) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" role="img">',
            f"<style>{_STYLE}</style>",
            '<rect width="100%" height="100%" fill="white"/>',
            f'<text class="title" x="{_LEFT}" y="24">{escape(title)}</text>',
            *_panel(_LEFT, left.title, left.streams, left.lines),
            *_panel(_LEFT + _PANEL_WIDTH + _GAP, right.title, right.streams, right.lines),
            "</svg>\n",
        ]
    )


def _panel(left: float, title: str, streams: Sequence[int], lines: Sequence[Line]) -> list[str]:
    bottom = _TOP + _PANEL_HEIGHT
    highest = max((value for line in lines for value in line.values), default=0.0) or 1.0
    xs = [left + _PANEL_WIDTH * (index + 0.5) / max(1, len(streams)) for index in range(len(streams))]
    parts = [
        f'<text x="{left}" y="{_TOP - 12}">{escape(title)}</text>',
        f'<path class="axis" d="M{left} {_TOP}V{bottom}H{left + _PANEL_WIDTH}"/>',
        _label(left - 6, _TOP + 4, f"{highest:,.0f}", "end"),
        _label(left - 6, bottom, "0", "end"),
        _label(left + _PANEL_WIDTH / 2, bottom + 34, "streams", "middle"),
        *(_label(x, bottom + 16, str(count), "middle") for x, count in zip(xs, streams, strict=True)),
    ]
    for index, line in enumerate(lines):
        color = _COLORS[index % len(_COLORS)]
        points = [(x, bottom - _PANEL_HEIGHT * value / highest) for x, value in zip(xs, line.values, strict=True)]
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{joined}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in points]
        if points:
            parts.append(_label(points[-1][0] + 8, points[-1][1] + 4, line.name, "start"))
    return parts


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
