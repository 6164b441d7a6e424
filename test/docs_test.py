#!/usr/bin/env python3
"""Every block of C in README.md and docs/ compiles, and every program among them works.

    test/docs_test.py [WORD...]    only the blocks whose FILE:LINE contains a WORD

How a block says what it should do: see tools/snippets.py. Also, a table that says which limits it has,
`<!-- limits: TABLE HEADER -->`, has each of that table in the header, with its default, and no other.
"""

import glob
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tools"))
sys.dont_write_bytecode = True
import snippets  # noqa: E402

os.chdir(snippets.ROOT)
pages = glob.glob("README.md") + sorted(glob.glob("docs/**/*.md", recursive=True))


def limits_of(header, table):
    """{name: default} of an X-macro."""
    with open(header, encoding="utf-8") as file:
        body = re.search(rf"#define {table}\(X\)(.*?[^\\])\n", file.read(), re.DOTALL)[1]
    return dict(re.findall(r"\bX\(\s*(\w+),\s*\w+,\s*(\w+),", body.replace("\\\n", " ")))


def check_limits(page, table, header):
    with open(page, encoding="utf-8") as file:
        text = file.read().split(f"<!-- limits: {table} {header} -->")[1]
    shown = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", text.split("\n\n")[1], re.MULTILINE))
    wanted = limits_of(header, table)
    assert wanted
    if shown != wanted:
        different = sorted(set(shown.items()) ^ set(wanted.items()))
        return f"{page} and {table} of {header} differ in {different}"
    return None


checks = []
for page in pages:
    with open(page, encoding="utf-8") as file:
        for table, header in re.findall(r"<!-- limits: (\w+) (\S+) -->", file.read()):
            checks.append((f"{page}: {table}",
                           lambda page=page, table=table, header=header: check_limits(page, table, header)))
sys.exit(snippets.main([s for page in pages for s in snippets.from_markdown(page)], checks))
