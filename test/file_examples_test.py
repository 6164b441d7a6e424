#!/usr/bin/env python3
"""The examples of files do what they promise, where a line of output can't show it.

    test/file_examples_test.py [WORD...]    only the tests with a WORD in their name
"""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("BUILD", os.path.join(ROOT, "build"))
LIMIT_S = 60


# --- tail ----------------------------------------------------------------------------------------

class Tail:
    """The example while a with statement lasts. Whoever waits for lines has LIMIT_S for each."""

    def __init__(self, *paths):
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "examples", "tail"), *paths], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.guard = threading.Timer(LIMIT_S, self.process.kill)

    def __enter__(self):
        self.guard.start()
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.process.send_signal(signal.SIGINT)
        else:
            self.process.kill()
        _, err = self.process.communicate()
        self.guard.cancel()
        assert kind or self.process.returncode == 0, (self.process.returncode, err)

    def says(self, *lines):
        for line in lines:
            got = self.process.stdout.readline()
            assert got == line + "\n", (got, line)

    def warns(self, text):
        got = self.process.stderr.readline()
        assert text in got, (got, text)

    def begins(self, path):
        """Waits until it watches: the file is written until a line comes through."""
        ready = threading.Event()

        def knock():
            while not ready.wait(0.02):
                append(path, "?\n")
        thread = threading.Thread(target=knock)
        thread.start()
        try:
            self.says("?")
        finally:
            ready.set()
            thread.join()
        append(path, "!\n")
        while (line := self.process.stdout.readline()) == "?\n":
            pass
        assert line == "!\n", line


def append(path, text):
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


def tail_prints_what_is_appended_and_not_what_was_there():
    append("log", "old\n")
    with Tail("log") as tail:
        tail.begins("log")
        append("log", "one\ntwo\n")
        tail.says("one", "two")
        big = [f"line {i:06}" for i in range(50000)]
        append("log", "\n".join(big) + "\n")
        tail.says(*big)


def tail_goes_on_when_the_file_is_truncated_replaced_and_removed():
    append("log", "old\n")
    with Tail("log") as tail:
        tail.begins("log")
        with open("log", "w", encoding="utf-8"):
            pass
        tail.warns("truncated")
        append("log", "after truncation\n")
        tail.says("after truncation")
        append("log", "the last line of the old file\n")
        os.rename("log", "log.1")
        append("log", "the first of the new one\n")
        tail.says("the last line of the old file", "the first of the new one")
        tail.warns("a new file")
        append("other", "put in its place\n")
        os.rename("other", "log")
        tail.says("put in its place")
        tail.warns("a new file")
        os.remove("log")
        append("log", "back again\n")
        tail.says("back again")


def tail_waits_for_a_file_that_is_not_there():
    with Tail("log") as tail:
        tail.begins("log")
        append("log", "more\n")
        tail.says("more")


def tail_ends_when_there_is_nothing_to_watch():
    for args, status in (([], 2), (["no/such/directory"], 0)):
        done = subprocess.run([os.path.join(BUILD, "examples", "tail"), *args],
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S,
                              check=False)
        assert done.returncode == status and done.stderr, (args, done)


def tail_names_the_file_when_there_are_several():
    append("a", "")
    append("b", "")
    with Tail("a", "b") as tail:
        seen = threading.Event()

        def knock():
            while not seen.wait(0.02):
                append("a", "x\n")
        thread = threading.Thread(target=knock)
        thread.start()
        tail.says("==> a <==")
        seen.set()
        thread.join()

        def knock_b():
            append("b", "y\n")
        again = threading.Event()

        def repeat():
            while not again.wait(0.02):
                knock_b()
        thread = threading.Thread(target=repeat)
        thread.start()
        while (line := tail.process.stdout.readline()) == "x\n":
            pass
        again.set()
        thread.join()
        assert line == "==> b <==\n", line


def tail_says_what_it_cannot_watch():
    process = subprocess.run([os.path.join(BUILD, "examples", "tail"), "no/where"],
                             capture_output=True, text=True, timeout=LIMIT_S)
    assert "tail: no/where: no such file" in process.stderr, process.stderr


# --- running them --------------------------------------------------------------------------------

def main(words):
    tests = [(name, run) for name, run in globals().items()
             if name.split("_")[0] in ("tail",) and callable(run)]
    passed = failed = 0
    for name, run in tests:
        if words and not any(word in name for word in words):
            continue
        with tempfile.TemporaryDirectory() as directory:
            os.chdir(directory)
            try:
                run()
                passed += 1
                print("ok", name)
            except Exception:
                failed += 1
                print("FAIL", name)
                traceback.print_exc()
            os.chdir(ROOT)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
