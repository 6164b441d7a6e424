"""What every benchmark does in the same way: its servers and clients, its rounds, its options and files.

The first processor is the server's, the last one the load's. The models of a row take turns in every round, another one
first in each, so that what disturbs the machine disturbs them all. **A round in which others took more than DISTURBED of the
processors, during one of its runs or during all, is dropped and played again** (less than three ticks of the kernel's clock say nothing
and are let pass); half as many again are played at most, and where that is not
enough the least disturbed ones make up for it and the row says so. Who the others are: what was busy by /proc/stat, less what this
process, its children and the servers have taken. Busy is the lesser of two figures: what the ticks of the clock found (right on
average, but they are samples) and what was not idle (exact, but waking up and falling asleep are in it).
"""

import argparse
import functools
import os
import resource
import signal
import socket
import statistics
import subprocess
import sys
import time

from report import BENCH, CORES, Failure, Machine, inner, number, ratio, show_ratio, write_json, write_tables

DISTURBED = 0.1
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


# --- Servers and clients ---------------------------------------------------------------------------

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def pin(core):
    """What a child does before its program: its core, and ahead of others if that is allowed."""
    def set_up():
        os.sched_setaffinity(0, [core])
        try:
            os.setpriority(os.PRIO_PROCESS, 0, -10)
            with open("/proc/self/autogroup", "w") as group:  # sched(7): where there is one, it decides
                group.write("-10")
        except OSError:
            pass
    return set_up


def client(words, core=CORES[-1], **more):
    """Runs a load to its end; what it printed."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=600, preexec_fn=pin(core), **more)
    if done.returncode != 0:
        raise Failure(done.stderr.strip() or f"{words[0]} ended with {done.returncode}")
    return done.stdout


def allow_files(wanted):
    """As many open files as the machine allows a process, for this one and those that it starts."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < wanted:
        raise Failure(f"this machine allows {hard} open files per process; {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def cpu_ns(pid):
    """What all threads of a process ran so far (schedstat, the first field)."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as stat:
            total += int(stat.read().split()[0])
    return total


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


class Server:
    """A program on the servers' core, maybe under a tool, that listens to `port`, or says on its first line what port it has."""

    def __init__(self, words, port=None, prefix=(), env=None, core=CORES[0]):
        self.process = subprocess.Popen([*prefix, *words], env={**os.environ, **(env or {})}, preexec_fn=pin(core), text=True,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL if port else subprocess.PIPE,
                                        stderr=subprocess.PIPE, start_new_session=True)
        if not port:
            self.port = self.announced()  # one that says so listens already
            return
        self.port = port
        for _ in range(1200):
            if self.process.poll() is not None:
                raise Failure(self.process.stderr.read().strip() or f"{words[0]} ended")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                time.sleep(0.05)  # a worker process may be on its way
                return
            except OSError:
                time.sleep(0.025)
        self.kill()
        raise Failure(f"{words[0]} does not answer")

    def announced(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failure(self.process.communicate()[1].strip() or "the server ended")
        return int(line)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.stop() if kind is None else self.kill()

    @functools.cached_property
    def children(self):
        """They are there once it has answered."""
        return [int(pid) for pid in subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True,
                                                   text=True).stdout.split()]

    def cpu_ns(self):
        return sum(cpu_ns(pid) for pid in [self.process.pid, *self.children])

    def resident_bytes(self):
        return sum(resident_bytes(pid) for pid in [self.process.pid, *self.children])

    def stop(self, sign=signal.SIGTERM):
        """By its own pid; what it, or the tool around it, wrote to stderr. Under strace it is the child."""
        if self.process.poll() is None:
            traced = self.children if self.process.args[0] == "strace" else []
            os.kill(traced[0] if traced else self.process.pid, sign)
        try:
            return self.process.communicate(timeout=120)[1]
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"{self.process.args[0]} does not end") from None

    def kill(self):
        """The tool, the server, and what it has started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.communicate()


class Told:
    """A program that does what it is told by a line of its input, and answers with a line; it ends when its input does."""

    def __init__(self, words):
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def tell(self, line):
        """The words of the answer."""
        try:
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        answer = self.process.stdout.readline().split()
        if not answer:
            raise Failure(f"{line}: {self.process.stderr.read().strip() or 'the program ended'}")
        return answer

    def cpu_ns(self):
        return cpu_ns(self.process.pid)

    def stop(self):
        self.process.communicate(timeout=60)


# --- Rounds ------------------------------------------------------------------------------------------

class Watch:
    """How much of the processors others took since it was made."""

    def __init__(self, servers):
        self.servers = servers
        self.begun, self.busy, self.idle, self.own = self.now()

    def now(self):
        with open("/proc/stat") as stat:
            fields = [int(x) for x in stat.readline().split()[1:9]]
        own = time.process_time() + sum(server.cpu_ns() for server in self.servers) / 1e9
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        idle = fields[3] + fields[4]
        return time.monotonic(), (sum(fields) - idle) * TICK_S, idle * TICK_S, own + used.ru_utime + used.ru_stime

    def others(self):
        """(their seconds, those that there were)"""
        now, busy, idle, own = self.now()
        capacity = (now - self.begun) * os.cpu_count()
        busy = min(busy - self.busy, capacity - (idle - self.idle))
        return max(0.0, busy - (own - self.own)), capacity


def share(others):
    """Of several such pairs together."""
    theirs, all_of_it = (sum(column) for column in zip(*others))
    return theirs / max(1e-6, all_of_it) if theirs > 3 * TICK_S else 0.0


class Progress:
    """A bar on a terminal: how much is done, and how long the rest will take at this pace."""

    def __init__(self, steps):
        self.steps, self.done, self.begun = max(1, steps), 0, time.monotonic()
        self.shown = sys.stderr.isatty()

    def step(self, text):
        self.done = min(self.steps, self.done + 1)
        if self.shown:
            left = (time.monotonic() - self.begun) / self.done * (self.steps - self.done)
            bar = "#" * (30 * self.done // self.steps)
            sys.stderr.write(f"\r\033[K[{bar:<30}] {self.done / self.steps:>4.0%}  {int(left) // 60}:{int(left) % 60:02} left  {text:.60}")
            sys.stderr.flush()

    def clear(self):
        if self.shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


def play(runs, rounds, progress, text, servers=()):
    """runs: {model: function that runs it once}. ([{model: result}], how many of these were disturbed)"""
    good, bad = [], []
    models = list(runs)
    for turn in range(rounds + rounds // 2):
        found, others = {}, []
        for model in models[turn % len(models):] + models[:turn % len(models)]:
            watch = Watch(servers)
            found[model] = runs[model]()
            others.append(watch.others())
            if turn < rounds:
                progress.step(f"{text}, {model}")
        found = {model: found[model] for model in models}
        worst = max(share(others), *(share([one]) for one in others))
        good.append(found) if worst <= DISTURBED else bad.append((worst, found))
        if len(good) == rounds:
            break
    progress.clear()
    missing = rounds - len(good)
    return good + [found for _, found in sorted(bad, key=lambda entry: entry[0])[:missing]], missing


# --- The frame -----------------------------------------------------------------------------------------

class Bench:
    """Options, the machine, results; what is printed about a row of one figure for each model."""

    def __init__(self, name, doc, rows, names, rounds=7, seconds=0.5, quick=(3, 0.2)):
        parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("rows", nargs="*", metavar="ROW", help="; ".join(rows))
        parser.add_argument("--quick", action="store_true", help="for a look, not for a claim")
        parser.add_argument("--rounds", type=int, help=f"of each row: {rounds}")
        parser.add_argument("--seconds", type=float, help=f"of each run: {seconds}")
        parser.add_argument("--docs", action="store_true", help="the tables into docs/performance.md; needs all rows")
        self.options = options = parser.parse_args()
        for row in options.rows:
            if row not in rows:
                parser.error(f"no row '{row}'; there are: {' '.join(rows)}")
        if options.docs and (options.rows or options.quick):
            parser.error("--docs is for a whole run")
        self.rounds = options.rounds or (quick[0] if options.quick else rounds)
        self.seconds = options.seconds or (quick[1] if options.quick else seconds)
        self.name, self.rows, self.names, self.results = name, options.rows or list(rows), names, {}
        self.progress = Progress(1)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(f"bench/{name}: ended by a signal"))
        os.makedirs(BENCH, exist_ok=True)
        self.machine = Machine(*([0] if options.quick else []))
        self.preliminary = self.machine.is_busy or options.quick or len(CORES) < 2
        print(self.machine.head)
        if self.preliminary:
            print("PRELIMINARY: " + ("this machine has other things to do" if self.machine.is_busy else "a quick look, or one core only"))
        print(f"{self.rounds} rounds of {self.seconds:g} s for each model; medians, the range without its extremes; ~ is a tie", flush=True)

    def note(self, key, text, unit, base, played, disturbed=0, figure="figure", more=()):
        """Of rounds [{model: {figure: x, ...}}]: medians, ranges, ratios to base. `more` are kept as medians, too."""
        entry = self.results[key] = {"text": text, "unit": unit, "to": base, "disturbed": disturbed, "models": {}, "rounds": played}
        print(text + (f" (disturbed: {disturbed} of {len(played)} rounds)" if disturbed else ""))
        for model in (played[0] if played else ()):
            figures = [found[model][figure] for found in played]
            out = entry["models"][model] = {"figure": statistics.median(figures), "range": inner(figures)}
            for name in more:
                if name in played[0][model]:
                    out[name] = statistics.median(found[model][name] for found in played)
            if model != base and base in played[0] and all(found[base][figure] > 0 for found in played):
                out["ratio"] = ratio(figures, [found[base][figure] for found in played])
            low, high = out["range"]
            rest = [f"{number(out['rate']):>9}/s" if out.get("rate") else "", f"client {out['client_busy']:.0%} busy"
                    + (" (saturated)" if out["client_busy"] > 0.95 else "") if "client_busy" in out else ""]
            print(f"  {self.names[model].strip('*'):<24} {number(out['figure']):>9} {unit:<6} {number(low) + ' - ' + number(high):>19}"
                  f"  x {base} {show_ratio(out['ratio']) if 'ratio' in out else '':>6} {' '.join(rest)}", flush=True)
        return entry

    def finish(self, tables):
        path = write_json(self.name, {"preliminary": self.preliminary, "rounds": self.rounds, "seconds": self.seconds, "rows": self.results},
                          self.machine)
        tables = self.machine.tables(self.preliminary, tables)
        written = write_tables(self.name, tables, self.options.docs)
        print(f"written to {os.path.relpath(path)} and {os.path.relpath(written)}")
