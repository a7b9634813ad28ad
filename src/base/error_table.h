/*
 * Every error there is: EST_ERROR(NAME, code, category, exit, retryable, sentence, remedy).
 * The library, the command's exit codes, docs/errors.md and the tests are made from this table.
 * Category and code are stable API. Sentences are for people: what was wrong, and where.
 */
#ifndef EST_ERROR
#error "define EST_ERROR before including error_table.h"
#endif

/* usage: the caller asked for something that makes no sense */
EST_ERROR(USAGE, "usage.argument", USAGE, 2, 0, "an argument is missing or makes no sense", "")
EST_ERROR(USAGE_OPTION, "usage.option", USAGE, 2, 0, "unknown option or missing value", "see estuary(1)")
EST_ERROR(USAGE_SECRET_LITERAL, "usage.secret-literal", USAGE, 2, 0,
          "a secret must come from env:VAR, file:PATH, fd:N, credential:NAME or prompt, never literally", "")
EST_ERROR(USAGE_URL, "usage.url", USAGE, 2, 0, "the server URL is not valid", "")
EST_ERROR(USAGE_URL_HTTP, "usage.url-not-https", USAGE, 2, 0, "the server URL must begin with https://",
          "RFC 7030 needs TLS: there is no EST over plain http")
EST_ERROR(USAGE_URL_USERINFO, "usage.url-userinfo", USAGE, 2, 0,
          "the server URL must not contain a user name or password", "use --user and --password")
EST_ERROR(USAGE_URL_QUERY, "usage.url-query", USAGE, 2, 0,
          "the server URL must not contain a query or a fragment", "")
EST_ERROR(USAGE_LABEL, "usage.label", USAGE, 2, 0, "the label is not one valid path segment", "")
EST_ERROR(USAGE_LABEL_OPERATION, "usage.label-operation", USAGE, 2, 0,
          "the label must not be the name of an EST operation (RFC 7030 3.2.2)", "")
EST_ERROR(USAGE_INSECURE, "usage.insecure-operation", USAGE, 2, 0,
          "only cacerts may run without authenticating the server (RFC 7030 4.1.1)", "bootstrap first")
EST_ERROR(USAGE_NO_TRUST, "usage.no-trust", USAGE, 2, 0, "no trust anchors were given",
          "use --trust FILE, --trust system, or run estuary bootstrap first")
EST_ERROR(USAGE_NO_SERVER, "usage.no-server", USAGE, 2, 0, "no server was given", "use --server URL")
EST_ERROR(USAGE_MIXED_TRUST, "usage.mixed-trust", USAGE, 2, 0,
          "explicit trust anchors and the system's store cannot be mixed", "")
EST_ERROR(USAGE_FINGERPRINT, "usage.fingerprint", USAGE, 2, 0,
          "a fingerprint is 64 hexadecimal digits, with or without colons", "")
EST_ERROR(USAGE_LIMIT, "usage.limit", USAGE, 2, 0, "a limit is out of its range", "")
EST_ERROR(USAGE_DN, "usage.dn", USAGE, 2, 0, "the subject is not a valid RFC 4514 name", "")
EST_ERROR(USAGE_SAN, "usage.san", USAGE, 2, 0, "a subjectAltName is not valid", "")
EST_ERROR(USAGE_PKCS11_URI, "usage.pkcs11-uri", USAGE, 2, 0, "the PKCS#11 URI cannot be read (RFC 7512)", "")
EST_ERROR(USAGE_PIN_LITERAL, "usage.pin-literal", USAGE, 2, 0,
          "a PIN in the URI (pin-value) is not accepted: it would be in logs and process lists",
          "--pin env:VAR, file:PATH, fd:N, credential:NAME or prompt, or pin-source=file:PATH")
EST_ERROR(USAGE_PIN_SOURCE, "usage.pin-source", USAGE, 2, 0,
          "pin-source must be a file; a command is not run", "pin-source=file:/absolute/path")
EST_ERROR(USAGE_KEY_USAGE, "usage.key-usage", USAGE, 2, 0, "unknown key usage", "")
EST_ERROR(USAGE_EKU, "usage.eku", USAGE, 2, 0, "unknown extended key usage", "")
EST_ERROR(USAGE_EXTENSION, "usage.extension", USAGE, 2, 0, "an extension is not valid", "")
EST_ERROR(USAGE_KEY_ALGORITHM, "usage.key-algorithm", USAGE, 2, 0, "unknown key algorithm",
          "ec:P-256, ec:P-384, ec:P-521, rsa:2048 to rsa:8192, ed25519, ed448")
EST_ERROR(USAGE_IDENTITY_NEEDED, "usage.identity-needed", USAGE, 2, 0,
          "simplereenroll needs the current certificate and its key as TLS client identity", "")
EST_ERROR(USAGE_DECRYPT, "usage.decrypt", USAGE, 2, 0,
          "the way to decrypt a server-generated key is missing or makes no sense", "")
EST_ERROR(USAGE_CHECKER_IN_USE, "usage.checker-in-use", USAGE, 2, 0,
          "a revocation checker cannot be changed once it has checked something", "")
EST_ERROR(USAGE_PROXY, "usage.proxy", USAGE, 2, 0, "the proxy URL is not valid",
          "http://HOST:PORT, socks5://HOST:PORT or socks5h://HOST:PORT")
EST_ERROR(USAGE_TIME, "usage.time", USAGE, 2, 0, "not a time in RFC 3339 form", "2026-01-31T12:00:00Z")

/* config: a setting, file or environment is wrong */
EST_ERROR(CONFIG, "config.invalid", CONFIG, 2, 0, "a setting is not valid", "")
EST_ERROR(CONFIG_FILE, "config.file", CONFIG, 2, 0, "the configuration file cannot be used", "")
EST_ERROR(CONFIG_CACHE, "config.cache", CONFIG, 2, 0, "the cache folder cannot be used",
          "it must be a folder of ours that nobody else can write to")
EST_ERROR(CONFIG_SECRET_MISSING, "config.secret-missing", CONFIG, 2, 0, "the secret is not there", "")
EST_ERROR(CONFIG_SECRET_FILE, "config.secret-file", CONFIG, 2, 0, "the secret file cannot be used", "")
EST_ERROR(CONFIG_SECRET_PERMISSIONS, "config.secret-permissions", CONFIG, 2, 0,
          "the secret file must belong to us and be closed to others", "chmod 600 it")
EST_ERROR(CONFIG_ANCHORS_FILE, "config.anchors-file", CONFIG, 2, 0, "the trust anchor file cannot be read",
          "")
EST_ERROR(CONFIG_ANCHORS_FILE_EMPTY, "config.anchors-file-empty", CONFIG, 2, 0,
          "the trust anchor file is empty", "")
EST_ERROR(CONFIG_ANCHORS_FORMAT, "config.anchors-format", CONFIG, 2, 0,
          "the trust anchor file holds no certificate, neither as PEM nor as DER", "")
EST_ERROR(CONFIG_ANCHORS_EMPTY, "config.anchors-empty", CONFIG, 2, 0,
          "no self-signed CA certificate among the trust anchors", "")
EST_ERROR(CONFIG_ANCHORS_NOT_CA, "config.anchors-not-ca", CONFIG, 2, 0,
          "a certificate among the trust anchors is not a CA certificate", "")
EST_ERROR(CONFIG_CERT_FILE, "config.certificate-file", CONFIG, 2, 0, "the certificate file cannot be used",
          "")
EST_ERROR(CONFIG_CSR_FILE, "config.csr-file", CONFIG, 2, 0, "the request file cannot be used", "")
EST_ERROR(CONFIG_PENDING_OTHER, "config.pending-other", CONFIG, 2, 0,
          "a pending request for another server, label, operation or subject is in the way",
          "finish it with its own command, or remove the .pending folder to give it up")
EST_ERROR(CONFIG_PENDING_STATE, "config.pending-state", CONFIG, 2, 0,
          "the pending request on disk cannot be read", "remove the .pending folder to give it up")
EST_ERROR(CONFIG_STORE_FOREIGN, "config.store-foreign", CONFIG, 2, 0,
          "the output folder holds files that are not ours", "choose an empty or new folder")
EST_ERROR(CONFIG_STORE_UNSAFE, "config.store-unsafe", CONFIG, 2, 0,
          "the output folder is not safe to write to", "")
EST_ERROR(CONFIG_STORE_PARENT, "config.store-parent", CONFIG, 2, 0,
          "the folder that shall hold the output is not there or not safe", "")
EST_ERROR(CONFIG_STORE_BUSY, "config.store-busy", CONFIG, 2, 1,
          "another process is working on the output folder", "")
EST_ERROR(CONFIG_STORE_EXCHANGE, "config.store-exchange", CONFIG, 2, 0,
          "the file system cannot exchange folders, so files cannot appear together", "")
EST_ERROR(CONFIG_MODULE_PATH, "config.module-path", CONFIG, 2, 0, "the PKCS#11 module cannot be used", "")

/* network */
EST_ERROR(NETWORK, "network.failed", NETWORK, 4, 1, "the transfer failed", "")
EST_ERROR(NETWORK_RESOLVE, "network.resolve", NETWORK, 4, 1, "the host name cannot be resolved", "")
EST_ERROR(NETWORK_LINK_LOCAL, "network.link-local", NETWORK, 4, 0,
          "a URL of a certificate leads to a link-local address, which is not connected to", "")
EST_ERROR(NETWORK_CONNECT, "network.connect", NETWORK, 4, 1, "no connection to the server", "")
EST_ERROR(NETWORK_PROXY, "network.proxy", NETWORK, 4, 1, "the proxy does not let us through", "")
EST_ERROR(NETWORK_TIMEOUT_CONNECT, "network.timeout-connect", NETWORK, 4, 1,
          "no session with the server within the time allowed", "")
EST_ERROR(NETWORK_TIMEOUT_TOTAL, "network.timeout-total", NETWORK, 4, 1,
          "the answer was not complete within the time allowed", "")
EST_ERROR(NETWORK_TIMEOUT_IDLE, "network.timeout-idle", NETWORK, 4, 1, "the server sent nothing for too long",
          "")
EST_ERROR(NETWORK_CLOSED_EARLY, "network.closed-early", NETWORK, 4, 1,
          "the server closed the connection before it answered", "")
EST_ERROR(NETWORK_TRUNCATED, "network.truncated", NETWORK, 4, 1,
          "the server closed the connection in the middle of its answer", "")
EST_ERROR(NETWORK_RESET, "network.reset", NETWORK, 4, 1, "the connection was reset", "")

/* tls: no session could be agreed on */
EST_ERROR(TLS, "tls.handshake", TLS, 5, 0, "no TLS session could be agreed on", "")
EST_ERROR(TLS_TOO_OLD, "tls.version-too-old", TLS, 5, 0,
          "the server speaks no TLS version we accept; TLS 1.2 is the oldest", "")
EST_ERROR(TLS_NOT_TLS, "tls.not-tls", TLS, 5, 0, "the server does not speak TLS on this port", "")
EST_ERROR(TLS_NO_CIPHER, "tls.no-shared-cipher", TLS, 5, 0, "the server offers no cipher suite we accept", "")
EST_ERROR(TLS_CLOSED, "tls.closed-in-handshake", TLS, 5, 1,
          "the server closed the connection during the TLS handshake", "")
EST_ERROR(TLS_ALERT, "tls.alert", TLS, 5, 0, "the server refused the TLS session with an alert", "")
EST_ERROR(TLS_CLIENT_CERT_REQUIRED, "tls.client-certificate-required", TLS, 5, 0,
          "the server insists on a TLS client certificate", "use --cert and --key")
EST_ERROR(TLS_CLIENT_CERT_REFUSED, "tls.client-certificate-refused", TLS, 5, 0,
          "the server refused our TLS client certificate", "")
EST_ERROR(TLS_IDENTITY_EXPIRED, "tls.identity-expired", TLS, 5, 0,
          "our own client certificate has expired, so it cannot authenticate us", "")
EST_ERROR(TLS_IDENTITY_NOT_YET_VALID, "tls.identity-not-yet-valid", TLS, 5, 0,
          "our own client certificate is not valid yet", "check the clock")
EST_ERROR(TLS_IDENTITY_EKU, "tls.identity-eku", TLS, 5, 0,
          "our own certificate may not be used for TLS client authentication (extKeyUsage)", "")
EST_ERROR(TLS_IDENTITY_KEY, "tls.identity-key-mismatch", TLS, 5, 0,
          "the key does not belong to our own client certificate", "")
EST_ERROR(TLS_IDENTITY_KEY_USAGE, "tls.identity-key-usage", TLS, 5, 0,
          "our own certificate may not be used to sign a TLS session (keyUsage)", "")
EST_ERROR(TLS_IDENTITY_WEAK, "tls.identity-weak", TLS, 5, 0,
          "our own client certificate has a weak key or a weak signature", "")

EST_ERROR(TLS_BINDING, "tls.channel-binding", TLS, 5, 0,
          "the TLS session gives no channel binding, so the request cannot be bound to it", "")
EST_ERROR(
    TLS_NO_EXTENDED_MASTER_SECRET, "tls.no-extended-master-secret", TLS, 5, 0,
    "the TLS 1.2 session has no extended master secret, so nothing can be bound to it safely (RFC 7627)",
    "have the server offer TLS 1.3 or the extended master secret, or use --pop off if it does without")

/* trust: the server is not who it should be */
EST_ERROR(TRUST, "trust.failed", TRUST, 5, 0, "the server's certificate cannot be trusted", "")
EST_ERROR(TRUST_EXPIRED, "trust.expired", TRUST, 5, 0, "the server's certificate has expired", "")
EST_ERROR(TRUST_NOT_YET_VALID, "trust.not-yet-valid", TRUST, 5, 0,
          "the server's certificate is not valid yet", "check this machine's clock")
EST_ERROR(TRUST_EVIDENCE_WANTED, "trust.evidence-wanted", TRUST, 5, 1,
          "whether the server's chain is revoked could not be found out in time", "")
EST_ERROR(TRUST_MUST_STAPLE, "trust.must-staple", TRUST, 5, 0,
          "the server's certificate demands a stapled OCSP response (RFC 7633), and none came", "")
EST_ERROR(TRUST_HOST_MISMATCH, "trust.host-mismatch", TRUST, 5, 0,
          "the server's certificate is for another host", "")
EST_ERROR(TRUST_NO_SAN, "trust.no-subject-alt-name", TRUST, 5, 0,
          "the server's certificate names no host in subjectAltName; its CN does not count", "")
EST_ERROR(TRUST_UNKNOWN_ISSUER, "trust.unknown-issuer", TRUST, 5, 0,
          "the server's certificate comes from a CA that is not among the trust anchors", "")
EST_ERROR(TRUST_SELF_SIGNED, "trust.self-signed", TRUST, 5, 0,
          "the server's certificate is self-signed and not among the trust anchors", "")
EST_ERROR(TRUST_UNKNOWN_ROOT, "trust.unknown-root", TRUST, 5, 0,
          "the server's chain ends in a root that is not among the trust anchors", "")
EST_ERROR(TRUST_WRONG_EKU, "trust.wrong-eku", TRUST, 5, 0,
          "the server's certificate may not be used for TLS server authentication (extKeyUsage)", "")
EST_ERROR(TRUST_WRONG_KEY_USAGE, "trust.wrong-key-usage", TRUST, 5, 0,
          "the server's certificate may not be used to sign a TLS session (keyUsage)", "")
EST_ERROR(TRUST_WEAK_KEY, "trust.weak-key", TRUST, 5, 0, "the server's certificate has a weak key", "")
EST_ERROR(TRUST_WEAK_SIGNATURE, "trust.weak-signature", TRUST, 5, 0,
          "a certificate in the server's chain is signed with a weak digest", "")
EST_ERROR(TRUST_BAD_SIGNATURE, "trust.bad-signature", TRUST, 5, 0,
          "a signature in the server's certificate chain does not verify", "")
EST_ERROR(TRUST_INVALID_CA, "trust.invalid-ca", TRUST, 5, 0,
          "a certificate in the server's chain was issued by one that is not a CA", "")
EST_ERROR(TRUST_CHAIN_TOO_LONG, "trust.chain-too-long", TRUST, 5, 0,
          "the server's certificate chain is longer than allowed", "")
EST_ERROR(TRUST_NAME_CONSTRAINTS, "trust.name-constraints", TRUST, 5, 0,
          "the server's certificate is outside of the names its CA may issue for", "")
EST_ERROR(TRUST_CRITICAL_EXTENSION, "trust.critical-extension", TRUST, 5, 0,
          "the server's chain holds a critical extension that is not understood", "")
EST_ERROR(TRUST_CA_EXPIRED, "trust.ca-expired", TRUST, 5, 0,
          "a CA certificate in the server's chain has expired", "")
EST_ERROR(TRUST_CA_NOT_YET_VALID, "trust.ca-not-yet-valid", TRUST, 5, 0,
          "a CA certificate in the server's chain is not valid yet", "check this machine's clock")
EST_ERROR(TRUST_CA_EKU, "trust.ca-wrong-eku", TRUST, 5, 0,
          "a CA in the server's chain may not issue certificates for TLS servers (extKeyUsage)", "")
EST_ERROR(TRUST_MALFORMED, "trust.malformed", TRUST, 5, 0, "a certificate in the server's chain is malformed",
          "")
EST_ERROR(TRUST_PATH_LENGTH, "trust.path-length", TRUST, 5, 0,
          "a CA in the server's chain may not have another CA below it (pathLenConstraint)", "")
EST_ERROR(TRUST_FINGERPRINT, "trust.fingerprint-mismatch", TRUST, 5, 0,
          "no root certificate of the server has the expected fingerprint",
          "do not go on: ask the CA's operator for the fingerprint over another channel")
EST_ERROR(TRUST_CONFIRM, "trust.confirm-fingerprint", TRUST, 3, 0,
          "the fingerprints must be confirmed by a person",
          "compare them over another channel, then give --fingerprint")
EST_ERROR(TRUST_CONFIRM_DELETE, "trust.confirm-delete", TRUST, 3, 0,
          "a person must confirm that the key is deleted for good", "--yes confirms it")
EST_ERROR(TRUST_NO_ROLLOVER, "trust.no-rollover", TRUST, 5, 0,
          "the server offers no new root that the trust anchors vouch for",
          "if the CA has been replaced, start anew with estuary bootstrap and a fingerprint of the new root")
EST_ERROR(TRUST_REDIRECT_ORIGIN, "trust.redirect-origin", TRUST, 5, 0,
          "the server redirects to another origin, which is refused", "")
EST_ERROR(TRUST_REDIRECT_HTTP, "trust.redirect-downgrade", TRUST, 5, 0,
          "the server redirects from https to http, which is refused", "")
EST_ERROR(TRUST_CMC_SIGNER, "trust.cmc-signer", TRUST, 5, 0,
          "the CMC response was not signed by an authority of the trust anchors", "")
EST_ERROR(TRUST_CMC_SEQUENCE, "trust.cmc-sequence", TRUST, 5, 0,
          "the published trust anchors are not newer than the ones at hand", "")

/* auth: the server does not accept who we are */
EST_ERROR(AUTH, "auth.refused", AUTH, 6, 0, "the server refused the credentials", "")
EST_ERROR(AUTH_REQUIRED, "auth.required", AUTH, 6, 0,
          "the server wants a user name and password, or a client certificate", "use --user and --password")
EST_ERROR(AUTH_FORBIDDEN, "auth.forbidden", AUTH, 6, 0, "the server does not allow this", "")
EST_ERROR(AUTH_NO_CHALLENGE, "auth.no-challenge", AUTH, 6, 0,
          "the server answered 401 without saying how to authenticate", "")
EST_ERROR(AUTH_SCHEME, "auth.scheme", AUTH, 6, 0, "the server offers neither Basic nor Digest authentication",
          "")
EST_ERROR(AUTH_DIGEST_QOP, "auth.digest-auth-int", AUTH, 6, 0,
          "the server offers Digest only with qop \"auth-int\", which is not supported",
          "have the server offer qop \"auth\", or use a client certificate")
EST_ERROR(AUTH_DIGEST_ALGORITHM, "auth.digest-algorithm", AUTH, 6, 0,
          "the server offers Digest with a hash that is not supported", "SHA-256 and MD5 are supported")
EST_ERROR(AUTH_DIGEST_STALE, "auth.digest-stale", AUTH, 6, 1,
          "the server calls every Digest nonce stale, also the one it has just given", "")
EST_ERROR(AUTH_CMC_IDENTITY, "auth.cmc-identity", AUTH, 6, 0,
          "the server does not accept the identification or its proof (CMC badIdentity)",
          "check --cmc-identity and --cmc-secret")

/* pending */
EST_ERROR(PENDING, "pending.retry", PENDING, 7, 1, "the server has accepted the request but not issued yet",
          "run the same command again after the time given")
EST_ERROR(PENDING_GIVE_UP, "pending.too-often", SERVER, 8, 0,
          "the server has answered 202 more often than allowed", "")

/* server: the server reports a failure */
EST_ERROR(SERVER, "server.error", SERVER, 8, 1, "the server reports an internal error", "")
EST_ERROR(SERVER_REFUSED, "server.refused", SERVER, 8, 0, "the server refused the request", "")
EST_ERROR(SERVER_NOT_FOUND, "server.not-found", SERVER, 8, 0, "there is no such EST service at this URL",
          "check --server and --label")
EST_ERROR(SERVER_METHOD, "server.method", SERVER, 8, 0, "the server does not know this operation", "")
EST_ERROR(SERVER_TOO_LARGE, "server.too-large", SERVER, 8, 0, "the request is too large for the server", "")
EST_ERROR(SERVER_BUSY, "server.busy", SERVER, 8, 1, "the server asks us to come back later", "")
EST_ERROR(SERVER_CMC_FAILED, "server.cmc-failed", SERVER, 8, 0, "the server refused the CMC request", "")
EST_ERROR(SERVER_CMC_TRY_LATER, "server.cmc-try-later", SERVER, 8, 1,
          "the server takes no CMC requests now (CMC tryLater)", "")

EST_ERROR(
    SERVER_BINDING, "server.channel-binding", SERVER, 8, 0,
    "the server did not see the channel binding of this TLS session",
    "is there a TLS-terminating proxy between? connect to the EST server itself; --pop off sends no binding, "
    "if the server allows that")
EST_ERROR(SERVER_BINDING_WANTED, "server.binding-wanted", SERVER, 8, 0,
          "the server wants the request bound to the TLS session (RFC 7030 3.5)",
          "use --pop auto or required; a request signed elsewhere (--csr) cannot be bound")

/* protocol: the server's answer is not EST */
EST_ERROR(PROTOCOL, "protocol.malformed", PROTOCOL, 8, 0, "the server's answer is malformed", "")
EST_ERROR(PROTOCOL_HTTP, "protocol.http", PROTOCOL, 8, 0, "the server's answer is not valid HTTP", "")
EST_ERROR(PROTOCOL_STATUS, "protocol.status", PROTOCOL, 8, 0,
          "the server answered with a status EST does not use here", "")
EST_ERROR(PROTOCOL_HEADERS, "protocol.headers-too-large", PROTOCOL, 8, 0,
          "the server sent more header data than allowed", "")
EST_ERROR(PROTOCOL_HEADER_COUNT, "protocol.too-many-headers", PROTOCOL, 8, 0,
          "the server sent more header lines than allowed", "")
EST_ERROR(PROTOCOL_TOO_LARGE, "protocol.response-too-large", PROTOCOL, 8, 0,
          "the server's answer is larger than allowed", "")
EST_ERROR(PROTOCOL_LENGTH, "protocol.content-length", PROTOCOL, 8, 0,
          "the server's Content-Length makes no sense", "")
EST_ERROR(PROTOCOL_ENCODING, "protocol.content-encoding", PROTOCOL, 8, 0,
          "the server used a Content-Encoding that was not asked for", "")
EST_ERROR(PROTOCOL_NO_TYPE, "protocol.no-content-type", PROTOCOL, 8, 0,
          "the server's answer has no Content-Type", "")
EST_ERROR(PROTOCOL_TYPE, "protocol.content-type", PROTOCOL, 8, 0,
          "the server's answer has the wrong Content-Type", "")
EST_ERROR(PROTOCOL_SMIME_TYPE, "protocol.smime-type", PROTOCOL, 8, 0,
          "the server's answer is PKCS#7 of another kind than certs-only", "")
EST_ERROR(PROTOCOL_EMPTY, "protocol.empty", PROTOCOL, 8, 0, "the server's answer is empty", "")
EST_ERROR(PROTOCOL_BASE64, "protocol.base64", PROTOCOL, 8, 0, "the server's answer is not valid base64", "")
EST_ERROR(PROTOCOL_BASE64_TRAILING, "protocol.base64-trailing", PROTOCOL, 8, 0,
          "there is something after the end of the base64 data", "")
EST_ERROR(PROTOCOL_BASE64_PADDING, "protocol.base64-padding", PROTOCOL, 8, 0,
          "the base64 data ends in the middle of a group", "")
EST_ERROR(PROTOCOL_BASE64_BITS, "protocol.base64-bits", PROTOCOL, 8, 0,
          "the base64 data ends in bits that have to be zero (RFC 4648 3.5)", "")
EST_ERROR(PROTOCOL_PEM, "protocol.pem", PROTOCOL, 8, 0,
          "the server sent PEM armour where RFC 7030 wants plain base64", "")
EST_ERROR(PROTOCOL_BINARY, "protocol.binary", PROTOCOL, 8, 0,
          "the server sent raw DER where RFC 7030 wants base64", "")
EST_ERROR(PROTOCOL_CMS, "protocol.cms", PROTOCOL, 8, 0, "the server's answer is not a CMS message", "")
EST_ERROR(PROTOCOL_CMS_TYPE, "protocol.cms-type", PROTOCOL, 8, 0,
          "the server's answer is a CMS message of another type than SignedData", "")
EST_ERROR(PROTOCOL_CMS_CONTENT, "protocol.cms-content", PROTOCOL, 8, 0,
          "the certs-only message carries content, which it must not", "")
EST_ERROR(PROTOCOL_CMS_SIGNERS, "protocol.cms-signers", PROTOCOL, 8, 0,
          "the certs-only message carries signatures, which it must not", "")
EST_ERROR(PROTOCOL_CMS_TRAILING, "protocol.cms-trailing", PROTOCOL, 8, 0,
          "there is something after the end of the CMS message", "")
EST_ERROR(PROTOCOL_NO_CERTS, "protocol.no-certificates", PROTOCOL, 8, 0,
          "the server's answer holds no certificates", "")
EST_ERROR(PROTOCOL_TOO_MANY_CERTS, "protocol.too-many-certificates", PROTOCOL, 8, 0,
          "the server's answer holds more certificates than allowed", "")
EST_ERROR(PROTOCOL_REDIRECTS, "protocol.too-many-redirects", PROTOCOL, 8, 0,
          "the server redirects more often than allowed", "")
EST_ERROR(PROTOCOL_REDIRECT, "protocol.redirect", PROTOCOL, 8, 0,
          "the server redirects without a usable Location", "")
EST_ERROR(PROTOCOL_RETRY_AFTER_MISSING, "protocol.retry-after-missing", PROTOCOL, 8, 0,
          "the server answered 202 without Retry-After (RFC 7030 4.2.3)", "")
EST_ERROR(PROTOCOL_RETRY_AFTER, "protocol.retry-after", PROTOCOL, 8, 0,
          "the server's Retry-After is neither a number of seconds nor an HTTP date", "")
EST_ERROR(PROTOCOL_CSRATTRS, "protocol.csrattrs", PROTOCOL, 8, 0,
          "the server's CSR attributes are not valid DER of CsrAttrs", "")
EST_ERROR(PROTOCOL_CSRATTRS_TRAILING, "protocol.csrattrs-trailing", PROTOCOL, 8, 0,
          "there is something after the end of the CSR attributes", "")
EST_ERROR(PROTOCOL_CSRATTRS_COUNT, "protocol.csrattrs-count", PROTOCOL, 8, 0,
          "the server's CSR attributes hold more entries than allowed", "")
EST_ERROR(PROTOCOL_CSR_TEMPLATE, "protocol.csr-template", PROTOCOL, 8, 0,
          "the server's request template (RFC 9908) is not valid", "")
EST_ERROR(PROTOCOL_RENEWAL_INFO, "protocol.renewal-info", PROTOCOL, 8, 0,
          "the server's renewal-info is not the JSON it should be", "")
EST_ERROR(PROTOCOL_RENEWAL_WINDOW, "protocol.renewal-window", PROTOCOL, 8, 0,
          "the window in the server's renewal-info does not end after it starts", "")
EST_ERROR(PROTOCOL_CACERTS_NO_ROOT, "protocol.cacerts-no-root", PROTOCOL, 8, 0,
          "the server's CA certificates hold no self-signed root", "")
EST_ERROR(PROTOCOL_CACERTS_NOT_CA, "protocol.cacerts-not-ca", PROTOCOL, 8, 0,
          "the server's CA certificates hold one that is not a CA", "")
EST_ERROR(PROTOCOL_CMC, "protocol.cmc", PROTOCOL, 8, 0, "the server's CMC response is malformed", "")
EST_ERROR(PROTOCOL_CMC_SIGNATURE, "protocol.cmc-signature", PROTOCOL, 8, 0,
          "the signature of the server's CMC response does not verify", "")
EST_ERROR(PROTOCOL_CMC_TRANSACTION, "protocol.cmc-transaction", PROTOCOL, 8, 0,
          "the CMC response belongs to another transaction", "")
EST_ERROR(PROTOCOL_CMC_NONCE, "protocol.cmc-nonce", PROTOCOL, 8, 0,
          "the CMC response does not answer this very request (recipientNonce)", "")
EST_ERROR(PROTOCOL_CMC_STATUS, "protocol.cmc-status", PROTOCOL, 8, 0,
          "the CMC response holds a status that RFC 5272 does not define", "")
EST_ERROR(PROTOCOL_MULTIPART_BOUNDARY, "protocol.multipart-boundary", PROTOCOL, 8, 0,
          "the server's multipart answer names no usable boundary (RFC 2046 5.1.1)", "")
EST_ERROR(PROTOCOL_MULTIPART_EMPTY, "protocol.multipart-empty", PROTOCOL, 8, 0,
          "the server's multipart answer holds no part between its boundaries", "")
EST_ERROR(PROTOCOL_MULTIPART_END, "protocol.multipart-end", PROTOCOL, 8, 0,
          "the server's multipart answer ends before its closing boundary", "")
EST_ERROR(PROTOCOL_MULTIPART_HEADER, "protocol.multipart-header", PROTOCOL, 8, 0,
          "a part of the server's answer has a malformed header", "")
EST_ERROR(PROTOCOL_MULTIPART_HEADER_SIZE, "protocol.multipart-header-size", PROTOCOL, 8, 0,
          "a part of the server's answer has more header data than allowed", "")
EST_ERROR(PROTOCOL_MULTIPART_PARTS, "protocol.multipart-parts", PROTOCOL, 8, 0,
          "the server's multipart answer has more parts than allowed", "")
EST_ERROR(PROTOCOL_MULTIPART_ENCODING, "protocol.multipart-encoding", PROTOCOL, 8, 0,
          "a part of the server's answer has another Content-Transfer-Encoding than base64", "")
EST_ERROR(PROTOCOL_KEY_PARTS, "protocol.key-parts", PROTOCOL, 8, 0,
          "the server's answer is not one private key and one set of certificates (RFC 7030 4.4.2)", "")
EST_ERROR(PROTOCOL_KEY_NOT_ENCRYPTED, "protocol.key-not-encrypted", PROTOCOL, 8, 0,
          "an encrypted private key was asked for, but the server sent it without encryption of its own", "")
EST_ERROR(PROTOCOL_KEY_ENCRYPTED, "protocol.key-encrypted", PROTOCOL, 8, 0,
          "the server encrypted the private key, which was not asked for, so it cannot be read",
          "ask for encryption: --decrypt-key, --decrypt-kek or --decrypt-password")
EST_ERROR(PROTOCOL_KEY_FORMAT, "protocol.key-format", PROTOCOL, 8, 0,
          "the private key in the server's answer is not a PKCS#8 structure that can be read", "")
EST_ERROR(PROTOCOL_KEY_PAIR, "protocol.key-pair", PROTOCOL, 8, 0,
          "the private key in the server's answer is broken: its halves do not belong together", "")
EST_ERROR(PROTOCOL_KEY_ENVELOPE, "protocol.key-envelope", PROTOCOL, 8, 0,
          "the encrypted private key is not a CMS EnvelopedData or AuthEnvelopedData for one recipient", "")
EST_ERROR(PROTOCOL_KEY_METHOD, "protocol.key-method", PROTOCOL, 8, 0,
          "the server encrypted the private key in another way than was asked for", "")
EST_ERROR(PROTOCOL_KEY_RECIPIENT, "protocol.key-recipient", PROTOCOL, 8, 0,
          "the server encrypted the private key to another recipient than was asked for", "")
EST_ERROR(PROTOCOL_KEY_CIPHER, "protocol.key-cipher", PROTOCOL, 8, 0,
          "the server encrypted the private key with an algorithm that is not accepted", "")
EST_ERROR(PROTOCOL_KEY_DECRYPT, "protocol.key-decrypt", PROTOCOL, 8, 0,
          "the private key in the server's answer cannot be decrypted with the key that was asked for", "")
EST_ERROR(PROTOCOL_KEY_UNSIGNED, "protocol.key-unsigned", PROTOCOL, 8, 0,
          "the decrypted private key is not signed by the party that generated it (RFC 7030 4.4.2)", "")
EST_ERROR(PROTOCOL_KEY_PACKAGE, "protocol.key-package", PROTOCOL, 8, 0,
          "the decrypted content is not an asymmetric key package with exactly one key (RFC 5958 2)", "")
EST_ERROR(PROTOCOL_KEY_SIGNATURE, "protocol.key-signature", PROTOCOL, 8, 0,
          "the signature over the private key does not verify", "")
EST_ERROR(PROTOCOL_KEY_SIGNER, "protocol.key-signer", PROTOCOL, 8, 0,
          "the signer of the private key is neither the issuing CA, nor a CMC authority, nor the EST server",
          "")

/* certificate: a certificate or request failed its checks */
EST_ERROR(CERT, "cert.failed", CERTIFICATE, 9, 0, "the certificate failed its checks", "")
EST_ERROR(CERT_KEY_DIFFERS, "cert.key-differs", CERTIFICATE, 9, 0,
          "no certificate in the answer is for the key of the request", "")
EST_ERROR(CERT_AMBIGUOUS, "cert.ambiguous", CERTIFICATE, 9, 0,
          "the answer holds several different certificates for the key of the request", "")
EST_ERROR(CERT_NOT_NEW, "cert.not-new", CERTIFICATE, 9, 0,
          "the server sent the certificate back that was to be renewed", "")
EST_ERROR(CERT_SUBJECT_DIFFERS, "cert.subject-differs", CERTIFICATE, 9, 0,
          "the certificate's subject is not the requested one", "")
EST_ERROR(CERT_SAN_MISSING, "cert.san-missing", CERTIFICATE, 9, 0,
          "the certificate lacks a requested subjectAltName", "")
EST_ERROR(CERT_SAN_EXTRA, "cert.san-extra", CERTIFICATE, 9, 0,
          "the certificate has a subjectAltName that was not requested", "")
EST_ERROR(CERT_EXPIRED, "cert.expired", CERTIFICATE, 9, 0, "the certificate has expired", "")
EST_ERROR(CERT_NOT_YET_VALID, "cert.not-yet-valid", CERTIFICATE, 9, 0, "the certificate is not valid yet",
          "check this machine's clock")
EST_ERROR(CERT_VALIDITY, "cert.validity", CERTIFICATE, 9, 0,
          "the certificate's notAfter is before its notBefore", "")
EST_ERROR(CERT_IS_CA, "cert.is-ca", CERTIFICATE, 9, 0, "the certificate is a CA certificate", "")
EST_ERROR(CERT_WEAK_KEY, "cert.weak-key", CERTIFICATE, 9, 0, "the certificate's key is weak", "")
EST_ERROR(CERT_WEAK_SIGNATURE, "cert.weak-signature", CERTIFICATE, 9, 0,
          "the certificate is signed with a weak digest", "")
EST_ERROR(CERT_EKU, "cert.eku", CERTIFICATE, 9, 0, "the certificate lacks a required extended key usage", "")
EST_ERROR(CERT_HOST, "cert.host-mismatch", CERTIFICATE, 9, 0, "the certificate is for another host", "")
EST_ERROR(CERT_NO_SAN, "cert.no-subject-alt-name", CERTIFICATE, 9, 0,
          "the certificate names no host in subjectAltName; its CN does not count", "")
EST_ERROR(CERT_SERIAL, "cert.serial", CERTIFICATE, 9, 0,
          "the certificate's serial number is not a positive number of at most 20 bytes", "")
EST_ERROR(CERT_UNKNOWN_ISSUER, "cert.unknown-issuer", CERTIFICATE, 9, 0,
          "the certificate does not chain to the trust anchors", "")
EST_ERROR(CERT_SELF_SIGNED, "cert.self-signed", CERTIFICATE, 9, 0,
          "the certificate is self-signed and not among the trust anchors", "")
EST_ERROR(CERT_UNKNOWN_ROOT, "cert.unknown-root", CERTIFICATE, 9, 0,
          "the certificate's chain ends in a root that is not among the trust anchors", "")
EST_ERROR(CERT_CA_EXPIRED, "cert.ca-expired", CERTIFICATE, 9, 0,
          "a CA certificate in the certificate's chain has expired", "")
EST_ERROR(CERT_CA_NOT_YET_VALID, "cert.ca-not-yet-valid", CERTIFICATE, 9, 0,
          "a CA certificate in the certificate's chain is not valid yet", "check this machine's clock")
EST_ERROR(CERT_CA_WEAK_KEY, "cert.ca-weak-key", CERTIFICATE, 9, 0,
          "a CA certificate in the certificate's chain has a weak key", "")
EST_ERROR(CERT_CA_WEAK_SIGNATURE, "cert.ca-weak-signature", CERTIFICATE, 9, 0,
          "a CA certificate in the certificate's chain is signed with a weak digest", "")
EST_ERROR(CERT_CA_EKU, "cert.ca-wrong-eku", CERTIFICATE, 9, 0,
          "a CA in the certificate's chain may not issue for this purpose (extKeyUsage)", "")
EST_ERROR(CERT_INVALID_CA, "cert.invalid-ca", CERTIFICATE, 9, 0,
          "a certificate in the chain was issued by one that is not a CA", "")
EST_ERROR(CERT_PATH_LENGTH, "cert.path-length", CERTIFICATE, 9, 0,
          "a CA in the chain may not have another CA below it (pathLenConstraint)", "")
EST_ERROR(CERT_CHAIN_TOO_LONG, "cert.chain-too-long", CERTIFICATE, 9, 0,
          "the certificate's chain is longer than allowed", "")
EST_ERROR(CERT_NAME_CONSTRAINTS, "cert.name-constraints", CERTIFICATE, 9, 0,
          "the certificate is outside of the names its CA may issue for", "")
EST_ERROR(CERT_CRITICAL_EXTENSION, "cert.critical-extension", CERTIFICATE, 9, 0,
          "the certificate's chain holds a critical extension that is not understood", "")
EST_ERROR(CERT_BAD_SIGNATURE, "cert.bad-signature", CERTIFICATE, 9, 0,
          "a signature in the certificate's chain does not verify", "")
EST_ERROR(CERT_CHAIN, "cert.chain", CERTIFICATE, 9, 0, "the certificate's chain is not valid", "")
EST_ERROR(CERT_NO_KEY_ID, "cert.no-key-id", CERTIFICATE, 9, 0,
          "the certificate names no authority key identifier, so renewal-info cannot be asked for it", "")
EST_ERROR(CERT_MALFORMED, "cert.malformed", CERTIFICATE, 9, 0, "the certificate cannot be parsed", "")
EST_ERROR(CSR_MALFORMED, "csr.malformed", CERTIFICATE, 9, 0, "the request is not a PKCS#10 structure", "")
EST_ERROR(CSR_SIGNATURE, "csr.signature", CERTIFICATE, 9, 0, "the request's own signature does not verify",
          "")
EST_ERROR(CERT_NOT_SIGNED_BY_ISSUER, "cert.not-signed-by-issuer", CERTIFICATE, 9, 0,
          "the certificate is not signed by the issuer given", "")
EST_ERROR(CSR_WEAK_KEY, "csr.weak-key", CERTIFICATE, 9, 0, "the request's key is weak", "")
EST_ERROR(CSR_WEAK_DIGEST, "csr.weak-digest", CERTIFICATE, 9, 0, "the request is signed with a weak digest",
          "")
EST_ERROR(CSR_NO_NAME, "csr.no-name", CERTIFICATE, 9, 0,
          "the request has neither a subject nor a subjectAltName", "")
EST_ERROR(CSR_EXTENSION, "csr.extension", CERTIFICATE, 9, 0,
          "the request holds an extension that is broken or stands twice", "")
EST_ERROR(CSR_SUBJECT_CHANGED, "csr.subject-changed", CERTIFICATE, 9, 0,
          "the request's subject or subjectAltName is not that of the certificate to renew (RFC 7030 4.2.2)",
          "")
EST_ERROR(CSR_CONFLICT, "csr.attribute-conflict", CERTIFICATE, 9, 0,
          "the request contradicts what the server's CSR attributes ask for", "")
EST_ERROR(CSR_INCOMPLETE, "csr.template-incomplete", CERTIFICATE, 9, 0,
          "the server's request template leaves values to the client that the request does not have",
          "give them to the request, in the subject, as subjectAltName or as extensions")

/* revoked */
EST_ERROR(REVOKED, "revoked.revoked", REVOKED, 10, 0, "the certificate is revoked", "")
EST_ERROR(REVOCATION_UNKNOWN, "revocation.unknown", REVOKED, 10, 0,
          "it cannot be told whether the certificate is revoked", "")
EST_ERROR(REVOCATION_NO_EVIDENCE, "revocation.no-evidence", REVOKED, 10, 0,
          "the certificate names neither an OCSP responder nor a CRL, and none was given", "")
EST_ERROR(REVOCATION_NOT_FETCHED, "revocation.not-fetched", REVOKED, 10, 1,
          "what would tell whether the certificate is revoked could not be fetched", "")
EST_ERROR(REVOCATION_STALE, "revocation.stale", REVOKED, 10, 0,
          "what tells whether the certificate is revoked is past its nextUpdate", "")
EST_ERROR(REVOCATION_FUTURE, "revocation.not-yet-valid", REVOKED, 10, 0,
          "what tells whether the certificate is revoked is dated in the future", "")
EST_ERROR(REVOCATION_TOO_OLD, "revocation.too-old", REVOKED, 10, 0,
          "what tells whether the certificate is revoked is older than allowed", "")
EST_ERROR(REVOCATION_SIGNER, "revocation.signer", REVOKED, 10, 0,
          "whoever signed what tells about the certificate may be revoked itself", "")
EST_ERROR(REVOCATION_OFFLINE, "revocation.offline", REVOKED, 10, 0,
          "nothing at hand tells whether the certificate is revoked, and nothing may be fetched", "")
EST_ERROR(REVOCATION_URL, "revocation.url", REVOKED, 10, 0,
          "a URL for revocation data is not one that is followed", "")
EST_ERROR(OCSP_MALFORMED, "ocsp.malformed", REVOKED, 10, 0, "the OCSP response cannot be read", "")
EST_ERROR(OCSP_TRY_LATER, "ocsp.try-later", REVOKED, 10, 1, "the OCSP responder says: try later", "")
EST_ERROR(OCSP_UNAUTHORIZED, "ocsp.unauthorized", REVOKED, 10, 0,
          "the OCSP responder does not answer for this certificate (unauthorized)", "")
EST_ERROR(OCSP_SIGNATURE, "ocsp.signature", REVOKED, 10, 0, "the OCSP response's signature does not verify",
          "")
EST_ERROR(OCSP_TOO_LARGE, "ocsp.too-large", REVOKED, 10, 0, "the OCSP response is larger than allowed", "")
EST_ERROR(OCSP_MALFORMED_REQUEST, "ocsp.malformed-request", REVOKED, 10, 0,
          "the OCSP responder says that it cannot read the request (malformedRequest)", "")
EST_ERROR(OCSP_INTERNAL_ERROR, "ocsp.internal-error", REVOKED, 10, 1,
          "the OCSP responder reports an error of its own (internalError)", "")
EST_ERROR(OCSP_SIG_REQUIRED, "ocsp.signature-required", REVOKED, 10, 0,
          "the OCSP responder wants a signed request (sigRequired), which is not made", "")
EST_ERROR(OCSP_TYPE, "ocsp.response-type", REVOKED, 10, 0,
          "the OCSP response is of another type than id-pkix-ocsp-basic, the only one that is read", "")
EST_ERROR(OCSP_WEAK, "ocsp.weak-signature", REVOKED, 10, 0,
          "the OCSP response is signed with a digest or a key that is too weak", "")
EST_ERROR(OCSP_SIGNER, "ocsp.signer", REVOKED, 10, 0,
          "the OCSP response is signed by nobody who may speak for the certificate's issuer", "")
EST_ERROR(OCSP_NONCE, "ocsp.nonce", REVOKED, 10, 0,
          "the OCSP response answers another request: its nonce is not ours", "")
EST_ERROR(OCSP_NO_NONCE, "ocsp.no-nonce", REVOKED, 10, 0,
          "the OCSP response lacks the nonce, which is required", "")
EST_ERROR(OCSP_CRITICAL_EXTENSION, "ocsp.critical-extension", REVOKED, 10, 0,
          "the OCSP response holds a critical extension that is not understood", "")
EST_ERROR(OCSP_OTHER_CERTIFICATE, "ocsp.other-certificate", REVOKED, 10, 0,
          "the OCSP response does not speak of this certificate", "")
EST_ERROR(OCSP_UNKNOWN_CERTIFICATE, "ocsp.unknown-certificate", REVOKED, 10, 0,
          "the OCSP responder does not know the certificate", "")
EST_ERROR(OCSP_PRODUCED_AT, "ocsp.produced-at", REVOKED, 10, 0,
          "the OCSP response's producedAt contradicts its other dates or the clock", "")
EST_ERROR(CRL_MALFORMED, "crl.malformed", REVOKED, 10, 0, "the CRL cannot be read", "")
EST_ERROR(CRL_TRUNCATED, "crl.truncated", REVOKED, 10, 0, "the CRL is cut short", "")
EST_ERROR(CRL_TOO_LARGE, "crl.too-large", REVOKED, 10, 0, "the CRL is larger than allowed", "")
EST_ERROR(CRL_SIGNATURE, "crl.signature", REVOKED, 10, 0, "the CRL's signature does not verify", "")
EST_ERROR(CRL_NO_SIGNER, "crl.no-signer", REVOKED, 10, 0,
          "none of the known CA certificates has the name of the CRL's issuer", "")
EST_ERROR(CRL_WEAK_SIGNATURE, "crl.weak-signature", REVOKED, 10, 0,
          "the CRL is signed with a digest that is no longer safe (MD5, SHA-1)", "")
EST_ERROR(CRL_ALGORITHM, "crl.algorithm", REVOKED, 10, 0,
          "the CRL's signature algorithm is not one that can be verified", "")
EST_ERROR(CRL_CRITICAL_EXTENSION, "crl.critical-extension", REVOKED, 10, 0,
          "the CRL holds a critical extension that is not understood", "")
EST_ERROR(CRL_INDEX, "crl.index", REVOKED, 10, 0, "the index of the cached CRL cannot be used", "")
EST_ERROR(CRL_SCOPE, "crl.scope", REVOKED, 10, 0, "the CRL is not about this certificate", "")
EST_ERROR(CRL_ISSUER, "crl.issuer", REVOKED, 10, 0, "the CRL is another issuer's than the certificate says",
          "")
EST_ERROR(CRL_NOT_INDIRECT, "crl.not-indirect", REVOKED, 10, 0,
          "the certificate names another CRL issuer, but the CRL does not say that it speaks for other "
          "issuers (indirectCRL)",
          "")
EST_ERROR(CRL_DISTRIBUTION_POINT, "crl.distribution-point", REVOKED, 10, 0,
          "the CRL is for another distribution point than the certificate's", "")
EST_ERROR(CRL_IDP, "crl.issuing-distribution-point", REVOKED, 10, 0,
          "the CRL's issuingDistributionPoint contradicts itself", "")
EST_ERROR(CRL_CERTIFICATE, "crl.certificate-extension", REVOKED, 10, 0,
          "the certificate's own cRLDistributionPoints or basicConstraints cannot be read, so that no CRL "
          "can be told to be about it",
          "")
EST_ERROR(CRL_CERTIFICATE_EXPIRED, "crl.certificate-expired", REVOKED, 10, 0,
          "the certificate had expired when the CRL was made, so that the CRL need not list it any more", "")
EST_ERROR(CRL_REASONS, "crl.reasons", REVOKED, 10, 0,
          "the CRLs cover only some of the reasons for which a certificate is revoked", "")
EST_ERROR(CRL_ENTRY_REASON, "crl.entry-reason", REVOKED, 10, 0,
          "the CRL lists the certificate with the reason removeFromCRL, which only a delta CRL may do", "")
EST_ERROR(CRL_SIGNER_USAGE, "crl.signer-usage", REVOKED, 10, 0,
          "the CRL is signed by a certificate that may not sign CRLs (keyUsage without cRLSign)", "")
EST_ERROR(CRL_SIGNER_PATH, "crl.signer-path", REVOKED, 10, 0,
          "the CRL is signed by a certificate that is not trusted", "")
EST_ERROR(CRL_SIGNER_ANCHOR, "crl.signer-anchor", REVOKED, 10, 0,
          "the CRL is signed by a certificate that does not lead to the trust anchor of the certificate in "
          "question",
          "")
EST_ERROR(CRL_DELTA_MISSING, "crl.delta-missing", REVOKED, 10, 1,
          "the CRL announces a delta CRL, and there is none that counts", "")
EST_ERROR(CRL_DELTA_ALONE, "crl.delta-alone", REVOKED, 10, 0,
          "there is only a delta CRL, without a complete CRL to go with it", "")
EST_ERROR(CRL_DELTA_ISSUER, "crl.delta-issuer", REVOKED, 10, 0,
          "the delta CRL is another issuer's than the complete CRL", "")
EST_ERROR(CRL_DELTA_SCOPE, "crl.delta-scope", REVOKED, 10, 0,
          "the delta CRL is about other certificates than the complete CRL", "")
EST_ERROR(CRL_DELTA_SIGNER, "crl.delta-signer", REVOKED, 10, 0,
          "the delta CRL is signed with another key than the complete CRL", "")
EST_ERROR(CRL_DELTA_NUMBER, "crl.delta-number", REVOKED, 10, 0,
          "the numbers of the delta CRL and the complete CRL are missing, or contradict their dates", "")
EST_ERROR(CRL_DELTA_BASE, "crl.delta-base", REVOKED, 10, 0,
          "the complete CRL is older than the one that the delta CRL builds on", "")

/* key */
EST_ERROR(KEY, "key.failed", KEY, 11, 0, "the key cannot be used", "")
EST_ERROR(KEY_FILE, "key.file", KEY, 11, 0, "the key file cannot be read", "")
EST_ERROR(KEY_PERMISSIONS, "key.permissions", KEY, 11, 0,
          "the key file can be read by others, or is not ours",
          "chmod 600 it, or use --insecure-key-permissions")
EST_ERROR(KEY_FORMAT, "key.format", KEY, 11, 0, "the file holds no private key we can read", "")
EST_ERROR(KEY_TOO_EXPENSIVE, "key.too-expensive", KEY, 11, 0,
          "the key is encrypted so that deriving its cipher key would take more work than is allowed",
          "encrypt the key anew, with fewer iterations")
EST_ERROR(KEY_PASSPHRASE_NEEDED, "key.passphrase-needed", KEY, 11, 0,
          "the key is encrypted and no passphrase was given", "use --pin")
EST_ERROR(KEY_PASSPHRASE, "key.passphrase-wrong", KEY, 11, 0, "the passphrase does not open the key", "")
EST_ERROR(KEY_MISMATCH, "key.mismatch", KEY, 11, 0, "the key is not the one of the request or certificate",
          "")
EST_ERROR(KEY_EXISTS, "key.exists", KEY, 11, 0, "there is a file already where the new key should go", "")
EST_ERROR(KEY_OPERATION, "key.operation", KEY, 11, 0, "the key cannot do what was asked of it", "")
EST_ERROR(KEY_SIGNATURE, "key.signature", KEY, 11, 0,
          "the key made a signature that its own public key refuses",
          "the token or signer is faulty, or the public key given is not its own")
EST_ERROR(KEY_PUBLIC, "key.public", KEY, 11, 0, "the token does not give the key's public half", "")
EST_ERROR(KEY_NOT_FOUND, "key.not-found", KEY, 11, 0, "the token holds no such key", "")
EST_ERROR(KEY_AMBIGUOUS, "key.ambiguous", KEY, 11, 0, "the URI names more than one key of the token",
          "add id= or object= to the URI")
EST_ERROR(KEY_TOKEN, "key.token", KEY, 11, 0, "the token failed", "")
EST_ERROR(KEY_TOKEN_MISSING, "key.token-missing", KEY, 11, 0, "no token matches the URI", "")
EST_ERROR(KEY_TOKEN_AMBIGUOUS, "key.token-ambiguous", KEY, 11, 0, "more than one token matches the URI",
          "add token=, serial= or slot-id= to the URI")
EST_ERROR(KEY_TOKEN_REMOVED, "key.token-removed", KEY, 11, 1, "the token is no longer there", "")
EST_ERROR(KEY_TOKEN_RESET, "key.token-reset", KEY, 11, 1,
          "the token was reset, so that the operation has to be begun anew", "")
EST_ERROR(KEY_TOKEN_SESSIONS, "key.token-sessions", KEY, 11, 1, "the token has no session left for us", "")
EST_ERROR(KEY_TOKEN_FULL, "key.token-full", KEY, 11, 0, "the token has no memory left", "")
EST_ERROR(KEY_TOKEN_READ_ONLY, "key.token-read-only", KEY, 11, 0, "the token cannot be written to", "")
EST_ERROR(KEY_PIN, "key.pin", KEY, 11, 0, "the PIN is wrong",
          "it is not tried again, so that it does not lock")
EST_ERROR(KEY_PIN_NEEDED, "key.pin-needed", KEY, 11, 0, "the token wants its PIN", "give it with --pin")
EST_ERROR(KEY_PIN_LOCKED, "key.pin-locked", KEY, 11, 0, "the PIN is locked",
          "the token's security officer can set a new one")
EST_ERROR(KEY_PIN_FINAL_TRY, "key.pin-final-try", KEY, 11, 0,
          "one more mistake would lock the PIN, so it is not tried",
          "log in once with the right PIN by the token's own tool, then repeat")
EST_ERROR(KEY_PIN_EXPIRED, "key.pin-expired", KEY, 11, 0, "the PIN has to be changed first", "")
EST_ERROR(KEY_TPM_PARENT, "key.tpm-parent", KEY, 11, 0,
          "the TPM wants an authorisation for what the key is below: its parent key, or the owner hierarchy",
          "give it with --tpm-owner-auth or --tpm-parent-auth")
EST_ERROR(KEY_TPM_AUTH, "key.tpm-auth", KEY, 11, 0,
          "the authorisation given for the TPM's owner hierarchy, or for the parent key, is wrong",
          "it is not tried again; see --tpm-owner-auth and --tpm-parent-auth")
EST_ERROR(KEY_NAME_TAKEN, "key.name-taken", KEY, 11, 0, "the token holds a key of this label or id already",
          "choose another object= in the URI")
EST_ERROR(KEY_NOT_EXTRACTABLE, "key.not-extractable", KEY, 11, 0,
          "the token does not let this key out, not even wrapped", "")
EST_ERROR(KEY_WRAPPED, "key.wrapped", KEY, 11, 0, "the wrapped key cannot be unwrapped into the token", "")
EST_ERROR(KEY_NOT_PROTECTED, "key.not-protected", KEY, 11, 0,
          "the token made a key that can be read out, so it was destroyed again", "")
EST_ERROR(KEY_NOT_REQUEST_KEY, "key.cannot-sign", KEY, 11, 0,
          "the request was signed elsewhere and cannot be bound to the TLS session", "")

/* crypto, io, memory, unsupported, cancelled */
EST_ERROR(CRYPTO, "crypto.failed", CRYPTO, 1, 0, "the crypto library failed", "")
EST_ERROR(CRYPTO_RANDOM, "crypto.random", CRYPTO, 1, 1, "no random numbers to be had", "")
EST_ERROR(IO, "io.failed", IO, 1, 0, "reading or writing a file failed", "")
EST_ERROR(IO_NOT_FOUND, "io.not-found", IO, 1, 0, "no such file or folder", "")
EST_ERROR(IO_TOO_LARGE, "io.too-large", IO, 1, 0, "the file is larger than it may be", "")
EST_ERROR(IO_NOT_REGULAR, "io.not-regular", IO, 1, 0, "not a regular file", "")
EST_ERROR(MEMORY, "memory.exhausted", MEMORY, 1, 1, "out of memory", "")
EST_ERROR(UNSUPPORTED, "unsupported.feature", UNSUPPORTED, 12, 0, "not supported here", "")
EST_ERROR(UNSUPPORTED_FIPS, "unsupported.fips", UNSUPPORTED, 12, 0, "there is no active FIPS provider",
          "install and configure OpenSSL's FIPS module")
EST_ERROR(UNSUPPORTED_FIPS_ALGORITHM, "unsupported.fips-algorithm", UNSUPPORTED, 12, 0,
          "the algorithm is not approved by FIPS", "")
EST_ERROR(UNSUPPORTED_SIGNER_KEY, "unsupported.signer-key", UNSUPPORTED, 12, 0,
          "a signer's key must be EC, RSA, Ed25519 or Ed448", "")
EST_ERROR(UNSUPPORTED_TPM2, "unsupported.tpm2", UNSUPPORTED, 12, 0,
          "OpenSSL's tpm2 provider is not installed or finds no TPM, so TPM keys cannot be used",
          "install tpm2-openssl; TPM2OPENSSL_TCTI says where the TPM is")
EST_ERROR(
    UNSUPPORTED_TPM2_AUTH, "unsupported.tpm2-auth", UNSUPPORTED, 12, 0,
    "the authorisation of a TPM's owner hierarchy or parent key needs libestuary-tcti.so, which is not there",
    "install libestuary-tcti.so beside the library, in its folder estuary")
EST_ERROR(UNSUPPORTED_PKCS11, "unsupported.pkcs11", UNSUPPORTED, 12, 0,
          "p11-kit is not installed, so PKCS#11 keys cannot be used", "install libp11-kit0")
EST_ERROR(UNSUPPORTED_KEY_URI, "unsupported.key-uri", UNSUPPORTED, 12, 0,
          "keys of this kind are not supported by this version", "")
EST_ERROR(UNSUPPORTED_CMC, "unsupported.cmc", UNSUPPORTED, 12, 0,
          "the server wants a step of CMC that is not supported", "")
EST_ERROR(CANCELLED, "cancelled", CANCELLED, 1, 1, "cancelled", "")
