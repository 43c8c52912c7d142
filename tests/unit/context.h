/* SPDX-License-Identifier: MIT
 *
 * context.h - one context for all tests of a program.
 */
#ifndef NTK_TEST_CONTEXT_H
#define NTK_TEST_CONTEXT_H

#include "test.h"

static ntk_ctx *ctx;

static int setup(void **state)
{
    (void)state;
    return ntk_ctx_new(&ctx) == NTK_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ntk_ctx_free(ctx);
    return 0;
}

#endif
