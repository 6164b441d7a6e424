// Node: one thread, the http module of its own. node.js PORT FILES
'use strict';
const fs = require('fs');
const http = require('http');
const [port, files] = process.argv.slice(2);
const HELLO = Buffer.from('Hello, world!\n');

function compute(rounds) { // web_compute() of compare/web.c, in the same 32 bits
    let x = 2463534242 | 0;
    for (let round = 0; round < rounds; round++) {
        for (let step = 0; step < 500; step++) {
            x ^= x << 13;
            x ^= x >>> 17;
            x ^= x << 5;
        }
    }
    return x >>> 0;
}

function hello(response, fields) {
    response.writeHead(200, {'Content-Type': 'text/plain', 'Content-Length': HELLO.length, ...fields});
    response.end(HELLO);
}

function fail(response) {
    response.writeHead(404, {'Content-Length': 0});
    response.end();
}

function sendFile(response, name) {
    fs.open(`${files}/${name}`, 'r', (error, fd) => {
        if (error) return fail(response);
        fs.fstat(fd, (error, about) => {
            if (error || !about.isFile()) return fs.close(fd, () => fail(response));
            response.writeHead(200, {'Content-Type': 'application/octet-stream', 'Content-Length': about.size});
            const stream = fs.createReadStream(null, {fd});
            stream.on('error', () => response.destroy());
            response.on('close', () => stream.destroy());
            stream.pipe(response);
        });
    });
}

const server = http.createServer((request, response) => {
    const url = request.url;
    let match;
    if (url === '/hello') hello(response);
    else if ((match = /^\/wait\?ms=(\d{1,5})$/.exec(url))) setTimeout(hello, Number(match[1]), response);
    else if ((match = /^\/cpu\?n=(\d{1,8})$/.exec(url))) hello(response, {Result: compute(Number(match[1]))});
    else if ((match = /^\/file\?name=([a-z0-9]{1,15})$/.exec(url))) sendFile(response, match[1]);
    else fail(response);
});
server.keepAliveTimeout = 0; // none
server.requestTimeout = server.headersTimeout = 0;
server.listen({port: Number(port), host: '127.0.0.1', backlog: 4096});
