#!/usr/bin/env python3
"""Writes docs/conformance.md: from requirement to code to test, found by the citations in comments.

docs/conformance.in has one line per requirement: ID | now or planned | RFC sections (may be empty) | sentence.
A file counts for a requirement when one of its comments names the ID (`T3`) or one of those sections
(`RFC 7030 3.6.1`). Only comments count, in Python docstrings too.

docs/conformance-vectors.in has one line per vector of others that we answer in another way; tests hold the same list.

docs/conformance-rfc.in has one line per MUST and SHOULD of the RFCs (its head says how it reads). There the IDs look
like 7030-4.2.1-2; the files that name one win over those that name its section.

--check: fails when the page is not up to date, or a requirement of this milestone, a MUST or a SHOULD lacks code or
tests without a reason.
"""
import argparse
import io
import pathlib
import re
import sys
import tokenize

ROOT = pathlib.Path(__file__).resolve().parent.parent
INPUT = ROOT / "docs/conformance.in"
RFC_INPUT = ROOT / "docs/conformance-rfc.in"
VECTORS_INPUT = ROOT / "docs/conformance-vectors.in"
PAGE = ROOT / "docs/conformance.md"
CODE = ("include", "src", "cmd")
TESTS = ("tests",)
# They try the lab and other clients: what they cite says nothing about Estuary.
NOT_OURS = re.compile(r"tests/(interop/|integration/(test_lab|lab_client))")
SECTION_TABLE = ("7030", "8951", "9908")
NONE = "**none**"

NUMBER = r"[1-9]\d?(?:\.\d+)*(?![\d.]*\d)"
CITED_LIST = re.compile(rf"\bRFC (\d{{4}}),? (?:sections? )?({NUMBER}(?:(?:,| and|, and) {NUMBER})*)")
ID = re.compile(r"\b([TEKROC]\d{1,2})\b")
RFC_ID = re.compile(r"\b(\d{4}-\d+(?:\.\d+)*-\d+)\b")
WHY_NOT = "why not:"

INTRO = """\
# Conformance

Made by `tools/conformance.py` from `docs/conformance.in` and the citations in comments; do not edit.

A file is listed for a requirement when a comment in it names the requirement's number or one of the RFC sections beside
it. The list says where to look; whether the test passes, `./run check` says.
"""

RFC_INTRO = """\
Every MUST and SHOULD of RFC 7030, RFC 8951 and RFC 9908 that concerns a client, in our words; RECOMMENDED counts as
SHOULD. The number holds RFC and section. What binds servers alone is left out, what the client checks of it is here.
"""

DEVIATIONS = """\
Of 249 PKITS cases, 66 CRLs and 36 OCSP responses, those that we answer in another way than their makers say. The tests
`tests/conformance/test_pkits.c`, `test_crl_vectors.c` and `test_ocsp_vectors.c` hold the same list, and fail when
another case deviates, or when one of these does not any more.
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
        ids.update(RFC_ID.findall(words))
        for rfc, numbers in CITED_LIST.findall(words):
            sections.update((rfc, number) for number in re.findall(NUMBER, numbers))
    return ids, sections


def scan(folders):
    """{ID or (RFC, section): sorted files}"""
    found = {}
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*")):
            name = path.relative_to(ROOT).as_posix()
            if path.suffix in (".c", ".h", ".py") and path.is_file() and not NOT_OURS.match(name):
                ids, sections = cited(path)
                for key in ids | sections:
                    found.setdefault(key, []).append(name)
    return found


def sections_in(text):
    return [(rfc, section) for rfc, numbers in CITED_LIST.findall(text) for section in re.findall(NUMBER, numbers)]


def lines_of(path, allowed):
    """The four fields of each line; the second is one of those allowed."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split("|")]
        if len(fields) != 4 or fields[1] not in allowed or not fields[3]:
            sys.exit(f"{path.relative_to(ROOT)}:{number}: four fields, the second {' or '.join(allowed)}")
        yield fields


def requirements():
    for name, when, sections, sentence in lines_of(INPUT, ("now", "planned")):
        yield name, when, sections_in(sections), sentence


def deviations():
    """Lines of the section on vectors."""
    out = ["", "## PKITS and CRL vectors: deviations\n", DEVIATIONS,
           "| suite | case | expected | ours | why |\n|---|---|---|---|---|"]
    for line in VECTORS_INPUT.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            out.append(f"| {line} |")
    return out


def rfc_table(code, tests):
    """The rows of the page's second table, and the IDs that lack something."""
    out, lacking, seen = [], [], set()
    for name, level, found_by, sentence in lines_of(RFC_INPUT, ("MUST", "SHOULD")):
        if not RFC_ID.fullmatch(name) or name in seen:
            lacking.append(f"{name}: not an ID, or twice")
        seen.add(name)
        if found_by.startswith(WHY_NOT):
            out.append(f"| {name} | {level} | {sentence} | not done: {found_by[len(WHY_NOT):].strip()} | |")
            continue
        rfc, section, _ = name.split("-")
        keys = sections_in(found_by) + ID.findall(found_by) or [(rfc, section)]
        cells = []
        for where, found in (("code", code), ("tests", tests)):
            paths = found.get(name) or files_for(found, name, keys)
            if not paths:
                lacking.append(f"{name}: no citation in {where} ({found_by or 'its section'})")
            cells.append(cell(sorted(paths)))
        out.append(f"| {name} | {level} | {sentence} | {cells[0]} | {cells[1]} |")
    cited_ids = {key for key in [*code, *tests] if isinstance(key, str) and RFC_ID.fullmatch(key)}
    lacking += [f"{name}: cited, but not in {RFC_INPUT.relative_to(ROOT)}" for name in sorted(cited_ids - seen)]
    return out, lacking


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
    out += deviations()
    rows, missing = rfc_table(code, tests)
    lacking += missing
    out += ["", "## MUST and SHOULD\n", RFC_INTRO,
            "| no. | level | what | code | tests |\n|---|---|---|---|---|", *rows]
    out += ["", "## Sections of RFC 7030, RFC 8951 and RFC 9908\n",
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
