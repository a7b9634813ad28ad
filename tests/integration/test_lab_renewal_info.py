"""The lab's renewal-info (O1, draft-yusef-lamps-rfc7030-renewal-recommendation), asked with curl."""

import datetime
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import Lab, case, check, check_equal, check_in, main, openssl  # noqa: E402
from lab_client import PATH, base64url, binary, curl, enrolled, renewal_identifier, user  # noqa: E402


def moment(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").timestamp()


@case("the window begins at two thirds of the lifetime, in JSON without base64")
def window(tmp):
    with Lab(binary(), *user(tmp), "--lifetime", "300000") as lab:
        device = enrolled(lab, tmp)
        identifier = renewal_identifier(device.cert)
        for label in ("", "factory/"):
            answer = curl(lab, f"{PATH}{label}renewal-info/{identifier}")
            check_equal((answer.status, answer.header("content-type"), answer.header("retry-after")),
                        (200, "application/json", "21600"), "answer")
            given = json.loads(answer.body)["suggestedWindow"]
            text = openssl("x509", "-in", device.cert, "-noout", "-dates", "-dateopt", "iso_8601").out
            begin, end = (moment(line.partition("=")[2].replace(" ", "T")) for line in text.splitlines())
            check_equal(moment(given["start"]), begin + (end - begin) * 2 // 3, "start")
            check(moment(given["start"]) < moment(given["end"]) < end, f"end {given}")


@case("unknown, malformed and padded identifiers are 404")
def unknown(tmp):
    with Lab(binary(), *user(tmp)) as lab:
        aki, serial = renewal_identifier(enrolled(lab, tmp).cert).split(".")
        for wrong in (f"{serial}.{aki}", f"{aki}.{base64url(b'x' * 16)}", aki, f"{aki}.", f".{serial}",
                      f"{aki}.{serial}==", f"{aki}.{serial}.{serial}", f"{aki}/{serial}", f"{aki}.{'A' * 300}",
                      f"{aki}.Li4vLi4vLi4", ""):
            answer = curl(lab, f"{PATH}renewal-info/{wrong}")
            check_equal(answer.status, 404, f"status of {wrong!r}")
        check_equal(curl(lab, PATH + "renewal-info").status, 404, "status without identifier")
        answer = curl(lab, f"{PATH}renewal-info/{aki}.{serial}", "-d", "x")
        check_equal((answer.status, answer.header("allow")), (405, "GET"), "POST")


@case("a certificate from before a rollover is still known")
def rolled(tmp):
    with Lab(binary(), *user(tmp), dir=tmp / "lab") as lab:
        device = enrolled(lab, tmp)
    with Lab(binary(), "--rollover", dir=tmp / "lab") as lab:
        answer = curl(lab, f"{PATH}renewal-info/{renewal_identifier(device.cert)}")
        check_equal(answer.status, 200, "status")
        check_in(b"suggestedWindow", answer.body, "body")


if __name__ == "__main__":
    main()
