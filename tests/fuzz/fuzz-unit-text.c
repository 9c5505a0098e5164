/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Two files of one unit, a NUL between them: what is taken out of both. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "kernel/unit-text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BLANKS " \t\r"

static int count_lines(const char *text)
{
        int n = 1;

        for (; (text = strchr(text, '\n')); text++)
                n++;
        return n;
}

static void check(const char *const texts[2], const char *section, const char *key, bool list)
{
        _cleanup_(freep) char *value = NULL;

        for (size_t i = 0; i < 2; i++) {
                _cleanup_(freep) char *before = value ? strdup(value) : NULL;
                int line = unit_text_get(texts[i], section, key, list, &value);

                if (line < 0 || line > count_lines(texts[i]))
                        abort();
                if (line == 0 && strcmp(before ?: "", value ?: "") != 0)
                        abort();
                /* One line, without the blanks around it, of characters that are there. */
                if (value && (!*value || strchr(value, '\n') || strchr(BLANKS, *value) ||
                              strchr(BLANKS, value[strlen(value) - 1])))
                        abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(freep) char *first = strndup((const char *) data, size), *second = NULL;
        size_t head = first ? strlen(first) : 0;

        if (!first)
                return 0;
        second =
                head < size ? strndup((const char *) data + head + 1, size - head - 1) : strdup("");
        if (!second)
                return 0;
        for (int list = 0; list < 2; list++) {
                const char *const texts[2] = { first, second };

                check(texts, "Socket", "ListenStream", list);
                check(texts, "Service", "PrivateNetwork", list);
        }
        return 0;
}
