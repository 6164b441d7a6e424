/* SPDX-License-Identifier: MIT
 *
 * The shared part of a loop's HTTP servers.
 */
#include "http/server/shared.h"

#include <rondo/error.h>
#include <string.h>
#include <time.h>

#include "http/chars.h"
#include "http/date.h"
#include "http/encoding/deflate.h"
#include "http/server/request.h"
#include "http/server/response.h"
#include "loop/assert.h"
#include "loop/memory.h"

static void free_shared(rondo_loop *loop, rondo__at_free *at_free) {
    rondo__http *http = RONDO__OF(at_free, rondo__http, at_free);
    rondo__alarm_clear(&http->date_alarm);
    for (rondo_http_request *request; (request = http->spare_requests);) {
        http->spare_requests = request->next;
        rondo__free(request);
    }
    for (rondo_http_response *response; (response = http->spare_responses);) {
        http->spare_responses = response->next;
        rondo__free(response);
    }
    rondo__deflater_free(http->deflater);
    rondo__loop_set_part(loop, RONDO__PART_HTTP, NULL);
    rondo__free(http);
}

static void date_is_over(rondo_loop *loop, rondo__alarm *alarm) {
    (void)loop;
    RONDO__OF(alarm, rondo__http, date_alarm)->date_fresh = false;
}

rondo__http *rondo__http_of(rondo_loop *loop) {
    rondo__http *http = rondo__loop_part(loop, RONDO__PART_HTTP);
    if (http) return http;
    http = rondo__zalloc(sizeof *http);
    if (!http) return NULL;
    http->loop = loop;
    rondo__parser_init(&http->fresh_parser);
    rondo__alarm_init(&http->date_alarm, date_is_over);
    rondo__loop_set_part(loop, RONDO__PART_HTTP, http);
    rondo__at_loop_free(loop, &http->at_free, free_shared);
    return http;
}

/* The alarm is set only here, by an answer, so that a loop without traffic is not woken up every
 * second; and no answer has to read a clock to know that its Date is still right. */
void rondo__http_refresh_date(rondo__http *http) {
    struct timespec now;
    char date[RONDO__DATE_SIZE];
    clock_gettime(CLOCK_REALTIME, &now);
    bool formatted = rondo__http_date_format(now.tv_sec, date);
    RONDO_ASSERT(formatted && strlen(date) == 29);
    char *at = http->ok_head;
    memcpy(at, RONDO__OK_LINE, RONDO__OK_LINE_LEN);
    at += RONDO__OK_LINE_LEN;
    memcpy(at, "Date: ", 6);
    memcpy(at + 6, date, 29);
    memcpy(at + 35, "\r\n", 2);
    http->date_fresh = true;
    rondo__alarm_set_in_ms(http->loop, &http->date_alarm, 1000 - (uint64_t)now.tv_nsec / 1000000u);
}

int rondo__http_set_type(rondo__http *http, const char *type) {
    size_t len = strlen(type);
    if (len == 0 || len > RONDO__TYPE_MOST || !rondo__http_all(type, len, RONDO__CHAR_VALUE))
        return RONDO_EINVAL;
    char *at = http->ok_head + RONDO__OK_LINE_LEN + RONDO__DATE_LINE_LEN;
    memcpy(at, "Content-Type: ", 14);
    memcpy(at + 14, type, len);
    memcpy(at + 14 + len, "\r\n", 2);
    memcpy(http->type, type, len + 1);
    http->type_len = len;
    return 0;
}
