/* SPDX-License-Identifier: MIT
 *
 * records.h - what ntk train keeps of a run, at some of its steps.
 */
#ifndef NTK_CLI_RECORDS_H
#define NTK_CLI_RECORDS_H

#include "cli.h"

enum record_kind {
    AT_STEP,
    AT_LOSS,
    AT_DISTANCE,
    AT_TRAIN,
    AT_TEST,
    AT_KERNEL,
    N_RECORD_KINDS
};

struct records {
    ntk_ctx *ctx;
    int64_t n, room, most;
    struct ntk_array array[N_RECORD_KINDS]; /* shape[0] is n when it is written */
    int64_t size[N_RECORD_KINDS];           /* numbers of a record; 0: not kept */
    double *x[N_RECORD_KINDS];
    struct ntk_outfile file; /* the same, to go on from; f NULL: none */
};

/* `most` records, if the run is not longer than it seems, of step, loss and distance; with `outputs` those of n
 * training and m test samples, c each; with `kernels` the tangent kernel. */
void records_init(struct records *r, ntk_ctx *ctx, int64_t most, int64_t n, int64_t m, int64_t c, bool outputs,
                  bool kernels);
void records_free(struct records *r);
/* The file of records beside a checkpoint. */
void records_path(const char *checkpoint, char path[PATH_ROOM]);
/* Keeps records in a file as they come. A run that goes on from a step has those before it back. */
int records_file(struct records *r, const char *path, int64_t step);
/* Room for one more, at first for all of them, which is refused where there is no memory for it; then its places, which
 * are filled; then it counts. */
int records_room(struct records *r);
double *records_at(const struct records *r, enum record_kind kind);
int records_add(struct records *r);
/* schema: of the outputs. */
int records_write(ntk_ctx *ctx, struct records *r, const ntk_schema *schema, const char *path);

#endif
