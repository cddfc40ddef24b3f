// The npm original runs on workerd with tokens of the local issuer, and stores its
// owners on disk.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import WebSocket from 'ws';

import { Issuer } from './support/issuer.mjs';
import { Queue } from './support/queue.mjs';
import { AUDIENCE } from './support/server.mjs';
import { within } from './support/within.mjs';
import { build } from './npm-package/build.mjs';
import { Workerd } from './support/workerd.mjs';

describe('the npm package on workerd', { timeout: 60_000 }, () => {
  let folder;
  let issuer;
  let worker;
  let alice;
  let bob;

  const start = (configuration) =>
    Workerd.start({
      configuration,
      storage: folder,
      env: { OIDC_ISSUER_URL: issuer.url, OIDC_AUDIENCE: AUDIENCE },
    });

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'npm-package-'));
    issuer = await Issuer.start();
    [alice, bob] = await Promise.all([issuer.token('alice'), issuer.token('bob')]);
    worker = await start(await build(path.join(folder, 'build')));
  });

  after(async () => {
    await worker?.kill();
    await issuer?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const request = (token, url, method = 'GET') =>
    fetch(url, {
      method,
      headers: token ? { authorization: `Bearer ${token}` } : {},
      signal: AbortSignal.timeout(10_000),
    });

  test('a request is answered with its subject, or refused', async () => {
    const room = worker.room('secured', 'lobby');
    assert.deepEqual(await (await request(alice, room)).json(), { sub: 'alice' });
    assert.equal((await request(undefined, room)).status, 401);
    assert.equal((await request('not.a.token', room)).status, 401);
  });

  test('messages are echoed, and broadcast when they ask for it', async () => {
    const [first, second] = await Promise.all(
      [alice, bob].map((token) => connect(worker.room('secured', 'lobby'), token)),
    );
    first.socket.send('one');
    assert.equal(await first.messages.next(), 'one');
    second.socket.send('b:two');
    assert.equal(await first.messages.next(), 'b:two');
    assert.equal(await second.messages.next(), 'b:two');
    first.socket.close();
    second.socket.close();
  });

  test('a room has one owner, also after workerd was killed', async () => {
    const status = async (token, rest, method) =>
      (await request(token, worker.room('owned', 'diary', rest), method)).status;
    assert.equal(await status(alice, ''), 403);
    assert.equal(await status(alice, '/claim', 'POST'), 200);
    assert.equal(await status(bob, '/claim', 'POST'), 409);
    await worker.kill();
    worker = await start(path.join(folder, 'build/worker.capnp'));
    assert.equal(await status(alice, ''), 200);
    assert.equal(await status(bob, ''), 403);
  });

  test('another class with the same unique key finds the same rooms', async () => {
    const owned = { className: 'PrivateChat', uniqueKey: 'Owned' };
    await worker.kill();
    worker = await start(await build(path.join(folder, 'renamed'), { owned }));
    assert.equal((await request(alice, worker.room('private-chat', 'diary'))).status, 200);
    assert.equal((await request(bob, worker.room('private-chat', 'diary'))).status, 403);
  });
});

/** An open socket, and what it receives. */
async function connect(room, token) {
  const socket = new WebSocket(`${room.replace('http', 'ws')}?access_token=${token}`);
  const messages = new Queue('message');
  socket.addEventListener('message', ({ data }) => messages.push(data));
  await within(once(socket, 'open'), 'open event');
  return { socket, messages };
}
