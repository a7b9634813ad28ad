#!/usr/bin/env python3
"""Writes the seeds of tests/fuzz/corpus/ and tests/fuzz/fixture.h anew, with openssl(1).

usage: make_corpus.py        The keys are new each time; seeds that a crash left behind are kept.
"""

import base64
import hashlib
import json
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
FUZZ = ROOT / "tests" / "fuzz"
CERTS_ONLY = "application/pkcs7-mime; smime-type=certs-only"

CONFIG = """
[ca]
default_ca = ca
[ca]
database = {folder}/index.txt
new_certs_dir = {folder}
serial = {folder}/serial
default_md = sha256
policy = policy
unique_subject = no
copy_extensions = copy
[policy]
commonName = supplied
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = CA:FALSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[req]
distinguished_name = dn
[dn]
"""


class Maker:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        (self.folder / "index.txt").write_text("")
        (self.folder / "serial").write_text("1000\n")
        (self.folder / "ca.cnf").write_text(CONFIG.format(folder=folder))

    def openssl(self, *arguments, data=None):
        return subprocess.run(["openssl", *map(str, arguments)], cwd=self.folder, input=data, check=True,
                              capture_output=True).stdout

    def path(self, name):
        return self.folder / name

    def key(self, name, *options):
        options = options or ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        self.openssl("genpkey", *options, "-out", name)

    def request(self, name, key, subject, *extensions):
        added = [word for extension in extensions for word in ("-addext", extension)]
        self.openssl("req", "-new", "-config", "ca.cnf", "-key", key, "-subj", subject, *added, "-out", name)

    def sign(self, name, request, ca=None, section="leaf"):
        signer = ["-selfsign", "-keyfile", ca] if section == "root" else ["-cert", "root.pem", "-keyfile", ca]
        self.openssl("ca", "-batch", "-config", "ca.cnf", "-notext", *signer, "-extensions", section,
                     "-startdate", "20250101000000Z", "-enddate", "20490101000000Z", "-in", request, "-out", name)

    def text(self, name):
        return self.path(name).read_text()

    def der(self, name):
        return pem_to_der(self.text(name))

    def certs_only(self, *names):
        arguments = [word for name in names for word in ("-certfile", name)]
        return self.openssl("crl2pkcs7", "-nocrl", *arguments, "-outform", "DER")


def pem_to_der(text):
    return base64.b64decode("".join(line for line in text.splitlines() if not line.startswith("-")))


def wrapped(der):
    return base64.encodebytes(der).replace(b"\n", b"\r\n")


def seed(target, name, content):
    folder = FUZZ / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def seeds(target, **contents):
    for name, content in contents.items():
        seed(target, name, content)


# --- DER by hand, for what openssl(1) does not make ---


def tlv(tag, *parts):
    body = b"".join(parts)
    size = len(body)
    if size < 128:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def oid(text):
    numbers = [int(word) for word in text.split(".")]
    out = bytes([numbers[0] * 40 + numbers[1]])
    for number in numbers[2:]:
        groups = [number & 0x7F]
        while number > 0x7F:
            number >>= 7
            groups.append(number & 0x7F | 0x80)
        out += bytes(reversed(groups))
    return tlv(6, out)


def sequence(*parts):
    return tlv(0x30, *parts)


def attribute(kind, *values):
    return sequence(oid(kind), tlv(0x31, *values))


def integer(value):
    return tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


CHALLENGE, EXTENSIONS = "1.2.840.113549.1.9.7", "1.2.840.113549.1.9.14"
EC, P256, P384 = "1.2.840.10045.2.1", "1.2.840.10045.3.1.7", "1.3.132.0.34"
RSA, ECDSA_SHA256, ECDSA_SHA384 = "1.2.840.113549.1.1.1", "1.2.840.10045.4.3.2", "1.2.840.10045.4.3.3"
TEMPLATE, EXTENSION_TEMPLATE = "1.2.840.113549.1.9.16.2.61", "1.2.840.113549.1.9.16.2.62"


def extension(kind, value, critical=False):
    return sequence(oid(kind), tlv(1, b"\xff") if critical else b"", tlv(4, value))


def make_csrattrs():
    eku = extension("2.5.29.37", sequence(oid("1.3.6.1.5.5.7.3.2")))
    usage = extension("2.5.29.15", tlv(3, b"\x07\x80"), critical=True)
    san = extension("2.5.29.17", sequence(tlv(0x82, b"device.example")))
    subject = sequence(tlv(0x31, sequence(oid("2.5.4.3"), tlv(0x0C, b"device"))))
    template = sequence(integer(0), subject, tlv(0xA1, attribute(EXTENSIONS, sequence(usage))))
    contents = {
        "empty": sequence(),
        "nothing": b"",
        "challenge_and_ec": sequence(oid(CHALLENGE), attribute(EC, oid(P384)), oid(ECDSA_SHA384)),
        "rsa_4096": sequence(attribute(RSA, integer(4096)), oid("1.2.840.113549.1.1.11")),
        "extensions": sequence(attribute(EXTENSIONS, sequence(eku, usage)), attribute(EXTENSIONS, sequence(san))),
        "serial_number": sequence(oid("2.5.4.5"), attribute("2.5.4.5", tlv(0x13, b"A-1"))),
        "unknown": sequence(oid("1.3.6.1.1.1.1.22"), attribute("1.3.6.1.4.1.99999.1", tlv(0x0C, b"x"))),
        # RFC 7030 4.5.2, the example
        "rfc7030": base64.b64decode("MEEGCSqGSIb3DQEJBzASBgcqhkjOPQIBMQcGBSuBBAAiMBYGCSqGSIb3DQEJDjEJ"
                                    "BgcrBgEBAQEWBggqhkjOPQQDAw=="),
        "template": sequence(attribute(TEMPLATE, template)),
        "extension_template": sequence(attribute(EXTENSION_TEMPLATE, sequence(sequence(oid("2.5.29.17"))))),
        "two_curves": sequence(attribute(EC, oid(P256)), attribute(EC, oid(P384))),
        "truncated": sequence(oid(CHALLENGE))[:-3],
    }
    seeds("csrattrs", **contents)
    return contents


def make_csr_templates():
    """RFC 9908 3.4: the values of id-aa-certificationRequestInfoTemplate"""
    def rdn(kind, *value):
        return tlv(0x31, sequence(oid(kind), *value))

    def template(*parts, attributes=b""):
        return sequence(integer(0), *parts, tlv(0xA1, attributes))

    def partial(*extensions):
        return attribute(EXTENSION_TEMPLATE, sequence(*extensions))

    name, unit, san = "2.5.4.3", "2.5.4.11", "2.5.29.17"
    usage = extension("2.5.29.15", tlv(3, b"\x03\x88"), critical=True)
    www = extension(san, sequence(tlv(0x82, b"www.myServer.com"), tlv(0x87, b"")))
    gaps = extension(san, sequence(tlv(0xA4, sequence()), tlv(0x81, b""), tlv(0x86, b""), tlv(0x82, b"")))
    placeholder = tlv(3, b"\0" + sequence(tlv(2, b"\0" + b"\xff" * 256), integer(65537)))
    seeds("csr_template",
          rfc9908=template(sequence(rdn(name), rdn(unit, tlv(0x0C, b"myDept")), rdn(unit, tlv(0x0C, b"myGroup"))),
                           tlv(0xA0, sequence(oid(EC), oid(P256))),
                           attributes=partial(www, usage, sequence(oid("2.5.29.37")))),
          rsa=template(tlv(0xA0, sequence(oid(RSA), tlv(5, b"")), placeholder)),
          gaps=template(sequence(rdn(name, tlv(0x0C, b"")), rdn("2.5.4.5")), attributes=partial(gaps)),
          plain=template(attributes=attribute(EXTENSIONS, sequence(usage))),
          attributes=template(attributes=attribute(CHALLENGE, tlv(0x0C, b"")) +
                              attribute("1.2.840.113549.1.9.2", tlv(0x0C, b"x"))),
          nothing=template(), no_attributes=sequence(integer(0)),
          twice=template(attributes=partial(usage) + partial(usage)),
          one_rdn=template(sequence(tlv(0x31, sequence(oid(name)), sequence(oid("2.5.4.5"), tlv(0x13, b"7"))))))


def make_renewal_infos():
    def window(start, end, more=""):
        return f'{{"suggestedWindow":{{"start":"{start}","end":"{end}"}}{more}}}'

    day, next_day = "2025-01-02T04:00:00Z", "2025-01-03T04:00:00Z"
    seeds("renewal_info", draft=window(day, next_day), reversed=window(next_day, day), same=window(day, day),
          offset=window("2025-01-02T04:00:00+01:00", "2025-01-02t05:30:00.25-00:30"),
          why=window(day, next_day, ',"explanationURL":"https://ca.example/why\\u001b?"'),
          numbers='{"suggestedWindow":{"start":1,"end":2}}', array="[]", nothing="", deep="[" * 500,
          twice='{"suggestedWindow":{},"suggestedWindow":{}}', html="<html>")


# --- text ---


def make_challenges():
    seeds("digest_challenge", basic='Basic realm="est"', plain='Digest realm="est", nonce="n", qop="auth"',
          old='Digest realm="est", nonce="n"', auth_int='Digest realm="est", qop="auth-int", algorithm=SHA-256',
          both='Digest qop="auth,auth-int", algorithm=MD5-sess, stale=true, Basic realm="est"',
          unknown="Digest algorithm=ROT13, qop=auth", token68="Negotiate abc==, NTLM", nothing="", commas=", ,=,",
          quoted='Hobgoblin realm="a \\"b\\", Digest qop=auth-int", Digest qop = "auth"',
          open='Digest realm="open, qop=auth-int', long='Digest nonce="' + "a" * 2000 + '", qop=auth',
          weak_first='Digest realm="a", nonce="1", algorithm=MD5, qop="auth", Digest realm="b", nonce="2", '
                     'opaque="o\\"p", algorithm=SHA-256, qop="auth"')


def make_texts():
    seeds("base64", rfc4648="Zm9vYmFy", padded="Zm8=", lines="Zm9v\r\nYmFy\r\n", spaces=" Zm 9v\tYg == \n",
          empty="", bad_letter="Zm9v*mFy", padding_inside="Zg==Zg==", one_letter="Z", no_padding="Zg",
          trailing_bits="Zh==", armour="-----BEGIN X-----\nZm9v\n-----END X-----\n")
    seeds("media_type", certs_only=CERTS_ONLY, plain="application/csrattrs", case="Application/PKCS10",
          quoted='application/pkcs7-mime; smime-type="certs-only"; name="a;b\\"c"',
          spaces="text/html ; charset=utf-8", no_slash="text", twice="a/b; smime-type=x; smime-type=y",
          open_quote='a/b; c="', long="a/" + "b" * 80)
    seeds("retry_after", seconds="120", zero="0", date="Sat, 02 Jan 2027 10:00:00 GMT",
          rfc850="Saturday, 02-Jan-27 10:00:00 GMT", asctime="Sat Jan  2 10:00:00 2027", negative="-1",
          huge="99999999999999999999", fraction="1.5", spaces=" 30 ")
    seeds("name", simple="CN=device 1,O=Example", escaped='CN=a\\,b\\+c\\"d\\\\,O=\\ x\\ ', multi="CN=a+UID=b,DC=example,DC=com",
          hex="CN=#0C0161", dotted="2.5.4.3=x,1.2.3.4=#0C0179", utf8="CN=Zo\u00eb,L=K\u00f6ln", pairs="CN=\\C4\\87",
          empty="", space_around=" CN = a , O = b ", country="C=DE,ST=x,L=y,serialNumber=1", leading_hash="CN=\\#a",
          odd_hex="CN=#0C0", unknown="foo=bar", quote='CN="a,b"', bmp="CN=#1E0200E4")
    seeds("san", dns="1device.example", idn="1b\u00fccher.example", wildcard="1*.example", email="2user@device.example",
          uri="3https://device.example/x", urn="3urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", ip="4192.0.2.1",
          ip6="42001:db8::1", dirname="5CN=a,O=b", upn="6user@example", other_utf8="71.2.3.4;UTF8:text",
          other_der="71.2.3.4;DER:0c0161", rid="81.2.3.4", unknown_type="9x", long="1" + "a" * 64 + ".example")
    parts = {
        "plain": ("https://est.example", "", "/.well-known/est/cacerts"),
        "label_and_port": ("https://est.example:8443/prefix/", "device", "https://est.example:8443/x"),
        "ip6": ("https://[2001:db8::1]:8443", "", "//[2001:db8::1]:8443/y"),
        "idn": ("https://b\u00fccher.example/", "a", "other?query=1"),
        "http": ("http://est.example", "", ""),
        "userinfo": ("https://user:pass@est.example", "", ""),
        "other_origin": ("https://est.example", "", "https://est.example.evil/x"),
        "userinfo_redirect": ("https://est.example", "", "https://est.example@evil/x"),
        "dots": ("https://est.example/a/../b", "..", "../../../x"),
        "downgrade": ("https://est.example", "x", "http://est.example/"),
        "encoded": ("https://est.example/a%2Fb", "l%61bel", "/%2e%2e/x#fragment"),
        "reserved_label": ("https://est.example", "simpleenroll", ""),
    }
    for name, words in parts.items():
        seed("server_url", name, "\0".join(words))
    digits = "0123456789abcdef" * 4
    colons = ":".join(digits[i:i + 2].upper() for i in range(0, 64, 2))
    seeds("fingerprint", plain=digits, colons=colons, prefix="SHA256:" + colons, lower_prefix="sha256:" + digits,
          short=digits[:-2], long=digits + "00", letter=digits[:-1] + "g", mixed=colons[:32] + digits[22:], empty="")
    seeds("secret_source", literal="correct horse battery staple", empty="", fd_word="fd:x", fd_sign="fd:-1", fd_none="fd:",
          near="prompt ", unknown="pass:secret", upper="ENV:HOME", percent="%s%n%s%n", control="\x1b[31m\n")
    seeds("time", utc="2026-01-31T12:00:00Z", offset="2026-01-31T12:00:00+02:00", minus="2026-01-31t12:00:00-11:30",
          leap_second="2016-12-31T23:59:60Z", leap_day="2024-02-29T00:00:00z", no_leap_day="2025-02-29T00:00:00Z",
          year_0="0000-01-01T00:00:00+23:59", year_9999="9999-12-31T23:59:59-23:59", blank="2026-01-31 12:00:00Z",
          short="2026-1-31T12:00:00Z", no_zone="2026-01-31T12:00:00")


# --- what keys sign ---


def make_keys(maker):
    kinds = {"ec": (), "rsa": ("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"),
             "ed25519": ("-algorithm", "ED25519")}
    for name, options in kinds.items():
        maker.key(f"{name}.key", *options)
        seed("key_file", f"{name}_pkcs8.pem", maker.text(f"{name}.key"))
        seed("key_file", f"{name}_pkcs8.der", maker.der(f"{name}.key"))
    seed("key_file", "ec_traditional.pem", maker.openssl("ec", "-in", "ec.key"))
    seed("key_file", "ec_traditional_encrypted.pem", maker.openssl("ec", "-in", "ec.key", "-aes128", "-passout", "pass:test"))
    seed("key_file", "ec_pkcs8_encrypted.pem",
         maker.openssl("pkcs8", "-topk8", "-in", "ec.key", "-iter", "1000", "-passout", "pass:test"))
    seed("key_file", "ec_params_and_key.pem", maker.openssl("ecparam", "-name", "P-256", "-genkey"))
    seed("key_file", "public_only.pem", maker.openssl("pkey", "-in", "ec.key", "-pubout"))
    seed("key_file", "two_keys.pem", maker.text("ec.key") + maker.text("ed25519.key"))
    seed("key_file", "empty", "")


def make_requests(maker):
    san, usage = "subjectAltName=DNS:device.example,IP:192.0.2.1", "keyUsage=critical,digitalSignature"
    maker.request("plain.req", "ec.key", "/CN=device 1")
    maker.request("full.req", "ec.key", "/CN=device 1", san, usage, "extendedKeyUsage=clientAuth")
    maker.request("rsa.req", "rsa.key", "/CN=device 2", san)
    maker.request("ed25519.req", "ed25519.key", "/CN=device 3")
    maker.request("no_name.req", "ec.key", "/")
    maker.key("weak.key", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")
    maker.request("weak.req", "weak.key", "/CN=weak")
    for name in ("plain", "full", "rsa", "ed25519", "no_name", "weak"):
        seed("csr_inspect", f"{name}.pem", maker.text(f"{name}.req"))
        seed("csr_inspect", f"{name}.der", maker.der(f"{name}.req"))
    broken = bytearray(maker.der("full.req"))
    broken[-1] ^= 1
    seed("csr_inspect", "broken_signature.der", bytes(broken))


def make_certificates(maker):
    for name in ("root", "other"):
        maker.key(f"{name}.key")
        maker.request(f"{name}.req", f"{name}.key", f"/CN=Fuzz {name}")
        maker.sign(f"{name}.pem", f"{name}.req", f"{name}.key", "root")
    maker.sign("old.pem", "full.req", "root.key")
    maker.sign("leaf.pem", "full.req", "root.key")
    answers = {"leaf": maker.certs_only("leaf.pem"), "leaf_and_root": maker.certs_only("leaf.pem", "root.pem"),
               "roots": maker.certs_only("root.pem", "other.pem"), "old": maker.certs_only("old.pem"),
               "old_and_leaf": maker.certs_only("old.pem", "leaf.pem")}
    empty = sequence(oid("1.2.840.113549.1.7.2"),
                     tlv(0xA0, sequence(integer(1), tlv(0x31), sequence(oid("1.2.840.113549.1.7.1")), tlv(0x31))))
    seeds("certs_only", **answers, empty=empty, trailing=answers["leaf"] + b"\0", truncated=answers["leaf"][:-9])
    signed = maker.openssl("cms", "-sign", "-signer", "leaf.pem", "-inkey", "ec.key", "-outform", "DER", "-nodetach",
                           data=b"text")
    seed("certs_only", "signed", signed)
    root, other, leaf = (maker.text(f"{name}.pem") for name in ("root", "other", "leaf"))
    seeds("anchors", root=root, two=root + "text between\n" + other, with_leaf=root + leaf, leaf_only=leaf,
          der=maker.der("root.pem"), twice=root + root, cut=root[:200], empty="", with_key=maker.text("ec.key") + root)
    return answers


def answer(line, body, *headers):
    return "\n".join([line, *headers, "", ""]).encode() + body


def make_answers(answers, csrattrs):
    pkcs7, b64 = "Content-Type: " + CERTS_ONLY, {name: wrapped(der) for name, der in answers.items()}
    html = "Content-Type: text/html"
    contents = {
        "cacerts": answer("cacerts 200", b64["roots"], pkcs7, "Content-Transfer-Encoding: base64"),
        "csrattrs": answer("csrattrs 200", wrapped(csrattrs["rfc7030"]), "Content-Type: application/csrattrs"),
        "csrattrs_204": answer("csrattrs 204", b""),
        "csrattrs_404": answer("csrattrs 404", b"<h1>no</h1>", html),
        "enroll": answer("simpleenroll 200", b64["leaf"], pkcs7),
        "enroll_chain": answer("simpleenroll 200", b64["leaf_and_root"], pkcs7),
        "enroll_other_key": answer("simpleenroll 200", b64["roots"], pkcs7),
        "enroll_202": answer("simpleenroll 202", b"", "Retry-After: 30"),
        "enroll_202_none": answer("simpleenroll 202", b""),
        "enroll_401": answer("simpleenroll 401", b"", 'WWW-Authenticate: Negotiate, Basic realm="x"'),
        "enroll_401_other": answer("simpleenroll 401", b"", "WWW-Authenticate: Bearer"),
        "enroll_400": answer("simpleenroll 400", b"<p>bad <b>request</b></p>", html),
        "enroll_503": answer("simpleenroll 503", b"busy", "Retry-After: Sat, 02 Jan 2027 10:00:00 GMT"),
        "enroll_307": answer("simpleenroll 307", b"", "Location: /other"),
        "enroll_303": answer("simpleenroll 303", b"", "Location: https://est.example/x"),
        "redirect_away": answer("cacerts 302", b"", "Location: https://evil.example/"),
        "no_type": answer("cacerts 200", b64["roots"]),
        "gzip": answer("cacerts 200", b"\x1f\x8b", pkcs7, "Content-Encoding: gzip"),
        "empty": answer("simpleenroll 200", b"", pkcs7),
        "reenroll": answer("simplereenroll 200", b64["leaf"], pkcs7),
        "reenroll_old": answer("simplereenroll 200", b64["old"], pkcs7),
        "reenroll_both": answer("simplereenroll 200", b64["old_and_leaf"], pkcs7),
    }
    seeds("answer", **contents)


# --- keys made by the server ---


def make_multiparts():
    def body(*parts, end="\r\n"):
        return "".join(f"--b{end}{head}{end}{end}{text}{end}" for head, text in parts) + f"--b--{end}"

    key, certs = ("Content-Type: application/pkcs8", "AAAA"), (f"Content-Type: {CERTS_ONLY}", "BBBB")
    folded = ("Content-Type: application/pkcs7-mime;\r\n smime-type=server-generated-key", "AAAA")
    seeds("multipart", two="b\n" + body(key, certs), lf="b\n" + body(key, certs, end="\n"), folded="b\n" + body(certs, folded),
          preamble="b\nHello\r\n--bb\r\n" + body(key) + "Goodbye\r\n--b\r\n", odd="'()+_,-./:=?\n--'()+_,-./:=?\n\n--'()+_,-./:=?--",
          encoding="b\n" + body(("Content-Transfer-Encoding: base64 (x)", "")), no_end="b\n" + body(key)[:-6],
          five="b\n" + body(*[key] * 5), twice="b\n" + body(("X: 1\r\nContent-Type: a/b\r\nContent-Type: a/b", "")),
          none="b\nnothing", empty="", no_boundary="\n--\n\n----")


def make_key_packages(maker, signer, signer_key):
    package_type = "2.16.840.1.101.2.1.2.78.5"

    def encrypted(content, *recipient):
        return maker.openssl("cms", "-encrypt", "-binary", "-outform", "DER", *recipient, data=content)

    def signed(content, *options):
        return maker.openssl("cms", "-sign", "-binary", "-nodetach", "-outform", "DER", "-econtent_type", package_type,
                             "-signer", signer, "-inkey", signer_key, *options, data=content)

    kek = ("-secretkey", b"0123456789abcdef".hex(), "-secretkeyid", b"id".hex())
    pkcs8 = maker.der("ec.key")
    package = signed(sequence(pkcs8))
    certificate = maker.path("leaf.pem")
    seeds("key_package", pkcs8=b"8" + pkcs8, rsa=b"8" + maker.der("rsa.key"), ed25519=b"8" + maker.der("ed25519.key"),
          version_2=b"8" + sequence(integer(1), pkcs8[5:], tlv(0x81, b"\0\4")), cut=b"8" + pkcs8[:-1],
          kek=b"k" + encrypted(package, "-aes128", *kek), gcm=b"k" + encrypted(package, "-aes-256-gcm", *kek),
          des3=b"k" + encrypted(package, "-des3", *kek), other_id=b"k" + encrypted(package, "-aes128", *kek[:3], "6964ff"),
          password=b"p" + encrypted(package, "-aes128", "-pwri_password", "test"),
          ec=b"e" + encrypted(package, "-aes128", "-keyid", "-recip", certificate), method=b"k" + encrypted(
              package, "-aes128", "-pwri_password", "test"), signed=b"s" + package, two=b"s" + signed(sequence(pkcs8, pkcs8)),
          no_certificate=b"s" + signed(sequence(pkcs8), "-nocerts"), none=b"s" + signed(sequence()), bare=b"s" + pkcs8,
          unsigned=b"s" + sequence(pkcs8), no_package=b"s" + signed(b"text"), not_encrypted=b"k" + package)


def make_states(maker):
    def state(**changes):
        values = {"version": 1, "operation": "simpleenroll", "server": "https://est.example", "label": "", "state": "pending",
                  "retry_at": 1798761630, "polls": 1, "bound": False, "request": wrapped(maker.der("full.req")).decode()}
        values.update(changes)
        return json.dumps({name: value for name, value in values.items() if value is not None}, indent=2)

    old = wrapped(maker.der("old.pem")).decode()
    seeds("enrollment_state", pending=state(), ready=state(state="ready", retry_at=0, polls=0, label="device"),
          renewal=state(operation="simplereenroll", old_certificate=old), renewal_without_old=state(operation="simplereenroll"),
          bound=state(bound=True), issued=state(state="issued"), other_version=state(version=2), no_request=state(request=None),
          http=state(server="http://est.example"), negative=state(polls=-1), array="[]", cut=state()[:-20], empty="",
          duplicate=state()[:-2] + ',"polls":2}')


def c_string(name, text):
    lines = "\n".join(f'    "{line}\\n"' + (" \\" if rest else "") for line, rest in with_rest(text.splitlines()))
    return f"#define {name} \\\n{lines}\n"


def with_rest(lines):
    return [(line, index + 1 < len(lines)) for index, line in enumerate(lines)]


def make_fixture(maker):
    parts = [("FIXTURE_ROOT", "root.pem"), ("FIXTURE_REQUEST", "full.req"), ("FIXTURE_OLD", "old.pem"),
             ("FIXTURE_LEAF", "leaf.pem")]
    body = "\n".join(c_string(name, maker.text(file)) for name, file in parts)
    (FUZZ / "fixture.h").write_text(
        "/* Written by tools/make_corpus.py: a root, a request, and two certificates the root issued for it. */\n"
        "#ifndef TESTS_FUZZ_FIXTURE_H\n#define TESTS_FUZZ_FIXTURE_H\n\n/* clang-format off */\n" + body +
        "/* clang-format on */\n\n#endif\n")


def failed_because(other):
    """A PKIResponse as in the examples; `other` stands where a reason belongs (RFC 5272 6.1.1)."""
    values = ((25, sequence(integer(2), sequence(integer(1)), other)), (5, integer(0x22233403C990CC35)),
              (7, tlv(4, b"client-nonce-16b")))
    controls = [sequence(integer(number), oid(f"1.3.6.1.5.5.7.7.{arc}"), tlv(0x31, value))
                for number, (arc, value) in enumerate(values, 1)]
    return sequence(sequence(*controls), sequence(), sequence())


def make_cmc(maker):
    """The examples of tests/conformance/cmc: responses whole and opened, requests opened."""
    def content(path):
        return maker.openssl("cms", "-verify", "-noverify", "-inform", "DER", "-binary", "-in", path)

    examples = ROOT / "tests" / "conformance" / "cmc"
    for name in ("success", "success-ber", "simple", "anchors", "lie-signature", "lie-unsigned"):
        seed("cmc_response", name, (examples / f"response-{name}.der").read_bytes())
    for name in ("success", "success-v1", "success-path", "success-returned", "pending", "pending-v1", "partial",
                 "failed-badIdentity", "failed-extended", "failed-v1", "failed-bare", "status-noSupport", "anchors",
                 "anchors-sha1", "lie-nonce", "lie-no-transaction", "lie-no-status"):
        seed("cmc_response", f"content-{name}", content(examples / f"response-{name}.der"))
    for name, other in (("null", tlv(5)), ("boolean", tlv(1, b"\xff")), ("oid", oid("1.3.6.1.4.1.32473.5"))):
        seed("cmc_response", f"content-other-{name}", failed_because(other))
    for name in ("pkcs10", "crmf", "two", "query-pending", "confirm", "every-control"):
        seed("cmc_request", name, content(examples / f"request-{name}.der"))


OCSP_PRODUCED, OCSP_NEXT = b"20260531120000Z", b"20260608120000Z"
OCSP_DIGESTS = {"sha1": "1.3.14.3.2.26", "sha256": "2.16.840.1.101.3.4.2.1", "sha384": "2.16.840.1.101.3.4.2.2"}


def make_ocsp_responses(maker):
    """tbsResponseData, which the target signs, and whole responses (RFC 6960 4.2.1); the first byte says which."""
    raw = b"estuary fuzz ocsp key number 1.."
    maker.path("ocsp.der").write_bytes(sequence(integer(0), sequence(oid("1.3.101.112")), tlv(4, tlv(4, raw))))
    public = maker.openssl("pkey", "-inform", "DER", "-in", "ocsp.der", "-pubout", "-outform", "DER")[-32:]
    name = sequence(tlv(0x31, sequence(oid("2.5.4.3"), tlv(0x0C, b"Fuzz CA"))))
    delegate = sequence(tlv(0x31, sequence(oid("2.5.4.3"), tlv(0x0C, b"Delegate"))))
    good, revoked, unknown = tlv(0x80), tlv(0xA1, tlv(0x18, OCSP_PRODUCED), tlv(0xA0, tlv(10, b"\1"))), tlv(0x82)
    by_ca = tlv(0xA1, name)

    def cert_id(digest="sha1", serial=0x0A01, key=public):
        def value(data):
            return tlv(4, hashlib.new(digest, data).digest())
        return sequence(sequence(oid(OCSP_DIGESTS[digest]), tlv(5)), value(name), value(key), integer(serial))

    def single(status=good, made=OCSP_PRODUCED, then=OCSP_NEXT, extensions=b"", **which):
        return sequence(cert_id(**which), status, tlv(0x18, made), tlv(0xA0, tlv(0x18, then)) if then else b"",
                        tlv(0xA1, sequence(extensions)) if extensions else b"")

    def tbs(*singles, by=by_ca, version=b"", produced=OCSP_PRODUCED, extensions=b""):
        return sequence(version, by, tlv(0x18, produced), sequence(*singles),
                        tlv(0xA1, sequence(extensions)) if extensions else b"")

    def whole(body, status=b"\0", kind="1.3.6.1.5.5.7.48.1.1", after=b""):
        maker.path("tbs.der").write_bytes(body)
        signature = maker.openssl("pkeyutl", "-sign", "-rawin", "-inkey", "ocsp.der", "-keyform", "DER", "-in", "tbs.der")
        basic = sequence(body, sequence(oid("1.3.101.112")), tlv(3, b"\0" + signature))
        return b"\0" + sequence(tlv(10, status), tlv(0xA0, sequence(oid(kind), tlv(4, basic + after))))

    nonce = extension("1.3.6.1.5.5.7.48.1.2", tlv(4, b"estuary fuzz ocsp nonce 32 bytes"))
    other = extension("1.3.6.1.5.5.7.48.1.2", tlv(4, b"0123456789abcdef"))
    strange = extension("1.3.6.1.4.1.99999.1", tlv(5), critical=True)
    scts = extension("1.3.6.1.4.1.11129.2.4.5", tlv(4), critical=True)
    key_hash = tlv(0xA2, tlv(4, hashlib.sha1(public).digest()))
    seeds("ocsp_response",
          good=b"\1" + tbs(single()), revoked=b"\1" + tbs(single(revoked)), unknown=b"\1" + tbs(single(unknown)),
          by_key=b"\1" + tbs(single(), by=key_hash), sha256=b"\1" + tbs(single(digest="sha256")),
          sha384=b"\1" + tbs(single(digest="sha384")), other_serial=b"\1" + tbs(single(serial=7)),
          other_key=b"\1" + tbs(single(key=public[:-1])), nothing=b"\1" + tbs(),
          good_revoked=b"\1" + tbs(single(), single(revoked)), good_unknown=b"\1" + tbs(single(), single(unknown)),
          no_next=b"\1" + tbs(single(then=b"")), stale=b"\1" + tbs(single(then=b"20260531130000Z")),
          future=b"\1" + tbs(single(made=b"20270101000000Z", then=b"")), old=b"\1" + tbs(single(made=b"20260101000000Z")),
          no_zone=b"\1" + tbs(single(made=b"20260531120000")), fraction=b"\1" + tbs(single(made=b"20260531120000.5Z")),
          produced_late=b"\1" + tbs(single(), produced=b"20270101000000Z"),
          version_1=b"\1" + tbs(single(), version=tlv(0xA0, integer(0))),
          version_2=b"\1" + tbs(single(), version=tlv(0xA0, integer(1))),
          critical=b"\1" + tbs(single(), extensions=strange), single_critical=b"\1" + tbs(single(extensions=strange)),
          scts=b"\1" + tbs(single(extensions=scts)), nonce=b"\x19" + tbs(single(), extensions=nonce),
          other_nonce=b"\x09" + tbs(single(), extensions=other), no_nonce=b"\x19" + tbs(single()),
          two_nonces=b"\x09" + tbs(single(), extensions=nonce + other),
          delegate=b"\2" + tbs(single(), by=tlv(0xA1, delegate)), checked=b"\3" + tbs(single(), by=tlv(0xA1, delegate)),
          no_delegate=b"\4" + tbs(single(), by=tlv(0xA1, delegate)), delegate_as_ca=b"\2" + tbs(single()),
          whole=whole(tbs(single())), whole_other_type=whole(tbs(single()), kind="1.3.6.1.5.5.7.48.1.2"),
          whole_rest=whole(tbs(single()), after=b"\0\0"), whole_try_later=whole(tbs(single()), status=b"\3"),
          try_later=b"\0" + sequence(tlv(10, b"\3")), unauthorized=b"\0" + sequence(tlv(10, b"\6")),
          wide_status=b"\0" + sequence(tlv(10, b"\1\0\0\0\0")), empty=b"\0", cut=whole(tbs(single()))[:-9])


# --- CRLs, signed with the key of tests/fuzz/crl.h ---


def make_crl_insides():
    """what stands inside of a tbsCertList"""
    def name(text, tag=0x0C):
        return sequence(tlv(0x31, sequence(oid("2.5.4.3"), tlv(tag, text))))

    def entry(serial, *extensions, date=tlv(0x17, b"240229235959Z")):
        return sequence(tlv(2, serial), date, *([sequence(*extensions)] if extensions else []))

    def head(*parts, version=integer(1), algorithm=sequence(oid(ECDSA_SHA256))):
        return b"".join([version, algorithm, name(b"CA"), tlv(0x17, b"250101000000Z"), *parts])

    def of(*names):
        return extension("2.5.29.29", sequence(*[tlv(0xA4, name) for name in names]), critical=True)

    def extensions(*parts):
        return tlv(0xA0, sequence(*parts))

    def idp(*parts):
        return extensions(extension("2.5.29.28", sequence(*parts), critical=True))

    following, wanted, other = tlv(0x17, b"490101000000Z"), b"\x12\x34", b"\x00\xfe\xdc\xba"
    hold = extension("2.5.29.21", tlv(0x0A, b"\x06")), extension("2.5.29.23", oid("1.2.840.10040.2.1"))
    reason, removed = (extension("2.5.29.21", tlv(0x0A, value)) for value in (b"\x01", b"\x08"))
    invalid = extension("2.5.29.24", tlv(0x18, b"20240101000000Z"))
    number, base = extension("2.5.29.20", integer(5)), extension("2.5.29.27", integer(3), critical=True)
    akid = extension("2.5.29.35", sequence(tlv(0x80, b"0123456789abcdefghij")))
    point = tlv(0xA0, tlv(0xA0, tlv(0x86, b"http://ca.example/crl")))
    freshest = extension("2.5.29.46", sequence(sequence(point)))
    unknown = extension("1.3.6.1.4.1.99999.1", b"\x05\x00")
    return {
        "empty": head(following), "no_next": head(), "nothing": b"",
        "one": head(following, sequence(entry(wanted))), "other": head(following, sequence(entry(other))),
        "v1": head(following, sequence(entry(wanted)), version=b""),
        "many": head(following, sequence(*[entry(bytes([1 + i % 127]) * (1 + i % 20)) for i in range(40)], entry(wanted))),
        "reasons": head(following, sequence(entry(other, reason), entry(wanted, reason), entry(b"\x7f", *hold))),
        "invalidity": head(following, sequence(entry(wanted, reason, invalid), entry(other, unknown))),
        "generalized": head(tlv(0x18, b"20991231235959Z"), sequence(entry(wanted, date=tlv(0x18, b"20240101000000Z")))),
        "twice": head(following, sequence(entry(wanted, reason), entry(wanted, invalid))),
        "delta": head(following, sequence(entry(other, reason), entry(wanted, removed)), extensions(number, base)),
        "delta_both": head(following, sequence(entry(wanted, removed), entry(wanted, reason)), extensions(number, base)),
        "indirect": head(following, sequence(entry(wanted, of(name(b"Other"))), entry(other), entry(wanted, reason, of(name(b"CA")))),
                         idp(tlv(0x84, b"\xff"))),
        "indirect_spaces": head(following, sequence(entry(other, of(name(b"X"), name(b"  ca ", 0x13))), entry(wanted)),
                                idp(point, tlv(0x84, b"\xff"))),
        "indirect_absent": head(following, sequence(entry(wanted, of(name(b"Other")))), idp(tlv(0x84, b"\xff"))),
        "extensions": head(following, sequence(entry(other)), extensions(akid, number, freshest, unknown)),
        "idp": head(following, idp(point, tlv(0x81, b"\xff"), tlv(0x83, b"\x01\x7e"))),
        "critical": head(following, extensions(extension("1.3.6.1.4.1.99999.1", b"\x05\x00", critical=True))),
        "critical_entry": head(following, sequence(entry(other, extension("1.3.6.1.4.1.99999.1", b"", critical=True)))),
        "long_serial": head(following, sequence(entry(b"\x01" * 64), entry(wanted))),
        "ed25519": head(following, sequence(entry(wanted, reason)), algorithm=sequence(oid("1.3.101.112"))),
    }


def make_crls(maker):
    key = sequence(integer(1), tlv(4, bytes(range(1, 33))), tlv(0xA0, oid(P256)))
    maker.path("crl.key").write_bytes(key)
    for name, inside in make_crl_insides().items():
        for repairs in (0, 0x80):
            way = (0x40 if name == "ed25519" else 0) | repairs
            seed("crl_diff", name + ("_repaired" if repairs else ""), bytes([way | len(name)]) + inside)
        tbs = sequence(inside)
        signature = maker.openssl("dgst", "-sha256", "-sign", "crl.key", "-keyform", "DER", data=tbs)
        der = sequence(tbs, sequence(oid(ECDSA_SHA256)), tlv(3, b"\0" + signature))
        seed("crl", name, bytes([len(name)]) + der)
        if name in ("one", "extensions"):
            text = "-----BEGIN X509 CRL-----\r\n" + wrapped(der).decode() + "-----END X509 CRL-----\r\n"
            seed("crl", name + "_pem", b"\x07" + text.encode())
            seed("crl", name + "_pem_tail", b"\x40" + b"text\n" + text.encode() + b"more")


def main():
    make_texts()
    make_challenges()
    csrattrs = make_csrattrs()
    make_csr_templates()
    make_renewal_infos()
    with tempfile.TemporaryDirectory() as folder:
        maker = Maker(folder)
        make_keys(maker)
        make_requests(maker)
        answers = make_certificates(maker)
        make_answers(answers, csrattrs)
        make_multiparts()
        make_key_packages(maker, "root.pem", "root.key")
        make_states(maker)
        make_cmc(maker)
        make_ocsp_responses(maker)
        make_crls(maker)
        make_fixture(maker)


if __name__ == "__main__":
    main()
