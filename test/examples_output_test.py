#!/usr/bin/env python3
"""The examples that end with a comment `/* Prints: ... */` print exactly that, on every run.

That they compile and work as their directives say is what examples_test.py is for.
"""

import glob
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("BUILD", os.path.join(ROOT, "build"))


def main():
    passed = failed = 0
    for path in sorted(glob.glob(os.path.join(ROOT, "examples/*.c"))):
        with open(path, encoding="utf-8") as file:
            wanted = re.search(r"^/\* Prints:\n(.*?)^\*/$", file.read(), re.DOTALL | re.MULTILINE)
        if not wanted:
            continue
        name = os.path.basename(path)[:-2]
        for _ in range(3):
            run = subprocess.run([os.path.join(BUILD, "examples", name)], stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, timeout=60)
            output = run.stdout.decode("utf-8", "replace")
            if run.returncode != 0 or output != wanted[1]:
                print(f"FAIL {name}: exit status {run.returncode}; it printed\n{output}")
                failed += 1
                break
        else:
            print(f"ok {name}")
            passed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


sys.exit(main())
