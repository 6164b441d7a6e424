/* SPDX-License-Identifier: MIT
 *
 * What there is of TLS in a build without OpenSSL: the answer that there is none. The Makefile takes
 * this file or the others.
 */
#include <rondo/error.h>

#include "net/tls/tls.h"

int rondo_tls_context_new(rondo_tls_role role, rondo_tls_context **ret_context) {
    return RONDO_ENOSYS;
}
void rondo_tls_context_free(rondo_tls_context *context) {}
void rondo__tls_context_ref(rondo_tls_context *context) {}
const char *rondo_tls_context_error(rondo_tls_context *context) {
    return "Rondo was built without OpenSSL";
}
int rondo_tls_add_certificate_file(rondo_tls_context *context, const char *certificate_path,
                                   const char *key_path) {
    return RONDO_ENOSYS;
}
int rondo_tls_add_certificate(rondo_tls_context *context, rondo_slice certificate_pem,
                              rondo_slice key_pem) {
    return RONDO_ENOSYS;
}
int rondo_tls_add_trust_file(rondo_tls_context *context, const char *path) { return RONDO_ENOSYS; }
int rondo_tls_add_trust_directory(rondo_tls_context *context, const char *path) {
    return RONDO_ENOSYS;
}
int rondo_tls_add_trust(rondo_tls_context *context, rondo_slice pem) { return RONDO_ENOSYS; }
int rondo_tls_add_trust_system(rondo_tls_context *context) { return RONDO_ENOSYS; }
int rondo_tls_reload(rondo_tls_context *context) { return RONDO_ENOSYS; }
int rondo_tls_set_verify(rondo_tls_context *context, rondo_tls_verify verify) {
    return RONDO_ENOSYS;
}
int rondo_tls_set_alpn(rondo_tls_context *context, const char *protocols) { return RONDO_ENOSYS; }
int rondo_tls_set_versions(rondo_tls_context *context, rondo_tls_version least,
                           rondo_tls_version most) {
    return RONDO_ENOSYS;
}
int rondo_tls_set_handshake_timeout(rondo_tls_context *context, uint32_t timeout_ms) {
    return RONDO_ENOSYS;
}
int rondo_tls_set_resumption(rondo_tls_context *context, bool on) { return RONDO_ENOSYS; }
int rondo_tls_set_ticket_key(rondo_tls_context *context, rondo_slice key) { return RONDO_ENOSYS; }
int rondo_tls_set_kernel(rondo_tls_context *context, bool on) { return RONDO_ENOSYS; }
int rondo_server_set_tls(rondo_server *server, rondo_tls_context *context) { return RONDO_ENOSYS; }
int rondo_tls_start(rondo_stream *stream, rondo_tls_context *context, const char *name) {
    return RONDO_ENOSYS;
}
int rondo_tls_get_info(const rondo_stream *stream, rondo_tls_info *ret_info) {
    return RONDO_ENOSYS;
}
int rondo_tls_peer_text(const rondo_stream *stream, rondo_tls_field field, char *text,
                        size_t size) {
    return RONDO_ENOSYS;
}
const char *rondo_tls_error_text(const rondo_stream *stream) {
    return "Rondo was built without OpenSSL";
}
int rondo__tls_start_client(rondo_stream *stream, rondo_tls_context *context, const char *name) {
    return RONDO_ENOSYS;
}
