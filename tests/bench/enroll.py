"""Whole-process simpleenroll with a new P-256 key: estuary, two floors and a shell script, in one run.

Every round runs each contestant once, against one lab, in an order drawn anew (from a fixed seed): who runs after
whom decides what is still in the processor's caches. Wall, CPU and peak RSS are the
kernel's (wait4); ratios are taken round by round, and their median is printed.

Each run writes into a folder of its own, and nothing is removed before the end: ext4 looks at every inode that was
deleted in the last five seconds whenever it makes one, which is the work of a benchmark that cleans up and not of an
enrolment. Two measurements: on the disk of the temporary folder, and in memory (ESTUARY_BENCH_MEMORY, /dev/shm), where
an fsync costs nothing. "floor libcurl, fsync" brings its two files and their folder to disk.
"""

import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from harness import Lab, password_file, program, temp_dir  # noqa: E402

ROUNDS = int(os.environ.get("ESTUARY_BENCH_ROUNDS", "30"))
WARM_UP = 3
FOLDER = "@FOLDER@"  # what stands for a run's own folder in its arguments
MEMORY = os.environ.get("ESTUARY_BENCH_MEMORY", "/dev/shm")


def compile_c(sources, out):
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libcurl", "libssl", "libcrypto"],
                           check=True, capture_output=True, text=True).stdout.split()
    subprocess.run(["cc", "-O2", "-std=c17", "-D_GNU_SOURCE", "-o", str(out), *[str(HERE / s) for s in sources],
                    "-Wl,--as-needed", *flags], check=True)
    return out


def measure(launcher, argv):
    """wall and CPU milliseconds with all children, peak RSS in KiB of the largest process"""
    env = dict(os.environ)
    if "=" in argv[0]:  # as in a shell
        env.update([argv[0].split("=")])
        argv = argv[1:]
    done = subprocess.run([launcher, *argv], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{argv[0]} failed: {done.stderr}")
    wall, cpu, rss = done.stderr.splitlines()[-1].split()[1:]
    return {"wall": float(wall), "cpu": float(cpu), "rss": float(rss)}


def contestants(tmp, lab, ca, secret):
    url = urllib.parse.urlsplit(lab.url)
    host, port = url.hostname, str(url.port)
    floors = {name: str(compile_c([f"floor_{name}.c", "floor.c"], tmp / f"floor_{name}")) for name in ("curl", "socket")}
    floor = lambda name: [floors[name], host, port, str(ca), "bench", "s3cret", FOLDER]
    estuary = [str(program("estuary")), "enroll", "-q", "--server", lab.url, "--trust", str(ca), "--user", "bench",
               "--password", f"file:{secret}", "--preemptive-auth", "--pop", "off", "--revocation", "off", "--subject", "CN=bench",
               "--out", FOLDER + "/out"]
    script = [str(HERE / "script.sh"), host, port, str(ca), "bench", str(secret), FOLDER]
    return {"estuary": estuary, "floor libcurl": floor("curl"),
            "floor libcurl, fsync": ["FLOOR_DURABLE=1", *floor("curl")],
            "floor socket": floor("socket"), "script": script}


def rounds(runs, tmp, place):
    launcher = str(compile_c(["measure.c"], tmp / "measure"))
    names = list(runs)
    results = {name: [] for name in names}
    for n in range(WARM_UP + ROUNDS):
        for name in random.Random(n).sample(names, len(names)):
            folder = pathlib.Path(place) / f"{n}-{names.index(name)}"
            folder.mkdir()
            result = measure(launcher, [str(folder) + word[len(FOLDER):] if word.startswith(FOLDER) else word
                                        for word in runs[name]])
            if n >= WARM_UP:
                results[name].append(result)
    return results


def median(results, name, figure):
    return statistics.median(r[figure] for r in results[name])


def ratio(results, name, base, figure):
    return statistics.median(a[figure] / b[figure] for a, b in zip(results[name], results[base]))


def difference(results, name, base, figure):
    return statistics.median(a[figure] - b[figure] for a, b in zip(results[name], results[base]))


def report(results, where):
    print(f"simpleenroll, new P-256 key, whole process, files {where}; median of {ROUNDS} alternating rounds\n")
    print(f"{'':22}{'wall ms':>10}{'CPU ms':>10}{'RSS MiB':>10}{'CPU / curl floor':>19}{'CPU / socket floor':>20}")
    for name in results:
        print(f"{name:22}{median(results, name, 'wall'):10.2f}{median(results, name, 'cpu'):10.2f}"
              f"{median(results, name, 'rss') / 1024:10.2f}{ratio(results, name, 'floor libcurl', 'cpu'):19.3f}"
              f"{ratio(results, name, 'floor socket', 'cpu'):20.3f}")
    print()
    goals = [
        ("CPU <= 1.10 x the libcurl floor", ratio(results, "estuary", "floor libcurl", "cpu"), 1.10),
        ("CPU <= half of the script's", ratio(results, "estuary", "script", "cpu"), 0.5),
        ("RSS within 1 MiB of the libcurl floor (MiB)",
         difference(results, "estuary", "floor libcurl", "rss") / 1024, 1.0),
    ]
    for text, value, goal in goals:
        print(f"{'met    ' if value <= goal else 'not met'} {text}: {value:.3f}")
    print(f"        CPU beside the libcurl floor that writes durably too: "
          f"{ratio(results, 'estuary', 'floor libcurl, fsync', 'cpu'):.3f}\n")


def stripped_size(tmp):
    library = pathlib.Path(os.environ["ESTUARY_BUILD"]) / "libestuary.so"
    copy = tmp / "stripped.so"
    subprocess.run(["strip", "-o", str(copy), str(library.resolve())], check=True)
    print(f"\nlibestuary.so, stripped: {copy.stat().st_size / 1024:.1f} KiB (aim: 256 KiB)")


def main():
    os.environ.setdefault("ESTUARY_BUILD", str(HERE.parent.parent / "build-bench"))
    with temp_dir() as folder:
        tmp = pathlib.Path(folder)
        secret = password_file(tmp, "s3cret")
        with Lab(program("estuary-lab"), "--user", f"bench:file:{secret}") as lab:
            ca = tmp / "ca.pem"  # root and issuing CA, so that every contestant makes one request and no more
            subprocess.run([str(program("estuary")), "cacerts", "-q", "--server", lab.url, "--trust", str(lab.anchors),
                            "-o", str(ca)], check=True, stdout=subprocess.DEVNULL)
            runs = contestants(tmp, lab, ca, secret)
            with temp_dir() as place:
                report(rounds(runs, tmp, place), "on disk")
            if os.access(MEMORY, os.W_OK):
                with tempfile.TemporaryDirectory(dir=MEMORY) as place:
                    report(rounds(runs, tmp, place), "in memory")
        stripped_size(tmp)


if __name__ == "__main__":
    main()
