"""Lines run by the tests, room by room, from gcov's JSON. usage: coverage.py BUILD_FOLDER"""

import collections
import gzip
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def counted_lines(build):
    """{file: {line: times run}} of our own product code, over all objects that were run."""
    files = collections.defaultdict(collections.Counter)
    notes = sorted(build.rglob("*.gcno"))
    for note in notes:
        done = subprocess.run(["gcov", "--json-format", "--stdout", str(note)], cwd=build, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for text in documents(done.stdout):
            for entry in text["files"]:
                path = (build / text.get("current_working_directory", ".") / entry["file"]).resolve()
                if ROOT not in path.parents:
                    continue
                name = path.relative_to(ROOT)
                if name.parts[0] not in ("src", "cmd", "lab"):
                    continue
                for line in entry["lines"]:
                    files[name][line["line_number"]] += line["count"]
    return files


def documents(raw):
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    for line in raw.splitlines():
        if line.strip():
            yield json.loads(line)


def room_of(path):
    return "/".join(path.parts[:2]) if path.parts[0] in ("src", "cmd") else path.parts[0]


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    rooms = collections.defaultdict(list)
    for path, lines in counted_lines(build).items():
        rooms[room_of(path)].append((path, sum(1 for n in lines.values() if n), len(lines)))
    if not rooms:
        sys.exit("coverage: no data; did the tests run?")
    total_run = total = 0
    for room in sorted(rooms):
        run, lines = (sum(row[i] for row in rooms[room]) for i in (1, 2))
        total_run, total = total_run + run, total + lines
        print(f"{room:16} {run:6} of {lines:6} lines  {100 * run / lines:5.1f} %")
        for path, file_run, file_lines in sorted(rooms[room]):
            print(f"    {path.name:28} {file_run:5} of {file_lines:5}  {100 * file_run / file_lines:5.1f} %")
    print(f"{'all':16} {total_run:6} of {total:6} lines  {100 * total_run / total:5.1f} %")


if __name__ == "__main__":
    main()
