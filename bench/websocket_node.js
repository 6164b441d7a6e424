// SPDX-License-Identifier: MIT
// Node's ws in bench/websocket: as websocket_rondo.c.
'use strict';
const WebSocket = require('ws');
const server = new WebSocket.Server({ port: Number(process.argv[2]), host: '127.0.0.1', perMessageDeflate: false,
    backlog: 4096 });
server.on('connection', (socket) => socket.on('message', (data, binary) => {
    if (binary) return socket.send(data, { binary });
    const [count, size] = data.toString().split(' ').map(Number);
    const payload = Buffer.alloc(size, 'x');
    let left = count;
    (function tellAll() {
        if (left-- <= 0) return;
        for (const client of server.clients) client.send(payload, { binary: true });
        setImmediate(tellAll);
    })();
}));
