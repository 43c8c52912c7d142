/* SPDX-License-Identifier: MIT
 *
 * lower.c - walking a net: shapes, the graph of its kernels, the steps of a finite network.
 *
 * What flows through the tree is a bundle: one field and value, or after FanOut a list of bundles.
 */
#include "activations/activation.h"
#include "language/net.h"

#define LAYERS_MAX 50000  /* layers and combinators, after unrolling repeats: bounds the time */
#define FEATURES_MAX ((int64_t)1e15) /* h w c of any layer: sizes cannot overflow */

struct bundle {
    int n; /* 0: a single field; else the number of branches */
    struct ntk_field field;
    int value; /* of the finite network */
    struct bundle *branches;
};

struct walk {
    struct ntk_graph *g; /* NULL: no fields */
    struct ntk_tape *t;  /* NULL: no finite network */
    struct ntk_arena *arena;
    int layers;
};

/* ---- random fields and their roots */

void ntk_field_new_root(struct ntk_graph *g, struct ntk_field *out)
{
    int *root = ntk_arena_alloc(&g->arena, 1, sizeof *root);

    if (!root) {
        g->status = ntk_fail(g->ctx, NTK_ENOMEM, "no memory for the graph");
        return;
    }
    *root = ++g->n_roots; /* 0 is the input */
    out->roots = root;
    out->n_roots = 1;
    out->gaussian = true;
}

bool ntk_fields_correlated(const struct ntk_field *a, const struct ntk_field *b)
{
    for (int i = 0, j = 0; i < a->n_roots && j < b->n_roots;) {
        if (a->roots[i] == b->roots[j])
            return true;
        if (a->roots[i] < b->roots[j])
            i++;
        else
            j++;
    }
    return false;
}

static ntk_status unite_roots(struct walk *w, int n_in, const struct ntk_field *in,
                              struct ntk_field *out)
{
    int at[NTK_BRANCHES_MAX] = {0}, total = 0, *roots;

    for (int k = 0; k < n_in; k++)
        total += in[k].n_roots;
    roots = ntk_arena_alloc(w->arena, (size_t)total + 1, sizeof *roots);
    if (!roots)
        return NTK_ENOMEM;
    out->roots = roots;
    out->n_roots = 0;
    for (;;) { /* merge of ascending lists */
        int least = -1;

        for (int k = 0; k < n_in; k++)
            if (at[k] < in[k].n_roots && (least < 0 || in[k].roots[at[k]] < least))
                least = in[k].roots[at[k]];
        if (least < 0)
            return NTK_OK;
        for (int k = 0; k < n_in; k++)
            at[k] += at[k] < in[k].n_roots && in[k].roots[at[k]] == least;
        roots[out->n_roots++] = least;
    }
}

/* ---- leaves */

static bool size_allowed(ntk_shape s) { return s.c <= FEATURES_MAX / s.h / s.w; }

static ntk_status activation(struct walk *w, const struct ntk_tree *t,
                             const struct ntk_activation *act, struct bundle *b)
{
    struct ntk_field *f = &b->field;
    int product[2];

    if (w->t) {
        struct ntk_wire in = {.value = b->value, .shape = f->shape}, out = in;

        ntk_tape_activation(w->t, act, t->self, &in, &out);
        b->value = out.value;
        return w->t->status;
    }
    if (!w->g)
        return NTK_OK;
    if (!f->gaussian)
        return ntk_fail_at(&t->at, NTK_ETHEORY,
                           "an activation needs an affine layer (Dense, Conv) before it");
    product[0] = f->theta;
    product[1] = f->theta == NTK_ZERO ? NTK_ZERO
                                      : ntk_graph_dual_dot(w->g, act, t->self, f->sigma);
    f->sigma = ntk_graph_dual(w->g, act, t->self, f->sigma);
    f->theta = ntk_graph_product(w->g, 2, product);
    f->gaussian = false;
    return w->g->status;
}

static ntk_status finite_form(struct walk *w, const struct ntk_tree *t, const struct ntk_layer *l,
                              int n_in, const struct bundle *in, struct bundle *out)
{
    struct ntk_wire from[NTK_BRANCHES_MAX], to = {.shape = out->field.shape};

    if (!l->finite)
        return ntk_fail_at(&t->at, NTK_ENOTSUP, "has no finite form, only an infinite one");
    for (int k = 0; k < n_in; k++)
        from[k] = (struct ntk_wire){.value = in[k].value, .shape = in[k].field.shape};
    NTK_TRY(l->finite(t->self, &t->at, w->t, n_in, from, &to));
    out->value = to.value;
    return w->t->status;
}

static ntk_status layer(struct walk *w, const struct ntk_tree *t, const struct ntk_layer *l,
                        int n_in, const struct ntk_field *in, struct ntk_field *out)
{
    ntk_shape *shapes = ntk_arena_alloc(w->arena, (size_t)n_in, sizeof *shapes);
    char text[64];

    if (!shapes)
        return NTK_ENOMEM;
    for (int k = 0; k < n_in; k++)
        shapes[k] = in[k].shape;
    *out = in[0];
    if (l->shape)
        NTK_TRY(l->shape(t->self, &t->at, n_in, shapes, &out->shape));
    if (!size_allowed(out->shape))
        return ntk_fail_at(&t->at, NTK_ESHAPE, "an output of %s has more than %g numbers",
                           ntk_shape_text(out->shape, text), (double)FEATURES_MAX);
    if (!w->g)
        return NTK_OK;
    if (n_in > 1)
        NTK_TRY(unite_roots(w, n_in, in, out));
    NTK_TRY(l->infinite(t->self, &t->at, w->g, n_in, in, out));
    return w->g->status;
}

static ntk_status leaf(struct walk *w, const struct ntk_tree *t, const struct bundle *in,
                       struct bundle *out)
{
    const bool many = t->cls->kind == NTK_CLASS_LAYER && ((const struct ntk_layer *)t->cls)->many;
    const struct ntk_layer *l = (const struct ntk_layer *)t->cls;
    struct ntk_field fields[NTK_BRANCHES_MAX];

    *out = (struct bundle){.field = in->field, .value = in->value};
    if (w->g)
        w->g->layer = (struct ntk_graph_layer){w->g->layer.net, w->g->layer.number + 1, t->cls->name};
    if (t->cls->kind == NTK_CLASS_ACTIVATION && in->n == 0)
        return activation(w, t, (const struct ntk_activation *)t->cls, out);
    if (!many && in->n == 0) {
        NTK_TRY(layer(w, t, l, 1, &in->field, &out->field));
        return w->t ? finite_form(w, t, l, 1, in, out) : NTK_OK;
    }
    if (!many)
        return ntk_fail_at(&t->at, NTK_ESHAPE,
                           "takes one input, got %d branches: put it into a parallel(...) or join "
                           "them with FanInSum()",
                           in->n);
    if (in->n == 0)
        return ntk_fail_at(&t->at, NTK_ESHAPE,
                           "joins the branches of a parallel(...), got one input: put FanOut(n) "
                           "and parallel(...) before it");
    for (int k = 0; k < in->n; k++) {
        if (in->branches[k].n)
            return ntk_fail_at(&t->at, NTK_ESHAPE,
                               "branch %d is itself made of %d branches: join those first", k + 1,
                               in->branches[k].n);
        fields[k] = in->branches[k].field;
    }
    NTK_TRY(layer(w, t, l, in->n, fields, &out->field));
    return w->t ? finite_form(w, t, l, in->n, in->branches, out) : NTK_OK;
}

/* ---- the tree */

static ntk_status walk(struct walk *w, const struct ntk_tree *t, const struct bundle *in,
                       struct bundle *out);

static ntk_status end_layer(struct walk *w)
{
    if (!w->t)
        return NTK_OK;
    ntk_tape_layer(w->t);
    return w->t->status;
}

static ntk_status fan_out(struct walk *w, const struct ntk_tree *t, const struct bundle *in,
                          struct bundle *out)
{
    *out = (struct bundle){.n = t->n, .field = in->field};
    out->branches = ntk_arena_alloc(w->arena, (size_t)t->n, sizeof *out->branches);
    if (!out->branches)
        return NTK_ENOMEM;
    for (int k = 0; k < t->n; k++)
        out->branches[k] = *in;
    return NTK_OK;
}

static ntk_status parallel(struct walk *w, const struct ntk_tree *t, const struct bundle *in,
                           struct bundle *out)
{
    if (in->n != t->n)
        return ntk_fail_at(&t->at, NTK_ESHAPE,
                           "has %d branches, its input has %d: put FanOut(%d) before it", t->n,
                           in->n ? in->n : 1, t->n);
    *out = (struct bundle){.n = t->n, .field = in->field};
    out->branches = ntk_arena_alloc(w->arena, (size_t)t->n, sizeof *out->branches);
    if (!out->branches)
        return NTK_ENOMEM;
    for (int k = 0; k < t->n; k++)
        NTK_TRY(walk(w, t->kids[k], &in->branches[k], &out->branches[k]));
    return NTK_OK;
}

static ntk_status walk(struct walk *w, const struct ntk_tree *t, const struct bundle *in,
                       struct bundle *out)
{
    struct bundle now = *in;
    const int n = t->n;

    if (++w->layers > LAYERS_MAX)
        return ntk_fail_at(&t->at, NTK_EPARSE, "the net has more than %d layers", LAYERS_MAX);
    switch (t->kind) {
    case NTK_TREE_LEAF:
        NTK_TRY(leaf(w, t, in, out));
        return end_layer(w);
    case NTK_TREE_FANOUT:
        NTK_TRY(fan_out(w, t, in, out));
        return end_layer(w);
    case NTK_TREE_PARALLEL:
        return parallel(w, t, in, out);
    case NTK_TREE_SERIAL:
    case NTK_TREE_REPEAT:
        for (int k = 0; k < n; k++) {
            struct bundle next;

            NTK_TRY(walk(w, t->kids[t->kind == NTK_TREE_SERIAL ? k : 0], &now, &next));
            now = next;
        }
        *out = now;
        return NTK_OK;
    }
    return NTK_EINVAL;
}

static ntk_status run(const ntk_net *net, struct walk *w, const struct bundle *in,
                      struct bundle *out)
{
    struct bundle result;
    const ntk_status status = walk(w, net->tree, in, &result);

    if (status == NTK_ENOMEM)
        return ntk_fail(net->ctx, status, "no memory for the net");
    NTK_TRY(status);
    if (result.n)
        return ntk_fail_at(&net->tree->at, NTK_ESHAPE,
                           "the net ends with %d branches: join them with FanInSum()", result.n);
    *out = result;
    return NTK_OK;
}

static ntk_status check_input(const ntk_net *net, ntk_shape in)
{
    if (ntk_shape_valid(in))
        return NTK_OK;
    return ntk_fail(net->ctx, NTK_ESHAPE,
                    "an input of %d spatial axes with sizes %lld, %lld and %lld channels is not a "
                    "shape of at most 2^31 - 1 numbers",
                    in.spatial, (long long)in.h, (long long)in.w, (long long)in.c);
}

ntk_status ntk_net_shape(const ntk_net *net, ntk_shape in, ntk_shape *out)
{
    struct ntk_arena arena = {0};
    struct walk w = {.arena = &arena};
    const struct bundle start = {.field = {.shape = in, .sigma = NTK_ZERO, .theta = NTK_ZERO}};
    struct bundle end;
    ntk_status status;

    NTK_TRY(check_input(net, in));
    status = run(net, &w, &start, &end);
    ntk_arena_free(&arena);
    if (status == NTK_OK)
        *out = end.field.shape;
    return status;
}

ntk_status ntk_net_lower(const ntk_net *net, ntk_shape in, struct ntk_graph *g,
                         struct ntk_field *out)
{
    static const int input_root[] = {0};
    struct walk w = {.g = g, .arena = &g->arena};
    struct bundle start = {
        .field = {.shape = in, .theta = NTK_ZERO, .roots = input_root, .n_roots = 1}};
    struct bundle end;

    NTK_TRY(check_input(net, in));
    g->layer = (struct ntk_graph_layer){.net = g->layer.net + 1};
    start.field.sigma = ntk_graph_input(g);
    NTK_TRY(g->status);
    NTK_TRY(run(net, &w, &start, &end));
    *out = end.field;
    return NTK_OK;
}

ntk_status ntk_net_unroll(const ntk_net *net, ntk_shape in, struct ntk_tape *t)
{
    struct walk w = {.t = t, .arena = &t->arena};
    const struct bundle start = {.field = {.shape = in, .sigma = NTK_ZERO, .theta = NTK_ZERO}};
    struct bundle end = start;

    NTK_TRY(check_input(net, in));
    ntk_tape_start(t, in);
    NTK_TRY(run(net, &w, &start, &end));
    t->out = end.value;
    t->out_shape = end.field.shape;
    return t->status;
}

/* The first layer that does; NULL: none. */
static const char *uses_positions(const struct ntk_tree *t)
{
    const int kids = t->kind == NTK_TREE_REPEAT ? 1 : t->kind == NTK_TREE_FANOUT ? 0 : t->n;
    const char *layer = NULL;

    if (t->kind == NTK_TREE_LEAF)
        return t->cls->kind == NTK_CLASS_LAYER && ((const struct ntk_layer *)t->cls)->positions ? t->cls->name : NULL;
    for (int k = 0; k < kids && !layer; k++)
        layer = uses_positions(t->kids[k]);
    return layer;
}

const char *ntk_net_positional(const ntk_net *net) { return uses_positions(net->tree); }

int ntk_net_uses_positions(const ntk_net *net) { return ntk_net_positional(net) != NULL; }

/* 1, 3 or 4 rows of as many numbers as columns are channels first, or the oddest of images. */
void ntk_net_check_axes(ntk_ctx *ctx, const ntk_net *net, ntk_shape s)
{
    const bool few = s.h == 1 || s.h == 3 || s.h == 4;

    if (ctx->said_axes || s.spatial != 2 || !few || s.w != s.c || s.c <= 4 ||
        !ntk_net_uses_positions(net))
        return;
    ctx->said_axes = true;
    ntk_log(ctx, 1,
            "samples of %lld x %lld x %lld are read as [height][width][channels]: if their channels come "
            "first, as in PyTorch, move them to the end (in NumPy x.transpose(0, 2, 3, 1))",
            (long long)s.h, (long long)s.w, (long long)s.c);
}

static bool leaf_wraps(const struct ntk_tree *t)
{
    const struct ntk_layer *l = (const struct ntk_layer *)t->cls;

    return t->cls->kind == NTK_CLASS_LAYER && l->wraps && l->wraps(t->self);
}

static bool tree_wraps(const struct ntk_tree *t)
{
    const int kids = t->kind == NTK_TREE_REPEAT ? 1 : t->kind == NTK_TREE_FANOUT ? 0 : t->n;

    if (t->kind == NTK_TREE_LEAF)
        return leaf_wraps(t);
    for (int k = 0; k < kids; k++)
        if (tree_wraps(t->kids[k]))
            return true;
    return false;
}

bool ntk_net_wraps(const ntk_net *net) { return tree_wraps(net->tree); }
