/* RFC 9110 8.3.1: Content-Type. */
#include "fuzz.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    est_media_type media;
    memset(&media, 'x', sizeof(media));
    if (est_media_type_parse(text, &media)) {
        REQUIRE(memchr(media.type, '\0', sizeof(media.type)) != NULL);
        REQUIRE(memchr(media.smime_type, '\0', sizeof(media.smime_type)) != NULL);
        REQUIRE(memchr(media.boundary, '\0', sizeof(media.boundary)) != NULL);
        REQUIRE(strchr(media.type, '/') != NULL);
        REQUIRE(strpbrk(media.type, "ABCDEFGHIJKLMNOPQRSTUVWXYZ ;") == NULL);
        /* the type alone reads as itself */
        est_media_type again;
        REQUIRE(est_media_type_parse(media.type, &again) && strcmp(again.type, media.type) == 0);
        REQUIRE(again.smime_type[0] == '\0');
    }
    free(text);
    return 0;
}
