"""Keys of a TPM 2.0 through the command (K5): the man page's examples with a software TPM, and what openssl and
tpm2-tools say of the keys from outside."""

import contextlib
import pathlib
import re
import subprocess

from common import (Alice, check_folder, estuary, key_of_certificate, lab, server)
from harness import (case, check, check_equal, check_in, check_not_in, main, need, openssl, password_file, run, snapshot,
                     start_server, stop_server, wait_until)

AUTH = "tpm-41953"


@contextlib.contextmanager
def software_tpm(tmp):
    """swtpm on a socket of its own; gives the environment of everything that uses it."""
    need("swtpm", "tpm2_createprimary")
    (tmp / "tpm").mkdir()
    socket = tmp / "tpm/sock"
    process = start_server(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={tmp}/tpm", "--server",
                            f"type=unixio,path={socket}", "--ctrl", f"type=unixio,path={socket}.ctrl", "--flags",
                            "not-need-init,startup-clear"], stderr=subprocess.DEVNULL)
    try:
        wait_until(socket.exists, what="the socket of swtpm")
        tcti = f"swtpm:path={socket}"
        yield {"TPM2OPENSSL_TCTI": tcti, "TPM2TOOLS_TCTI": tcti, "TSS2_LOG": "all+NONE"}
    finally:
        stop_server(process)


def tools(env, *commands):
    """Each with the few slots of the TPM empty: nobody else manages them."""
    for command in commands:
        run(command, env=env, code=0)
        run(["tpm2_flushcontext", "-t"], env=env, code=0)


def tpm_lockouts(env):
    """How many mistakes the TPM holds against its users (TPM2_PT_LOCKOUT_COUNTER)."""
    text = run(["tpm2_getcap", "properties-variable"], env=env, code=0).out
    return int(re.search(r"TPM2_PT_LOCKOUT_COUNTER:\s*0x([0-9A-Fa-f]+)", text).group(1), 16)


def persistent_key(tmp, env, handle):
    primary, public, private, context = (tmp / f"tpm/{n}" for n in ("primary", "pub", "priv", "ctx"))
    tools(env, ["tpm2_createprimary", "-Q", "-C", "o", "-c", primary],
          ["tpm2_create", "-Q", "-C", primary, "-G", "ecc256", "-u", public, "-r", private, "-p", AUTH],
          ["tpm2_load", "-Q", "-C", primary, "-u", public, "-r", private, "-c", context],
          ["tpm2_evictcontrol", "-Q", "-C", "o", "-c", context, handle])


def check_from_outside(path, folder, env, auth):
    """The file holds a key that only this TPM opens; openssl: the certificate is this key's."""
    text = path.read_text()
    check_in("BEGIN TSS2 PRIVATE KEY", text, path.name)
    check_equal(path.stat().st_mode & 0o777, 0o600, "mode")
    run(["openssl", "pkey", "-in", path, "-noout"], code=1)     # no key for OpenSSL alone
    shown = run(["openssl", "pkey", "-provider", "tpm2", "-provider", "base", "-in", path, "-passin", auth, "-noout",
                 "-text"], env=env, code=0).out
    for attribute in ("fixedTPM", "fixedParent", "sensitiveDataOrigin"):
        check_in(attribute, shown, f"attributes of {path.name}")
    public = run(["openssl", "pkey", "-provider", "tpm2", "-provider", "base", "-in", path, "-passin", auth, "-pubout"],
                 env=env, code=0).out
    check_equal(public, key_of_certificate(folder / "cert.pem"), "public key")
    check_equal((folder / "key.uri").read_text(), f"tpm2:{path.resolve()}\n", "key.uri")


@case("as the man page shows: a key of the TPM is made, enrolled and renewed over TLS 1.3")
def example(tmp):
    with software_tpm(tmp) as env:
        alice, device, auth = Alice(tmp), tmp / "device", f"file:{password_file(tmp, AUTH, name='auth')}"
        est, key, pin = estuary(env=env), tmp / "tpm/device.tpm", ("--pin", f"file:{tmp}/auth")
        est("key", "generate", "ec:P-256", f"tpm2:{key}", *pin, code=0)
        shown = est.json("key", "show", f"tpm2:{key}", *pin, code=0)
        check_equal(shown["algorithm"], "ec:P-256", "algorithm")
        est("csr", "--subject", "CN=a", "--key", f"tpm2:{key}", *pin, "-o", tmp / "a.csr", code=0)
        openssl("req", "-in", tmp / "a.csr", "-verify", "-noout")
        with lab(*alice.lab, "--tls", "1.3") as ca:
            first = est.json("enroll", *server(ca), *alice.client, "--subject", "CN=device 1", "--key", f"tpm2:{key}",
                             *pin, "--out", device, code=0)
            check_equal(first["tls_version"], "TLSv1.3", "TLS version")
            check_folder(device, ca.anchors, key="key.uri")
            check_from_outside(key, device, env, auth)
            for name in ("device-2.tpm", "device-3.tpm"):
                named = (device / "key.uri").read_text().strip()
                renewed = est.json("reenroll", *server(ca), "--cert", device / "fullchain.pem", "--key", named, *pin,
                                   "--out", device, code=0)
                check_equal(renewed["tls_version"], "TLSv1.3", "TLS version")
                check_folder(device, ca.anchors, key="key.uri")
                check_from_outside(tmp / "tpm" / name, device, env, auth)
            est("reenroll", *server(ca), "--cert", device / "fullchain.pem", "--key", f"tpm2:{tmp}/tpm/device-3.tpm", *pin,
                "--same-key", "--out", device, code=0)
            check_from_outside(tmp / "tpm/device-3.tpm", device, env, auth)


@case("RSA in the TPM: enrolled with --key-out tpm2:, TLS 1.2 and 1.3 with RSA-PSS, channel-bound, serverkeygen, fullcmc")
def rsa(tmp):
    with software_tpm(tmp) as env:
        alice, out, est = Alice(tmp), tmp / "out", estuary(env=env)
        for version in ("1.2", "1.3"):
            with lab(*alice.lab, "--tls", version, dir=tmp / "lab") as ca:
                key = tmp / f"rsa{version[-1]}.tpm"
                est("enroll", *server(ca), *alice.client, "--subject", "CN=a", "--new-key", "rsa:2048", "--key-out",
                    f"tpm2:{key}", "--out", out, code=0)
                answer = est.json("reenroll", *server(ca), "--cert", out / "cert.pem", "--key", f"tpm2:{key}", "--new-key",
                                  "ec:P-256", "--pop", "required", "--out", out, code=0)
                check_equal(answer["tls_version"], f"TLSv{version}", "TLS version")
                check_from_outside(tmp / f"rsa{version[-1]}-2.tpm", out, env, "pass:")
        with lab(*alice.lab, dir=tmp / "lab") as ca:
            for algorithm in ("rsa:2048", "ec:P-256"):
                key = f"tpm2:{tmp}/{algorithm[:2]}.tpm"
                est("key", "generate", algorithm, key, code=0)
                est("serverkeygen", *server(ca), *alice.client, "--subject", "CN=b", "--decrypt-key", key, "--out",
                    tmp / f"gen-{algorithm[:2]}", code=0)
                check_folder(tmp / f"gen-{algorithm[:2]}", ca.anchors)
                est("fullcmc", *server(ca), *alice.client, "--subject", "CN=c", "--key", key, "--out",
                    tmp / f"cmc-{algorithm[:2]}", code=0)
                check_folder(tmp / f"cmc-{algorithm[:2]}", ca.anchors, key="key.uri")


@case("as the man page shows: a persistent handle enrols and renews; a new key goes to --key-out tpm2:")
def handle(tmp):
    with software_tpm(tmp) as env:
        alice, out, est = Alice(tmp), tmp / "out", estuary(env=env)
        pin = ("--pin", f"file:{password_file(tmp, AUTH, name='auth')}")
        persistent_key(tmp, env, "0x81000005")
        attributes = run(["tpm2_readpublic", "-c", "0x81000005", "-f", "pem", "-o", tmp / "pub.pem"], env=env, code=0).out
        for attribute in ("fixedtpm", "fixedparent", "sensitivedataorigin"):
            check_in(attribute, attributes, "attributes")
        with lab(*alice.lab, "--tls", "1.3") as ca:
            identity = ("--cert", out / "fullchain.pem", "--key", "handle:0x81000005", *pin)
            est("enroll", *server(ca), *alice.client, "--subject", "CN=device", "--key", "handle:0x81000005", *pin, "--out",
                out, code=0)
            check_folder(out, ca.anchors, key="key.uri")
            check_equal((out / "key.uri").read_text(), "handle:0x81000005\n", "key.uri")
            check_equal((tmp / "pub.pem").read_text(), key_of_certificate(out / "cert.pem"), "public key")
            est("reenroll", *server(ca), *identity, "--same-key", "--out", out, code=0)
            answer = est.json("reenroll", *server(ca), *identity, "--out", out, code=2)
            check_equal(answer["error"]["code"], "usage.option", "code without a place for the new key")
            check_in("--key-out tpm2:PATH", answer["error"]["remedy"], "remedy")
            est("reenroll", *server(ca), *identity, "--key-out", f"tpm2:{tmp}/next.tpm", "--out", out, code=0)
            check_from_outside(tmp / "next.tpm", out, env, f"file:{tmp}/auth")


@case("a refused certificate's TPM key is removed, a pending one's stays and is resumed; no authorisation on disk")
def refused_and_pending(tmp):
    with software_tpm(tmp) as env:
        alice, out, est, key = Alice(tmp), tmp / "out", estuary(env=env), tmp / "new.tpm"
        pin = ("--pin", f"file:{password_file(tmp, AUTH, name='auth')}")
        command = ("--subject", "CN=a", "--new-key", "ec:P-256", "--key-out", f"tpm2:{key}", *pin, "--out", out)
        with lab(*alice.lab, "--misbehave", "wrong-key", dir=tmp / "lab") as ca:
            est("enroll", *server(ca), *alice.client, *command, code=9)
            check(not key.exists(), "the refused key is still there")
        with lab(*alice.lab, "--pending", "1", "--retry-after", "1", dir=tmp / "lab") as ca:
            est("enroll", *server(ca), *alice.client, *command, code=7)
            check_equal(sorted(p.name for p in (tmp / "out.pending").iterdir()), ["key.uri", "state.json"], "DIR.pending")
            for path in [key, *(tmp / "out.pending").iterdir()]:
                check_not_in(AUTH, path.read_text(), path.name)
            est("enroll", *server(ca), *alice.client, *command, code=0)
            check_from_outside(key, out, env, f"file:{tmp}/auth")


@case("an owner hierarchy with an authorisation: said plainly, and a persistent parent serves")
def owner(tmp):
    with software_tpm(tmp) as env:
        est, old = estuary(env=env), tmp / "old.tpm"
        est("key", "generate", "ec:P-256", f"tpm2:{old}", code=0)
        tools(env, ["tpm2_createprimary", "-Q", "-C", "o", "-c", tmp / "tpm/srk"],
              ["tpm2_evictcontrol", "-Q", "-C", "o", "-c", tmp / "tpm/srk", "0x81000001"],
              ["tpm2_changeauth", "-c", "o", "owner-secret"])
        for command in (("key", "generate", "ec:P-256", f"tpm2:{tmp}/no.tpm"), ("key", "show", f"tpm2:{old}")):
            answer = est.json(*command, code=11)
            check_equal(answer["error"]["code"], "key.tpm-parent", f"code of {command[1]}")
        check(not (tmp / "no.tpm").exists(), "a key that cannot be loaded was written")
        est("key", "generate", "ec:P-256", f"tpm2:{tmp}/below.tpm?parent=0x81000001", code=0)
        alice, out = Alice(tmp), tmp / "out"
        with lab(*alice.lab) as ca:
            est("enroll", *server(ca), *alice.client, "--subject", "CN=a", "--key", f"tpm2:{tmp}/below.tpm", "--out", out,
                code=0)
            est("reenroll", *server(ca), "--cert", out / "cert.pem", "--key", f"tpm2:{tmp}/below.tpm", "--out", out, code=0)
            check_from_outside(tmp / "below-2.tpm", out, env, "pass:")
        for place in (f"tpm2:{tmp}/x?parent=0x40000001", f"tpm2:{tmp}/x?what=ever"):
            est("key", "generate", "ec:P-256", place, code=2)


@case("--tpm-owner-auth and --tpm-parent-auth: keys are made, used and renewed below them; a wrong one is tried once")
def owner_auth(tmp):
    with software_tpm(tmp) as env:
        est, alice, out = estuary(env=env), Alice(tmp), tmp / "out"
        tools(env, ["tpm2_createprimary", "-Q", "-C", "o", "-c", tmp / "tpm/srk", "-p", "parent-secret", "-a",
                    "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|decrypt"],     # no noda: it may lock
              ["tpm2_evictcontrol", "-Q", "-C", "o", "-c", tmp / "tpm/srk", "0x81000001"],
              ["tpm2_changeauth", "-c", "o", "owner-secret"])
        owner = ("--tpm-owner-auth", f"file:{password_file(tmp, 'owner-secret', name='owner')}")
        parent = ("--tpm-parent-auth", f"file:{password_file(tmp, 'parent-secret', name='parent')}")
        pin = ("--pin", f"file:{password_file(tmp, AUTH, name='auth')}")
        with lab(*alice.lab, "--tls", "1.3") as ca:
            for name, query, auth in (("own", "", owner), ("below", "?parent=0x81000001", parent)):
                est("key", "generate", "ec:P-256", f"tpm2:{tmp}/{name}.tpm{query}", *pin, *auth, code=0)
                est("enroll", *server(ca), *alice.client, "--subject", "CN=a", "--key", f"tpm2:{tmp}/{name}.tpm", *pin, *auth,
                    "--out", out, code=0)
                renewed = est.json("reenroll", *server(ca), "--cert", out / "fullchain.pem", "--key",
                                   (out / "key.uri").read_text().strip(), *pin, *auth, "--out", out, code=0)
                check_equal(renewed["tls_version"], "TLSv1.3", "TLS version")
                check_folder(out, ca.anchors, key="key.uri")
                check_equal((out / "key.uri").read_text(), f"tpm2:{tmp.resolve()}/{name}-2.tpm\n", "key.uri")
        # by environment and descriptor, too: the same sources as those of a PIN
        est.json("key", "show", f"tpm2:{tmp}/own.tpm", *pin, "--tpm-owner-auth", "env:OWNER", env={"OWNER": "owner-secret"}, code=0)
        # the module beside the program is found, too, when the shell finds that in PATH
        run(["/bin/sh", "-c", 'PATH=$1:$PATH; shift; exec estuary "$@"', "sh", pathlib.Path(est.binary).parent, "key", "show",
             f"tpm2:{tmp}/own.tpm", *pin, *owner], env=est.env, code=0)
        lockouts = tpm_lockouts(env)
        for name, option, query in (("own", "--tpm-owner-auth", ""), ("below", "--tpm-parent-auth", "?parent=0x81000001")):
            for command in (("show", f"tpm2:{tmp}/{name}.tpm"), ("generate", "ec:P-256", f"tpm2:{tmp}/no.tpm{query}")):
                answer = est.json("key", *command, *pin, option, "env:WRONG", env={"WRONG": "guess-771"}, code=11)
                check_equal((answer["error"]["code"], answer["error"]["category"]), ("key.tpm-auth", "key"), f"{command}")
                check_not_in("guess-771", str(answer), "the answer")
        answer = est.json("key", "show", f"tpm2:{tmp}/own.tpm", *pin, code=11)
        check_equal(answer["error"]["code"], "key.tpm-parent", "code without any")
        check_in("--tpm-owner-auth", answer["error"]["remedy"], "remedy")
        check(not (tmp / "no.tpm").exists(), "a key that cannot be loaded was written")
        check_equal(tpm_lockouts(env) - lockouts, 2, "mistakes with the parent's that the TPM counted: one a command")
        # not a TPM's key: they are not even read
        est("csr", "--subject", "CN=a", "--new-key", "ec:P-256", "--key-out", tmp / "soft.key", "--tpm-owner-auth",
            f"file:{tmp}/nobody", code=0)


@case("slots that others hold: key.token-sessions, and the next call works when they are free again")
def exhausted(tmp):
    with software_tpm(tmp) as env:
        est, key = estuary(env=env), f"tpm2:{tmp}/k.tpm"
        est("key", "generate", "ec:P-256", key, code=0)
        for number in range(3):
            run(["tpm2_createprimary", "-Q", "-C", "o", "-c", tmp / f"tpm/{number}"], env=env)
        answer = est.json("key", "show", key, code=11)
        check_equal(answer["error"]["code"], "key.token-sessions", "code")
        check_equal(answer["error"]["retryable"], True, "retryable")
        run(["tpm2_flushcontext", "-t"], env=env, code=0)
        est("key", "show", key, code=0)


@case("without the tpm2 provider, or without a TPM: exit 12, and software keys work")
def absent(tmp):
    need("swtpm")
    (tmp / "modules").mkdir()
    before = snapshot(tmp)
    for env in ({"OPENSSL_MODULES": tmp / "modules"}, {"TPM2OPENSSL_TCTI": f"swtpm:path={tmp}/nobody", "TSS2_LOG": "all+NONE"}):
        # what tpm2-openssl leaks when it finds no TPM is not ours
        est = estuary(env={**env, "ASAN_OPTIONS": "detect_leaks=0"})
        for command in (("key", "generate", "ec:P-256", f"tpm2:{tmp}/k"), ("key", "show", "handle:0x81000001"),
                        ("csr", "--subject", "CN=a", "--key", "handle:0x81000001")):
            answer = est.json(*command, code=12)
            check_equal(answer["error"]["code"], "unsupported.tpm2", f"code of {command[:2]}")
        check_equal(snapshot(tmp), before, "files")
        est("csr", "--subject", "CN=a", "--new-key", "ec:P-256", "--key-out", tmp / "soft.key", code=0)
        (tmp / "soft.key").unlink()


if __name__ == "__main__":
    main()
