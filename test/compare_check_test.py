#!/usr/bin/env python3
"""The generator of `rondo compare` beside wrk and h2load, in a closed loop on the same servers.

    test/compare_check_test.py [WORD...]    only the tests with a WORD in their name

Where each answer takes 20 ms, connections and time say how many there can be: all three must agree within 15%,
and on the median latency. Where the server is what is busy they must agree within a factor of three, since the
machine that tests run on does other things too. The best of several interleaved rounds is compared.
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
ROUNDS = 2


class Server:
    def __enter__(self):
        core = min(os.sched_getaffinity(0))
        self.process = subprocess.Popen(
            [RONDO, "compare", "--serve", "epoll", "--port", "0"], stdout=subprocess.PIPE, text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}))
        line = self.process.stdout.readline()
        self.url = "http://127.0.0.1:" + re.search(r":(\d+)", line)[1]
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def other_core():
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, preexec_fn=other_core).stdout


def to_us(text):
    number, unit = re.match(r"([0-9.]+)(us|ms|s)", text).groups()
    return float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit]


def by_wrk(url):
    out = run("wrk", "-t1", f"-c{CONNECTIONS}", "-d1s", "--latency", url)
    return float(re.search(r"Requests/sec: +([0-9.]+)", out)[1]), to_us(re.search(r"50% +(\S+)", out)[1])


def by_h2load(url):
    out = run("h2load", "--h1", "-t1", f"-c{CONNECTIONS}", "-D1", url)
    mean = re.search(r"time for request: +\S+ +\S+ +(\S+)", out)[1]
    return float(re.search(r"([0-9.]+) req/s", out)[1]), to_us(mean)


def by_rondo(workload):
    folder = tempfile.mkdtemp(prefix="rondo-compare-test-")
    try:
        subprocess.run([RONDO, "compare", "--anyway", "--out", folder, "--models", "epoll", "--workload", workload,
                        "--rate", "0", "--connections", str(CONNECTIONS), "--duration", "1", "--rounds", "1"],
                       capture_output=True, timeout=LIMIT_S, check=True)
        with open(os.path.join(folder, "compare.json"), encoding="utf-8") as file:
            point = json.load(file)["points"][0]
        return point["rate_per_s"], point["p50_us"]
    finally:
        shutil.rmtree(folder)


def measure(workload, target):
    """{name: (best rate, its median latency)}"""
    ways = {"rondo": lambda url: by_rondo(workload)}
    for name, way in ("wrk", by_wrk), ("h2load", by_h2load):
        if shutil.which(name):
            ways[name] = way
        else:
            print(f"# skipped: {name} is not installed")
    best = {}
    with Server() as server:
        for _ in range(ROUNDS if len(ways) > 1 else 0):
            for name, way in ways.items():
                best[name] = max(best.get(name, (0, 0)), way(server.url + target))
    print("#", workload, {name: (round(rate), round(us)) for name, (rate, us) in best.items()})
    return best


def test_where_the_time_is_known():
    best = measure("wait", "/wait?ms=20")
    for name, (rate, us) in best.items():
        assert 0.85 < best["rondo"][0] / rate < 1.15, (name, best)
        assert 0.85 < best["rondo"][1] / us < 1.15, (name, best)


def test_where_the_server_is_busy():
    best = measure("hello", "/hello")
    for name, (rate, _) in best.items():
        assert 1 / 3 < best["rondo"][0] / rate < 3, (name, best)


sys.exit(run_tests(globals(), "" if IS_PLAIN else "a generator that looks for other things is slower than wrk"))
