/* SPDX-License-Identifier: MIT
 *
 * Who is accepted, and what is shown: certificates good and bad, names, clients' certificates, several
 * certificates in one server, reloading, ALPN, and what a context refuses to be given.
 *
 * test/run: not under valgrind; most of its time is OpenSSL's arithmetic.
 */
#include "tls_peers.h"

#include <sys/stat.h>

/* ---- what a client accepts ---- */

/* The trace of a handshake with this certificate in place of the site's. */
static void shake_with(wish want) {
    couple it;
    credential other;
    couple_init(&it);
    if (!want.issuer) want.issuer = &root;
    make_credential(&other, want);
    rondo_tls_context_free(it.serving);
    it.serving = new_context(RONDO_TLS_SERVER);
    add_credential(it.serving, &other);
    couple_connect(&it);
    run_turns(it.loop, 8);
    couple_fini(&it);
    free_credential(&other);
}

#define SERVER_HEARS(alert) " server:ETLS(the peer refused: " alert ")"

TEST(a_certificate_that_has_expired_is_refused) {
    shake_with((wish){"old", "DNS:" HOST, .from = -2 * DAY, .to = -DAY});
    CHECK_TRACE(
        "client:ECERT(certificate has expired: CN=old)" SERVER_HEARS("certificate expired"));
}

TEST(one_that_is_not_valid_yet_is_refused) {
    shake_with((wish){"new", "DNS:" HOST, .from = DAY, .to = 2 * DAY});
    CHECK_TRACE(
        "client:ECERT(certificate is not yet valid: CN=new)" SERVER_HEARS("bad certificate"));
}

TEST(one_for_another_name_is_refused) {
    shake_with((wish){.subject = "else", .names = "DNS:other.test,DNS:*." HOST});
    CHECK_TRACE("client:ECERT(hostname mismatch: CN=else is not " HOST
                ")" SERVER_HEARS("bad certificate"));
}

/* RFC 9525: the subject is no name, even when there is nothing else. */
TEST(a_name_in_the_subject_does_not_count) {
    shake_with((wish){.subject = HOST});
    CHECK_TRACE("client:ECERT(hostname mismatch: CN=" HOST " is not " HOST
                ")" SERVER_HEARS("bad certificate"));
}

TEST(one_by_nobody_we_know_is_refused) {
    couple it;
    credential other;
    couple_init(&it);
    make_credential(&other, (wish){.subject = "Other Root", .authority = true});
    rondo_tls_context_free(it.asking);
    it.asking = new_context(RONDO_TLS_CLIENT);
    check_done(it.asking, rondo_tls_add_trust(it.asking, rondo_slice_text(other.pem)));
    couple_connect(&it);
    run_turns(it.loop, 8);
    CHECK_TRACE(
        "client:ECERT(unable to get local issuer certificate: CN=site)" SERVER_HEARS("unknown CA"));
    couple_fini(&it);
    free_credential(&other);
}

/* The system trusts others. */
TEST(without_a_word_about_trust_the_systems_counts) {
    couple it;
    couple_init(&it);
    rondo_tls_context_free(it.asking);
    it.asking = new_context(RONDO_TLS_CLIENT);
    couple_connect(&it);
    run_turns(it.loop, 8);
    CHECK_TRACE(
        "client:ECERT(unable to get local issuer certificate: CN=site)" SERVER_HEARS("unknown CA"));
    CHECK_INT(rondo_tls_add_trust_system(it.asking), 0);
    check_done(it.asking, rondo_tls_add_trust(it.asking, rondo_slice_text(root.pem)));
    couple_shake(&it);
    couple_fini(&it);
}

TEST(one_that_vouches_for_itself_is_refused) {
    couple it;
    credential other;
    couple_init(&it);
    make_credential(&other, (wish){.subject = "self", .names = "DNS:" HOST});
    rondo_tls_context_free(it.serving);
    it.serving = new_context(RONDO_TLS_SERVER);
    add_credential(it.serving, &other);
    couple_connect(&it);
    run_turns(it.loop, 8);
    CHECK_TRACE("client:ECERT(self-signed certificate: CN=self)" SERVER_HEARS("unknown CA"));
    couple_fini(&it);
    free_credential(&other);
}

TEST(an_address_must_be_named_too) {
    couple it;
    couple_init(&it);
    it.name = "127.0.0.1";
    couple_shake(&it);
    rondo_tls_info info;
    CHECK_INT(rondo_tls_get_info(it.server, &info), 0);
    CHECK_STR(info.server_name, ""); /* RFC 6066: an address is no server name */
    it.name = "127.0.0.2";
    couple_connect(&it);
    run_turns(it.loop, 8);
    CHECK_TRACE("client:ECERT(IP address mismatch: CN=site is not 127.0.0.2)" SERVER_HEARS(
        "bad certificate"));
    couple_fini(&it);
}

TEST(wildcards_stand_for_one_label_and_the_last_dot_does_not_matter) {
    static const struct {
        const char *name;
        bool good;
    } names[] = {{"a.wild.test", true},    {"A.WILD.test.", true}, {HOST ".", true},
                 {"a.b.wild.test", false}, {"wild.test", false},   {"ab.other.test", false}};
    couple it;
    couple_init(&it);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        it.name = names[i].name;
        couple_connect(&it);
        run_turns(it.loop, 8);
        if ((strcmp(trace, "client server") == 0) != names[i].good)
            FAIL("%s: %s", names[i].name, trace);
        trace_size = 0, trace[0] = '\0';
    }
    couple_fini(&it);
}

TEST(who_verifies_nothing_accepts_anybody) {
    couple it;
    rondo_tls_info info;
    couple_init(&it);
    CHECK_INT(rondo_tls_set_verify(it.asking, RONDO_TLS_VERIFY_NONE), 0);
    it.name = "whoever.test";
    couple_shake(&it);
    CHECK_INT(rondo_tls_get_info(it.client, &info), 0);
    CHECK(!info.verified);
    it.name = NULL;
    couple_shake(&it);
    couple_fini(&it);
}

TEST(a_chain_is_followed_if_the_server_sends_it) {
    couple it;
    credential between, leaf;
    char both[8192];
    couple_init(&it);
    make_credential(&between, (wish){.subject = "Between", .authority = true, .issuer = &root});
    make_credential(&leaf, (wish){.subject = "leaf", .names = "DNS:" HOST, .issuer = &between});
    snprintf(both, sizeof both, "%s%s", leaf.pem, between.pem);
    rondo_tls_context_free(it.serving);
    it.serving = new_context(RONDO_TLS_SERVER);
    check_done(it.serving, rondo_tls_add_certificate(it.serving, rondo_slice_text(both),
                                                     rondo_slice_text(leaf.key_pem)));
    couple_shake(&it);
    rondo_tls_context_free(it.serving);
    it.serving = new_context(RONDO_TLS_SERVER);
    add_credential(it.serving, &leaf);
    couple_connect(&it);
    run_turns(it.loop, 8);
    CHECK_TRACE(
        "client:ECERT(unable to get local issuer certificate: CN=leaf)" SERVER_HEARS("unknown CA"));
    couple_fini(&it);
    free_credential(&between);
    free_credential(&leaf);
}

/* A name is the peer's to choose, and must not pass for two in our list. */
TEST(names_that_could_be_taken_for_others_are_left_out) {
    couple it;
    credential odd;
    char text[256];
    couple_init(&it);
    make_credential(&odd, (wish){.subject = "odd", .issuer = &root});
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    const char *list[] = {HOST, "a.test,DNS:b.test", "c.test\n"};
    for (int i = 0; i < 3; i++) {
        GENERAL_NAME *name = GENERAL_NAME_new();
        ASN1_IA5STRING *value = ASN1_IA5STRING_new();
        ASN1_STRING_set(value, list[i], -1);
        GENERAL_NAME_set0_value(name, GEN_DNS, value);
        sk_GENERAL_NAME_push(names, name);
    }
    X509_add1_ext_i2d(odd.cert, NID_subject_alt_name, names, 0, 0);
    GENERAL_NAMES_free(names);
    X509_sign(odd.cert, root.key, EVP_sha256());
    BIO *pem = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(pem, odd.cert);
    write_pem(pem, odd.pem, sizeof odd.pem);
    BIO_free(pem);
    rondo_tls_context_free(it.serving);
    it.serving = new_context(RONDO_TLS_SERVER);
    add_credential(it.serving, &odd);
    couple_shake(&it);
    CHECK(rondo_tls_peer_text(it.client, RONDO_TLS_NAMES, text, sizeof text) > 0);
    CHECK_STR(text, "DNS:" HOST);
    couple_fini(&it);
    free_credential(&odd);
}

/* ---- clients' certificates ---- */

static void ask_client(couple *it, rondo_tls_verify verify, const credential *shown) {
    couple_init(it);
    check_done(it->serving, rondo_tls_add_trust(it->serving, rondo_slice_text(root.pem)));
    CHECK_INT(rondo_tls_set_verify(it->serving, verify), 0);
    if (shown) add_credential(it->asking, shown);
}

static credential good_client, bad_client;
static void make_clients(void) {
    make_site();
    make_credential(&good_client, (wish){.subject = "alice", .issuer = &root});
    make_credential(&bad_client, (wish){.subject = "mallory"});
    free_site();
}

TEST(a_client_without_a_certificate_is_refused_only_if_one_is_required) {
    couple it;
    ask_client(&it, RONDO_TLS_VERIFY_REQUIRED, NULL);
    couple_connect(&it);
    run_turns(it.loop, 8);
    /* With TLS 1.3 the client is done before it hears of it. */
    CHECK_TRACE("client server:ECERT(the peer has no certificate) "
                "client:ETLS(the peer refused: unknown)");
    couple_fini(&it);
    ask_client(&it, RONDO_TLS_VERIFY_OPTIONAL, NULL);
    couple_shake(&it);
    rondo_tls_info info;
    CHECK_INT(rondo_tls_get_info(it.server, &info), 0);
    CHECK(!info.verified);
    couple_fini(&it);
}

TEST(a_clients_certificate_is_checked_and_can_be_asked_for) {
    couple it;
    char text[64];
    rondo_tls_info info;
    /* Its issuer is the root of another site. */
    make_clients();
    ask_client(&it, RONDO_TLS_VERIFY_OPTIONAL, &good_client);
    couple_connect(&it);
    run_turns(it.loop, 8);
    CHECK_TRACE("client server:ECERT(certificate signature failure: CN=alice) "
                "client:ETLS(the peer refused: decrypt error)");
    couple_fini(&it);
    ask_client(&it, RONDO_TLS_VERIFY_REQUIRED, NULL);
    credential alice;
    make_credential(&alice, (wish){.subject = "alice", .issuer = &root});
    add_credential(it.asking, &alice);
    couple_shake(&it);
    CHECK_INT(rondo_tls_get_info(it.server, &info), 0);
    CHECK(info.verified);
    CHECK_INT(rondo_tls_peer_text(it.server, RONDO_TLS_SUBJECT, text, sizeof text), 8);
    CHECK_STR(text, "CN=alice");
    couple_fini(&it);
    ask_client(&it, RONDO_TLS_VERIFY_REQUIRED, &bad_client);
    couple_connect(&it);
    run_turns(it.loop, 8);
    CHECK_TRACE("client server:ECERT(self-signed certificate: CN=mallory) "
                "client:ETLS(the peer refused: unknown CA)");
    couple_fini(&it);
    free_credential(&alice);
    free_credential(&good_client);
    free_credential(&bad_client);
}

/* A client shows its certificate to those who ask for one by its issuer. */
TEST(a_server_names_whom_it_would_believe) {
    couple it;
    ask_client(&it, RONDO_TLS_VERIFY_OPTIONAL, NULL);
    couple_shake(&it);
    const STACK_OF(X509_NAME) *names = SSL_get0_peer_CA_list(rondo__tls_of(it.client)->ssl);
    CHECK_INT(sk_X509_NAME_num(names), 1);
    CHECK_INT(X509_NAME_cmp(sk_X509_NAME_value(names, 0), X509_get_subject_name(root.cert)), 0);
    couple_fini(&it);
}

/* ---- several certificates ---- */

static void check_shown(couple *it, const char *name, const char *subject) {
    char text[64];
    it->name = name;
    couple_connect(it);
    run_turns(it->loop, 8);
    CHECK_INT(rondo_tls_peer_text(it->client, RONDO_TLS_SUBJECT, text, sizeof text),
              strlen(subject));
    CHECK_STR(text, subject);
    trace_size = 0, trace[0] = '\0';
    rondo_close(it->client);
    run_turns(it->loop, 4);
    trace_size = 0, trace[0] = '\0';
}

TEST(a_server_shows_the_certificate_for_the_name_that_is_asked_for) {
    couple it;
    credential wild, exact, rsa;
    couple_init(&it);
    make_credential(&wild, (wish){"wild", "DNS:*.many.test", .issuer = &root});
    make_credential(&exact, (wish){"exact", "DNS:one.many.test", .issuer = &root});
    make_credential(&rsa, (wish){"rsa", "DNS:one.many.test", .issuer = &root, .rsa = true});
    add_credential(it.serving, &wild);
    add_credential(it.serving, &exact);
    add_credential(it.serving, &rsa);
    CHECK_INT(rondo_tls_set_verify(it.asking, RONDO_TLS_VERIFY_NONE), 0);
    CHECK_INT(rondo_tls_set_resumption(it.asking, false), 0); /* it would show what it showed */
    check_shown(&it, HOST, "CN=site");
    check_shown(&it, "two.many.test", "CN=wild");
    check_shown(&it, "TWO.many.TEST", "CN=wild");
    check_shown(&it, "a.b.many.test", "CN=site");
    check_shown(&it, "nobody.test", "CN=site"); /* the first one */
    check_shown(&it, NULL, "CN=site");
    check_shown(&it, "127.0.0.1", "CN=site");
    /* Which of the two kinds of key is up to what the client can. */
    check_shown(&it, "one.many.test", "CN=exact");
    couple_connect(&it);
    CHECK_INT(SSL_set1_sigalgs_list(rondo__tls_of(it.client)->ssl, "rsa_pss_rsae_sha256"), 1);
    run_turns(it.loop, 8);
    char text[64];
    CHECK(rondo_tls_peer_text(it.client, RONDO_TLS_SUBJECT, text, sizeof text) > 0);
    CHECK_STR(text, "CN=rsa");
    trace_size = 0;
    couple_fini(&it);
    free_credential(&wild);
    free_credential(&exact);
    free_credential(&rsa);
}

/* ---- files, and reading them again ---- */

static char folder[64];
static const char *in_folder(const char *name) {
    static char paths[4][128];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text) {
    FILE *file = fopen(in_folder(name), "w");
    CHECK(file && fputs(text, file) >= 0);
    CHECK_INT(fclose(file), 0);
}

static void make_folder(void) {
    strcpy(folder, "/tmp/rondo-tls-XXXXXX");
    CHECK(mkdtemp(folder) != NULL);
}

static void remove_folder(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    CHECK_INT(system(command), 0);
}

TEST(certificates_are_read_again_without_a_restart) {
    couple it;
    credential next;
    make_folder();
    couple_init(&it);
    write_file("cert.pem", site.pem);
    write_file("key.pem", site.key_pem);
    rondo_tls_context_free(it.serving);
    it.serving = new_context(RONDO_TLS_SERVER);
    check_done(it.serving, rondo_tls_add_certificate_file(it.serving, in_folder("cert.pem"),
                                                          in_folder("key.pem")));
    couple_shake(&it);
    rondo_stream *old = it.client, *old_server = it.server;
    /* The key of another certificate: nothing changes, and it says why. */
    make_credential(&next, (wish){"next", "DNS:" HOST, .issuer = &root});
    write_file("key.pem", next.key_pem);
    CHECK_INT(rondo_tls_reload(it.serving), RONDO_EINVAL);
    char want[256];
    snprintf(want, sizeof want, "%s: private key mismatch", in_folder("cert.pem"));
    CHECK_STR(rondo_tls_context_error(it.serving), want);
    check_shown(&it, HOST, "CN=site");
    unlink(in_folder("key.pem"));
    CHECK_INT(rondo_tls_reload(it.serving), RONDO_ENOENT);
    snprintf(want, sizeof want, "%s: %s", in_folder("key.pem"), rondo_error_text(RONDO_ENOENT));
    CHECK_STR(rondo_tls_context_error(it.serving), want);
    check_shown(&it, HOST, "CN=site");
    /* Both fit. */
    write_file("cert.pem", next.pem);
    write_file("key.pem", next.key_pem);
    CHECK_INT(rondo_tls_reload(it.serving), 0);
    CHECK_STR(rondo_tls_context_error(it.serving), "");
    check_shown(&it, HOST, "CN=next");
    /* The connection from before goes on. */
    rondo_stream_on_data(old_server, note_data, NULL);
    write_text(old, "still here");
    run_turns(it.loop, 3);
    CHECK_TRACE("still here");
    couple_fini(&it);
    free_credential(&next);
    remove_folder();
}

TEST(trust_comes_from_files_and_directories_and_is_read_again) {
    couple it;
    char text[128];
    make_folder();
    couple_init(&it);
    snprintf(text, sizeof text, "%08lx.0", X509_subject_name_hash(root.cert));
    write_file(text, root.pem);
    write_file("root.pem", root.pem);
    rondo_tls_context_free(it.asking);
    it.asking = new_context(RONDO_TLS_CLIENT);
    check_done(it.asking, rondo_tls_add_trust_file(it.asking, in_folder("root.pem")));
    couple_shake(&it);
    write_file("root.pem", site.pem);
    CHECK_INT(rondo_tls_reload(it.asking), 0);
    couple_connect(&it);
    run_turns(it.loop, 8);
    CHECK(strncmp(trace, "client:ECERT(", 13) == 0);
    trace_size = 0, trace[0] = '\0';
    check_done(it.asking, rondo_tls_add_trust_directory(it.asking, folder));
    couple_shake(&it);
    write_file("root.pem", "-----BEGIN CERTIFICATE-----\nbroken\n");
    CHECK_INT(rondo_tls_reload(it.asking), RONDO_EINVAL);
    couple_shake(&it);
    couple_fini(&it);
    remove_folder();
}

/* ---- ALPN ---- */

static void shake_alpn(const char *served, const char *asked) {
    couple it;
    rondo_tls_info info;
    couple_init(&it);
    check_done(it.serving, rondo_tls_set_alpn(it.serving, served));
    check_done(it.asking, rondo_tls_set_alpn(it.asking, asked));
    couple_connect(&it);
    run_turns(it.loop, 8);
    if (strcmp(trace, "client server") == 0) {
        CHECK_INT(rondo_tls_get_info(it.client, &info), 0);
        note("%s", info.alpn);
        CHECK_INT(rondo_tls_get_info(it.server, &info), 0);
        note("%s", info.alpn);
    }
    couple_fini(&it);
}

TEST(the_servers_order_of_protocols_decides) {
    shake_alpn("h2,http/1.1", "http/1.1,h2");
    CHECK_TRACE("client server h2 h2");
    shake_alpn("x,http/1.1", "http/1.1,h2");
    CHECK_TRACE("client server http/1.1 http/1.1");
    shake_alpn("h2", NULL); /* a client that does not ask gets no answer */
    CHECK_TRACE("client server  ");
    shake_alpn("", "h2");
    CHECK_TRACE("client server  ");
    shake_alpn("h2", "h3");
    CHECK_TRACE("server:ETLS(no application protocol) "
                "client:ETLS(the peer refused: no application protocol)");
}

/* ---- what a context refuses ---- */

TEST(bad_settings_are_refused_and_change_nothing) {
    couple it;
    char *long_list = new_bytes(70000);
    couple_init(&it);
    const char *lists[] = {",", "a,", ",a", "a,,b", long_list};
    memset(long_list, 'a', 70000);
    long_list[256] = '\0';
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        CHECK_INT(rondo_tls_set_alpn(it.serving, lists[i]), RONDO_EINVAL);
    long_list[255] = '\0';
    CHECK_INT(rondo_tls_set_alpn(it.serving, long_list), 0);
    for (int i = 0; i < 69999; i++) long_list[i] = i % 2 ? ',' : 'a';
    long_list[69999] = '\0';
    CHECK_INT(rondo_tls_set_alpn(it.serving, long_list), RONDO_EINVAL);
    CHECK_INT(rondo_tls_set_alpn(it.serving, NULL), 0);
    CHECK_INT(rondo_tls_set_versions(it.serving, RONDO_TLS_1_3, RONDO_TLS_1_2), RONDO_EINVAL);
    CHECK_INT(rondo_tls_set_versions(it.serving, (rondo_tls_version)11, RONDO_TLS_1_3),
              RONDO_EINVAL);
    CHECK_INT(rondo_tls_set_versions(it.serving, RONDO_TLS_1_2, (rondo_tls_version)14),
              RONDO_EINVAL);
    CHECK_INT(rondo_tls_set_verify(it.serving, (rondo_tls_verify)3), RONDO_EINVAL);
    CHECK_INT(rondo_tls_set_verify(it.asking, RONDO_TLS_VERIFY_OPTIONAL), RONDO_EINVAL);
    CHECK_INT(rondo_tls_set_ticket_key(it.serving, rondo_slice_of(long_list, 79)), RONDO_EINVAL);
    CHECK_STR(rondo_tls_context_error(it.serving), "invalid argument");
    CHECK_INT(rondo_tls_add_trust_file(it.asking, "/nowhere/ca.pem"), RONDO_ENOENT);
    CHECK_STR(rondo_tls_context_error(it.asking),
              "/nowhere/ca.pem: no such file, listener or entry");
    CHECK_INT(rondo_tls_add_trust_directory(it.asking, "/nowhere"), RONDO_ENOENT);
    CHECK_INT(rondo_tls_add_trust_directory(it.asking, "/dev/null"), RONDO_ENOTDIR);
    CHECK_INT(rondo_tls_add_trust(it.asking, rondo_slice_text("no PEM")), RONDO_EINVAL);
    CHECK_INT(rondo_tls_add_trust(it.asking, rondo_slice_text("")), RONDO_EINVAL);
    CHECK_INT(rondo_tls_add_trust_file(it.asking, NULL), RONDO_EINVAL);
    CHECK_INT(rondo_tls_add_certificate_file(it.serving, NULL, "x"), RONDO_EINVAL);
    couple_shake(&it);
    free(long_list);
    couple_fini(&it);
}

TEST(keys_and_certificates_that_are_none_or_too_weak_are_refused) {
    credential weak;
    make_site();
    make_credential(&weak, (wish){.subject = "weak", .weak_bits = 1024});
    rondo_tls_context *context = new_context(RONDO_TLS_SERVER);
    rondo_slice certificate = rondo_slice_text(site.pem), key = rondo_slice_text(site.key_pem);
    rondo_slice nothing = rondo_slice_text(""), nonsense = rondo_slice_text("nonsense");
    CHECK_INT(rondo_tls_add_certificate(context, nothing, key), RONDO_EINVAL);
    CHECK_INT(rondo_tls_add_certificate(context, certificate, nothing), RONDO_EINVAL);
    CHECK_INT(rondo_tls_add_certificate(context, nonsense, key), RONDO_EINVAL);
    CHECK_STR(rondo_tls_context_error(context), "certificate: no start line");
    CHECK_INT(rondo_tls_add_certificate(context, certificate, nonsense), RONDO_EINVAL);
    CHECK_INT(rondo_tls_add_certificate(context, certificate, rondo_slice_text(root.key_pem)),
              RONDO_EINVAL);
    CHECK_STR(rondo_tls_context_error(context), "certificate: private key mismatch");
    CHECK_INT(rondo_tls_add_certificate(context, rondo_slice_text(weak.pem),
                                        rondo_slice_text(weak.key_pem)),
              RONDO_EINVAL);
    CHECK_STR(rondo_tls_context_error(context), "certificate: ee key too small");
    /* One with a password: nobody is there to type it. */
    char locked[4096];
    BIO *text = BIO_new(BIO_s_mem());
    PEM_write_bio_PKCS8PrivateKey(text, site.key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
    write_pem(text, locked, sizeof locked);
    BIO_free(text);
    CHECK_INT(rondo_tls_add_certificate(context, certificate, rondo_slice_text(locked)),
              RONDO_EINVAL);
    CHECK_STR(rondo_tls_context_error(context), "key: the key is encrypted");
    CHECK_INT(rondo_tls_add_certificate(context, certificate, key), 0);
    rondo_tls_context_free(context);
    rondo_tls_context_free(NULL);
    free_credential(&weak);
    free_site();
}

/* ---- memory ---- */

/* Each allocation of Rondo's own fails once, from the context to the last byte. */
TEST(without_memory_there_is_an_error_and_nothing_is_left) {
    make_folder();
    for (long n = 0;; n++) {
        couple it = {.name = HOST};
        int status = 0;
        make_site();
        write_file("cert.pem", site.pem);
        write_file("key.pem", site.key_pem);
        it.loop = new_virtual_loop();
        int fd = new_tcp_pair(it.loop, &it.server);
        it.client = open_stream(it.loop, fd);
        rondo_stream_on_error(it.server, note_why, (void *)(uintptr_t) "server");
        rondo_stream_on_error(it.client, note_why, (void *)(uintptr_t) "client");
        harness_fail_alloc_after(n);
        status = rondo_tls_context_new(RONDO_TLS_SERVER, &it.serving);
        if (status == 0) status = rondo_tls_context_new(RONDO_TLS_CLIENT, &it.asking);
        if (status == 0)
            status = rondo_tls_add_certificate_file(it.serving, in_folder("cert.pem"),
                                                    in_folder("key.pem"));
        if (status == 0)
            status = rondo_tls_add_certificate(it.serving, rondo_slice_text(root.pem),
                                               rondo_slice_text(root.key_pem));
        if (status == 0) status = rondo_tls_set_alpn(it.serving, "a");
        if (status == 0) status = rondo_tls_set_alpn(it.asking, "a");
        if (status == 0) status = rondo_tls_add_trust(it.asking, rondo_slice_text(root.pem));
        if (status == 0) status = rondo_tls_reload(it.serving);
        if (status == 0) status = rondo_tls_start(it.server, it.serving, NULL);
        if (status == 0) status = rondo_tls_start(it.client, it.asking, HOST);
        if (status == 0) run_turns(it.loop, 8);
        bool failed = harness_alloc_failed();
        harness_fail_alloc_after(-1);
        CHECK(status == 0 || (failed && status == RONDO_ENOMEM));
        if (!failed) CHECK_TRACE("");
        trace_size = 0, trace[0] = '\0';
        end_loop(it.loop);
        rondo_tls_context_free(it.serving);
        rondo_tls_context_free(it.asking);
        free_site();
        CHECK_INT(harness_live_blocks(), 0);
        if (!failed) break;
        CHECK(n < 200);
    }
    remove_folder();
}
