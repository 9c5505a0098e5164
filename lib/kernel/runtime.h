/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Names of files under RUNTIME and STATE, in one place. */

#define RUNTIME_DIR_DEFAULT "/run/portreserved"
#define STATE_DIR_DEFAULT   "/var/lib/portreserved"
#define CONFIG_FILE_DEFAULT "/etc/portreserved.conf"

#define RUNTIME_CONTROL   "control"  /* D-Bus, peer to peer */
#define RUNTIME_HANDOVER  "handover" /* SOCK_SEQPACKET, 0600 */
#define RUNTIME_OPEN      "open"     /* SOCK_SEQPACKET */
#define RUNTIME_STATE     "state.json"
#define RUNTIME_APPLIED   "applied.conf"
#define RUNTIME_OURS      "ours"    /* what of the kernel's list is ours */
#define RUNTIME_REWRITE   "rewrite" /* what a rewrite of the list that was cut short has to leave */
#define RUNTIME_UNITS     "socket-units" /* what PID 1 listens on besides; model/socket-unit.h */
#define RUNTIME_ALERTS    "alerts"
#define RUNTIME_STOPPING  "stopping"  /* SIGTERM will be no restart */
#define RUNTIME_LEFT_OPEN "left-open" /* and what PID 1 keeps will keep no owner out */
#define RUNTIME_LOCK      "lock"      /* one daemon a runtime directory */

/* Where PID 1 has generators put units, and what the drop-in for an owner is called. */
#define GENERATOR_DIR     "/run/systemd/generator"
#define GENERATED_DROP_IN "50-portreserved.conf"

/* The hand-over protocol: one request, one reply, then close. Request: a verb, then the
 * reservations' names, each ended by NUL. Reply: "ok" or "error TEXT" without NUL.
 *
 * "start" and "stop" are the service manager's word, from the owner's unit. "release" is portrelease's:
 * a start that nobody may ever say the stop of, and that people may make by hand. Its error is
 * "error STATUS TEXT", with the exit status that portreservectl(1) has for it. */
#define HANDOVER_START       "start"
#define HANDOVER_STOP        "stop"
#define HANDOVER_RELEASE     "release"
#define HANDOVER_MESSAGE_MAX 4096
#define HANDOVER_NAMES_MAX   128

/* How portreserve-exec asks, one request and one reply as well. Request: a reservation's name and NUL.
 * Reply: "ok" NUL and a name for each socket that comes along (SCM_RIGHTS), each ended by NUL; or
 * "error STATUS TEXT" without NUL, with portreserve-exec(1)'s status. */
#define OPEN_REQUEST_MAX 256
#define OPEN_REPLY_MAX   (64 * 1024)
#define OPEN_SOCKETS_MAX 253u /* of one message (SCM_MAX_FD) */

/* The socket of portreserved-act.socket, SOCK_SEQPACKET, for user portreserved. Not under RUNTIME,
 * which is removed when the daemon has stopped. Request: unit names, each ended by NUL, to start
 * where they have failed; no reply. Or ACT_LIST and NUL: the reply is one byte with the fd of a
 * file, which holds the .socket units with their ports (model/socket-unit.h). */
#define ACT_SOCKET      "/run/portreserved-act"
#define ACT_MESSAGE_MAX 4096
#define ACT_LIST        "list"

/* The socket of portreserved-inspect.socket, for user portreserved and root; kernel/inspect-message.h
 * says what goes over it. */
#define INSPECT_SOCKET "/run/portreserved-inspect"
