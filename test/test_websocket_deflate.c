/* SPDX-License-Identifier: MIT
 *
 * permessage-deflate (RFC 7692): what is agreed on, the octets of section 7.2.3, contexts, windows, and
 * how far a message may inflate. zlib is the peer's half.
 */
#include "websockets.h"

#include <zlib.h>

static rondo_loop *loop;

/* ---- what is agreed on ---- */

static const char *chosen(const char *offers, rondo_websocket_compression compression) {
    static char text[RONDO__DEFLATE_TEXT_SIZE];
    rondo__ws_deflate deflate = {0};
    if (!rondo__ws_deflate_choose(rondo_slice_text(offers), compression, &deflate)) return "";
    rondo__ws_deflate_answer(&deflate, text);
    return text;
}

#define PMD "permessage-deflate"
#define BOTH_FRESH PMD "; server_no_context_takeover; client_no_context_takeover"

TEST(a_server_takes_the_first_offer_that_will_do) {
    static const struct {
        const char *offers, *fresh, *context;
    } cases[] = {
        {PMD, BOTH_FRESH, PMD},
        {PMD "; client_max_window_bits", BOTH_FRESH, PMD},
        {PMD "; client_max_window_bits=8", BOTH_FRESH, PMD},
        {PMD "; server_no_context_takeover", BOTH_FRESH, PMD "; server_no_context_takeover"},
        {PMD ";client_no_context_takeover", BOTH_FRESH, PMD "; client_no_context_takeover"},
        {PMD "; server_max_window_bits=10", BOTH_FRESH "; server_max_window_bits=10",
         PMD "; server_max_window_bits=10"},
        {PMD "; server_max_window_bits=\"15\"", BOTH_FRESH "; server_max_window_bits=15",
         PMD "; server_max_window_bits=15"},
        {"x-other; a=b, " PMD, BOTH_FRESH, PMD},
        {PMD "; server_max_window_bits=8, " PMD "; server_no_context_takeover", BOTH_FRESH,
         PMD "; server_no_context_takeover"},
        {"x; q=\"a, " PMD "\"", "", ""},
        {PMD "; server_max_window_bits=8", "", ""},
        {PMD "; server_max_window_bits", "", ""},
        {PMD "; server_max_window_bits=7", "", ""},
        {PMD "; server_max_window_bits=16", "", ""},
        {PMD "; server_max_window_bits=09", "", ""},
        {PMD "; server_max_window_bits=1a", "", ""},
        {PMD "; client_max_window_bits=16", "", ""},
        {PMD "; server_no_context_takeover=1", "", ""},
        {PMD "; server_no_context_takeover; server_no_context_takeover", "", ""},
        {PMD "; unknown", "", ""},
        {PMD ";", "", ""},
        {"permessage-deflat", "", ""},
        {"", "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_STR(chosen(cases[i].offers, RONDO_WEBSOCKET_FRESH), cases[i].fresh);
        CHECK_STR(chosen(cases[i].offers, RONDO_WEBSOCKET_CONTEXT), cases[i].context);
        CHECK_STR(chosen(cases[i].offers, RONDO_WEBSOCKET_PLAIN), "");
    }
}

static bool agrees(const char *answer, rondo_websocket_compression compression,
                   rondo__ws_deflate *deflate) {
    *deflate = (rondo__ws_deflate){0};
    return rondo__ws_deflate_agree(rondo_slice_text(answer), compression, deflate);
}

TEST(a_client_takes_only_answers_to_what_it_has_offered) {
    rondo__ws_deflate deflate;
    CHECK_STR(rondo__ws_deflate_offer(RONDO_WEBSOCKET_PLAIN), "");
    CHECK_STR(rondo__ws_deflate_offer(RONDO_WEBSOCKET_CONTEXT), PMD);
    CHECK_STR(rondo__ws_deflate_offer(RONDO_WEBSOCKET_FRESH), BOTH_FRESH);
    CHECK(agrees(PMD, RONDO_WEBSOCKET_CONTEXT, &deflate));
    CHECK(!deflate.server_fresh && !deflate.client_fresh && deflate.server_bits == 15);
    CHECK(agrees(PMD, RONDO_WEBSOCKET_FRESH, &deflate));
    CHECK(!deflate.server_fresh && deflate.client_fresh);
    CHECK(agrees(BOTH_FRESH "; server_max_window_bits=8", RONDO_WEBSOCKET_CONTEXT, &deflate));
    CHECK(deflate.server_fresh && deflate.client_fresh && deflate.server_bits == 8);
    CHECK(!agrees(PMD, RONDO_WEBSOCKET_PLAIN, &deflate));
    CHECK(!agrees(PMD "; client_max_window_bits=10", RONDO_WEBSOCKET_CONTEXT, &deflate));
    CHECK(!agrees(PMD ", " PMD, RONDO_WEBSOCKET_CONTEXT, &deflate));
    CHECK(!agrees(PMD "; x", RONDO_WEBSOCKET_CONTEXT, &deflate));
    CHECK(!agrees("x-other", RONDO_WEBSOCKET_CONTEXT, &deflate));
}

/* ---- what comes ---- */

static const rondo__ws_deflate fresh = {
    .on = true, .server_fresh = true, .client_fresh = true, .server_bits = 15};
static const rondo__ws_deflate context = {.on = true, .server_bits = 15};

static void check_said(const rondo__ws_deflate *deflate, const char *frames, const char *told) {
    for (int role = SERVER; role <= CLIENT; role++)
        for (size_t step = 1; step < 100000; step = step * 50 + 7) {
            ws_peer peer;
            octets data = {0};
            loop = new_virtual_loop();
            rondo_websocket *socket = ws_open_with(loop, role, &peer, NULL, deflate);
            ws_note_all(&socket);
            put_frames(&data, frames, peer.is_client);
            ws_send_octets(loop, &peer, &data, step);
            CHECK_TRACE(told);
            free(data.data);
            ws_peer_close(&peer);
            rondo_close(socket);
            run_turns(loop, 3);
            trace_size = 0, trace[0] = '\0';
            end_loop(loop);
        }
}

TEST(the_messages_of_the_rfc) {
    check_said(&fresh, "c1:%F2%48%CD%C9%C9%07%00", "text:Hello");     /* 7.2.3.1 */
    check_said(&fresh, "41:%F2%48%CD|80:%C9%C9%07%00", "text:Hello"); /* in fragments */
    check_said(&fresh, "41:%F2%48|89:x|00:%CD%C9|80:%C9%07%00", "ping:x text:Hello");
    check_said(&context, "c1:%F2%48%CD%C9%C9%07%00|c1:%F2%00%11%00%00",
               "text:Hello text:Hello");                                            /* 7.2.3.2 */
    check_said(&fresh, "c1:%00%05%00%FA%FF%48%65%6C%6C%6F%00", "text:Hello");       /* 7.2.3.3 */
    check_said(&fresh, "c1:%F3%48%CD%C9%C9%07%00%00", "text:Hello");                /* 7.2.3.4 */
    check_said(&fresh, "c1:%F2%48%05%00%00%00%FF%FF%CA%C9%C9%07%00", "text:Hello"); /* 7.2.3.5 */
    check_said(&fresh, "c1:%00", "text:");
    check_said(&fresh, "81:plain|c1:%F2%48%CD%C9%C9%07%00|82:%FF",
               "text:plain text:Hello binary:%FF");
}

TEST(what_is_not_compressed_as_agreed_fails_the_connection) {
    check_said(&fresh, "c1:%F2%48%CD%C9%C9%07%00|c1:%F2%00%11%00%00",
               "text:Hello EPROTO end:1007"); /* it refers to what was before */
    check_said(&fresh, "c1:%FF%FF%FF", "EPROTO end:1007");
    check_said(&fresh, "41:%F2%48%CD|c0:%C9%C9%07%00", "EPROTO end:1002");
    check_said(&fresh, "c9:", "EPROTO end:1002");
    check_said(&fresh, "e1:a", "EPROTO end:1002");
    check_said(&fresh, "c2:%00%05%00%FA%FF%48%65%6C%6C%6F%00|c1:%00%01%00%FE%FF%80%00",
               "binary:Hello EPROTO end:1007"); /* text that is none, once inflated */
}

/* ---- how far it may inflate ---- */

/* A message of so many zeroes, as a frame. */
static void put_zeroes(octets *to, size_t len) {
    z_stream z = {0};
    char *zeroes = calloc(1, len), *packed = malloc(len + 1000);
    CHECK_INT(deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)zeroes, z.avail_in = (uInt)len;
    z.next_out = (Bytef *)packed, z.avail_out = (uInt)len + 1000;
    CHECK_INT(deflate(&z, Z_SYNC_FLUSH), Z_OK);
    put_frame(to, 0xc2, packed, z.total_out - 4, true);
    deflateEnd(&z);
    free(zeroes), free(packed);
}

static void check_bomb(size_t inflated, const char *told, const char *answered) {
    ws_peer peer;
    octets data = {0};
    loop = new_virtual_loop();
    rondo_websocket *socket = ws_open_with(loop, SERVER, &peer, NULL, &fresh);
    ws_note_all(&socket);
    put_zeroes(&data, inflated);
    CHECK(data.len < inflated / 500);
    ws_send_octets(loop, &peer, &data, SIZE_MAX);
    CHECK_TRACE(told);
    CHECK_STR(ws_got(&peer), answered);
    free(data.data);
    ws_peer_close(&peer);
    rondo_close(socket);
    run_turns(loop, 3);
    trace_size = 0, trace[0] = '\0';
    end_loop(loop);
}

TEST(a_message_may_inflate_to_its_limit_and_no_further) {
    check_bomb(1048576, "binary:%00*1048576", "");
    check_bomb(1048577, "EMSGSIZE end:1009", "88:1009");
    check_bomb(50 << 20, "EMSGSIZE end:1009", "88:1009");
}

static size_t piece_bytes;
static int pauses;
static void take_piece(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data,
                       bool last, void *arg) {
    piece_bytes += data.len;
    CHECK(data.len <= RONDO__SCRATCH_BYTES);
    if (last) note("last");
    rondo_websocket_pause(socket); /* each is waited for */
    pauses++;
}

TEST(a_bomb_in_pieces_goes_as_slowly_as_its_receiver) {
    ws_peer peer;
    octets data = {0};
    loop = new_virtual_loop();
    rondo_websocket *socket = ws_open_with(loop, SERVER, &peer, NULL, &fresh);
    CHECK_INT(rondo_websocket_on_piece(socket, take_piece, NULL), 0);
    put_zeroes(&data, 10 << 20);
    put_zeroes(&data, 1000);
    ws_send_octets(loop, &peer, &data, SIZE_MAX);
    CHECK_INT(pauses, 1);
    while (pauses < 10000 && piece_bytes < (10 << 20) + 1000) {
        int before = pauses;
        rondo_websocket_resume(socket);
        for (int i = 0; i < 3 && pauses == before; i++) run_turns(loop, 1);
        CHECK_INT(pauses, before + 1);
    }
    rondo_websocket_resume(socket);
    run_turns(loop, 2);
    CHECK_TRACE("last last");
    CHECK_INT(piece_bytes, (10 << 20) + 1000);
    free(data.data);
    ws_peer_close(&peer);
    end_loop(loop);
}

/* ---- all of it ---- */

static char *original;
static size_t original_len, told_len;
static bool told_last;

static void compare(rondo_slice data) {
    CHECK(data.len <= original_len - told_len);
    if (data.len > 0) CHECK_MEM(data.data, original + told_len, data.len);
    told_len += data.len;
}
static void compare_message(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data,
                            void *arg) {
    compare(data);
    told_last = true;
}
static void compare_piece(rondo_websocket *socket, rondo_websocket_type type, rondo_slice data,
                          bool last, void *arg) {
    CHECK(!told_last);
    compare(data);
    told_last = last;
}

/* The original in one message, its last block called so or not, in frames of so many octets. */
static void put_original(octets *to, int kind, size_t frame) {
    static const int levels[] = {0, 1, 9};
    bool final = kind % 2 == 1;
    z_stream z = {0};
    char *packed = malloc(original_len + 1000);
    CHECK_INT(deflateInit2(&z, levels[kind / 2], Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)original, z.avail_in = (uInt)original_len;
    z.next_out = (Bytef *)packed, z.avail_out = (uInt)original_len + 1000;
    CHECK(deflate(&z, final ? Z_FINISH : Z_SYNC_FLUSH) >= 0);
    size_t len = z.total_out - (final ? 0 : 4);
    if (final) packed[len++] = '\0'; /* RFC 7692 section 7.2.3.4 */
    for (size_t at = 0; at < len; at += frame) {
        size_t part = len - at < frame ? len - at : frame;
        put_frame(to, (at == 0 ? 0x42u : 0) | (at + part == len ? 0x80u : 0), packed + at, part,
                  true);
    }
    deflateEnd(&z);
    free(packed);
}

/* Where the room for what is inflated ends exactly with a message, or with a match in it, or just
 * before or behind, nothing is lost and nothing comes twice. */
TEST(every_length_comes_out_whole) {
    static const size_t around[] = {4096, 8192, 16384, 32768};
    original = malloc(40000);
    for (int sort = 0; sort < 3; sort++) {
        for (size_t i = 0; i < 40000; i++) /* long matches, short ones, few */
            original[i] = (char)(sort == 0 ? 0 : sort == 1 ? (i * i >> 9) & 3 : (i * i * i) >> 7);
        for (int kind = 0; kind < 6; kind++)
            for (int n = 0; n < 28; n++) {
                ws_peer peer;
                octets data = {0};
                bool in_pieces = n % 2 == 1;
                loop = new_virtual_loop();
                rondo_websocket *socket = ws_open_with(loop, SERVER, &peer, NULL, &fresh);
                if (in_pieces)
                    CHECK_INT(rondo_websocket_on_piece(socket, compare_piece, NULL), 0);
                else
                    CHECK_INT(rondo_websocket_on_message(socket, compare_message, NULL), 0);
                original_len = around[n % 4] + (size_t)(n / 4) - 3;
                told_len = 0;
                told_last = false;
                put_original(&data, kind, n % 3 == 0 ? 1000 : SIZE_MAX / 2);
                ws_send_octets(loop, &peer, &data, SIZE_MAX);
                for (int i = 0; i < 50 && !told_last; i++) run_turns(loop, 1);
                CHECK(told_last);
                CHECK_INT(told_len, original_len);
                free(data.data);
                ws_peer_close(&peer);
                rondo_close(socket);
                run_turns(loop, 3);
                end_loop(loop);
            }
    }
    free(original);
}

/* ---- what goes out ---- */

typedef struct unpacker {
    z_stream z;
    bool keeps;
} unpacker;

/* The next frame that the peer got, inflated as its half would, against what it should be. */
static size_t check_frame(ws_peer *peer, unpacker *with, const char *want, bool compressed) {
    unsigned first;
    octets payload = {0};
    char out[8192];
    run_turns(loop, 2);
    ws_read(peer);
    CHECK(take_frame(&peer->got, &first, &payload, !peer->is_client));
    CHECK_INT(first, compressed ? 0xc1 : 0x81);
    size_t len = payload.len;
    if (compressed) {
        put(&payload, "\0\0\xff\xff", 4);
        if (!with->keeps) inflateReset(&with->z);
        with->z.next_in = (Bytef *)payload.data, with->z.avail_in = (uInt)payload.len;
        with->z.next_out = (Bytef *)out, with->z.avail_out = sizeof out;
        CHECK_INT(inflate(&with->z, Z_SYNC_FLUSH), Z_OK);
        CHECK_INT(sizeof out - with->z.avail_out, strlen(want));
        CHECK_MEM(out, want, strlen(want));
    } else {
        CHECK_INT(len, strlen(want));
        CHECK_MEM(payload.data, want, len);
    }
    free(payload.data);
    return len;
}

#define LINE "it was the best of times, it was the worst of times, it was the age of wisdom, "

#define OTHER \
    "whan that aprille with his shoures soote the droghte of march hath perced to the roote; "

TEST(messages_are_compressed_with_and_without_context) {
    static const rondo__ws_deflate windows[] = {
        {.on = true, .server_fresh = true, .client_fresh = true, .server_bits = 15},
        {.on = true, .server_bits = 15},
        {.on = true, .server_bits = 9, .server_bits_named = true},
        {.on = true, .server_bits = 9, .server_fresh = true, .client_fresh = true},
    };
    for (size_t i = 0; i < 4; i++)
        for (int role = SERVER; role <= CLIENT; role++) {
            ws_peer peer;
            unpacker with = {.keeps = !windows[i].server_fresh};
            rondo_websocket_options options = {.compress_bytes = 10};
            rondo_websocket_message *message;
            int bits = role == SERVER ? windows[i].server_bits : 15;
            CHECK_INT(inflateInit2(&with.z, -bits), Z_OK);
            loop = new_virtual_loop();
            rondo_websocket *socket = ws_open_with(loop, role, &peer, &options, &windows[i]);
            CHECK(rondo_websocket_is_compressed(socket));
            rondo_slice line = rondo_slice_text(LINE LINE LINE LINE);
            rondo_slice other = rondo_slice_text(OTHER OTHER OTHER);
            CHECK_INT(rondo_websocket_message_new(loop, RONDO_WEBSOCKET_TEXT, other, &message), 0);
            rondo_websocket_send(socket, RONDO_WEBSOCKET_TEXT, rondo_slice_text("short"));
            check_frame(&peer, &with, "short", false);
            rondo_websocket_send(socket, RONDO_WEBSOCKET_TEXT, line);
            size_t alone = check_frame(&peer, &with, line.data, true);
            CHECK(alone < line.len / 2);
            rondo_websocket_send(socket, RONDO_WEBSOCKET_TEXT, line);
            size_t again = check_frame(&peer, &with, line.data, true);
            if (!with.keeps)
                CHECK_INT(again, alone);
            else if (bits == 15) /* the smaller window does not reach so far */
                CHECK(again < alone / 2);
            /* One for many, which our context does not know of; then ours begins anew. */
            rondo_websocket_send_message(socket, message);
            check_frame(&peer, &with, other.data, bits == 15);
            rondo_websocket_send(socket, RONDO_WEBSOCKET_TEXT, line);
            check_frame(&peer, &with, line.data, true);
            /* What does not get shorter is sent as it is, and is no context either. */
            rondo_websocket_send(socket, RONDO_WEBSOCKET_TEXT,
                                 rondo_slice_text("qwertzuiopasdfg1"));
            check_frame(&peer, &with, "qwertzuiopasdfg1", false);
            rondo_websocket_send(socket, RONDO_WEBSOCKET_TEXT, line);
            check_frame(&peer, &with, line.data, true);
            rondo_websocket_message_free(message);
            rondo_close(socket);
            run_turns(loop, 2);
            inflateEnd(&with.z);
            ws_peer_close(&peer);
            end_loop(loop);
        }
}

TEST(without_memory_nothing_is_compressed_wrongly) {
    for (long n = 0;; n++) {
        ws_peer peer;
        unpacker with = {.keeps = true};
        rondo_websocket_options options = {.compress_bytes = 10};
        CHECK_INT(inflateInit2(&with.z, -15), Z_OK);
        loop = new_virtual_loop();
        rondo_websocket *socket = ws_open_with(loop, SERVER, &peer, &options, &context);
        harness_fail_alloc_after(n);
        for (int i = 0; i < 3; i++)
            if (rondo_websocket_send(socket, RONDO_WEBSOCKET_TEXT, rondo_slice_text(LINE LINE)) > 0)
                check_frame(&peer, &with, LINE LINE, true);
        ws_say(loop, &peer, "c1:%F2%48%CD%C9%C9%07%00|c1:%F2%00%11%00%00");
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        inflateEnd(&with.z);
        rondo_close(socket);
        run_turns(loop, 3);
        ws_peer_close(&peer);
        end_loop(loop);
        if (!failed) break;
        CHECK(n < 200);
    }
}
