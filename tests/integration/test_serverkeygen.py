"""serverkeygen against the lab: every form of the private key, and what is refused (E9, RFC 7030 4.4, 4.4.1, 4.4.2)."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import Alice, check_folder, estuary, lab, server, text_of  # noqa: E402
from harness import (case, cases_from, check, check_equal, check_in, check_not_in, main, make_key, openssl,  # noqa: E402
                     password_file)

KEK = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
KEK_BASE64 = "AAECAwQFBgcICQoLDA0ODw=="
PASSWORD = "a shared password"


class Site:
    """The secrets that device and server share, and the device's own keys."""

    def __init__(self, tmp):
        self.alice = Alice(tmp)
        self.kek = password_file(tmp, KEK, name="kek")
        self.small_kek = password_file(tmp, KEK_BASE64, name="small-kek")
        self.password = password_file(tmp, PASSWORD, name="key-password")
        make_key(tmp / "ec.key")
        self.ec, self.rsa = tmp / "ec.key", tmp / "rsa.key"
        self.lab = (*self.alice.lab, "--kek", f"k1=file:{self.kek}", "--kek", f"k2=file:{self.small_kek}",
                    "--key-password", f"p1=file:{self.password}", "--key-password", f"alice=file:{self.password}")

    def make_rsa(self):
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.rsa)
        self.rsa.chmod(0o600)

    def options(self, form):
        return {"plain": (), "rsa": ("--decrypt-key", self.rsa), "ec": ("--decrypt-key", self.ec),
                "kek": ("--decrypt-kek", f"k1=file:{self.kek}"), "small kek": ("--decrypt-kek", f"k2=file:{self.small_kek}"),
                "password": ("--decrypt-password", f"p1=file:{self.password}"),
                "password of the user": ("--decrypt-password", f"file:{self.password}")}[form]

    def command(self, ca, form, out, *more):
        return ("serverkeygen", *server(ca), *self.alice.client, "--preemptive-auth", "--subject", "CN=device",
                "--san", "dns:device.example", "--out", out, *self.options(form), *more)


PROTECTION = {"plain": "tls", "small kek": "kek", "password of the user": "password"}


@case("every form: key and certificate belong together, says openssl, and the output says how the key came")
def forms(tmp):
    site, est = Site(tmp), estuary()
    site.make_rsa()
    with lab(*site.lab) as ca:
        for form in ("plain", "rsa", "ec", "kek", "small kek", "password", "password of the user"):
            out = tmp / f"out-{form.replace(' ', '-')}"
            answer = est.json(*site.command(ca, form, out), code=0)
            check_equal(answer["operation"], "serverkeygen", "operation")
            check_equal(answer["key_protection"], PROTECTION.get(form, form), form)
            check_equal(answer["key_is_new"], True, "key_is_new")
            check_equal(answer["key_algorithm"], "rsa:2048" if form == "rsa" else "ec:P-256", form)
            check_folder(out, ca.anchors)
            check_in("DNS:device.example", text_of(out / "cert.pem"), "certificate")
        check(openssl("pkey", "-in", tmp / "out-rsa/key.pem", "-pubout").out != openssl("pkey", "-in", site.rsa, "-pubout").out,
              "the server's key is not the one that decrypts")


@case("the kind of the key; TLS alone is warned about and said, encryption is said")
def words(tmp):
    site, est = Site(tmp), estuary()
    with lab(*site.lab) as ca:
        result = est(*site.command(ca, "plain", tmp / "out", "--new-key", "ec:P-384"), code=0)
        check_in("protected by the TLS session alone", result.out, "stdout")
        check_in("serverkeygen.tls-only", result.err, "stderr")
        check_in("ec:P-384, new, in", result.out, "stdout")
        check_folder(tmp / "out", ca.anchors)
        result = est(*site.command(ca, "kek", tmp / "out"), code=0)
        check_in("encrypted (kek) inside of the TLS session", result.out, "stdout")
        check_not_in("tls-only", result.err, "stderr")


@case("pending: resumed with the secret given anew; no secret on disk; another way is refused")
def pending(tmp):
    site, est, out = Site(tmp), estuary(), tmp / "out"
    with lab(*site.lab, "--pending", "1", "--retry-after", "1") as ca:
        answer = est.json(*site.command(ca, "kek", out), code=7)
        check_equal(answer["pending"], True, "pending")
        state = json.loads((tmp / "out.pending/state.json").read_text())
        check_equal(state["key_protection"], "kek", "state")
        for path in (tmp / "out.pending").iterdir():
            check_not_in(KEK, path.read_text(), str(path))
        for form in ("plain", "password"):
            check_equal(est.json(*site.command(ca, form, out), code=11)["error"]["code"], "key.mismatch", form)
        answer = est.json(*site.command(ca, "kek", out, "--max-wait", "30"), code=0)
        check_equal(answer["resumed"], True, "resumed")
        check_folder(out, ca.anchors)
        check(not (tmp / "out.pending").exists(), "DIR.pending is gone")


@case("pending: the key that decrypts is not copied into DIR.pending, which was made with it and needs it again")
def pending_decrypt_key(tmp):
    site, est, out = Site(tmp), estuary(), tmp / "out"
    own, pin = tmp / "own.key", password_file(tmp, "a passphrase", name="pin")
    openssl("ec", "-in", site.ec, "-aes256", "-passout", f"file:{pin}", "-out", own)
    own.chmod(0o600)
    make_key(tmp / "other.key")
    with lab(*site.lab, "--pending", "1", "--retry-after", "1") as ca:
        command = site.command(ca, "plain", out)
        mine = (*command, "--decrypt-key", own, "--pin", f"file:{pin}")
        est.json(*mine, code=7)
        check_equal([p.name for p in (tmp / "out.pending").iterdir()], ["state.json"], "files in DIR.pending")
        for other in (("--decrypt-key", tmp / "other.key"), ()):
            check_equal(est.json(*command, *other, code=2)["error"]["code"], "config.pending-other", f"{other}")
        answer = est.json(*mine, "--max-wait", "30", code=0)
        check_equal((answer["resumed"], answer["key_protection"]), (True, "ec"), "answer")
        check_folder(out, ca.anchors)
        check_equal(len({r["body_sha256"] for r in ca.access_log() if r["method"] == "POST" and r["status"] != 401}), 1,
                    "different request bodies")


# form -> what the lab does wrong there, and the code of the error; "" for what it only does unusually
WRONG = {
    "plain": {"keygen-wrong-key": "cert.key-differs", "keygen-garbage": "protocol.key-format",
              "keygen-traditional": "protocol.key-format", "keygen-encrypted-pkcs8": "protocol.key-format",
              "keygen-truncated": "protocol.key-format", "keygen-other-method-recipient": "protocol.key-encrypted"},
    "kek": {"keygen-plain": "protocol.key-not-encrypted", "keygen-other-method-password": "protocol.key-method",
            "keygen-other-method-recipient": "protocol.key-method", "keygen-stranger": "protocol.key-recipient",
            "keygen-other-id": "protocol.key-recipient", "keygen-two-recipients": "protocol.key-envelope",
            "keygen-weak-cipher": "protocol.key-cipher", "keygen-unasked-cipher": "protocol.key-cipher",
            "keygen-bad-tag": "protocol.key-decrypt", "keygen-truncated": "protocol.key-envelope",
            "keygen-unsigned": "protocol.key-unsigned", "keygen-inside-pkcs8": "protocol.key-unsigned",
            "keygen-two-keys": "protocol.key-package", "keygen-no-key": "protocol.key-package",
            "keygen-bad-signature": "protocol.key-signature", "keygen-stranger-signer": "protocol.key-signer",
            "keygen-device-signer": "protocol.key-signer", "keygen-expired-signer": "protocol.key-signer",
            "keygen-sha1-signature": "protocol.key-signature", "keygen-content-type": "protocol.key-package",
            "keygen-wrong-key": "cert.key-differs", "keygen-no-signer": "protocol.key-unsigned",
            "keygen-indefinite": "", "keygen-content-info": "", "keygen-no-signer-certificate": "",
            "keygen-server-signer": ""},
    "ec": {"keygen-stranger": "protocol.key-recipient", "keygen-stranger-same-id": "protocol.key-decrypt",
           "keygen-other-method-kek": "protocol.key-method", "keygen-plain": "protocol.key-not-encrypted"},
}


def wrong(tmp, form):
    site, est, out = Site(tmp), estuary(), tmp / "out"
    for name, code in WRONG[form].items():
        with lab(*site.lab, "--misbehave", name, dir=tmp / "lab") as ca:
            error = est.json(*site.command(ca, form, out)).json.get("error", {"code": "", "message": ""})
            check_equal(error["code"], code, f"{name} for {form}: {error['message']}")
            check_equal(out.exists(), code == "", f"DIR after {name}")
            check(not (tmp / "out.pending").exists(), "nothing is left pending")
            if code == "":
                check_folder(out, ca.anchors)
                for path in out.iterdir():
                    path.unlink()
                out.rmdir()


cases_from({f"what the server does wrong when the key shall come: {form}": (form,) for form in WRONG}, wrong)


@case("usage: what is missing or contradicts itself is said before anything is dialed")
def usage(tmp):
    site, est = Site(tmp), estuary()
    short = password_file(tmp, "abcd", name="short")
    server_options = ("--server", "https://localhost:1", "--trust", "system", "--subject", "CN=x", "--out", tmp / "out")
    for more, code in (
            (("--decrypt-kek", f"file:{site.kek}"), "usage.option"),
            (("--decrypt-kek", f"k1={KEK}"), "usage.secret-literal"),
            (("--decrypt-kek", f"=file:{site.kek}"), "usage.secret-literal"),
            (("--decrypt-password", PASSWORD), "usage.secret-literal"),
            (("--decrypt-kek", f"k1=file:{short}"), "usage.decrypt"),
            (("--decrypt-kek", f"k1=file:{site.kek}", "--decrypt-key", site.ec), "usage.option"),
            (("--decrypt-key", site.ec, "--new-key", "ec:P-256"), "usage.option"),
            (("--decrypt-key", tmp / "absent"), "key.file"),
            (("--key", site.ec), "usage.option")):
        answer = est.json("serverkeygen", *server_options, *more)
        check_equal(answer["error"]["code"], code, f"{more}: {answer['error']['message']}")
        check_not_in(KEK, json.dumps(answer.json), "the answer")
    check_equal(est.json("serverkeygen", *server_options[:4], "--out", tmp / "out", code=2)["error"]["code"], "usage.option",
                "no name")


if __name__ == "__main__":
    main()
