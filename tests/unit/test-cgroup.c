/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#include "base/file.h"
#include "kernel/cgroup-memory.h"
#include "kernel/cgroup.h"

#define ID  "4f5e6a7b8c9d0123456789abcdef0123456789abcdef0123456789abcdef0123"
#define ID2 "0000000000000000000000000000000000000000000000000000000000000001"

static void test_path_unit(void **state)
{
        static const struct {
                const char *path, *unit, *user_unit;
        } table[] = {
                { "/system.slice/nginx.service", "nginx.service", NULL },
                { "/nginx.service", "nginx.service", NULL },
                { "/system.slice/nginx.service/worker/1", "nginx.service", NULL },
                { "/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service",
                  NULL },
                { "/a.slice/a-b.slice/a-b-c.slice/x.service", "x.service", NULL },
                { "/system.slice/ssh.socket", "ssh.socket", NULL },
                { "/system.slice/dev-disk\\x2dby.swap", "dev-disk\\x2dby.swap", NULL },
                { "/system.slice/home.mount", "home.mount", NULL },
                { "/init.scope", "init.scope", NULL },
                { "/user.slice/user-1000.slice/session-3.scope", "session-3.scope", NULL },
                { "/user.slice/user-1000.slice/user@1000.service", "user@1000.service", NULL },
                { "/user.slice/user-1000.slice/user@1000.service/init.scope", "user@1000.service",
                  "init.scope" },
                { "/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service/sub",
                  "user@1000.service", "foo.service" },
                { "/user.slice/user-1000.slice/user@1000.service/app.slice/app-a.slice/b.scope",
                  "user@1000.service", "b.scope" },
                { "/user.slice/user-1000.slice/user@1000.service/app.slice", "user@1000.service",
                  NULL },
                { "/machine.slice/machine-web.scope/payload/system.slice/nginx.service",
                  "machine-web.scope", NULL },
                { "/machine.slice/systemd-nspawn@web.service/payload/init.scope",
                  "systemd-nspawn@web.service", NULL },
                { "/system.slice/docker-0123456789abcdef.scope", "docker-0123456789abcdef.scope",
                  NULL },
                { "/system.slice/docker-01.scope/system.slice/nginx.service", "docker-01.scope",
                  NULL },
                /* Escaped by systemd for a name that the kernel has a file for, or that begins with
                   "_". */
                { "/system.slice/_cgroup.service", "cgroup.service", NULL },
                { "/system.slice/__foo.service", "_foo.service", NULL },
                { "/_a.slice/b.service", "b.service", NULL },
                { "//system.slice///nginx.service//", "nginx.service", NULL },
        };
        static const char *const none[] = {
                "/",
                "",
                "/system.slice",
                "/docker/0123abcd",
                "/payload/nginx.service",
                "/.service",
                "/_.service",
                "/foo.timer",
                "/foo",
                "/a b.service",
                "/foo.slice/bar.slice",
                "/@x.service",
                "/lxc/a/nginx.service",
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char *unit = NULL, *user_unit = NULL;

                assert_int_equal(cgroup_path_unit(table[i].path, &unit, &user_unit), 0);
                assert_string_equal(unit, table[i].unit);
                if (table[i].user_unit)
                        assert_string_equal(user_unit, table[i].user_unit);
                else
                        assert_null(user_unit);
                assert_true(cgroup_path_in_unit(table[i].path, table[i].unit));
                free(unit);
                free(user_unit);
        }
        for (size_t i = 0; i < ELEMENTSOF(none); i++) {
                char *unit = NULL;

                assert_int_equal(cgroup_path_unit(none[i], &unit, NULL), -ENXIO);
                assert_null(unit);
        }
}

static void test_container(void **state)
{
        static const struct {
                const char *path, *container;
        } table[] = {
                { "/system.slice/docker-" ID ".scope", ID },
                { "/system.slice/docker-" ID ".scope/system.slice/nginx.service", ID },
                { "/docker/" ID, ID },
                { "/docker/" ID "/init.scope", ID },
                { "/docker/buildx/" ID, ID },
                { "/system.slice/docker.service/docker/" ID, ID },
                { "/machine.slice/libpod-" ID ".scope", ID },
                { "/machine.slice/libpod-" ID ".scope/container", ID },
                { "/machine.slice/machine-libpod_pod_" ID2 ".slice/libpod-" ID ".scope", ID },
                { "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID
                  ".scope/container",
                  ID },
                { "/user.slice/user-1000.slice/user@1000.service/app.slice/docker-" ID ".scope",
                  ID },
                { "/libpod_parent/libpod-" ID, ID },
                { "/kubepods.slice/kubepods-burstable.slice/"
                  "kubepods-burstable-pod0a1b2c3d_0000_4444_8888_0123456789ab.slice/"
                  "cri-containerd-" ID ".scope",
                  ID },
                { "/kubepods.slice/kubepods-pod0a1b.slice/crio-" ID ".scope/container", ID },
                { "/kubepods/besteffort/pod0a1b2c3d-0000-4444-8888-0123456789ab/" ID, ID },
                { "/system.slice/containerd.service/"
                  "kubepods-burstable-pod0a1b.slice:cri-containerd:" ID,
                  ID },
                { "/ecs/0123/" ID, ID },
                { "/machine.slice/machine-web.scope/payload/system.slice/nginx.service", "web" },
                { "/machine.slice/machine-web.scope", "web" },
                { "/machine.slice/machine-my\\x2dweb.scope/payload", "my-web" },
                { "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator", "qemu-1-vm" },
                { "/machine.slice/systemd-nspawn@web.service/payload/init.scope", "web" },
                { "/machine.slice/systemd-nspawn@a\\x2db.service/payload", "a-b" },
                { "/system.slice/system-foo.slice/systemd-nspawn@web.service", "web" },
                { "/lxc.payload.web/system.slice/nginx.service", "web" },
                { "/lxc.payload.web.slice/system.slice/nginx.service", "web.slice" },
                { "/lxc.payload/web/init.scope", "web" },
                { "/lxc/web/init.scope", "web" },
                /* Nothing that a terminal obeys, and no end in the middle. */
                { "/machine.slice/machine-a\\x1bb.scope", "a\\x1bb" },
                { "/machine.slice/machine-a\\x00b.scope", "a\\x00b" },
                { "/machine.slice/machine-a\\x2fb.scope", "a\\x2fb" },
                { "/machine.slice/machine-a\\xzz\\x2.scope", "a\\xzz\\x2" },
                /* The outermost: what is inside is named by those inside. */
                { "/system.slice/docker-" ID ".scope/docker/" ID2, ID },
                { "/machine.slice/machine-web.scope/payload/system.slice/docker-" ID ".scope",
                  "web" },
                { "/lxc.payload.web/docker/" ID, "web" },
                { "/docker/" ID "/lxc.payload.web", ID },
                /* Whoever runs below a user's manager may use any name there: the text says whose. */
                { "/user.slice/user-1000.slice/user@1000.service/machine-web.scope", "web" },
        };
        static const char *const none[] = {
                "/",
                "",
                "/init.scope",
                "/system.slice/nginx.service",
                "/system.slice/docker.service",
                "/system.slice/docker.service/docker",
                "/system.slice/docker.socket",
                "/system.slice/docker-web.scope",
                "/system.slice/docker-4f5e.scope",
                "/system.slice/docker" ID ".scope",
                "/system.slice/docker-0" ID ".scope",
                "/system.slice/"
                "docker-4F5E6A7B8C9D0123456789abcdef0123456789abcdef0123456789abcdef0123"
                ".scope",
                "/docker",
                "/docker/web",
                "/system.slice/run-u12.scope",
                "/machine.slice/libpod-conmon-" ID ".scope",
                "/machine.slice/crio-conmon-" ID ".scope",
                "/machine.slice/machine-.scope",
                "/machine.slice/machine-web.scope/supervisor",
                "/machine.slice/systemd-nspawn@web.service/supervisor",
                "/machine.slice/systemd-nspawn@.service",
                "/lxc",
                "/lxc.payload.",
                "/lxc.monitor.web",
                "/lxc.monitor/web",
                "/user.slice/user-1000.slice/session-3.scope",
                "/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service",
                "/user.slice/user-1000.slice/user@1000.service/" ID,
                /* Deeper in a unit of its own that only says so. */
                "/system.slice/nginx.service/x/docker-" ID ".scope",
                "/system.slice/nginx.service/docker/x/" ID,
                "/system.slice/nginx.service/machine-web.scope",
                "/system.slice/run-1.scope/docker-" ID ".scope",
                "/user.slice/user-1000.slice/session-3.scope/docker-" ID ".scope",
                "/user.slice/user-1000.slice/user@1000.service/app.slice/a.service/libpod-" ID
                ".scope",
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char *container = NULL;

                if (cgroup_path_container(table[i].path, &container) < 0)
                        fail_msg("%s is of no container", table[i].path);
                assert_string_equal(container, table[i].container);
                free(container);
                /* Of none is it the host's unit of that name. */
                assert_false(cgroup_path_in_unit(table[i].path, "nginx.service"));
        }
        for (size_t i = 0; i < ELEMENTSOF(none); i++) {
                char *container = NULL;

                if (cgroup_path_container(none[i], &container) != -ENXIO)
                        fail_msg("%s is of '%s'", none[i], container);
                assert_null(container);
        }
}

/* As long as the kernel lets a name be, each byte escaped. */
static void test_longest(void **state)
{
        char path[600] = "/machine.slice/machine-", name[256], *unit = NULL, *container = NULL;
        size_t n = (255 - strlen("machine-.scope")) / 4;

        for (size_t i = 0; i < n; i++)
                strcat(path, "\\x2d");
        strcat(path, "-.scope");
        assert_int_equal(strlen(path) - strlen("/machine.slice/"), 255);
        assert_int_equal(cgroup_path_unit(path, &unit, NULL), 0);
        assert_string_equal(unit, path + strlen("/machine.slice/"));
        assert_true(cgroup_path_in_unit(path, unit));
        assert_int_equal(cgroup_path_container(path, &container), 0);
        memset(name, '-', n + 1);
        name[n + 1] = 0;
        assert_string_equal(container, name);
        free(unit);
        free(container);

        /* One more is no name that systemd gives. */
        unit = NULL;
        (void) strcpy(path, "/system.slice/");
        memset(path + strlen(path), 'a', 248);
        (void) strcpy(path + strlen("/system.slice/") + 248, ".service");
        assert_int_equal(cgroup_path_unit(path, &unit, NULL), -ENXIO);
        assert_null(unit);
}

static void test_login(void **state)
{
        static const char *const yes[] = {
                "/user.slice/user-0.slice/session-1.scope",
                "/user.slice/user-1000.slice/session-c12.scope/below",
                "/user.slice/user-1000.slice/user@1000.service/app.slice/terminal.scope",
        };
        static const char *const no[] = {
                "/",
                "/user.slice",
                "/system.slice/session-.scope",
                "/system.slice/nginx.service",
                "/system.slice/nginx.service/session-1.scope",
                "/machine.slice/machine-x.scope/payload/user.slice/user-0.slice/session-1.scope",
                "/system.slice/docker-0123.scope",
                "/system.slice/session-1.service",
        };

        for (size_t i = 0; i < ELEMENTSOF(yes); i++)
                if (!cgroup_path_is_login(yes[i]))
                        fail_msg("%s is one", yes[i]);
        for (size_t i = 0; i < ELEMENTSOF(no); i++)
                if (cgroup_path_is_login(no[i]))
                        fail_msg("%s is none", no[i]);
}

static void test_in_unit(void **state)
{
        static const struct {
                const char *path, *unit;
                bool in;
        } table[] = {
                { "/system.slice/nginx.service", "nginx.service", true },
                { "/system.slice/nginx.service/sub", "nginx.service", true },
                { "/system.slice/nginx.service", "nginx", false },
                { "/system.slice/nginx.service", "ginx.service", false },
                { "/system.slice/nginx.service2", "nginx.service", false },
                { "/system.slice/nginx.servic", "nginx.service", false },
                /* Somebody else's tree may have whatever names it likes. */
                { "/machine.slice/machine-web.scope/payload/nginx.service", "nginx.service",
                  false },
                { "/user.slice/user-1000.slice/user@1000.service/app.slice/nginx.service",
                  "nginx.service", false },
                { "/payload/nginx.service", "nginx.service", false },
                { "/user.slice/user-1000.slice/user@1000.service/app.slice/x.service",
                  "user@1000.service", true },
                /* A container's own nginx.service, with every engine. */
                { "/system.slice/docker-" ID ".scope/system.slice/nginx.service", "nginx.service",
                  false },
                { "/system.slice/docker-x.scope/system.slice/nginx.service", "nginx.service",
                  false },
                { "/docker/" ID "/system.slice/nginx.service", "nginx.service", false },
                { "/lxc/web/system.slice/nginx.service", "nginx.service", false },
                { "/lxc.payload.web/system.slice/nginx.service", "nginx.service", false },
                { "/lxc.payload.web.slice/system.slice/nginx.service", "nginx.service", false },
                { "/machine.slice/systemd-nspawn@w.service/payload/system.slice/nginx.service",
                  "nginx.service", false },
                { "/kubepods.slice/kubepods-pod1.slice/cri-containerd-" ID
                  ".scope/system.slice/nginx.service",
                  "nginx.service", false },
                { "/kubepods/besteffort/pod1/" ID "/system.slice/nginx.service", "nginx.service",
                  false },
                { "/user.slice/user-1000.slice/session-1.scope/nginx.service", "nginx.service",
                  false },
                { "/web.slice/a.service", "web.slice", true },
                { "/web.slice/web-b.slice", "web-b.slice", true },
                { "/a.service/web.slice", "web.slice", false },
                { "/", "nginx.service", false },
                { "", "nginx.service", false },
                { "/", "", false },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_int_equal(cgroup_path_in_unit(table[i].path, table[i].unit), table[i].in);
}

static void test_parse_proc(void **state)
{
        char *path = NULL;

        assert_int_equal(cgroup_parse_proc("0::/system.slice/a.service\n", &path), 0);
        assert_string_equal(path, "/system.slice/a.service");
        free(path);
        /* Hybrid: v1 hierarchies before it. No newline at the end. */
        assert_int_equal(cgroup_parse_proc("9:name=systemd:/x\n4:memory:/a:b/0::/no\n0::/", &path),
                         0);
        assert_string_equal(path, "/");
        free(path);
        assert_int_equal(cgroup_parse_proc("0::/a:b::c\n1:x:/y\n", &path), 0);
        assert_string_equal(path, "/a:b::c");
        free(path);
        assert_int_equal(cgroup_parse_proc("0::/a.service (deleted)\n", &path), 0);
        assert_string_equal(path, "/a.service");
        free(path);
        path = NULL;
        assert_int_equal(cgroup_parse_proc("", &path), -ENODATA);
        assert_int_equal(cgroup_parse_proc("\n\n", &path), -ENODATA);
        assert_int_equal(cgroup_parse_proc("1:cpu:/\n10::/x\n", &path), -ENODATA);
        assert_int_equal(cgroup_parse_proc("0::\n", &path), -EBADMSG);
        assert_int_equal(cgroup_parse_proc("0::relative\n", &path), -EBADMSG);
        assert_null(path);
}

/* ---- the map, over a tree of plain directories: their ids are inode numbers as well ---- */

static char root[] = "/tmp/test-cgroup.XXXXXX";

static const char *const tree[] = {
        "system.slice", "system.slice/a.service", "system.slice/a.service/sub",
        "user.slice",   "system.slice/b.service",
};

static uint64_t make(const char *name)
{
        char path[256];
        struct stat st;

        assert_int_equal(path_join(path, sizeof(path), root, name), 0);
        assert_true(mkdir(path, 0755) >= 0 || errno == EEXIST);
        assert_int_equal(stat(path, &st), 0);
        return st.st_ino;
}

static void take_away(const char *name)
{
        char path[256];

        assert_int_equal(path_join(path, sizeof(path), root, name), 0);
        assert_int_equal(rmdir(path), 0);
}

static int set_up(void **state)
{
        if (!mkdtemp(root))
                return -1;
        for (size_t i = 0; i < ELEMENTSOF(tree); i++)
                (void) make(tree[i]);
        return 0;
}

static int tear_down(void **state)
{
        for (size_t i = ELEMENTSOF(tree); i > 0; i--) {
                char path[256];

                if (path_join(path, sizeof(path), root, tree[i - 1]) < 0)
                        return -1;
                (void) rmdir(path);
        }
        return rmdir(root);
}

/* The answer that comes when walks are allowed again; 10 s are patience, not measure. */
static int path_in_time(CgroupMap *m, uint64_t id, const char **ret)
{
        int r = cgroup_map_path(m, id, ret);

        for (unsigned i = 0; i < 200 && r == -EAGAIN; i++) {
                (void) usleep(50000);
                r = cgroup_map_path(m, id, ret);
        }
        return r;
}

static void test_map(void **state)
{
        _cleanup_(cgroup_map_freep) CgroupMap *m = NULL;
        const char *path;
        struct stat st;
        uint64_t id;

        assert_int_equal(cgroup_map_new(root, &m), 0);
        assert_true(cgroup_map_available(m));
        assert_string_equal(cgroup_map_root(m), root);
        for (size_t i = 0; i < ELEMENTSOF(tree); i++) {
                assert_int_equal(cgroup_map_path(m, make(tree[i]), &path), 0);
                assert_int_equal(path[0], '/');
                assert_string_equal(path + 1, tree[i]);
                assert_int_equal(cgroup_map_id(m, path, &id), 0);
                assert_true(id == make(tree[i]));
        }
        /* One walk knew them all. */
        assert_int_equal(cgroup_map_walks(m), 1);
        assert_int_equal(stat(root, &st), 0);
        assert_int_equal(cgroup_map_path(m, st.st_ino, &path), 0);
        assert_string_equal(path, "/");
        assert_int_equal(cgroup_map_id(m, "/", &id), 0);
        assert_true(id == st.st_ino);
        assert_int_equal(cgroup_map_id(m, "/system.slice/none.service", &id), -ENOENT);
        assert_int_equal(cgroup_map_path(m, 0, &path), -ENOENT);
}

static void test_map_follows_changes(void **state)
{
        _cleanup_(cgroup_map_freep) CgroupMap *m = NULL;
        const char *path;
        uint64_t id, later;

        assert_int_equal(cgroup_map_new(root, &m), 0);
        id = make("system.slice/late.service");
        assert_int_equal(cgroup_map_path(m, id, &path), 0);
        /* Made before the other goes: unlike kernfs, other file systems use an inode number
         * again. */
        later = make("user.slice/later.scope");
        take_away("system.slice/late.service");
        /* Cached, and no longer true. */
        assert_int_equal(cgroup_map_path(m, id, &path), -ENOENT);
        assert_int_equal(cgroup_map_walks(m), 1);

        assert_int_equal(path_in_time(m, later, &path), 0);
        assert_string_equal(path, "/user.slice/later.scope");
        take_away("user.slice/later.scope");
}

/* What has gone is remembered, and never taken for what is there: not even where the file system gives
 * the number of the one to another, as kernfs never does. */
static void test_map_remembers(void **state)
{
        _cleanup_(cgroup_map_freep) CgroupMap *m = NULL;
        uint64_t asked, walked, other;
        const char *path;

        assert_int_equal(cgroup_map_new(root, &m), 0);
        asked = make("system.slice/asked.service");
        walked = make("system.slice/walked.service");
        assert_null(cgroup_map_former_path(m, asked));
        assert_int_equal(cgroup_map_path(m, asked, &path), 0);
        other = make("user.slice/other.scope");
        take_away("system.slice/asked.service");
        take_away("system.slice/walked.service");
        assert_int_equal(cgroup_map_path(m, asked, &path), -ENOENT);
        assert_string_equal(cgroup_map_former_path(m, asked), "/system.slice/asked.service");
        /* Also when another walk has come by. */
        assert_int_equal(path_in_time(m, other, &path), 0);
        assert_string_equal(cgroup_map_former_path(m, asked), "/system.slice/asked.service");
        assert_string_equal(cgroup_map_former_path(m, walked), "/system.slice/walked.service");
        assert_null(cgroup_map_former_path(m, UINT64_C(1) << 60));
        take_away("user.slice/other.scope");

        for (unsigned i = 0; i < 50; i++) {
                char name[64];

                (void) snprintf(name, sizeof(name), "system.slice/new%u.service", i);
                if (make(name) == asked) {
                        if (cgroup_map_path(m, asked, &path) >= 0)
                                assert_string_equal(path + 1, name);
                }
                take_away(name);
        }
}

/* A thousand and more: what does not fit is forgotten, not mixed up. */
static void test_memory(void **state)
{
        CgroupMemory *m = calloc(1, sizeof(*m));
        char path[32];
        unsigned n = 0;

        assert_non_null(m);
        assert_null(cgroup_memory_get(m, 7));
        for (uint64_t id = 1; id <= 3000; id++) {
                (void) snprintf(path, sizeof(path), "/%u.scope", (unsigned) (id * 3));
                cgroup_memory_put(m, id * 3, path);
                cgroup_memory_put(m, id * 3, path);
        }
        for (uint64_t id = 1; id <= 9000; id++) {
                const char *found = cgroup_memory_get(m, id);

                if (!found)
                        continue;
                (void) snprintf(path, sizeof(path), "/%u.scope", (unsigned) id);
                assert_string_equal(found, path);
                n++;
        }
        assert_int_equal(n, CGROUP_MEMORY_SLOTS);
        cgroup_memory_done(m);
        free(m);
}

static uint64_t now_msec(void)
{
        struct timespec ts;

        assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &ts), 0);
        return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}

static void test_map_walks_seldom(void **state)
{
        _cleanup_(cgroup_map_freep) CgroupMap *m = NULL;
        unsigned walks, n_gone = 0;
        uint64_t begin = now_msec();
        const char *path;

        assert_int_equal(cgroup_map_new(root, &m), 0);
        for (uint64_t id = 1; id <= 100000; id++) {
                int r = cgroup_map_path(m, UINT64_C(1) << 60 | id, &path);

                assert_true(r == -ENOENT || r == -EAGAIN);
                n_gone += r == -ENOENT;
        }
        assert_in_range(cgroup_map_walks(m), 1, 2 + (1000 + now_msec() - begin) / 10);
        /* Only of what was looked for is it said that it has gone. */
        assert_int_equal(n_gone, cgroup_map_walks(m));
        assert_int_equal(path_in_time(m, make("system.slice"), &path), 0);

        /* Several that come one after the other are found at once. */
        (void) cgroup_map_free(m);
        m = NULL;
        assert_int_equal(cgroup_map_new(root, &m), 0);
        for (uint64_t id = 1; id <= 3; id++)
                assert_int_equal(cgroup_map_path(m, UINT64_C(1) << 60 | id, &path), -ENOENT);

        /* Nor ever again for one that a walk has not found. */
        (void) cgroup_map_free(m);
        m = NULL;
        assert_int_equal(cgroup_map_new(root, &m), 0);
        assert_int_equal(cgroup_map_path(m, UINT64_C(1) << 61, &path), -ENOENT);
        walks = cgroup_map_walks(m);
        assert_int_equal(walks, 1);
        (void) usleep(300000);
        assert_int_equal(cgroup_map_path(m, UINT64_C(1) << 61, &path), -ENOENT);
        assert_int_equal(cgroup_map_walks(m), 1);
        assert_int_equal(path_in_time(m, make("user.slice"), &path), 0);
}

static void test_map_bad_root(void **state)
{
        CgroupMap *m = NULL;

        assert_int_equal(cgroup_map_new("/does/not/exist", &m), -ENOENT);
        assert_null(m);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_path_unit),
                cmocka_unit_test(test_container),
                cmocka_unit_test(test_longest),
                cmocka_unit_test(test_login),
                cmocka_unit_test(test_in_unit),
                cmocka_unit_test(test_parse_proc),
                cmocka_unit_test(test_map),
                cmocka_unit_test(test_map_follows_changes),
                cmocka_unit_test(test_map_remembers),
                cmocka_unit_test(test_memory),
                cmocka_unit_test(test_map_walks_seldom),
                cmocka_unit_test(test_map_bad_root),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
