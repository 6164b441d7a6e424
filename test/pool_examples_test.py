#!/usr/bin/env python3
"""The examples of the pool do what they promise, where a line of output can't show it.

    test/pool_examples_test.py [WORD...]    only the tests with a WORD in their name
"""

import hashlib
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from running import BUILD, LIMIT_S, run_tests  # noqa: E402


# --- checksum ------------------------------------------------------------------------------------

def checksum(*paths):
    return subprocess.run([os.path.join(BUILD, "examples/checksum"), *paths], capture_output=True,
                          timeout=LIMIT_S)


def make_tree(root, sizes):
    """Files of these sizes, some in directories below; returns {path: contents}."""
    files = {}
    for number, size in enumerate(sizes):
        directory = os.path.join(root, *(["a", "b"][:number % 3]))
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, f"file {number}")
        files[path] = os.urandom(size)
        with open(path, "wb") as file:
            file.write(files[path])
    return files


def test_checksum_prints_what_sha256sum_does():
    with tempfile.TemporaryDirectory() as root:
        # Around a block and around a piece; and more files than may be under way.
        files = make_tree(root, [0, 1, 55, 56, 63, 64, 65, 119, 262143, 262144, 262145, 700000] * 3)
        done = checksum(root)
        want = "".join(f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n"
                       for path in sorted(files, key=os.fsencode))
        assert done.stdout.decode() == want, done.stdout.decode()
        assert (done.returncode, done.stderr) == (0, b""), done.stderr


def test_checksum_goes_on_after_what_it_cannot_read():
    with tempfile.TemporaryDirectory() as root:
        files = make_tree(root, [10])
        done = checksum(os.path.join(root, "none"), "/proc/self/mem", root)
        assert done.returncode == 1
        assert b"none" in done.stderr and b"/proc/self/mem" in done.stderr, done.stderr
        path = next(iter(files))
        assert done.stdout.decode() == f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n", done.stdout


def test_checksum_of_nothing_is_nothing():
    with tempfile.TemporaryDirectory() as root:
        done = checksum(root)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), done


sys.exit(run_tests(globals()))
