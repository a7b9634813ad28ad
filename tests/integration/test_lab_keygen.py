"""The lab's serverkeygen, read by Python's email package and openssl alone (E9, RFC 7030 4.4)."""

import base64
import email
import hashlib
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import (Lab, case, cases_from, check, check_equal, check_in, check_not_in, main, openssl,  # noqa: E402
                     run, write_private)
from lab_client import Device, add_attribute, basic, binary, elements, tlv, user  # noqa: E402

KEY_PACKAGE = "2.16.840.1.101.2.1.2.78.5"       # RFC 5958 3
KEK = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
PASSWORD = "a shared password"

# In the order of a client's preference
AES_256_CBC, AES_128_CBC = "2.16.840.1.101.3.4.1.42", "2.16.840.1.101.3.4.1.2"
AES_256_GCM, AES_128_GCM = "2.16.840.1.101.3.4.1.46", "2.16.840.1.101.3.4.1.6"
AES_128_WRAP, AES_256_WRAP = "2.16.840.1.101.3.4.1.5", "2.16.840.1.101.3.4.1.45"
RSA, OAEP, TRIPLE_DES = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.7", "1.2.840.113549.3.7"
ECDH_SHA256 = "1.3.132.1.11.1"


def oid(text):
    arcs = [int(arc) for arc in text.split(".")]
    content = b""
    for arc in [40 * arcs[0] + arcs[1], *arcs[2:]]:
        piece = bytes([arc & 0x7f])
        while arc > 0x7f:
            arc >>= 7
            piece = bytes([0x80 | arc & 0x7f]) + piece
        content += piece
    return tlv(6, content)


def attribute(name, value):
    return tlv(0x30, oid(name), tlv(0x31, value))


def capabilities(*names):
    """SMIMECapabilities; a name may bring its parameters."""
    entries = [tlv(0x30, *((oid(one),) if isinstance(one, str) else (oid(one[0]), one[1]))) for one in names]
    return attribute("1.2.840.113549.1.9.15", tlv(0x30, *entries))


def spki_sha1(device):
    return hashlib.sha1(openssl("pkey", "-in", device.key, "-pubout", "-outform", "DER").raw).digest()


def asymmetric(identifier, *names):
    return attribute("1.2.840.113549.1.9.16.2.54", tlv(4, identifier)), capabilities(*names)


def shared(identifier, *names):
    return attribute("1.2.840.113549.1.9.16.2.37", tlv(4, identifier.encode())), capabilities(*names)


def lab_options(tmp):
    kek = write_private(tmp / "kek", KEK)
    small = write_private(tmp / "small", base64.b64encode(bytes(range(16))).decode())
    password = write_private(tmp / "secret", PASSWORD)
    return ["--kek", f"big=file:{kek}", "--kek", f"small=file:{small}", "--key-password", f"pass=file:{password}"]


def ask(lab, tmp, device, attributes=()):
    for one in attributes:
        add_attribute(device, tmp, one)
    return device.post(lab, *basic(), operation="serverkeygen")


def parts(answer):
    """The multipart as Python's email package reads it."""
    check_equal(answer.status, 200, f"status ({answer.body[:200]!r})")
    message = email.message_from_bytes(b"Content-Type: " + answer.header("content-type").encode() + b"\r\n\r\n"
                                       + answer.body)
    check_equal(message.get_content_type(), "multipart/mixed", "Content-Type")
    check_equal(message.defects, [], "defects of the multipart")
    both = message.get_payload()
    check_equal(len(both), 2, "parts")
    return both


def certificate(part, tmp):
    check_equal((part.get_content_type(), part.get_param("smime-type")), ("application/pkcs7-mime", "certs-only"),
                "type of the certificate's part")
    (tmp / "certs.p7").write_bytes(part.get_payload(decode=True))
    openssl("pkcs7", "-inform", "DER", "-in", tmp / "certs.p7", "-print_certs", "-out", tmp / "issued.pem")
    return tmp / "issued.pem"


def fits(key, cert, device):
    """PKCS#8 in DER, fit for the certificate and not the request's own key."""
    public = openssl("pkey", "-inform", "DER", "-pubout", input=key).out
    check_equal(public, openssl("x509", "-in", cert, "-noout", "-pubkey").out, "public key of the certificate")
    check(public != openssl("pkey", "-in", device.key, "-pubout").out, "the key is the request's own")


def unpack(cms, tmp, lab, *options):
    """Decrypts and verifies with openssl, returns the only PrivateKeyInfo and the CMS in words."""
    (tmp / "cms").write_bytes(cms)
    words = openssl("cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", tmp / "cms").out
    inner = openssl("cms", "-decrypt", "-inform", "DER", "-in", tmp / "cms", *options).raw
    (tmp / "signed").write_bytes(tlv(0x30, oid("1.2.840.113549.1.7.2"), tlv(0xa0, inner)))
    package = openssl("cms", "-verify", "-binary", "-inform", "DER", "-in", tmp / "signed", "-CAfile", lab.anchors,
                      "-purpose", "any").raw
    described = openssl("cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", tmp / "signed").out
    check_in(KEY_PACKAGE, described, "content type of the SignedData")
    keys = elements(elements(package)[0][1])
    check_equal(len(keys), 1, "keys in the AsymmetricKeyPackage")
    return tlv(*keys[0]), words


@case("plain: application/pkcs8 and the certificate, of the request's key type, names and extensions")
def plain(tmp):
    with Lab(binary(), *user(tmp)) as lab:
        for alg, words in (("ec:P-384", "(384 bit)"), ("rsa:2048", "(2048 bit)")):
            device = Device(tmp, alg=alg)
            key, cert = parts(ask(lab, tmp, device))
            check_equal((key.get_content_type(), key["Content-Transfer-Encoding"]), ("application/pkcs8", "base64"),
                        "type of the key's part")
            fits(key.get_payload(decode=True), certificate(cert, tmp), device)
            text = openssl("x509", "-in", tmp / "issued.pem", "-noout", "-text").out
            for part in (words, "CN = device", "DNS:device.example"):
                check_in(part, text, "certificate")
        # RFC 7030 4.4.1: the signature MUST be ignored
        der = base64.b64decode(device.csr.read_bytes())
        device.csr.write_bytes(base64.encodebytes(der[:-1] + bytes([der[-1] ^ 1])))
        check_equal(ask(lab, tmp, device).status, 200, "status with a spoilt signature")
        check_equal(device.post(lab, operation="serverkeygen").status, 401, "status without credentials")


def encrypted(tmp, alg, names, options, *words):
    with Lab(binary(), *user(tmp), *lab_options(tmp)) as lab:
        device = Device(tmp, alg=alg)
        wanted = asymmetric(spki_sha1(device), *names[1:]) if names[0] is None else shared(*names)
        key, cert = parts(ask(lab, tmp, device, wanted))
        check_equal((key.get_content_type(), key.get_param("smime-type"), key["Content-Transfer-Encoding"]),
                    ("application/pkcs7-mime", "server-generated-key", "base64"), "type of the key's part")
        given = ["-inkey", device.key] if options is None else options
        found, described = unpack(key.get_payload(decode=True), tmp, lab, *given)
        fits(found, certificate(cert, tmp), device)
        for word in words:
            check_in(word, described, "CMS")
        if names[0] is None:
            check_in("subjectKeyIdentifier", described, "CMS")


SECRET = ["-secretkey", KEK, "-secretkeyid", b"big".hex()]
SMALL = ["-secretkey", bytes(range(16)).hex(), "-secretkeyid", b"small".hex()]
cases_from({
    "to an RSA key, PKCS 1": ("rsa:2048", (None, AES_256_CBC, RSA), None, "d.ktri", "aes-256-cbc",
                              "rsaEncryption"),
    "to an RSA key, OAEP with SHA-256": ("rsa:2048", (None, AES_128_CBC, OAEP, RSA), None, "d.ktri", "aes-128-cbc",
                                         "rsaesOaep", "sha256"),
    "to an RSA key, OAEP with SHA-1": ("rsa:2048", (None, AES_256_GCM, (OAEP, b"\x30\x00")), None, "rsaesOaep",
                                       "aes-256-gcm"),
    "to an EC key, CBC": ("ec:P-256", (None, AES_256_CBC, AES_256_WRAP, ECDH_SHA256), None, "d.kari",
                          "dhSinglePass-stdDH-sha256kdf-scheme", "id-aes256-wrap"),
    "to an EC key, GCM": ("ec:P-384", (None, TRIPLE_DES, AES_128_GCM, AES_256_CBC), None, "d.authEnvelopedData",
                          "aes-128-gcm"),
    "with a KEK, CBC": ("ec:P-256", ("big", AES_256_CBC, AES_256_WRAP), SECRET, "d.kekri", "id-aes256-wrap"),
    "with a KEK, GCM": ("ec:P-256", ("small", AES_128_GCM, AES_128_WRAP), SMALL, "d.kekri", "id-aes128-wrap"),
    "with a password, CBC": ("ec:P-256", ("pass", AES_256_CBC), ["-pwri_password", PASSWORD], "d.pwri", "PBKDF2"),
    "with a password, GCM": ("ec:P-256", ("pass", AES_256_GCM), ["-pwri_password", PASSWORD], "d.pwri",
                             "aes-256-gcm"),
}, encrypted)


@case("what cannot be encrypted as asked is refused with a sentence")
def refused(tmp):
    def says(sentence, *attributes, **options):
        device = Device(tmp, **options)
        answer = ask(lab, tmp, device, attributes)
        check_equal(answer.status, 400, "status")
        check_in(sentence.encode(), answer.body, "sentence")

    with Lab(binary(), *user(tmp), *lab_options(tmp)) as lab:
        device = Device(tmp, name="other")
        says("no secret key with this DecryptKeyIdentifier", *shared("nobody", AES_256_CBC))
        says("no public key with this AsymmetricDecryptKeyIdentifier", *asymmetric(spki_sha1(device), AES_256_CBC))
        says("without SMIMECapabilities", shared("big")[0])
        says("no content encryption this server has", *shared("big", TRIPLE_DES))
        says("do not name the key wrap", *shared("big", AES_256_CBC, AES_128_WRAP))
        says("names two keys", shared("big")[0], *asymmetric(spki_sha1(device), AES_256_CBC))
        check_equal(Device(tmp).post(lab, *basic(), operation="serverkeygen").status, 200, "nothing asked")


@case("202 holds a key back too, and the next request gets it")
def pending(tmp):
    with Lab(binary(), *user(tmp), "--pending", "1") as lab:
        device = Device(tmp)
        answer = ask(lab, tmp, device)
        check_equal((answer.status, answer.header("retry-after")), (202, "1"), "answer")
        parts(ask(lab, tmp, device))


@case("a literal secret is refused and not repeated, a short AES key is refused")
def secrets(tmp):
    short = write_private(tmp / "short", "00" * 15)
    for option, value in (("--kek", f"a={KEK}"), ("--key-password", f"a={PASSWORD}"), ("--kek", f"file:{KEK}"),
                          ("--kek", f"a=file:{short}")):
        result = run([binary(), "--dir", tmp / "refused", option, value])
        check_equal((result.code, result.out), (2, ""), f"exit code and stdout of {option}")
        check_not_in(KEK, result.err, "stderr")
        check_not_in(PASSWORD, result.err, "stderr")


if __name__ == "__main__":
    main()
