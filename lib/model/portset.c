/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/portset.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"

#define WORD_BITS 64u

static uint64_t bit_of(unsigned port)
{
        return UINT64_C(1) << (port % WORD_BITS);
}

/* The bits first..last of one word, both below 64. */
static uint64_t bits_of(unsigned first, unsigned last)
{
        return (UINT64_MAX << first) & (UINT64_MAX >> (WORD_BITS - 1 - last));
}

void portset_clear(PortSet *s)
{
        memset(s, 0, sizeof(*s));
}

void portset_add(PortSet *s, uint16_t port)
{
        s->words[port / WORD_BITS] |= bit_of(port);
}

void portset_remove(PortSet *s, uint16_t port)
{
        s->words[port / WORD_BITS] &= ~bit_of(port);
}

bool portset_has(const PortSet *s, uint16_t port)
{
        return s->words[port / WORD_BITS] & bit_of(port);
}

/* The part of word i that lies in first..last. */
static uint64_t run_mask(unsigned i, unsigned first, unsigned last)
{
        return bits_of(i == first / WORD_BITS ? first % WORD_BITS : 0,
                       i == last / WORD_BITS ? last % WORD_BITS : WORD_BITS - 1);
}

void portset_add_run(PortSet *s, uint16_t first, uint16_t last)
{
        if (first > last)
                return;
        for (unsigned i = first / WORD_BITS; i <= last / WORD_BITS; i++)
                s->words[i] |= run_mask(i, first, last);
}

void portset_unite(PortSet *s, const PortSet *other)
{
        for (size_t i = 0; i < ELEMENTSOF(s->words); i++)
                s->words[i] |= other->words[i];
}

void portset_subtract(PortSet *s, const PortSet *other)
{
        for (size_t i = 0; i < ELEMENTSOF(s->words); i++)
                s->words[i] &= ~other->words[i];
}

void portset_intersect(PortSet *s, const PortSet *other)
{
        for (size_t i = 0; i < ELEMENTSOF(s->words); i++)
                s->words[i] &= other->words[i];
}

bool portset_equal(const PortSet *a, const PortSet *b)
{
        return memcmp(a->words, b->words, sizeof(a->words)) == 0;
}

bool portset_empty(const PortSet *s)
{
        for (size_t i = 0; i < ELEMENTSOF(s->words); i++)
                if (s->words[i])
                        return false;
        return true;
}

bool portset_contains(const PortSet *s, const PortSet *subset)
{
        for (size_t i = 0; i < ELEMENTSOF(s->words); i++)
                if (subset->words[i] & ~s->words[i])
                        return false;
        return true;
}

unsigned portset_count(const PortSet *s)
{
        return portset_count_run(s, 0, UINT16_MAX);
}

unsigned portset_count_run(const PortSet *s, uint16_t first, uint16_t last)
{
        unsigned n = 0;

        if (first > last)
                return 0;
        for (unsigned i = first / WORD_BITS; i <= last / WORD_BITS; i++)
                n += (unsigned) __builtin_popcountll(s->words[i] & run_mask(i, first, last));
        return n;
}

/* The first port at or after from that is in the set (invert 0) or out of it (invert all ones);
 * 65536: none. */
static unsigned find_port(const PortSet *s, unsigned from, uint64_t invert)
{
        for (unsigned i = from / WORD_BITS; i < ELEMENTSOF(s->words); i++) {
                uint64_t w = s->words[i] ^ invert;

                if (i == from / WORD_BITS)
                        w &= UINT64_MAX << (from % WORD_BITS);
                if (w)
                        return i * WORD_BITS + (unsigned) __builtin_ctzll(w);
        }
        return PORTSET_PORTS;
}

bool portset_next_run(const PortSet *s, unsigned from, unsigned *ret_first, unsigned *ret_last)
{
        unsigned first = find_port(s, from, 0);

        if (first >= PORTSET_PORTS)
                return false;
        *ret_first = first;
        *ret_last = find_port(s, first, UINT64_MAX) - 1;
        return true;
}

unsigned portset_ephemeral_left(const PortSet *reserved, uint16_t first, uint16_t last)
{
        return first > last ? 0 : last - first + 1u - portset_count_run(reserved, first, last);
}

/* Decimal digits at text[*at], at most 65535, no leading zero: the kernel reads "010" as octal. */
static int parse_port(const char *text, size_t size, size_t *at, uint16_t *ret)
{
        size_t i = *at;
        unsigned v = 0;

        for (; i < size && text[i] >= '0' && text[i] <= '9'; i++) {
                v = v * 10 + (unsigned) (text[i] - '0');
                if (v >= PORTSET_PORTS)
                        return -EINVAL;
        }
        if (i == *at || (text[*at] == '0' && i - *at > 1))
                return -EINVAL;
        *at = i;
        *ret = (uint16_t) v;
        return 0;
}

int portset_parse(const char *text, size_t size, PortSet *ret)
{
        PortSet s = {};
        size_t at = 0;

        if (size > 0 && text[size - 1] == '\n')
                size--;

        while (at < size) {
                uint16_t first, last;
                int r;

                r = parse_port(text, size, &at, &first);
                if (r < 0)
                        return r;
                last = first;
                if (at < size && text[at] == '-') {
                        at++;
                        r = parse_port(text, size, &at, &last);
                        if (r < 0)
                                return r;
                        if (first > last)
                                return -EINVAL;
                }
                portset_add_run(&s, first, last);

                if (at == size)
                        break;
                /* A comma promises another port. */
                if (text[at] != ',' || ++at == size)
                        return -EINVAL;
        }

        *ret = s;
        return 0;
}

/* Writes the digits at p, which has room for 5, and returns where they end. snprintf() would take
 * most of the time of applying thousands of ports. */
static char *put_port(char *p, unsigned port)
{
        char digits[5];
        unsigned n = 0;

        do {
                digits[n++] = (char) ('0' + port % 10);
                port /= 10;
        } while (port > 0);
        while (n > 0)
                *p++ = digits[--n];
        return p;
}

/* "80" or "80-90": at most RUN_MAX bytes. */
#define RUN_MAX (2 * 5 + 1)
static char *put_run(char *p, unsigned first, unsigned last)
{
        p = put_port(p, first);
        if (first != last) {
                *p++ = '-';
                p = put_port(p, last);
        }
        return p;
}

int portset_format(const PortSet *s, char *buf, size_t size)
{
        char *at = buf;

        if (size == 0)
                return -ENOSPC;

        PORTSET_FOREACH_RUN(s, first, last) {
                char run[1 + RUN_MAX], *p = run;

                if (at > buf)
                        *p++ = ',';
                p = put_run(p, first, last);
                if ((size_t) (p - run) >= size - (size_t) (at - buf))
                        return -ENOSPC;
                at = mempcpy(at, run, (size_t) (p - run));
        }
        *at = 0;
        return (int) (at - buf);
}

const char *portset_summary(const PortSet *s, char buf[static PORTSET_SUMMARY_MAX])
{
        static const char more[] = "… (65536 ports)";
        char *at = buf, *end = buf + PORTSET_SUMMARY_MAX - sizeof(more);

        if (portset_empty(s))
                return strcpy(buf, "none");
        PORTSET_FOREACH_RUN(s, first, last) {
                if (end - at < 1 + RUN_MAX) {
                        (void) snprintf(at, sizeof(more), "… (%u ports)", portset_count(s));
                        return buf;
                }
                if (at > buf)
                        *at++ = ',';
                at = put_run(at, first, last);
        }
        *at = 0;
        return buf;
}
