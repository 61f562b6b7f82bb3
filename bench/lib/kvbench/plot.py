"""SVG plots by gnuplot (Debian: gnuplot-nox). Without it a benchmark still measures, but draws nothing."""

import shutil
import subprocess
import sys

COLOURS = ["#1b6ca8", "#d1495b", "#edae49", "#66a182", "#8d96a3", "#6a4c93", "#2e4057", "#a26769"]
_STYLE = """
set terminal svg size {width},{height} font "sans-serif,12" background rgb "white"
set border 3 lc rgb "#666666"
set tics nomirror out
set grid ytics lc rgb "#dddddd"
"""


def gnuplot(path, script, width=900, height=420):
    if shutil.which("gnuplot") is None:
        path.unlink(missing_ok=True)  # rather none than an old one
        print(f"gnuplot is not installed: {path} was not drawn", file=sys.stderr)
        return
    text = _STYLE.format(width=width, height=height) + f"set output '{path}'\n" + script
    done = subprocess.run(["gnuplot"], input=text, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"gnuplot failed for {path}:\n{done.stderr}")


def _quote(text):
    return '"' + str(text).replace('"', "'") + '"'


def bars(path, title, unit, groups, series):
    """groups: names along the axis; series: {name: [a value or None for each group]}."""
    lines = ["$data << END", "group " + " ".join(_quote(name) for name in series)]
    for index, group in enumerate(groups):
        values = (column[index] for column in series.values())
        lines.append(_quote(group) + " " + " ".join("?" if value is None else f"{value:.6g}" for value in values))
    lines += ["END", "set datafile missing '?'", f"set title {_quote(title)}", f"set ylabel {_quote(unit)}",
              "set style data histograms", "set style histogram clustered gap 1", "set style fill solid noborder",
              "set key outside below center horizontal noenhanced", "set yrange [0:*]", "set xtics noenhanced",
              "plot " + ", ".join(
                  f"$data using {number + 2}:xtic(1) title columnheader({number + 2}) lc rgb '{COLOURS[number % len(COLOURS)]}'"
                  for number in range(len(series)))]
    gnuplot(path, "\n".join(lines) + "\n", width=1000)


def lines(path, title, x_label, y_label, series, logarithmic=""):
    """series: {name: [(x, y), …]}; logarithmic: "", "x", "y" or "xy"."""
    script = []
    for number, points in enumerate(series.values()):
        script += [f"$s{number} << END", *(f"{x:.9g} {y:.9g}" for x, y in points), "END"]
    script += [f"set title {_quote(title)}", f"set xlabel {_quote(x_label)}", f"set ylabel {_quote(y_label)}",
               "set key outside right top vertical noenhanced"]
    if logarithmic:
        script.append(f"set logscale {logarithmic}")
    if "y" not in logarithmic:
        script.append("set yrange [0:*]")
    script.append("plot " + ", ".join(
        f"$s{number} using 1:2 with linespoints pt 7 ps 0.5 lw 2 lc rgb '{COLOURS[number % len(COLOURS)]}' title {_quote(name)}"
        for number, name in enumerate(series)))
    gnuplot(path, "\n".join(script) + "\n")
