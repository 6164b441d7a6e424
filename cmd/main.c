/* SPDX-License-Identifier: MIT
 *
 * The `rondo` command: finds the subcommand in the one table of them and runs it.
 */
#include "cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct command {
    const char *name;
    const char *summary;
    const char *help;
    int (*run)(int argc, char **argv);
    bool daemon; /* started with its standard descriptors closed it works all the same */
} command;

static int help_main(int argc, char **argv);

static const char help_help[] = "usage: rondo help [COMMAND]\n"
                                "\n"
                                "Shows what a command does and its options.\n";

static const command commands[] = {
    {"serve", "serve a directory over HTTP", serve_help, serve_main, true},
    {"get", "get what a URL names", get_help, get_main, false},
    {"compare", "compare models of concurrency, the loop among them", compare_help, compare_main,
     false},
    {"help", "show what a command does: rondo help serve", help_help, help_main, false},
};
#define COMMAND_COUNT (sizeof commands / sizeof *commands)

static const command *find(const char *name) {
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    }
    return NULL;
}

static int unknown(const char *name) {
    complain("there is no command '%s'; rondo --help lists them", name);
    return EXIT_USAGE;
}

static int show_overview(void) {
    printf("rondo %s: one thread runs your callbacks, everything else runs in parallel\n"
           "\n"
           "usage: rondo COMMAND [ARGUMENTS]\n"
           "       rondo --help | --version\n"
           "\n"
           "commands:\n",
           rondo_version());
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        printf("  %-8s %s\n", commands[i].name, commands[i].summary);
    printf("\n"
           "exit status: 0 done, 1 something failed, 2 wrong usage\n");
    return flush_stdout();
}

static int help_main(int argc, char **argv) {
    const command *about = argc == 2 ? find(argv[1]) : NULL;

    if (argc < 2) return show_overview();
    if (argc > 2) {
        complain("help takes one command, not %d; usage: rondo help [COMMAND]", argc - 1);
        return EXIT_USAGE;
    }
    if (about == NULL) return unknown(argv[1]);
    fputs(about->help, stdout);
    return flush_stdout();
}

/* With one of 0, 1 and 2 closed, the next socket would become the standard output, and what is
 * printed would go to a stranger. What takes their places fails as a closed one does, but for a
 * daemon: that talks to nobody. */
static void fill_standard_fds(bool daemon) {
    for (int fd = 0; fd <= 2; fd++) {
        int fails = fd == 0 ? O_WRONLY : O_RDONLY;
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", daemon ? O_RDWR : fails) != fd)
            _exit(EXIT_RUNTIME);
    }
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : NULL;
    const command *found = name ? find(name) : NULL;

    fill_standard_fds(found && found->daemon);
    signal(SIGPIPE, SIG_IGN); /* a reader of our output that left is an error of printf */
    if (name == NULL) {
        complain("no command; try: rondo serve (rondo --help lists all)");
        return EXIT_USAGE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) return show_overview();
    if (strcmp(name, "--version") == 0) {
        printf("rondo %s\n", rondo_version());
        return flush_stdout();
    }
    if (name[0] == '-') {
        complain("there is no option '%s'; see: rondo --help", name);
        return EXIT_USAGE;
    }
    return found ? found->run(argc - 1, argv + 1) : unknown(name);
}
