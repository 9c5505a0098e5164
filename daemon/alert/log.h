/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's log: to the journal where standard error is connected to it, else lines on standard
 * error. Control characters are shown as \xNN: what was named by a stranger cannot forge a line. */

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

#include "base/cleanup.h"

/* Decides once where lines go; before it, standard error. */
void log_open(void);

/* Standard error is the journal: structured fields arrive. */
bool log_is_journal(void);

/* Messages above this priority are dropped (LOG_INFO at first). */
void log_set_level(int priority);
bool log_wants(int priority);

void log_line(int priority, const char *format, ...) _printf_(2, 3);

/* For what strangers can make us write as often as they like: ten lines in ten seconds; the next one
 * then says how many there were. */
typedef struct LogLimit {
        uint64_t begin; /* of these ten seconds, CLOCK_MONOTONIC in microseconds */
        unsigned n, suppressed;
} LogLimit;

void log_limited(LogLimit *l, int priority, const char *format, ...) _printf_(3, 4);

#define log_info(...)    log_line(LOG_INFO, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_NOTICE, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_error(...)   log_line(LOG_ERR, __VA_ARGS__)
