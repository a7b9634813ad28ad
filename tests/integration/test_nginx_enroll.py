"""The command against an EST server without a line of Estuary: nginx, a Python script, openssl ca."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import check_folder, estuary, key_of, text_of  # noqa: E402
from harness import (case, cases_from, check, check_equal, check_in, fingerprint, main, serial_number,  # noqa: E402
                     wait_until)
from server import NginxEst  # noqa: E402


def reach(nginx):
    return "--server", nginx.url, "--trust", nginx.root_pem


def user(nginx):
    return "--user", nginx.user, "--password", f"file:{nginx.password_file}"


def requests(nginx, count):
    """nginx writes its log a moment after the answer."""
    wait_until(lambda: len(nginx.requests()) >= count, what=f"{count} lines in nginx's log")
    return nginx.requests()


@case("bootstrap by fingerprint, then everything with the file it wrote")
def bootstrap(tmp):
    est = estuary()
    with NginxEst() as nginx:
        est("bootstrap", "--server", nginx.url, "-o", tmp / "ca.pem", code=3)
        est("bootstrap", "--server", nginx.url, "--fingerprint", nginx.fingerprint, "-o", tmp / "ca.pem", code=0)
        check_equal(fingerprint(tmp / "ca.pem"), nginx.fingerprint, "fingerprint")
        # the confirmed root first, then the issuing CA, which helps to build paths and is no anchor
        check_equal((tmp / "ca.pem").read_text(), nginx.root_pem.read_text() + nginx.issuing_pem.read_text(), "ca.pem")
        est("enroll", "--server", nginx.url, "--trust", tmp / "ca.pem", *user(nginx), "--subject", "CN=device.example",
            "--out", tmp / "out", code=0)
        check_folder(tmp / "out", nginx.root_pem)


@case("cacerts: root and issuing CA, in both styles of encoding")
def cacerts(tmp):
    est = estuary()
    for style in ("rfc7030", "rfc8951"):
        with NginxEst(style=style) as nginx:
            answer = est.json("cacerts", *reach(nginx), "-o", tmp / f"{style}.pem", code=0)
            check_equal({c["fingerprint"]: c["role"] for c in answer["certificates"]},
                        {nginx.fingerprint: "root", fingerprint(nginx.issuing_pem): "intermediate"}, style)
            check_equal((tmp / f"{style}.pem").read_text().count("BEGIN CERTIFICATE"), 2, "certificates in the file")


@case("csrattrs: the example of RFC 7030 4.5.2, and the warning that binding is not done")
def csrattrs(tmp):
    est = estuary()
    with NginxEst() as nginx:
        answer = est.json("csrattrs", *reach(nginx), code=0)
        check_equal(answer["wants_binding"], True, "wants_binding")
        check_equal(answer["key_algorithm"], "ec:P-384", "key_algorithm")
        check_equal(len(answer["attributes"]), 4, "attributes")
        est("enroll", *reach(nginx), *user(nginx), "--subject", "CN=device.example", "--csrattrs", "--out",
                     tmp / "out", code=0)
        check_in("ASN1 OID: secp384r1", text_of(tmp / "out/cert.pem"), "key")
        check_folder(tmp / "out", nginx.root_pem)


@case("enroll with Basic: asked first; the server kept what DIR holds")
def enroll(tmp):
    est = estuary()
    with NginxEst() as nginx:
        answer = est.json("enroll", *reach(nginx), *user(nginx), "--subject", "CN=device.example,O=Example", "--san",
                          "dns:device.example", "--san", "ip:192.0.2.7", "--out", tmp / "out", code=0)
        check_folder(tmp / "out", nginx.root_pem)
        text = text_of(tmp / "out/cert.pem")
        check_in("Subject: O = Example, CN = device.example", text, "subject")
        check_in("DNS:device.example, IP Address:192.0.2.7", text, "subjectAltName")
        kept = nginx.issued / f"{serial_number(tmp / 'out/cert.pem')}.pem"
        check_equal(kept.read_text().split(), (tmp / "out/cert.pem").read_text().split(), "the server's copy")
        seen = requests(nginx, 3)
        check_equal([(r["method"], r["status"], r["authorization"]) for r in seen if r["method"] == "POST"],
                    [("POST", 401, "none"), ("POST", 200, "present")], "POSTs")
        check_equal(answer["operation"], "simpleenroll", "operation")


@case("every key algorithm that openssl ca certifies")
def algorithms(tmp):
    est = estuary()
    with NginxEst() as nginx:
        for algorithm in ("ec:P-256", "ec:P-521", "rsa:2048", "ed25519", "ed448"):
            out = tmp / algorithm.replace(":", "-")
            est("enroll", *reach(nginx), *user(nginx), "--subject", "CN=device.example", "--new-key", algorithm,
                "--out", out, code=0)
            check_folder(out, nginx.root_pem)


@case("reenroll with the certificate as TLS client identity; no password")
def reenroll(tmp):
    est = estuary()
    with NginxEst() as nginx:
        out = tmp / "out"
        est("enroll", *reach(nginx), *user(nginx), "--subject", "CN=device.example", "--san", "dns:device.example",
            "--out", out, code=0)
        key, serial, before = key_of(out / "key.pem"), serial_number(out / "cert.pem"), len(requests(nginx, 3))
        for _ in range(2):
            est("reenroll", *reach(nginx), "--cert", out / "cert.pem", "--key", out / "key.pem", "--out", out, code=0)
            check_folder(out, nginx.root_pem)
            check(serial_number(out / "cert.pem") != serial, "a new certificate")
            check(key_of(out / "key.pem") != key, "a new key")
            check_in("DNS:device.example", text_of(out / "cert.pem"), "subjectAltName")
            key, serial = key_of(out / "key.pem"), serial_number(out / "cert.pem")
        seen = requests(nginx, before + 4)[before:]
        check_equal([(r["uri"], r["status"], r["client"], r["authorization"]) for r in seen if r["method"] == "POST"],
                    [("/.well-known/est/simplereenroll", 200, "SUCCESS", "none")] * 2, "POSTs")


@case("the label that exists, and one that does not: exit 8, nothing written")
def label(tmp):
    est = estuary()
    with NginxEst() as nginx:
        est("enroll", *reach(nginx), *user(nginx), "--subject", "CN=device.example", "--label", nginx.label, "--out",
            tmp / "out", code=0)
        check_folder(tmp / "out", nginx.root_pem)
        check_equal({r["uri"] for r in requests(nginx, 2) if r["method"] == "POST"},
                    {"/.well-known/est/factory/simpleenroll"}, "paths")
        answer = est.json("enroll", *reach(nginx), *user(nginx), "--subject", "CN=device.example", "--label", "other",
                          "--out", tmp / "second", code=8)
        check_equal(answer["error"]["http_status"], 404, "http_status")
        check_equal(answer["error"]["code"], "server.not-found", "code")
        check(not (tmp / "second").exists() and not (tmp / "second.pending").exists(), "nothing written")


@case("a wrong password: exit 6, two POSTs, nothing written")
def wrong_password(tmp):
    est = estuary()
    (tmp / "wrong").write_text("wrong")
    (tmp / "wrong").chmod(0o600)
    with NginxEst() as nginx:
        answer = est.json("enroll", *reach(nginx), "--user", nginx.user, "--password", f"file:{tmp / 'wrong'}",
                          "--subject", "CN=device.example", "--out", tmp / "out", code=6)
        check_equal(answer["error"]["code"], "auth.refused", "code")
        check_equal([r["status"] for r in requests(nginx, 3)], [200, 401, 401], "answers: csrattrs, then the request twice")
        check_equal([p.name for p in tmp.iterdir()], ["wrong"], "files")


def one_version(tmp, protocols, version):
    est = estuary()
    with NginxEst(protocols=protocols) as nginx:
        out = tmp / "out"
        answer = est.json("enroll", *reach(nginx), *user(nginx), "--subject", "CN=device.example", "--out", out, code=0)
        check_equal(answer["tls_version"], version, "tls_version of enroll")
        answer = est.json("reenroll", *reach(nginx), "--cert", out / "cert.pem", "--key", out / "key.pem", "--out", out,
                          code=0)
        check_equal(answer["tls_version"], version, "tls_version of reenroll")
        check_equal({r["tls"] for r in requests(nginx, 4)}, {version}, "what nginx saw")
        check_folder(out, nginx.root_pem)


cases_from({"nginx with TLS 1.2 only": ("TLSv1.2", "TLSv1.2"), "nginx with TLS 1.3 only": ("TLSv1.3", "TLSv1.3")},
           one_version)


if __name__ == "__main__":
    main()
