"""Proves the nginx EST server with curl and openssl alone, so that a failure of Estuary against
it is Estuary's."""

import base64
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE / "nginx_est")]

import harness  # noqa: E402
from harness import (case, check, check_equal, check_in, main, make_csr, make_key, need,  # noqa: E402
                     openssl, run)
from server import NginxEst  # noqa: E402


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def der(self):
        """The decoded body; MIME base64 ignores line ends."""
        return base64.b64decode(b"".join(self.body.split()), validate=True)


def curl(server, tmp, operation, *options, body=None):
    """One request. -q keeps a ~/.curlrc out; the server is always verified against its root."""
    head, content = tmp / "curl-head", tmp / "curl-body"
    for path in (head, content):
        path.unlink(missing_ok=True)
    argv = [need("curl"), "-q", "--silent", "--show-error", "--noproxy", "*", "--max-time", "30",
            "--cacert", server.root_pem, "--dump-header", head, "--output", content,
            "--write-out", "%{http_code}", *options]
    if body is not None:
        argv += ["--data-binary", "@-", "--header", "Content-Type: application/pkcs10"]
    done = run([*argv, f"{server.url}/.well-known/est/{operation}"], input=body, code=0)
    lines = head.read_text().splitlines()
    # after "100 Continue" comes the answer proper
    last = max(i for i, line in enumerate(lines) if line.startswith("HTTP/"))
    headers = {name.strip().lower(): value.strip()
               for name, colon, value in (line.partition(":") for line in lines[last:]) if colon}
    return Answer(int(done.out), headers, content.read_bytes() if content.exists() else b"")


def basic(server):
    """curl options; --config keeps the password out of argv."""
    path = server.dir / "curl-basic"
    if not path.exists():
        harness.write_private(path, f'user = "{server.user}:{server.password_file.read_text()}"\n')
    return "--basic", "--config", path


def request(server, tmp, name="device", subject="/O=Example/CN=device.example", san=None,
            alg="ec:P-256"):
    """(key path, base64 body)"""
    key = make_key(tmp / f"{name}.key", alg)
    csr = make_csr(tmp / f"{name}.csr", key, subject, server.issuing.config,
                   san=("DNS:device.example", "IP:192.0.2.7") if san is None else san)
    return key, base64.b64encode(openssl("req", "-in", csr, "-outform", "DER").raw).decode()


def certificates(answer):
    """The PEM certificates of a certs-only answer."""
    text = openssl("pkcs7", "-inform", "DER", "-print_certs", input=answer.der()).out
    parts = text.split("-----BEGIN CERTIFICATE-----")[1:]
    return ["-----BEGIN CERTIFICATE-----" + part.split("-----END")[0] + "-----END CERTIFICATE-----\n"
            for part in parts]


def enroll(server, tmp, name="device", **options):
    """Enrols with the password: (certificate path, key path, text of the certificate)."""
    key, body = request(server, tmp, name, **options)
    answer = curl(server, tmp, "simpleenroll", *basic(server), body=body)
    check_equal(answer.status, 200, f"status ({answer.body!r})")
    check_equal(answer.headers["content-type"], "application/pkcs7-mime; smime-type=certs-only",
                "Content-Type")
    found = certificates(answer)
    check_equal(len(found), 1, "certificates in the answer")
    cert = tmp / f"{name}.pem"
    cert.write_text(found[0])
    openssl("verify", "-CAfile", server.root_pem, "-untrusted", server.issuing_pem, cert)
    public = openssl("x509", "-in", cert, "-noout", "-pubkey").out
    check_equal(public, openssl("pkey", "-in", key, "-pubout").out, "public key")
    return cert, key, openssl("x509", "-in", cert, "-noout", "-text").out


def client(cert, key):
    return "--cert", cert, "--key", key


@case("nginx: cacerts holds the root and the issuing CA")
def cacerts(tmp):
    with NginxEst() as server:
        answer = curl(server, tmp, "cacerts")
        check_equal(answer.status, 200, "status")
        check_equal(answer.headers["content-type"], "application/pkcs7-mime", "Content-Type")
        check_equal(answer.headers["content-transfer-encoding"], "base64", "transfer encoding")
        check(b"\r\n" in answer.body.rstrip(), "RFC 7030 style sends base64 in lines")
        prints = set()
        for number, pem in enumerate(certificates(answer)):
            path = tmp / f"ca{number}.pem"
            path.write_text(pem)
            prints.add(harness.fingerprint(path))
        check_equal(prints, {server.fingerprint, harness.fingerprint(server.issuing_pem)},
                    "fingerprints")


@case("nginx: RFC 8951 style is one line without Content-Transfer-Encoding")
def rfc8951_style(tmp):
    with NginxEst(style="rfc8951") as server:
        answer = curl(server, tmp, "cacerts")
        check_equal(len(answer.body.split()), 1, "lines")
        check("content-transfer-encoding" not in answer.headers, "no transfer encoding")
        check_equal(len(certificates(answer)), 2, "certificates")


@case("nginx: csrattrs is the example of RFC 7030 4.5.2")
def csrattrs(tmp):
    with NginxEst() as server:
        answer = curl(server, tmp, "csrattrs")
        check_equal(answer.status, 200, "status")
        check_equal(answer.headers["content-type"], "application/csrattrs", "Content-Type")
        check_equal(answer.der().hex(),
                    "3041" "06092a864886f70d010907" "301206072a8648ce3d0201310706052b81040022"
                    "301606092a864886f70d01090e310906072b06010101011606082a8648ce3d040303", "DER")
        listing = openssl("asn1parse", "-inform", "DER", input=answer.der()).out
        check_in("challengePassword", listing)
        check_in("secp384r1", listing)


@case("nginx: enroll with Basic keeps subject and SAN")
def enroll_basic(tmp):
    with NginxEst() as server:
        cert, _, text = enroll(server, tmp)
        check_in("Subject: O = Example, CN = device.example", text)
        check_in("DNS:device.example, IP Address:192.0.2.7", text)
        check_in("CA:FALSE", text)
        check_in("TLS Web Client Authentication", text)
        kept = server.issued / f"{harness.serial_number(cert)}.pem"
        check_equal(kept.read_text().strip(), cert.read_text().strip(), "copy in issued/")
        seen = harness.wait_until(server.requests, what="nginx's access log")
        check_equal([r["status"] for r in seen], [200], "requests")
        check_equal(seen[0]["user"], server.user, "user")
        check_equal(seen[0]["authorization"], "present", "authorization")


@case("nginx: enroll RSA and Ed25519 keys, over the label, with an unusual subject")
def enroll_kinds(tmp):
    with NginxEst() as server:
        for alg in ("rsa:2048", "ED25519"):
            enroll(server, tmp, alg.replace(":", ""), alg=alg,
                   subject="/DC=org/DC=example/serialNumber=77/CN=Gerät/emailAddress=a@example.org")
        _, body = request(server, tmp, "labelled")
        answer = curl(server, tmp, f"{server.label}/simpleenroll", *basic(server), body=body)
        check_equal(answer.status, 200, "status with the label")
        answer = curl(server, tmp, "unknown/simpleenroll", *basic(server), body=body)
        check_equal(answer.status, 404, "status with an unknown label")


@case("nginx: no or wrong credentials get 401 and no certificate")
def refused(tmp):
    with NginxEst() as server:
        _, body = request(server, tmp)
        before = harness.snapshot(server.issued)
        answer = curl(server, tmp, "simpleenroll", body=body)
        check_equal(answer.status, 401, "status")
        check_equal(answer.headers["www-authenticate"], 'Basic realm="EST test"', "challenge")
        wrong = harness.write_private(tmp / "wrong", f'user = "{server.user}:wrong"\n')
        answer = curl(server, tmp, "simpleenroll", "--basic", "--config", wrong, body=body)
        check_equal(answer.status, 401, "status with a wrong password")
        answer = curl(server, tmp, f"{server.label}/simpleenroll", body=body)
        check_equal(answer.status, 401, "status with the label")
        check_equal(harness.snapshot(server.issued), before, "issued/")


@case("nginx: headers of the client's own open nothing")
def forged_headers(tmp):
    with NginxEst() as server:
        cert, _, _ = enroll(server, tmp)
        _, body = request(server, tmp, "forger")
        pem = cert.read_text().replace("\n", "%0A")
        forged = ["-H", "X-Client-Verify: SUCCESS", "-H", f"X-Client-Cert: {pem}",
                  "-H", "X-Remote-User: device"]
        check_equal(curl(server, tmp, "simpleenroll", *forged, body=body).status, 401, "enroll")
        # a way past nginx's location, into the script?
        for path in ("simpleenroll/", "simpleenroll?x", "./simpleenroll", "x/../simpleenroll",
                     "simpleenrol%6c", "/simpleenroll"):
            answer = curl(server, tmp, path, "--path-as-is", *forged, body=body)
            check(answer.status in (401, 403, 404), f"{path}: status {answer.status}")
        answer = curl(server, tmp, "simplereenroll", *forged, *basic(server), body=body)
        check_equal(answer.status, 403, "reenroll")


@case("nginx: enroll with a certificate instead of a password")
def enroll_certificate(tmp):
    with NginxEst() as server:
        cert, key, _ = enroll(server, tmp)
        _, body = request(server, tmp, "second", subject="/CN=second")
        answer = curl(server, tmp, "simpleenroll", *client(cert, key), body=body)
        check_equal(answer.status, 200, "status")
        harness.wait_until(lambda: len(server.requests()) == 2, what="nginx's access log")
        check_equal(server.requests()[-1]["client"], "SUCCESS", "verification")


@case("nginx: reenroll with mTLS, TLS 1.2 and TLS 1.3")
def reenroll(tmp):
    with NginxEst() as server:
        cert, key, _ = enroll(server, tmp)
        versions = {"TLSv1.2": ["--tls-max", "1.2"], "TLSv1.3": ["--tlsv1.3"]}
        for version, options in versions.items():
            _, body = request(server, tmp, f"new-{version}")
            answer = curl(server, tmp, "simplereenroll", *client(cert, key), *options, body=body)
            check_equal(answer.status, 200, f"status ({answer.body!r})")
            (tmp / "renewed.pem").write_text(certificates(answer)[0])
            openssl("verify", "-CAfile", server.root_pem, "-untrusted", server.issuing_pem,
                    tmp / "renewed.pem")
            check(harness.serial_number(tmp / "renewed.pem") != harness.serial_number(cert),
                  "a new serial number")
        harness.wait_until(lambda: len(server.requests()) == 3, what="nginx's access log")
        check_equal([r["tls"] for r in server.requests()[1:]], list(versions), "TLS versions")


@case("nginx: reenroll refuses another subject, another SAN, and no certificate")
def reenroll_refused(tmp):
    with NginxEst() as server:
        cert, key, _ = enroll(server, tmp)
        issued = harness.snapshot(server.issued)
        _, body = request(server, tmp, "other", subject="/O=Example/CN=other.example")
        answer = curl(server, tmp, "simplereenroll", *client(cert, key), body=body)
        check_equal(answer.status, 400, "status for another subject")
        check_in(b"subject differs", answer.body)
        for number, san in enumerate((("DNS:device.example",), ())):
            _, body = request(server, tmp, f"san{number}", san=san)
            answer = curl(server, tmp, "simplereenroll", *client(cert, key), body=body)
            check_equal(answer.status, 400, "status for another SAN")
            check_in(b"SubjectAltName differs", answer.body)
        _, body = request(server, tmp, "same")
        answer = curl(server, tmp, "simplereenroll", *basic(server), body=body)
        check_equal(answer.status, 403, "status with a password only")
        check_equal(harness.snapshot(server.issued), issued, "issued/")


@case("nginx: a certificate of a strange CA is refused")
def strange_certificate(tmp):
    with NginxEst() as server:
        strange = harness.make_ca(tmp / "strange", "/CN=Strange Root")
        leaf = strange.issue(tmp, "/O=Example/CN=device.example", san=("DNS:device.example",))
        _, body = request(server, tmp)
        for operation in ("simplereenroll", "simpleenroll"):
            answer = curl(server, tmp, operation, *client(leaf.cert, leaf.key), body=body)
            check_equal(answer.status, 400, f"status of {operation}")


@case("nginx: broken requests get a 4xx and no certificate")
def broken_requests(tmp):
    with NginxEst() as server:
        _, body = request(server, tmp)
        der = bytearray(base64.b64decode(body))
        der[-1] ^= 1                            # in the signature
        before = harness.snapshot(server.issued)
        bodies = {"a bad signature": base64.b64encode(der).decode(), "no base64": "*" * 400,
                  "an empty body": "", "no CSR": base64.b64encode(b"nonsense").decode(),
                  "a truncated CSR": base64.b64encode(der[:-9]).decode()}
        for what, text in bodies.items():
            answer = curl(server, tmp, "simpleenroll", *basic(server), body=text)
            check_equal(answer.status, 400, f"status of {what}")
        answer = curl(server, tmp, "simpleenroll", *basic(server), body="A" * 100_000)
        check_equal(answer.status, 413, "status of a huge body")
        answer = curl(server, tmp, "simpleenroll", *basic(server), "-H", "Content-Type: text/plain",
                      "--data-binary", body)
        check_equal(answer.status, 415, "status of another media type")
        check_equal(curl(server, tmp, "simpleenroll", *basic(server)).status, 405, "status of GET")
        check_equal(curl(server, tmp, "serverkeygen", *basic(server), body=body).status, 404,
                    "status of an operation that is not offered")
        check_equal(harness.snapshot(server.issued), before, "issued/")


@case("nginx: twenty enrolments at once get twenty certificates")
def at_once(tmp):
    import concurrent.futures
    with NginxEst() as server:
        basic(server)
        folders = [tmp / str(number) for number in range(20)]
        for folder in folders:
            folder.mkdir()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda folder: enroll(server, folder), folders))
        check_equal(len(list(server.issued.iterdir())), 20, "certificates in issued/")


@case("nginx: nothing is left behind")
def nothing_left(tmp):
    with NginxEst() as server:
        pids = [process.pid for process in server._servers.values()]
        folder = server.dir
    check(not folder.exists(), f"{folder} is still there")
    for pid in pids:
        check(not pathlib.Path(f"/proc/{pid}").exists(), f"process {pid} is still there")


if __name__ == "__main__":
    main()
