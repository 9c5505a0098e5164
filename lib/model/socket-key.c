/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/socket-key.h"

#include <string.h>

#include "base/parse.h"

#define NO_PORT "has no port to reserve; put it into a .socket unit of your own"
#define RUNS                                                                                       \
        "would run a command in a generated unit; write it into portreserved-NAME.socket.d/ as a " \
        "drop-in of your own"
#define FILESYSTEM "is for sockets in the file system, and PID 1 refuses it beside ports; remove it"

static const char *check_bool(const char *value)
{
        bool b;

        return parse_bool(value, &b) < 0 ? "it is yes or no" : NULL;
}

static const char *check_accept(const char *value)
{
        bool b;

        if (parse_bool(value, &b) < 0)
                return "it is yes or no";
        /* A service for each connection is no owner of a port: nothing to hand over to, nothing to
         * watch. */
        return b ? "a service for each connection needs a template service; write a .socket unit "
                   "of your own, and here Ports= for its port"
                 : NULL;
}

static const char *check_v6only(const char *value)
{
        static const char *const words[] = { "default", "both", "ipv6-only" };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strcmp(value, words[i]) == 0)
                        return NULL;
        return "it is default, both or ipv6-only";
}

/* As fdname_is_valid() of sd_listen_fds_with_names(3). */
static const char *check_fdname(const char *value)
{
        if (strlen(value) > 255)
                return "it has at most 255 characters";
        for (const char *p = value; *p; p++)
                if (*p <= ' ' || *p >= 127 || *p == ':')
                        return "it is of printable ASCII characters other than blank and \":\"";
        return NULL;
}

static const char *check_protocol(const char *value)
{
        /* A listener of MPTCP is a TCP socket on the port; the other two have ports of their
         * own. */
        return strcmp(value, "mptcp") == 0 ? NULL
                                           : "only mptcp has a port of TCP; remove it, or write a "
                                             ".socket unit of your own";
}

static const struct {
        const char *name;
        const char *reason; /* refused */
        const char *(*check)(const char *value);
} keys[] = {
        { "Accept", NULL, check_accept },
        { "AcceptFileDescriptors", NULL, check_bool },
        { "Backlog" },
        { "BindIPv6Only", NULL, check_v6only },
        { "BindToDevice" },
        { "Broadcast", NULL, check_bool },
        { "DeferAcceptSec" },
        { "DeferTrigger" },
        { "DeferTriggerMaxSec" },
        { "DirectoryMode" },
        { "ExecStartPost", RUNS },
        { "ExecStartPre", RUNS },
        { "ExecStopPost", RUNS },
        { "ExecStopPre", RUNS },
        { "FileDescriptorName", NULL, check_fdname },
        { "FlushPending", NULL, check_bool },
        { "FreeBind", NULL, check_bool },
        { "IPTOS" },
        { "IPTTL" },
        { "KeepAlive", NULL, check_bool },
        { "KeepAliveIntervalSec" },
        { "KeepAliveProbes" },
        { "KeepAliveTimeSec" },
        { "ListenFIFO", NO_PORT },
        { "ListenMessageQueue", NO_PORT },
        { "ListenNetlink", NO_PORT },
        { "ListenSequentialPacket", NO_PORT },
        { "ListenSpecial", NO_PORT },
        { "ListenUSBFunction", NO_PORT },
        { "Mark" },
        { "MaxConnections" },
        { "MaxConnectionsPerSource" },
        { "MessageQueueMaxMessages" },
        { "MessageQueueMessageSize" },
        { "NoDelay", NULL, check_bool },
        { "PassCredentials", NULL, check_bool },
        { "PassFileDescriptorsToExec", NULL, check_bool },
        { "PassPIDFD", NULL, check_bool },
        { "PassPacketInfo", NULL, check_bool },
        { "PassSecurity", NULL, check_bool },
        { "PipeSize" },
        { "PollLimitBurst" },
        { "PollLimitIntervalSec" },
        { "Priority" },
        { "ReceiveBuffer" },
        { "RemoveOnStop", NULL, check_bool },
        { "ReusePort", NULL, check_bool },
        { "SELinuxContextFromNet", NULL, check_bool },
        { "SendBuffer" },
        { "Service", "is made from Unit=; write Unit= instead" },
        { "SmackLabel" },
        { "SmackLabelIPIn" },
        { "SmackLabelIPOut" },
        { "SocketGroup" },
        { "SocketMode" },
        { "SocketProtocol", NULL, check_protocol },
        { "SocketUser" },
        { "Symlinks", FILESYSTEM },
        { "TCPCongestion" },
        { "TimeoutSec" },
        { "Timestamping" },
        { "Transparent", NULL, check_bool },
        { "TriggerLimitBurst" },
        { "TriggerLimitIntervalSec" },
        { "Writable", NULL, check_bool },
};

SocketKeyKind socket_key_find(const char *key, const char **ret_reason)
{
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (strcmp(keys[i].name, key) == 0) {
                        if (ret_reason)
                                *ret_reason = keys[i].reason;
                        return keys[i].reason ? SOCKET_KEY_REFUSED : SOCKET_KEY_PASSED;
                }
        return SOCKET_KEY_UNKNOWN;
}

const char *socket_key_check(const char *key, const char *value)
{
        /* PID 1 would expand it in some keys and not in others. */
        if (strchr(value, '%'))
                return "\"%\" would be a specifier in the generated unit; write the value out";
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (strcmp(keys[i].name, key) == 0)
                        return keys[i].check ? keys[i].check(value) : NULL;
        return NULL;
}

const char *socket_key_name(unsigned i)
{
        return i < ELEMENTSOF(keys) ? keys[i].name : NULL;
}

bool socket_key_is_loaded(const char *key)
{
        static const char *const names[] = {
                "FileDescriptorName",   "TriggerLimitIntervalSec", "TriggerLimitBurst",
                "PollLimitIntervalSec", "PollLimitBurst",
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (strcmp(names[i], key) == 0)
                        return true;
        return false;
}
