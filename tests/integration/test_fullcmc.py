"""fullcmc against the lab: both bodies, both ways to sign, pending, published anchors, and what is refused (E10)."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import (Alice, check_folder, enrolled, estuary, key_of, lab, posts, server, text_of)  # noqa: E402
from harness import (case, check, check_equal, check_in, check_not_in, fingerprint, main, password_file)  # noqa: E402


def proof(alice, identity="alice"):
    """What proves alice to CMC; HTTP knows nothing of it."""
    return ("--cmc-identity", identity, "--cmc-secret", f"file:{alice.file}")


def arguments(ca, out, *more, subject="CN=device,O=Example"):
    return ("fullcmc", *server(ca), "--subject", subject, "--out", out, *more)


@case("PKCS 10 and CRMF, by shared secret and by certificate; RSA and EC keys")
def bodies(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        device = enrolled(est, ca, alice, tmp / "device")
        identity = ("--cert", device / "fullchain.pem", "--key", device / "key.pem")
        for body in ("pkcs10", "crmf"):
            for name, who in (("secret", (*alice.client, *proof(alice))), ("certificate", identity)):
                for algorithm in ("ec:P-256", "rsa:2048"):
                    out = tmp / f"{body}-{name}-{algorithm[:2]}"
                    answer = est.json(*arguments(ca, out, *who, "--cmc-body", body, "--new-key", algorithm, "--san",
                                                 "dns:device.example"), code=0)
                    check_folder(out, ca.anchors)
                    check_in("DNS:device.example", text_of(out / "cert.pem"), out.name)
                    check_equal(answer["operation"], "fullcmc", "operation")
                    check_equal(answer["cmc_status"], "success", "status")
        check_equal({r["path"].rsplit("/", 1)[1] for r in posts(ca)[2:]}, {"fullcmc"}, "paths")


@case("a wrong secret, an unknown name: badIdentity, exit 6, and nothing is kept")
def bad_identity(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    wrong = password_file(tmp, "not the secret", name="wrong")
    with lab(*alice.lab) as ca:
        for more in (("--cmc-identity", "alice", "--cmc-secret", f"file:{wrong}"), proof(alice, "mallory")):
            answer = est.json(*arguments(ca, out, *alice.client, *more), code=6)
            check_equal(answer["error"]["code"], "auth.cmc-identity", "code")
            check_in("badIdentity", answer["error"]["message"], "message")
            check(not out.exists() and not (tmp / "out.pending").exists(), "nothing is kept")


@case("pending: the token is kept, the same command asks with queryPending, with a secret and with a certificate")
def pending(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab, dir=tmp / "lab") as ca:
        device = enrolled(est, ca, alice, tmp / "device")
    with lab(*alice.lab, "--pending", "2", "--retry-after", "1", dir=tmp / "lab") as ca:
        for name, who in (("secret", (*alice.client, *proof(alice))),
                          ("certificate", ("--cert", device / "fullchain.pem", "--key", device / "key.pem",
                                           "--new-key", "ec:P-256"))):
            out = tmp / name
            answer = est.json(*arguments(ca, out, *who), code=7)
            check_equal(answer["error"]["code"], "pending.retry", "code")
            check(answer["error"]["retry_at"], "retry_at is given")
            state = json.loads((tmp / f"{name}.pending" / "state.json").read_text())
            check_in("pend_token", state["cmc"], "state")
            check_not_in(alice.password, json.dumps(state), "state")
            key = key_of(tmp / f"{name}.pending" / "key.pem")
            est(*arguments(ca, out, *who), code=7)
            answer = est.json(*arguments(ca, out, *who), code=0)
            check_equal(answer["resumed"], True, "resumed")
            check_equal(key_of(out / "key.pem"), key, "the key is the same")
            check_folder(out, ca.anchors)


@case("published anchors: shown, written with -o, never an older set")
def anchors(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab, "--cmc-anchors") as ca:
        answer = est.json(*arguments(ca, tmp / "shown", *alice.client, *proof(alice)), code=0)
        check_equal([a["fingerprint"] for a in answer["published_anchors"]], [fingerprint(ca.anchors)], "anchors")
        bundle = tmp / "ca.pem"
        est(*arguments(ca, tmp / "written", *alice.client, *proof(alice), "-o", bundle), code=0)
        check_equal(fingerprint(bundle), fingerprint(ca.anchors), "the root in ca.pem")
        head, pem = bundle.read_text().split("\n", 1)
        check(head.startswith("CMC trust anchors, seqNumber "), "the first line says which set it is")
        bundle.write_text(f"CMC trust anchors, seqNumber {10 ** 15}\n{pem}")
        before = bundle.read_bytes()
        answer = est.json(*arguments(ca, tmp / "again", *alice.client, *proof(alice), "-o", bundle), code=5)
        check_equal(answer["error"]["code"], "trust.cmc-sequence", "code")
        check_equal(bundle.read_bytes(), before, "ca.pem")
        check_folder(tmp / "again", ca.anchors)       # the certificate itself was in order


@case("with the system's store nobody vouches for published anchors: exit 3, the certificate kept; then by fingerprint")
def anchors_of_the_system(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab, "--cmc-anchors") as ca:
        store = {"SSL_CERT_FILE": ca.anchors, "SSL_CERT_DIR": tmp / "none"}
        common = ("--server", ca.url, "--trust", "system", *alice.client, *proof(alice), "--subject", "CN=device",
                  "-o", tmp / "ca.pem")
        answer = est.json("fullcmc", *common, "--out", tmp / "first", code=3, env=store)
        check_equal(answer["error"]["code"], "trust.confirm-fingerprint", "code")
        check_equal([a["fingerprint"] for a in answer["published_anchors"]], [fingerprint(ca.anchors)], "anchors")
        check(not (tmp / "ca.pem").exists(), "no anchors are written")
        check_folder(tmp / "first", ca.anchors)
        est("fullcmc", *common, "--out", tmp / "second", "--fingerprint", fingerprint(ca.anchors), code=0, env=store)
        check_equal(fingerprint(tmp / "ca.pem"), fingerprint(ca.anchors), "the root in ca.pem")


@case("what the lab lies about is not believed")
def lies(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    expected = {
        "cmc-wrong-transaction": (8, "protocol.cmc-transaction"),
        "cmc-wrong-nonce": (8, "protocol.cmc-nonce"),
        "cmc-bad-signature": (8, "protocol.cmc-signature"),
        "cmc-no-authority": (5, "trust.cmc-signer"),
    }
    for name, (exit_code, code) in expected.items():
        with lab(*alice.lab, "--misbehave", name) as ca:
            answer = est.json(*arguments(ca, out, *alice.client, *proof(alice)), code=exit_code)
            check_equal(answer["error"]["code"], code, name)
            check(not out.exists(), f"{name}: nothing is written")


if __name__ == "__main__":
    sys.exit(main())
