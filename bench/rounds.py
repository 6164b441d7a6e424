"""Rounds: whose turn it is, which of them count, and how long all of it may take.

The models of a row take turns in every round, another one first in each, so that what disturbs the machine disturbs them all.
**A round is dropped and played again when others took more than DISTURBED of the time of one of its runs.** What others took is
exact where it can be:

- Of servers and clients that have a processor of their own: what one of their threads, ready to run, waited for it (the second
  field of /proc/PID/task/TID/schedstat), as a share of what they ran and waited there. Waiting for each other is no
  disturbance, so what the others of them on that processor ran (with its ksoftirqd, which does their work too) is taken off first; and
  neither is being woken: WAKE_NS for each time that it got the processor. A virtual machine whose processors sleep takes longer than that to wake
  one, without anybody else: so others never took more than they ran, all of them together (next).
- Where several busy threads of theirs share processors (the pool, server and client on one core) others can hide behind that. So there
  what all tasks ran counts that are not ours (schedstat, but for ksoftirqd; of their ended children /proc/PID/stat, in ticks of the clock),
  as a share of all processors'. Where the kernel has no schedstat that is all there is, in ticks, of which fewer than three say nothing.
- Of a virtual machine: what its host took, where it says so (steal in /proc/stat), of our processors.

Half as many rounds again are played at most, and none when the part has had its time (see Progress); then the least disturbed
ones make up for what is missing, and the row says so, in the tables too. A row that even so takes too long ends with three
rounds, and says that.
"""

import os
import sys
import time

from report import CORES

DISTURBED = 0.05
WAKE_NS = 10000
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
LEAST = 3    # rounds that are played whatever the time
HURRY = 1.2  # times too late is when rows are cut to these

# Seconds on a quiet machine of two cores, and what all of `make bench` may take.
PARTS = {"count": 45, "count --peers": 30, "loop": 60, "pool": 70, "mem": 110, "net": 170, "fs": 100, "http": 380, "websocket": 75}
LIMIT = 18.5 * 60


# --- What others took ----------------------------------------------------------------------------

ended = []  # [(core, (ns it ran, ns it waited, how often it got the processor))]: of clients that have ended in this run


def schedstat(path):
    with open(path) as file:
        return tuple(int(word) for word in file.read().split())


def threads(pid):
    """{thread: (ns it ran, ns it waited, how often it got the processor)}; nothing where the kernel doesn't say."""
    found = {}
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            found[task] = schedstat(f"/proc/{pid}/task/{task}/schedstat")
    except OSError:  # it has just ended
        pass
    return found


KNOWS_WAITS = bool(threads(os.getpid()))


def ksoftirqds():
    """{core: its pid}"""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")) if KNOWS_WAITS else ():
        try:
            with open(f"/proc/{pid}/comm") as comm:
                name, _, core = comm.read().strip().partition("/")
        except OSError:
            continue
        if name == "ksoftirqd":
            found[int(core)] = pid
    return found


KSOFTIRQD = ksoftirqds()


def is_shared(group):
    """Whether two of its threads were busy."""
    ran = sorted(one[0] for one in group)
    return len(ran) > 1 and ran[-2] > 0.2 * sum(ran)


def lost(group, helper=0):
    """The share that others took of a group that has a processor to itself: [(ran, waited, times)], and what ksoftirqd ran."""
    ran = sum(one[0] for one in group) + helper
    waited = max((one[1] - WAKE_NS * one[2] - (ran - one[0]) for one in group), default=0)
    return waited / (waited + ran) if waited > 0 else 0.0


def processes():
    """{pid: (parent, seconds that it and its ended children have taken)}: without ksoftirqd, who does the others' work."""
    found = {}
    helpers = set(KSOFTIRQD.values())
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as stat:
                words = stat.read().rpartition(")")[2].split()
        except OSError:
            continue
        if pid in helpers or not KNOWS_WAITS and int(words[6]) & 0x200000:  # the kernel's, of whom ticks say little
            continue
        own = sum(one[0] for one in threads(pid).values()) / 1e9 if KNOWS_WAITS else sum(map(int, words[11:13])) * TICK_S
        found[int(pid)] = int(words[1]), own + sum(map(int, words[13:15])) * TICK_S
    return found


def taken_by_others(ours):
    """Seconds of processes that are not ours (of `ours` and their descendants)."""
    all_of_them = processes()

    def is_ours(pid):
        while pid in all_of_them and pid not in ours:
            pid = all_of_them[pid][0]
        return pid in ours
    return sum(seconds for pid, (_, seconds) in all_of_them.items() if not is_ours(pid))


def stolen():
    """Seconds that the host took of our processors."""
    total = 0
    with open("/proc/stat") as stat:
        for line in stat:
            words = line.split()
            if words[0][:3] == "cpu" and words[0][3:].isdigit() and int(words[0][3:]) in CORES:
                total += int(words[8]) * TICK_S if len(words) > 8 else 0
    return total


def ticks_share(seconds, capacity):
    return seconds / capacity if seconds > 2.5 * TICK_S else 0.0


class Watch:
    """What others took since it was made. A server has `pids` and a `core`, which is None if it may use all."""

    def __init__(self, servers):
        self.servers = servers
        ended.clear()
        self.begun, self.before = time.monotonic(), self.now()

    def now(self):
        """({(core, thread): its figures}, {core: what its ksoftirqd ran}, others' seconds, the host's)"""
        tasks = {(server.core, task): figures for server in self.servers for pid in server.pids for task, figures in threads(pid).items()}
        helpers = {core: threads(pid).get(pid, (0,))[0] for core, pid in KSOFTIRQD.items()}
        ours = {os.getpid(), *(pid for server in self.servers for pid in server.pids)}
        return tasks, helpers, taken_by_others(ours), stolen()

    def disturbance(self):
        """The share that others took."""
        (tasks, helpers, taken, host), took = self.now(), time.monotonic() - self.begun
        groups = {}
        for key, figures in tasks.items():
            before = self.before[0].get(key, (0, 0, 0))
            groups.setdefault(key[0], []).append([now - then for now, then in zip(figures, before)])
        for core, figures in ended:
            groups.setdefault(core, []).append(figures)
        taken = max(0.0, taken - self.before[2])
        shares = [min(lost(group, helpers.get(core, 0) - self.before[1].get(core, 0)), taken / took) for core, group in groups.items()]
        if not KNOWS_WAITS:
            shares.append(ticks_share(taken, took * os.cpu_count()))
        elif None in groups or any(map(is_shared, groups.values())):
            shares.append(taken / (took * os.cpu_count()))
        return max(0.0, ticks_share(host - self.before[3], took * len(CORES)), *shares)


# --- How long it takes --------------------------------------------------------------------------------

class Progress:
    """How much is done, on a terminal as a bar; and whether there is time for more than what was planned.

    `seconds` is what the part may take in all, `reserved` what its other work needs of that. A step of a row that takes longer
    than others counts as several."""

    def __init__(self, steps, seconds=float("inf"), reserved=0, begun=None):
        self.steps, self.done, self.seconds = max(1, steps), 0, seconds - reserved
        self.begun = time.monotonic() if begun is None else begun
        self.shown = sys.stderr.isatty()

    def took(self):
        return time.monotonic() - self.begun

    def left(self):
        """Seconds, at the pace so far."""
        return self.took() / max(1, self.done) * (self.steps - self.done)

    def is_late(self, tolerance=1.0):
        """Not told from the first few steps."""
        expected = self.took() + self.left() if self.done * 10 >= self.steps else self.took() * 3
        return expected > tolerance * self.seconds

    def step(self, text, weight=1):
        self.done = min(self.steps, self.done + weight)
        if self.shown:
            left, bar = int(self.left()), "#" * int(30 * self.done / self.steps)
            sys.stderr.write(f"\r\033[K[{bar:<30}] {self.done / self.steps:>4.0%}  {left // 60}:{left % 60:02} left  {text:.60}")
            sys.stderr.flush()

    def clear(self):
        if self.shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


# --- Rounds ------------------------------------------------------------------------------------------

class Played(list):
    """[{model: result}], and what is to be said about them."""

    def __init__(self, rounds, disturbed=0, wanted=None, shares=()):
        super().__init__(rounds)
        self.disturbed, self.wanted = disturbed, wanted or len(self)
        self.shares = shares  # that others took, of all rounds that were played, in their order

    @property
    def marks(self):
        """For the row: what its readers should know."""
        return ", ".join(filter(None, (
            f"disturbed: {self.disturbed} of {len(self)} rounds" if self.disturbed else "",
            f"{len(self)} rounds, not {self.wanted}: out of time" if len(self) < self.wanted else "")))


def play(runs, rounds, progress, text, servers=(), timed=True, weight=1):
    """runs: {model: function that runs it once}, of which a result {"spoilt": True} is told by the run itself. Where nothing is
    timed (bytes) others don't matter."""
    good, bad, shares = [], [], []
    models = list(runs)
    for turn in range(rounds + rounds // 2):
        if turn >= rounds and progress.is_late() or turn >= LEAST and progress.is_late(HURRY):
            break
        found, worst = {}, 0.0
        for model in models[turn % len(models):] + models[:turn % len(models)]:
            watch = Watch(servers)
            found[model] = runs[model]()
            worst = max(worst, watch.disturbance() if timed else 0.0, 1.0 if found[model].get("spoilt") else 0.0)
            if turn < rounds:
                progress.step(f"{text}, {model}", weight)
        found = {model: found[model] for model in models}
        shares.append(round(worst, 4))
        good.append(found) if worst <= DISTURBED else bad.append((worst, found))
        if len(good) == rounds:
            break
    for _ in range(len(models) * max(0, rounds - len(good) - len(bad))):
        progress.step(text, weight)  # what is left out
    progress.clear()
    played = min(rounds, len(good) + len(bad))
    missing = played - len(good)
    bad.sort(key=lambda entry: entry[0])
    return Played(good + [found for _, found in bad[:missing]], missing, rounds, shares)
