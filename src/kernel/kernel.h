/* SPDX-License-Identifier: MIT
 *
 * kernel.h - kernels for those who hold more than their entries.
 */
#ifndef NTK_KERNEL_H
#define NTK_KERNEL_H

#include "ntk.h"

/* ntk_kernel_stream for `what`, which holds so many bytes more: they count in the check of memory. */
ntk_status ntk_kernel_stream_for(const ntk_kernel *kernel, const ntk_data *x1, const ntk_data *x2,
                                 size_t held, const char *what, ntk_sink_fn *sink, void *user);
/* ntk_kernel_compute; the entries are among what is held. */
ntk_status ntk_kernel_compute_for(const ntk_kernel *kernel, const ntk_data *x1, const ntk_data *x2,
                                  size_t held, const char *what, void *const *out);
/* The same for x1 and samples that are prepared, and hold what they hold already. */
ntk_status ntk_kernel_compute_with(const ntk_kernel *kernel, const ntk_data *x1, ntk_samples *x2, size_t held,
                                   const char *what, void *const *out);
/* NTK_ESHAPE if samples, called `name`, are not of the shape that the kernel was made for. */
ntk_status ntk_kernel_check_shape(const ntk_kernel *kernel, const char *name, const ntk_data *x);
/* ntk_kernel_bytes without the entries. */
ntk_status ntk_kernel_scratch(const ntk_kernel *kernel, const ntk_data *x1, const ntk_data *x2,
                              size_t *bytes);
/* The same of n samples like those of x with themselves. */
ntk_status ntk_kernel_scratch_like(const ntk_kernel *kernel, const ntk_data *x, int64_t n, size_t *bytes);

#endif
