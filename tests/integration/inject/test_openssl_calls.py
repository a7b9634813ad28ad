#!/usr/bin/env python3
"""Every function of OpenSSL that the library calls is in openssl_calls.inc, or cannot fail, by this list.

usage: test_openssl_calls.py OPENSSL_CALLS.INC LIBESTUARY_INTERNAL.A
"""

import ctypes.util
import re
import subprocess
import sys

# Freeing, asking and setting plain values (OSSL_PARAM); comparing; where 0 or NULL is an answer like any other.
CANNOT_FAIL = r"""
.*_free|.*_it|.*_cmp|ERR_.*|OPENSSL_cleanse|OPENSSL_strlcpy|BN_is_.*|UTF8_getc
OPENSSL_sk_(num|value|pop|shift|delete|set|free|pop_free)|CRYPTO_memcmp|CRYPTO_clear_free
.*_(get_error|get_error_depth|get_current_cert|set_error|set_verify_cb|set_hostflags|set_auth_level|set_depth|set_time)
X509_STORE_CTX_(get0|set0)_.*|X509_VERIFY_PARAM_get_.*|X509_STORE_get_.*|X509_STORE_set_.*
X509_(get_subject_name|get_issuer_name|get0_notAfter|get0_notBefore|get0_serialNumber|get_signature_nid|get_version)
X509_(check_issued|get_ext|get_ext_by_NID|get_ext_by_OBJ|get_ext_count|get_extension_flags|get0_extensions)
X509_REQ_(get_subject_name|get_attr|get_attr_by_NID|get_attr_by_OBJ|get_attr_count|get0_signature|get_signature_nid)
X509v3_get_ext.*|X509_EXTENSION_get_.*|X509_ATTRIBUTE_(count|get0_.*)|X509_ALGOR_get0|X509_SIG_get0
X509_NAME_(entry_count|get_entry|get_index_by_.*|ENTRY_get_.*|ENTRY_set)|GENERAL_NAME_(get0|set0)_value
ASN1_(STRING_length|STRING_type|STRING_get0_data|get_object|put_object|object_size|BIT_STRING_get_bit|TYPE_set)
ASN1_STRING_TABLE_get|ASN1_PRINTABLE_type|X509V3_EXT_(get|get_nid|print)|CMS_get0_.*|BIO_s_mem
OBJ_(obj2nid|txt2nid|nid2obj|nid2sn|nid2ln)|EC_curve_.*|EC_get_builtin_curves|EVP_(sha256|aes_256_cbc)
EVP_CIPHER_get0_name|EVP_MD_get0_name|EVP_default_properties_.*|OSSL_PROVIDER_.*|OpenSSL_version.*
EVP_MD_get_(size|type)|EVP_PKEY_get_(size|id|base_id)|OSSL_PARAM_.*|OSSL_STORE_(eof|close|INFO_get_type)|UI_destroy_method|X509_ALGOR_set_md|X509_SIG_getm
CMS_SignerInfo_get0_algs|CMS_signed_get_attr.*|OSSL_CRMF_MSG_get0_tmpl|ASN1_TYPE_get|X509_(get_serialNumber|getm_.*)
BIO_s_secmem|CMS_RecipientInfo_type|X509_get0_subject_key_id|X509at_(delete_attr|get_attr_by_OBJ)
X509_verify_cert_error_string|X509_get0_authority_key_id|X509_get0_signature|X509_REQ_get_version
"""
# Allocation, which fails by another way; and what only a TLS session calls (test_inject_tls, test_trust_*).
ELSEWHERE = r"CRYPTO_.*|SSL_.*|TLS_.*"


def symbols(*command):
    output = subprocess.run(["nm", *command], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1].split("@")[0] for line in output.splitlines() if len(line.split()) > 1}


def find_library(name):
    listing = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, env={"PATH": "/usr/sbin:/sbin:/usr/bin"})
    wanted = ctypes.util.find_library(name)
    return next(line.split("=> ")[1] for line in listing.stdout.splitlines() if wanted in line.split())


def main():
    listed = set(re.findall(r"^CALL\w*\((\w+)\)", open(sys.argv[1]).read(), re.MULTILINE))
    openssl = symbols("-D", "--defined-only", find_library("crypto")) | symbols("-D", "--defined-only", find_library("ssl"))
    used = symbols("-u", sys.argv[2]) & openssl
    harmless = re.compile("|".join(CANNOT_FAIL.split()) + "|" + ELSEWHERE)
    missing = sorted(name for name in used - listed if not harmless.fullmatch(name))
    stale = sorted(listed - used)
    print("1..2")
    for number, (names, what) in enumerate([(missing, "every call that can fail is listed"), (stale, "every row is called")], 1):
        print(f"{'not ok' if names else 'ok'} {number} - {what}{': ' + ' '.join(names) if names else ''}")
    return 1 if missing or stale else 0


if __name__ == "__main__":
    sys.exit(main())
