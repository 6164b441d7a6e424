#!/usr/bin/env python3
"""No callback of a user's is called but through the door (src/loop/door.c).

Whatever wants to see callbacks hangs at the door, and what a callback wrote leaves behind it; one
that is called elsewhere is invisible and its writes stay. In the sources that means:

  * a function is cast to a callback type and called only in a thunk (a function *_thunk);
  * a thunk is called only in door.c;
  * what is declared as a callback (rondo_*_cb NAME) is never called by its name.
"""

import glob
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")

# Those that are called by name, each for a reason: (file, what is called).
BY_NAME = {
    ("src/loop/door.c", "observer->cb"),         # an observer hangs at the door itself
    ("src/loop/inspect.c", "cb"),                # rondo_loop_walk() is a visit, not an event
    ("src/threadpool/work.c", "request->work"),  # on a worker's thread, where no door is
    ("src/threadpool/group.c", "job->work"),
}

FUNCTION = re.compile(r"^[a-z].*?\b(\w+)\(")
CAST_CALL = re.compile(r"\(\((?:const )?rondo_\w+_cb\)|\(\(\w[\w ]*\**\(\*\)\(")
THUNK_CALL = re.compile(r"(?:->|\.)thunk\(")
DECLARED = re.compile(r"\brondo_\w+_cb (\w+)\s*[;,)]")
MEMBER_CALL = re.compile(r"(\b[\w\]\[]+(?:->|\.))(\w+)\(")
BARE_CALL = re.compile(r"(?<![\w>.])(\w+)\(")


def faults(path, text, members):
    """Yields (line number, what is wrong)."""
    parameters = set(DECLARED.findall(text))
    function = ""
    for number, line in enumerate(text.splitlines(), 1):
        begins = FUNCTION.match(line)
        if begins and not line.rstrip().endswith(";"):
            function = begins.group(1)
        if CAST_CALL.search(line) and not function.endswith("_thunk"):
            yield number, f"a callback is called in {function}(), which is no thunk"
        if THUNK_CALL.search(line) and path != "src/loop/door.c":
            yield number, "a thunk is called elsewhere than in door.c"
        calls = [(owner + name) for owner, name in MEMBER_CALL.findall(line) if name in members]
        if not begins:
            calls += [name for name in BARE_CALL.findall(line) if name in parameters]
        for call in calls:
            if (path, call) not in BY_NAME:
                yield number, f"{call}() is called by its name"


def read_sources():
    sources = {}
    for path in sorted(glob.glob("src/**/*.[ch]", recursive=True)):
        with open(path, encoding="utf-8") as file:
            sources[path] = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), file.read(),
                                   flags=re.S)
    return sources


BAD = """
static void deliver(rondo_timer *timer) {
    ((rondo_timer_cb)fn)(timer, arg);
    event->thunk(fn, loop, NULL, NULL, arg);
    timer->cb(timer, timer->arg);
    ((void (*)(rondo_loop *, void *))fn)(loop, arg);
}
int rondo_visit(rondo_loop *loop, rondo_walk_cb visit, void *arg) {
    visit(loop, arg);
}
"""


def main():
    os.chdir(ROOT)
    passed = failed = 0
    sources = read_sources()
    members = {"cb"}
    for text in sources.values():
        members |= set(re.findall(r"^\s+rondo_\w+_cb (\w+);", text, flags=re.M))

    found = [number for number, _ in faults("src/loop/bad.c", BAD, members)]
    if found == [3, 4, 5, 6, 9]:
        passed += 1
        print("ok what_goes_round_the_door_is_found")
    else:
        failed += 1
        print(f"FAIL what_goes_round_the_door_is_found: lines {found}")

    thunks = 0
    wrong = []
    for path, text in sources.items():
        thunks += len(CAST_CALL.findall(text))
        wrong += [f"{path}:{number}: {what}" for number, what in faults(path, text, members)]
    for line in wrong:
        print(line)
    if wrong or thunks < 20:
        failed += 1
        print(f"FAIL nothing_goes_round_the_door ({thunks} thunks)")
    else:
        passed += 1
        print("ok nothing_goes_round_the_door")
    print(f"{passed} passed, {failed} failed")
    return failed > 0


sys.exit(main())
