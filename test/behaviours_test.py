#!/usr/bin/env python3
"""Every behaviour of test/behaviours.txt has tests, and they exist."""

import glob
import os
import re
import sys

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
TEST = re.compile(r"^TEST(?:_ABORTS|_BOTH)?\((\w+)", re.M)
LATER = re.compile(r"later [a-z ]+$")


def complaints(lines, tests):
    """Yields what is wrong with which line."""
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        what, colon, proof = line.partition(" : ")
        if not colon or not proof.strip():
            yield number, f"no test for: {line}"
        elif not LATER.match(proof):
            for name in proof.split():
                if name not in tests:
                    yield number, f"no TEST({name}) for: {what}"


def main():
    tests = set()
    for path in glob.glob("test/test_*.c"):
        with open(path, encoding="utf-8") as file:
            tests |= set(TEST.findall(file.read()))
    with open("test/behaviours.txt", encoding="utf-8") as file:
        lines = file.read().splitlines()

    bad = ["one : some_test", "two", "three : ", "four : later processes", "five : none such"]
    found = [number for number, _ in complaints(bad, {"some_test"})]
    checks = {"what_is_missing_is_found": found == [2, 3, 5, 5]}

    wrong = [f"test/behaviours.txt:{number}: {what}" for number, what in complaints(lines, tests)]
    for line in wrong:
        print(line)
    checks["each_behaviour_has_its_tests"] = not wrong and len(lines) > 60
    for name, ok in checks.items():
        print(f"{'ok' if ok else 'FAIL'} {name}")
    failed = list(checks.values()).count(False)
    print(f"{len(checks) - failed} passed, {failed} failed")
    return failed > 0


sys.exit(main())
