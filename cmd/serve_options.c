/* SPDX-License-Identifier: MIT
 *
 * The command line of `rondo serve`: one table of options, how each is read, and how all of them are
 * shown.
 */
#include "cmd.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A day: whoever wants to wait longer wants to wait for ever. */
#define DRAIN_MOST_S 86400
/* Of the fields of --header in all: half of what an answer may have, so that its own fit too. */
#define FIELDS_MOST ((size_t)8192)

/* ---- values; each returns EXIT_OK, or complains and returns EXIT_USAGE ---- */

/* Digits only: no sign, no blanks, no other base. */
static bool read_number(const char *text, uint64_t most, uint64_t *ret) {
    uint64_t number = 0;

    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || at - text >= 18) return false;
        number = number * 10 + (uint64_t)(*at - '0');
    }
    if (*text == '\0' || number > most) return false;
    *ret = number;
    return true;
}

static int add_text(const char *name, const char *value, const char **list, size_t *count) {
    if (*count == GIVEN_MOST) {
        complain("%s may be given %d times, no more", name, GIVEN_MOST);
        return EXIT_USAGE;
    }
    list[(*count)++] = value;
    return EXIT_OK;
}

static int take_host(serve_options *ret, const char *value) {
    return add_text("--host", value, ret->hosts, &ret->host_count);
}

static int take_unix(serve_options *ret, const char *value) {
    return add_text("--unix", value, ret->paths, &ret->path_count);
}

static int take_port(serve_options *ret, const char *value) {
    uint64_t port;

    if (!read_number(value, 65535, &port)) {
        complain("'%s' is no port; give a number from 0 (any free one) to 65535", value);
        return EXIT_USAGE;
    }
    if (ret->port_count == GIVEN_MOST) {
        complain("--port may be given %d times, no more", GIVEN_MOST);
        return EXIT_USAGE;
    }
    ret->ports[ret->port_count++] = (uint16_t)port;
    return EXIT_OK;
}

static int take_certificate(serve_options *ret, const char *value) {
    ret->certificate = value;
    return EXIT_OK;
}

static int take_key(serve_options *ret, const char *value) {
    ret->key = value;
    return EXIT_OK;
}

static int take_connections(const char *value, size_t *ret) {
    uint64_t number;

    if (!read_number(value, 10000000, &number) || number == 0) {
        complain("'%s' is no number of connections; give one from 1 to 10000000", value);
        return EXIT_USAGE;
    }
    *ret = (size_t)number;
    return EXIT_OK;
}

static int take_max_connections(serve_options *ret, const char *value) {
    return take_connections(value, &ret->max_connections);
}

static int take_max_per_address(serve_options *ret, const char *value) {
    return take_connections(value, &ret->max_per_address);
}

static int take_drain_timeout(serve_options *ret, const char *value) {
    uint64_t seconds;

    if (!read_number(value, DRAIN_MOST_S, &seconds)) {
        complain("'%s' is no time; give seconds from 0 (wait as long as it takes) to %d", value,
                 DRAIN_MOST_S);
        return EXIT_USAGE;
    }
    ret->drain_timeout_ms = seconds * 1000;
    return EXIT_OK;
}

static int take_log(serve_options *ret, const char *value) {
    ret->log = value;
    return EXIT_OK;
}

/* In the order of the library's table, and named as there. */
static const char *const log_formats[] = {
#define NAME(name, what) #name,
    RONDO_HTTP_LOG_FORMATS(NAME)
#undef NAME
};

static int take_log_format(serve_options *ret, const char *value) {
    for (size_t i = 0; i < sizeof log_formats / sizeof *log_formats; i++)
        if (strcasecmp(value, log_formats[i]) == 0) {
            ret->log_format = (rondo_http_log_format)i;
            ret->log_format_given = true;
            return EXIT_OK;
        }
    complain("'%s' is no format of a log; give common, combined, json or short", value);
    return EXIT_USAGE;
}

/* RFC 9110 section 5.6.2 */
static bool is_token(const char *text) {
    static const char others[] = "!#$%&'*+-.^_`|~";

    for (const char *at = text; *at != '\0'; at++) {
        bool alnum =
            (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9');
        if (!alnum && strchr(others, *at) == NULL) return false;
    }
    return *text != '\0';
}

static bool is_value(const char *text) {
    for (; *text != '\0'; text++)
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f) return false;
    return true;
}

/* Fields that say what an answer is: the file decides, or the server. */
static bool is_ours(const char *name) {
    static const char *const ours[] = {"Accept-Ranges",
                                       "Allow",
                                       "Connection",
                                       "Content-Encoding",
                                       "Content-Length",
                                       "Content-Range",
                                       "Content-Type",
                                       "Date",
                                       "ETag",
                                       "Keep-Alive",
                                       "Last-Modified",
                                       "Location",
                                       "Transfer-Encoding",
                                       "Vary"};

    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strcasecmp(name, ours[i]) == 0) return true;
    return false;
}

/* Splits "Name: value" at its colon; the blanks around the value go. */
static bool split_field(char *text, field_option *ret) {
    char *colon = strchr(text, ':');
    char *end = text + strlen(text);

    if (colon == NULL) return false;
    *colon++ = '\0';
    colon += strspn(colon, " \t");
    while (end > colon && (end[-1] == ' ' || end[-1] == '\t')) *--end = '\0';
    ret->name = text;
    ret->value = colon;
    return is_token(text) && is_value(colon);
}

/* As they are sent, with those before. */
static bool fields_fit(const serve_options *given) {
    size_t len = 0;

    for (size_t i = 0; i <= given->field_count; i++)
        len += strlen(given->fields[i].name) + strlen(given->fields[i].value) + 4;
    return len <= FIELDS_MOST;
}

static int take_header(serve_options *ret, const char *value) {
    char *copy = strdup(value);

    if (copy == NULL) {
        complain("there is no memory for the field '%s'", value);
    } else if (ret->field_count == GIVEN_MOST) {
        complain("--header may be given %d times, no more", GIVEN_MOST);
    } else if (!split_field(copy, &ret->fields[ret->field_count])) {
        complain("'%s' is no field; give NAME:VALUE, such as 'Cache-Control: no-cache'", value);
    } else if (is_ours(copy)) {
        complain("the field '%s' is one that the server sets by itself", copy);
    } else if (!fields_fit(ret)) {
        complain("the fields of --header are too long; %zu octets in all are the most",
                 FIELDS_MOST);
    } else {
        ret->field_count++;
        return EXIT_OK;
    }
    free(copy);
    return EXIT_USAGE;
}

/* ---- the table ---- */

typedef struct option {
    const char *name;
    int (*take)(serve_options *ret, const char *value); /* NULL: a switch, at `at` */
    size_t at;
} option;

#define SWITCH(name, field) \
    { name, NULL, offsetof(serve_options, field) }

static const option table[] = {
    {"--host", take_host, 0},
    {"--port", take_port, 0},
    {"--unix", take_unix, 0},
    {"--tls-cert", take_certificate, 0},
    {"--tls-key", take_key, 0},
    {"--header", take_header, 0},
    {"--log", take_log, 0},
    {"--log-format", take_log_format, 0},
    {"--max-connections", take_max_connections, 0},
    {"--max-connections-per-address", take_max_per_address, 0},
    {"--drain-timeout", take_drain_timeout, 0},
    SWITCH("--list", list),
    SWITCH("--spa", spa),
    SWITCH("--gzip", gzip),
    SWITCH("--cors", cors),
    SWITCH("--quiet", quiet),
    SWITCH("--show-config", show_config),
    SWITCH("--help", help),
    SWITCH("-h", help),
};

/* "--name" or, of one with a value, "--name=VALUE". */
static const option *find(const char *text) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t len = strlen(table[i].name);
        if (strncmp(text, table[i].name, len) != 0) continue;
        if (text[len] == '\0' || (text[len] == '=' && table[i].take != NULL)) return &table[i];
    }
    return NULL;
}

static int parse_option(int argc, char **argv, int *at, serve_options *ret) {
    const option *found = find(argv[*at]);
    const char *equals = strchr(argv[*at], '=');

    if (found == NULL) {
        complain("serve has no option '%s'; see: rondo help serve", argv[*at]);
        return EXIT_USAGE;
    }
    if (found->take == NULL) {
        *(bool *)((char *)ret + found->at) = true;
        return EXIT_OK;
    }
    if (equals != NULL) return found->take(ret, equals + 1);
    if (*at + 1 >= argc) {
        complain("%s needs a value; see: rondo help serve", found->name);
        return EXIT_USAGE;
    }
    return found->take(ret, argv[++*at]);
}

int parse_serve_options(int argc, char **argv, serve_options *ret) {
    bool only_names = false; /* after "--" */

    memset(ret, 0, sizeof *ret);
    for (int i = 1; i < argc; i++) {
        if (!only_names && strcmp(argv[i], "--") == 0) {
            only_names = true;
        } else if (!only_names && argv[i][0] == '-') {
            if (parse_option(argc, argv, &i, ret) != EXIT_OK) return EXIT_USAGE;
        } else if (ret->directory != NULL) {
            complain("serve takes one directory, not both '%s' and '%s'", ret->directory, argv[i]);
            return EXIT_USAGE;
        } else {
            ret->directory = argv[i];
        }
    }
    if (ret->directory == NULL) ret->directory = ".";
    if (!ret->log_format_given)
        ret->log_format = ret->log != NULL ? RONDO_HTTP_LOG_COMBINED : RONDO_HTTP_LOG_SHORT;
    if ((ret->certificate == NULL) != (ret->key == NULL)) {
        complain("--tls-cert and --tls-key go together; give both of them");
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

void free_serve_options(serve_options *options) {
    for (size_t i = 0; i < options->field_count; i++) free(options->fields[i].name);
}

/* ---- shown ---- */

static const char *on_off(bool on) { return on ? "on" : "off"; }

/* The limits of a server that is made only to be asked. */
static void show_limits(const serve_options *options) {
    rondo_loop *loop = rondo_loop_new();
    rondo_http_server *server = loop ? rondo_http_server_new(loop) : NULL;

    if (server != NULL) {
        rondo_http_limits limits;
        rondo_http_server_get_limits(server, &limits);
        if (options->max_connections > 0) limits.connections = options->max_connections;
        if (options->max_per_address > 0) limits.connections_per_address = options->max_per_address;
#define SHOW(field, type, value, what) \
    printf("limit            %s %" PRIu64 "\n", #field, (uint64_t)limits.field);
        RONDO_HTTP_LIMITS(SHOW)
#undef SHOW
    }
    if (loop == NULL) return;
    rondo_loop_close_all(loop);
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_free(loop);
}

int show_serve_options(const serve_options *options) {
    printf("directory        %s\n", options->directory);
    show_addresses(options);
    printf("tls-cert         %s\n", options->certificate ? options->certificate : "off");
    printf("tls-key          %s\n", options->key ? options->key : "off");
    printf("list             %s\n", on_off(options->list));
    printf("spa              %s\n", on_off(options->spa));
    printf("gzip             %s\n", on_off(options->gzip));
    printf("cors             %s\n", on_off(options->cors));
    for (size_t i = 0; i < options->field_count; i++)
        printf("header           %s: %s\n", options->fields[i].name, options->fields[i].value);
    const char *log = options->quiet ? "off" : "standard output";
    printf("log              %s\n", options->log ? options->log : log);
    printf("log-format       %s\n", log_formats[options->log_format]);
    printf("drain-timeout    %" PRIu64 "\n", options->drain_timeout_ms / 1000);
    printf("quiet            %s\n", on_off(options->quiet));
    show_limits(options);
    return flush_stdout();
}
