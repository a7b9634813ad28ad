"""The lab's --require-pop, driven by openssl and Python's TLS: the binding is right from both ends (T10)."""

import base64
import os
import pathlib
import re
import socket
import ssl
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import Lab, case, check, check_equal, check_in, main, openssl  # noqa: E402
from lab_client import PATH, Device, basic, binary, curl, user  # noqa: E402

AUTHORIZATION = "Basic " + base64.b64encode(b"alice:s3cret").decode()
OID = bytes.fromhex("06092a864886f70d010907")


def bound(tmp, device, binding):
    """The device's request with a challengePassword, base64."""
    (tmp / "pop.cnf").write_text("[req]\ndistinguished_name=dn\nattributes=a\nprompt=no\nstring_mask=utf8only\n"
                                 f"[dn]\nCN=device\n[a]\nchallengePassword={binding}\n")
    der = openssl("req", "-new", "-config", tmp / "pop.cnf", "-key", device.key, "-outform", "DER").raw
    return base64.encodebytes(der)


def post(body, operation="simpleenroll"):
    return (f"POST {PATH}{operation} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {AUTHORIZATION}\r\n"
            f"Content-Type: application/pkcs10\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


def read_answer(stream):
    """(status, body) of one answer, by its Content-Length."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = stream.read(1)
        check(piece, f"the connection ended after {head!r}")
        head += piece
    size = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
    return int(head.split()[1]), stream.read(size)


class Session:
    """One TLS 1.2 connection to the lab."""

    def __init__(self, lab, resume=None):
        context = resume.context if resume else ssl.create_default_context(cafile=lab.anchors)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        plain = socket.create_connection(("127.0.0.1", int(lab.url.rsplit(":", 1)[1])), timeout=10)
        self.tls = context.wrap_socket(plain, server_hostname="localhost", session=resume and resume.session)
        self.context, self.session = context, self.tls.session
        self.stream = self.tls.makefile("rb")

    def unique(self):
        return base64.b64encode(self.tls.get_channel_binding("tls-unique")).decode()

    def ask(self, tmp, device, binding, operation="simpleenroll"):
        self.tls.sendall(post(bound(tmp, device, binding), operation))
        return read_answer(self.stream)

    def close(self):
        self.stream.close()
        self.tls.close()


@case("tls-unique on TLS 1.2: fresh, kept alive and resumed")
def tls_unique(tmp):
    device = Device(tmp)
    with Lab(binary(), *user(tmp), "--require-pop", "--tls", "1.2") as lab:
        first = Session(lab)
        check_equal(first.ask(tmp, device, first.unique())[0], 200, "status")
        check_equal(first.ask(tmp, device, first.unique())[0], 200, "status on the same connection")
        check_equal(first.ask(tmp, device, first.unique(), "serverkeygen")[0], 200, "status of serverkeygen")
        second = Session(lab, resume=first)
        check(second.tls.session_reused, "the session was not resumed")
        status, text = second.ask(tmp, device, first.unique())
        check_equal(status, 400, "status of the other connection's binding")
        check_in(b"is not the channel binding of this TLS session", text, "sentence")
        check_equal(second.ask(tmp, device, second.unique())[0], 200, "status of a resumed session")
        first.close()
        second.close()
        seen = [(line["pop"], line["resumed"], line["status"]) for line in lab.access_log()]
        check_equal(seen, [("tls-unique", False, 200)] * 3 + [("wrong", True, 400), ("tls-unique", True, 200)],
                    "access log")


class ExporterSession:
    """TLS 1.3 by openssl s_client, which prints the exporter's value (RFC 9266)."""

    def __init__(self, lab):
        port = lab.url.rsplit(":", 1)[1]
        self.process = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"localhost:{port}", "-tls1_3", "-CAfile", lab.anchors, "-ign_eof",
             "-keymatexport", "EXPORTER-Channel-Binding", "-keymatexportlen", "32"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**os.environ, "OPENSSL_CONF": "/dev/null"})
        for line in self.process.stdout:
            found = re.search(rb"Keying material: ([0-9A-F]+)", line)
            if found:
                self.binding = base64.b64encode(bytes.fromhex(found[1].decode())).decode()
                return
        check(False, "s_client printed no keying material")

    def ask(self, tmp, device, binding):
        self.process.stdin.write(post(bound(tmp, device, binding)))
        self.process.stdin.flush()
        for line in self.process.stdout:    # session tickets are printed before the answer
            if line.startswith(b"HTTP/1.1 "):
                status = int(line.split()[1])
                break
        size = 0
        for line in self.process.stdout:
            found = re.match(rb"(?i)content-length: (\d+)", line)
            size = int(found[1]) if found else size
            if line == b"\r\n":
                break
        return status, self.process.stdout.read(size)

    def close(self):
        self.process.kill()
        self.process.communicate()


@case("tls-exporter on TLS 1.3")
def tls_exporter(tmp):
    device = Device(tmp)
    with Lab(binary(), *user(tmp), "--require-pop", "--tls", "1.3") as lab:
        session = ExporterSession(lab)
        try:
            check_equal(session.ask(tmp, device, session.binding)[0], 200, "status")
            check_equal(session.ask(tmp, device, "AAAA")[0], 400, "status of a wrong binding")
            check_equal(session.ask(tmp, device, session.binding)[0], 200, "status of the right one again")
        finally:
            session.close()
        check_equal([line["pop"] for line in lab.access_log()], ["tls-exporter", "wrong", "tls-exporter"],
                    "access log")


@case("missing and wrong are told apart, csrattrs ask, and without the option a wrong one is refused too")
def refusals(tmp):
    device = Device(tmp)
    plain = device.csr.read_bytes()
    with Lab(binary(), *user(tmp), "--require-pop") as lab:
        for operation in ("simpleenroll", "serverkeygen"):
            device.csr.write_bytes(plain)
            answer = device.post(lab, *basic(), operation=operation)
            check_equal((answer.status, lab.access_log()[-1]["pop"]), (400, "missing"), "no challengePassword")
            check_in(b"is missing", answer.body, "sentence")
            device.csr.write_bytes(bound(tmp, device, "c29tZXRoaW5nIGVsc2U="))
            answer = device.post(lab, *basic(), operation=operation)
            check_equal((answer.status, lab.access_log()[-1]["pop"]), (400, "wrong"), "a wrong challengePassword")
            check_in(b"is not the channel binding", answer.body, "sentence")
        asked = base64.b64decode(curl(lab, PATH + "csrattrs").body)
        check_equal(asked, b"\x30\x0b" + OID, "csrattrs")
    (tmp / "attrs").write_bytes(bytes.fromhex("300b0609608648016503040201"))
    with Lab(binary(), *user(tmp), "--require-pop", "--csrattrs", str(tmp / "attrs")) as lab:
        asked = base64.b64decode(curl(lab, PATH + "csrattrs").body)
        check_equal(asked, b"\x30\x16" + OID + bytes.fromhex("0609608648016503040201"), "csrattrs beside a file")
    with Lab(binary(), *user(tmp)) as lab:
        # RFC 7030 3.5: what is included MUST be verified
        check_equal(device.post(lab, *basic()).status, 400, "a wrong challengePassword without --require-pop")
        device.csr.write_bytes(plain)
        check_equal((device.post(lab, *basic()).status, lab.access_log()[-1]["pop"]), (200, "missing"), "none")


@case("TLS 1.2 without extended master secret has no binding")
def no_ems(tmp):
    device = Device(tmp)
    with Lab(binary(), *user(tmp), "--misbehave", "pop-no-extended-master-secret") as lab:
        session = Session(lab)
        status, text = session.ask(tmp, device, session.unique())
        session.close()
        check_equal(status, 400, "status")
        check_in(b"without extended master secret", text, "sentence")
        check_equal(device.post(lab, *basic()).status, 200, "status without challengePassword")


@case("misbehaviours that call a right binding wrong")
def called_wrong(tmp):
    device = Device(tmp)
    for name, word in (("pop-always-wrong", b"not linked"), ("pop-never-seen", b"is required")):
        with Lab(binary(), *user(tmp), "--tls", "1.2", "--misbehave", name) as lab:
            session = Session(lab)
            status, text = session.ask(tmp, device, session.unique())
            session.close()
            check_equal((status, lab.access_log()[-1]["misbehaved"]), (400, name), "answer")
            check_in(word, text, "sentence")


if __name__ == "__main__":
    main()
