"""The table of what is to be reached: each aim, what was measured last, and what stands between, from build/bench/*.json."""

import json
import os

from report import BENCH, number, show_ratio, write_between


def load(name):
    try:
        with open(os.path.join(BENCH, f"{name}.json")) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {"rows": {}}


def dig(tree, *path):
    for key in path:
        if not isinstance(tree, (dict, list)) or (isinstance(tree, dict) and key not in tree):
            return None
        tree = tree[key]
    return tree


def reached(figures, aims, less=True):
    """Whether all that were measured are where they should be."""
    return all(figure <= aim if less else figure >= aim for figure, aim in zip(figures, aims) if figure is not None)


class Row:
    """figures() finds one or two numbers; `shown` says how they are written; `between` what stands between where they miss."""

    def __init__(self, text, aims, figures, between, shown=number, less=True, peers=None, ties=None, rows=()):
        self.text, self.aims, self.figures, self.between = text, aims, figures, between
        self.shown, self.less, self.peers, self.ties = shown, less, peers, ties
        self.rows = rows  # (part, row) that it comes from, whose marks it has

    def line(self):
        figures = self.figures()
        sign = "≤" if self.less else "≥"
        aims = " / ".join(f"{aim:,g}" for aim in self.aims)
        if all(figure is None for figure in figures):
            return f"| {self.text} | {sign} {aims} | not measured | | |"
        now = " / ".join("?" if figure is None else self.shown(figure) for figure in figures)
        there = reached([round(figure, 3) if figure is not None else None for figure in figures], self.aims, self.less)
        peers = self.peers() if self.peers else ""
        tie = "~" if self.ties and self.ties() else ""
        now += "".join(f" ({mark})" for mark in sorted({dig(load(part), "rows", row, "marks") for part, row in self.rows} - {None, ""}))
        return f"| {self.text} | {sign} {aims} | {tie}{now} | {peers} | {'reached' if there else self.between} |"


def http(key, model="rondo"):
    return dig(load("http"), "rows", key, "models", model, "ratio", 0)


def http_tie(key):
    return lambda: dig(load("http"), "rows", key, "models", "rondo", "ratio", 1)


def http_peers(key):
    def text():
        models = dig(load("http"), "rows", key, "models") or {}
        return ", ".join(f"{name} {show_ratio(models[name]['ratio'])}" for name in ("libuv", "nginx") if "ratio" in models.get(name, {}))
    return text


def pipelined():
    """Requests for each second of the server's processor, x raw epoll's: what a client that costs nothing would see."""
    found = http("deep_64")
    return [1 / found if found else None]


def growth(model):
    few, most = (dig(load("http"), "rows", key, "models", model, "figure") for key in ("keep_100", "keep_most"))
    return most / few if few and most else None


def counted(row, *names):
    found = dig(load("count"), "rows", row)
    return sum(found[name] for name in names) if found else None


def timers(which, model="rondo"):
    """The figures at ten thousand and a million."""
    return [dig(load("loop"), "rows", f"{which}_{size}", "models", model, "figure") for size in ("10k", "1m")]


def timer_peers(which):
    def text():
        found = {name: timers(which, name) for name in ("libev", "libuv")}
        return ", ".join(f"{name} " + " / ".join(map(number, figures)) for name, figures in found.items() if None not in figures)
    return text


def pool(row, what="figure"):
    found = dig(load("pool"), "rows", row, "models", "rondo", what)
    return found[0] if isinstance(found, list) else found


def pool_peers(row, *names):
    def text():
        models = dig(load("pool"), "rows", row, "models") or {}
        return ", ".join(f"{name} {number(models[name]['figure'])}" for name in names if name in models)
    return text


def crowd(what):
    found = dig(load("mem"), "rows", "crowd", "models", "among", what)
    return found[0] if isinstance(found, list) else found


ROWS = [
    Row("HTTP server, processor time for a request, 64 connections, x raw epoll", [1.10], lambda: [http("keep_64")],
        "two system calls are most of it, the same two; see *HTTP*", peers=http_peers("keep_64"), ties=http_tie("keep_64"),
        rows=[("http", "keep_64")]),
    Row("the same, 10,000 connections", [1.10], lambda: [http("keep_10000")],
        "misses of the data cache on connections and responses; see *HTTP*", peers=http_peers("keep_10000"), ties=http_tie("keep_10000"),
        rows=[("http", "keep_10000")]),
    Row("16 deep: requests for each second of processor time, x raw epoll", [0.60], pipelined,
        "the parser and the response of each request, which raw epoll does not have; see *The hot path*", less=False,
        rows=[("http", "deep_64")]),
    Row("system calls for a request, 1 / 16 deep", [2.02, 0.13],
        lambda: [counted("http", "calls", "waits"), counted("http_16", "calls", "waits")], "see *What everything costs*",
        shown=lambda x: f"{x:.2f}"),
    Row("instructions for a request, 1 / 16 deep", [3000, 2600],
        lambda: [counted("http", "instructions"), counted("http_16", "instructions")], "see *The hot path*"),
    Row("allocations for a request", [0], lambda: [counted("http", "allocations")], "see *What everything costs*", shown=lambda x: f"{x:g}"),
    Row("bytes resident for an idle HTTP connection", [400], lambda: [dig(load("http"), "rows", "idle", "models", "rondo", "figure")],
        "the structs of connection, stream, handle and slots; see *Memory*", peers=lambda: ", ".join(
            f"{name} {number(dig(load('http'), 'rows', 'idle', 'models', name, 'figure'))}" for name in ("libuv", "nginx")
            if dig(load("http"), "rows", "idle", "models", name, "figure"))),
    Row("timer re-armed, ns, 10,000 / a million", [25, 60], lambda: timers("re-arm"),
        "with a million, the misses of main memory on the handle; see *Timers*", peers=timer_peers("re-arm"),
        rows=[("loop", "re-arm_10k"), ("loop", "re-arm_1m")]),
    Row("timer fired, ns, a million", [400], lambda: timers("fire")[1:], "see *Timers*", peers=timer_peers("fire"),
        rows=[("loop", "fire_1m")]),
    Row("thread to loop, x eventfd", [1.1], lambda: [pool("wake", "ratio")], "see *The pool*", shown=lambda x: f"{x:.2f}",
        peers=pool_peers("wake", "eventfd", "libuv", "libev"), rows=[("pool", "wake")]),
    Row("job to a worker and back, us, 1 / 64 in flight", [4, 0.6], lambda: [pool("job_1"), pool("job_64")],
        "see *The pool*: what two threads need without a library is in the table", peers=lambda: " / ".join(
            filter(None, (pool_peers("job_1", "libuv")(), pool_peers("job_64", "libuv")()))), rows=[("pool", "job_1"), ("pool", "job_64")]),
    Row("cached 4 KiB read, one after another, x libuv's rate", [6], lambda: [
        dig(load("pool"), "rows", "read4k_1", "models", "rondo", "ratio", 0) and 1 / pool("read4k_1", "ratio")], "see *Files*", less=False,
        rows=[("pool", "read4k_1")]),
    Row("the door with no observer, ns for the outermost callback / for one inside another", [3, 3],
        lambda: [dig(load("loop"), "rows", "door", "models", model, "figure") for model in ("rondo", "nested")],
        "see *Timers*", rows=[("loop", "door")]),
    Row("idle crowd and 1,000 requests/s: processor time x without it / MB resident", [1.2, 60],
        lambda: [crowd("ratio"), (crowd("resident") or 0) / 1e6 or None], "see *Memory*", rows=[("mem", "crowd")]),
    Row("processor time for a request at the most connections the machine allows, x at 100", [1.6],
        lambda: [growth("rondo")], "see *HTTP*", peers=lambda: f"raw epoll {growth('epoll') or 0:.2f}", shown=lambda x: f"{x:.2f}", rows=[("http", "keep_100"), ("http", "keep_most")]),
]


def table():
    yield "| | aim | now | peers | what stands between |"
    yield "|---|---|---|---|---|"
    for row in ROWS:
        yield row.line()


def write(lines):
    heads = {load(name).get("commit") for name in ("count", "http", "loop", "pool", "mem")} - {None}
    write_between("bench/all", "\n".join([f"Measured: Rondo {', '.join(sorted(heads))}; each section says when and on what.", "", *lines, ""]))
