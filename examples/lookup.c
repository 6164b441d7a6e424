/* SPDX-License-Identifier: MIT
 *
 * Names and addresses, as host(1) asks for them: lookup [-s SERVER] [-t TYPE] NAME...
 *
 *   lookup www.example.org          addresses, by the rules of this machine
 *   lookup 127.0.0.1                the name of an address
 *   lookup -t MX example.org        records, from name servers
 *   lookup -s 127.0.0.1:5353 -t A www.example.org
 *
 * All names are looked up at the same time, and shown as the answers come.
 *
 * args: localhost 127.0.0.1
 * prints: localhost has address 127.0.0.1
 */
#include <rondo.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int failures;

static void fail(const char *name, int error) {
    printf("%s: %s\n", name, rondo_error_text(error));
    failures++;
}

static void on_addresses(rondo_loop *loop, int status, const rondo_address *addresses, size_t count,
                         void *arg) {
    if (status < 0) fail(arg, status);
    for (size_t i = 0; i < count; i++) {
        char text[RONDO_ADDRESS_TEXT_BYTES];
        rondo_address_format_host(&addresses[i], text, sizeof text);
        printf("%s has address %s\n", (const char *)arg, text);
    }
}

static void on_name(rondo_loop *loop, int status, const char *host, const char *service,
                    void *arg) {
    if (status < 0) {
        fail(arg, status);
        return;
    }
    printf("%s has name %s\n", (const char *)arg, host);
}

/* Text may hold any byte, and goes to a terminal. */
static void print_text(rondo_slice text) {
    putchar('"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        printf(byte >= ' ' && byte < 127 && byte != '"' ? "%c" : "\\%03u", byte);
    }
    printf("\"\n");
}

static void print_record(const rondo_dns_record *record) {
    char text[RONDO_ADDRESS_TEXT_BYTES];
    switch (record->type) {
    case RONDO_DNS_A:
    case RONDO_DNS_AAAA:
        rondo_address_format_host(&record->address, text, sizeof text);
        printf("%s\n", text);
        break;
    case RONDO_DNS_MX: printf("%u %s\n", record->priority, record->host); break;
    case RONDO_DNS_SRV:
        printf("%u %u %u %s\n", record->priority, record->weight, record->port, record->host);
        break;
    case RONDO_DNS_CAA: printf("%u %s ", record->flags, record->tag); /* fallthrough */
    case RONDO_DNS_TXT: print_text(record->text); break;
    default: printf("%s\n", record->host);
    }
}

static void on_records(rondo_loop *loop, int status, const rondo_dns_record *records, size_t count,
                       void *arg) {
    if (status < 0) fail(arg, status);
    for (size_t i = 0; i < count; i++) {
        printf("%s for %us: ", (const char *)arg, (unsigned)records[i].ttl_s);
        print_record(&records[i]);
    }
}

static int type_of(const char *text) {
#define RETURN_IF(name, number) \
    if (strcmp(text, #name) == 0) return RONDO_DNS_##name;
    RONDO_DNS_TYPES(RETURN_IF)
#undef RETURN_IF
    fprintf(stderr, "lookup: no type '%s'\n", text);
    exit(2);
}

int main(int argc, char **argv) {
    rondo_dns_query_options options = {.servers = NULL};
    int type = 0, error, option;
    while ((option = getopt(argc, argv, "s:t:")) > 0) {
        if (option == 's') options.servers = optarg;
        if (option == 't') type = type_of(optarg);
        if (option == '?') return 2;
    }
    rondo_loop *loop = rondo_loop_new();
    for (int i = optind; i < argc; i++) {
        rondo_address address;
        if (type)
            error = rondo_dns_query(loop, argv[i], type, &options, NULL, on_records, argv[i]);
        else if (strcmp(argv[i], "localhost") != 0 &&
                 rondo_address_parse(argv[i], 0, &address) == 0)
            error = rondo_dns_reverse(loop, &address, NULL, NULL, on_name, argv[i]);
        else
            error = rondo_dns_lookup(loop, argv[i], 0, NULL, NULL, on_addresses, argv[i]);
        if (error < 0) fail(argv[i], error);
    }
    rondo_loop_run(loop, RONDO_RUN_ALL);
    rondo_loop_free(loop);
    return failures > 0;
}
