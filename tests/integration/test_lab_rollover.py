"""The lab's --rollover, judged by openssl alone (E1, RFC 7030 4.1.3, RFC 4210 4.4)."""

import pathlib
import sys
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import Lab, case, check, check_equal, fingerprint, main, openssl  # noqa: E402
from lab_client import PATH, binary, certificates, curl, enrolled, user  # noqa: E402


def names(pem, tmp):
    (tmp / "one.pem").write_text(pem)
    text = openssl("x509", "-in", tmp / "one.pem", "-noout", "-subject", "-issuer").out
    return tuple(line.partition("=")[2].strip() for line in text.splitlines())


def verifies(trust, certificate, tmp, *untrusted):
    (tmp / "trust.pem").write_text(trust)
    (tmp / "leaf.pem").write_text(certificate)
    (tmp / "untrusted.pem").write_text("".join(untrusted))
    helpers = ["-untrusted", tmp / "untrusted.pem"] if untrusted else []
    return openssl("verify", "-x509_strict", "-CAfile", tmp / "trust.pem", *helpers, tmp / "leaf.pem",
                   code=None).code == 0


@case("a lab started again with --rollover: five certificates, each signed as RFC 4210 4.4 says")
def rollover(tmp):
    with Lab(binary(), *user(tmp), dir=tmp / "lab") as lab:
        device = enrolled(lab, tmp)
        old = lab.anchors.read_text()
        before = lab.fingerprint
    with Lab(binary(), *user(tmp), "--rollover", dir=tmp / "lab") as lab:
        check_equal((lab.fingerprint, lab.anchors.read_text()), (before, old), "the old root stays the anchor")
        new = pathlib.Path(lab.ready["new_anchors"]).read_text()
        check_equal(fingerprint(lab.ready["new_anchors"]), lab.ready["new_fingerprint"], "new fingerprint")
        found = certificates(curl(lab, PATH + "cacerts"), tmp)
        check_equal(len(found), 5, "certificates")
        check({old, new} <= set(found), "OldWithOld and NewWithNew are among them")
        root = names(old, tmp)[0]
        check_equal(names(new, tmp), (root, root), "the name of the new root")
        links = [one for one in found if one not in (old, new) and names(one, tmp) == (root, root)]
        check_equal(len(links), 2, "OldWithNew and NewWithOld")
        issuing = [one for one in found if names(one, tmp)[0] != root]
        check_equal(len(issuing), 1, "issuing CAs")
        by_old = [one for one in links if verifies(old, one, tmp)]
        by_new = [one for one in links if verifies(new, one, tmp)]
        check_equal((len(by_old), len(by_new)), (1, 1), "links signed by the old and by the new root")
        check(by_old != by_new, "NewWithOld is not OldWithNew")
        check(not verifies(old, issuing[0], tmp), "the old root vouches for the new issuing CA by itself")
        check(verifies(old, issuing[0], tmp, *by_old), "NewWithOld does not lead to the old root")
        # what the old CA issued is still welcome, and what replaces it comes from the new one
        answer = device.post(lab, *device.identity(), operation="simplereenroll")
        check_equal(answer.status, 200, "status of simplereenroll with the old certificate")
        check(verifies(new, certificates(answer, tmp)[0], tmp, issuing[0]), "the new certificate")
        for name in ("root", "issuing", "root-new", "issuing-new"):
            for kind in ("crl", "cer"):
                with urllib.request.urlopen(f"{lab.http}/{name}.{kind}", timeout=10) as page:
                    check(page.read(), f"{name}.{kind} is empty")
    with Lab(binary(), *user(tmp), "--rollover", dir=tmp / "lab") as lab:
        check_equal(pathlib.Path(lab.ready["new_anchors"]).read_text(), new, "the new root after a restart")
        check_equal(fingerprint(lab.ready["new_anchors"]), lab.ready["new_fingerprint"], "its fingerprint")


@case("in the handshake NewWithOld leads a client of the old root to the new one, and only a good one does")
def handshake(tmp):
    for name in (None, "rollover-not-sent", "rollover-stranger", "rollover-missing", "rollover-expired",
                 "rollover-not-ca"):
        misbehave = ["--misbehave", name] if name else []
        with Lab(binary(), "--rollover", *misbehave) as lab:
            answer = curl(lab, PATH + "cacerts")    # curl trusts the old root
            check(answer.code in ((35, 60) if name else (0,)), f"curl's exit code is {answer.code} {misbehave}")
            answer = curl(lab, PATH + "cacerts", "--cacert", lab.ready["new_anchors"])
            check_equal((answer.code, answer.status), (0, 200), f"with the new root {misbehave}")
            expected = 4 if "rollover-missing" in misbehave else 5
            check_equal(len(certificates(answer, tmp)), expected, f"certificates {misbehave}")


if __name__ == "__main__":
    main()
