/* SPDX-License-Identifier: MIT */
#include "cli.h"
int cmd_demo(ntk_ctx *ctx, const struct args *a);
int cmd_demo(ntk_ctx *ctx, const struct args *a)
{
    (void)ctx, (void)a;
    return usage("demo");
}
