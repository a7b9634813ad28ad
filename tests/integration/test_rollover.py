"""A client that slept through a root rollover (E1, RFC 7030 4.1.3, RFC 4210 4.4), against the lab's --rollover."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from common import Alice, check_folder, enrolled, estuary, lab, server  # noqa: E402
from harness import case, check, check_equal, check_in, main, snapshot  # noqa: E402


def names(answer):
    return sorted(row["role"] for row in answer["certificates"])


@case("NewWithOld in the handshake is enough: cacerts and enroll work with the old root alone")
def link_in_handshake(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab, "--rollover") as ca:
        answer = est.json("cacerts", *server(ca), "-o", tmp / "ca.pem", code=0)
        check_equal(answer["recovered"], False, "recovered")
        check_equal(names(answer), ["intermediate", "new-with-old", "old-with-new", "root", "root"], "roles")
        out = enrolled(est, ca, alice, tmp / "out")
        check_folder(out, ca.ready["new_anchors"])
        # with the new set nothing of the old one is needed
        est.json("cacerts", "--server", ca.url, "--trust", tmp / "ca.pem", code=0)


@case("without it the old root still vouches: cacerts recovers by itself, enroll says how")
def recovers(tmp):
    alice, est = Alice(tmp), estuary()
    with lab(*alice.lab, "--misbehave", "rollover-not-sent") as ca:
        old = tmp / "ca.pem"
        old.write_bytes(ca.anchors.read_bytes())
        trust = ("--server", ca.url, "--trust", old)
        before = len(ca.access_log())
        answer = est.json("enroll", *trust, *alice.client, "--subject", "CN=device", "--out", tmp / "out", code=5)
        check_equal(answer["error"]["category"], "trust", "category")
        check_in("estuary cacerts", answer["error"]["remedy"], "remedy")
        check_equal(snapshot(tmp / "out"), {}, "the folder of a refused enrolment")
        check_equal(ca.access_log()[before:], [], "what a server that is not trusted saw")

        # the file that is trusted is the one that is replaced
        answer = est.json("cacerts", *trust, *alice.client, "-o", old, code=0)
        check_equal(answer["recovered"], True, "recovered")
        check_equal(names(answer), ["intermediate", "new-with-old", "old-with-new", "root", "root"], "roles")
        check(all(not r["authorization"] for r in ca.access_log()), "a password was sent")
        check_in(pathlib.Path(ca.ready["new_anchors"]).read_text().strip(), old.read_text(), "the new set")
        est.json("enroll", *trust, *alice.client, "--subject", "CN=device", "--out", tmp / "out", code=0)
        check_folder(tmp / "out", ca.ready["new_anchors"])


@case("in words: cacerts says what it did")
def words(tmp):
    est = estuary()
    with lab("--misbehave", "rollover-not-sent") as ca:
        text = est("cacerts", *server(ca), "-o", tmp / "ca.pem", code=0).out
        check_in("The CA has a new root.", text, "output")
        check_in("rollover: the new root's key, signed by the old root", text, "output")
        text = est("csrattrs", *server(ca), code=5).err
        check_in("if the CA has a new root, estuary cacerts", text, "error")


@case("a new root that the old one has not signed for is nothing: no file changes")
def not_vouched(tmp):
    est = estuary()
    for bad in ("rollover-missing", "rollover-stranger", "rollover-expired", "rollover-not-ca",
                "rollover-weak-signature"):
        with lab("--misbehave", bad) as ca:
            old = tmp / f"{bad}.pem"
            old.write_bytes(ca.anchors.read_bytes())
            before = snapshot(tmp)
            answer = est.json("cacerts", "--server", ca.url, "--trust", old, "-o", old, code=5)
            check_equal(snapshot(tmp), before, f"{bad}: the files")
            check("recovered" not in answer.json, f"{bad}: recovered")
            check_equal(answer["error"]["category"], "trust", f"{bad}: category")


@case("another CA behind the same name gets nothing from the old anchors")
def another_ca(tmp):
    est = estuary()
    with lab("--rollover") as ca:
        stranger = ca.anchors.read_bytes()
    (tmp / "stranger.pem").write_bytes(stranger)
    with lab("--rollover") as ca:
        answer = est.json("cacerts", "--server", ca.url, "--trust", tmp / "stranger.pem", code=5)
        check_in("no new root that the trust anchors vouch for", answer["error"]["remedy"], "remedy")
        est.json("cacerts", "--server", ca.url, "--trust", "system", code=5)
        answer = est.json("csrattrs", "--server", ca.url, "--trust", "system", code=5)
        check_in("the system's store does not hold this CA's root", answer["error"]["remedy"], "remedy")


if __name__ == "__main__":
    main()
