/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Files of Red Hat's portreserve: what of a folder is read, as what, and what becomes of rubbish. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "config-text-fixture.h"
#include "kernel/portreserve.h"
#include "tests/config-equal.h"

static char folder[] = "/tmp/test-portreserve-XXXXXX";

static int make_folder(void **state)
{
        strcpy(folder + strlen(folder) - 6, "XXXXXX");
        return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
        char command[128];

        (void) snprintf(command, sizeof(command), "rm -r '%s'", folder);
        return system(command);
}

static const char *in_folder(const char *name)
{
        static char path[512];

        assert_int_equal(path_join(path, sizeof(path), folder, name), 0);
        return path;
}

static void put(const char *name, const char *text)
{
        assert_int_equal(file_write_atomic(in_folder(name), text, strlen(text), 0644), 0);
}

/* The folder, after these sections. */
static Config *load(const char *sections)
{
        Config *c;

        assert_int_equal(config_new(&fixture_ops, &c), 0);
        assert_int_equal(config_text_read(c, FIXTURE_FILE, sections, strlen(sections)), 0);
        assert_int_equal(portreserve_read(c, "", folder), 0);
        assert_int_equal(config_finish(c), 0);
        return c;
}

static void expect_endpoints(const Config *c, const char *name, const char *want)
{
        const Reservation *r = config_find(c, name);
        char text[256] = "";

        assert_non_null(r);
        assert_int_equal(r->hold, HOLD_BOUND);
        for (size_t i = 0; i < r->n_endpoints; i++)
                (void) snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%u/%s",
                                i ? " " : "", r->endpoints[i].port,
                                r->endpoints[i].protocol == IPPROTO_TCP ? "tcp" : "udp");
        assert_string_equal(text, want);
}

static void test_a_file_is_a_reservation(void **state)
{
        _cleanup_(config_freep) Config *c = NULL;
        const Reservation *r;

        put("dns", "# comment\n\n  domain \t# both\r\n");
        put("web", "http/tcp\n8080/tcp\n9000");
        put("clock", "ntp");
        c = load("");
        assert_int_equal(c->n_errors, 0);
        assert_int_equal(c->n_warnings, 0);
        assert_int_equal(c->n_reservations, 3);
        expect_endpoints(c, "dns", "53/tcp 53/udp");
        expect_endpoints(c, "web", "80/tcp 8080/tcp 9000/tcp 9000/udp");
        expect_endpoints(c, "clock", "123/udp");
        r = config_find(c, "dns");
        assert_string_equal(r->unit, "dns.service");
        assert_string_equal(r->file, in_folder("dns"));
        assert_int_equal(r->line, 3);
}

static void test_what_is_no_file_of_its(void **state)
{
        _cleanup_(config_freep) Config *c = NULL;

        put(".hidden", "1\n");
        put("web~", "2\n");
        put("web.rpmsave", "3\n");
        put("empty", "");
        put("remarks", "# nothing\n\n");
        assert_int_equal(symlink("/dev/null", in_folder("masked")), 0);
        c = load("");
        assert_int_equal(c->n_errors + c->n_warnings + c->n_reservations, 0);
}

static void test_a_section_of_that_name_counts(void **state)
{
        _cleanup_(config_freep) Config *c = NULL;

        put("web", "80/tcp\n");
        c = load("[web]\nPorts=443/tcp\n");
        assert_int_equal(c->n_errors, 0);
        assert_int_equal(c->n_warnings, 1);
        assert_non_null(strstr(c->warnings[0].message, "[web] is declared in test.conf:1"));
        assert_int_equal(c->n_reservations, 1);
        assert_int_equal(c->reservations[0]->n_endpoints, 1);
        assert_int_equal(c->reservations[0]->endpoints[0].port, 443);
}

static void test_overlaps_are_mistakes(void **state)
{
        _cleanup_(config_freep) Config *c = NULL;

        put("a", "80/tcp\n");
        put("b", "8080/tcp\n80/tcp\n");
        put("c", "443/tcp\n");
        c = load("[web]\nPorts=443/tcp\n");
        assert_int_equal(c->n_errors, 2);
        assert_string_equal(c->errors[0].file, in_folder("b"));
        assert_int_equal(c->errors[0].line, 2);
        assert_non_null(strstr(c->errors[1].message, "[web] already"));
        assert_int_equal(c->n_reservations, 2);
        assert_non_null(config_find(c, "a"));
        assert_non_null(config_find(c, "web"));
}

static void test_a_bad_line_costs_itself(void **state)
{
        _cleanup_(config_freep) Config *c = NULL;

        put("web", "nosuchservice\n80/tcp\n0\n99999\n81/sctp\n82 83\n84,85\n\x01\x02\nx\xff\n"
                   "1234567890123456789012345678901234567890123456789012345678901234567890"
                   "1234567890123456789012345678901234567890123456789012345678901234567890\n"
                   "http/udp\n[web]\nPorts=1\n");
        put("worse", "nosuchservice\n");
        c = load("");
        assert_int_equal(c->n_reservations, 1);
        expect_endpoints(c, "web", "80/tcp");
        assert_int_equal(c->n_errors, 13);
        for (size_t i = 0; i < 12; i++) {
                assert_int_equal(c->errors[i].line, i == 0 ? 1 : i + 2);
                assert_string_equal(c->errors[i].file, in_folder("web"));
                if (!strchr(c->errors[i].message, ';'))
                        fail_msg("no remedy: %s", c->errors[i].message);
        }
}

static void test_names_that_cannot_be(void **state)
{
        static const char *const names[] = {
                "Daemon", "@x",  "a b",
                "a\nb",   "act", "a-name-of-more-than-forty-eight-characters-is-not-one",
                "a\377b",
        };
        _cleanup_(config_freep) Config *c = NULL;

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                put(names[i], "80\n");
        c = load("");
        assert_int_equal(c->n_reservations, 0);
        assert_int_equal(c->n_errors, ELEMENTSOF(names));
        for (size_t i = 0; i < c->n_errors; i++) {
                assert_non_null(strstr(c->errors[i].message, "no name of a reservation; rename"));
                assert_null(strchr(c->errors[i].file, '\n'));
        }
}

static void test_what_is_no_file(void **state)
{
        _cleanup_(config_freep) Config *c = NULL;

        assert_int_equal(mkdir(in_folder("directory"), 0755), 0);
        assert_int_equal(mkfifo(in_folder("fifo"), 0644), 0);
        assert_int_equal(symlink("nowhere", in_folder("link")), 0);
        put("web", "80\n");
        assert_int_equal(symlink("../../../../../..", in_folder("up")), 0);
        c = load("");
        assert_int_equal(c->n_errors, 4);
        assert_non_null(strstr(c->errors[0].message, "a directory"));
        assert_non_null(strstr(c->errors[1].message, "no file"));
        assert_non_null(strstr(c->errors[2].message, "not there"));
        assert_non_null(strstr(c->errors[3].message, "a directory"));
        for (size_t i = 0; i < c->n_errors; i++)
                assert_int_equal(c->errors[i].line, 0);
        assert_int_equal(c->n_reservations, 1);
}

static void test_folders_that_cannot_be(void **state)
{
        _cleanup_(config_freep) Config *c = NULL;

        assert_int_equal(config_new(&fixture_ops, &c), 0);
        assert_int_equal(portreserve_read(c, folder, "/missing"), 0);
        assert_int_equal(c->n_errors, 0);
        assert_int_equal(c->n_warnings, 1);
        put("file", "");
        assert_int_equal(portreserve_read(c, folder, "/file"), 0);
        assert_int_equal(c->n_errors, 1);
        assert_string_equal(c->errors[0].file, "/file");
}

static void put_lines(const char *name, unsigned n, unsigned every)
{
        FILE *f;

        f = fopen(in_folder(name), "we");
        assert_non_null(f);
        for (unsigned i = 0; i < n; i++)
                (void) fprintf(f, i % every == 0 ? "%u/tcp\n" : "# %u\n", 1 + i / every % 60000);
        assert_int_equal(fclose(f), 0);
}

static void test_100000_lines(void **state)
{
        _cleanup_(config_freep) Config *c = NULL;

        put_lines("many", 100000, 5);
        put_lines("too-many", 100000, 1);
        c = load("");
        assert_int_equal(config_find(c, "many")->n_endpoints, 20000);
        assert_int_equal(c->n_errors, 1);
        assert_non_null(strstr(c->errors[0].message, "more than 25000"));
}

static void test_garbage(void **state)
{
        _cleanup_(config_freep) Config *c = NULL;
        char bytes[65536];
        FILE *f;

        srandom(1);
        for (size_t i = 0; i < sizeof(bytes); i++)
                bytes[i] = (char) random();
        f = fopen(in_folder("garbage"), "we");
        assert_non_null(f);
        assert_int_equal(fwrite(bytes, 1, sizeof(bytes), f), sizeof(bytes));
        assert_int_equal(fclose(f), 0);
        put("web", "80\n");
        c = load("");
        assert_true(c->n_errors >= 20 && c->n_errors < 1000);
        assert_int_equal(c->n_reservations, 1);
}

/* Part of applied.conf: what runs is what was last applied. */
static void test_round_trip(void **state)
{
        _cleanup_(config_freep) Config *c = NULL, *again = NULL;
        _cleanup_(freep) char *text = NULL;
        size_t size;

        put("web", "http\n8080\n");
        put("dns", "\ndomain\n");
        c = load("[Daemon]\nPortreserveDirectory=/x\n[other]\nPorts=1\n");
        assert_int_equal(config_format(c, &text, &size), 0);
        again = fixture_parse_size(text, size, true);
        assert_int_equal(again->n_errors, 0);
        assert_true(config_equal(c, again));
        assert_string_equal(config_find(again, "dns")->file, in_folder("dns"));
        assert_int_equal(config_find(again, "dns")->line, 2);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
        const struct CMUnitTest tests[] = {
                TEST(test_a_file_is_a_reservation),
                TEST(test_what_is_no_file_of_its),
                TEST(test_a_section_of_that_name_counts),
                TEST(test_overlaps_are_mistakes),
                TEST(test_a_bad_line_costs_itself),
                TEST(test_names_that_cannot_be),
                TEST(test_what_is_no_file),
                TEST(test_folders_that_cannot_be),
                TEST(test_100000_lines),
                TEST(test_garbage),
                TEST(test_round_trip),
        };

        return cmocka_run_group_tests_name("portreserve", tests, NULL, NULL);
}
