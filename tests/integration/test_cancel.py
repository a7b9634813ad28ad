"""SIGINT and SIGTERM while the server keeps us waiting: an end within two seconds, nothing half-done."""

import json
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import Alice, enrolled, estuary, key_of, lab, server  # noqa: E402
from harness import (Failure, case, cases_from, check, check_equal, check_not_in, environment, main,  # noqa: E402
                     sanitizer_report, snapshot, wait_until)

SIGNALS = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM}


def cancelled(est, args, number, ready):
    """Starts, waits for ready(), signals; (exit code, seconds to the end, stdout)."""
    process = subprocess.Popen([str(part) for part in (est.binary, *args, "--json")], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(est.env))
    try:
        wait_until(ready, timeout=15, what="the request at the server")
        time.sleep(0.2)
        check_equal(process.poll(), None, "still running; exit code")
        begin = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    except (subprocess.TimeoutExpired, Failure):
        process.kill()
        out, err = process.communicate()
        raise Failure(f"no orderly end; stdout {out!r} stderr {err!r}") from None
    seconds = time.monotonic() - begin
    if sanitizer_report(err.decode()):
        raise Failure(sanitizer_report(err.decode()))
    return process.returncode, seconds, out.decode()


def check_cancelled(result):
    code, seconds, out = result
    check_equal(code, 1, "exit code")
    check(seconds < 2, f"took {seconds:.1f} s to end")
    check_equal(json.loads(out)["error"]["code"], "cancelled", "code")


def stalled(tmp, number, where, misbehaviour):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab, dir=tmp / "lab") as ca:
        enrolled(est, ca, alice, tmp / "first")
        enrolled(est, ca, alice, out)
    before = snapshot(out)
    with lab(*alice.lab, "--misbehave", misbehaviour, dir=tmp / "lab") as ca:
        anchors = ca.anchors
        identity = ("--cert", tmp / "first/cert.pem", "--key", tmp / "first/key.pem")
        args = {"enroll": ("enroll", *server(ca), *alice.client, "--preemptive-auth", "--subject", "CN=x", "--out", out),
                "reenroll": ("reenroll", *server(ca), *identity, "--out", out),
                "cacerts": ("cacerts", *server(ca), "-o", tmp / "ca.pem"),
                "csrattrs": ("csrattrs", *server(ca)),
                "bootstrap": ("bootstrap", "--server", ca.url, "--fingerprint", ca.fingerprint, "-o", tmp / "ca.pem"),
                }[where]
        requests = len(ca.access_log())
        begun = time.monotonic()
        # a stalled request stands in the log already, or (in the handshake) nowhere
        check_cancelled(cancelled(est, args, number, lambda: len(ca.access_log()) > requests
                                  or time.monotonic() - begun > 1.5))
        check_equal(snapshot(out), before, "DIR")
        check(not (tmp / "ca.pem").exists(), "no half-written output")
        check_equal([p.name for p in tmp.iterdir() if p.name.startswith("out.new")], [], "folders of a half-done run")
        check(anchors.exists(), "the lab's anchors")


cases_from({f"{name} during {where}, {misbehaviour}": (number, where, misbehaviour)
            for where, misbehaviour, names in (
                ("enroll", "stall", ("SIGINT", "SIGTERM")), ("reenroll", "stall", ("SIGINT", "SIGTERM")),
                ("cacerts", "stall", ("SIGINT",)), ("csrattrs", "stall", ("SIGTERM",)),
                ("bootstrap", "stall", ("SIGINT",)), ("enroll", "tls-stall-in-handshake", ("SIGTERM",)),
                ("enroll", "slow-drip", ("SIGINT",)))
            for name, number in SIGNALS.items() if name in names}, stalled)


@case("SIGINT while --max-wait waits: exit 1 or 7, and the pending request stays for the next run")
def waiting(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab, "--pending", "1", "--retry-after", "30") as ca:
        args = ("enroll", *server(ca), *alice.client, "--subject", "CN=device", "--out", out)
        result = cancelled(est, (*args, "--max-wait", "60"), signal.SIGINT,
                           lambda: any(r["status"] == 202 for r in ca.access_log()))
        check_cancelled(result)
        check_equal(json.loads(result[2])["pending"], True, "pending")
        key = key_of(tmp / "out.pending/key.pem")
        est(*args, code=0)
        check_equal(key_of(out / "key.pem"), key, "the key")
        check_not_in("out.pending", [p.name for p in tmp.iterdir()], "files")


if __name__ == "__main__":
    main()
