/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/table.h"

#include <errno.h>
#include <libsmartcols.h>

struct Table {
        struct libscols_table *table;
        size_t n_columns;
};

int table_new(const Ctl *c, const TableColumn *columns, size_t n, Table **ret)
{
        _cleanup_(table_freep) Table *t = NULL;
        const char *no_color = getenv("NO_COLOR");

        t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        t->n_columns = n;
        t->table = scols_new_table();
        if (!t->table)
                return -ENOMEM;
        if (scols_table_enable_noheadings(t->table, c->no_legend) < 0 ||
            scols_table_enable_colors(t->table, isatty(STDOUT_FILENO) && !(no_color && *no_color)) <
                    0)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                if (!scols_table_new_column(t->table, columns[i].name, 0,
                                            (columns[i].right ? SCOLS_FL_RIGHT : 0) |
                                                    (columns[i].trunc ? SCOLS_FL_TRUNC : 0)))
                        return -ENOMEM;
        *ret = TAKE_PTR(t);
        return 0;
}

Table *table_free(Table *t)
{
        if (!t)
                return NULL;
        if (t->table)
                scols_unref_table(t->table);
        free(t);
        return NULL;
}

int table_row(Table *t, TableColor color, const char *const cells[])
{
        struct libscols_line *line;

        line = scols_table_new_line(t->table, NULL);
        if (!line)
                return -ENOMEM;
        for (size_t i = 0; i < t->n_columns; i++)
                if (scols_line_set_data(line, i, cells[i]) < 0)
                        return -ENOMEM;
        if (color != TABLE_PLAIN &&
            scols_line_set_color(line, color == TABLE_BAD ? "red" : "yellow") < 0)
                return -ENOMEM;
        return 0;
}

int table_print(Table *t)
{
        if (scols_table_is_empty(t->table))
                return 0;
        return scols_print_table(t->table);
}
