/* SPDX-License-Identifier: MIT
 *
 * The table of models, made from models.def, and running one of them.
 */
#include "compare/model.h"

#include "compare/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define MODEL(function, name, title, file, kind, waits) model_main function##_main;
#include "compare/models.def"
#undef MODEL

const model models[] = {
#define BLOCKS true
#define LOOPS false
#define MODEL(function, name, title, file, kind, waits) \
    {name, title, waits, file, kind, function##_main},
#include "compare/models.def"
#undef MODEL
    {.name = NULL}};

const model *model_find(const char *name) {
    for (const model *each = models; each->name != NULL; each++)
        if (strcmp(each->name, name) == 0) return each;
    return NULL;
}

int compare_serve(const model *chosen, const model_settings *settings) {
    model_settings mine = *settings;
    struct rlimit limit;

    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_IGN); /* sendfile(2) has no flag against it */
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    server_name = chosen->name;
    mine.directory = -1;
    if (mine.files != NULL) {
        mine.directory = open(mine.files, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (mine.directory < 0) return server_failed(mine.files);
    }
    return chosen->main(&mine);
}
