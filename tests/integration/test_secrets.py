"""No password, PIN or key turns up in output, logs, files, argv or a key log, and the environment cannot make it so."""

import base64
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import Alice, Listener, basic_header, estuary, lab, server  # noqa: E402
from harness import (case, cases_from, check, check_equal, environment, free_port, main, make_key, need, one_json_object,  # noqa: E402
                     openssl, password_file, run)

PASSWORD = "correct-horse-7f3a91"
PIN = "battery-staple-55c0de"
PROXY_PASSWORD = "tr0ub4dor-and-3-9b1e"
KEK = "8f1c2e4b6a7d90315c2b4f6e8a9d0c1b"
KEY_PASSWORD = "swordfish-4c1d77e0"


def forbidden(*extra):
    """Every secret as it is, and as base64 at each of the three offsets it can have in a longer text."""
    found = []
    for secret in (PASSWORD, PIN, PROXY_PASSWORD, KEK, KEY_PASSWORD, *extra):
        raw = secret.encode()
        found.append(raw)
        for pad in range(3):
            text = base64.b64encode(b"\0" * pad + raw)
            # the first and last group also hold bits of the neighbours
            found.append(text[4 if pad else 0:-4])
    found += [basic_header("alice", PASSWORD).encode(), PASSWORD.encode().hex().encode(), PIN.encode().hex().encode(),
              KEY_PASSWORD.encode().hex().encode(), base64.b64encode(bytes.fromhex(KEK))[:-4]]
    return found


def search(data, where, needles):
    if isinstance(data, str):
        data = data.encode()
    for needle in needles:
        check(needle.lower() not in data.lower() if len(needle) > 30 else needle not in data,
              f"{where} holds the secret {needle!r}")


def key_body(path):
    """A line from the middle of a PEM file: what would show if the private key leaked."""
    lines = path.read_text().split("\n")
    return lines[2]


def everything(tmp, log_format):
    alice, est = Alice(tmp, PASSWORD), estuary()
    pin = password_file(tmp, PIN, name="pin")
    make_key(tmp / "plain.key")
    openssl("pkcs8", "-topk8", "-in", tmp / "plain.key", "-out", tmp / "enc.key", "-passout", f"file:{pin}")
    (tmp / "enc.key").chmod(0o600)
    keylog, work = tmp / "keylog", tmp / "work"
    work.mkdir()
    dead = f"http://127.0.0.1:{free_port()}"
    env = {"SSLKEYLOGFILE": keylog, **{name: dead for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy",
                                                               "ALL_PROXY")}}
    outputs = []

    def do(*args, code):
        for extra in (("-vvv", "--log-format", log_format), ("-vvv", "--log-format", log_format, "--json")):
            result = est(*args, *extra, env=env)
            outputs.append((args[0] + " " + " ".join(extra), result))
            if extra[-1] == "--json":
                one_json_object(result.out)
            result.expect(code)
            if log_format == "json" and extra[-1] == "--json":
                # stderr is one JSON object a line
                for line in result.err.splitlines():
                    one_json_object(line)
    kek = password_file(tmp, KEK, name="kek")
    key_password = password_file(tmp, KEY_PASSWORD, name="key-password")
    with lab(*alice.lab, "--csrattrs", str(attributes(tmp)), "--kek", f"k1=file:{kek}", "--key-password",
             f"p1=file:{key_password}") as ca:
        out = work / "out"
        enroll = ("enroll", *server(ca), *alice.client, "--subject", "CN=device", "--key", tmp / "enc.key", "--out", out)
        do(*enroll, "--pin", f"file:{pin}", code=0)
        do(*enroll, "--pin", f"file:{pin}", "--preemptive-auth", "--csrattrs", code=0)
        do("reenroll", *server(ca), "--cert", out / "cert.pem", "--key", tmp / "enc.key", "--pin", f"file:{pin}",
           "--same-key", "--out", work / "again", code=0)
        do("bootstrap", "--server", ca.url, *alice.client, "--fingerprint", ca.fingerprint, "-o", work / "ca.pem", code=0)
        do("cacerts", *server(ca), *alice.client, "--preemptive-auth", code=0)
        do("csrattrs", *server(ca), *alice.client, "--preemptive-auth", code=0)
        keygen = ("serverkeygen", *server(ca), *alice.client, "--subject", "CN=device", "--out", work / "keygen")
        do(*keygen, "--decrypt-kek", f"k1=file:{kek}", code=0)
        do(*keygen, "--decrypt-password", f"p1=file:{key_password}", code=0)
        do(*keygen, "--decrypt-kek", f"k2=file:{kek}", code=8)
        do(*keygen, "--decrypt-kek", f"k1={KEK}", code=2)
        do(*keygen, "--decrypt-password", KEY_PASSWORD, code=2)
        do("csr", "--key", tmp / "enc.key", "--pin", f"file:{pin}", "--subject", "CN=x", code=0)
        do("verify", out / "cert.pem", "--trust", ca.anchors, "--chain", out / "chain.pem", "--key", tmp / "enc.key",
           "--pin", f"file:{pin}", code=0)
        do("version", code=0)
        do("fullcmc", *server(ca), *alice.client, "--subject", "CN=x", "--cmc-identity", "alice", "--cmc-secret",
           f"file:{alice.file}", "--out", work / "cmc", code=0)
        # failures speak too
        do("fullcmc", *server(ca), *alice.client, "--subject", "CN=x", "--cmc-identity", "alice", "--cmc-secret",
           f"file:{pin}", "--out", work / "no", code=6)
        do("fullcmc", *server(ca), *alice.client, "--subject", "CN=x", "--cmc-secret", PASSWORD, "--out", work / "no",
           code=2)
        do("enroll", *server(ca), "--user", "alice", "--password", f"file:{pin}", "--subject", "CN=x", "--out",
           work / "no", code=6)
        do("verify", out / "cert.pem", "--trust", ca.anchors, "--key", tmp / "enc.key", "--pin",
           f"file:{alice.file}", code=11)
        do("enroll", *server(ca), "--user", "alice", "--password", PASSWORD, "--subject", "CN=x", "--out", work / "no",
           code=2)
        do("enroll", *server(ca), *alice.client, "--pin", PIN, "--key", tmp / "enc.key", "--subject", "CN=x", "--out",
           work / "no", code=2)
        do("cacerts", "--server", f"https://alice:{PASSWORD}@localhost", "--trust", ca.anchors, code=2)
        do("cacerts", *server(ca), "--proxy", f"http://alice:{PROXY_PASSWORD}@127.0.0.1:1", code=2)
        needles = forbidden(key_body(tmp / "plain.key"))
        for name, result in outputs:
            search(result.out, f"stdout of {name}", needles)
            search(result.err, f"stderr of {name}", needles)
        for path in work.rglob("*"):
            if path.is_file() and path.name != "key.pem":
                search(path.read_bytes(), str(path), needles)
            check(not path.is_file() or path.name != "key.pem" or path.stat().st_mode & 0o777 == 0o600, "mode of key.pem")
        search((ca.dir / "access.log").read_bytes(), "the lab's access log", needles)
    check(not keylog.exists(), "no key log was written")
    check(any("enroll.issued" in result.err for _, result in outputs), "-vvv did log something")


def attributes(tmp):
    path = tmp / "attributes"
    path.write_bytes(bytes.fromhex("300a06082a8648ce3d040303"))
    return path


cases_from({f"every command with -vvv --log-format {f}: no secret anywhere, no key log, no proxy of the environment":
            (f,) for f in ("text", "json")}, everything)


@case("/proc/PID/cmdline and environ never hold what a file held")
def process(tmp):
    alice, est = Alice(tmp, PASSWORD), estuary()
    pin = password_file(tmp, PIN, name="pin")
    make_key(tmp / "plain.key")
    openssl("pkcs8", "-topk8", "-in", tmp / "plain.key", "-out", tmp / "enc.key", "-passout", f"file:{pin}")
    (tmp / "enc.key").chmod(0o600)
    needles, looked = forbidden(), 0
    with lab(*alice.lab, "--misbehave", "stall@simpleenroll") as ca:
        args = ("enroll", *server(ca), *alice.client, "--preemptive-auth", "--subject", "CN=x", "--key", tmp / "enc.key",
                "--pin", f"file:{pin}", "--out", tmp / "out")
        child = subprocess.Popen([str(part) for part in (est.binary, *args)], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(est.env))
        try:
            deadline = time.monotonic() + 15
            while time.monotonic() < deadline and not ca.access_log():
                for name in ("cmdline", "environ"):
                    search(pathlib.Path(f"/proc/{child.pid}/{name}").read_bytes(), f"/proc/PID/{name}", needles)
                looked += 1
                time.sleep(0.02)
            check(ca.access_log(), "the request came")
            check(looked > 1, "looked on the way")
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()


@case("a proxy's password: nowhere but in the proxy")
def proxy_password(tmp):
    alice, est = Alice(tmp, PASSWORD), estuary()
    secret = password_file(tmp, PROXY_PASSWORD, name="proxy-password")
    heads = []

    def refuse(connection, _):
        heads.append(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"p\"\r\n"
                           b"Content-Length: 0\r\nConnection: close\r\n\r\n")
    with lab(*alice.lab) as ca, Listener(refuse) as proxy:
        for log in ("text", "json"):
            result = est("enroll", *server(ca), *alice.client, "--preemptive-auth", "--subject", "CN=x", "--proxy",
                         f"http://127.0.0.1:{proxy.port}", "--proxy-user", "pam", "--proxy-password", f"file:{secret}",
                         "--out", tmp / "out", "-vvv", "--log-format", log, code=4)
            search(result.out + result.err, "the output", forbidden())
        check(heads, "the proxy was asked")
        for head in heads:
            check(PASSWORD.encode() not in head and basic_header("alice", PASSWORD).encode() not in head,
                  "the proxy never sees the server's password")
        check_equal(ca.access_log(), [], "requests")


@case("a token's PIN: in no record of what its keys did, nor anywhere else")
def token_pin(tmp):
    need("softhsm2-util")
    (tmp / "tokens").mkdir()
    (tmp / "conf").write_text(f"directories.tokendir = {tmp}/tokens\nlog.level = ERROR\n")
    env = {"SOFTHSM2_CONF": tmp / "conf"}
    run(["softhsm2-util", "--init-token", "--free", "--label", "t", "--pin", PIN, "--so-pin", "so-12345678"], env=env,
        code=0)
    pin, wrong = password_file(tmp, PIN, name="pin"), password_file(tmp, PASSWORD, name="wrong")
    uri = "pkcs11:token=t;object=device?module-path=/usr/lib/softhsm/libsofthsm2.so"
    est, outputs = estuary(env=env), []
    for log in ("text", "json"):
        for args, code in ((("generate", "ec:P-256", uri), 0), (("show", uri), 0), (("list", uri), 0),
                           (("delete", "--yes", uri), 0), (("show", uri + f"&pin-value={PIN}"), 2)):
            outputs.append(est("key", *args, "--pin", f"file:{pin}", "-vvv", "--log-format", log, code=code))
        outputs.append(est("key", "show", uri, "--pin", f"file:{wrong}", "-vvv", "--log-format", log, code=11))
    records = "".join(result.err for result in outputs)
    for event in ("key.login", "key.generate", "key.find", "key.show", "key.delete"):
        check(records.count(event) >= 2, f"{event} in both formats")
    login = [one_json_object(line) for line in outputs[-1].err.splitlines() if "key.login" in line][0]
    check_equal((login["outcome"], login["code"], login["level"]), ("failed", "key.pin", "audit"), "the wrong PIN")
    check(login["serial"], "the token's serial number")
    for result in outputs:
        search(result.out + result.err, "the output", forbidden())


if __name__ == "__main__":
    main()
