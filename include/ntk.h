/* SPDX-License-Identifier: MIT
 *
 * ntk.h - the kernels of infinitely wide neural networks (NNGP and NTK), and regression with them.
 *
 * An architecture is a text (ntk_net), samples are an array (ntk_data). A net compiled for a sample
 * shape is an ntk_kernel: it computes covariances between samples. An ntk_model is a kernel fitted
 * to targets: it predicts means, uncertainties and training trajectories.
 *
 * Conventions
 *   - Functions that can fail return ntk_status: 0 is success, errors are negative; the sentence
 *     that says what was wrong, with its values, is ntk_errmsg(ctx). Outputs come last. On failure
 *     objects, numbers and structs are untouched; arrays are, too, where arguments are refused
 *     (NTK_EINVAL, NTK_ESHAPE), and hold anything where the work itself fails or is cancelled.
 *   - Arrays are row-major and contiguous; their shapes are written [n][d]. Samples are vectors
 *     [n][c], sequences [n][w][c] or images [n][h][w][c].
 *   - Every object belongs to the context it was made with. A context and all that was made from it
 *     is used by one thread at a time; inside, the library uses the context's threads. Contexts may work
 *     at the same time; where their numbers of threads differ, one's BLAS waits for the other's.
 *   - Every _free accepts NULL.
 *   - Options (ntk_..._opts) and ntk_spectrum get new fields at their end in later versions, and begin with their size
 *     as the program's header has it. Their _init, an inline function, fills it in with the defaults; other languages
 *     call _init_sized with the size that they have. Fields that a program does not know are the defaults; a size that no
 *     version has (as 0) and fields that are set but unknown to this version are NTK_EINVAL. Options that are NULL are
 *     the defaults.
 *   - Structs that the library hands out by pointer, one at a time (ntk_block, ntk_layer_info, ntk_table), get new
 *     fields at their end, too; their size is the library's. Those that come in arrays or by value (ntk_shape,
 *     ntk_array, ntk_column, ntk_param_info, ntk_param_array) never change.
 *   - The library never prints and never exits.
 *
 * Theory: Jacot et al. 2018 (arXiv 1806.07572), Lee et al. 2019 (1902.06720), Arora et al. 2019
 * (1904.11955). Names, defaults and meaning of layer arguments are those of neural-tangents
 * (Novak et al. 2020, 1912.02803).
 */
#ifndef NTK_H
#define NTK_H

#include <stddef.h>
#include <stdint.h>

/* This header's version, as numbers and as a text. */
#define NTK_VERSION_MAJOR 0
#define NTK_VERSION_MINOR 1
#define NTK_VERSION_PATCH 0
#define NTK_VERSION "0.1.0"

#if defined(__GNUC__)
#define NTK_API __attribute__((visibility("default")))
#define NTK_NODISCARD __attribute__((warn_unused_result))
#else
#define NTK_API
#define NTK_NODISCARD
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------ status, types, context */

/* X(name, value, text) for every status code. */
#define NTK_STATUS_LIST(X)                                               \
    X(NTK_OK, 0, "success")                                              \
    X(NTK_EINVAL, -1, "an argument is missing or out of range")          \
    X(NTK_ENOMEM, -2, "not enough memory")                               \
    X(NTK_ESHAPE, -3, "shapes do not agree")                             \
    X(NTK_EPARSE, -4, "the architecture text cannot be read")            \
    X(NTK_ENUMERIC, -5, "a numerical method failed")                     \
    X(NTK_EIO, -6, "a file cannot be read or written")                   \
    X(NTK_ENOTSUP, -7, "not supported by this build or this processor")  \
    X(NTK_ECANCEL, -8, "cancelled")                                      \
    X(NTK_ETHEORY, -9, "the infinite-width theory does not cover this network")

#define NTK_X(name, value, text) name = value,
typedef enum ntk_status { NTK_STATUS_LIST(NTK_X) } ntk_status;
#undef NTK_X

/* Element type of an array; the value is its size in bytes. */
typedef enum ntk_dtype { NTK_F32 = 4, NTK_F64 = 8 } ntk_dtype;

/* Which kernel; as a bit mask where several may be asked for. Their order everywhere is this one. */
enum { NTK_NNGP = 1, NTK_NTK = 2 };

/* Shape of one sample. spatial = 0: a vector {0, 1, 1, c}; 1: a sequence {1, 1, w, c};
 * 2: an image {2, h, w, c}. All sizes >= 1. */
typedef struct ntk_shape {
    int spatial;
    int64_t h, w, c;
} ntk_shape;

typedef struct ntk_ctx ntk_ctx;       /* threads, instruction set, memory bound, log, last error */
typedef struct ntk_net ntk_net;       /* a parsed architecture */
typedef struct ntk_data ntk_data;     /* n samples of one shape, with labels or targets if known */
typedef struct ntk_scaler ntk_scaler; /* a standardisation learned on training samples */
typedef struct ntk_kernel ntk_kernel; /* nets compiled for a sample shape */
typedef struct ntk_samples ntk_samples; /* samples prepared for a kernel */
typedef struct ntk_model ntk_model;   /* a kernel fitted to targets */

/* Fails only for lack of memory. */
NTK_API NTK_NODISCARD ntk_status ntk_ctx_new(ntk_ctx **ctx);
/* After what was made with it. */
NTK_API void ntk_ctx_free(ntk_ctx *ctx);

/* Number of threads, 1 to 1024; 0 (the default) is one for each processor this process may use. */
NTK_API NTK_NODISCARD ntk_status ntk_ctx_set_threads(ntk_ctx *ctx, int threads);
NTK_API int ntk_ctx_threads(const ntk_ctx *ctx);

/* ---- several processes, on one host or many, that work together (MPI): each has a context that joined, and calls the same
 * functions with the same arguments. Kernels in stores, fits and predictions are then shared work; the rest each does for
 * itself. docs/howto/cluster.md. */
/* Collective: all processes of a communicator become ranks of it. communicator: a pointer to an MPI_Comm, or NULL for
 * MPI_COMM_WORLD; MPI is begun if it was not. Unless they were set before, threads and the bound on memory
 * are equal parts of what the host has. NTK_EINVAL for a communicator of another MPI library than this one, NTK_ENOTSUP in a
 * build without MPI. */
NTK_API NTK_NODISCARD ntk_status ntk_ctx_join(ntk_ctx *ctx, void *communicator);
/* Makes ctx the rank that another context is, if it has joined, with its threads and bound on memory unless they were set
 * before. Nobody else is asked. Contexts that are one rank work one after the other, in the same order on all ranks. */
NTK_API NTK_NODISCARD ntk_status ntk_ctx_join_as(ntk_ctx *ctx, const ntk_ctx *other);
/* 0 of 1 for a context that did not join. */
NTK_API int ntk_ctx_rank(const ntk_ctx *ctx);
NTK_API int ntk_ctx_ranks(const ntk_ctx *ctx);
/* Bytes that all ranks have sent each other so far, as counted in docs/howto/cluster.md. Collective. */
NTK_API double ntk_ctx_sent(ntk_ctx *ctx);
/* Whether the last failure is known to all ranks, which end then by themselves: 1 also where there is but one. */
NTK_API int ntk_ctx_agreed(const ntk_ctx *ctx);
/* Ends this process's part: with code 0, or after a failure that all know, it leaves (and, the last that was this rank,
 * ends MPI if ntk_ctx_join began it); else it ends all ranks, with that exit code. A context that has left works alone. */
NTK_API void ntk_ctx_leave(ntk_ctx *ctx, int code);

/* Instruction set of the hot loops: "baseline", "avx2", "avx512" or "neon"; NULL (the default):
 * what the environment variable NTK_ISA names, else the best that this processor has. NTK_ENOTSUP
 * (with a list of those that work) if it is not built in or the processor lacks it. The default is
 * resolved at the first use, so that a wrong NTK_ISA is an error of that use. */
NTK_API NTK_NODISCARD ntk_status ntk_ctx_set_isa(ntk_ctx *ctx, const char *isa);
/* Name of the instruction set in use, e.g. "avx512". */
NTK_API NTK_NODISCARD ntk_status ntk_ctx_isa(ntk_ctx *ctx, const char **isa);
/* Names of those built in that this processor runs, best first, separated by ", ". */
NTK_API const char *ntk_isa_available(void);

/* Who computes the kernels that are made from now on (ntk_kernel_new): "cpu", this machine's processors, or
 * "reference", which checks it: it goes through all pairs of positions in long double and integrates activations
 * numerically, some milliseconds for each. NULL (the default): the first. NTK_EINVAL with a list if there is no such
 * backend, NTK_ENOTSUP if this machine has it not. A backend that is slow says how long a kernel will take, and refuses
 * (NTK_EINVAL) what takes more than a minute unless force is not 0. */
NTK_API NTK_NODISCARD ntk_status ntk_ctx_set_backend(ntk_ctx *ctx, const char *backend, int force);
/* Name of the backend in use. */
NTK_API const char *ntk_ctx_backend(const ntk_ctx *ctx);
/* Names of all, the default first, separated by ", ". */
NTK_API const char *ntk_backend_names(void);

/* Measures (in about 20 ms) how many fused multiply-adds of whole vectors one processor does in a
 * second in the instruction set in use, and how many numbers of that type are in a vector: what the
 * hot loops could reach. */
NTK_API NTK_NODISCARD ntk_status ntk_ctx_peak(ntk_ctx *ctx, ntk_dtype dtype, double *rate,
                                              int *lanes);

/* Upper bound in bytes on what the library holds at once, samples, models and parameters of this context
 * included; work that needs more is refused before it starts, with the number. 0 (the default): what this
 * process can have when work starts: the machine's available memory, or less under the limit of a control
 * group or of address space. */
NTK_API void ntk_ctx_set_memory(ntk_ctx *ctx, size_t bytes);
/* The bound in bytes: what was set, or else what this process can have now. */
NTK_API size_t ntk_ctx_memory(const ntk_ctx *ctx);
/* NTK_ENOMEM ("WHAT needs 12.30 GiB, 8.00 GiB are available") if bytes is above that bound: for
 * callers who allocate results themselves. */
NTK_API NTK_NODISCARD ntk_status ntk_ctx_check_memory(ntk_ctx *ctx, size_t bytes, const char *what);
/* The same for bytes that stay while other work is done, which counts them too if a bound was set (what a machine
 * has available is without them anyway); unless it fails, they are to be released. */
NTK_API NTK_NODISCARD ntk_status ntk_ctx_hold(ntk_ctx *ctx, size_t bytes, const char *what);
NTK_API void ntk_ctx_release(ntk_ctx *ctx, size_t bytes);

/* One line of text without a newline; level 0 is a note, 1 a warning. Default: nothing is said. */
typedef void ntk_log_fn(int level, const char *text, void *user);
NTK_API void ntk_ctx_set_log(ntk_ctx *ctx, ntk_log_fn *fn, void *user);

/* Called from time to time by long work, from one thread at a time: done and total in units of
 * `what` ("tiles", "rows", ...; what stands there after a comma says how far it is in words, and changes from call to
 * call: "digits of the solution, step 12, residual 3.1e-02"); also between, to ask, with what it was told before or, where nothing is counted,
 * "preparations". It must not compute with this library, in any context; another context does not wait for it. A
 * result other than 0 cancels the work with NTK_ECANCEL, within a second or two; but an eigen-decomposition is one
 * call of LAPACK, whose time is said (level 0) before it if it may be more than 2 s. */
typedef int ntk_progress_fn(const char *what, double done, double total, void *user);
NTK_API void ntk_ctx_set_progress(ntk_ctx *ctx, ntk_progress_fn *fn, void *user);

/* The last error's sentence; "" if there was none. Valid until the context's next failure. */
NTK_API const char *ntk_errmsg(const ntk_ctx *ctx);
/* A status code's general meaning. */
NTK_API const char *ntk_strstatus(ntk_status status);
/* NTK_VERSION of the library in use, which may be newer than the header. */
NTK_API const char *ntk_version(void);
/* What this build can do, e.g. "openmp openblas hdf5". */
NTK_API const char *ntk_features(void);
/* The code that OpenBLAS chose for this processor, e.g. "SkylakeX"; and how it runs threads:
 * "openmp" shares the library's, "pthreads" competes with them for the processors. */
NTK_API const char *ntk_blas_core(void);
NTK_API const char *ntk_blas_threading(void);
/* Frees a text that a function of this library gave to the caller. */
NTK_API void ntk_text_free(char *text);

/* --------------------------------------------------------------------------- architectures */

/* Parses an architecture, e.g.
 *     serial(Dense(512, W_std=2**0.5, b_std=0.1), Relu(), Dense(1))
 * The language: docs/language.md. NTK_EPARSE with line, column, reason and, for a misspelt name,
 * the nearest known one. */
NTK_API NTK_NODISCARD ntk_status ntk_net_parse(ntk_ctx *ctx, const char *text, ntk_net **net);
NTK_API void ntk_net_free(ntk_net *net);

/* The net as one canonical line: presets expanded, all arguments that differ from their default
 * by keyword. Parsing it gives the same net. Free it with ntk_text_free. */
NTK_API NTK_NODISCARD ntk_status ntk_net_print(const ntk_net *net, char **text);

/* The shape that one sample of shape `in` leaves the net with; its c is the width of the last
 * layer. NTK_ESHAPE names the layer that does not fit. */
NTK_API NTK_NODISCARD ntk_status ntk_net_shape(const ntk_net *net, ntk_shape in, ntk_shape *out);

/* 1 if some layer uses positions (Conv, pooling, Flatten, ...), so that images must not be
 * flattened before the net; else 0. */
NTK_API int ntk_net_uses_positions(const ntk_net *net);

/* One parameter of a layer. */
typedef struct ntk_param_info {
    const char *name;  /* keyword, e.g. "W_std" */
    const char *type;  /* "number", "integer", "bool", "choice", "numbers", "integers" */
    const char *value; /* default as the language writes it; "" if it must be given */
    const char *doc;   /* one sentence with the range */
} ntk_param_info;

/* One word of the architecture language: what `ntk layers` and the manual show. */
typedef struct ntk_layer_info {
    const char *name;    /* "Dense" */
    const char *kind;    /* "layer", "activation", "combinator" or "preset" */
    const char *summary; /* one sentence */
    const char *formula; /* its rule for infinite width, plain text */
    const char *source;  /* paper and equation, or "" */
    const char *cost;    /* cost of a kernel entry where it is remarkable, or "" */
    const ntk_param_info *params;
    size_t n_params;
} ntk_layer_info;

NTK_API size_t ntk_layer_count(void);
/* NULL if i >= ntk_layer_count(). */
NTK_API const ntk_layer_info *ntk_layer_get(size_t i);
/* Text of the preset nets/NAME.ntk in the architecture language; NULL if there is none. */
NTK_API const char *ntk_preset_text(const char *name);

/* ------------------------------------------------------------------------------------ data */

/* Borrows x, [n][h][w][c] of type dtype, which must outlive the result. Values must be finite
 * (NTK_EINVAL names the first that is not). n >= 1. */
NTK_API NTK_NODISCARD ntk_status ntk_data_view(ntk_ctx *ctx, const void *x, ntk_dtype dtype,
                                               int64_t n, ntk_shape shape, ntk_data **data);

/* What the columns of data and the classes are called. Learned on training samples, kept with a model;
 * a table that is loaded with it is matched by its names. */
typedef struct ntk_schema ntk_schema;

/* Whether the first line of a CSV is a header. Guessed: it is one if all its cells are words; or
 * integers 0, 1, 2, ... (two or more), beside words and empty cells; or if some are words and the second
 * line has a number under one of them. */
typedef enum ntk_header { NTK_HEADER_AUTO, NTK_HEADER_YES, NTK_HEADER_NO } ntk_header;

/* How a file is read. ntk_load_opts_init fills in the defaults. Lists of columns are names or 0-based
 * numbers separated by commas; a column without a name in the header, number k, is "Unnamed: k". A name with
 * commas, or that begins with a quote, is written in quotes, as in a CSV: "a,b",c; without quotes a list that as a whole
 * is the name of a column is that column. */
typedef struct ntk_load_opts {
    size_t size;          /* of the struct: ntk_load_opts_init */
    ntk_dtype dtype;      /* element type of the samples in memory; default NTK_F64 */
    const char *target;   /* CSV: list of target columns, "none" for no target; NULL (default): a column
                           * named target, label, class or y, else the last */
    int64_t limit;        /* only the first `limit` samples; 0 (default): all */
    ntk_header header;    /* CSV; default NTK_HEADER_AUTO */
    const char *drop;     /* CSV: list of columns that are left out, and may be text; NULL (default): none */
    const char *features; /* CSV: list of feature columns, in this order; NULL (default): all but those of
                           * the target and of drop */
    const ntk_schema *schema; /* CSV: columns are those of this schema, in its order, by name if both have
                               * names, else by number; its targets are read if they are all there. A
                               * missing feature is NTK_EINVAL, other columns are dropped. Not together
                               * with drop or features. NULL (default): none */
    const char *weights;  /* CSV: the column of the samples' weights (NTK_PART_WEIGHTS), which is then neither a
                           * feature nor a target; NULL (default): none */
    const char *noise;    /* the same of the variances of the targets' noise (NTK_PART_NOISE) */
} ntk_load_opts;
NTK_API void ntk_load_opts_init_sized(ntk_load_opts *opts, size_t size);
static inline void ntk_load_opts_init(ntk_load_opts *opts) { ntk_load_opts_init_sized(opts, sizeof *opts); }

/* Loads samples and, where the source has them, labels or targets. source is one of
 *   digits[/train|/test]            the embedded UCI digits, values / 16: all 1,797, or the first
 *                                   1,297 and the last 500
 *   FILE.csv, or other text         columns of numbers, header or not; one target column may be words
 *   FILE.npy  FILE.npz  FILE.h5     array [n][d], [n][w][c] or [n][h][w][c] of bool, integers or floats;
 *                                   npz and h5: x and y, or X and Y, and other parts by their names (ntk_part)
 *   FILE-idxN-ubyte                 idx images, values / 255
 *   -                               text, npy or idx from standard input
 *   mnist:DIR/train|test  cifar10:DIR/train|test     the official files in DIR, values / 255
 * What a FILE is, its first bytes say. Text, npy and idx may be gzipped. docs/cli.md has the rules. */
NTK_API NTK_NODISCARD ntk_status ntk_data_load(ntk_ctx *ctx, const char *source,
                                               const ntk_load_opts *opts, ntk_data **data);
NTK_API void ntk_data_free(ntk_data *data);

NTK_API int64_t ntk_data_n(const ntk_data *data);
NTK_API ntk_shape ntk_data_shape(const ntk_data *data);
NTK_API ntk_dtype ntk_data_dtype(const ntk_data *data);
/* [n][h][w][c] of ntk_data_dtype. */
NTK_API const void *ntk_data_x(const ntk_data *data);
/* Targets [n][outputs] as they were read (labels: outputs = 1); NULL if there are none. */
NTK_API const double *ntk_data_y(const ntk_data *data, int64_t *outputs);
/* What data may have. In .npz and HDF5 these are the arrays x, y, weights, noise, mask, edge_offsets and edges; an array of
 * such a name must be that part, or loading fails with what it should be. Positions of a sample are numbered row by
 * row, from 0 to h w - 1; sequences have h = 1, their mask is [n][w] in files. Kernels and fits use x and y only;
 * ntk_fit_opts takes weights and noise. */
typedef enum ntk_part {
    NTK_PART_X,            /* ntk_data_x */
    NTK_PART_Y,            /* ntk_data_y */
    NTK_PART_WEIGHTS,      /* double [n], finite, >= 0: the weight of each sample */
    NTK_PART_MASK,         /* unsigned char [n][h][w]: 1 for the positions that a sample has, else 0 */
    NTK_PART_EDGE_OFFSETS, /* int64_t [n + 1], ascending from 0 (in slices from where they begin): sample i has the
                            * edges edge_offsets[i] ... edge_offsets[i + 1] - 1 */
    NTK_PART_EDGES,        /* int32_t [edges of all samples][2]: the positions that each goes from and to */
    NTK_PART_NOISE         /* double [n], finite, >= 0: the variance of the noise on each sample's target */
} ntk_part;
/* NULL if data has no such part. It belongs to data. */
NTK_API const void *ntk_data_part(const ntk_data *data, ntk_part part);
/* A view of samples [first, first + n) of data, with all parts; data must outlive it. */
NTK_API NTK_NODISCARD ntk_status ntk_data_slice(const ntk_data *data, int64_t first, int64_t n,
                                                ntk_data **slice);
/* Treats each sample as the vector [h * w * c]. Mask and edges go on to speak of the h w positions that it had. */
NTK_API void ntk_data_flatten(ntk_data *data);
/* The shape that samples had before they were flattened; of vectors, that which ntk_data_set_image says (NTK_ESHAPE unless it
 * has as many numbers). */
NTK_API ntk_shape ntk_data_image(const ntk_data *data);
NTK_API NTK_NODISCARD ntk_status ntk_data_set_image(ntk_data *data, ntk_shape image);

/* ---- samples that stand for others, too */

/* Symmetries of images: left and right mirrored (of sequences the order), upside down, and quarter turns of square images;
 * several, with |, are all that they make together: 2, 4 or 8 copies of an image, itself among them. */
#define NTK_FLIP      1u
#define NTK_FLIP_ROWS 2u
#define NTK_ROTATE    4u
/* From now on each sample stands for all its copies; 0 (as data begin): for itself. A kernel K(x1, x2) is then the sum over
 * the copies of x2's samples (of x1's, if x2 is NULL), sum_g k(x1, g x2), and so is a fit: with equal targets for all copies
 * the matrix of c n samples, c copies each, acts on them as that sum of n rows does, so that (K + r) alpha = y is the fit of
 * all of them, and f(t) = K(t, X) alpha. This needs k(g x, g z) = k(x, z), which holds for fully connected nets and for windows
 * that lie in an image as in its copies, and which ntk_model_fit checks. In such a fit
 *   diag_reg is times the mean diagonal of the c n samples, which is that of k(x, x);
 *   leave-one-out leaves all copies of a sample out;
 *   predictions at a sample and at its copies are equal; variances and covariances are those of the mean over a test sample's
 *   copies, and the likelihood is that of a process of such means with targets of n samples;
 *   eigenvalues are those of the sum: of directions in which copies move alike.
 * Slices, selections and standardised samples stand for the same. NTK_EINVAL if the images have no such symmetry, or a mask or
 * edges, which would have to move with them; NTK_ESHAPE for vectors whose image is not known. Prepared samples (ntk_samples) and finite networks refuse such data. */
NTK_API NTK_NODISCARD ntk_status ntk_data_set_symmetry(ntk_data *data, unsigned symmetry);
/* Which; *copies (NULL: not wanted): how many copies of a sample there are. */
NTK_API unsigned ntk_data_symmetry(const ntk_data *data, int *copies);
/* New samples: `copies` of each image, shifted by -most to most pixels down and right (of sequences to the right only), zeros
 * where nothing comes from. All n images as they are come first, then n of a second copy each, and so on, so that number
 * c n + i is a copy of i; each has (2 most + 1)^2 copies (2 most + 1 of a sequence), of which `copies` (0: all) are drawn by
 * seed without repetition, the image itself always. Targets, weights and noise are repeated; mask and edges are refused.
 * Models of such samples have no leave-one-out predictions, ridges by them, and ntk_model_sharpness (NTK_ENOTSUP): the others
 * of a sample's copies would stay in.
 * NTK_EINVAL, or NTK_ESHAPE as above; NTK_ENOMEM, before anything is made, if memory does not hold them. */
NTK_API NTK_NODISCARD ntk_status ntk_data_shifted(const ntk_data *data, int64_t most, int64_t copies, uint64_t seed,
                                                  ntk_data **shifted);

/* How labels become regression targets: as they are; 0/1 indicators; indicators minus 1/classes. */
typedef enum ntk_targets { NTK_RAW, NTK_ONEHOT, NTK_CENTERED } ntk_targets;
/* Number of classes of data's labels: those that are declared (digits, mnist: and cifar10: have ten, idx
 * files those of all their labels, numbered data those of the schema), else the distinct labels. NTK_EINVAL
 * if data has no labels, or several targets. */
NTK_API NTK_NODISCARD ntk_status ntk_data_classes(const ntk_data *data, int64_t *classes);
/* Writes targets, [n][classes] (NTK_RAW: [n][outputs], classes ignored): column k is the k-th class in
 * ascending order, columns beyond the classes of data are off. Test data may have other labels than
 * training data: number both by one schema. */
NTK_API NTK_NODISCARD ntk_status ntk_data_targets(const ntk_data *data, ntk_targets kind,
                                                  int64_t classes, double *y);

/* How a table was read; texts belong to the schema. */
typedef struct ntk_table {
    int header;         /* 1: the first line is names; 0: columns are called by their numbers */
    int header_guessed; /* 1: opts.header was NTK_HEADER_AUTO */
    int target_guessed; /* 1: neither opts.target nor opts.schema said which is the target */
    int matched;        /* columns are those of opts.schema: 1 by name, 2 by number; 0: there was none */
    const char *const *dropped, *const *notes; /* columns left out; sentences on what looks wrong */
    size_t n_dropped, n_notes;
    const char *weights, *noise; /* names of the columns that opts.weights and opts.noise asked for; NULL: none */
} ntk_table;

/* The schema of training data for targets of a kind. With NTK_ONEHOT and NTK_CENTERED it has the classes
 * (ntk_data_classes). NTK_EINVAL as there, and for NTK_RAW if targets are missing or words. */
NTK_API NTK_NODISCARD ntk_status ntk_schema_new(const ntk_data *data, ntk_targets kind,
                                                ntk_schema **schema);
/* A schema of names alone (copied), for samples that come from no file: columns of features and of targets (0: they have
 * no names), and classes, of numbers, labels [n_classes], ascending, or, with labels NULL, words in the order of their
 * bytes. names has those of features, then targets, then classes; with labels those of classes are not read. NTK_EINVAL
 * if names or labels are not in order, there are names of targets without those of features, or nothing at all. */
NTK_API NTK_NODISCARD ntk_status ntk_schema_of_names(ntk_ctx *ctx, const char *const *names, size_t n_features,
                                                     size_t n_targets, size_t n_classes, const double *labels,
                                                     ntk_schema **schema);
NTK_API void ntk_schema_free(ntk_schema *schema);
/* The schema that data was loaded with: of a table, or with classes that are declared; else NULL. It belongs
 * to data. */
NTK_API const ntk_schema *ntk_data_schema(const ntk_data *data);
/* NULL if the data are no table, or the schema is from a file. */
NTK_API const ntk_table *ntk_schema_table(const ntk_schema *schema);
/* Names of feature and target columns (without a header their numbers), in order; NULL and *n = 0 if there
 * are none. */
NTK_API const char *const *ntk_schema_features(const ntk_schema *schema, size_t *n);
NTK_API const char *const *ntk_schema_targets(const ntk_schema *schema, size_t *n);
/* Names of the classes: words, or numbers as text; NULL and *n = 0 without classes. labels: their numbers
 * (NULL: not wanted; NULL for words). */
NTK_API const char *const *ntk_schema_classes(const ntk_schema *schema, size_t *n,
                                              const double **labels);
/* Numbers data's labels by the schema's classes: 0 ... classes - 1 in place of what they were, -1 for those
 * that are none of them; *unseen (NULL: not wanted) is how many. In targets, rows of -1 are off in all
 * classes. Nothing is done if the schema has no classes or data no labels; NTK_EINVAL for several targets. */
NTK_API NTK_NODISCARD ntk_status ntk_schema_number(const ntk_schema *schema, ntk_data *data,
                                                   int64_t *unseen);

/* Standardisation: none; each feature on its own; each channel over all positions. Mean and
 * deviation (1/n) are of the data it is learned on, by weights [n], >= 0 and not all 0 (NULL: all 1), so that one of 2 is
 * what two equal samples are; constant features are only shifted. */
typedef enum ntk_standardize { NTK_STD_NONE, NTK_STD_FEATURE, NTK_STD_CHANNEL } ntk_standardize;
NTK_API NTK_NODISCARD ntk_status ntk_scaler_fit(ntk_standardize kind, const ntk_data *data, const double *weights,
                                                ntk_scaler **scaler);
/* A standardised copy of data, all other parts included. NTK_ESHAPE if shapes differ from the learned (NTK_STD_NONE takes
 * any). */
NTK_API NTK_NODISCARD ntk_status ntk_scaler_apply(const ntk_scaler *scaler, const ntk_data *data,
                                                  ntk_data **scaled);
/* One of numbers that are known, mean and deviation as ntk_scaler_numbers has them, for samples of this shape.
 * NTK_EINVAL if they are not finite, or a deviation is not above 0. */
NTK_API NTK_NODISCARD ntk_status ntk_scaler_of_numbers(ntk_ctx *ctx, ntk_standardize kind, ntk_shape shape,
                                                       const double *mean, const double *deviation,
                                                       ntk_scaler **scaler);
NTK_API void ntk_scaler_free(ntk_scaler *scaler);
NTK_API ntk_standardize ntk_scaler_kind(const ntk_scaler *scaler);
NTK_API ntk_shape ntk_scaler_shape(const ntk_scaler *scaler); /* of the samples that it was learned on */
/* Mean and deviation, [n] each, n > 0 features or channels, or 0; they belong to the scaler. */
NTK_API int64_t ntk_scaler_numbers(const ntk_scaler *scaler, const double **mean,
                                   const double **deviation);

/* Writes one array as FILE.npy, or several as FILE.npz or FILE.h5. "-" is standard output (npy only).
 *
 * This and all that saves to a file: the file gets its name when all of it is on disk, so that an error
 * (NTK_EIO) or a crash leaves what was there. A file that is there keeps its mode, and its owner and group
 * where the system allows it (else its mode gives nobody more than before); symbolic links are followed,
 * pipes and devices are written in place (HDF5: not pipes). */
typedef struct ntk_array {
    const char *name;     /* key in the .npz; ignored for .npy */
    const void *x;        /* row-major, shape[0..ndim-1] */
    ntk_dtype dtype;
    int ndim;             /* 0 to 4 */
    int64_t shape[4];
    const char *const *words; /* not NULL: the array is of these texts (UTF-8), x and dtype are ignored */
} ntk_array;
NTK_API NTK_NODISCARD ntk_status ntk_array_write(ntk_ctx *ctx, const char *path,
                                                 const ntk_array *arrays, size_t n);

/* One column of a table: numbers, or words. */
typedef struct ntk_column {
    const char *name;
    const double *x;          /* of row i: x[i * stride] */
    int64_t stride;
    const char *const *words; /* not NULL: x are numbers of these words */
} ntk_column;
/* Writes a CSV with a header, whole or not at all; "-" is standard output. */
NTK_API NTK_NODISCARD ntk_status ntk_csv_write(ntk_ctx *ctx, const char *path,
                                               const ntk_column *columns, size_t n, int64_t rows);

/* --------------------------------------------------------------------------------- kernels */

/* Compiles n_nets nets (1 to 64) for samples of one shape; work they have in common is done once.
 * want: NTK_NNGP, NTK_NTK or both. dtype: the type that entries are computed and returned in.
 * NTK_ESHAPE, NTK_ETHEORY name the layer and the reason. The nets may be freed afterwards. */
NTK_API NTK_NODISCARD ntk_status ntk_kernel_new(ntk_ctx *ctx, const ntk_net *const *nets,
                                                size_t n_nets, unsigned want, ntk_dtype dtype,
                                                ntk_shape shape, ntk_kernel **kernel);
NTK_API void ntk_kernel_free(ntk_kernel *kernel);

/* How ntk_nets_graph writes. */
typedef enum ntk_graph_format { NTK_GRAPH_TEXT, NTK_GRAPH_DOT } ntk_graph_format;
/* The graph of operations by which the kernels of nets (as for ntk_kernel_new) are computed for samples of a shape,
 * without what a backend makes of it: a line for each operation, its operands before it; which nets need it, which
 * kernels are its result; and of which layer's parameter its numbers come from. NTK_GRAPH_DOT: the same for Graphviz.
 * Free it with ntk_text_free. */
NTK_API NTK_NODISCARD ntk_status ntk_nets_graph(ntk_ctx *ctx, const ntk_net *const *nets, size_t n_nets,
                                                unsigned want, ntk_shape shape, ntk_graph_format format,
                                                char **text);

/* Number of matrices that the kernel computes: n_nets, or 2 n_nets if both kernels are wanted.
 * Matrix m belongs to net m / 2 and is its NNGP (even m) or NTK (odd m) if both are wanted, else
 * to net m. */
NTK_API size_t ntk_kernel_outputs(const ntk_kernel *kernel);

/* Peak bytes that ntk_kernel_compute holds for these samples (x2 = NULL: x1 with itself): scratch of all
 * threads, values for almost parallel samples whether or not there are such, and the output matrices; not
 * the samples. Where an activation is a series, its length, and so the bytes, come from the samples'
 * variances, which are computed for it, as they are where samples have positions. Samples that leave the range of
 * float32 then take as much as in float64. Errors: those of ntk_kernel_compute. */
NTK_API NTK_NODISCARD ntk_status ntk_kernel_bytes(const ntk_kernel *kernel, const ntk_data *x1,
                                                  const ntk_data *x2, size_t *bytes);

/* How much a pair of samples costs where samples have positions: pairs of positions times activations
 * computed for it. 0 without positions. */
NTK_API double ntk_kernel_positions(const ntk_kernel *kernel);

/* All entries K(x1[i], x2[j]) into out[m], [n1][n2] of the kernel's dtype, for every output m.
 * x2 = NULL: x1 with itself; entries are computed once and mirrored, and each sample with itself,
 * or with an equal one, gets exactly its variance. Data may be of either dtype and the shape that
 * the kernel was made for. Bitwise the same for any number of threads. Entries are right down to the
 * smallest normal number: where variances leave the range of float32, which takes 2^-120 to 2^120, a kernel
 * of NTK_F32 is computed in float64 and rounded. NTK_ENUMERIC names a sample whose variance is too large
 * for dtype, or an entry that is not finite. */
NTK_API NTK_NODISCARD ntk_status ntk_kernel_compute(const ntk_kernel *kernel, const ntk_data *x1,
                                                    const ntk_data *x2, void *const *out);

/* A finished block of one matrix: k[i * ld + j] is the entry of rows i0 + i, columns j0 + j. */
typedef struct ntk_block {
    size_t output;
    int64_t i0, ni, j0, nj;
    const void *k;
    int64_t ld;
} ntk_block;
/* Called for each block once, from several threads at the same time, in no fixed order. For a
 * symmetric kernel only blocks on or above the diagonal come (j0 >= i0); those on it are whole. A
 * result other than 0 cancels the work with NTK_ECANCEL. */
typedef int ntk_sink_fn(const ntk_block *block, void *user);
/* As ntk_kernel_compute, without storing any matrix. */
NTK_API NTK_NODISCARD ntk_status ntk_kernel_stream(const ntk_kernel *kernel, const ntk_data *x1,
                                                   const ntk_data *x2, ntk_sink_fn *sink,
                                                   void *user);

/* Samples prepared for a kernel: converted, with all that depends on one sample alone. Made once, for any number of
 * calls: of one sample with many, say. The kernel and data must outlive them.
 * reference: samples of the same kernel that they are to meet, which decide what depends on all samples: the type in
 * which the kernel is computed, and how activations without a closed form are; NULL: these decide themselves.
 * NTK_ENUMERIC if the reference does not take some sample: a variance that is larger than all of the reference's
 * where an activation is a series or a quadrature, or a size that float32 does not have. */
NTK_API NTK_NODISCARD ntk_status ntk_samples_new(const ntk_kernel *kernel, const ntk_data *data,
                                                 const ntk_samples *reference, ntk_samples **samples);
NTK_API void ntk_samples_free(ntk_samples *samples);
NTK_API int64_t ntk_samples_n(const ntk_samples *samples);
/* Bytes that count for them beside the data, what preparing them took included. Side values at the positions of images are
 * kept if they take no more than a quarter of the machine's memory and no bound was set; else every call makes them. */
NTK_API size_t ntk_samples_memory(const ntk_samples *samples);
/* ntk_kernel_compute and ntk_kernel_stream. x1 and x2 have a common reference (one is the other's); x2 NULL: x1 with
 * itself. NTK_EINVAL if not, or if they were prepared for another kernel. An entry that is computed beside other
 * samples agrees to 4 eps sqrt(K_ii K_jj): a matrix product may round otherwise. */
NTK_API NTK_NODISCARD ntk_status ntk_samples_compute(const ntk_kernel *kernel, const ntk_samples *x1,
                                                     const ntk_samples *x2, void *const *out);
NTK_API NTK_NODISCARD ntk_status ntk_samples_stream(const ntk_kernel *kernel, const ntk_samples *x1,
                                                    const ntk_samples *x2, ntk_sink_fn *sink, void *user);

/* K(x[i], x[i]) into out[m], [n] in float64, for every output m. */
NTK_API NTK_NODISCARD ntk_status ntk_kernel_diagonal(const ntk_kernel *kernel, const ntk_data *x,
                                                     double *const *out);

/* Writes rows i0 ... i0 + ni - 1 of a symmetric matrix, from column i0 on: k is [ni][n - i0]. A result
 * other than 0 cancels with NTK_ECANCEL. */
typedef int ntk_rows_fn(int64_t i0, int64_t ni, void *k, void *user);

/* alpha = (K + r)^-1 y for a positive definite kernel matrix K, [n][n] of dtype, that comes from
 * `rows` in blocks of `block` rows (from disk, say); r = diag_reg trace(K)/n; y and alpha are
 * [n][outputs]. Cholesky in float64 and 4 n^2 bytes. Predictions at other samples are K(x, X) alpha.
 * NTK_ENUMERIC if K + r is not positive definite, with a diag_reg that helps, for which `rows` is asked for
 * the matrix again. A warning if it is so but for rounding errors of float32, and dtype is that or all entries
 * are float32 numbers. */
NTK_API NTK_NODISCARD ntk_status ntk_kernel_solve(ntk_ctx *ctx, int64_t n, ntk_dtype dtype,
                                                  int64_t block, ntk_rows_fn *rows, void *user,
                                                  const double *y, int64_t outputs, double diag_reg,
                                                  double *alpha);

/* Kernel matrices in one HDF5 file, in tiles, each with a checksum that is also the mark that it is there. The file is made
 * as a whole, for all tiles, and is good at any time: work that is interrupted or killed goes on where it was and gives the
 * same bytes; what is there is not computed again. A tile is checked when a store first reads it, and whenever it is read whole
 * (NTK_EIO says which is not what was written); rows alone of one that was right are read without. One process at a time
 * writes: NTK_EIO says that another does. docs/howto/stores.md describes the file. */
typedef struct ntk_store ntk_kernel_store;
/* The matrices of nets, want and dtype as ntk_kernel_new has them, between samples x1 and x2 (NULL: x1 with itself, of which
 * the lower half is kept), and, if test is not NULL, between test and x1 (x2 is NULL then). The file is made if it is not
 * there, and says of what it is: a list of nets, of which any may be asked for; samples, by a 128-bit hash; a dtype and a
 * backend. NTK_EINVAL says what differs. nets may be freed afterwards, samples must outlive the store. NTK_ENOTSUP in a
 * build without HDF5. */
NTK_API NTK_NODISCARD ntk_status ntk_store_open(ntk_ctx *ctx, const char *path, const ntk_net *const *nets,
                                                size_t n_nets, unsigned want, ntk_dtype dtype, const ntk_data *x1,
                                                const ntk_data *x2, const ntk_data *test, ntk_kernel_store **store);
/* All matrices of a file as it is, to read from: nothing is computed, and matrices that are not finished are refused when
 * they are read. */
NTK_API NTK_NODISCARD ntk_status ntk_store_read(ntk_ctx *ctx, const char *path, ntk_kernel_store **store);
NTK_API void ntk_store_free(ntk_kernel_store *store);
/* Computes what was asked for and is not there. Cancelled, or failed, it leaves what was finished. */
NTK_API NTK_NODISCARD ntk_status ntk_store_fill(ntk_kernel_store *store);
/* All entries of x1 with x2, or itself, into out[m], [n1][n2] of dtype, as ntk_kernel_compute; what is not there is computed
 * first. */
NTK_API NTK_NODISCARD ntk_status ntk_store_compute(ntk_kernel_store *store, void *const *out);
/* The same of rows i0 ... i0 + ni - 1 of matrix m only, [ni][n2]; test: 1: of test samples with x1, [ni][n1]. */
NTK_API NTK_NODISCARD ntk_status ntk_store_rows(ntk_kernel_store *store, size_t m, int test, int64_t i0, int64_t ni, void *rows);

/* NTK_EIO, with how many tiles are there, unless matrix m is finished; test: 1: its test part. */
NTK_API NTK_NODISCARD ntk_status ntk_store_check(const ntk_kernel_store *store, size_t m, int test);

/* What a file has. */
typedef struct ntk_store_info {
    size_t size;      /* of the struct: ntk_store_info_init */
    int64_t n1, n2;   /* rows and columns */
    int64_t symmetric; /* 1: of samples with themselves */
    int64_t m;        /* rows of the test part; 0: there is none */
    int64_t matrices;
    int64_t dtype;    /* ntk_dtype */
    int64_t tiles, done; /* of all matrices and parts; those that are there */
    int64_t tile_rows, tile_columns, test_tile_rows, test_tile_columns;
} ntk_store_info;
NTK_API void ntk_store_info_init_sized(ntk_store_info *info, size_t size);
static inline void ntk_store_info_init(ntk_store_info *info) { ntk_store_info_init_sized(info, sizeof *info); }
NTK_API NTK_NODISCARD ntk_status ntk_store_about(const ntk_kernel_store *store, ntk_store_info *info);
/* Of what it is, in lines: "rows: ", "columns: ", "test: ", "entries: ", then for each matrix its name, ": " and its net.
 * By whom it was made: "libntk 0.1.0, avx512". They belong to the store. */
NTK_API const char *ntk_store_text(const ntk_kernel_store *store);
NTK_API const char *ntk_store_made_by(const ntk_kernel_store *store);
/* Checks all tiles that are there. NTK_EIO if some are not what was written, with the first's place; the log has the others'.
 * *wrong (NULL: not wanted): how many. */
NTK_API NTK_NODISCARD ntk_status ntk_store_verify(ntk_ctx *ctx, const char *path, int64_t *wrong);
/* The same, which takes wrong tiles out, so that they are computed again; a file that was cut short gets its length. */
NTK_API NTK_NODISCARD ntk_status ntk_store_mend(ntk_ctx *ctx, const char *path, int64_t *wrong);

/* ---------------------------------------------------------------------------------- models */

/* Whose mean and covariance a model predicts.
 *   NTK_POSTERIOR_NNGP    Bayesian network: mean S_td S^-1 y, covariance S_tt - S_td S^-1 S_dt
 *   NTK_POSTERIOR_NTK     ensemble of networks trained by gradient flow: mean T_td T^-1 y,
 *                         covariance S_tt + A S A' - (A S_dt + h.c.), A = T_td T^-1
 *   NTK_POSTERIOR_NTKGP   Gaussian process with covariance T
 * with S the NNGP and T the NTK kernel (Lee et al. 2019, eqs. 13-16; He et al. 2020). */
typedef enum ntk_posterior {
    NTK_POSTERIOR_NNGP,
    NTK_POSTERIOR_NTK,
    NTK_POSTERIOR_NTKGP
} ntk_posterior;

/* How a model is fitted. ntk_fit_opts_init fills in the defaults. */
typedef struct ntk_fit_opts {
    size_t size;                /* of the struct: ntk_fit_opts_init */
    ntk_posterior posterior;    /* default NTK_POSTERIOR_NTK */
    ntk_dtype dtype;            /* of kernel entries; the solve is float64. Default NTK_F64 */
    double diag_reg;            /* >= 0, added to the diagonal; default 0 */
    int diag_reg_absolute;      /* 0 (default): diag_reg is times trace(K)/n; 1: as it is */
    int finite_time;            /* 1: eigen-decompose, for predictions at finite times; default 0:
                                 * Cholesky, for t = infinity only */
    int mean_loss;              /* time belongs to the loss: 0 (default) 1/2 sum (f - y)^2,
                                 * 1: 1/2 mean over all n * outputs entries */
    int covariance;             /* 1: covariances will be asked for (NTK_POSTERIOR_NTK then keeps
                                 * the NNGP matrix too); default 0 */
    const char *diag_reg_spelling; /* what messages write before a diag_reg that would help; a constant;
                                    * NULL (default): "diag_reg = " */
    const char *solver;         /* one of ntk_solver_names(), as "cholesky"; a constant. docs/engine.md says when which. NULL
                                 * (default): "eigen" with finite_time, or with NTK_DIAG_REG_AUTO but no weights and noise,
                                 * else "cholesky" or, where memory does not hold its float64 factor, "mixed" or "cg",
                                 * which is said */
    int keep;                   /* 1: the kernel matrix stays in memory beside its factor, for ntk_model_refit: 8 n^2 bytes
                                 * instead of 4; default 0 */
    const double *weights;      /* [n], >= 0, not all 0: what is added to the diagonal for a sample is divided by its weight,
                                 * as if there were so many of it; 0 leaves it out. Copied; NULL (default): 1 */
    const double *noise;        /* [n], >= 0: variances of the targets' noise, added to the diagonal as they are, beside what
                                 * diag_reg adds. Copied; NULL (default): 0 */
    const char *store;          /* a file (ntk_store_open) in which the kernel matrix is, or is computed tile by tile, so that
                                 * work that was interrupted goes on and later fits compute none. Where it lacks the NNGP,
                                 * which NTK_POSTERIOR_NTK with covariance needs too, that is computed. Predictions at the
                                 * samples of its test part read their kernel from it. NULL (default): none */
    double tolerance;           /* of solvers that iterate: largest residual |y - (K + r) alpha| / |y|, above 0 to 0.1;
                                 * 0 (default): theirs, 1e-3 of "cg", 1e-12 of "lanczos"; "mixed" refines to float64's
                                 * last digits */
    int64_t rank;               /* of the preconditioner of "cg"; 0 (default): a tenth of n, at most 1,000, from 50,000
                                 * samples on 2,000 */
    const char *scratch;        /* the folder for the factor of "out-of-core", 4 n^2 bytes. NULL (default): with a store,
                                 * beside it; else, for a file that is gone with the model, what the environment variable
                                 * TMPDIR names, or /var/tmp. Copied */
    const char *triangle;       /* how "cg" keeps the kernel matrix, of which it needs half: "float64" (4 n^2 bytes), "float32"
                                 * (2 n^2), "int16" (n^2; an entry K_ij is off by at most 1.5e-5 sqrt(K_ii K_jj)), "none": not
                                 * at all, each step computes or reads its entries. A constant. NULL (default): the best that
                                 * memory holds. What is not float64 is said */
    const char *checkpoint;     /* a file in which "cg" keeps its solutions so far, and "landmarks" which they are and its sums
                                 * over the rows so far (not of a kernel that it keeps in memory), so that a fit that was
                                 * interrupted, or killed, goes on from there when it is done again, also with another number
                                 * of ranks, of which the first writes and reads it; it is removed at the end of the fit. One of
                                 * another net or other samples is refused (NTK_EINVAL), and of another choice of landmarks. Of
                                 * another ridge or other targets it is where the solution of "cg" begins; "landmarks" use what
                                 * does not depend on them, and end with the bits of a fit without a file. NULL (default): with
                                 * `store` and "cg" its name, a number of the matrix and ".cg", else none */
    int64_t landmarks;          /* of the solver "landmarks": predictions are sums over so many of the samples; 0 (default): as
                                 * many as memory and time allow, at most 5,000, which is said */
} ntk_fit_opts;
/* As diag_reg: the best of the NTK_RIDGES values of ntk_ridge_grid by ntk_model_ridges' leave-one-out error, of equal ones
 * (to 1e-10 of it) the largest. Relative, whatever diag_reg_absolute is. */
#define NTK_DIAG_REG_AUTO (-1e300)
#define NTK_RIDGES 25
/* NTK_RIDGES numbers from 1e-9 to 10, evenly spaced in their logarithms. */
NTK_API void ntk_ridge_grid(double *diag_reg);
NTK_API void ntk_fit_opts_init_sized(ntk_fit_opts *opts, size_t size);
static inline void ntk_fit_opts_init(ntk_fit_opts *opts) { ntk_fit_opts_init_sized(opts, sizeof *opts); }

/* Peak bytes of ntk_model_fit: matrices, and as ntk_kernel_bytes the kernel's scratch; not the samples. */
NTK_API NTK_NODISCARD ntk_status ntk_model_bytes(ntk_ctx *ctx, const ntk_net *net, const ntk_data *x,
                                                 int64_t outputs, const ntk_fit_opts *opts,
                                                 size_t *bytes);

/* Fits net to y, [n][outputs]. x must outlive the model unless the model is saved and loaded.
 * NTK_ENUMERIC if the matrix is not positive definite: names equal rows, and a diag_reg that
 * would help. A warning if it is so but for rounding errors of opts.dtype. */
NTK_API NTK_NODISCARD ntk_status ntk_model_fit(ntk_ctx *ctx, const ntk_net *net, const ntk_data *x,
                                               const double *y, int64_t outputs,
                                               const ntk_fit_opts *opts, ntk_model **model);
NTK_API void ntk_model_free(ntk_model *model);
/* The names of all solvers, with commas between. */
NTK_API const char *ntk_solver_names(void);
/* 1: models that are solved by the one of that name have ntk_model_leave_one_out, and ntk_model_ridges' errors. */
NTK_API int ntk_solver_has_leave_one_out(const char *solver);
/* Fits again. y, [n][outputs], NULL: the targets stay (and outputs is ignored). opts NULL: all as it is; else these
 * options are its new ones: posterior, dtype, store and covariance as they were, and samples of weight 0 the same (weights
 * and noise are of all samples, those too). New targets need the factor only. Another diag_reg, weights or noise need the
 * matrix: with keep, a store, finite_time or ntk_model_fit_matrix it is there, else the kernel is computed again. Errors as
 * ntk_model_fit's: wrong arguments leave the model as it is; where the work fails it is not solved, and can be fitted
 * again. */
NTK_API NTK_NODISCARD ntk_status ntk_model_refit(ntk_model *model, const double *y, int64_t outputs,
                                                 const ntk_fit_opts *opts);
/* What diag_reg is: what was given or, of NTK_DIAG_REG_AUTO, what was chosen. */
NTK_API double ntk_model_diag_reg(const ntk_model *model);
/* What other values of diag_reg, in the same scale, would give, count of them: the mean squared error of leave-one-out
 * predictions, over samples (by their weights) and outputs, and the log likelihood, as ntk_model_evidence; NULL: not
 * wanted, NAN where the matrix is not positive definite. From one eigen-decomposition or, with weights or noise, a
 * factorisation each. The model stays as it is. */
NTK_API NTK_NODISCARD ntk_status ntk_model_ridges(const ntk_model *model, size_t count, const double *diag_reg,
                                                  double *loo_mse, double *log_likelihood);
/* Models of n_nets nets (1 to 64) fitted to the same samples and targets: work that their kernels have
 * in common is done once. With finite_time or covariance, or where memory does not hold all their
 * matrices, they are fitted one after the other. On failure no model is left. */
NTK_API NTK_NODISCARD ntk_status ntk_models_fit(ntk_ctx *ctx, const ntk_net *const *nets,
                                                size_t n_nets, const ntk_data *x, const double *y,
                                                int64_t outputs, const ntk_fit_opts *opts,
                                                ntk_model **models);
/* Predictions of several models at m samples, mean[k] [m][outputs], as ntk_model_predict's; common
 * work of models that were fitted together is done once. n_models 0: nothing is done. */
NTK_API NTK_NODISCARD ntk_status ntk_models_predict(ntk_model *const *models, size_t n_models,
                                                    const ntk_data *x, double *const *mean);

/* alpha = (K + r)^-1 y, [n][outputs], 0 for samples that were left out: the mean is K(x, X) alpha. */
NTK_API NTK_NODISCARD ntk_status ntk_model_alpha(const ntk_model *model, double *alpha);
/* The same at time t >= 0 from f_0 = 0 (INFINITY allowed; finite ones need opts.finite_time). */
NTK_API NTK_NODISCARD ntk_status ntk_model_alpha_at(const ntk_model *model, double t, double *alpha);
/* K(x, X) c of models, at m samples x: c[k] [n][columns], out[k] [m][columns], so that predictions of several fits of the
 * same models need one kernel. Common work as in ntk_models_predict. */
NTK_API NTK_NODISCARD ntk_status ntk_models_apply(ntk_model *const *models, size_t n_models, const ntk_data *x,
                                                  int64_t columns, const double *const *c, double *const *out);

/* Remembers scaler (copied; NULL: none) and target encoding, to be saved with the model. */
NTK_API NTK_NODISCARD ntk_status ntk_model_set_encoding(ntk_model *model, const ntk_scaler *scaler,
                                                        ntk_targets targets);
/* What was remembered; *scaler is NULL if there is none, and belongs to the model. */
NTK_API void ntk_model_encoding(const ntk_model *model, const ntk_scaler **scaler,
                                ntk_targets *targets);
/* The units of a model's targets, [outputs] each (copied; NULL, the default: as they are), to be saved with it: a target
 * is shift + scale f of an output f. As the encoding they are remembered, not applied: deviations are scale times those of
 * f, too. NTK_EINVAL unless they are finite and scales above 0. */
NTK_API NTK_NODISCARD ntk_status ntk_model_set_units(ntk_model *model, const double *shift, const double *scale);
NTK_API void ntk_model_units(const ntk_model *model, const double **shift, const double **scale); /* NULL: none */
/* What a model was fitted to, which belongs to it (NULL for a given matrix): the net; the samples, without those that
 * weights left out, standardised if they were. Their targets, [n][outputs], are copied. */
NTK_API const ntk_net *ntk_model_net(const ntk_model *model);
NTK_API const ntk_data *ntk_model_x(const ntk_model *model);
NTK_API void ntk_model_y(const ntk_model *model, double *y);
/* The options that it was fitted with, which texts and arrays belong to; weights and noise are those of ntk_model_x. */
NTK_API NTK_NODISCARD ntk_status ntk_model_opts(const ntk_model *model, ntk_fit_opts *opts);
/* Keeps a schema with a model, or with parameters, and in their files; NULL: none. It stays the caller's. One that names
 * other features or outputs than there are is not saved (NTK_EINVAL), nor is such a scaler; one whose targets or classes
 * become of another number by ntk_model_refit is dropped. */
NTK_API void ntk_model_set_schema(ntk_model *model, ntk_schema *schema);
NTK_API const ntk_schema *ntk_model_schema(const ntk_model *model); /* NULL: none; it belongs to the model */
NTK_API int64_t ntk_model_outputs(const ntk_model *model);
NTK_API int64_t ntk_model_n(const ntk_model *model);
/* The shape of the samples that the model was fitted to, after any flattening. */
NTK_API ntk_shape ntk_model_shape(const ntk_model *model);

/* Predictions at m samples, t = infinity: mean [m][outputs]; var [m], the variance of each output
 * (NULL: not wanted; needs opts.covariance). The test kernel is streamed, not stored. */
NTK_API NTK_NODISCARD ntk_status ntk_model_predict(const ntk_model *model, const ntk_data *x,
                                                   double *mean, double *var);
/* The same with the full covariance, cov [m][m]. */
NTK_API NTK_NODISCARD ntk_status ntk_model_covariance(const ntk_model *model, const ntk_data *x,
                                                      double *mean, double *cov);

/* Gradient flow on the squared loss from f_0 (t < INFINITY needs opts.finite_time): predictions at n_times
 * times t >= 0 (INFINITY allowed), f_t(z) = f_0(z) - K(z,X) (K + r)^-1 (1 - e^{-(K+r)t}) (f_0(X)-y)
 * with r the ridge that diag_reg adds (flow of the loss + r/2 |theta - theta_0|^2). Directions whose
 * eigenvalues are rounding error do not move (ntk_spectral_decompose; a warning counts them when the
 * model is fitted).
 *   f0_train [n][outputs], f0_test [m][outputs]: NULL for zero
 *   train [n_times][n][outputs], test [n_times][m][outputs], var [n_times][m]: NULL: not wanted.
 * x may be NULL if test and var are. var as in ntk_model_predict: NTK_POSTERIOR_NTK: of the
 * ensemble at time t; NTK_POSTERIOR_NNGP: of last-layer training at time t (Lee et al. 2019);
 * NTK_POSTERIOR_NTKGP: NTK_EINVAL at finite t. */
NTK_API NTK_NODISCARD ntk_status ntk_model_dynamics(const ntk_model *model, const double *times,
                                                    size_t n_times, const double *f0_train,
                                                    const ntk_data *x, const double *f0_test,
                                                    double *train, double *test, double *var);

/* Leave-one-out predictions mean [n][outputs], and variances var [n] (NULL: not wanted), in closed
 * form from the same factorisation: y_i - alpha_i / (K^-1)_ii and 1 / (K^-1)_ii (Rasmussen and
 * Williams 2006, eq. 5.12; the variance is that of the Gaussian process with covariance K). */
NTK_API NTK_NODISCARD ntk_status ntk_model_leave_one_out(const ntk_model *model, double *mean,
                                                         double *var);
/* The b > 0 with which softmax(b f) of the leave-one-out outputs f makes the classes most likely, for a
 * model of NTK_ONEHOT or NTK_CENTERED targets: softmax(b f(x)) are then class probabilities that are
 * calibrated on all training samples (Guo et al. 2017's temperature scaling, 1/b the temperature). One
 * label in n + 1 is taken to be random, so that b is finite where all are right; b times the outputs'
 * deviation is 0.01 to 10,000. Samples count by their weights; equal samples of one class are left out together, by a fit
 * of those that differ. NTK_EINVAL if the targets are not such, as of regression. */
NTK_API NTK_NODISCARD ntk_status ntk_model_sharpness(const ntk_model *model, double *b);
/* log p(y | X), natural log, summed over outputs, of the Gaussian process with covariance K + r
 * (Rasmussen and Williams 2006, eq. 2.30). */
NTK_API NTK_NODISCARD ntk_status ntk_model_evidence(const ntk_model *model, double *log_likelihood);

/* Extreme eigenvalues of K + r, to 1e-3 relative or better (exact with opts.finite_time). With null
 * directions the condition is INFINITY. */
typedef struct ntk_spectrum {
    size_t size; /* of the struct: ntk_spectrum_init */
    double lambda_min, lambda_max, condition;
    double max_learning_rate; /* of plain gradient descent on the model's loss: 2 / lambda_max, for
                               * the mean loss times n * outputs */
    int64_t null_directions; /* eigenvectors that do not move (opts.finite_time; else 0): see
                              * ntk_spectral_decompose */
} ntk_spectrum;
NTK_API void ntk_spectrum_init_sized(ntk_spectrum *s, size_t size);
static inline void ntk_spectrum_init(ntk_spectrum *s) { ntk_spectrum_init_sized(s, sizeof *s); }
NTK_API NTK_NODISCARD ntk_status ntk_model_spectrum(const ntk_model *model, ntk_spectrum *spectrum);

/* How a model was solved. ntk_fit_report_init before. */
typedef struct ntk_fit_report {
    size_t size;                 /* of the struct: ntk_fit_report_init */
    const char *solver;          /* its name */
    int64_t iterations;          /* of solvers that iterate: most of one output; -1: it does not */
    double residual;             /* the same: largest |y - (K + r) alpha| / |y| of an output; else NAN */
    int estimates;               /* 1: ntk_model_evidence is an estimate, and takes as long as a fit or longer */
    double log_likelihood_error; /* once ntk_model_evidence was asked for one: its standard error; else NAN */
} ntk_fit_report;
NTK_API void ntk_fit_report_init_sized(ntk_fit_report *r, size_t size);
static inline void ntk_fit_report_init(ntk_fit_report *r) { ntk_fit_report_init_sized(r, sizeof *r); }
NTK_API NTK_NODISCARD ntk_status ntk_model_report(const ntk_model *model, ntk_fit_report *report);
/* All n eigenvalues of K + r, ascending (needs opts.finite_time). */
NTK_API NTK_NODISCARD ntk_status ntk_model_eigenvalues(const ntk_model *model, double *values);

/* Saves to, or loads from, an HDF5 file: net, samples, targets, solution, encoding. Without the
 * factor (with_factor = 0) the file is small and a loaded model computes it again when a variance
 * is asked for. It has no solver's name: a loaded model's is the default, or "eigen" where its vectors are.
 * Loading: NTK_EIO names the part of the file that is missing, larger than the file, not finite or otherwise
 * wrong; NTK_ENOTSUP if the file's format is newer than this version's; NTK_ENOMEM if the memory bound is below what
 * it needs. Files of earlier versions load. The same holds for parameters and checkpoints below. */
NTK_API NTK_NODISCARD ntk_status ntk_model_save(const ntk_model *model, const char *path,
                                                int with_factor);
NTK_API NTK_NODISCARD ntk_status ntk_model_load(ntk_ctx *ctx, const char *path, ntk_model **model);

/* A model of n training samples that are known by their kernels only, for a program with kernels of its own: k [n][n],
 * NNGP for NTK_POSTERIOR_NNGP, else NTK; nngp [n][n], for NTK_POSTERIOR_NTK with covariance, else NULL. Both are symmetric
 * (NTK_EINVAL if not to 1e-12 of the largest entry), float64 numbers that were computed in opts.dtype, only read, and must
 * outlive the model. It has ntk_model_predict_matrix and all functions without samples, and cannot be saved. */
NTK_API NTK_NODISCARD ntk_status ntk_model_fit_matrix(ntk_ctx *ctx, int64_t n, const double *k, const double *nngp,
                                                      const double *y, int64_t outputs, const ntk_fit_opts *opts,
                                                      ntk_model **model);
/* Kernels of m test samples, in float64. ntk_test_matrices_init fills in the defaults. */
typedef struct ntk_test_matrices {
    size_t size;         /* of the struct: ntk_test_matrices_init */
    int64_t m;
    const double *k;     /* [m][n], of the model's kernel with the training samples */
    const double *nngp;  /* [m][n], NTK_POSTERIOR_NTK with cov; NULL (default): none */
    const double *prior; /* [m][m], with cov: their own NNGP or, NTK_POSTERIOR_NTKGP, NTK; NULL (default): none */
} ntk_test_matrices;
NTK_API void ntk_test_matrices_init_sized(ntk_test_matrices *test, size_t size);
static inline void ntk_test_matrices_init(ntk_test_matrices *test) { ntk_test_matrices_init_sized(test, sizeof *test); }
/* Predictions at n_times times t >= 0 (INFINITY allowed; finite ones need opts.finite_time), from given kernels: mean
 * [n_times][m][outputs], cov [n_times][m][m]; NULL: not wanted. f0_train [n][outputs], f0_test [m][outputs]: outputs at
 * t = 0; NULL: zero. test NULL: at the n training samples themselves, for which the ridge belongs to the kernel, as noise of
 * their own: f_t = y + e^{-(K+r)t} (f_0 - y), f0_test is not used. Formulas and errors as ntk_model_dynamics and
 * ntk_model_covariance. */
NTK_API NTK_NODISCARD ntk_status ntk_model_predict_matrix(const ntk_model *model, const ntk_test_matrices *test,
                                                          const double *times, size_t n_times,
                                                          const double *f0_train, const double *f0_test,
                                                          double *mean, double *cov);

/* ----------------------------------------------------------------------------------- plans */

/* What a fit, and predictions, will take, by each solver: pairs of samples, operations, memory, disk, and the time that
 * follows from rates measured on this machine. docs/howto/plan.md has the formulas. */
typedef struct ntk_plan ntk_plan;
/* ntk_plan_opts_init fills in the defaults. */
typedef struct ntk_plan_opts {
    size_t size;       /* of the struct: ntk_plan_opts_init */
    int64_t n, m;      /* samples to train on, 1 or more (0, the default: those of x), and to predict at, 0 (default) or more */
    int64_t outputs;   /* columns of targets, 1 (default) or more */
    const ntk_data *x; /* the training samples, or some like them, whose kernel is timed, and whose side values count; NULL
                        * (default): standard normal ones */
    int64_t rates;     /* 1 (default): measure, in half a second; 0: do not, and times are NAN */
    const ntk_plan *like; /* a plan of the same net, shape, dtype and threads, whose rates are taken; NULL (default): none */
    int64_t ranks;     /* processes that share the pairs, each on such a machine; default 1 */
    double disk;       /* bytes that a disk writes, or reads, in a second; default 5e8 */
} ntk_plan_opts;
NTK_API void ntk_plan_opts_init_sized(ntk_plan_opts *opts, size_t size);
static inline void ntk_plan_opts_init(ntk_plan_opts *opts) { ntk_plan_opts_init_sized(opts, sizeof *opts); }

/* Of net for samples of a shape, with the options of a fit (NULL: the defaults); its store need not be there. NTK_EINVAL if
 * numbers are not such, or x is of another shape; NTK_ENOTSUP if its samples stand for copies; errors of ntk_kernel_new. */
NTK_API NTK_NODISCARD ntk_status ntk_plan_new(ntk_ctx *ctx, const ntk_net *net, ntk_shape shape, const ntk_fit_opts *fit,
                                              const ntk_plan_opts *opts, ntk_plan **plan);
NTK_API void ntk_plan_free(ntk_plan *plan);

/* What does not depend on the solver. Texts belong to the plan. */
typedef struct ntk_plan_info {
    size_t size;              /* of the struct: ntk_plan_info_init */
    double pairs, pairs_test; /* n (n + 1) / 2 and m n, each with all kernels that the fit needs */
    double positions;         /* of a pair, that activations compute (ntk_kernel_positions); 0: samples without positions, */
    double features;          /* whose pair begins with a product of so many numbers */
    double pair_seconds;      /* of a pair, on all threads, in tiles of many */
    double rate_f32, rate_f64; /* floating-point operations a second of large factorisations, on all threads */
    double rate_products, rate_vector; /* bytes a second of half a float32 matrix, in products with up to 12 targets, with one */
    double store_bytes;       /* of a file with these matrices (ntk_store_open) */
    double samples_bytes;     /* of all samples, in the fit's dtype: they count beside what a fit needs */
    size_t memory;            /* bytes that a fit may have now: the context's bound without what is held, and these samples */
    int64_t chosen;           /* the row of the solver that such a fit takes */
    const char *reason;       /* why, or that it does not fit into memory, and what would */
} ntk_plan_info;
NTK_API void ntk_plan_info_init_sized(ntk_plan_info *info, size_t size);
static inline void ntk_plan_info_init(ntk_plan_info *info) { ntk_plan_info_init_sized(info, sizeof *info); }
NTK_API NTK_NODISCARD ntk_status ntk_plan_about(const ntk_plan *plan, ntk_plan_info *info);

/* A solver. Operations and bytes are of the solution alone, without the kernel's. */
typedef struct ntk_plan_row {
    size_t size;        /* of the struct: ntk_plan_row_init */
    const char *solver; /* its name; belongs to the library */
    size_t bytes;       /* of memory at least, as ntk_model_bytes; of each rank, where ranks share it */
    size_t kept;        /* and more, where there is room, so that the kernel is computed once */
    int64_t fits;       /* 1: what is needed at least is there */
    int64_t steps;      /* iterations that are assumed; 0: it has none */
    const char *assumed; /* of what that is: "5 steps of refinement"; "" */
    double passes;      /* over all pairs: 1, or as often as the kernel is computed again */
    double f32, f64;    /* floating-point operations */
    double products, vector; /* bytes of half a matrix that products pass over, with all targets and with one vector */
    double files;       /* bytes on disk, and */
    double written;     /* bytes that are written and read there */
    double kernel_seconds, solve_seconds, predict_seconds;
    double seconds;     /* their sum */
} ntk_plan_row;
NTK_API void ntk_plan_row_init_sized(ntk_plan_row *row, size_t size);
static inline void ntk_plan_row_init(ntk_plan_row *row) { ntk_plan_row_init_sized(row, sizeof *row); }
/* One for each solver that takes such options, in the order of ntk_solver_names; landmarks take a part of a pass. */
NTK_API size_t ntk_plan_rows(const ntk_plan *plan);
/* NTK_EINVAL if there is no such row. */
NTK_API NTK_NODISCARD ntk_status ntk_plan_get(const ntk_plan *plan, size_t row, ntk_plan_row *to);

/* ------------------------------------------------------------------- dynamics of a loss */

/* L(f, y) of outputs f and targets y, [n][outputs]:
 *   NTK_LOSS_MSE    1/2 sum (f - y)^2
 *   NTK_LOSS_XENT   - sum_i sum_k y_ik log softmax(f_i)_k; rows of y are distributions (one-hot) */
typedef enum ntk_loss { NTK_LOSS_MSE, NTK_LOSS_XENT } ntk_loss;

/* How a flow is integrated. ntk_flow_opts_init fills in the defaults. */
typedef struct ntk_flow_opts {
    size_t size;       /* of the struct: ntk_flow_opts_init */
    ntk_loss loss;     /* default NTK_LOSS_MSE */
    int mean_loss;     /* 1: of the loss divided by n * outputs (MSE) or by n (XENT); default 0 */
    double momentum;   /* 0 <= momentum < 1: f'' + (1 - momentum) / sqrt(learning_rate) f' = -K grad L,
                        * time in units of sqrt(learning_rate) steps (as neural-tangents);
                        * NAN (default): f' = -K grad L */
    double learning_rate; /* > 0, of that friction; default 1 */
    int blocks;        /* 0 (default): kernels are K (x) identity, [n][n]; 1: they have blocks,
                        * [n][n][outputs][outputs] */
    double rtol, atol; /* tolerances of each output, 1e-13 to 0.1 and > 0; defaults 1e-6, 1e-8 */
    int closed_form;   /* 1: by the kernel's eigenvalues, not the integrator: squared loss without
                        * momentum; times in any order, INFINITY allowed; default 0 */
    ntk_dtype dtype;   /* closed_form: in which k_train's entries were computed, which is how well its
                        * eigenvalues are known; default NTK_F64 */
    int64_t *null_directions; /* closed_form: the number of directions that do not move, see
                               * ntk_spectral_decompose; NULL (default): not wanted */
    /* With momentum, the velocities f': at t = 0, [n][outputs] and [m][outputs] (NULL, the default:
     * rest), and at the times, [n_times][n][outputs] and [n_times][m][outputs] (NULL: not wanted).
     * f and q at one time are where a flow can be started again. */
    const double *q0_train, *q0_test;
    double *q_train, *q_test;
} ntk_flow_opts;
NTK_API void ntk_flow_opts_init_sized(ntk_flow_opts *opts, size_t size);
static inline void ntk_flow_opts_init(ntk_flow_opts *opts) { ntk_flow_opts_init_sized(opts, sizeof *opts); }

/* Integrates df/dt(X) = -K(X, X) grad L(f(X)), and df/dt(x) = -K(x, X) grad L(f(X)) at m test samples
 * beside it (Lee et al. 2019, eq. 4), through SUNDIALS' CVODE (variable-order BDF, matrix-free) or, with
 * closed_form, by an eigen-decomposition. With a finite network's kernel (ntk_params_kernel, NTK_FULL, and
 * blocks = 1) and outputs (ntk_params_apply) this is the training of its linearisation.
 *   k_train   [n][n] or [n][n][outputs][outputs], symmetric: K(X, X)
 *   k_test    [m][n] or [m][n][outputs][outputs]: K(x, X); NULL with m = 0
 *   f0_train, f0_test  [n][outputs], [m][outputs]: NULL: zero
 *   times     [n_times], >= 0; without closed_form finite and ascending
 *   train     [n_times][n][outputs]; test [n_times][m][outputs]: NULL: not wanted
 * NTK_ENOTSUP in a build without SUNDIALS (closed_form needs none); NTK_ENUMERIC if the integrator fails
 * (says at what time) or, with closed_form, k_train is not positive semidefinite. */
NTK_API NTK_NODISCARD ntk_status ntk_flow(ntk_ctx *ctx, const ntk_flow_opts *opts, int64_t n, int64_t m,
                                          int64_t outputs, const double *k_train,
                                          const double *k_test, const double *y,
                                          const double *f0_train, const double *f0_test,
                                          const double *times, size_t n_times, double *train,
                                          double *test);

/* What the closed form is made of, for other products with it. K + r = V diag(lambda + r) V' of a kernel
 * matrix k, [n][n], becomes its eigenvectors, row i the i-th, and their weights [n], in the order of the
 * eigenvalues: max(lambda, 0) + r, or 0 for directions that are null, as rounding error decides what
 * lambda is:
 *     lambda + r <= (4 eps(dtype) + n eps(float64)) lambda_max, or <= -lambda_min if that is larger.
 * They come first, and are counted (and said in a warning). dtype: in which entries were computed.
 * NTK_ENUMERIC if K is not positive semidefinite: lambda_min is below -10 times the first bound. */
NTK_API NTK_NODISCARD ntk_status ntk_spectral_decompose(ntk_ctx *ctx, int64_t n, ntk_dtype dtype,
                                                        double ridge, double *k, double *weights,
                                                        int64_t *null_directions);
/* A diag_reg, of one digit, with which a matrix with such eigenvalues and mean diagonal, trace(K)/n, can be
 * solved: 1e-8 (entries in float32: 1e-4) of the mean diagonal or, if that is larger, 3 times the bound above.
 * 0 if there is none. */
NTK_API double ntk_ridge_for(int64_t n, ntk_dtype dtype, double lambda_min, double lambda_max,
                             double mean_diagonal, int absolute);
/* Along an eigenvector of weight w, at time t >= 0 (INFINITY allowed):
 *   NTK_LEARNED  1 - e^{-w t}
 *   NTK_GAIN     (1 - e^{-w t}) / w; 0 for w = 0, as nothing of a null direction reaches test samples
 *   NTK_LEFT     e^{-w t} */
typedef enum ntk_spectral_form { NTK_LEARNED, NTK_GAIN, NTK_LEFT } ntk_spectral_form;
NTK_API double ntk_spectral(ntk_spectral_form form, double weight, double t);

/* ----------------------------------------------------------------------- finite networks */

/* A finite network: a net for samples of one shape with its parameters, theta. Widths are those of
 * the text. What is computed, and arrays of outputs, tangents and kernels, are of its dtype. */
typedef struct ntk_params ntk_params;

/* Draws parameters: standard normal ('ntk' parameterization), or with the layer's deviations
 * ('standard'). Counter-based (Philox4x32-10, Salmon et al. 2011): a seed gives the same numbers, to
 * rounding, for either dtype and any number of threads. The net may be freed afterwards. NTK_ENOTSUP
 * names a layer that has no finite form. */
NTK_API NTK_NODISCARD ntk_status ntk_params_new(ntk_ctx *ctx, const ntk_net *net, ntk_shape shape,
                                                ntk_dtype dtype, uint64_t seed,
                                                ntk_params **params);
NTK_API NTK_NODISCARD ntk_status ntk_params_copy(const ntk_params *params, ntk_params **copy);
NTK_API void ntk_params_free(ntk_params *params);

NTK_API int64_t ntk_params_count(const ntk_params *params);   /* numbers in theta */
NTK_API int64_t ntk_params_outputs(const ntk_params *params); /* numbers of an output */
NTK_API ntk_shape ntk_params_shape(const ntk_params *params); /* of a sample */
NTK_API ntk_dtype ntk_params_dtype(const ntk_params *params);
NTK_API const ntk_net *ntk_params_net(const ntk_params *params); /* it belongs to the parameters */
/* theta, [count] of dtype, which may be written to. */
NTK_API void *ntk_params_theta(ntk_params *params);

/* One array of theta: theta[offset ... offset + size - 1], row-major. */
typedef struct ntk_param_array {
    char name[64]; /* "00_Dense/W": the place among layers with parameters, the layer, W or b */
    int ndim;      /* W of Dense: [in][out], of Conv: [h][w][in][out] ([w][in][out] for sequences); b: [out] */
    int64_t shape[4];
    int64_t offset, size;
    int trainable; /* 0: trainable=False: it stays as it is and adds nothing to tangent kernels */
} ntk_param_array;
NTK_API size_t ntk_params_arrays(const ntk_params *params, const ntk_param_array **arrays);

/* The arrays of one layer: their numbers among those of ntk_params_arrays, -1 for one that such a layer can have
 * and this one has not (b with b_std=None). */
typedef struct ntk_param_layer {
    int n; /* 0: no parameters */
    const int *arrays;
} ntk_param_layer;
/* All layers and activations, and FanOut, in the order of the net's text; those of a repeat as often as it says. */
NTK_API size_t ntk_params_layers(const ntk_params *params, const ntk_param_layer **layers);

/* As ntk_model_set_schema; copies of the parameters have it too. */
NTK_API void ntk_params_set_schema(ntk_params *params, ntk_schema *schema);
NTK_API const ntk_schema *ntk_params_schema(const ntk_params *params);
/* How the samples that the parameters were trained on were standardised (copied), which is how others must be, too:
 * it is kept in copies and files, not applied. NTK_STD_NONE says that they were not; NULL (the default): it is not
 * known. */
NTK_API NTK_NODISCARD ntk_status ntk_params_set_scaler(ntk_params *params, const ntk_scaler *scaler);
NTK_API const ntk_scaler *ntk_params_scaler(const ntk_params *params); /* it belongs to the parameters */

/* The outputs and all derivatives are those of s f; default 1. s > 0. */
NTK_API NTK_NODISCARD ntk_status ntk_params_set_multiplier(ntk_params *params, double s);
NTK_API double ntk_params_multiplier(const ntk_params *params);

/* HDF5: one group a layer with datasets W and b; attributes format, net, input_shape, dtype, multiplier, seed; scaler
 * and schema. NTK_ENUMERIC, and no file, if some parameter is not finite. Loading warns of a file of training from
 * before scalers were kept. */
NTK_API NTK_NODISCARD ntk_status ntk_params_save(const ntk_params *params, const char *path);
NTK_API NTK_NODISCARD ntk_status ntk_params_load(ntk_ctx *ctx, const char *path, ntk_params **params);

/* f(x), [n][outputs]. Samples may be of either dtype. NTK_ENUMERIC if some output is not finite. */
NTK_API NTK_NODISCARD ntk_status ntk_params_apply(const ntk_params *params, const ntk_data *x, void *f);
/* What every step of the network makes of the samples (Dense, Conv, activations, pools, LayerNorm, joins,
 * in order): value k is [n][sizes[k]] into f[k]. f NULL: only n_values and sizes (NULL: not wanted). */
NTK_API NTK_NODISCARD ntk_status ntk_params_values(const ntk_params *params, const ntk_data *x,
                                                   size_t *n_values, int64_t *sizes, void *const *f);
/* df(x) = (df/dtheta) tangent, [n][outputs], for tangent [count]; f [n][outputs], NULL: not wanted. */
NTK_API NTK_NODISCARD ntk_status ntk_params_jvp(const ntk_params *params, const ntk_data *x,
                                                const void *tangent, void *f, void *df);
/* sum over samples of cotangent (df/dtheta), [count], for cotangent [n][outputs]. */
NTK_API NTK_NODISCARD ntk_status ntk_params_vjp(const ntk_params *params, const ntk_data *x,
                                                const void *cotangent, void *gradient);
/* The network linearised at its theta: f(x) + (df/dtheta) (theta - own theta) (Lee et al. 2019, eq.
 * 5). */
NTK_API NTK_NODISCARD ntk_status ntk_params_linearized(const ntk_params *params, const ntk_data *x,
                                                       const void *theta, void *f);

/* Which outputs' kernels: mean over equal outputs, [n1][n2] (what converges to the infinite one);
 * equal outputs, [n1][n2][outputs]; all, [n1][n2][outputs][outputs]. */
typedef enum ntk_form { NTK_TRACE, NTK_DIAGONAL, NTK_FULL } ntk_form;

/* Empirical kernel between x1 and x2 (NULL: x1 with itself). which: NTK_NTK: the tangent kernel
 * df/dtheta(x1) df/dtheta(x2)'; NTK_NNGP: f(x1) f(x2)'. NTK_ENUMERIC if
 * some entry is not finite. */
NTK_API NTK_NODISCARD ntk_status ntk_params_kernel(const ntk_params *params, unsigned which,
                                                   ntk_form form, const ntk_data *x1,
                                                   const ntk_data *x2, void *k);
/* Theta(x1, x2) v without the matrix: v [n2][outputs] to [n1][outputs]. x2 NULL: x1. */
NTK_API NTK_NODISCARD ntk_status ntk_params_ntk_product(const ntk_params *params, const ntk_data *x1,
                                                        const ntk_data *x2, const void *v, void *out);
/* Largest eigenvalue of Theta(x, x), over samples and outputs, by Lanczos with ntk_params_ntk_product:
 * to 1e-3 relative or better. */
NTK_API NTK_NODISCARD ntk_status ntk_params_lambda_max(const ntk_params *params, const ntk_data *x,
                                                       double *lambda);

/* The seed of one of the networks of a seed, numbered from 0: different seeds have no network in
 * common. */
NTK_API uint64_t ntk_network_seed(uint64_t seed, uint64_t network);
/* Mean over networks first ... first + n_nets - 1 of a seed (ntk_network_seed) of the empirical kernel's
 * trace, and its standard error (NULL: not wanted), [n1][n2] each. first >= 0, n_nets >= 1 (>= 2 for
 * errors). Estimates of different seeds are independent. */
NTK_API NTK_NODISCARD ntk_status ntk_monte_carlo(ntk_ctx *ctx, const ntk_net *net, unsigned which,
                                                 const ntk_data *x1, const ntk_data *x2,
                                                 ntk_dtype dtype, int64_t first, int64_t n_nets,
                                                 uint64_t seed, double *mean, double *error);

/* How a finite network is trained. ntk_train_opts_init fills in the defaults. */
typedef struct ntk_train_opts {
    size_t size;          /* of the struct: ntk_train_opts_init */
    ntk_loss loss;        /* default NTK_LOSS_MSE */
    int mean_loss;        /* as in ntk_flow_opts; default 0. A minibatch's loss is scaled by n / batch
                           * if the loss is a sum */
    double learning_rate; /* > 0; 0 (default): `fraction` of the largest stable one at the start */
    double fraction;      /* of (1 + momentum) 2 / (lambda_max h), h = 1 (MSE) or 1/2 (XENT); default 0.5.
                           * Of batches, of 2 / h / (lambda_max / (1 + momentum) + (lambda_batch -
                           * lambda_max) / (1 - momentum)), lambda_batch the largest of up to 8 batches, each
                           * in proportion n / batch */
    double momentum;      /* heavy ball, v = momentum v + gradient, theta -= learning_rate v; default 0 */
    int64_t batch;        /* samples of a step, drawn without replacement in every epoch; 0 (default): all */
    uint64_t seed;        /* of the batches */
} ntk_train_opts;
NTK_API void ntk_train_opts_init_sized(ntk_train_opts *opts, size_t size);
static inline void ntk_train_opts_init(ntk_train_opts *opts) { ntk_train_opts_init_sized(opts, sizeof *opts); }

/* A run of gradient descent on params, which it changes, as it needs x; both must outlive it. y is
 * [n][outputs], copied. */
typedef struct ntk_train ntk_train;
NTK_API NTK_NODISCARD ntk_status ntk_train_new(ntk_params *params, const ntk_data *x, const double *y,
                                               const ntk_train_opts *opts, ntk_train **train);
NTK_API void ntk_train_free(ntk_train *train);
/* Does that many steps. NTK_ENUMERIC, naming the step and the loss, if the loss is not finite or above
 * 1e6 times the first and that of outputs 0; theta is then that of this step. loss: mean over these steps of the loss before
 * each of them (NULL: not wanted). */
NTK_API NTK_NODISCARD ntk_status ntk_train_run(ntk_train *train, int64_t steps, double *loss);
NTK_API int64_t ntk_train_step(const ntk_train *train); /* steps done */
NTK_API double ntk_train_learning_rate(const ntk_train *train);
/* Checkpoints: parameters, momentum and step. After loading, into a run of the same net, data, dtype, multiplier
 * and options (else NTK_EINVAL), steps give bitwise what they would have given. Numbers that are not finite
 * are never saved (NTK_ENUMERIC). */
NTK_API NTK_NODISCARD ntk_status ntk_train_save(const ntk_train *train, const char *path);
NTK_API NTK_NODISCARD ntk_status ntk_train_load(ntk_train *train, const char *path);

/* ------------------------------------------------------------------------------ random features */

/* Random features Phi of a fully connected net's kernel: Phi(x) . Phi(z) is K(x, z), on average over seeds, and off by
 * some 1 / sqrt(count) of sqrt(K(x, x) K(z, z)). Their cost is linear in the number of samples: docs/howto/features.md.
 * Simon et al. 2021 (arXiv 2106.03186), Yu et al. 2016 (1610.09072). */
typedef struct ntk_feature_map ntk_feature_map;

/* count features of float32, 1 to 10^6 (thousands are of use), of the NNGP or the NTK (which), for samples like those of `like`: vectors of as
 * many numbers. Where the net is not homogeneous (as ReLU nets without biases are), mean squares of samples, x . x / c, must
 * be from 1/100 of the least to 100 times the largest of these, or 0. A seed and a `like` of the same least and largest give
 * the same features, bit by bit for any number of threads. net and like may be freed afterwards. NTK_ENOTSUP names a layer
 * of which there are none: Conv, pools, Dropout; NTK_ENUMERIC: samples or weights are so large that the expansion fails. */
NTK_API NTK_NODISCARD ntk_status ntk_feature_map_new(ntk_ctx *ctx, const ntk_net *net, unsigned which,
                                                     const ntk_data *like, int64_t count, uint64_t seed,
                                                     ntk_feature_map **map);
NTK_API void ntk_feature_map_free(ntk_feature_map *map);
NTK_API int64_t ntk_feature_map_count(const ntk_feature_map *map);
/* phi [n][count]. A sample's features do not depend on the others. NTK_EINVAL names one whose mean square is out of range. */
NTK_API NTK_NODISCARD ntk_status ntk_feature_map_apply(const ntk_feature_map *map, const ntk_data *x, float *phi);
/* The same to a file .npy, which memory need not hold. */
NTK_API NTK_NODISCARD ntk_status ntk_feature_map_write(const ntk_feature_map *map, const ntk_data *x,
                                                       const char *path);
/* Compares with the exact kernel on `rows` samples (or all, if x has no more), drawn by the seed: *frobenius =
 * |Phi Phi' - K|_F / |K|_F; *largest, of |Phi Phi' - K|_ij / sqrt(K_ii K_jj) (either NULL: not wanted). */
NTK_API NTK_NODISCARD ntk_status ntk_feature_map_error(const ntk_feature_map *map, const ntk_data *x, int64_t rows,
                                                       double *frobenius, double *largest);

/* Ridge regression on features, by normal equations that are added up in float64, batch by batch: 4 to 8 count^2 bytes,
 * whatever the number of samples. It is kernel ridge regression with Phi Phi' for K. The map must outlive it. */
typedef struct ntk_feature_ridge ntk_feature_ridge;

/* hold_out: 1: one of every ten samples, by a hash of their number, is kept apart, to choose a ridge; twice the memory. */
NTK_API NTK_NODISCARD ntk_status ntk_feature_ridge_new(const ntk_feature_map *map, int64_t outputs, int hold_out,
                                                       ntk_feature_ridge **ridge);
NTK_API void ntk_feature_ridge_free(ntk_feature_ridge *ridge);
/* Samples and their targets y [n][outputs]. Batches of any sizes give, bit by bit, what one gives, unless there is a
 * solution between them (then to rounding). If it fails, or is cancelled, the first samples of x may have been added:
 * ntk_feature_ridge_n says how many there are. */
NTK_API NTK_NODISCARD ntk_status ntk_feature_ridge_add(ntk_feature_ridge *ridge, const ntk_data *x, const double *y);
NTK_API int64_t ntk_feature_ridge_n(const ntk_feature_ridge *ridge);
/* Coefficients, [count][outputs], of f(x) = Phi(x) coef, of all samples, held out or not. diag_reg >= 0 is times the mean of
 * |Phi(x)|^2, or absolute, as in ntk_fit_opts; NTK_DIAG_REG_AUTO (relative, with hold_out): that of ntk_ridge_grid with the
 * least squared error on the samples held out, of equal ones the largest. *used: which it is (NULL: not wanted).
 * NTK_ENUMERIC if the matrix is not positive definite. */
NTK_API NTK_NODISCARD ntk_status ntk_feature_ridge_solve(ntk_feature_ridge *ridge, double diag_reg, int absolute,
                                                         double *coef, double *used);
/* Mean squared error, over samples held out and outputs, of the fit to the others with each of n ridges. */
NTK_API NTK_NODISCARD ntk_status ntk_feature_ridge_hold_out(ntk_feature_ridge *ridge, size_t n, const double *diag_reg,
                                                            int absolute, double *mse);
/* f(x) = Phi(x) coef, [n][outputs], of coef [count][outputs]. */
NTK_API NTK_NODISCARD ntk_status ntk_feature_map_predict(const ntk_feature_map *map, const ntk_data *x, int64_t outputs,
                                                         const double *coef, double *f);

#ifdef __cplusplus
}
#endif
#endif /* NTK_H */
