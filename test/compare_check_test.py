#!/usr/bin/env python3
"""The generator of `rondo compare` beside wrk and h2load, in a closed loop on the same servers.

    test/compare_check_test.py [WORD...]    only the tests with a WORD in their name

Where each answer takes 20 ms, connections and time say how many there can be: all three must agree within 15%,
and on the median latency. Where the server is what is busy, how many answers there are in a second is the machine's
affair, which does other things too: there they must agree within a factor of three only. But what an answer takes of
the server's processor is the server's, when it computes for each as long: by that each of the three must have counted
as many answers, within 10%, as the server has made; and in a closed loop connections are rate times latency (Little's
law), whatever the machine does. What a machine does besides only ever makes it look slower: the best of several
interleaved rounds is compared, and where they do not agree yet there are more rounds; a generator that counts wrongly
does so in all of them.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from running import BUILD, IS_PLAIN, run_tests

RONDO = os.path.join(BUILD, "rondo")
LIMIT_S = 300 if os.environ.get("VARIANT") else 90
CONNECTIONS = 8
ROUNDS_MAX = 10


class Server:
    def __enter__(self):
        core = min(os.sched_getaffinity(0))
        self.process = subprocess.Popen(
            [RONDO, "compare", "--serve", "epoll", "--port", "0"], stdout=subprocess.PIPE, text=True,
            start_new_session=True,  # as each of a comparison's: where sessions share the processor, each is as good
            preexec_fn=lambda: os.sched_setaffinity(0, {core}))
        line = self.process.stdout.readline()
        self.url = "http://127.0.0.1:" + re.search(r":(\d+)", line)[1]
        return self

    def used_us(self):
        """Of its processor: /proc/PID/schedstat counts in nanoseconds."""
        with open(f"/proc/{self.process.pid}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[0]) / 1e3

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def other_core():
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, start_new_session=True,
                          preexec_fn=other_core).stdout


def to_us(text):
    number, unit = re.match(r"([0-9.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


# Each way returns answers/s, their median latency (or mean), and what one has taken of the server's processor.

def counted(server, command, count):
    before = server.used_us()
    out = run(*command)
    return out, (server.used_us() - before) / int(re.search(count, out)[1])


def by_wrk(server, target, _):
    out, used = counted(server, ["wrk", "-t1", f"-c{CONNECTIONS}", "-d1s", "--latency", server.url + target],
                        r"(\d+) requests in")
    return float(re.search(r"Requests/sec: +([0-9.]+)", out)[1]), to_us(re.search(r"50% +(\S+)", out)[1]), used


def by_h2load(server, target, _):
    out, used = counted(server, ["h2load", "--h1", "-t1", f"-c{CONNECTIONS}", "-D1", server.url + target],
                        r"(\d+) succeeded")
    mean = re.search(r"time for request: +\S+ +\S+ +(\S+)", out)[1]
    return float(re.search(r"([0-9.]+) req/s", out)[1]), to_us(mean), used


def by_rondo(_server, _target, workload):
    folder = tempfile.mkdtemp(prefix="rondo-compare-test-")
    try:
        subprocess.run([RONDO, "compare", "--anyway", "--out", folder, "--models", "epoll", "--workload", workload,
                        "--rate", "0", "--connections", str(CONNECTIONS), "--duration", "1", "--rounds", "1"],
                       capture_output=True, timeout=LIMIT_S, check=True)
        with open(os.path.join(folder, "compare.json"), encoding="utf-8") as file:
            point = json.load(file)["points"][0]
        return point["rate_per_s"], point["p50_us"], point["cpu_us_per_request"]
    finally:
        shutil.rmtree(folder)


def measure(workload, target, differs):
    """Rounds until no generator DIFFERS from the others in {name: (best rate, its median latency, the least that an
    answer took of the processor)}."""
    ways = {"rondo": by_rondo}
    for name, way in ("wrk", by_wrk), ("h2load", by_h2load):
        if shutil.which(name):
            ways[name] = way
        else:
            print(f"# skipped: {name} is not installed")
    if len(ways) == 1:
        return
    best = {}
    with Server() as server:
        for number in range(1, ROUNDS_MAX + 1):
            for name, way in ways.items():
                rate, us, used = way(server, target, workload)
                before = best.get(name, (0, 0, used))
                best[name] = (*max(before[:2], (rate, us)), min(before[2], used))
            wrong = [name for name in best if differs(best["rondo"], best[name])]
            if not wrong:
                break
    print("#", workload, number, "rounds", {name: tuple(map(round, figures)) for name, figures in best.items()})
    assert not wrong, (wrong, best)


def near(one, other, part):
    return 1 - part < one / other < 1 + part


def test_where_the_time_is_known():
    measure("wait", "/wait?ms=20", lambda own, its: not (near(own[0], its[0], 0.15) and near(own[1], its[1], 0.15)))


def test_where_the_server_is_busy():
    measure("hello", "/hello", lambda own, its: not 1 / 3 < own[0] / its[0] < 3)


def test_where_the_server_computes():
    """200 times 500 steps for each answer, which take what they take, whoever asks for them; and there are never more
    under way than there are connections."""
    measure("cpu", "/cpu?n=200", lambda own, its: not (near(own[2], its[2], 0.1)
                                                       and its[0] * its[1] / 1e6 < 1.15 * CONNECTIONS))


sys.exit(run_tests(globals(), "" if IS_PLAIN else "a generator that looks for other things is slower than wrk"))
