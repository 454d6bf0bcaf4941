// node's cluster: two workers, and a first process that binds for them. SIGTERM kills it, and the workers with it.
const cluster = require('cluster');
if (cluster.isPrimary) {
  cluster.fork();
  cluster.fork();
} else {
  const body = `Hello, world ${process.env.ENDLESS_GENERATION || 0} ${process.pid}!\n`;
  require('http').createServer((_, answer) => answer.end(body)).listen(+process.argv[2], '127.0.0.1');
}
