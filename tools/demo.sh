# ./run demo: a device's first day, against a certificate authority of its own. Sourced by ./run.
# shellcheck shell=bash

lab_pid=
demo_clean() {
    remove_policy
    if [ -n "$lab_pid" ]; then
        kill "$lab_pid" 2>/dev/null || true
        wait "$lab_pid" 2>/dev/null || true
        lab_pid=
    fi
}

# attempt EXIT_CODE SENTENCE COMMAND...: shows and runs it; the sentence is what another exit code means
attempt() {
    local expected=$1 sentence=$2 code=0
    shift 2
    printf '  $'
    printf ' %q' "$@"
    printf '\n'
    "$@" >"$demo/last.out" 2>&1 || code=$?
    sed 's/^/    /' "$demo/last.out"
    if [ "$code" != "$expected" ]; then
        say
        die "$sentence (exit code $code, expected $expected). The files are in $demo"
    fi
}

proved() { printf '  => %s\n' "$*"; }

start_lab() {
    local line='' i
    (umask 077 && od -An -N18 -tx1 /dev/urandom | tr -d ' \n' >"$demo/password")
    build/estuary-lab --dir "$demo/lab" --listen 127.0.0.1:0 --user "demo:file:$demo/password" \
        >"$demo/lab.ready" 2>"$demo/lab.log" &
    lab_pid=$!
    for ((i = 0; i < 150; i++)); do
        line=$(head -n 1 "$demo/lab.ready")
        case $line in *'}') break ;; esac
        kill -0 "$lab_pid" 2>/dev/null || break
        sleep 0.1
    done
    case $line in *'}') ;; *)
        cat "$demo/lab.log" >&2
        die "the lab did not start; its log is above"
        ;;
    esac
    url=$(lab_says url)
    fingerprint=$(lab_says fingerprint)
    [ -n "$url" ] && [ -n "$fingerprint" ] || die "the lab's first line has no url or fingerprint: $line"
}

lab_says() {
    python3 -c 'import json, sys; print(json.loads(sys.stdin.readline())[sys.argv[1]])' "$1" <"$demo/lab.ready"
}

# what openssl alone thinks of it: a second opinion that shares no code with us
second_opinion() {
    openssl verify -CAfile "$demo/ca.pem" -untrusted "$demo/device/chain.pem" "$demo/device/cert.pem" \
        >"$demo/last.out" 2>&1 || { cat "$demo/last.out"; die "openssl verify does not accept the certificate"; }
    [ "$(openssl x509 -in "$demo/device/cert.pem" -noout -pubkey)" = \
        "$(openssl pkey -in "$demo/device/key.pem" -pubout)" ] || die "key.pem is not the certificate's key"
}

serial_of() { openssl x509 -in "$1" -noout -serial; }

run_demo() {
    local est=build/estuary started=$SECONDS url fingerprint first_serial first_key

    trap demo_clean EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    demo=$(mktemp -d "${TMPDIR:-/tmp}/estuary-demo-XXXXXX")
    export XDG_CACHE_HOME=$demo/cache # what is kept of revocation stays in the folder, too

    step "1. Build"
    build_plain
    proved "build/estuary, build/estuary-lab and build/libestuary.so stand"

    step "2. A certificate authority to try against"
    start_lab
    say "  estuary-lab serves $url, process $lab_pid"
    say "  its root's fingerprint, as its operator would tell you by telephone:"
    say "    $fingerprint"

    step "3. First contact, trusting nobody yet (RFC 7030 4.1.1)"
    attempt 3 "bootstrap without a fingerprint must stop for a human" \
        "$est" bootstrap --server "$url"
    grep -qF "$fingerprint" "$demo/last.out" || die "the server shows another fingerprint than the operator told"
    proved "exit code 3: nothing is trusted, sent or written until a human has compared"

    step "4. The fingerprint compared, the anchors fetched again over verified TLS"
    attempt 0 "bootstrap with the right fingerprint failed" \
        "$est" bootstrap --server "$url" --fingerprint "$fingerprint" -o "$demo/ca.pem"
    [ -s "$demo/ca.pem" ] || die "bootstrap wrote no ca.pem"
    proved "ca.pem holds the anchors that everything below is verified with"

    step "5. What the server wants in a request"
    attempt 0 "csrattrs failed" \
        "$est" csrattrs --server "$url" --trust "$demo/ca.pem"
    proved "the list came over a session that ca.pem verified"

    step "6. Enrol: a new P-256 key, its request, HTTP authentication, the certificate"
    attempt 0 "enrolment failed" \
        "$est" enroll --server "$url" --trust "$demo/ca.pem" --user demo --password "file:$demo/password" \
        --subject "CN=device-1.example,O=Example" --san dns:device-1.example --new-key ec:P-256 \
        --out "$demo/device"
    [ "$(stat -c %a "$demo/device/key.pem")" = 600 ] || die "key.pem is readable by others"
    proved "key, certificate and chain are in place together; the key never left this machine (mode 0600)"

    step "7. Is it any good?"
    attempt 0 "the issued certificate does not verify" \
        "$est" verify "$demo/device/cert.pem" --trust "$demo/ca.pem" --chain "$demo/device/chain.pem" \
        --key "$demo/device/key.pem"
    second_opinion
    first_serial=$(serial_of "$demo/device/cert.pem")
    cp "$demo/device/cert.pem" "$demo/old.pem"
    first_key=$(openssl x509 -in "$demo/device/cert.pem" -noout -pubkey)
    proved "chain, validity and key hold; openssl verify agrees"

    step "8. Renew: the certificate itself is the TLS client identity, the key is new (RFC 7030 4.2.2)"
    attempt 0 "re-enrolment failed" \
        "$est" reenroll --server "$url" --trust "$demo/ca.pem" --cert "$demo/device/cert.pem" \
        --key "$demo/device/key.pem" --new-key ec:P-256 --out "$demo/device"
    [ "$(serial_of "$demo/device/cert.pem")" != "$first_serial" ] || die "the certificate is still the old one"
    [ "$(openssl x509 -in "$demo/device/cert.pem" -noout -pubkey)" != "$first_key" ] || die "the key is still the old one"
    proved "a new certificate for a new key, no password involved; the old one was replaced only now"

    step "9. And again: is it any good?"
    attempt 0 "the renewed certificate does not verify" \
        "$est" verify "$demo/device/cert.pem" --trust "$demo/ca.pem" --chain "$demo/device/chain.pem" \
        --key "$demo/device/key.pem"
    second_opinion
    proved "the renewed certificate holds too; openssl verify agrees"

    step "10. Is it revoked? By OCSP and by CRL"
    attempt 0 "OCSP does not say that the new certificate is good" \
        "$est" revocation "$demo/device/cert.pem" --issuer "$demo/device/chain.pem" --method ocsp --policy hard \
        --cache "$demo/cache/new"
    attempt 0 "the CRL does not say that the new certificate is good" \
        "$est" revocation "$demo/device/cert.pem" --issuer "$demo/device/chain.pem" --method crl --policy hard \
        --cache "$demo/cache/new"
    proved "good twice: a response and a list, both signed, fresh and about this certificate"

    step "11. The old certificate is revoked, and that is seen"
    attempt 0 "the lab could not revoke the old certificate" \
        build/estuary-lab --dir "$demo/lab" revoke "${first_serial#serial=}" --reason superseded
    attempt 10 "OCSP does not show that the old certificate is revoked" \
        "$est" revocation "$demo/old.pem" --issuer "$demo/device/chain.pem" --method ocsp --cache "$demo/cache/old"
    attempt 10 "the CRL does not show that the old certificate is revoked" \
        "$est" revocation "$demo/old.pem" --issuer "$demo/device/chain.pem" --method crl --cache "$demo/cache/old"
    proved "exit code 10 twice, with time and reason"

    rm -f "$demo/last.out" "$demo/lab.ready"
    step "Done in $((SECONDS - started)) seconds"
    say "The lab is stopped. Everything made is in $demo (device/ is what a device keeps)."
}

run_demo
