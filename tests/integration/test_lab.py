"""The lab by itself, driven by curl and openssl: what other tests rely on when they point Estuary at it.

`test_lab.py [PATH-OF-estuary-lab] [CASE…]`
"""

import base64
import concurrent.futures
import hashlib
import http.client
import os
import pathlib
import re
import socket
import ssl
import sys
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import (Lab, case, check, check_equal, check_in, check_not_in, main, openssl,  # noqa: E402
                     password_file, run, temp_dir)
from lab_client import (CERTS_ONLY, PATH, Device, add_attribute, basic, binary, certificates,  # noqa: E402
                        curl, enrolled, renewal_identifier, tlv, user)


@case("the ready line, the warning and the modes")
def ready(tmp):
    with Lab(binary()) as lab:
        check_in("https://localhost:", lab.url, "url")
        text = openssl("x509", "-in", lab.anchors, "-noout", "-fingerprint", "-sha256").out
        check_equal(text.strip().partition("=")[2], lab.fingerprint, "fingerprint")
        check_in("for trying and testing", lab.stderr(), "stderr")
        check_equal(lab.dir.stat().st_mode & 0o777, 0o700, "mode of the folder")
        for name in ("root.key", "issuing.key", "server.key"):
            check_equal((lab.dir / name).stat().st_mode & 0o777, 0o600, f"mode of {name}")


@case("cacerts: root and issuing CA, wrapped base64, the right headers")
def cacerts(tmp):
    with Lab(binary()) as lab:
        answer = curl(lab, PATH + "cacerts")
        check_equal(answer.status, 200, "status")
        check_equal(answer.header("content-type"), CERTS_ONLY, "Content-Type")
        check_equal(answer.header("content-transfer-encoding"), "base64", "Content-Transfer-Encoding")
        check(all(len(line) <= 76 for line in answer.body.split(b"\r\n")), "lines of at most 76")
        check_equal(len(certificates(answer, tmp)), 2, "certificates")


@case("csrattrs: 204, or the file as DER or base64")
def csrattrs(tmp):
    der = bytes.fromhex("300b0609608648016503040201")
    (tmp / "der").write_bytes(der)
    (tmp / "b64").write_bytes(base64.encodebytes(der))
    with Lab(binary()) as lab:
        check_equal(curl(lab, PATH + "csrattrs").status, 204, "status without a file")
    for name in ("der", "b64"):
        with Lab(binary(), "--csrattrs", str(tmp / name)) as lab:
            answer = curl(lab, PATH + "csrattrs")
            check_equal(answer.header("content-type"), "application/csrattrs", "Content-Type")
            check_equal(base64.b64decode(answer.body), der, "the list")


@case("simpleenroll with Basic, Digest MD5 and Digest SHA-256")
def enroll(tmp):
    device = Device(tmp)
    for scheme, option in (("both", "--basic"), ("both", "--anyauth"), ("digest", "--digest"),
                           ("digest-sha256", "--digest")):
        with Lab(binary(), *user(tmp), "--auth", scheme) as lab:
            enrolled(lab, tmp, option, "-u", "alice:s3cret", device=device)
            text = openssl("x509", "-in", device.cert, "-noout", "-text").out
            check_in("DNS:device.example", text, "certificate")
            check_in("CA:FALSE", text, "certificate")
            check_equal(lab.access_log()[-1]["user"], "alice", "user in the access log")


@case("wrong or no credentials are refused and the challenge is complete")
def refused(tmp):
    device = Device(tmp)
    with Lab(binary(), *user(tmp)) as lab:
        answer = device.post(lab)
        check_equal(answer.status, 401, "status without credentials")
        offered = [value.split()[0] for value in answer.headers["www-authenticate"]]
        check_equal(offered, ["Digest", "Digest", "Basic"], "schemes")
        check_equal(device.post(lab, *basic("wrong")).status, 401, "status of a wrong password")
        check_equal(device.post(lab, "--digest", "-u", "alice:wrong").status, 401, "status of a wrong Digest")
        check_equal(device.post(lab, "--basic", "-u", "bob:s3cret").status, 401, "status of a wrong name")
        check_not_in("s3cret", (lab.dir / "access.log").read_text(), "access log")
    with Lab(binary()) as lab:
        check_equal(device.post(lab).status, 401, "status with no user configured")
    with Lab(binary(), "--auth", "none") as lab:
        check_equal(device.post(lab).status, 403, "status where passwords are not offered")


def digest_answer(challenge, path, count, password="s3cret"):
    nonce = re.search(r'nonce="([^"]+)"', challenge)[1]

    def md5(text):
        return hashlib.md5(text.encode()).hexdigest()

    response = md5(f"{md5(f'alice:estuary-lab:{password}')}:{nonce}:{count:08x}:abc:auth:{md5(f'POST:{path}')}")
    return (f'Digest username="alice", realm="estuary-lab", nonce="{nonce}", uri="{path}", nc={count:08x}, '
            f'cnonce="abc", qop=auth, algorithm=MD5, response="{response}"')


@case("a Digest answer is good once: replayed, its nonce is stale")
def digest_replay(tmp):
    device, path = Device(tmp), PATH + "simpleenroll"
    with Lab(binary(), *user(tmp), "--auth", "digest") as lab:
        answer = digest_answer(device.post(lab).header("www-authenticate"), path, 1)
        check_equal(device.post(lab, "-H", f"Authorization: {answer}").status, 200, "status")
        again = device.post(lab, "-H", f"Authorization: {answer}")
        check_equal(again.status, 401, "status of the replay")
        check_in("stale=true", again.header("www-authenticate"), "challenge")


@case("simplereenroll: the client certificate and its names")
def reenroll(tmp):
    with Lab(binary(), *user(tmp)) as lab:
        device = enrolled(lab, tmp)
        check_equal(device.post(lab, *basic(), operation="simplereenroll").status, 403, "status without certificate")
        answer = device.post(lab, *device.identity(), operation="simplereenroll")
        check_equal(answer.status, 200, "status")
        check_equal(len(certificates(answer, tmp)), 1, "certificates")
        check_in("CN=device", lab.access_log()[-1]["client_subject"], "client in the access log")
        for name, san in (("other", "DNS:device.example"), ("device", "DNS:other.example"), ("device", None)):
            device.request(tmp / "other.der", name, san)
            answer = device.post(lab, *device.identity(), operation="simplereenroll")
            check_equal(answer.status, 400, f"status for {name}, {san}")
            check_in(b"renewed", answer.body, "explanation")
        check_equal(device.post(lab, *device.identity()).status, 200, "simpleenroll with a certificate alone")


def change_subject_name(subject, dns):
    """The attribute of RFC 6402 2.8, in DER."""
    name = tlv(0x30, tlv(0x31, tlv(0x30, bytes.fromhex("0603550403"), tlv(0x0c, subject.encode()))))
    names = tlv(0x30, tlv(0x82, dns.encode()))
    value = tlv(0x30, name if subject else b"", names if dns else b"")
    return tlv(0x30, bytes.fromhex("06082b06010505070724"), tlv(0x31, value))


@case("simplereenroll: ChangeSubjectName asks for other names")
def rename(tmp):
    with Lab(binary(), *user(tmp)) as lab:
        for subject, dns in (("renamed", "renamed.example"), ("renamed", ""), ("", "renamed.example")):
            device = enrolled(lab, tmp)
            add_attribute(device, tmp, change_subject_name(subject, dns))
            answer = device.post(lab, *device.identity(), operation="simplereenroll")
            check_equal(answer.status, 200, "status")
            device.cert.write_text(certificates(answer, tmp)[0])
            text = openssl("x509", "-in", device.cert, "-noout", "-subject", "-ext", "subjectAltName").out
            check_in(f"CN = {subject or 'device'}", text, "subject")
            check_in(dns or "device.example", text, "SubjectAltName")


@case("pending: 202 with Retry-After, counted across a restart, then issued")
def pending(tmp):
    device, options = Device(tmp), [*user(tmp), "--pending", "2", "--retry-after", "7"]
    for _ in range(2):
        with Lab(binary(), *options, dir=tmp / "lab") as lab:
            answer = device.post(lab, *basic())
            check_equal((answer.status, answer.header("retry-after")), (202, "7"), "answer")
    with Lab(binary(), *options, dir=tmp / "lab") as lab:
        enrolled(lab, tmp, device=device)
        check_equal(device.post(lab, *basic()).status, 202, "a new request with the same key")


@case("the issued certificate verifies with the published CRLs and issuer")
def published(tmp):
    with Lab(binary(), *user(tmp)) as lab:
        device = enrolled(lab, tmp)
        text = openssl("x509", "-in", device.cert, "-noout", "-text").out
        for name in ("issuing.crl", "issuing.cer", "root.crl", "root.cer"):
            with urllib.request.urlopen(f"{lab.http}/{name}", timeout=10) as answer:
                (tmp / name).write_bytes(answer.read())
            kind = "crl" if name.endswith("crl") else "x509"
            openssl(kind, "-inform", "DER", "-in", tmp / name, "-out", tmp / f"{name}.pem")
        check_in(f"{lab.http}/crl/issuing.crl", text, "CRL distribution point")
        check_in(f"{lab.http}/issuing.cer", text, "caIssuers")
        openssl("verify", "-CAfile", lab.anchors, "-untrusted", tmp / "issuing.cer.pem", "-crl_check_all",
                "-CRLfile", tmp / "issuing.crl.pem", "-CRLfile", tmp / "root.crl.pem", "-x509_strict",
                "-purpose", "sslclient", device.cert)
        serial = openssl("x509", "-in", device.cert, "-noout", "-serial").out.strip().partition("=")[2]
        check((lab.dir / "issued" / f"{serial}.pem").exists(), f"no copy of {serial}")
        check_in(serial, (lab.dir / "serials.jsonl").read_text(), "serial database")


@case("labels, prefixes, methods and unknown paths")
def paths(tmp):
    with Lab(binary()) as lab:
        check_equal(curl(lab, PATH + "factory-7/cacerts").status, 200, "status with a label")
        check_equal(lab.access_log()[-1]["label"], "factory-7", "label in the access log")
        check_equal(curl(lab, "/pki/lab" + PATH + "cacerts").status, 200, "status with a prefix")
        for path in (PATH + "cacerts/cacerts", PATH + "nothing", PATH, "/", PATH + "a/b/cacerts"):
            check_equal(curl(lab, path).status, 404, f"status of {path}")
        answer = curl(lab, PATH + "simpleenroll")
        check_equal((answer.status, answer.header("allow")), (405, "POST"), "GET of simpleenroll")


@case("a request in any line wrapping is read, a broken one is refused with a reason")
def requests(tmp):
    with Lab(binary(), *user(tmp)) as lab:
        device = Device(tmp)
        der = base64.b64decode(device.csr.read_bytes())
        for wrapped in (base64.b64encode(der), re.sub(rb"(.{64})", rb"\1\r\n", base64.b64encode(der)),
                        b"\r\n" + base64.b64encode(der) + b"\r\n\r\n"):
            device.csr.write_bytes(wrapped)
            check_equal(device.post(lab, *basic()).status, 200, "status")
        tampered = der[:-1] + bytes([der[-1] ^ 1])
        for body in (der, b"", b"hello", base64.b64encode(tampered), base64.b64encode(der + b"\0"),
                     b"x" * 200000):
            device.csr.write_bytes(body)
            check_equal(device.post(lab, *basic()).status, 400, f"status of {body[:20]!r}")
        answer = curl(lab, PATH + "simpleenroll", *basic(), "-H", "Content-Type: text/plain", "-d", "x")
        check_equal(answer.status, 415, "status of another type")
        device.csr.write_bytes(b"x" * 300000)
        check(device.post(lab, *basic()).status in (0, 413), "a body above the limit is not read")


@case("the options: refusals, lifetime, TLS versions, RSA, a CA that stays")
def options(tmp):
    for wrong in (["--user", "alice:s3cret"], ["--misbehave", "nonsense"], ["--listen", "0.0.0.0:0"],
                  ["--listen", "192.0.2.1:0"], ["--misbehave", "wrong-key@cacerts"], ["--lifetime", "0"],
                  ["--tls", "1.1"], ["leftover"]):
        result = run([binary(), "--dir", tmp / "refused", *wrong])
        check_equal((result.code, result.out), (2, ""), f"exit code and stdout of {wrong}")
        check_not_in("s3cret", result.err, "stderr")
    check_equal(run([binary()]).code, 2, "exit code without --dir")
    check_in("--dir", run([binary(), "--help"], code=0).out, "help")
    for version, other in (("1.2", "--tlsv1.3"), ("1.3", "--tls-max")):
        with Lab(binary(), "--tls", version) as lab:
            check_equal(curl(lab, PATH + "cacerts").status, 200, "status")
            check_equal(lab.access_log()[-1]["tls"], f"TLSv{version}", "version in the access log")
            check_equal(curl(lab, PATH + "cacerts", *([other] if version == "1.2" else [other, "1.2"])).code, 35,
                        "curl's exit code with the other version")
    with Lab(binary(), *user(tmp), "--lifetime", "60", "--key-type", "rsa", dir=tmp / "rsa") as lab:
        device = enrolled(lab, tmp)
        openssl("x509", "-in", device.cert, "-noout", "-checkend", "90", code=1)
        openssl("x509", "-in", device.cert, "-noout", "-checkend", "5")
        second = run([binary(), "--dir", tmp / "rsa"])
        check_equal(second.code, 1, "exit code of a second lab on the same folder")
        before = lab.fingerprint, lab.http
    with Lab(binary(), dir=tmp / "rsa") as lab:
        check_equal((lab.fingerprint, lab.http), before, "fingerprint and port after a restart")


@case("IPv6 and another loopback address")
def addresses(tmp):
    for listen, url in (("127.0.0.5:0", "https://127.0.0.5:"), ("[::1]:0", "https://[::1]:")):
        with Lab(binary(), listen=listen) as lab:
            check_in(url, lab.url, "url")
            check_equal(curl(lab, PATH + "cacerts").status, 200, "status")


@case("kept-alive connections, and close_notify after Connection: close")
def connections(tmp):
    with Lab(binary()) as lab:
        context = ssl.create_default_context(cafile=lab.anchors)
        port = int(lab.url.rsplit(":", 1)[1])
        kept = http.client.HTTPSConnection("localhost", port, context=context, timeout=10)
        for _ in range(3):
            kept.request("GET", PATH + "cacerts")
            check_equal(len(kept.getresponse().read()) > 0, True, "a body")
        kept.close()
        check_equal(len({line["connection"] for line in lab.access_log()}), 1, "connections")
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False) as tls:
                tls.sendall(f"GET {PATH}cacerts HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                while tls.recv(4096):     # an end without close_notify raises SSLEOFError
                    pass


# --- misbehaviours -------------------------------------------------------------------------------

# What curl makes of it: its exit code (0: an answer), where that differs from a good answer.
CURL_SAYS = {
    **dict.fromkeys(("tls-expired", "tls-not-yet-valid", "tls-wrong-host", "tls-partial-wildcard",
                     "tls-ra-other-host-no-cmcra", "tls-cmcra-other-host", "tls-wrong-eku", "tls-unknown-issuer",
                     "tls-self-signed", "tls-weak-key", "tls-sha1-signature", "tls-unknown-critical-extension",
                     "tls-missing-intermediate", "tls-expired-intermediate", "tls-not-ca-intermediate",
                     "tls-name-constraints"), {60}),
    **dict.fromkeys(("tls-bad-signature", "tls-1.1-only", "tls-null-cipher", "tls-anon-only", "tls-plain-http",
                     "tls-alert", "tls-close-in-handshake"), {35, 60}),
    **dict.fromkeys(("tls-stall-in-handshake", "slow-drip", "stall", "oversize-chunked"), {28}),
    **dict.fromkeys(("truncated-body", "close-mid-body"), {18}),
    **dict.fromkeys(("garbage-status-line", "http-0.9"), {1}),
    "tls-require-client-cert": {55, 56}, "negative-length": {8}, "bad-chunk": {56}, "long-header": {27, 56},
    **dict.fromkeys(("rollover-stranger", "rollover-expired", "rollover-not-ca", "rollover-weak-signature",
                     "rollover-missing", "rollover-not-sent"), {35, 60}),
    "digest-stale-always": {0, 28, 47},
    "close-before-response": {52}, "reset": {56}, "100-continue-flood": {56}, "header-flood": {0, 56},
}


def misbehaviours():
    lines = run([binary(), "--list-misbehaviours"], code=0).out.splitlines()
    return dict(line.split("\t") for line in lines)


def first_operation(name, about):
    if name == "issued-same-as-old-key":
        return "simplereenroll"
    for prefix, operation in (("csrattrs", "csrattrs"), ("keygen-", "serverkeygen"), ("multipart-", "serverkeygen"),
                              ("renewal-info", "renewal-info"), ("rollover", "cacerts")):
        if name.startswith(prefix):
            return operation
    enrolling = name.startswith(("issued", "202-", "pop-", "digest-")) or "issued" in about \
        or "request's key" in about
    return "simpleenroll" if enrolling else "cacerts"


def expected_status(name, about):
    if name.startswith("redirect-"):
        return 307
    if name == "csrattrs-404-body":
        return 404
    if name.startswith("digest-"):
        return 200 if about.startswith("harmless") else 401
    number = re.match(r"(\d{3})($|-)", name)
    return int(number[1]) if number and number[1] != "100" else 200


def ask(lab, operation, name, device, patience):
    """One request as somebody would make it who meets this misbehaviour."""
    if name.startswith("digest-"):
        return device.post(lab, "--digest", "-u", "alice:s3cret", timeout=2 if "always" in name else patience)
    if operation in ("simpleenroll", "simplereenroll", "serverkeygen"):
        identity = device.identity() if device.cert.exists() else []
        return device.post(lab, *basic(), *identity, operation=operation, timeout=patience)
    if operation == "renewal-info":
        operation += "/" + device.identifier
    return curl(lab, PATH + operation, timeout=patience)


def try_one(name, about, lab, device):
    """Asks once at the port of this misbehaviour; did it show in an answer?"""
    operation = first_operation(name, about)
    patience = 2 if 28 in CURL_SAYS.get(name, ()) else 30
    answer = ask(lab, operation, name, device, patience)
    check(answer.code in CURL_SAYS.get(name, {0}), f"{name}: curl's exit code is {answer.code}")
    if answer.code == 0:
        check_equal(answer.status, expected_status(name, about), f"{name}: status")
    if about.startswith("harmless") and answer.status == 200 and operation in ("cacerts", "simpleenroll"):
        with temp_dir() as out:
            check(certificates(answer, out), f"{name}: openssl finds no certificate")
    return answer.code == 0 and not name.startswith(OF_ITS_OWN + ("tls-", "pop-"))


def try_by_itself(name, about):
    with Lab(binary(), "--misbehave", name) as lab:
        try_one(name, about, lab, None)


# only a CMC request or a check of revocation meets these
ELSEWHERE = ("cmc-", "ocsp-", "crl-", "staple-")
# these spoil the CA itself
OF_ITS_OWN = ("rollover-",)


@case("every misbehaviour starts, shows, and stops with 0")
def all_misbehaviours(tmp):
    known = {name: about for name, about in misbehaviours().items() if not name.startswith(ELSEWHERE)}
    check(len(known) > 240, f"only {len(known)} misbehaviours")
    check_equal(set(CURL_SAYS) - set(known), set(), "names in this table that the lab does not know")
    together = [name for name in known if not name.startswith(OF_ITS_OWN)]
    with Lab(binary(), *user(tmp), also=together) as lab, concurrent.futures.ThreadPoolExecutor(3) as pool:
        device = enrolled(lab, tmp)
        device.identifier = renewal_identifier(device.cert)
        # the lab counts for each key how often it was told to wait
        keys = {name: Device(tmp, name) for name in together if name.startswith("202-")}
        tasks = {name: pool.submit(try_one, name, known[name], lab.at(name), keys.get(name, device))
                 for name in together}
        tasks |= {name: pool.submit(try_by_itself, name, known[name]) for name in known if name not in tasks}
        failures = [f"{name}: {task.exception()}" for name, task in tasks.items() if task.exception()]
        check(not failures, "\n".join(failures))
        seen = {(line["port"], line["misbehaved"]) for line in lab.access_log()}
    silent = [name for name, task in tasks.items() if task.result() and (lab.at(name).port, name) not in seen]
    check_equal(silent, [], "answers whose line in the access log does not name the misbehaviour")
    strays = {name for port, name in seen if name and lab.at(name).port != port}
    check_equal(strays, set(), "misbehaviours at another port than their own")


@case("--also: the first port stays honest; what cannot have a port of its own is refused")
def also(tmp):
    for wrong in (["rollover-missing"], ["nonsense"], ["wrong-key@cacerts"], ["204", "--also", "204"]):
        result = run([binary(), "--dir", tmp / "refused", "--also", *wrong])
        check_equal((result.code, result.out), (2, ""), f"exit code and stdout of {wrong}")
    with Lab(binary(), "--misbehave", "tls-expired", also=["404@csrattrs", "tls-alert"]) as lab:
        check_equal(curl(lab, PATH + "cacerts").code, 60, "curl's exit code at the first port")
        check_equal(curl(lab.at("404@csrattrs"), PATH + "cacerts").status, 200, "status of cacerts")
        check_equal(curl(lab.at("404@csrattrs"), PATH + "csrattrs").status, 404, "status of csrattrs")
        check_equal(curl(lab.at("tls-alert"), PATH + "cacerts").code, 35, "curl's exit code with an alert")


@case("a misbehaviour can be confined to one operation")
def confined(tmp):
    with Lab(binary(), "--misbehave", "redirect-elsewhere@simpleenroll", "--misbehave", "204@csrattrs") as lab:
        check_equal(curl(lab, PATH + "cacerts").status, 200, "status of cacerts")
        answer = Device(tmp).post(lab)
        check_equal(answer.status, 307, "status of simpleenroll")
        check_in("https://other.example/", answer.header("location"), "Location")


if __name__ == "__main__":
    if len(sys.argv) > 1 and os.access(sys.argv[1], os.X_OK) and os.path.isfile(sys.argv[1]):
        os.environ["ESTUARY_LAB"] = os.path.abspath(sys.argv.pop(1))
    main()
