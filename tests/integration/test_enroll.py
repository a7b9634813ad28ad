"""simpleenroll against the lab: keys, authentication, names, files, JSON. openssl checks what was kept."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import (Alice, check_folder, enrolled, estuary, key_of, key_of_certificate, lab, mode, posts,  # noqa: E402
                    server, text_of)
from harness import (case, cases_from, check, check_equal, check_in, check_not_in, main, make_csr, make_key,  # noqa: E402
                     openssl, password_file, serial_number, snapshot, write_private)

KEYS = {
    "ec:P-256": ("ASN1 OID: prime256v1",),
    "ec:P-384": ("ASN1 OID: secp384r1",),
    "ec:P-521": ("ASN1 OID: secp521r1",),
    "rsa:2048": ("Public-Key: (2048 bit)",),
    "rsa:3072": ("Public-Key: (3072 bit)",),
    "ed25519": ("ED25519 Public-Key",),
    "ed448": ("ED448 Public-Key",),
}


@case("every key algorithm, one server; the JSON names what openssl finds")
def every_key(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        for algorithm, (words,) in KEYS.items():
            out = tmp / algorithm.replace(":", "-")
            answer = est.json("enroll", *server(ca), *alice.client, "--subject", "CN=device,O=Example",
                              "--new-key", algorithm, "--out", out, code=0)
            check_folder(out, ca.anchors)
            text = text_of(out / "cert.pem")
            check_in(words, text, algorithm)
            check_in("Subject: O = Example, CN = device", text, "subject")
            check_equal(answer["key_algorithm"], algorithm, "key_algorithm")
            check_equal(answer["certificate"]["serial"], serial_number(out / "cert.pem"), "serial")


@case("JSON of enroll: every name, and nothing else on stdout or stderr")
def json_shape(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        out = tmp / "out"
        answer = est.json("enroll", *server(ca), *alice.client, "--subject", "CN=device", "--out", out, code=0)
        check_equal(answer.err, "", "stderr")
        check_equal(set(answer.json), {"operation", "server", "label", "out", "certificate", "files", "key_algorithm",
                                       "key_is_new", "resumed", "renew_at", "findings", "tls_version", "tls_cipher",
                                       "channel_binding"},
                    "names")
        check_equal(set(answer["certificate"]), {"subject", "issuer", "serial", "not_before", "not_after",
                                                 "fingerprint"}, "names in certificate")
        check_equal(answer["files"], {"cert": f"{out}/cert.pem", "chain": f"{out}/chain.pem",
                                      "fullchain": f"{out}/fullchain.pem", "key": f"{out}/key.pem"}, "files")
        check_equal(answer["operation"], "simpleenroll", "operation")
        check_equal(answer["server"], ca.url, "server")
        check_equal(answer["key_is_new"], True, "key_is_new")
        check_equal(answer["resumed"], False, "resumed")
        check_equal({f["check"]: f["state"] for f in answer["findings"]},
                    {"key": "pass", "subject": "pass", "san": "pass", "validity": "pass", "ca": "pass",
                     "strength": "pass", "purpose": "pass", "host": "unknown", "chain": "pass",
                     "revocation": "pass"}, "findings")


# scheme of the lab: authentication steps that the client's first enrolment takes
# T6: where MD5 is listed first, SHA-256 is answered all the same; the lab takes nothing else there
SCHEMES = {"basic": 2, "digest": 2, "digest-sha256": 2, "digest-weak-first": 2, "both": 2}


def one_scheme(tmp, scheme, steps):
    # RFC 7030 3.2.3; nothing may be sent before the server has asked
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab, "--auth", scheme) as ca:
        enrolled(est, ca, alice, tmp / "out")
        check_folder(tmp / "out", ca.anchors)
        seen = posts(ca)
        check_equal([r["authorization"] for r in seen], [False, True], "Authorization headers")
        check_equal([r["status"] for r in seen], [401, 200], "answers")
        check_equal(len(seen), steps, "POSTs")
        check_equal(seen[1]["user"], "alice", "user")
        check_equal(seen[0]["body_sha256"], seen[1]["body_sha256"], "the same request twice")
        for request in ca.access_log():
            check(not (request["authorization"] and request["client_subject"]), "one way of authentication only")


cases_from({f"authentication scheme {scheme}: asked first, then one POST": (scheme, steps)
            for scheme, steps in SCHEMES.items()}, one_scheme)


@case("--preemptive-auth sends the password with the first POST, and there is no second")
def preemptive(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab, "--auth", "basic") as ca:
        enrolled(est, ca, alice, tmp / "out", "--preemptive-auth")
        check_equal([(r["authorization"], r["status"]) for r in posts(ca)], [(True, 200)], "POSTs")


@case("a server that asks for nothing is sent no password")
def never_asked(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab, "--auth", "none") as ca:
        result = est("enroll", *server(ca), *alice.client, "--subject", "CN=device", "--out", tmp / "out", code=6)
        check_equal([r["authorization"] for r in ca.access_log()], [False, False], "Authorization headers")
        check(result.code == 6 and not (tmp / "out").exists(), "nothing written")


# 7030-3.3.2-1
@case("a client certificate enrols another device, without password")
def client_certificate(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        first = enrolled(est, ca, alice, tmp / "first", subject="CN=first")
        before = len(ca.access_log())
        est("enroll", *server(ca), "--cert", first / "cert.pem", "--key", first / "key.pem", "--new-key", "ec:P-256",
            "--subject", "CN=second", "--out", tmp / "second", code=0)
        check_folder(tmp / "second", ca.anchors)
        seen = ca.access_log()[before:]
        check_equal([(r["method"], r["status"], r["authorization"], r["client_subject"]) for r in seen
                     if r["method"] == "POST"], [("POST", 200, False, "CN=first")], "POSTs")
        check(key_of(tmp / "second/key.pem") != key_of(first / "key.pem"), "a key of its own")


@case("a combined PEM file (certificate, chain and key in one) and fullchain.pem as --cert")
def combined(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        first = enrolled(est, ca, alice, tmp / "first", subject="CN=first")
        one = write_private(tmp / "one.pem", (first / "key.pem").read_bytes() + (first / "fullchain.pem").read_bytes())
        other = write_private(tmp / "other.pem", (first / "fullchain.pem").read_bytes()
                              + (first / "key.pem").read_bytes())
        for number, (cert, key) in enumerate(((one, one), (other, other), (first / "fullchain.pem",
                                                                         first / "key.pem"))):
            out = tmp / f"out{number}"
            est("enroll", *server(ca), "--cert", cert, "--key", key, "--new-key", "ec:P-256", "--subject", "CN=second",
                "--out", out, code=0)
            check_folder(out, ca.anchors)


SANS = (("dns:device.example", "DNS:device.example"), ("dns:*.wild.example", "DNS:*.wild.example"),
        ("ip:192.0.2.7", "IP Address:192.0.2.7"), ("ip:2001:db8::7", "IP Address:2001:DB8:0:0:0:0:0:7"),
        ("email:a@device.example", "email:a@device.example"), ("uri:urn:example:7", "URI:urn:example:7"),
        ("rid:1.2.3.4", "Registered ID:1.2.3.4"), ("dirname:CN=inner", "DirName:/CN=inner"),
        ("upn:me@device.example", "othername: UPN::me@device.example"))


@case("all kinds of subjectAltName arrive, in order, with an empty subject too")
def sans(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        wanted = [part for given, _ in SANS for part in ("--san", given)]
        enrolled(est, ca, alice, tmp / "out", *wanted)
        check_folder(tmp / "out", ca.anchors)
        text = text_of(tmp / "out/cert.pem")
        places = []
        for given, shown in SANS:
            check_in(shown, text, given)
            places.append(text.index(shown))
        check_equal(places, sorted(places), "order of the names")
        enrolled(est, ca, alice, tmp / "empty", "--san", "dns:only.example", subject=None)
        text = text_of(tmp / "empty/cert.pem")
        check_in("Subject: \n", text + "\n", "subject")
        check_in("DNS:only.example", text, "certificate")


@case("--csr FILE, PEM and DER: no key.pem is written")
def csr_file(tmp):
    alice, est = Alice(tmp), estuary()
    (tmp / "openssl.cnf").write_text("[req]\ndistinguished_name = empty\n[empty]\n")
    key = make_key(tmp / "k.pem")
    pem = make_csr(tmp / "r.pem", key, "/CN=elsewhere", tmp / "openssl.cnf", san=("DNS:elsewhere.example",))
    openssl("req", "-in", pem, "-outform", "DER", "-out", tmp / "r.der")
    with lab(*alice.lab) as ca:
        for name in ("r.pem", "r.der"):
            out = tmp / f"out-{name}"
            answer = est.json("enroll", *server(ca), *alice.client, "--csr", tmp / name, "--out", out, code=0)
            check_folder(out, ca.anchors, key=None, key_path=key)
            check_equal(answer["files"]["key"], None, "key in the JSON")
            check_equal(answer["key_is_new"], False, "key_is_new")
            check_in("DNS:elsewhere.example", text_of(out / "cert.pem"), "certificate")


@case("--key takes an existing key and leaves its file alone")
def existing_key(tmp):
    alice, est = Alice(tmp), estuary()
    key = make_key(tmp / "mine.key", "ec:P-384")
    before = key.read_bytes()
    with lab(*alice.lab) as ca:
        answer = est.json("enroll", *server(ca), *alice.client, "--subject", "CN=device", "--key", key, "--out",
                          tmp / "out", code=0)
        check_equal(key.read_bytes(), before, "the key file")
        check_equal(answer["key_is_new"], False, "key_is_new")
        check_equal(key_of_certificate(tmp / "out/cert.pem"), key_of(key), "public key")
        check_folder(tmp / "out", ca.anchors)


@case("--key-out puts the new key elsewhere, with key.uri in DIR, and never over a file")
def key_out(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        out, key = tmp / "out", tmp / "keys.pem"
        answer = est.json("enroll", *server(ca), *alice.client, "--subject", "CN=device", "--new-key", "ec:P-256",
                          "--key-out", key, "--out", out, code=0)
        check_folder(out, ca.anchors, key="key.uri", key_path=key)
        check_equal(mode(key), 0o600, "mode of the key")
        check_equal((out / "key.uri").read_text().strip(), f"file:{key}", "key.uri")
        check_equal(answer["files"]["key"], str(key), "key in the JSON")
        before, requests = snapshot(tmp), len(ca.access_log())
        answer = est.json("enroll", *server(ca), *alice.client, "--subject", "CN=device", "--new-key", "ec:P-256",
                          "--key-out", key, "--out", tmp / "second", code=11)
        check_equal(answer["error"]["code"], "key.exists", "code")
        check_equal(snapshot(tmp), before, "files")
        check_equal(len(ca.access_log()), requests, "requests")


@case("an encrypted --key opens with --pin file:, and a wrong or missing PIN is exit 11 before dialing")
def encrypted_key(tmp):
    alice, est = Alice(tmp), estuary()
    pin, wrong = password_file(tmp, "opensesame"), password_file(tmp, "opensesam")
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-aes256", "-pass", f"file:{pin}",
            "-out", tmp / "enc.key")
    (tmp / "enc.key").chmod(0o600)
    with lab(*alice.lab) as ca:
        common = ("enroll", *server(ca), *alice.client, "--subject", "CN=device", "--key", tmp / "enc.key", "--out",
                  tmp / "out")
        check_equal(est.json(*common, code=11)["error"]["code"], "key.passphrase-needed", "code without PIN")
        check_equal(est.json(*common, "--pin", f"file:{wrong}", code=11)["error"]["code"], "key.passphrase-wrong",
                    "code with a wrong PIN")
        check_equal(ca.access_log(), [], "requests")
        check(not (tmp / "out").exists() and not (tmp / "out.pending").exists(), "nothing written")
        est(*common, "--pin", f"file:{pin}", code=0)
        check_equal(key_of_certificate(tmp / "out/cert.pem"), key_of(tmp / "enc.key", pin), "public key")
        # a copy without the passphrase would undo it: the key stays where it is, and DIR names it
        check_folder(tmp / "out", ca.anchors, key="key.uri")
        uri = (tmp / "out/key.uri").read_text()
        check_equal(uri.rstrip("\n"), f"file:{tmp.resolve() / 'enc.key'}", "key.uri")
        renew = ("reenroll", *server(ca), "--cert", tmp / "out/cert.pem", "--pin", f"file:{pin}", "--same-key")
        est(*renew, "--key", uri.strip(), "--out", tmp / "out", code=0)
        check_folder(tmp / "out", ca.anchors, key="key.uri")
        # inside of DIR it would be lost
        (tmp / "enc.key").rename(tmp / "out/key.pem")
        (tmp / "out/key.uri").unlink()
        before, requests = snapshot(tmp / "out"), len(ca.access_log())
        answer = est.json(*renew, "--key", tmp / "out/key.pem", "--out", tmp / "out", code=2)
        check_in("has a passphrase", answer["error"]["message"], "message")
        check_equal((snapshot(tmp / "out"), len(ca.access_log())), (before, requests), "files, requests")


@case("--key-out takes a file: URI; key.uri names that very file, whatever its name; refused before dialing")
def key_out_uri(tmp):
    alice, est, odd = Alice(tmp), estuary(), tmp / "50%41 off"
    odd.mkdir()
    with lab(*alice.lab) as ca:
        for n, (uri, path) in enumerate(((f"file:{tmp}/new%20key", tmp / "new key"), (odd / "k.pem", odd / "k.pem"))):
            out = tmp / f"out{n}"
            enrolled(est, ca, alice, out, "--key-out", uri)
            check_folder(out, ca.anchors, key="key.uri", key_path=path)
            est("reenroll", *server(ca), "--cert", out / "cert.pem", "--key", (out / "key.uri").read_text().strip(),
                "--same-key", "--out", tmp / f"again{n}", code=0)
            check_equal(key_of(tmp / f"again{n}/key.pem"), key_of(path), "the key that key.uri names")
        before, requests = snapshot(tmp), len(ca.access_log())
        for place, code in ((f"file:{tmp}/new%20key", 11), (tmp / "no/folder.pem", 2), ("file://other/k.pem", 2)):
            est("enroll", *server(ca), *alice.client, "--subject", "CN=device", "--key-out", place, "--out",
                tmp / "second", code=code)
        check_equal((snapshot(tmp), len(ca.access_log())), (before, requests), "files, requests")


# 7030-3.2.2-1
@case("--label is the segment before the operation; a prefix stands before .well-known")
def label(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        enrolled(est, ca, alice, tmp / "out", "--label", "factory-1")
        check_equal({(r["path"], r["label"]) for r in posts(ca)},
                    {("/.well-known/est/factory-1/simpleenroll", "factory-1")}, "paths")
        check_folder(tmp / "out", ca.anchors)
        seen = len(ca.access_log())
        for bad, code in (("a/b", "usage.label"), ("..", "usage.label"), ("cacerts", "usage.label-operation")):
            answer = est.json("enroll", *server(ca), *alice.client, "--subject", "CN=a", "--label", bad, "--out",
                              tmp / "bad", code=2)
            check_equal(answer["error"]["code"], code, f"code for {bad}")
        est("enroll", "--server", ca.url + "/some/prefix", "--trust", ca.anchors, *alice.client, "--subject", "CN=a",
            "--out", tmp / "prefixed", code=0)
        check_equal({r["path"] for r in ca.access_log()[seen:] if r["method"] == "POST"},
                    {"/some/prefix/.well-known/est/simpleenroll"}, "paths with a prefix")


@case("TLS 1.2 alone and TLS 1.3 alone")
def tls_versions(tmp):
    alice, est = Alice(tmp), estuary()
    for version in ("1.2", "1.3"):
        with lab(*alice.lab, "--tls", version) as ca:
            answer = est.json("enroll", *server(ca), *alice.client, "--subject", "CN=device", "--out", tmp / version,
                              code=0)
            check_equal(answer["tls_version"], f"TLSv{version}", "tls_version")
            check_equal({r["tls"] for r in ca.access_log()}, {f"TLSv{version}"}, "what the server saw")
            check_folder(tmp / version, ca.anchors)


# 7030-4.5-1
@case("--csrattrs asks the server first and obeys")
def csrattrs(tmp):
    # RFC 7030 4.5.2: ecPublicKey secp384r1, and ecdsa-with-SHA384
    der = bytes.fromhex("301e06082a8648ce3d040303301206072a8648ce3d0201310706052b81040022")
    (tmp / "attrs").write_bytes(der)
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab, "--csrattrs", str(tmp / "attrs")) as ca:
        enrolled(est, ca, alice, tmp / "out", "--csrattrs")
        check_folder(tmp / "out", ca.anchors)
        check_in("ASN1 OID: secp384r1", text_of(tmp / "out/cert.pem"), "key")
        check_equal(ca.access_log()[0]["operation"], "csrattrs", "first request")


# misbehaviour, exit code and error code when the client asks by itself (--pop auto), and with --csrattrs
NO_ATTRIBUTES = {None: (0, None, 0, None), "404@csrattrs": (0, None, 0, None), "csrattrs-404-body": (0, None, 0, None),
                 "405@csrattrs": (0, None, 8, "server.method"), "403@csrattrs": (6, "auth.forbidden", 6, "auth.forbidden"),
                 "500@csrattrs": (8, "server.error", 8, "server.error")}


def no_attributes(tmp, name, code, error, asked_code, asked_error):
    # RFC 7030 4.5.2: absent attributes ask for nothing; a server that fails or refuses has not answered
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab, *(("--misbehave", name) if name else ())) as ca:
        for more, exit_code, wanted in (("--pop", "auto"), code, error), (("--csrattrs",), asked_code, asked_error):
            out = tmp / more[-1]
            answer = est.json("enroll", *server(ca), *alice.client, "--subject", "CN=device", *more, "--out", out,
                              code=exit_code)
            check_equal(answer.json.get("error", {}).get("code"), wanted, f"code with {more[0]}")
            check_equal(out.exists(), exit_code == 0, "DIR is there")
        refused = code != 0
        check_equal(bool(posts(ca)), not refused, "a request left")


cases_from({f"csrattrs answered {(name or '204').partition('@')[0]}: an enrolment goes on or ends with its code":
            (name, *rest) for name, rest in NO_ATTRIBUTES.items()}, no_attributes)


@case("an existing DIR is replaced, its mode stays, and a refused run leaves it as it was")
def replaced(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        out = enrolled(est, ca, alice, tmp / "out", subject="CN=first")
        out.chmod(0o750)
        first = serial_number(out / "cert.pem")
        enrolled(est, ca, alice, out, subject="CN=second")
        check_folder(out, ca.anchors)
        check_equal(mode(out), 0o750, "mode of DIR")
        check(serial_number(out / "cert.pem") != first, "a new certificate")
        check_in("CN = second", text_of(out / "cert.pem"), "subject")
        before = snapshot(tmp)
        est("enroll", *server(ca), "--user", "alice", "--password", f"file:{password_file(tmp, 'no', name='no')}",
            "--subject", "CN=third", "--out", out, code=6)
        (tmp / "no").unlink()
        check_equal(snapshot(tmp), before, "everything")


@case("a DIR with foreign files is refused before dialing, and untouched")
def foreign(tmp):
    alice, est = Alice(tmp), estuary()
    (tmp / "out").mkdir()
    (tmp / "out/notes.txt").write_text("mine")
    with lab(*alice.lab) as ca:
        before = snapshot(tmp)
        answer = est.json("enroll", *server(ca), *alice.client, "--subject", "CN=device", "--out", tmp / "out", code=2)
        check_equal(answer["error"]["code"], "config.store-foreign", "code")
        check_equal(snapshot(tmp), before, "everything")
        check_equal(ca.access_log(), [], "requests")


@case("the words without --json: certificate, key and files, and -q says nothing")
def words(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        out = tmp / "out"
        result = est("enroll", *server(ca), *alice.client, "--subject", "CN=device", "--out", out, code=0)
        check_in("Certificate issued\n", result.out, "stdout")
        check_in(f"ec:P-256, new, in {out}/key.pem", result.out, "stdout")
        check_not_in("PRIVATE", result.out, "stdout")
        check_equal(est("enroll", *server(ca), *alice.client, "--subject", "CN=device", "--out", out, "-q",
                        code=0).out, "", "stdout with -q")


if __name__ == "__main__":
    main()
