"""Revocation as the command sees it: verdicts and sources, caches, policies, the server's chain in the handshake."""

import pathlib
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import Alice, enrolled, estuary, lab, server  # noqa: E402
from harness import (case, check, check_equal, check_in, main, make_ca, openssl, run, serial_number)  # noqa: E402


def device_of(ca, alice, tmp, name="device", *more):
    """An enrolled device: its folder."""
    out = tmp / name
    estuary()("enroll", *server(ca), *alice.client, "--subject", f"CN={name}", "--out", out, "--revocation",
              "off", *more, code=0)
    return out


def ask(ca, device, *more, code=0, **options):
    return estuary(**options).json("revocation", device / "cert.pem", "--issuer", ca.dir / "issuing.pem", *more,
                                   code=code)


@case("OCSP first, CRL when told to or when OCSP fails, then the cache; openssl agrees")
def sources(tmp):
    alice = Alice(tmp)
    with lab(*alice.lab) as ca:
        device = device_of(ca, alice, tmp)
        first = ask(ca, device, "--cache", tmp / "cache")
        check_equal((first.json["status"], first.json["source"], first.json["evidence"]), ("good", "ocsp", "ocsp"), "OCSP")
        check_equal(first.json["origin"], f"{ca.http}/ocsp", "origin")
        asked = len(ca.evidence_log())
        again = ask(ca, device, "--cache", tmp / "cache")
        check_equal((again.json["status"], again.json["source"], again.json["evidence"]), ("good", "cache", "ocsp"), "again")
        check_equal(len(ca.evidence_log()), asked, "requests while the response counts")
        crl = ask(ca, device, "--cache", tmp / "cache", "--method", "crl")
        check_equal((crl.json["status"], crl.json["source"]), ("good", "crl"), "CRL")
        (ca.dir / "misbehave").write_text("ocsp-500\n")
        fallback = ask(ca, device, "--cache", tmp / "other")
        check_equal((fallback.json["status"], fallback.json["source"]), ("good", "crl"), "fallback")
        (ca.dir / "misbehave").unlink()
        ca.revoke(serial_number(device / "cert.pem"), "--reason", "keyCompromise")
        for method in ("ocsp", "crl"):
            revoked = ask(ca, device, "--method", method, "--cache", tmp / "new", code=10)
            check_equal((revoked.json["status"], revoked.json["reason"], revoked.json["source"]),
                        ("revoked", "keyCompromise", method), method)
            check_equal(revoked.json["error"]["code"], "revoked.revoked", "code")
        run(["curl", "-sS", "-o", tmp / "list.crl", f"{ca.http}/crl/issuing.crl"], code=0)
        check_in(serial_number(device / "cert.pem"),
                 openssl("crl", "-inform", "DER", "-in", tmp / "list.crl", "-noout", "-text").out, "by openssl")


@case("a certificate that the issuer did not sign: exit 9, and nothing is asked (R0)")
def wrong_issuer(tmp):
    alice = Alice(tmp)
    with lab(*alice.lab) as ca:
        device = device_of(ca, alice, tmp)
        check_equal(len(ca.evidence_log()), 0, "requests with --revocation off")
        answer = estuary().json("revocation", device / "cert.pem", "--issuer", ca.dir / "root.pem", code=9)
        check_equal(answer.json["error"]["code"], "cert.not-signed-by-issuer", "code")
        check_equal(len(ca.evidence_log()), 0, "requests")


@case("evidence given by hand: CRL in DER and PEM, OCSP response, --at, --offline")
def by_hand(tmp):
    alice = Alice(tmp)
    with lab(*alice.lab) as ca:
        device = device_of(ca, alice, tmp)
        issuing, cert = ca.dir / "issuing.pem", device / "cert.pem"
        run(["curl", "-sS", "-o", tmp / "good.crl", f"{ca.http}/crl/issuing.crl"], code=0)
        openssl("crl", "-inform", "DER", "-in", tmp / "good.crl", "-out", tmp / "good.pem")
        openssl("ocsp", "-issuer", issuing, "-cert", cert, "-url", f"{ca.http}/ocsp", "-noverify", "-respout",
                tmp / "good.ocsp")
        asked = len(ca.evidence_log())
        for args, evidence in ((("--crl", tmp / "good.crl"), "crl"), (("--crl", tmp / "good.pem"), "crl"),
                               (("--ocsp-response", tmp / "good.ocsp"), "ocsp")):
            answer = ask(ca, device, "--offline", "--policy", "hard", *args)
            check_equal((answer.json["status"], answer.json["source"]), ("good", evidence), str(args))
        old = ask(ca, device, "--offline", "--crl", tmp / "good.crl", "--at", "2031-01-01T00:00:00Z")
        check_equal((old.json["status"], old.json["code"]), ("unknown", "revocation.stale"), "later")
        first = ask(ca, device, "--offline", "--crl", tmp / "good.crl", "--at", "1970-01-01T00:00:00Z")
        check_equal((first.json["status"], first.json["code"]), ("unknown", "revocation.not-yet-valid"), "in 1970")
        before = estuary().json("revocation", cert, "--issuer", issuing, "--at", "1969-12-31T23:59:59Z", code=2)
        check_equal(before.json["error"]["code"], "usage.time", "before 1970")
        early = ask(ca, device, "--offline", "--crl", tmp / "good.crl", "--at", "2020-01-01T00:00:00Z")
        check_equal((early.json["status"], early.json["code"]), ("unknown", "revocation.not-yet-valid"), "earlier")
        nothing = ask(ca, device, "--offline", "--policy", "hard", code=10)
        check_equal((nothing.json["status"], nothing.json["code"]), ("unknown", "revocation.offline"), "nothing at hand")
        check_equal(nothing.json["error"]["code"], "revocation.unknown", "error")
        check_equal(len(ca.evidence_log()), asked, "requests with --offline")
        missing = ask(ca, device, "--crl", tmp / "missing.crl", code=1)
        check_equal(missing.json["error"]["category"], "io", "a CRL that is not there")


@case("--max-age: a CRL whose nextUpdate is far off is too old for who says so")
def max_age(tmp):
    ca = make_ca(tmp / "ca")
    leaf = ca.issue(tmp / "leaf")
    begin, end = (time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * 86400)) for days in (-3, 30))
    crl = ca.crl(tmp / "a.crl", "-crl_lastupdate", begin, "-crl_nextupdate", end)
    wanted = ("revocation", leaf.cert, "--issuer", ca.cert, "--crl", crl, "--policy", "hard")
    for more, status, code in (((), "good", ""), (("--max-age", 4), "good", ""),
                               (("--max-age", 2), "unknown", "revocation.too-old")):
        answer = estuary().json(*wanted, *more, code=0 if status == "good" else 10)
        check_equal((answer.json["status"], answer.json["code"]), (status, code), f"{more}")
    check_equal(estuary().json(*wanted, "--max-age", 0, code=2).json["error"]["category"], "usage", "not a number of days")


@case("estuary cache lists what openssl finds there, and clears it; a folder others can write to is refused (R5)")
def cache(tmp):
    alice, est, folder = Alice(tmp), estuary(), tmp / "cache"
    with lab(*alice.lab) as ca:
        device = device_of(ca, alice, tmp)
        ask(ca, device, "--cache", folder)
        ask(ca, device, "--cache", folder, "--method", "crl")
        check_equal(folder.stat().st_mode & 0o777, 0o700, "mode of the folder")
        listed = est.json("cache", "list", "--cache", folder, code=0).json["entries"]
        check_equal({e["kind"] for e in listed}, {"ocsp", "crl"}, "kinds")
        check_equal({e["url"] for e in listed}, {f"{ca.http}/ocsp", f"{ca.http}/crl/issuing.crl"}, "URLs")
        check_in(serial_number(device / "cert.pem"), " ".join(e["subject"] for e in listed), "serial")
        check_equal(est.json("cache", "clear", "--cache", folder, code=0).json["removed"], 2, "removed")
        check_equal(est.json("cache", "list", "--cache", folder, code=0).json["entries"], [], "afterwards")
        folder.chmod(0o777)
        refused = ask(ca, device, "--cache", folder, code=2)
        check_equal(refused.json["error"]["code"], "config.cache", "a folder of everybody's")


@case("a CRL that is tampered with in the cache counts for nothing: it is fetched again")
def tampered(tmp):
    alice, folder = Alice(tmp), tmp / "cache"
    with lab(*alice.lab) as ca:
        device = device_of(ca, alice, tmp)
        ca.revoke(serial_number(device / "cert.pem"))
        ask(ca, device, "--cache", folder, "--method", "crl", code=10)
        (kept,) = folder.glob("*.crl")
        bytes_ = bytearray(kept.read_bytes())
        serial = bytes.fromhex(serial_number(device / "cert.pem"))
        at = bytes_.find(serial)
        check(at > 0, "the serial number is not in the file")
        bytes_[at + 3] ^= 1
        kept.write_bytes(bytes_)
        check_equal(ask(ca, device, "--cache", folder, "--method", "crl", code=10).json["source"], "crl", "source")
        (kept,) = folder.glob("*.crl")     # another file
        kept.write_bytes(bytes_)
        (ca.dir / "misbehave").write_text("crl-404\n")
        answer = ask(ca, device, "--cache", folder, "--method", "crl")
        check_equal(answer.json["status"], "unknown", "when it cannot be fetched")


# --- the server's own chain --------------------------------------------------------------------------------

@case("a revoked server: exit 10 under soft and hard, by staple, OCSP and CRL, and nothing is sent to it")
def revoked_server(tmp):
    alice, est = Alice(tmp), estuary()
    for name, args, lies in (("staple", ("--staple",), ""), ("ocsp", (), ""), ("crl", (), "ocsp-500\n")):
        with lab(*alice.lab, *args) as ca:
            ca.revoke(serial_number(ca.dir / "server.pem"))
            if lies:
                (ca.dir / "misbehave").write_text(lies)
            for policy in ("soft", "hard"):
                out = tmp / f"{name}-{policy}"
                answer = est.json("enroll", *server(ca), *alice.client, "--subject", "CN=x", "--out", out,
                                  "--revocation", policy, code=10)
                check_equal(answer.json["error"]["code"], "revoked.revoked", name)
                check_in("the server's certificate", answer.json["error"]["message"], name)
                check(not out.exists() and not (tmp / f"{name}-{policy}.pending").exists(), "something was written")
            check_equal(ca.access_log(), [], "requests that reached EST")
            est("enroll", *server(ca), *alice.client, "--subject", "CN=x", "--out", tmp / f"{name}-off", "--revocation",
                "off", code=0)


@case("a revoked CA above the server: exit 10")
def revoked_ca(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        ca.revoke(serial_number(ca.dir / "issuing.pem"), "--reason", "cACompromise")
        answer = est.json("cacerts", *server(ca), code=10)
        check_in("a CA certificate above the server's", answer.json["error"]["message"], "sentence")
        check_in("cACompromise", answer.json["error"]["message"], "reason")


@case("no evidence to be had: soft goes on and warns, hard ends with exit 10 and sends nothing")
def no_evidence(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        (ca.dir / "misbehave").write_text("ocsp-500\ncrl-404\n")
        soft = est("enroll", *server(ca), *alice.client, "--subject", "CN=x", "--out", tmp / "soft", "-v", code=0)
        check_in("revocation.unknown", soft.err, "warning")
        served = len(ca.access_log())
        hard = est.json("enroll", *server(ca), *alice.client, "--subject", "CN=x", "--out", tmp / "hard",
                        "--revocation", "hard", code=10)
        check_equal(hard.json["error"]["code"], "revocation.unknown", "code")
        check_equal(len(ca.access_log()), served, "EST requests under hard")
        check(not (tmp / "hard").exists(), "something was written")


@case("must-staple: a valid staple is taken; none, or a wrong one, refuses whatever the policy")
def must_staple(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab, "--must-staple") as ca:
        est("cacerts", *server(ca), code=0)
        for lie in ("staple-missing", "staple-stale", "staple-wrong-certificate", "staple-wrong-signer",
                    "staple-garbage", "staple-bad-signature"):
            (ca.dir / "misbehave").write_text(lie + "\n")
            for policy in ("soft", "hard"):
                answer = est.json("cacerts", *server(ca), "--revocation", policy, code=5)
                check_equal(answer.json["error"]["code"], "trust.must-staple", f"{lie} under {policy}")
        (ca.dir / "misbehave").write_text("staple-revoked\n")
        check_equal(est.json("cacerts", *server(ca), code=10).json["error"]["code"], "revoked.revoked", "revoked")


@case("a good staple: the responder is not asked about the server; TLS 1.2 and 1.3")
def stapled(tmp):
    alice = Alice(tmp)
    for version in ("1.2", "1.3"):
        with lab(*alice.lab, "--staple", "--tls", version) as ca:
            result = estuary()("cacerts", *server(ca), "-v", "--revocation", "hard", code=0)
            check_in("source=stapled", result.err, f"TLS {version}")
            # one request about the issuing CA's certificate, none about the server's
            check_equal(len(ca.evidence_log()), 1, "requests for evidence")


@case("the evidence is kept: a second command asks nobody, and enrols with the same verdict")
def kept(tmp):
    alice, folder = Alice(tmp), tmp / "cache"
    with lab(*alice.lab) as ca:
        estuary()("cacerts", *server(ca), "--cache", folder, "--revocation", "hard", code=0)
        asked = len(ca.evidence_log())
        check(asked >= 2, "the chain was not asked about")
        estuary()("cacerts", *server(ca), "--cache", folder, "--revocation", "hard", code=0)
        check_equal(len(ca.evidence_log()), asked, "requests of the second command")


@case("an issued certificate that is revoked already is not kept: exit 10 under soft and hard, and why in words")
def issued_revoked(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab, "--misbehave", "issued-revoked") as ca:
        for policy in ("soft", "hard"):
            out = tmp / policy
            wanted = ("enroll", *server(ca), *alice.client, "--subject", "CN=y", "--out", out, "--revocation", policy)
            answer = est.json(*wanted, code=10)
            check_equal(answer.json["error"]["code"], "revoked.revoked", policy)
            check_in("the certificate that was issued: the certificate is revoked since", answer.json["error"]["message"],
                     "sentence")
            check_in("keyCompromise", answer.json["error"]["message"], "reason")
            check(not out.exists() and not (tmp / f"{policy}.pending").exists(), "something is kept")
        words = est(*wanted, code=10)
        check_in("The server sent a certificate that is revoked already:", words.out, "in words")
        est("enroll", *server(ca), *alice.client, "--subject", "CN=y", "--out", tmp / "off", "--revocation", "off", code=0)


@case("only about the issued certificate there is no evidence: hard keeps it back, says so, and takes it up later")
def issued_unknown(tmp):
    alice, est, folder, out = Alice(tmp), estuary(), tmp / "cache", tmp / "device"
    with lab(*alice.lab) as ca:
        est("cacerts", *server(ca), "--revocation", "hard", "--cache", folder, code=0)
        (ca.dir / "misbehave").write_text("ocsp-500\ncrl-404\n")
        wanted = ("enroll", *server(ca), *alice.client, "--subject", "CN=y", "--out", out, "--cache", folder)
        hard = est.json(*wanted, "--revocation", "hard", code=10)
        check_equal(hard.json["error"]["code"], "revocation.unknown", "code")
        check_in("the certificate that was issued: it cannot be told whether", hard.json["error"]["message"], "sentence")
        (finding,) = [row for row in hard.json["findings"] if row["state"] == "fail"]
        check_equal((finding["check"], finding["code"]), ("revocation", "revocation.unknown"), "finding")
        words = est(*wanted, "--revocation", "hard", code=10)
        check_in("The server sent what was asked for, but it cannot be told whether it is revoked:", words.out, "in words")
        check("not what was asked for" not in words.out + words.err, "the server is blamed")
        check_in("run the same command again", words.err, "hint")
        check(not out.exists(), "something was written")
        (ca.dir / "misbehave").unlink()
        taken = est.json(*wanted, "--revocation", "hard", code=0)
        check(not (tmp / "device.pending").exists() and (out / "key.pem").exists(), "it was not taken up")
        (finding,) = [row for row in taken.json["findings"] if row["check"] == "revocation"]
        check_equal((finding["state"], finding["sentence"]), ("pass", "not revoked, by ocsp"), "finding afterwards")
        (ca.dir / "misbehave").write_text("ocsp-500\ncrl-404\n")
        soft = est.json(*wanted[:-3], tmp / "soft", "--cache", folder, code=0)
        (finding,) = [row for row in soft.json["findings"] if row["check"] == "revocation"]
        check_equal(finding["state"], "note", "under soft")
    with lab(*alice.lab, "--misbehave", "issued-no-sources") as ca:
        answer = est.json("enroll", *server(ca), *alice.client, "--subject", "CN=y", "--out", tmp / "none", "--revocation",
                          "hard", code=0)
        (finding,) = [row for row in answer.json["findings"] if row["check"] == "revocation"]
        check_equal(finding["state"], "note", "without a source")
        check_in("names neither an OCSP responder nor a CRL", finding["sentence"], "without a source")


@case("every command that talks to a server refuses a revoked one, and knows --revocation")
def every_command(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        device = device_of(ca, alice, tmp)
        ca.revoke(serial_number(ca.dir / "server.pem"))
        served = len(ca.access_log())
        named = ("--subject", "CN=x", "--out", tmp / "x")
        for command, *args in (("cacerts", *server(ca)), ("csrattrs", *server(ca)),
                               ("enroll", *server(ca), *alice.client, *named),
                               ("reenroll", *server(ca), "--cert", device / "cert.pem", "--key", device / "key.pem",
                                "--out", tmp / "x"),
                               ("serverkeygen", *server(ca), *alice.client, *named),
                               ("fullcmc", *server(ca), "--cert", device / "cert.pem", "--key", device / "key.pem",
                                *named)):
            answer = est.json(command, *args, code=10)
            check_equal(answer.json["error"]["code"], "revoked.revoked", command)
        check_equal(len(ca.access_log()), served, "requests that reached EST")
        answer = est.json("bootstrap", "--server", ca.url, "--fingerprint", ca.fingerprint, "-o", tmp / "ca.pem", code=10)
        check_equal(answer.json["error"]["code"], "revoked.revoked", "bootstrap")
        check(not (tmp / "ca.pem").exists() and not (tmp / "x").exists(), "something was written")
        for command in ("bootstrap", "cacerts", "csrattrs", "enroll", "reenroll", "serverkeygen", "fullcmc"):
            check_in("--revocation off|soft|hard", est(command, "--help", code=0).out, command)


@case("--proxy is for evidence, too: of `estuary revocation`, and of the server's chain")
def proxied(tmp):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        alice = Alice(tmp)
        with lab(*alice.lab) as ca:
            device = device_of(ca, alice, tmp)
            asked = len(ca.evidence_log())
            answer = ask(ca, device, "--proxy", dead, "--policy", "hard", "--cache", tmp / "cache", code=10)
            check_equal(answer.json["code"].split(".")[0], "network", "code")
            config = tmp / "estuary.conf"
            config.write_text(f"[global]\nproxy = {dead}\n")
            answer = ask(ca, device, "--config", config, "--policy", "hard", "--cache", tmp / "cache", code=10)
            check_equal(answer.json["code"].split(".")[0], "network", "code, by the configuration")
            check_equal(len(ca.evidence_log()), asked, "requests past the proxy")


if __name__ == "__main__":
    main()
