/* SPDX-License-Identifier: MIT
 *
 * rondo compare: the parts of the generator that compute: what an answer must be, when requests arrive, percentiles.
 */
#include "../cmd/compare/load.h"
#include "../cmd/compare/results.h"
#include "harness.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

TEST(percentiles_are_samples_of_the_nearest_rank) {
    uint32_t samples[] = {50, 20, 30, 10, 40, 90, 60, 100, 80, 70};
    samples_sort(samples, 10);
    for (size_t i = 0; i < 10; i++) CHECK_INT(samples[i], 10 * (i + 1));
    CHECK_INT(samples_at(samples, 10, 0.5), 50);
    CHECK_INT(samples_at(samples, 10, 0.51), 60);
    CHECK_INT(samples_at(samples, 10, 0.9), 90);
    CHECK_INT(samples_at(samples, 10, 0.99), 100);
    CHECK_INT(samples_at(samples, 10, 1), 100);
    CHECK_INT(samples_at(samples, 10, 0), 10);
    CHECK_INT(samples_at(samples, 1, 0.999), 10);
    CHECK(samples_at(samples, 0, 0.5) == NOT_MEASURED);
}

TEST(large_samples_are_in_order_too) {
    uint32_t samples[] = {UINT32_MAX, 0, 0x80000000u, 1};
    samples_sort(samples, 4);
    CHECK_INT(samples[0], 0);
    CHECK_INT(samples[2], 0x80000000u);
    CHECK_INT(samples[3], UINT32_MAX);
}

TEST(a_body_out_of_place_is_noticed) {
    char body[4096], moved[64];
    body_fill(0, body, sizeof body);
    CHECK(body_fits(0, body, sizeof body));
    for (size_t at = 1; at < 200; at += 13) {
        CHECK(body_fits(at, body + at, 100));
        CHECK(body_fits(at, body + at, 1));
        CHECK(!body_fits(at + 1, body + at, 100));
        CHECK(!body_fits(at + 8, body + at, 100));
        CHECK(!body_fits(at, body + at + 64, 100));
    }
    /* One octet is missing in the middle: the end is elsewhere. */
    memcpy(moved, body, 32);
    memcpy(moved + 32, body + 33, 32);
    CHECK(!body_fits(0, moved, sizeof moved));
    /* The first and the last octet count. */
    body[0] ^= 1;
    CHECK(!body_fits(0, body, sizeof body));
    body[0] ^= 1;
    body[sizeof body - 1] ^= 1;
    CHECK(!body_fits(0, body, sizeof body));
}

static ssize_t parse(const char *text, answer_head *ret) {
    return answer_parse(text, strlen(text), ret);
}

TEST(a_head_is_read) {
    answer_head head;
    const char *text =
        "HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length:  14 \r\nConnection: Close\r\n\r\nbody";
    CHECK_INT(parse(text, &head), strlen(text) - 4);
    CHECK_INT(head.status, 200);
    CHECK_INT(head.length, 14);
    CHECK(head.close);
    CHECK(parse("HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n", &head) > 0);
    CHECK_INT(head.status, 503);
    CHECK_INT(head.length, 0);
    CHECK(!head.close);
    CHECK(parse("HTTP/1.0 200 X\r\nContent-Length: 7\r\n\r\n", &head) > 0);
    CHECK(head.close);
    CHECK(parse("HTTP/1.0 200 X\r\nConnection: keep-alive\r\nContent-Length: 7\r\n\r\n", &head) >
          0);
    CHECK(!head.close);
}

TEST(a_head_in_pieces_is_waited_for) {
    const char *text = "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n";
    answer_head head;
    for (size_t len = 0; len < strlen(text); len++) {
        /* With its end cut off, and nothing behind it that could be read. */
        char *piece = malloc(len + 1);
        memcpy(piece, text, len);
        CHECK_INT(answer_parse(piece, len, &head), 0);
        free(piece);
    }
    CHECK_INT(parse(text, &head), strlen(text));
}

TEST(what_can_not_be_used_is_refused) {
    static const char *const wrong[] = {
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-Content-Length: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\nContent-Length: 1\r\n\r\n",
        "HTTP/2.0 200 OK\r\nContent-Length: 1\r\n\r\n",
        "\r\n\r\n",
        "nonsense that is long enough\r\n\r\n",
    };
    answer_head head;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (parse(wrong[i], &head) != -1) FAIL("taken: %s", wrong[i]);
    /* A head without an end is not waited for without bound. */
    char *long_one = malloc(10000);
    memset(long_one, 'x', 10000);
    CHECK_INT(answer_parse(long_one, 10000, &head), -1);
    CHECK_INT(answer_parse(long_one, 1000, &head), 0);
    free(long_one);
}

static load_task task_at(double rate, double seconds) {
    return (load_task){
        .rate = rate, .seconds = seconds, .seed = 7, .kind_count = 1, .kinds = {{.weight = 1}}};
}

TEST(as_many_requests_arrive_as_were_asked_for) {
    load_task task = task_at(2000, 3);
    arrivals drawn;
    uint64_t before = 1000, least = UINT64_MAX, most = 0;
    unsigned count = 0, in_first_second = 0, first[8] = {0};
    arrivals_init(&drawn, &task);
    arrivals_begin(&drawn, before);
    for (uint64_t at; (at = arrivals_next(&drawn)) != UINT64_MAX; count++) {
        CHECK(at >= before && at <= UINT64_C(3000001000));
        uint64_t gap = at - before;
        if (gap < least) least = gap;
        if (gap > most) most = gap;
        in_first_second += at < UINT64_C(1000000000);
        first[gap * 8 / 4000000 < 8 ? gap * 8 / 4000000 : 7]++;
        before = at;
    }
    CHECK_INT(count, 6000);
    /* Spread evenly, but each for itself: gaps of an exponential distribution with a mean of 500 us. */
    CHECK(in_first_second > 1850 && in_first_second < 2150);
    CHECK(least < 10000 && most > 3000000 && most < 10000000);
    CHECK(first[0] > 3600 && first[0] < 4000); /* below the mean: 1 - 1/e of them */
    CHECK(first[1] > 1250 && first[1] < 1550);
    CHECK_INT(arrivals_next(&drawn), UINT64_MAX);
}

TEST(all_servers_get_the_same_requests) {
    load_task task = task_at(100, 1);
    arrivals one, other;
    task.kind_count = 2;
    task.kinds[1].weight = 3;
    arrivals_init(&one, &task);
    arrivals_init(&other, &task);
    arrivals_begin(&one, 1000000);
    arrivals_begin(&other, 5000000);
    for (int i = 0; i < 100; i++) {
        CHECK_INT(arrivals_kind(&one), arrivals_kind(&other));
        CHECK_INT(arrivals_next(&one) / 1000, (arrivals_next(&other) - 4000000) / 1000);
    }
    task.seed = 8;
    arrivals_init(&other, &task);
    arrivals_begin(&other, 1000000);
    arrivals_init(&one, &(load_task){.rate = 100, .seconds = 1, .seed = 7, .kind_count = 1});
    arrivals_begin(&one, 1000000);
    CHECK(arrivals_next(&one) != arrivals_next(&other));
}

TEST(kinds_are_drawn_by_weight_or_by_number) {
    load_task task = {
        .seed = 1, .kind_count = 3, .kinds = {{.weight = 6}, {.weight = 3}, {.every = 1000}}};
    arrivals drawn;
    unsigned count[3] = {0};
    arrivals_init(&drawn, &task);
    for (unsigned i = 0; i < 10000; i++) {
        unsigned kind = arrivals_kind(&drawn);
        CHECK_INT(kind == 2, i % 1000 == 300);
        count[kind]++;
    }
    CHECK_INT(count[2], 10);
    CHECK(count[0] > 6500 && count[0] < 6820);
    CHECK(count[1] > 3170 && count[1] < 3490);
}

TEST(a_kind_by_number_comes_however_few_there_are) {
    load_task task = {.seed = 1,
                      .rate = 100,
                      .seconds = 1,
                      .kind_count = 2,
                      .kinds = {{.weight = 1}, {.every = 1000}}};
    arrivals drawn;
    arrivals_init(&drawn, &task);
    arrivals_begin(&drawn, 0);
    for (unsigned i = 0; i < 100; i++) CHECK_INT(arrivals_kind(&drawn) == 1, i == 30);
    task.seconds = 0.01;
    arrivals_init(&drawn, &task);
    arrivals_begin(&drawn, 0);
    CHECK_INT(arrivals_kind(&drawn), 1);
    task.seconds = 20;
    arrivals_init(&drawn, &task);
    arrivals_begin(&drawn, 0);
    for (unsigned i = 0; i < 2000; i++) CHECK_INT(arrivals_kind(&drawn) == 1, i % 1000 == 300);
}
