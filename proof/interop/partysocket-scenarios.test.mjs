// Sessions of a page as in PartySocket's own tests, with rooms of this server on the
// other side: life cycles, order, several users, load, restarts.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { PartySocket } from 'partysocket';
import WebSocket from 'ws';

import { Client, NO_RETRY, closeClients } from './support/client.mjs';
import { Issuer } from './support/issuer.mjs';
import { Queue } from './support/queue.mjs';
import { ON_WORKERS, Server } from './support/server.mjs';

describe('partysocket, scenarios', { timeout: 120_000 }, () => {
  let issuer;
  let server;

  before(async () => {
    issuer = await Issuer.start();
    server = await Server.start({ issuer: issuer.url });
  });

  after(async () => {
    closeClients();
    await server?.stop();
    await issuer?.stop();
  });

  const connect = (party, room, options) => new Client({ host: server.host, party, room, ...options });
  const as = (sub) => ({ query: async () => ({ access_token: await issuer.token(sub) }) });

  describe('one connection', () => {
    test('a life: connect, send, hear the echo, close', async () => {
      const client = connect('echo', 'life');
      await client.opened();
      assert.equal(client.send('hello'), true);
      assert.equal(await client.message(), 'hello');
      client.close(1000, 'done');
      assert.deepEqual(await client.closed(), { code: 1000, reason: 'done' });
      assert.equal(client.socket.readyState, PartySocket.CLOSED);
    });

    test('the room hears the client\'s code and reason, and the client\'s close is clean', async () => {
      const room = { host: server.host, party: 'closing', room: 'heard' };
      const closes = new Queue('end of the WebSocket');
      const Watched = watched((webSocket) =>
        webSocket.addEventListener('close', ({ code, reason, wasClean }) =>
          closes.push({ code, reason, wasClean }),
        ),
      );
      const client = connect('closing', 'heard', { WebSocket: Watched });
      await client.opened();
      client.close(4321, 'bye');
      assert.deepEqual(await closes.next(), { code: 4321, reason: 'bye', wasClean: true });
      const events = await (await PartySocket.fetch(room)).json();
      assert.deepEqual(events, [{ code: 4321, reason: 'bye', clean: true }]);
    });

    test('the close event comes exactly once', async () => {
      const client = connect('echo', 'close-once');
      await client.opened();
      client.close();
      client.close();
      assert.equal((await client.closed()).code, 1000);
      assert.equal(client.closes.length, 0);
    });

    test('a client that closes while it connects leaves the room usable', async () => {
      const begun = new Queue('begin of a handshake');
      const Watched = watched((webSocket) => begun.push(webSocket));
      const hasty = connect('echo', 'hasty', { WebSocket: Watched });
      assert.equal((await begun.next()).readyState, WebSocket.CONNECTING);
      hasty.close();
      const client = connect('echo', 'hasty');
      client.send('still here');
      assert.equal(await client.message(), 'still here');
      assert.equal(hasty.messages.length, 0);
    });

    test('20 messages keep their order', async () => {
      const client = connect('echo', 'order');
      await client.opened();
      const sent = Array.from({ length: 20 }, (_, index) => `message ${index}`);
      for (const text of sent) client.send(text);
      assert.deepEqual(await client.messages.take(sent.length), sent);
    });
  });

  describe('several connections', () => {
    test('5 sockets at once each hear their own', async () => {
      const clients = Array.from({ length: 5 }, () => connect('echo', 'five'));
      await Promise.all(clients.map((client) => client.opened()));
      clients.forEach((client, index) => client.send(`from ${index}`));
      for (const [index, client] of clients.entries()) {
        assert.equal(await client.message(), `from ${index}`);
      }
    });

    test('two sockets of one page with different parties, rooms and identities', async () => {
      const chat = connect('chat', 'settings-a', { id: 'first', ...as('alice') });
      const plain = connect('plain', 'settings-b', { id: 'second' });
      assert.deepEqual(await chat.welcome(), { type: 'welcome', id: 'first', sub: 'alice' });
      assert.deepEqual(await plain.welcome(), { type: 'welcome', id: 'second', sub: null });
      chat.close();
      plain.send('still here');
      assert.equal((await plain.json()).text, 'still here');
    });

    test('three users talk: everybody hears everything in one order', async () => {
      const users = ['alice', 'bob', 'carol'];
      const clients = users.map((user) => connect('chat', 'talk', as(user)));
      for (const client of clients) await client.welcome();
      clients.forEach((client, index) => client.send(`b:I am ${users[index]}`));
      const heard = await Promise.all(clients.map((client) => client.messages.take(3)));
      assert.deepEqual(heard[1], heard[0]);
      assert.deepEqual(heard[2], heard[0]);
      const texts = heard[0].map((frame) => JSON.parse(frame)).map(({ from, text }) => [from, text]);
      assert.deepEqual(texts.sort(), users.map((user) => [user, `I am ${user}`]));
    });

    test('3 edits of a document are acknowledged one by one', async () => {
      const client = connect('chat', 'edits', as('alice'));
      await client.welcome();
      for (const version of [1, 2, 3]) {
        client.send(JSON.stringify({ edit: version }));
        const acknowledgement = await client.json();
        assert.deepEqual(JSON.parse(acknowledgement.text), { edit: version });
      }
    });

    test('50 frequent updates reach a reader, in order', async () => {
      const writer = connect('chat', 'updates', as('alice'));
      const reader = connect('chat', 'updates', as('bob'));
      await writer.welcome();
      await reader.welcome();
      for (let tick = 0; tick < 50; tick += 1) writer.send(`b:${tick}`);
      const seen = await reader.messages.take(50);
      assert.deepEqual(
        seen.map((frame) => JSON.parse(frame).text),
        Array.from({ length: 50 }, (_, tick) => String(tick)),
      );
    });
  });

  describe('load', () => {
    test('1000 messages of one client are echoed in order', async () => {
      const client = connect('echo', 'thousand');
      await client.opened();
      const sent = Array.from({ length: 1000 }, (_, index) => `message ${index}`);
      for (const text of sent) client.send(text);
      assert.deepEqual(await client.messages.take(sent.length), sent);
    });

    test('1000 messages of one byte', async () => {
      const client = connect('echo', 'small');
      await client.opened();
      for (let index = 0; index < 1000; index += 1) client.send('x');
      assert.deepEqual(new Set(await client.messages.take(1000)), new Set(['x']));
    });

    test('100 messages of 10 KB', async () => {
      const client = connect('echo', 'large');
      await client.opened();
      const sent = Array.from({ length: 100 }, (_, index) => String(index % 10).repeat(10 * 1024));
      for (const text of sent) client.send(text);
      assert.deepEqual(await client.messages.take(sent.length), sent);
    });

    test('a verified room connects within the client\'s own limit, 20 times at once', async () => {
      const clients = Array.from({ length: 20 }, (_, index) =>
        connect('chat', `connect-${index}`, { maxRetries: 0, ...as(`user-${index}`) }),
      );
      for (const [index, client] of clients.entries()) {
        assert.equal((await client.welcome(4_000)).sub, `user-${index}`);
      }
    });
  });

  describe('recovery', () => {
    test('after a close by the server the client is back, and the room works', async () => {
      const client = connect('small', 'recovery');
      await client.opened();
      client.send('x'.repeat(2000));
      assert.equal((await client.closed()).code, 1009);
      await client.opened();
      client.send('back');
      assert.equal(await client.message(), 'back');
    });

    test('what was sent in between is delivered at the return', async () => {
      const client = connect('small', 'in-between');
      await client.opened();
      client.send('x'.repeat(2000));
      await client.closed();
      assert.equal(client.send('queued'), false);
      assert.equal(await client.message(), 'queued');
    });

    test('five reconnections in a row keep the id', async () => {
      const client = connect('plain', 'again');
      const { id } = await client.welcome();
      for (let round = 0; round < 5; round += 1) {
        client.socket.reconnect();
        assert.equal((await client.welcome()).id, id);
      }
    });

    test('a client that gives up on a close stays away', async () => {
      const client = connect('small', 'gives-up', NO_RETRY);
      await client.opened();
      client.send('x'.repeat(2000));
      assert.equal((await client.closed()).code, 1009);
      assert.equal(client.socket.shouldReconnect, false);
    });

    test('a stopping server says so; after its restart clients and owners are back', async () => {
      const own = await Server.start({ issuer: issuer.url });
      try {
        const room = { host: own.host, party: 'private-chat', room: 'restart' };
        const claim = await PartySocket.fetch(
          { ...room, path: 'claim' },
          { method: 'POST', headers: { authorization: `Bearer ${await issuer.token('alice')}` } },
        );
        assert.equal(claim.status, 200);
        const alice = new Client({ ...room, ...as('alice') });
        const { id } = await alice.welcome();
        // workerd is killed, as in a power cut. The program for one machine closes its
        // sockets.
        const [end, code] = ON_WORKERS
          ? [{ code: null, signal: 'SIGKILL' }, 1006]
          : [{ code: 0, signal: null }, 1001];
        assert.deepEqual(await own.halt(), end);
        assert.equal((await alice.closed()).code, code);
        await own.start();
        assert.deepEqual(await alice.welcome(), { type: 'welcome', id, sub: 'alice' });
        const bob = new Client({ ...room, ...as('bob'), ...NO_RETRY });
        assert.deepEqual(await bob.closed(), { code: 1008, reason: 'This chat is not yours.' });
        alice.close();
      } finally {
        await own.stop();
      }
    });

    test('a socket and PartySocket.fetch see one instance of the room', async () => {
      const room = { host: server.host, party: 'plain', room: 'one-instance' };
      const client = new Client(room);
      await client.welcome();
      client.send('instance?');
      const { instance } = await client.json();
      assert.equal((await (await PartySocket.fetch(room)).json()).instance, instance);
    });
  });
});

/** A WebSocket class that shows each of its instances to `look`. */
function watched(look) {
  return class extends WebSocket {
    constructor(...parameters) {
      super(...parameters);
      look(this);
    }
  };
}
