// node's http server at a port of its own. SIGTERM kills it wherever it is.
const body = () => `Hello, world ${process.env.ENDLESS_GENERATION || 0} ${process.pid}!\n`;
require('http').createServer((_, answer) => answer.end(body())).listen(+process.argv[2], '127.0.0.1');
