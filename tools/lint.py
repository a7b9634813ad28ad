"""The rules of the house, checked. Prints TAP; each failure names file:line and what to do.

usage: lint.py [--build FOLDER] [--list] [CHECK...]
"""

import argparse
import concurrent.futures
import functools
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
CORES = os.cpu_count() or 2

# Who may include whom (rooms of src/). Imports go down only.
ROOMS = {
    "base": (),
    "wire": ("base",),
    "key": ("base", "wire"),
    "cert": ("base", "wire"),
    "trust": ("base", "wire", "key", "cert"),
    "http": ("base",),
    "est": ("base", "wire", "key", "cert"),
    "revocation": ("base", "wire", "cert", "http"),
    "client": ("base", "wire", "key", "cert", "trust", "http", "est", "revocation"),
    "store": ("base", "wire", "key", "cert", "trust", "http", "est", "revocation", "client"),
    "renew": ("base", "wire", "cert"),      # the pure plan only
}
# Pure rooms: no sockets, files, clock, environment (design rule 1).
PURE = ("wire", "est")
FUNCTION_LINES = 60


class Missing(Exception):
    """A tool or a build that this check needs is not there."""


# --- files and text -------------------------------------------------------------------------------

def files(*folders, suffixes=(".c", ".h")):
    found = []
    for folder in folders:
        found += [p for p in (ROOT / folder).rglob("*") if p.suffix in suffixes and p.is_file()]
    return sorted(found)


def at(path, line=1):
    return f"{path.relative_to(ROOT)}:{line}"


@functools.lru_cache(maxsize=None)
def text_of(path):
    return path.read_text("utf-8", "replace")


def blank(match):
    """The same number of lines and columns, with nothing in them."""
    return re.sub(r"[^\n]", " ", match.group(0))


@functools.lru_cache(maxsize=None)
def code_of(path):
    """The C text without comments and without what stands inside string literals."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    def keep(match):
        return '""'.ljust(len(match.group(0))) if match.group(0)[0] == '"' else blank(match)
    return re.sub(pattern, keep, text_of(path), flags=re.DOTALL)


def grep(paths, pattern, advice, source=code_of):
    """One finding per match; advice may use {0}, the text that matched."""
    findings = []
    for path in paths:
        text = source(path)
        for match in re.finditer(pattern, text, re.MULTILINE):
            line = text.count("\n", 0, match.start()) + 1
            findings.append(f"{at(path, line)}: {advice.format(match.group(0).strip())}")
    return findings


def tool(name):
    found = shutil.which(name)
    if not found:
        raise Missing(f"{name} is not installed (./run install-deps check)")
    return found


def in_parallel(function, items):
    """The findings of function(item) for all items, in order."""
    with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
        return [finding for findings in pool.map(function, items) for finding in findings]


def command(argv, **options):
    return subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False, cwd=ROOT, **options)


def first_lines(text, count=6):
    return "\n".join(text.strip().splitlines()[:count])


# --- imports --------------------------------------------------------------------------------------

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def includes(path):
    text = text_of(path)
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match.group(1), match.group(2)


def check_imports(_):
    findings = []
    for path in files("src"):
        room = path.relative_to(ROOT / "src").parts[0]
        if room not in ROOMS:
            findings.append(f"{at(path)}: room '{room}' has no row in tools/lint.py; give it one")
            continue
        for line, kind, name in includes(path):
            other = name.split("/")[0] if "/" in name else room
            if kind == "<" or other == room:
                continue
            if other not in ROOMS[room]:
                findings.append(f"{at(path, line)}: {room} must not include {name}: imports go down only; "
                                "take a callback, or move what is needed down")
            elif name != f"{other}/{other}.h":
                findings.append(f"{at(path, line)}: include {other}/{other}.h, the only header other rooms may see")
    return findings


def check_outsiders(_):
    findings = []
    for path in files("cmd", "examples"):
        for line, kind, name in includes(path):
            if kind == '"' and not ((path.parent / name).exists() or (ROOT / "cmd/estuary" / name).exists()):
                findings.append(f"{at(path, line)}: {name} is not this folder's own; use <estuary/...> only")
    for path in files("lab"):
        for line, kind, name in includes(path):
            if name.startswith("estuary/") or (kind == '"' and not (path.parent / name).exists()):
                findings.append(f"{at(path, line)}: the lab shares no code with the library: that would prove nothing")
    return findings


def check_private_tools(_):
    """Libraries and calls that belong to one room."""
    src, cmd = files("src"), files("cmd")
    findings = grep([p for p in src if "src/http/" not in str(p)], r"#[ \t]*include[ \t]*<curl/[^>]*>|\bcurl_easy_\w+\(",
                    "{0}: only src/http knows libcurl", source=text_of)
    findings += grep([p for p in src + cmd if not str(p).endswith("src/base/error.c")],
                     r"\bERR_(get|peek|print)_?\w*\(", "{0}: only base/error.c reads OpenSSL's error queue (est_fail_openssl)")
    # the TPM provider takes its connection from there and nowhere else
    findings += grep([p for p in src if not str(p).endswith(("src/base/secret.c", "src/key/tpm2_tcti.c"))],
                     r"\b(secure_)?getenv\(", "{0}: only base/secret.c looks at the environment")
    return findings


def check_pure(_):
    paths = [p for room in PURE for p in files(f"src/{room}")]
    return grep(paths, r"(?<!->)\b(fopen|open|openat|socket|connect|time|clock_gettime|gettimeofday|est_now|est_monotonic_ms|"
                r"est_file_read|getenv|BIO_new_file|BIO_new_connect|read|write|printf|fprintf)\(",
                "{0}: wire and est are pure: no sockets, files, clock or environment; take it as an argument")


# --- calls ----------------------------------------------------------------------------------------

BANNED = {
    r"\b(strcpy|strcat|sprintf|vsprintf|gets|stpcpy)\(": "{0} does not know how much room there is; use snprintf or est_buf",
    r"\b(atoi|atol|atoll|atof)\(": "{0} hides errors and overflow; use strtol with all its checks",
    r"\bstrtok\(": "{0} has hidden state; use strcspn",
    r"\b(alloca|system|popen)\(": "{0} is not used in this house",
    r"\b(tmpnam|mktemp|tempnam)\(": "{0} races; use mkstemp or openat with O_EXCL",
    r"\b(rand|srand|random|srandom|drand48)\(": "{0} can be guessed; use RAND_bytes",
    r"\bsetenv\(|\bputenv\(": "{0} is not safe beside threads",
}


def check_banned(_):
    findings = []
    paths = files("include", "src", "cmd", "lab", "examples")
    for pattern, advice in BANNED.items():
        findings += grep(paths, pattern, advice)
    findings += grep(files("src"), r"(?<![\w.>])(malloc|calloc|realloc|strdup|strndup|asprintf)\(",
                     "{0}: memory comes from est_alloc or OPENSSL_malloc, so that tests can make it fail")
    return findings


def check_cloexec(_):
    """A descriptor without O_CLOEXEC is inherited by whatever the process runs."""
    findings = []
    for path in files("src", "cmd", "lab"):
        text = text_of(path)
        for match in re.finditer(r"(?<![\w.>])(open|openat|fopen|socket|accept|pipe|dup)\(([^;{}]*?)\)\s*[;{=!<>&|?]", text, re.DOTALL):
            call, arguments = match.group(1), match.group(2)
            safe = "CLOEXEC" in arguments or (call == "fopen" and re.search(r'"[rwab+x]*e[rwab+x]*"', arguments))
            if not safe and "CLOEXEC" not in text[match.start():match.end() + 80]:
                line = text.count("\n", 0, match.start()) + 1
                findings.append(f"{at(path, line)}: {call}() without O_CLOEXEC (fopen: mode \"e\"): hooks would inherit it")
    return findings


def check_openssl_names(_):
    return grep(files("include", "src", "cmd", "lab", "examples", "tests"),
                r"\b(?!RSA_PSS_PARAMS_|RSA_OAEP_PARAMS_|ECDSA_SIG_)(ENGINE|RSA|EC_KEY|DSA|DH|SHA1|SHA224|SHA256|SHA384|SHA512|MD5|HMAC|AES|DES|ECDSA|ECDH)_[A-Za-z0-9_]*\(",
                "{0} is deprecated in OpenSSL 3.0; use EVP")


def check_secrets(_):
    """A secret's bytes in a call that prints; keys and passwords written into the sources."""
    sink = r"\b(est_log|est_fail\w*|EST_FAIL\w*|est_error_set_detail|f?printf|dprintf|syslog|perror|fputs|puts)\([^;]*?"
    secret = r"(estuary_secret_get0|\bpassphrase->|\bpassword->|\bpin->|authorization_value)[^;]*;"
    findings = grep(files("src", "cmd", "lab", "examples"), sink + secret,
                    "a secret reaches a call that prints; it must never be in a log, error or argv")
    everywhere = files("include", "src", "cmd", "lab", "examples", "packaging", "docs", "man",
                       suffixes=(".c", ".h", ".md", ".conf", ".service", ".1", ".3", ".5", ".7", ".sh", ".py"))
    findings += grep(everywhere, r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s*\n[A-Za-z0-9+/=]{20,}",
                     "a private key stands here; make one at run time", source=text_of)
    return findings


# --- shape ----------------------------------------------------------------------------------------

def check_function_length(_):
    findings = []
    for path in files("include", "src", "cmd", "lab", "examples"):
        start = name = None
        previous = ""
        for number, line in enumerate(text_of(path).splitlines(), 1):
            if line == "{":
                start, name = number, previous
            elif line.startswith("}") and start is not None:
                if number - start - 1 > FUNCTION_LINES:
                    findings.append(f"{at(path, start)}: {number - start - 1} lines, at most {FUNCTION_LINES}; "
                                    f"it does more than one thing: {name.strip()}")
                start = None
            if line.strip():
                previous = line
    return findings


def check_words(_):
    words = "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3))
    paths = files("include", "src", "cmd", "lab", "examples", "tests", "tools", "packaging", "man", "docs",
                  suffixes=(".c", ".h", ".py", ".sh", ".md", ".1", ".3", ".5", ".7", ".build"))
    return grep(paths, rf"\b({words})\b", "{0}: do it now, or write an issue", source=text_of)


def check_machine_paths(_):
    """Nothing about the machine it was written on."""
    paths = files("include", "src", "cmd", "lab", "examples", "tests", "tools", "packaging", "man", "docs", "abi",
                  suffixes=(".c", ".h", ".py", ".sh", ".md", ".1", ".3", ".5", ".7", ".build", ".abi"))
    paths += [p for p in (ROOT / "README.md", ROOT / "run", ROOT / ".ci/run", ROOT / "meson.build") if p.exists()]
    findings = grep(paths, r"(?<![\w.])/(home|root|work|Users)/[\w.-]+", "{0}: a path of one machine", source=text_of)
    # ./run abi-update builds in ./build, so its sources are below ../src; a build elsewhere says where that was
    return findings + grep([ROOT / "abi/libestuary.abi"], r"path='(?!\.\./(src|include)/)[^']*'",
                           "{0}: a path of one machine; ./run abi-update", source=text_of)


# --- headers and exports --------------------------------------------------------------------------

def public_headers():
    return files("include/estuary", suffixes=(".h",))


def check_headers(_):
    """Each header compiles alone, with every compiler there is."""
    warnings = ["-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-DOPENSSL_NO_DEPRECATED", "-DOPENSSL_API_COMPAT=30000"]
    jobs = []
    for header in public_headers():
        for compiler, language in (("gcc", ["-std=c17", "-Wpedantic", "-xc"]), ("clang", ["-std=c17", "-Wpedantic", "-xc"]),
                                   ("g++", ["-std=c++17", "-xc++"])):
            if shutil.which(compiler):
                jobs.append((header, [compiler, *warnings, *language, "-Iinclude"]))
    for room in ROOMS:
        header = ROOT / "src" / room / f"{room}.h"
        if header.exists():
            jobs.append((header, ["gcc", *warnings, "-D_GNU_SOURCE=1", "-std=c17", "-xc", "-Iinclude", "-Isrc"]))

    def compile_alone(job):
        header, argv = job
        done = command([*argv, "-"], input=f'#include "{header}"\n')
        return [f"{at(header)}: does not compile alone with {argv[0]}: {first_lines(done.stdout)}"] if done.returncode else []
    return in_parallel(compile_alone, jobs)


PROTOTYPE = re.compile(r"ESTUARY_EXPORT[^;{]*?\b(estuary_\w+)\s*\(")


def prototypes():
    """{function: where}"""
    found = {}
    for header in public_headers():
        text = text_of(header)
        for match in PROTOTYPE.finditer(text):
            found.setdefault(match.group(1), at(header, text.count("\n", 0, match.start(1)) + 1))
    return found


def check_exports(build):
    library = build / "libestuary.so"
    if not library.exists():
        raise Missing(f"{library.name} is not built (./run build)")
    declared = prototypes()
    listed = re.findall(r"^\s*(estuary_\w+);$", text_of(ROOT / "src/estuary.map"), re.MULTILINE)
    done = command(["nm", "-D", "--defined-only", library])
    exported = {row.split()[2].split("@")[0] for row in done.stdout.splitlines() if len(row.split()) > 2
                and row.split()[1] in "TDBRVWi"}
    findings = []
    if listed != sorted(set(listed)):
        findings.append("src/estuary.map:1: keep the names sorted, each once")
    for name in sorted(declared.keys() - set(listed)):
        findings.append(f"{declared[name]}: {name} is not in src/estuary.map; add it")
    for name in sorted(set(listed) - declared.keys()):
        findings.append(f"src/estuary.map:1: {name} has no prototype in include/estuary; remove it or declare it")
    for name in sorted(declared.keys() - exported):
        findings.append(f"{declared[name]}: {name} is declared, but libestuary.so does not export it; write it")
    for name in sorted(exported - declared.keys()):
        findings.append(f"src/estuary.map:1: libestuary.so exports {name}, which no public header declares")
    return findings


def check_include_list(_):
    """estuary.h includes every header; Meson installs every header."""
    findings = []
    umbrella, listed = text_of(ROOT / "include/estuary/estuary.h"), text_of(ROOT / "include/estuary/meson.build")
    for header in public_headers():
        if header.name != "estuary.h" and f"<estuary/{header.name}>" not in umbrella:
            findings.append(f"{at(header)}: include it in estuary.h")
        if f"'{header.name}'" not in listed:
            findings.append(f"{at(header)}: list it in include/estuary/meson.build, or it is not installed")
    return findings


# --- manual pages ---------------------------------------------------------------------------------

def check_manual_names(_):
    """Every exported function has a page that names it, and pages name nothing else."""
    declared = prototypes()
    named, prototyped = {}, set()
    for page in files("man", suffixes=(".3",)):
        for number, line in enumerate(text_of(page).splitlines(), 1):
            found = re.match(r"\.\s*Nm\s+(estuary_\w+)", line)
            if found:
                named.setdefault(found.group(1), at(page, number))
            found = re.match(r'\.\s*(?:Fn|Fo)\s+"?\*?(estuary_\w+)', line)
            if found:
                named.setdefault(found.group(1), at(page, number))
                prototyped.add(found.group(1))
    types = {n for h in public_headers() for n in re.findall(r"\b(estuary_\w+)\b", code_of(h))}
    findings = [f"{declared[n]}: {n} has no manual page: a .Fn or .Fo line in man/*.3" for n in sorted(declared.keys() - prototyped)]
    findings += [f"{named[n]}: {n} is in no public header" for n in sorted(named.keys() - declared.keys() - types)]
    return findings


def check_mandoc(_):
    mandoc = tool("mandoc")
    pages = files("man", suffixes=(".1", ".3", ".5", ".7"))
    if not pages:
        return ["man:1: there are no manual pages"]
    done = command([mandoc, "-T", "lint", "-W", "warning", *pages])
    return [line.replace("mandoc: ", "").replace(f"{ROOT}/", "") for line in done.stdout.splitlines() if line.strip()]


# --- format and clang-tidy ------------------------------------------------------------------------

def check_format(_):
    clang_format = tool("clang-format")
    done = command([clang_format, "--dry-run", "-Werror", "--ferror-limit=1",
                    *files("include", "src", "cmd", "lab", "tests", "examples")])
    return [f"{m.group(1).replace(f'{ROOT}/', '')}: not formatted; ./run fmt"
            for m in re.finditer(r"^(\S+:\d+):\d+: error:", done.stdout, re.MULTILINE)]


def tidy_commands(build):
    """{source: compiler arguments without output options} for src, cmd, lab."""
    database = build / "compile_commands.json"
    if not database.exists():
        raise Missing("no compile_commands.json (./run build)")
    wanted = {}
    for entry in json.loads(database.read_text()):
        path = (pathlib.Path(entry["directory"]) / entry["file"]).resolve()
        if ROOT in path.parents and path.relative_to(ROOT).parts[0] in ("src", "cmd", "lab"):
            wanted[path] = entry
    return wanted


# In ./run check (ESTUARY_LINT=quick) the analyzer gives up a function after 20 000 states instead of 225 000, which takes
# a third of the time; ./run lint goes all the way.
QUICK = ("-Xclang", "-analyzer-config", "-Xclang", "max-nodes=20000")
BATCH = 6   # to start clang-tidy costs as much as to check a short file


def made_from(build):
    """{source: all files its object was made from}, as the compiler told ninja."""
    found, names = {}, []
    whole = functools.lru_cache(maxsize=None)(lambda name: (build / name).resolve())
    for line in command(["ninja", "-C", build, "-t", "deps"]).stdout.splitlines():
        if line.startswith("    "):
            names.append(whole(line.strip()))
        elif names:
            found.setdefault(names[0], names)
            names = []
    return found


@functools.lru_cache(maxsize=None)
def content_of(path):
    return hashlib.sha256(path.read_bytes()).digest() if path.exists() else b"gone"


def check_tidy(build):
    clang_tidy = tool("clang-tidy")
    commands, sources = tidy_commands(build), made_from(build)
    clean_folder = build / "lint-clean"
    clean_folder.mkdir(exist_ok=True)
    quick = [f"--extra-arg={word}" for word in QUICK] if os.environ.get("ESTUARY_LINT") == "quick" else []

    def mark(path):
        """The file that remembers a clean result: named by all that the compiler saw."""
        parts = [(ROOT / ".clang-tidy").read_bytes(), repr((quick, commands[path]["command"])).encode()]
        return clean_folder / hashlib.sha256(b"".join(parts + [content_of(p) for p in sources[path]])).hexdigest()

    def tidy(paths):
        done = command([clang_tidy, "--quiet", "-p", build, *quick, *paths])
        # clang-tidy names a file as Meson's command line does, relative to the build folder
        findings = [os.path.relpath(os.path.join(build, m.group(1)), ROOT) + m.group(2)
                    for m in re.finditer(r"^(\S+?)(:\d+:\d+: (?:error|warning):.*)$", done.stdout, re.MULTILINE)]
        if not findings and done.returncode:
            findings = [f"{at(paths[0])}: clang-tidy failed: {first_lines(done.stdout)}"]
        if not findings:
            for path in paths:
                if path in sources:
                    mark(path).touch()
        return findings
    # large ones with small ones, so that no core idles at the end
    todo = sorted((p for p in commands if p not in sources or not mark(p).exists()), key=lambda p: -p.stat().st_size)
    count = -(-len(todo) // BATCH)
    return sorted(set(in_parallel(tidy, [todo[i::count] for i in range(count)])))


def check_shell(_):
    findings = []
    for path in (ROOT / "run", ROOT / ".ci/run", ROOT / "tools/demo.sh"):
        done = command(["bash", "-n", path])
        if done.returncode:
            findings.append(f"{at(path)}: {first_lines(done.stdout)}")
    for path in files("tools", "tests", suffixes=(".py",)):
        try:
            compile(text_of(path), str(path), "exec")
        except SyntaxError as error:
            findings.append(f"{at(path, error.lineno or 1)}: {error.msg}")
    return findings


def check_made_pages(_):
    findings = []
    for tool in ("tools/errors_doc.py", "tools/conformance.py"):
        done = subprocess.run([sys.executable, str(ROOT / tool), "--check"], capture_output=True, text=True)
        if done.returncode != 0:
            findings.append(f"{tool} --check: {(done.stdout + done.stderr).strip()}; run {tool} and read what it says")
    return findings


CHECKS = {
    "imports go down only": check_imports,
    "cmd, examples and lab see what they may": check_outsiders,
    "one room per library": check_private_tools,
    "wire and est are pure": check_pure,
    "no banned calls": check_banned,
    "descriptors are O_CLOEXEC": check_cloexec,
    "no deprecated OpenSSL names": check_openssl_names,
    "no secrets in sight": check_secrets,
    "functions fit a screen": check_function_length,
    "nothing left for later": check_words,
    "no path of one machine": check_machine_paths,
    "headers compile alone": check_headers,
    "headers are all listed": check_include_list,
    "exports are the prototypes": check_exports,
    "manual pages name every function": check_manual_names,
    "mandoc finds nothing": check_mandoc,
    "pages made from sources are up to date": check_made_pages,
    "scripts parse": check_shell,
    "clang-format": check_format,
    "clang-tidy": check_tidy,
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    arguments.add_argument("--list", action="store_true")
    arguments.add_argument("names", nargs="*", metavar="CHECK", help="part of a check's name; default all")
    options = arguments.parse_args()
    chosen = {n: f for n, f in CHECKS.items() if not options.names or any(part in n for part in options.names)}
    if options.list or not chosen:
        sys.exit("\n".join(CHECKS) if not chosen else print("\n".join(CHECKS)))
    print(f"TAP version 13\n1..{len(chosen)}", flush=True)
    failed = 0
    for number, (name, function) in enumerate(chosen.items(), 1):
        try:
            findings, skipped = function(options.build.resolve()), None
        except Missing as missing:
            findings, skipped = [], str(missing)
        if skipped and os.environ.get("ESTUARY_STRICT") == "1":
            findings, skipped = [skipped], None
        failed += bool(findings)
        print(f"{'not ok' if findings else 'ok'} {number} - lint: {name}" + (f" # SKIP {skipped}" if skipped else ""))
        for finding in findings:
            print("\n".join(f"# {line}" for line in finding.splitlines()))
        sys.stdout.flush()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
