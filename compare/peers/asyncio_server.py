"""Python asyncio: one thread, a coroutine per connection, streams of the standard library, which has no HTTP server for it.

    asyncio_server.py PORT FILES
"""
import asyncio
import os
import re
import socket
import sys

PORT, FILES = int(sys.argv[1]), sys.argv[2]
HELLO = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, world!\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
HEAD = re.compile(rb"GET /(hello|wait\?ms=(\d{1,5})|file\?name=([a-z0-9]{1,15})) HTTP/1\.1\r\n")


async def send_file(name, writer):
    try:
        file = open(os.path.join(FILES, name.decode()), "rb")
    except OSError:
        writer.write(NOT_FOUND)
        return
    with file:
        size = os.fstat(file.fileno()).st_size
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                     b"Content-Length: %d\r\n\r\n" % size)
        if size <= 65536:
            writer.write(file.read())
        else:
            await writer.drain()
            await asyncio.get_running_loop().sendfile(writer.transport, file)


async def serve(reader, writer):
    writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            match = HEAD.match(head)
            if match is None:
                writer.write(NOT_FOUND)
            elif match[3] is not None:
                await send_file(match[3], writer)
            else:
                if match[2] is not None:
                    await asyncio.sleep(int(match[2]) / 1000)
                writer.write(HELLO)
            await writer.drain()
            if b"\r\nconnection: close\r\n" in head.lower():
                break
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", PORT, backlog=4096)
    await server.serve_forever()


asyncio.run(main())
