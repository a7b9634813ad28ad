"""Where passwords and certificates go, and where they never go (RFC 7030 3.2.1, 3.2.3)."""

import http.server
import pathlib
import ssl
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import Alice, check_folder, enrolled, estuary, lab, port_of, posts, server  # noqa: E402
from harness import (case, cases_from, check, check_equal, check_not_in, main, password_file, snapshot)  # noqa: E402


def request(ca, alice, out, *more):
    return ("enroll", *server(ca), *alice.client, "--subject", "CN=device", "--out", out, *more)


class Recorder:
    """An HTTPS server that redirects all it is asked, or keeps what it was sent; on the lab's own certificate."""

    def __init__(self, cert, key, location=None):
        seen = self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                seen.append((self.command, dict(self.headers), body))
                self.send_response(307 if location else 500)
                if location:
                    self.send_header("Location", location())
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass                        # clients that break off are what is tested

        self._server = Server(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"https://localhost:{self.port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def chain_of(tmp, ca):
    """The lab's own server certificate: trusted, for localhost, good on any port."""
    chain = tmp / "server-chain.pem"
    chain.write_bytes((ca.dir / "server.pem").read_bytes() + (ca.dir / "issuing.pem").read_bytes())
    return chain, ca.dir / "server.key"


# 7030-3.2.1-2
@case("a redirect to another origin is refused, and the other origin sees nothing")
def redirect(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca, Recorder(*chain_of(tmp, ca)) as other:
        target = f"{other.url}/.well-known/est/simpleenroll"
        with Recorder(*chain_of(tmp, ca), location=lambda: target) as first:
            before = snapshot(tmp)
            for extra in ((), ("--preemptive-auth",)):
                answer = est.json("enroll", "--server", first.url, "--trust", ca.anchors, *alice.client, *extra,
                                  "--subject", "CN=device", "--out", tmp / "out", code=5)
                check_equal(answer["error"]["code"], "trust.redirect-origin", "code")
            check_equal(["Authorization" in headers for _, headers, _ in first.seen], [False, True],
                        "Authorization at the first origin")
            check_equal(other.seen, [], "what the other origin saw")
            check_equal(snapshot(tmp), before, "files")


@case("a redirect from https to http is refused and nothing is sent in clear")
def downgrade(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab, "--misbehave", "redirect-http@simpleenroll") as ca:
        answer = est.json(*request(ca, alice, tmp / "out"), code=5)
        check_equal(answer["error"]["code"], "trust.redirect-downgrade", "code")
        check(not any(r["authorization"] for r in ca.access_log()), "no Authorization")
        check(not (tmp / "out").exists(), "nothing written")


# 7030-3.2.1-1
@case("a redirect within the origin keeps the method, and the password goes there when asked")
def same_origin(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab, "--misbehave", "redirect-same-origin@simpleenroll") as ca:
        est(*request(ca, alice, tmp / "out"), code=0)
        check_folder(tmp / "out", ca.anchors)
        check_equal({r["host"] for r in ca.access_log()}, {f"localhost:{port_of(ca.url)}"}, "hosts")
        check_equal(posts(ca)[-1]["status"], 200, "last answer")


def wrong(tmp, scheme, statuses):
    alice, est = Alice(tmp), estuary()
    no = password_file(tmp, "not-the-password")
    with lab(*alice.lab, "--auth", scheme) as ca:
        before = snapshot(tmp)
        answer = est.json("enroll", *server(ca), "--user", "alice", "--password", f"file:{no}", "--subject",
                          "CN=device", "--out", tmp / "out", code=6)
        check_equal(answer["error"]["code"], "auth.refused", "code")
        check_equal(answer["error"]["http_status"], 401, "http_status")
        check_equal([(r["operation"], r["status"]) for r in posts(ca)],
                    [("simpleenroll", status) for status in statuses], "requests")
        check_equal(snapshot(tmp), before, "files")


cases_from({f"wrong password, {scheme}: exit 6 after exactly two POSTs": (scheme, [401, 401])
            for scheme in ("basic", "digest", "digest-sha256", "digest-weak-first", "both")}, wrong)


@case("wrong password, sent unasked: exit 6 after exactly one POST")
def wrong_preemptive(tmp):
    alice, est = Alice(tmp), estuary()
    no = password_file(tmp, "not-the-password")
    with lab(*alice.lab, "--auth", "basic") as ca:
        est("enroll", *server(ca), "--user", "alice", "--password", f"file:{no}", "--preemptive-auth", "--subject",
            "CN=device", "--out", tmp / "out", code=6)
        check_equal([r["authorization"] for r in posts(ca)], [True], "requests")


# 7030-3.2.3-4
@case("no password though asked: exit 6 and one POST; 403, unknown scheme, no challenge likewise")
def refusals(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        answer = est.json("enroll", *server(ca), "--subject", "CN=device", "--out", tmp / "out", code=6)
        check_equal(answer["error"]["code"], "auth.required", "code")
        check_equal(len(posts(ca)), 1, "requests")
    for name, code in (("403", "auth.forbidden"), ("401-no-challenge", "auth.no-challenge"),
                       ("401-unknown-scheme", "auth.scheme"), ("401-ntlm", "auth.scheme")):
        with lab(*alice.lab, "--misbehave", f"{name}@simpleenroll") as ca:
            answer = est.json(*request(ca, alice, tmp / "out"), code=6)
            check_equal(answer["error"]["code"], code, name)
            check_equal([r["authorization"] for r in posts(ca)], [False], f"requests for {name}")
    with lab(*alice.lab, "--misbehave", "401-loop@simpleenroll") as ca:
        est(*request(ca, alice, tmp / "out"), code=6)
        check_equal(len(posts(ca)), 2, "requests of a loop")
    check(not (tmp / "out").exists() and not (tmp / "out.pending").exists(), "nothing written")


# 7030-3.2.3-5, 7030-3.6-1
@case("a server that is not trusted gets neither request, password nor certificate")
def untrusted(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca, lab(*alice.lab) as false:
        first = enrolled(est, ca, alice, tmp / "first")
        for extra in ((), ("--preemptive-auth",), ("--cert", first / "cert.pem", "--key", first / "key.pem")):
            est("enroll", "--server", false.url, "--trust", ca.anchors, *alice.client, *extra, "--new-key", "ec:P-256",
                "--subject", "CN=device", "--out", tmp / "out", code=5)
        check_equal(false.access_log(), [], "requests")
        for name in ("tls-wrong-host", "tls-expired", "tls-self-signed"):
            with lab(*alice.lab, "--misbehave", name) as bad:
                est(*request(bad, alice, tmp / "out", "--preemptive-auth"), code=5)
                check_equal(bad.access_log(), [], f"requests for {name}")



@case("where a password may come from: env:, file:, fd:, credential:; never argv, never a file others read")
def sources(tmp):
    alice, est = Alice(tmp), estuary()
    (tmp / "credentials").mkdir()
    password_file(tmp / "credentials", "s3cret", name="est")
    with lab(*alice.lab) as ca:
        def attempt(name, source, code, **options):
            return est("enroll", *server(ca), "--user", "alice", "--password", source, "--subject", "CN=device",
                       "--out", tmp / name, code=code, **options)
        attempt("env", "env:PASSWORD", 0, env={"PASSWORD": "s3cret"})
        attempt("credential", "credential:est", 0, env={"CREDENTIALS_DIRECTORY": tmp / "credentials"})
        with open(alice.file, "rb") as stream:
            attempt("fd", f"fd:{stream.fileno()}", 0, pass_fds=(stream.fileno(),))
        requests = len(ca.access_log())
        attempt("unset", "env:PASSWORD_UNSET", 2)
        attempt("missing", f"file:{tmp}/none", 2)
        result = attempt("literal", "s3cret", 2)
        check_not_in("s3cret", result.out + result.err, "the refusal")
        alice.file.chmod(0o644)
        check_equal(est.json("enroll", *server(ca), *alice.client, "--subject", "CN=device", "--out", tmp / "open",
                             code=2)["error"]["code"], "config.secret-permissions", "code")
        check_equal(len(ca.access_log()), requests, "requests")


if __name__ == "__main__":
    main()
