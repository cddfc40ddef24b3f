// Every cause of a refusal as an unmodified PartySocket sees it: the close code, the
// reason, and whether it reconnects.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { PartySocket } from 'partysocket';

import { Client, NO_RETRY, closeClients } from './support/client.mjs';
import { Issuer } from './support/issuer.mjs';
import { Server } from './support/server.mjs';

const UNAUTHORIZED = { code: 1008, reason: 'Unauthorized' };
const EXPIRED = { code: 3000, reason: 'token expired' };
const NOT_YOURS = { code: 1008, reason: 'This chat is not yours.' };

describe('partysocket, refused', { timeout: 120_000 }, () => {
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

  /** Connects, and asserts that a close is all that the client gets. */
  const refused = async (party, room, query, expected) => {
    const client = connect(party, room, { query, ...NO_RETRY });
    client.send('b:sent before the refusal');
    await client.opened();
    assert.deepEqual(await client.closed(), expected);
    assert.equal(client.messages.length, 0);
  };

  const claim = async (room, sub, query) => {
    const answer = await PartySocket.fetch(
      { host: server.host, party: 'private-chat', room, path: 'claim', query },
      { method: 'POST', headers: { authorization: `Bearer ${await issuer.token(sub)}` } },
    );
    assert.equal(answer.status, 200);
    assert.deepEqual(await answer.json(), { owner: sub });
  };

  describe('by its token', () => {
    test('no token', () => refused('chat', 'room', undefined, UNAUTHORIZED));

    test('an empty token', () => refused('chat', 'room', { access_token: '' }, UNAUTHORIZED));

    test('not a token at all', () =>
      refused('chat', 'room', { access_token: 'not-a-token' }, UNAUTHORIZED));

    test('a token that was tampered with', async () => {
      const [header, payload, signature] = (await issuer.token('alice')).split('.');
      const flipped = (signature[0] === 'A' ? 'B' : 'A') + signature.slice(1);
      await refused('chat', 'room', { access_token: [header, payload, flipped].join('.') }, UNAUTHORIZED);
    });

    const wrong = {
      'for another audience': { aud: 'https://elsewhere.example' },
      'of another issuer': { iss: 'https://issuer.example' },
      'without an expiry': { exp: null },
      'without a subject': { sub: null },
      'not valid yet': { nbf: Math.floor(Date.now() / 1000) + 600 },
      'bound to a key': { cnf: { jkt: 'thumbprint' } },
    };
    for (const [what, claims] of Object.entries(wrong)) {
      test(`a token ${what}`, async () => {
        const access_token = await issuer.token('alice', claims);
        await refused('chat', 'room', { access_token }, UNAUTHORIZED);
      });
    }

    test('a token without the required scope', async () => {
      const access_token = await issuer.token('alice', { scope: 'rooms:read' });
      const insufficient = { code: 1008, reason: 'insufficient scope' };
      await refused('scoped', 'room', { access_token }, insufficient);
      const writer = await issuer.token('alice', { scope: 'rooms:read rooms:write' });
      const client = connect('scoped', 'room', { query: { access_token: writer } });
      assert.equal((await client.welcome()).sub, 'alice');
    });

    test('an anonymous party refuses a bad token all the same', async () => {
      await refused('optional', 'room', { access_token: 'not-a-token' }, UNAUTHORIZED);
      const anonymous = connect('optional', 'room');
      assert.equal((await anonymous.welcome()).sub, null);
    });

    test('what a refused socket sent reaches nobody', async () => {
      const member = connect('chat', 'overheard', {
        query: { access_token: await issuer.token('alice') },
      });
      await member.welcome();
      await refused('chat', 'overheard', { access_token: 'not-a-token' }, UNAUTHORIZED);
      // The room handles one event after another, so an unexpected broadcast would come
      // first.
      member.send('alone');
      const first = await member.json();
      assert.deepEqual([first.type, first.text], ['echo', 'alone']);
    });

    test('Refusal::Handshake: an HTTP answer, which the client reports as an error', async () => {
      const client = connect('handshake', 'room', { maxRetries: 0 });
      assert.match(await client.errors.next(), /401/);
      assert.equal(client.opens.length, 0);
    });
  });

  describe('by the time', () => {
    test('an expired token: 3000, and the query function brings a fresh one', async () => {
      const lifetimes = [-60, 300];
      const query = async () => ({ access_token: await issuer.tokenFor('alice', lifetimes.shift()) });
      const client = connect('chat', 'expired', { query });
      assert.deepEqual(await client.closed(), EXPIRED);
      assert.equal((await client.welcome()).sub, 'alice');
      assert.equal(lifetimes.length, 0);
    });

    test('the same expired token a fifth time within a minute: 1008', async () => {
      const access_token = await issuer.tokenFor('alice', -60);
      const client = connect('chat', 'stale', { query: { access_token } });
      const closes = await client.closes.take(5);
      assert.deepEqual(closes, [EXPIRED, EXPIRED, EXPIRED, EXPIRED, UNAUTHORIZED]);
      assert.equal(client.messages.length, 0);
    });

    for (const party of ['chat', 'hibernate-chat']) {
      test(`${party}: a live socket is closed at its expiry, and comes back by itself`, async () => {
        const lifetimes = [2, 300];
        let expiry;
        const query = async () => {
          const lifetime = lifetimes.shift();
          expiry ??= Date.now() + lifetime * 1000;
          return { access_token: await issuer.tokenFor('alice', lifetime) };
        };
        const client = connect(party, 'live', { query });
        const { id } = await client.welcome();
        client.send('before');
        assert.equal((await client.json()).text, 'before');
        assert.deepEqual(await client.closed(), EXPIRED);
        const late = Date.now() - expiry;
        assert.ok(late > -50 && late < 2_000, `closed ${late} ms after the expiry`);
        assert.deepEqual(await client.welcome(), { type: 'welcome', id, sub: 'alice' });
        client.send('after');
        assert.equal((await client.json()).text, 'after');
      });
    }
  });

  describe('by ownership', () => {
    test('a room without an owner is nobody\'s', async () => {
      const access_token = await issuer.token('alice');
      await refused('private-chat', 'unowned', { access_token }, NOT_YOURS);
    });

    test('the owner enters, another user does not', async () => {
      await claim('owned', 'alice');
      const alice = connect('private-chat', 'owned', {
        query: { access_token: await issuer.token('alice') },
      });
      assert.equal((await alice.welcome()).sub, 'alice');
      await refused('private-chat', 'owned', { access_token: await issuer.token('bob') }, NOT_YOURS);
      const answer = await PartySocket.fetch(
        { host: server.host, party: 'private-chat', room: 'owned' },
        { headers: { authorization: `Bearer ${await issuer.token('bob')}` } },
      );
      assert.equal(answer.status, 403);
      assert.equal(await answer.text(), 'This chat is not yours.');
    });

    test('anonymous is not an owner: the row of no token', async () => {
      await refused('private-optional', 'owned', undefined, UNAUTHORIZED);
    });

    test('the first user of a first-user room keeps it', async () => {
      const first = connect('first-user', 'room', {
        query: { access_token: await issuer.token('alice') },
      });
      assert.equal((await first.welcome()).sub, 'alice');
      await refused('first-user', 'room', { access_token: await issuer.token('bob') }, NOT_YOURS);
    });

    test('when the ownership moves away, the former owner\'s live socket is closed', async () => {
      await claim('moving', 'alice');
      const alice = connect('private-chat', 'moving', {
        query: { access_token: await issuer.token('alice') },
        ...NO_RETRY,
      });
      await alice.welcome();
      await claim('moving', 'bob', { overwrite: '' });
      assert.deepEqual(await alice.closed(), NOT_YOURS);
    });
  });

  describe('by limits', () => {
    test('a message over the limit: 1009, and the client comes back', async () => {
      const client = connect('small', 'large-message');
      await client.opened();
      client.send('x'.repeat(1025));
      assert.equal((await client.closed()).code, 1009);
      await client.opened();
      client.send('x'.repeat(1024));
      assert.equal((await client.message()).length, 1024);
    });

    test('a room that is full: 1013, and a place when somebody leaves', async () => {
      const [one, two] = [connect('small', 'full'), connect('small', 'full')];
      await Promise.all([one.opened(), two.opened()]);
      const three = connect('small', 'full');
      three.socket.addEventListener('open', () => three.send('in'));
      assert.equal((await three.closed()).code, 1013);
      one.close();
      assert.equal(await three.message(), 'in');
    });

    test('a failing hook: 1011', async () => {
      const client = connect('faulty', 'failing', NO_RETRY);
      await client.opened();
      client.send('panic');
      assert.equal((await client.closed()).code, 1011);
    });
  });

  describe('by an outage of the provider', () => {
    test('1013 while it is down from the start, then the client is admitted by itself', async () => {
      const faulty = await Issuer.start();
      let own;
      try {
        await faulty.fault('all', 'down');
        own = await Server.start({ issuer: faulty.url });
        const client = new Client({
          host: own.host,
          party: 'chat',
          room: 'room',
          query: async () => ({ access_token: await faulty.token('alice') }),
        });
        assert.deepEqual(await client.closed(), { code: 1013, reason: 'try again later' });
        await faulty.fault('all', 'none');
        assert.equal((await client.welcome(60_000)).sub, 'alice');
        client.close();
      } finally {
        await own?.stop();
        await faulty.stop();
      }
    });
  });
});
