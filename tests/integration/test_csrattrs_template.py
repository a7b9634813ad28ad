"""The request template (E3, RFC 9908 3.4 and 4) from csrattrs to the certificate, against the lab."""

import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import Alice, check_folder, estuary, lab, server, text_of  # noqa: E402
from harness import case, check_equal, check_in, main, snapshot  # noqa: E402


def tlv(tag, *parts):
    body = b"".join(parts)
    length = bytes([len(body)]) if len(body) < 128 else b"\x82" + len(body).to_bytes(2, "big")
    return bytes([tag]) + length + body


def oid(text):
    done = subprocess.run(["openssl", "asn1parse", "-genstr", f"OID:{text}", "-noout", "-out", "/dev/stdout"],
                          check=True, capture_output=True)
    return done.stdout


def sequence(*parts):
    return tlv(0x30, *parts)


def rdn(kind, *value):
    return tlv(0x31, sequence(oid(kind), *value))


def template(*parts, attributes=b""):
    value = sequence(tlv(2, b"\0"), *parts, tlv(0xA1, attributes))
    return sequence(oid("1.2.840.113549.1.9.16.2.61"), tlv(0x31, value))


def rfc9908():
    """RFC 9908 3.4: the example, with O in place of the departments, which the lab's CA has in its names"""
    san = sequence(oid("2.5.29.17"), tlv(4, sequence(tlv(0x82, b"www.myServer.com"), tlv(0x87))))
    usage = sequence(oid("2.5.29.15"), tlv(1, b"\xff"), tlv(4, tlv(3, b"\x03\x88")))
    extensions = sequence(oid("1.2.840.113549.1.9.16.2.62"),
                          tlv(0x31, sequence(san, usage, sequence(oid("2.5.29.37")))))
    subject = sequence(rdn("2.5.4.11", tlv(0x0C, b"myDept")), rdn("2.5.4.3"))
    key = tlv(0xA0, sequence(oid("1.2.840.10045.2.1"), oid("1.3.132.0.34")))
    # RFC 9908 4: what stands beside the template does not count
    return sequence(oid("1.2.840.113549.1.9.7"), template(subject, key, attributes=extensions), oid("2.5.4.5"))


@case("csrattrs says in words what will be in a request, and what is ours to give")
def words(tmp):
    (tmp / "template.der").write_bytes(rfc9908())
    with lab("--csrattrs", tmp / "template.der") as ca:
        text = estuary()("csrattrs", *server(ca), code=0).out
        for part in ("What will be in a request", 'organizationalUnitName "myDept"',
                     "the subject needs commonName, whose value is yours to give",
                     "the key should be an EC key on curve P-384", "iPAddress (yours to give)",
                     "the request needs extendedKeyUsage, whose value is yours to give",
                     "the server names challengePassword beside its template: ignored"):
            check_in(part, text, "words")
        answer = estuary().json("csrattrs", *server(ca), code=0)
        check_equal((answer["template"], answer["wants_binding"], answer["key_algorithm"]),
                    (True, False, "ec:P-384"), "template, wants_binding, key_algorithm")
        check_equal([row["name"] for row in answer["attributes"] if row["must_fill"]],
                    ["commonName", "subjectAltName", "extendedKeyUsage"], "to be filled in")


@case("enroll --csrattrs: fixed values are used, ours fill the gaps, and what is missing or wrong is named")
def enroll(tmp):
    (tmp / "template.der").write_bytes(rfc9908())
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab, "--csrattrs", tmp / "template.der") as ca:
        def call(*names, code):
            return est.json("enroll", *server(ca), *alice.client, "--csrattrs", *names, "--out", tmp / "out",
                            code=code)

        answer = call(code=9)
        check_equal((answer["error"]["code"], answer["error"]["message"]),
                    ("csr.template-incomplete",
                     "the server's template wants commonName, an iPAddress in subjectAltName and the extension "
                     "extendedKeyUsage"), "nothing given")
        answer = call("--subject", "CN=device,C=DE", "--san", "ip:192.0.2.1", "--eku", "clientAuth", code=9)
        check_equal((answer["error"]["code"], answer["error"]["message"]),
                    ("csr.attribute-conflict",
                     "the request contradicts the server's template: countryName \"DE\" has no place in its "
                     "subject"), "too much given")
        check_equal(snapshot(tmp / "out"), {}, "the folder of a refused request")
        check_equal(sum(r["method"] == "POST" for r in ca.access_log()), 0, "requests sent")
        call("--subject", "CN=device", "--san", "ip:192.0.2.1", "--eku", "clientAuth", code=0)
        check_folder(tmp / "out", ca.anchors)
        text = text_of(tmp / "out" / "cert.pem")
        for part in ("Subject: OU = myDept, CN = device\n", "DNS:www.myServer.com, IP Address:192.0.2.1",
                     "Public-Key: (384 bit)"):
            check_in(part, text, "certificate")


@case("a template that leaves nothing open needs no names of ours")
def nothing_open(tmp):
    alice = Alice(tmp)
    (tmp / "template.der").write_bytes(
        sequence(template(sequence(rdn("2.5.4.3", tlv(0x0C, b"named-by-the-server"))))))
    with lab(*alice.lab, "--csrattrs", tmp / "template.der") as ca:
        estuary().json("enroll", *server(ca), *alice.client, "--csrattrs", "--out", tmp / "out", code=0)
        check_in("Subject: CN = named-by-the-server\n", text_of(tmp / "out" / "cert.pem"), "subject")


@case("a pending request of a template is taken up again by the same command")
def pending(tmp):
    alice, est = Alice(tmp), estuary()
    (tmp / "template.der").write_bytes(rfc9908())
    with lab(*alice.lab, "--csrattrs", tmp / "template.der", "--pending", "1") as ca:
        command = ("enroll", *server(ca), *alice.client, "--csrattrs", "--subject", "CN=device", "--san",
                   "ip:192.0.2.1", "--eku", "clientAuth", "--out", tmp / "out")
        est.json(*command, code=7)
        answer = est.json(*command, "--max-wait", "20", code=0)
        check_equal(answer["resumed"], True, "resumed")


if __name__ == "__main__":
    main()
