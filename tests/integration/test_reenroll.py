"""simplereenroll against the lab: which key, which names, and that DIR changes wholly or not at all."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import (Alice, check_folder, enrolled, estuary, key_of, lab, mode, server, text_of)  # noqa: E402
from harness import (case, check, check_equal, check_in, main, make_csr, make_key, openssl,  # noqa: E402
                     password_file, serial_number, snapshot)

ALGORITHMS = ("ec:P-256", "ec:P-384", "ec:P-521", "rsa:2048", "rsa:3072", "ed25519", "ed448")


def identity(folder):
    return "--cert", folder / "cert.pem", "--key", folder / "key.pem"


# 7030-3.3.2-2, 7030-6-1
@case("by default a new key of the same algorithm; the server sees the old certificate and no password")
def new_key_each_algorithm(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        for algorithm in ALGORITHMS:
            out = enrolled(est, ca, alice, tmp / algorithm.replace(":", "-"), "--new-key", algorithm, "--san",
                           "dns:device.example")
            old_key, old_serial = key_of(out / "key.pem"), serial_number(out / "cert.pem")
            before = len(ca.access_log())
            answer = est.json("reenroll", *server(ca), *identity(out), "--out", out, code=0)
            check_folder(out, ca.anchors)
            check_equal(answer["operation"], "simplereenroll", "operation")
            check_equal(answer["key_algorithm"], algorithm, "key_algorithm")
            check_equal(answer["key_is_new"], True, "key_is_new")
            check(key_of(out / "key.pem") != old_key, f"{algorithm}: another key")
            check(serial_number(out / "cert.pem") != old_serial, f"{algorithm}: another certificate")
            # RFC 7030 4.2.2: subject and subjectAltName are those of the current certificate
            text = text_of(out / "cert.pem")
            check_in("Subject: CN = device\n", text, "subject")
            check_in("DNS:device.example\n", text, "subjectAltName")
            seen = ca.access_log()[before:]
            check_equal([(r["client_serial"], r["client_subject"], r["authorization"], r["status"]) for r in seen
                         if r["method"] == "POST"], [(old_serial, "CN=device", False, 200)], "POSTs")


@case("--same-key keeps the key file byte for byte")
def same_key(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        out = enrolled(est, ca, alice, tmp / "out")
        key, serial = key_of(out / "key.pem"), serial_number(out / "cert.pem")
        answer = est.json("reenroll", *server(ca), *identity(out), "--same-key", "--out", out, code=0)
        check_folder(out, ca.anchors)
        check_equal(key_of(out / "key.pem"), key, "the key")
        check(serial_number(out / "cert.pem") != serial, "a new certificate")
        check_equal(answer["key_is_new"], False, "key_is_new")


@case("--new-key of another algorithm")
def other_algorithm(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        out = enrolled(est, ca, alice, tmp / "out")
        for algorithm, words in (("rsa:2048", "Public-Key: (2048 bit)"), ("ed25519", "ED25519 Public-Key"),
                                 ("ec:P-384", "ASN1 OID: secp384r1")):
            est("reenroll", *server(ca), *identity(out), "--new-key", algorithm, "--out", out, code=0)
            check_folder(out, ca.anchors)
            check_in(words, text_of(out / "cert.pem"), algorithm)


# 7030-4.2.2-1
@case("--csr with the old names: key.pem is not written; with other names exit 9 before dialing")
def csr_file(tmp):
    alice, est = Alice(tmp), estuary()
    (tmp / "openssl.cnf").write_text("[req]\ndistinguished_name = empty\n[empty]\n")
    key = make_key(tmp / "k.pem")
    csr = make_csr(tmp / "r.pem", key, "/CN=device", tmp / "openssl.cnf")
    other = make_csr(tmp / "other.pem", key, "/CN=other", tmp / "openssl.cnf")
    with lab(*alice.lab) as ca:
        first = enrolled(est, ca, alice, tmp / "first")
        est("reenroll", *server(ca), *identity(first), "--csr", csr, "--out", tmp / "second", code=0)
        check_folder(tmp / "second", ca.anchors, key=None, key_path=key)
        before, requests = snapshot(tmp), len(ca.access_log())
        answer = est.json("reenroll", *server(ca), *identity(first), "--csr", other, "--out", tmp / "third", code=9)
        check_equal(answer["error"]["code"], "csr.subject-changed", "code")
        check_equal(snapshot(tmp), before, "files")
        check_equal(len(ca.access_log()), requests, "requests")


@case("--key-out: the new key stands there and DIR holds key.uri")
def key_out(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        first = enrolled(est, ca, alice, tmp / "first")
        est("reenroll", *server(ca), *identity(first), "--key-out", tmp / "new.key", "--out", tmp / "second", code=0)
        check_folder(tmp / "second", ca.anchors, key="key.uri", key_path=tmp / "new.key")
        check_equal(mode(tmp / "new.key"), 0o600, "mode of the key")
        check_folder(first, ca.anchors)


@case("another folder as DIR leaves the old one alone; its own DIR keeps its mode")
def folders(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        first = enrolled(est, ca, alice, tmp / "first")
        first.chmod(0o700)
        before = snapshot(first)
        est("reenroll", *server(ca), *identity(first), "--out", tmp / "second", code=0)
        check_equal(snapshot(first), before, "the old folder")
        est("reenroll", *server(ca), *identity(first), "--out", first, code=0)
        check_folder(first, ca.anchors)
        check_equal(mode(first), 0o700, "mode of DIR")


@case("TLS 1.2 alone and TLS 1.3 alone, with every key algorithm as client identity")
def tls_versions(tmp):
    alice, est = Alice(tmp), estuary()
    for version in ("1.2", "1.3"):
        with lab(*alice.lab, "--tls", version) as ca:
            for algorithm in ("rsa:2048", "ec:P-384", "ed25519"):
                out = enrolled(est, ca, alice, tmp / f"{version}-{algorithm.replace(':', '-')}", "--new-key",
                               algorithm)
                answer = est.json("reenroll", *server(ca), *identity(out), "--out", out, code=0)
                check_equal(answer["tls_version"], f"TLSv{version}", "tls_version")
                check_folder(out, ca.anchors)


@case("an encrypted identity opens with --pin file:")
def encrypted(tmp):
    alice, est = Alice(tmp), estuary()
    pin = password_file(tmp, "opensesame")
    with lab(*alice.lab) as ca:
        first = enrolled(est, ca, alice, tmp / "first")
        openssl("pkcs8", "-topk8", "-in", first / "key.pem", "-out", tmp / "enc.key", "-passout", f"file:{pin}")
        (tmp / "enc.key").chmod(0o600)
        est("reenroll", *server(ca), "--cert", first / "cert.pem", "--key", tmp / "enc.key", "--pin", f"file:{pin}",
            "--out", tmp / "second", code=0)
        check_folder(tmp / "second", ca.anchors)


@case("without identity, with the wrong key, or with an expired certificate: refused before dialing")
def refused(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        first = enrolled(est, ca, alice, tmp / "first")
        other = make_key(tmp / "other.key")
        before, requests = snapshot(tmp), len(ca.access_log())
        answer = est.json("reenroll", *server(ca), "--out", tmp / "second", code=2)
        check_equal(answer["error"]["code"], "usage.identity-needed", "code without identity")
        answer = est.json("reenroll", *server(ca), "--cert", first / "cert.pem", "--key", other, "--out",
                          tmp / "second", code=5)
        check_equal(answer["error"]["code"], "tls.identity-key-mismatch", "code with the wrong key")
        check_equal(snapshot(tmp), before, "files")
        check_equal(len(ca.access_log()), requests, "requests")


@case("the old certificate back, or one for the old key: exit 9 and DIR as it was")
def old_again(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab, "--misbehave", "issued-same-as-old-key@simplereenroll") as ca:
        out = enrolled(est, ca, alice, tmp / "out")
        before = snapshot(tmp)
        answer = est.json("reenroll", *server(ca), *identity(out), "--out", out, code=9)
        check_equal(answer["error"]["code"], "cert.key-differs", "code")
        check_equal(snapshot(tmp), before, "everything")


if __name__ == "__main__":
    main()
