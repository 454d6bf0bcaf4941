// node's http server on the inherited socket. With `graceful` as argument SIGTERM lets it finish.
const http = require('http');

const server = http.createServer((request, response) => {
  const body = `Hello, world ${process.env.ENDLESS_GENERATION || 0} ${process.pid}!\n`;
  const sleep = request.url.match(/^\/sleep\/(\d+)/);
  const answer = () => {
    response.setHeader('Content-Length', Buffer.byteLength(body));
    if (stopping) response.setHeader('Connection', 'close');
    response.end(body);
  };
  sleep ? setTimeout(answer, Number(sleep[1])) : answer();
});
let stopping = false;
if (process.argv[2] === 'graceful') {
  process.on('SIGTERM', () => {
    stopping = true;
    server.close(() => process.exit(0));
    setInterval(() => server.closeIdleConnections(), 500).unref();
  });
}
server.listen({ fd: 3 });
