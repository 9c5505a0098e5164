/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs every file of a corpus folder through a fuzz target once, for compilers without libFuzzer. */

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char *argv[])
{
        struct dirent *entry;
        unsigned n = 0;
        DIR *dir;

        if (argc != 2) {
                fprintf(stderr, "usage: %s CORPUS\n", argv[0]);
                return 2;
        }
        dir = opendir(argv[1]);
        if (!dir) {
                perror(argv[1]);
                return 1;
        }
        while ((entry = readdir(dir))) {
                _cleanup_(freep) char *data = NULL;
                char path[4096];
                size_t size;

                if (entry->d_name[0] == '.')
                        continue;
                if (path_join(path, sizeof(path), argv[1], entry->d_name) < 0 ||
                    file_read(path, 16u << 20, &data, &size) < 0) {
                        perror(path);
                        closedir(dir);
                        return 1;
                }
                (void) LLVMFuzzerTestOneInput((const uint8_t *) data, size);
                n++;
        }
        closedir(dir);
        printf("%u inputs\n", n);
        return n > 0 ? 0 : 1;
}
