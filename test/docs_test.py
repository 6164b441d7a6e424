#!/usr/bin/env python3
"""Every block of C in README.md and docs/ compiles, and every program among them works.

    test/docs_test.py [WORD...]    only the blocks whose FILE:LINE contains a WORD

How a block says what it should do: see tools/snippets.py.
"""

import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tools"))
sys.dont_write_bytecode = True
import snippets  # noqa: E402

os.chdir(snippets.ROOT)
pages = glob.glob("README.md") + sorted(glob.glob("docs/**/*.md", recursive=True))
sys.exit(snippets.main([s for page in pages for s in snippets.from_markdown(page)]))
