"""Cached OCSP verdicts (R2): how long one takes from memory and from the folder, beside judging the response and beside
the check of the issuer's signature (R0) that comes before. One process, no network; medians of the rounds.
"""

import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "support"))
from harness import temp_dir  # noqa: E402

ROUNDS = int(os.environ.get("ESTUARY_BENCH_ROUNDS", "5"))
ENTRIES = os.environ.get("ESTUARY_BENCH_COUNT", "1000")
GOAL = 50.0  # microseconds

LABELS = {
    "judge": "judging a response (one ECDSA P-256 signature)",
    "issuer": "R0: the issuer's signature on the certificate",
    "put-memory": "keeping in memory (judged once more)",
    "get-memory": "**cached verdict, from memory**",
    "put-folder": "keeping in memory and folder",
    "get-folder": "cached verdict, first time from the folder (judged anew)",
    "get-folder-again": "**cached verdict, from the folder, again**",
    "check-folder": "`estuary_revocation_check()`, first time from the folder",
    "check-warm": "`estuary_revocation_check()`, again",
}


def compile_bench(out):
    build = pathlib.Path(os.environ["ESTUARY_BUILD"])
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libssl", "libcrypto", "libcurl", "jansson", "p11-kit-1"],
                           check=True, capture_output=True, text=True).stdout.split()
    subprocess.run(["cc", "-O2", "-std=c17", "-D_GNU_SOURCE", f"-I{ROOT / 'include'}", f"-I{ROOT / 'src'}", "-o", str(out),
                    str(HERE / "ocsp_cache.c"), str(build / "src" / "libestuary_internal.a"), *flags, "-lpthread", "-ldl"],
                   check=True)
    return str(out)


def main():
    os.environ.setdefault("ESTUARY_BUILD", str(ROOT / "build-bench"))
    results = {}
    with temp_dir() as tmp:
        bench = compile_bench(pathlib.Path(tmp) / "ocsp_cache")
        folder = pathlib.Path(tmp) / "cache"
        folder.mkdir(mode=0o700)
        for _ in range(ROUNDS):
            done = subprocess.run([bench, str(folder), ENTRIES], stdout=subprocess.PIPE, text=True)
            if done.returncode != 0:
                sys.exit("the bench failed")
            for line in done.stdout.splitlines():
                name, figure = line.split()
                results.setdefault(name, []).append(float(figure))
    print(f"{ENTRIES} entries, medians of {ROUNDS} rounds\n\n| | µs | from | to |\n|---|---|---|---|")
    for name, label in LABELS.items():
        figures = results[name]
        print(f"| {label} | {statistics.median(figures):.1f} | {min(figures):.1f} | {max(figures):.1f} |")
    for name in ("get-memory", "get-folder-again", "check-warm"):
        figure = statistics.median(results[name])
        print(f"\ngoal: {LABELS[name].strip('*')} ≤ {GOAL:.0f} µs: {figure:.1f}, {'met' if figure <= GOAL else 'not met'}")


if __name__ == "__main__":
    main()
