/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which files are read, in which order, and what cannot be read. Everything below a folder of its
 * own in place of "/". */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "kernel/config-file.h"
#include "tests/config-equal.h"

static char root[] = "/tmp/test-config-file-XXXXXX";

static const char *below(const char *path)
{
        static char buf[4096];

        snprintf(buf, sizeof(buf), "%s%s", root, path);
        return buf;
}

/* Makes the folders on the way as well. */
static void make_folders(const char *path)
{
        char buf[4096];

        snprintf(buf, sizeof(buf), "%s", below(path));
        for (char *p = buf + strlen(root) + 1; (p = strchr(p, '/')); p++) {
                *p = 0;
                assert_true(mkdir(buf, 0755) == 0 || errno == EEXIST);
                *p = '/';
        }
}

static void put_size(const char *path, const char *text, size_t size)
{
        FILE *f;

        make_folders(path);
        f = fopen(below(path), "we");
        assert_non_null(f);
        assert_int_equal(fwrite(text, 1, size, f), size);
        assert_int_equal(fclose(f), 0);
}

static void put(const char *path, const char *text)
{
        put_size(path, text, strlen(text));
}

static Config *load(const char *main)
{
        ConfigPaths paths = { .main = main, .root = root };
        Config *c;

        assert_int_equal(config_load(&paths, &c), 0);
        return c;
}

static int setup(void **state)
{
        strcpy(root + strlen(root) - 6, "XXXXXX");
        return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
        char command[128];

        snprintf(command, sizeof(command), "rm -rf %s", root);
        return system(command);
}

static void test_nothing_there(void **state)
{
        _cleanup_(config_freep) Config *c = load(NULL), *none = NULL;
        ConfigPaths paths = { .main = "/etc/none.conf", .root = root };

        assert_int_equal(c->n_errors + c->n_warnings + c->n_reservations, 0);
        assert_int_equal(config_load(&paths, &none), -ENOENT);
        assert_int_equal(config_load_applied(below("/none"), &none), -ENOENT);
}

static void test_main_first_found(void **state)
{
        static const char *const files[] = { "/usr/lib/portreserved.conf",
                                             "/usr/local/lib/portreserved.conf",
                                             "/run/portreserved.conf", "/etc/portreserved.conf" };

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                _cleanup_(config_freep) Config *c = NULL;
                char text[64];

                snprintf(text, sizeof(text), "[r%zu]\nPorts=80\n", i);
                put(files[i], text);
                c = load(NULL);
                assert_int_equal(c->n_errors, 0);
                assert_int_equal(c->n_reservations, 1);
                assert_int_equal(c->reservations[0]->name[1], '0' + (int) i);
                assert_string_equal(c->reservations[0]->file, files[i]);
        }
}

static void test_drop_ins(void **state)
{
        _cleanup_(config_freep) Config *c = NULL;

        put("/etc/portreserved.conf", "[a]\nPorts=1/tcp\n");
        /* Order by name over all folders, not by folder. */
        put("/usr/lib/portreserved.conf.d/90-z.conf", "[a]\nPorts=9/tcp\n");
        put("/etc/portreserved.conf.d/20-b.conf", "[a]\nPorts=2/tcp\n");
        put("/run/portreserved.conf.d/30-c.conf", "[a]\nPorts=3/tcp\n");
        put("/usr/local/lib/portreserved.conf.d/40-d.conf", "[a]\nPorts=4/tcp\n");
        /* The same name: /etc before /run before /usr/local/lib before /usr/lib. */
        put("/usr/lib/portreserved.conf.d/30-c.conf", "[a]\nPorts=99/tcp\n");
        put("/usr/lib/portreserved.conf.d/20-b.conf", "[a]\nPorts=99/tcp\n");
        put("/usr/lib/portreserved.conf.d/40-d.conf", "[a]\nPorts=99/tcp\n");
        /* Masks: empty, and a link to /dev/null. */
        put("/usr/lib/portreserved.conf.d/50-e.conf", "[a]\nPorts=99/tcp\n");
        put("/etc/portreserved.conf.d/50-e.conf", "");
        put("/usr/lib/portreserved.conf.d/60-f.conf", "[a]\nPorts=99/tcp\n");
        assert_int_equal(symlink("/dev/null", below("/etc/portreserved.conf.d/60-f.conf")), 0);
        /* None of ours. */
        put("/etc/portreserved.conf.d/70-g.conf.bak", "[a]\nPorts=99/tcp\n");
        put("/etc/portreserved.conf.d/.hidden.conf", "[a]\nPorts=99/tcp\n");

        c = load(NULL);
        assert_int_equal(c->n_errors, 0);
        assert_int_equal(c->n_reservations, 1);
        assert_int_equal(c->reservations[0]->n_endpoints, 5);
        for (size_t i = 0; i < 5; i++)
                assert_int_equal(c->reservations[0]->endpoints[i].port, i == 4 ? 9 : i + 1);
        assert_string_equal(c->reservations[0]->endpoints[2].file,
                            "/run/portreserved.conf.d/30-c.conf");
        assert_int_equal(c->reservations[0]->endpoints[2].line, 2);
}

static void test_section_does_not_run_into_the_next_file(void **state)
{
        _cleanup_(config_freep) Config *c = NULL;

        put("/etc/portreserved.conf", "[a]\nPorts=1\n");
        put("/etc/portreserved.conf.d/x.conf", "Ports=2\n  3\n");
        put("/etc/portreserved.conf.d/y.conf", "Ports=4\n");
        c = load(NULL);
        assert_int_equal(c->n_errors, 2);
        assert_string_equal(c->errors[0].file, "/etc/portreserved.conf.d/x.conf");
        assert_string_equal(c->errors[1].file, "/etc/portreserved.conf.d/y.conf");
        assert_int_equal(c->reservations[0]->n_endpoints, 2);
}

static void test_config_option(void **state)
{
        _cleanup_(config_freep) Config *c = NULL;

        put("/etc/portreserved.conf", "[no]\nPorts=99\n");
        put("/etc/portreserved.conf.d/a.conf", "[no]\nPorts=98\n");
        put("/x/my.conf", "[a]\nPorts=1\n");
        put("/x/my.conf.d/a.conf", "[b]\nPorts=2\n");
        c = load("/x/my.conf");
        assert_int_equal(c->n_errors, 0);
        assert_int_equal(c->n_reservations, 2);
        assert_non_null(config_find(c, "a"));
        assert_non_null(config_find(c, "b"));
}

static void expect_one_error(const char *message)
{
        _cleanup_(config_freep) Config *c = load(NULL);

        assert_int_equal(c->n_errors, 1);
        assert_int_equal(c->errors[0].line, 0);
        assert_string_equal(c->errors[0].file, "/etc/portreserved.conf.d/bad.conf");
        if (!strstr(c->errors[0].message, message))
                fail_msg("%s", c->errors[0].message);
        assert_non_null(config_find(c, "a")); /* it costs nobody else anything */
}

static void test_what_is_no_file(void **state)
{
        put("/etc/portreserved.conf", "[a]\nPorts=1\n");
        make_folders("/etc/portreserved.conf.d/bad.conf/");
        expect_one_error("a directory");
        assert_int_equal(rmdir(below("/etc/portreserved.conf.d/bad.conf")), 0);

        /* Nobody writes into it: this must not wait. */
        assert_int_equal(mkfifo(below("/etc/portreserved.conf.d/bad.conf"), 0644), 0);
        expect_one_error("no file");
        assert_int_equal(unlink(below("/etc/portreserved.conf.d/bad.conf")), 0);

        assert_int_equal(symlink("/nonexistent/x", below("/etc/portreserved.conf.d/bad.conf")), 0);
        expect_one_error("not there");
        assert_int_equal(unlink(below("/etc/portreserved.conf.d/bad.conf")), 0);

        assert_int_equal(symlink("bad.conf", below("/etc/portreserved.conf.d/bad.conf")), 0);
        expect_one_error("cannot be read");
}

static void test_unreadable(void **state)
{
        put("/etc/portreserved.conf", "[a]\nPorts=1\n");
        put("/etc/portreserved.conf.d/bad.conf", "[b]\nPorts=2\n");
        assert_int_equal(chmod(root, 0755), 0);
        assert_int_equal(chmod(below("/etc/portreserved.conf.d/bad.conf"), 0), 0);
        if (getuid() == 0)
                assert_int_equal(seteuid(65534), 0);
        expect_one_error("cannot be read");
        if (getuid() == 0)
                assert_int_equal(seteuid(0), 0);
}

static void test_size(void **state)
{
        size_t size = (10u << 20) + 1;
        char *text = malloc(size);

        assert_non_null(text);
        for (size_t i = 0; i < size; i++)
                text[i] = "# a comment of 31 characters .\n"[i % 31];
        put("/etc/portreserved.conf", "[a]\nPorts=1\n");
        put_size("/etc/portreserved.conf.d/bad.conf", text, size);
        expect_one_error("larger than 10 MiB");

        put_size("/etc/portreserved.conf.d/bad.conf", text, size - 1);
        {
                _cleanup_(config_freep) Config *c = load(NULL);

                assert_int_equal(c->n_errors, 0);
        }
        memset(text, 0, size);
        put_size("/etc/portreserved.conf.d/bad.conf", text, size - 1);
        {
                _cleanup_(config_freep) Config *c = load(NULL);

                assert_int_equal(c->n_errors, 1);
                assert_int_equal(c->errors[0].line, 1);
        }
        free(text);
}

static void test_name_with_newline(void **state)
{
        _cleanup_(config_freep) Config *c = NULL;
        _cleanup_(freep) char *text = NULL;
        size_t size, lines = 0;
        FILE *f;

        put("/etc/portreserved.conf.d/a\nb\033[31m.conf", "[x]\nPorts=0\n[y\033]\nPorts=1\n");
        c = load(NULL);
        assert_int_equal(c->n_errors, 2);
        f = open_memstream(&text, &size);
        config_print_diagnostics(c, f);
        fclose(f);
        for (const char *p = text; *p; p++) {
                lines += *p == '\n';
                assert_true(*p == '\n' || (unsigned char) *p >= ' ');
        }
        assert_int_equal(lines, 2);
        assert_non_null(strstr(text, "a\\x0ab\\x1b[31m.conf:2: "));
}

static void test_print(void **state)
{
        _cleanup_(config_freep) Config *c = NULL;
        _cleanup_(freep) char *text = NULL;
        size_t size;
        FILE *f;

        put("/etc/portreserved.conf", "[a]\nPorts=1\nHold=x\nExclusive=audit\n");
        c = load(NULL);
        f = open_memstream(&text, &size);
        config_print_diagnostics(c, f);
        fclose(f);
        assert_string_equal(
                text,
                "/etc/portreserved.conf:3: Hold= is \"x\"; write none, shared, bound or listen\n"
                "/etc/portreserved.conf:4: warning: Exclusive= has no effect in this build; it may "
                "stay, or be removed\n");
}

static void test_applied(void **state)
{
        _cleanup_(config_freep) Config *c = NULL, *back = NULL;
        struct stat st;

        put("/etc/portreserved.conf",
            "[a]\nPorts=1-9/tcp "
            "domain\nHold=bound\nPorts=0\n[b]\nListenStream=[::1]:80\nUser=root\nUnit=x.service\n"
            "[Pool p]\nPorts=20000-20099\n");
        put("/etc/portreserved.conf.d/with blank.conf", "[c]\nPorts=77\n");
        c = load(NULL);
        assert_int_equal(c->n_errors, 1);
        assert_int_equal(config_save_applied(c, below("/applied.conf")), 0);
        assert_int_equal(stat(below("/applied.conf"), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0644);

        assert_int_equal(config_load_applied(below("/applied.conf"), &back), 0);
        assert_int_equal(back->n_errors, 0);
        assert_true(config_equal(c, back));
        assert_string_equal(config_find(back, "b")->file, "/etc/portreserved.conf");
        assert_int_equal(config_find(back, "b")->line, 5);
        assert_int_equal(config_find(back, "b")->uid, 0);
        assert_int_equal(config_save_applied(c, below("/no/such/folder")), -ENOENT);

        /* Whoever the folder belongs to: root does not follow a link there. */
        {
                _cleanup_(config_freep) Config *d = NULL;

                assert_int_equal(symlink("applied.conf", below("/link")), 0);
                assert_int_equal(config_load_applied(below("/link"), &d), 0);
                assert_int_equal(d->n_reservations, 0);
                assert_int_equal(d->n_errors, 1);
        }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                TEST(test_nothing_there),     TEST(test_main_first_found),
                TEST(test_drop_ins),          TEST(test_section_does_not_run_into_the_next_file),
                TEST(test_config_option),     TEST(test_what_is_no_file),
                TEST(test_unreadable),        TEST(test_size),
                TEST(test_name_with_newline), TEST(test_print),
                TEST(test_applied),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
