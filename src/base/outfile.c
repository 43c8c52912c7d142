/* SPDX-License-Identifier: MIT
 *
 * outfile.c - output files that appear whole or not at all.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"

ntk_status ntk_outfile_open(ntk_ctx *ctx, const char *path, struct ntk_outfile *out)
{
    struct ntk_text tmp = {0};

    *out = (struct ntk_outfile){0};
    if (strcmp(path, "-") == 0) {
        out->f = stdout;
        return NTK_OK;
    }
    ntk_text_add(&tmp, "%s.tmp-%ld", path, (long)getpid());
    out->path = ntk_strdup(ctx, path);
    if (tmp.failed || !out->path) {
        free(tmp.s);
        free(out->path);
        return NTK_ENOMEM;
    }
    out->tmp = tmp.s;
    out->f = fopen(out->tmp, "wb");
    if (!out->f) {
        ntk_fail(ctx, NTK_EIO, "cannot write %s: %s", path, strerror(errno));
        ntk_outfile_abort(out);
        return NTK_EIO;
    }
    return NTK_OK;
}

ntk_status ntk_outfile_commit(ntk_ctx *ctx, struct ntk_outfile *out)
{
    const char *path = out->path ? out->path : "standard output";
    bool ok = fflush(out->f) == 0 && !ferror(out->f);

    if (out->path) {
        ok = ok && fsync(fileno(out->f)) == 0;
        ok = fclose(out->f) == 0 && ok;
        out->f = NULL;
        ok = ok && rename(out->tmp, out->path) == 0;
    }
    if (!ok)
        ntk_fail(ctx, NTK_EIO, "cannot write %s: %s", path, strerror(errno));
    if (!ok || !out->path) {
        ntk_outfile_abort(out);
        return ok ? NTK_OK : NTK_EIO;
    }
    free(out->path);
    free(out->tmp);
    *out = (struct ntk_outfile){0};
    return NTK_OK;
}

void ntk_outfile_abort(struct ntk_outfile *out)
{
    if (out->f && out->f != stdout)
        fclose(out->f);
    if (out->tmp)
        unlink(out->tmp);
    free(out->path);
    free(out->tmp);
    *out = (struct ntk_outfile){0};
}
