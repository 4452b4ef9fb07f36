#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A picture (SVG) of saved runs.

    bench/plot.py fastpath RUN.json...     net nanoseconds per packet of bench/fastpath, on a logarithmic scale: a panel
                                           for each frame length and number of sessions
    bench/plot.py METRIC RUN.json...       a metric of bench/secure.sh (tcp_mbps, rtt_us, ...), from least to most

A bar for each router or path is the median, a dot each value behind it. Needs nothing but Python.
"""
import json
import math
import os
import statistics
import sys
from xml.sax.saxutils import escape

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from secure_report import TITLES  # noqa: E402

WIDTH, LABEL, ROW, HEAD, GAP, VALUE = 760, 190, 20, 44, 26, 90
COLOURS = {"svr": "#1b7837", "clear": "#1b7837", "signed": "#1b7837", "secret": "#1b7837", "gcm": "#1b7837",
           "bare": "#5e6a75", "xsk": "#5e6a75", "kernel": "#b35806"}


def logarithmic(low, high):
    return lambda value: math.log(min(max(value, low), high) / low) / math.log(high / low)


def linear(high):
    return lambda value: value / high


def text(x, y, words, anchor="start", size=12, weight="normal"):
    return (f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" font-weight="{weight}" '
            f'text-anchor="{anchor}">{escape(words)}</text>')


def number(value, unit):
    return (f"{value:.3g}" if abs(value) < 10 else f"{value:.0f}") + unit


def panel(y, title, rows, share, ticks, unit):
    """rows: name -> values; share: of the width, of a value; ticks: values with a line"""
    def x_of(value):
        return LABEL + share(value) * (WIDTH - LABEL - VALUE)

    out = [text(LABEL, y + 16, title, weight="bold")]
    bottom = y + HEAD + ROW * len(rows)
    for value in ticks:
        out.append(f'<line x1="{x_of(value):.0f}" x2="{x_of(value):.0f}" y1="{y + HEAD - 6}" y2="{bottom}" stroke="#ddd"/>')
        out.append(text(x_of(value), y + HEAD - 10, number(value, ""), "middle", 10))
    for i, (name, values) in enumerate(rows.items()):
        top = y + HEAD + i * ROW
        middle = statistics.median(values)
        colour = COLOURS.get(name.replace(",", " ").replace("-", " ").split()[0], "#999")
        out.append(text(LABEL - 8, top + 14, name, "end"))
        out.append(f'<rect x="{LABEL}" y="{top + 3}" width="{x_of(middle) - LABEL:.1f}" height="{ROW - 6}" fill="{colour}"/>')
        out += [f'<circle cx="{x_of(v):.1f}" cy="{top + ROW / 2:.0f}" r="2.5" fill="#fff" stroke="#000"/>' for v in values]
        out.append(text(x_of(max(values)) + 8, top + 14, number(middle, unit)))
    return out, bottom + GAP


def draw(head, panels):
    out, y = [], 40
    for arguments in panels:
        lines, y = panel(y, *arguments)
        out += lines
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" font-family="sans-serif">')
    print(f'<rect width="{WIDTH}" height="{y}" fill="#fff"/>')
    print(text(16, 24, head, size=13))
    print("\n".join(out))
    print("</svg>")


def fastpath(runs):
    cells = {}
    for run in runs:
        for cell in run["cells"]:
            values = cells.setdefault((cell["bytes"], cell["sessions"]), {})
            for subject in cell["subjects"]:
                if "net_ns" in subject:
                    values.setdefault(subject["name"], []).append(subject["net_ns"])
    cells = {cell: values for cell, values in cells.items() if values}
    if not cells:
        sys.exit("plot.py: no run has real frames in it (was it made with -a?)")
    ticks = (50, 100, 200, 500, 1000, 2000, 5000)
    draw(f"net ns per packet, {run['cpu']}, Linux {run['kernel']}, {run['date']}, veth, one CPU",
         [(f"{length} bytes, {n:,} session{'' if n == 1 else 's'}", rows, logarithmic(ticks[0], ticks[-1]), ticks, " ns")
          for (length, n), rows in sorted(cells.items())])


def secure(runs, metric):
    rows = {}
    for run in runs:
        for name, path in run["paths"].items():
            if metric in path:
                rows.setdefault(name, []).extend(path[metric]["values"])
    if not rows:
        sys.exit(f"plot.py: no figures for {metric}")
    rows = dict(sorted(rows.items(), key=lambda row: statistics.median(row[1])))
    top = max(max(values) for values in rows.values())
    step = 10 ** math.floor(math.log10(top))
    step = next(s for s in (step / 5, step / 2, step, 2 * step) if top / s <= 6)
    draw(f"{run['machine']}, Linux {run['kernel']}, {run['date']}, veth",
         [(TITLES.get(metric, metric), rows, linear(top), [step * i for i in range(int(top / step) + 1)], "")])


def main(what="", *paths):
    if not paths:
        sys.exit(__doc__)
    runs = []
    for path in paths:
        with open(path, encoding="utf-8") as f:
            runs.append(json.load(f))
    if what == "fastpath":
        fastpath(runs)
    else:
        secure(runs, what)


if __name__ == "__main__":
    main(*sys.argv[1:])
