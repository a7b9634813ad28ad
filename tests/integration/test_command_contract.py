"""What scripts depend on: exit codes, help, the version, configuration files, the completion script."""

import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import Alice, check_folder, estuary, lab, server  # noqa: E402
from harness import (ROOT, case, check, check_equal, check_in, main, make_key, need, openssl)  # noqa: E402

COMMANDS = ("bootstrap", "cacerts", "csrattrs", "csr", "enroll", "reenroll", "serverkeygen", "fullcmc", "key", "verify",
            "revocation", "cache", "version")
NOWHERE = "https://localhost:1"


def options_in_help(text):
    """Long options at the beginning of the help's lines."""
    return set(re.findall(r"^ +(?:-\w, )?(--[a-z][a-z-]*)", text, re.M))


@case("--help: exit 0, on stdout alone, for the program and for every command")
def help_texts(_tmp):
    est = estuary()
    result = est("--help", code=0)
    check_equal(result.err, "", "stderr")
    check_equal(tuple(re.findall(r"^  (\w+)  +\w", result.out, re.M)), COMMANDS, "commands in the help")
    for command in COMMANDS:
        for option in ("--help", "-h"):
            result = est(command, option, code=0)
            check_equal(result.err, "", f"stderr of {command} {option}")
            check(result.out.startswith(f"usage: estuary {command}"), f"{command}: {result.out[:60]!r}")
            check({"--json", "--help", "--config", "--fips"} <= options_in_help(result.out), f"options of {command}")


@case("version: text and JSON")
def version(_tmp):
    est = estuary()
    answer = est.json("version", code=0)
    check_equal(set(answer.json), {"version", "openssl", "libcurl"}, "names")
    check(re.fullmatch(r"\d+\.\d+\.\d+", answer["version"]), f"version {answer['version']!r}")
    result = est("version", code=0)
    check_in(answer["version"], result.out, "stdout")
    check_equal(result.err, "", "stderr")


@case("wrong usage: exit 2, nothing on stdout but JSON with --json")
def usage(tmp):
    est = estuary()
    make_key(tmp / "k.pem")
    for args in (["enroll", "--no-such-option"], ["enroll", "--server"], ["enrol"], ["enroll", "extra"], [],
                 ["cacerts", "--subject", "CN=x"], ["version", "--server", NOWHERE],
                 ["enroll", "--server", NOWHERE, "--subject", "CN=x"],
                 ["cacerts", "--server", "http://localhost", "--trust", "system"],
                 ["cacerts", "--server", NOWHERE, "--trust", "system", "--timeout", "0"],
                 ["cacerts", "--server", NOWHERE, "--trust", "system", "--timeout", "1x"],
                 ["csr", "--key", tmp / "k.pem", "--subject", "no-name"],
                 ["csr", "--key", tmp / "k.pem", "--subject", "CN=x", "--san", "dns:-"],
                 ["csr", "--key", tmp / "k.pem", "--new-key", "ec:P-256", "--subject", "CN=x"],
                 ["csr", "--new-key", "dsa:1024", "--key-out", tmp / "n.pem", "--subject", "CN=x"]):
        result = est(*args, code=2)
        check_equal(result.out, "", f"stdout of {args}")
        check(result.err.startswith("estuary: ") or result.err.startswith("usage: "), f"stderr {result.err!r}")
        if args and args[0] in COMMANDS:
            answer = est.json(*args, code=2)
            check_equal(set(answer.json) >= {"error"}, True, "error in the JSON")
            check_equal(answer["error"]["exit_code"], 2, "exit_code")
            check(answer["error"]["category"] in ("usage", "config"), f"category {answer['error']['category']}")
    check(not (tmp / "n.pem").exists(), "no key written")


@case("JSON of a failure: every name")
def failure_shape(tmp):
    est = estuary()
    answer = est.json("cacerts", "--server", NOWHERE, "--trust", certificate(tmp), code=4)
    check_equal(set(answer["error"]), {"code", "category", "message", "remedy", "detail", "http_status", "retry_at",
                                       "retryable", "exit_code"}, "names")
    check_equal((answer["error"]["code"], answer["error"]["category"], answer["error"]["exit_code"],
                 answer["error"]["retryable"], answer["error"]["http_status"]),
                ("network.connect", "network", 4, True, None), "values")


def certificate(tmp):
    from harness import make_ca
    return make_ca(tmp / "ca").cert


@case("exit codes 0 to 12, one of each")
def exit_codes(tmp):
    alice, est = Alice(tmp), estuary()
    key = make_key(tmp / "k.pem")
    with lab(*alice.lab) as ca:
        def enroll(*more, out="out", **options):
            return est.json("enroll", *server(ca), *alice.client, "--subject", "CN=device", "--out", tmp / out, *more,
                            **options)
        enroll(code=0)
        check_equal(est.json("cacerts", *server(ca), "-o", tmp / "none/ca.pem", code=1)["error"]["category"], "io", "1")
        check_equal(enroll("--subject", "CN=b", code=2)["error"]["category"], "usage", "2")
        check_equal(est.json("bootstrap", "--server", ca.url, code=3)["error"]["category"], "trust", "3")
        check_equal(est.json("cacerts", "--server", NOWHERE, "--trust", ca.anchors, code=4)["error"]["category"],
                    "network", "4")
        check_equal(est.json("cacerts", "--server", ca.url, "--trust", certificate(tmp), code=5)["error"]["category"],
                    "trust", "5")
        check_equal(est.json("enroll", *server(ca), "--subject", "CN=x", "--out", tmp / "x", code=6)["error"]["category"],
                    "auth", "6")
        check_equal(enroll("--key", key, "--pin", f"file:{tmp}/k.pem", "--key-usage", "digitalSignature", code=0)
                    ["operation"], "simpleenroll", "0 again")
        key.chmod(0o644)
        check_equal(enroll("--key", key, code=11)["error"]["code"], "key.permissions", "11")
        check_equal(est.json("version", "--fips", code=12)["error"]["code"], "unsupported.fips", "12 for FIPS")
    for misbehaviour, more, code, name in (("500", (), 8, "server"), ("not-cms", (), 8, "protocol"),
                                           ("wrong-subject", ("--subject", "CN=y"), 9, "certificate"),
                                           ("202-forever", (), 7, "pending")):
        with lab(*alice.lab, "--misbehave", f"{misbehaviour}@simpleenroll") as ca:
            answer = est.json("enroll", *server(ca), *alice.client, *(more or ("--subject", "CN=x")), "--out",
                              tmp / misbehaviour, code=code)
            check_equal(answer["error"]["category"], name, f"category for {misbehaviour}")


@case("JSON of cacerts, csrattrs, csr and verify")
def json_shapes(tmp):
    est = estuary()
    key = make_key(tmp / "k.pem")
    with lab() as ca:
        answer = est.json("cacerts", *server(ca), code=0)
        check_equal(set(answer.json), {"certificates", "output", "anchors_pem", "recovered"}, "names of cacerts")
        check_equal([set(c) for c in answer["certificates"]],
                    [{"subject", "issuer", "serial", "not_before", "not_after", "fingerprint", "role"}] * 2, "rows")
        answer = est.json("cacerts", *server(ca), "-o", tmp / "ca.pem", code=0)
        check_equal(answer["output"], str(tmp / "ca.pem"), "output")
        check_equal((tmp / "ca.pem").read_text().count("BEGIN CERTIFICATE"), 2, "certificates in the file")
        answer = est.json("csrattrs", *server(ca), code=0)
        check_equal(answer.json, {"attributes": [], "template": False, "wants_binding": False, "key_algorithm": ""},
                    "csrattrs")
        answer = est.json("verify", ca.dir / "issuing.pem", "--trust", ca.anchors, code=9)
        check_equal(set(answer.json) >= {"error", "findings"}, True, "names of verify that fails")
        check_equal([f["state"] for f in answer["findings"] if f["check"] == "ca"], ["fail"], "finding about CA")
    answer = est.json("csr", "--key", key, "--subject", "CN=a", code=0)
    openssl("req", "-verify", "-noout", input=answer["csr_pem"])
    check(set(answer.json) >= {"csr_pem", "output", "key"}, "names of csr")


@case("defaults from --config: [global] and the command's section, and the command line wins")
def config(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab) as ca:
        (tmp / "c.ini").write_text(f"[global]\nserver = {ca.url}\ntrust = {ca.anchors}\n"
                                   f"[enroll]\nuser = alice\npassword = file:{alice.file}\nnew-key = ec:P-384\n"
                                   "subject = CN=from the file\n[reenroll]\nsame-key = true\n")
        answer = est.json("enroll", "--config", tmp / "c.ini", "--out", tmp / "out", code=0)
        check_equal((answer["key_algorithm"], answer["certificate"]["subject"]), ("ec:P-384", "CN=from the file"),
                    "key and subject")
        answer = est.json("enroll", "--config", tmp / "c.ini", "--new-key", "ed25519", "--out", tmp / "two", code=0)
        check_equal(answer["key_algorithm"], "ed25519", "key_algorithm")
        answer = est.json("reenroll", "--config", tmp / "c.ini", "--cert", tmp / "out/cert.pem", "--key",
                          tmp / "out/key.pem", "--out", tmp / "out", code=0)
        check_equal(answer["key_is_new"], False, "key_is_new")
        check_folder(tmp / "out", ca.anchors)
    for text in ("[global]\nno-such-option = 1\n", "[nonsense]\nserver = x\n", "[global]\nrubbish\n", "server = x\n",
                 "[enroll]\npassword = literal\n", "[version]\nserver = x\n"):
        (tmp / "bad.ini").write_text(text)
        command = "version" if "version" in text else "enroll"
        result = est(command, "--config", tmp / "bad.ini", code=2)
        check("literal\n" not in result.err and "= literal" not in result.err, f"stderr {result.err!r}")
    est("enroll", "--config", tmp / "missing.ini", code=2)


@case("the completion script offers exactly the commands and the options of --help")
def completion(_tmp):
    need("bash")
    est = estuary()
    script = ROOT / "packaging/bash-completion/estuary"

    def complete(*words):
        """What the script offers for the last word."""
        code = ("source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); "
                "_estuary; printf '%s\\n' \"${COMPREPLY[@]}\"")
        done = subprocess.run(["bash", "--norc", "-c", code, "bash", script, *words], capture_output=True, text=True,
                              check=True, timeout=20)
        check_equal(done.stderr, "", "stderr of bash")
        return set(done.stdout.split())
    check_equal(complete("estuary", ""), {*COMMANDS, "--help"}, "first word")
    check_equal(complete("estuary", "re"), {"reenroll", "revocation"}, "first word, begun")
    for command in COMMANDS:
        shown = options_in_help(est(command, "--help", code=0).out)
        check_equal(complete("estuary", command, "--"), shown, f"options of {command}")
    check_equal(complete("estuary", "enroll", "--pop", ""), {"auto", "required", "off"}, "values of --pop")


if __name__ == "__main__":
    main()
