# SPDX-License-Identifier: Apache-2.0
"""SVG plots without any library: bars and lines, enough for a report that opens anywhere."""

import html
import math

COLOURS = ["#0b6e99", "#c2571a", "#4d7c0f", "#7c3aed", "#b91c1c", "#525252", "#0f766e", "#a16207"]
OURS = "#0b6e99"
GREY = 'fill="#525252"'
FONT = 'font-family="system-ui, sans-serif"'


def text(x, y, words, anchor="start", size=13, extra=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" {FONT} '
            f'{extra}>{html.escape(str(words))}</text>')


def rule(x1, y1, x2, y2, colour):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def shown(value):
    """A number with three significant digits, in plain notation."""
    if value >= 10000:
        return f"{value:,.0f}".replace(",", "\u202f")
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def svg(width, height, parts, label):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}" '
            f'width="{width:g}" height="{height}" role="img" aria-label="{html.escape(label)}">'
            f'<rect width="{width}" height="{height}" fill="white"/>' + "".join(parts) + "</svg>")


def nice(limit):
    """Round tick positions from 0 to at least `limit`."""
    step = 10 ** math.floor(math.log10(limit / 4))
    for factor in (1, 2, 2.5, 5, 10):
        if limit / (step * factor) <= 6:
            step *= factor
            break
    return [i * step for i in range(int(limit / step + 0.999) + 1)]


def bars(rows, unit, label, highlight=(), logarithmic=False):
    """Horizontal bars: rows of (name, value, small print). On a logarithmic scale, which has no
    zero that a bar could begin at, points."""
    line = 30
    left = 24 + 7.5 * max(len(name) for name, _, _ in rows)  # wide letters, so that none is cut
    right = 16 + 7 * max(len(f"{shown(value)}  {note}") for _, value, note in rows)
    width, height = max(860, left + 320 + right), line * len(rows) + 46
    most = max(value for _, value, _ in rows)
    least = min(value for _, value, _ in rows if value > 0)
    span = width - left - right
    if logarithmic:
        low = 10 ** math.floor(math.log10(least))
        high = 10 ** math.ceil(math.log10(most))

        def place(v):
            return span * math.log(max(v, low) / low) / math.log(high / low)
        ticks = [10 ** e for e in range(round(math.log10(low)), round(math.log10(high)) + 1)]
    else:
        ticks = nice(most)

        def place(v):
            return span * v / ticks[-1]
    parts = []
    bottom = line * len(rows) + 8
    for tick in ticks:
        x = left + place(tick)
        parts.append(f'<line x1="{x:.1f}" y1="4" x2="{x:.1f}" y2="{bottom}" stroke="#e5e5e5"/>')
        parts.append(text(x, bottom + 16, shown(tick), "middle", 11, GREY))
    parts.append(text(left + span / 2, bottom + 32, unit, "middle", 11, GREY))
    for i, (name, value, note) in enumerate(rows):
        y = 8 + i * line
        colour = OURS if name in highlight else "#9ca3af"
        weight = 'font-weight="600"' if name in highlight else ""
        parts.append(text(left - 10, y + 16, name, "end", 13, weight))
        end = left + place(value)
        if logarithmic:
            parts.append(rule(left, y + 12, end, y + 12, "#d4d4d4"))
            parts.append(f'<circle cx="{end:.1f}" cy="{y + 12}" r="6" fill="{colour}"/>')
        else:
            parts.append(f'<rect x="{left:.1f}" y="{y + 3}" width="{max(end - left, 1):.1f}" '
                         f'height="18" rx="2" fill="{colour}"/>')
        parts.append(text(end + (12 if logarithmic else 8), y + 16, f"{shown(value)}  {note}",
                          "start", 12, weight))
    return svg(width, height, parts, label)


def lines(series, xlabel, ylabel, label, log_x=False, log_y=False, highlight=()):
    """Lines with points: series of (name, [(x, y)]). The legend is at the ends of the lines."""
    left, right, top, bottom = 70, 190, 14, 48
    width, height = 860, 360
    points = [p for _, data in series for p in data]
    xs, ys = [p[0] for p in points], [p[1] for p in points]

    def axis(values, logarithmic):
        if logarithmic:
            low = 10 ** math.floor(math.log10(min(v for v in values if v > 0)))
            high = 10 ** math.ceil(math.log10(max(values)))
            ticks = [10 ** e for e in range(round(math.log10(low)), round(math.log10(high)) + 1)]
            return ticks, lambda v: math.log(max(v, low) / low) / math.log(high / low)
        ticks = nice(max(values))
        return ticks, lambda v: v / ticks[-1]

    xticks, across = axis(xs, log_x)
    if log_x and len(set(xs)) <= 8:  # the measured ones, when they are few
        xticks = sorted(set(xs))
        low, high = xticks[0], xticks[-1]

        def across(v):  # noqa: F811
            return math.log(v / low) / math.log(high / low)
    yticks, up = axis(ys, log_y)
    w, h = width - left - right, height - top - bottom
    parts = []
    for tick in yticks:
        y = top + h * (1 - up(tick))
        parts.append(rule(left, y, left + w, y, "#e5e5e5"))
        parts.append(text(left - 8, y + 4, shown(tick) if tick else "0", "end", 11, GREY))
    for tick in xticks:
        x = left + w * across(tick)
        parts.append(rule(x, top + h, x, top + h + 5, "#737373"))
        parts.append(text(x, top + h + 18, shown(tick) if tick else "0", "middle", 11, GREY))
    parts.append(rule(left, top + h, left + w, top + h, "#737373"))
    parts.append(text(left + w / 2, height - 8, xlabel, "middle", 12, GREY))
    parts.append(text(16, top + h / 2, ylabel, "middle", 12,
                      f'fill="#525252" transform="rotate(-90 16 {top + h / 2:.0f})"'))
    ends = []
    others = [c for c in COLOURS if c != OURS]
    for name, data in series:
        colour = OURS if name in highlight else others.pop(0)
        place = [(left + w * across(x), top + h * (1 - up(y))) for x, y in data]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in place)
        thick = 3 if name in highlight else 1.8
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" '
                     f'stroke-width="{thick}"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="{colour}"/>' for x, y in place]
        ends.append([place[-1][1], name, colour])
    ends.sort()
    for i in range(1, len(ends)):  # apart, so that each can be read
        ends[i][0] = max(ends[i][0], ends[i - 1][0] + 16)
    over = ends[-1][0] - (top + h)
    for i in range(len(ends) - 1, -1, -1):
        if over > 0:
            ends[i][0] = min(ends[i][0], top + h - (len(ends) - 1 - i) * 16)
    for y, name, colour in ends:
        weight = 'font-weight="600"' if name in highlight else ""
        parts.append(text(left + w + 12, y + 4, name, "start", 12, f'fill="{colour}" {weight}'))
    return svg(width, height, parts, label)
