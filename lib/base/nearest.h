/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* "Did you mean": of some words the one that a mistyped word is nearest to. */

/* Puts candidate into *best where fewer changes of a letter than *distance make word of it, and that
 * in *distance. Begin with NULL, and one more than the changes that are allowed. Case does not
 * count. */
void nearest(const char *word, const char *candidate, const char **best, unsigned *distance);
