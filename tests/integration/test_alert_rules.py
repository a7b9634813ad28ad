"""The alert rules that are shipped (R7, O4): promtool reads them, and each fires when it should and only then."""

import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from harness import ROOT, case, check, check_equal, main, need, run  # noqa: E402

RULES = ROOT / "packaging/prometheus/estuary.rules.yml"


@case("promtool checks the rules, and plays them through: each alert for a bad job, none for a good one")
def rules(tmp):
    need("promtool")
    run(["promtool", "check", "rules", RULES], code=0)
    shutil.copy(RULES, tmp)
    shutil.copy(ROOT / "tests/integration/alert_rules.test.yml", tmp)
    run(["promtool", "test", "rules", tmp / "alert_rules.test.yml"], code=0)
    # a rule that never fires must not pass unnoticed
    text = RULES.read_text()
    (tmp / RULES.name).write_text(text.replace("> 0.05", "> 0.5"))
    check(run(["promtool", "test", "rules", tmp / "alert_rules.test.yml"]).code != 0, "a deaf rule passes")


@case("every counter that the rules name is one that the library counts")
def names(_tmp):
    used = set(re.findall(r"\b(?:revocation|keys?|enrollments)_\w+", RULES.read_text()))
    sources = "".join(p.read_text() for room in ("revocation", "key", "client") for p in (ROOT / "src" / room).glob("*.c"))
    counted = set(re.findall(r'"((?:revocation|keys?|enrollments)_\w+)"', sources))
    check_equal(used - counted, set(), "names that nobody counts")
    check(len(used) >= 13, "the rules name too little")


if __name__ == "__main__":
    main()
