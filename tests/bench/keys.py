"""Signatures with a token's key: through our provider, without and with the check of each signature, beside the
token's own C_Sign loop and a key file. SoftHSM, made for this in a temporary folder, works inside the process, so
that the rates are per second of processor time and neighbours on the machine do not count. The slices take turns in
one process; ratios are taken round by round, and their median is printed.
"""

import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
from harness import password_file, program, temp_dir  # noqa: E402

ROUNDS = int(os.environ.get("ESTUARY_BENCH_ROUNDS", "150"))
SLICE_MS = int(os.environ.get("ESTUARY_BENCH_SLICE_MS", "10"))
MODULE = os.environ.get("SOFTHSM2_MODULE", "/usr/lib/softhsm/libsofthsm2.so")
PIN = "5678-bench"
GOAL = 0.95
NAMES = {"bare": "C_SignInit, C_Sign", "sign": "EVP_PKEY_sign, not verified",
         "unverified": "EVP_DigestSign anew, not verified", "verified": "EVP_DigestSign anew, verified",
         "file": "EVP_DigestSign anew, a key file"}
KINDS = {"ec": ("ec:P-256", "ECDSA with P-256"), "rsa": ("rsa:2048", "RSA-2048, PKCS #1 v1.5")}


def compile_client(out):
    build = pathlib.Path(os.environ["ESTUARY_BUILD"])
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libcrypto", "p11-kit-1"], check=True,
                           capture_output=True, text=True).stdout.replace("-lp11-kit", "").split()
    subprocess.run(["cc", "-O2", "-std=c17", "-D_GNU_SOURCE", f"-I{HERE.parent.parent / 'include'}", "-o", str(out),
                    str(HERE / "keys_client.c"), f"-L{build}", "-lestuary", f"-Wl,-rpath,{build}", *flags], check=True)
    return str(out)


def make_token(tmp):
    (tmp / "tokens").mkdir()
    (tmp / "conf").write_text(f"directories.tokendir = {tmp}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(tmp / "conf")
    subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", "bench", "--pin", PIN, "--so-pin", "so-12345678"],
                   check=True, stdout=subprocess.DEVNULL)


def make_key(algorithm, uri, *more):
    subprocess.run([str(program("estuary")), "key", "generate", algorithm, uri, *more], check=True,
                   stdout=subprocess.DEVNULL)


def measure(client, pin, kind, file):
    done = subprocess.run([client, MODULE, f"file:{pin}", kind, str(file), str(ROUNDS), str(SLICE_MS)],
                          stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"the bench failed with {kind}")
    slices = [line.split() for line in done.stdout.splitlines()]
    slices = slices[1 + len(NAMES):]  # after the warm-up
    rates = {name: [] for name in NAMES}
    for name, n, cpu, _ in slices:
        rates[name].append(int(n) / float(cpu))
    return rates


def ratio(rates, one, other):
    return statistics.median(a / b for a, b in zip(rates[one], rates[other]))


def report(title, rates):
    print(f"\n{title}\n{'':40}{'signatures/s':>14}{'us each':>10}{'/ C_Sign':>10}")
    for name, words in NAMES.items():
        rate = statistics.median(rates[name])
        print(f"{words:40}{rate:14.0f}{1e6 / rate:10.1f}{ratio(rates, name, 'bare'):10.3f}")
    cost = statistics.median(1e6 / a - 1e6 / b for a, b in zip(rates["verified"], rates["unverified"]))
    value = ratio(rates, "sign", "bare")
    print(f"verifying each signature costs {cost:.1f} us")
    print(f"{'met    ' if value >= GOAL else 'not met'} without verification >= {GOAL} x C_Sign: {value:.3f}")


def main():
    os.environ.setdefault("ESTUARY_BUILD", str(HERE.parent.parent / "build-bench"))
    with temp_dir() as folder:
        tmp = pathlib.Path(folder)
        make_token(tmp)
        pin = password_file(tmp, PIN, name="pin")
        client = compile_client(tmp / "keys_client")
        print(f"{ROUNDS} rounds, slices of {SLICE_MS} ms of processor time")
        for kind, (algorithm, title) in KINDS.items():
            make_key(algorithm, f"pkcs11:token=bench;object={kind}?module-path={MODULE}", "--pin", f"file:{pin}")
            make_key(algorithm, str(tmp / f"{kind}.pem"))
            report(title, measure(client, pin, kind, tmp / f"{kind}.pem"))


if __name__ == "__main__":
    main()
