#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A picture (SVG) of saved runs of bench/fastpath.

    bench/fastpath/plot.py RUN.json... >fastpath.svg

One panel for each frame length and number of sessions, one bar for each router: net nanoseconds per packet on a
logarithmic scale, the median of the runs; a dot for every run. Needs nothing but Python.
"""
import json
import math
import statistics
import sys
from xml.sax.saxutils import escape

WIDTH, LABEL, ROW, HEAD, GAP = 760, 190, 20, 44, 26
LOW, HIGH = 50, 5000  # ns, ends of the scale
COLOURS = {"svr": "#1b7837", "bare": "#5e6a75", "kernel": "#b35806"}


def x_of(ns):
    share = math.log(min(max(ns, LOW), HIGH) / LOW) / math.log(HIGH / LOW)
    return LABEL + share * (WIDTH - LABEL - 90)


def text(x, y, words, anchor="start", size=12, weight="normal"):
    return (f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" font-weight="{weight}" '
            f'text-anchor="{anchor}">{escape(words)}</text>')


def panel(y, cell, values):
    """values: name -> net nanoseconds of each run"""
    sessions = f"{cell[1]:,} session{'' if cell[1] == 1 else 's'}"
    out = [text(LABEL, y + 16, f"{cell[0]} bytes, {sessions}", weight="bold")]
    bottom = y + HEAD + ROW * len(values)
    for ns in (50, 100, 200, 500, 1000, 2000, 5000):
        out.append(f'<line x1="{x_of(ns):.0f}" x2="{x_of(ns):.0f}" y1="{y + HEAD - 6}" y2="{bottom}" stroke="#ddd"/>')
        out.append(text(x_of(ns), y + HEAD - 10, str(ns), "middle", 10))
    for i, (name, runs) in enumerate(values.items()):
        top = y + HEAD + i * ROW
        middle = statistics.median(runs)
        colour = COLOURS.get(name.replace(",", "").split()[0], "#777")
        out.append(text(LABEL - 8, top + 14, name, "end"))
        out.append(f'<rect x="{LABEL}" y="{top + 3}" width="{x_of(middle) - LABEL:.1f}" height="{ROW - 6}" fill="{colour}"/>')
        out += [f'<circle cx="{x_of(ns):.1f}" cy="{top + ROW / 2:.0f}" r="2.5" fill="#fff" stroke="#000"/>' for ns in runs]
        out.append(text(x_of(max(runs + [middle])) + 8, top + 14, f"{middle:.0f} ns"))
    return out, bottom + GAP


def main(paths):
    if not paths:
        sys.exit(__doc__)
    cells = {}
    for path in paths:
        with open(path, encoding="utf-8") as f:
            run = json.load(f)
        for cell in run["cells"]:
            values = cells.setdefault((cell["bytes"], cell["sessions"]), {})
            for subject in cell["subjects"]:
                if "net_ns" in subject:
                    values.setdefault(subject["name"], []).append(subject["net_ns"])
    cells = {cell: values for cell, values in cells.items() if values}
    if not cells:
        sys.exit("plot.py: no run has real frames in it (was it made with -a?)")
    out, y = [], 40
    for cell in sorted(cells):
        lines, y = panel(y, cell, cells[cell])
        out += lines
    head = f"net ns per packet, {run['cpu']}, Linux {run['kernel']}, {run['date']}, veth, one CPU"
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" font-family="sans-serif">')
    print(f'<rect width="{WIDTH}" height="{y}" fill="#fff"/>')
    print(text(16, 24, head, size=13))
    print("\n".join(out))
    print("</svg>")


if __name__ == "__main__":
    main(sys.argv[1:])
