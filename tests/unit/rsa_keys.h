/* RSA keys of tests, as base64 of RSAPrivateKey: making one takes seconds under valgrind. Known to all. */
#ifndef TESTS_UNIT_RSA_KEYS_H
#define TESTS_UNIT_RSA_KEYS_H

#include <openssl/evp.h>
#include <string.h>

static const char rsa_1024[] =
    "MIICXQIBAAKBgQDSRTgYj9j8pxAS1pTGCkJ+rGokXtTV3EKT1G07xl03aibjSitl1G55yw48b1jaVYIZAt1bwHlx"
    "UXPGJS8lqa5f4oe2n6qGOwxsJ6HCjQtO5frfRzfWSLf/0gZboTh2PbyKzmPBJ2cIEl7f6ROK7hkxfSdl9krGn2yl"
    "fBfVfc3K/QIDAQABAoGAB9DS2Pbf1eRP0KNxPDs9ZX/7Igb0Wk6pmt0WglZJOLoVX/Vtz4cp5BUMHmr1Hoh3IX7d"
    "w39QBEpGx2Kyce/wr0ZxHWr+SBEJsdtEWhRwfUASaU7C9GKC23RFifIdRSg7wmOSWv/dxmmgvj/74XJ9womU8iFM"
    "GKWQ9un5ojKFsXECQQD2JOWXzcxxqQ9JwxxsWztFF4UZNJ15RL8MRF4AE3rGREPWcKN8sW5OO5+dXVHtbgObWu1K"
    "FyQkmt+fR5y7du9LAkEA2rCZHH3SqNXRNKcFC9HyyARqc1g5fz2pHRarsgqTeryFQJgMMtM08TR/saK8U5ArAjiI"
    "1L4mTGkNb3Y/DFWZ1wJACCs7T2luEouYzUrjY5k3g1h/e1GqtD6a1I5kTD5ZQcE8Ox6r3lSJI6GI75EMSgPvrLU8"
    "0Mup0GkvaLrYscQFtwJBAKYzVnnHyiTUMyWP1Y7xJVELwhcdMr1YEEFyLFSoIwNBaQf5RjQOPgseefl3kybyxyzt"
    "6Fe+l360zCgstqfaGosCQQDAS1M+pxHLTqmsfYxCkFDvNYHf4cXvAhF7jW/VLDWjoaWJb0I1rnBZD7UmqToDVCfF"
    "/+65mbd5TVDks0Zc2E5m";
static const char rsa_2048[] =
    "MIIEpQIBAAKCAQEA0QkasKt/XTSZ0SF57fa9Rr9tc94PDBcaYB0vB8815OWBYgdLlVYYNhVKCQf4RKgjpBj6HFD8"
    "12MyvxC9Qrl7A51SDieJvD8oCMeaegyT6N33ZoWgCA6VM8ddpJKbV7lwKc9ujUydr6kOEl/OH2jRJeGFuU7gRJij"
    "z3xqlcuymfm29SKMktdLEhNPu5UcLQMUJBzOsdJ0HpYFX4GoaTMIwKgNbnC4CvdnOcmtjVwWutPdbTtLEc9YKmi6"
    "Tx+Rqs36daiqqkUTpfP43zIpOvQu2+g+DuKSFUrH9LdFz9T29+X8q8a2z8iNKoZrMSS6wVJuTIoWQYo/M6ZtM7EB"
    "mFegCQIDAQABAoIBAAIV2kZgiQF11ph6AiDCjFQF5k2Rl3y1EHhRed3rOt4sIRjkSCGOgGMzplfX+4hFYIjzn3JF"
    "WYWa6LfCKVysgPxWs7p9xMpHhV1w4j5xPiiYEOZc3kDclZlhOhFXyB+ESao75dtr7Gbhw8NIQCLNKxa3+3y71zWp"
    "XwnblQtS3su4eJk6KOZ9fZqebkxFS6tHTPDr8UmZ4XWz6FS97BAO/ZA3N3DGD8h4Mh7a1KXUu35py08qWjEAsmC9"
    "AUtZeRRl5MTcMY0uHk2jVvxn2+t5mFILvN3AftVkljM/f3EYB9dRnx+rLN9dMhjWlLRdZBLVfpoIZDLR/QZEjg14"
    "hEqaTGMCgYEA+WHvY52LoUrXWbda3SX546+3j9vRV1Z4mgM/dVlQv6wj5WNfLj7C4V3oINMMrvxYHSEQSFrao/NC"
    "I+0N3CyuZBpcOMz4v9XAWYDN7b5CWxDADBksc6HN3d1xh9ul9cGd/kznEYgYOkkyWMVJ/KsMXTc9YZ5m15i5Nlte"
    "FCnv73cCgYEA1pUXLGo5yydY4iwwZVQH4tTU4DC8jtyR/Lr1TS0Tktdq812vhnlqrOR0bJdQHurhUtB1a2BFNOaJ"
    "TlNvN083JJQsfbhZUsJw9FM1Meqa37B5dcmy3AHXN2Tb3xKICEA4jLtRDXgc15Y7x2IfMe7g9/75qBWPjTI9ZmZ7"
    "azWrzH8CgYEAklwvAhjRfQ0OjIH22vnRyhYztkN9fjOqvkEPulB7+rINsy/6CYseFuRlOvaCaCSDljz0cHKaBUTc"
    "WXdj/gdfJjLuUwvBJd1OcXkN4u0ZxpZzD+aqVwbsarzvR5var/w9PKVnq7ti9LpGySCoxpigvgiQhr1PgFMKyGMh"
    "ONZQEgsCgYEAo9QoYSyo+0YLQoLiYDqL2s8LyC7th1U30HEdH9MugoodibkZbd39aAr0KIROE4zYg1XMkDJsJDtu"
    "0XI6E0xTmYXXghThfaIegyuUDYxEukwOL7PS7s4o9o32oJWRbls50ZiiBVqTCrYU5eEwV/s9n5n4GjB77R1Sa4AK"
    "8ouDoxkCgYEAzSxPKY9JPLPs6JIRxLBjDgNkLATfyebrSb64A6f38lstjfxWRud6hEAtH8oPMaaxT+Izglxzmuxk"
    "vuivFkrgPWkCNWpjf9XniY9JleIx/Pb2+UtBYBAaQO3boFst8U2Qu6Kega5cDMV2Odv2qZB/8UYk+WlJK6RyvgRZ"
    "k1bgCu8=";
static const char rsa_2048_other[] =
    "MIIEowIBAAKCAQEAtP9JBBeVAaCXrNV+4+m/soSiHm9jTi/uFmC8358fAG42fM8B94cqbrehRn8QAPfoupAQeIBK"
    "fuPk+xKts6qeRpJvTn51b502Pn0Ypji+MHBVUpNf39Ug3h3rPRbnNnrpGPtuFhVov7sns3jf1hVPfyiwBrygqyWg"
    "uJwS2PKgHGwtCtK+FXlGUSKyVlzTYc8lVnilbgaMIOX0aZPaH4tpT2jnKPMETMdAi3dayu1EicjqV/1JSq15tN/c"
    "fqkXqkHaynShe2d+6NRlwhVGNPUrR//U923noMx3X0rqVWPcdUkb5WIUmfqoJ72UDHsT6Uq+J+mGkbYz6V0MXrol"
    "4G8OmQIDAQABAoIBABEm4gH3xCCX2dfAkZpCg+6EYCKXNqdpplvLhgqA9zygtRwlt89/qRc94pQeJWOaGp1XWqA4"
    "tBaLPR9H2Vsdz4rrhI3BMRrHIKVSUHwsA2Xutz8whRTeixNRbYHoAjgo9J7v8LI6DCejMjNxQHD2qwZnUisJRAaD"
    "9dOYwrZ5Y4/dzahyLXo7tOldVYR8yI0tHcrV7G805VaRkDBGFi8ygg2/Bg4taEbqNqI0Cb8Pj1f40GOuJ9GGsBty"
    "S+lORGM8EmO/W8r3sXboibO1rVwi2avwl9Rg8wqoIFnFJSu8Ad/HPfETw8dTLlwU+OrG6IS1krDwJdVh6zsU85ep"
    "EwzyoKkCgYEA2PlIaGWFbI+ZmWybBc3n9CkRULbgz7Rdy+EZs85FJcx5KmOLrZDmmutoHIb6O1pve6dyPrFYDSCv"
    "ebkJy9BN4wC0BprqO9IOVuWc5YckGpo7F2FS+aZriAWnb9tHHyMZ5fKJVN3F6c3ViwV2PMigLdYTAbyyTjo4XQNt"
    "egwnfjUCgYEA1Y1vdkvh1M59QFPIzxV+VBKPaB/6aVMqKjrY+qyCFb8IZTsmz1o5/Y1RV6c3Yih6yRYhFYkXsOAu"
    "2I4sXZN8+tNDmiRhS/fBUCo3k32u3CwpCiJOJj1a5VZ8QnFTL/bQehf1DYO8T2p75K5m6ZGl3mQQZuJW862xbN0D"
    "ebmKa1UCgYEAyhQyWfjjsV51Ii3CnD9P31k4ZUJOU2SbTz2RYKOmRzQPTWl1N+wSuwqw5pDYEduCpVoozzcA2Qku"
    "JWIvO4IAaIHJKbWynpBfBpPH8wZQm+41RutACn/y+ra5YTaLIPbiMgYX3dDHeaBZWKd3ndkFRmtxPFbwgmc7A3Yj"
    "yl3zklkCgYBAA2Z/Al4OiVsYNkVCdgHpN6sPHk7U1Z4VDJDQC3fvBtWAasvGahhp/bt9V92NKe8sadq+9tpIJdtF"
    "BNEdt8FF+qAQC4my2PB0lEMWjh0lWINwyzm70rZ1eohC7m9uOEDj6FyHkY6YC6ZZtUGaEBO1Zy9Xd89yugUuSc3p"
    "5gktBQKBgAYNX2YNPEqOsgcU7Z39nyGPfg7JmMuzq2l8wfUaaVmuHux8ESihvdf40AEY2+6aR1rQM0jUTmpEb8vS"
    "QoX/Ukluk/j2cB+IUG164dpbrM4d0vO5jxJCu1PQKPJNdnZQzYUzxh5o8T2DbJLqznKBAsiLRx7MN1OGmJw51LEH"
    "19SJ";

static inline EVP_PKEY *known_rsa_key(const char *text)
{
    unsigned char der[sizeof(rsa_2048)];
    const unsigned char *at = der;
    int len = EVP_DecodeBlock(der, (const unsigned char *)text, (int)strlen(text));
    return len <= 0 ? NULL : d2i_PrivateKey(EVP_PKEY_RSA, NULL, &at, len);
}

#endif
