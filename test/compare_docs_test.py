#!/usr/bin/env python3
"""Every figure in docs/compare.md is that of the run that is committed beside it, and what fills it reads any run."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from running import BUILD, ROOT, run_tests  # noqa: E402

SPEC = importlib.util.spec_from_file_location("compare_docs", os.path.join(ROOT, "tools/compare_docs.py"))
docs = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(docs)


def sample(kind):
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([os.path.join(BUILD, "test", "test_compare_report"), "-1", "write_sample"], check=True,
                       env={**os.environ, "SAMPLE": kind, "OUT": out}, stdout=subprocess.DEVNULL, timeout=120)
        with open(os.path.join(out, "compare.json"), encoding="utf-8") as file:
            return json.load(file)


def test_the_page_is_what_its_run_says():
    done = subprocess.run([os.path.join(ROOT, "tools/compare_docs.py"), "--check"], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_page_changed_by_hand_is_seen():
    run = sample("many")
    page = docs.filled("a\n" + docs.BEGIN + docs.END + "b\n", run)
    assert page.startswith("a\n") and page.endswith(docs.END + "b\n")
    assert docs.filled(page, run) == page
    assert docs.filled(page.replace("4,", "5,"), run) == page
    assert docs.filled(page, None) == "a\n" + docs.BEGIN + "No run is committed yet.\n" + docs.END + "b\n"


def test_tables_have_the_medians():
    run = sample("many")
    text = docs.made_from(run)
    verdict = next(v for v in run["summary"][0]["verdicts"] if v["subject"] == "epoll")
    row = next(line for line in text.split("### ")[1].splitlines() if line.startswith("| epoll |"))
    assert f"| {docs.number(verdict['kept_up_per_s']['median'])} |" in row, row
    assert docs.time(verdict["p99_us"]["median"]) in row and docs.time(verdict["p99_us"]["high"]) in row, row
    assert "**Blocking wins**" in text and "python3-gevent" in text
    for section in text.split("### ")[1:]:
        rows = [line for line in section.splitlines() if line.startswith("|")]
        assert len({line.replace("\\|", "").count("|") for line in rows}) == 1, rows[:3]


def test_hostile_strings_stay_text():
    text = docs.made_from(sample("hostile"))
    assert "<script" not in text and "`id`" not in text


def test_numbers_are_shown_as_the_report_shows_them():
    assert [docs.number(x) for x in (0, 0.0041, 1.234, 12.34, 99.97, 1234567, None)] == [
        "0", "0.0041", "1.23", "12.3", "100", "1,234,567", "-"]
    assert [docs.time(x) for x in (870, 999.7, 2500000)] == ["870 µs", "1.00 ms", "2.50 s"]
    assert [docs.size(x) for x in (870, 1536, 5e9)] == ["870 B", "1.50 KiB", "4.66 GiB"]


sys.exit(run_tests(dict(globals())))
