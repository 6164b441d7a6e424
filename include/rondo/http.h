/* SPDX-License-Identifier: MIT
 *
 * HTTP/1.1 on llhttp: all of it. Include this, or the headers of what you use.
 */
#ifndef RONDO_HTTP_H
#define RONDO_HTTP_H

#include <rondo/http_call.h>
#include <rondo/http_client.h>
#include <rondo/http_encoding.h>
#include <rondo/http_events.h>
#include <rondo/http_files.h>
#include <rondo/http_log.h>
#include <rondo/http_query.h>
#include <rondo/http_request.h>
#include <rondo/http_response.h>
#include <rondo/http_router.h>
#include <rondo/http_server.h>

#endif
