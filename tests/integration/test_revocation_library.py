"""The library's checker against the lab: caches, limits, redirects, threads, metrics, and estuary_multi (R0-R7)."""

import contextlib
import http.client
import http.server
import pathlib
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import Alice, estuary, lab, server  # noqa: E402
from harness import (LEAF_EXTENSIONS, case, cases_from, check, check_equal, check_in, main, make_ca, openssl,  # noqa: E402
                     program, run, serial_number)

DRIVER = "tests/integration/revocation_driver"


def device_of(ca, alice, tmp, name="device"):
    out = tmp / name
    estuary()("enroll", *server(ca), *alice.client, "--subject", f"CN={name}", "--out", out, "--revocation", "off", code=0)
    return out / "cert.pem"


def words(**named):
    return [f"{name.replace('_', '-')}={value}" for name, value in named.items()]


def drive(*args):
    return run([program(DRIVER), *args], code=0, timeout=60).out.splitlines()


def pair(ca, cert):
    return f"{cert},{ca.dir / 'issuing.pem'}"


def misbehave(ca, *names):
    path = ca.dir / "misbehave"
    path.write_text("".join(f"{name}\n" for name in names))


@contextlib.contextmanager
def device(tmp, *args):
    """A lab and a certificate it issued: the lab, and CERTIFICATE,ISSUER for the driver."""
    alice = Alice(tmp)
    with lab(*alice.lab, *args) as ca:
        yield ca, pair(ca, device_of(ca, alice, tmp))


# --- CRLs -----------------------------------------------------------------------------------------------------

def conditional(tmp, *folder):
    with device(tmp) as (ca, chain):
        counters = words(metric="revocation_crl_cache_hits") + words(metric="revocation_crl_cache_misses")
        place = [f"cache={tmp / name}" for name in folder]
        lines = drive("methods=crl", "crl-cache-seconds=0", *place, f"check={chain}", f"check={chain}", *counters)
        check_equal(lines, ["good crl crl ", "good cache crl ", "revocation_crl_cache_hits 0",
                            "revocation_crl_cache_misses 2"], "asked each time")
        check_equal([entry["status"] for entry in ca.evidence_log()][-2:], [200, 304], "statuses")
        asked = len(ca.evidence_log())
        lines = drive("methods=crl", f"check={chain}", f"check={chain}", f"check={chain}", *counters)
        check_equal(lines, ["good crl crl ", "good cache crl ", "good cache crl ", "revocation_crl_cache_hits 2",
                            "revocation_crl_cache_misses 1"], "asked once")
        check_equal(len(ca.evidence_log()) - asked, 1, "requests")


cases_from({f"a CRL is asked for again after its duration, with its ETag: 304, and the verdict is the cache's, in {where} (R5)":
            folder for where, folder in {"memory": (), "a folder": ("cache",)}.items()}, conditional)


@case("evidence that ends soon is fetched ahead; while that fails, what is there counts (R2, R5)")
def ahead(tmp):
    for method, settings in (("crl", ("--crl-lifetime", "1200")), ("ocsp", ("--ocsp-lifetime", "1200"))):
        folder = tmp / method
        folder.mkdir()
        with device(folder, *settings) as (ca, chain):
            asked = len(ca.evidence_log())
            # half of its life is the most that "ahead" may be; this asks at once for the second half only
            lines = drive(f"methods={method}", "refresh-ahead=3600", f"check={chain}", f"check={chain}")
            check_equal([line.split()[0] for line in lines], ["good", "good"], method)
            check_equal(len(ca.evidence_log()) - asked, 1, f"requests by {method} in the first half")


def limited(tmp, misbehaviour, settings, code):
    with device(tmp) as (ca, chain):
        misbehave(ca, misbehaviour)
        begun = time.monotonic()
        lines = drive(*settings, f"check={chain}")
        check_equal(lines[0].split()[0], "unknown", misbehaviour)
        check_in(code, lines[0], misbehaviour)
        check(time.monotonic() - begun < 20, "it took too long")


cases_from({
    "a CRL that does not come: its time is limited": ("crl-stall", ("methods=crl", "crl-timeout=300"), "network.timeout"),
    "a CRL without end: its size is limited": ("crl-endless", ("methods=crl", "crl-bytes=100000"), "crl."),
    "an OCSP responder that stalls: its time is limited": ("ocsp-stall", ("methods=ocsp", "ocsp-timeout=300"),
                                                          "network.timeout"),
    "an OCSP responder that drips: its time is limited": ("ocsp-drip", ("methods=ocsp", "ocsp-timeout=600"),
                                                         "network.timeout"),
    "an OCSP response without end: its size is limited": ("ocsp-endless", ("methods=ocsp",), "protocol.response-too-large"),
    "a redirect to a link-local address is refused (R0)": ("crl-redirect-link-local", ("methods=crl",), "revocation.url"),
    "so it is for OCSP": ("ocsp-redirect-link-local", ("methods=ocsp",), "revocation.url"),
    "a redirect to a file is refused": ("crl-redirect-file", ("methods=crl",), "revocation.url"),
    "redirects without end": ("crl-redirect-loop", ("methods=crl",), "revocation.not-fetched"),
    "none is followed when none is allowed": ("crl-redirect-once", ("methods=crl", "redirects=0"),
                                              "revocation.not-fetched"),
}, limited)


@case("one redirect is followed, for CRL and OCSP")
def redirect(tmp):
    with device(tmp) as (ca, chain):
        misbehave(ca, "crl-redirect-once", "ocsp-redirect-once")
        check_equal(drive("methods=crl", f"check={chain}"), ["good crl crl "], "CRL")
        check_equal(drive("methods=ocsp", f"check={chain}"), ["good ocsp ocsp "], "OCSP")


@case("revoked in the delta CRL only: seen, by the one that was fetched and by the one in the cache (R4)")
def delta(tmp):
    with device(tmp, "--delta") as (ca, chain):
        check_equal(drive("methods=crl", f"check={chain}")[0].split()[0], "good", "before")
        ca.revoke(serial_number(chain.split(",")[0]), "--reason", "keyCompromise")
        lines = drive("methods=crl", f"cache={tmp / 'cache'}", f"check={chain}", f"check={chain}")
        check_equal(lines, ["revoked delta delta keyCompromise", "revoked cache delta keyCompromise"], "afterwards")


def large_crl(ca, listed):
    """3000 entries and the certificate's, in DER: worth an index."""
    lines = [line for line in ca.index.read_text().splitlines(True) if not line.startswith("R")]
    serial = serial_number(listed) if listed else "01"
    for number in [serial, *(f"77{n:06X}" for n in range(3000))]:
        lines.append(f"R\t401231235959Z\t250101000000Z,keyCompromise\t{number}\tunknown\t/CN={number}\n")
    ca.index.write_text("".join(line for line in lines if not (line.startswith("V") and serial in line)))
    pem = ca.crl(ca.dir / "large.pem", "-crldays", "7")
    openssl("crl", "-in", pem, "-outform", "DER", "-out", ca.dir / "large.crl")
    return (ca.dir / "large.crl").read_bytes()


@contextlib.contextmanager
def serving(content):
    with between(lambda _handler, _body: (200, content)) as (url, seen):
        yield f"{url}/large.crl", seen


@case("a large CRL in a folder gets its index when it is used again; tampered with, it is passed over (R5)")
def indexed(tmp):
    ca = make_ca(tmp / "ca")
    leaf = ca.issue(tmp / "leaf")
    chain, folder = f"{leaf.cert},{ca.cert}", tmp / "cache"
    with serving(large_crl(ca, None)) as (url, seen):
        again = ("methods=crl", f"cache={folder}", f"crl={url}", f"check={chain}")
        lines = drive(*again, "list=", f"check={chain}", "list=", f"check={chain}")
        check_equal(lines, ["good crl crl ", "crl", "good cache crl ", "crl indexed", "good cache crl "], "by the index")
        (index,) = folder.glob("*.index")
        whole = index.read_bytes()
        for at in (0, 100, 4096 + 5, len(whole) - 4090, len(whole) - 1):
            damaged = bytearray(whole)
            damaged[at] ^= 1
            index.write_bytes(damaged)
            check_equal(drive(*again), ["good cache crl "], f"byte {at} of the index")
        index.write_bytes(b"")
        check_equal(drive(*again), ["good cache crl "], "an empty index")
        check(len(index.read_bytes()) > 4096, "it was not made again")
        check_equal(seen, ["GET"], "requests")
    leaf = ca.issue(tmp / "other")
    chain = f"{leaf.cert},{ca.cert}"
    with serving(large_crl(ca, leaf.cert)) as (url, seen):
        check_equal(drive("methods=crl", f"cache={tmp / 'later'}", f"crl={url}", *[f"check={chain}"] * 3),
                    ["revoked crl crl keyCompromise", *["revoked cache crl keyCompromise"] * 2], "revoked")


# --- responders -------------------------------------------------------------------------------------------------

UNAUTHORIZED = bytes.fromhex("30030a0106")
SHA1_OID = bytes.fromhex("06052b0e03021a")


@contextlib.contextmanager
def between(answer):
    """An HTTP proxy that asks answer(handler, body) first: (status, bytes[, headers]), or None to forward."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.handle_request(b"")

        def do_POST(self):
            self.handle_request(self.rfile.read(int(self.headers["Content-Length"])))

        def handle_request(self, body):
            seen.append(self.command)
            status, content, *headers = answer(self, body) or self.forward(body)
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Type", "application/ocsp-response")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):    # who was out of patience
                self.wfile.write(content)

        def forward(self, body):
            url = urllib.parse.urlsplit(self.path)
            connection = http.client.HTTPConnection(url.netloc, timeout=10)
            connection.request(self.command, url.path, body, {"Content-Type": self.headers["Content-Type"]})
            reply = connection.getresponse()
            content = reply.read()
            connection.close()
            return reply.status, content

        def log_message(self, *_args):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_address[1]}", seen
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


@case("a responder that takes POST only, behind a proxy (R1)")
def post_only(tmp):
    with device(tmp) as (ca, chain), between(lambda h, _body: (405, b"") if h.command == "GET" else None) as (proxy, seen):
        check_equal(drive("methods=ocsp", f"proxy={proxy}", f"check={chain}"), ["good ocsp ocsp "], "verdict")
        check_equal(seen, ["GET", "POST"], "what was tried")


@case("a responder that knows certificates by SHA-256 only (R1)")
def sha256_only(tmp):
    def answer(handler, body):
        return (200, UNAUTHORIZED) if handler.command == "GET" or SHA1_OID in body else None

    with device(tmp) as (ca, chain), between(answer) as (proxy, seen):
        check_equal(drive("methods=ocsp", f"proxy={proxy}", f"check={chain}"), ["good ocsp ocsp "], "verdict")
        check_equal(seen[0], "GET", "first")
        check_equal(seen[-1], "POST", "last")
        check(len(seen) <= 3, f"too many requests: {seen}")


@case("OCSP, then CRL; the other way round when told so; only one of them when told so; the second when the first fails (R6)")
def order(tmp):
    with device(tmp) as (ca, chain):
        for lies, methods, expected in (((), "both", "good ocsp ocsp "), ((), "crl-first", "good crl crl "),
                                        (("crl-404",), "crl-first", "good ocsp ocsp "),
                                        (("ocsp-500",), "both", "good crl crl "),
                                        (("ocsp-unauthorized",), "both", "good crl crl "),
                                        (("ocsp-500",), "ocsp", "unknown   revocation.not-fetched"),
                                        (("crl-404",), "crl", "unknown   revocation.not-fetched")):
            misbehave(ca, *lies)
            check_equal(drive(f"methods={methods}", f"check={chain}"), [expected], f"{methods} with {lies}")


# --- time is limited as a whole ---------------------------------------------------------------------------------

def naming(ca, tmp, name, sources):
    """CERTIFICATE,ISSUER of one that names these sources."""
    return f"{ca.issue(tmp / name, extensions=[*LEAF_EXTENSIONS, *sources]).cert},{ca.cert}"


@contextlib.contextmanager
def stalling():
    """A server that never answers."""
    over = threading.Event()

    def answer(_handler, _body):
        over.wait(20)
        return 500, b""

    with between(answer) as found:
        try:
            yield found
        finally:
            over.set()


@case("redirects do not begin the time of a URL anew, for CRL and OCSP (R0)")
def redirects_and_time(tmp):
    ca = make_ca(tmp / "ca")

    def answer(handler, _body):
        time.sleep(0.15)
        return 302, b"", ("Location", f"/{len(handler.path)}{handler.path}")

    for method in ("crl", "ocsp"):
        with between(answer) as (url, seen):
            chain = naming(ca, tmp, method, [f"crlDistributionPoints = URI:{url}/a"] if method == "crl" else
                           [f"authorityInfoAccess = OCSP;URI:{url}/a"])
            begun = time.monotonic()
            lines = drive(f"methods={method}", "redirects=20", "crl-timeout=400", "ocsp-timeout=400", f"check={chain}")
            check_equal(lines[0].split()[0], "unknown", method)
            check_in("network.timeout", lines[0], method)
            check(len(seen) <= 4, f"{method}: {len(seen)} requests")
            check(time.monotonic() - begun < 5, "it took too long")


@case("a responder's time is one for all the ways in which it is asked: GET, POST, SHA-256")
def variants_and_time(tmp):
    ca = make_ca(tmp / "ca")

    def answer(handler, _body):
        time.sleep(0.7)
        return (405, b"") if handler.command == "GET" else (200, UNAUTHORIZED)

    with between(answer) as (url, seen):
        chain = naming(ca, tmp, "leaf", [f"authorityInfoAccess = OCSP;URI:{url}/"])
        lines = drive("methods=ocsp", "ocsp-timeout=1000", f"check={chain}", "metric=revocation_ocsp_timeouts")
        check_equal(seen, ["GET", "POST"], "requests")
        check_equal(lines[1], "revocation_ocsp_timeouts 1", "timeouts")
        check_equal(lines[0].split()[0], "unknown", "verdict")


@case("a certificate that names many servers, none of which answers: four of a kind are asked, each for its time (R0)")
def urls_and_time(tmp):
    ca = make_ca(tmp / "ca")
    with stalling() as (url, seen):
        many = [f"URI:{url}/{n}" for n in range(7)]
        chain = naming(ca, tmp, "leaf", ["authorityInfoAccess = " + ",".join(f"OCSP;{one}" for one in many),
                                         "crlDistributionPoints = " + ",".join(many)])
        begun = time.monotonic()
        lines = drive("ocsp-timeout=200", "crl-timeout=200", f"check={chain}", "metric=revocation_ocsp_requests_total",
                      "metric=revocation_ocsp_timeouts", "metric=revocation_crl_cache_misses")
        check_in("unknown   network.timeout-", lines[0], "verdict")
        check_equal(lines[1:], ["revocation_ocsp_requests_total 4", "revocation_ocsp_timeouts 4",
                                "revocation_crl_cache_misses 4"], "what was asked")
        check_equal(seen, ["GET"] * 8, "requests")
        check(time.monotonic() - begun < 8 * 0.2 + 4, "it took too long")


@case("an older CRL that comes does not replace the newer one at hand, and the verdict is said to be the cache's (R0)")
def replayed(tmp):
    ca = make_ca(tmp / "ca")
    leaf = ca.issue(tmp / "leaf")
    now = time.time()

    def crl(name, age):
        begin, end = (time.strftime("%Y%m%d%H%M%SZ", time.gmtime(at)) for at in (now - age, now + 86400))
        return ca.crl(tmp / name, "-crl_lastupdate", begin, "-crl_nextupdate", end).read_bytes()

    older = crl("older.crl", 7200)
    ca.revoke(leaf.cert)
    newer = crl("newer.crl", 3600)
    other = ca.issue(tmp / "other")
    answers = iter([newer, older, older])
    with between(lambda _handler, _body: (200, next(answers))) as (url, _seen):
        lines = drive("methods=crl", "crl-cache-seconds=0", f"crl={url}/a.crl", f"check={other.cert},{ca.cert}",
                      f"check={other.cert},{ca.cert}", f"check={leaf.cert},{ca.cert}")
        check_equal(lines, ["good crl crl ", "good cache crl ", "revoked cache crl keyCompromise"], "verdicts")


# --- threads, chains, counters ---------------------------------------------------------------------------------

@case("four threads share a checker and its caches; a whole chain; only its leaf")
def threads(tmp):
    with device(tmp) as (ca, chain):
        whole = f"{chain},{ca.dir / 'root.pem'}"
        for folder in ([], [f"cache={tmp / 'cache'}"]):
            for methods in ("both", "crl"):
                lines = drive(f"methods={methods}", *folder, f"threads={whole}",
                              "metric=revocation_checks_total", "metric=revocation_status_good",
                              "metric=revocation_check_failures_total")
                check_equal(lines, ["good 40 of 40", "revocation_checks_total 60", "revocation_status_good 60",
                                    "revocation_check_failures_total 0"], f"{methods} {folder}")
        ca.revoke(serial_number(ca.dir / "server.pem"))
        server_chain = f"{ca.dir / 'server.pem'},{ca.dir / 'issuing.pem'},{ca.dir / 'root.pem'}"
        lines = drive(f"chain={server_chain}", f"chain={whole}")
        check_equal([line.split()[:2] for line in lines], [["0", "revoked"], ["0", "good"]], "chains")
        check_equal(drive("leaf-only=1", f"chain={whole}", "metric=revocation_checks_total")[1],
                    "revocation_checks_total 1", "leaf only")


@case("the counters after what is known to have happened (R7)")
def counters(tmp):
    names = ("checks_total", "status_good", "status_revoked", "status_unknown", "check_failures_total",
             "ocsp_requests_total", "ocsp_timeouts", "crl_cache_hits", "crl_cache_misses", "check_duration_count")
    with device(tmp) as (ca, chain):
        metrics = [f"metric=revocation_{name}" for name in names]

        def values(*args):
            return dict(zip(names, [int(line.split()[1]) for line in drive(*args, *metrics)[-len(names):]]))

        expected = dict.fromkeys(names, 0)
        check_equal(values("methods=ocsp", f"check={chain}", f"check={chain}"),
                    {**expected, "checks_total": 2, "status_good": 2, "ocsp_requests_total": 1, "check_duration_count": 2},
                    "good, then from the cache")
        misbehave(ca, "ocsp-stall")
        check_equal(values("ocsp-timeout=200", f"check={chain}"),
                    {**expected, "checks_total": 1, "status_good": 1, "ocsp_requests_total": 1, "ocsp_timeouts": 1,
                     "crl_cache_misses": 1, "check_duration_count": 1}, "a timeout, then the CRL")
        check_equal(values("methods=ocsp", "ocsp-timeout=200", f"check={chain}"),
                    {**expected, "checks_total": 1, "status_unknown": 1, "check_failures_total": 1,
                     "ocsp_requests_total": 1, "ocsp_timeouts": 1, "check_duration_count": 1}, "a timeout, and nothing else")
        misbehave(ca)
        ca.revoke(serial_number(chain.split(",")[0]))
        check_equal(values("methods=crl", f"check={chain}"),
                    {**expected, "checks_total": 1, "status_revoked": 1, "crl_cache_misses": 1, "check_duration_count": 1},
                    "revoked")
        size = int(drive("methods=crl", f"check={chain}", "metric=revocation_crl_bytes")[1].split()[1])
        run(["curl", "-sS", "-o", tmp / "list.crl", f"{ca.http}/crl/issuing.crl"], code=0)
        check(abs(size - (tmp / "list.crl").stat().st_size) < 8, f"revocation_crl_bytes is {size}")


@case("one certificate asked about is one in the counters, however it was found out (R7)")
def counted_once(tmp):
    alice = Alice(tmp)
    names = ("checks_total", "status_good", "status_revoked", "status_unknown", "check_failures_total",
             "check_duration_count")
    metrics = [f"metric=revocation_{name}" for name in names]

    def counted(*args):
        """Good, revoked and unknown; each is counted elsewhere, too."""
        total, good, revoked, unknown, failures, timed = [
            int(line.split()[1]) for line in drive(*args, *metrics)[-len(names):]]
        check_equal((total, failures, timed), (good + revoked + unknown, unknown, total), "sums")
        return good, revoked, unknown

    def enrol(count, *settings):
        return ("user=alice", f"secret=file:{alice.file}", *settings, f"enroll={count},{of_server(ca)}")

    with lab(*alice.lab) as ca:
        device = device_of(ca, alice, tmp)
        chain = pair(ca, device)
        # the leaf is in the cache, so it is looked at both before the network is asked and after
        check_equal(counted("methods=ocsp", f"check={chain}", f"chain={chain},{ca.dir / 'root.pem'}"), (3, 0, 0), "a chain")
        # the server and its CA, whose evidence is fetched between two handshakes; then what was issued and its CA
        check_equal(counted(*enrol(1)), (4, 0, 0), "one enrolment")
        check_equal(counted(*enrol(2, f"cache={tmp / 'cache'}")), (8, 0, 0), "two enrolments")
        check_equal(counted(*enrol(1, f"cache={tmp / 'cache'}")), (4, 0, 0), "with all in the cache")
        # whoever signed the response is looked at itself, by CRL
        misbehave(ca, "ocsp-signer-checked")
        check_equal(counted(f"check={chain}"), (1, 0, 0), "a delegated signer that is good")
        misbehave(ca, "ocsp-signer-revoked")
        check_equal(counted("methods=ocsp", f"check={chain}"), (0, 0, 1), "one that is revoked")
        misbehave(ca, "ocsp-500", "crl-404")
        check_equal(counted(*enrol(1)), (0, 0, 4), "nothing to be had about any of them")
        check_equal(counted(*enrol(1, "hard=1")), (0, 0, 2), "under hard: the server and its CA")
        misbehave(ca)
        ca.revoke(serial_number(ca.dir / "server.pem"))
        check_equal(counted(*enrol(1)), (0, 1, 0), "a revoked server")
    with lab(*alice.lab, "--staple") as ca:
        check_equal(counted(*enrol(1)), (4, 0, 0), "with a staple, looked at in both handshakes")


@case("an issued certificate that names no source is checked with what was given by hand, and passes without (R6)")
def issued_without_sources(tmp):
    alice = Alice(tmp)
    stranger = make_ca(tmp / "ca", subject="/CN=Stranger").crl(tmp / "other.crl")
    with lab(*alice.lab, "--misbehave", "issued-no-sources") as ca:
        run(["curl", "-sS", "-o", tmp / "own.crl", f"{ca.http}/crl/issuing.crl"], code=0)

        def enrol(*settings):
            return drive("user=alice", f"secret=file:{alice.file}", "hard=1", *settings, f"enroll=1,{of_server(ca)}",
                         "metric=revocation_checks_total")

        check_equal(enrol(), ["done 1", "revocation_checks_total 3"], "nothing given: its CA, and the server's chain")
        check_equal(enrol(f"crl={tmp / 'own.crl'}"), ["done 1", "revocation_checks_total 4"], "its CA's CRL")
        check_equal(enrol(f"crl={stranger}"), ["revocation.unknown 1", "revocation_checks_total 4"], "another CA's")


# --- many at once -------------------------------------------------------------------------------------------------

def of_server(ca):
    return f"{ca.url},{ca.anchors}"


@case("multi: 50 enrolments with a shared checker ask for the server's evidence once or so (R3)")
def fifty(tmp):
    alice = Alice(tmp)
    with lab(*alice.lab) as ca:
        lines = drive("user=alice", f"secret=file:{alice.file}", "hard=1", f"enroll=50,{of_server(ca)}")
        check_equal(lines, ["done 50"], "how they ended")
        enrolled = [entry for entry in ca.access_log() if entry["operation"] == "simpleenroll"]
        check_equal([entry["status"] for entry in enrolled], [200] * 50, "statuses")


@case("multi: while evidence is slow to come for one, the others go on; then it ends by its CRL (R3)")
def slow_evidence(tmp):
    alice = Alice(tmp)
    with lab(*alice.lab) as ca, lab(*alice.lab) as slow:
        misbehave(slow, "ocsp-stall")
        lines = drive("user=alice", f"secret=file:{alice.file}", "ocsp-timeout=6000", f"slow={of_server(slow)}",
                      f"enroll=5,{of_server(ca)}", "over=")
        check_equal(lines, ["slow under way", "done 5", "slow under way"], "what goes on")
        lines = drive("user=alice", f"secret=file:{alice.file}", "ocsp-timeout=1000", "hard=1", f"slow={of_server(slow)}",
                      "finish=")
        check_equal(lines, ["slow under way", "done 1"], "how it ends")


@case("multi: cancelled while evidence is being fetched; freed in the midst of it; no callback comes later")
def cancelled(tmp):
    alice = Alice(tmp)
    with lab(*alice.lab) as slow:
        misbehave(slow, "ocsp-stall")
        begin = ("user=alice", f"secret=file:{alice.file}", "ocsp-timeout=6000", f"slow={of_server(slow)}")
        check_equal(drive(*begin, "cancel="), ["slow under way", "cancelled, callbacks 1", "callbacks later 0"], "cancelled")
        check_equal(drive(*begin), ["slow under way"], "left to estuary_multi_free()")
        check_equal(slow.access_log(), [], "requests that reached EST")


@case("multi: a revoked server is refused, each time, and nothing is sent to it (R3)")
def revoked_server(tmp):
    alice = Alice(tmp)
    for staple in ((), ("--staple",)):
        with lab(*alice.lab, *staple) as ca:
            ca.revoke(serial_number(ca.dir / "server.pem"))
            lines = drive("user=alice", f"secret=file:{alice.file}", f"enroll=5,{of_server(ca)}")
            check_equal(lines, ["revoked.revoked 5"], "how they ended")
            check_equal(ca.access_log(), [], "requests that reached EST")


if __name__ == "__main__":
    main()
