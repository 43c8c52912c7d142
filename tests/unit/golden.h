/* SPDX-License-Identifier: MIT
 *
 * golden.h - reading tests/golden/NAME.json; see the README there.
 */
#ifndef NTK_GOLDEN_H
#define NTK_GOLDEN_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "test.h"

/* The whole file; fails the test if it cannot be read. */
static inline cJSON *golden_read(const char *name)
{
    const char path[] = NTK_SOURCE_ROOT "/tests/golden/";
    char full[512], *text;
    cJSON *json;
    FILE *f;
    long n;

    snprintf(full, sizeof full, "%s%s", path, name);
    f = fopen(full, "rb");
    if (!f)
        fail_msg("cannot read %s", full);
    fseek(f, 0, SEEK_END);
    n = ftell(f);
    rewind(f);
    text = malloc((size_t)n + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)n, f), n);
    text[n] = '\0';
    fclose(f);
    json = cJSON_Parse(text);
    free(text);
    if (!json)
        fail_msg("%s is not JSON", full);
    return json;
}

static inline const char *golden_text(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItem(object, key);

    return cJSON_IsString(item) ? item->valuestring : NULL;
}

/* The numbers of nested lists in order, *n of them; free() them. */
static inline double *golden_numbers(const cJSON *list, int *n)
{
    const cJSON *item;
    double *x = NULL;

    *n = 0;
    cJSON_ArrayForEach(item, list)
    {
        int m = 1;
        double *part = NULL, one = item->valuedouble;

        if (cJSON_IsArray(item))
            part = golden_numbers(item, &m);
        x = realloc(x, (size_t)(*n + m) * sizeof *x);
        assert_non_null(x);
        memcpy(x + *n, part ? part : &one, (size_t)m * sizeof *x);
        *n += m;
        free(part);
    }
    return x;
}

#endif
