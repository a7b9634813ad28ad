#!/bin/sh
# RFC 7030 with nothing but curl and openssl, as an EST client for people without one:
#
#     est_with_curl.sh URL ANCHORS USER PASSWORD-FILE FOLDER basic|digest
#
# cacerts, csrattrs, enroll (waiting where the server says so), reenroll. One line for each step on stdout.
set -eu

url=$1/.well-known/est anchors=$2 user=$3 password=$4 folder=$5 scheme=$6
export OPENSSL_CONF=/dev/null
umask 077
cd "$folder"

say() { printf '%s\n' "$*"; }
die() { say "failed: $*"; exit 1; }

# est OPERATION [CURL-OPTION...]: headers to head, body to body; the status is the exit value's business of callers
est() {
    operation=$1
    shift
    status=$(curl -sS --max-time 20 --cacert "$anchors" -D head -o body -w '%{http_code}' "$@" "$url/$operation") ||
        die "$operation: curl"
}

header() { tr -d '\r' <head | awk -v name="$1:" 'tolower($1) == name { $1 = ""; sub(/^ /, ""); print }' | tail -n 1; }
certificates() { openssl base64 -d -A <body | openssl pkcs7 -inform DER -print_certs -out "$1"; }

# RFC 7030 4.1
cacerts() {
    est cacerts
    [ "$status" = 200 ] || die "cacerts: $status"
    [ "$(header content-type)" = "application/pkcs7-mime; smime-type=certs-only" ] || die "cacerts: $(header content-type)"
    tr -d '\r\n' <body >joined && mv joined body
    certificates ca.pem
    openssl verify -CAfile "$anchors" ca.pem >/dev/null || die "cacerts: the first does not chain"
    say "cacerts: $(grep -c BEGIN ca.pem) certificates"
}

# RFC 7030 4.5; RFC 9908
csrattrs() {
    est csrattrs
    case $status in
    204 | 404) say "csrattrs: none" ;;
    200)
        tr -d '\r\n' <body | openssl base64 -d -A | openssl asn1parse -inform DER >attributes ||
            die "csrattrs: no ASN.1"
        say "csrattrs: $(grep -c OBJECT attributes) objects"
        ;;
    *) die "csrattrs: $status" ;;
    esac
}

# request NAME SUBJECT: a key and a request in base64
request() {
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key"
    openssl req -new -key "$1.key" -subj "$2" -addext "subjectAltName=DNS:curl.example" -outform DER |
        openssl base64 >"$1.b64"
}

# post OPERATION NAME [CURL-OPTION...]: again while the server says 202. RFC 7030 4.2.3
post() {
    what=$1 name=$2
    shift 2
    for _ in 1 2 3 4 5; do
        est "$what" -H 'Content-Type: application/pkcs10' -H 'Content-Transfer-Encoding: base64' -H 'Expect:' \
            --data-binary "@$name.b64" "$@"
        [ "$status" = 202 ] || break
        say "$what: wait $(header retry-after)"
        sleep "$(header retry-after)"
    done
    [ "$status" = 200 ] || die "$what: $status"
    tr -d '\r\n' <body >joined && mv joined body
    certificates "$name.pem"
    openssl pkey -in "$name.key" -pubout >"$name.pub"
    openssl x509 -in "$name.pem" -noout -pubkey | cmp -s - "$name.pub" || die "$what: another key"
    openssl verify -CAfile "$anchors" -untrusted ca.pem "$name.pem" >/dev/null || die "$what: does not chain"
    say "$what: $(openssl x509 -in "$name.pem" -noout -subject)"
}

# The password goes through a file, so that no list of processes shows it.
printf 'user = "%s:%s"\n' "$user" "$(cat "$password")" >curlrc

cacerts
csrattrs
request first "/CN=curl"
post simpleenroll first --"$scheme" --config curlrc
request second "/CN=curl"
post simplereenroll second --cert first.pem --key first.key
