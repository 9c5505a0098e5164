/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* portreserved(8): declare a port once, and it is there when its service starts. */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "daemon/alert/log.h"
#include "daemon/manager.h"
#include "kernel/config-file.h"
#include "kernel/config-units.h"
#include "kernel/kernel-list.h"
#include "kernel/runtime.h"

#define EXIT_USAGE          2
#define EXIT_CONFIG_INVALID 7

static void help(FILE *f)
{
        fputs("portreserved [OPTION…]\n"
              "Keeps the ports that " CONFIG_FILE_DEFAULT " declares for their services.\n"
              "\n"
              "  --config FILE       read this file and FILE.d/*.conf instead\n"
              "  --runtime-dir DIR   sockets and state (" RUNTIME_DIR_DEFAULT ")\n"
              "  --state-dir DIR     what outlives a reboot (" STATE_DIR_DEFAULT ")\n"
              "  --keep-list         leave the kernel's list as it is at SIGTERM\n"
              "  --debug             say more\n"
              "\n"
              "Instead of running:\n"
              "  --check [FILE]      name every mistake in the configuration; exit 7 if any\n"
              "  --release-list      take our ports out of the kernel's list\n"
              "  --help, --version\n"
              "\n"
              "See portreserved(8), portreserved.conf(5), portreservectl(1).\n",
              f);
}

/* Started with a standard stream closed, the next file or socket of ours would get its number, and
 * our log. */
static void open_standard_streams(void)
{
        int fd;

        do
                fd = open("/dev/null", O_RDWR);
        while (fd >= 0 && fd <= STDERR_FILENO);
        closep(&fd);
}

static int check(const char *file)
{
        _cleanup_(config_freep) Config *config = NULL;
        int r;

        r = config_load(&(ConfigPaths){ .main = file, .root = "" }, &config);
        if (r >= 0)
                r = config_check_host(config);
        if (r < 0) {
                fprintf(stderr, "%s: %s\n", file ?: CONFIG_FILE_DEFAULT, strerror(-r));
                return EXIT_FAILURE;
        }
        config_print_diagnostics(config, stdout);
        return config->n_errors > 0 ? EXIT_CONFIG_INVALID : EXIT_SUCCESS;
}

static int release_list(const char *runtime_dir)
{
        int r;

        r = reserve_release(runtime_dir);
        if (r < 0) {
                log_error("Cannot take our ports out of net.ipv4.ip_local_reserved_ports: %s",
                          strerror(-r));
                return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}

static int run(const ManagerOptions *options)
{
        _cleanup_(manager_freep) Manager *m = NULL;
        int r;

        /* In a container we may be who everybody's orphans are left to: the kernel buries them. */
        if (getpid() == 1)
                (void) signal(SIGCHLD, SIG_IGN);
        r = manager_new(options, &m);
        if (r >= 0)
                r = manager_start(m);
        if (r >= 0)
                r = manager_run(m);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char *argv[])
{
        enum {
                ARG_CONFIG = 0x100,
                ARG_RUNTIME_DIR,
                ARG_STATE_DIR,
                ARG_KEEP_LIST,
                ARG_DEBUG,
                ARG_CHECK,
                ARG_RELEASE_LIST,
                ARG_HELP,
                ARG_VERSION,
        };
        static const struct option long_options[] = {
                { "config", required_argument, NULL, ARG_CONFIG },
                { "runtime-dir", required_argument, NULL, ARG_RUNTIME_DIR },
                { "state-dir", required_argument, NULL, ARG_STATE_DIR },
                { "keep-list", no_argument, NULL, ARG_KEEP_LIST },
                { "debug", no_argument, NULL, ARG_DEBUG },
                { "check", no_argument, NULL, ARG_CHECK },
                { "release-list", no_argument, NULL, ARG_RELEASE_LIST },
                { "help", no_argument, NULL, ARG_HELP },
                { "version", no_argument, NULL, ARG_VERSION },
                {},
        };
        ManagerOptions options = { .runtime_dir = RUNTIME_DIR_DEFAULT,
                                   .state_dir = STATE_DIR_DEFAULT };
        bool do_check = false, do_release = false;
        int c;

        open_standard_streams();
        log_open();
        (void) kernel_list_adopt();

        while ((c = getopt_long(argc, argv, "h", long_options, NULL)) >= 0)
                switch (c) {
                case ARG_CONFIG:
                        options.config = optarg;
                        break;
                case ARG_RUNTIME_DIR:
                        options.runtime_dir = optarg;
                        break;
                case ARG_STATE_DIR:
                        options.state_dir = optarg;
                        break;
                case ARG_KEEP_LIST:
                        options.keep_list = true;
                        break;
                case ARG_DEBUG:
                        log_set_level(LOG_DEBUG);
                        break;
                case ARG_CHECK:
                        do_check = true;
                        break;
                case ARG_RELEASE_LIST:
                        do_release = true;
                        break;
                case 'h':
                case ARG_HELP:
                        help(stdout);
                        return EXIT_SUCCESS;
                case ARG_VERSION:
                        puts("portreserved " PROJECT_VERSION);
                        return EXIT_SUCCESS;
                default:
                        fputs("Try 'portreserved --help'.\n", stderr);
                        return EXIT_USAGE;
                }

        if (argc - optind > (do_check ? 1 : 0)) {
                fprintf(stderr, "portreserved: '%s' is too much. Try 'portreserved --help'.\n",
                        argv[argc - 1]);
                return EXIT_USAGE;
        }
        if (do_check)
                return check(optind < argc ? argv[optind] : options.config);
        if (do_release)
                return release_list(options.runtime_dir);
        return run(&options);
}
