#!/usr/bin/env python3
"""Writes docs/errors.md from src/base/error_table.h. --check: fails when it is not up to date."""
import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "src/base/error_table.h"
PAGE = ROOT / "docs/errors.md"

INTRO = """\
# Errors

Made by `tools/errors_doc.py` from `src/base/error_table.h`; do not edit.

Every fallible function of the library returns a category, and the error object adds a code. Both are stable; later
versions may add codes. The command exits with the number given here and prints the sentence, or a more exact one, and
the remedy. "Retry" says whether the same call may succeed later without any change. Exit code 0 means done.
"""

STRING = r'"(?:[^"\\]|\\.)*"'
ROW = re.compile(
    rf'EST_ERROR\(\s*(\w+)\s*,\s*({STRING})\s*,\s*(\w+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,'
    rf'\s*((?:{STRING}\s*)+),\s*((?:{STRING}\s*)+)\)')


def text(literal):
    """The value of adjacent C string literals, safe inside a Markdown table."""
    value = "".join(part[1:-1] for part in re.findall(STRING, literal))
    value = value.replace('\\"', '"').replace("\\\\", "\\")
    return value.replace("|", "\\|").replace("<", "&lt;")


def rows():
    source = re.sub(r"/\*.*?\*/", " ", TABLE.read_text(encoding="utf-8"), flags=re.DOTALL)
    source = re.sub(r"^\s*#.*$", "", source, flags=re.MULTILINE)
    found = [(text(m[2]), m[3].lower(), int(m[4]), m[5] != "0", text(m[6]), text(m[7])) for m in ROW.finditer(source)]
    if len(found) != len(re.findall(r"\bEST_ERROR\(", source)):
        sys.exit(f"{TABLE.relative_to(ROOT)}: a row was not understood")
    return found


def page():
    by_category = {}
    for row in rows():
        by_category.setdefault(row[1], []).append(row)
    out = [INTRO]
    for category, members in by_category.items():
        out.append(f"## {category}\n")
        out.append("| code | exit | retry | sentence | remedy |\n|---|---|---|---|---|")
        out += [f"| `{code}` | {exit_code} | {'yes' if retry else 'no'} | {sentence} | {remedy} |"
                for code, _, exit_code, retry, sentence, remedy in members]
        out.append("")
    return "\n".join(out).rstrip() + "\n"


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--check", action="store_true")
    wanted = page()
    if not arguments.parse_args().check:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(wanted, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != wanted:
        sys.exit(f"{PAGE.relative_to(ROOT)}: not up to date; run tools/errors_doc.py")


if __name__ == "__main__":
    main()
