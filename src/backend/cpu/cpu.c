/* SPDX-License-Identifier: MIT
 *
 * cpu.c - see cpu.h.
 */
#include "backend/cpu/cpu.h"

const struct ntk_backend ntk_backend_cpu = {.name = "cpu",
                                            .summary = "this machine's processors",
                                            .compile = ntk_cpu_compile,
                                            .run = ntk_cpu_run,
                                            .own = ntk_cpu_own,
                                            .bytes = ntk_cpu_bytes,
                                            .panel = ntk_cpu_panel,
                                            .units = ntk_cpu_units,
                                            .close = ntk_cpu_close};
