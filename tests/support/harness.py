"""What the integration and hostile tests share: programs, servers, certificates, TAP.

Python's standard library and the openssl command only. A test file looks like this:

    import sys, pathlib
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
    from harness import Estuary, Lab, case, main, password_file, program, snapshot

    @case("enroll with a password")
    def enroll(tmp):                            # tmp: a fresh folder, removed afterwards
        secret = password_file(tmp, "s3cret")
        with Lab(program("estuary-lab"), "--user", f"alice:file:{secret}") as lab:
            est = Estuary(program("estuary"))
            answer = est.json("enroll", "--server", lab.url, ..., code=0)

    if __name__ == "__main__":
        main()

`test.py NAME...` runs single cases (shell patterns are fine), `test.py --list` names them.

Environment:
    ESTUARY_BUILD     folder of the built programs (default: build/ of this checkout)
    ESTUARY_LAB_BUILD folder of the estuary-lab that tests of the client use (default: ESTUARY_BUILD);
                      the sanitizers need not watch the lab as well where it only serves
    ESTUARY_STRICT=1  a skip is a failure
    ESTUARY_KEEP=1    temporary folders stay, for looking inside
"""

import contextlib
import ctypes
import datetime
import fnmatch
import hashlib
import inspect
import json
import os
import pathlib
import secrets
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Failure(AssertionError):
    """A test's expectation did not hold; the text is for a human."""


class Skip(Exception):
    """This case cannot run here; the text says what is missing."""


# --- expectations -------------------------------------------------------------------------------

def check(condition, message):
    if not condition:
        raise Failure(message)


def check_equal(actual, expected, what="value"):
    if actual != expected:
        raise Failure(f"{what}: expected {expected!r}, got {actual!r}")


def check_in(part, whole, what="text"):
    if part not in whole:
        raise Failure(f"{what}: {part!r} is not in {whole!r}")


def check_not_in(part, whole, what="text"):
    if part in whole:
        raise Failure(f"{what}: {part!r} must not be in {whole!r}")


def wait_until(predicate, timeout=10, what="condition"):
    """Polls until predicate() is true and returns its value."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"{what} did not become true within {timeout} s")
        time.sleep(0.02)


# --- files --------------------------------------------------------------------------------------

def remove_tree(path):
    """rmtree that also removes folders whose mode a test has taken away."""
    with contextlib.suppress(OSError):
        os.chmod(path, 0o700)
    for folder, _, _ in os.walk(path):      # top-down: opened here, before walk goes in
        with contextlib.suppress(OSError):
            for entry in os.scandir(folder):
                if entry.is_dir(follow_symlinks=False):
                    os.chmod(entry.path, 0o700)
    shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def temp_dir(prefix="estuary-test-"):
    """A private (0700) folder as pathlib.Path, removed at the end."""
    path = pathlib.Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield path
    finally:
        if os.environ.get("ESTUARY_KEEP") == "1":
            print(f"# kept {path}", flush=True)
        else:
            remove_tree(path)


def snapshot(directory):
    """{relative path: (mode, size, sha256)} of everything below, "." included.

    Equal snapshots prove "unchanged"; {} means that the folder does not exist. Links are
    recorded, never followed; mode holds the file type too.
    """
    directory = pathlib.Path(directory)
    found = {}

    def record(path, name):
        status = os.lstat(path)
        digest, size = "", 0
        if stat.S_ISREG(status.st_mode):
            content = pathlib.Path(path).read_bytes()
            digest, size = hashlib.sha256(content).hexdigest(), len(content)
        elif stat.S_ISLNK(status.st_mode):
            target = os.fsencode(os.readlink(path))
            digest, size = hashlib.sha256(target).hexdigest(), len(target)
        found[name] = (oct(status.st_mode), size, digest)

    if os.path.lexists(directory):
        record(directory, ".")
        for folder, folders, files in os.walk(directory):
            for name in folders + files:
                path = os.path.join(folder, name)
                record(path, os.path.relpath(path, directory))
    return dict(sorted(found.items()))


def write_private(path, content):
    """Creates a file that was never readable by others, not even for a moment."""
    if isinstance(content, str):
        content = content.encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    return pathlib.Path(path)


def password_file(directory, secret=None, name=None):
    """A 0600 file holding the secret (a random one if none is given), without a newline."""
    directory = pathlib.Path(directory)
    path = directory / (name or f"password-{secrets.token_hex(4)}")
    return write_private(path, secret if secret is not None else secrets.token_urlsafe(18))


def free_port():
    """A port of 127.0.0.1 that was free a moment ago; whoever binds it must be ready to retry."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# --- programs -----------------------------------------------------------------------------------

# A sanitizer ends a program with 1 (or only writes to stderr), which a test that expects
# exit code 1 would take for a good refusal.
SANITIZER_MARKS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "ERROR: MemorySanitizer",
                   "WARNING: ThreadSanitizer", ": runtime error: ",
                   "SUMMARY: UndefinedBehaviorSanitizer")


def sanitizer_report(text):
    """The text from the first sanitizer mark on, or None."""
    places = [text.find(mark) for mark in SANITIZER_MARKS if mark in text]
    return text[min(places):] if places else None


def program(name, own=False):
    """Path of a built program; skips the case when it has not been built. own: the lab is what is tested."""
    folder = pathlib.Path(os.environ.get("ESTUARY_BUILD") or ROOT / "build")
    if name == "estuary-lab" and not own and os.environ.get("ESTUARY_LAB_BUILD"):
        folder = pathlib.Path(os.environ["ESTUARY_LAB_BUILD"])
    path = (folder / name).resolve()
    if not os.access(path, os.X_OK):
        raise Skip(f"{path} is not built")
    return path


def need(*commands):
    """Skips the case unless these commands are installed."""
    # sbin is where Debian keeps servers; a user's PATH often lacks it
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    found = []
    for command in commands:
        where = shutil.which(command, path=path)
        if where is None:
            raise Skip(f"{command} is not installed")
        found.append(where)
    return found[0] if len(found) == 1 else found


def environment(changes=None):
    """Ours with changes; the value None removes a variable."""
    result = dict(os.environ)
    for name, value in (changes or {}).items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = str(value)
    return result


class Result:
    """A finished program: .code .out .err (text), .raw (stdout as bytes), .json (see Estuary)."""

    def __init__(self, argv, code, raw, err):
        self.argv = [str(part) for part in argv]
        self.code = code
        self.raw = raw
        self.out = raw.decode("utf-8", "replace")
        self.err = err.decode("utf-8", "replace")
        self.json = None

    def __getitem__(self, name):
        return self.json[name]

    def __repr__(self):
        return (f"{' '.join(self.argv)}\n  exit {self.code}\n  stdout: {self.out[-2000:]!r}\n"
                f"  stderr: {self.err[-4000:]!r}")

    def expect(self, code):
        """Fails, showing everything, unless the exit code is this one (or one of these)."""
        allowed = code if isinstance(code, (tuple, list, set)) else (code,)
        if self.code not in allowed:
            raise Failure(f"expected exit code {code}: {self!r}")
        return self


def run(argv, env=None, timeout=60, input=None, code=None, cwd=None, pass_fds=()):
    """Runs a program to its end and returns a Result.

    env: changes to our environment. input: text or bytes for stdin (default: empty, so that
    nothing waits for a terminal). code: the exit code that is expected, or a tuple of them.
    Death by a signal, a timeout and a sanitizer's report are failures whatever the code.
    """
    argv = [str(part) for part in argv]
    if isinstance(input, str):
        input = input.encode()
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=environment(env), cwd=cwd, pass_fds=pass_fds)
    try:
        out, err = process.communicate(input, timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        # A grandchild may still hold the pipes: give it a moment, not for ever.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=5)
        raise Failure(f"no end within {timeout} s: {' '.join(argv)}") from None
    except BaseException:
        process.kill()
        process.wait()
        raise
    result = Result(argv, process.returncode, out, err)
    if result.code < 0:
        raise Failure(f"killed by {signal.Signals(-result.code).name}: {result!r}")
    report = sanitizer_report(result.err)
    if report:
        raise Failure(f"{' '.join(argv)} (exit {result.code}):\n{report}")
    return result if code is None else result.expect(code)


def one_json_object(text):
    """Parses text that must be one JSON object and nothing else, without repeated names."""
    def unique(pairs):
        names = [name for name, _ in pairs]
        check_equal(len(names), len(set(names)), f"distinct names among {names}")
        return dict(pairs)
    try:
        value = json.loads(text, object_pairs_hook=unique)
    except ValueError as error:
        raise Failure(f"stdout is not one JSON value ({error}): {text[:2000]!r}") from None
    check(isinstance(value, dict), f"stdout is not a JSON object: {text[:2000]!r}")
    return value


class Estuary:
    """est("enroll", "--server", url, ...) → Result; est.json(...) adds --json and parses stdout.

    Both take run()'s keywords. defaults are appended to every command line. HOME and the XDG
    folders are private, so a test neither reads nor leaves anything in the user's.
    """

    def __init__(self, binary, defaults=(), env=None):
        self.binary = binary
        self.defaults = tuple(defaults)
        home = home_dir()
        self.env = {"HOME": home, "XDG_CACHE_HOME": home / "cache", "XDG_CONFIG_HOME": home / "config",
                    "XDG_DATA_HOME": home / "data", "XDG_STATE_HOME": home / "state", **(env or {})}

    def __call__(self, *args, env=None, **options):
        return run([self.binary, *args, *self.defaults], env={**self.env, **(env or {})}, **options)

    def json(self, *args, **options):
        result = self(*args, "--json", **options)
        try:
            result.json = one_json_object(result.out)
        except Failure as failure:
            raise Failure(f"{failure}\n{result!r}") from None
        return result


_case_cleanup = contextlib.ExitStack()      # emptied after every case
_case_home = None


def home_dir():
    """The running case's private home folder, made at the first call."""
    global _case_home
    if _case_home is None:
        _case_home = _case_cleanup.enter_context(temp_dir("estuary-home-"))
        _case_cleanup.callback(_forget_home)
    return _case_home


def _forget_home():
    global _case_home
    _case_home = None


# --- servers ------------------------------------------------------------------------------------

_libc = ctypes.CDLL(None)


def start_server(argv, env=None, stdout=subprocess.PIPE, stderr=None, cwd=None):
    """Popen for something long-lived, which the kernel ends if we die without cleaning up."""
    def die_with_parent():
        _libc.prctl(1, signal.SIGTERM)      # PR_SET_PDEATHSIG
    # The signal follows the starting *thread*; in any but the main one it would come too early.
    main_thread = threading.current_thread() is threading.main_thread()
    return subprocess.Popen([str(part) for part in argv], stdin=subprocess.DEVNULL, stdout=stdout,
                            stderr=stderr, env=environment(env), cwd=cwd,
                            preexec_fn=die_with_parent if main_thread else None)


def stop_server(process, timeout=15):
    """SIGTERM to this process alone; SIGKILL when it does not obey. Returns the exit code."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout:
        process.stdout.close()
    return process.returncode


def read_line(process, timeout):
    """One line of the process's stdout (bytes without the newline), or None when time is up."""
    deadline, line = time.monotonic() + timeout, b""
    descriptor = process.stdout.fileno()
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            return None
        byte = os.read(descriptor, 1)       # bytewise: what follows the line stays in the pipe
        if not byte:
            return None
        line += byte
    return line[:-1]


class Lab:
    """estuary-lab on a free port: .url .fingerprint .anchors .http .dir .access_log() .revoke()

    The end of the with block stops it by SIGTERM and demands exit code 0. dir: keep the lab's
    folder yourself, for instance to start a second lab on the same CA. also: misbehaviours, each with
    a port of its own, see at().
    """

    def __init__(self, binary, *args, env=None, dir=None, listen="127.0.0.1:0", timeout=30, also=()):
        self.binary, self.env, self.timeout = binary, env, timeout
        self.args = [*args, *(part for name in also for part in ("--also", name))]
        self.listen = listen
        self._given_dir = dir
        self._cleanup = contextlib.ExitStack()
        self.process = None

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            if self.process:
                stop_server(self.process)
            self._cleanup.close()
            raise
        return self

    def _start(self):
        work = self._cleanup.enter_context(temp_dir("estuary-lab-"))
        self.dir = pathlib.Path(self._given_dir) if self._given_dir else work / "lab"
        self._stderr = work / "stderr"
        argv = [self.binary, "--dir", self.dir, "--listen", self.listen, *self.args]
        with open(self._stderr, "wb") as stream:
            self.process = start_server(argv, env=self.env, stderr=stream)
        line = read_line(self.process, self.timeout)
        if line is None:
            code = stop_server(self.process)
            raise Failure(f"estuary-lab was not ready (exit {code}): {self.stderr()[-4000:]}")
        self.ready = one_json_object(line.decode())
        for name in ("url", "fingerprint", "anchors"):
            check(name in self.ready, f"{name} is missing in the lab's ready line {line!r}")
        self.url = self.ready["url"]
        self.fingerprint = self.ready["fingerprint"]
        self.anchors = pathlib.Path(self.ready["anchors"])
        self.http = self.ready.get("http")

    def stderr(self):
        return self._stderr.read_text("utf-8", "replace")

    def access_log(self):
        """The EST requests served so far, as a list of dicts."""
        return [line for line in self.whole_log() if "operation" in line]

    def evidence_log(self):
        """The requests for OCSP responses and CRLs served so far."""
        return [line for line in self.whole_log() if "operation" not in line]

    def whole_log(self):
        path = self.dir / "access.log"
        if not path.exists():
            return []
        lines = path.read_text("utf-8").split("\n")[:-1]    # a last line still being written waits
        return [one_json_object(line) for line in lines]

    def at(self, misbehaviour):
        """The port that goes wrong in this way: what a test asks of a Lab, short of starting and ending it."""
        return Door(self, self.ready["also"][misbehaviour])

    def revoke(self, serial, *args):
        return run([self.binary, "--dir", self.dir, "revoke", serial, *args], env=self.env, code=0)

    def stop(self):
        """Ends the lab now and checks that it ended well; the with block may call it again."""
        if self.process is None:
            return
        process, self.process = self.process, None
        died = process.poll()
        code = stop_server(process)
        log = self.stderr()
        if died is not None:
            raise Failure(f"estuary-lab ended by itself ({code}): {log[-4000:]}")
        if sanitizer_report(log):
            raise Failure(f"estuary-lab (exit {code}):\n{sanitizer_report(log)}")
        if code != 0:
            raise Failure(f"estuary-lab did not end with 0 on SIGTERM but {code}: {log[-4000:]}")

    def __exit__(self, kind, value, trace):
        try:
            self.stop()
        except Failure as failure:
            if kind is None:
                raise
            # the case's own failure is the news; this may explain it
            value.add_note(str(failure))
        finally:
            self._cleanup.close()


class Door:
    """One port of a Lab, a misbehaviour's own: .url, .access_log() of this port alone, and the lab's .anchors etc."""

    def __init__(self, lab, port):
        self.lab, self.port = lab, port
        self.url = f"{lab.url.rpartition(':')[0]}:{port}"

    def __getattr__(self, name):
        if name in ("fingerprint", "anchors", "http", "dir", "stderr"):
            return getattr(self.lab, name)
        raise AttributeError(name)

    def access_log(self):
        return [line for line in self.lab.access_log() if line.get("port") == self.port]


# --- certificates -------------------------------------------------------------------------------

def openssl(*args, input=None, code=0, timeout=60):
    """Runs the openssl command; an exit code other than code is a failure (None: any will do)."""
    # The machine's openssl.cnf may name providers or engines; tests must not depend on it.
    return run(["openssl", *args], input=input, code=code, timeout=timeout,
               env={"OPENSSL_CONF": "/dev/null"})


def make_key(path, alg="ec:P-256"):
    """A new 0600 PKCS#8 key: ec:CURVE, rsa:BITS, or a name that openssl genpkey knows."""
    kind, _, detail = alg.partition(":")
    if kind == "ec":
        options = ["-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{detail}",
                   "-pkeyopt", "ec_param_enc:named_curve"]
    elif kind == "rsa":
        options = ["-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{detail}"]
    else:
        options = ["-algorithm", alg]
    return write_private(path, openssl("genpkey", *options).raw)


def fingerprint(certificate):
    """SHA-256 of the first certificate in a PEM file, as AA:BB:…"""
    return openssl("x509", "-in", certificate, "-noout", "-fingerprint",
                   "-sha256").out.strip().partition("=")[2]


def serial_number(certificate):
    """Upper-case hex, as openssl prints it."""
    return openssl("x509", "-in", certificate, "-noout", "-serial").out.strip().partition("=")[2]


CA_CONFIG = """\
# written by tests/support/harness.py
[ca]
default_ca = this
# Keep every RDN, in the request's order; without this openssl drops what policy does not list.
# Read from this section only, whatever the manual says.
preserve = yes

[this]
dir = {dir}
certificate = $dir/ca.pem
private_key = $dir/ca.key
database = $dir/index.txt
serial = $dir/serial
crlnumber = $dir/crlnumber
new_certs_dir = $dir/issued
default_md = default
default_days = 30
default_crl_days = 7
# the same subject may have several certificates: renewal needs that
unique_subject = no
# keep the SAN of the request; what the extension section sets wins over the request
copy_extensions = copy
policy = anything

[anything]
commonName = optional

[req]
distinguished_name = empty
string_mask = utf8only
utf8 = yes

[empty]
"""

CA_EXTENSIONS = ("basicConstraints = critical,CA:TRUE", "keyUsage = critical,keyCertSign,cRLSign",
                 "subjectKeyIdentifier = hash")
LEAF_EXTENSIONS = ("basicConstraints = critical,CA:FALSE", "subjectKeyIdentifier = hash",
                   "authorityKeyIdentifier = keyid")


def _openssl_time(moment):
    return moment.astimezone(datetime.timezone.utc).strftime("%Y%m%d%H%M%SZ")


def make_csr(path, key, subject, config, san=(), extensions=()):
    """A PEM PKCS#10; subject as /CN=…/O=…, san as ("DNS:a", "IP:1.2.3.4")."""
    lines = list(extensions)
    if san:
        lines.append("subjectAltName = " + ",".join(san))
    options = [part for line in lines for part in ("-addext", line)]
    openssl("req", "-new", "-config", config, "-key", key, "-subj", subject, *options, "-out", path)
    return pathlib.Path(path)


class Issued:
    """.cert .key (paths), .chain (path: this certificate and the CAs up to, not including, the root)."""

    def __init__(self, cert, key, chain):
        self.cert, self.key, self.chain = cert, key, chain


class Authority:
    """A CA in a folder (openssl ca): .cert .key .config .index .dir .bundle .issue() .revoke() .crl()"""

    def __init__(self, directory, parent=None):
        self.dir = pathlib.Path(directory)
        self.parent = parent
        self.cert = self.dir / "ca.pem"
        self.key = self.dir / "ca.key"
        self.config = self.dir / "openssl.cnf"
        self.index = self.dir / "index.txt"
        self.bundle = self.dir / "bundle.pem"       # this CA and all above it, root last

    def above(self):
        """This CA and its parents without the root: what a server sends after its certificate."""
        return [self, *self.parent.above()] if self.parent else []

    def sign(self, request, path, extensions, not_before=None, not_after=None, days=None,
             self_sign=False):
        """Issues from a PEM request; dates are datetimes."""
        options = ["-selfsign"] if self_sign else []
        if not_before:
            options += ["-startdate", _openssl_time(not_before)]
        if not_after:
            options += ["-enddate", _openssl_time(not_after)]
        if days:
            options += ["-days", str(days)]
        extension_file = self.dir / f"ext-{secrets.token_hex(4)}.cnf"
        extension_file.write_text("[ext]\n" + "\n".join(extensions) + "\n")
        openssl("ca", "-batch", "-notext", "-config", self.config, "-in", request, "-out", path,
                "-extfile", extension_file, "-extensions", "ext", *options)
        extension_file.unlink()
        return pathlib.Path(path)

    def issue(self, directory, subject="/CN=localhost", san=(), eku=("serverAuth", "clientAuth"),
              name="leaf", key=None, alg="ec:P-256", extensions=None, **dates):
        """A certificate with its (new) key as NAME.pem, NAME.key, NAME-chain.pem in directory.

        extensions: replaces the usual ones (lines of openssl.cnf); san and eku are added to them.
        """
        directory = pathlib.Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        key = key or make_key(directory / f"{name}.key", alg)
        request = make_csr(directory / f"{name}.csr", key, subject, self.config)
        lines = list(LEAF_EXTENSIONS if extensions is None else extensions)
        if eku:
            lines.append("extendedKeyUsage = " + ",".join(eku))
        if san:
            lines.append("subjectAltName = " + ",".join(san))
        cert = self.sign(request, directory / f"{name}.pem", lines, **dates)
        chain = directory / f"{name}-chain.pem"
        chain.write_bytes(cert.read_bytes() + b"".join(ca.cert.read_bytes() for ca in self.above()))
        return Issued(cert, key, chain)

    def revoke(self, certificate, reason="keyCompromise"):
        openssl("ca", "-config", self.config, "-revoke", certificate, "-crl_reason", reason)

    def crl(self, path, *options):
        """Writes the current CRL (PEM); options go to openssl ca -gencrl."""
        openssl("ca", "-config", self.config, "-gencrl", "-out", path, *options)
        return pathlib.Path(path)


def make_ca(directory, subject="/CN=Test Root", parent=None, alg="ec:P-256", extensions=None,
            days=3650, **dates):
    """A root, or with parent=Authority an intermediate, in a new folder."""
    directory = pathlib.Path(directory)
    directory.mkdir(mode=0o700, parents=True)
    (directory / "issued").mkdir()
    authority = Authority(directory, parent)
    authority.config.write_text(CA_CONFIG.format(dir=directory))
    authority.index.write_text("")
    # random start: two CAs of one name never hand out the same serial number
    (directory / "serial").write_text(f"1{secrets.token_hex(8)[1:]}\n")
    (directory / "crlnumber").write_text("1000\n")
    make_key(authority.key, alg)
    request = make_csr(directory / "ca.csr", authority.key, subject, authority.config)
    lines = list(CA_EXTENSIONS if extensions is None else extensions)
    if parent and extensions is None:
        lines.append("authorityKeyIdentifier = keyid")
    if "not_after" not in dates:
        dates["days"] = days
    (parent or authority).sign(request, authority.cert, lines, self_sign=parent is None, **dates)
    above = parent.bundle.read_bytes() if parent else b""
    authority.bundle.write_bytes(authority.cert.read_bytes() + above)
    return authority


def issue(ca, directory, **options):
    """Authority.issue as a function."""
    return ca.issue(directory, **options)


# --- the runner ---------------------------------------------------------------------------------

_cases = []


def case(name):
    """@case("what it proves") or plain @case; a parameter, if there is one, gets a fresh folder."""
    if callable(name):
        return case(name.__name__.replace("_", " ").strip())(name)

    def register(function):
        if any(known == name for known, _ in _cases):
            raise ValueError(f"two cases are called {name!r}")
        if "#" in name or "\n" in name:
            raise ValueError(f"TAP reserves '#': {name!r}")
        _cases.append((name, function))
        return function
    return register


def cases_from(table, function):
    """One case per entry of {name: arguments}; function(tmp, *arguments)."""
    for name, arguments in table.items():
        case(name)(lambda tmp, arguments=arguments: function(tmp, *arguments))


def _note(text):
    for line in str(text).splitlines() or [""]:
        print("# " + "".join(c if c.isprintable() or c == "\t" else "\\x%02x" % ord(c) for c in line))


def _run_one(function):
    """("ok" | "skip" | "fail", reason)"""
    try:
        with temp_dir() as tmp:
            if inspect.signature(function).parameters:
                function(tmp)
            else:
                function()
        verdict = "ok", ""
    except Skip as skipped:
        verdict = "skip", str(skipped) or "no reason given"
    except KeyboardInterrupt:
        raise
    except BaseException as error:          # SystemExit too: a case never ends the run
        verdict = "fail", "".join(traceback.format_exception(error)).rstrip()
    finally:
        _case_cleanup.close()
    return verdict


def _terminated(number, _frame):
    # meson ends a slow test with SIGTERM; unwinding lets the with blocks stop their servers
    raise KeyboardInterrupt(signal.Signals(number).name)


def unwind_on_sigterm():
    signal.signal(signal.SIGTERM, _terminated)


def main(argv=None):
    """Runs the cases, prints TAP and exits."""
    wanted = list(sys.argv[1:] if argv is None else argv)
    strict = os.environ.get("ESTUARY_STRICT") == "1"
    if wanted == ["--list"]:
        print("\n".join(name for name, _ in _cases))
        sys.exit(0)
    unknown = [p for p in wanted if not any(_matches(name, p) for name, _ in _cases)]
    chosen = [(n, f) for n, f in _cases if not wanted or any(_matches(n, p) for p in wanted)]
    print("TAP version 13")
    if unknown or not chosen:
        # "1..0" would read as a skip of everything
        print(f"Bail out! no case matches {unknown}" if unknown else "Bail out! no cases")
        sys.exit(2)
    unwind_on_sigterm()
    print(f"1..{len(chosen)}", flush=True)
    failed = 0
    for number, (name, function) in enumerate(chosen, 1):
        try:
            verdict, reason = _run_one(function)
        except KeyboardInterrupt as stop:
            print(f"Bail out! interrupted in {name!r} {stop}", flush=True)
            sys.exit(130)
        if verdict == "skip" and strict:
            verdict, reason = "fail", f"skipped, which ESTUARY_STRICT=1 forbids: {reason}"
        if verdict == "ok":
            print(f"ok {number} - {name}")
        elif verdict == "skip":
            print(f"ok {number} - {name} # SKIP {' '.join(reason.split())}")
        else:
            failed += 1
            print(f"not ok {number} - {name}")
            _note(reason)
        sys.stdout.flush()
    sys.exit(1 if failed else 0)


def _matches(name, pattern):
    return name == pattern or fnmatch.fnmatchcase(name, pattern)
