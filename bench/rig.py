"""What every benchmark does in the same way: its servers and clients, its options and files. Its rounds: bench/rounds.py.

The first processor is the server's, the last one the load's.
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

import rounds
from report import BENCH, CORES, PATIENCE, Failure, Machine, inner, number, ratio, show_ratio, titled, write_json, write_tables
from rounds import KNOWS_WAITS, PARTS, TICK_S, Progress, threads


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


class Client(subprocess.Popen):
    """A load on its core. What it ran, and waited for its core, is kept for the rule on rounds when it ends."""

    def __init__(self, words, core=CORES[-1], **more):
        self.core = core
        super().__init__([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=pin(core), text=True,
                         **more)

    def wait(self, timeout=None):
        if self.returncode is None:
            self.take_figures(time.monotonic() + (60 if timeout is None else timeout))
        return super().wait(timeout)

    def take_figures(self, until):
        """As long as nobody has waited for it, /proc knows what it had; that the pipes are closed doesn't mean that it has ended."""
        while not os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) and time.monotonic() < until:
            time.sleep(0.0005)
        for figures in threads(self.pid).values():
            rounds.ended.append((self.core, figures))


def client(words, core=CORES[-1], **more):
    """Runs a load to its end; what it printed."""
    process = Client(words, core, **more)
    try:
        out, error = process.communicate(timeout=600)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    if process.returncode != 0:
        raise Failure(error.strip() or f"{words[0]} ended with {process.returncode}")
    return out


def allow_files(wanted):
    """As many open files as the machine allows a process, for this one and those that it starts."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < wanted:
        raise Failure(f"this machine allows {hard} open files per process; {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def cpu_ns(pid):
    """What all threads of a process ran so far (schedstat, the first field; where there is none, whole ticks of the clock)."""
    if not KNOWS_WAITS:
        with open(f"/proc/{pid}/stat") as stat:
            return sum(int(word) for word in stat.read().rpartition(")")[2].split()[11:13]) * int(TICK_S * 1e9)
    found = threads(pid)
    if not found:
        raise Failure("a server has ended")
    return sum(figures[0] for figures in found.values())


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def resident_together(pids):
    """Of several processes of one program: what they share, the pages of its libraries, counts once, as in memory."""
    own, shared = [], []
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            kib = {line.split(":")[0]: int(line.split()[1]) for line in file if line.endswith("kB\n")}
        own.append(kib["Private_Clean"] + kib["Private_Dirty"])
        shared.append(kib["Shared_Clean"] + kib["Shared_Dirty"])
    return 1024 * (sum(own) + max(shared))


class Server:
    """A program on the servers' core, maybe under a tool, that listens to `port`, or says on its first line what port it has."""

    def __init__(self, words, port=None, prefix=(), env=None, core=CORES[0]):
        self.core = core
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

    @property
    def pids(self):
        return [self.process.pid, *self.children]

    def cpu_ns(self):
        return sum(map(cpu_ns, self.pids))

    def resident_bytes(self):
        return sum(map(resident_bytes, self.pids))

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
    """A program that does what it is told by a line of its input, and answers with a line; it ends when its input does. It has one
    processor, or all for its threads."""

    def __init__(self, words, core=None):
        self.core = core
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        preexec_fn=None if core is None else pin(core))

    @property
    def pids(self):
        return [self.process.pid]

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


# --- The frame -----------------------------------------------------------------------------------------

class Bench:
    """Options, the machine, results; what is printed about a row of one figure for each model.

    bench/all says in BENCH_SECONDS how long this part may take, and in BENCH_PATIENCE how long it may wait for a quiet machine; alone it
    may take a quarter more than planned."""

    def __init__(self, name, doc, rows, names, rounds=7, seconds=0.5, quick=(3, 0.2), options=lambda parser: None):
        parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("rows", nargs="*", metavar="ROW", help="; ".join(rows))
        parser.add_argument("--quick", action="store_true", help="for a look, not for a claim")
        parser.add_argument("--rounds", type=int, help=f"of each row: {rounds}")
        parser.add_argument("--seconds", type=float, help=f"of each run: {seconds}")
        parser.add_argument("--docs", action="store_true", help="the tables into docs/performance.md; needs all rows")
        options(parser)
        self.options = options = parser.parse_args()
        for row in options.rows:
            if row not in rows:
                parser.error(f"no row '{row}'; there are: {' '.join(rows)}")
        if options.docs and (options.rows or options.quick):
            parser.error("--docs is for a whole run")
        self.rounds = options.rounds or (quick[0] if options.quick else rounds)
        self.seconds = options.seconds or (quick[1] if options.quick else seconds)
        self.name, self.rows, self.names, self.results = name, options.rows or list(rows), names, {}
        self.seconds_in_all = float(os.environ.get("BENCH_SECONDS", 1.25 * PARTS[name]))
        self.begun, self.shares = time.monotonic(), []
        self.progress = Progress(1)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(f"bench/{name}: ended by a signal"))
        os.makedirs(BENCH, exist_ok=True)
        self.machine = Machine(0 if options.quick else float(os.environ.get("BENCH_PATIENCE", PATIENCE)))
        self.preliminary = self.machine.is_busy or options.quick or len(CORES) < 2
        print(self.machine.head)
        if self.preliminary:
            print("PRELIMINARY: " + ("this machine has other things to do" if self.machine.is_busy else "a quick look, or one core only"))
        print(f"{self.rounds} rounds" + (f" of {self.seconds:g} s" if self.seconds else "") + " for each model; medians, the range without its extremes; ~ is a tie", flush=True)

    def expect(self, steps, reserved=0):
        """So many runs in all; what is not played in rounds needs so many seconds."""
        self.progress = Progress(steps, self.seconds_in_all, reserved, self.begun)

    def play(self, runs, rounds_wanted, text, servers=(), timed=True, weight=1):
        """Rounds by the rule of bench/rounds.py."""
        played = rounds.play(runs, rounds_wanted, self.progress, text, servers, timed, weight)
        self.shares += played.shares
        return played

    def note(self, key, text, unit, base, played, figure="figure", more=()):
        """Of rounds [{model: {figure: x, ...}}]: medians, ranges, ratios to base. `more` are kept as medians, too."""
        entry = self.results[key] = {"text": text, "unit": unit, "to": base, "marks": played.marks, "models": {}, "rounds": played}
        print(titled(entry))
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
            print(f"  {self.names[model].replace('*', ''):<27} {number(out['figure']):>9} {unit:<6} {number(low) + ' - ' + number(high):>19}"
                  f"  x {base} {show_ratio(out['ratio']) if 'ratio' in out else '':>6} {' '.join(rest)}", flush=True)
        mine = [found["rondo"][figure] for found in played if "rondo" in found]
        entry["rondo_to"] = {model: ratio(mine, [found[model][figure] for found in played]) for model in entry["models"]
                             if mine and model not in ("rondo", base) and all(found[model][figure] > 0 for found in played)}
        if entry["rondo_to"] and base != "rondo":
            print("  Rondo x " + ", ".join(f"{self.names[model].partition(' (')[0]} {show_ratio(found)}"
                                          for model, found in entry["rondo_to"].items()), flush=True)
        return entry

    def finish(self, tables):
        path = write_json(self.name, {"preliminary": self.preliminary, "others_took": self.shares,
                                      "took": round(time.monotonic() - self.begun), "rounds": self.rounds, "seconds": self.seconds, "rows": self.results},
                          self.machine)
        tables = self.machine.tables(self.preliminary, tables)
        written = write_tables(self.name, tables, self.options.docs)
        print(f"{len(self.shares)} rounds played, {sum(share > rounds.DISTURBED for share in self.shares)} of them disturbed; {time.monotonic() - self.begun:.0f} s (may take "
              f"{self.seconds_in_all:.0f})")
        print(f"written to {os.path.relpath(path)} and {os.path.relpath(written)}")
