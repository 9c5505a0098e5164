/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "kernel/unit-file.h"
#include "kernel/unit-sockets.h"
#include "kernel/unit-text.h"
#include "model/endpoint-parse.h"

static char root[] = "/tmp/test-unit-file-XXXXXX";

static const char *below(const char *path)
{
        static char buf[4096];

        snprintf(buf, sizeof(buf), "%s%s", root, path);
        for (char *p = buf + strlen(root) + 1; (p = strchr(p, '/')); p++) {
                *p = 0;
                assert_true(mkdir(buf, 0755) == 0 || errno == EEXIST);
                *p = '/';
        }
        return buf;
}

static void put(const char *path, const char *text)
{
        FILE *f = fopen(below(path), "we");

        assert_non_null(f);
        fputs(text, f);
        assert_int_equal(fclose(f), 0);
}

static void put_link(const char *path, const char *target)
{
        assert_int_equal(symlink(target, below(path)), 0);
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

static void assert_alias(const char *name, const char *canonical)
{
        _cleanup_(freep) char *got = NULL;

        assert_int_equal(unit_resolve_alias(root, name, &got), 0);
        assert_string_equal(got, canonical);
}

static void test_alias(void **state)
{
        _cleanup_(freep) char *got = NULL;

        put("/lib/systemd/system/redis-server.service", "[Service]\n");
        put_link("/etc/systemd/system/redis.service", "/lib/systemd/system/redis-server.service");
        put_link("/etc/systemd/system/cache.service", "redis.service");
        put_link("/etc/systemd/system/linked.service", "/opt/linked.service");
        put_link("/etc/systemd/system/masked.service", "/dev/null");
        put_link("/etc/systemd/system/odd.service", "/lib/systemd/system/x.socket");
        put("/lib/systemd/system/b@.service", "[Service]\n");
        put_link("/lib/systemd/system/a@.service", "b@.service");
        put_link("/etc/systemd/system/one@1.service", "/lib/systemd/system/b@.service");
        put_link("/etc/systemd/system/loop1.service", "loop2.service");
        put_link("/etc/systemd/system/loop2.service", "loop1.service");

        assert_alias("redis-server.service", "redis-server.service");
        assert_alias("redis.service", "redis-server.service");
        assert_alias("cache.service", "redis-server.service");
        assert_alias("linked.service", "linked.service");
        assert_alias("masked.service", "masked.service");
        assert_alias("odd.service", "odd.service");
        assert_alias("a@x@y.service", "b@x@y.service");
        assert_alias("one@1.service", "b@1.service");
        assert_alias("none.service", "none.service");
        assert_alias("../etc/passwd", "../etc/passwd");
        assert_int_equal(unit_resolve_alias(root, "loop1.service", &got), -ELOOP);
}

static bool exists(const char *name)
{
        _cleanup_(unit_file_freep) UnitFile *u = NULL;
        int r;

        r = unit_file_load(root, name, &u);
        assert_true(r == 0 || r == -ENOENT);
        return r == 0;
}

static void test_exists(void **state)
{
        put("/usr/lib/systemd/system/a.service", "[Service]\n");
        put("/usr/lib/systemd/system/t@.service", "[Service]\n");
        put("/etc/systemd/system/empty.service", "");
        put_link("/etc/systemd/system/masked.service", "/dev/null");
        put_link("/etc/systemd/system/dangling.service", "/nowhere/dangling.service");
        put_link("/etc/systemd/system/alias.service", "/usr/lib/systemd/system/a.service");

        assert_true(exists("a.service"));
        assert_true(exists("t@x.service"));
        assert_true(exists("alias.service"));
        assert_false(exists("empty.service"));
        assert_false(exists("masked.service"));
        assert_false(exists("dangling.service"));
        assert_false(exists("b.service"));
        assert_false(exists("../system/a.service"));
}

static void assert_value(const char *name, const char *key, const char *value)
{
        _cleanup_(unit_file_freep) UnitFile *u = NULL;
        _cleanup_(unit_value_done) UnitValue got = {};

        assert_int_equal(unit_file_load(root, name, &u), 0);
        assert_int_equal(unit_file_get(u, "Service", key, &got), 0);
        if (value)
                assert_string_equal(got.text, value);
        else
                assert_null(got.text);
}

static void test_get(void **state)
{
        _cleanup_(unit_file_freep) UnitFile *u = NULL;
        _cleanup_(unit_value_done) UnitValue got = {};

        put("/lib/systemd/system/a-b@.service",
            "[Unit]\nKey=unit\n[Service]\nKey=file\nOther=x\nGone=x\n");
        assert_value("a-b@1.service", "Key", "file");
        put("/lib/systemd/system/service.d/10.conf", "[Service]\nKey=all\n");
        assert_value("a-b@1.service", "Key", "all");
        put("/run/systemd/system/a-.service.d/20.conf", "[Service]\nKey=prefix\n");
        assert_value("a-b@1.service", "Key", "prefix");
        put("/etc/systemd/system/a-b@.service.d/30.conf", "[Service]\nKey=template\nGone=\n");
        assert_value("a-b@1.service", "Key", "template");
        put("/etc/systemd/system/a-b@1.service.d/40.conf", "[Service]\nKey=instance\n");
        assert_value("a-b@1.service", "Key", "instance");
        assert_value("a-b@2.service", "Key", "template");
        /* The same file name: the more specific folder, and of one folder /etc before /run before
         * /lib. */
        put("/etc/systemd/system/a-b@1.service.d/10.conf", "");
        put("/run/systemd/system/a-b@1.service.d/40.conf", "[Service]\nKey=overridden\n");
        assert_value("a-b@1.service", "Key", "instance");
        put_link("/etc/systemd/system/a-b@3.service.d/30.conf", "/dev/null");
        assert_value("a-b@3.service", "Key", "prefix");

        assert_value("a-b@1.service", "Other", "x");
        assert_value("a-b@1.service", "Gone", NULL);
        assert_value("a-b@1.service", "Never", NULL);
        assert_int_equal(unit_file_load(root, "none.service", &u), -ENOENT);
        put_link("/etc/systemd/system/masked.service", "/dev/null");
        assert_int_equal(unit_file_load(root, "masked.service", &u), -ENOENT);

        put_link("/etc/systemd/system/alias.service", "/lib/systemd/system/real.service");
        put("/lib/systemd/system/real.service", "[Service]\nKey=real\n");
        put("/etc/systemd/system/alias.service.d/x.conf", "[Service]\nKey=by alias\n");
        assert_value("alias.service", "Key", "by alias");
        assert_value("real.service", "Key", "all");

        put("/lib/systemd/system/l.service",
            "[Unit]\nBefore=a.target  b.target\nBefore=c.target\n");
        put("/etc/systemd/system/l.service.d/x.conf", "[Unit]\nBefore=d.target\n");
        put("/etc/systemd/system/l.service.d/.hidden.conf", "[Unit]\nBefore=e.target\n");
        put("/run/systemd/generator/l.service.d/50-portreserved.conf",
            "[Unit]\nBefore=ours.target\n");
        assert_int_equal(unit_file_load(root, "l.service", &u), 0);
        assert_string_equal(unit_file_name(u), "l.service");
        assert_int_equal(unit_file_get_list(u, "Unit", "Before", &got), 0);
        assert_string_equal(got.text, "a.target  b.target c.target d.target");
        assert_string_equal(got.file, "/etc/systemd/system/l.service.d/x.conf");
        assert_int_equal(got.line, 2);
}

static void test_text(void **state)
{
        static const struct {
                const char *text, *last, *list;
                int line;
        } rows[] = {
                { "[S]\nK=v", "v", "v", 2 },
                { "[S]\nK = v \r\n", "v", "v", 2 },
                { "  [S]  \n  K=v\n", "v", "v", 2 },
                { "K=v\n[T]\nK=v\n[S]\n", NULL, NULL, 0 },
                { "[S]\nK=1\n[T]\nK=2\n[S]\nK=3\n", "3", "1 3", 6 },
                { "[S]\nK=1\nK=\nK=2\n", "2", "2", 4 },
                { "[S]\nK=1\nK=\n", NULL, NULL, 3 },
                { "[S]\nKK=1\nK2=1\n#K=1\n;K=2\n", NULL, NULL, 0 },
                { "[S]\nK=a \\\n  b\n", "a    b", "a    b", 2 },
                { "[S]\nK=a\\\n# between\n;\nb\nK2=c", "a b", "a b", 2 },
                { "[S]\nX=a\\\n# between\nb\nK=c", "c", "c", 5 },
                { "[S]\n# comment \\\nK=v\n", "v", "v", 3 },
                { "[S]\nK=a\\", "a", "a", 2 },
                { "[S]\nOther=x \\\nK=no\n", NULL, NULL, 0 },
                { "[", NULL, NULL, 0 },
                { "[S\nK=v\n", NULL, NULL, 0 },
                { "", NULL, NULL, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                for (unsigned list = 0; list < 2; list++) {
                        _cleanup_(freep) char *got = NULL;
                        const char *want = list ? rows[i].list : rows[i].last;

                        assert_int_equal(unit_text_get(rows[i].text, "S", "K", list, &got),
                                         rows[i].line);
                        if (!want != !got || (want && strcmp(want, got) != 0))
                                fail_msg("row %zu: \"%s\"", i, got ? got : "(none)");
                }
}

static void assert_meets(const UnitSockets *sockets, size_t i, const char *address, unsigned line)
{
        _cleanup_(unit_value_done) UnitValue where = {};
        char mistake[ENDPOINT_MISTAKE_MAX];
        Endpoint e;
        Reservation r = { .endpoints = &e, .n_endpoints = 1 };

        assert_int_equal(endpoint_parse_listen(address, IPPROTO_TCP, &e, mistake), 0);
        assert_int_equal(unit_socket_meets(&sockets->items[i], &r, &where), line > 0);
        assert_int_equal(where.line, line);
}

static void test_sockets(void **state)
{
        static const struct {
                const char *name, *service;
        } rows[] = {
                { "a.socket", "real.service" },
                { "b.socket", "b.service" },
                { "i@1.socket", "i@1.service" },
        };
        _cleanup_(unit_sockets_done) UnitSockets sockets = {};

        put("/lib/systemd/system/real.service", "[Service]\n");
        put_link("/etc/systemd/system/other.service", "/lib/systemd/system/real.service");
        put("/lib/systemd/system/a.socket", "[Socket]\nService=other.service\n"
                                            "ListenStream=/run/a\nListenStream=127.0.0.1:80\n"
                                            "ListenStream=[::1]:81 \n");
        put("/lib/systemd/system/b.socket",
            "[Socket]\nListenDatagram=80\nListenStream=82\nAccept=no\n");
        put("/lib/systemd/system/each.socket", "[Socket]\nListenStream=80\nAccept=yes\n");
        put("/lib/systemd/system/i@.socket", "[Socket]\nListenStream=80\n");
        put_link("/etc/systemd/system/i@1.socket", "/lib/systemd/system/i@.socket");
        put("/lib/systemd/system/masked.socket", "[Socket]\nListenStream=80\n");
        put_link("/etc/systemd/system/masked.socket", "/dev/null");
        put_link("/etc/systemd/system/c.socket", "/lib/systemd/system/b.socket");
        put("/run/systemd/generator/portreserved-x.socket", "[Socket]\nListenStream=80\n");

        assert_int_equal(unit_sockets_load(root, &sockets), 0);
        assert_int_equal(sockets.n, ELEMENTSOF(rows));
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                assert_string_equal(unit_file_name(sockets.items[i].file), rows[i].name);
                assert_string_equal(sockets.items[i].service, rows[i].service);
        }
        assert_true(unit_socket_starts(root, "a.socket", "real.service"));
        assert_true(unit_socket_starts(root, "b.socket", "b.service"));
        assert_false(unit_socket_starts(root, "b.socket", "real.service"));
        assert_false(unit_socket_starts(root, "each.socket", "each.service"));
        assert_false(unit_socket_starts(root, "none.socket", "none.service"));
        assert_meets(&sockets, 0, "80", 5);
        assert_meets(&sockets, 0, "127.0.0.2:80", 0);
        assert_meets(&sockets, 0, "[::1]:81", 5);
        assert_meets(&sockets, 1, "80", 0);
        assert_meets(&sockets, 1, "10.0.0.1:82", 3);
}

static void test_names(void **state)
{
        static const char *const good[] = { "a.service",    "a@.service",    "a@b.service",
                                            "a@b@c.socket", "a\\x2db.mount", "..service" };
        static const char *const bad[] = { "",      "a",           ".service",    "@.service",
                                           "a.exe", "a/b.service", "a b.service", "a.service\n",
                                           "a." };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_true(unit_name_valid(good[i]));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(unit_name_valid(bad[i]));
        assert_true(unit_name_is_template("a@.service"));
        assert_false(unit_name_is_template("a@b.service"));
        assert_true(unit_name_is_instance("a@b.service"));
        assert_false(unit_name_is_instance("a.service"));
        assert_true(unit_name_has_suffix("a.service", ".service"));
        assert_false(unit_name_has_suffix(".service", ".service"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_alias, setup, teardown),
                cmocka_unit_test_setup_teardown(test_exists, setup, teardown),
                cmocka_unit_test_setup_teardown(test_get, setup, teardown),
                cmocka_unit_test_setup_teardown(test_sockets, setup, teardown),
                cmocka_unit_test(test_text),
                cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
