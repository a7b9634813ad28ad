"""The command's contract: options, exit codes, secrets, JSON, completion, and what is on disk."""

import os
import pathlib
import re
import signal
import stat
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import (ROOT, Estuary, Lab, case, cases_from, check, check_equal, check_in, check_not_in, main,  # noqa: E402
                     make_ca, password_file, program, run, snapshot, wait_until)

COMMANDS = ["bootstrap", "cacerts", "csrattrs", "csr", "enroll", "reenroll", "serverkeygen", "fullcmc", "key", "verify",
            "revocation", "cache", "version"]
SECRET = "hunter2-do-not-show"
NOWHERE = "https://localhost:9"     # the discard port: nobody listens


def est():
    return Estuary(program("estuary"))


def lab(tmp, *args, **options):
    secret = password_file(tmp, "s3cret")
    return Lab(program("estuary-lab"), "--user", f"alice:file:{secret}", *args, **options), secret


def common(server, secret):
    return ["--server", server.url, "--trust", server.anchors, "--user", "alice", "--password", f"file:{secret}"]


def refused(result, code, exit_code):
    check_equal(result.code, exit_code, repr(result))
    check_equal(result["error"]["code"], code, "error code")
    check_equal(result["error"]["exit_code"], exit_code, "exit code in JSON")


# --- usage: all of this is refused before anything is dialed --------------------------------------

def usage(tmp, args, code, exit_code):
    args = [str(a).replace("TMP", str(tmp)) for a in args]
    result = est().json(*args)
    refused(result, code, exit_code)
    words = est()(*args, code=exit_code)
    check_equal(words.out, "", "stdout without --json")
    check(words.err.startswith("estuary: "), f"stderr begins with the program's name: {words.err!r}")
    check_equal(sorted(p.name for p in tmp.iterdir()), [], "nothing was written")


SERVER = ["--server", NOWHERE, "--trust", "system"]
NAMES = ["--subject", "CN=x", "--out", "TMP/out"]
cases_from({
    "no command": ([], "usage.option", 2),
    "unknown command": (["renew"], "usage.option", 2),
    "unknown option": (["enroll", "--nonsense"], "usage.option", 2),
    "abbreviated option": (["enroll", "--serv", NOWHERE], "usage.option", 2),
    "option of another command": (["version", "--server", NOWHERE], "usage.option", 2),
    "option of another command before it": (["--fingerprint", "aa", "version"], "usage.option", 2),
    "option without value": (["enroll", "--server"], "usage.option", 2),
    "option with an option for a value": (["enroll", "--user", "--password", "prompt"], "usage.option", 2),
    "option with an empty value": (["enroll", "--server="], "usage.option", 2),
    "flag with a value": (["version", "--quiet=yes"], "usage.option", 2),
    "option twice": (["enroll", "--out", "a", "--out", "b"], "usage.option", 2),
    "argument too many": (["version", "extra"], "usage.option", 2),
    "verify without certificate": (["verify"], "usage.option", 2),
    "quiet and verbose": (["version", "-q", "-v"], "usage.option", 2),
    "log format": (["version", "--log-format", "xml"], "usage.option", 2),
    "server missing": (["cacerts", "--trust", "system"], "usage.no-server", 2),
    "http server": (["cacerts", "--server", "http://localhost", "--trust", "system"], "usage.url-not-https", 2),
    "out missing": (["enroll", *SERVER, "--subject", "CN=x"], "usage.option", 2),
    "subject missing": (["enroll", *SERVER, "--out", "TMP/out"], "usage.option", 2),
    "csr and subject": (["enroll", *SERVER, *NAMES, "--csr", "x"], "usage.option", 2),
    "key and new key": (["enroll", *SERVER, *NAMES, "--key", "x", "--new-key", "ec:P-256"], "usage.option", 2),
    "cert without key": (["enroll", *SERVER, *NAMES, "--cert", "x"], "usage.option", 2),
    "user without password": (["enroll", *SERVER, *NAMES, "--user", "a"], "usage.option", 2),
    "password without user": (["enroll", *SERVER, *NAMES, "--password", "prompt"], "usage.option", 2),
    "san without type": (["enroll", *SERVER, *NAMES, "--san", "x.example"], "usage.san", 2),
    "san of unknown type": (["enroll", *SERVER, *NAMES, "--san", "fax:1"], "usage.san", 2),
    "extension not hex": (["enroll", *SERVER, *NAMES, "--extension", "1.2.3:zz"], "usage.extension", 2),
    "extension without value": (["enroll", *SERVER, *NAMES, "--extension", "1.2.3"], "usage.extension", 2),
    "timeout not a number": (["enroll", *SERVER, *NAMES, "--timeout", "soon"], "usage.option", 2),
    "timeout zero": (["enroll", *SERVER, *NAMES, "--timeout", "0"], "usage.option", 2),
    "reenroll without identity": (["reenroll", *SERVER, "--out", "TMP/out"], "usage.identity-needed", 2),
    "same key and new key": (["reenroll", *SERVER, "--cert", "a", "--key", "b", "--out", "TMP/o", "--same-key",
                              "--new-key", "ec:P-256"], "usage.option", 2),
    "bad fingerprint": (["bootstrap", "--server", NOWHERE, "--fingerprint", "zz"], "usage.fingerprint", 2),
    "fingerprint file missing": (["bootstrap", "--server", NOWHERE, "--fingerprint", "file:TMP/no"],
                                 "config.invalid", 2),
    "csr without key": (["csr", "--subject", "CN=x"], "usage.option", 2),
    "inspect and build": (["csr", "--inspect", "x", "--subject", "CN=x"], "usage.option", 2),
    "inspect nothing": (["csr", "--inspect", "TMP/no"], "config.csr-file", 2),
    "verify at no time": (["verify", "x", "--at", "yesterday"], "usage.time", 2),
    "verify at a day that is none": (["verify", "x", "--at", "2026-02-31T00:00:00Z"], "usage.time", 2),
    "verify nothing": (["verify", "TMP/no.pem"], "config.certificate-file", 2),
    "config file missing": (["version", "--config", "TMP/no.ini"], "config.file", 2),
    "trust file missing": (["cacerts", "--server", NOWHERE, "--trust", "TMP/no"], "config.anchors-file", 2),
    "no trust": (["cacerts", "--server", NOWHERE], "usage.no-trust", 2),
    "hardware key": (["enroll", *SERVER, *NAMES, "--key", "pkcs11:object=a?pin-value=1234"],
                     "usage.pin-literal", 2),
    "key file missing": (["enroll", *SERVER, *NAMES, "--key", "TMP/no"], "key.file", 11),
    "parent of out missing": (["enroll", *SERVER, "--subject", "CN=x", "--out", "TMP/no/out"],
                              "config.store-parent", 2),
    "nobody listens": (["cacerts", *SERVER], "network.connect", 4),
    "nobody listens to enroll": (["enroll", *SERVER, *NAMES], "network.connect", 4),
}, usage)


# --- secrets ---------------------------------------------------------------------------------------

def literal(tmp, option, value):
    for args in ([option, value], [f"{option}={value}"]):
        for json in ([], ["--json"]):
            result = est()("enroll", *SERVER, "--subject", "CN=x", "--out", tmp / "out", "--user", "a", *args, *json,
                           "-vv", code=2)
            check_not_in(SECRET, result.out + result.err, "output")
            check_in("secret-literal" if json else "never the secret itself", result.out + result.err)


cases_from({f"a literal secret is refused and not repeated: {option} {form}": (option, form.format(SECRET))
            for option in ("--password", "--pin", "--proxy-password")
            for form in ("{}", "pass:{}", "env{}")}, literal)


@case("a secret run together with its option is not repeated")
def run_together(tmp):
    for args in ([f"--password{SECRET}"], [f"--pin{SECRET}"], ["--password", "env:X", SECRET], [SECRET]):
        result = est()("enroll", *args, code=2)
        check_not_in(SECRET, result.out + result.err, "output")


@case("a literal secret in the configuration file is refused and not repeated")
def literal_in_file(tmp):
    path = tmp / "estuary.ini"
    path.write_text(f"[enroll]\npassword = {SECRET}\n")
    result = est().json("enroll", "--config", path)
    refused(result, "usage.secret-literal", 2)
    check_not_in(SECRET, result.out + result.err, "output")
    check_in("line 2", result["error"]["message"])


@case("passwords never show in the log, and are read from env, fd and file")
def password_sources(tmp):
    server, secret = lab(tmp)
    with server:
        base = ["enroll", "--server", server.url, "--trust", server.anchors, "--user", "alice", "-vv"]
        read, write = os.pipe()
        os.write(write, b"s3cret\n")
        os.close(write)
        for number, (source, options) in enumerate([("env:EST_PW", {"env": {"EST_PW": "s3cret"}}),
                                                    (f"fd:{read}", {"pass_fds": (read,)}), (f"file:{secret}", {})]):
            result = est()(*base, "--password", source, "--subject", f"CN=d{number}", "--out", tmp / f"d{number}",
                           code=0, **options)
            check_not_in("s3cret", result.out + result.err, "output")
        os.close(read)


# --- configuration file ----------------------------------------------------------------------------

@case("the command line wins over the section, and that over global")
def precedence(tmp):
    path = tmp / "estuary.ini"
    path.write_text("[global]\nserver = https://localhost:1\ntrust = system\nfingerprint = 00\n"
                    "[cacerts]\nserver = http://localhost\n[csrattrs]\ntimeout = 1\n")
    refused(est().json("cacerts", "--config", path), "usage.url-not-https", 2)
    refused(est().json("csrattrs", "--config", path), "network.connect", 4)
    refused(est().json("cacerts", "--config", path, "--server", NOWHERE), "network.connect", 4)


@case("a csr on the command line puts aside a subject from the file")
def exclude_by_origin(tmp):
    path = tmp / "estuary.ini"
    path.write_text("[enroll]\nsubject = CN=x\nout = y\n")
    refused(est().json("enroll", "--config", path, "--csr", tmp / "none"), "config.csr-file", 2)


def bad_file(tmp, text):
    path = tmp / "estuary.ini"
    path.write_text(text)
    refused(est().json("version", "--config", path), "config.file", 2)


cases_from({f"configuration file: {name}": (text,) for name, text in {
    "unknown setting": "[version]\nnonsense = 1\n",
    "unknown section": "[nonsense]\nquiet = yes\n",
    "no section": "quiet = yes\n",
    "setting of another command": "[version]\nserver = x\n",
    "flag that is neither yes nor no": "[global]\nquiet = maybe\n",
    "no setting at all": "[global]\nquiet\n",
    "config inside config": "[global]\nconfig = x\n",
    "empty value": "[version]\nlog-format =\n",
    "line too long": "[global]\nlog-format = " + "x" * 300 + "\n",
}.items()}, bad_file)


@case("configuration file: flags")
def flags_in_file(tmp):
    path = tmp / "estuary.ini"
    path.write_text("# a comment\n[global]\njson = yes\nquiet = no\n")
    check_in('"version"', est()("version", "--config", path, code=0).out)


# --- help, completion, manual page -----------------------------------------------------------------

def options_of_help(command):
    text = est()(command, "--help", code=0).out
    return set(re.findall(r"^  (?:-\w,|   ) (--[a-z-]+)", text, re.M))


def completion(command):
    script = ROOT / "packaging/bash-completion/estuary"
    text = run(["bash", "-c", f'. "{script}"; _estuary_options {command}'], code=0).out
    return set(text.split())


def options_agree(_tmp, command):
    wanted = options_of_help(command)
    check(len(wanted) >= 8, f"help lists options: {wanted}")
    check_equal(completion(command), wanted, "completion")
    page = (ROOT / "man/estuary.1").read_text()
    for option in wanted:
        check(re.search(rf"Fl Fl {option[2:]}\b", page), f"{option} is in estuary.1")
    check_in(f".Ss {command}", page)


cases_from({f"completion and manual page know every option of {name}": (name,) for name in COMMANDS}, options_agree)


@case("help lists every command, and completion completes them")
def commands_agree():
    text = est()("--help", code=0).out
    check_equal(re.findall(r"^  ([a-z]+)  ", text, re.M), COMMANDS, "commands of the help")
    script = ROOT / "packaging/bash-completion/estuary"
    out = run(["bash", "-c", f'. "{script}"; COMP_WORDS=(estuary "en"); COMP_CWORD=1; _estuary; '
                             'echo "${COMPREPLY[@]}"'], code=0).out
    check_equal(out, "enroll\n", "completion of en")


@case("version")
def version():
    result = est().json("version", code=0)
    check(re.fullmatch(r"\d+\.\d+\.\d+", result["version"]), "version")
    check_in("OpenSSL 3", result["openssl"])
    check(re.match(r"\d+\.\d+", result["libcurl"]), "libcurl")


@case("--cache is accepted, and has no effect yet")
def cache(tmp):
    folder, root = tmp / "cache", make_ca(tmp / "ca").cert
    est().json("verify", root, "--trust", root, "--cache", folder, code=None)
    est().json("version", "--cache", folder, code=0)
    check(not folder.exists(), "the folder was made")


@case("an output that cannot be written is a failure")
def full_device():
    with open("/dev/full", "w") as full:
        code = subprocess.run([program("estuary"), "version"], stdout=full, stderr=subprocess.DEVNULL).returncode
    check_equal(code, 1, "exit code")


# --- bootstrap -------------------------------------------------------------------------------------

@case("bootstrap: nothing is written before a person has confirmed")
def bootstrap(tmp):
    server, _ = lab(tmp)
    with server:
        before = snapshot(tmp)
        args = ["bootstrap", "--server", server.url, "-o", tmp / "ca.pem"]
        result = est().json(*args)
        refused(result, "trust.confirm-fingerprint", 3)
        roots = [c for c in result["candidates"] if c["root"]]
        check_equal([c["fingerprint"] for c in roots], [server.fingerprint], "fingerprints of the roots")
        check_in(server.fingerprint, est()(*args, code=3).out)
        wrong = "00" + server.fingerprint[2:]
        refused(est().json(*args, "--fingerprint", wrong), "trust.fingerprint-mismatch", 5)
        check_equal(snapshot(tmp), before, "folder")
        listing = tmp / "fingerprints"
        listing.write_text(f"# ours\n\n  SHA256:{server.fingerprint.lower()}  # the root\n")
        est()(*args, "--fingerprint", f"file:{listing}", code=0)
        check_in("BEGIN CERTIFICATE", (tmp / "ca.pem").read_text())
        pem = est()("bootstrap", "--server", server.url, "--fingerprint", server.fingerprint, code=0).out
        check_equal(pem, (tmp / "ca.pem").read_text(), "PEM on stdout")
        check(all(r.get("user") in (None, "") for r in server.access_log()), "no credentials were sent")


@case("bootstrap sends no credentials even when it has some")
def bootstrap_credentials(tmp):
    server, secret = lab(tmp)
    with server:
        est()("bootstrap", *common(server, secret), "--preemptive-auth", "--fingerprint", server.fingerprint, code=0)
        check_not_in("alice", str(server.access_log()), "access log")


# --- enrolment -------------------------------------------------------------------------------------

FILES = ["cert.pem", "chain.pem", "fullchain.pem", "key.pem"]


@case("enroll, renew, renew with the same key: the files fit together")
def life(tmp):
    server, secret = lab(tmp)
    with server:
        out = tmp / "dev"
        first = est().json("enroll", *common(server, secret), "--subject", "CN=dev,O=Example", "--san",
                           "dns:dev.example", "--out", out, code=0)
        check_equal(sorted(p.name for p in out.iterdir()), FILES, "files")
        check_equal(stat.S_IMODE((out / "key.pem").stat().st_mode), 0o600, "mode of the key")
        check_equal((out / "fullchain.pem").read_text(),
                    (out / "cert.pem").read_text() + (out / "chain.pem").read_text(), "full chain")
        check_equal(first["certificate"]["subject"], "CN=dev,O=Example", "subject")
        check_equal(first["operation"], "simpleenroll", "operation")
        checked = est().json("verify", out / "cert.pem", "--chain", out / "chain.pem", "--trust", server.anchors,
                             "--key", out / "key.pem", "--host", "dev.example", code=0)
        check_equal(checked["acceptable"], True, "acceptable")
        old_key = (out / "key.pem").read_text()
        renew = ["reenroll", "--server", server.url, "--trust", server.anchors, "--cert", out / "fullchain.pem",
                 "--key", out / "key.pem", "--out", out]
        second = est().json(*renew, code=0)
        check_equal(second["operation"], "simplereenroll", "operation")
        check_equal(second["key_algorithm"], "ec:P-256", "kind of the new key")
        check((out / "key.pem").read_text() != old_key, "the key is new")
        check(second["certificate"]["serial"] != first["certificate"]["serial"], "the certificate is new")
        old_key = (out / "key.pem").read_text()
        third = est().json(*renew, "--same-key", code=0)
        check_equal(third["key_is_new"], False, "new key")
        check_equal((out / "key.pem").read_text(), old_key, "the key stays")
        check_equal(sorted(p.name for p in tmp.iterdir() if not p.name.startswith("password")), ["dev"], "leftovers")


@case("enroll with --key-out: key there, its URI in the folder")
def key_out(tmp):
    server, secret = lab(tmp)
    with server:
        args = ["enroll", *common(server, secret), "--subject", "CN=dev", "--new-key", "ed25519", "--key-out",
                tmp / "k.pem", "--out", tmp / "dev"]
        est().json(*args, code=0)
        check_equal(sorted(p.name for p in (tmp / "dev").iterdir()),
                    ["cert.pem", "chain.pem", "fullchain.pem", "key.uri"], "files")
        check_equal((tmp / "dev/key.uri").read_text(), f"file:{tmp.resolve()}/k.pem\n", "URI")
        check_equal(stat.S_IMODE((tmp / "k.pem").stat().st_mode), 0o600, "mode of the key")
        est()("verify", tmp / "dev/cert.pem", "--key", tmp / "k.pem", code=0)
        before = snapshot(tmp)
        refused(est().json(*args), "key.exists", 11)
        check_equal(snapshot(tmp), before, "folder")


@case("enroll with a csr made by csr: no key in the folder")
def from_csr(tmp):
    server, secret = lab(tmp)
    with server:
        est()("csr", "--new-key", "rsa:2048", "--key-out", tmp / "k.pem", "--subject", "CN=csr", "-o", tmp / "r.csr",
              code=0)
        result = est().json("csr", "--inspect", tmp / "r.csr", code=0)
        check_equal(result["request"]["key"], "rsa:2048", "key")
        issued = est().json("enroll", *common(server, secret), "--csr", tmp / "r.csr", "--out", tmp / "dev", code=0)
        check_equal(issued["files"]["key"], None, "key file")
        check_equal(sorted(p.name for p in (tmp / "dev").iterdir()), FILES[:3], "files")


@case("a refused enrolment writes nothing")
def nothing_written(tmp):
    server, secret = lab(tmp)
    with server:
        wrong = password_file(tmp, "wrong")
        before = snapshot(tmp)
        args = ["enroll", "--server", server.url, "--trust", server.anchors, "--subject", "CN=x", "--out", tmp / "dev"]
        refused(est().json(*args), "auth.required", 6)
        result = est().json(*args, "--user", "alice", "--password", f"file:{wrong}")
        refused(result, "auth.refused", 6)
        check_equal(result["error"]["http_status"], 401, "status")
        other = make_ca(tmp.parent / (tmp.name + "-ca"))
        result = est().json("enroll", "--server", server.url, "--trust", other.cert, "--subject", "CN=x", "--user",
                            "alice", "--password", f"file:{secret}", "--out", tmp / "dev")
        check_equal(result.code, 5, repr(result))
        check_equal(snapshot(tmp), before, "folder")


@case("a folder with foreign files is refused before dialing")
def foreign(tmp):
    (tmp / "dev").mkdir()
    (tmp / "dev/notes").write_text("mine")
    before = snapshot(tmp)
    refused(est().json("enroll", *SERVER, "--subject", "CN=x", "--out", tmp / "dev"), "config.store-foreign", 2)
    check_equal(snapshot(tmp), before, "folder")


@case("pending: kept, resumed by the same command only, and then gone")
def pending(tmp):
    server, secret = lab(tmp, "--pending", "1")
    with server:
        out, waiting = tmp / "dev", tmp / "dev.pending"
        args = ["enroll", *common(server, secret), "--out", out]
        result = est().json(*args, "--subject", "CN=dev")
        refused(result, "pending.retry", 7)
        check(result["error"]["retry_at"], "retry_at is there")
        check_equal(stat.S_IMODE(waiting.stat().st_mode), 0o700, "mode of the pending folder")
        check_equal(sorted(p.name for p in waiting.iterdir()), ["key.pem", "state.json"], "pending")
        check(not out.exists(), "the folder stays as it was")
        key, before = (waiting / "key.pem").read_text(), snapshot(waiting)
        other = [
            [*args, "--subject", "CN=other"], [*args, "--subject", "CN=dev", "--san", "dns:a.example"],
            [*args, "--subject", "CN=dev", "--label", "x"], [*args, "--subject", "CN=dev", "--new-key", "rsa:2048"],
            ["enroll", "--server", NOWHERE, "--trust", server.anchors, "--out", out, "--subject", "CN=dev"],
        ]
        for line in other:
            refused(est().json(*line), "config.pending-other", 2)
        check_equal(snapshot(waiting), before, "pending folder")
        time.sleep(1.1)
        issued = est().json(*args, "--subject", "CN=dev", "--max-wait", "20", code=0)
        check_equal(issued["resumed"], True, "resumed")
        check_equal((out / "key.pem").read_text(), key, "the pending key")
        check(not waiting.exists(), "the pending request is gone")


@case("pending: a network failure keeps it, a wrong password too")
def pending_kept(tmp):
    server, secret = lab(tmp, "--pending", "3")
    wrong = password_file(tmp, "wrong")
    with server:
        base = ["enroll", "--server", server.url, "--trust", server.anchors, "--subject", "CN=dev", "--out", tmp / "dev",
                "--user", "alice", "--password"]
        refused(est().json(*base, f"file:{secret}"), "pending.retry", 7)
        result = est().json(*base, f"file:{wrong}")
        refused(result, "auth.refused", 6)
        check_equal(result["pending"], True, "pending")
        anchors = tmp / "anchors.pem"
        anchors.write_bytes(pathlib.Path(server.anchors).read_bytes())
    base[4] = anchors
    result = est().json(*base, f"file:{secret}")
    check_equal(result.code, 4, repr(result))
    check_in("still pending", result["error"]["remedy"])
    check((tmp / "dev.pending/state.json").exists(), "the request is kept")


@case("pending: SIGTERM while waiting ends with 1 and keeps the request")
def interrupted(tmp):
    server, secret = lab(tmp, "--pending", "50")
    with server:
        argv = [program("estuary"), "enroll", *common(server, secret), "--subject", "CN=dev", "--out", tmp / "dev",
                "--max-wait", "600", "--json"]
        for number in (signal.SIGTERM, signal.SIGINT):
            process = subprocess.Popen([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            before = len(server.access_log())
            wait_until(lambda: len(server.access_log()) > before, what="a request")
            time.sleep(0.3)
            process.send_signal(number)
            out, errors = process.communicate(timeout=20)
            check_equal(process.returncode, 1, f"exit code {out!r} {errors!r}")
            check_in(b'"cancelled"', out)
            check((tmp / "dev.pending/state.json").exists(), "the request is kept")
            check(not (tmp / "dev").exists() and not (tmp / "dev.lock").exists(), "nothing else is there")


@case("csr: a key without its request does not stay")
def csr_together(tmp):
    args = ["csr", "--new-key", "ec:P-256", "--key-out", tmp / "k.pem", "--subject", "CN=x"]
    check_equal(est()(*args, "-o", tmp / "no/r.csr").code, 1, "exit code")
    check(not (tmp / "k.pem").exists(), "the key went again")
    check_in("BEGIN CERTIFICATE REQUEST", est()(*args, code=0).out)
    refused(est().json(*args), "key.exists", 11)


@case("csr: without --key-out the new key is key.pem beside the request, never over another")
def csr_default_place(tmp):
    args = ["csr", "--new-key", "ec:P-256", "--subject", "CN=x", "-o", tmp / "r.csr"]
    check_equal(est().json(*args, code=0)["key"], str(tmp / "key.pem"), "the key's place")
    check_equal((tmp / "key.pem").stat().st_mode & 0o777, 0o600, "mode")
    check_equal(est().json("csr", "--key", tmp / "key.pem", "--subject", "CN=y", code=0)["key"], str(tmp / "key.pem"),
                "it is a key")
    refused(est().json(*args), "key.exists", 11)
    refused(est().json("csr", "--new-key", "ec:P-256", "--subject", "CN=x", "-o", tmp / "a/key.pem"), "usage.option", 2)


@case("csr --inspect: a flawed request is reported in full, exit 9")
def csr_flawed(tmp):
    run(["openssl", "req", "-new", "-newkey", "rsa:1024", "-nodes", "-keyout", tmp / "k", "-subj", "/CN=weak", "-out",
         tmp / "weak.csr"], code=0)
    result = est().json("csr", "--inspect", tmp / "weak.csr")
    refused(result, "csr.weak-key", 9)
    check_equal(result["request"]["subject"], "CN=weak", "subject")
    check_in("FAIL", est()("csr", "--inspect", tmp / "weak.csr", code=9).out)
    (tmp / "junk").write_bytes(b"\x30\x03junk")
    refused(est().json("csr", "--inspect", tmp / "junk"), "csr.malformed", 9)


@case("verify: what fails is named, exit 9; the time can be given")
def verify(tmp):
    ca = make_ca(tmp / "ca")
    leaf = ca.issue(tmp, name="leaf", subject="/CN=leaf", san=["DNS:a.example"])
    base = ["verify", leaf.cert, "--trust", ca.cert]
    est()(*base, "--host", "a.example", code=0)
    for extra, code in ((["--host", "b.example"], "cert.host-mismatch"), (["--at", "2001-01-01T00:00:00Z"],
                        "cert.not-yet-valid"), (["--at", "2199-01-01T00:00:00+01:00"], "cert.expired")):
        result = est().json(*base, *extra)
        refused(result, code, 9)
        check_in(code, [f["code"] for f in result["findings"]])
    check_in("FAIL", est()(*base, "--host", "b.example", code=9).out)
    other = make_ca(tmp / "other", subject="/CN=Other")
    refused(est().json("verify", leaf.cert, "--trust", other.cert), "cert.unknown-issuer", 9)


@case("--fips without a provider is 12")
def fips():
    result = est().json("version", "--fips")
    check(result.code in (0, 12), repr(result))
    if result.code == 12:
        refused(result, "unsupported.fips", 12)


@case("-q prints nothing but what was asked for, --log-format json logs JSON")
def quiet(tmp):
    server, secret = lab(tmp)
    with server:
        result = est()("enroll", *common(server, secret), "--subject", "CN=q", "--out", tmp / "q", "-q", code=0)
        check_equal(result.out + result.err, "", "output")
        result = est()("cacerts", "--server", server.url, "--trust", server.anchors, "-vv", "--log-format", "json",
                       code=0)
        check(result.err and all(line.startswith("{") for line in result.err.splitlines()), repr(result.err))
        check_not_in("\x1b", result.out + result.err, "escape sequences")


if __name__ == "__main__":
    main()
