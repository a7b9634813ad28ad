"""Keys in a SoftHSM token through the command (K2, K4, E4): the man page's examples, renewal inside the token, and
what pkcs11-tool and openssl say of it from outside."""

import base64
import re
import shutil
import subprocess
import time

from common import (Alice, check_folder, estuary, key_of, key_of_certificate, lab, posts, server, text_of)
from harness import (case, check, check_equal, check_in, check_not_in, environment, main, make_ca, need, openssl, password_file,
                     run, snapshot)

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "41953-secret"
KILLS = 4


# SoftHSM 2.6.1 itself leaks a few bytes for each Ed25519 key
LEAK = "leak:libsofthsm2.so\n"


class Token:
    """A SoftHSM token of its own: .env .pin (SRC) .uri(label) .objects(type) .labels()"""

    def __init__(self, tmp, label="factory"):
        need("softhsm2-util", "pkcs11-tool")
        (tmp / "tokens").mkdir()
        conf = tmp / "softhsm.conf"
        conf.write_text(f"directories.tokendir = {tmp}/tokens\nlog.level = ERROR\n")
        self.env, self.label = {"SOFTHSM2_CONF": conf}, label
        self.pin = f"file:{password_file(tmp, PIN, name='pin')}"
        run(["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", "so-12345678"],
            env=self.env, code=0)
        self.file, = (tmp / "tokens").glob("*/token.object")
        self.whole = self.file.read_bytes()

    def mend(self):
        """SoftHSM empties token.object at each login and fills it again: a kill in between takes it, not the keys."""
        if self.file.stat().st_size != len(self.whole):
            self.file.write_bytes(self.whole)

    def uri(self, name, **more):
        return f"pkcs11:token={self.label};object={name}?module-path={MODULE}"

    def tool(self, *args):
        return run(["pkcs11-tool", "--module", MODULE, "--token-label", self.label, "--login", "--pin", PIN, *args],
                   env=self.env, code=0)

    def objects(self, kind="privkey"):
        """{label: text} as pkcs11-tool sees them."""
        blocks = re.split(r"(?m)^(?=\S.*Object)", self.tool("--list-objects", "--type", kind).out)
        return {re.search(r"(?m)^\s*label:\s*(.*)$", b).group(1): b for b in blocks if "label:" in b}

    def check_public_key(self, label, pem):
        """The numbers of the public key object, as pkcs11-tool prints or reads them, stand in this PEM."""
        der = base64.b64decode("".join(pem.split("-----")[2].split()))
        point = re.search(r"(?m)^\s*EC_POINT:\s*([0-9a-f]+)", self.objects("pubkey")[label])
        if point:                           # an OCTET STRING around the point
            check(der.endswith(bytes.fromhex(point.group(1))[2:]), f"{label}: {point.group(1)} is not in {pem}")
        else:
            got = run(["pkcs11-tool", "--module", MODULE, "--token-label", self.label, "--login", "--pin", PIN,
                       "--read-object", "--type", "pubkey", "--label", label], env=self.env, code=0).raw
            check_equal(got, der, f"public key of {label}")


def key_uri(folder):
    return (folder / "key.uri").read_text().strip()


def check_from_outside(token, folder, label):
    """pkcs11-tool: the key cannot be read out; openssl: the certificate is this key's."""
    private = token.objects()[label]
    for flag in ("sensitive", "always sensitive", "never extractable", "local"):
        check_in(flag, private.split("Access:")[1], f"access of {label}")
    check(not re.search(r"(?<!never )extractable", private), f"{label} is extractable: {private}")
    token.check_public_key(label, key_of_certificate(folder / "cert.pem"))
    check_in(f"object={label}", key_uri(folder), "key.uri")
    check_not_in(PIN, key_uri(folder), "key.uri")


@case("as the man page shows: key generate, enrol and renew inside the token, over TLS 1.3")
def example(tmp):
    token, alice, device = Token(tmp), Alice(tmp), tmp / "device"
    est = estuary(env=token.env)
    made = est.json("key", "generate", "ec:P-256", token.uri("device"), "--pin", token.pin, code=0)
    check_in("object=device", made["uri"], "URI")
    with lab(*alice.lab, "--tls", "1.3") as ca:
        first = est.json("enroll", *server(ca), *alice.client, "--subject", "CN=device 1", "--key", token.uri("device"),
                         "--pin", token.pin, "--out", device, code=0)
        check_equal(first["tls_version"], "TLSv1.3", "TLS version")
        check_folder(device, ca.anchors, key="key.uri")
        check_from_outside(token, device, "device")
        old = key_uri(device)
        for label in ("device-2", "device-3"):
            renewed = est.json("reenroll", *server(ca), "--cert", device / "fullchain.pem", "--key", key_uri(device),
                               "--pin", token.pin, "--out", device, code=0)
            check_equal(renewed["tls_version"], "TLSv1.3", "TLS version")
            check_equal(renewed["key_is_new"], True, "key is new")
            check_equal(renewed["key_algorithm"], "ec:P-256", "algorithm")
            check_equal(renewed["files"]["key"], key_uri(device), "where the key is")
            check_folder(device, ca.anchors, key="key.uri")
            check_from_outside(token, device, label)
        check_equal(sorted(token.objects()), ["device", "device-2", "device-3"], "keys in the token")
        check_equal([r["client_subject"] is not None for r in posts(ca) if r["status"] == 200], [False, True, True], "client certificates")
    est("key", "delete", old, "--pin", token.pin, "--yes", code=0)
    check_equal(sorted(token.objects()), ["device-2", "device-3"], "keys in the token")


@case("--new-key with --key-out pkcs11: makes the key there, for enroll, reenroll, fullcmc and csr")
def key_out(tmp):
    token, alice, out = Token(tmp), Alice(tmp), tmp / "out"
    est, pin = estuary(env=token.env), ("--pin", token.pin)
    with lab(*alice.lab) as ca:
        est("enroll", *server(ca), *alice.client, "--subject", "CN=a", "--new-key", "rsa:2048", "--key-out",
            token.uri("first"), *pin, "--out", out, code=0)
        check_folder(out, ca.anchors, key="key.uri")
        check_from_outside(token, out, "first")
        est("reenroll", *server(ca), "--cert", out / "cert.pem", "--key", key_uri(out), *pin, "--new-key", "ec:P-384",
            "--out", out, code=0)
        check_from_outside(token, out, "first-2")
        check_in("P-384", text_of(out / "cert.pem"), "certificate")
        est("reenroll", *server(ca), "--cert", out / "cert.pem", "--key", key_uri(out), *pin, "--key-out",
            token.uri("other"), "--out", out, code=0)
        check_from_outside(token, out, "other")
        est("reenroll", *server(ca), "--cert", out / "cert.pem", "--key", key_uri(out), *pin, "--key-out", tmp / "soft.key",
            "--out", out, code=0)
        check_equal(key_of(tmp / "soft.key"), key_of_certificate(out / "cert.pem"), "the key in software")
        est("fullcmc", *server(ca), *alice.client, "--subject", "CN=b", "--new-key", "ec:P-256", "--key-out",
            token.uri("cmc"), *pin, "--out", tmp / "cmc", code=0)
        check_from_outside(token, tmp / "cmc", "cmc")
        seen = len(ca.access_log())
        answer = est.json("enroll", *server(ca), *alice.client, "--subject", "CN=a", "--new-key", "ec:P-256", "--key-out",
                          token.uri("first"), *pin, "--out", tmp / "again", code=11)
        check_equal(answer["error"]["code"], "key.name-taken", "code for a label that is taken")
        check_equal(len(ca.access_log()), seen, "requests with a label that is taken")
    made = est.json("csr", "--subject", "CN=c", "--new-key", "ec:P-256", "--key-out", token.uri("csr"), *pin, "-o",
                    tmp / "c.csr", code=0)
    check_in("object=csr", made["key"], "where the key is")
    token.check_public_key("csr", openssl("req", "-in", tmp / "c.csr", "-noout", "-pubkey", "-verify").out)
    before = sorted(token.objects())
    est("csr", "--subject", "CN=c", "--new-key", "ec:P-256", "--key-out", token.uri("lost"), *pin, "-o",
        tmp / "no/such/folder", code=(1, 2))
    check_equal(sorted(token.objects()), before, "keys in the token after a request that was not written")


@case("a refused certificate's key is destroyed; that of a pending one stays, and resumes without a PIN on disk")
def refused_and_pending(tmp):
    token, alice, out = Token(tmp), Alice(tmp), tmp / "out"
    est, pin = estuary(env=token.env), ("--pin", token.pin)
    with lab(*alice.lab, "--misbehave", "wrong-key") as ca:
        answer = est.json("enroll", *server(ca), *alice.client, "--subject", "CN=a", "--new-key", "ec:P-256", "--key-out",
                          token.uri("bad"), *pin, "--out", out, code=9)
        check_equal(answer["pending"], False, "pending")
        check_equal(sorted(token.objects()), [], "keys in the token")
        check_equal(sorted(token.objects("pubkey")), [], "public keys in the token")
    with lab(*alice.lab, "--pending", "2", "--retry-after", "1") as ca:
        command = ("enroll", *server(ca), *alice.client, "--subject", "CN=a", "--new-key", "ec:P-256", "--key-out",
                   token.uri("kept"), *pin, "--out", out)
        est(*command, code=7)
        check_equal(sorted(p.name for p in (tmp / "out.pending").iterdir()), ["key.uri", "state.json"], "DIR.pending")
        for path in (tmp / "out.pending").iterdir():
            check_not_in(PIN, path.read_text(), path.name)
        seen, before = len(ca.access_log()), snapshot(tmp / "out.pending")
        for other in (("--new-key", "ec:P-384"), ("--new-key", "ec:P-256", "--key-out", token.uri("another"))):
            changed = [*command[:command.index("--new-key")], *other,
                       *(() if "--key-out" in other else ("--key-out", token.uri("kept"))), *pin, "--out", out]
            answer = est.json(*changed, code=(2, 11))
            check(answer["error"]["code"] in ("config.pending-other", "key.not-found"), answer)
        soft = [*command[:command.index("--new-key")], "--out", out]
        check_equal(est.json(*soft, code=2)["error"]["code"], "config.pending-other", "code for a key in software")
        check_equal((len(ca.access_log()), snapshot(tmp / "out.pending")), (seen, before), "requests and files")
        check_equal(sorted(token.objects()), ["kept"], "keys in the token")
        est(*command, code=7)
        est(*command, code=0)
        check_folder(out, ca.anchors, key="key.uri")
        check_from_outside(token, out, "kept")
        check_equal(len({r["body_sha256"] for r in posts(ca)}), 1, "different request bodies")


def named_keys(out):
    """The labels of the keys that DIR and DIR.pending name."""
    uris = [p.read_text() for p in (out / "key.uri", out.with_name(out.name + ".pending") / "key.uri") if p.exists()]
    return {re.search(r"object=([^;?\n]*)", uri).group(1) for uri in uris}


def clear(est, token, out):
    for path in (out, out.with_name("out.pending")):
        shutil.rmtree(path, ignore_errors=True)
    if labels(token):
        est("key", "delete", token.uri("k"), "--pin", token.pin, "--yes", code=0)


def labels(token, kind="privkey"):
    """Of our keys: killed inside of its own C_GenerateKeyPair, SoftHSM leaves objects that have no name yet."""
    return {"k"} & set(token.objects(kind))


@case("a run killed at any moment leaves no key in the token that neither DIR nor DIR.pending names")
def killed(tmp):
    token, alice, out = Token(tmp), Alice(tmp), tmp / "out"
    est = estuary(env=token.env)
    for misbehave in ((), ("--misbehave", "wrong-key")):
        with lab(*alice.lab, *misbehave, dir=tmp / "lab") as ca:
            command = ["enroll", *server(ca), *alice.client, "--subject", "CN=a", "--new-key", "ec:P-256", "--key-out",
                       token.uri("k"), "--pin", token.pin, "--out", out]
            clear(est, token, out)
            begin, code = time.monotonic(), 9 if misbehave else 0
            est(*command, code=code)
            full = time.monotonic() - begin
            for number in range(KILLS):
                clear(est, token, out)
                process = subprocess.Popen([str(part) for part in (est.binary, *command)], stdin=subprocess.DEVNULL,
                                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(est.env))
                time.sleep(full * (number + 4) / (KILLS + 4))
                process.kill()
                process.wait()
                token.mend()
                left = labels(token)
                check(left <= named_keys(out), f"kill {number}: the token holds {left}, named are {named_keys(out)}")
                if out.exists():
                    continue
                est(*command, code=code)        # and the same command goes on from there
                check_equal(labels(token), named_keys(out), "keys in the token after another run")
                check_equal(labels(token, "pubkey"), named_keys(out), "public keys in the token after another run")


@case("what a killed run wrote down is destroyed by the next: a key made, one not yet made, one of a refused certificate")
def intent(tmp):
    token, alice, out, pending = Token(tmp), Alice(tmp), tmp / "out", tmp / "out.pending"
    est, pin = estuary(env=token.env), ("--pin", token.pin)
    with lab(*alice.lab) as ca:
        command = ("enroll", *server(ca), *alice.client, "--subject", "CN=a", "--new-key", "ec:P-256", "--key-out")
        for number, made in enumerate((True, False)):
            if made:
                est("key", "generate", "ec:P-256", token.uri(f"orphan;id=%{number:02x}"), *pin, code=0)
            pending.mkdir(mode=0o700)
            (pending / "key.uri").write_text(token.uri(f"orphan;id=%{number:02x}") + "\n")
            seen = len(ca.access_log())
            if made:        # without the PIN the token shows no private key: that is not "gone"
                answer = est.json(*command, tmp / "soft.key", "--out", out, code=11)
                check_in("DIR.pending/key.uri", answer["error"]["remedy"], "remedy")
                check(pending.exists() and len(ca.access_log()) == seen, "the key was forgotten, or something was sent")
            else:           # a key of another id under the same label is not ours to destroy
                est("key", "generate", "ec:P-256", token.uri("orphan;id=%77"), *pin, code=0)
            est(*command, token.uri(f"k{number}"), *pin, "--out", out, code=0)
            check_equal("orphan" in token.objects(), not made, "the key that was written down is there")
            check(not pending.exists(), "DIR.pending is left")
        check_equal(sorted(token.objects()), ["k0", "k1", "orphan"], "keys in the token")
        est("key", "delete", token.uri("orphan;id=%77"), *pin, "--yes", code=0)
        est("key", "generate", "ec:P-256", token.uri("found;id=%55"), *pin, code=0)
        found = tmp / "found"
        found.with_name("found.pending").mkdir(mode=0o700)
        (found.with_name("found.pending") / "key.uri").write_text(token.uri("found;id=%55") + "\n")
        est("enroll", *server(ca), *alice.client, "--subject", "CN=a", "--key", token.uri("found"), *pin, "--out", found,
            code=0)         # who names what was left uses it: no orphan any more
        check("found" in token.objects() and not found.with_name("found.pending").exists(), "the key in use is there")
        est("key", "delete", token.uri("found"), *pin, "--yes", code=0)
    with lab(*alice.lab, "--misbehave", "wrong-key", dir=tmp / "lab") as ca:
        pin_uri = token.uri("s") + f"&pin-source=file:{tmp}/pin-source"
        password_file(tmp, PIN, name="pin-source")
        est("enroll", *server(ca), *alice.client, "--subject", "CN=a", "--new-key", "ec:P-256", "--key-out", pin_uri,
            "--out", tmp / "other", code=9)
        check_equal((sorted(token.objects()), (tmp / "other.pending").exists()), (["k0", "k1"], False), "what is left")


@case("a renewal that is pending keeps the new key and the old; when it is refused only the new one goes")
def renewal_pending(tmp):
    token, alice, out = Token(tmp), Alice(tmp), tmp / "out"
    est, pin = estuary(env=token.env), ("--pin", token.pin)
    with lab(*alice.lab, dir=tmp / "lab") as ca:
        est("enroll", *server(ca), *alice.client, "--subject", "CN=a", "--new-key", "ec:P-256", "--key-out",
            token.uri("k"), *pin, "--out", out, code=0)
    old = snapshot(out)
    with lab(*alice.lab, "--pending", "1", "--retry-after", "1", dir=tmp / "lab") as ca:
        command = ("reenroll", *server(ca), "--cert", out / "cert.pem", "--key", key_uri(out), *pin, "--out", out)
        est(*command, code=7)
        check_equal((sorted(token.objects()), snapshot(out)), (["k", "k-2"], old), "keys and files while pending")
        est(*command, code=0)
        check_from_outside(token, out, "k-2")
    old = snapshot(out)
    with lab(*alice.lab, "--misbehave", "wrong-key", dir=tmp / "lab") as ca:
        est("reenroll", *server(ca), "--cert", out / "cert.pem", "--key", key_uri(out), *pin, "--out", out, code=9)
        check_equal((sorted(token.objects()), snapshot(out)), (["k", "k-2"], old), "keys and files after a refusal")
    est("reenroll", "--server", "https://localhost:1", "--trust", ca.anchors, "--cert", out / "cert.pem", "--key",
        key_uri(out), *pin, "--out", out, code=4)
    check_equal((sorted(token.objects()), snapshot(out)), (["k", "k-2"], old), "keys and files without a server")


@case("TLS 1.2 and 1.3 client authentication with RSA (PSS) and EC keys of a token, channel-bound, and software beside")
def tls_and_binding(tmp):
    token, alice = Token(tmp), Alice(tmp)
    est, pin = estuary(env=token.env), ("--pin", token.pin)
    root = tmp / "lab"
    for version in ("1.2", "1.3"):
        with lab(*alice.lab, "--tls", version, "--require-pop", dir=root) as ca:
            for algorithm in ("rsa:2048", "ec:P-384"):
                name = f"{algorithm[:2]}-{version}"
                out = tmp / name
                est("enroll", *server(ca), *alice.client, "--subject", "CN=a", "--new-key", algorithm, "--key-out",
                    token.uri(name), *pin, "--pop", "required", "--out", out, code=0)
                answer = est.json("reenroll", *server(ca), "--cert", out / "cert.pem", "--key", key_uri(out), *pin,
                                  "--pop", "required", "--out", out, code=0)
                check_equal(answer["tls_version"], f"TLSv{version}", "TLS version")
                check_equal(answer["channel_binding"], "tls-unique" if version == "1.2" else "tls-exporter",
                            "channel binding")
                check_from_outside(token, out, f"{name}-2")
            # the identity in the token, the new key in software, in one process
            answer = est.json("reenroll", *server(ca), "--cert", out / "cert.pem", "--key", key_uri(out), *pin,
                              "--key-out", tmp / f"soft-{version}.key", "--out", tmp / f"soft-{version}", code=0)
            check_equal(key_of(tmp / f"soft-{version}.key"),
                        key_of_certificate(tmp / f"soft-{version}/cert.pem"), "public key")


@case("serverkeygen decrypts with a token's RSA key (key transport) and EC key (ECDH), fullcmc signs with them")
def keygen_and_cmc(tmp):
    token, alice = Token(tmp), Alice(tmp)
    est, pin = estuary(env=token.env), ("--pin", token.pin)
    with lab(*alice.lab) as ca:
        for algorithm in ("rsa:2048", "ec:P-256"):
            name = algorithm[:2]
            est("key", "generate", algorithm, token.uri(name), *pin, code=0)
            answer = est.json("serverkeygen", *server(ca), *alice.client, "--subject", "CN=a", "--decrypt-key",
                              token.uri(name), *pin, "--out", tmp / f"gen-{name}", code=0)
            check(answer["key_protection"] not in ("", "tls"), f"protection: {answer['key_protection']}")
            check_folder(tmp / f"gen-{name}", ca.anchors)
            out = tmp / f"cmc-{name}"
            est("fullcmc", *server(ca), *alice.client, "--subject", "CN=b", "--key", token.uri(name), *pin, "--out", out,
                code=0)
            check_from_outside(token, out, name)
            # signed with the identity of the token, the new key in the token, too
            est("fullcmc", *server(ca), "--subject", "CN=b", "--cert", out / "cert.pem", "--key", key_uri(out), *pin,
                "--new-key", "ec:P-256", "--key-out", token.uri(f"{name}-new"), "--out", out, code=0)
            check_from_outside(token, out, f"{name}-new")


@case("Ed25519 in the token: made, enrolled and renewed over TLS 1.3")
def ed25519(tmp):
    token, alice, out = Token(tmp), Alice(tmp), tmp / "out"
    (tmp / "leaks").write_text(LEAK)
    quiet = {"LSAN_OPTIONS": f"suppressions={tmp}/leaks:print_suppressions=0",
             "ASAN_OPTIONS": "fast_unwind_on_malloc=0"}
    est, pin = estuary(env={**token.env, **quiet}), ("--pin", token.pin)
    with lab(*alice.lab, "--tls", "1.3") as ca:
        est("enroll", *server(ca), *alice.client, "--subject", "CN=a", "--new-key", "ed25519", "--key-out",
            token.uri("ed"), *pin, "--out", out, code=0)
        est("reenroll", *server(ca), "--cert", out / "cert.pem", "--key", key_uri(out), *pin, "--out", out, code=0)
        check_folder(out, ca.anchors, key="key.uri")
        check_in("ED25519", text_of(out / "cert.pem"), "certificate")
        check_equal(sorted(token.objects()), ["ed", "ed-2"], "keys in the token")


@case("what no new key can be made at is refused before anything is sent")
def refusals(tmp):
    token = Token(tmp)
    est = estuary(env=token.env)
    common = ("--server", "https://localhost:1", "--trust", make_ca(tmp / "ca").cert, "--subject", "CN=a", "--new-key", "ec:P-256")
    (tmp / "out").mkdir(mode=0o755)
    for place in ("handle:0x81000001", f"tpm2:{tmp}/out/k.pem", tmp / "out/k.pem"):
        answer = est.json("enroll", *common, "--key-out", place, "--out", tmp / "out", code=2)
        check_equal(answer["error"]["code"], "usage.option", f"code for {place}")


if __name__ == "__main__":
    main()
