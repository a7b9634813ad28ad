#!/usr/bin/env python3
"""Writes docs/conformance.md: from requirement to code to test, found by the citations in comments.

docs/conformance.in has one line per requirement: ID | now or planned | RFC sections (may be empty) | sentence.
A file counts for a requirement when one of its comments names the ID (`T3`) or one of those sections
(`RFC 7030 3.6.1`). Only comments count, in Python docstrings too.

--check: fails when the page is not up to date, or a requirement of this milestone lacks code or tests.
"""
import argparse
import io
import pathlib
import re
import sys
import tokenize

ROOT = pathlib.Path(__file__).resolve().parent.parent
INPUT = ROOT / "docs/conformance.in"
PAGE = ROOT / "docs/conformance.md"
CODE = ("include", "src", "cmd")
TESTS = ("tests",)
SECTION_TABLE = ("7030", "8951")
NONE = "**none**"

NUMBER = r"[1-9]\d*(?:\.\d+)+"
CITED_LIST = re.compile(rf"\bRFC (\d{{4}}),? (?:sections? )?({NUMBER}(?:(?:,| and|, and) {NUMBER})*)")
ID = re.compile(r"\b([TEKROC]\d{1,2})\b")

INTRO = """\
# Conformance

Made by `tools/conformance.py` from `docs/conformance.in` and the citations in comments; do not edit.

A file is listed for a requirement when a comment in it names the requirement's number or one of the RFC sections beside
it. The list says where to look; whether the test passes, `./run check` says.
"""


def c_comments(source):
    """Comments of C; strings and character constants are skipped."""
    token = r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|/\*.*?\*/|//[^\n]*'
    for match in re.finditer(token, source, re.DOTALL):
        if match.group().startswith("/"):
            yield re.sub(r"^\s*\*", "", match.group().strip("/*"), flags=re.MULTILINE)


def python_comments(source):
    """Comments, and strings that stand alone: docstrings."""
    previous = tokenize.NEWLINE
    skipped = (tokenize.NL, tokenize.COMMENT)
    starts = (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and previous in starts):
            yield token.string
        if token.type not in skipped:
            previous = token.type


def cited(path):
    """The IDs and the (RFC, section) pairs that a file's comments name."""
    source = path.read_text(encoding="utf-8")
    comments = python_comments(source) if path.suffix == ".py" else c_comments(source)
    ids, sections = set(), set()
    for comment in comments:
        words = " ".join(comment.replace("#", " ").split())
        ids.update(ID.findall(words))
        for rfc, numbers in CITED_LIST.findall(words):
            sections.update((rfc, number) for number in re.findall(NUMBER, numbers))
    return ids, sections


def scan(folders):
    """{ID or (RFC, section): sorted files}"""
    found = {}
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".c", ".h", ".py") and path.is_file():
                ids, sections = cited(path)
                for key in ids | sections:
                    found.setdefault(key, []).append(path.relative_to(ROOT).as_posix())
    return found


def requirements():
    for number, line in enumerate(INPUT.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split("|")]
        if len(fields) != 4 or fields[1] not in ("now", "planned") or not fields[3]:
            sys.exit(f"{INPUT.relative_to(ROOT)}:{number}: ID | now or planned | RFC sections | sentence")
        sections = [(rfc, section) for rfc, numbers in CITED_LIST.findall(fields[2])
                    for section in re.findall(NUMBER, numbers)]
        yield fields[0], fields[1], sections, fields[3]


def files_for(found, name, sections):
    return sorted({path for key in [name, *sections] for path in found.get(key, [])})


def cell(paths):
    return "<br>".join(f"`{path}`" for path in paths) or NONE


def section_order(key):
    return key[0], [int(part) for part in key[1].split(".")]


def page():
    """The page, and the requirements that lack code or tests."""
    code, tests = scan(CODE), scan(TESTS)
    out, planned, lacking = [INTRO, "## Requirements\n", "| no. | what | code | tests |\n|---|---|---|---|"], [], []
    for name, when, sections, sentence in requirements():
        if when == "planned":
            planned.append(f"| {name} | {sentence} |")
            continue
        in_code, in_tests = files_for(code, name, sections), files_for(tests, name, sections)
        lacking += [f"{name}: no citation in {where}"
                    for where, paths in (("code", in_code), ("tests", in_tests)) if not paths]
        out.append(f"| {name} | {sentence} | {cell(in_code)} | {cell(in_tests)} |")
    out += ["", "## Planned\n", "Not in this version.\n", "| no. | what |\n|---|---|", *planned]
    out += ["", "## Sections of RFC 7030 and RFC 8951\n",
            "A dash: no test cites the section by number.\n", "| section | code | tests |\n|---|---|---|"]
    keys = {key for key in [*code, *tests] if isinstance(key, tuple) and key[0] in SECTION_TABLE}
    out += [f"| RFC {key[0]} {key[1]} | {cell(sorted(code.get(key, []))).replace(NONE, '-')} "
            f"| {cell(tests.get(key, [])).replace(NONE, '-')} |" for key in sorted(keys, key=section_order)]
    return "\n".join(out) + "\n", lacking


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--check", action="store_true")
    check = arguments.parse_args().check
    wanted, lacking = page()
    if not check:
        PAGE.write_text(wanted, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != wanted:
        lacking.append(f"{PAGE.relative_to(ROOT)}: not up to date; run tools/conformance.py")
    print("\n".join(lacking), end="\n" if lacking else "")
    sys.exit(1 if check and lacking else 0)


if __name__ == "__main__":
    main()
