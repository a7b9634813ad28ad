"""OCSP responders, CRL publishers and staples that lie: never "good", and each time with the cause.

One lab serves all rows: it is told what to lie about by its file "misbehave".
`test_hostile_revocation.py [CASE…]`
"""

import atexit
import contextlib
import pathlib
import sys
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import (Estuary, Lab, case, cases_from, check, check_equal, check_in, main,  # noqa: E402
                     password_file, program, run, serial_number, temp_dir)

DIFFERENT_AT_LEAST = 40
QUIET = {"no_proxy": None, "http_proxy": None, "https_proxy": None, "all_proxy": None}


# --- what a row expects -------------------------------------------------------------------------------

class Row:
    """One lie: how the client is asked, and what it must say."""

    def __init__(self, status, code="", sentence="", method="ocsp", cert="good", counts=True, lab="plain",
                 chain=None, options=()):
        self.status, self.code, self.sentence = status, code, sentence
        self.method, self.cert, self.counts = method, cert, counts
        self.lab, self.chain, self.options = lab, chain, options

    def check(self, result):
        check_equal(result["status"], self.status, f"status of {result!r}")
        if self.status == "unknown":
            result.expect(10)       # --policy hard
            check_equal(result["code"], self.code, f"code of {result!r}")
            check_in(self.sentence, result["reason"], "reason")
        elif self.status == "good":
            result.expect(0)
        else:
            result.expect(10)
        return result["reason"] if self.status == "unknown" else ""


def ocsp(code, sentence, **options):
    return Row("unknown", f"ocsp.{code}", sentence, **options)


def evidence(code, sentence, **options):
    return Row("unknown", f"revocation.{code}", sentence, **options)


def crl(code, sentence, **options):
    return Row("unknown", f"crl.{code}", sentence, method="crl", **options)


def crl_evidence(code, sentence, **options):
    return Row("unknown", f"revocation.{code}", sentence, method="crl", **options)


def other(code, sentence, **options):
    return Row("unknown", code, sentence, **options)


def good(method, **options):
    return Row("good", method=method, **options)


SOON = "--timeout", "2"

# counts=False: the client sees what it sees in the row named beside it
ROWS = {
    # R1: the status of the whole response (RFC 6960 4.2.1)
    "ocsp-malformed-request": ocsp("malformed-request", "cannot read the request"),
    "ocsp-internal-error": ocsp("internal-error", "an error of its own"),
    "ocsp-try-later": ocsp("try-later", "says: try later"),
    "ocsp-sig-required": ocsp("signature-required", "wants a signed request"),
    "ocsp-unauthorized": ocsp("unauthorized", "(unauthorized)"),
    "ocsp-status-number": ocsp("malformed", "has a status that does not exist"),
    "ocsp-no-bytes": ocsp("malformed", "cannot be read"),
    "ocsp-response-type": ocsp("response-type", "another type than id-pkix-ocsp-basic"),
    # who signs (RFC 6960 4.2.2.2)
    "ocsp-wrong-signer": ocsp("signer", "was not certified by the certificate's issuer"),
    "ocsp-signer-namesake": ocsp("signer", "which did not sign its certificate"),
    "ocsp-signer-of-other-ca": ocsp("signer", "was not certified", counts=False),  # wrong-signer
    "ocsp-signer-no-eku": ocsp("signer", "no id-kp-OCSPSigning"),
    "ocsp-signer-any-eku": ocsp("signer", "no id-kp-OCSPSigning", counts=False),  # no-eku
    "ocsp-signer-leaf": ocsp("signer", "no id-kp-OCSPSigning", counts=False),  # no-eku
    "ocsp-signer-expired": ocsp("signer", "is expired, or not valid yet"),
    "ocsp-signer-early": ocsp("signer", "is expired, or not valid yet", counts=False),  # expired
    "ocsp-signer-missing": ocsp("signer", "does not come with a certificate for that"),
    "ocsp-signer-weak-key": ocsp("weak-signature", "signer has a weak key"),
    "ocsp-signer-revoked": evidence("signer", "the signer's own certificate is revoked"),
    "ocsp-bad-signature": ocsp("signature", "signature does not verify"),
    "ocsp-sha1": ocsp("weak-signature", "a digest or a key that is too weak"),
    "ocsp-md5": ocsp("weak-signature", "a digest or a key that is too weak", counts=False),  # sha1
    # about what, and what it says
    "ocsp-wrong-serial": ocsp("other-certificate", "does not speak of this certificate"),
    "ocsp-wrong-issuer-name": ocsp("other-certificate", "does not speak of", counts=False),  # wrong-serial
    "ocsp-wrong-issuer-key": ocsp("other-certificate", "does not speak of", counts=False),  # wrong-serial
    "ocsp-silent": ocsp("other-certificate", "does not speak of", counts=False),  # wrong-serial
    "ocsp-unknown": ocsp("unknown-certificate", "does not know the certificate"),
    "ocsp-contradiction": Row("revoked"),   # R0: revoked wins
    "ocsp-critical-extension": ocsp("critical-extension", "a critical extension"),
    "ocsp-critical-single-extension": ocsp("critical-extension", "a critical extension", counts=False),
    # when
    "ocsp-stale": evidence("stale", "the OCSP response is out of date"),
    "ocsp-reversed": evidence("stale", "the OCSP response is out of date", counts=False),  # stale
    "ocsp-future": evidence("not-yet-valid", "the OCSP response is dated in the future"),
    "ocsp-too-old": evidence("too-old", "the OCSP response is older than allowed"),
    "ocsp-produced-before": ocsp("produced-at", "producedAt contradicts"),
    "ocsp-produced-ahead": ocsp("produced-at", "producedAt contradicts", counts=False),  # produced-before
    "ocsp-wrong-nonce": ocsp("nonce", "its nonce is not ours"),
    "ocsp-replay": ocsp("nonce", "its nonce is not ours", counts=False, cert="revoked"),  # wrong-nonce
    # bytes and HTTP
    "ocsp-garbage": ocsp("malformed", "cannot be read", counts=False),  # no-bytes
    "ocsp-empty": ocsp("malformed", "cannot be read", counts=False),  # no-bytes
    "ocsp-html": ocsp("malformed", "cannot be read", counts=False),  # no-bytes
    "ocsp-trailing": ocsp("malformed", "something follows"),
    "ocsp-truncated": ocsp("malformed", "cannot be read", counts=False),  # no-bytes
    "ocsp-404": evidence("not-fetched", "HTTP status 404"),
    "ocsp-500": evidence("not-fetched", "HTTP status 500"),
    "ocsp-oversize": other("protocol.response-too-large", "announces an answer of 1048576 bytes"),
    "ocsp-endless": other("protocol.response-too-large", "goes on past"),
    "ocsp-half": other("network.truncated", "in the middle of its answer"),
    "ocsp-close": other("network.closed-early", "before it answered"),
    "ocsp-stall": other("network.timeout-total", "was not complete within the time allowed", options=SOON),
    "ocsp-drip": other("network.timeout-total", "not complete within", counts=False, options=SOON),
    "ocsp-redirect-link-local": evidence("url", "link-local"),
    "ocsp-redirect-file": evidence("url", "neither http nor https"),
    "ocsp-redirect-https": other("tls.handshake", "no TLS session"),
    "ocsp-redirect-loop": evidence("not-fetched", "redirects more often than allowed"),

    # R4: who signs (RFC 5280 6.3.3 (f), (g))
    "crl-wrong-signer": crl("signature", "signature does not verify"),
    "crl-bad-signature": crl("signature", "signature does not verify", counts=False),  # wrong-signer
    "crl-wrong-issuer": crl("no-signer", "has the name of the CRL's issuer"),
    "crl-wrong-name": crl("no-signer", "has the name of the CRL's issuer", counts=False),  # wrong-issuer
    "crl-no-crlsign": crl("signer-usage", "keyUsage without cRLSign", chain="crl-no-crlsign.pem"),
    "crl-sha1": crl("weak-signature", "no longer safe"),
    # when
    "crl-stale": crl_evidence("stale", "the CRL is out of date"),
    "crl-reversed": crl_evidence("stale", "the CRL is out of date", counts=False),  # stale
    "crl-future": crl_evidence("not-yet-valid", "the CRL is dated in the future"),
    "crl-too-old": crl_evidence("too-old", "the CRL is older than allowed"),
    # about what (RFC 5280 5.2)
    "crl-critical-extension": crl("critical-extension", "a critical extension"),
    "crl-critical-entry-extension": crl("critical-extension", "a critical extension", counts=False),
    "crl-other-point": crl("distribution-point", "another distribution point"),
    "crl-only-ca": crl("scope", "about CA certificates"),
    "crl-only-attributes": crl("scope", "about attribute certificates only"),
    "crl-some-reasons": crl("reasons", "only some of the reasons"),
    "crl-delta-only": crl("delta-alone", "only a delta CRL"),
    # delta CRLs: what they would add is not known
    "crl-delta-later-base": crl("delta-base", "older than the one that the delta CRL builds on", lab="delta"),
    "crl-delta-earlier": crl("delta-number", "is dated before the complete CRL", lab="delta"),
    # bytes and HTTP
    "crl-garbage": crl("malformed", "neither DER nor PEM"),
    "crl-html": crl("malformed", "neither DER nor PEM", counts=False),  # garbage
    "crl-empty": crl("truncated", "answer is empty"),
    "crl-trailing": crl("malformed", "cannot be read"),
    "crl-truncated": crl("truncated", "the CRL is cut short"),
    "crl-length": crl("too-large", "larger than allowed"),
    "crl-404": crl_evidence("not-fetched", "HTTP status 404", counts=False),  # ocsp-404
    "crl-500": crl_evidence("not-fetched", "HTTP status 500", counts=False),  # ocsp-500
    "crl-304": crl_evidence("not-fetched", "HTTP status 304"),
    "crl-oversize": other("protocol.response-too-large", "announces an answer of 1099511627776 bytes", method="crl"),
    "crl-endless": crl("malformed", "behind", counts=False),  # trailing
    "crl-half": other("network.truncated", "in the middle", method="crl", counts=False),
    "crl-close": other("network.closed-early", "before it", method="crl", counts=False),
    "crl-stall": other("network.timeout-total", "not complete", method="crl", counts=False, options=SOON),
    "crl-redirect-link-local": crl_evidence("url", "link-local", counts=False),
    "crl-redirect-file": crl_evidence("url", "neither http nor https", counts=False),
    "crl-redirect-loop": crl_evidence("not-fetched", "more often than allowed", counts=False),

    # harmless: unusual, and good all the same
    "ocsp-signer-checked": good("both"),
    "ocsp-signer-by-key": good("ocsp"),
    "ocsp-more-answers": good("ocsp"),
    "ocsp-no-next-update": good("ocsp"),
    "ocsp-no-nonce": good("ocsp"),
    "ocsp-content-type": good("ocsp"),
    "ocsp-redirect-once": good("ocsp"),
    "crl-new-key": good("crl", chain="crl-new-key.pem"),
    "crl-pem": good("crl"),
    "crl-content-type": good("crl"),
    "crl-redirect-once": good("crl"),
    # what stands in deltas alone must not be held back, so without one that counts there is no "good"
    "crl-delta-wrong-issuer": crl("delta-missing", "none of the known CA certificates", lab="delta"),
    "crl-delta-bad-signature": crl("delta-missing", "signature does not verify", lab="delta"),
    "crl-delta-stale": crl("delta-missing", "none that counts: it is out of date", lab="delta"),
    "crl-delta-critical-extension": crl("delta-missing", "critical extension", lab="delta"),
}


# R3: a server whose certificate demands a staple (RFC 7633): the code is trust.must-staple, and the sentence goes on so.
STAPLES = {
    "staple-missing": "and none came",
    "staple-wrong-certificate": "was not certified by the certificate's issuer",
    "staple-wrong-serial": "does not speak of this certificate",
    "staple-stale": "is out of date",
    "staple-future": "is dated in the future",
    "staple-garbage": "cannot be read",
    "staple-trailing": "something follows the OCSP response",
    "staple-try-later": "says: try later",
    "staple-unknown": "does not know the certificate",
    "staple-wrong-signer": "was not certified by the certificate's issuer",
    "staple-bad-signature": "signature does not verify",
    "staple-revoked": "",
}


# --- running the rows ---------------------------------------------------------------------------------

class Site:
    """A lab with two certificates of it, one of them revoked; one row at a time."""

    def __init__(self, stack, estuary, *options):
        folder = stack.enter_context(temp_dir("estuary-revocation-"))
        secret = password_file(folder, "s3cret")
        self.lab = stack.enter_context(Lab(program("estuary-lab"), "--user", f"alice:file:{secret}", *options))
        self.issuer = self.lab.dir / "issuing.pem"
        self.certs = {name: folder / name / "cert.pem" for name in ("good", "revoked")}
        for name in self.certs:
            estuary("enroll", "--server", self.lab.url, "--trust", self.lab.anchors, "--user", "alice", "--password",
                    f"file:{secret}", "--subject", f"CN={name}", "--out", folder / name, "--revocation", "off", code=0)
        self.lab.revoke(serial_number(self.certs["revoked"]), "--reason", "keyCompromise")

    def ask(self, estuary, tmp, name, row):
        (tmp / "cache").mkdir(mode=0o700)
        options = ["--chain", self.lab.dir / row.chain, "--trust", self.lab.anchors] if row.chain else []
        control = self.lab.dir / "misbehave"
        control.write_text(name + "\n")
        if row.chain:       # the lab writes it when it is first asked
            urllib.request.urlopen(f"{self.lab.http}/crl/issuing.crl", timeout=10).close()
        result = estuary.json("revocation", self.certs[row.cert], "--issuer", self.issuer, "--policy", "hard",
                              "--method", row.method, "--cache", tmp / "cache", *options, *row.options)
        control.unlink()
        return result


class Runner:
    """Makes the labs at the first row."""

    def __init__(self):
        self.stack = contextlib.ExitStack()
        self.sites = {}
        self.labs = {}
        atexit.register(self.stack.close)

    def site(self, name):
        if not self.sites:
            estuary = Estuary(program("estuary"), env=QUIET)
            self.sites["plain"] = Site(self.stack, estuary)
            self.sites["delta"] = Site(self.stack, estuary, "--delta")
        return self.sites[name]

    def outcome(self, tmp, name):
        """What the client said about the cause."""
        row = ROWS[name]
        return row.check(self.site(row.lab).ask(Estuary(program("estuary"), env=QUIET), tmp, name, row))


runner = Runner()
said = {}


def outcome(tmp, name):
    said[name] = runner.outcome(tmp, name)


cases_from({f"{row.status}: {name}": (name,) for name, row in ROWS.items()}, outcome)


# --- staples ------------------------------------------------------------------------------------------

def handshake(tmp, name, *options):
    """What cacerts --revocation hard comes to with a server that staples so."""
    lab = runner.labs.get(options)
    if lab is None:
        lab = runner.labs[options] = runner.stack.enter_context(Lab(program("estuary-lab"), *options))
    (lab.dir / "misbehave").write_text(name + "\n")
    (tmp / "cache").mkdir(mode=0o700)
    result = Estuary(program("estuary"), env=QUIET).json(
        "cacerts", "--server", lab.url, "--trust", lab.anchors, "--revocation", "hard", "--cache", tmp / "cache", "-o",
        tmp / "ca.pem")
    check_equal((tmp / "ca.pem").exists(), result.code == 0, "CA certificates written")
    return result


def demanded(tmp, name):
    result = handshake(tmp, name, "--must-staple")
    if name == "staple-revoked":
        check_equal(result.expect(10)["error"]["code"], "revoked.revoked", "error.code")
        return
    error = result.expect(5)["error"]
    check_equal(error["code"], "trust.must-staple", f"error.code of {result!r}")
    check_in(STAPLES[name], error["message"], "error.message")


cases_from({f"must-staple: {name}": (name,) for name in STAPLES}, demanded)


@case("a staple that nobody demanded: a broken one is made up for, a revoked one counts")
def not_demanded(tmp):
    for name, code in (("", 0), ("staple-garbage", 0), ("staple-missing", 0), ("staple-revoked", 10)):
        folder = tmp / (name or "honest")
        folder.mkdir(mode=0o700)
        handshake(folder, name, "--staple").expect(code)


@case("a good staple satisfies a certificate that demands it")
def satisfied(tmp):
    handshake(tmp, "", "--must-staple").expect(0)


# --- the honest lab -----------------------------------------------------------------------------------

@case("without a lie: good and revoked, by OCSP and by CRL")
def honest(tmp):
    for site in ("plain", "delta"):
        for method in ("ocsp", "crl"):
            for cert, status, code in (("good", "good", 0), ("revoked", "revoked", 10)):
                folder = tmp / f"{site}-{method}-{cert}"
                folder.mkdir(mode=0o700)
                row = Row(status, method=method, cert=cert)
                result = runner.site(site).ask(Estuary(program("estuary"), env=QUIET), folder, "", row).expect(code)
                check_equal(result["status"], status, f"{cert} by {method}")
                if cert == "revoked":
                    check_equal(result["reason"], "keyCompromise", "reason")


@case("R0: while one method lies, a revoked certificate is revoked by the other")
def other_method(tmp):
    for name in ("ocsp-replay", "ocsp-wrong-serial", "ocsp-unauthorized", "ocsp-404", "crl-stale", "crl-only-ca",
                 "crl-wrong-signer", "crl-304"):
        folder = tmp / name
        folder.mkdir(mode=0o700)
        row = Row("revoked", method="both", cert="revoked")
        row.check(runner.site("plain").ask(Estuary(program("estuary"), env=QUIET), folder, name, row))


@case("every misbehaviour of revocation has its row, and the harmless ones are good")
def complete():
    lines = run([program("estuary-lab"), "--list-misbehaviours"], code=0).out.splitlines()
    listed = dict(line.split("\t") for line in lines if line.startswith(("ocsp-", "crl-", "staple-")))
    check_equal(sorted(set(listed) ^ {*ROWS, *STAPLES}), [], "misbehaviours without a row, rows without a misbehaviour")
    harmless = {name for name, about in listed.items() if about.startswith("harmless:")}
    check_equal({name for name in harmless if ROWS[name].status != "good"}, set(), "harmless, and not good")


@case("the counted rows have a sentence of their own, and there are enough of them")
def distinct():
    counted = {name: row for name, row in ROWS.items() if row.status == "unknown" and row.counts}
    check(len(counted) >= DIFFERENT_AT_LEAST, f"only {len(counted)} rows count")
    pairs = [(row.code, row.sentence) for row in counted.values()]
    check_equal(len(set(pairs)), len(pairs), "distinct pairs of code and sentence")
    shared = [(name, other) for name, row in counted.items() for other, their in counted.items()
              if other != name and their.code == row.code and row.sentence in said.get(other, "")]
    check_equal(shared, [], "rows whose part stands in another's sentence")
    print(f"# {len(counted)} rows count, {len(ROWS)} in all")


if __name__ == "__main__":
    main()
