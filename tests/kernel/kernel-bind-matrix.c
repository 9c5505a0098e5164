/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The model of bind(2) against the kernel, cell by cell: each state that somebody's socket can be
 * in, with SO_REUSEADDR and without, at each kind of place; beside each, each kind of server, with
 * SO_REUSEADDR and without. What comes out is printed as a table. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "kernel/bind-probe.h"
#include "model/bind-rules.h"
#include "scene.h"

#define TCP   IPPROTO_TCP
#define UDP   IPPROTO_UDP
#define OF(o) (1u << (o))
#define OUT   (OF(CHOSEN) | OF(BOUND))
#define ANY   (OUT | OF(ACCEPTED) | OF(SIXTH))

static const Case cases[] = {
        { "LISTEN", TCP, OF(SERVER), SOCKET_LISTEN, false },
        { "bound only", TCP, OF(SERVER), SOCKET_CLOSE, false },
        { "SYN_SENT", TCP, OUT, SOCKET_SYN_SENT, false },
        { "ESTABLISHED", TCP, ANY | OF(SERVED), SOCKET_ESTABLISHED, false },
        { "FIN_WAIT1", TCP, ANY, SOCKET_FIN_WAIT1, false },
        { "FIN_WAIT1, orphan", TCP, ANY, SOCKET_FIN_WAIT1, true },
        { "FIN_WAIT2", TCP, ANY, SOCKET_FIN_WAIT2, false },
        { "FIN_WAIT2, orphan", TCP, ANY, SOCKET_FIN_WAIT2, true },
        { "CLOSE_WAIT", TCP, ANY, SOCKET_CLOSE_WAIT, false },
        { "LAST_ACK", TCP, ANY, SOCKET_LAST_ACK, false },
        { "LAST_ACK, orphan", TCP, ANY, SOCKET_LAST_ACK, true },
        { "CLOSING", TCP, ANY, SOCKET_CLOSING, false },
        { "CLOSING, orphan", TCP, ANY, SOCKET_CLOSING, true },
        { "TIME_WAIT", TCP, ANY, SOCKET_TIME_WAIT, true },
        { "UDP", UDP, OF(SERVER), SOCKET_CLOSE, false },
        { "UDP, connected", UDP, OUT, SOCKET_ESTABLISHED, false },
};

static const char *const origin_names[_ORIGINS] = {
        [SERVER] = "server",
        [CHOSEN] = "client",
        [BOUND] = "client that bound first",
        [ACCEPTED] = "accepted",
        [SIXTH] = "accepted over IPv6 by [::]",
        [SERVED] = "accepted, its listener there",
};

/* How the two places are to each other: the columns of what is printed. */
typedef enum Relation {
        SAME,
        MAPPED,
        OWNER_WIDE,
        OWNER_DUAL,
        THIEF_WIDE,
        THIEF_DUAL,
        OTHER_ADDRESS,
        OTHER_FAMILY,
        IPV6_BESIDE_ANY, /* an IPv6 address, and a server at 0.0.0.0 */
        V6ONLY,
        _RELATIONS,
} Relation;

static const char *const relation_names[_RELATIONS] = {
        [SAME] = "same",           [MAPPED] = "mapped",       [OWNER_WIDE] = "owner *",
        [OWNER_DUAL] = "owner ::", [THIEF_WIDE] = "thief *",  [THIEF_DUAL] = "thief ::",
        [OTHER_ADDRESS] = "other", [OTHER_FAMILY] = "family", [IPV6_BESIDE_ANY] = "6 & 4 *",
        [V6ONLY] = "v6only",
};

static SockDiag *diag;
static unsigned wrong, cells;

/* The rows of the port. */
typedef struct Rows {
        Socket rows[8];
        size_t n;
} Rows;

static int on_row(const Socket *s, void *userdata)
{
        Rows *r = userdata;

        if (s->local_port == SCENE_PORT && r->n < ELEMENTSOF(r->rows))
                r->rows[r->n++] = *s;
        return 0;
}

static Rows look(int protocol)
{
        _cleanup_(diag_filter_freep) DiagFilter *filter = NULL;
        PortSet ports = {};
        Rows r = {};

        portset_add(&ports, SCENE_PORT);
        assert_int_equal(diag_filter_new(&ports, false, &filter), 0);
        assert_int_equal(sock_diag_dump(diag, protocol, SOCK_DIAG_ALL, filter, on_row, &r), 0);
        return r;
}

static bool is_there(const Rows *r, const Case *c)
{
        for (size_t i = 0; i < r->n; i++)
                if (r->rows[i].state == c->state && (r->rows[i].inode == 0) == c->orphan)
                        return true;
        return false;
}

/* Before 6.8 the kernel does not list what is bound only. */
static void add_unseen(Rows *r, const Case *c, const Scene *from)
{
        struct sockaddr_storage ss = {};
        socklen_t size = sizeof(ss);
        Socket *s = &r->rows[r->n++];
        uint16_t port;

        *s = (Socket){ .protocol = c->protocol, .state = c->state, .v6only = from->v6only };
        assert_int_equal(getsockname(from->thief, (struct sockaddr *) &ss, &size), 0);
        assert_int_equal(address_from_sockaddr(&ss, &s->local, &port), 0);
        s->local_port = port;
}

static Rows wait_for(const Case *c, const Place *p, const Scene *s)
{
        if (c->protocol == TCP && c->state == SOCKET_CLOSE &&
            sock_diag_has_bound_inactive(diag) == 0) {
                Rows r = {};

                add_unseen(&r, c, s);
                return r;
        }
        for (unsigned i = 0; i < 10000; i++) {
                Rows r = look(c->protocol);

                if (is_there(&r, c))
                        return r;
                (void) usleep(1000);
        }
        fail_msg("%s at %s is not to be had", c->name, p->name);
        return (Rows){};
}

static void clear(Scene *s, int protocol)
{
        scene_end(s);
        for (unsigned i = 0; i < 10000; i++) {
                Rows r = look(protocol);

                if (r.n == 0)
                        return;
                for (size_t k = 0; k < r.n; k++)
                        (void) sock_diag_destroy(diag, &r.rows[k]);
        }
        fail_msg("the port does not come free");
}

static bool server_starts(int protocol, const Place *p, bool reuse)
{
        _cleanup_(closep) int fd = open_at(protocol, p, SCENE_PORT, reuse ? REUSEADDR : PLAIN);

        assert_true(fd >= 0 || fd == -EADDRINUSE);
        if (fd >= 0 && protocol == TCP && listen(fd, 8) < 0) {
                assert_int_equal(errno, EADDRINUSE);
                return false;
        }
        return fd >= 0;
}

static bool model_allows(const Rows *r, const Endpoint *e, bool reuse)
{
        for (size_t i = 0; i < r->n; i++)
                if (bind_rules_allow(e, reuse, &r->rows[i]) != TRI_YES)
                        return false;
        return true;
}

/* What the model says no to, to be safe. Two IPv6 sockets that speak IPv4 only, the wildcard first:
 * Linux 6.1 lets the second in for TCP, though not in the other order; 6.18 does not. And an IPv6
 * socket at ::ffff:0.0.0.0 beside an IPv6 connection: to an Address that is 0.0.0.0. */
static bool may_pass(const Place *thief, const Place *owner)
{
        if (strcmp(thief->bind_to, "::ffff:0.0.0.0") == 0)
                return strncmp(owner->bind_to, "::ffff:", 7) == 0;
        return strcmp(owner->bind_to, "::ffff:0.0.0.0") == 0 && thief->v6;
}

static Relation relation(const Place *thief, const Place *owner)
{
        bool mapped = strncmp(thief->bind_to, "::ffff:", 7) == 0 ||
                      strncmp(owner->bind_to, "::ffff:", 7) == 0;

        if (!place_meets(thief, owner)) {
                if (thief->v6only || owner->v6only)
                        return V6ONLY;
                if (thief->v6 && strcmp(thief->v6, "*") != 0 &&
                    strcmp(owner->bind_to, "0.0.0.0") == 0)
                        return IPV6_BESIDE_ANY;
                return !thief->v4 == !owner->v4 ? OTHER_ADDRESS : OTHER_FAMILY;
        }
        if (thief == owner)
                return SAME;
        if (owner->v4 && owner->v6)
                return OWNER_DUAL;
        if (thief->v4 && thief->v6)
                return THIEF_DUAL;
        if (mapped)
                return MAPPED;
        return strcmp(owner->v4 ? owner->v4 : owner->v6, "*") == 0 ? OWNER_WIDE : THIEF_WIDE;
}

/* What came out in one relation, of which all cells have to agree: bit 0 plain, bit 1 with
 * SO_REUSEADDR. */
typedef struct Outcome {
        bool any, differs;
        unsigned let_in;
} Outcome;

static void note(Outcome *o, unsigned let_in)
{
        o->differs |= o->any && o->let_in != let_in;
        o->any = true;
        o->let_in = let_in;
}

static Endpoint endpoint_at(const Place *p, int protocol)
{
        Endpoint e = {
                .protocol = protocol, .v6only = p->v6only, .port = SCENE_PORT, .last = SCENE_PORT
        };

        assert_int_equal(address_parse(p->bind_to, &e.address), 0);
        return e;
}

/* Where a server needs the flag, is what is found out about it the truth? */
static void probe(const Case *c, Origin origin, const Place *owner, const Scene *s,
                  bool thief_reuse, bool real)
{
        Endpoint e = endpoint_at(owner, c->protocol);
        struct stat st;
        bool reuse;

        if (c->protocol == TCP && c->state != SOCKET_LISTEN && origin != SERVED)
                assert_int_equal(bind_probe(&e, SCENE_PORT), real);
        if (c->protocol == TCP || s->thief < 0)
                return;
        assert_int_equal(fstat(s->thief, &st), 0);
        assert_int_equal(bind_probe_reuse_of(getpid(), (uint32_t) st.st_ino, &reuse), 0);
        assert_int_equal(reuse, thief_reuse);
        assert_int_equal(bind_probe_reuse_of(getpid(), UINT32_MAX, &reuse), -ENOENT);
}

static bool try_cell(const Case *c, const Place *thief, Origin origin, bool thief_reuse,
                     const Rows *r, const Place *owner, bool reuse)
{
        bool real = server_starts(c->protocol, owner, reuse);
        const Endpoint e = endpoint_at(owner, c->protocol);
        bool predicted = model_allows(r, &e, reuse);

        cells++;
        if (real != predicted && !(real && may_pass(thief, owner))) {
                wrong++;
                print_error("%s, %s, %s%s; server at %s%s: the kernel %s\n", c->name,
                            origin_names[origin], thief->name, thief_reuse ? " SO_REUSEADDR" : "",
                            owner->name, reuse ? " SO_REUSEADDR" : "",
                            real ? "lets it in" : "refuses it");
        }
        return real;
}

/* What the kernel does not say of a row. */
static void fill_in(Rows *r, const Scene *s, bool thief_reuse)
{
        for (size_t i = 0; i < r->n; i++) {
                Socket *row = &r->rows[i];

                row->reuse = thief_reuse ? TRI_YES : TRI_NO;
                if (row->state != SOCKET_LISTEN && row->state != SOCKET_CLOSE)
                        row->v6only = s->v6only;
        }
}

/* Where a connection sits follows from where it goes; nothing connects from everywhere. */
static bool has_place(Origin origin, const Place *p)
{
        if (origin == SIXTH)
                return p->v4 && p->v6;
        return (origin != CHOSEN && origin != BOUND) ||
               (strcmp(p->v4 ? p->v4 : p->v6, "*") != 0 && strcmp(p->bind_to, "127.0.0.2") != 0);
}

/* The address of a connection, as one of the places. */
static const Place *seat(Origin origin, const Place *p)
{
        Place at = scene_reach(p, origin);

        if (origin == SERVER || origin == SERVED)
                return p;
        for (size_t i = 0; i < ELEMENTSOF(places); i++)
                if (strcmp(places[i].bind_to, at.bind_to) == 0)
                        return &places[i];
        return p;
}

static void print_row(const Case *c, Origin origin, bool thief_reuse, const Outcome *outcomes)
{
        static const char *const words[] = { "-", "in", "reuse", "in" };

        printf("# %-18s %-28s %-4s", c->name, origin_names[origin], thief_reuse ? "yes" : "no");
        for (size_t i = 0; i < _RELATIONS; i++)
                printf(" %-8s", !outcomes[i].any      ? ""
                                : outcomes[i].differs ? "mixed"
                                                      : words[outcomes[i].let_in]);
        printf("\n");
}

/* Each kind of server beside one socket. */
static void try_servers(const Case *c, const Place *thief, Origin origin, bool thief_reuse,
                        Outcome outcomes[static _RELATIONS])
{
        Scene s = scene_make(c, thief, origin, thief_reuse ? REUSEADDR : PLAIN);
        Rows r = wait_for(c, thief, &s);

        fill_in(&r, &s, thief_reuse);
        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                unsigned let_in = 0;

                for (unsigned reuse = 0; reuse < 2; reuse++)
                        if (try_cell(c, thief, origin, thief_reuse, &r, &places[i], reuse))
                                let_in |= 1u << reuse;
                if (!(let_in & 1))
                        probe(c, origin, &places[i], &s, thief_reuse, let_in);
                note(&outcomes[relation(seat(origin, thief), &places[i])], let_in);
        }
        clear(&s, c->protocol);
}

static void try_row(const Case *c, Origin origin, bool thief_reuse)
{
        Outcome outcomes[_RELATIONS] = {};

        for (size_t i = 0; i < ELEMENTSOF(places); i++)
                if (has_place(origin, &places[i]))
                        try_servers(c, &places[i], origin, thief_reuse, outcomes);
        print_row(c, origin, thief_reuse, outcomes);
}

static void test_matrix(void **state)
{
        printf("# what a server's bind() and listen() give: in; reuse: only with SO_REUSEADDR; -: "
               "refused\n# %-18s %-28s %-4s",
               "state", "of a", "its");
        for (size_t i = 0; i < _RELATIONS; i++)
                printf(" %-8s", relation_names[i]);
        printf("\n");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                for (Origin origin = 0; origin < _ORIGINS; origin++)
                        for (unsigned reuse = 0; reuse < 2; reuse++)
                                if (cases[i].origins & OF(origin))
                                        try_row(&cases[i], origin, reuse);
        printf("# %u cells, %u wrong\n", cells, wrong);
        assert_int_equal(wrong, 0);
}

static int group_setup(void **state)
{
        char range[32];

        (void) snprintf(range, sizeof(range), "%u %u", SCENE_PORT, SCENE_PORT);
        if (loopback_up() < 0 || write_text("/proc/sys/net/ipv4/ip_local_port_range", range) < 0)
                return -1;
        return sock_diag_new(&diag);
}

static int group_teardown(void **state)
{
        sock_diag_free(diag);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_matrix),
        };

        return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
