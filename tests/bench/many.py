"""Enrolments in one thread with estuary_multi, at 1 to 1024 in flight, beside blocking calls, as many processes, and
a bare loop of handshake, key generation and signature. The lab is a process of its own on the same machine.

CPU is the client's alone (getrusage); bytes per operation are what the peak RSS grew by, over the number in flight.
"""

import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from harness import Lab, password_file, program, temp_dir  # noqa: E402

IN_FLIGHT = (1, 16, 64, 256, 1024)
ROUNDS = int(os.environ.get("ESTUARY_BENCH_ROUNDS", "3"))
COUNT = int(os.environ.get("ESTUARY_BENCH_COUNT", "400"))
PROCESSES = 16


def compile_client(out):
    build = pathlib.Path(os.environ["ESTUARY_BUILD"])
    flags = subprocess.run(["pkg-config", "--libs", "libssl", "libcrypto"], check=True, capture_output=True,
                           text=True).stdout.split()
    subprocess.run(["cc", "-O2", "-std=c17", "-D_GNU_SOURCE", f"-I{HERE.parent.parent / 'include'}",
                    "-o", str(out), str(HERE / "many_client.c"), f"-L{build}", "-lestuary", f"-Wl,-rpath,{build}",
                    *flags], check=True)
    return str(out)


def measure(argv, mode, n, in_flight=1):
    done = subprocess.run([argv[0], mode, *argv[1:], str(n), str(in_flight)], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{mode} at {in_flight} failed")
    wall, cpu, before, peak = (float(figure) for figure in done.stdout.split())
    return {"rate": n / wall, "cpu": cpu / n * 1000, "kib": (peak - before) / in_flight}


def processes(lab, ca, secret, tmp):
    """PROCESSES of the command at a time"""
    argv = [str(program("estuary")), "enroll", "-q", "--server", lab.url, "--trust", str(ca), "--user", "bench",
            "--password", f"file:{secret}", "--preemptive-auth", "--pop", "off", "--revocation", "off", "--subject",
            "CN=bench", "--out"]
    before, begin, running = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic(), []
    total = max(PROCESSES * 2, COUNT // 8)
    for i in range(total):
        running.append(subprocess.Popen([*argv, str(tmp / f"p{i}")], stdout=subprocess.DEVNULL))
        if len(running) == PROCESSES:
            running.pop(0).wait()
    for process in running:
        process.wait()
    wall, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"rate": total / wall, "cpu": cpu / total * 1000, "kib": float(after.ru_maxrss)}


def main():
    os.environ.setdefault("ESTUARY_BUILD", str(HERE.parent.parent / "build-bench"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    results = {}
    with temp_dir() as folder:
        tmp = pathlib.Path(folder)
        secret = password_file(tmp, "s3cret")
        with Lab(program("estuary-lab"), "--user", f"bench:file:{secret}") as lab:
            ca = tmp / "ca.pem"
            subprocess.run([str(program("estuary")), "cacerts", "-q", "--server", lab.url, "--trust", str(lab.anchors),
                            "-o", str(ca)], check=True, stdout=subprocess.DEVNULL)
            url = urllib.parse.urlsplit(lab.url)
            argv = [compile_client(tmp / "many_client"), lab.url, "127.0.0.1", str(url.port), str(ca), "bench",
                    f"file:{secret}"]
            for _ in range(ROUNDS):
                for mode in ("floor", "blocking"):
                    results.setdefault(mode, []).append(measure(argv, mode, COUNT))
                for n in IN_FLIGHT:
                    results.setdefault(n, []).append(measure(argv, "multi", max(COUNT, n), n))
            results["processes"] = [processes(lab, ca, secret, tmp)]
    report(results)


def median(results, name, figure):
    return statistics.median(result[figure] for result in results[name])


def report(results):
    print(f"simpleenroll, new P-256 key, a connection each; medians of {ROUNDS} rounds of {COUNT}\n")
    print(f"{'':24}{'enrolments/s':>14}{'CPU ms each':>14}{'KiB per operation':>20}")
    names = {"floor": "bare loop", "blocking": "blocking call", "processes": f"{PROCESSES} processes"}
    for name in results:
        print(f"{names.get(name, f'multi, {name} in flight'):24}{median(results, name, 'rate'):14.1f}"
              f"{median(results, name, 'cpu'):14.3f}{median(results, name, 'kib'):20.1f}")
    print()
    for n in IN_FLIGHT:
        mine = [r["cpu"] for r in results[n]]
        for base, goal in (("blocking", 1.0), ("floor", 1.25)):
            value = statistics.median(a / b["cpu"] for a, b in zip(mine, results[base]))
            print(f"{'met    ' if value <= goal else 'not met'} {n:5} in flight: CPU <= {goal} x "
                  f"{names[base]}: {value:.3f}")
        if n >= 16:
            value = median(results, n, "kib")
            print(f"{'met    ' if value <= 100 else 'not met'} {n:5} in flight: RSS <= 100 KiB each: {value:.1f}")


if __name__ == "__main__":
    main()
