/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The folder of Red Hat's portreserve(1), as reservations. A file NAME has one service[/protocol],
 * or port[/protocol], a line; "#" begins a comment. It is read as
 *
 *      [NAME]
 *      Ports=… (of each line)
 *      Hold=bound
 *
 * Names with "." or "~" are hidden files and backups, and none of ours, as there. An empty file
 * reserves nothing. A section of portreserved.conf of the same name counts instead of the file. */

#include <stddef.h>

#include "model/config.h"

/* Every file of root + directory, in the order of their names; to be called when all sections have
 * been read, and before config_finish(). Mistakes go to c->errors. A folder that is not there is
 * worth a remark. -ENOMEM, -ENAMETOOLONG. */
int portreserve_read(Config *c, const char *root, const char *directory);

/* One file's text. name: that of the file in its folder. */
int portreserve_read_text(Config *c, const char *file, const char *name, const char *data,
                          size_t size);
