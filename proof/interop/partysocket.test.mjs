// What the rooms offer to an unmodified PartySocket.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { PartySocket } from 'partysocket';

import { Client, closeClients } from './support/client.mjs';
import { Issuer } from './support/issuer.mjs';
import { Server } from './support/server.mjs';

describe('partysocket', { timeout: 60_000 }, () => {
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

  describe('the query function', () => {
    test('its token admits the connection, under the id that the client chose', async () => {
      const client = connect('chat', 'query', as('alice'));
      assert.deepEqual(await client.welcome(), { type: 'welcome', id: client.id, sub: 'alice' });
    });

    test('it is asked again on each attempt, and the id stays', async () => {
      const users = ['alice', 'bob'];
      const query = async () => ({ access_token: await issuer.token(users.shift()) });
      const client = connect('chat', 'query-again', { query });
      assert.equal((await client.welcome()).sub, 'alice');
      client.socket.reconnect();
      assert.deepEqual(await client.welcome(), { type: 'welcome', id: client.id, sub: 'bob' });
    });

    test('other parameters reach the room, the token does not', async () => {
      const access_token = await issuer.token('alice');
      const answer = await PartySocket.fetch({
        host: server.host,
        party: 'chat',
        room: 'query-url',
        query: async () => ({ colour: 'green', access_token, absent: null }),
      });
      const { url } = await answer.json();
      assert.match(url, /\?colour=green$/);
    });
  });

  describe('tags', () => {
    for (const party of ['tags', 'hibernating-tags']) {
      test(`${party}: the connection's own id comes first`, async () => {
        const client = connect(party, 'tags', { id: 'chosen-id' });
        client.send('tags');
        assert.deepEqual(await client.json(), ['chosen-id', 'role-a', 'role-b']);
      });

      test(`${party}: the room sees the full URL of the upgrade`, async () => {
        const client = connect(party, 'uri', { id: 'chosen-id', query: { colour: 'green' } });
        client.send('uri');
        const uri = new URL(await client.message());
        assert.equal(uri.origin, server.url);
        assert.equal(uri.pathname, `/parties/${party}/uri`);
        assert.deepEqual([...uri.searchParams], [['_pk', 'chosen-id'], ['colour', 'green']]);
      });
    }
  });

  describe('state', () => {
    for (const party of ['stateful', 'hibernating-stateful']) {
      test(`${party}: each connection has its own, changed by the updater form`, async () => {
        const [one, two] = [connect(party, 'state'), connect(party, 'state')];
        for (const client of [one, two]) {
          assert.deepEqual(await client.json(), { name: 'state' });
        }
        one.send('increment');
        assert.deepEqual(await one.json(), { count: 2 });
        one.send('get');
        assert.deepEqual(await one.json(), { count: 2 });
        two.send('get');
        assert.deepEqual(await two.json(), { count: 1 });
      });
    }
  });

  describe('messages', () => {
    test('a broadcast reaches all three users of the room, and no other room', async () => {
      const users = ['alice', 'bob', 'carol'];
      const clients = users.map((user) => connect('chat', 'broadcast', as(user)));
      const outsider = connect('chat', 'elsewhere', as('dave'));
      for (const client of [...clients, outsider]) await client.welcome();
      clients[1].send('b:hello');
      for (const client of clients) {
        assert.deepEqual(await client.json(), { type: 'broadcast', from: 'bob', text: 'hello' });
      }
      // If nothing else was sent, the answer to a later frame comes first.
      outsider.send('quiet');
      assert.equal((await outsider.json()).text, 'quiet');
    });

    test('binary frames arrive as binary and come back as binary', async () => {
      const client = connect('echo', 'binary');
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
      client.send(bytes);
      const back = await client.message();
      assert.ok(back instanceof ArrayBuffer);
      assert.deepEqual(new Uint8Array(back), bytes);
      client.send('text');
      assert.equal(await client.message(), 'text');
    });

    test('a verified room reads binary frames too', async () => {
      const client = connect('chat', 'binary', as('alice'));
      await client.welcome();
      client.send(new TextEncoder().encode('grüß dich'));
      assert.equal((await client.json()).text, 'grüß dich');
    });

    test('what was queued before the open event is handled once, in order, after the welcome', async () => {
      const client = connect('chat', 'queued', as('alice'));
      const texts = Array.from({ length: 20 }, (_, index) => `message ${index}`);
      for (const text of texts) assert.equal(client.send(text), false);
      assert.equal((await client.welcome()).sub, 'alice');
      const echoes = [];
      for (const _ of texts) echoes.push((await client.json()).text);
      assert.deepEqual(echoes, texts);
    });
  });

  describe('subprotocols', () => {
    const offers = {
      'a string': 'chat.v1',
      'a list': ['chat.v1', 'chat.v2'],
      'a function': () => ['chat.v1', 'chat.v2'],
      'an asynchronous function': async () => 'chat.v1',
    };
    for (const [what, protocols] of Object.entries(offers)) {
      test(`offered by ${what}: the first comes back`, async () => {
        const client = connect('chat', 'protocols', { protocols, ...as('alice') });
        await client.welcome();
        assert.equal(client.socket.protocol, 'chat.v1');
      });
    }

    test('none offered: none comes back', async () => {
      const client = connect('chat', 'protocols', as('alice'));
      await client.welcome();
      assert.equal(client.socket.protocol, '');
    });

    test('a refused socket gets its subprotocol, and so sees the close code', async () => {
      const client = connect('chat', 'protocols', { protocols: ['chat.v1'], maxRetries: 0 });
      await client.opened();
      assert.equal(client.socket.protocol, 'chat.v1');
      assert.deepEqual(await client.closed(), { code: 1008, reason: 'Unauthorized' });
    });
  });

  describe('addresses', () => {
    test('PartySocket.fetch reaches the room of the socket', async () => {
      const options = { host: server.host, party: 'chat', room: 'shared' };
      const access_token = await issuer.token('alice');
      const client = new Client({ ...options, query: { access_token } });
      await client.welcome();
      client.send('which instance?');
      const { instance } = await client.json();
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']) {
        const answer = await PartySocket.fetch(options, {
          method,
          headers: { authorization: `Bearer ${access_token}` },
        });
        assert.equal(answer.status, 200);
        const body = await answer.json();
        assert.deepEqual([body.party, body.room, body.instance], ['chat', 'shared', instance]);
        assert.equal(body.claims.sub, 'alice');
      }
    });

    test('a path after the room is passed on to it', async () => {
      const options = { host: server.host, party: 'plain', room: 'paths', path: 'deep/er' };
      const { url } = await (await PartySocket.fetch(options)).json();
      assert.equal(new URL(url, server.url).pathname, '/parties/plain/paths/deep/er');
      const client = new Client(options);
      assert.equal((await client.welcome()).id, client.id);
    });

    test('the name of a room is the raw segment of the path', async () => {
      const options = { host: server.host, party: 'plain', room: 'caf%C3%A9%20bar' };
      const { room } = await (await PartySocket.fetch(options)).json();
      assert.equal(room, 'caf%C3%A9%20bar');
    });

    test('basePath names the room by its whole path', async () => {
      const client = new Client({ host: server.host, basePath: 'parties/stateful/by-base-path' });
      assert.deepEqual(await client.json(), { name: 'by-base-path' });
    });

    test('an unknown party is 400 over HTTP, and no upgrade', async () => {
      const options = { host: server.host, party: 'nobody-made-it', room: 'any' };
      const answer = await PartySocket.fetch(options);
      assert.equal(answer.status, 400);
      assert.equal(await answer.text(), 'Invalid request');
      const client = new Client({ ...options, maxRetries: 0 });
      assert.match(await client.errors.next(), /400/);
    });
  });
});
