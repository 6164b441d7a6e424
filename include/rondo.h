/* SPDX-License-Identifier: MIT
 *
 * All of Rondo: an event loop for C. Include this, or one topic's header from rondo/.
 */
#ifndef RONDO_H
#define RONDO_H

#include <rondo/address.h>
#include <rondo/async.h>
#include <rondo/base.h>
#include <rondo/connect.h>
#include <rondo/dns.h>
#include <rondo/emitter.h>
#include <rondo/error.h>
#include <rondo/file_stream.h>
#include <rondo/fs.h>
#include <rondo/fs_dir.h>
#include <rondo/fs_path.h>
#include <rondo/fs_tree.h>
#include <rondo/group.h>
#include <rondo/handle.h>
#include <rondo/http.h>
#include <rondo/http_call.h>
#include <rondo/http_client.h>
#include <rondo/http_files.h>
#include <rondo/http_request.h>
#include <rondo/http_response.h>
#include <rondo/http_router.h>
#include <rondo/http_server.h>
#include <rondo/loop.h>
#include <rondo/memory.h>
#include <rondo/observer.h>
#include <rondo/pool.h>
#include <rondo/server.h>
#include <rondo/signal.h>
#include <rondo/stream.h>
#include <rondo/stream_settings.h>
#include <rondo/tick.h>
#include <rondo/timer.h>
#include <rondo/tls.h>
#include <rondo/tty.h>
#include <rondo/udp.h>
#include <rondo/unix.h>
#include <rondo/watch.h>
#include <rondo/websocket.h>

#endif
