#!/usr/bin/env python3
"""Fills the marked part of docs/compare.md from the run that is committed beside it, docs/compare/compare.json.

    tools/compare_docs.py [DIR]     takes compare.json and compare.html from DIR first
    tools/compare_docs.py --check   changes nothing; fails when the page is not what the run says

No figure on the page is written by hand: tables are the medians of the run, sentences are those of its report.
"""

import html
import json
import os
import re
import shutil
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(ROOT, "docs/compare.md")
RUN = os.path.join(ROOT, "docs/compare/compare.json")
BEGIN, END = "<!-- tools/compare_docs.py: begin -->\n", "<!-- tools/compare_docs.py: end -->\n"


def number(value):
    if value is None:
        return "-"
    if value >= 99.5:
        return f"{value:,.0f}"
    if value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.95 else f"{value:.2f}" if value >= 0.995 else f"{value:.2g}"


def time(us):
    if us is None:
        return "-"
    return (f"{number(us)} µs" if us < 999.5 else f"{number(us / 1e3)} ms" if us < 999_500 else f"{number(us / 1e6)} s")


def size(value):
    if value is None:
        return "-"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1023.5 or unit == "GiB":
            return f"{number(value if unit != 'B' else round(value))} {unit}"
        value /= 1024


def plain(text):
    """Text from outside in a cell of a table: nothing in it means anything."""
    text = re.sub(r"\s+", " ", html.escape(text or "", quote=False))
    return re.sub(r"([\\|*_`\[\]~])", r"\\\1", text)


def code(text):
    return re.sub(r"\s+", " ", html.escape(text or "", quote=False)).replace("`", "'")


def sentences(words):
    """The report's paragraphs; HTML is Markdown, too, but <b> reads better as its own."""
    words = re.sub(r"([\\|*_`\[\]~])", r"\\\1", words)
    words = re.sub(r"<strong[^>]*>|</strong>|</?b>", "**", words)
    return re.sub(r"\s*</p>\s*<p>\s*", "\n\n", words).replace("<p>", "").replace("</p>", "")


def span(figure, show):
    if figure["low"] == figure["high"]:
        return show(figure["median"])
    return f"{show(figure['median'])} ({show(figure['low'])} to {show(figure['high'])})"


def table(scene, peers):
    crowd = any(v["crowd_connections"]["rounds"] for v in scene["verdicts"])
    closed = any(v["closed_loop_per_s"]["rounds"] for v in scene["verdicts"])
    at = f" at {number(scene['asked_per_s'])}/s" if scene["common"] else ""
    heads = (["idle connections held"] if crowd else ["kept up with, per s"]) + (["closed loop, per s"] if closed else []) + [
        "p99" + at, "CPU per request" + at, "memory per connection"]
    lines = ["| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for v in scene["verdicts"]:
        name = f"*{plain(v['subject'])}*" if v["subject"] in peers else plain(v["subject"])
        if not v["measured"]:
            if v["reason"]:
                lines.append(f"| {name} | {plain(v['reason'])} " + "| " * (len(heads) - 1) + "|")
            continue
        kept = v["crowd_connections" if crowd else "kept_up_per_s"]
        most = v["crowd_all" if crowd else "kept_up_with_all"]
        cells = [("≥ " if most else "") + number(kept["median"])]
        cells += [span(v["closed_loop_per_s"], number)] if closed else []
        cells += [span(v["p99_us"], time), span(v["cpu_us_per_request"], time),
                  size(v["resident_bytes_per_connection"]["median"])]
        if v["reason"]:
            cells[0] += f" (then: {plain(v['reason'])})"
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def made_from(run):
    if run is None:
        return "No run is committed yet.\n"
    machine, settings = run["machine"], run["settings"]
    head = (f"Measured {plain(machine['date'])} on {plain(machine['cpu'])}, {machine['cores']} cores, "
            f"{plain(machine['kernel'])}, {plain(machine['os'])}; Rondo {plain(machine['rondo'])}; "
            f"{settings['rounds']} rounds, {len(run['points'])} points: `{code(settings['command_line'])}`. "
            "Every figure is in [compare.json](compare/compare.json).")
    busy = machine["busy_before_share"]
    if busy is not None and busy > 0.1:
        head += f" **Preliminary**: {busy:.0%} of the processors' time was in use before it began, so the times mean little."
    if settings["interrupted"]:
        head += " **Interrupted**: what is missing was not measured."
    lines = [head, ""]
    workloads = {w["name"]: w for w in run["workloads"]}
    peers = {s["name"] for s in run["subjects"] if s["peer"]}
    for scene in run["summary"]:
        about = workloads[scene["workload"]]
        if not any(v["measured"] or v["reason"] for v in scene["verdicts"]):
            continue
        lines += [f"### {plain(about['name'])}: {plain(about['title'])}", ""]
        lines += [f"*{plain(about['asks'])}*", ""] if about["asks"] else []
        lines += [sentences(scene["words_html"]), "", *table(scene, peers), ""]
    missing = [s for s in run["subjects"] if s["missing_package"]]
    if missing:
        lines += ["Not installed, so not measured: " + ", ".join(
            f"{plain(s['name'])} ({plain(s['missing_package'])})" for s in missing) + ".", ""]
    return "\n".join(lines)


def read_run():
    if not os.path.exists(RUN):
        return None
    with open(RUN, encoding="utf-8") as file:
        return json.load(file)


def filled(page, run):
    before, begin, rest = page.partition(BEGIN)
    _, end, behind = rest.partition(END)
    if not begin or not end:
        raise SystemExit("docs/compare.md has lost the marks between which the figures stand")
    return before + begin + made_from(run) + end + behind


def main():
    args = sys.argv[1:]
    if args and args != ["--check"]:
        os.makedirs(os.path.dirname(RUN), exist_ok=True)
        for name in ("compare.json", "compare.html"):
            shutil.copy(os.path.join(args[0], name), os.path.dirname(RUN))
    with open(PAGE, encoding="utf-8") as file:
        page = file.read()
    wanted = filled(page, read_run())
    if args == ["--check"]:
        if wanted != page:
            raise SystemExit("docs/compare.md is not what docs/compare/compare.json says: run tools/compare_docs.py")
        return
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(wanted)


if __name__ == "__main__":
    main()
