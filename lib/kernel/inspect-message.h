/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is said to portreserved-inspect, and what it answers: one request, one reply, then close. Both
 * are fixed structures in the host's byte order, over SOCK_SEQPACKET; the reply goes on with three
 * texts, each ended by NUL, empty where not known. Neither side believes the other. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "model/holder.h"
#include "model/observation.h"

typedef enum InspectFlags {
        /* SO_REUSEADDR as well: process_socket_reuse() says what that costs. */
        INSPECT_REUSE = 1 << 0,
} InspectFlags;

typedef struct InspectRequest {
        uint32_t magic; /* INSPECT_MAGIC */
        uint32_t flags;
        uint64_t cgroup; /* id, where to look first; 0: not known */
        uint32_t inode;  /* of the socket */
        uint32_t zero;
} InspectRequest;

typedef enum InspectOutcome {
        INSPECT_FOUND = 1,
        INSPECT_NOBODY,     /* every process was searched, and none has it */
        INSPECT_UNFINISHED, /* not searched to the end, or not every one could be read */
        INSPECT_VANISHED,   /* one had it, and ended or closed it while it was looked at */
        _INSPECT_OUTCOME_MAX,
} InspectOutcome;

typedef struct InspectReply {
        uint32_t magic;
        uint32_t outcome;
        uint64_t started_usec;
        int32_t pid;
        uint32_t uid;
        int32_t reuse; /* Tristate */
        uint32_t zero;
        char texts[]; /* path of the cgroup, executable, command line */
} InspectReply;

/* The last byte is the version of all this. */
#define INSPECT_MAGIC UINT32_C(0x50524901)

#define INSPECT_CGROUP_MAX 4096u
#define INSPECT_EXE_MAX    4096u
#define INSPECT_REPLY_MAX                                                                          \
        (sizeof(InspectReply) + INSPECT_CGROUP_MAX + INSPECT_EXE_MAX + HOLDER_COMMAND_MAX + 3)

typedef struct InspectAnswer {
        InspectOutcome outcome;
        pid_t pid;             /* 0 where outcome is another than FOUND, and so on */
        uid_t uid;             /* UID_INVALID: not known */
        uint64_t started_usec; /* CLOCK_REALTIME; 0: not known */
        Tristate reuse;
        char *cgroup, *exe, *command; /* printable; NULL: not known */
} InspectAnswer;

void inspect_answer_done(InspectAnswer *a);

/* -EBADMSG: no such request. */
int inspect_request_parse(const void *data, size_t size, InspectRequest *ret);

/* Into a buffer of INSPECT_REPLY_MAX bytes; the size. What is too long for it is left out. */
size_t inspect_reply_format(const InspectAnswer *a, void *buf);

/* -EBADMSG: it is not what inspect_reply_format() writes; -ENOMEM. */
int inspect_reply_parse(const void *data, size_t size, InspectAnswer *ret);
