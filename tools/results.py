"""Adds up what ./run check left in a folder: Meson's JSON test logs and lint's TAP.

Shows each failure with the end of its log and closes with one line:
    N passed, N failed[, N skipped]
Exit code 1 when anything failed, when nothing ran, or, with ESTUARY_STRICT=1, when anything was skipped.
"""

import json
import os
import pathlib
import re
import sys

LINE = re.compile(r"(not )?ok\b(?:\s+\d+)?[ \t]*(?:- )?([^#]*)(?:#\s*(SKIP)\b(.*))?", re.IGNORECASE)
PLAN = re.compile(r"1\.\.(\d+)")
TAIL = 60


class Count:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


def count_tap(text):
    """(Count, number of planned tests that never reported)"""
    count, planned, seen = Count(), 0, 0
    for line in text.splitlines():
        plan = PLAN.match(line)
        if plan:
            planned += int(plan.group(1))
            continue
        found = LINE.match(line)
        if not found:
            continue
        seen += 1
        # cmocka prints a skipped test as "not ok N # SKIP name"
        if (found.group(3) or "").upper() == "SKIP":
            count.skipped += 1
        elif found.group(1):
            count.failed += 1
        else:
            count.passed += 1
    return count, max(0, planned - seen)


def judge(test):
    """The Count of one test program, which never says less than its own result does."""
    count, absent = count_tap(test.get("stdout") or "")
    if count.passed + count.failed + count.skipped == 0 and absent == 0:
        # no TAP: the program is one test
        if test["result"] in ("OK", "EXPECTEDFAIL"):
            count.passed = 1
        elif test["result"] == "SKIP":
            count.skipped = 1
    count.failed += absent
    if test["result"] not in ("OK", "SKIP", "EXPECTEDFAIL") and count.failed == 0:
        count.failed = 1
    return count


def show(run, test):
    print(f"\n--- failed: {test['name']} ({run}, {test['result']}, exit {test.get('returncode')})")
    for stream in ("stdout", "stderr"):
        lines = [line for line in (test.get(stream) or "").splitlines() if not re.match(r"ok\b|# /", line)]
        if lines:
            print(f"[{stream}]")
            print("\n".join(lines[-TAIL:]))


def read_run(path):
    if path.suffix == ".tap":
        text = path.read_text(errors="replace")
        result = "OK" if PLAN.search(text) else "ERROR"
        return [{"name": path.stem, "result": result, "stdout": text, "returncode": None}]
    tests = []
    for line in path.read_text(errors="replace").splitlines():
        tests.append(json.loads(line))
    return tests


def main():
    folder = pathlib.Path(sys.argv[1])
    total = Count()
    for path in sorted([*folder.glob("*.json"), *folder.glob("*.tap")]):
        here = Count()
        for test in read_run(path):
            count = judge(test)
            if count.failed:
                show(path.stem, test)
            here.add(count)
        print(f"{path.stem}: {here.passed} passed, {here.failed} failed, {here.skipped} skipped")
        if here.passed + here.failed == 0:
            print(f"{path.stem}: nothing ran, which counts as a failure")
            here.failed = 1
        total.add(here)
    strict = os.environ.get("ESTUARY_STRICT") == "1"
    line = f"{total.passed} passed, {total.failed} failed"
    print(line + (f", {total.skipped} skipped" if total.skipped else ""))
    sys.exit(1 if total.failed or not total.passed or (strict and total.skipped) else 0)


if __name__ == "__main__":
    main()
