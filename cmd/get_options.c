/* SPDX-License-Identifier: MIT
 *
 * `rondo get`: the command line.
 */
#include "get.h"

#include <stdlib.h>
#include <string.h>

const char get_help[] =
    "usage: rondo get [OPTIONS] URL\n"
    "\n"
    "Gets what an http or https URL names and writes it to standard output.\n"
    "\n"
    "  -o, --output FILE   write into FILE; an answer of 400 or above leaves FILE alone;\n"
    "                      -: standard output\n"
    "  -C, --continue      go on where FILE ends (-o); if it has changed on the server since,\n"
    "                      get all of it anew\n"
    "  -i, --include       write status line and fields of the answer first\n"
    "  -H, --header 'NAME: VALUE'   send this field too (may be repeated)\n"
    "  -X, --method METHOD instead of GET, or of POST with -d\n"
    "  -d, --data DATA     send this as the body; @FILE: what is in the file, @-: standard input\n"
    "      --user NAME:PASSWORD     Authorization: Basic; not sent to other hosts\n"
    "      --max-time SECONDS       give up after so long (fractions are allowed)\n"
    "      --no-follow     do not follow redirects (10 are followed else)\n"
    "      --compressed    ask for gzip, write what was compressed\n"
    "  -x, --proxy URL     by way of http[s]://[USER:PASSWORD@]HOST[:PORT]; \"\": of nobody; else\n"
    "                      what http_proxy and https_proxy in the environment say\n"
    "      --no-proxy LIST hosts to ask without it, like 'localhost,10.0.0.0/8,.example.org'; "
    "else\n"
    "                      what no_proxy says\n"
    "      --unix PATH     connect to a Unix socket; URL still says what is asked for\n"
    "      --trust FILE    trust the certificates in this PEM file, instead of the system's\n"
    "      --insecure      do not check the server's certificate\n"
    "  -q, --quiet         no progress, and no message about the answer's status\n"
    "\n"
    "Progress is shown on a terminal, on standard error. Ctrl-C leaves in FILE what has\n"
    "arrived; `rondo get -C -o FILE URL` goes on from there.\n"
    "\n"
    "exit status: 0 done; 1 it could not be got or written; 2 wrong usage; 4 the server\n"
    "answered 400 or above, or with what can't be used; 130 Ctrl-C\n"
    "\n"
    "example: rondo get -C -o debian.iso https://example.org/debian.iso\n";

typedef struct option {
    const char *letter, *name;
    size_t text, flag; /* offsets into get_options: one of them, the other is NONE */
} option;

#define NONE SIZE_MAX
#define TEXT(letter, name, member) \
    { letter, name, offsetof(get_options, member), NONE }
#define FLAG(letter, name, member) \
    { letter, name, NONE, offsetof(get_options, member) }

static const option options[] = {
    TEXT("-o", "--output", output),     TEXT("-X", "--method", method),
    TEXT("-d", "--data", data),         TEXT("-x", "--proxy", proxy),
    TEXT("", "--no-proxy", no_proxy),   TEXT("", "--unix", unix_path),
    TEXT("", "--user", user),           TEXT("", "--trust", trust),
    FLAG("-C", "--continue", resume),   FLAG("-i", "--include", head),
    FLAG("", "--no-follow", no_follow), FLAG("", "--compressed", compressed),
    FLAG("", "--insecure", insecure),   FLAG("-q", "--quiet", quiet),
    FLAG("-h", "--help", help),
};

/* "-xVALUE", "-x VALUE", "--name VALUE" or "--name=VALUE" at argv[*at]: NULL when it is another option,
 * or, with *ret_missing, when the value is missing. */
static const char *take_value(int argc, char **argv, int *at, const char *letter, const char *name,
                              bool *ret_missing) {
    const char *text = argv[*at];
    size_t len = strlen(name);
    if (strncmp(text, name, len) == 0 && text[len] == '=') return text + len + 1;
    if (*letter && strncmp(text, letter, 2) == 0 && text[2] != '\0') return text + 2;
    if (strcmp(text, name) != 0 && (!*letter || strcmp(text, letter) != 0)) return NULL;
    if (*at + 1 < argc) return argv[++*at];
    complain("%s needs a value; see: rondo help get", text);
    *ret_missing = true;
    return NULL;
}

static bool parse_seconds(const char *text, uint64_t *ret_ms) {
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds > 0) || seconds > 1e9) return false;
    *ret_ms = (uint64_t)(seconds * 1000);
    if (*ret_ms == 0) *ret_ms = 1;
    return true;
}

static bool take_flag(const char *text, get_options *ret) {
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        const option *known = &options[i];
        if (known->flag == NONE) continue;
        if (strcmp(text, known->name) != 0 && strcmp(text, known->letter) != 0) continue;
        *(bool *)(void *)((char *)ret + known->flag) = true;
        return true;
    }
    return false;
}

/* Reads one option. Returns EXIT_OK or EXIT_USAGE. */
static int parse_option(int argc, char **argv, int *at, get_options *ret) {
    bool missing = false;
    const char *value;
    if (take_flag(argv[*at], ret)) return EXIT_OK;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        const option *known = &options[i];
        if (known->text == NONE) continue;
        value = take_value(argc, argv, at, known->letter, known->name, &missing);
        if (missing) return EXIT_USAGE;
        if (!value) continue;
        *(const char **)(void *)((char *)ret + known->text) = value;
        return EXIT_OK;
    }
    value = take_value(argc, argv, at, "-H", "--header", &missing);
    if (value && ret->field_count < GET_FIELDS_MOST) {
        /* The text is the command line's, which a program may change. */
        ret->fields[ret->field_count++] = (char *)(uintptr_t)value;
        return EXIT_OK;
    }
    if (value) complain("at most %d header fields can be given", GET_FIELDS_MOST);
    if (value || missing) return EXIT_USAGE;
    value = take_value(argc, argv, at, "", "--max-time", &missing);
    if (missing) return EXIT_USAGE;
    if (value) {
        if (parse_seconds(value, &ret->max_time_ms)) return EXIT_OK;
        complain("'%s' is no time; give seconds, like 30 or 0.5", value);
        return EXIT_USAGE;
    }
    complain("get has no option '%s'; see: rondo help get", argv[*at]);
    return EXIT_USAGE;
}

static int check(const get_options *given) {
    if (!given->url)
        complain("get needs a URL: rondo get https://example.org/");
    else if (given->resume && !given->output)
        complain("--continue needs the file to go on with: -o FILE");
    else if (given->resume && (given->method || given->data || given->compressed || given->head))
        complain("--continue goes with a plain GET only: no -X, -d, -i or --compressed");
    else
        return EXIT_OK;
    return EXIT_USAGE;
}

int get_parse(int argc, char **argv, get_options *ret) {
    bool only_names = false; /* after "--" */
    for (int i = 1; i < argc; i++) {
        if (!only_names && strcmp(argv[i], "--") == 0) {
            only_names = true;
        } else if (!only_names && argv[i][0] == '-' && argv[i][1] != '\0') {
            if (parse_option(argc, argv, &i, ret) != EXIT_OK) return EXIT_USAGE;
        } else if (ret->url) {
            complain("get takes one URL, not both '%s' and '%s'", ret->url, argv[i]);
            return EXIT_USAGE;
        } else {
            ret->url = argv[i];
        }
    }
    if (ret->output && strcmp(ret->output, "-") == 0) ret->output = NULL; /* as everywhere */
    return ret->help ? EXIT_OK : check(ret);
}
