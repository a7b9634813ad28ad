"""The hostile table: one row per lie of a server and per bad input, each with the error it must end in.

A row says the command, the stable code, the category, the exit code and a literal part of the sentence; and
whatever happens, nothing is written: the folder that holds --out looks afterwards as it did before. Bad
input is refused before the server is dialed. What the lab calls harmless must succeed (second table).
"""

import atexit
import concurrent.futures
import contextlib
import datetime
import fcntl
import os
import pathlib
import select
import shutil
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import (Estuary, Lab, case, cases_from, check, check_equal, check_in, check_not_in,  # noqa: E402
                     main, make_ca, make_key, openssl, password_file, program, run, snapshot, temp_dir,
                     write_private)
import protocol_lies  # noqa: E402

PASSWORD = "pass-s3cret-7141"
LITERAL = "literal-s3cret-2718"
# PKCS#8, PBES2 of AES-256 with PBKDF2, which is to take 2^31 - 1 iterations
EXPENSIVE_KEY = bytes.fromhex("307f304b06092a864886f70d01050d303e301d06092a864886f70d01050c301004"
                              "0873616c7473616c7402047fffffff301d060960864801650304012a0410") + bytes(16) \
    + b"\x04\x30" + bytes(48)
ROWS_AT_LEAST = 60
NAME = {"subject": "CN=device", "san": "dns:device.example"}


# --- what a row works with ----------------------------------------------------------------------

class Command(Estuary):
    """Estuary for several threads: its home is not the running case's."""

    def __init__(self, home):
        self.binary = program("estuary")
        self.defaults = ()
        self.env = {"HOME": home, "XDG_CACHE_HOME": home / "cache", "XDG_CONFIG_HOME": home / "config",
                    "XDG_DATA_HOME": home / "data", "XDG_STATE_HOME": home / "state",
                    # a resolver that cannot be reached must not cost half a minute
                    "RES_OPTIONS": "attempts:1 timeout:1", "LOCALDOMAIN": "",
                    "no_proxy": None, "https_proxy": None, "all_proxy": None}


class Fixtures:
    """Files that many rows use and none changes."""

    def __init__(self, folder):
        self.dir = folder
        now = datetime.datetime.now(datetime.timezone.utc)
        day = datetime.timedelta(days=1)
        self.ca = make_ca(folder / "ca")
        self.middle = make_ca(folder / "middle", "/CN=Test Middle", parent=self.ca)
        self.identity = self.issue("identity")
        self.expired = self.issue("expired", not_before=now - 9 * day, not_after=now - day)
        self.early = self.issue("early", not_before=now + day, not_after=now + 9 * day)
        self.server_only = self.issue("server-only", eku=("serverAuth",))
        self.agreement = self.issue("agreement", extensions=("basicConstraints = critical,CA:FALSE",
                                                             "keyUsage = critical,keyAgreement"))
        self.weak = self.issue("weak", alg="rsa:1024")
        self.password = password_file(folder, PASSWORD, name="password")
        self.kek = self.file("kek", protocol_lies.KEK)
        self.make_keys()
        self.make_requests()
        self.make_anchors()

    def issue(self, name, **options):
        return self.ca.issue(self.dir, f"/CN={name}", name=name, **{"eku": ("clientAuth",), **options})

    def file(self, name, content=b"", mode=0o600):
        path = write_private(self.dir / name, content)
        path.chmod(mode)
        return path

    def make_keys(self):
        key = make_key(self.dir / "device.key").read_bytes()
        encrypted = openssl("pkcs8", "-topk8", "-in", self.dir / "device.key", "-passout",
                            f"pass:{PASSWORD}").raw
        self.file("open.key", key, 0o644)
        self.file("encrypted.key", encrypted)
        self.file("expensive.key", EXPENSIVE_KEY)
        self.file("garbage.key", os.urandom(400))
        self.file("two.key", key + make_key(self.dir / "other.key").read_bytes())
        self.file("public.key", openssl("pkey", "-in", self.dir / "device.key", "-pubout").raw)
        self.file("ssh.key", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n"
                             "-----END OPENSSH PRIVATE KEY-----\n")
        self.file("tpm.key", "-----BEGIN TSS2 PRIVATE KEY-----\nMAA=\n-----END TSS2 PRIVATE KEY-----\n")
        self.file("rsa1024.key", openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024").raw)
        self.file("wrong-password", "another")
        self.file("open-password", PASSWORD, 0o644)
        self.file("huge-password", "x" * 100000)
        os.mkfifo(self.dir / "fifo-password", 0o600)

    def request(self, name, key, *options, subject="/CN=device"):
        der = openssl("req", "-new", "-config", self.ca.config, "-key", self.dir / key, "-subj", subject,
                      "-outform", "DER", *options).raw
        self.file(name, der)
        return der

    def make_requests(self):
        good = self.request("good.csr", "device.key")
        self.request("rsa1024.csr", "rsa1024.key")
        self.request("md5.csr", make_key(self.dir / "rsa.key", "rsa:2048").name, "-md5")
        self.request("nameless.csr", "device.key", subject="/")
        self.file("truncated.csr", good[:-30])
        self.file("spoilt.csr", good[:-1] + bytes([good[-1] ^ 1]))
        self.file("empty.csr")
        self.file("garbage.csr", b"this is no request\n")
        self.file("huge.csr", b"-" * 300000)

    def make_anchors(self):
        self.file("empty.pem")
        self.file("garbage.pem", b"this is no certificate\n")
        self.file("truncated.pem", self.ca.cert.read_bytes()[:300])
        self.file("broken.pem", "-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n")
        self.file("huge.pem", b"#" * (8 << 20))
        openssl("req", "-x509", "-new", "-config", self.ca.config, "-key", self.dir / "device.key", "-subj",
                "/CN=No CA", "-addext", "basicConstraints=critical,CA:FALSE", "-out", self.dir / "no-ca.pem")


class Work:
    """One row's folder: .tmp with .parent (watched) in it, .out = parent/device."""

    def __init__(self, tmp, fixtures, command):
        self.tmp, self.fix, self.est = tmp, fixtures, command
        self.parent = tmp / "parent"
        self.parent.mkdir(mode=0o700)
        self.out = self.parent / "device"
        self.fds = ()

    def fill(self, text):
        for name, value in (("{fix}", self.fix.dir), ("{out}", self.out), ("{parent}", self.parent),
                            ("{tmp}", self.tmp)):
            text = text.replace(name, str(value))
        return text

    def arguments(self, options):
        """{"san": [a, b], "json": True} as a command line; None leaves an option out."""
        result = []
        for name, value in options.items():
            for one in value if isinstance(value, list) else [value]:
                if one is True:
                    result.append(f"--{name}")
                elif one is not None:
                    result += [f"--{name}", self.fill(str(one))]
        return result

    def call(self, command, options, *more):
        return self.est.json(command, *self.arguments(options), *more, timeout=40, pass_fds=self.fds)


def common(command, url, anchors):
    """The options of a command when all is well."""
    options = {"server": url, "trust": anchors, "timeout": 15}
    if command in ("enroll", "reenroll"):
        options |= {"pop": "off"}    # else /csrattrs would be asked first, and meet the lie
    if command == "enroll":
        options |= {"user": "alice", "password": "file:{fix}/password", "out": "{out}", **NAME}
    elif command == "fullcmc":
        options |= {"cmc-identity": "alice", "cmc-secret": "file:{fix}/password", "out": "{out}", **NAME}
    elif command == "reenroll":
        options |= {"cert": "{fix}/identity.pem", "key": "{fix}/identity.key", "out": "{out}"}
    elif command == "bootstrap":
        options |= {"trust": None, "fingerprint": "AA" * 32, "output": "{parent}/ca.pem"}
    elif command == "cacerts":
        options |= {"output": "{parent}/ca.pem"}
    return options


# What changes the CA, or what it publishes, would change it for the other rows.
REVOCATION = ("ocsp-", "crl-", "staple-")
OF_ITS_OWN = ("rollover-", *REVOCATION)


def shared_lab(fixtures):
    """One lab for the rows, honest at its own port, with one more port for each misbehaviour."""
    choices = {title.split(" ")[0] for table in (LIES, HARMLESS, PENDING) for title in table}
    return Lab(program("estuary-lab", own=True), "--user", f"alice:file:{fixtures.password}",
               "--kek", f"shared=file:{fixtures.kek}", "--key-password", f"alice=file:{fixtures.password}",
               also=[choice for choice in sorted(choices) if not choice.startswith(OF_ITS_OWN)])


def start_lab(work, *args):
    return Lab(program("estuary-lab", own=True), "--user", f"alice:file:{work.fix.password}", *args)


def misbehaving(work, name):
    choice = name.split(" ")[0]
    if choice.startswith(OF_ITS_OWN):
        return start_lab(work, "--misbehave", choice)
    return contextlib.nullcontext(runner.lab.at(choice))


class Refusal:
    """What a row expects; check() compares."""

    def __init__(self, code, category, exit_code, sentence, counts=True):
        self.code, self.category, self.exit = code, category, exit_code
        self.sentence, self.counts = sentence, counts

    def check(self, result):
        result.expect(self.exit)
        check("error" in result.json, f"no error in {result!r}")
        error = result["error"]
        check_equal(error["code"], self.code, f"error.code of {result!r}")
        check_equal(error["category"], self.category, "error.category")
        check_equal(error["exit_code"], self.exit, "error.exit_code")
        check_in(self.sentence, error["message"], "error.message")
        for text in (result.out, result.err):
            check_not_in(PASSWORD, text, "output")
            check_not_in(LITERAL, text, "output")
        return error["message"]


def refused(work, expected, act):
    """act() must fail as expected, and leave the folder of --out as it was."""
    before = snapshot(work.parent)
    result = act()
    check_equal(snapshot(work.parent), before, f"the folder that holds --out, after {result!r}")
    return expected.check(result)


def kept(work, expected, act):
    """act() loses the answer to a POST that may have been read: the request and its key stay, nothing else."""
    result = act()
    check_equal(sorted(snapshot(work.parent)), [".", "device.pending", "device.pending/key.pem",
                                                "device.pending/state.json"], f"files after {result!r}")
    check_equal(result["maybe_sent"], True, "maybe_sent")
    return expected.check(result)


# --- lies: a lab that misbehaves ----------------------------------------------------------------

def lie(command, code, category, exit_code, sentence, counts=True, prepare=None, judge=refused, **options):
    def act(work, name):
        with misbehaving(work, name) as server:
            given = common(command, server.url, server.anchors) | options
            if prepare:
                given |= prepare(work, server)
            return judge(work, Refusal(code, category, exit_code, sentence),
                         lambda: work.call(command, given))
    return act, Refusal(code, category, exit_code, sentence, counts)


def trust(code, sentence, **options):
    return lie("enroll", f"trust.{code}", "trust", 5, sentence, **options)


def tls(code, sentence, **options):
    return lie("enroll", f"tls.{code}", "tls", 5, sentence, **options)


def protocol(code, sentence, command="enroll", **options):
    return lie(command, f"protocol.{code}", "protocol", 8, sentence, **options)


def network(code, sentence, command="enroll", **options):
    return lie(command, f"network.{code}", "network", 4, sentence, **options)


def lost(code, sentence, **options):
    """The server may have issued: the same command again must be the same request (E7, double enrolment)."""
    return network(code, sentence, judge=kept, **options)


def auth(code, sentence, command="enroll", **options):
    return lie(command, f"auth.{code}", "auth", 6, sentence, **options)


def server(code, sentence, command="enroll", **options):
    return lie(command, f"server.{code}", "server", 8, sentence, **options)


def cert(code, sentence, command="enroll", **options):
    return lie(command, f"cert.{code}", "certificate", 9, sentence, **options)


def enrolled_before(work, lab):
    """A certificate of this lab to renew, kept outside of the watched folder."""
    given = common("enroll", lab.url, lab.anchors) | {"out": "{tmp}/old"}
    work.call("enroll", given).expect(0)
    return {"cert": "{tmp}/old/cert.pem", "key": "{tmp}/old/key.pem"}


def right_fingerprint(_work, lab):
    return {"fingerprint": lab.fingerprint}


def cmc(code, sentence, **options):
    return lie("fullcmc", f"protocol.{code}", "protocol", 8, sentence, **options)


def cmc_signer(sentence, **options):
    return lie("fullcmc", "trust.cmc-signer", "trust", 5, sentence, **options)


def cmc_failed(sentence, code="server.cmc-failed", category="server", exit_code=8, **options):
    return lie("fullcmc", code, category, exit_code, sentence, **options)


# counts=False: the client sees what it sees in the row named beside it
LIES = {
    "tls-expired": trust("expired", "the server's certificate expired on"),
    "tls-not-yet-valid": trust("not-yet-valid", "the server's certificate is not valid before"),
    "tls-wrong-host": trust("host-mismatch", "is for dns:other.example, not for \"localhost\""),
    "tls-cn-only": trust("no-subject-alt-name", "its CN does not count"),
    "tls-partial-wildcard": trust("host-mismatch", "is for dns:local*, not for \"localhost\""),
    "tls-ra-other-host-no-cmcra": trust("host-mismatch", "is for dns:other.example", counts=False),  # wrong-host
    "tls-wrong-eku": trust("wrong-eku", "may not be used for TLS server authentication (extKeyUsage)"),
    "tls-unknown-issuer": trust("unknown-issuer", "\"CN=Somebody's CA,O=Estuary Lab\", is neither among them"),
    "tls-self-signed": trust("self-signed", "is self-signed and not among the trust anchors"),
    "tls-weak-key": trust("weak-key", "has a weak key"),
    "tls-sha1-signature": trust("weak-signature", "is signed with a weak digest"),
    "tls-bad-signature": trust("bad-signature", "was not made by \"CN=Estuary Lab Issuing CA"),
    "tls-unknown-critical-extension": trust("critical-extension",
                                            "holds a critical extension that is not understood"),
    "tls-missing-intermediate": trust("unknown-issuer", "\"CN=Estuary Lab Issuing CA,O=Estuary Lab\", is neither"),
    "tls-expired-intermediate": trust("ca-expired", "\"CN=Estuary Lab Expired CA,O=Estuary Lab\" in its chain"),
    "tls-not-ca-intermediate": trust("invalid-ca", "which is not a CA certificate"),
    "tls-name-constraints": trust("name-constraints", "is outside of the names that"),
    "tls-deep-chain": trust("chain-too-long", "has more CAs in its chain than allowed"),
    "tls-1.1-only": tls("version-too-old", "TLS 1.2 is the oldest"),
    "tls-null-cipher": tls("no-shared-cipher", "none of our cipher suites"),
    "tls-anon-only": tls("no-shared-cipher", "none of our cipher suites", counts=False),  # null-cipher
    "tls-alert": tls("no-shared-cipher", "(alert handshake_failure)", counts=False),  # the same alert
    "tls-require-client-cert": tls("client-certificate-required", "insists on a TLS client certificate"),
    "tls-wrong-client-ca": tls("client-certificate-refused", "refused our TLS client certificate",
                               cert="{fix}/identity.pem", key="{fix}/identity.key"),
    "tls-plain-http": tls("not-tls", "does not speak TLS on this port"),
    "tls-close-in-handshake": tls("closed-in-handshake", "closed the connection during the TLS handshake"),
    "tls-stall-in-handshake": network("timeout-connect", "no session with localhost", timeout=2),

    "wrong-content-type": protocol("content-type", "is \"text/html\", not application/pkcs7-mime"),
    "wrong-content-type for csrattrs": protocol("content-type", "not application/csrattrs", "csrattrs"),
    "no-content-type": protocol("no-content-type", "has no Content-Type"),
    "smime-type-other": protocol("smime-type", "of another kind than certs-only"),
    "gzip-encoding": protocol("content-encoding", "a Content-Encoding that was not asked for"),
    "206-partial": protocol("status", "with status 206"),
    "204": protocol("status", "with status 204"),
    "304": protocol("status", "with status 304"),
    "redirect-elsewhere": lie("enroll", "trust.redirect-origin", "trust", 5, "other.example port 443"),
    "redirect-other-port": trust("redirect-origin", "another origin, localhost port"),
    "redirect-http": trust("redirect-downgrade", "from https to http"),
    "redirect-loop": protocol("too-many-redirects", "redirects more often than allowed"),
    "redirect-no-location": protocol("redirect", "redirects without a usable Location"),
    "redirect-userinfo": protocol("redirect", "redirect contains a user name"),
    "401-loop": auth("refused", "refused the user name or password"),
    "401-no-challenge": auth("no-challenge", "401 without saying how to authenticate"),
    "401-unknown-scheme": auth("scheme", "neither Basic nor Digest"),
    "401-ntlm": auth("scheme", "neither Basic nor Digest", counts=False),  # 401-unknown-scheme
    "403": auth("forbidden", "the server does not allow this (status 403)"),
    "404": server("not-found", "no such EST service at this URL"),
    "400-text": server("refused", "\"the request lacks a serialNumber in its subject\""),
    "400-control-bytes": server("refused", "red?"),
    "400-html": server("refused", "\"400 Bad <request>\""),
    "405": server("method", "does not know this operation (status 405)"),
    "413": server("too-large", "too large for the server (status 413)"),
    "429-retry-after": server("busy", "come back later (status 429)"),
    "503-retry-after": server("busy", "come back later (status 503)"),
    "500": server("error", "reports an internal error (status 500)"),
    "200-empty": protocol("empty", "the server's answer is empty"),
    "202-no-retry-after": protocol("retry-after-missing", "202 without Retry-After"),
    "202-bad-retry-after": protocol("retry-after", "neither a number of seconds nor an HTTP date"),
    "202-negative": protocol("retry-after", "neither a number of seconds", counts=False),  # bad-retry-after
    "truncated-body": lost("truncated", "in the middle of its answer"),
    "close-mid-body": lost("truncated", "in the middle of its answer", counts=False),  # truncated-body
    "negative-length": protocol("content-length", "Content-Length is not a number"),
    "two-lengths": protocol("content-length", "two different Content-Lengths"),
    "oversize": protocol("response-too-large", "announces an answer of 67108864 bytes"),
    "oversize-chunked": protocol("response-too-large", "goes on past the 1048576 bytes allowed"),
    "bad-chunk": protocol("http", "a chunk of the server's answer has no valid length"),
    "header-flood": protocol("too-many-headers", "more header lines than allowed"),
    "100-continue-flood": protocol("too-many-headers", "header lines", counts=False),  # header-flood
    "long-header": protocol("headers-too-large", "a header line of the server's answer is longer"),
    "garbage-status-line": protocol("http", "the server's answer is not valid HTTP"),
    "http-0.9": protocol("http", "the server's answer is not valid HTTP", counts=False),  # garbage-status-line
    "slow-drip": lost("timeout-total", "was not complete within the time allowed", timeout=3),
    "stall": lost("timeout-idle", "sent nothing within the time allowed", timeout=2),
    "close-before-response": lost("closed-early", "which is not sent twice"),
    "close-before-response for cacerts": network("closed-early", "the connection before it answered", "cacerts"),
    "reset": lost("reset", "reset the connection after it may have read the request"),
    "reset for cacerts": network("reset", "localhost", "cacerts", counts=False),  # reset

    "digest-auth-int": auth("digest-auth-int", "only with qop \"auth-int\""),
    "digest-unknown-algorithm": auth("digest-algorithm", "a hash that is not supported"),
    "digest-stale-always": auth("digest-stale", "calls every Digest nonce stale"),
    "digest-md5-sess": auth("refused", "refused the user name or password", counts=False),  # 401-loop
    "pop-always-wrong": server("channel-binding", "did not see the channel binding of this TLS session",
                               pop="required"),
    "pop-never-seen": server("refused", "TLS-terminating proxy is between", counts=False, pop="required"),
    "pop-no-extended-master-secret wanted": tls("no-extended-master-secret", "no extended master secret",
                                         pop="required"),

    "wrong-key": cert("key-differs", "no certificate in the answer is for the key of the request"),
    "issued-same-as-old-key": cert("key-differs", "for the key of the request", "reenroll",
                                   counts=False, prepare=enrolled_before),  # wrong-key
    "wrong-subject": cert("subject-differs", "the requested one was \"CN=device\""),
    "missing-san": cert("san-missing", "lacks the requested subjectAltName dns:device.example"),
    "extra-san": cert("san-extra", "subjectAltName dns:extra.example, which was not requested"),
    "issued-expired": cert("expired", "the certificate expired on"),
    "issued-not-yet-valid": cert("not-yet-valid", "the certificate is not valid before"),
    "issued-reversed-validity": cert("validity", "is before its notBefore"),
    "issued-ca": cert("is-ca", "the certificate is a CA certificate"),
    "issued-wrong-eku": cert("eku", "extended key usage", eku="clientAuth"),
    "issued-unknown-issuer": cert("unknown-issuer", "\"CN=Somebody's CA,O=Estuary Lab\", is neither"),
    "issued-bad-signature": cert("bad-signature", "the signature on \"CN=device\" was not made by"),
    "issued-sha1": cert("weak-signature", "is signed with ecdsa-with-SHA1, which is too weak"),
    "issued-negative-serial": cert("serial", "serial number is not a positive number"),
    "issued-revoked": lie("enroll", "revoked.revoked", "revoked", 10,
                          "the certificate that was issued: the certificate is revoked since", revocation="soft"),
    "huge-cert": protocol("response-too-large", "bytes, more than allowed", counts=False),  # oversize
    "two-certificates-same-key": cert("ambiguous", "several different certificates for the key"),
    "too-many-certs": protocol("too-many-certificates", "holds 501 certificates, more than the"),

    "cacerts-empty": protocol("no-certificates", "holds no certificates", "cacerts", counts=False),  # cms-no-certs
    "cacerts-no-root": protocol("cacerts-no-root", "no self-signed root", "cacerts"),
    "cacerts-not-ca": protocol("cacerts-not-ca", "among the server's CA certificates is not a CA", "cacerts"),
    "cacerts-unrelated-root": lie("bootstrap", "trust.fingerprint-mismatch", "trust", 5, "no root certificate",
                                  counts=False, prepare=right_fingerprint),  # another fingerprint
    "cacerts-expired-root": lie("bootstrap", "trust.fingerprint-mismatch", "trust", 5, "no root certificate",
                                counts=False, prepare=right_fingerprint),

    "cms-no-certs": protocol("no-certificates", "the server's answer holds no certificates"),
    "cms-with-content": protocol("cms-content", "carries content, which it must not"),
    "cms-signed": protocol("cms-signers", "carries signatures, which it must not"),
    "cms-enveloped": protocol("cms-type", "of another type than SignedData"),
    "not-cms": protocol("cms", "is not a CMS message"),
    "cms-trailing-garbage": protocol("cms-trailing", "after the end of the CMS message"),
    "cms-truncated": protocol("cms", "is not a CMS message", counts=False),  # not-cms
    "bad-base64": protocol("base64", "of the server's answer is not base64"),
    "base64-trailing-garbage": protocol("base64-trailing", "after the end of the base64 data"),
    "base64-padding-wrong": protocol("base64-padding", "has a '=' too many"),
    "base64-unused-bits": protocol("base64-bits", "bits that have to be zero (RFC 4648 3.5)"),
    "der-body": protocol("binary", "raw DER where RFC 7030 wants base64"),
    "pem-body": protocol("pem", "PEM armour where RFC 7030 wants plain base64"),

    "csrattrs-garbage": protocol("csrattrs", "not valid DER of CsrAttrs", "csrattrs"),
    "csrattrs-trailing": protocol("csrattrs-trailing", "after the end of the CSR attributes", "csrattrs"),
    "csrattrs-huge": protocol("response-too-large", "bytes, more than allowed", "csrattrs", counts=False),
    "csrattrs-deep-nesting": protocol("csrattrs", "entry 1 of the server's CSR attributes is not", "csrattrs"),
    "csrattrs-wrong-type": protocol("csrattrs", "not valid DER", "csrattrs", counts=False),  # csrattrs-garbage

    # RFC 5272 6.1.4, RFC 7030 4.3.2
    "cmc-failed-bad-alg": cmc_failed("not supported (badAlg): \"the lab says bad-alg\""),
    "cmc-failed-bad-message-check": cmc_failed("integrity check of the request failed (badMessageCheck)"),
    "cmc-failed-bad-request": cmc_failed("not permitted or not supported (badRequest): \"the lab"),
    "cmc-failed-bad-time": cmc_failed("too far from the server's (badTime)"),
    "cmc-failed-bad-cert-id": cmc_failed("no certificate matches what the request names (badCertId)"),
    "cmc-failed-unsupported-ext": cmc_failed("a requested extension is not supported (unsupportedExt)"),
    "cmc-failed-must-archive-keys": cmc_failed("must be handed over for archiving (mustArchiveKeys)"),
    "cmc-failed-bad-identity": cmc_failed("did not verify (badIdentity)", "auth.cmc-identity", "auth", 6),
    "cmc-failed-pop-required": cmc_failed("wants a direct proof of possession (popRequired)"),
    "cmc-failed-pop-failed": cmc_failed("the proof of possession did not verify (popFailed)"),
    "cmc-failed-no-key-reuse": cmc_failed("the key may not be used again (noKeyReuse)"),
    "cmc-failed-internal-ca-error": cmc_failed("the CA had an internal failure (internalCAError)"),
    "cmc-failed-try-later": cmc_failed("takes no requests now (tryLater)", "server.cmc-try-later"),
    "cmc-failed-auth-data-fail": cmc_failed("could not be processed (authDataFail)"),
    "cmc-failed-unheard-of": cmc_failed("for a reason of its own (failInfo 4711)"),
    "cmc-failed-odd-text": cmc_failed("\"?[2Jred?[31m X-Header: no?? xxxx"),
    "cmc-failed-200": cmc_failed("(badRequest): \"no\""),
    "cmc-status-no-support": cmc_failed("it does not support this operation (noSupport)"),
    "cmc-status-unheard-of": cmc("cmc-status", "holds a status that RFC 5272 does not define"),
    "cmc-success-400": cmc_failed("refused the request (status 400)", "server.refused", counts=False),
    # RFC 5272 6.6
    "cmc-wrong-transaction": cmc("cmc-transaction", "belongs to another transaction"),
    "cmc-no-transaction": cmc("cmc-transaction", "lacks the transactionId"),
    "cmc-wrong-nonce": cmc("cmc-nonce", "does not answer this very request (recipientNonce)"),
    "cmc-no-nonce": cmc("cmc-nonce", "lacks the recipientNonce"),
    # RFC 5272 4.2, RFC 6402 2.10; E10: nothing in it is read before the signature and its signer are good
    "cmc-unsigned": cmc("cmc-signature", "has 0 signatures instead of one"),
    "cmc-stranger": cmc_signer("does not chain to the trust anchors: the issuer of \"CN=Estuary Lab CMC RA"),
    "cmc-no-authority": cmc_signer("has neither id-kp-cmcRA nor id-kp-cmcCA and is no CA"),
    "cmc-bad-signature": cmc("cmc-signature", "of the server's CMC response does not verify"),
    "cmc-no-signer-certificate": cmc("cmc-signature", "does not verify", counts=False),  # cmc-bad-signature
    "cmc-anchor-unsigned": cmc("cmc-signature", "has 0 signatures", counts=False),  # cmc-unsigned
    "cmc-anchor-stranger": cmc_signer("does not chain to the trust anchors", counts=False),  # cmc-stranger
    "cmc-anchor-no-authority": cmc_signer("has neither id-kp-cmcRA", counts=False),  # cmc-no-authority
    "cmc-pending-bare": cmc("cmc", "says pending, but gives no token to ask with"),
    "cmc-pending-huge-token": cmc("cmc", "is empty or larger than allowed"),
    "cmc-no-certificate": lie("fullcmc", "cert.key-differs", "certificate", 9, "no certificate in the answer",
                              counts=False),  # wrong-key
    "cmc-other-key": lie("fullcmc", "cert.key-differs", "certificate", 9, "no certificate in the answer",
                         counts=False),  # wrong-key
    "cmc-many-controls": cmc("response-too-large", "bytes, more than allowed", counts=False),  # oversize
    "cmc-nested": cmc("cmc", "the server's CMC response is malformed"),
    "cmc-wrong-content": cmc("cmc", "is signed, but is no CMC response"),
    "cmc-content-data": cmc("cmc", "is signed, but is no CMC response", counts=False),  # cmc-wrong-content
    "cmc-trailing": cmc("cms-trailing", "after the end of the CMS message", counts=False),  # cms-trailing-garbage
    "cmc-cut": cmc("cms", "is not a CMS message", counts=False),  # not-cms
}


# --- harmless: it must work ---------------------------------------------------------------------

def verified(work, lab):
    """openssl finds the certificate good, and its key is the one beside it."""
    openssl("verify", "-CAfile", lab.anchors, "-untrusted", work.out / "chain.pem", work.out / "cert.pem")
    public = openssl("x509", "-in", work.out / "cert.pem", "-noout", "-pubkey").out
    check_equal(openssl("pkey", "-in", work.out / "key.pem", "-pubout").out, public, "public key")


def works(**options):
    def act(work, name):
        with misbehaving(work, name) as lab:
            result = work.call("cacerts", common("cacerts", lab.url, lab.anchors)).expect(0)
            check_in("BEGIN CERTIFICATE", (work.parent / "ca.pem").read_text(), "CA certificates")
            result = work.call("enroll", common("enroll", lab.url, lab.anchors) | options).expect(0)
            check("error" not in result.json, f"an error in {result!r}")
            verified(work, lab)
            check_equal(sorted(snapshot(work.parent)), [".", "ca.pem", "device", "device/cert.pem",
                                                        "device/chain.pem", "device/fullchain.pem",
                                                        "device/key.pem"], "files")
    return act


def short_lived(work, name):
    """A certificate of one second: good at the moment it comes, unless this machine is slow."""
    with misbehaving(work, name) as lab:
        result = work.call("enroll", common("enroll", lab.url, lab.anchors)).expect((0, 9))
        if result.code == 9:
            check_equal(result["error"]["code"], "cert.expired", "error.code")
            check(not work.out.exists(), "nothing is written")


def only_the_confirmed_root(work, name):
    """Bootstrap takes the root whose fingerprint was confirmed, not the one beside it (RFC 7030 4.1.1)."""
    with misbehaving(work, name) as lab:
        given = common("bootstrap", lab.url, None) | {"fingerprint": lab.fingerprint}
        result = work.call("bootstrap", given).expect(0)
        roots = [one["fingerprint"] for one in result["certificates"] if one["role"] == "root"]
        check_equal(roots, [lab.fingerprint], "roots")
        check_not_in("Unrelated", openssl("storeutl", "-noout", "-text", work.parent / "ca.pem").out, "ca.pem")


def cmc_works(work, name):
    with misbehaving(work, name) as lab:
        work.call("fullcmc", common("fullcmc", lab.url, lab.anchors)).expect(0)
        verified(work, lab)


def cmc_anchor_not_taken(work, name):
    """A published anchor that is not in the message by its hash: the certificate is good, no anchor is written."""
    with misbehaving(work, name) as lab:
        given = common("fullcmc", lab.url, lab.anchors) | {"output": "{parent}/ca.pem"}
        result = work.call("fullcmc", given)
        check(result.code != 1, f"an untyped failure: {result!r}")
        check(not (work.parent / "ca.pem").exists(), "no anchor is written")
        verified(work, lab)


HARMLESS = {
    "cmc-indefinite": cmc_works,
    "cmc-no-status": cmc_works,
    "cmc-alien-control": cmc_works,
    "cmc-version-1": cmc_works,
    "cmc-reverse": cmc_works,
    "cmc-simple-response": cmc_works,
    "cmc-anchor-wrong-hash": cmc_anchor_not_taken,
    "tls-cmcra-other-host": works(),
    "charset-parameter": works(),
    "redirect-same-origin": works(),
    "404@csrattrs": works(csrattrs=True),
    "204@csrattrs": works(csrattrs=True),
    "202-http-date": works(**{"max-wait": 20}),
    "202-past-date": works(**{"max-wait": 20}),
    "no-length": works(),
    "lf-only": works(),
    "issued-short": short_lived,
    "issued-no-sources": works(revocation="hard"),
    "issued-only-ca-issuers": works(revocation="hard"),
    "cacerts-two-roots": only_the_confirmed_root,
    "digest-stale-once": works(),
    "digest-among-others": works(),
    "extra-certificates": works(),
    "shuffled-order": works(),
    "duplicate-certificate": works(),
    "ber-indefinite": works(),
    "base64-one-line": works(),
    "base64-spaces": works(),
    "csrattrs-empty-sequence": works(csrattrs=True),
    "csrattrs-404-body": works(csrattrs=True),
}


# --- 202 without end: the request stays, the certificate does not come --------------------------

def stays_pending(longest, command="enroll", **options):
    def act(work, name):
        with misbehaving(work, name) as lab:
            given = common(command, lab.url, lab.anchors) | options
            result = work.call(command, given).expect(7)
            error = result["error"]
            check_equal((error["code"], error["category"]), ("pending.retry", "pending"), "error")
            check_in("accepted the request but not issued yet", error["message"], "error.message")
            at = datetime.datetime.fromisoformat(error["retry_at"].replace("Z", "+00:00")).timestamp()
            check(0 <= at - time.time() + 60 and at - time.time() <= longest, f"retry_at {error['retry_at']}")
            check_equal(sorted(snapshot(work.parent)), [".", "device.pending", "device.pending/key.pem",
                                                        "device.pending/state.json"], "files")
    return act


PENDING = {
    # RFC 5272 6.13; a token the server has forgotten is one more refusal, later
    "cmc-pending-forgotten": stays_pending(60, "fullcmc"),
    "cmc-pending-far": stays_pending(8 * 86400, "fullcmc"),
    "202-forever": stays_pending(60, **{"max-wait": 3}),
    # RFC 7030 4.2.3 leaves the time to the server; ten years are cut to what a person can correct
    "202-huge-retry-after": stays_pending(8 * 86400),
}


# --- bad input: nobody is called ----------------------------------------------------------------

@contextlib.contextmanager
def silent_port():
    """A port that would notice a call: (port, was it called?)"""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1], lambda: bool(select.select([listener], [], [], 0)[0])


def bad(command, code, category, exit_code, sentence, counts=True, prepare=None, more=(), **options):
    expected = Refusal(code, category, exit_code, sentence, counts)

    def act(work, _name):
        with silent_port() as (port, called):
            given = common(command, f"https://localhost:{port}", work.fix.ca.cert) | options
            if prepare:
                prepare(work)
            message = refused(work, expected,
                              lambda: work.call(command, given, *(work.fill(part) for part in more)))
            check(not called(), "the server was dialed all the same")
            return message
    return act, expected


def usage(code, sentence, command="enroll", **options):
    return bad(command, f"usage.{code}", "usage", 2, sentence, **options)


def config(code, sentence, command="enroll", **options):
    return bad(command, f"config.{code}", "config", 2, sentence, **options)


def key(code, sentence, command="enroll", **options):
    return bad(command, f"key.{code}", "key", 11, sentence, **options)


def request(code, sentence, file, **options):
    return bad("enroll", f"csr.{code}", "certificate", 9, sentence, csr=f"{{fix}}/{file}", subject=None,
               san=None, **options)


def identity(code, sentence, name, key_name=None, command="reenroll", **options):
    return bad(command, f"tls.{code}", "tls", 5, sentence, cert=f"{{fix}}/{name}.pem",
               key=f"{{fix}}/{key_name or name}.key", **options)


def name(sentence, subject):
    return usage("dn", sentence, subject=subject)


def san(sentence, *values):
    return usage("san", sentence, san=list(values))


def foreign_file(work):
    work.out.mkdir(mode=0o700)
    write_private(work.out / "notes.txt", "mine")


def linked_out(work):
    (work.parent / "elsewhere").mkdir(mode=0o700)
    work.out.symlink_to("elsewhere")


def file_as_out(work):
    write_private(work.out, "a file")


def open_out(work):
    work.out.mkdir()
    work.out.chmod(0o777)


def open_parent(work):
    work.parent.chmod(0o777)


def broken_pending(work):
    pending = pathlib.Path(f"{work.out}.pending")
    pending.mkdir(mode=0o700)
    write_private(pending / "state.json", "{")


def busy_out(work):
    """Somebody else holds the lock, which is still there afterwards."""
    lock = write_private(f"{work.out}.lock", "")
    handle = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    fcntl.flock(handle, fcntl.LOCK_EX)
    work.handle = handle


def key_in_the_way(work):
    write_private(work.parent / "new.key", "not a key")


def ini(text):
    return lambda work: write_private(work.tmp / "estuary.ini", text)


BAD = {
    # the URL
    "server: none": usage("no-server", "no server was given", server=None),
    "server: http": usage("url-not-https", "must begin with https://", server="http://localhost:1"),
    "server: no scheme": usage("url-not-https", "must begin with https://", counts=False, server="localhost"),
    "server: user name": usage("url-userinfo", "must not contain a user name or password",
                               server=f"https://alice:{LITERAL}@localhost"),
    "server: query": usage("url-query", "must not contain a query or a fragment",
                           server="https://localhost/?a=b"),
    "server: fragment": usage("url-query", "must not contain a query or a fragment", counts=False,
                              server="https://localhost/#a"),
    "server: no host": usage("url", "names no host", server="https:///est"),
    "server: port 0": usage("url", "host or port is not valid", server="https://localhost:0"),
    "server: port 99999": usage("url", "host or port is not valid", counts=False,
                                server="https://localhost:99999"),
    "server: bad host": usage("url", "host or port is not valid", counts=False,
                              server="https://local_host!"),
    "server: bad path": usage("url", "path holds characters or segments", server="https://localhost/a/../b"),
    "server: well-known path": usage("url", "goes on after /.well-known/est",
                                     server="https://localhost/.well-known/est/simpleenroll"),
    "server: too long": usage("url", "the server URL is longer than", server="https://localhost/" + "a" * 9000),
    "label: slash": usage("label", "letters, digits, '-', '.', '_' and '~' only (character 2)", label="a/b"),
    "label: operation": usage("label-operation", "must not be the name of an EST operation",
                              label="simpleenroll"),
    "label: too long": usage("label", "not one valid path segment", label="a" * 300),

    # the command line
    "option: unknown": usage("option", "unknown option --no-such", more=("--no-such",)),
    "option: abbreviated": usage("option", "unknown option --serv", more=("--serv", "x")),
    "option: unknown letter": usage("option", "unknown option -Z", more=("-Z",)),
    "option: twice": usage("option", "--label is given twice", more=("--label", "a", "--label", "b")),
    "option: without its value": usage("option", "--label wants a value", more=("--label",)),
    "option: value for a flag": usage("option", "--csrattrs takes no value", more=("--csrattrs=yes",)),
    "option: of another command": usage("option", "--inspect does not belong to this command",
                                        more=("--inspect", "x")),
    "option: argument too many": usage("option", "there is an argument too many", more=("surplus",)),
    "option: no names": usage("option", "--subject, --san or --csr is needed", subject=None, san=None),
    "option: no --out": usage("option", "--out is needed", out=None),
    "option: --csr and --subject": usage("option", "exclude each other", csr="{fix}/good.csr", san=None),
    "option: --cert without --key": usage("option", "--key is needed with --cert", cert="{fix}/identity.pem"),
    "option: --user without --password": usage("option", "--password is needed with --user", password=None),
    "option: --timeout 0": usage("option", "--timeout wants a number from 1 to", timeout=0),
    "option: --max-wait word": usage("option", "--max-wait wants a number from 0 to", **{"max-wait": "soon"}),
    "option: --pop maybe": usage("option", "--pop wants one of auto|required|off", pop="maybe"),
    "command: unknown": usage("option", "there is no such command", command="enrol"),

    # trust
    "trust: none": usage("no-trust", "no trust anchors were given", trust=None),
    "trust: system and file": usage("mixed-trust", "cannot be mixed", trust=["{fix}/ca/ca.pem", "system"]),
    "trust: file missing": config("anchors-file", "does not exist", trust="{tmp}/absent.pem"),
    "trust: folder": config("anchors-file", "is not a regular file", trust="{tmp}"),
    "trust: file empty": config("anchors-file-empty", "the trust anchor file is empty", trust="{fix}/empty.pem"),
    "trust: garbage": config("anchors-format", "holds no certificate, neither as PEM nor as DER",
                              trust="{fix}/garbage.pem"),
    "trust: truncated": config("anchors-file", "the PEM block after certificate number 0 is damaged",
                               trust="{fix}/truncated.pem"),
    "trust: broken DER": config("anchors-file", "certificate number 1 cannot be parsed", trust="{fix}/broken.pem"),
    "trust: leaf only": config("anchors-not-ca", "\"CN=identity\" among the trust anchors", trust="{fix}/identity.pem"),
    "trust: self-signed, not a CA": config("anchors-not-ca", "\"CN=No CA\" among the trust anchors",
                                           trust="{fix}/no-ca.pem"),
    "trust: intermediate only": config("anchors-empty", "no self-signed CA certificate",
                                       trust="{fix}/middle/ca.pem"),
    "trust: huge": config("anchors-file", "larger than it may be", trust="{fix}/huge.pem"),

    # secrets
    "secret: literal": usage("secret-literal", "never the secret itself", counts=False,
                             password=LITERAL),  # literal pin
    "secret: literal pin": usage("secret-literal", "--pin wants env:VAR", key="{fix}/encrypted.key",
                                 pin=LITERAL),
    "secret: no such variable": config("secret-missing", "variable NO_SUCH_VARIABLE is not set",
                                       password="env:NO_SUCH_VARIABLE"),
    "secret: file missing": config("secret-file", "does not exist", password="file:{tmp}/absent"),
    "secret: file open to others": config("secret-permissions", "must belong to us and be closed",
                                          password="file:{fix}/open-password"),
    "secret: FIFO": config("secret-file", "is not a regular file", password="file:{fix}/fifo-password"),
    "secret: file too large": config("secret-file", "larger than it may be",
                                     password="file:{fix}/huge-password"),
    "secret: descriptor not open": config("secret-missing", "from descriptor 97: Bad file descriptor",
                                          password="fd:97"),
    "secret: descriptor no number": usage("secret-literal", "fd: wants the number of an open descriptor",
                                          password="fd:two"),
    "secret: no credentials": config("secret-missing", "CREDENTIALS_DIRECTORY is not set",
                                     password="credential:est"),
    "secret: user name with colon": usage("argument", "without colons", user="a:b"),

    # keys
    "key: file missing": key("file", "does not exist", key="{tmp}/absent.key"),
    "key: folder": key("file", "is not a regular file", key="{tmp}"),
    "key: open to others": key("permissions", "must belong to us and be closed", key="{fix}/open.key"),
    "key: encrypted, no pin": key("passphrase-needed", "no passphrase was given", key="{fix}/encrypted.key"),
    "key: wrong pin": key("passphrase-wrong", "does not open the key", key="{fix}/encrypted.key",
                          pin="file:{fix}/wrong-password"),
    "key: absurd cost": key("too-expensive", "more than 10000000 iterations of PBKDF2", pin="file:{fix}/wrong-password",
                            key="{fix}/expensive.key"),
    "key: garbage": key("format", "holds no private key we can read", key="{fix}/garbage.key"),
    "key: public": key("format", "holds no private key we can read", counts=False, key="{fix}/public.key"),
    "key: two of them": key("format", "more than one private key", key="{fix}/two.key"),
    "key: OpenSSH": key("format", "OpenSSH's own format", key="{fix}/ssh.key"),
    "key: RSA 1024": bad("enroll", "csr.weak-key", "certificate", 9, "RSA keys need at least 2048 bits",
                         key="{fix}/rsa1024.key"),
    "key: TPM file": key("format", "holds a TPM key: name it tpm2:PATH", key="{fix}/tpm.key"),
    "key: PIN in a token URI": usage("pin-literal", "a PIN in the URI", key="pkcs11:object=a?pin-value=1234"),
    "key: PIN of a command": usage("pin-source", "a command is not run", key="pkcs11:object=a?pin-source=%7Cid"),
    "key: token URI with an attribute twice": usage("pkcs11-uri", "has an attribute twice",
                                                      key="pkcs11:object=a;object=b"),
    "key: token module missing": bad("enroll", "config.module-path", "config", 2, "cannot be opened",
                                       key="pkcs11:object=a?module-path=/nonexistent/module.so"),
    "key: token module by relative path": bad("enroll", "config.module-path", "config", 2, "is not absolute",
                                                key="pkcs11:object=a?module-path=module.so"),
    "key: TPM handle of another kind": usage("argument", "six more hex digits", key="handle:0x40000001"),
    "key: URI of another host": usage("argument", "a file on another host", key="file://other.example/key"),
    "key: unknown algorithm": usage("key-algorithm", "\"dsa:2048\" is not known", **{"new-key": "dsa:2048"}),
    "key: rsa:1024": usage("key-algorithm", "rsa:1024", **{"new-key": "rsa:1024"}),
    "key: new one in the way": key("exists", "exists already", prepare=key_in_the_way,
                                   **{"new-key": "ec:P-256", "key-out": "{parent}/new.key"}),

    # our own certificate
    "identity: needed": usage("identity-needed", "needs the current certificate and its key", "reenroll",
                              cert=None, key=None),
    "identity: key of another": identity("identity-key-mismatch", "does not belong to our own",
                                         "identity", "other"),
    "identity: expired": identity("identity-expired", "expired on", "expired"),
    "identity: not yet valid": identity("identity-not-yet-valid", "is not valid before", "early"),
    "identity: no clientAuth": identity("identity-eku", "TLS client authentication (extKeyUsage)",
                                        "server-only"),
    "identity: no digitalSignature": identity("identity-key-usage", "sign a TLS session (keyUsage)",
                                              "agreement"),
    "identity: RSA 1024": identity("identity-weak", "weak key or a weak signature", "weak"),
    "identity: file missing": config("certificate-file", "does not exist", "reenroll",
                                     cert="{tmp}/absent.pem"),
    "identity: empty file": config("certificate-file", "holds no certificate", "reenroll", cert="{fix}/empty.pem"),
    "identity: garbage": config("certificate-file", "holds no certificate", "reenroll", counts=False,
                                cert="{fix}/garbage.pem"),

    # names
    "DN: empty": usage("option", "--subject wants a value: DN", subject=""),
    "DN: no attribute type": name("no attribute type followed by '=' at position 1", "device"),
    "DN: unknown attribute": name("the subject's attribute NOPE at position 1 is not known", "NOPE=device"),
    "DN: empty value": name("the value is empty", "CN="),
    "DN: country too long": name("a country is two letters", "C=ABC"),
    "DN: value too long": name("the value has 65 characters, allowed are 64", "CN=" + "a" * 65),
    "DN: quotation without end": name("must be escaped with a backslash", "CN=\"device"),
    "DN: dangling backslash": name("a backslash must be followed by", "CN=device\\"),
    "DN: SAN within": name("which is an extension, not part of a name", "CN=a,subjectAltName=b"),
    "DN: too long": name("the subject is longer than", ",".join(["OU=" + "a" * 60] * 400)),
    "SAN: no type": san("--san wants TYPE:VALUE, not \"device.example\"", "device.example"),
    "SAN: unknown type": san("--san wants TYPE:VALUE, not \"fax:1\"", "fax:1"),
    "SAN: dns": san("dns:a..b is not valid: it has an empty label", "dns:a..b"),
    "SAN: ip": san("it is neither an IPv4 nor an IPv6 address", "ip:1.2.3"),
    "SAN: email": san("it must hold one @", "email:nobody"),
    "SAN: uri": san("it must be absolute", "uri:no scheme"),
    "SAN: rid": san("an OID in dotted decimal", "rid:9.9"),
    "SAN: upn": san("a subjectAltName is empty", "upn:"),
    "SAN: dirname": san("it is not a name in RFC 4514 form", "dirname:device"),
    "SAN: othername": san("after the OID comes", "othername:1.2.3"),
    "SAN: too long": san("a subjectAltName is longer than", "uri:https://a/" + "b" * 9000),
    "extension: no colon": usage("extension", "--extension wants OID[:critical]:HEX", extension="1.2.3"),
    "extension: no hex": usage("extension", "as hexadecimal digits", extension="1.2.3:xyz"),
    "extension: no DER": usage("extension", "is not one complete DER value", extension="1.2.3.4:ff"),
    "extension: bad OID": usage("extension", "needs an OID in dotted decimal", extension="a.b:0500"),
    "key usage: unknown": usage("key-usage", "no key usage called \"everything\"", **{"key-usage": "digitalSignature,everything"}),
    "EKU: unknown": usage("eku", "no extended key usage called \"anythingGoes\"", eku="anythingGoes"),

    # a request made elsewhere
    "csr: other subject than the certificate's": bad(
        "reenroll", "csr.subject-changed", "certificate", 9, "RFC 7030 4.2.2", csr="{fix}/good.csr"),
    "csr: file missing": config("csr-file", "cannot be read: No such file", csr="{tmp}/absent", subject=None,
                                san=None),
    "csr: huge": config("csr-file", "is not a regular file of at most 256 KiB", csr="{fix}/huge.csr",
                        subject=None, san=None),
    "csr: empty": request("malformed", "the request is empty", "empty.csr"),
    "csr: garbage": request("malformed", "is not a PKCS#10 structure", "garbage.csr"),
    "csr: truncated": request("malformed", "is not a PKCS#10 structure", "truncated.csr", counts=False),
    "csr: spoilt signature": request("signature", "own signature does not verify", "spoilt.csr"),
    "csr: RSA 1024": request("weak-key", "RSA keys need at least", "rsa1024.csr", counts=False),
    "csr: MD5": request("weak-digest", "is signed with RSA-MD5", "md5.csr"),
    "csr: no name": request("no-name", "neither a subject nor a subjectAltName", "nameless.csr"),

    # fingerprints
    "fingerprint: too short": usage("fingerprint", "64 hexadecimal digits", "bootstrap", fingerprint="AA:BB"),
    "fingerprint: no hex": usage("fingerprint", "64 hexadecimal digits", "bootstrap", counts=False,
                                 fingerprint="XY" * 32),
    "fingerprint: empty file": usage("fingerprint", "holds no fingerprint", "bootstrap",
                                     fingerprint="file:{fix}/empty.pem"),
    "fingerprint: file missing": config("invalid", "cannot be read: No such file", "bootstrap",
                                        fingerprint="file:{tmp}/absent"),

    # where it shall go
    "out: foreign file": config("store-foreign", "notes.txt", prepare=foreign_file),
    "out: link": config("store-unsafe", "is a link or no folder", prepare=linked_out),
    "out: file": config("store-unsafe", "is a link or no folder", counts=False, prepare=file_as_out),
    "out: open to others": config("store-unsafe", "belongs to or is open to others", prepare=open_out),
    "out: parent missing": config("store-parent", "cannot be opened", out="{parent}/no/device"),
    "out: parent open to others": config("store-parent", "can be written by others", prepare=open_parent),
    "out: busy": config("store-busy", "another process is working", prepare=busy_out),
    "out: broken pending": config("pending-state", "it is not a JSON object", prepare=broken_pending),
    "out: root": usage("argument", "the output path needs a name of its own", out="/"),

    # the configuration file
    "config: missing": config("file", "cannot be opened", config="{tmp}/absent.ini"),
    "config: no setting": config("file", "line 2: not of the form", prepare=ini("[enroll]\nlabel\n"),
                                 config="{tmp}/estuary.ini"),
    "config: unknown section": config("file", "neither [global] nor a command's name",
                                      prepare=ini("[enrol]\nlabel = a\n"), config="{tmp}/estuary.ini"),
    "config: unknown setting": config("file", "there is no setting of this name",
                                      prepare=ini("[enroll]\nlabl = a\n"), config="{tmp}/estuary.ini"),
    "config: flag that is no flag": config("file", "is either yes or no",
                                           prepare=ini("[enroll]\ncsrattrs = maybe\n"),
                                           config="{tmp}/estuary.ini"),
    "config: literal secret": usage("secret-literal", "line 2: --password wants env:VAR",
                                    prepare=ini(f"[enroll]\npassword = {LITERAL}\n"), password=None,
                                    config="{tmp}/estuary.ini"),

    # not here
    "unsupported: --fips": bad("enroll", "unsupported.fips", "unsupported", 12,
                               "there is no active FIPS provider", fips=True),
    "proxy: bad URL": usage("proxy", "the proxy URL is not valid", proxy=f"ftp://u:{LITERAL}@localhost:1"),
    "proxy: user name alone": usage("option", "--proxy is needed with --proxy-user", **{"proxy-user": "bob"}),
}


# --- a good lab, and something else that is wrong -----------------------------------------------

def against(act, code, category, exit_code, sentence, counts=True):
    """act(work) → the call whose refusal is expected, as a context manager."""
    expected = Refusal(code, category, exit_code, sentence, counts)

    def run_it(work, _name):
        with act(work) as call:
            return refused(work, expected, call)
    return run_it, expected


@contextlib.contextmanager
def nobody_there(work):
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    yield lambda: work.call("enroll", common("enroll", f"https://127.0.0.1:{port}", work.fix.ca.cert))


@contextlib.contextmanager
def no_such_name(work):
    yield lambda: work.call("enroll", common("enroll", "https://estuary.invalid", work.fix.ca.cert))


def proxy_says(answer):
    @contextlib.contextmanager
    def act(work):
        def serve(listener):
            with contextlib.suppress(OSError):
                while True:
                    with listener.accept()[0] as peer:
                        peer.settimeout(10)
                        peer.recv(4096)
                        peer.sendall(answer)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=serve, args=(listener,), daemon=True)
            thread.start()
            given = common("enroll", "https://localhost:9", work.fix.ca.cert)
            given["proxy"] = f"http://127.0.0.1:{listener.getsockname()[1]}"
            try:
                yield lambda: work.call("enroll", given)
            finally:
                listener.shutdown(socket.SHUT_RDWR)
    return act


@contextlib.contextmanager
def proxy_down(work):
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    given = common("enroll", "https://localhost:9", work.fix.ca.cert) | {"proxy": f"http://127.0.0.1:{port}"}
    yield lambda: work.call("enroll", given)


def good_lab(command="enroll", **options):
    @contextlib.contextmanager
    def act(work):
        given = common(command, runner.lab.url, runner.lab.anchors) | options
        yield lambda: work.call(command, given)
    return act


def pending_first(second_lab=False, **changes):
    @contextlib.contextmanager
    def act(work):
        with start_lab(work, "--pending", "9") as server:
            given = common("enroll", server.url, server.anchors)
            work.call("enroll", given).expect(7)
            check(pathlib.Path(f"{work.out}.pending").is_dir(), "the request is pending")
            yield lambda: work.call("enroll", given | changes)
    return act


AGAINST = {
    "server down": against(nobody_there, "network.connect", "network", 4, "Connection refused"),
    "name that cannot be resolved": against(no_such_name, "network.resolve", "network", 4,
                                            "the host name of estuary.invalid"),
    "proxy: refuses": against(proxy_says(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
                              "network.proxy", "network", 4, "localhost:9 (status 403)"),
    "proxy: wants a password": against(
        proxy_says(b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"p\"\r\nContent-Length: 0\r\n\r\n"),
        "network.proxy", "network", 4, "the proxy wants a user name and password"),
    "proxy: down": against(proxy_down, "network.proxy", "network", 4, "no connection to the proxy"),
    "proxy: closes": against(proxy_says(b""), "network.proxy", "network", 4,
                              "the proxy does not connect us to localhost:9", counts=False),
    "no user": against(good_lab(user=None, password=None), "auth.required", "auth", 6,
                       "wants a user name and password, or a client certificate"),
    "wrong password": against(good_lab(password="file:{fix}/wrong-password"), "auth.refused", "auth", 6,
                              "refused the user name or password", counts=False),
    "anchors of another CA": against(good_lab(trust="{fix}/ca/ca.pem"), "trust.unknown-issuer", "trust", 5,
                                     "does not chain to the trust anchors", counts=False),
    "reenroll: certificate of another CA": against(
        good_lab("reenroll"), "tls.client-certificate-refused", "tls", 5, "refused our TLS client",
        counts=False),  # tls-wrong-client-ca
    "bootstrap: fingerprint of another root": against(
        good_lab("bootstrap"), "trust.fingerprint-mismatch", "trust", 5,
        "no root certificate of the server has the expected fingerprint"),
    "bootstrap: no fingerprint": against(good_lab("bootstrap", fingerprint=None), "trust.confirm-fingerprint",
                                         "trust", 3, "before a person has confirmed a fingerprint"),
    "pending of another subject": against(pending_first(subject="CN=other"), "config.pending-other", "config",
                                          2, "holds a request for another server, label"),
    "pending of another server": against(pending_first(server="https://localhost:9"), "config.pending-other",
                                         "config", 2, "holds a request for another", counts=False),
}


# --- the rest of the protocol -------------------------------------------------------------------

more = protocol_lies.Rows(sys.modules[__name__])
LIES |= more.lies()
HARMLESS |= more.harmless()


# --- running the rows ---------------------------------------------------------------------------

def rows():
    for table in (LIES, BAD, AGAINST):
        yield from table.items()


class Runner:
    """Starts every row at the first question and answers each by name; two at a time."""

    def __init__(self):
        self.outcomes = None
        self.lab = None
        self.pool = concurrent.futures.ThreadPoolExecutor(2)
        self.folders = contextlib.ExitStack()
        atexit.register(self.end)

    def end(self):
        self.pool.shutdown(cancel_futures=True)
        self.folders.close()

    def start(self):
        program("estuary")
        self.fixtures = Fixtures(self.folders.enter_context(temp_dir("estuary-hostile-")))
        self.command = Command(self.folders.enter_context(temp_dir("estuary-home-")))
        self.lab = self.folders.enter_context(shared_lab(self.fixtures))

    def one(self, name, act):
        with temp_dir() as tmp:
            work = Work(tmp, self.fixtures, self.command)
            try:
                return act(work, name)
            finally:
                if getattr(work, "handle", None) is not None:
                    os.close(work.handle)

    def outcome(self, wanted):
        """What the row's act() returned, or its exception."""
        if self.outcomes is None:
            self.outcomes = {}      # also when the start fails: once is enough
            self.start()
            everything = [*rows(), *((name, (act, None)) for name, act in HARMLESS.items()),
                          *((name, (act, None)) for name, act in PENDING.items())]
            if len(sys.argv) > 1:
                everything = []
            for name, (act, _) in everything:
                self.outcomes[name] = self.pool.submit(self.one, name, act)
        if wanted not in self.outcomes:
            act = ({name: act for name, (act, _) in rows()} | HARMLESS | PENDING)[wanted]
            self.outcomes[wanted] = self.pool.submit(self.one, wanted, act)
        return self.outcomes[wanted].result()


runner = Runner()


def outcome(_tmp, name):
    runner.outcome(name)


cases_from({f"refused: {name}": (name,) for name, _ in rows()}, outcome)
cases_from({f"harmless: {name}": (name,) for name in HARMLESS}, outcome)
cases_from({f"pending: {name}": (name,) for name in PENDING}, outcome)


@case("the lab that met all this ends well")
def ends_well():
    if runner.lab is None:
        runner.outcome("204")
    concurrent.futures.wait(runner.outcomes.values())
    runner.lab.stop()


@case("every misbehaviour of the lab has its row")
def complete():
    listed = {}
    for line in run([program("estuary-lab", own=True), "--list-misbehaviours"], code=0).out.splitlines():
        title, _, about = line.partition("\t")
        if not title.startswith(REVOCATION):    # test_hostile_revocation.py's
            listed[title] = about
    check(len(listed) > 100, f"only {len(listed)} misbehaviours")
    known = {title.split(" ")[0].split("@")[0] for table in (LIES, HARMLESS, PENDING) for title in table}
    check_equal(sorted(set(listed) - known), [], "misbehaviours without a row")
    check_equal(sorted(known - set(listed)), [], "rows without a misbehaviour")
    promised = {title for title, about in listed.items() if about.startswith("harmless:")}
    check_equal(sorted(promised - {title.split("@")[0] for title in HARMLESS}), [], "harmless, but not in the table")


@case("the counted rows have a sentence of their own, and there are enough of them")
def distinct():
    counted = {title: expected for title, (_, expected) in rows() if expected.counts}
    check(len(counted) >= ROWS_AT_LEAST, f"only {len(counted)} rows count")
    pairs = [(expected.code, expected.sentence) for expected in counted.values()]
    check_equal(len(set(pairs)), len(pairs), "distinct pairs of code and sentence")
    # and the parts tell the rows apart: none stands in another's real message
    shared = [(title, other) for title, expected in counted.items() for other, theirs in counted.items()
              if other != title and theirs.code == expected.code and expected.sentence in runner.outcome(other)]
    check_equal(shared, [], "rows whose part stands in another's message")
    print(f"# {len(counted)} rows count, {sum(1 for _ in rows())} in all")


if __name__ == "__main__":
    main()
