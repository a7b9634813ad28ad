"""The harness must not say ok when it is not: its own test, with scripts in place of Estuary."""

import datetime
import json
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from harness import (Estuary, Failure, Lab, case, check, check_equal, check_in,  # noqa: E402
                     fingerprint, free_port, make_ca, main, openssl, password_file, run, snapshot)


def script(path, text):
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    return path


def fails(function, part):
    """function() must fail with part in its reason."""
    try:
        function()
    except Failure as failure:
        check_in(part, str(failure), "reason")
    else:
        raise Failure(f"no failure about {part!r}")


SAMPLE = f"""
import os, sys
sys.path.insert(0, {str(HERE)!r})
from harness import *
import harness

@case("good")
def good(): pass

@case("bad")
def bad(): check(False, "the reason # with a hash\\nand a line")

@case("ends the program")
def ends(): sys.exit(0)

@case("cannot")
def cannot(): harness.need("no-such-command-7")

if __name__ == "__main__":
    main()
"""


@case("harness: TAP, exit code, choice of cases, strict mode")
def tap(tmp):
    sample = script(tmp / "sample.py", SAMPLE)
    relaxed = {"ESTUARY_STRICT": None}
    done = run([sample], env=relaxed, code=1)
    lines = [line for line in done.out.splitlines() if not line.startswith("# ")]
    check_equal(lines, ["TAP version 13", "1..4", "ok 1 - good", "not ok 2 - bad",
                        "not ok 3 - ends the program",
                        "ok 4 - cannot # SKIP no-such-command-7 is not installed"], "TAP")
    check_in("# harness.Failure: the reason # with a hash\n# and a line", done.out)
    check_equal(run([sample, "good", "cannot"], env=relaxed).code, 0, "exit code of the good ones")
    check_equal(run([sample, "g*"], env=relaxed, code=0).out.splitlines()[1:],
                ["1..1", "ok 1 - good"], "TAP of one")
    strict = run([sample, "good", "cannot"], env={"ESTUARY_STRICT": "1"}, code=1)
    check_in("not ok 2 - cannot\n", strict.out)
    check_in("no-such-command-7 is not installed", strict.out)
    check_in("Bail out!", run([sample, "typo"], code=2).out)


@case("harness: run fails on signals, sanitizers, timeouts, other exit codes")
def run_fails(tmp):
    crash = script(tmp / "crash", "import os; os.kill(os.getpid(), 11)")
    fails(lambda: run([crash]), "SIGSEGV")
    asan = script(tmp / "asan", "import sys; sys.exit('==1==ERROR: AddressSanitizer: overflow')")
    fails(lambda: run([asan], code=1), "AddressSanitizer")
    ubsan = script(tmp / "ubsan", "import sys; sys.stderr.write('a.c:1:2: runtime error: shift\\n')")
    fails(lambda: run([ubsan], code=0), "runtime error")
    slow = script(tmp / "slow", "import time; time.sleep(60)")
    fails(lambda: run([slow], timeout=0.5), "no end within")
    fails(lambda: run([sys.executable, "-c", "raise SystemExit(3)"], code=0), "exit 3")
    echo = script(tmp / "echo", "import sys, os; sys.stdout.write(sys.stdin.read() + os.environ['A'])")
    check_equal(run([echo], input="é", env={"A": "b"}, code=0).out, "éb", "output")
    check_equal(run([echo], env={"A": ""}, code=0).out, "", "stdin is empty")


@case("harness: json takes exactly one object")
def json_object(tmp):
    say = Estuary(script(tmp / "say", "import sys; print(sys.argv[1])"))
    check_equal(say.json('{"a": {"b": 1}}', code=0)["a"]["b"], 1, "value")
    for text in ("", "[]", '{"a":1} {"b":2}', 'warning\n{"a":1}', '{"a":1,"a":2}'):
        try:
            say.json(text)
        except Failure:
            continue
        raise Failure(f"took {text!r}")
    home = Estuary(script(tmp / "home", "import os; print(os.environ['HOME'])"))().out.strip()
    check(home != os.environ.get("HOME") and pathlib.Path(home).is_dir(), f"HOME is {home}")


LAB = """
import json, os, signal, sys, time
folder = sys.argv[sys.argv.index("--dir") + 1]
os.makedirs(folder)
if "--silent" in sys.argv:
    sys.exit("no port")
code = 3 if "--ends-badly" in sys.argv else 0
signal.signal(signal.SIGTERM, lambda *_: sys.exit(code))
with open(folder + "/access.log", "w") as log:
    log.write('{"method":"GET","operation":"cacerts"}\\n{"method":"POST","tls":null}\\n{"half')
print(json.dumps({"url": "https://localhost:1", "fingerprint": "AA", "anchors": folder + "/a.pem",
                  "http": "http://localhost:2"}), flush=True)
if "--dies" in sys.argv:
    sys.exit(0)
time.sleep(60)
"""


@case("harness: Lab reads the ready line and demands a good end")
def lab(tmp):
    binary = script(tmp / "lab", LAB)
    with Lab(binary) as one:
        check_equal((one.url, one.fingerprint, one.http, one.anchors.parent),
                    ("https://localhost:1", "AA", "http://localhost:2", one.dir), "ready line")
        check_equal(one.access_log(), [{"method": "GET", "operation": "cacerts"}], "access log")
        check_equal(one.evidence_log(), [{"method": "POST", "tls": None}], "what was asked about revocation")
        pid, folder = one.process.pid, one.dir
    check(not folder.exists(), "the folder is gone")
    check(not pathlib.Path(f"/proc/{pid}").exists(), "the process is gone")

    def use(*args):
        with Lab(binary, *args) as server:
            if "--dies" in args:
                server.process.wait(10)
    fails(lambda: use("--ends-badly"), "but 3")
    fails(lambda: use("--silent"), "no port")
    fails(lambda: use("--dies"), "ended by itself")


@case("harness: snapshot sees content, mode, links, empty folders")
def snapshots(tmp):
    check_equal(snapshot(tmp / "absent"), {}, "absent folder")
    folder = tmp / "folder"
    folder.mkdir()
    seen = [snapshot(folder)]
    path = password_file(folder, "one", name="file")
    check_equal(path.stat().st_mode & 0o777, 0o600, "mode of the password file")
    seen.append(snapshot(folder))
    path.write_text("two")
    seen.append(snapshot(folder))
    path.chmod(0o640)
    seen.append(snapshot(folder))
    (folder / "link").symlink_to("file")
    seen.append(snapshot(folder))
    (folder / "empty").mkdir()
    seen.append(snapshot(folder))
    check_equal(seen[-1], snapshot(folder), "second look")
    for before, after in zip(seen, seen[1:]):
        check(before != after, f"{before} must differ from {after}")
    check(1024 <= free_port() < 65536, "free port")


@case("harness: CA, intermediate, leaf, dates, revocation")
def certificates(tmp):
    root = make_ca(tmp / "root")
    middle = make_ca(tmp / "middle", "/CN=Middle", parent=root, alg="rsa:2048")
    leaf = middle.issue(tmp, "/O=Example/OU=A/CN=leaf.example", san=("DNS:leaf.example",))
    verify = ["verify", "-CAfile", root.cert, "-untrusted", middle.cert]
    openssl(*verify, "-purpose", "sslserver", "-verify_hostname", "leaf.example", leaf.cert)
    check_equal(leaf.chain.read_text().count("BEGIN CERTIFICATE"), 2, "chain")
    check_equal(leaf.key.stat().st_mode & 0o777, 0o600, "mode of the key")
    check_equal(len(fingerprint(root.cert)), 95, "length of a fingerprint")
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    old = middle.issue(tmp, "/CN=old", name="old", not_before=past,
                       not_after=past + datetime.timedelta(days=9))
    check_in("certificate has expired", openssl(*verify, old.cert, code=2).err)
    middle.revoke(leaf.cert)
    crl = middle.crl(tmp / "middle.crl")
    check_in("certificate revoked",
             openssl(*verify, "-crl_check", "-CRLfile", crl, leaf.cert, code=2).err)


if __name__ == "__main__":
    main()
