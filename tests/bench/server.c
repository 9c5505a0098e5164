/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A server for bench_start.py that costs next to nothing: listens on the port it is told (with
 * SO_REUSEADDR) or on the socket that systemd passes, says READY=1, and gives each client a byte.
 * Without arguments it does nothing: the command of bench-exec. */

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int listen_on(uint16_t port)
{
        struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
        const int on = 1;
        int fd;

        fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
            bind(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0 || listen(fd, 16) < 0)
                return -1;
        return fd;
}

static void say_ready(void)
{
        struct sockaddr_un sa = { .sun_family = AF_UNIX };
        const char *path = getenv("NOTIFY_SOCKET");
        size_t l = path ? strlen(path) : 0;
        int fd;

        if (l == 0 || l >= sizeof(sa.sun_path))
                return;
        memcpy(sa.sun_path, path, l);
        if (path[0] == '@')
                sa.sun_path[0] = 0;
        fd = socket(AF_UNIX, SOCK_DGRAM, 0);
        if (fd < 0)
                return;
        (void) sendto(fd, "READY=1", 7, 0, (struct sockaddr *) &sa,
                      (socklen_t) (offsetof(struct sockaddr_un, sun_path) + l));
        close(fd);
}

int main(int argc, char *argv[])
{
        int fd = 3;

        if (argc < 2)
                return EXIT_SUCCESS;
        if (!getenv("LISTEN_FDS"))
                fd = listen_on((uint16_t) atoi(argv[1]));
        if (fd < 0)
                return EXIT_FAILURE;
        say_ready();
        for (;;) {
                int client = accept(fd, NULL, NULL);

                if (client < 0)
                        return EXIT_FAILURE;
                (void) send(client, "x", 1, MSG_NOSIGNAL);
                close(client);
        }
}
