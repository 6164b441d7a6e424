/* SPDX-License-Identifier: MIT
 *
 * A build without OpenSSL says so.
 */
#include "streams.h"

TEST(every_function_says_that_it_is_not_built_in) {
    rondo_loop *loop = new_virtual_loop();
    rondo_tls_context *context = NULL;
    rondo_tls_info info;
    rondo_slice pem = rondo_slice_text("pem");
    rondo_stream *stream;
    char text[8];
    int fd = new_pair(loop, &stream);
    CHECK_INT(rondo_tls_context_new(RONDO_TLS_CLIENT, &context), RONDO_ENOSYS);
    CHECK(context == NULL);
    CHECK_STR(rondo_tls_context_error(context), "Rondo was built without OpenSSL");
    CHECK_INT(rondo_tls_add_certificate_file(context, "a", "b"), RONDO_ENOSYS);
    CHECK_INT(rondo_tls_add_certificate(context, pem, pem), RONDO_ENOSYS);
    CHECK_INT(rondo_tls_add_trust_file(context, "a"), RONDO_ENOSYS);
    CHECK_INT(rondo_tls_add_trust_directory(context, "a"), RONDO_ENOSYS);
    CHECK_INT(rondo_tls_add_trust(context, pem), RONDO_ENOSYS);
    CHECK_INT(rondo_tls_add_trust_system(context), RONDO_ENOSYS);
    CHECK_INT(rondo_tls_reload(context), RONDO_ENOSYS);
    CHECK_INT(rondo_tls_set_verify(context, RONDO_TLS_VERIFY_NONE), RONDO_ENOSYS);
    CHECK_INT(rondo_tls_set_alpn(context, "h2"), RONDO_ENOSYS);
    CHECK_INT(rondo_tls_set_versions(context, RONDO_TLS_1_2, RONDO_TLS_1_3), RONDO_ENOSYS);
    CHECK_INT(rondo_tls_set_handshake_timeout(context, 1), RONDO_ENOSYS);
    CHECK_INT(rondo_tls_set_resumption(context, false), RONDO_ENOSYS);
    CHECK_INT(rondo_tls_set_ticket_key(context, pem), RONDO_ENOSYS);
    CHECK_INT(rondo_tls_set_kernel(context, true), RONDO_ENOSYS);
    CHECK_INT(rondo_server_set_tls(NULL, context), RONDO_ENOSYS);
    CHECK_INT(rondo_tls_start(stream, context, "a"), RONDO_ENOSYS);
    CHECK_INT(rondo_tls_get_info(stream, &info), RONDO_ENOSYS);
    CHECK_INT(rondo_tls_peer_text(stream, RONDO_TLS_PEM, text, sizeof text), RONDO_ENOSYS);
    CHECK_STR(rondo_tls_error_text(stream), "Rondo was built without OpenSSL");
    rondo_tls_context_free(context);
    rondo_connect_options options = {.host = "127.0.0.1", .port = 1, .tls = (void *)loop};
    rondo_stream *connecting = rondo_connect_with(loop, &options);
    rondo_stream_on_error(connecting, note_error, NULL);
    run_turns(loop, 1);
    CHECK_TRACE("ENOSYS");
    close(fd);
    end_loop(loop);
}
