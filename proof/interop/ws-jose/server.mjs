// Rooms as one would write them by hand on Node: `ws` for the sockets, `jose` for the
// tokens. They do the same as `../npm-package/rooms.mjs`, for the loads of
// `proof/bench/`.
//
//   OIDC_ISSUER_URL=… OIDC_AUDIENCE=… node server.mjs
import { createServer } from 'node:http';

import { createRemoteJWKSet, jwtVerify } from 'jose';
import { WebSocketServer } from 'ws';

const issuer = process.env.OIDC_ISSUER_URL;
const audience = process.env.OIDC_AUDIENCE;
const keys = createRemoteJWKSet(new URL(`${issuer.replace(/\/$/, '')}/jwks`));

/** The members of each room, by its path. */
const rooms = new Map();

const server = createServer(async (request, response) => {
  const claims = await verified(request);
  const body = claims ? JSON.stringify({ sub: claims.sub }) : 'Unauthorized';
  response.writeHead(claims ? 200 : 401, {
    'content-type': claims ? 'application/json' : 'text/plain',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
});

const sockets = new WebSocketServer({ noServer: true });

server.on('upgrade', async (request, stream, head) => {
  if (!(await verified(request))) {
    stream.end('HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n');
    return;
  }
  sockets.handleUpgrade(request, stream, head, (socket) => join(request, socket));
});

function join(request, socket) {
  const { pathname } = new URL(request.url, 'http://localhost');
  const members = rooms.get(pathname) ?? new Set();
  rooms.set(pathname, members.add(socket));
  socket.on('message', (data, isBinary) => {
    const text = data.toString();
    if (isBinary || !text.startsWith('b:')) {
      socket.send(data, { binary: isBinary });
      return;
    }
    for (const member of members) member.send(text);
  });
  socket.on('close', () => members.delete(socket));
}

/** The claims of the request's token; `undefined` without a valid one. */
async function verified(request) {
  const { searchParams } = new URL(request.url, 'http://localhost');
  const [, bearer] = /^Bearer +(.+)$/i.exec(request.headers.authorization ?? '') ?? [];
  const token = bearer ?? searchParams.get('access_token');
  if (!token) return undefined;
  try {
    return (await jwtVerify(token, keys, { issuer, audience })).payload;
  } catch {
    return undefined;
  }
}

server.listen(0, '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
