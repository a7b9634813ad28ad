"""Rows of test_hostile.py about the rest of the protocol: server-generated keys, request templates, Digest challenges,
channel binding, root rollover. `given` is that module, whose helpers these use.
"""

import time

from harness import check, check_equal, one_json_object, program, run

KEK = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
TEMPLATE = {"csrattrs": True}

# How a server-generated key is asked for.
PLAIN = {}
TO_EC = {"decrypt-key": "{fix}/device.key"}
TO_RSA = {"decrypt-key": "{fix}/rsa.key"}
BY_KEK = {"decrypt-kek": "shared=file:{fix}/kek"}
# without an identifier of its own the password goes by the user's name
BY_PASSWORD = {"decrypt-password": "file:{fix}/password"}


class Rows:
    """The tables, made with the helpers of test_hostile.py."""

    def __init__(self, given):
        self.given = given

    def keygen(self, how, code, sentence, category="protocol", exit_code=8, counts=True):
        """serverkeygen is refused, and nothing is written."""
        expected = self.given.Refusal(code, category, exit_code, sentence, counts)

        def act(work, name):
            with self.given.misbehaving(work, name) as lab:
                options = self.given.common("enroll", lab.url, lab.anchors) | how
                return self.given.refused(work, expected, lambda: work.call("serverkeygen", options))
        return act, expected

    def keygen_works(self, *ways):
        """serverkeygen brings a key that fits, whichever way it travels."""
        def act(work, name):
            with self.given.misbehaving(work, name) as lab:
                for number, how in enumerate(ways):
                    work.out = work.parent / f"device{number}"
                    options = self.given.common("enroll", lab.url, lab.anchors) | how
                    result = work.call("serverkeygen", options).expect(0)
                    check("error" not in result.json, f"an error in {result!r}")
                    self.given.verified(work, lab)
        return act

    def template(self, code, sentence, category="protocol", exit_code=8, counts=True, **options):
        return self.given.lie("enroll", code, category, exit_code, sentence, counts=counts, **TEMPLATE, **options)

    def lies(self):
        return self.keys() | self.parts() | self.templates() | self.digest() | self.rollover() \
            | self.renewal()

    def keys(self):
        row = self.keygen
        return {
            "keygen-plain": row(TO_EC, "protocol.key-not-encrypted", "without encryption of its own"),
            "keygen-plain for a KEK": row(BY_KEK, "protocol.key-not-encrypted", "of its own", counts=False),
            "keygen-plain for a password": row(BY_PASSWORD, "protocol.key-not-encrypted", "of its own", counts=False),
            "keygen-stranger": row(TO_RSA, "protocol.key-recipient", "to another recipient than was asked for"),
            "keygen-stranger for a KEK": row(BY_KEK, "protocol.key-recipient", "to another", counts=False),
            "keygen-stranger-same-id": row(TO_EC, "protocol.key-decrypt", "cannot be decrypted with the key"),
            "keygen-stranger-same-id for RSA": row(TO_RSA, "protocol.key-decrypt", "cannot be", counts=False),
            "keygen-stranger-same-id for a KEK": row(BY_KEK, "protocol.key-decrypt", "cannot be", counts=False),
            "keygen-stranger-same-id for a password": row(BY_PASSWORD, "protocol.key-decrypt", "cannot be",
                                                          counts=False),
            "keygen-other-id": row(BY_KEK, "protocol.key-recipient", "to another recipient", counts=False),
            "keygen-other-id for EC": row(TO_EC, "protocol.key-recipient", "to another recipient", counts=False),
            "keygen-other-method-kek": row(TO_EC, "protocol.key-method", "asked for was", counts=False),
            "keygen-other-method-password": row(BY_KEK, "protocol.key-method", "with a password"),
            "keygen-other-method-recipient": row(BY_PASSWORD, "protocol.key-method", "asked for was a password"),
            "keygen-other-method-password unasked": row(PLAIN, "protocol.key-encrypted", "which was not asked for"),
            "keygen-two-recipients": row(TO_EC, "protocol.key-envelope", "for one recipient"),
            "keygen-weak-cipher": row(TO_EC, "protocol.key-cipher", "des-ede3-cbc"),
            "keygen-unasked-cipher": row(TO_RSA, "protocol.key-cipher", "camellia-256-cbc"),
            "keygen-bad-tag": row(BY_KEK, "protocol.key-decrypt", "cannot be decrypted", counts=False),
            "keygen-bad-padding": row(TO_EC, "protocol.key-decrypt", "cannot be decrypted", counts=False),
            "keygen-truncated": row(TO_EC, "protocol.key-envelope", "is not a CMS", counts=False),
            "keygen-truncated without encryption": row(PLAIN, "protocol.key-format", "is not a PKCS#8 structure"),
            "keygen-unsigned": row(TO_EC, "protocol.key-unsigned", "is not signed by the party"),
            "keygen-inside-pkcs8": row(TO_EC, "protocol.key-unsigned", "is not signed", counts=False),
            "keygen-wrong-key": row(TO_EC, "cert.key-differs", "private key", "certificate", 9),
            "keygen-wrong-key without encryption": row(PLAIN, "cert.key-differs", "the private key that the server sent", "certificate", 9, counts=False),
            "keygen-two-keys": row(TO_EC, "protocol.key-package", "with exactly one key"),
            "keygen-no-key": row(TO_EC, "protocol.key-package", "with exactly one key", counts=False),
            "keygen-garbage": row(PLAIN, "protocol.key-format", "is not a PKCS#8", counts=False),
            "keygen-garbage encrypted": row(TO_EC, "protocol.key-package", "not an asymmetric key package", counts=False),
            "keygen-traditional": row(PLAIN, "protocol.key-format", "is not a PKCS#8", counts=False),
            "keygen-encrypted-pkcs8": row(PLAIN, "protocol.key-format", "is not a PKCS#8", counts=False),
            "keygen-pem": row(PLAIN, "protocol.key-format", "is not a PKCS#8", counts=False),
            "keygen-weak-key": row(PLAIN, "cert.weak-key", "RSA keys need at least", "certificate", 9, counts=False),
            "keygen-bad-signature": row(TO_EC, "protocol.key-signature", "over the private key does not verify"),
            "keygen-no-signer": row(TO_EC, "protocol.key-unsigned", "is not signed", counts=False),
            "keygen-stranger-signer": row(TO_EC, "protocol.key-signer", "neither the issuing CA", counts=False),
            "keygen-device-signer": row(TO_EC, "protocol.key-signer", "neither the issuing CA"),
            "keygen-expired-signer": row(TO_EC, "protocol.key-signer", "expired on"),
            "keygen-sha1-signature": row(TO_EC, "protocol.key-signature", "with a weak digest"),
            "keygen-content-type": row(TO_EC, "protocol.key-package", "not an asymmetric key package", counts=False),
        }

    def parts(self):
        row = self.keygen
        return {
            "multipart-other-boundary": row(PLAIN, "protocol.multipart-empty", "no part between its boundaries"),
            "multipart-no-boundary": row(PLAIN, "protocol.multipart-boundary", "names no usable boundary"),
            "multipart-empty-boundary": row(PLAIN, "protocol.multipart-boundary", "no usable boundary", counts=False),
            "multipart-long-boundary": row(PLAIN, "protocol.multipart-boundary", "no usable boundary", counts=False),
            "multipart-other-type": row(PLAIN, "protocol.content-type", "multipart/alternative"),
            "multipart-not-closed": row(PLAIN, "protocol.multipart-end", "before its closing boundary"),
            "multipart-no-parts": row(PLAIN, "protocol.multipart-empty", "no part between", counts=False),
            "multipart-no-key": row(PLAIN, "protocol.key-parts", "not one private key and one set"),
            "multipart-no-certificate": row(PLAIN, "protocol.key-parts", "not one private key", counts=False),
            "multipart-three-parts": row(PLAIN, "protocol.key-parts", "not one private key", counts=False),
            "multipart-two-keys": row(PLAIN, "protocol.key-parts", "not one private key", counts=False),
            "multipart-two-certificates": row(PLAIN, "protocol.key-parts", "not one private key", counts=False),
            "multipart-nested": row(PLAIN, "protocol.key-parts", "not one private key", counts=False),
            "multipart-no-part-type": row(PLAIN, "protocol.key-parts", "not one private key", counts=False),
            "multipart-wrong-part-type": row(PLAIN, "protocol.key-parts", "not one private key", counts=False),
            "multipart-wrong-smime-type": row(PLAIN, "protocol.key-parts", "not one private key", counts=False),
            "multipart-wrong-encoding": row(PLAIN, "protocol.multipart-encoding", "than base64"),
            "multipart-binary": row(PLAIN, "protocol.binary", "raw DER where", counts=False),  # der-body
            "multipart-key-garbage": row(PLAIN, "protocol.base64", "is not base64", counts=False),
            "multipart-certificate-garbage": row(PLAIN, "protocol.base64-padding", "has a '=' too many", counts=False),
            "multipart-empty-key": row(PLAIN, "protocol.empty", "a part of the server's answer is empty", counts=False),
            "multipart-long-part-header": row(PLAIN, "protocol.multipart-header-size", "more header data"),
            "multipart-many-part-headers": row(PLAIN, "protocol.multipart-header-size", "more header data", counts=False),
            "multipart-two-part-types": row(PLAIN, "protocol.multipart-header", "the same header twice"),
            "multipart-bad-part-header": row(PLAIN, "protocol.multipart-header", "has a malformed header"),
            "multipart-nul": row(PLAIN, "protocol.multipart-header", "malformed header", counts=False),
            "multipart-no-empty-line": row(PLAIN, "protocol.multipart-header", "malformed header", counts=False),
        }

    def templates(self):
        row, code = self.template, "protocol.csr-template"
        return {
            "csrattrs-template-empty-rdn": row("csr.template-incomplete", "wants serialNumber", "certificate", 9),
            "csrattrs-template-other-subject": row("csr.attribute-conflict", "must be \"somebody-else\"",
                                                   "certificate", 9),
            "csrattrs-template-empty-extension": row("csr.template-incomplete", "the extension 1.3.6.1.4.1.32473.1",
                                                     "certificate", 9),
            "csrattrs-template-rsa-key": row("csr.attribute-conflict", "the key algorithm rsa", "certificate", 9,
                                             counts=False, **{"new-key": "ec:P-256"}),
            "csrattrs-template-two": row(code, "more than one request template"),
            "csrattrs-template-no-value": row(code, "must have exactly one value"),
            "csrattrs-template-two-values": row(code, "exactly one value", counts=False),  # no-value
            "csrattrs-template-garbage": row(code, "the server's request template (RFC 9908) is not valid"),
            "csrattrs-template-version": row(code, "of a version that nobody has defined"),
            "csrattrs-template-empty-set": row(code, "holds an empty RDN"),
            "csrattrs-template-not-text": row(code, "holds what is no text"),
            "csrattrs-template-extension-twice": row(code, "an extension stands twice"),
            "csrattrs-template-extensions-twice": row(code, "asks for extensions twice"),
            "csrattrs-template-many-rdns": row(code, "has more than 64 parts"),
            "csrattrs-other-curve": row("csr.attribute-conflict", "the key algorithm ec:P-521", "certificate", 9,
                                        counts=False, **{"new-key": "ec:P-256"}),
            "csrattrs-weak-signature": row("csr.attribute-conflict", "with RSA-MD5, which is too weak", "certificate",
                                           9),
        }

    def digest(self):
        def row(counts=False):
            return self.given.auth("refused", "refused the user name or password", counts=counts)
        return {"digest-no-nonce": row(), "digest-open-quote": row(), "digest-long-nonce": row()}

    def rollover(self):
        trust = self.given.trust
        return {
            "rollover-stranger": trust("bad-signature", "the signature on \"CN=Estuary Lab Root CA"),
            "rollover-expired": trust("ca-expired", "\"CN=Estuary Lab Root CA,O=Estuary Lab\" in its chain expired"),
            "rollover-not-ca": trust("invalid-ca", "\"CN=Estuary Lab Root CA", counts=False),  # not-ca-intermediate
            "rollover-weak-signature": trust("weak-signature", "weak digest", counts=False),  # tls-sha1-signature
            "rollover-missing": trust("unknown-issuer", "\"CN=Estuary Lab Root CA,O=Estuary Lab\", is neither"),
            "rollover-not-sent": trust("unknown-issuer", "is neither", counts=False),  # as rollover-missing
        }

    def ask(self, work, name):
        """What the client makes of renewal-info for a certificate of 90 days."""
        given = self.given
        with given.misbehaving(work, name) as lab:
            issued = given.common("enroll", lab.url, lab.anchors) | {"out": "{tmp}/renewed"}
            work.call("enroll", issued).expect(0)
            result = run([program("tests/hostile/ask_renewal_info"), lab.url, lab.anchors,
                                work.tmp / "renewed" / "cert.pem"])
        result.json = one_json_object(result.out)
        return result

    def renewal(self):
        def row(code, sentence, counts=True):
            expected = self.given.Refusal(f"protocol.{code}", "protocol", 8, sentence, counts)
            return lambda work, name: expected.check(self.ask(work, name)), expected
        return {
            "renewal-info-no-window": row("renewal-info", "holds no suggestedWindow"),
            "renewal-info-half-window": row("renewal-info", "does not start and end at RFC 3339 times"),
            "renewal-info-bad-time": row("renewal-info", "RFC 3339 times", counts=False),
            "renewal-info-wrong-types": row("renewal-info", "RFC 3339 times", counts=False),
            "renewal-info-not-json": row("renewal-info", "is not the JSON it should be"),
            "renewal-info-array": row("renewal-info", "is not the JSON", counts=False),
            "renewal-info-deep": row("renewal-info", "is not the JSON", counts=False),
            "renewal-info-huge": row("response-too-large", "bytes, more than", counts=False),
            "renewal-info-base64": row("renewal-info", "is not the JSON", counts=False),
            "renewal-info-type": row("content-type", "not application/json"),
        }

    def advice(self, holds=None):
        """A window that holds(start, end, retry, now) finds right; without holds, none: as if nobody had answered."""
        def act(work, name):
            result = self.ask(work, name).expect(0)
            check_equal(result["advice"], holds is not None, "advice")
            if holds is not None:
                found = holds(result["start"], result["end"], result["retry"], time.time())
                check(found, f"the window {result!r}")
        return act

    def renewal_advice(self):
        """The renewal timing, not the reading, makes of a late window what is right (test_renewal_plan)."""
        return {
            "renewal-info-past": self.advice(lambda start, end, _retry, now: start < end < now - 86400),
            "renewal-info-now": self.advice(lambda start, end, _retry, now: start < now < end),
            "renewal-info-late": self.advice(lambda start, end, _retry, now: now + 90 * 86400 < start < end),
            "renewal-info-reversed": self.advice(),
            "renewal-info-empty-window": self.advice(),
            "renewal-info-no-retry-after": self.advice(lambda start, end, retry, now: now < start and not retry),
            "renewal-info-bad-retry-after": self.advice(lambda start, end, retry, now: now < start and not retry),
        }

    def harmless(self):
        works, ways = self.keygen_works, (TO_EC, TO_RSA, BY_KEK, BY_PASSWORD)
        return {
            "keygen-indefinite": works(*ways),
            "keygen-content-info": works(*ways),
            "keygen-no-signer-certificate": works(TO_EC),
            "keygen-server-signer": works(TO_EC),
            "multipart-quoted-boundary": works(PLAIN),
            "multipart-preamble": works(PLAIN, TO_EC),
            "multipart-padding": works(PLAIN),
            "multipart-reversed": works(PLAIN),
            "multipart-lf": works(PLAIN, TO_RSA),
            "multipart-odd-headers": works(PLAIN),
            "multipart-no-part-encoding": works(PLAIN),
            "csrattrs-template-fixed-subject": self.given.works(**TEMPLATE),
            "csrattrs-template-fixed-extension": self.given.works(**TEMPLATE),
            "csrattrs-template-both-forms": self.given.works(**TEMPLATE),
            "pop-no-extended-master-secret": self.given.works(),
        } | self.renewal_advice()
