// fastify on the inherited socket.
const fastify = require('fastify')({ forceCloseConnections: 'idle' });
const greeting = () => `Hello, world ${process.env.ENDLESS_GENERATION || 0} ${process.pid}!\n`;
fastify.get('/', async () => greeting());
fastify.get('/sleep/:millis', async (request) => {
  await new Promise((done) => setTimeout(done, Number(request.params.millis)));
  return greeting();
});
fastify.listen({ fd: 3 });
process.on('SIGTERM', () => fastify.close().then(() => process.exit(0)));
