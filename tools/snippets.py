"""Compiles and runs the code of the documentation and the examples; see docs_test.py.

A piece of C with `int main` must compile without a warning, link with librondo.a, and exit with 0
within a minute. Directives in front of it (in Markdown each an HTML comment, `<!-- prints: hello -->`;
in an example each a line of the first comment, ` * prints: hello`) say what else is to be seen:

  run: COMMAND => TEXT   it is a server: COMMAND is run by sh against it until it prints TEXT (a
                         minute at most); without `=> TEXT` until it succeeds. May be given several times.
                         Every port that COMMAND has after 127.0.0.1 or localhost, and 8080, is
                         replaced by a free one in the code and in the commands.
  prints: TEXT           its output contains TEXT
  args: WORDS            its arguments
  stdin: TEXT            its input, a line
  libs: NAMES            libraries that it needs besides, as pkg-config calls them, or wslay; skipped without
  compile only           it isn't run

A comment at its very end that begins with a line `/* Prints:` holds its whole output.

C without `int main` is compiled as it stands, after `#include <rondo.h>` and three of the standard
headers. These are for Markdown only:

  fragment: PARAMETERS   statements, compiled as the body of a function with such parameters
  not compiled: REASON   not even that

and for a block of sh, which is otherwise left alone:

  run                    it is executed from the top of the tree, with the built rondo in PATH
  with: COMMAND          the same, while COMMAND runs in the background
"""

import concurrent.futures
import difflib
import os
import random
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("BUILD", os.path.join(ROOT, "build"))
CC = shlex.split(os.environ.get("CC", "cc"))
CFLAGS = shlex.split(os.environ.get("CFLAGS", "-std=gnu11 -Wall -Wextra -Wno-unused-parameter -pthread"))
LIBS = shlex.split(os.environ.get("LIBS", "-lev -lpthread"))
LIMIT_S = 60  # for a machine that does other things
POKE_S = 60 if os.environ.get("VARIANT") else 10  # for each try, which can be in vain: a datagram to nobody
NAMES = r"run|libs|prints|args|stdin|compile only|fragment|not compiled|with"
PRELUDE = "#include <rondo.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"


class Failure(Exception):
    pass


class Snippet:
    def __init__(self, name, language, code, directives, line=1):
        self.name = name
        self.language = language
        self.code = code
        self.directives = directives  # [(name, value)]
        self.line = line

    def all(self, directive):
        return [value for name, value in self.directives if name == directive]

    def get(self, directive):
        return next(iter(self.all(directive)), None)


# --- Finding them --------------------------------------------------------------------------------

def from_markdown(path):
    """Every fenced block of C or sh."""
    snippets, directives, block, start, fence = [], [], None, 0, ""
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        lines = file.read().split("\n")
    for number, line in enumerate(lines, 1):
        opening = re.match(r"\s*(```+|~~~+)\s*(\w*)", line)
        comment = re.match(rf"\s*<!--\s*({NAMES})\b:?\s*(.*?)\s*-->\s*$", line)
        if block is not None:
            if line.strip() == fence:
                if language in ("c", "sh"):
                    snippets.append(Snippet(f"{path}:{start}", language, "\n".join(block) + "\n",
                                            directives, start + 1))
                block, directives = None, []
            else:
                block.append(line)
        elif opening:
            block, start, fence, language = [], number, opening[1], opening[2]
        elif comment:
            directives.append((comment[1], comment[2]))
        elif line.strip():
            directives = []
    return snippets


def from_example(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        code = file.read()
    comment = re.match(r"\s*/\*.*?\*/|(\s*//[^\n]*\n)+", code, re.DOTALL)
    pattern = rf"^\s*(?:\*|//|/\*)\s*({NAMES})(?::\s+(.*?)|\s*)\s*(?:\*/)?$"
    directives = re.findall(pattern, comment[0] if comment else "", re.MULTILINE)
    return Snippet(path, "c", code, directives)


# --- Trying them ---------------------------------------------------------------------------------

def free_port():
    """Below those that the kernel gives to whoever asks for any: nobody gets it by chance meanwhile."""
    while True:
        port = random.randrange(10000, 30000)
        with socket.socket() as server:
            try:
                server.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def port_replacer(commands):
    """A function that puts free ports where the commands have fixed ones."""
    ports = {"8080"}
    for command in commands:
        ports.update(re.findall(r"(?:127\.0\.0\.1|localhost|\[::1\])[: ](\d{4,5})\b", command))
    new = {port: str(free_port()) for port in sorted(ports)}
    return lambda text: re.sub(rf"\b(?:{'|'.join(new)})\b", lambda match: new[match[0]], text)


def environment():
    env = dict(os.environ)
    env["PATH"] = BUILD + os.pathsep + env["PATH"]
    return env


def call(command, cwd=ROOT, limit=LIMIT_S, given="", until=None):
    """Runs to the end, or until something is printed; returns (exit status, output).

    The status is None if it was killed because it took too long.
    """
    with subprocess.Popen(command, cwd=cwd, env=environment(), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          start_new_session=True) as process:
        try:
            process.stdin.write(given.encode())
            process.stdin.close()
        except BrokenPipeError:  # it has ended without reading
            pass
        output, status, deadline = b"", None, time.monotonic() + limit
        while until is None or until.encode() not in output:
            if not select.select([process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                break
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                status = process.wait()
                break
            output += chunk
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return status, output.decode("utf-8", "replace")


def pkg_config(*args):
    return shlex.split(subprocess.run(["pkg-config", *args], capture_output=True, text=True, check=True).stdout)


def lacks(snippet):
    """The libraries that it needs and that are not there. Rondo's own are as it was built."""
    return [name for name in (snippet.get("libs") or "").split() if f"-l{name}" not in LIBS
            and subprocess.run(["pkg-config", "--exists", name], check=False).returncode != 0]


def compile_snippet(snippet, code, directory):
    """Returns the program's path, or None for what is only compiled."""
    source = os.path.join(directory, "snippet.c")
    program = os.path.join(directory, "snippet")
    is_program = re.search(r"\bint\s+main\s*\(", code) is not None
    flags = CFLAGS + ["-I" + os.path.join(ROOT, "include"), "-I" + os.path.join(ROOT, "examples"),
                      "-Wno-missing-prototypes"]
    place = f'#line {snippet.line} "{snippet.name.split(":")[0]}"\n'
    if is_program:
        text = place + code
    elif snippet.get("fragment") is not None:
        parameters = snippet.get("fragment") or "void"
        text = f"{PRELUDE}void fragment({parameters});\nvoid fragment({parameters}) {{\n" \
               f"{place}{code}}}\n"
        flags += ["-Wno-unused"]
    else:
        text = PRELUDE + place + code
        flags += ["-Wno-unused"]
    with open(source, "w", encoding="utf-8") as file:
        file.write(text)
    if os.environ.get("VARIANT") not in ("asan", "tsan"):  # see the Makefile
        flags += ["-Werror"]
    if is_program:
        libraries = [os.path.join(BUILD, "librondo.a")] + LIBS
        for name in (snippet.get("libs") or "").split():
            libraries += [] if f"-l{name}" in LIBS else pkg_config("--libs", name)
        status, output = call(CC + flags + [source, "-o", program] + libraries, limit=60)
    else:
        status, output = call(CC + flags + ["-fsyntax-only", source], limit=60)
    if status != 0:
        raise Failure("does not compile\n" + output)
    return program if is_program else None


def check_output(snippet, output, code=""):
    whole = re.search(r"/\* Prints:\n((?:(?!\*/).)*)\*/\s*$", code, re.DOTALL)
    if whole and whole[1] != output:
        difference = difflib.unified_diff(whole[1].splitlines(), output.splitlines(),
                                          "the comment", "the output", lineterm="")
        raise Failure("the output is not what the comment says\n" + "\n".join(difference))
    for text in snippet.all("prints"):
        if text not in output:
            raise Failure(f'does not print "{text}"\n{output}')


def poke(command, wanted, server):
    """Repeats a command until it shows what is wanted; at first the server may not be up yet."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        status, output = call(["sh", "-c", command], limit=POKE_S, until=wanted or None)
        if wanted in output if wanted else status == 0:
            return
        if server.poll() is not None:
            raise Failure(f"the server has ended with status {server.returncode}")
        if time.monotonic() > deadline:
            raise Failure(f'`{command}` does not give "{wanted}" but:\n{output}')
        time.sleep(0.05)


def with_server(command, directory, use):
    """Calls use(server) while the command runs. It must last, and die of SIGTERM or end well."""
    with open(os.path.join(directory, "output"), "w+b") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL,
                                  stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            use(server)
            if server.poll() is not None:
                raise Failure(f"the server has ended with status {server.returncode}")
            server.terminate()
            if server.wait(timeout=LIMIT_S) not in (0, -signal.SIGTERM):
                raise Failure(f"the server ended with status {server.returncode}")
            log.seek(0)
            return log.read().decode("utf-8", "replace")
        except (Failure, subprocess.TimeoutExpired) as failure:
            log.seek(0)
            raise Failure(f"{failure}\noutput of the server:\n"
                          + log.read().decode("utf-8", "replace")) from failure
        finally:
            try:
                os.killpg(server.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            server.wait()


def try_c(snippet, directory):
    commands = snippet.all("run")
    replace = port_replacer(commands)
    code = replace(snippet.code)
    program = compile_snippet(snippet, code, directory)
    if program is None or snippet.get("compile only") is not None:
        return
    command = [program] + [replace(word) for word in shlex.split(snippet.get("args") or "")]
    if commands:
        def use(server):
            for line in commands:
                poked, _, wanted = replace(line).partition(" => ")
                poke(poked, wanted.strip(), server)
        output = with_server(command, directory, use)
    else:
        given = snippet.get("stdin")
        status, output = call(command, given=given + "\n" if given else "")
        if status != 0:
            why = f"exit status {status}" if status is not None else f"still runs after {LIMIT_S} s"
            raise Failure(f"{why}\n{output}")
    check_output(snippet, output, code)


def try_sh(snippet, directory):
    background = snippet.get("with")
    replace = port_replacer([snippet.code])
    code = "set -e\n" + replace(snippet.code)
    if background is None:
        status, output = call(["sh", "-c", code], limit=6 * LIMIT_S)
        if status != 0:
            raise Failure(f"exit status {status}\n{output}")
        check_output(snippet, output)
    else:
        # As there is nothing to see when a server is up, it is tried until it works.
        wanted = snippet.get("prints") or ""
        with_server(["sh", "-c", "exec " + replace(background)], directory,
                    lambda server: poke(code, wanted, server))


def attempt(snippet):
    """Returns None, or why it failed."""
    try:
        with tempfile.TemporaryDirectory() as directory:
            if snippet.language == "c":
                try_c(snippet, directory)
            else:
                try_sh(snippet, directory)
        return None
    except Failure as failure:
        return str(failure)


def main(snippets, checks=()):
    """Tries all of them, prints how it went, and returns the exit status.

    checks: further (name, function)s, which return None or why they failed.
    """
    tried = [s for s in snippets if s.get("not compiled") is None
             and (s.language == "c" or s.get("run") is not None or s.get("with") is not None)]
    words = sys.argv[1:]
    for snippet in tried:
        if lacks(snippet):
            print(f"    ok {snippet.name} # skipped: there is no {' '.join(lacks(snippet))}")
    tried = [s for s in tried if not lacks(s)]
    tried = [s for s in tried if not words or any(word in s.name for word in words)]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for snippet, failure in zip(tried, pool.map(attempt, tried)):
            print(f"FAIL {snippet.name}: {failure}" if failure else f"ok {snippet.name}")
            failed += failure is not None
    for name, check in checks:
        failure = check()
        print(f"FAIL {name}: {failure}" if failure else f"ok {name}")
        failed += failure is not None
    count = len(tried) + len(checks)
    print(f"{count - failed} passed, {failed} failed")
    return 1 if failed else 0
