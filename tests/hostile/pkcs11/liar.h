/* A PKCS#11 module that stands before a real one (LIAR_TARGET) and lies when told to. */
#ifndef TEST_LIAR_H
#define TEST_LIAR_H

#include <p11-kit/pkcs11.h>
#include <stdbool.h>

/* One lie at a time; the names are the test's rows. */
typedef enum lie {
    LIE_NONE = 0,
    LIE_SLOT_COUNT,        /* C_GetSlotList names more slots than there was room for */
    LIE_FIND_COUNT,        /* C_FindObjects names more objects than asked for */
    LIE_ATTRIBUTE_LENGTH,  /* attributes have a length beyond the buffer */
    LIE_ATTRIBUTE_POINTER, /* attributes point elsewhere */
    LIE_ATTRIBUTE_EMPTY,   /* attributes are empty */
    LIE_POINT_GARBAGE,     /* CKA_EC_POINT is no point */
    LIE_SIGNATURE_LENGTH,  /* a signature longer than the buffer */
    LIE_SIGNATURE_EMPTY,   /* none at all */
    LIE_SIGNATURE_WRONG,   /* one that does not verify */
    LIE_SIGNATURE_ODD,     /* r||s of odd length */
    LIE_DECRYPT_LENGTH,    /* more plaintext than the buffer holds */
    LIE_DERIVE_SHORT,      /* a shared secret of one byte */
    LIE_EXTRACTABLE,       /* new keys say they can be read out */
    LIE_NOT_SENSITIVE,     /* new keys say they are not sensitive */
    LIE_LOCKED,            /* flags say the PIN is locked */
    LIE_FINAL_TRY,         /* flags say one try is left */
    LIE_COUNT_LOW,         /* flags say a wrong PIN was seen */
    LIE_ALWAYS_AUTHENTICATE,
    LIE_WRAP_LENGTH,    /* a wrapped key longer than the buffer */
    LIE_WRAP_EMPTY,     /* none at all */
    LIE_ENCRYPT_LENGTH, /* more ciphertext than the buffer holds */
    LIE_ENCRYPT_SHORT,  /* a ciphertext without its tag */
    LIE_SLOW,           /* each call takes its time */
    LIE_COUNT
} lie;

/* Exported by the module. */
typedef void liar_set_fn(lie what);
/* The n-th call from now on (1 is the next) returns rv instead of being made, and so do `times - 1` after it.
 */
typedef void liar_fail_fn(unsigned long n, unsigned long times, CK_RV rv);
/* The n-th of the functions a client calls (see liar.c) is NULL in the table given out next; false: there are
 * fewer. 0: none is. */
typedef bool liar_hole_fn(size_t n);
typedef unsigned long liar_calls_fn(void);  /* since liar_fail_fn */
typedef unsigned long liar_logins_fn(void); /* C_Login calls that reached the real module */

#endif
