#!/usr/bin/env python3
"""Draws docs/images/roofline.svg from the JSON of bench_compute.

usage: roofline.py BENCH.json > docs/images/roofline.svg

The work of a kernel is counted in slots: micro-operations on the two ports that
512-bit vectors have (docs/performance.md counts them). The roofs are what the
machine allows: slots per second, and bytes per second of the streaming copy of
the same run.
"""

import json
import math
import sys

PEAK_SLOTS = 6.05e9  # two ports at the highest clock seen in loops of one kind
# Slots and bytes moved per logit.
WORK = {
    "softmax_cross_entropy": (23 / 8, 8, "loss and gradient"),
    "softmax_cross_entropy_loss_only": (18 / 8, 4, "loss only"),
    "softmax_cross_entropy_bfloat16": (25 / 8, 4, "bfloat16"),
}
SHAPES = ["128x1000", "64x32000", "256x50257", "128x128256", "1x1000000"]
COLORS = ["#0b7285", "#c2410c", "#6d28d9"]
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 860, 520, 90, 50, 30, 70
X_RANGE, Y_RANGE = (0.08, 1.3), (1.5e9, 9e9)


def scale(value, bounds, start, end):
    low, high = math.log(bounds[0]), math.log(bounds[1])
    return start + (math.log(value) - low) / (high - low) * (end - start)


def x_of(value):
    return scale(value, X_RANGE, LEFT, WIDTH - RIGHT)


def y_of(value):
    return scale(value, Y_RANGE, HEIGHT - BOTTOM, TOP)


def seconds(benchmark):
    unit = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3}[benchmark["time_unit"]]
    return benchmark["real_time"] * unit


def logits(shape):
    rows, classes = shape.split("x")
    return int(rows) * int(classes)


def main(path):
    with open(path, encoding="utf-8") as file:
        times = {b["name"]: seconds(b) for b in json.load(file)["benchmarks"]}
    bandwidth = max(
        8 * logits(shape) / times[f"copy_stream/{shape}/threads:1"]
        for shape in SHAPES[1:]
    )
    out = []
    text = (
        'font-family="sans-serif" font-size="{size}" fill="{color}" '
        'text-anchor="{anchor}"'
    )

    def label(x, y, words, size=13, anchor="start", color="#222", extra=""):
        style = text.format(size=size, anchor=anchor, color=color)
        out.append(f'<text x="{x:.1f}" y="{y:.1f}" {style} {extra}>{words}</text>')

    def line(x1, y1, x2, y2, color, width=1, dash=""):
        out.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{color}" stroke-width="{width}" stroke-dasharray="{dash}"/>'
        )

    for tick in (0.1, 0.2, 0.4, 0.8):
        line(x_of(tick), TOP, x_of(tick), HEIGHT - BOTTOM, "#ddd")
        label(x_of(tick), HEIGHT - BOTTOM + 20, f"{tick}", anchor="middle")
    for tick in (2e9, 3e9, 4e9, 5e9, 6e9, 8e9):
        line(LEFT, y_of(tick), WIDTH - RIGHT, y_of(tick), "#ddd")
        label(LEFT - 8, y_of(tick) + 4, f"{tick / 1e9:.0f}", anchor="end")
    label(
        (LEFT + WIDTH) / 2, HEIGHT - 22, "vector slots per byte moved", 14, "middle"
    )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    label(
        26, middle, "vector slots per second, 10^9", 14, "middle",
        extra=f'transform="rotate(-90 26 {middle:.0f})"',
    )
    label(LEFT, 28, "One thread against the roofs of the machine", 17)

    ridge = PEAK_SLOTS / bandwidth
    start = max(X_RANGE[0], Y_RANGE[0] / bandwidth)
    line(x_of(start), y_of(bandwidth * start), x_of(ridge), y_of(PEAK_SLOTS),
         "#222", 2)
    line(x_of(ridge), y_of(PEAK_SLOTS), WIDTH - RIGHT, y_of(PEAK_SLOTS), "#222", 2)
    label(x_of(ridge) + 10, y_of(PEAK_SLOTS) - 9,
          "two ports of 512-bit vectors")
    label(x_of(start) + 12, y_of(bandwidth * start) - 2,
          f"streaming copy, {bandwidth / 1e9:.0f} GB/s")

    for color, (name, (slots, moved, words)) in zip(COLORS, WORK.items()):
        x = x_of(slots / moved)
        line(x, y_of(PEAK_SLOTS), x, HEIGHT - BOTTOM, color, 1, "3 4")
        rates = [
            (slots * logits(shape) / times[f"{name}/{shape}/threads:1"], shape)
            for shape in SHAPES
        ]
        label(x, HEIGHT - BOTTOM - 8, words, 13, "middle", color)
        taken = []
        for rate, shape in sorted(rates):
            y = y_of(rate)
            out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{color}"/>')
            at = min([y + 4] + [t - 15 for t in taken])
            taken.append(at)
            label(x + 11, at, shape, 12)
    print(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
        f'height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
        + "\n".join(out)
        + "</svg>"
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
