/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* subject PORT [WORD...]: a server whose unit is of some kind. It takes the sockets that it is
 * passed, else binds PORT, and tells everybody who connects and says a byte what it was given, a
 * line each:
 *
 *   environment NAME=VALUE      uid N      gid N      line LINE OF /proc/self/status
 *   passed NAME ADDRESS:PORT    or NAME of something that is no TCP socket
 *
 * Words: fork (the child serves, the parent ends when it can), pidfile=PATH (fork writes it), ready
 * (READY=1 and STATUS=), main (with fork: MAINPID= of the child), store (puts two files of its own
 * into the unit's fd store where there are none yet), once (ends after its first client), also=PORT
 * (listens there, too), crash (after its first 20 ms).
 *
 * Linked statically: it also runs where there is no library. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST 3 /* sd_listen_fds(3) */

static void notify(const char *text, int fd)
{
        const char *path = getenv("NOTIFY_SOCKET");
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        char control[CMSG_SPACE(sizeof(int))] = { 0 };
        struct iovec iov = { .iov_base = (char *) text, .iov_len = strlen(text) };
        struct msghdr m = { .msg_name = &sa, .msg_iov = &iov, .msg_iovlen = 1 };
        int s;

        if (!path)
                return;
        snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
        m.msg_namelen = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(path));
        if (path[0] == '@')
                sa.sun_path[0] = 0;
        if (fd >= 0) {
                struct cmsghdr *c;

                m.msg_control = control;
                m.msg_controllen = sizeof(control);
                c = CMSG_FIRSTHDR(&m);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(c), &fd, sizeof(int));
        }
        s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (s < 0 || sendmsg(s, &m, 0) < 0)
                perror("notify");
        close(s);
}

static int local_address(int fd, char *buf, size_t size)
{
        struct sockaddr_storage ss;
        socklen_t l = sizeof(ss);
        char host[INET6_ADDRSTRLEN];

        if (getsockname(fd, (struct sockaddr *) &ss, &l) < 0)
                return -1;
        if (ss.ss_family == AF_INET) {
                const struct sockaddr_in *a = (const struct sockaddr_in *) &ss;

                inet_ntop(AF_INET, &a->sin_addr, host, sizeof(host));
                snprintf(buf, size, "%s:%u", host, ntohs(a->sin_port));
                return 0;
        }
        if (ss.ss_family == AF_INET6) {
                const struct sockaddr_in6 *a = (const struct sockaddr_in6 *) &ss;

                inet_ntop(AF_INET6, &a->sin6_addr, host, sizeof(host));
                snprintf(buf, size, "[%s]:%u", host, ntohs(a->sin6_port));
                return 0;
        }
        return -1;
}

static int n_passed(void)
{
        const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");

        return pid && n && atoi(pid) == getpid() ? atoi(n) : 0;
}

static void tell(int client, int passed)
{
        FILE *f = fdopen(client, "w"), *status;
        char first, *names = strdup(getenv("LISTEN_FDNAMES") ?: ""), *rest = names, line[1024];

        if (!f || read(client, &first, 1) < 0)
                return;
        for (char **e = environ; *e; e++)
                fprintf(f, "environment %s\n", *e);
        fprintf(f, "uid %u\ngid %u\n", (unsigned) getuid(), (unsigned) getgid());
        for (int i = 0; i < passed; i++) {
                const char *name = strsep(&rest, ":");
                char address[128] = "";

                (void) local_address(FIRST + i, address, sizeof(address));
                fprintf(f, "passed %s%s%s\n", name ?: "?", *address ? " " : "", address);
        }
        status = fopen("/proc/self/status", "re");
        while (status && fgets(line, sizeof(line), status))
                fprintf(f, "line %s", line);
        if (status)
                fclose(status);
        fclose(f);
        free(names);
}

/* The first listening socket that was passed, else one of our own. */
static int listener(unsigned port, int passed)
{
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t) port) };
        int fd, on = 1;
        socklen_t l = sizeof(on);

        for (int i = 0; i < passed; i++) {
                char address[128];
                const char *colon;

                if (local_address(FIRST + i, address, sizeof(address)) < 0)
                        continue;
                colon = strrchr(address, ':');
                if ((unsigned) atoi(colon + 1) == port &&
                    getsockopt(FIRST + i, SOL_SOCKET, SO_ACCEPTCONN, &on, &l) == 0 && on)
                        return FIRST + i;
        }
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
            bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0 || listen(fd, 100) < 0) {
                perror("bind");
                exit(1);
        }
        return fd;
}

static void detach(const char *pidfile, int is_main)
{
        char text[64];
        FILE *f;
        pid_t pid = fork();

        if (pid < 0)
                exit(1);
        if (pid == 0)
                return;
        if (pidfile) {
                f = fopen(pidfile, "we");
                if (!f || fprintf(f, "%d\n", (int) pid) < 0 || fclose(f) != 0) {
                        perror(pidfile);
                        exit(1);
                }
        }
        if (is_main) {
                snprintf(text, sizeof(text), "MAINPID=%d\nREADY=1\nSTATUS=the child serves",
                         (int) pid);
                notify(text, -1);
        }
        _exit(0);
}

int main(int argc, char *argv[])
{
        int do_fork = 0, ready = 0, is_main = 0, store = 0, once = 0, crash = 0, passed, fd;
        const char *pidfile = NULL;

        if (argc < 2)
                return 2;
        for (int i = 2; i < argc; i++) {
                do_fork |= strcmp(argv[i], "fork") == 0;
                ready |= strcmp(argv[i], "ready") == 0;
                is_main |= strcmp(argv[i], "main") == 0;
                store |= strcmp(argv[i], "store") == 0;
                once |= strcmp(argv[i], "once") == 0;
                crash |= strcmp(argv[i], "crash") == 0;
                if (strncmp(argv[i], "also=", 5) == 0)
                        (void) listener((unsigned) atoi(argv[i] + 5), 0);
                if (strncmp(argv[i], "pidfile=", 8) == 0)
                        pidfile = argv[i] + 8;
        }
        passed = n_passed();
        fd = listener((unsigned) atoi(argv[1]), passed);
        if (store && !strstr(getenv("LISTEN_FDNAMES") ?: "", "own")) {
                notify("FDSTORE=1\nFDNAME=own-first", memfd_create("first", MFD_CLOEXEC));
                notify("FDSTORE=1\nFDNAME=own-second", memfd_create("second", MFD_CLOEXEC));
        }
        if (do_fork)
                detach(pidfile, is_main);
        if (ready)
                notify("READY=1\nSTATUS=it serves", -1);
        if (crash) {
                usleep(20000);
                abort();
        }
        for (;;) {
                int client = accept(fd, NULL, NULL);

                if (client >= 0)
                        tell(client, passed);
                else if (errno != EINTR && errno != ECONNABORTED)
                        return 1;
                if (once)
                        return 0;
        }
}
