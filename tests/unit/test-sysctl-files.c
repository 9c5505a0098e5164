/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The files that set a kernel parameter. Everything below a folder of its own in place of "/". */

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

#include "base/cleanup.h"
#include "kernel/sysctl-files.h"

static char root[] = "/tmp/test-sysctl-files-XXXXXX";

static const char *below(const char *path)
{
        static char buf[4096];

        snprintf(buf, sizeof(buf), "%s%s", root, path);
        return buf;
}

static void put(const char *path, const char *text)
{
        FILE *f = fopen(below(path), "we");

        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
}

static void link_to(const char *target, const char *path)
{
        assert_int_equal(symlink(target, below(path)), 0);
}

static int setup(void **state)
{
        static const char *const folders[] = {
                "",
                "/etc",
                "/etc/sysctl.d",
                "/run",
                "/run/sysctl.d",
                "/usr",
                "/usr/local",
                "/usr/local/lib",
                "/usr/local/lib/sysctl.d",
                "/usr/lib",
                "/usr/lib/sysctl.d",
        };

        strcpy(root + strlen(root) - 6, "XXXXXX");
        if (!mkdtemp(root))
                return -1;
        for (size_t i = 1; i < ELEMENTSOF(folders); i++)
                if (mkdir(below(folders[i]), 0755) < 0)
                        return -1;
        return symlink("usr/lib", below("/lib"));
}

static int teardown(void **state)
{
        char command[128];

        snprintf(command, sizeof(command), "rm -rf %s", root);
        return system(command);
}

/* "FILE:LINE VALUE" for each line, then "FILE! ERROR" for each file that could not be read. */
static void assert_read(const char *expected)
{
        _cleanup_(sysctl_files_deinit) SysctlFiles f = { 0 };
        _cleanup_(freep) char *got = NULL;
        size_t size;
        FILE *out = open_memstream(&got, &size);

        assert_int_equal(sysctl_files_read(root, SYSCTL_RESERVED_PORTS, &f), 0);
        for (size_t i = 0; i < f.n_lines; i++)
                fprintf(out, "%s:%u %s\n", f.lines[i].file, f.lines[i].line, f.lines[i].value);
        for (size_t i = 0; i < f.n_files; i++)
                if (f.files[i].error < 0)
                        fprintf(out, "%s! %s\n", f.files[i].path,
                                strerrorname_np(-f.files[i].error));
        assert_int_equal(fclose(out), 0);
        assert_string_equal(got, expected);
}

static void test_nothing(void **state)
{
        assert_read("");
        put("/etc/sysctl.d/a.conf", "");
        put("/etc/sysctl.conf", "kernel.sysrq = 0\n");
        assert_read("");
}

#define KEY "net.ipv4.ip_local_reserved_ports"

static void test_order(void **state)
{
        put("/usr/lib/sysctl.d/50-b.conf", KEY "=1\n");
        put("/etc/sysctl.d/60-c.conf", KEY "=2\n");
        put("/run/sysctl.d/40-a.conf", KEY "=3\n");
        put("/usr/local/lib/sysctl.d/70-d.conf", KEY "=4\n");
        put("/etc/sysctl.conf", "\n" KEY "=5\n");
        assert_read("/run/sysctl.d/40-a.conf:1 3\n/usr/lib/sysctl.d/50-b.conf:1 1\n"
                    "/etc/sysctl.d/60-c.conf:1 2\n/usr/local/lib/sysctl.d/70-d.conf:1 4\n"
                    "/etc/sysctl.conf:2 5\n");
}

static void test_masked(void **state)
{
        put("/usr/lib/sysctl.d/a.conf", KEY "=1\n");
        put("/usr/lib/sysctl.d/b.conf", KEY "=2\n");
        put("/usr/lib/sysctl.d/c.conf", KEY "=3\n");
        put("/usr/lib/sysctl.d/d.conf", KEY "=4\n");
        link_to("/dev/null", "/etc/sysctl.d/a.conf");
        put("/run/sysctl.d/b.conf", "");
        put("/usr/local/lib/sysctl.d/c.conf", KEY "=33\n");
        /* No *.conf, and hidden. */
        put("/etc/sysctl.d/README", KEY "=5\n");
        put("/etc/sysctl.d/.x.conf", KEY "=6\n");
        put("/etc/sysctl.d/x.conf.dpkg-old", KEY "=7\n");
        assert_read("/usr/local/lib/sysctl.d/c.conf:1 33\n/usr/lib/sysctl.d/d.conf:1 4\n");
}

/* Debian 12: 99-sysctl.conf is a link to it. It is one file, and has its place by that name. */
static void test_sysctl_conf_linked(void **state)
{
        put("/etc/sysctl.conf", KEY "=5\n");
        link_to("../sysctl.conf", "/etc/sysctl.d/10-sysctl.conf");
        put("/etc/sysctl.d/20.conf", KEY "=6\n");
        assert_read("/etc/sysctl.conf:1 5\n/etc/sysctl.d/20.conf:1 6\n");
}

static void test_not_to_be_read(void **state)
{
        assert_int_equal(mkdir(below("/etc/sysctl.d/folder.conf"), 0755), 0);
        assert_int_equal(mkfifo(below("/etc/sysctl.d/fifo.conf"), 0644), 0);
        link_to("nowhere", "/etc/sysctl.d/gone.conf");
        link_to("loop.conf", "/etc/sysctl.d/loop.conf");
        put("/etc/sysctl.d/z.conf", KEY "=1\n");
        assert_read("/etc/sysctl.d/z.conf:1 1\n/etc/sysctl.d/loop.conf! ELOOP\n");

        if (geteuid() != 0)
                return;
        assert_int_equal(chmod(root, 0755), 0);
        assert_int_equal(chmod(below("/etc/sysctl.d/z.conf"), 0), 0);
        assert_int_equal(seteuid(65534), 0);
        assert_read("/etc/sysctl.d/loop.conf! ELOOP\n/etc/sysctl.d/z.conf! EACCES\n");
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(chmod(below("/etc/sysctl.d"), 0700), 0);
        assert_int_equal(seteuid(65534), 0);
        assert_read("/etc/sysctl.d! EACCES\n");
        assert_int_equal(seteuid(0), 0);
}

static void test_too_large(void **state)
{
        FILE *f = fopen(below("/etc/sysctl.d/big.conf"), "we");

        assert_non_null(f);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(truncate(below("/etc/sysctl.d/big.conf"), 11 << 20), 0);
        put("/etc/sysctl.d/z.conf", KEY "=1\n");
        assert_read("/etc/sysctl.d/z.conf:1 1\n/etc/sysctl.d/big.conf! EFBIG\n");
}

/* What one text has, as "LINE:VALUE" joined by blanks. */
static void assert_text_size(const char *text, size_t size, const char *expected)
{
        _cleanup_(sysctl_files_deinit) SysctlFiles f = { 0 };
        char got[512] = "", *p = got;

        assert_int_equal(sysctl_files_add_text(&f, "x", text, size, SYSCTL_RESERVED_PORTS), 0);
        for (size_t i = 0; i < f.n_lines; i++)
                p += snprintf(p, sizeof(got) - (size_t) (p - got), "%s%u:%s", i ? " " : "",
                              f.lines[i].line, f.lines[i].value);
        assert_string_equal(got, expected);
}

static void test_lines(void **state)
{
        static const struct {
                const char *text, *expected;
        } table[] = {
                { KEY "=1", "1:1" },
                { KEY " = 1,2-3 \n", "1:1,2-3" },
                { "\t" KEY "\t=\t1\t\n", "1:1" },
                { KEY "=1\r\n", "1:1" },
                { "-" KEY "=1", "1:1" },
                { "net/ipv4/ip_local_reserved_ports=1", "1:1" },
                { "-net/ipv4/ip_local_reserved_ports = 1", "1:1" },
                { "net.ipv4/ip_local_reserved_ports=1", "" },
                { "net/ipv4.ip_local_reserved_ports=1", "" },
                { KEY "=", "1:" },
                { KEY "= \n" KEY "=2", "1: 2:2" },
                { KEY "=1=2", "1:1=2" },
                { KEY "=1 # all of it", "1:1 # all of it" },
                { KEY, "" },
                { "-" KEY, "" },
                { "=1", "" },
                { "-=1", "" },
                { "-", "" },
                { "", "" },
                { "\n\n\n" KEY "=1\n\n", "4:1" },
                { "#" KEY "=1\n ; " KEY "=1\n  # " KEY "=1", "" },
                { KEY "x=1", "" },
                { "net.ipv4.ip_local_reserved_port=1", "" },
                { "x" KEY "=1", "" },
                { "net.ipv4.ip_local_port_range=1 2\n" KEY "=1", "2:1" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_text_size(table[i].text, strlen(table[i].text), table[i].expected);

        /* A NUL ends a line for systemd-sysctl, and no editor shows that. */
        assert_text_size(KEY "=1\0002\n" KEY "=3", 2 * strlen(KEY) + 7, "1:1 2:3");
        assert_text_size("#\0" KEY "=1\n" KEY "=3", 2 * strlen(KEY) + 7, "1:1 2:3");
        assert_text_size("\0\0\0", 3, "");
}

static void test_long_line(void **state)
{
        _cleanup_(sysctl_files_deinit) SysctlFiles f = { 0 };
        size_t size = (1 << 20) + strlen(KEY) + 1;
        _cleanup_(freep) char *text = malloc(size);
        PortSet ports;

        assert_non_null(text);
        memset(text, '1', size);
        memcpy(text, KEY "=", strlen(KEY) + 1);
        assert_int_equal(sysctl_files_add_text(&f, "x", text, size, SYSCTL_RESERVED_PORTS), 0);
        assert_int_equal(f.n_lines, 1);
        assert_int_equal(strlen(f.lines[0].value), 1 << 20);
        assert_false(sysctl_line_ports(&f.lines[0], &ports));
}

static PortSet set(const char *text)
{
        PortSet s;

        assert_int_equal(portset_parse(text, strlen(text), &s), 0);
        return s;
}

static void assert_found(const SysctlFiles *f, const PortSet *list, unsigned line, bool cut)
{
        bool is_cut = !cut;
        const SysctlLine *l = sysctl_files_find_list(f, list, &is_cut);

        if (line == 0) {
                assert_null(l);
                return;
        }
        assert_non_null(l);
        assert_int_equal(l->line, line);
        assert_int_equal(is_cut, cut);
}

static void test_find(void **state)
{
        _cleanup_(sysctl_files_deinit) SysctlFiles f = { 0 };
        _cleanup_(freep) char *text = NULL;
        PortSet all = {}, some = {}, none = {}, s;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        fprintf(out, KEY "=7000\n" KEY "=8000-8001\n" KEY "=7000,7000\n" KEY "=rubbish\n" KEY "=");
        for (unsigned i = 0; i < 1500; i++) {
                fprintf(out, "%s%u", i ? "," : "", 10001 + 2 * i);
                portset_add(&all, (uint16_t) (10001 + 2 * i));
                if (i < 682) /* what sysctl(8) makes of it: tests/netns/test_drift.py */
                        portset_add(&some, (uint16_t) (10001 + 2 * i));
        }
        assert_int_equal(fclose(out), 0);
        assert_int_equal(sysctl_files_add_text(&f, "x", text, size, SYSCTL_RESERVED_PORTS), 0);

        s = set("7000");
        assert_found(&f, &s, 3, false);
        s = set("8000,8001");
        assert_found(&f, &s, 2, false);
        s = set("8000");
        assert_found(&f, &s, 0, false);
        s = set("7000,8000-8001");
        assert_found(&f, &s, 0, false);
        assert_found(&f, &none, 0, false);
        assert_found(&f, &all, 5, false);
        assert_found(&f, &some, 5, true);
        portset_add(&some, 1);
        assert_found(&f, &some, 0, false);
        portset_remove(&some, 1);
        portset_remove(&some, 10001);
        assert_found(&f, &some, 0, false);

        assert_int_equal(sysctl_files_find_port(&f, 7000)->line, 3);
        assert_int_equal(sysctl_files_find_port(&f, 8001)->line, 2);
        assert_int_equal(sysctl_files_find_port(&f, 12999)->line, 5);
        assert_null(sysctl_files_find_port(&f, 12998));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_nothing, setup, teardown),
                cmocka_unit_test_setup_teardown(test_order, setup, teardown),
                cmocka_unit_test_setup_teardown(test_masked, setup, teardown),
                cmocka_unit_test_setup_teardown(test_sysctl_conf_linked, setup, teardown),
                cmocka_unit_test_setup_teardown(test_not_to_be_read, setup, teardown),
                cmocka_unit_test_setup_teardown(test_too_large, setup, teardown),
                cmocka_unit_test(test_lines),
                cmocka_unit_test(test_long_line),
                cmocka_unit_test(test_find),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
