/* SPDX-License-Identifier: MIT
 *
 * registry.c - the table of all layers.
 */
#include "layers/layer.h"

#define LAYER(name) extern const struct ntk_layer ntk_layer_##name;
#include "layers/layers.def"
#undef LAYER

const struct ntk_layer *const ntk_layers[] = {
#define LAYER(name) &ntk_layer_##name,
#include "layers/layers.def"
#undef LAYER
};

const size_t ntk_n_layers = sizeof ntk_layers / sizeof *ntk_layers;
