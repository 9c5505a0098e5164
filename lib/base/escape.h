/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Text of others made fit to print: nothing in it can move a cursor, end a line or forge a second
 * message. */

/* A malloc'ed copy where control characters and what is no UTF-8 are written as "\xNN"; text that
 * has none stays as it is, so that doing it twice changes nothing. NULL: out of memory. */
char *text_escape(const char *s);

/* Length of the valid, printable UTF-8 sequence at s, 0 if there is none (control characters
 * included). */
unsigned text_sequence(const char *s);
