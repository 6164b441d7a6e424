/* SPDX-License-Identifier: MIT
 *
 * Media types by the ending of a file's name. A short table of what the web serves, from the IANA
 * registry, not the system's mime.types: the same directory gives the same types on every machine.
 */
#include "http/files/files.h"

#include <stdlib.h>
#include <string.h>

typedef struct mime {
    const char *ending; /* lower case */
    const char *type;
} mime;

#define TEXT "; charset=utf-8"

/* Sorted by ending; test_http_path checks that. */
static const mime types[] = {
    {"7z", "application/x-7z-compressed"},
    {"aac", "audio/aac"},
    {"apng", "image/apng"},
    {"atom", "application/atom+xml"},
    {"avif", "image/avif"},
    {"bmp", "image/bmp"},
    {"bz2", "application/x-bzip2"},
    {"c", "text/plain" TEXT},
    {"cc", "text/plain" TEXT},
    {"conf", "text/plain" TEXT},
    {"cpp", "text/plain" TEXT},
    {"css", "text/css" TEXT},
    {"csv", "text/csv" TEXT},
    {"doc", "application/msword"},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"epub", "application/epub+zip"},
    {"flac", "audio/flac"},
    {"gif", "image/gif"},
    {"gz", "application/gzip"},
    {"h", "text/plain" TEXT},
    {"hpp", "text/plain" TEXT},
    {"htm", "text/html" TEXT},
    {"html", "text/html" TEXT},
    {"ico", "image/vnd.microsoft.icon"},
    {"ics", "text/calendar" TEXT},
    {"ini", "text/plain" TEXT},
    {"jar", "application/java-archive"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript" TEXT},
    {"json", "application/json"},
    {"jsonl", "application/jsonl"},
    {"jsonld", "application/ld+json"},
    {"jxl", "image/jxl"},
    {"log", "text/plain" TEXT},
    {"m3u8", "application/vnd.apple.mpegurl"},
    {"m4a", "audio/mp4"},
    {"m4v", "video/mp4"},
    {"map", "application/json"},
    {"markdown", "text/markdown" TEXT},
    {"md", "text/markdown" TEXT},
    {"mjs", "text/javascript" TEXT},
    {"mov", "video/quicktime"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"mpeg", "video/mpeg"},
    {"oga", "audio/ogg"},
    {"ogg", "audio/ogg"},
    {"ogv", "video/ogg"},
    {"opus", "audio/ogg"},
    {"otf", "font/otf"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"ppt", "application/vnd.ms-powerpoint"},
    {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    {"ps", "application/postscript"},
    {"py", "text/plain" TEXT},
    {"rs", "text/plain" TEXT},
    {"rss", "application/rss+xml"},
    {"rtf", "application/rtf"},
    {"sh", "text/plain" TEXT},
    {"svg", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},
    {"toml", "application/toml"},
    {"ts", "video/mp2t"},
    {"tsv", "text/tab-separated-values" TEXT},
    {"ttf", "font/ttf"},
    {"txt", "text/plain" TEXT},
    {"vtt", "text/vtt" TEXT},
    {"wasm", "application/wasm"},
    {"wav", "audio/wav"},
    {"weba", "audio/webm"},
    {"webm", "video/webm"},
    {"webmanifest", "application/manifest+json"},
    {"webp", "image/webp"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"xhtml", "application/xhtml+xml"},
    {"xls", "application/vnd.ms-excel"},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {"xml", "application/xml"},
    {"xsl", "application/xslt+xml"},
    {"xz", "application/x-xz"},
    {"yaml", "application/yaml"},
    {"yml", "application/yaml"},
    {"zip", "application/zip"},
    {"zst", "application/zstd"},
};

static int compare_ending(const void *key, const void *element) {
    const mime *entry = element;
    return strcmp(key, entry->ending);
}

const char *rondo__http_mime(const char *name) {
    const char *slash = strrchr(name, '/');
    const char *dot = strrchr(slash ? slash : name, '.');
    char ending[16];
    size_t len = dot ? strlen(dot + 1) : 0;

    if (len == 0 || len >= sizeof ending) return "application/octet-stream";
    for (size_t i = 0; i <= len; i++) {
        char c = dot[1 + i];
        ending[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    const mime *found =
        bsearch(ending, types, sizeof types / sizeof *types, sizeof *types, compare_ending);
    return found ? found->type : "application/octet-stream";
}

bool rondo__http_mime_sorted(void) {
    for (size_t i = 1; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i - 1].ending, types[i].ending) >= 0) return false;
    }
    return true;
}
