#!/usr/bin/env python3
"""The files of rondo compare, as others read them: JSON, CSV and HTML of made-up results; and its terminal.

test_compare_report writes them. Nothing in these reports was measured.
"""

import csv
import fcntl
import html.parser
import json
import os
import pty
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import termios

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from running import BUILD, run_tests  # noqa: E402

PROGRAM = os.path.join(BUILD, "test", "test_compare_report")
LIMIT_S = 120
VOID = {"meta", "br", "hr", "img", "link", "input"}
HAS_GNUPLOT = shutil.which("gnuplot") is not None


def write(kind, directory, **how):
    return subprocess.run([PROGRAM, "-1", "write_sample"], env={**os.environ, "SAMPLE": kind, "OUT": directory,
                                                               **how.pop("env", {})},
                          capture_output=True, text=True, timeout=LIMIT_S, **how)


class Report:
    """The three files of a sample, read."""

    def __init__(self, kind, **how):
        with tempfile.TemporaryDirectory() as directory:
            done = write(kind, directory, **how)
            assert done.returncode == 0, (done.stdout, done.stderr)
            assert sorted(os.listdir(directory)) == ["compare.csv", "compare.html", "compare.json"]

            def content(name):
                with open(os.path.join(directory, name), newline="", encoding="utf-8") as file:
                    return file.read()
            self.html = content("compare.html")
            self.csv = content("compare.csv")
            self.json = json.loads(content("compare.json"), parse_constant=lambda name: 1 / 0)


REPORTS = {}


def report(kind):
    if kind not in REPORTS:
        REPORTS[kind] = Report(kind)
    return REPORTS[kind]


class Page(html.parser.HTMLParser):
    """A page: each element closed where it should be, each id once, nothing that is fetched or run."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.tags, self.text = [], set(), [], {}, []
        self.rows, self.unlabelled = [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        assert len(values) == len(attrs), ("an attribute twice", self.getpos())
        assert tag not in ("script", "iframe", "img", "link", "object"), (tag, self.getpos())
        for name, value in attrs:
            assert not name.startswith("on") and "://" not in (value or ""), (name, value)
        self.tags[tag] = self.tags.get(tag, 0) + 1
        if "id" in values:
            assert values["id"] not in self.ids, values["id"]
            self.ids.add(values["id"])
        if values.get("href", "").startswith("#"):
            self.links.append(values["href"][1:])
        if tag == "svg" and not values.get("aria-label") and values.get("aria-hidden") != "true":
            self.unlabelled.append(self.getpos())
        if tag == "tr":
            self.rows.append(0)
        if tag in ("td", "th"):
            self.rows[-1] += int(values.get("colspan", 1))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        assert self.open and self.open[-1] == tag, (tag, self.open[-3:], self.getpos())
        self.open.pop()
        if tag == "table":
            assert len(set(self.rows)) == 1, ("rows of different lengths", self.rows, self.getpos())
            self.rows = []

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text.append(data)

    def handle_comment(self, data):
        raise AssertionError(data)


def test_json_has_points_and_their_summary():
    data = report("many").json
    assert data["format"] == 1
    assert len(data["subjects"]) == 22 and len(data["workloads"]) == 5
    assert data["settings"]["rounds"] == 3 and data["machine"]["fd_limit"] == 1024
    point = data["points"][0]
    assert (point["workload"], point["subject"], point["round"]) == ("hello", "iterative", 0), point
    assert point["cpu_us_per_request"] > 0 and point["reason"] is None
    closed = [p for p in data["points"] if p["asked_per_s"] is None]
    assert closed and closed[0]["rate_per_s"] > 0
    # Each figure again, from the points.
    load = next(x for x in data["loads"] if x["subject"] == "epoll" and x["asked_per_s"])
    same = [p for p in data["points"] if all(p[k] == load[k] for k in (
        "workload", "subject", "connections", "idle_connections", "asked_per_s"))]
    assert len(same) == 3 == load["rounds"]
    for name in ("p50_us", "p99_us", "cpu_us_per_request", "rate_per_s"):
        values = sorted(p[name] for p in same)
        assert load[name] == {"median": values[1], "low": values[0], "high": values[2], "rounds": 3}, name
    verdicts = data["summary"][0]["verdicts"]
    assert [v["subject"] for v in verdicts] == [s["name"] for s in data["subjects"]]
    missing = next(v for v in verdicts if v["subject"] == "gevent")
    assert missing["measured"] is False and missing["p99_us"]["median"] is None


def test_csv_has_a_row_for_each_point():
    for kind in ("many", "hostile"):
        data, text = report(kind).json, report(kind).csv
        rows = list(csv.DictReader(text.splitlines(keepends=True), strict=True))
        assert len(rows) == len(data["points"])
        assert text.endswith("\r\n")
        if kind == "many":
            assert text.count("\r\n") == len(rows) + 1 == text.count("\n")
        for row, point in list(zip(rows, data["points"]))[::50]:
            assert None not in row and None not in row.values(), row
            assert row["p99_us"] == ("" if point["p99_us"] is None else row["p99_us"])
            if point["p99_us"] is not None:
                assert float(row["p99_us"]) == point["p99_us"]
            assert (row["asked_per_s"] == "") == (point["asked_per_s"] is None)


def check_page(made):
    page = Page(made.html)
    assert made.html.startswith("<!DOCTYPE html>\n<html lang=\"en\">")
    missing = [link for link in page.links if link not in page.ids]
    assert not missing, missing
    assert not page.unlabelled, page.unlabelled
    assert "\ufffd" not in made.html or "alert" in made.html
    return page


def test_page():
    for kind in ("many", "few", "single", "nothing"):
        page = check_page(report(kind))
        assert page.tags["h1"] == 1 and page.tags["main"] == 1
        assert page.tags["section"] == 5 + 4, kind


def test_page_shows_every_figure_and_reason():
    made = report("many")
    text = "".join(Page(made.html).text)
    for what in ("not installed: python3-gevent", "select: no descriptor above 1,023", "Blocking wins", "Loops win",
                 "rondo compare --made-up", "Made-up CPU", "a tie with"):
        assert what in text, what
    assert made.html.count('class="picture"') == 22


def test_page_is_styled():
    """Each class that is used has a rule; and what printing changes stands behind it, or it would change nothing."""
    made = report("many").html
    style = made.partition("<style>")[2].partition("</style>")[0]
    used = {name for names in re.findall(r'class="([^"]*)"', made) for name in names.split()}
    bare = {name for name in used if not re.search(rf"\.{name}(?![\w-])", style)}
    assert not bare, bare
    printed = style.rindex("@media print")
    for selector in ("body{", ".scroll{", "th,td{"):
        assert style.index(selector) < printed < style.rindex(selector), selector


def test_page_without_spread_says_so():
    assert "One round:" in report("single").html
    assert "One round:" not in report("many").html


def test_curves():
    if not HAS_GNUPLOT:
        print("# skipped: curves, because gnuplot is not installed (gnuplot-nox)")
        return
    made = report("many")
    page = made.html
    assert "No curves:" not in page
    # A frame for each of four sweeps and of one crowd, one picture for each server measured.
    assert len(re.findall(r'id="frame-\d-0"', page)) == 4
    assert len(re.findall(r'id="frame-\d-1"', page)) == 1, re.findall(r'id="frame-\d-1"', page)
    assert page.count('<figure class="curves">') == 5 * 20
    assert page.count('<use href="#frame-0-0"/>') == 20
    # As many dots as there are points of p50 and p99 in the workload.
    begin = page.index('<use href="#frame-0-0"/>')
    first = page[begin:page.index("</svg>", begin)]
    points = {p["asked_per_s"] for p in made.json["points"]
              if p["workload"] == "hello" and p["subject"] == "iterative" and p["asked_per_s"]}
    assert first.count("<circle") == 2 * len(points), (first, points)
    for part, count in (("p50", 1), ("p99", 1)):
        assert first.count(f'class="{part}"') == count
    frame = page[page.index('id="frame-0-0"'):begin]
    for label in ("ms</text>", ">10k</text>", 'class="bound"', 'class="grid"'):
        assert label in frame, label
    for line in re.findall(r' d="([^"]*)"', page):
        assert re.fullmatch(r"[-MLHVZAmlhvzaA0-9., ]+", line), line


def test_hostile_strings_stay_strings():
    made = report("hostile")
    page = check_page(made)
    assert "script" not in page.tags
    assert made.json["machine"]["cpu"].startswith('</td><script>alert(1)</script>"\'&=1+1,\\\n\t\x1b[2J\x01\ufffd`id`')
    rows = list(csv.DictReader(made.csv.splitlines(keepends=True)))
    assert any(row["subject"].startswith('</td><script>alert(1)</script>"\'&=1+1,\\') for row in rows)
    assert not [c for c in made.html + made.csv if ord(c) < 32 and c not in "\n\r\t"]
    assert "Interrupted:" in made.html and "The machine was busy:" in made.html
    numbers = [p["p50_us"] for p in made.json["points"]]
    assert None in numbers


def test_without_gnuplot():
    with tempfile.TemporaryDirectory() as empty:
        made = Report("few", env={"PATH": empty})
    assert "the package gnuplot-nox draws the curves" in made.html
    assert "<figure" not in made.html
    check_page(made)


def other_gnuplot(script):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "gnuplot")
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + script)
        os.chmod(path, 0o755)
        made = Report("few", env={"PATH": directory + ":" + os.environ["PATH"]})
    assert "<figure" not in made.html
    check_page(made)
    return made.html


def test_gnuplot_that_fails():
    assert "gnuplot failed" in other_gnuplot("echo '<svg>'; exit 1")
    assert "not understood" in other_gnuplot("exit 0")
    assert "not understood" in other_gnuplot("cat > /dev/null; echo '<svg><defs></defs><path d=x></svg>'")
    assert "gnuplot failed" in other_gnuplot("kill -9 $$")


def limit_files():
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_a_full_disk_is_an_error_and_leaves_the_old_file():
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, "compare.json"), "w", encoding="utf-8") as file:
            file.write("old")
        done = write("few", directory, preexec_fn=limit_files)
        assert done.returncode != 0
        assert "rondo: can't write " + directory + "/compare.json: File too large" in done.stdout + done.stderr, done
        assert os.listdir(directory) == ["compare.json"], os.listdir(directory)
        with open(os.path.join(directory, "compare.json"), encoding="utf-8") as file:
            assert file.read() == "old"


def test_a_directory_that_is_not_there():
    done = write("few", "/nonexistent/directory")
    assert done.returncode != 0
    assert "can't write /nonexistent/directory/compare.json: No such file" in done.stdout + done.stderr, done


def show(**how):
    return subprocess.run([PROGRAM, "-1", "show_sample"], timeout=LIMIT_S, check=True, **how)


def test_terminal_lines_where_there_is_no_terminal():
    text = show(stdout=subprocess.PIPE).stdout.decode()
    lines = text.splitlines()
    assert "\r" not in text and "\x1b" not in text
    assert lines[0] == "1/40 hello, epoll-et, 20,000/s, round 2 of 3"
    assert not [line for line in lines if len(line) > 80]
    assert any(re.match(r"loop +[≥\d,]+ +[\d,]+ +[\d.]+ [µm]s +[\d.]+ ms +", line) for line in lines), lines


def on_terminal(columns, term="xterm"):
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = term
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.execv(PROGRAM, [PROGRAM, "-1", "show_sample"])
    got = b""
    while True:
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        got += data
    os.close(fd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return got.decode()


def test_terminal_bar_is_one_line_that_is_cleared():
    for columns in (20, 60, 80, 200):
        text = on_terminal(columns)
        bars = re.findall(r"\r([^\r\n]*?)\x1b\[K", text)
        drawn = [bar for bar in bars if bar]
        assert len(drawn) == 40, len(drawn)
        assert max(len(bar) for bar in drawn) < columns, (columns, drawn)
        assert text.count("\r\x1b[K") == 5  # before each table
        assert ("[" in drawn[0]) == (columns > 51)
    assert "########" in on_terminal(80)


def test_dumb_terminals_get_lines():
    assert "\x1b" not in on_terminal(80, "dumb")


sys.exit(run_tests(dict(globals())))
