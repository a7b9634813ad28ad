"""The EST half of the nginx test server: plain HTTP on a unix socket, certificates by `openssl ca`.

nginx in front has already done TLS, client certificates and HTTP Basic and tells us the outcome
in X-Client-Verify, X-Client-Cert (URL-escaped PEM) and X-Remote-User, which it always sets itself.

Nothing of Estuary is used here, and nothing of its lab: only Python's standard library and the
openssl command. What is checked about a request is checked by openssl or by twenty lines of DER.
"""

import argparse
import base64
import binascii
import http.server
import os
import pathlib
import re
import secrets
import signal
import socketserver
import subprocess
import sys
import threading
import urllib.parse

PREFIX = "/.well-known/est/"
MAX_REQUEST = 64 * 1024

# RFC 7030 4.5.2, the example: challengePassword, secp384r1, extensionRequest with macAddress,
# ecdsa-with-SHA384
RFC7030_CSRATTRS = ("MEEGCSqGSIb3DQEJBzASBgcqhkjOPQIBMQcGBSuBBAAiMBYGCSqGSIb3DQEJDjEJ"
                    "BgcrBgEBAQEWBggqhkjOPQQDAw==")

OID_SUBJECT_ALT_NAME = bytes.fromhex("0603551d11")
OID_EXTENSION_REQUEST = bytes.fromhex("06092a864886f70d01090e")


class Refused(Exception):
    def __init__(self, status, text):
        super().__init__(text)
        self.status, self.text = status, text


# --- DER, just enough -----------------------------------------------------------------------------

def read_element(data, offset):
    """(tag, start of content, end) of the element at offset."""
    tag, length = data[offset], data[offset + 1]
    start = offset + 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4:
            raise ValueError("length form")
        length = int.from_bytes(data[start:start + count], "big")
        start += count
    if start + length > len(data):
        raise ValueError("element runs over the end")
    return tag, start, start + length


def children(data):
    """[(tag, whole element, content)] of everything inside the element that data is."""
    _, offset, end = read_element(data, 0)
    found = []
    while offset < end:
        tag, start, stop = read_element(data, offset)
        found.append((tag, data[offset:stop], data[start:stop]))
        offset = stop
    return found


def san_value(extensions):
    """The SubjectAltName's extnValue content in an Extensions element, or None."""
    for _, extension, _ in children(extensions):
        parts = children(extension)
        if parts[0][1] == OID_SUBJECT_ALT_NAME:
            return parts[-1][2]
    return None


def names_of_request(der):
    """(Subject, SAN) of a PKCS#10, as bytes."""
    info = children(children(der)[0][1])
    subject, san = info[1][1], None
    for tag, attributes, _ in info[3:]:
        if tag != 0xA0:
            continue
        for _, attribute, _ in children(attributes):
            kind, values = children(attribute)[:2]
            if kind[1] == OID_EXTENSION_REQUEST:
                san = san_value(children(values[1])[0][1]) or san
    return subject, san


def names_of_certificate(der):
    """(Subject, SAN) of a version 3 certificate, as bytes."""
    tbs = children(children(der)[0][1])
    subject, san = tbs[5][1], None
    for tag, _, content in tbs[7:]:
        if tag == 0xA3:
            san = san_value(content)
    return subject, san


# --- the CA -------------------------------------------------------------------------------------

class OpensslCa:
    """`openssl ca` in a folder with openssl.cnf, index.txt, serial."""

    def __init__(self, directory, certificates):
        self.dir = pathlib.Path(directory)
        self.config = self.dir / "openssl.cnf"
        self.certificates = certificates        # PEM: what /cacerts hands out
        self.lock = threading.Lock()            # openssl ca does not lock its index

    def openssl(self, *args, data=None):
        return subprocess.run(["openssl", *map(str, args)], input=data, capture_output=True,
                              timeout=30, env={**os.environ, "OPENSSL_CONF": "/dev/null"})

    def check_request(self, der):
        """Returns the request as PEM."""
        done = self.openssl("req", "-inform", "DER", "-verify", "-outform", "PEM",
                            "-config", self.config, data=der)
        if done.returncode != 0:
            raise Refused(400, "not a PKCS#10 request")
        # OpenSSL 3.0 exits 0 although the signature is wrong; only its words tell.
        if b"verify OK" not in done.stderr:
            raise Refused(400, "the request's signature does not verify")
        return done.stdout

    def issue(self, request_pem):
        """Returns the path of the new certificate."""
        name = secrets.token_hex(8)
        request = self.dir / f"request-{name}.pem"
        certificate = self.dir / f"answer-{name}.pem"
        request.write_bytes(request_pem)
        try:
            with self.lock:
                done = self.openssl("ca", "-batch", "-notext", "-config", self.config,
                                    "-extensions", "est_client", "-in", request,
                                    "-out", certificate)
            if done.returncode != 0 or not certificate.exists():
                reason = done.stderr.decode("utf-8", "replace").strip().splitlines()
                raise Refused(400, "the CA refused: " + (reason[-1] if reason else "no reason"))
            return self.certs_only(certificate)
        finally:
            request.unlink(missing_ok=True)
            certificate.unlink(missing_ok=True)     # openssl keeps its copy in issued/

    def certs_only(self, *files):
        """The DER of a PKCS#7 with these certificates and nothing else."""
        options = [part for path in files for part in ("-certfile", path)]
        done = self.openssl("crl2pkcs7", "-nocrl", "-outform", "DER", *options)
        if done.returncode != 0:
            raise Refused(500, "crl2pkcs7 failed")
        return done.stdout


# --- HTTP ---------------------------------------------------------------------------------------

def decode_body(text):
    """RFC 8951 3: the body is base64; line ends and blanks inside it are let pass."""
    try:
        return base64.b64decode(re.sub(rb"[ \t\r\n]", b"", text), validate=True)
    except binascii.Error:
        raise Refused(400, "the body is not base64") from None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "nginx-est-test"

    def log_message(self, form, *args):     # the inherited one wants an address and port
        sys.stderr.write(form % args + "\n")

    def answer(self, status, content_type, body, headers=()):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def answer_base64(self, content_type, der):
        if self.server.style == "rfc7030":      # as deployed servers do: MIME lines, and the header
            self.answer(200, content_type, base64.encodebytes(der).replace(b"\n", b"\r\n"),
                        [("Content-Transfer-Encoding", "base64")])
        else:                                   # RFC 8951 3: one line, no header
            self.answer(200, content_type, base64.b64encode(der))

    def serve(self, method):
        # Taken first, always: what is left unread would be the next request's beginning.
        body = self.read_body()
        try:
            path = self.path
            if path == "/ready":
                return self.answer(200, "text/plain", b"ready\n")
            if not path.startswith(PREFIX):
                raise Refused(404, "not an EST path")
            operation = path[len(PREFIX):]
            if "/" in operation:
                label, operation = operation.split("/", 1)
                if label != self.server.label:
                    raise Refused(404, "no such label")
            wanted, function = OPERATIONS.get(operation, (None, None))
            if function is None:
                raise Refused(404, "no such operation")
            if method != wanted:
                raise Refused(405, f"{operation} takes {wanted}")
            function(self, body)
        except Refused as refused:
            self.answer(refused.status, "text/plain", refused.text.encode() + b"\n")

    def read_body(self):
        length = int(self.headers.get("Content-Length") or 0)   # nginx buffers: never chunked
        if length > MAX_REQUEST:
            self.close_connection = True
            return b""
        return self.rfile.read(length)

    def do_GET(self):
        self.serve("GET")

    def do_POST(self):
        self.serve("POST")

    def cacerts(self, _body):
        # RFC 7030 4.1.3
        self.answer_base64("application/pkcs7-mime",
                           self.server.ca.certs_only(self.server.ca.certificates))

    def csrattrs(self, _body):
        # RFC 7030 4.5.2
        self.answer_base64("application/csrattrs", base64.b64decode(RFC7030_CSRATTRS))

    def verified_certificate(self):
        """DER of the TLS client certificate, None when nginx has not verified one."""
        if self.headers.get("X-Client-Verify") != "SUCCESS":
            return None
        pem = urllib.parse.unquote(self.headers.get("X-Client-Cert", ""))
        body = re.search("-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", pem, re.S)
        return base64.b64decode(body.group(1)) if body else None

    def request_of(self, body):
        """(DER, PEM) of the PKCS#10 in the body."""
        kind = self.headers.get("Content-Type", "").split(";")[0].strip().lower()
        if kind != "application/pkcs10":        # RFC 7030 4.2.1
            raise Refused(415, "Content-Type must be application/pkcs10")
        der = decode_body(body)
        return der, self.server.ca.check_request(der)

    def issue(self, pem):
        # RFC 7030 4.2.3: only the certificate that was issued
        self.answer_base64("application/pkcs7-mime; smime-type=certs-only",
                           self.server.ca.issue(pem))

    def simpleenroll(self, body):
        if not self.headers.get("X-Remote-User") and self.verified_certificate() is None:
            raise Refused(403, "no credentials")    # nginx has asked for them before
        self.issue(self.request_of(body)[1])

    def simplereenroll(self, body):
        certificate = self.verified_certificate()
        if certificate is None:
            raise Refused(403, "re-enrolment takes the certificate to be renewed as TLS client")
        der, pem = self.request_of(body)
        try:
            requested, current = names_of_request(der), names_of_certificate(certificate)
        except (ValueError, IndexError):
            raise Refused(400, "cannot read the request's names") from None
        # RFC 7030 4.2.2: identical, which is taken at its word: byte by byte
        if requested[0] != current[0]:
            raise Refused(400, "the subject differs from the current certificate's")
        if requested[1] != current[1]:
            raise Refused(400, "the SubjectAltName differs from the current certificate's")
        self.issue(pem)


OPERATIONS = {
    "cacerts": ("GET", Handler.cacerts),
    "csrattrs": ("GET", Handler.csrattrs),
    "simpleenroll": ("POST", Handler.simpleenroll),
    "simplereenroll": ("POST", Handler.simplereenroll),
}


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", required=True)
    parser.add_argument("--ca", required=True, help="folder of openssl ca")
    parser.add_argument("--certificates", required=True, help="PEM for /cacerts")
    parser.add_argument("--label", required=True)
    parser.add_argument("--style", choices=["rfc7030", "rfc8951"], default="rfc7030")
    options = parser.parse_args()
    server = UnixServer(options.socket, Handler)
    server.ca = OpensslCa(options.ca, options.certificates)
    server.label, server.style = options.label, options.style
    # shutdown() waits for serve_forever(), which runs in this very thread
    signal.signal(signal.SIGTERM,
                  lambda *_: threading.Thread(target=server.shutdown, daemon=True).start())
    server.serve_forever(poll_interval=0.1)
    server.server_close()


if __name__ == "__main__":
    main()
