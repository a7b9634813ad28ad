"""A client of the lab made of curl and openssl alone: what the lab's own tests drive it with."""

import base64
import os
import re

from harness import check_equal, need, openssl, password_file, program, run, serial_number, temp_dir

PATH = "/.well-known/est/"
CERTS_ONLY = "application/pkcs7-mime; smime-type=certs-only"


def binary():
    return os.environ.get("ESTUARY_LAB") or program("estuary-lab", own=True)


class Answer:
    """What curl got: exit code, status, headers (lower-case names, lists), body."""

    def __init__(self, code, head, body):
        self.code, self.body = code, body
        blocks = [b for b in head.replace("\r\n", "\n").split("\n\n") if b.startswith("HTTP/")]
        lines = blocks[-1].split("\n") if blocks else []
        self.status = int(lines[0].split()[1]) if lines else 0
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers.setdefault(name.strip().lower(), []).append(value.strip())

    def header(self, name):
        return ", ".join(self.headers.get(name.lower(), []))


def curl(lab, path, *options, timeout=15):
    need("curl")
    with temp_dir() as out:
        head, body = out / "head", out / "body"
        result = run(["curl", "-sS", "--max-time", str(timeout), "--cacert", lab.anchors, "-D", head, "-o", body,
                      *options, lab.url + path], timeout=timeout + 30)
        return Answer(result.code, head.read_text("latin-1") if head.exists() else "",
                      body.read_bytes() if body.exists() else b"")


class Device:
    """A key and a request, and later a certificate."""

    def __init__(self, folder, name="device", san="DNS:device.example", alg="ec:P-256"):
        self.key, self.csr, self.cert = folder / f"{name}.key", folder / f"{name}.b64", folder / f"{name}.pem"
        der = folder / f"{name}.der"
        kind, _, detail = alg.partition(":")
        option = f"ec_paramgen_curve:{detail}" if kind == "ec" else f"rsa_keygen_bits:{detail}"
        openssl("genpkey", "-algorithm", kind.upper(), "-pkeyopt", option, "-out", self.key)
        self.request(der, name, san)

    def request(self, der, name, san):
        extra = ["-addext", f"subjectAltName={san}"] if san else []
        openssl("req", "-new", "-key", self.key, "-subj", f"/CN={name}", *extra, "-outform", "DER", "-out", der)
        self.csr.write_bytes(base64.encodebytes(der.read_bytes()))

    def post(self, lab, *options, operation="simpleenroll", **more):
        return curl(lab, PATH + operation, "-H", "Content-Type: application/pkcs10", "-H", "Expect:",
                    "--data-binary", f"@{self.csr}", *options, **more)

    def identity(self):
        return ["--cert", self.cert, "--key", self.key]


def user(tmp, password="s3cret"):
    return ["--user", f"alice:file:{password_file(tmp, password)}"]


def basic(password="s3cret"):
    return ["--basic", "-u", f"alice:{password}"]


def certificates(answer, folder):
    """The PEM blocks of a certs-only answer, as openssl reads it."""
    der, pem = folder / "answer.p7", folder / "answer.pem"
    der.write_bytes(base64.b64decode(answer.body))
    openssl("pkcs7", "-inform", "DER", "-in", der, "-print_certs", "-out", pem)
    return re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", pem.read_text(), re.S)


def enrolled(lab, tmp, *options, device=None):
    device = device or Device(tmp)
    answer = device.post(lab, *(options or basic()))
    check_equal(answer.status, 200, "status of simpleenroll")
    found = certificates(answer, tmp)
    check_equal(len(found), 1, "certificates in the answer")  # RFC 7030 4.2.3
    device.cert.write_text(found[0])
    return device


# --- renewal-info ---------------------------------------------------------------------------------

def base64url(octets):
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def renewal_identifier(cert):
    """base64url(AKI keyIdentifier) . base64url(serial number)"""
    text = openssl("x509", "-in", cert, "-noout", "-ext", "authorityKeyIdentifier").out
    aki = bytes.fromhex(re.search(r"([0-9A-F]{2}(:[0-9A-F]{2})+)", text)[1].replace(":", ""))
    return f"{base64url(aki)}.{base64url(bytes.fromhex(serial_number(cert)))}"


# --- DER that openssl has no command for ---------------------------------------------------------

def tlv(tag, *parts):
    content = b"".join(parts)
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x82, size >> 8, size & 255])
    return bytes([tag]) + length + content


def elements(content):
    """The elements inside a SEQUENCE or SET's content, as (tag, content)."""
    found = []
    while content:
        size, start = content[1], 2
        if size & 0x80:
            start = 2 + (size & 0x7f)
            size = int.from_bytes(content[2:start], "big")
        found.append((content[0], content[start:start + size]))
        content = content[start + size:]
    return found


def add_attribute(device, folder, attribute):
    """Rewrites the device's request with one attribute more, signed again: openssl req cannot."""
    outer = elements(base64.b64decode(device.csr.read_bytes()))[0][1]
    info, algorithm, _ = elements(outer)
    parts = elements(info[1])
    inside = tlv(0x30, *(tlv(*part) for part in parts[:3]), tlv(0xa0, parts[3][1], attribute))
    (folder / "info").write_bytes(inside)
    openssl("dgst", "-sha256", "-sign", device.key, "-out", folder / "signature", folder / "info")
    signature = tlv(3, b"\0", (folder / "signature").read_bytes())
    device.csr.write_bytes(base64.encodebytes(tlv(0x30, inside, tlv(*algorithm), signature)))
