"""CRLs of 10 000 to 10 000 000 entries: one check in a process of its own, ours and by d2i_X509_CRL + verify + lookup, and
`openssl dgst -sha256` of the same file in the same round; then an index, and lookups in it.

ms are wall time inside of the process, but for the digest, which is the whole command. KiB are what the peak RSS grew by
from just before the check. usage: ./run bench crl [COUNT...]
"""

import os
import pathlib
import shutil
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "support"))
from harness import temp_dir  # noqa: E402

KINDS = ("sorted", "unsorted", "reasons")
COUNTS = (10_000, 100_000, 1_000_000, 10_000_000)
ROUNDS = int(os.environ.get("ESTUARY_BENCH_ROUNDS", "5"))
THEIRS_MAX = 1_000_000  # beyond that d2i_X509_CRL takes gigabytes


def compile_all(build, tmp):
    libs = subprocess.run(["pkg-config", "--libs", "libssl", "libcrypto", "libcurl", "jansson"], check=True,
                          capture_output=True, text=True).stdout.split()
    library = ["-Wl,--gc-sections", f"{build}/src/libestuary_internal.a", *libs, "-lpthread", "-ldl"]
    programs = {"crl_make": ["-lcrypto"], "crl_once": library, "crl_index": library, "crl_check": library, "measure": []}
    for name, rest in programs.items():
        subprocess.run(["cc", "-O2", "-std=c17", "-D_GNU_SOURCE", f"-I{SOURCE / 'src'}", f"-I{SOURCE / 'include'}",
                        "-o", str(tmp / name), str(HERE / f"{name}.c"), *rest], check=True)


def figures(*argv):
    done = subprocess.run([str(word) for word in argv], check=True, stdout=subprocess.PIPE, text=True)
    return [float(figure) for figure in done.stdout.split()]


def digest(tmp, path):
    done = subprocess.run([str(tmp / "measure"), "/usr/bin/openssl", "dgst", "-sha256", str(path)], check=True,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return float(done.stderr.split()[1])


def one_list(tmp, folder, kind, count):
    """medians, ratios of each round"""
    files = [folder / "list.crl", folder / "ca.pem"]
    ours, theirs, digests, growth, their_growth = [], [], [], 0.0, 0.0
    for number in range(ROUNDS):
        who, found = (("other.pem", 0), ("listed.pem", 1))[number % 2]
        result = figures(tmp / "crl_once", "ours", *files, folder / who)
        assert result[0] == found, "the wrong answer"
        ours.append(result[1])
        growth = max(growth, result[2])
        digests.append(digest(tmp, files[0]))
        if count <= THEIRS_MAX and number < 3:
            result = figures(tmp / "crl_once", "openssl", *files, folder / who)
            assert result[0] == found, "the wrong answer"
            theirs.append(result[1])
            their_growth = max(their_growth, result[2])
    row = {"kind": kind, "count": count, "size": files[0].stat().st_size / 1e6, "ours": statistics.median(ours),
           "growth": growth, "digest": statistics.median(digests), "their_growth": their_growth,
           "ratio": statistics.median(a / b for a, b in zip(ours, digests)),
           "theirs": statistics.median(theirs) if theirs else None,
           "gain": statistics.median(b / a for a, b in zip(ours, theirs)) if theirs else None}
    row["build"], row["build_growth"] = figures(tmp / "crl_index", "build", folder, kind, count)
    finds = [figures(tmp / "crl_index", "find", folder, kind, count) for _ in range(ROUNDS)]
    for at, name in enumerate(("cold", "first", "again", "warm")):
        row[name] = statistics.median(find[at] for find in finds)
    checks = []
    for _ in range(min(ROUNDS, 3) if count <= THEIRS_MAX else 1):
        checks.append(figures(tmp / "crl_check", folder))
        shutil.rmtree(folder / "cache")
    for at, name in enumerate(("check_first", "check_cold", "check_other", "check_listed")):
        row[name] = statistics.median(one[at] for one in checks)
    return row


def report(rows):
    def text(value, form):
        return "" if value is None else format(value, form)

    print(f"\nmedians of {ROUNDS} rounds\n")
    print("| entries | | MB | check ms | + KiB | digest ms | check / digest | OpenSSL ms | + MiB | OpenSSL / check |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(f"| {row['count']:,} | {row['kind']} | {row['size']:.1f} | {row['ours']:.1f} | {row['growth']:.0f} | "
              f"{row['digest']:.1f} | {row['ratio']:.2f} | {text(row['theirs'], '.0f')} | "
              f"{text(row['their_growth'] / 1024 if row['theirs'] else None, '.0f')} | {text(row['gain'], '.0f')} |")
    print("\n| entries | | index: build ms | + MiB | open and look up ms | new pages µs | found or not µs | not listed µs |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(f"| {row['count']:,} | {row['kind']} | {row['build']:.0f} | {row['build_growth'] / 1024:.1f} | {row['cold']:.2f} | "
              f"{row['first']:.1f} | {row['again']:.2f} | {row['warm']:.2f} |")
    print("\n| entries | | estuary_revocation_check(): first, makes the index, ms | after a start ms | again, good µs | again, revoked µs |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print(f"| {row['count']:,} | {row['kind']} | {row['check_first']:.0f} | {row['check_cold']:.2f} | "
              f"{row['check_other']:.1f} | {row['check_listed']:.1f} |")
    print()


def judge(name, value, limit, at_least=False):
    met = value >= limit if at_least else value <= limit
    print(f"{'met    ' if met else 'not met'} {name}: {value:.2f} ({'>=' if at_least else '<='} {limit})")


def goals(rows):
    for row in rows:
        name = f"{row['count']:,} {row['kind']}"
        judge(f"{name}: check / digest command", row["ratio"], 1.3)
        judge(f"{name}: growth in MiB", row["growth"] / 1024, 3)
        judge(f"{name}: indexed check after start, ms", row["cold"], 1)
        judge(f"{name}: indexed check, warm, µs", row["warm"], 1)
        if row["count"] == 1_000_000 and row["kind"] != "unsorted":
            judge(f"{name}: OpenSSL's way / ours", row["gain"], 20 if row["kind"] == "sorted" else 40, True)


def main():
    build = pathlib.Path(os.environ.setdefault("ESTUARY_BUILD", str(SOURCE / "build-bench")))
    counts = [int(word) for word in sys.argv[1:]] or COUNTS
    rows = []
    with temp_dir() as folder:
        tmp = pathlib.Path(folder)
        compile_all(build, tmp)
        for count in counts:
            for kind in KINDS:
                place = tmp / "list"
                place.mkdir()
                subprocess.run([str(tmp / "crl_make"), str(place), str(count), kind], check=True)
                rows.append(one_list(tmp, place, kind, count))
                for path in place.iterdir():
                    path.unlink()
                place.rmdir()
                print(f"{count:,} {kind} done", file=sys.stderr)
    report(rows)
    goals(rows)


if __name__ == "__main__":
    main()
