// node's cluster: two workers. SIGTERM to the first process lets the workers finish, and it waits for them.
const cluster = require('cluster');
const http = require('http');

if (cluster.isPrimary) {
  for (let i = 0; i < 2; i++) cluster.fork();
  process.on('SIGTERM', () => cluster.disconnect(() => process.exit(0)));
} else {
  process.on('SIGTERM', () => {});
  http.createServer((request, response) => {
    const body = `Hello, world ${process.env.ENDLESS_GENERATION || 0} ${process.pid}!\n`;
    const sleep = request.url.match(/^\/sleep\/(\d+)/);
    response.setHeader('Content-Length', Buffer.byteLength(body));
    response.setHeader('Connection', 'close');
    setTimeout(() => response.end(body), sleep ? Number(sleep[1]) : 0);
  }).listen({ fd: 3 });
}
