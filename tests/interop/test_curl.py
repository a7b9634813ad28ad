"""curl and openssl as the client of the lab: the script est_with_curl.sh, which knows nothing of Estuary. RFC 7030"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import (Lab, cases_from, check_equal, main, need, password_file, program, run)  # noqa: E402

SCRIPT = pathlib.Path(__file__).resolve().parent / "est_with_curl.sh"
CSRATTRS = bytes.fromhex("3016" "06092a864886f70d010907" "0609608648016503040202")
WAIT = "simpleenroll: wait 0"


def said(*middle, attributes="none"):
    return ["cacerts: 2 certificates", f"csrattrs: {attributes}", *middle,
            "simpleenroll: subject=CN = curl", "simplereenroll: subject=CN = curl"]


TABLE = {
    "HTTP Basic, TLS 1.3": ("basic", ("--tls", "1.3"), said()),
    "HTTP Digest with SHA-256, TLS 1.2, csrattrs":
        ("digest", ("--tls", "1.2", "--auth", "digest-sha256", "--csrattrs", "{csrattrs}"),
         said(attributes="2 objects")),
    "202 and Retry-After, HTTP Digest with MD5":
        ("digest", ("--auth", "digest", "--pending", "2", "--retry-after", "0"),
         [*said(WAIT, WAIT)[:-1], "simplereenroll: wait 0", "simplereenroll: wait 0", said()[-1]]),
}


def enroll(tmp, scheme, options, expected):
    need("curl", "openssl", "awk")
    secret = password_file(tmp, "pass-s3cret")
    attributes = tmp / "csrattrs"
    attributes.write_bytes(CSRATTRS)
    folder = tmp / "work"
    folder.mkdir()
    with Lab(program("estuary-lab"), "--user", f"alice:file:{secret}",
             *(option.replace("{csrattrs}", str(attributes)) for option in options)) as lab:
        result = run([SCRIPT, lab.url, lab.anchors, "alice", secret, folder, scheme])
    check_equal(result.out.splitlines(), expected, f"{result!r}: what it says")
    check_equal(result.code, 0, "exit code")


cases_from({f"curl and openssl: {name}": row for name, row in TABLE.items()}, enroll)

if __name__ == "__main__":
    main()
