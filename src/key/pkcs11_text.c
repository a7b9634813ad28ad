#include "key/pkcs11.h"

size_t est_p11_trim(const unsigned char *text, size_t len)
{
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\0'))
        len--;
    return len;
}

/* The text is the token's, so it is cleaned. */
void est_p11_text(const unsigned char *text, size_t len, char out[EST_P11_TEXT_SIZE])
{
    est_text_sanitise(text, est_p11_trim(text, len), out, EST_P11_TEXT_SIZE);
}
