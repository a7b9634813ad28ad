"""An EST server without a line of Estuary: Debian's nginx, a small Python script, `openssl ca`.

    with NginxEst() as server:
        server.url               https://localhost:PORT
        server.root_pem          the root's certificate (PEM): the explicit trust anchor
        server.fingerprint       its SHA-256, AA:BB:…
        server.user, server.password_file       HTTP Basic credentials (0600 file, no newline)
        server.label             the one label that exists
        server.issued            folder of the issued certificates, SERIAL.pem
        server.requests()        what nginx saw: dicts with method, uri, status, tls, user, …
        server.root, server.issuing     harness.Authority: .issue() .revoke() .crl()

Who may enrol: a user with password or any verified client certificate. Re-enrolment takes the
current certificate as TLS client certificate, and identical names.
"""

import contextlib
import json
import os
import pathlib
import ssl
import sys
import tempfile
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "support"))

import harness  # noqa: E402  (needs the path above)

LABEL = "factory"

EST_CLIENT = """
[est_client]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth,serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""

# One process, everything below {dir}. The headers that the script trusts are always set here,
# so a client cannot bring its own.
NGINX = """\
{user}daemon off;
master_process off;
pid "{dir}/nginx.pid";
lock_file "{dir}/nginx.lock";
error_log "{dir}/error.log" info;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path "{dir}/tmp-body";
    proxy_temp_path "{dir}/tmp-proxy";
    fastcgi_temp_path "{dir}/tmp-fastcgi";
    uwsgi_temp_path "{dir}/tmp-uwsgi";
    scgi_temp_path "{dir}/tmp-scgi";
    default_type text/plain;
    server_tokens off;
    client_max_body_size 64k;
    keepalive_timeout 10s;

    # a password is not asked of those with a verified certificate
    map $ssl_client_verify $est_realm {{ SUCCESS off; default "EST test"; }}
    # never the header itself: logs are for showing around
    map $http_authorization $authorization {{ "" none; default present; }}
    log_format requests escape=json '{{"method":"$request_method","uri":"$uri","status":$status,'
        '"tls":"$ssl_protocol","reused":"$ssl_session_reused","client":"$ssl_client_verify",'
        '"user":"$remote_user","authorization":"$authorization","length":"$content_length",'
        '"agent":"$http_user_agent"}}';
    access_log "{dir}/access.log" requests;

    upstream est {{ server "unix:{socket}"; }}

    server {{
        listen 127.0.0.1:{port} ssl;
        server_name localhost;
        ssl_certificate "{dir}/server-chain.pem";
        ssl_certificate_key "{dir}/server.key";
        ssl_protocols {protocols};
        ssl_client_certificate "{dir}/anchors.pem";
        ssl_verify_client optional;
        ssl_verify_depth 3;

        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header Connection "";
        proxy_set_header Authorization "";
        proxy_set_header X-Client-Verify $ssl_client_verify;
        proxy_set_header X-Client-Cert $ssl_client_escaped_cert;
        proxy_set_header X-Remote-User $remote_user;

        location = /ready {{ access_log off; proxy_pass http://est; }}
        location ~ "^/\\.well-known/est/([^/]+/)?simpleenroll$" {{
            auth_basic $est_realm;
            auth_basic_user_file "{dir}/htpasswd";
            proxy_pass http://est;
        }}
        location / {{
            # $remote_user is whatever was sent where nobody checks it
            proxy_set_header Host $host;
            proxy_set_header Connection "";
            proxy_set_header Authorization "";
            proxy_set_header X-Client-Verify $ssl_client_verify;
            proxy_set_header X-Client-Cert $ssl_client_escaped_cert;
            proxy_set_header X-Remote-User "";
            proxy_pass http://est;
        }}
    }}
}}
"""


class NginxEst:
    """See the module's text. Raises harness.Skip when nginx or openssl is not installed.

    style: "rfc7030" (base64 in lines, with Content-Transfer-Encoding) or "rfc8951" (neither).
    protocols: nginx's ssl_protocols. server_options: for Authority.issue of the server's own
    certificate, for instance san or not_after.
    """

    def __init__(self, style="rfc7030", protocols="TLSv1.2 TLSv1.3", **server_options):
        self.style, self.protocols = style, protocols
        self.server_options = {"san": ("DNS:localhost", "IP:127.0.0.1"), "eku": ("serverAuth",),
                               **server_options}
        self.label = LABEL
        self.user = "device"
        self._cleanup = contextlib.ExitStack()
        self._servers = {}

    def __enter__(self):
        self._nginx, _ = harness.need("nginx", "openssl")
        try:
            self.dir = self._cleanup.enter_context(harness.temp_dir("nginx-est-"))
            self._make_authorities()
            self._make_credentials()
            self._start_backend()
            self._start_nginx()
        except BaseException:
            self._stop()
            raise
        return self

    def _make_authorities(self):
        self.root = harness.make_ca(self.dir / "root", "/O=Nginx EST/CN=Nginx EST Root")
        self.issuing = harness.make_ca(self.dir / "ca", "/O=Nginx EST/CN=Nginx EST Issuing",
                                       parent=self.root)
        with open(self.issuing.config, "a", encoding="utf-8") as config:
            config.write(EST_CLIENT)
        self.root_pem = self.root.cert
        self.issuing_pem = self.issuing.cert
        self.anchors_pem = self.dir / "anchors.pem"
        self.anchors_pem.write_bytes(self.root.cert.read_bytes() + self.issuing.cert.read_bytes())
        self.fingerprint = harness.fingerprint(self.root_pem)
        self.issuing.issue(self.dir, "/CN=localhost", name="server", **self.server_options)
        # after the server's own certificate: only what EST issued lies here
        self.issued = self.issuing.dir / "est-issued"
        self.issued.mkdir()
        text = self.issuing.config.read_text()
        self.issuing.config.write_text(text.replace("$dir/issued", "$dir/est-issued"))

    def _make_credentials(self):
        self.password_file = harness.password_file(self.dir, name="password")
        hashed = harness.openssl("passwd", "-apr1", "-stdin",
                                 input=self.password_file.read_text() + "\n").out.strip()
        harness.write_private(self.dir / "htpasswd", f"{self.user}:{hashed}\n")

    def _start_backend(self):
        socket_dir = self.dir
        if len(str(socket_dir)) > 90:       # a unix socket's path ends at 107 bytes
            socket_dir = pathlib.Path(self._cleanup.enter_context(
                tempfile.TemporaryDirectory(dir="/tmp")))
        self._socket = socket_dir / "est.sock"
        self._backend_log = self.dir / "backend.log"
        with open(self._backend_log, "wb") as log:
            self._servers["backend"] = harness.start_server(
                [sys.executable, HERE / "est_backend.py", "--socket", self._socket,
                 "--ca", self.issuing.dir, "--certificates", self.anchors_pem,
                 "--label", self.label, "--style", self.style], stdout=log, stderr=log)

    def _start_nginx(self):
        for attempt in range(5):            # somebody else may take the free port before nginx
            self.port = harness.free_port()
            self.url = f"https://localhost:{self.port}"
            # the directive only exists for root, whose default would be the user nobody
            user = "user root root;\n" if os.geteuid() == 0 else ""
            config = self.dir / "nginx.conf"
            config.write_text(NGINX.format(user=user, dir=self.dir, socket=self._socket,
                                           port=self.port, protocols=self.protocols))
            with open(self.dir / "nginx.stderr", "wb") as log:
                self._servers["nginx"] = harness.start_server(
                    [self._nginx, "-p", self.dir, "-c", config, "-e", self.dir / "error.log"],
                    stdout=log, stderr=log)
            if self._wait_ready():
                return
            harness.stop_server(self._servers.pop("nginx"))
            if "Address already in use" not in self.error_log():
                break
        raise harness.Failure(f"nginx did not become ready:\n{self.error_log()[-4000:]}\n"
                              f"{self._backend_log.read_text()[-2000:]}")

    def _wait_ready(self, timeout=20):
        """Asks through nginx and the script: an answer proves both. False when one has died."""
        # Readiness only: no trust decision hangs on this connection, and the certificate may be
        # one that a test has broken on purpose.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        # not through a proxy that the environment names
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                             urllib.request.HTTPSHandler(context=context))
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if any(process.poll() is not None for process in self._servers.values()):
                return False
            try:
                with opener.open(f"https://127.0.0.1:{self.port}/ready", timeout=2) as answer:
                    return answer.status == 200
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        return False

    def error_log(self):
        path = self.dir / "error.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def requests(self):
        """What nginx has answered so far, one dict per request.

        nginx writes the line just after the answer, so the last one may need a moment:
        harness.wait_until(lambda: len(server.requests()) == 3).
        """
        path = self.dir / "access.log"
        lines = path.read_text("utf-8").split("\n")[:-1] if path.exists() else []
        return [json.loads(line) for line in lines]

    def _stop(self):
        codes = {}
        for name in ("nginx", "backend"):
            if name in self._servers:
                alive = self._servers[name].poll() is None
                codes[name] = harness.stop_server(self._servers.pop(name)) if alive else "died"
        return codes

    def __exit__(self, kind, value, trace):
        try:
            codes = self._stop()
            if kind is None and any(codes.values()):
                raise harness.Failure(f"exit codes {codes}:\n{self.error_log()[-2000:]}\n"
                                      f"{self._backend_log.read_text()[-2000:]}")
        finally:
            self._cleanup.close()


def main():
    """Runs the server until Ctrl-C, for trying a client by hand."""
    harness.unwind_on_sigterm()
    with NginxEst() as server:
        print(f"{server.url}  root {server.root_pem}  user {server.user}  "
              f"password {server.password_file}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)


if __name__ == "__main__":
    main()
