#!/bin/sh
# What people use today: openssl and curl. HOST PORT CA USER PASSWORD-FILE FOLDER
set -eu
cd "$6"
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -subj /CN=bench \
    -outform DER -out csr.der 2>/dev/null
openssl base64 -in csr.der -out csr.b64
curl -sS --fail --noproxy '*' --cacert "$3" -u "$4:$(cat "$5")" -H 'Content-Type: application/pkcs10' \
    --data-binary @csr.b64 -o answer.b64 "https://$1:$2/.well-known/est/simpleenroll"
openssl base64 -d -in answer.b64 -out answer.der
openssl pkcs7 -inform DER -in answer.der -print_certs -out cert.pem
openssl verify -CAfile "$3" cert.pem >/dev/null
