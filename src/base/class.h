/* SPDX-License-Identifier: MIT
 *
 * class.h - what a word of the architecture language is: its name, its documentation and its
 * parameters, from which the parser, the range checks, `ntk layers`, the manual and the Python
 * constructors are made. Layers (layers/layer.h) and activations (activations/activation.h) begin
 * with it.
 */
#ifndef NTK_CLASS_H
#define NTK_CLASS_H

#include "base/base.h"

#define NTK_LIST_MAX     64 /* most numbers in one list argument */
#define NTK_BRANCHES_MAX 64 /* most branches of parallel(...) and FanOut: what a layer joins */

/* Type of a parameter, and of the field of the private struct that holds it. */
enum ntk_type {
    NTK_TYPE_NUMBER,   /* double; None is NAN */
    NTK_TYPE_INTEGER,  /* int64_t */
    NTK_TYPE_BOOL,     /* bool */
    NTK_TYPE_CHOICE,   /* int: index into choices */
    NTK_TYPE_NUMBERS,  /* struct ntk_numbers: tuple or list of numbers; None is n = 0 */
    NTK_TYPE_INTEGERS, /* struct ntk_integers, likewise */
};
struct ntk_numbers {
    int n;
    double v[NTK_LIST_MAX];
};
struct ntk_integers {
    int n;
    int64_t v[8];
};

/* One parameter; positional arguments follow the table's order. */
struct ntk_param {
    const char *name;
    enum ntk_type type;
    size_t offset;       /* of the field in the private struct */
    const char *value;   /* default as the language writes it ("1", "None", "'ntk'"); NULL: required */
    double min, max;     /* inclusive range of each number */
    bool none;           /* None is allowed */
    const char *choices; /* CHOICE: "ntk|standard" */
    const char *doc;     /* one sentence: meaning, unit, range */
};

enum ntk_class_kind { NTK_CLASS_LAYER, NTK_CLASS_ACTIVATION };

/* Where something stands in the architecture text, for messages. */
struct ntk_where {
    ntk_ctx *ctx;
    const char *name; /* the word, e.g. "Dense" */
    int line, column; /* from 1 */
};
/* "line 2, column 14: Dense: <text>" */
ntk_status ntk_fail_at(const struct ntk_where *at, ntk_status status, const char *fmt, ...)
    NTK_PRINTF(3, 4);
/* A note for the log with the same place. */
void ntk_note_at(const struct ntk_where *at, const char *fmt, ...) NTK_PRINTF(2, 3);

struct ntk_class {
    enum ntk_class_kind kind;
    const char *name;
    const char *summary; /* one sentence */
    const char *formula; /* rule for infinite width in plain text */
    const char *source;  /* paper and equation, or NULL */
    const char *cost;    /* remark on the cost of an entry, or NULL */
    const struct ntk_param *params; /* ends with name == NULL; NULL: none */
    size_t size;                    /* bytes of the private struct: plain data, compared and copied
                                     * as bytes (zeroed before it is filled in) */
    /* What the single ranges do not say; NULL: nothing. May fill derived fields of self. */
    ntk_status (*check)(void *self, const struct ntk_where *at);
};

#endif
