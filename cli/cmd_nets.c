/* SPDX-License-Identifier: MIT
 *
 * ntk nets: the presets.
 */
#include <string.h>

#include "cli.h"

int cmd_nets(ntk_ctx *ctx, const struct args *a);
int cmd_nets(ntk_ctx *ctx, const struct args *a)
{
    const char *text;

    (void)ctx;
    if (a->n_words) {
        text = ntk_preset_text(a->words[0]);
        if (!text)
            return usage("there is no preset '%s'; 'ntk nets' lists those there are", a->words[0]);
        fputs(text, stdout);
        return EXIT_OK;
    }
    for (size_t i = 0; i < ntk_layer_count(); i++) {
        const ntk_layer_info *w = ntk_layer_get(i);

        if (strcmp(w->kind, "preset") == 0)
            printf("%-10s %s\n", w->name, w->summary);
    }
    return EXIT_OK;
}
