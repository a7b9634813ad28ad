"""Explicit anchors, the system's store, and never both (RFC 7030 3.6)."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import Alice, check_folder, estuary, lab  # noqa: E402
from harness import case, check, check_equal, main, make_ca, snapshot  # noqa: E402


def request(ca, alice, out, *trust):
    return ("enroll", "--server", ca.url, *(part for t in trust for part in ("--trust", t)), *alice.client,
            "--subject", "CN=device", "--out", out)


@case("anchors of another CA: exit 5, nothing sent or written")
def other_ca(tmp):
    alice, est = Alice(tmp), estuary()
    other = make_ca(tmp / "other")
    with lab(*alice.lab) as ca, lab() as second:
        before = snapshot(tmp)
        for anchors in (other.cert, second.anchors):
            answer = est.json(*request(ca, alice, tmp / "out", anchors), code=5)
            check_equal(answer["error"]["category"], "trust", "category")
        check_equal(ca.access_log(), [], "requests")
        check_equal(snapshot(tmp), before, "files")


# 7030-3.1-4
@case("several --trust files are one set; PEM bundle and DER alike")
def several(tmp):
    from harness import openssl
    alice, est = Alice(tmp), estuary()
    other = make_ca(tmp / "other")
    with lab(*alice.lab) as ca:
        est(*request(ca, alice, tmp / "a", other.cert, ca.anchors), code=0)
        check_folder(tmp / "a", ca.anchors)
        (tmp / "bundle.pem").write_bytes(other.cert.read_bytes() + b"# some text\n" + ca.anchors.read_bytes())
        est(*request(ca, alice, tmp / "b", tmp / "bundle.pem"), code=0)
        check_folder(tmp / "b", ca.anchors)
        openssl("x509", "-in", ca.anchors, "-outform", "DER", "-out", tmp / "root.der")
        est(*request(ca, alice, tmp / "c", tmp / "root.der"), code=0)
        check_folder(tmp / "c", ca.anchors)


# 7030-4.2-1
@case("the system's store: OpenSSL's variables choose it; what is issued is checked against /cacerts")
def system(tmp):
    alice, est = Alice(tmp), estuary()
    other = make_ca(tmp / "other")
    with lab(*alice.lab) as ca:
        store = {"SSL_CERT_FILE": ca.anchors, "SSL_CERT_DIR": tmp / "none"}
        est(*request(ca, alice, tmp / "out", "system"), env=store, code=0)
        check_folder(tmp / "out", ca.anchors)
        seen = [r["operation"] for r in ca.access_log()]
        check("cacerts" in seen, f"/cacerts was asked for: {seen}")
        before = len(seen)
        for wrong in ({"SSL_CERT_FILE": other.cert, "SSL_CERT_DIR": tmp / "none"},
                      {"SSL_CERT_FILE": tmp / "none", "SSL_CERT_DIR": tmp / "none"}):
            answer = est.json(*request(ca, alice, tmp / "second", "system"), env=wrong, code=(2, 5))
            check_equal(answer["error"]["code"] in ("trust.unknown-issuer", "trust.unknown-root",
                                                    "trust.self-signed", "config.anchors-empty"), True,
                        f"code {answer['error']['code']}")
        check_equal(len(ca.access_log()), before, "requests")
        check(not (tmp / "second").exists(), "nothing written")
    # the store vouches for the server only: a certificate of a CA that /cacerts does not name is refused
    with lab(*alice.lab, "--misbehave", "issued-unknown-issuer") as ca:
        answer = est.json(*request(ca, alice, tmp / "third", "system"), env={"SSL_CERT_FILE": ca.anchors}, code=9)
        check_equal(answer["error"]["code"], "cert.unknown-issuer", "code")
        check(not (tmp / "third").exists(), "nothing written")


@case("the variables mean nothing with explicit anchors")
def variables(tmp):
    alice, est = Alice(tmp), estuary()
    other = make_ca(tmp / "other")
    with lab(*alice.lab) as ca:
        est.json(*request(ca, alice, tmp / "out", other.cert), env={"SSL_CERT_FILE": ca.anchors}, code=5)
        check_equal(ca.access_log(), [], "requests")
        check(not (tmp / "out").exists(), "nothing written")


# 7030-3.1-5, 7030-3.3.1-3, 7030-6-4
@case("explicit anchors together with the system's store, or no trust at all: exit 2 before dialing")
def mixed(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        for trust in (("system", ca.anchors), (ca.anchors, "system")):
            answer = est.json(*request(ca, alice, tmp / "out", *trust), code=2)
            check_equal(answer["error"]["code"], "usage.mixed-trust", "code")
        answer = est.json(*request(ca, alice, tmp / "out"), code=2)
        check_equal(answer["error"]["code"], "usage.no-trust", "code")
        check_equal(ca.access_log(), [], "requests")


@case("anchor files that are none: missing, empty, garbage, a leaf")
def bad_files(tmp):
    alice, est = Alice(tmp), estuary()
    other = make_ca(tmp / "other")
    leaf = other.issue(tmp / "leaf", "/CN=leaf")
    (tmp / "empty").write_text("")
    (tmp / "garbage").write_bytes(bytes(range(256)) * 8)
    with lab(*alice.lab) as ca:
        for path, code in ((tmp / "missing", "config.anchors-file"), (tmp / "garbage", "config.anchors-format"),
                           (leaf.cert, "config.anchors-not-ca")):
            answer = est.json(*request(ca, alice, tmp / "out", path), code=2)
            check_equal(answer["error"]["code"], code, f"code for {path.name}")
        answer = est.json(*request(ca, alice, tmp / "out", tmp / "empty"), code=2)
        check_equal(answer["error"]["category"], "config", "category for an empty file")
        check_equal(ca.access_log(), [], "requests")


if __name__ == "__main__":
    main()
