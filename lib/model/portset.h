/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A set of ports, 0 to 65535, as a bitmap of 8 KiB: the value that everything else computes with. A
 * plain struct; copy it by assignment, compare it with portset_equal().
 *
 * Text form is the kernel's of net.ipv4.ip_local_reserved_ports: "8080,9000-9003\n", ascending,
 * runs joined. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PORTSET_PORTS 65536u

/* Enough for any set in text form: 32,768 single ports of at most 5 digits and a comma, newline,
 * NUL. */
#define PORTSET_TEXT_MAX (32768u * 6u + 2u)

typedef struct PortSet {
        uint64_t words[PORTSET_PORTS / 64];
} PortSet;

void portset_clear(PortSet *s);
void portset_add(PortSet *s, uint16_t port);
void portset_remove(PortSet *s, uint16_t port);
bool portset_has(const PortSet *s, uint16_t port);

/* first..last inclusive; first > last adds nothing. */
void portset_add_run(PortSet *s, uint16_t first, uint16_t last);

/* In place: s |= other, s &= ~other, s &= other. */
void portset_unite(PortSet *s, const PortSet *other);
void portset_subtract(PortSet *s, const PortSet *other);
void portset_intersect(PortSet *s, const PortSet *other);

bool portset_equal(const PortSet *a, const PortSet *b);
bool portset_empty(const PortSet *s);
bool portset_contains(const PortSet *s, const PortSet *subset);
unsigned portset_count(const PortSet *s);
unsigned portset_count_run(const PortSet *s, uint16_t first, uint16_t last);

/* How many ports of the ephemeral range first..last the kernel can still choose when these are
 * reserved. */
unsigned portset_ephemeral_left(const PortSet *reserved, uint16_t first, uint16_t last);

/* The first run of ports at or after from. False: none. from may be 65536 (none). */
bool portset_next_run(const PortSet *s, unsigned from, unsigned *ret_first, unsigned *ret_last);

/* Visits the runs in ascending order, first and last inclusive; both are declared here, wide enough
 * to step past 65535. */
#define PORTSET_FOREACH_RUN(s, first, last)                                                        \
        for (unsigned first = 0, last = 0; portset_next_run((s), first, &first, &last);            \
             first = last + 1)

/* Reads the kernel's text: "N", "N-M", separated by single commas, one newline at the end allowed,
 * "" and "\n" the empty set. Ports 0 to 65535 in decimal without leading zeros. -EINVAL: anything
 * else, *ret untouched. size excludes a terminating NUL. */
int portset_parse(const char *text, size_t size, PortSet *ret);

/* Writes the text form without newline into buf, NUL-terminated. The length, or -ENOSPC;
 * PORTSET_TEXT_MAX always fits. */
int portset_format(const PortSet *s, char *buf, size_t size);

/* For people: the runs that fit, and where that is not all, how many ports there are:
 * "1,3-5,7… (1500 ports)"; "none" for the empty set. Returns buf. */
#define PORTSET_SUMMARY_MAX 160
const char *portset_summary(const PortSet *s, char buf[static PORTSET_SUMMARY_MAX]);
