"""SIGKILL at any moment: DIR is wholly old or wholly new, and the same command succeeds afterwards (E6, E7)."""

import pathlib
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import (Alice, check_folder, enrolled, estuary, key_of, key_of_certificate, lab, pending_request, server)  # noqa: E402
from harness import (case, check, check_equal, environment, main, openssl, serial_number, snapshot)  # noqa: E402

KILLS = 24
GENERATION = {"cert.pem", "chain.pem", "fullchain.pem", "key.pem"}


def killed_after(est, args, seconds):
    """Starts the command, kills it after so long; True when it was still running, and how long it lived."""
    begin = time.monotonic()
    process = subprocess.Popen([str(part) for part in (est.binary, *args)], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(est.env))
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        pass
    lived = time.monotonic() - begin
    process.kill()
    process.wait()
    return process.returncode == -signal.SIGKILL, lived


def check_whole(out, anchors, old):
    """DIR is the old generation, a whole new one, or (when there was none) absent. Returns which."""
    if not out.exists():
        check_equal(old, {}, "DIR vanished; before")
        return "absent"
    now = snapshot(out)
    if now == old:
        return "old"
    check_equal({p.name for p in out.iterdir()}, GENERATION, "files in DIR")
    check_equal(key_of_certificate(out / "cert.pem"), key_of(out / "key.pem"), "public key")
    openssl("verify", "-x509_strict", "-CAfile", anchors, "-untrusted", out / "chain.pem", out / "cert.pem")
    return "new"


def check_pending(out):
    """DIR.pending, when there is one, holds a key and the request that this key has signed."""
    pending = out.with_name(out.name + ".pending")
    if not pending.exists():
        return False
    names = {p.name for p in pending.iterdir()}
    check(names >= {"key.pem", "state.json"}, f"DIR.pending is complete: {names}")
    check_equal(openssl("req", "-noout", "-verify", "-pubkey", input=pending_request(pending)).out,
                key_of(pending / "key.pem"), "public key of the pending request")
    return True


def clean(tmp, out):
    """What a following run leaves: DIR, and nothing beside it."""
    check_equal(sorted(p.name for p in tmp.iterdir() if p.name.startswith("out")), ["out"], "what is left")


def duration(est, args):
    begin = time.monotonic()
    est(*args, code=0)
    return time.monotonic() - begin


def sweep(est, args, out, prepare, anchors):
    """Kills at KILLS moments from the start to the end of a run. Returns what was met."""
    prepare()
    full = duration(est, args)
    prepare()
    full = min(full, duration(est, args))
    met = {"absent": 0, "old": 0, "new": 0, "pending": 0, "killed": 0}
    for number in range(KILLS):
        prepare()
        old = snapshot(out)
        killed, lived = killed_after(est, args, full * number / (KILLS - 4))
        met["killed"] += killed
        if not killed:      # quicker than the measured ones: the next moments lie within its time
            full = min(full, lived)
        met[check_whole(out, anchors, old)] += 1
        met["pending"] += check_pending(out)
        est(*args, code=0)
        check_folder(out, anchors)
        clean(out.parent, out)
    print(f"# {full * 1000:.0f} ms, {met}")
    check(met["killed"] >= KILLS // 2, f"most runs were killed on the way: {met}")
    return met


@case("enroll into a new DIR, killed at 24 moments")
def enroll_new(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab) as ca:
        args = ("enroll", *server(ca), *alice.client, "--preemptive-auth", "--subject", "CN=device", "--out", out)
        met = sweep(est, args, out, lambda: shutil.rmtree(out, ignore_errors=True), ca.anchors)
        check(met["pending"] > 0, f"some were killed between the request and its end: {met}")


@case("reenroll over an old DIR, killed at 24 moments")
def reenroll_old(tmp):
    alice, est, out, keep = Alice(tmp), estuary(), tmp / "out", tmp / "keep"
    with lab(*alice.lab) as ca:
        enrolled(est, ca, alice, keep)

        def prepare():
            shutil.rmtree(out, ignore_errors=True)
            shutil.copytree(keep, out)
        # the identity stands outside of DIR, so that the same command can be given again
        args = ("reenroll", *server(ca), "--cert", keep / "cert.pem", "--key", keep / "key.pem", "--out", out)
        met = sweep(est, args, out, prepare, ca.anchors)
        check(met["old"] > 0, f"some left the old generation: {met}")


@case("reenroll from and into the same DIR, killed time and again without a pause for repair")
def reenroll_in_place(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab) as ca:
        enrolled(est, ca, alice, out)
        args = ("reenroll", *server(ca), "--cert", out / "cert.pem", "--key", out / "key.pem", "--out", out)
        full = min(duration(est, args), 1.5)
        serials = set()
        for number in range(16):
            killed_after(est, args, full * (number + 3) / 16)
            check_equal({p.name for p in out.iterdir()}, GENERATION, "files in DIR")
            check_equal(key_of_certificate(out / "cert.pem"), key_of(out / "key.pem"), "public key")
            check_pending(out)
            serials.add(serial_number(out / "cert.pem"))
        est(*args, code=0)
        check_folder(out, ca.anchors)
        clean(tmp, out)


@case("killed while the server thinks: the pending request stays and its certificate is fetched")
def while_waiting(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab, "--misbehave", "stall@simpleenroll", dir=tmp / "lab") as ca:
        listen = f"127.0.0.1:{ca.url.rpartition(':')[2]}"
        anchors = tmp / "lab/anchors.pem"
        args = ("enroll", "--server", ca.url, "--trust", anchors, *alice.client, "--preemptive-auth", "--subject",
                "CN=device", "--out", out)
        check(killed_after(est, args, 3)[0], "it was still running")
        check_equal(check_whole(out, anchors, {}), "absent", "DIR")
        check(check_pending(out), "DIR.pending is there")
    key = key_of(tmp / "out.pending/key.pem")
    with lab(*alice.lab, dir=tmp / "lab", listen=listen):
        est(*args, code=0)
        check_folder(out, anchors)
        check_equal(key_of(out / "key.pem"), key, "the key of the killed run")
        clean(tmp, out)


if __name__ == "__main__":
    main()
