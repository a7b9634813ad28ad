"""The lab's OCSP responder, CRLs and staples, judged by openssl and curl: clients that share nothing with ours.

`test_lab_revocation.py [CASE…]`
"""

import base64
import pathlib
import re
import select
import socket
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import (Lab, case, check, check_equal, check_in, check_not_in, main, need, openssl,  # noqa: E402
                     run, serial_number)
from lab_client import binary, enrolled, user  # noqa: E402


def fetch(url, data=None, headers=None):
    """(status, headers, body)"""
    request = urllib.request.Request(url, data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def ocsp(lab, cert, *options, issuer="issuing.pem", code=0):
    """What the openssl command thinks of the lab's response, in one text."""
    result = openssl("ocsp", *options, "-issuer", lab.dir / issuer, "-cert", cert, "-url", f"{lab.http}/ocsp",
                     "-CAfile", lab.anchors, code=code)
    return result.out + result.err


def pem(kind, der):
    return f"-----BEGIN {kind}-----\n{base64.encodebytes(der).decode()}-----END {kind}-----\n"


def crl(lab, tmp, name):
    """Fetches /crl/NAME.crl as a PEM file."""
    status, headers, der = fetch(f"{lab.http}/crl/{name}.crl")
    check_equal((status, headers["Content-Type"]), (200, "application/pkix-crl"), f"answer of {name}.crl")
    path = tmp / f"{name}.crl.pem"
    path.write_text(pem("X509 CRL", der))
    return path


def crl_text(path):
    return openssl("crl", "-in", path, "-noout", "-text").out


def crl_number(path):
    return int(re.search(r"CRL Number: \n +(\d+)", crl_text(path))[1])


def verify(lab, tmp, cert, *options, names=("issuing", "root"), code=0):
    """Path validation with the published CRLs."""
    files = [part for name in names for part in ("-CRLfile", crl(lab, tmp, name))]
    result = openssl("verify", "-CAfile", lab.anchors, "-untrusted", lab.dir / "issuing.pem", "-crl_check_all",
                     "-x509_strict", *files, *options, cert, code=code)
    return result.out + result.err


@case("good, then revoked: OCSP with SHA-1 and SHA-256, nonce and delegated signer; CRL")
def good_then_revoked(tmp):
    with Lab(binary(), *user(tmp)) as lab:
        device = enrolled(lab, tmp)
        serial = serial_number(device.cert)
        text = openssl("x509", "-in", device.cert, "-noout", "-text").out
        check_in(f"OCSP - URI:{lab.http}/ocsp", text, "AIA")
        check_in(f"{lab.http}/crl/issuing.crl", text, "CRL distribution point")
        for digest in ("-sha1", "-sha256"):
            answer = ocsp(lab, device.cert, digest)
            check_in("Response verify OK", answer, f"answer with {digest}")
            check_in(f"{device.cert}: good", answer, f"answer with {digest}")
            check_not_in("WARNING: no nonce", answer, f"answer with {digest}")
        check_in(f"{device.cert}: OK", verify(lab, tmp, device.cert), "openssl verify")
        said = lab.revoke(serial, "--reason", "keyCompromise").out
        check_in(f"revoked {serial} (/CN=device)", said, "stdout of revoke")
        check_in("reason keyCompromise", said, "stdout of revoke")
        answer = ocsp(lab, device.cert, "-resp_text")
        for part in (": revoked", "Reason: keyCompromise", "CN = Estuary Lab OCSP Responder", "OCSP Nonce",
                     "OCSP No Check", "Response verify OK"):
            check_in(part, answer, "answer")
        check_in("certificate revoked", verify(lab, tmp, device.cert, code=2), "openssl verify")
        listed = crl_text(tmp / "issuing.crl.pem")
        check_in(f"Serial Number: {serial}", listed, "CRL")
        check_in("Key Compromise", listed, "CRL")
        check(serial not in crl_text(tmp / "root.crl.pem"), "the root's CRL is about the root's certificates")


@case("unknown, unauthorized, malformed: what the lab does not answer for")
def not_ours(tmp):
    with Lab(binary(), *user(tmp)) as lab:
        answer = openssl("ocsp", "-issuer", lab.dir / "issuing.pem", "-serial", "0x1234", "-url",
                         f"{lab.http}/ocsp", "-CAfile", lab.anchors)
        check_in("0x1234: unknown", answer.out, "a serial number nobody issued")
        # the issuing CA's certificate has the root as issuer, not the issuing CA
        serial = serial_number(lab.dir / "issuing.pem")
        answer = openssl("ocsp", "-issuer", lab.dir / "issuing.pem", "-serial", f"0x{serial}", "-url",
                         f"{lab.http}/ocsp", "-CAfile", lab.anchors)
        check_in(f"0x{serial}: unknown", answer.out, "a serial number of another issuer")
        own = tmp / "own.pem"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                tmp / "own.key", "-subj", "/CN=Somebody", "-out", own)
        answer = openssl("ocsp", "-issuer", own, "-cert", own, "-url", f"{lab.http}/ocsp", "-noverify", code=1)
        check_in("unauthorized (6)", answer.out + answer.err, "another issuer")
        typed = {"Content-Type": "application/ocsp-request"}
        for data, headers in ((b"hello", typed), (b"\x30\x03\x30\x01\x00", typed), (b"", typed),
                              (b"hello", {"Content-Type": "text/plain"})):
            check_equal(fetch(f"{lab.http}/ocsp", data, headers)[::2], (200, bytes.fromhex("30030a0101")),
                        f"malformedRequest for {data!r}")
        check_equal(fetch(f"{lab.http}/ocsp/AAAA")[2], bytes.fromhex("30030a0101"), "GET of no request")
        check_equal(fetch(f"{lab.http}/ocsptopus")[0], 404, "another path")


@case("OCSP by GET, as RFC 6960 A.1.1 has it, and several questions at once")
def by_get(tmp):
    with Lab(binary(), *user(tmp)) as lab:
        device = enrolled(lab, tmp)
        request, response = tmp / "request.der", tmp / "response.der"
        openssl("ocsp", "-issuer", lab.dir / "issuing.pem", "-cert", device.cert, "-cert", lab.dir / "server.pem",
                "-serial", "77", "-reqout", request)
        path = urllib.parse.quote(base64.b64encode(request.read_bytes()).decode(), safe="")
        status, headers, body = fetch(f"{lab.http}/ocsp/{path}")
        check_equal((status, headers["Content-Type"]), (200, "application/ocsp-response"), "answer")
        response.write_bytes(body)
        text = openssl("ocsp", "-no_nonce", "-reqin", request, "-respin", response, "-issuer", lab.dir / "issuing.pem",
                       "-cert", device.cert, "-cert", lab.dir / "server.pem", "-serial", "77", "-CAfile",
                       lab.anchors).out
        for part in (f"{device.cert}: good", f"{lab.dir / 'server.pem'}: good", "77: unknown"):
            check_in(part, text, "answer")


@case("the CA may sign OCSP responses itself; lifetimes are the options'")
def direct(tmp):
    options = "--ocsp-signer", "ca", "--ocsp-lifetime", "0", "--crl-lifetime", "60", "--key-type", "rsa"
    with Lab(binary(), *user(tmp), *options) as lab:
        device = enrolled(lab, tmp)
        answer = ocsp(lab, device.cert, "-resp_text")
        check_in("CN = Estuary Lab Issuing CA\n", answer.partition("Responder Id: ")[2], "responder")
        check_not_in("Next Update", answer, "answer")
        check_in("sha256WithRSAEncryption", answer, "answer")
        check_in("Response verify OK", answer, "answer")
        verify(lab, tmp, device.cert)
        dates = openssl("crl", "-in", tmp / "issuing.crl.pem", "-noout", "-lastupdate", "-nextupdate").out
        first, last = (ssl.cert_time_to_seconds(line.partition("=")[2]) for line in dates.splitlines())
        check_equal(last - first, 60, "lifetime of the CRL")


@case("the issuing CA's own certificate: OCSP by the root's delegate, the root's CRL")
def the_ca(tmp):
    with Lab(binary(), *user(tmp)) as lab:
        device = enrolled(lab, tmp)
        issuing = lab.dir / "issuing.pem"
        answer = ocsp(lab, issuing, "-resp_text", issuer="root.pem")
        check_in(f"{issuing}: good", answer, "answer")
        check_in("CN = Estuary Lab Root OCSP Responder", answer, "answer")
        text = openssl("x509", "-in", issuing, "-noout", "-ext", "authorityInfoAccess,crlDistributionPoints").out
        for part in (f"{lab.http}/ocsp", f"{lab.http}/root.cer", f"{lab.http}/crl/root.crl"):
            check_in(part, text, "extensions of the issuing CA")
        lab.revoke(serial_number(issuing), "--reason", "cACompromise")
        check_in("Reason: cACompromise", ocsp(lab, issuing, issuer="root.pem"), "answer")
        check_in("error 23 at 1 depth", verify(lab, tmp, device.cert, code=2), "openssl verify")


@case("without --delta a CRL is made anew at once, with a number that grows, and a delta that agrees")
def complete(tmp):
    with Lab(binary(), *user(tmp)) as lab:
        device = enrolled(lab, tmp)
        before = crl_number(crl(lab, tmp, "issuing"))
        check_not_in("Freshest", crl_text(tmp / "issuing.crl.pem"), "CRL")
        lab.revoke(serial_number(device.cert))
        after = crl_number(crl(lab, tmp, "issuing"))
        check(after > before, f"CRL number {after} after {before}")
        delta = crl_text(crl(lab, tmp, "issuing-delta"))
        check_in(f"Delta CRL Indicator: critical\n                {after}", delta, "base of the delta CRL")
        check_in("No Revoked Certificates", delta, "delta CRL")
        check_equal(crl_number(tmp / "issuing-delta.crl.pem"), after, "number of a delta CRL that adds nothing")


@case("with --delta news is in the delta CRL only, and a hold that is released comes off")
def delta(tmp):
    with Lab(binary(), *user(tmp), dir=tmp / "lab") as lab:
        held = enrolled(lab, tmp)
        lab.revoke(serial_number(held.cert), "--reason", "certificateHold")
    with Lab(binary(), *user(tmp, "another"), "--delta", dir=tmp / "lab") as lab:
        (tmp / "b").mkdir()
        device = enrolled(lab, tmp / "b", "--basic", "-u", "alice:another")
        lab.revoke(serial_number(device.cert))
        base = crl_text(crl(lab, tmp, "issuing"))
        check_not_in(serial_number(device.cert), base, "base CRL")
        check_in(serial_number(held.cert), base, "base CRL")
        check_in(f"Freshest CRL: \n                Full Name:\n                  URI:{lab.http}/crl/issuing-delta.crl",
                 base, "base CRL")
        check_in(": OK", verify(lab, tmp, device.cert), "openssl verify with the base alone")
        # RFC 5280 5.2.4: the independent client puts both together
        deltas = "-extended_crl", "-use_deltas"
        names = ("issuing", "root", "issuing-delta", "root-delta")
        check_in("certificate revoked", verify(lab, tmp, device.cert, *deltas, names=names, code=2), "with the delta")
        check_in("certificate revoked", verify(lab, tmp, held.cert, *deltas, names=names, code=2), "on hold")
        check_in("released", lab.revoke(serial_number(held.cert), "--reason", "removeFromCRL").out, "stdout")
        check_in(": OK", verify(lab, tmp, held.cert, *deltas, names=names), "released")
        check_in("Remove From CRL", crl_text(tmp / "issuing-delta.crl.pem"), "delta CRL")
        check(crl_number(tmp / "issuing-delta.crl.pem") > crl_number(tmp / "issuing.crl.pem"), "one sequence")
        check_in(": good", ocsp(lab, held.cert), "OCSP after the release")


@case("conditional GET by curl: 304 until something is revoked")
def conditional(tmp):
    need("curl")
    with Lab(binary(), *user(tmp)) as lab:
        device = enrolled(lab, tmp)
        etag, stamp, body = tmp / "etag", tmp / "stamp", tmp / "body"

        def get(*options):
            return run(["curl", "-sS", "-o", body, "-w", "%{http_code}", *options,
                        f"{lab.http}/crl/issuing.crl"], code=0).out
        check_equal(get("--etag-save", etag), "200", "first")
        check_equal(get("--etag-compare", etag), "304", "with the ETag")
        headers = fetch(f"{lab.http}/crl/issuing.crl")[1]
        stamp = headers["Last-Modified"]
        check_equal(get("-H", f"If-Modified-Since: {stamp}"), "304", "with the date")
        check_equal(get("-H", "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT"), "200", "with an old date")
        check_equal(get("-H", 'If-None-Match: "other"', "-H", f"If-Modified-Since: {stamp}"), "200",
                    "another ETag decides, whatever the date")
        lab.revoke(serial_number(device.cert))
        check_equal(get("--etag-compare", etag), "200", "after a revocation")


@case("revoke: what it says, and what it refuses")
def command(tmp):
    with Lab(binary(), *user(tmp)) as lab:
        device = enrolled(lab, tmp)
        serial = serial_number(device.cert)

        def revoke(*args, code):
            result = run([binary(), "--dir", lab.dir, *args]).expect(code)
            return result.err if code else result.out
        check_in("no certificate with the serial number 1234", revoke("revoke", "1234", code=1), "stderr")
        check_in("keyCompromise", revoke("revoke", serial, "--reason", "whim", code=2), "stderr")
        check_in("hexadecimal", revoke("revoke", "device", code=2), "stderr")
        check_in("one serial number", revoke("revoke", code=2), "stderr")
        check_in("unexpected argument", revoke("unrevoke", serial, code=2), "stderr")
        check_in("belongs to revoke", revoke("--reason", "superseded", code=2), "stderr")
        check_in("not on hold", revoke("revoke", serial, "--reason", "removeFromCRL", code=1), "stderr")
        written = ":".join(serial[i:i + 2] for i in range(0, len(serial), 2)).lower()
        check_in(f"revoked {serial}", revoke("revoke", written, "--reason", "unspecified", code=0), "stdout")
        check_not_in("Reason", ocsp(lab, device.cert), "RFC 5280 5.3.1: no reason instead of unspecified")
        check_in(f'{{"serial":"{serial}","status":"revoked"}}\n', (lab.dir / "serials.jsonl").read_text(), "serials")
        check_in("was revoked already", revoke("revoke", serial, "--reason", "superseded", code=0), "stdout")
        check_not_in("superseded", ocsp(lab, device.cert), "the first word stands")
        check_equal((lab.dir / "revoked" / f"{serial}.pem").stat().st_mode & 0o777, 0o600, "mode of the record")


@case("what was revoked stays so when the lab starts again")
def restart(tmp):
    with Lab(binary(), *user(tmp), dir=tmp / "lab") as lab:
        device = enrolled(lab, tmp)
        lab.revoke(serial_number(device.cert))
        number = crl_number(crl(lab, tmp, "issuing"))
    with Lab(binary(), dir=tmp / "lab") as lab:
        check_in(": revoked", ocsp(lab, device.cert), "OCSP")
        check(crl_number(crl(lab, tmp, "issuing")) > number, "the CRL number grows")
        check_in(serial_number(device.cert), crl_text(tmp / "issuing.crl.pem"), "CRL")


@case("stapling, TLS 1.2 and 1.3, and must-staple")
def staple(tmp):
    def hello(lab, version):
        port = lab.url.rsplit(":", 1)[1]
        return openssl("s_client", "-connect", f"localhost:{port}", "-status", "-CAfile", lab.anchors, version,
                       input="Q\n").out
    with Lab(binary(), "--must-staple") as lab:
        check_in("TLS Feature", openssl("x509", "-in", lab.dir / "server.pem", "-noout", "-text").out, "certificate")
        for version in ("-tls1_2", "-tls1_3"):
            text = hello(lab, version)
            check_in("OCSP Response Status: successful", text, f"staple with {version}")
            check_in("Cert Status: good", text, f"staple with {version}")
            check_in(serial_number(lab.dir / "server.pem"), text, f"staple with {version}")
        lab.revoke(serial_number(lab.dir / "server.pem"))
        check_in("Cert Status: revoked", hello(lab, "-tls1_3"), "staple after revoke")
    with Lab(binary()) as lab:
        check_in("no response sent", hello(lab, "-tls1_3"), "without --staple")
        check_not_in("TLS Feature", openssl("x509", "-in", lab.dir / "server.pem", "-noout", "-text").out, "certificate")


@case("a rollover: both generations have their responder and their CRLs")
def rollover(tmp):
    with Lab(binary(), *user(tmp), dir=tmp / "lab") as lab:
        old = enrolled(lab, tmp)
    with Lab(binary(), "--rollover", dir=tmp / "lab") as lab:
        server = lab.dir / "server.pem"
        check_in(": good", ocsp(lab, old.cert), "the old CA's certificate")
        new = openssl("ocsp", "-issuer", lab.dir / "issuing-new.pem", "-cert", server, "-url", f"{lab.http}/ocsp",
                      "-CAfile", lab.dir / "anchors-new.pem")
        check_in(": good", new.out, "the new CA's certificate")
        check_in("Response verify OK", new.err, "the new CA's responder")
        lab.revoke(serial_number(old.cert))
        lab.revoke(serial_number(server))
        check_in(serial_number(old.cert), crl_text(crl(lab, tmp, "issuing")), "old CRL")
        check_not_in(serial_number(old.cert), crl_text(crl(lab, tmp, "issuing-new")), "new CRL")
        check_in(serial_number(server), crl_text(tmp / "issuing-new.crl.pem"), "new CRL")


@case("DIR/misbehave switches a running lab, and the access log tells")
def switched(tmp):
    with Lab(binary(), *user(tmp)) as lab:
        device = enrolled(lab, tmp)
        (lab.dir / "misbehave").write_text("ocsp-try-later crl-404\n")
        check_in("trylater (3)", ocsp(lab, device.cert, code=None), "OCSP")
        check_equal(lab.evidence_log()[-1]["misbehaved"], "ocsp-try-later", "access log")
        check_equal(fetch(f"{lab.http}/crl/issuing.crl")[0], 404, "status of the CRL")
        (lab.dir / "misbehave").unlink()
        check_in(": good", ocsp(lab, device.cert), "OCSP, honest again")
        check_equal(lab.evidence_log()[-1]["misbehaved"], None, "access log")
    with Lab(binary(), "--misbehave", "ocsp-unauthorized") as lab:
        check_in("unauthorized (6)", ocsp(lab, lab.dir / "issuing.pem", issuer="root.pem", code=None), "OCSP")


# --- misbehaviours -------------------------------------------------------------------------------

def raw_get(lab, path, patience):
    """What arrives within patience seconds, at most 256 KiB: the lies are not for an HTTP library."""
    port = int(lab.http.rsplit(":", 1)[1])
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
        peer.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        deadline = time.monotonic() + patience
        while len(got) < 256 * 1024 and (left := deadline - time.monotonic()) > 0:
            if not select.select([peer], [], [], left)[0]:
                break
            piece = peer.recv(65536)
            if not piece:
                break
            got += piece
    return got


@case("every misbehaviour of revocation starts, shows, and stands in the access log")
def all_misbehaviours(tmp):
    lines = run([binary(), "--list-misbehaviours"], code=0).out.splitlines()
    names = [line.split("\t")[0] for line in lines if line.startswith(("ocsp-", "crl-"))]
    check(len(names) >= 100, f"only {len(names)} misbehaviours")
    with Lab(binary(), *user(tmp), "--delta") as lab:
        device = enrolled(lab, tmp)
        request = tmp / "request.der"
        openssl("ocsp", "-issuer", lab.dir / "issuing.pem", "-cert", device.cert, "-reqout", request)
        asked = "/ocsp/" + urllib.parse.quote(base64.b64encode(request.read_bytes()).decode(), safe="")
        for name in names:
            path = asked if name.startswith("ocsp-") else \
                "/crl/issuing-delta.crl" if name.startswith("crl-delta-") else "/crl/issuing.crl"
            (lab.dir / "misbehave").write_text(name + "\n")
            got = raw_get(lab, path, 0.3 if name.endswith(("stall", "drip", "oversize", "endless")) else 10)
            check_equal(lab.evidence_log()[-1]["misbehaved"], name, "access log")
            (lab.dir / "misbehave").unlink()
            honest = raw_get(lab, path, 10)
            check_in(b"200 OK", honest, f"answer after {name}")
            check(got != honest, f"{name} changes nothing")
            check(not got.startswith(b"HTTP/1.1 500") or name.endswith("-500"), f"{name} is not made: {got!r}")


@case("staples go wrong too, and a must-staple certificate comes without one")
def wrong_staples(tmp):
    shown = {"staple-missing": "no response sent", "staple-garbage": "response parse error",
             "staple-try-later": "trylater (0x3)", "staple-revoked": "Cert Status: revoked",
             "staple-unknown": "Cert Status: unknown", "staple-wrong-certificate": "Lab Root OCSP Responder",
             "staple-wrong-signer": "Somebody's Responder"}
    with Lab(binary(), "--must-staple") as lab:
        port = lab.url.rsplit(":", 1)[1]
        for name, part in shown.items():
            (lab.dir / "misbehave").write_text(name + "\n")
            text = openssl("s_client", "-connect", f"localhost:{port}", "-status", input="Q\n", code=None)
            check_in(part, text.out + text.err, name)


if __name__ == "__main__":
    main()
