"""The first contact (RFC 7030 4.1.1): a person confirms a fingerprint, or nothing is written."""

import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import (Alice, Listener, enrolled, estuary, lab, port_of, relay)  # noqa: E402
from harness import (case, check, check_equal, check_in, check_not_in, fingerprint, main, openssl)  # noqa: E402

ZERO = ":".join(["00"] * 32)


# 7030-4.1.1-1, 7030-3.1-3
@case("without --fingerprint: exit 3, the fingerprints on stdout, nothing written")
def unconfirmed(tmp):
    est = estuary()
    with lab() as ca:
        result = est("bootstrap", "--server", ca.url, "-o", tmp / "ca.pem", code=3)
        check_in(ca.fingerprint, result.out, "stdout")
        check_in("not a root, cannot be confirmed", result.out, "stdout")
        check_not_in("BEGIN CERTIFICATE", result.out, "stdout")
        answer = est.json("bootstrap", "--server", ca.url, "-o", tmp / "ca.pem", code=3)
        check_equal(answer["error"]["code"], "trust.confirm-fingerprint", "code")
        check_equal([c["root"] for c in answer["candidates"]], [True, False], "candidates")
        check_equal(answer["candidates"][0]["fingerprint"], ca.fingerprint, "fingerprint")
        check_equal(set(answer["candidates"][0]), {"subject", "issuer", "serial", "not_before", "not_after",
                                                   "fingerprint", "root"}, "names of a candidate")
        check_not_in("BEGIN CERTIFICATE", answer.out, "JSON")
        check_equal(list(tmp.iterdir()), [], "files")


@case("a wrong fingerprint: exit 5, nothing written, and no second session")
def wrong(tmp):
    est = estuary()
    with lab() as ca:
        almost = ca.fingerprint[:-1] + ("0" if ca.fingerprint[-1] != "0" else "1")
        issuing = est.json("bootstrap", "--server", ca.url, code=3)["candidates"][1]["fingerprint"]
        for number, given in enumerate((ZERO, almost, issuing), 1):
            answer = est.json("bootstrap", "--server", ca.url, "--fingerprint", given, "-o", tmp / "ca.pem", code=5)
            check_equal(answer["error"]["code"], "trust.fingerprint-mismatch", f"code for {given}")
            check_equal(len(ca.access_log()), 1 + number, "requests")
        check_equal(list(tmp.iterdir()), [], "files")


def check_anchors(path, ca):
    """The confirmed root first, then the issuing CA, which chains to it; nothing else."""
    check_equal(path.read_text(), ca.anchors.read_text() + (ca.dir / "issuing.pem").read_text(), path.name)
    check_equal(fingerprint(path), ca.fingerprint, "fingerprint of the first")
    openssl("verify", "-CAfile", ca.anchors, ca.dir / "issuing.pem")


# 7030-4.1.1-1, 7030-4.1.3-5
@case("the right fingerprint in every spelling: exit 0; the file holds the root and the CA below it")
def right(tmp):
    est = estuary()
    with lab() as ca:
        plain = ca.fingerprint.replace(":", "")
        (tmp / "fp").write_text(f"# from the operator\n\n{ca.fingerprint}   # the root\n")
        for number, given in enumerate((ca.fingerprint, plain, plain.lower(), f"SHA256:{ca.fingerprint}",
                                        f"sha256:{plain}", f"file:{tmp / 'fp'}")):
            out = tmp / f"ca{number}.pem"
            answer = est.json("bootstrap", "--server", ca.url, "--fingerprint", given, "-o", out, code=0)
            check_anchors(out, ca)
            check_equal(out.stat().st_mode & 0o777, 0o644, "mode")
            check_equal(answer["output"], str(out), "output in the JSON")
        check_equal(len(ca.access_log()), 12, "requests: two each")
        check_equal(sorted(p.name for p in tmp.iterdir()), sorted(["fp", *(f"ca{n}.pem" for n in range(6))]), "files")


@case("of several fingerprints one must match (a root to come may be listed); without -o the PEM stands on stdout")
def several(tmp):
    est = estuary()
    (tmp / "fp").write_text(f"{ZERO}\n")
    with lab() as ca:
        for given in (("--fingerprint", ZERO, "--fingerprint", ca.fingerprint),
                      ("--fingerprint", ca.fingerprint, "--fingerprint", f"file:{tmp / 'fp'}")):
            est.json("bootstrap", "--server", ca.url, *given, "-o", tmp / "ca.pem", code=0)
            check_anchors(tmp / "ca.pem", ca)
            (tmp / "ca.pem").unlink()
        result = est("bootstrap", "--server", ca.url, "--fingerprint", ca.fingerprint, "--fingerprint",
                     ca.fingerprint.replace(":", ""), code=0)
        (tmp / "out.pem").write_text(result.out[result.out.index("-----BEGIN"):])
        check_anchors(tmp / "out.pem", ca)


@case("a malformed fingerprint, an empty or missing file: exit 2 before dialing")
def malformed(tmp):
    est = estuary()
    (tmp / "empty").write_text("# nothing\n")
    with lab() as ca:
        for given in ("12:34", "z" * 64, ca.fingerprint + ":00", "", f"file:{tmp}/empty", f"file:{tmp}/none",
                      "SHA1:" + "00" * 20):
            est.json("bootstrap", "--server", ca.url, "--fingerprint", given, "-o", tmp / "ca.pem", code=2)
        check_equal(ca.access_log(), [], "requests")
        check(not (tmp / "ca.pem").exists(), "nothing written")


@case("an unwritable -o fails and leaves an existing file as it was")
def output(tmp):
    est = estuary()
    with lab() as ca:
        est.json("bootstrap", "--server", ca.url, "--fingerprint", ca.fingerprint, "-o", tmp / "no/ca.pem", code=(1, 2))
        (tmp / "ca.pem").write_text("old")
        est("bootstrap", "--server", ca.url, "--fingerprint", ZERO, "-o", tmp / "ca.pem", code=5)
        check_equal((tmp / "ca.pem").read_text(), "old", "the old file")
        est("bootstrap", "--server", ca.url, "--fingerprint", ca.fingerprint, "-o", tmp / "ca.pem", code=0)
        check_equal(fingerprint(tmp / "ca.pem"), ca.fingerprint, "fingerprint")
        check_equal([p.name for p in tmp.iterdir()], ["ca.pem"], "files")


# 7030-4.1.1-2, 7030-4.1.1-3
@case("no client certificate and no Authorization, though both are given")
def no_credentials(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        first = enrolled(est, ca, alice, tmp / "first")
        before = len(ca.access_log())
        est("bootstrap", "--server", ca.url, "--fingerprint", ca.fingerprint, *alice.client, "--preemptive-auth",
            "--cert", first / "cert.pem", "--key", first / "key.pem", "-o", tmp / "ca.pem", code=0)
        seen = ca.access_log()[before:]
        check_equal([(r["method"], r["operation"], r["authorization"], r["client_subject"]) for r in seen],
                    [("GET", "cacerts", False, None)] * 2, "requests")
        check(seen[0]["connection"] != seen[1]["connection"], "two sessions")
        check_equal([r["resumed"] for r in seen], [False, False], "resumed")


class Switch:
    """Sends the first connection to one lab and every later one to another."""

    def __init__(self, first, later):
        self.ports = port_of(first.url), port_of(later.url)

    def __call__(self, connection, number):
        with socket.create_connection(("127.0.0.1", self.ports[0 if number == 1 else 1])) as beyond:
            relay(connection, beyond)


# 7030-4.1.1-3, 7030-4.1.2-3
@case("a man in the middle who shows another CA in either session is found out: exit 5, nothing written")
def swapped(tmp):
    est = estuary()
    with lab() as true, lab() as false:
        check(true.fingerprint != false.fingerprint, "two CAs")
        # his CA in the first session, the true server in the second; confirmed: his (a fooled operator), then the true
        for given, first, later, connections in ((false.fingerprint, false, true, 2), (true.fingerprint, true, false, 2),
                                                 (true.fingerprint, false, true, 1)):
            with Listener(Switch(first, later)) as middle:
                answer = est.json("bootstrap", "--server", f"https://localhost:{middle.port}", "--fingerprint", given,
                                  "-o", tmp / "ca.pem", code=5)
                check_equal(answer["error"]["category"], "trust", "category")
                check_equal(middle.connections, connections, "connections")
                check_equal(list(tmp.iterdir()), [], "files")
        with Listener(Switch(true, true)) as middle:
            est("bootstrap", "--server", f"https://localhost:{middle.port}", "--fingerprint", true.fingerprint, "-o",
                tmp / "ca.pem", code=0)
        check_equal(fingerprint(tmp / "ca.pem"), true.fingerprint, "fingerprint")


# 7030-4.1.3-4
@case("what comes in the second session is checked too: an unrelated root never becomes an anchor")
def two_roots(tmp):
    est = estuary()
    with lab("--misbehave", "cacerts-two-roots") as ca:
        est("bootstrap", "--server", ca.url, "--fingerprint", ca.fingerprint, "-o", tmp / "ca.pem", code=0)
        check_anchors(tmp / "ca.pem", ca)


@case("plain http, an unreachable server, nonsense instead of certificates")
def failures(tmp):
    est = estuary()
    answer = est.json("bootstrap", "--server", "http://localhost:1", "-o", tmp / "ca.pem", code=2)
    check_equal(answer["error"]["code"], "usage.url-not-https", "code")
    answer = est.json("bootstrap", "--server", "https://localhost:1", "-o", tmp / "ca.pem", code=4)
    check_equal(answer["error"]["code"], "network.connect", "code")
    for name, number, code in (("not-cms", 8, "protocol.cms"), ("cacerts-empty", 8, "protocol.no-certificates"),
                               ("cacerts-no-root", 5, "trust.fingerprint-mismatch"),
                               ("cacerts-unrelated-root", 5, "trust.fingerprint-mismatch")):
        with lab("--misbehave", name) as ca:
            answer = est.json("bootstrap", "--server", ca.url, "--fingerprint", ca.fingerprint, "-o", tmp / "ca.pem",
                              code=number)
            check_equal(answer["error"]["code"], code, name)
    check_equal(list(tmp.iterdir()), [], "files")


if __name__ == "__main__":
    main()
