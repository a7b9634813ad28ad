"""Through an HTTP CONNECT proxy and a SOCKS5 proxy, which carry the session and see none of it (T7)."""

import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import (Alice, Listener, basic_header, check_folder, estuary, lab, port_of, posts, relay,  # noqa: E402
                    server)
from harness import (case, cases_from, check, check_equal, check_in, free_port, main, password_file,  # noqa: E402
                     snapshot)


class ConnectProxy:
    """serve() for Listener: CONNECT only, with Basic authentication when credentials are given."""

    def __init__(self, credentials=None):
        self.expected = credentials and f"Basic {basic_header(*credentials)}"
        self.heads, self.carried = [], []

    def __call__(self, connection, _):
        while True:
            head = b""
            while b"\r\n\r\n" not in head:
                more = connection.recv(4096)
                if not more:
                    return
                head += more
            self.heads.append(head.decode("latin-1"))
            lines = head.decode("latin-1").split("\r\n")
            method, target, _ = lines[0].split(" ")
            headers = {n.strip().lower(): v.strip() for n, c, v in (line.partition(":") for line in lines[1:]) if c}
            if self.expected and headers.get("proxy-authorization") != self.expected:
                connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n"
                                   b"Proxy-Authenticate: Basic realm=\"proxy\"\r\n\r\n")
                continue
            if method != "CONNECT":
                connection.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
                return
            host, _, port = target.rpartition(":")
            with socket.create_connection((host, int(port))) as beyond:
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                self.carried.append(relay(connection, beyond))
            return


class SocksProxy:
    """serve() for Listener: SOCKS5 (RFC 1928), with user name and password (RFC 1929) when given."""

    def __init__(self, credentials=None, answer=0):
        self.credentials, self.answer = credentials, answer
        self.targets, self.carried, self.logins = [], [], []

    @staticmethod
    def read(connection, size):
        data = b""
        while len(data) < size:
            more = connection.recv(size - len(data))
            if not more:
                raise ValueError("the client went away")
            data += more
        return data

    def __call__(self, connection, _):
        version, count = self.read(connection, 2)
        methods = self.read(connection, count)
        wanted = 2 if self.credentials else 0
        if version != 5 or wanted not in methods:
            connection.sendall(b"\x05\xff")
            return
        connection.sendall(bytes([5, wanted]))
        if self.credentials:
            _, size = self.read(connection, 2)
            user = self.read(connection, size)
            password = self.read(connection, self.read(connection, 1)[0])
            self.logins.append((user.decode(), password.decode()))
            good = self.logins[-1] == self.credentials
            connection.sendall(b"\x01\x00" if good else b"\x01\x01")
            if not good:
                return
        _, command, _, kind = self.read(connection, 4)
        if kind == 3:
            host = self.read(connection, self.read(connection, 1)[0]).decode()
        else:
            host = socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6,
                                    self.read(connection, 4 if kind == 1 else 16))
        port = int.from_bytes(self.read(connection, 2), "big")
        self.targets.append((kind, host, port))
        connection.sendall(bytes([5, self.answer, 0, 1, 0, 0, 0, 0, 0, 0]))
        if self.answer or command != 1:
            return
        # IPv6 first is usual, the lab listens on IPv4
        with socket.create_connection(("127.0.0.1", port)) as beyond:
            self.carried.append(relay(connection, beyond))


def request(ca, alice, out, *more):
    return ("enroll", *server(ca), *alice.client, "--subject", "CN=device", "--out", out, *more)


def check_blind(proxy, alice, heads=()):
    """The proxy has carried TLS, and no credential of the EST server in clear."""
    check(proxy.carried, "the proxy carried the session")
    for data in [*proxy.carried, *(h.encode("latin-1") for h in heads)]:
        for secret in (alice.password, basic_header("alice", alice.password), "alice", "/.well-known/est"):
            check(secret.encode() not in data, f"the proxy saw {secret!r}")
    for data in proxy.carried:
        check_equal(data[:1], b"\x16", "first byte carried: a TLS handshake")


OFF = ("--revocation", "off")    # what goes to whom is counted here


@case("CONNECT without authentication: enroll and reenroll; the proxy sees host and port only")
def connect(tmp):
    alice, est, proxy, out = Alice(tmp), estuary(defaults=OFF), ConnectProxy(), tmp / "out"
    with lab(*alice.lab) as ca, Listener(proxy) as at:
        through = ("--proxy", f"http://127.0.0.1:{at.port}")
        est(*request(ca, alice, out, *through), code=0)
        check_folder(out, ca.anchors)
        est("reenroll", *server(ca), "--cert", out / "cert.pem", "--key", out / "key.pem", "--out", out, *through, code=0)
        check_folder(out, ca.anchors)
        check_equal({h.split("\r\n")[0] for h in proxy.heads}, {f"CONNECT localhost:{port_of(ca.url)} HTTP/1.1"},
                    "requests to the proxy")
        check_equal([h for h in proxy.heads if "authorization" in h.lower()], [], "heads with authorization")
    check_blind(proxy, alice, proxy.heads)


@case("CONNECT with Basic: 407 is answered, and the two passwords stay apart")
def connect_basic(tmp):
    alice, est, proxy = Alice(tmp), estuary(defaults=OFF), ConnectProxy(("pam", "proxy-secret"))
    secret = password_file(tmp, "proxy-secret")
    with lab(*alice.lab) as ca, Listener(proxy) as at:
        est(*request(ca, alice, tmp / "out", "--proxy", f"http://127.0.0.1:{at.port}", "--proxy-user", "pam",
                     "--proxy-password", f"file:{secret}"), code=0)
        check_folder(tmp / "out", ca.anchors)
        check_equal([r["authorization"] for r in posts(ca)], [False, True], "Authorization at the server")
        check_equal({r["user"] for r in posts(ca)}, {None, "alice"}, "users at the server")
        check_in("Proxy-Authorization: Basic", proxy.heads[-1], "last head")
    check_blind(proxy, alice, proxy.heads)


def through_socks(tmp, scheme, credentials, kinds):
    alice, est, proxy = Alice(tmp), estuary(defaults=OFF), SocksProxy(credentials)
    login = ()
    if credentials:
        login = ("--proxy-user", credentials[0], "--proxy-password", f"file:{password_file(tmp, credentials[1])}")
    with lab(*alice.lab) as ca, Listener(proxy) as at:
        est(*request(ca, alice, tmp / "out", "--proxy", f"{scheme}://127.0.0.1:{at.port}", *login), code=0)
        check_folder(tmp / "out", ca.anchors)
        for kind, host, port in proxy.targets:
            check(kind in kinds, f"{scheme} asked for {host} by address type {kind}")
            check_equal(port, port_of(ca.url), "port")
        check_equal(set(proxy.logins), {credentials} if credentials else set(), "logins")
    check_blind(proxy, alice)


# socks5: we resolve, socks5h: the proxy does
cases_from({"SOCKS5": ("socks5", None, {1, 4}), "SOCKS5 with the proxy resolving names": ("socks5h", None, {3}),
            "SOCKS5 with user name and password": ("socks5", ("pam", "proxy-secret"), {1, 4})}, through_socks)


@case("bootstrap, cacerts and csrattrs through a proxy")
def others(tmp):
    est, proxy = estuary(defaults=OFF), ConnectProxy()
    with lab() as ca, Listener(proxy) as at:
        through = ("--proxy", f"http://127.0.0.1:{at.port}")
        est("bootstrap", "--server", ca.url, "--fingerprint", ca.fingerprint, "-o", tmp / "ca.pem", *through, code=0)
        est("cacerts", *server(ca), *through, code=0)
        est("csrattrs", *server(ca), *through, code=0)
        check_equal(len(proxy.carried) >= 3, True, "sessions carried")
        check_equal(at.connections, 4, "connections to the proxy")


@case("the proxy refuses, is not there, or wants another password: network.proxy, exit 4, nothing written")
def refused(tmp):
    alice, est = Alice(tmp), estuary(defaults=OFF)
    wrong = password_file(tmp, "wrong", name="wrong")

    def forbid(connection, _):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    before = snapshot(tmp)
    with lab(*alice.lab) as ca:
        for name, serve, scheme, login in (
                ("403", forbid, "http", ()), ("407", ConnectProxy(("pam", "secret")), "http", ()),
                ("wrong password", ConnectProxy(("pam", "secret")), "http",
                 ("--proxy-user", "pam", "--proxy-password", f"file:{wrong}")),
                ("SOCKS refusal", SocksProxy(answer=2), "socks5h", ()),
                ("SOCKS method", SocksProxy(("pam", "secret")), "socks5h", ()),
                ("SOCKS wrong password", SocksProxy(("pam", "secret")), "socks5h",
                 ("--proxy-user", "pam", "--proxy-password", f"file:{wrong}"))):
            with Listener(serve) as at:
                answer = est.json(*request(ca, alice, tmp / "out", "--proxy", f"{scheme}://127.0.0.1:{at.port}", *login),
                                  code=4)
                check_equal(answer["error"]["code"], "network.proxy", f"code for {name}")
        for scheme in ("http", "socks5"):
            answer = est.json(*request(ca, alice, tmp / "out", "--proxy", f"{scheme}://127.0.0.1:{free_port()}"), code=4)
            check_equal(answer["error"]["category"], "network", "category")
        check_equal(ca.access_log(), [], "requests")
        check_equal(snapshot(tmp), before, "files")


@case("what is no proxy URL: exit 2")
def malformed(tmp):
    alice, est = Alice(tmp), estuary(defaults=OFF)
    with lab(*alice.lab) as ca:
        for url in ("ftp://127.0.0.1:1", "127.0.0.1:1", "http://", "http://127.0.0.1:99999", "http://127.0.0.1:1/path",
                    "https://127.0.0.1:1", "http://a:b@127.0.0.1:1"):
            answer = est.json(*request(ca, alice, tmp / "out", "--proxy", url), code=2)
            check_equal(answer["error"]["code"], "usage.proxy", f"code for {url!r}")


@case("the proxy variables of the environment mean nothing")
def environment(tmp):
    alice, est = Alice(tmp), estuary(defaults=OFF)
    dead = f"http://127.0.0.1:{free_port()}"
    names = ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    with lab(*alice.lab) as ca:
        est(*request(ca, alice, tmp / "out"), env={name: dead for name in names}, code=0)
        check_folder(tmp / "out", ca.anchors)
        # and no_proxy does not lead around the proxy that was asked for
        answer = est.json(*request(ca, alice, tmp / "second", "--proxy", dead), env={"no_proxy": "*", "NO_PROXY": "*"},
                          code=4)
        check_equal(answer["error"]["category"], "network", "category")
        check(not (tmp / "second").exists(), "nothing written")


@case("evidence of revocation is asked for through the same proxy, and never around it")
def evidence(_tmp):
    proxy = ConnectProxy()
    with lab() as ca, Listener(proxy) as at:
        estuary()("cacerts", *server(ca), "--proxy", f"http://127.0.0.1:{at.port}", "--revocation", "hard")
        asked = [head.split(" ")[1] for head in proxy.heads if head.startswith("GET ")]
        check(asked and all(url.startswith(ca.http) for url in asked), f"requests to the proxy: {asked}")
        check_equal(ca.evidence_log(), [], "requests around the proxy")


if __name__ == "__main__":
    main()
