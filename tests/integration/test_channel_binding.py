"""Requests bound to their TLS session (RFC 7030 3.5, T10): the lab checks them from its own end."""

import pathlib
import socket
import ssl
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import Alice, Listener, check_folder, estuary, lab, port_of, relay, server  # noqa: E402
from harness import case, cases_from, check, check_equal, check_in, main, make_ca, openssl, snapshot  # noqa: E402

BINDING = {"1.2": "tls-unique", "1.3": "tls-exporter"}


def arguments(ca, alice, out, *more):
    return ("enroll", *server(ca), *alice.client, "--subject", "CN=device", "--out", out, *more)


def seen(ca, operation="simpleenroll"):
    """What the lab found in each request of that operation: (status, binding)."""
    return [(line["status"], line["pop"]) for line in ca.access_log() if line.get("operation") == operation]


def by_itself(tmp, version, auth, key):
    """csrattrs ask, so the request is bound: on the connection that csrattrs came over, again after the 401."""
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab, "--require-pop", "--tls", version, "--auth", auth) as ca:
        answer = est.json(*arguments(ca, alice, out, "--new-key", key), code=0)
        check_equal(answer["channel_binding"], BINDING[version], "channel_binding")
        check_folder(out, ca.anchors)
        log = [line for line in ca.access_log() if line.get("operation", "cacerts") != "cacerts"]    # for the chain, afterwards
        check_equal([(line["operation"], line["status"]) for line in log],
                    [("csrattrs", 200), ("simpleenroll", 401), ("simpleenroll", 200)], "requests")
        check_equal(log[-1]["pop"], BINDING[version], "binding seen by the lab")


cases_from({f"TLS {version}, {auth}, {key}: bound without being told": (version, auth, key)
            for version, auth, key in (("1.2", "basic", "ec:P-256"), ("1.3", "basic", "rsa:2048"),
                                       ("1.2", "digest-sha256", "ec:P-384"), ("1.3", "digest", "ed25519"),
                                       ("1.3", "digest-weak-first", "ec:P-256"))},
           by_itself)


@case("the words say it; a fresh connection, without csrattrs, with --pop required; reenroll")
def required(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab) as ca:
        result = est(*arguments(ca, alice, out, "--pop", "required", "--preemptive-auth"), code=0)
        check_in("bound       to the TLS session (tls-exporter)", result.out, "stdout")
        check_equal(seen(ca), [(200, "tls-exporter")], "requests")
        check_equal(seen(ca, "csrattrs"), [], "csrattrs")
        answer = est.json("reenroll", *server(ca), "--cert", out / "cert.pem", "--key", out / "key.pem", "--out", out,
                          "--pop", "required", code=0)
        check_equal(answer["channel_binding"], "tls-exporter", "channel_binding")
        check_equal(seen(ca, "simplereenroll"), [(200, "tls-exporter")], "reenroll")


@case("nobody asks: one csrattrs, no binding; --pop off: not even that")
def not_asked(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        answer = est.json(*arguments(ca, alice, tmp / "a", "--preemptive-auth"), code=0)
        check_equal(answer["channel_binding"], None, "channel_binding")
        check_equal([line["operation"] for line in ca.access_log() if "operation" in line][:2], ["csrattrs", "simpleenroll"], "requests")
        est(*arguments(ca, alice, tmp / "b", "--csrattrs"), code=0)
        check_equal(len(seen(ca, "csrattrs")), 2, "csrattrs are fetched once")
        est(*arguments(ca, alice, tmp / "c", "--pop", "off"), code=0)
        check_equal(len(seen(ca, "csrattrs")), 2, "csrattrs with --pop off")
        check_equal({pop for status, pop in seen(ca) if status != 401}, {"missing"}, "bindings")


@case("202, polled in one run and resumed in another: signed anew by the same key each time")
def pending(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab, "--require-pop", "--pending", "2", "--retry-after", "1") as ca:
        est(*arguments(ca, alice, out), code=7)
        key = openssl("pkey", "-in", tmp / "out.pending/key.pem", "-pubout").out
        answer = est.json(*arguments(ca, alice, out, "--max-wait", "20"), code=0)
        check_equal((answer["resumed"], answer["channel_binding"]), (True, "tls-exporter"), "answer")
        check_equal([s for s, _ in seen(ca) if s != 401], [202, 202, 200], "answers")
        check_equal({pop for status, pop in seen(ca) if status != 401}, {"tls-exporter"}, "bindings")
        check_equal(openssl("pkey", "-in", out / "key.pem", "-pubout").out, key, "the key")


def through_proxy(tmp, context, upstream, act):
    """A proxy that ends TLS: it has a certificate of its own, good for the client."""
    def serve(connection, _number):
        with context.wrap_socket(connection, server_side=True) as near, \
                upstream() as far:
            relay(near, far)
    with Listener(serve) as proxy:
        return act(f"https://localhost:{proxy.port}")


@case("behind a TLS-terminating proxy the refusal says so, and nothing is written")
def terminated(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    authority = make_ca(tmp / "ca")
    near = authority.issue(tmp, "/CN=proxy", name="proxy", eku=("serverAuth",), san=("DNS:localhost",))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp / "proxy.pem", tmp / "proxy.key")
    with lab(*alice.lab, "--require-pop") as ca:
        inner = ssl.create_default_context(cafile=ca.anchors)

        def upstream():
            return inner.wrap_socket(socket.create_connection(("127.0.0.1", port_of(ca.url)), timeout=10),
                                     server_hostname="localhost")

        def act(url):
            before = snapshot(tmp)
            answer = est.json("enroll", "--server", url, "--trust", authority.cert, *alice.client, "--subject",
                              "CN=device", "--out", out, code=8)
            check_equal(snapshot(tmp), before, "files")
            return answer["error"]

        error = through_proxy(tmp, context, upstream, act)
        check_equal((error["code"], error["http_status"]), ("server.channel-binding", 400), "error")
        check_in("the server did not see the channel binding of this TLS session", error["message"], "message")
        check_in("TLS-terminating proxy", error["remedy"], "remedy")
        check_equal(seen(ca)[-1], (400, "wrong"), "at the lab")
    check(near, "the proxy's certificate")


@case("TLS 1.2 without the extended master secret: refused before anything is sent")
def no_extended_master_secret(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab, "--misbehave", "pop-no-extended-master-secret") as ca:
        answer = est.json(*arguments(ca, alice, out, "--pop", "required"), code=5)
        check_equal(answer["error"]["code"], "tls.no-extended-master-secret", "code")
        check_equal(seen(ca), [], "requests")
        check(not out.exists() and not (tmp / "out.pending").exists(), "nothing is written")


@case("a request signed elsewhere: --pop required refuses it before dialing; a server that insists says so")
def signed_elsewhere(tmp):
    alice, est = Alice(tmp), estuary()
    openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=device",
            "-keyout", tmp / "k.pem", "-out", tmp / "r.pem")
    with lab(*alice.lab, "--require-pop") as ca:
        common = ("enroll", *server(ca), *alice.client, "--csr", tmp / "r.pem", "--out", tmp / "out")
        answer = est.json(*common, "--pop", "required", code=11)
        check_equal(answer["error"]["code"], "key.cannot-sign", "code")
        check_equal(ca.access_log(), [], "requests")
        answer = est.json(*common, code=8)
        check_equal(answer["error"]["code"], "server.binding-wanted", "code")
        answer = est.json(*arguments(ca, alice, tmp / "out", "--pop", "off"), code=8)
        check_equal(answer["error"]["code"], "server.binding-wanted", "code")


DIGEST = {"digest-stale-once": None, "digest-stale-always": "auth.digest-stale", "digest-auth-int": "auth.digest-auth-int",
          "digest-unknown-algorithm": "auth.digest-algorithm", "digest-md5-sess": "auth.refused", "digest-among-others": None}


def digest(tmp, name, code):
    """The challenges that curl alone would answer wrongly, or without end (T6, RFC 7616)."""
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab, "--misbehave", name) as ca:
        answer = est.json(*arguments(ca, alice, out, "--pop", "off"), code=6 if code else 0)
        check_equal(answer.json.get("error", {}).get("code"), code, "code")
        check(len(seen(ca)) <= 3, f"at most three attempts: {seen(ca)}")


cases_from({name: (name, code) for name, code in DIGEST.items()}, digest)


@case("an answer lost after the POST: the key stays, the error says so, and a repeat has the same identity")
def lost_answer(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab, "--misbehave", "close-before-response@simpleenroll", dir=tmp / "lab") as ca:
        listen = f"127.0.0.1:{port_of(ca.url)}"
        answer = est.json(*arguments(ca, alice, out, "--preemptive-auth"), code=4)
        check_equal(answer["error"]["code"], "network.closed-early", "code")
        check_equal((answer["pending"], answer["maybe_sent"]), (True, True), "pending, maybe_sent")
        check_in("may have read the request", answer["error"]["message"], "message")
        check_in("run the same command again", answer["error"]["remedy"], "remedy")
        check_equal(len(seen(ca)), 1, "POSTs")
        key = openssl("pkey", "-in", tmp / "out.pending/key.pem", "-pubout").out
        check(not out.exists(), "DIR is absent")
    with lab(*alice.lab, dir=tmp / "lab", listen=listen) as ca:
        answer = est.json(*arguments(ca, alice, out, "--preemptive-auth"), code=0)
        check_equal(answer["resumed"], True, "resumed")
        check_folder(out, ca.anchors)
        check_equal(openssl("pkey", "-in", out / "key.pem", "-pubout").out, key, "the key")


@case("a failure before the request left keeps nothing")
def nothing_left(tmp):
    alice, est, out = Alice(tmp), estuary(), tmp / "out"
    with lab(*alice.lab) as ca:
        command = arguments(ca, alice, out, "--pop", "off")
        anchors = (tmp / "anchors.pem")
        anchors.write_bytes(ca.anchors.read_bytes())
    command = [str(anchors) if part == ca.anchors else part for part in command]
    answer = est.json(*command, code=4)
    check_equal((answer["pending"], answer["maybe_sent"]), (False, False), "pending, maybe_sent")
    check(not out.exists() and not (tmp / "out.pending").exists(), "nothing is written")


if __name__ == "__main__":
    main()
