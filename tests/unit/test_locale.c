/* SPDX-License-Identifier: MIT
 *
 * Numbers have a decimal point in a locale that has a comma.
 */
#include <locale.h>
#include <stdio.h>
#include <unistd.h>

#include "context.h"

static char folder[] = "/tmp/ntk-locale-XXXXXX";

static const char *in_folder(const char *name)
{
    static char paths[4][100];
    static int next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static bool has_comma(void)
{
    return strcmp(localeconv()->decimal_point, ",") == 0;
}

/* A locale of its own, as the system may have none but C. */
static void make_comma(void)
{
    char command[300];

    write_text(in_folder("source"),
               "LC_NUMERIC\ndecimal_point \"<U002C>\"\nthousands_sep \"\"\ngrouping -1\nEND LC_NUMERIC\n");
    snprintf(command, sizeof command, "localedef -c -i %s/source %s/comma >/dev/null 2>&1", folder, folder);
    (void)!system(command); /* it complains of all that the locale lacks */
    setenv("LOCPATH", folder, 1);
    setlocale(LC_NUMERIC, "comma");
}

static int begin(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") || !has_comma())
        make_comma();
    return setup(state);
}

static int end(void **state)
{
    char command[100];

    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) == 0 ? teardown(state) : -1;
}

static void tables(void **state)
{
    const double x[] = {0.5, -1.25e-300, 3};
    const ntk_column column = {.name = "y", .x = x, .stride = 1};
    const char *path = in_folder("a.csv"), *const *names;
    char text[100] = "";
    ntk_data *data;
    ntk_schema *schema;
    size_t n;
    int64_t unseen = -1;
    FILE *f;

    (void)state;
    if (!has_comma())
        skip();
    assert_ok(ctx, ntk_csv_write(ctx, path, &column, 1, 3));
    f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    assert_string_equal(text, "y\n0.5\n-1.25e-300\n3\n");
    write_text(path, "1,0.5\n2,1.5\n");
    assert_ok(ctx, ntk_data_load(ctx, path, NULL, &data));
    assert_near(ntk_data_y(data, NULL)[1], 1.5, 0, 1);
    assert_ok(ctx, ntk_schema_new(data, NTK_ONEHOT, &schema));
    names = ntk_schema_classes(schema, &n, NULL);
    assert_int_equal(n, 2);
    assert_string_equal(names[0], "0.5");
    ntk_data_free(data);
    write_text(path, "1,red\n2,blue\n3,1.50\n"); /* numbers among words are numbers */
    assert_ok(ctx, ntk_data_load(ctx, path, NULL, &data));
    assert_ok(ctx, ntk_schema_number(schema, data, &unseen));
    assert_int_equal(unseen, 2);
    assert_near(ntk_data_y(data, NULL)[2], 1, 0, 1);
    ntk_data_free(data);
    ntk_schema_free(schema);
    assert_true(has_comma()); /* it is the caller's all the same */
}

static void nets_and_messages(void **state)
{
    const double matrix[] = {1, 1, 1, 1};
    const double y[] = {1, 2};
    char *text;
    ntk_net *net;
    ntk_data *data;
    ntk_model *model;
    ntk_fit_opts o;

    (void)state;
    if (!has_comma())
        skip();
    assert_ok(ctx, ntk_net_parse(ctx, "serial(Dense(8, W_std=1.5), Relu(), Dense(1))", &net));
    assert_ok(ctx, ntk_net_print(net, &text));
    assert_non_null(strstr(text, "W_std=1.5"));
    ntk_text_free(text);
    assert_fails(ctx, NTK_EPARSE, "got -1.5", ntk_net_parse(ctx, "Dense(8, W_std=-1.5)", &(ntk_net *){NULL}));
    assert_ok(ctx, ntk_data_view(ctx, matrix, NTK_F64, 2, (ntk_shape){0, 1, 1, 2}, &data));
    ntk_fit_opts_init(&o);
    o.diag_reg = -0.5;
    assert_fails(ctx, NTK_EINVAL, "got -0.5", ntk_model_fit(ctx, net, data, y, 1, &o, &model));
    ntk_ctx_set_memory(ctx, 1 << 20);
    assert_fails(ctx, NTK_ENOMEM, "2.50 MiB", ntk_ctx_check_memory(ctx, 5 << 19, "a test"));
    ntk_ctx_set_memory(ctx, 0);
    ntk_data_free(data);
    ntk_net_free(net);
}

/* A checkpoint that was written in another locale. */
static void checkpoints(void **state)
{
    const double x[] = {1, 2, 3, 4}, y[] = {1, 2};
    const char *path = in_folder("c.h5");
    ntk_train_opts o;
    ntk_net *net;
    ntk_data *data;
    ntk_params *params;
    ntk_train *train;
    char comma[40];

    (void)state;
    snprintf(comma, sizeof comma, "%s", setlocale(LC_NUMERIC, NULL));
    if (!has_comma() || !strstr(ntk_features(), "hdf5"))
        skip();
    ntk_train_opts_init(&o);
    o.learning_rate = 0.125;
    assert_ok(ctx, ntk_net_parse(ctx, "Dense(1)", &net));
    assert_ok(ctx, ntk_data_view(ctx, x, NTK_F64, 2, (ntk_shape){0, 1, 1, 2}, &data));
    assert_ok(ctx, ntk_params_new(ctx, net, (ntk_shape){0, 1, 1, 2}, NTK_F64, 1, &params));
    assert_ok(ctx, ntk_train_new(params, data, y, &o, &train));
    assert_ok(ctx, ntk_train_save(train, path));
    setlocale(LC_NUMERIC, "C");
    assert_ok(ctx, ntk_train_load(train, path));
    assert_non_null(setlocale(LC_NUMERIC, comma));
    ntk_train_free(train);
    ntk_params_free(params);
    ntk_data_free(data);
    ntk_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables),
        cmocka_unit_test(nets_and_messages),
        cmocka_unit_test(checkpoints),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
