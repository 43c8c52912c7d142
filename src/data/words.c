/* SPDX-License-Identifier: MIT
 *
 * words.c - arrays of texts as files have them: all of one width, shorter ones filled up with zeros.
 */
#include <stdlib.h>

#include "data/data.h"

#define REPLACEMENT 0xfffdu /* for what is not UTF-8 */

/* The next character of UTF-8 text (RFC 3629), which is passed over. */
static uint32_t next_character(const unsigned char **text)
{
    const unsigned char first = *(*text)++;
    const int more = first < 0x80 ? 0 : first < 0xc2 ? -1 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : -1;
    uint32_t c;

    if (more < 0)
        return REPLACEMENT;
    c = more == 0 ? first : first & (0x3fu >> more);
    for (int k = 0; k < more; k++) {
        if ((**text & 0xc0) != 0x80)
            return REPLACEMENT;
        c = c << 6 | (*(*text)++ & 0x3fu);
    }
    return c <= 0x10ffff ? c : REPLACEMENT;
}

/* Into out, or NULL: only counts. */
static size_t to_utf32(const char *text, uint32_t *out)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t n = 0;

    while (*at) {
        const uint32_t c = next_character(&at);

        if (out)
            out[n] = c;
        n++;
    }
    return n;
}

static int64_t count_of(const ntk_array *a)
{
    int64_t n = 1;

    for (int k = 0; k < a->ndim; k++)
        n *= a->shape[k];
    return n;
}

ntk_status ntk_words_pack(ntk_ctx *ctx, const ntk_array *words, bool utf32, ntk_array *packed)
{
    const int64_t n = count_of(words);
    size_t width = 1;
    char *bytes;

    for (int64_t i = 0; i < n; i++) {
        const size_t length = utf32 ? to_utf32(words->words[i], NULL) : strlen(words->words[i]);

        width = length > width ? length : width;
    }
    width *= utf32 ? sizeof(uint32_t) : 1;
    NTK_TRY(ntk_ctx_check_memory(ctx, ntk_bytes((double)n * (double)width), "a table of names"));
    bytes = ntk_alloc_zero(ctx, (size_t)n, width);
    if (!bytes)
        return NTK_ENOMEM;
    for (int64_t i = 0; i < n; i++) {
        char *at = bytes + (size_t)i * width;

        if (utf32)
            to_utf32(words->words[i], (uint32_t *)(void *)at);
        else
            memcpy(at, words->words[i], strlen(words->words[i]));
    }
    *packed = *words;
    packed->x = bytes;
    packed->dtype = (ntk_dtype)width;
    return NTK_OK;
}
