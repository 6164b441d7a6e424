#!/usr/bin/env python3
"""The examples of trees do what they promise, where a line of output can't show it.

    test/tree_examples_test.py [WORD...]    only the tests with a WORD in their name
"""

import os
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from running import BUILD, LIMIT_S, run_tests  # noqa: E402


def example(name, *args):
    return [os.path.join(BUILD, "examples", name), *map(str, args)]


def run(name, *args):
    """The status of an example that ends by itself, and what it wrote to standard error."""
    done = subprocess.run(example(name, *args), stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=LIMIT_S)
    return done.returncode, done.stderr


def place():
    """A directory for a with statement."""
    return tempfile.TemporaryDirectory(prefix="rondo-examples-")


def write(path, data=b""):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def read(path):
    with open(path, "rb") as file:
        return file.read()


# --- cp ------------------------------------------------------------------------------------------

def test_cp_copies_a_file_and_a_tree():
    with place() as top:
        write(f"{top}/a/b/file", b"text")
        os.symlink("b", f"{top}/a/link")
        status, err = run("cp", f"{top}/a", f"{top}/copy")
        assert status == 0 and "1 files, 2 directories, 1 links" in err, err
        assert read(f"{top}/copy/b/file") == b"text"
        assert os.readlink(f"{top}/copy/link") == "b"
        assert run("cp", f"{top}/a/b/file", f"{top}/one")[0] == 0
        assert read(f"{top}/one") == b"text"


def test_cp_says_what_is_wrong_and_where():
    with place() as top:
        write(f"{top}/a/file")
        write(f"{top}/b/file/not", b"")
        status, err = run("cp", f"{top}/none", f"{top}/b")
        assert status == 1 and "no such file" in err, err
        status, err = run("cp", f"{top}/a", f"{top}/b")
        assert status == 1 and "cp: file: it exists already" in err, err
        assert run("cp", f"{top}/a")[0] == 2


def test_cp_is_ended_by_ctrl_c_and_leaves_no_half_of_a_file():
    with place() as top:
        for i in range(40):
            write(f"{top}/a/{i}", b"x" * 5000000)
        process = subprocess.Popen(example("cp", f"{top}/a", f"{top}/b"), stderr=subprocess.PIPE,
                                   text=True)
        while process.poll() is None and not os.path.exists(f"{top}/b"):
            pass
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=LIMIT_S)
        done = len(os.listdir(f"{top}/b"))
        assert process.returncode == 1 and "canceled" in err or done == 40, (process.returncode, err)
        assert f"{done} files" in err, (done, err)
        assert all(os.path.getsize(f"{top}/b/{name}") == 5000000 for name in os.listdir(f"{top}/b"))


sys.exit(run_tests(globals()))
