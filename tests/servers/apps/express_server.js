// express on the inherited socket.
const express = require('express');
const app = express();
const greeting = () => `Hello, world ${process.env.ENDLESS_GENERATION || 0} ${process.pid}!\n`;
let stopping = false;
app.use((request, response, next) => {
  if (stopping) response.set('Connection', 'close');
  next();
});
app.get('/sleep/:millis', (request, response) => setTimeout(() => response.send(greeting()), Number(request.params.millis)));
app.get('/', (request, response) => response.send(greeting()));
const server = app.listen({ fd: 3 });
process.on('SIGTERM', () => {
  stopping = true;
  server.close(() => process.exit(0));
  setInterval(() => server.closeIdleConnections(), 500).unref();
});
