/* SPDX-License-Identifier: MIT
 *
 * text.c - numbers as text, growing text, names near a misspelt one, hashes, shapes as text.
 */
#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

/* The C locale is always there, and no memory is needed for it. */
locale_t ntk_plain_begin(void)
{
    return uselocale(newlocale(LC_NUMERIC_MASK, "C", (locale_t)0));
}

void ntk_plain_end(locale_t before)
{
    const locale_t plain = uselocale(before);

    if (plain != before)
        freelocale(plain);
}

int ntk_vformat(char *buf, size_t size, const char *fmt, va_list ap)
{
    const locale_t before = ntk_plain_begin();
    const int n = vsnprintf(buf, size, fmt, ap);

    ntk_plain_end(before);
    return n;
}

int ntk_format(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = ntk_vformat(buf, size, fmt, ap);
    va_end(ap);
    return n;
}

const char *ntk_number_text(double x, int least, char *buf)
{
    const locale_t before = ntk_plain_begin();

    for (int digits = least; digits <= 17; digits++) {
        snprintf(buf, 32, "%.*g", digits, x);
        if (strtod(buf, NULL) == x)
            break;
    }
    ntk_plain_end(before);
    return buf;
}

static bool grow(struct ntk_text *t, size_t need)
{
    size_t capacity = t->capacity ? t->capacity : 128;
    char *s;

    while (capacity < need)
        capacity *= 2;
    if (capacity == t->capacity)
        return true;
    s = realloc(t->s, capacity);
    if (!s)
        return false;
    t->s = s;
    t->capacity = capacity;
    return true;
}

void ntk_text_add(struct ntk_text *t, const char *fmt, ...)
{
    va_list ap, again;
    int n;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = ntk_vformat(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || t->failed || !grow(t, t->n + (size_t)n + 1)) {
        t->failed = true;
    } else {
        ntk_vformat(t->s + t->n, (size_t)n + 1, fmt, again);
        t->n += (size_t)n;
    }
    va_end(again);
}

#define NAME_MAX_LENGTH 40

static int min3(int a, int b, int c)
{
    const int m = a < b ? a : b;
    return m < c ? m : c;
}

/* Edit distance with transpositions of neighbours, letters' case ignored; INT_MAX for long names. */
static int distance(const char *a, const char *b)
{
    int rows[3][NAME_MAX_LENGTH + 1];
    const int n = (int)strlen(a), m = (int)strlen(b);

    if (n > NAME_MAX_LENGTH || m > NAME_MAX_LENGTH)
        return INT_MAX;
    for (int j = 0; j <= m; j++)
        rows[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *row = rows[i % 3];
        const int *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];

        row[0] = i;
        for (int j = 1; j <= m; j++) {
            const int ca = tolower((unsigned char)a[i - 1]), cb = tolower((unsigned char)b[j - 1]);

            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (ca != cb));
            if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
                cb == tolower((unsigned char)a[i - 2]) && above2[j - 2] + 1 < row[j])
                row[j] = above2[j - 2] + 1;
        }
    }
    return rows[n % 3][m];
}

const char *ntk_nearest(const char *name, const char *const *names, size_t n)
{
    const int allowed = (int)(strlen(name) + 2) / 3;
    const char *best = NULL;
    int best_distance = allowed + 1;

    for (size_t i = 0; i < n; i++) {
        const int d = distance(name, names[i]);

        if (d < best_distance) {
            best = names[i];
            best_distance = d;
        }
    }
    return best;
}

uint64_t ntk_hash(const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

bool ntk_shape_valid(ntk_shape s)
{
    return s.spatial >= 0 && s.spatial <= 2 && s.h >= 1 && s.w >= 1 && s.c >= 1 &&
           (s.spatial > 1 || s.h == 1) && (s.spatial > 0 || s.w == 1) &&
           s.c <= INT32_MAX / s.h / s.w;
}

const char *ntk_shape_text(ntk_shape s, char *buf)
{
    if (s.spatial == 0)
        snprintf(buf, 64, "%lld", (long long)s.c);
    else if (s.spatial == 1)
        snprintf(buf, 64, "%lld x %lld", (long long)s.w, (long long)s.c);
    else
        snprintf(buf, 64, "%lld x %lld x %lld", (long long)s.h, (long long)s.w, (long long)s.c);
    return buf;
}
