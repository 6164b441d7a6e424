#!/usr/bin/env python3
"""Every example works: it does what the directives in its first comment say.

    test/examples_test.py [WORD...]    only the examples whose path contains a WORD

The directives: see tools/snippets.py.
"""

import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tools"))
sys.dont_write_bytecode = True
import snippets  # noqa: E402

os.chdir(snippets.ROOT)
sys.exit(snippets.main([snippets.from_example(path) for path in sorted(glob.glob("examples/*.c"))]))
