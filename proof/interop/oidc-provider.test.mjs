// A real OpenID provider, and how the server judges each kind of its tokens.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Client, NO_RETRY, closeClients } from './support/client.mjs';
import { ALGORITHMS, OTHER_RESOURCE, OidcProvider } from './support/provider.mjs';
import { AUDIENCE, Server } from './support/server.mjs';

for (const mount of ['', '/tenant-a']) {
  describe(`oidc-provider as the issuer http://127.0.0.1:PORT${mount}`, { timeout: 60_000 }, () => {
    let provider;
    let server;

    before(async () => {
      provider = await OidcProvider.start(mount);
      server = await Server.start({ issuer: provider.issuer });
    });

    after(async () => {
      closeClients();
      await server?.stop();
      await provider?.stop();
    });

    const get = (token, headers = {}, party = 'chat') =>
      fetch(server.room(party, 'lobby'), {
        headers: { ...(token && { authorization: `Bearer ${token}` }), ...headers },
        signal: AbortSignal.timeout(10_000),
      });

    const refused = async (token) => {
      const answer = await get(token);
      assert.equal(answer.status, 401);
      assert.equal(await answer.text(), 'Unauthorized');
      const challenge = answer.headers.get('www-authenticate');
      assert.match(challenge, /^Bearer realm="/);
      assert.match(challenge, /error="invalid_token"/);
      assert.match(challenge, /error_description="[^"]+"/);
      assert.equal(challenge.includes(token), false);
      const client = new Client({
        host: server.host,
        party: 'chat',
        room: 'lobby',
        query: { access_token: token },
        ...NO_RETRY,
      });
      assert.deepEqual(await client.closed(), { code: 1008, reason: 'Unauthorized' });
      assert.equal(client.messages.length, 0);
    };

    for (const algorithm of ALGORITHMS) {
      test(`client credentials, ${algorithm}: accepted`, async () => {
        const token = await provider.clientCredentials(algorithm);
        assert.deepEqual(decode(token, 0), { alg: algorithm, typ: 'at+jwt', kid: algorithm });
        const answer = await get(token);
        assert.equal(answer.status, 200);
        const { claims, credentials } = await answer.json();
        assert.equal(claims.iss, provider.issuer);
        assert.equal(claims.sub, algorithm);
        assert.equal(claims.client_id, algorithm);
        assert.equal(claims.aud, AUDIENCE);
        assert.deepEqual(credentials, { access_token: token });
      });
    }

    test('client credentials: the strict profile of RFC 9068 and a required scope hold', async () => {
      const token = await provider.clientCredentials('ES256');
      assert.equal((await get(token, {}, 'strict-chat')).status, 200);
      assert.equal((await get(token, {}, 'scoped')).status, 200);
    });

    test('code flow with PKCE: the user is who signed in, over HTTP and in a room', async () => {
      const { access_token } = await provider.signIn('alice');
      const { claims } = await (await get(access_token)).json();
      assert.equal(claims.sub, 'alice');
      assert.equal(claims.client_id, 'app');
      const client = new Client({
        host: server.host,
        party: 'chat',
        room: 'lobby',
        query: async () => ({ access_token }),
      });
      assert.equal((await client.welcome()).sub, 'alice');
      client.send('hello');
      const echo = await client.json();
      assert.deepEqual([echo.type, echo.sub, echo.text], ['echo', 'alice', 'hello']);
    });

    test('x-id-token: the ID token of the same sign-in is a credential, another user\'s is not', async () => {
      const [alice, bob] = [await provider.signIn('alice'), await provider.signIn('bob')];
      const own = await get(alice.access_token, { 'x-id-token': alice.id_token });
      assert.deepEqual((await own.json()).credentials, {
        access_token: alice.access_token,
        id_token: alice.id_token,
      });
      const foreign = await get(alice.access_token, { 'x-id-token': bob.id_token });
      assert.equal(foreign.status, 200);
      assert.deepEqual((await foreign.json()).credentials, { access_token: alice.access_token });
    });

    test('no token: a challenge without an error code', async () => {
      const answer = await get(undefined);
      assert.equal(answer.status, 401);
      const challenge = answer.headers.get('www-authenticate');
      assert.match(challenge, /^Bearer realm="/);
      assert.doesNotMatch(challenge, /error/);
    });

    test('the ID token of a sign-in is refused', async () => {
      const { id_token } = await provider.signIn('alice');
      assert.equal(decode(id_token, 1).iss, provider.issuer);
      await refused(id_token);
    });

    test('an opaque token is refused', async () => {
      const { access_token } = await provider.signIn('alice', { resource: null });
      assert.doesNotMatch(access_token, /\./);
      await refused(access_token);
    });

    test('a token for another resource is refused', async () => {
      const token = await provider.clientCredentials('RS256', OTHER_RESOURCE);
      assert.equal(decode(token, 1).aud, OTHER_RESOURCE);
      await refused(token);
    });

    test('a token whose claims were changed is refused', async () => {
      const token = await provider.clientCredentials('RS256');
      const [header, , signature] = token.split('.');
      const claims = { ...decode(token, 1), sub: 'alice' };
      const payload = Buffer.from(JSON.stringify(claims)).toString('base64url');
      await refused(`${header}.${payload}.${signature}`);
    });

    test('a token whose signature is another token\'s is refused', async () => {
      const [header, payload] = (await provider.clientCredentials('ES256')).split('.');
      const [, , signature] = (await provider.clientCredentials('ES256')).split('.');
      await refused(`${header}.${payload}.${signature}`);
    });

    test('the token of another issuer with the same keys is refused', async () => {
      const other = await OidcProvider.start(mount);
      try {
        await refused(await other.clientCredentials('RS256'));
      } finally {
        await other.stop();
      }
    });
  });
}

function decode(token, part) {
  return JSON.parse(Buffer.from(token.split('.')[part], 'base64url').toString());
}
