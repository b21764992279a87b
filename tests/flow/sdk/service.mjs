// A handler with the official CloudEvents SDK for JavaScript. Prints the port it listens on.
//
// It answers each event by one of the type done with the same data and attribute `note`: in binary
// mode on /binary, in structured mode on /structured.
import http from 'node:http';
import { CloudEvent, HTTP } from 'cloudevents';

const server = http.createServer(async (request, response) => {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const event = HTTP.toEvent({ headers: request.headers, body: Buffer.concat(pieces).toString() });
  const extension = event.note === undefined ? {} : { note: event.note };
  const answer = new CloudEvent({ type: 'done', source: '/sdk', data: event.data, ...extension });
  const write = request.url === '/binary' ? HTTP.binary : HTTP.structured;
  const message = write(answer);
  response.writeHead(200, message.headers);
  response.end(typeof message.body === 'string' ? message.body : JSON.stringify(message.body));
});

server.listen(0, '127.0.0.1', () => console.log(server.address().port));
