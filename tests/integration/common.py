"""What the integration tests of the command share: an enrolling device, and what openssl says of its files."""

import base64
import json
import pathlib
import select
import socket
import ssl
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE / "nginx_est")]

from harness import (Estuary, Lab, check_equal, openssl, password_file, program)  # noqa: E402

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def estuary(**options):
    return Estuary(program("estuary"), **options)


def lab(*args, **options):
    return Lab(program("estuary-lab"), *args, **options)


class Alice:
    """A password and what both sides need of it."""

    def __init__(self, tmp, password="s3cret"):
        self.password = password
        self.file = password_file(tmp, password)
        self.lab = ("--user", f"alice:file:{self.file}")
        self.client = ("--user", "alice", "--password", f"file:{self.file}")


def server(lab, *more):
    return ("--server", lab.url, "--trust", lab.anchors, *more)


def public_key(*args):
    return openssl(*args).out


def pending_request(folder):
    """The request of a DIR.pending as PEM."""
    der = "".join(json.loads((folder / "state.json").read_text())["request"].split())
    lines = "\n".join(der[i:i + 64] for i in range(0, len(der), 64))
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{lines}\n-----END CERTIFICATE REQUEST-----\n"


def key_of(path, passphrase=None):
    """The public half of a private key file, by openssl."""
    extra = ["-passin", f"file:{passphrase}"] if passphrase else []
    return openssl("pkey", "-in", path, "-pubout", *extra).out


def key_of_certificate(path):
    return openssl("x509", "-in", path, "-noout", "-pubkey").out


def text_of(path):
    return openssl("x509", "-in", path, "-noout", "-text").out


def mode(path):
    return path.lstat().st_mode & 0o777


def check_folder(folder, anchors, key="key.pem", key_path=None):
    """DIR is one whole generation: openssl verifies the chain, the key belongs to the certificate (E4, E6)."""
    names = {"cert.pem", "chain.pem", "fullchain.pem"} | ({key} if key else set())
    check_equal({p.name for p in folder.iterdir()}, names, f"files in {folder.name}")
    cert, chain = folder / "cert.pem", folder / "chain.pem"
    openssl("verify", "-x509_strict", "-CAfile", anchors, "-untrusted", chain, cert)
    check_equal(cert.read_text().count("BEGIN CERTIFICATE"), 1, "certificates in cert.pem")
    check_equal((folder / "fullchain.pem").read_bytes(), cert.read_bytes() + chain.read_bytes(), "fullchain.pem")
    if key == "key.pem":
        check_equal(mode(folder / key), 0o600, "mode of key.pem")
        key_path = folder / key
    if key_path:
        check_equal(key_of_certificate(cert), key_of(key_path), "public key of certificate and key")
    check_equal(leftovers(folder), [], f"what is left beside {folder.name}")


def leftovers(folder):
    """Half-done things beside DIR: DIR.new-XXXXXX and the like; DIR.pending is no such thing."""
    return sorted(p.name for p in folder.parent.iterdir()
                  if p.name.startswith(folder.name + ".") and p.name not in (f"{folder.name}.pending",))


def enrolled(est, lab, alice, folder, *more, subject="CN=device"):
    """A device with a certificate of this lab in folder."""
    names = [] if subject is None else ["--subject", subject]
    est("enroll", *server(lab), *alice.client, *names, *more, "--out", folder, code=0)
    return folder


def posts(lab):
    return [r for r in lab.access_log() if r["method"] == "POST"]


def basic_header(user, password):
    return base64.b64encode(f"{user}:{password}".encode()).decode()


class Listener:
    """Accepts on 127.0.0.1 and hands each connection to serve(socket, number) in a thread of its own."""

    def __init__(self, serve):
        self._serve = serve
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.connections = 0
        self.errors = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._one, args=(connection, self.connections), daemon=True).start()

    def _one(self, connection, number):
        with connection:
            try:
                self._serve(connection, number)
            except (OSError, ValueError):
                pass                        # the other side went away: not this side's news

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # shutdown wakes accept(), which close alone does not
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._socket.close()


def read_now(source):
    """What is there; None when there is nothing yet (a TLS record need not hold data), b"" at the end."""
    patience = source.gettimeout()
    source.settimeout(0)
    try:
        return source.recv(65536)
    except (ssl.SSLWantReadError, BlockingIOError):
        return None
    except OSError:
        return b""
    finally:
        source.settimeout(patience)


def pass_on(data, sink):
    try:
        if data:
            sink.sendall(data)
        else:
            sink.shutdown(socket.SHUT_WR)
    except OSError:
        return False
    return bool(data)


def relay(a, b):
    """Carries bytes both ways until both sides have ended; returns what a sent. In one thread: TLS sockets want that."""
    sent, other, reading = bytearray(), {a: b, b: a}, {a, b}
    while reading:
        ready = [s for s in reading if getattr(s, "pending", int)()] or select.select(list(reading), [], [], 30)[0]
        if not ready:
            break
        for source in ready:
            data = read_now(source)
            if data is None:
                continue
            if source is a:
                sent.extend(data)
            if not pass_on(data, other[source]):
                reading.discard(source)
    return bytes(sent)


def port_of(url):
    return int(url.rpartition(":")[2].partition("/")[0])


