"""Many operations in one thread (estuary_multi): each with its own identity, none in another's way."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import Lab, case, cases_from, check_equal, main, password_file, program, run  # noqa: E402


def drive(mode, lab, secret, n, loop="step", other=None):
    extra = (other.url, other.anchors) if other else ()
    return run([program("tests/integration/multi_driver"), mode, lab.url, lab.anchors, "alice", f"file:{secret}", n, loop,
                *extra], code=0).out.splitlines()


def started(tmp, *args):
    secret = password_file(tmp)
    return secret, Lab(program("estuary-lab"), "--user", f"alice:file:{secret}", *args)


def identities(tmp, loop, n):
    secret, ca = started(tmp)
    with ca as lab:
        check_equal(drive("identities", lab, secret, n, loop), [f"done {n} failed 0"], "what the driver says")
        log = lab.access_log()
    names = sorted(f"CN=device-{i}" for i in range(n))
    renewals = [entry for entry in log if entry["operation"] == "simplereenroll"]
    # the lab answers 200 only when the request's subject is that of the session's client certificate
    check_equal([entry["status"] for entry in renewals], [200] * n, "statuses of simplereenroll")
    check_equal(sorted(entry["client_subject"] for entry in renewals), names, "client certificates at simplereenroll")
    connections = {}
    for entry in log:
        connections.setdefault(entry["connection"], []).append(entry["client_subject"])
    check_equal([c for c in connections.values() if len(set(c)) != 1], [], "connections that served two identities")
    kept = [c for c in connections.values() if len(c) > 1 and c[0] is not None]
    check_equal(sorted(c[0] for c in kept), names, "identities that kept their connection")


LOOPS = {"its own step()": ("step", 100), "a plain poll() loop": ("poll", 20), "libevent": ("libevent", 20)}
cases_from({f"multi: each request came with its own identity (T5), driven by {what}": arguments
            for what, arguments in LOOPS.items()}, identities)


@case("multi: cancelled while queued, connecting, sending, waiting for a 202; by the client; by freeing the multi")
def cancelled(tmp):
    secret, stalling = started(tmp, "--misbehave", "stall@simpleenroll")
    with stalling as lab, Lab(program("estuary-lab"), "--user", f"alice:file:{secret}", "--pending", "5",
                              "--retry-after", "30") as pending:
        check_equal(drive("cancel", lab, secret, 0, other=pending),
                    ["in flight 0 of 1", "waiting cancelled", "over 0 0", "queued cancelled", "stalled cancelled",
                     "connecting cancelled", "client cancelled", "left 1"], "what the driver says")


@case("multi: cancelled from inside a signer and from a progress callback; what is cancelled is not sent")
def callbacks(tmp):
    secret, ca = started(tmp)
    with ca as lab, Lab(program("estuary-lab"), "--user", f"alice:file:{secret}", "--misbehave",
                        "stall@simpleenroll") as stalling:
        check_equal(drive("callbacks", lab, secret, 0, other=stalling),
                    ["over while signing 0", "own signer cancelled", "over while signing 0", "other's signer cancelled",
                     "and the other done", "client by signer cancelled", "progress cancelled", "reports 1",
                     "blocking cancelled after 2 signatures"], "what the driver says")
        check_equal([(entry["operation"], entry["status"]) for entry in lab.access_log()
                     if entry["operation"] == "simpleenroll"], [("simpleenroll", 200)], "requests that left")


def beside(tmp, *args):
    secret, ca = started(tmp)
    with ca as lab, Lab(program("estuary-lab"), "--user", f"alice:file:{secret}", *args) as slow:
        check_equal(drive("beside", lab, secret, 20, other=slow), ["done 20 failed 0 slow under way"],
                    "what the driver says")


cases_from({"multi: none waits for what waits out a 202": ("--pending", "5", "--retry-after", "30"),
            "multi: none waits for a server that drips": ("--misbehave", "slow-drip@simpleenroll")}, beside)


if __name__ == "__main__":
    main()
