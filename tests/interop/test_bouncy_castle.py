"""Bouncy Castle as the client of the lab: its own EST client, and a Full CMC client made of its classes.

So the lab is right about more than what Estuary thinks, and Estuary's own messages are read by someone else.
RFC 7030, RFC 5272. One Java process takes all the steps; each step is a case here.

What Bouncy Castle 1.72 cannot do, and a right server does: a Digest challenge that names its algorithm, which RFC 7616
3.3 wants without quotation marks; a 401 or 202 with a body. So the lab has --auth digest-unnamed, its 401 has no
body, and waiting for Retry-After is left to test_curl.py.
"""

import contextlib
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import (Estuary, Lab, Skip, cases_from, check, check_equal, check_in, main, need,  # noqa: E402
                     password_file, program, run, temp_dir)

SOURCE = pathlib.Path(__file__).resolve().with_name("EstInterop.java")
JARS = [pathlib.Path("/usr/share/java") / name for name in ("bcprov.jar", "bcutil.jar", "bcpkix.jar")]
CLASS_PATH = ":".join(map(str, JARS))
PASSWORD = "pass-s3cret-7141-long"
CHALLENGE_PASSWORD, SHA384 = "1.2.840.113549.1.9.7", "2.16.840.1.101.3.4.2.2"
CSRATTRS = bytes.fromhex("3016" "06092a864886f70d010907" "0609608648016503040202")

# name of the case: the step, the lab it talks to, its arguments
STEPS = {
    "cacerts: both certificates, the root among them": ("cacerts", "basic"),
    "csrattrs: none": ("csrattrs", "basic"),
    "csrattrs: two object identifiers": ("csrattrs", "digest", CHALLENGE_PASSWORD, SHA384),
    "enroll with HTTP Basic": ("enroll", "basic", "alice", "{password}", "first"),
    "enroll with HTTP Digest": ("enroll", "digest", "alice", "{password}"),
    "a wrong password with HTTP Basic is refused": ("refused", "basic", "alice", "{wrong}"),
    "a wrong password with HTTP Digest is refused": ("refused", "digest", "alice", "{wrong}"),
    "reenroll with the certificate just issued": ("reenroll", "basic", "first"),
    "fullcmc with a certificate, PKCS 10": ("cmc-certificate", "basic", "pkcs10", "first"),
    "enroll at another CA": ("enroll", "other", "alice", "{password}", "second"),
    "fullcmc with a certificate, CRMF; the CA itself signs and publishes its root":
        ("cmc-certificate", "other", "crmf", "second"),
    "fullcmc with a shared secret, PKCS 10": ("cmc-secret", "basic", "pkcs10", "alice", "{password}"),
    "fullcmc with a shared secret, CRMF": ("cmc-secret", "digest", "crmf", "alice", "{password}"),
    "fullcmc with a wrong secret is badIdentity": ("cmc-refused", "basic", "alice", "{wrong}"),
    "fullcmc waits and asks by queryPending": ("cmc-waited", "pending", "alice", "{password}"),
}
# What Estuary sent, as the lab kept it: the body's kind, then the controls by their last arcs (RFC 5272 6), sorted.
SENT = {
    "Estuary's request with a shared secret, PKCS 10":
        ("pkcs10", ("--cmc-identity", "alice", "--cmc-secret", "file:{password}"), "pkcs10 2 34 5 6"),
    "Estuary's request with a shared secret, CRMF":
        ("crmf", ("--cmc-identity", "alice", "--cmc-secret", "file:{password}"), "crmf 2 34 5 6"),
    "Estuary's request with a certificate, PKCS 10":
        ("pkcs10", ("--cert", "{first}/fullchain.pem", "--key", "{first}/key.pem", "--new-key", "ec:P-256"),
         "pkcs10 5 6"),
    "Estuary's request with a certificate, CRMF, RSA":
        ("crmf", ("--cert", "{first}/fullchain.pem", "--key", "{first}/key.pem", "--new-key", "rsa:2048"), "crmf 5 6"),
}
# What test_cmc_examples writes for others to read: the file, and what Bouncy Castle finds in it.
WRITTEN = {
    "our example, PKCS 10, signed with a certificate": ("pkcs10.der", "pkcs10 5 6"),
    "our example, CRMF, signed with a certificate": ("crmf.der", "crmf 5 6"),
    "our example, PKCS 10, with a shared secret": ("pkcs10-secret.der", "pkcs10 2 34 5 6"),
    "our example, CRMF, with a shared secret": ("crmf-secret.der", "crmf 2 34 5 6"),
    "our example, queryPending, which holds no request": ("query-pending.der", "none 21 5 6 7"),
}
SAYS = {
    "cacerts: both certificates, the root among them": "2 certificates",
    "csrattrs: two object identifiers": "2 of 2",
    "enroll with HTTP Basic": "CN=bouncy",
    "a wrong password with HTTP Basic is refused": "401",
    "fullcmc with a certificate, CRMF; the CA itself signs and publishes its root": "anchors published",
    "fullcmc with a wrong secret is badIdentity": "badIdentity",
}
LABS = {
    "basic": ("--auth", "basic"),
    "other": ("--auth", "basic", "--tls", "1.2", "--cmc-signer", "ca", "--cmc-anchors"),
    "digest": ("--auth", "digest-unnamed", "--csrattrs", "{csrattrs}"),
    "pending": ("--auth", "basic", "--pending", "1", "--retry-after", "0"),
}


def classes():
    """EstInterop, compiled once for each build folder."""
    need("java", "ecj")
    missing = [str(jar) for jar in JARS if not jar.exists()]
    if missing:
        raise Skip(f"Bouncy Castle is not installed (libbcpkix-java): no {', '.join(missing)}")
    folder = program("estuary-lab").parent / "interop-classes"
    made = folder / "EstInterop.class"
    if not made.exists() or made.stat().st_mtime < SOURCE.stat().st_mtime:
        run(["ecj", "-17", "-nowarn", "-proc:none", "-cp", CLASS_PATH, "-d", folder, SOURCE], code=0)
    return folder


def java(lines):
    """Each line's answer, (verdict, text), by its name."""
    result = run(["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{classes()}:{CLASS_PATH}",
                  "EstInterop"], input="".join("\t".join(map(str, line)) + "\n" for line in lines), code=0)
    answers = {}
    for line in result.out.splitlines():
        verdict, name, text = line.split("\t", 2)
        answers[name] = verdict, text
    return answers


class Conversation:
    """All the steps, taken once, when the first case asks for them."""

    def __init__(self):
        self.answers = None

    def take(self):
        classes()       # what is missing is found before a lab starts
        with temp_dir() as tmp, contextlib.ExitStack() as running:
            files = {"{password}": password_file(tmp, PASSWORD), "{wrong}": password_file(tmp, "another"),
                     "{csrattrs}": tmp / "csrattrs"}
            files["{csrattrs}"].write_bytes(CSRATTRS)
            labs = {name: running.enter_context(start(files, options)) for name, options in LABS.items()}
            lines = [(step[0], name, labs[step[1]].url, labs[step[1]].anchors,
                      *(files.get(argument, argument) for argument in step[2:])) for name, step in STEPS.items()]
            self.answers = java([*lines, *sent_by_estuary(tmp, labs["basic"], files["{password}"]), *written(tmp)])

    def answer(self, name):
        if self.answers is None:
            self.take()
        check(name in self.answers, f"no answer; there are {list(self.answers)}")
        return self.answers[name]


def start(files, options):
    return Lab(program("estuary-lab"), "--user", f"alice:file:{files['{password}']}",
               *(files.get(option, option) for option in options))


def sent_by_estuary(tmp, lab, secret):
    """Lets Estuary enrol, and yields the step that reads what it sent."""
    estuary, first = Estuary(program("estuary")), tmp / "first"
    server = ("--server", lab.url, "--trust", lab.anchors, "--subject", "CN=device", "--san", "dns:device.example")
    estuary("enroll", *server, "--user", "alice", "--password", f"file:{secret}", "--out", first, code=0)
    for number, (name, (body, options, _)) in enumerate(SENT.items()):
        given = (option.replace("{password}", str(secret)).replace("{first}", str(first)) for option in options)
        estuary("fullcmc", *server, "--cmc-body", body, *given, "--out", tmp / f"sent-{number}", code=0)
        kept = shutil.copy(lab.dir / "cmc-request.der", tmp / f"sent-{number}.der")
        yield "read-request", name, kept, secret


def written(tmp):
    """The requests of tests/conformance, one step each; their secret is that program's own."""
    folder = tmp / "written"
    folder.mkdir()
    run([program("tests/conformance/test_cmc_examples"), folder], code=0)
    secret = password_file(tmp, "a shared secret of 16 and more", name="example-secret")
    return [("read-request", name, folder / file, secret) for name, (file, _) in WRITTEN.items()]


conversation = Conversation()


def step(_tmp, name, says):
    verdict, text = conversation.answer(name)
    check_equal(verdict, "ok", f"{text}; the verdict")
    check_in(says, text, "what it says")


cases_from({name: (name, SAYS.get(name, "")) for name in STEPS}, step)
cases_from({name: (name, says) for name, (_, _, says) in SENT.items()}, step)
cases_from({name: (name, says) for name, (_, says) in WRITTEN.items()}, step)

if __name__ == "__main__":
    main()
