/* SPDX-License-Identifier: MIT
 *
 * Each rule of RFC 6455 about frames, messages and closing, as raw octets: sent whole, octet by octet
 * and in threes, to a server and to a client. What the socket tells, and what its peer gets.
 */
#include "websockets.h"

typedef struct ws_case {
    const char *sent, *told, *answered;
} ws_case;

/* Messages that the default limits allow; behind each the peer ends TCP without a Close. */
static const ws_case good[] = {
    /* ---- section 5.6, lengths at each change of form (5.2) ---- */
    {"81:Hello", "text:Hello end:1006 close", ""},
    {"81:", "text: end:1006 close", ""},
    {"82:", "binary: end:1006 close", ""},
    {"82:%00%FF", "binary:%00%FF end:1006 close", ""},
    {"82:a*125", "binary:a*125 end:1006 close", ""},
    {"82:a*126", "binary:a*126 end:1006 close", ""},
    {"82:a*127", "binary:a*127 end:1006 close", ""},
    {"82:a*4080", "binary:a*4080 end:1006 close", ""},
    {"82:a*4096", "binary:a*4096 end:1006 close", ""},
    {"82:a*65535", "binary:a*65535 end:1006 close", ""},
    {"82:a*65536", "binary:a*65536 end:1006 close", ""},
    {"81:a|81:b|82:c", "text:a text:b binary:c end:1006 close", ""},
    /* ---- fragments (5.4) ---- */
    {"01:Hel|80:lo", "text:Hello end:1006 close", ""},
    {"01:|00:|80:", "text: end:1006 close", ""},
    {"02:a*70000|00:b*70000|80:c", "binary:a*70000b*70000c end:1006 close", ""},
    {"01:a|00:b|00:c|80:d|81:e", "text:abcd text:e end:1006 close", ""},
    /* ---- control frames, in between too (5.5) ---- */
    {"89:", "ping: end:1006 close", "8a:"},
    {"89:are you there?", "ping:are you there? end:1006 close", "8a:are you there?"},
    {"89:a*125", "ping:a*125 end:1006 close", "8a:a*125"},
    {"8a:", "pong: end:1006 close", ""},
    {"8a:nobody asked", "pong:nobody asked end:1006 close", ""},
    {"01:a|89:x|80:b", "ping:x text:ab end:1006 close", "8a:x"},
    {"01:a|8a:|89:|00:b|89:y|80:c", "pong: ping: ping:y text:abc end:1006 close", "8a:|8a:y"},
    {"89:1|89:2|89:3", "ping:1 ping:2 ping:3 end:1006 close", "8a:1|8a:2|8a:3"},
    /* ---- text is UTF-8 (8.1), cut anywhere ---- */
    {"81:%CE%BA%E1%BD%B9%CF%83", "text:%CE%BA%E1%BD%B9%CF%83 end:1006 close", ""},
    {"01:%CE|80:%BA", "text:%CE%BA end:1006 close", ""},
    {"01:%F0|00:%9F|89:|00:%98|80:%80", "ping: text:%F0%9F%98%80 end:1006 close", "8a:"},
    {"81:%00", "text:%00 end:1006 close", ""},
    {"81:%C2%80", "text:%C2%80 end:1006 close", ""},
    {"81:%DF%BF%E0%A0%80", "text:%DF%BF%E0%A0%80 end:1006 close", ""},
    {"81:%ED%9F%BF%EE%80%80", "text:%ED%9F%BF%EE%80%80 end:1006 close", ""},
    {"81:%EF%BF%BD%EF%BF%BF", "text:%EF%BF%BD%EF%BF%BF end:1006 close", ""},
    {"81:%F0%90%80%80%F4%8F%BF%BF", "text:%F0%90%80%80%F4%8F%BF%BF end:1006 close", ""},
    {"81:abcdefgh%CE%BAabcdefghijklmnop", "text:abcdefgh%CE%BAabcdefghijklmnop end:1006 close", ""},
    {"82:%80", "binary:%80 end:1006 close", ""},
    /* ---- nothing at all, and a frame that breaks off ---- */
    {"", "end:1006 close", ""},
    {"#81", "end:1006 close", ""},
    {"01:a", "end:1006 close", ""},
};

/* The peer begins to close: what the socket tells and answers, and then TCP ends. */
static const ws_case closes[] = {
    {"88:", "end:1005", "88:"},
    {"88:1000", "end:1000", "88:1000"},
    {"88:1000 bye", "end:1000,bye", "88:1000"},
    {"88:1001 a*123", NULL, "88:1001"},
    {"88:1002", "end:1002", "88:1002"},
    {"88:1003", "end:1003", "88:1003"},
    {"88:1007", "end:1007", "88:1007"},
    {"88:1011", "end:1011", "88:1011"},
    {"88:1012", "end:1012", "88:1012"},
    {"88:1014", "end:1014", "88:1014"},
    {"88:3000", "end:3000", "88:3000"},
    {"88:4999 %E2%82%AC", "end:4999,\xe2\x82\xac", "88:4999"},
    {"81:a|88:1000|81:b", "text:a end:1000", "88:1000"},
    {"01:a|88:1000", "end:1000", "88:1000"},
    {"88:1000|88:1001", "end:1000", "88:1000"},
    {"88:1000|89:", "end:1000", "88:1000"},
    {"88:1000|#ffff", "end:1000", "88:1000"},
};

/* The peer breaks a rule. */
static const ws_case bad[] = {
    /* ---- masks (5.1) ---- */
    {"!81:Hello", "EPROTO end:1002", "88:1002"},
    {"!82:", "EPROTO end:1002", "88:1002"},
    {"81:a|!89:x", "text:a EPROTO end:1002", "88:1002"},
    /* ---- reserved bits and opcodes (5.2) ---- */
    {"c1:a", "EPROTO end:1002", "88:1002"},
    {"a1:a", "EPROTO end:1002", "88:1002"},
    {"91:a", "EPROTO end:1002", "88:1002"},
    {"c9:", "EPROTO end:1002", "88:1002"},
    {"83:", "EPROTO end:1002", "88:1002"},
    {"84:a", "EPROTO end:1002", "88:1002"},
    {"87:a", "EPROTO end:1002", "88:1002"},
    {"8b:", "EPROTO end:1002", "88:1002"},
    {"8c:a", "EPROTO end:1002", "88:1002"},
    {"8f:a", "EPROTO end:1002", "88:1002"},
    {"81:a|8b:x|81:b", "text:a EPROTO end:1002", "88:1002"},
    /* ---- fragments out of order (5.4) ---- */
    {"80:a", "EPROTO end:1002", "88:1002"},
    {"00:a", "EPROTO end:1002", "88:1002"},
    {"80:", "EPROTO end:1002", "88:1002"},
    {"01:a|81:b", "EPROTO end:1002", "88:1002"},
    {"01:a|01:b", "EPROTO end:1002", "88:1002"},
    {"02:a|82:", "EPROTO end:1002", "88:1002"},
    {"01:a|80:b|80:c", "text:ab EPROTO end:1002", "88:1002"},
    /* ---- control frames in pieces or too long (5.5) ---- */
    {"09:a", "EPROTO end:1002", "88:1002"},
    {"08:", "EPROTO end:1002", "88:1002"},
    {"0a:|80:", "EPROTO end:1002", "88:1002"},
    {"89:a*126", "EPROTO end:1002", "88:1002"},
    {"8a:a*65536", "EPROTO end:1002", "88:1002"},
    {"88:1000 a*124", "EPROTO end:1002", "88:1002"},
    /* ---- Close codes (7.4) and reasons ---- */
    {"88:0", "EPROTO end:1002", "88:1002"},
    {"88:999", "EPROTO end:1002", "88:1002"},
    {"88:1004", "EPROTO end:1002", "88:1002"},
    {"88:1005", "EPROTO end:1002", "88:1002"},
    {"88:1006", "EPROTO end:1002", "88:1002"},
    {"88:1015", "EPROTO end:1002", "88:1002"},
    {"88:1016", "EPROTO end:1002", "88:1002"},
    {"88:2000", "EPROTO end:1002", "88:1002"},
    {"88:2999", "EPROTO end:1002", "88:1002"},
    {"88:5000", "EPROTO end:1002", "88:1002"},
    {"88:65535", "EPROTO end:1002", "88:1002"},
    {"88:1000 %80", "EPROTO end:1007", "88:1007"},
    {"88:1000 ab%CE", "EPROTO end:1007", "88:1007"},
    /* ---- text that is none ---- */
    {"81:%80", "EPROTO end:1007", "88:1007"},
    {"81:a%FFb", "EPROTO end:1007", "88:1007"},
    {"81:%C0%80", "EPROTO end:1007", "88:1007"},
    {"81:%C1%BF", "EPROTO end:1007", "88:1007"},
    {"81:%E0%9F%BF", "EPROTO end:1007", "88:1007"},
    {"81:%ED%A0%80", "EPROTO end:1007", "88:1007"},
    {"81:%F0%8F%BF%BF", "EPROTO end:1007", "88:1007"},
    {"81:%F4%90%80%80", "EPROTO end:1007", "88:1007"},
    {"81:%F5", "EPROTO end:1007", "88:1007"},
    {"81:%CE", "EPROTO end:1007", "88:1007"},
    {"81:%CEa", "EPROTO end:1007", "88:1007"},
    {"81:%E2%82", "EPROTO end:1007", "88:1007"},
    {"01:%CE|80:", "EPROTO end:1007", "88:1007"},
    {"01:%CE|80:a", "EPROTO end:1007", "88:1007"},
    {"01:abcdefgh%F0%90|00:%80|80:", "EPROTO end:1007", "88:1007"},
    {"01:%FF|00:a", "EPROTO end:1007", "88:1007"}, /* before the message is complete */
    {"81:aaaaaaaaaaaaaaaaaaaaaaa%80", "EPROTO end:1007", "88:1007"},
};

static rondo_loop *loop;

/* Opens, sends, and checks what is told and answered. */
static void run_case(const ws_case *one, int role, size_t piece, const char *behind) {
    char want[512];
    ws_peer peer;
    octets data = {0};
    loop = new_virtual_loop();
    rondo_websocket *socket = ws_open(loop, role, &peer);
    ws_note_all(&socket);
    put_frames(&data, one->sent, peer.is_client);
    ws_send_octets(loop, &peer, &data, piece);
    CHECK_STR(ws_got(&peer), one->answered);
    shutdown(peer.fd, SHUT_WR);
    run_turns(loop, 4);
    snprintf(want, sizeof want, "%s%s", one->told ? one->told : "", behind);
    if (one->told) CHECK_TRACE(want);
    trace_size = 0, trace[0] = '\0';
    CHECK_STR(ws_got(&peer), "");
    CHECK(socket == NULL && peer.ended);
    free(data.data);
    ws_peer_close(&peer);
    end_loop(loop);
}

static void run_cases(const ws_case *cases, size_t count, const char *behind) {
    static const size_t pieces[] = {SIZE_MAX, 1, 3};
    for (size_t i = 0; i < count; i++)
        for (int role = SERVER; role <= CLIENT; role++)
            for (size_t j = 0; j < 3; j++) {
                size_t piece = pieces[j];
                /* Spelling a hundred thousand octets shows nothing that fewer don't. */
                if (piece < 1000 && strstr(cases[i].sent, "000")) piece = 1009;
                if (piece < 1000 && strstr(cases[i].sent, "*65")) piece = 4099;
                run_case(&cases[i], role, piece, behind);
            }
}

TEST(messages_and_control_frames_come_as_they_were_sent) {
    run_cases(good, sizeof good / sizeof good[0], "");
}
TEST(a_close_is_answered_with_its_code_and_nothing_comes_behind_it) {
    run_cases(closes, sizeof closes / sizeof closes[0], " close");
}
TEST(each_rule_that_is_broken_fails_the_connection_with_its_code) {
    run_cases(bad, sizeof bad / sizeof bad[0], " close");
}

/* Lengths that are not the shortest, or above 2^63 (section 5.2); headers alone. */
TEST(lengths_that_can_not_be_are_refused_at_the_header) {
    static const char *const headers[] = {
        "#82fe007d",             /* 125 in two octets */
        "#82ff000000000000ffff", /* 65535 in eight */
        "#82ff8000000000000000", /* the highest bit */
        "#82ffffffffffffffffff",
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        for (size_t piece = 1; piece < 20; piece += 18) {
            ws_case one = {headers[i], "EPROTO end:1002", "88:1002"};
            run_case(&one, SERVER, piece, " close");
        }
}

TEST(a_close_of_one_octet_is_refused) {
    ws_case one = {"#8881000000000003", "EPROTO end:1002", "88:1002"};
    run_case(&one, SERVER, 1, " close");
    run_case(&one, SERVER, SIZE_MAX, " close");
    one.sent = "#880103";
    run_case(&one, CLIENT, SIZE_MAX, " close");
}
