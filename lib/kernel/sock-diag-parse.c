/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One row: a struct inet_diag_msg and its attributes (sock_diag(7),
 * include/uapi/linux/inet_diag.h). */

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <string.h>

#include "base/clock.h"
#include "kernel/sock-diag.h"

/* Kernel 5.8; spelled out for older headers. */
#define ATTRIBUTE_CGROUP_ID 21
/* Nested: the name of the upper layer protocol, and its own. */
#define ATTRIBUTE_ULP_INFO 19
#define ULP_INFO_NAME      1
/* What idiag_timer says of a struct inet_timewait_sock, of FIN_WAIT2 as well (inet_diag.c). */
#define TIMER_TIMEWAIT 3

typedef struct Attributes {
        uint64_t cgroup;
        uint8_t protocol;
        bool v6only;
        bool mptcp;
        const char *end; /* behind the last one that was well formed */
} Attributes;

static int parse_ulp(const struct nlattr *a, void *data)
{
        Attributes *attributes = data;

        if (mnl_attr_get_type(a) != ULP_INFO_NAME)
                return MNL_CB_OK;
        if (mnl_attr_validate(a, MNL_TYPE_NUL_STRING) < 0)
                return MNL_CB_ERROR;
        attributes->mptcp = strcmp(mnl_attr_get_str(a), "mptcp") == 0;
        return MNL_CB_OK;
}

/* Attributes that are not ours to know pass; ours must have their size. */
static int parse_attribute(const struct nlattr *a, void *data)
{
        Attributes *attributes = data;

        attributes->end = (const char *) a + MNL_ALIGN(mnl_attr_get_len(a));
        switch (mnl_attr_get_type(a)) {
        case INET_DIAG_PROTOCOL:
                if (mnl_attr_validate(a, MNL_TYPE_U8) < 0)
                        return MNL_CB_ERROR;
                attributes->protocol = mnl_attr_get_u8(a);
                break;
        case INET_DIAG_SKV6ONLY:
                if (mnl_attr_validate(a, MNL_TYPE_U8) < 0)
                        return MNL_CB_ERROR;
                attributes->v6only = mnl_attr_get_u8(a);
                break;
        case ATTRIBUTE_CGROUP_ID:
                if (mnl_attr_validate(a, MNL_TYPE_U64) < 0)
                        return MNL_CB_ERROR;
                attributes->cgroup = mnl_attr_get_u64(a);
                break;
        case ATTRIBUTE_ULP_INFO:
                return mnl_attr_parse_nested(a, parse_ulp, attributes);
        }
        return MNL_CB_OK;
}

static int parse_attributes(const char *start, size_t size, Attributes *ret)
{
        *ret = (Attributes){ .end = start };
        if (mnl_attr_parse_payload(start, size, parse_attribute, ret) != MNL_CB_OK)
                return -EBADMSG;
        /* libmnl stops in silence at an attribute that is cut short. Padding of the last may be
         * left out. */
        return ret->end >= start + size ? 0 : -EBADMSG;
}

int sock_diag_parse(const void *payload, size_t size, int protocol, Socket *ret)
{
        struct inet_diag_msg m;
        Attributes attributes;
        int r;

        if (size < sizeof(m))
                return -EBADMSG;
        memcpy(&m, payload, sizeof(m));
        if (m.idiag_family != AF_INET && m.idiag_family != AF_INET6)
                return -EBADMSG;
        if (m.idiag_state == 0 || m.idiag_state >= _SOCKET_STATE_MAX)
                return -EBADMSG;
        r = parse_attributes((const char *) payload + sizeof(m), size - sizeof(m), &attributes);
        if (r < 0)
                return r;

        /* Destroy events bear the protocol, rows of a dump are of the one asked for. */
        if (protocol == 0)
                protocol = attributes.protocol;
        else if (attributes.protocol != 0 && attributes.protocol != protocol)
                return -EBADMSG;
        if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
                return -EBADMSG;

        *ret = (Socket){
                .protocol = protocol,
                .family = m.idiag_family,
                .state = m.idiag_state,
                .local_port = ntohs(m.id.idiag_sport),
                .remote_port = ntohs(m.id.idiag_dport),
                .interface = m.id.idiag_if,
                .v6only = attributes.v6only,
                .timewait = m.idiag_timer == TIMER_TIMEWAIT,
                .uid = m.idiag_uid,
                .inode = m.idiag_inode,
                .cookie = (uint64_t) m.id.idiag_cookie[1] << 32 | m.id.idiag_cookie[0],
                .cgroup = attributes.cgroup,
                .automatic = TRI_UNKNOWN,
                .reuse = TRI_UNKNOWN,
                .mptcp = attributes.mptcp,
        };
        if (ret->timewait)
                ret->expires_usec = m.idiag_expires * USEC_PER_MSEC;
        address_from_bytes(ret->family, m.id.idiag_src, m.id.idiag_if, &ret->local);
        address_from_bytes(ret->family, m.id.idiag_dst, m.id.idiag_if, &ret->remote);
        return 0;
}
