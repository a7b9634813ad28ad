"""`meson install` gives what a user of the library needs: headers, libraries, estuary.pc, programs."""

import os
import pathlib
import shlex
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from harness import ROOT, case, check, check_equal, check_in, main, need, program, run  # noqa: E402

PROGRAM = """
#include <estuary/estuary.h>
#include <stdio.h>
int main(void)
{
    estuary_error *err = estuary_error_new();
    estuary_server *server = NULL;
    estuary_status status = estuary_server_parse("http://est.example", NULL, &server, err);
    printf("%s %s\\n", estuary_version(), estuary_error_code(err));
    estuary_server_free(server);
    estuary_error_free(err);
    return status == ESTUARY_E_USAGE ? 0 : 1;
}
"""


def sanitizers(build):
    """The flags a program needs to load a library that was built with sanitizers."""
    options = run(["meson", "configure", build], code=0).out
    for line in options.splitlines():
        words = line.split()
        if words[:1] == ["b_sanitize"] and words[1] != "none":
            return [f"-fsanitize={words[1]}"]
    return []


@case("install: a program finds it with pkg-config, links and runs")
def install(tmp):
    meson, pkg_config = need("meson"), need("pkg-config")
    build = program("estuary").parent
    stage = tmp / "stage"
    run([meson, "install", "-C", build, "--no-rebuild", "--destdir", stage], timeout=120, code=0)

    pc = next(stage.rglob("estuary.pc"))
    library = next(stage.rglob("libestuary.so"))
    check(next(stage.rglob("libestuary.a"), None) is not None, "libestuary.a is not installed")
    for name in ("bin/estuary", "bin/estuary-lab"):
        check(next(stage.rglob(name), None) is not None, f"{name} is not installed")
    check_equal(sorted(p.name for p in next(stage.rglob("include/estuary")).iterdir()),
                sorted(p.name for p in (ROOT / "include/estuary").glob("*.h")), "installed headers")
    pages = {p.name for p in stage.rglob("share/man/man*/*")}
    check_equal(pages, {p.name for p in (ROOT / "man").rglob("*.[1-8]")}, "installed manual pages")

    env = {"PKG_CONFIG_PATH": pc.parent, "PKG_CONFIG_SYSROOT_DIR": None}
    prefix = next(stage.rglob("include/estuary")).parents[1]
    flags = run([pkg_config, f"--define-variable=prefix={prefix}", "--cflags", "--libs", "estuary"],
                env=env, code=0).out
    check_in("-lestuary", flags)
    check("-lcurl" not in flags, f"what the library uses itself is not for its users to link: {flags}")

    source, binary = tmp / "user.c", tmp / "user"
    source.write_text(PROGRAM)
    extra = sanitizers(build)
    compiler = "clang" if extra else os.environ.get("CC", "cc")
    run([compiler, "-std=c17", "-Wall", "-Wextra", "-Werror", *extra, source, "-o", binary, *shlex.split(flags)], code=0)
    done = run([binary], env={"LD_LIBRARY_PATH": library.parent}, code=0)
    check_equal(done.out, "0.1.0 usage.url-not-https\n", "stdout")


if __name__ == "__main__":
    main()
