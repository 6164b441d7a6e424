"""What the benchmarks of several models have in common: medians, ratios, the head, the page they go to."""

import contextlib
import json
import os
import platform
import statistics
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("BUILD", os.path.join(ROOT, "build"))
BENCH = os.path.join(BUILD, "bench")
CORES = sorted(os.sched_getaffinity(0))
QUIET = 0.1     # the share of the processors' time that others may take
PATIENCE = 60   # seconds to wait for that


class Failure(Exception):
    pass


def inner(values):
    """The range without the extremes, where there are enough."""
    values = sorted(values)
    extremes = max(1, len(values) // 8) if len(values) >= 5 else 0
    return values[extremes], values[-1 - extremes]


def ratio(values, others):
    """(median of the rounds' ratios, whether they don't agree on who is ahead)."""
    ratios = [value / other for value, other in zip(values, others)]
    low, high = inner(ratios)
    return statistics.median(ratios), low <= 1 <= high


def number(x):
    return f"{x:,.0f}" if x >= 1000 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"


def show_ratio(found):
    return f"{'~' if found[1] else ''}{found[0]:.2f}"


def titled(entry):
    """A row's text, with what its readers should know about its rounds; the same on the terminal and in the tables."""
    return entry["text"] + (f" ({entry['marks']})" if entry.get("marks") else "")


def busy_share(seconds=1.0):
    """How much of the processors' time others take right now."""
    def read():
        with open("/proc/stat") as stat:
            times = [int(x) for x in stat.readline().split()[1:9]]
        return sum(times), times[3] + times[4]
    before = read()
    time.sleep(seconds)
    after = read()
    return 1 - (after[1] - before[1]) / max(1, after[0] - before[0])


class Awake:
    """Processors that have nothing to do look for work instead of sleeping: what a wake-up costs is then the kernel's and the program's, not
    the machine's (a virtual one may take 50 us to be back, or more while its host is busy). The kernel takes the request back when
    the file is closed, so at the latest when this process ends (its documentation: "PM Quality Of Service Interface")."""

    LATENCY = "/dev/cpu_dma_latency"

    def __init__(self):
        self.file = None
        self.begin()

    def __bool__(self):
        return self.file is not None

    def begin(self):
        try:
            self.file = open(self.LATENCY, "wb", buffering=0)
            self.file.write(bytes(4))  # microseconds that it may take them to be back
        except OSError:  # it is root's, and not there without a driver
            self.end()

    def end(self):
        if self.file:
            self.file.close()
        self.file = None

    @contextlib.contextmanager
    def but_not_now(self):
        was_awake = bool(self)
        self.end()
        try:
            yield
        finally:
            if was_awake:
                self.begin()


def commit():
    """What bench/all began with: the tables that its parts write are no change of what they measure."""
    return os.environ.get("BENCH_COMMIT") or subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()


class Machine:
    """What is measured, where, and whether the machine has other things to do."""

    def __init__(self, patience=PATIENCE):
        self.share, waited = busy_share(3), 0
        while self.share > QUIET and waited < patience:
            if waited == 0:
                print(f"others take {self.share:.0%} of the processors: waiting for them, {patience:.0f} s at most", flush=True)
            self.share = busy_share(3)
            waited += 3
        self.is_busy = self.share > QUIET
        self.awake = Awake()
        self.date = time.strftime("%Y-%m-%d")
        self.commit = commit()
        self.head = (f"Rondo {self.commit}, {self.date}, {platform.platform()}, {len(CORES)} cores; "
                     f"{self.share:.0%} busy before the start; idle processors {'kept awake' if self.awake else 'may sleep'}")

    def tables(self, preliminary, lines):
        """The text of the tables, below their head."""
        note = (". **Preliminary**: the machine had other things to do, so the times mean little"
                if preliminary else "")
        return "\n".join([f"Measured: {self.head}{note}.", "", *lines, ""])


def write_json(name, results, machine=None):
    """To $BUILD/bench/NAME.json, with what was measured and when."""
    head = {"commit": machine.commit, "date": machine.date, "head": machine.head, "busy_before": machine.share} if machine else {
        "commit": commit(), "date": time.strftime("%Y-%m-%d")}
    path = os.path.join(BENCH, f"{name}.json")
    with open(path, "w") as file:
        json.dump({**head, **results}, file, indent=1)
    return path


def write_between(name, text):
    """Between the marks of that name in docs/performance.md."""
    page = os.path.join(ROOT, "docs/performance.md")
    with open(page) as file:
        before, begin, rest = file.read().partition(f"<!-- {name} --docs: begin -->\n")
    _, end, behind = rest.partition(f"<!-- {name} --docs: end -->\n")
    if not end:
        raise Failure(f"docs/performance.md has lost the marks of {name}, between which the tables stand")
    with open(page, "w") as file:
        file.write(before + begin + text + end + behind)


def write_tables(name, tables, docs):
    """To $BUILD/bench/NAME.md; with docs also into docs/performance.md."""
    path = os.path.join(BENCH, f"{name}.md")
    with open(path, "w") as file:
        file.write(tables)
    if docs:
        write_between(f"bench/{name}", tables)
    return path
