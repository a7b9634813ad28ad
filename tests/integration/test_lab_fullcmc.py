"""The lab's /fullcmc by itself: requests made with Bouncy Castle, sent by curl, answers read by openssl.

The messages are those of tests/conformance/cmc (its README.md says what each holds). RFC 7030 4.3, RFC 5272
"""

import base64
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import (Lab, case, cases_from, check, check_equal, check_in, main, need, openssl,  # noqa: E402
                     password_file, program, run)

EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "conformance/cmc"
SECRET = "a shared secret of 16 and more"
TYPE = "application/pkcs7-mime; smime-type=CMC-request"
ANSWER = "application/pkcs7-mime; smime-type=CMC-response"
STATUS_V2, TRANSACTION, RECIPIENT_NONCE = "1.3.6.1.5.5.7.7.25", "id-cmc-transactionId", "id-cmc-recipientNonce"
BAD_MESSAGE_CHECK, BAD_REQUEST, BAD_IDENTITY = 1, 2, 7


class Answer:
    """.status .type .body, and of a Full PKI Response .cmc_status .fail .content (asn1parse) .bag (file)"""

    def __init__(self, tmp, lab, message, content_type=TYPE, encode=base64.encodebytes, path="fullcmc"):
        need("curl")
        (tmp / "message").write_bytes(encode(message))
        said = run(["curl", "-sS", "--max-time", "20", "--cacert", lab.anchors, "-o", tmp / "body", "-w",
                    "%{http_code}\n%{content_type}", "-H", f"Content-Type: {content_type}", "-H", "Expect:",
                    "--data-binary", f"@{tmp / 'message'}", f"{lab.url}/.well-known/est/{path}"], code=0).out
        self.status, self.type = int(said.split("\n")[0]), said.split("\n")[1]
        self.body = (tmp / "body").read_bytes()
        if self.type == ANSWER:
            self.read(tmp, lab)

    def read(self, tmp, lab):
        (tmp / "answer.der").write_bytes(base64.b64decode(self.body))
        self.bag = tmp / "bag.pem"
        # the signature, and that its certificate chains; what the certificate is for is looked at below
        openssl("cms", "-verify", "-inform", "DER", "-in", tmp / "answer.der", "-CAfile", lab.anchors, "-purpose",
                "any", "-certsout", self.bag, "-signer", tmp / "signer.pem", "-out", tmp / "content.der")
        self.signer = openssl("x509", "-in", tmp / "signer.pem", "-noout", "-subject", "-ext",
                              "extendedKeyUsage,basicConstraints").out
        self.content = openssl("asn1parse", "-inform", "DER", "-in", tmp / "content.der").out
        check_in(STATUS_V2, self.content, "controls")
        numbers = re.findall(r"INTEGER +:(\w+)", self.content.split(STATUS_V2)[1])
        self.cmc_status = int(numbers[0], 16)
        self.fail = int(numbers[2], 16) if self.cmc_status == 2 else None


def start(tmp, *options):
    return Lab(program("estuary-lab"), "--user", f"device-17:file:{password_file(tmp, SECRET)}", "--auth", "none",
               *options)


def example(name):
    return (EXAMPLES / f"request-{name}.der").read_bytes()


def issued(tmp, answer):
    """The certificate for device.p8 in the bag, which chains."""
    key = openssl("pkey", "-inform", "DER", "-in", EXAMPLES / "device.p8", "-pubout").out
    blocks = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", answer.bag.read_text(), re.DOTALL)
    found = [block for block in blocks if openssl("x509", "-noout", "-pubkey", input=block).out == key]
    check_equal(len(found), 1, "certificates for the key")
    (tmp / "cert.pem").write_text(found[0])
    return tmp / "cert.pem"


def accepted(tmp, name, *options):
    with start(tmp, *options) as lab:
        answer = Answer(tmp, lab, example(name))
        check_equal((answer.status, answer.type), (200, ANSWER), f"{answer.body!r}: HTTP")
        check_equal(answer.cmc_status, 0, "status")
        check_in("22233403C990CC35", answer.content.split(TRANSACTION)[1].split("OBJECT")[0], "transactionId")
        check_in("client-nonce-16b", answer.content.split(RECIPIENT_NONCE)[1].split("OBJECT")[0], "recipientNonce")
        cert = issued(tmp, answer)
        openssl("verify", "-CAfile", lab.anchors, "-untrusted", answer.bag, cert)
        check_in("device.example", openssl("x509", "-in", cert, "-noout", "-ext", "subjectAltName").out, "names")
        check_in("CA:TRUE" if options else "CMC RA", answer.signer, "who signs")


cases_from({
    "a shared secret, PKCS 10": ("pkcs10-secret",),
    "a shared secret, CRMF": ("crmf-secret",),
    "a shared secret without identification": ("secret-nameless",),
    "the CA signs and publishes its root": ("pkcs10-secret", "--cmc-signer", "ca", "--cmc-anchors"),
}, accepted)


def spoilt(message):
    return message[:-1] + bytes([message[-1] ^ 1])


REFUSED = {
    "two requests": (example("two"), BAD_REQUEST),
    "controls the lab does not know": (example("every-control"), BAD_REQUEST),
    "identityProof of the older kind": (example("secret-v1"), BAD_REQUEST),
    "a certificate of another CA": (example("pkcs10"), BAD_IDENTITY),
    "a token nobody knows": (example("query-pending"), BAD_REQUEST),
    "a signature with a wrong bit": (spoilt(example("pkcs10-secret")), BAD_MESSAGE_CHECK),
}


@case("refusals: HTTP 400 with a CMC response in it")
def refused(tmp):
    with start(tmp) as lab:
        for name, (message, fail) in REFUSED.items():
            answer = Answer(tmp, lab, message)
            check_equal((answer.status, answer.type), (400, ANSWER), f"{name}, {answer.body!r}: HTTP")
            check_equal((answer.cmc_status, answer.fail), (2, fail), f"{name}: status and failInfo")
            check_in(TRANSACTION, answer.content, name)


@case("a secret nobody told the lab is badIdentity")
def unknown(tmp):
    with Lab(program("estuary-lab"), "--user", f"device-17:file:{password_file(tmp, 'another secret')}") as lab:
        answer = Answer(tmp, lab, example("crmf-secret"))
        check_equal((answer.status, answer.cmc_status, answer.fail), (400, 2, BAD_IDENTITY), "answer")


@case("pending: the request is known again by its token and transaction")
def pending(tmp):
    with start(tmp, "--pending", "1", "--retry-after", "0") as lab:
        answer = Answer(tmp, lab, example("pkcs10-secret"))
        check_equal((answer.status, answer.cmc_status), (200, 3), "answer")
        check_in("GENERALIZEDTIME", answer.content, "pendTime")
        check_equal(Answer(tmp, lab, example("pkcs10-secret")).cmc_status, 0, "the same request once more")


@case("what is no Full PKI Request is refused in words")
def no_request(tmp):
    with start(tmp) as lab:
        good = example("pkcs10-secret")
        for name, status, answer in (
                ("another type", 415, Answer(tmp, lab, good, content_type="application/pkcs10")),
                ("no base64", 400, Answer(tmp, lab, good, encode=bytes)),
                ("AuthenticatedData", 400, Answer(tmp, lab, example("authenticated"))),
                ("a response", 400, Answer(tmp, lab, (EXAMPLES / "response-success.der").read_bytes())),
                ("cut short", 400, Answer(tmp, lab, good[:-20])),
                ("something after it", 400, Answer(tmp, lab, good + b"\x05\x00"))):
            check_equal((answer.status, answer.type), (status, "text/plain"), name)
            check(answer.body, f"{name}: a reason")


if __name__ == "__main__":
    main()
