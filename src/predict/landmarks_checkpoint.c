/* SPDX-License-Identifier: MIT
 *
 * landmarks_checkpoint.c - what a fit by landmarks has so far, in a file: which they are and, where normal equations are added
 * up, their sums over the first rows. The file is HDF5: attributes `format`, `about` (samples, type, net, options, in lines)
 * and those of struct head; `landmarks`; `gram`, `right`, and of rows that are held out `held_out_gram`, `held_out_right`. All
 * numbers have checksums. A fit that goes on has the bits of one that was not interrupted.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "predict/landmarks.h"

void ntk_landmark_file_end(struct ntk_landmark_file *f, bool done)
{
    if (done && f->checkpoint.path)
        ntk_checkpoint_drop(&f->checkpoint);
    free(f->about);
}

/* ---- what it is of */

/* Landmarks follow from the samples, but for how many are asked for and which rows they may be. */
static ntk_status describe(const ntk_model *m, char **about)
{
    const ntk_net *net = m->net;
    const bool automatic = m->solution->diag_reg == NTK_DIAG_REG_AUTO;
    char many[64] = "as many as memory and time allow", *samples;
    struct ntk_text t = {0};

    NTK_TRY(ntk_store_describe(m->ctx, &net, 1, ntk_model_want(&m->opts), m->opts.dtype, m->x, NULL, NULL, &samples));
    if (m->opts.landmarks)
        snprintf(many, sizeof many, "%lld", (long long)m->opts.landmarks);
    ntk_text_add(&t, "%slandmarks: %s%s%s\n", samples, many,
                 (m->land->x ? m->land->apart : automatic) ? ", of rows that are not held out" : "",
                 automatic ? ", to choose a ridge" : "");
    free(samples);
    *about = t.s;
    return t.failed ? ntk_fail(m->ctx, NTK_ENOMEM, "no memory for the description of a checkpoint") : NTK_OK;
}

/* Of what weighs a sample: with noise the ridge, too. */
static uint64_t weights_of(const ntk_model *m)
{
    const size_t bytes = (size_t)m->n * sizeof(double);
    const struct {
        uint64_t weights, noise;
        double ridge, absolute;
    } all = {m->weights ? ntk_hash(m->weights, bytes) : 0, m->noise ? ntk_hash(m->noise, bytes) : 0,
             m->noise ? m->solution->diag_reg : 0, m->noise && m->solution->absolute};

    return ntk_hash(&all, sizeof all);
}

static ntk_status identify(const ntk_model *m, struct ntk_landmark_file *f)
{
    NTK_TRY(describe(m, &f->about));
    f->checkpoint = (struct ntk_checkpoint){m->checkpoint, f->about, true};
    f->weights = weights_of(m);
    f->targets = ntk_hash(m->y, (size_t)(m->outputs * m->n) * sizeof *m->y);
    return NTK_OK;
}

#ifdef NTK_HDF5

#include "base/h5.h"

#define KIND   "checkpoint of landmarks"
#define FORMAT 1

struct head {
    int64_t planned, outputs, grams, rows;
    uint64_t weights, targets, factor; /* hashes; factor: of C */
    uint64_t gram, right;              /* checksums of the sums, */
    uint64_t head;                     /* and of what is above and the landmarks */
};

static void head_io(struct ntk_h5 *f, struct head *h, bool write)
{
    ntk_h5_attribute(f, "planned", H5T_NATIVE_INT64, 1, &h->planned, write);
    ntk_h5_attribute(f, "outputs", H5T_NATIVE_INT64, 1, &h->outputs, write);
    ntk_h5_attribute(f, "rows_of_gram", H5T_NATIVE_INT64, 1, &h->grams, write);
    ntk_h5_attribute(f, "rows", H5T_NATIVE_INT64, 1, &h->rows, write);
    ntk_h5_attribute(f, "weights", H5T_NATIVE_UINT64, 1, &h->weights, write);
    ntk_h5_attribute(f, "targets", H5T_NATIVE_UINT64, 1, &h->targets, write);
    ntk_h5_attribute(f, "factor", H5T_NATIVE_UINT64, 1, &h->factor, write);
    ntk_h5_attribute(f, "sum_of_gram", H5T_NATIVE_UINT64, 1, &h->gram, write);
    ntk_h5_attribute(f, "sum_of_right", H5T_NATIVE_UINT64, 1, &h->right, write);
    ntk_h5_attribute(f, "sum", H5T_NATIVE_UINT64, 1, &h->head, write);
}

/* ---- checksums */

static uint64_t sum_of(const double *x, int64_t n, uint64_t number)
{
    return ntk_store_sum((const unsigned char *)x, (size_t)n * sizeof *x, number);
}

static uint64_t head_sum(const struct head *h, const int64_t *rows, int64_t count)
{
    return ntk_store_sum((const unsigned char *)h, offsetof(struct head, head), 0) +
           ntk_store_sum((const unsigned char *)rows, (size_t)count * sizeof *rows, 1);
}

/* Of a lower triangle, column-major. */
static uint64_t factor_sum(const struct ntk_landmarks *l)
{
    uint64_t sum = 0;

    for (int64_t j = 0; j < l->m; j++)
        sum += sum_of(l->c + j * (l->m + 1), l->m - j, (uint64_t)j);
    return sum;
}

static uint64_t gram_sum(const struct ntk_normal *e, uint64_t number)
{
    return e->gram ? sum_of(e->gram, e->m * e->m, number) : 0;
}

static uint64_t right_sum(const struct ntk_normal *e, uint64_t number)
{
    return e->gram ? sum_of(e->right, e->outputs * e->m, number) + sum_of(&e->squares, 1, number) : 0;
}

/* ---- writing */

static void gram_io(struct ntk_h5 *f, struct ntk_normal *e, const char *name, bool write)
{
    if (e->gram)
        ntk_h5_matrix(f, name, H5T_NATIVE_DOUBLE, e->m, e->m, e->gram, write);
}

static void right_io(struct ntk_h5 *f, struct ntk_normal *e, const char *name, const char *squares, bool write)
{
    if (!e->gram)
        return;
    ntk_h5_matrix(f, name, H5T_NATIVE_DOUBLE, e->outputs, e->m, e->right, write);
    ntk_h5_attribute(f, squares, H5T_NATIVE_DOUBLE, 1, &e->squares, write);
}

static void grams_io(struct ntk_h5 *f, struct ntk_landmark_sums *s, bool write)
{
    gram_io(f, &s->fit, "gram", write);
    gram_io(f, &s->out, "held_out_gram", write);
}

static void rights_io(struct ntk_h5 *f, struct ntk_landmark_sums *s, bool write)
{
    right_io(f, &s->fit, "right", "squares", write);
    right_io(f, &s->out, "held_out_right", "held_out_squares", write);
}

static struct head head_of(const ntk_model *m, const struct ntk_landmark_file *f, const struct ntk_landmark_sums *s)
{
    const struct ntk_landmarks *l = m->land;
    struct head h = {.planned = f->planned, .outputs = m->outputs, .weights = f->weights, .targets = f->targets};

    if (s) {
        h.grams = s->grams;
        h.rows = s->rows;
        h.factor = factor_sum(l);
        h.gram = gram_sum(&s->fit, 0) + gram_sum(&s->out, 1);
        h.right = right_sum(&s->fit, 0) + right_sum(&s->out, 1);
    }
    h.head = head_sum(&h, l->rows, l->m);
    return h;
}

static ntk_status write_file(const ntk_model *m, const struct ntk_landmark_file *f, struct ntk_landmark_sums *s)
{
    struct ntk_landmarks *l = m->land;
    struct head h = head_of(m, f, s);
    struct ntk_h5 file = {.ctx = m->ctx};

    NTK_TRY(ntk_h5_create(&file, f->checkpoint.path));
    ntk_h5_write_format(&file, KIND, FORMAT);
    ntk_h5_write_text(&file, "about", f->about);
    head_io(&file, &h, true);
    ntk_h5_array(&file, "landmarks", H5T_NATIVE_INT64, 1, &l->m, l->rows, true);
    if (s) {
        grams_io(&file, s, true);
        rights_io(&file, s, true);
    }
    return ntk_h5_commit(&file, f->checkpoint.path);
}

/* ---- reading */

static const char changed[] = "has not the numbers that were written";

/* A count of rows that a pass can go on from. */
static bool is_place(const ntk_model *m, int64_t rows)
{
    return rows >= 0 && rows <= m->n && (rows == m->n || rows % ntk_landmark_rows(m->n) == 0);
}

static bool is_head(const ntk_model *m, const struct head *h, const int64_t *rows, int64_t count)
{
    bool is = h->head == head_sum(h, rows, count) && count <= h->planned && h->planned <= m->n && is_place(m, h->grams) &&
              is_place(m, h->rows) && h->rows <= h->grams;

    for (int64_t j = 0; j < count; j++)
        is = is && rows[j] >= 0 && rows[j] < m->n && (j == 0 || rows[j - 1] < rows[j]);
    return is;
}

/* Of an open file; *rows is the caller's to free. */
static ntk_status read_head(struct ntk_h5 *file, const ntk_model *m, const struct ntk_landmark_file *f, struct head *h,
                            int64_t **rows, int64_t *count)
{
    ntk_status status = NTK_OK;
    char *about;

    (void)ntk_h5_read_format(file, KIND, FORMAT);
    about = ntk_h5_read_text(file, "about");
    head_io(file, h, false);
    if (!file->what && strcmp(about, f->about) != 0) {
        status = ntk_checkpoint_refuse(file->ctx, &f->checkpoint, "fit", about);
    } else if (!file->what && ntk_h5_dims(file, "landmarks", 1, count)) {
        *rows = ntk_alloc(file->ctx, (size_t)*count, sizeof **rows);
        if (!ntk_h5_failed(file, "landmarks", *rows ? NTK_OK : NTK_ENOMEM)) {
            ntk_h5_array(file, "landmarks", H5T_NATIVE_INT64, 1, count, *rows, false);
            ntk_h5_wrong(file, "landmarks", file->what || is_head(m, h, *rows, *count), changed);
        }
    }
    free(about);
    return file->what ? NTK_EIO : status;
}

/* Landmarks that the file has become the model's, unless it has them. */
static ntk_status take(const ntk_model *m, const struct ntk_landmark_file *f, int64_t **rows, int64_t count)
{
    struct ntk_landmarks *l = m->land;

    if (l->x && (l->m != count || memcmp(l->rows, *rows, (size_t)count * sizeof **rows) != 0))
        return ntk_fail(m->ctx, NTK_EINVAL, "%s: it is of other landmarks. Choose another file, or remove it",
                        f->checkpoint.path);
    if (l->x)
        return NTK_OK;
    NTK_TRY(ntk_data_select(m->x, *rows, count, &l->x));
    l->rows = *rows;
    l->m = count;
    l->apart = m->solution->diag_reg == NTK_DIAG_REG_AUTO;
    *rows = NULL;
    return NTK_OK;
}

/* What there is that counts here: matrices are of weights, right-hand sides of targets, too. */
static void find_use(const ntk_model *m, const struct head *h, struct ntk_landmark_file *f)
{
    const char *path = f->checkpoint.path;
    const bool same_weights = h->weights == f->weights, same_targets = h->targets == f->targets && h->outputs == m->outputs;

    f->planned = h->planned;
    f->grams = same_weights ? h->grams : 0;
    f->rows = same_weights && same_targets ? h->rows : 0;
    f->factor = h->factor;
    f->gram_sum = h->gram;
    f->right_sum = h->right;
    if (f->rows > 0)
        ntk_log(m->ctx, 0, "goes on from %s at row %lld of %lld", path, (long long)f->rows, (long long)m->n);
    else if (f->grams > 0)
        ntk_log(m->ctx, 0, "goes on from %s, of other targets: the matrix of %lld of %lld rows is there", path,
                (long long)f->grams, (long long)m->n);
    else
        ntk_log(m->ctx, 0, "goes on from %s with its %lld landmarks%s", path, (long long)m->land->m,
                h->grams > 0 ? ": its sums are of other weights, or noise" : "");
}

static ntk_status read_file(const ntk_model *m, struct ntk_landmark_file *f)
{
    struct ntk_h5 file = {.ctx = m->ctx};
    struct head h = {0};
    int64_t *rows = NULL, count = 0;
    ntk_status status = ntk_h5_open(&file, f->checkpoint.path, "the checkpoint");

    if (status == NTK_OK)
        status = ntk_h5_end(&file, f->checkpoint.path, "checkpoint", read_head(&file, m, f, &h, &rows, &count));
    status = ntk_checkpoint_read(m->ctx, status);
    if (status == NTK_OK)
        status = take(m, f, &rows, count);
    if (status == NTK_OK)
        find_use(m, &h, f);
    free(rows);
    return status;
}

static ntk_status read_sums(const ntk_model *m, const struct ntk_landmark_file *f, struct ntk_landmark_sums *s)
{
    struct ntk_h5 file = {.ctx = m->ctx};

    NTK_TRY(ntk_h5_open(&file, f->checkpoint.path, "the checkpoint"));
    grams_io(&file, s, false);
    ntk_h5_wrong(&file, "gram", file.what || gram_sum(&s->fit, 0) + gram_sum(&s->out, 1) == f->gram_sum, changed);
    if (f->rows > 0) {
        rights_io(&file, s, false);
        ntk_h5_wrong(&file, "right", file.what || right_sum(&s->fit, 0) + right_sum(&s->out, 1) == f->right_sum, changed);
    }
    return ntk_h5_end(&file, f->checkpoint.path, "checkpoint", NTK_OK);
}

ntk_status ntk_landmark_file_sums(const ntk_model *m, const struct ntk_landmark_file *f, struct ntk_landmark_sums *s)
{
    if (f->grams == 0)
        return NTK_OK;
    if (factor_sum(m->land) != f->factor)
        return ntk_fail(m->ctx, NTK_EINVAL,
                        "%s: its sums are of the same landmarks, but their kernel matrix has a factor with other rounding "
                        "errors, as another machine or build makes it: go on there, or remove the file",
                        f->checkpoint.path);
    NTK_TRY(ntk_checkpoint_read(m->ctx, read_sums(m, f, s)));
    s->grams = f->grams;
    s->rows = f->rows;
    return NTK_OK;
}

#else

static ntk_status write_file(const ntk_model *m, const struct ntk_landmark_file *f, struct ntk_landmark_sums *s)
{
    (void)s;
    return ntk_fail(m->ctx, NTK_ENOTSUP, "cannot write %s: this build has no HDF5", f->checkpoint.path);
}

static ntk_status read_file(const ntk_model *m, struct ntk_landmark_file *f)
{
    return ntk_fail(m->ctx, NTK_ENOTSUP, "cannot read %s: this build has no HDF5", f->checkpoint.path);
}

ntk_status ntk_landmark_file_sums(const ntk_model *m, const struct ntk_landmark_file *f, struct ntk_landmark_sums *s)
{
    (void)m, (void)f, (void)s;
    return NTK_OK;
}

#endif

ntk_status ntk_landmark_file_begin(const ntk_model *m, struct ntk_landmark_file *f)
{
    const bool summed = m->land->normal && m->solution->diag_reg != NTK_DIAG_REG_AUTO;

    *f = (struct ntk_landmark_file){.planned = 0};
    if (!m->checkpoint || summed)
        return NTK_OK;
    NTK_TRY(identify(m, f));
    return access(m->checkpoint, F_OK) == 0 ? read_file(m, f) : NTK_OK;
}

/* A disk that is full is no reason to give up the work. */
void ntk_landmark_file_write(const ntk_model *m, struct ntk_landmark_file *f, struct ntk_landmark_sums *s)
{
    const double start = ntk_seconds();

    if (!f->checkpoint.path || f->failed)
        return;
    f->failed = write_file(m, f, s) != NTK_OK;
    if (f->failed)
        ntk_log(m->ctx, 1, "%s: what is done is not kept on the way", ntk_errmsg(m->ctx));
    ntk_pace_wrote(&f->pace, start);
}
