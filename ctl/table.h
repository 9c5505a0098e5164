/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tables on standard output by libsmartcols: as wide as the terminal, coloured on one only, and not
 * where NO_COLOR is set. */

#include "base/cleanup.h"
#include "ctl/ctl.h"

typedef struct Table Table;

typedef struct TableColumn {
        const char *name;
        bool right; /* numbers */
        bool trunc; /* may be cut to fit a terminal */
} TableColumn;

typedef enum TableColor {
        TABLE_PLAIN,
        TABLE_WARN,
        TABLE_BAD,
} TableColor;

int table_new(const Ctl *c, const TableColumn *columns, size_t n, Table **ret);
Table *table_free(Table *t);
DEFINE_CLEANUP(Table, table_free);

/* A row, one cell a column; copied. -ENOMEM. */
int table_row(Table *t, TableColor color, const char *const cells[]);

/* Prints it, and nothing where it has no rows. */
int table_print(Table *t);
