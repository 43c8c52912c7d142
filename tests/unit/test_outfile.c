/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "base/outfile.h"
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

/* Every test has an empty folder, and sees at its end that nothing else is left there. */
static char folder[] = "/tmp/ntk-test-XXXXXX";

static const char *in_folder(const char *name)
{
    static char paths[16][400];
    static int next;
    char *path = paths[next++ % 16];

    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void put(const char *path, const char *text)
{
    struct ntk_outfile out;

    assert_int_equal(ntk_outfile_open(path, &out), 0);
    fputs(text, out.f);
    assert_int_equal(ntk_outfile_commit(&out), 0);
}

static void assert_holds(const char *path, const char *text)
{
    char got[100] = "";
    FILE *f = fopen(path, "rb");

    assert_non_null(f);
    got[fread(got, 1, sizeof got - 1, f)] = '\0';
    fclose(f);
    assert_string_equal(got, text);
}

static int entries(void)
{
    DIR *d = opendir(folder);
    int n = -2;

    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void files_appear_whole(void **state)
{
    const char *path = in_folder("file");
    struct ntk_outfile out;

    (void)state;
    assert_int_equal(ntk_outfile_open(path, &out), 0);
    fputs("hello", out.f);
    fflush(out.f);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(ntk_outfile_commit(&out), 0);
    assert_holds(path, "hello");

    assert_int_equal(ntk_outfile_open(path, &out), 0);
    fputs("other", out.f);
    ntk_outfile_abort(&out);
    assert_holds(path, "hello");
    put(path, "replaced");
    assert_holds(path, "replaced");
    assert_int_equal(entries(), 1);
}

static void what_cannot_be_written_is_an_error(void **state)
{
    struct ntk_outfile out;
    char name[300];

    (void)state;
    memset(name, 'n', sizeof name);
    name[256] = '\0';
    assert_int_equal(ntk_outfile_open(in_folder(name), &out), ENAMETOOLONG);
    assert_int_equal(ntk_outfile_check(in_folder(name)), ENAMETOOLONG);
    name[255] = '\0';
    assert_int_equal(ntk_outfile_check(in_folder(name)), 0);
    put(in_folder(name), "a name of 255 bytes");
    assert_int_equal(ntk_outfile_open(folder, &out), EISDIR);
    assert_int_equal(ntk_outfile_check(folder), EISDIR);
    assert_int_equal(ntk_outfile_open(in_folder("file/"), &out), ENOENT);
    assert_int_equal(ntk_outfile_open(in_folder("no/file"), &out), ENOENT);
    assert_int_equal(ntk_outfile_open("", &out), ENOENT);
    put(in_folder("file"), "x");
    assert_int_equal(ntk_outfile_open(in_folder("file/x"), &out), ENOTDIR);
    assert_int_equal(entries(), 2);
}

static void a_file_keeps_its_mode(void **state)
{
    const char *path = in_folder("file");
    const mode_t mask = umask(027);
    struct stat file;

    (void)state;
    put(path, "new");
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0640);
    assert_int_equal(chmod(path, 0602), 0);
    put(path, "newer");
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0602);
    umask(mask);
    if (geteuid() != 0) {
        struct ntk_outfile out;

        assert_int_equal(chmod(path, 0400), 0);
        assert_int_equal(ntk_outfile_open(path, &out), EACCES); /* it is to stay as it is */
        assert_int_equal(ntk_outfile_check(path), EACCES);
    }
}

enum { USER = 4321, OWN_GROUP, SHARED_GROUP };

/* A file of root and the shared group is replaced by a user. false: the system has no such users. */
static bool replace_as_user(const char *path, bool is_in_group, mode_t mode, struct stat *file)
{
    const gid_t groups[] = {SHARED_GROUP};
    int status = 0;
    pid_t pid;

    put(path, "old");
    if (chown(path, 0, SHARED_GROUP) != 0)
        return false;
    assert_int_equal(chmod(path, mode), 0);
    pid = fork();
    if (pid == 0) {
        if (setgroups(is_in_group ? 1 : 0, groups) != 0 || setgid(OWN_GROUP) != 0 || setuid(USER) != 0)
            _exit(1);
        put(path, "new");
        _exit(0);
    }
    assert_true(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    if (WEXITSTATUS(status) != 0)
        return false;
    assert_holds(path, "new");
    assert_int_equal(stat(path, file), 0);
    assert_int_equal(file->st_uid, USER);
    assert_int_equal(unlink(path), 0);
    return true;
}

/* Who may not give files away keeps the group if it is one of his; else nobody may do more than before. */
static void a_file_keeps_its_group(void **state)
{
    const struct {
        bool is_in_group;
        mode_t mode, then;
    } cases[] = {{true, 0660, 0660},   {true, 06664, 02664},  {false, 0666, 0666},
                 {false, 0646, 0644},  {false, 06606, 0600}, {false, 0626, 0622}};
    const char *path = in_folder("file");
    struct stat file;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(folder, 0777), 0);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        if (!replace_as_user(path, cases[k].is_in_group, cases[k].mode, &file))
            skip();
        assert_int_equal(file.st_gid, cases[k].is_in_group ? SHARED_GROUP : OWN_GROUP);
        assert_int_equal(file.st_mode & 07777, cases[k].then);
    }
}

static void links_are_followed(void **state)
{
    struct stat file;
    struct ntk_outfile out;

    (void)state;
    assert_int_equal(mkdir(in_folder("sub"), 0700), 0);
    assert_int_equal(symlink("sub/target", in_folder("link")), 0);
    assert_int_equal(symlink(in_folder("link"), in_folder("second")), 0);
    put(in_folder("link"), "through a link to nothing");
    put(in_folder("second"), "through two");
    assert_int_equal(lstat(in_folder("link"), &file), 0);
    assert_true(S_ISLNK(file.st_mode));
    assert_int_equal(lstat(in_folder("sub/target"), &file), 0);
    assert_true(S_ISREG(file.st_mode));
    assert_holds(in_folder("sub/target"), "through two");
    assert_int_equal(symlink("loop", in_folder("loop")), 0);
    assert_int_equal(ntk_outfile_open(in_folder("loop"), &out), ELOOP);
    assert_int_equal(unlink(in_folder("sub/target")), 0);
    assert_int_equal(rmdir(in_folder("sub")), 0);
}

static void devices_and_pipes_are_written_in_place(void **state)
{
    const char *pipe_path = in_folder("pipe");
    char path[64], got[20] = "";
    struct ntk_outfile out;
    struct stat file;
    int fd;

    (void)state;
    put("/dev/null", "nothing");
    assert_int_equal(stat("/dev/null", &file), 0);
    assert_true(S_ISCHR(file.st_mode));
    if (access("/dev/full", W_OK) == 0) {
        assert_int_equal(ntk_outfile_open("/dev/full", &out), 0);
        fputs("nothing", out.f);
        assert_int_equal(ntk_outfile_commit(&out), ENOSPC);
        assert_int_equal(ntk_outfile_append("/dev/full", 0, &out), 0);
        fputs("nothing", out.f);
        assert_int_equal(ntk_outfile_flush(&out, false), ENOSPC);
        ntk_outfile_abort(&out);
    }
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    assert_int_equal(ntk_outfile_check(pipe_path), 0);
    fd = open(pipe_path, O_RDONLY | O_NONBLOCK);
    put(pipe_path, "hello");
    assert_int_equal(read(fd, got, sizeof got), 5);
    assert_string_equal(got, "hello");
    close(fd);

    /* What /dev/stdout is a name for: a descriptor, here of a file that has another name as well.
     */
    fd = open(in_folder("file"), O_RDWR | O_CREAT, 0600);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    put(path, "hello");
    assert_int_equal(pread(fd, got, sizeof got, 0), 5);
    close(fd);
    assert_int_equal(entries(), 2);
}

static void files_are_written_on(void **state)
{
    const char *path = in_folder("log");
    struct ntk_outfile out;

    (void)state;
    assert_int_equal(ntk_outfile_append(path, 0, &out), 0);
    fputs("one\ntwo\n", out.f);
    assert_int_equal(ntk_outfile_flush(&out, true), 0);
    assert_holds(path, "one\ntwo\n");
    assert_int_equal(ntk_outfile_commit(&out), 0);
    assert_int_equal(ntk_outfile_append(path, 4, &out), 0);
    fputs("three\n", out.f);
    assert_int_equal(ntk_outfile_commit(&out), 0);
    assert_holds(path, "one\nthree\n");
}

/* Past 4 GiB, in a file with holes; and zeros after its end. */
static void offsets_are_64_bits_wide(void **state)
{
    const int64_t far = ((int64_t)5 << 30) + 1;
    char got[8] = "xxxxxxx";
    struct ntk_outfile out;

    (void)state;
    assert_int_equal(ntk_outfile_open(in_folder("file"), &out), 0);
    ntk_outfile_write_at(&out, "far", 3, far);
    ntk_outfile_read_at(&out, got, 4, far);
    assert_memory_equal(got, "far\0", 4);
    ntk_outfile_truncate(&out, far + 1);
    ntk_outfile_read_at(&out, got, 2, far);
    assert_memory_equal(got, "f\0", 2);
    ntk_outfile_abort(&out);
    assert_int_equal(entries(), 0);
}

/* What a killed process has left, and what a process that runs still writes. Only the next file
 * that gets a temporary name removes something. */
static void leftovers_are_removed_unless_locked(void **state)
{
    const char *left = in_folder(".ntk-0123456789abcdef"),
               *used = in_folder(".ntk-00000000000000ff");
    const char *user = in_folder(".ntk-notes");
    const int fd = open(used, O_RDWR | O_CREAT, 0600);

    (void)state;
    assert_int_equal(flock(fd, LOCK_EX), 0);
    close(open(left, O_RDWR | O_CREAT, 0600));
    close(open(user, O_RDWR | O_CREAT, 0600));
    put(in_folder("file"), "old");
    put(in_folder("file"), "new");
    assert_int_equal(access(left, F_OK), -1);
    assert_int_equal(access(used, F_OK), 0);
    assert_int_equal(access(user, F_OK), 0);
    close(fd);
    put(in_folder("file"), "newer");
    assert_int_equal(access(used, F_OK), -1);
    assert_int_equal(entries(), 2);
}

/* The first error stays, and nothing is put in place. */
static void the_first_error_counts(void **state)
{
    struct ntk_outfile out;

    (void)state;
    put(in_folder("file"), "old");
    assert_int_equal(ntk_outfile_open(in_folder("file"), &out), 0);
    fputs("new", out.f);
    ntk_outfile_fail(&out, EDQUOT);
    ntk_outfile_fail(&out, EIO);
    ntk_outfile_write_at(&out, "new", 3, 0);
    assert_int_equal(ntk_outfile_commit(&out), EDQUOT);
    assert_holds(in_folder("file"), "old");
    assert_int_equal(entries(), 1);
}

static int setup(void **state)
{
    (void)state;
    strcpy(strrchr(folder, '-'), "-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
    DIR *d = opendir(folder);

    (void)state;
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    return rmdir(folder);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(files_appear_whole),
        TEST(what_cannot_be_written_is_an_error),
        TEST(a_file_keeps_its_mode),
        TEST(a_file_keeps_its_group),
        TEST(links_are_followed),
        TEST(devices_and_pipes_are_written_in_place),
        TEST(files_are_written_on),
        TEST(offsets_are_64_bits_wide),
        TEST(leftovers_are_removed_unless_locked),
        TEST(the_first_error_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
