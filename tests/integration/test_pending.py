"""202 and Retry-After: what is kept, how the same command resumes, and what is refused (E7)."""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import (Alice, check_folder, enrolled, estuary, key_of, key_of_certificate, lab, mode,  # noqa: E402
                    pending_request, posts, server)
from harness import (case, check, check_equal, check_in, check_not_in, main, make_key, need, openssl,  # noqa: E402
                     password_file, run, snapshot)


def arguments(ca, alice, out, *more, subject="CN=device"):
    return ("enroll", *server(ca), *alice.client, "--subject", subject, "--out", out, *more)


def check_pending(out):
    """DIR.pending is private, and its request is signed by its key, says openssl."""
    pending = out.with_name(out.name + ".pending")
    check_equal(mode(pending), 0o700, "mode of DIR.pending")
    for path in pending.iterdir():
        check_equal(mode(path), 0o600, f"mode of {path.name}")
    check_equal(openssl("req", "-noout", "-verify", "-pubkey", input=pending_request(pending)).out,
                key_of(pending / "key.pem"), "public key")
    return pending


@case("exit 7 leaves DIR.pending alone; the same command resumes with the same key and the same bytes")
def resume(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab, "--pending", "2", "--retry-after", "1") as ca:
        answer = est.json(*arguments(ca, alice, out), code=7)
        check_equal(answer["error"]["code"], "pending.retry", "code")
        check_equal(answer["error"]["category"], "pending", "category")
        check_equal(answer["error"]["http_status"], 202, "http_status")
        check_equal(answer["error"]["retryable"], True, "retryable")
        check_equal(answer["pending"], True, "pending")
        check(answer["error"]["retry_at"], "retry_at is given")
        check(not out.exists(), "DIR is absent")
        pending = check_pending(out)
        key = key_of(pending / "key.pem")
        result = est(*arguments(ca, alice, out), code=7)
        check_in("not issued yet; ask again at 20", result.err, "stderr")
        check_equal(key_of(check_pending(out) / "key.pem"), key, "the key after the second run")
        answer = est.json(*arguments(ca, alice, out), code=0)
        check_equal(answer["resumed"], True, "resumed")
        check_folder(out, ca.anchors)
        check_equal(key_of(out / "key.pem"), key, "the key at the end")
        check(not pending.exists(), "DIR.pending is gone")
        check_equal([r["status"] for r in posts(ca)], [401, 202, 401, 202, 401, 200], "answers")
        check_equal(len({r["body_sha256"] for r in posts(ca)}), 1, "different request bodies")


@case("another subject, label, operation, key or server is refused with config.pending-other, before dialing")
def other(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab, "--pending", "1") as ca, lab(*alice.lab) as second:
        first = enrolled(est, second, alice, tmp / "first")
        est(*arguments(ca, alice, out), code=7)
        before, seen, seen2 = snapshot(tmp), len(ca.access_log()), len(second.access_log())
        for name, command in {
                "subject": arguments(ca, alice, out, subject="CN=other"),
                "san": arguments(ca, alice, out, "--san", "dns:a.example"),
                "label": arguments(ca, alice, out, "--label", "factory"),
                "key": arguments(ca, alice, out, "--key", first / "key.pem"),
                "algorithm": arguments(ca, alice, out, "--new-key", "ec:P-384"),
                "server": arguments(second, alice, out),
                "operation": ("reenroll", *server(ca), "--cert", first / "cert.pem", "--key", first / "key.pem",
                              "--out", out)}.items():
            answer = est.json(*command, code=2)
            check_equal(answer["error"]["code"], "config.pending-other", f"code for another {name}")
        check_equal(snapshot(tmp), before, "files")
        check_equal((len(ca.access_log()), len(second.access_log())), (seen, seen2), "requests")
        est(*arguments(ca, alice, out), code=0)
        check_folder(out, ca.anchors)


@case("--max-wait polls to the certificate in one run, and waits as told")
def max_wait(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab, "--pending", "2", "--retry-after", "1") as ca:
        begin = time.monotonic()
        est(*arguments(ca, alice, out), "--max-wait", "20", code=0)
        check(2 <= time.monotonic() - begin < 15, f"took {time.monotonic() - begin} s for twice one second")
        check_folder(out, ca.anchors)
        check(not (tmp / "out.pending").exists(), "DIR.pending is gone")
        check_equal([r["status"] for r in posts(ca) if r["status"] != 401], [202, 202, 200], "answers")
        check_equal(len({r["body_sha256"] for r in posts(ca)}), 1, "different request bodies")


@case("--max-wait shorter than Retry-After: exit 7 at once")
def max_wait_short(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab, "--pending", "1", "--retry-after", "60") as ca:
        begin = time.monotonic()
        est(*arguments(ca, alice, out), "--max-wait", "3", code=7)
        check(time.monotonic() - begin < 10, "did not wait for nothing")
        check_pending(out)


@case("the server restarted in between; the client's folder is all that is needed")
def restarted(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab, "--pending", "1", dir=tmp / "lab") as ca:
        listen = f"127.0.0.1:{ca.url.rpartition(':')[2]}"
        est(*arguments(ca, alice, out), code=7)
    with lab(*alice.lab, "--pending", "1", dir=tmp / "lab", listen=listen) as ca:
        est(*arguments(ca, alice, out), code=0)
        check_folder(out, ca.anchors)
        check_equal(len({r["body_sha256"] for r in posts(ca)}), 1, "different request bodies")


@case("Retry-After as a date: shown, kept, obeyed by --max-wait")
def http_date(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab, "--misbehave", "202-http-date@simpleenroll") as ca:
        before = time.time()
        answer = est.json(*arguments(ca, alice, out), code=7)
        at = time.mktime(time.strptime(answer["error"]["retry_at"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
        check(before <= at <= time.time() + 3, f"retry_at {answer['error']['retry_at']}")
        est(*arguments(ca, alice, out), code=0)
        check_folder(out, ca.anchors)
    with lab(*alice.lab, "--misbehave", "202-http-date@simpleenroll") as ca:
        est(*arguments(ca, alice, tmp / "polled"), "--max-wait", "20", code=0)
        check_folder(tmp / "polled", ca.anchors)


@case("a refusal while pending is the last word: DIR.pending goes")
def refused(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab, "--pending", "9", dir=tmp / "lab") as ca:
        listen = f"127.0.0.1:{ca.url.rpartition(':')[2]}"
        est(*arguments(ca, alice, out), code=7)
    with lab(*alice.lab, "--misbehave", "400-text@simpleenroll", dir=tmp / "lab", listen=listen) as ca:
        answer = est.json(*arguments(ca, alice, out), code=8)
        check_equal(answer["error"]["code"], "server.refused", "code")
        check_equal(answer["error"]["http_status"], 400, "http_status")
        check_equal(answer["pending"], False, "pending")
        check(not (tmp / "out.pending").exists() and not out.exists(), "DIR and DIR.pending are absent")


@case("no network, a busy server or a wrong password while pending keep DIR.pending")
def network(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab, "--pending", "1", dir=tmp / "lab") as ca:
        listen = f"127.0.0.1:{ca.url.rpartition(':')[2]}"
        est(*arguments(ca, alice, out), code=7)
    key = key_of(check_pending(out) / "key.pem")
    command = [str(part).replace(str(ca.anchors), str(tmp / "lab/anchors.pem")) for part in arguments(ca, alice, out)]
    answer = est.json(*command, code=4)
    check_equal(answer["error"]["code"], "network.connect", "code")
    check_equal(answer["pending"], True, "pending")
    check_equal(key_of(check_pending(out) / "key.pem"), key, "the key after a network failure")
    with lab(*alice.lab, "--misbehave", "503-retry-after@simpleenroll", dir=tmp / "lab", listen=listen):
        answer = est.json(*command, code=8)
        check_equal(answer["error"]["code"], "server.busy", "code")
        check_equal(key_of(check_pending(out) / "key.pem"), key, "the key after 503")
    with lab(*alice.lab, "--misbehave", "401-loop@simpleenroll", dir=tmp / "lab", listen=listen):
        est(*command, code=6)
        check_equal(key_of(check_pending(out) / "key.pem"), key, "the key after 401")
    with lab(*alice.lab, "--pending", "1", dir=tmp / "lab", listen=listen) as ca:
        est(*command, code=0)
        check_folder(out, ca.anchors)
        check_equal(key_of(out / "key.pem"), key, "the key at the end")


@case("reenroll pending: the old DIR stays whole, the same command resumes")
def reenroll(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab, dir=tmp / "lab") as ca:
        listen = f"127.0.0.1:{ca.url.rpartition(':')[2]}"
        enrolled(est, ca, alice, out)
    before = snapshot(out)
    with lab(*alice.lab, "--pending", "1", dir=tmp / "lab", listen=listen) as ca:
        command = ("reenroll", *server(ca), "--cert", out / "cert.pem", "--key", out / "key.pem", "--out", out)
        est(*command, code=7)
        check_equal(snapshot(out), before, "DIR while pending")
        key = key_of(check_pending(out) / "key.pem")
        est(*command, code=0)
        check_folder(out, ca.anchors)
        check_equal(key_of(out / "key.pem"), key, "the key")
        check_equal(len({r["body_sha256"] for r in posts(ca) if r["operation"] == "simplereenroll"}), 1,
                    "different request bodies")


@case("the caller's own key is not copied into DIR.pending: it is named again to resume; another one is refused")
def own_key(tmp):
    alice, est, out, own = Alice(tmp), estuary(), tmp / "out", tmp / "own.key"
    pin = password_file(tmp, "a passphrase", name="pin")
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-aes256", "-pass", f"file:{pin}",
            "-out", own)
    own.chmod(0o600)
    make_key(tmp / "other.key")
    with lab(*alice.lab, "--pending", "1") as ca:
        command = arguments(ca, alice, out, "--key", own, "--pin", f"file:{pin}")
        est(*command, code=7)
        check_equal([p.name for p in (tmp / "out.pending").iterdir()], ["state.json"], "files in DIR.pending")
        before, seen = snapshot(tmp), len(ca.access_log())
        for name, other in (("key", ("--key", tmp / "other.key")), ("new key", ())):
            answer = est.json(*arguments(ca, alice, out, *other), code=2)
            check_equal(answer["error"]["code"], "config.pending-other", f"code for another {name}")
        check_equal(snapshot(tmp), before, "files")
        check_equal(len(ca.access_log()), seen, "requests")
        est(*command, code=0)
        check_folder(out, ca.anchors, key="key.uri")
        check_equal(key_of_certificate(out / "cert.pem"), key_of(own, pin), "the key")
        check_equal(len({r["body_sha256"] for r in posts(ca)}), 1, "different request bodies")


TOKEN = "/usr/lib/softhsm/libsofthsm2.so"


@case("a key in a token is enrolled, resumed and renewed; DIR names it in key.uri and holds no key")
def token_key(tmp):
    need("softhsm2-util")
    alice, out, pin = Alice(tmp), tmp / "out", password_file(tmp, "1234-secret", name="pin")
    (tmp / "tokens").mkdir()
    conf = tmp / "softhsm.conf"
    conf.write_text(f"directories.tokendir = {tmp}/tokens\nlog.level = ERROR\n")
    env = {"SOFTHSM2_CONF": conf}
    est, uri = estuary(env=env), f"pkcs11:token=t;object=k?module-path={TOKEN}"
    make_key(tmp / "k.key")
    run(["softhsm2-util", "--init-token", "--free", "--label", "t", "--pin", "1234-secret", "--so-pin", "so-12345"], env=env, code=0)
    run(["softhsm2-util", "--import", tmp / "k.key", "--token", "t", "--label", "k", "--id", "01", "--pin", "1234-secret"],
        env=env, code=0)
    identity = ("--key", uri, "--pin", f"file:{pin}")
    with lab(*alice.lab, "--pending", "1", "--retry-after", "1") as ca:
        command = arguments(ca, alice, out, *identity)
        est(*command, code=7)
        check_equal([p.name for p in (tmp / "out.pending").iterdir()], ["state.json"], "files in DIR.pending")
        answer = est.json(*command, code=0)
        named = (out / "key.uri").read_text().strip()
        check_in("object=k", named, "key.uri")
        check_not_in("1234", named, "key.uri")
        check_equal(answer["files"]["key"], named, "where the key is")
        check_folder(out, ca.anchors, key="key.uri")
        check_equal(key_of_certificate(out / "cert.pem"), key_of(tmp / "k.key"), "public key")
        est("reenroll", *server(ca), "--cert", out / "cert.pem", "--key", named, "--pin", f"file:{pin}", "--same-key",
            "--out", out, "--max-wait", "30", code=0)
        check_folder(out, ca.anchors, key="key.uri")
        check_equal((out / "key.uri").read_text().strip(), named, "key.uri after renewal")


@case("a spoilt DIR.pending is refused with config.pending-state, and nothing is sent or removed")
def spoilt(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab, "--pending", "1") as ca:
        est(*arguments(ca, alice, out), code=7)
        for path in (tmp / "out.pending/state.json", tmp / "out.pending/key.pem"):
            content = path.read_bytes()
            path.write_bytes(content[:len(content) // 2])
            before, seen = snapshot(tmp), len(ca.access_log())
            answer = est.json(*arguments(ca, alice, out), code=2)
            check_equal(answer["error"]["code"], "config.pending-state", f"code with half of {path.name}")
            check_equal(snapshot(tmp), before, "files")
            check_equal(len(ca.access_log()), seen, "requests")
            path.write_bytes(content)
        est(*arguments(ca, alice, out), code=0)


if __name__ == "__main__":
    main()
