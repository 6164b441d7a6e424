/* SPDX-License-Identifier: MIT
 *
 * Conditional requests (RFC 9110 section 13): what the fields If-Match, If-None-Match,
 * If-Modified-Since, If-Unmodified-Since, If-Range and Range make of a request for a file whose
 * validators are known. Fields are fed one by one and the answer is asked for at the end, so a list
 * that is spread over several fields (section 5.3) needs no memory. Pure.
 */
#include "http/files/files.h"

#include <string.h>

/* ---- validators ---- */

/* An invertible mix (splitmix64's), so that nearby inode numbers and times give unlike tags. */
static uint64_t mix(uint64_t hash, uint64_t value) {
    hash = (hash ^ value) + UINT64_C(0x9e3779b97f4a7c15);
    hash = (hash ^ (hash >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    hash = (hash ^ (hash >> 27)) * UINT64_C(0x94d049bb133111eb);
    return hash ^ (hash >> 31);
}

static int64_t in_ns(struct timespec time) {
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static char *write_hex(char *at, uint64_t value) {
    static const char digits[] = "0123456789abcdef";
    int shift = 60;

    while (shift > 0 && (value >> shift) == 0) shift -= 4;
    for (; shift >= 0; shift -= 4) *at++ = digits[(value >> shift) & 15];
    return at;
}

/* The entity tag is made from everything that moves when the content does: size, times, and which
 * file it is (a link that now leads to another one, a file that was replaced). The time of the last
 * change of the inode is the important one, for no program can set it: a file that was rewritten
 * and given back its old mtime, as archives and deployments do, still gets a new tag. The price: a
 * chmod invalidates caches, and two machines with the same files give different tags.
 *
 * That is a strong validator (section 8.8.1) but for the clock's grain: a file that changes twice
 * within it looks the same. So the tag of a file that has just changed is weak, and another one
 * than it will have when it has settled, so that caches ask again. */
void rondo__validators_of(const struct stat *st, int64_t now_ns, int64_t settle_ns,
                          rondo__validators *ret) {
    int64_t mtime = in_ns(st->st_mtim), ctime = in_ns(st->st_ctim);
    int64_t newest = mtime > ctime ? mtime : ctime;
    uint64_t hash = mix(0, (uint64_t)st->st_dev);
    char *at = ret->etag;

    /* A time in the future, from a clock that was wrong, never settles until it has come. */
    ret->strong = newest < now_ns - settle_ns;
    hash = mix(hash, (uint64_t)st->st_ino);
    hash = mix(hash, (uint64_t)mtime);
    hash = mix(hash, (uint64_t)ctime);
    hash = mix(hash, ret->strong);
    if (!ret->strong) {
        *at++ = 'W';
        *at++ = '/';
    }
    *at++ = '"';
    at = write_hex(at, hash);
    *at++ = '-';
    at = write_hex(at, (uint64_t)st->st_size);
    *at++ = '"';
    *at = '\0';
    RONDO_ASSERT((size_t)(at - ret->etag) < sizeof ret->etag);
    /* Section 8.8.2.1: never later than the answer's Date. */
    ret->mtime = st->st_mtim.tv_sec;
    if (ret->mtime > now_ns / 1000000000) ret->mtime = now_ns / 1000000000;
}

/* ---- entity tags ---- */

static void skip_separators(rondo_slice *list) {
    while (list->len > 0 &&
           (list->data[0] == ' ' || list->data[0] == '\t' || list->data[0] == ',')) {
        list->data++;
        list->len--;
    }
}

/* Takes one entity tag from the front of the list: the opaque part with its quotes. False at the
 * end, or where what follows is none: the rest of a broken list says nothing. */
static bool take_tag(rondo_slice *list, rondo_slice *ret_opaque, bool *ret_weak) {
    skip_separators(list);
    *ret_weak = list->len > 2 && list->data[0] == 'W' && list->data[1] == '/';
    if (*ret_weak) *list = rondo_slice_of(list->data + 2, list->len - 2);
    if (list->len < 2 || list->data[0] != '"') return false;
    const char *quote = memchr(list->data + 1, '"', list->len - 1);
    if (quote == NULL) return false;
    size_t len = (size_t)(quote + 1 - list->data);
    *ret_opaque = rondo_slice_of(list->data, len);
    *list = rondo_slice_of(list->data + len, list->len - len);
    return true;
}

/* Section 8.8.3.2: the strong comparison wants both tags strong, the weak one does not care. */
static bool tag_matches(const rondo__validators *file, rondo_slice opaque, bool weak,
                        bool strongly) {
    const char *own = file->strong ? file->etag : file->etag + 2;

    if (strongly && (weak || !file->strong)) return false;
    return opaque.len == strlen(own) && memcmp(opaque.data, own, opaque.len) == 0;
}

static bool list_matches(const rondo__validators *file, rondo_slice list, bool strongly) {
    rondo_slice opaque;
    bool weak;

    if (list.len == 1 && list.data[0] == '*') return true;
    while (take_tag(&list, &opaque, &weak)) {
        if (tag_matches(file, opaque, weak, strongly)) return true;
    }
    return false;
}

/* ---- fields ---- */

void rondo__conditions_init(rondo__conditions *conditions, const rondo__validators *file,
                            int64_t now) {
    memset(conditions, 0, sizeof *conditions);
    conditions->file = file;
    conditions->now = now;
}

/* A field that may come once (dates, If-Range, Range). When it comes again the two contradict each
 * other, and both are ignored. */
static void keep(rondo__field_once *once, rondo_slice value) {
    once->count++;
    once->value = value;
}

void rondo__conditions_field(rondo__conditions *conditions, rondo_slice name, rondo_slice value) {
    char first = name.len > 0 ? name.data[0] : '\0';

    if (first != 'I' && first != 'i' && first != 'R' && first != 'r') return;
    if (rondo__same_word(name, "if-match")) {
        conditions->has_match = true;
        conditions->match |= list_matches(conditions->file, value, true);
    } else if (rondo__same_word(name, "if-none-match")) {
        conditions->has_none_match = true;
        conditions->none_match |= list_matches(conditions->file, value, false);
    } else if (rondo__same_word(name, "if-modified-since")) {
        keep(&conditions->modified_since, value);
    } else if (rondo__same_word(name, "if-unmodified-since")) {
        keep(&conditions->unmodified_since, value);
    } else if (rondo__same_word(name, "if-range")) {
        keep(&conditions->if_range, value);
    } else if (rondo__same_word(name, "range")) {
        keep(&conditions->range, value);
    }
}

static bool date_of(const rondo__conditions *conditions, const rondo__field_once *once,
                    int64_t *ret_seconds) {
    return once->count == 1 && rondo__http_date_parse(once->value, conditions->now, ret_seconds);
}

/* The order is that of section 13.2.2: a tag is more exact than a date, and silences it. */
int rondo__conditions_status(const rondo__conditions *conditions) {
    int64_t date;

    if (conditions->has_match) {
        if (!conditions->match) return 412;
    } else if (date_of(conditions, &conditions->unmodified_since, &date)) {
        if (conditions->file->mtime > date) return 412;
    }
    if (conditions->has_none_match) {
        if (conditions->none_match) return 304;
    } else if (date_of(conditions, &conditions->modified_since, &date)) {
        if (conditions->file->mtime <= date) return 304;
    }
    return 200;
}

/* Section 13.1.5. Pieces of two versions must never be put together, so the validator has to be
 * strong. A date is, if it is exactly ours and the file has settled since: then it did not change
 * again within that second. */
static bool if_range_holds(const rondo__conditions *conditions) {
    rondo_slice value = conditions->if_range.value, opaque;
    int64_t date;
    bool weak;

    if (conditions->if_range.count == 0) return true;
    if (conditions->if_range.count > 1) return false;
    if (date_of(conditions, &conditions->if_range, &date))
        return conditions->file->strong && date == conditions->file->mtime;
    return take_tag(&value, &opaque, &weak) && value.len == 0 &&
           tag_matches(conditions->file, opaque, weak, true);
}

rondo__range rondo__conditions_range(const rondo__conditions *conditions, uint64_t size,
                                     rondo__parts *ret_parts) {
    if (conditions->range.count != 1 || !if_range_holds(conditions)) return RONDO__RANGE_WHOLE;
    return rondo__http_range(conditions->range.value, size, ret_parts);
}
