# SPDX-License-Identifier: MIT
"""Python's websockets in bench/websocket: as websocket_rondo.c."""

import asyncio
import sys

import websockets

everybody = set()


async def serve(socket):
    everybody.add(socket)
    try:
        async for message in socket:
            if isinstance(message, bytes):
                await socket.send(message)
                continue
            count, size = map(int, message.split())
            for _ in range(count):
                websockets.broadcast(everybody, b"x" * size)
                await asyncio.sleep(0)
    except websockets.ConnectionClosed:
        pass
    finally:
        everybody.discard(socket)


async def main():
    async with websockets.serve(serve, "127.0.0.1", int(sys.argv[1]), compression=None, backlog=4096,
                                ping_interval=None):
        await asyncio.Future()


asyncio.run(main())
