#!/usr/bin/env python3
"""Every function of OpenSSL that the library calls is in openssl_calls.inc, or cannot fail, by this list.

usage: test_openssl_calls.py OPENSSL_CALLS.INC LIBESTUARY_INTERNAL.A
"""

import ctypes.util
import re
import subprocess
import sys

# Read against OpenSSL 3.0's manual and source. Freeing; tables of structures and methods; comparing what was parsed, byte
# for byte; accessors, where 0 or NULL is an answer like any other; setters of plain values, which return nothing.
CANNOT_FAIL = r"""
.*_free|.*_it|ERR_.*|OPENSSL_(cleanse|strlcpy|strncasecmp)|BN_is_.*|BN_num_bits|UTF8_getc|CRYPTO_memcmp|CRYPTO_clear_free
ASN1_INTEGER_cmp|ASN1_OCTET_STRING_cmp|OBJ_cmp|X509_cmp
OPENSSL_sk_(num|value|pop|shift|delete|set|free|pop_free)
X509_STORE_CTX_(get_error|get_error_depth|get_current_cert|set_error|set_verify_cb|get0_.*|set0_verified_chain)
X509_VERIFY_PARAM_set_(hostflags|auth_level|depth|time)
X509_(get_subject_name|get_issuer_name|get0_notAfter|get0_notBefore|get0_serialNumber|get_signature_nid|get_version)
X509_(get_ext|get_ext_by_NID|get_ext_by_OBJ|get_ext_count|get0_extensions|get_serialNumber|getm_.*|get0_signature)
X509_REQ_(get_subject_name|get_X509_PUBKEY|get_attr|get_attr_by_NID|get_attr_by_OBJ|get_attr_count|get0_signature|get_signature_nid|get_version)
X509v3_get_ext.*|X509_EXTENSION_get_.*|X509_ATTRIBUTE_(count|get0_.*)|X509_ALGOR_get0|X509_SIG_(get0|getm)
X509at_(delete_attr|get_attr_by_OBJ)|X509_verify_cert_error_string|X509V3_EXT_(get|get_nid)
X509_NAME_(entry_count|get_entry|get_index_by_.*|ENTRY_get_.*|ENTRY_set)|GENERAL_NAME_(get0|set0)_value
ASN1_(STRING_length|STRING_type|STRING_get0_data|get_object|put_object|object_size|BIT_STRING_get_bit|TYPE_get|TYPE_set)
ASN1_STRING_TABLE_get|ASN1_PRINTABLE_type|BIO_s_mem|BIO_s_secmem
CMS_(get0_type|get0_eContentType|get0_SignerInfos|get0_RecipientInfos|SignerInfo_get0_algs|RecipientInfo_type|signed_get_attr.*)
OBJ_(obj2nid|nid2obj|nid2sn|nid2ln|sn2nid)|EC_curve_.*|EC_get_builtin_curves|EVP_(md5|sha1|sha256|sha384|sha512|aes_256_cbc)
EVP_DecodeInit|EVP_CIPHER_get0_name|EVP_MD_get0_name|EVP_MD_get_(size|type)|EVP_PKEY_get_(id|base_id)|EVP_PKEY_get0_provider|OSSL_PROVIDER_get0_name|OpenSSL_version.*
EVP_default_properties_is_fips_enabled|OSSL_PROVIDER_(available|unload)|OSSL_PARAM_(construct_.*|locate.*)
OCSP_(BASICRESP|REQUEST|SINGLERESP)_get_ext.*|OCSP_SINGLERESP_get0_id|OCSP_resp_(count|get0|get0_(certs|produced_at|respdata|signature|tbs_sigalg))
OCSP_(response_status|single_get0_status)|ASN1_INTEGER_get|EVP_MD_is_a|EVP_MD_CTX_set_pkey_ctx
X509_(get0_pubkey_bitstr|get_X509_PUBKEY|get_extension_flags)
OSSL_CRMF_MSG_get0_tmpl|OSSL_STORE_(eof|close|INFO_get_type)|UI_destroy_method
SSL_CTX_(clear_options|get0_param|set_options|sess_set_new_cb|set_cert_cb|set_cert_store|set_cert_verify_callback|set_info_callback)
SSL_CTX_set_(keylog_callback|post_handshake_auth|security_level|verify)|SSL_certs_clear|SSL_is_init_finished
SSL_(CIPHER_get_name|get_SSL_CTX|get_current_cipher|get_version|session_reused|version)
"""
# It fails without saying so; the one caller looks whether it did its work.
LOOKED_AFTER = "X509_ALGOR_set_md"
# Allocations, which fail by another way.
ELSEWHERE = r"CRYPTO_(zalloc|malloc|memdup|strdup|realloc|clear_realloc|free)"


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
    harmless = re.compile("|".join([*CANNOT_FAIL.split(), LOOKED_AFTER, ELSEWHERE]))
    missing = sorted(name for name in used - listed if not harmless.fullmatch(name))
    stale = sorted(listed - used)
    print("1..2")
    for number, (names, what) in enumerate([(missing, "every call that can fail is listed"), (stale, "every row is called")], 1):
        print(f"{'not ok' if names else 'ok'} {number} - {what}{': ' + ' '.join(names) if names else ''}")
    return 1 if missing or stale else 0


if __name__ == "__main__":
    sys.exit(main())
