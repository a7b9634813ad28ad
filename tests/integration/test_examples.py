"""examples/ against the lab: what they print, what they leave, and how they fail."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from harness import (ROOT, Lab, case, check, check_equal, check_in, fingerprint, main, openssl,  # noqa: E402
                     password_file, program, run, snapshot)


def example(name):
    return program(f"examples/example_{name}")


def enroll(lab, tmp, secret, out, **options):
    return run([example("enroll"), lab.url, lab.anchors, "alice", f"file:{secret}", "device.example", out], **options)


def public_key(*command):
    return openssl(*command).out


@case("examples: enroll, then renew with the certificate itself")
def enroll_and_renew(tmp):
    secret, out = password_file(tmp), tmp / "device"
    with Lab(program("estuary-lab"), "--user", f"alice:file:{secret}") as lab:
        enroll(lab, tmp, secret, out, code=0)
        check_equal(sorted(p.name for p in out.iterdir()), ["cert.pem", "chain.pem", "fullchain.pem", "key.pem"],
                    "files")
        check_equal((out / "key.pem").stat().st_mode & 0o777, 0o600, "mode of key.pem")
        first = fingerprint(out / "cert.pem")
        before = snapshot(out)

        run([example("renew"), lab.url, lab.anchors, out], code=0)
        check_equal(snapshot(out), before, "a folder that is not due yet")

        run([example("renew"), lab.url, lab.anchors, out, "now"], code=0)
        check(fingerprint(out / "cert.pem") != first, "the certificate is still the old one")
        openssl("verify", "-CAfile", lab.anchors, "-untrusted", out / "chain.pem", out / "cert.pem")
        check_equal(public_key("x509", "-in", out / "cert.pem", "-noout", "-pubkey"),
                    public_key("pkey", "-in", out / "key.pem", "-pubout"), "public key")
        check_in("device.example", openssl("x509", "-in", out / "cert.pem", "-noout", "-ext", "subjectAltName").out)


@case("examples: enroll with a wrong password is exit 6 and leaves nothing")
def wrong_password(tmp):
    right, wrong, out = password_file(tmp), password_file(tmp), tmp / "device"
    with Lab(program("estuary-lab"), "--user", f"alice:file:{right}") as lab:
        done = enroll(lab, tmp, wrong, out, code=6)
        check_in("enroll: auth:", done.err)
        check_equal(snapshot(out), {}, "the folder")


@case("examples: SSLKEYLOGFILE, which libcurl honours: the file may appear, but no secret of a session gets there")
def key_log(tmp):
    secret, log = password_file(tmp), tmp / "keylog"
    with Lab(program("estuary-lab"), "--user", f"alice:file:{secret}") as lab:
        enroll(lab, tmp, secret, tmp / "device", env={"SSLKEYLOGFILE": log}, code=0)
        check_equal(log.read_bytes() if log.exists() else b"", b"", "the key log")


@case("examples: many enrols five devices at once, and says what failed")
def many(tmp):
    secret = password_file(tmp)
    with Lab(program("estuary-lab"), "--user", f"alice:file:{secret}") as lab:
        done = run([example("many"), lab.url, lab.anchors, "alice", f"file:{secret}", "5"], code=0)
        check_equal(sorted(done.out.splitlines()), [f"CN=device-{i}" for i in range(5)], "stdout")
        done = run([example("many"), lab.url, lab.anchors, "bob", f"file:{secret}", "2"], code=1)
        check_equal(done.out, "", "stdout")


@case("examples: own_transport drives an exchange over its own TLS")
def own_transport(tmp):
    with Lab(program("estuary-lab")) as lab:
        done = run([example("own_transport"), lab.url, lab.anchors], code=0)
        # certs-only has no order: each root of the lab must be among the lines
        root = openssl("x509", "-in", lab.anchors, "-noout", "-subject", "-nameopt", "RFC2253").out
        check_in(root.strip().removeprefix("subject="), done.out.splitlines())
        check_in("/cacerts", " ".join(str(entry) for entry in lab.access_log()), "the lab's access log")


@case("examples: own_transport refuses a server of another CA")
def own_transport_refuses(tmp):
    with Lab(program("estuary-lab")) as lab, Lab(program("estuary-lab")) as other:
        done = run([example("own_transport"), lab.url, other.anchors], code=1)
        check_equal(done.out, "", "stdout")


@case("examples: each is shorter than 120 lines")
def short(tmp):
    for path in (ROOT / "examples").glob("*.c"):
        lines = len(path.read_text().splitlines())
        check(lines <= 120, f"{path.name} has {lines} lines")


if __name__ == "__main__":
    main()
