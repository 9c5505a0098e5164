/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A Config from a string, with services and users that are the same everywhere. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/config-text.h"
#include "model/config.h"

#define FIXTURE_FILE "test.conf"

static int fixture_service(const char *name, int protocol, uint16_t *ret)
{
        static const struct {
                const char *name;
                int protocol;
                uint16_t port;
        } services[] = {
                { "http", IPPROTO_TCP, 80 },        { "domain", IPPROTO_TCP, 53 },
                { "domain", IPPROTO_UDP, 53 },      { "ntp", IPPROTO_UDP, 123 },
                { "3com-tsmux", IPPROTO_TCP, 106 }, { "biff", IPPROTO_UDP, 512 },
                { "exec", IPPROTO_TCP, 512 },
        };

        for (size_t i = 0; i < ELEMENTSOF(services); i++)
                if (services[i].protocol == protocol && strcmp(services[i].name, name) == 0) {
                        *ret = services[i].port;
                        return 0;
                }
        return -ENOENT;
}

static int fixture_user(const char *name, uid_t *ret)
{
        if (strcmp(name, "root") == 0)
                *ret = 0;
        else if (strcmp(name, "alice") == 0)
                *ret = 1000;
        else
                return -ENOENT;
        return 0;
}

static const ConfigOps fixture_ops = { .service_port = fixture_service, .user_id = fixture_user };

_unused_ static Config *fixture_parse_size(const char *text, size_t size, bool applied)
{
        Config *c;

        assert_int_equal(config_new(&fixture_ops, &c), 0);
        if (applied)
                config_allow_source(c);
        assert_int_equal(config_text_read(c, FIXTURE_FILE, text, size), 0);
        assert_int_equal(config_finish(c), 0);
        return c;
}

_unused_ static Config *fixture_parse(const char *text)
{
        return fixture_parse_size(text, strlen(text), false);
}

/* Is there exactly one mistake, in that line, and does its message have that text? */
_unused_ static void fixture_expect_error(const char *text, unsigned line, const char *message)
{
        _cleanup_(config_freep) Config *c = fixture_parse(text);

        if (c->n_errors != 1) {
                for (size_t i = 0; i < c->n_errors; i++)
                        print_error("%u: %s\n", c->errors[i].line, c->errors[i].message);
                fail_msg("%zu mistakes in: %s", c->n_errors, text);
        }
        if (!strstr(c->errors[0].message, message))
                fail_msg("\"%s\" has no \"%s\"", c->errors[0].message, message);
        /* "what; what to write instead" */
        if (!strchr(c->errors[0].message, ';'))
                fail_msg("no remedy: %s", c->errors[0].message);
        assert_int_equal(c->errors[0].line, line);
        assert_string_equal(c->errors[0].file, FIXTURE_FILE);
}
