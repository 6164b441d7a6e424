#!/usr/bin/env python3
"""check-symbols.py SHARED STATIC: the libraries define what the headers declare and nothing else.

The shared library exports exactly the functions that are marked RONDO_API. The static one also has
the internals, rondo__x, for the tests, but no name that could collide with a program's own.
"""

import os
import re
import subprocess
import sys


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def defined(library, *options):
    lines = output("nm", "--defined-only", "--extern-only", "--format=posix", *options, library)
    return {line.split()[0] for line in lines.splitlines() if re.match(r"\S+ [A-Za-z] ", line)}


def declared():
    """The names behind RONDO_API, after the preprocessor."""
    text = output(os.environ.get("CC", "cc"), "-E", "-P", "-Iinclude", "include/rondo.h")
    mark = r'__attribute__\(\(visibility\("default"\)\)\)'
    return set(re.findall(mark + r"[^;{]*?\b(rondo_\w+)\s*\(", text))


def main():
    shared, static = defined(sys.argv[1], "--dynamic"), defined(sys.argv[2])
    checks = {
        "exported though not declared": shared - declared(),
        "declared but not exported": declared() - shared,
        "exported though internal": {name for name in shared if name.startswith("rondo__")},
        "in the static library under a foreign name":
            {name for name in static if not name.startswith("rondo_")},
        "missing from the static library": declared() - static,
    }
    failed = 0
    for what, names in checks.items():
        if names:
            failed += 1
            print(f"FAIL {what}: {' '.join(sorted(names))}")
    print(f"{len(shared)} functions exported")
    print(f"{len(checks) - failed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
