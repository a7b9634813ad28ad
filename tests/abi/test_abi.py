"""The shared library still is what programs were linked with (abi/libestuary.abi, written by ./run abi-update)."""

import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from harness import ROOT, Failure, Skip, case, main, need, program, run  # noqa: E402

BASELINE = ROOT / "abi" / "libestuary.abi"

# abidiff's exit code is a set of bits: 1 error, 2 usage, 4 a change, 8 an incompatible change.
INCOMPATIBLE = 1 | 2 | 8


@case("abi: nothing that programs rely on was removed or changed")
def compatible(tmp):
    abidiff = need("abidiff")
    library = program("libestuary.so").resolve()
    if not BASELINE.exists():
        raise Skip("abi/libestuary.abi does not exist yet")
    done = run([abidiff, "--headers-dir2", ROOT / "include" / "estuary", BASELINE, library], timeout=100)
    if done.code & INCOMPATIBLE:
        raise Failure("the ABI changed. Meant so? Raise the soversion, then ./run abi-update\n" + done.out + done.err)


@case("abi: a removed function would be noticed")
def noticed(tmp):
    abidiff, abidw = need("abidiff", "abidw")
    compiler = os.environ.get("CC", "cc")
    old, new = tmp / "old.c", tmp / "new.c"
    old.write_text("int f(void) { return 1; }\nint g(void) { return 2; }\n")
    new.write_text("int f(void) { return 1; }\n")
    for source in (old, new):
        subprocess.run([*compiler.split(), "-g", "-shared", "-fPIC", "-o", source.with_suffix(".so"), source],
                       check=True)
    run([abidw, "--out-file", tmp / "old.abi", tmp / "old.so"], code=0)
    done = run([abidiff, tmp / "old.abi", tmp / "new.so"])
    if not done.code & 8:
        raise Failure(f"abidiff did not see that g() went: {done!r}")


if __name__ == "__main__":
    main()
