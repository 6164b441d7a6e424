// SPDX-License-Identifier: MIT
// Node's http, as its documentation begins.
const http = require("node:http");

const server = http.createServer((request, response) => {
  response.setHeader("Content-Type", "text/plain");
  response.setHeader("Content-Length", 14);
  response.end("Hello, world!\n");
});
server.keepAliveTimeout = 75000;
server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
