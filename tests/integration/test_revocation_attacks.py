"""Ways to a wrong "good" that somebody on the way, or with a CA of his own below the same root, might try (R0)."""

import base64
import contextlib
import http.server
import pathlib
import socket
import ssl
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import Alice, Listener, estuary, lab, port_of, relay  # noqa: E402
from harness import (LEAF_EXTENSIONS, case, cases_from, check, check_equal, check_in, main, make_ca, openssl,  # noqa: E402
                     program, run, serial_number)

DRIVER = "tests/integration/revocation_driver"
DAY = 86400


class Web:
    """.url and .files {"/a.crl": bytes, or a list of what is answered in turn}; what is not there is a 404."""

    def __enter__(self):
        files = self.files = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                content = files.get(self.path)
                if isinstance(content, list):
                    content = content.pop(0) if content else None
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def moment(days):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * DAY))


def crl(ca, number, begin, end, revoked=(), extensions=()):
    """A CRL in DER: from and to so many days from now, listing these certificates, whatever the CA's index says."""
    path = ca.dir / f"{number}.crl"
    config = ca.dir / "crl.cnf"
    config.write_text(ca.config.read_text() + "\n[of_crl]\nauthorityKeyIdentifier = keyid\n" + "\n".join(extensions) +
                      "\n[only_ca]\nonlyCA = TRUE\n")
    ca.index.write_text("".join(f"R\t401231235959Z\t{moment(-5)[2:]},keyCompromise\t{serial_number(one)}\tunknown\t/CN=x\n"
                                for one in revoked))
    (ca.dir / "crlnumber").write_text(f"{number:04X}\n")
    openssl("ca", "-config", config, "-gencrl", "-crlexts", "of_crl", "-crl_lastupdate", moment(begin), "-crl_nextupdate",
            moment(end), "-out", path)
    return base64.b64decode("".join(line for line in path.read_text().splitlines() if "-----" not in line))


DELTA = ("2.5.29.27 = critical,DER:02:01:01",)


def ask(cert, issuer, trust, *more, code=10):
    answer = estuary().json("revocation", cert, "--issuer", issuer, "--trust", trust, "--policy", "hard", *more, code=code)
    return answer.json["status"], answer.json["code"] or answer.json["source"]


def drive(*args):
    return run([program(DRIVER), *args], code=0, timeout=60).out.splitlines()


# --- a delta CRL is announced -------------------------------------------------------------------------------------

def delta(ca, leaf, number, begin, end, listed):
    return crl(ca, number, begin, end, [leaf] if listed else [], DELTA)


def announced(tmp, served, expected, announces="freshestCRL = URI:{}/delta.crl", in_leaf=(), given=False):
    """What is revoked stands in the delta only; served: number, from, to, whether it lists the certificate."""
    with Web() as web:
        ca = make_ca(tmp / "ca")
        leaf = ca.issue(tmp / "leaf", extensions=[*LEAF_EXTENSIONS, f"crlDistributionPoints = URI:{web.url}/ca.crl",
                                                  *in_leaf]).cert
        web.files["/ca.crl"] = crl(ca, 5, -3, 4, [], [announces.format(web.url)] if announces else [])
        if served:
            web.files["/delta.crl"] = delta(ca, leaf, *served)
        (tmp / "ca.crl").write_bytes(web.files["/ca.crl"])
        more = ("--offline", "--crl", tmp / "ca.crl") if given else ()
        for _ in range(2):      # by what was fetched, and by what is in the cache
            check_equal(ask(leaf, ca.cert, ca.cert, "--cache", tmp / "cache", *more), expected, "verdict")


MISSING = ("unknown", "crl.delta-missing")
cases_from({
    "a delta CRL is announced, and withheld: not good": (None, MISSING),
    "an older delta is replayed, past its dates: not good": ((4, -4, -3.5, False), MISSING),
    "the delta is replayed that was issued with the complete CRL: not good": ((5, -3, -2, False), MISSING),
    "a CRL given by hand announces a delta, and none is given: not good": (None, MISSING,
                                                                          "freshestCRL = URI:{}/delta.crl", (), True),
    "a delta is announced where nobody can ask, by ldap: not good": (None, MISSING, "freshestCRL = URI:ldap://127.0.0.1/cn=x"),
    "the certificate announces a delta: not good without one": (None, MISSING, None,
                                                               ("freshestCRL = URI:ldap://127.0.0.1/cn=x",)),
    "the certificate's freshestCRL cannot be read: not good": (None, MISSING, None, ("2.5.29.46 = DER:30:03:02:01:01",)),
}, announced)


@case("the genuine delta revokes; without any announced the complete CRL alone says good")
def controls(tmp):
    with Web() as web:
        ca = make_ca(tmp / "ca")
        leaf = ca.issue(tmp / "leaf", extensions=[*LEAF_EXTENSIONS, f"crlDistributionPoints = URI:{web.url}/ca.crl"]).cert
        web.files["/ca.crl"] = crl(ca, 5, -3, 4)
        check_equal(ask(leaf, ca.cert, ca.cert, "--cache", tmp / "one", code=0), ("good", "crl"), "no delta")
        web.files["/ca.crl"] = crl(ca, 5, -3, 4, [], [f"freshestCRL = URI:{web.url}/delta.crl"])
        web.files["/delta.crl"] = delta(ca, leaf, 9, -0.5, 0.5, False)
        check_equal(ask(leaf, ca.cert, ca.cert, "--cache", tmp / "two", code=0), ("good", "delta"), "a delta without it")
        web.files["/delta.crl"] = delta(ca, leaf, 10, -0.4, 0.5, True)
        check_equal(ask(leaf, ca.cert, ca.cert, "--cache", tmp / "three"), ("revoked", "delta"), "the delta lists it")


# --- a genuine CRL at another's URL -------------------------------------------------------------------------------

def poison_delta(root, ca, leaf):
    return crl(ca, 90, -0.1, 29, [], DELTA)


def poison_root(root, ca, leaf):
    return crl(root, 91, -0.1, 29)


def poison_scope(root, ca, leaf):
    return crl(ca, 92, -0.1, 29, [], ["issuingDistributionPoint = critical,@only_ca"])


def poisoned(tmp, poison):
    """Once, something genuine but foreign comes under the CRL's URL. The genuine CRL revokes at once, and is kept."""
    with Web() as web:
        root = make_ca(tmp / "root", subject="/CN=Root")
        ca = make_ca(tmp / "ca", subject="/CN=CA", parent=root)
        leaf = ca.issue(tmp / "leaf", extensions=[*LEAF_EXTENSIONS, f"crlDistributionPoints = URI:{web.url}/ca.crl"]).cert
        foreign, genuine = poison(root, ca, leaf), crl(ca, 7, -1, 6, [leaf])
        folder = ("--cache", tmp / "cache")
        web.files["/ca.crl"] = foreign
        check_equal(ask(leaf, ca.cert, root.cert, *folder)[0], "unknown", "with the foreign one")
        web.files["/ca.crl"] = genuine
        check_equal(ask(leaf, ca.cert, root.cert, *folder), ("revoked", "crl"), "with the genuine one")
        for content in (foreign, None):
            web.files["/ca.crl"] = content
            check_equal(ask(leaf, ca.cert, root.cert, *folder), ("revoked", "cache"), "afterwards")
        # asked each time, kept in memory and in a folder
        pair = f"check={leaf},{ca.cert}"
        for place in ([], [f"cache={tmp / 'other'}"]):
            web.files["/ca.crl"] = [foreign, genuine, foreign]
            lines = drive("methods=crl", "crl-cache-seconds=0", *place, *[pair] * 4)
            check_equal([line.split()[0] for line in lines], ["unknown", "revoked", "revoked", "revoked"], f"{place}")


cases_from({f"once {what} is answered for a CRL's URL: the genuine CRL revokes at once, and is kept (R5)": (poison,)
            for what, poison in {"a delta CRL of the same CA": poison_delta, "the root's CRL": poison_root,
                                 "a CRL about CA certificates": poison_scope}.items()}, poisoned)


# --- another CA of the same name ----------------------------------------------------------------------------------

def pki_with_twins(tmp, below_root):
    """A root; below it the CA and an evil sub CA; below that, or below a second "Root" there, a second "CA"."""
    root = make_ca(tmp / "root", subject="/CN=Root")
    ca = make_ca(tmp / "ca", subject="/CN=CA", parent=root)
    evil = make_ca(tmp / "evil", subject="/CN=Evil", parent=root)
    false_root = make_ca(tmp / "false-root", subject="/CN=Root", parent=evil) if below_root else None
    false_ca = make_ca(tmp / "false-ca", subject="/CN=CA", parent=false_root or evil)
    return root, ca, evil, [one for one in (false_root, false_ca) if one]


def twins(tmp, below_root, where):
    root, ca, evil, false = pki_with_twins(tmp, below_root)
    leaf = ca.issue(tmp / "leaf").cert
    files = {}
    for one, listed in ((root, []), (ca, [leaf]), (evil, []), *((one, []) for one in false)):
        files[one] = one.dir / "der.crl"
        files[one].write_bytes(crl(one, 5, -1, 5, listed))
    bundle, anchors = tmp / "bundle.pem", tmp / "anchors.pem"
    helpers = "".join(one.cert.read_text() for one in (evil, *false))
    bundle.write_text(helpers)
    anchors.write_text(root.cert.read_text() + (helpers if where == "trust" else ""))
    offline = ("--offline", "--cache", tmp / "cache", *(("--chain", bundle) if where == "chain" else ()))
    genuine = ask(leaf, ca.cert, anchors, *offline, "--crl", files[ca], "--crl", files[root])
    check_equal(genuine, ("revoked", "crl"), "the genuine CRL")
    withheld = [part for one in (root, evil, *false) for part in ("--crl", files[one])]
    check_equal(ask(leaf, ca.cert, anchors, *offline, *withheld)[0], "unknown", "the others alone")


cases_from({f"a second \"CA\" below {what}, in the {where} file, signs a CRL: not good": (below, where)
            for below, what in ((True, "a second \"Root\" below an evil sub CA"), (False, "an evil sub CA"))
            for where in ("chain", "trust")}, twins)


# --- the server, and what it issues -------------------------------------------------------------------------------

@case("a staple that must be there says revoked: refused, whatever the methods and the policy")
def staple_says_revoked(tmp):
    alice = Alice(tmp)
    with lab(*alice.lab, "--must-staple") as ca:
        ca.revoke(serial_number(ca.dir / "server.pem"))
        for lies in ("crl-404\n", ""):
            (ca.dir / "misbehave").write_text(lies)
            for settings in (("methods=crl",), ("methods=crl", "hard=1"), ("methods=both",)):
                lines = drive("user=alice", f"secret=file:{alice.file}", *settings, f"enroll=1,{ca.url},{ca.anchors}")
                check_equal(lines, ["revoked.revoked 1"], f"{settings} {lies!r}")
        check_equal(ca.access_log(), [], "requests that reached EST")


@contextlib.contextmanager
def front_of(tmp, inner):
    """A TLS server with a certificate of another CA that hands everything to the lab; its URL and that CA."""
    front_ca = make_ca(tmp / "front", subject="/CN=Front Root")
    made = front_ca.issue(tmp / "front-server", subject="/CN=localhost", san=("DNS:localhost", "IP:127.0.0.1"))
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(made.chain, made.key)
    theirs = ssl.create_default_context(cafile=inner.anchors)

    def serve(connection, _number):
        with ours.wrap_socket(connection, server_side=True) as outside, \
                theirs.wrap_socket(socket.create_connection(("127.0.0.1", port_of(inner.url))),
                                   server_hostname="localhost") as inside:
            relay(outside, inside)

    with Listener(serve) as listener:
        yield f"https://localhost:{listener.port}", front_ca


@case("the CA that issued is revoked, and the server's certificate is another CA's: what was issued is refused (R6)")
def issuing_ca_is_revoked(tmp):
    alice, est = Alice(tmp), estuary()
    for lies in ((), ("--misbehave", "issued-no-sources")):
        with lab(*alice.lab, *lies) as ca, front_of(tmp / f"{len(lies)}", ca) as (url, front_ca):
            anchors = tmp / f"anchors-{len(lies)}.pem"
            anchors.write_text(front_ca.cert.read_text() + pathlib.Path(ca.anchors).read_text())
            wanted = ("enroll", "--server", url, "--trust", anchors, *alice.client, "--subject", "CN=x", "--pop", "off",
                      "--cache", tmp / f"cache-{len(lies)}")
            est(*wanted, "--out", tmp / f"before-{len(lies)}", code=0)
            ca.revoke(serial_number(ca.dir / "issuing.pem"), "--reason", "cACompromise")
            out = tmp / f"after-{len(lies)}"
            answer = est.json(*wanted[:-2], "--cache", tmp / f"new-{len(lies)}", "--out", out, code=10)
            check_equal(answer.json["error"]["code"], "revoked.revoked", "code")
            check_in("a CA certificate above the one that was issued", answer.json["error"]["message"], "sentence")
            check(not out.exists(), "it was kept")
            for settings, ending in (((), "revoked.revoked 1"), (("leaf-only=1",), "done 1")):
                lines = drive("user=alice", f"secret=file:{alice.file}", *settings, f"enroll=1,{url},{anchors}")
                check_equal(lines, [ending], f"{settings}")


if __name__ == "__main__":
    main()
