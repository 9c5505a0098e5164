/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Scope-bound release, and the few macros that everything here uses.
 *
 * _cleanup_(f) calls f(&variable) when the variable leaves its scope. TAKE_PTR/TAKE_FD hand the
 * value on and disarm the variable. */

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f)   __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))
#define _unused_       __attribute__((unused))

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))
#define MAX_OF(a, b)  ((a) > (b) ? (a) : (b))
#define MIN_OF(a, b)  ((a) < (b) ? (a) : (b))

#define TAKE_PTR(p)                                                                                \
        ({                                                                                         \
                __typeof__(p) *_take = &(p);                                                       \
                __typeof__(p) _taken = *_take;                                                     \
                *_take = NULL;                                                                     \
                _taken;                                                                            \
        })

#define TAKE_FD(fd)                                                                                \
        ({                                                                                         \
                int *_take = &(fd);                                                                \
                int _taken = *_take;                                                               \
                *_take = -1;                                                                       \
                _taken;                                                                            \
        })

/* For types whose thing_free() takes and returns a pointer. */
#define DEFINE_CLEANUP(type, free_func)                                                            \
        static inline void free_func##p(type **p)                                                  \
        {                                                                                          \
                if (*p)                                                                            \
                        free_func(*p);                                                             \
        }                                                                                          \
        struct _cleanup_needs_semicolon_

static inline void freep(void *p)
{
        free(*(void **) p);
}

static inline void closep(int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

static inline void fclosep(FILE **f)
{
        if (*f)
                fclose(*f);
}

/* Ends a stream of open_memstream(3). Its text, which is the caller's; NULL: no memory. */
static inline char *memstream_end(FILE *f, char **text)
{
        if (fclose(f) == 0)
                return *text;
        free(*text);
        return NULL;
}

static inline void closedirp(DIR **d)
{
        if (*d)
                closedir(*d);
}

/* A NULL-terminated array of strings, each and the array malloc'ed. */
static inline char **strv_free(char **v)
{
        for (char **s = v; s && *s; s++)
                free(*s);
        free(v);
        return NULL;
}

static inline void strv_freep(char ***v)
{
        (void) strv_free(*v);
}
