// The page of private-chat with its users in separate windows.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';

import WebSocket from 'ws';

import { Issuer } from './support/issuer.mjs';
import {
  Browser,
  members,
  message,
  refusal,
  say,
  signIn,
  startChat,
  state,
  visit,
} from './support/page.mjs';

describe('the page', { timeout: 240_000 }, () => {
  let issuer;
  let server;
  let browser;

  before(async () => {
    issuer = await Issuer.start();
    [server, browser] = await Promise.all([startChat(issuer), Browser.start()]);
  });

  after(async () => {
    await browser?.stop();
    await server?.stop();
    await issuer?.stop();
  });

  afterEach(async () => {
    await browser.closeWindows();
    browser.assertQuiet();
  });

  /** A window in which this user is in the lobby. */
  const windowOf = async (user, options) => {
    const page = await browser.window(options);
    await signIn(page, server.url, user);
    return page;
  };

  describe('a shared room', () => {
    test('two users in two windows chat and see each other', async () => {
      const alice = await windowOf('alice');
      const bob = await windowOf('bob');
      await members(alice, ['alice', 'bob']);
      await members(bob, ['bob', 'alice']);
      await say(alice, 'Good morning');
      const received = await message(bob, 'Good morning');
      assert.equal(await received.locator('.byline bdi').innerText(), 'alice');
      assert.equal(await received.evaluate((line) => line.matches('.own')), false);
      await say(bob, 'And to you');
      assert.equal(
        await (await message(bob, 'And to you')).evaluate((line) => line.matches('.own')),
        true,
      );
      assert.equal(
        await (await message(alice, 'And to you')).locator('.byline bdi').innerText(),
        'bob',
      );
      await bob.close();
      await members(alice, ['alice']);
    });

    test('markup in a message, a name and a room is text', async () => {
      const alice = await windowOf('alice');
      const attack = '<img src=x onerror=alert(1)><script>alert(2)</script>';
      await say(alice, attack);
      const mallory = await stranger('<b onclick=alert(3)>mallory</b>', 'lobby');
      mallory.send('"><svg onload=alert(4)>');
      await members(alice, ['alice', '<b onclick=alert(3)>mallory</b>']);
      const line = await message(alice, '"><svg onload=alert(4)>');
      assert.equal(
        await line.locator('.byline bdi').innerText(),
        '<b onclick=alert(3)>mallory</b>',
      );
      assert.equal(await alice.locator('.message :is(img, script, svg, b)').count(), 0);
      mallory.close();
    });

    test('a flood of messages leaves a bounded list, with the newest in sight', async () => {
      const alice = await windowOf('alice');
      const flooder = await stranger('flooder', 'lobby');
      for (let index = 1; index <= 700; index += 1) flooder.send(`message ${index}`);
      const last = await message(alice, 'message 700');
      assert.equal(await alice.locator('#messages > li').count(), 500);
      assert.ok(await isInSight(last));
      flooder.close();
    });

    test('who reads older messages stays there, and can go to the new ones', async () => {
      const alice = await windowOf('alice');
      const bob = await windowOf('bob');
      await say(bob, 'long ago\n'.repeat(60).trim());
      await alice.locator('.bubble').waitFor();
      await alice.locator('#log').evaluate((log) => (log.scrollTop = 0));
      await say(bob, 'something new');
      const newest = await message(alice, 'something new');
      assert.equal(await isInSight(newest), false);
      await alice.getByRole('button', { name: 'New messages' }).click();
      assert.ok(await isInSight(newest));
    });
  });

  describe('a private room', () => {
    test('keeps what was begun in it when its owner looks elsewhere', async () => {
      const alice = await windowOf('alice');
      await visit(alice, 'private/secrets');
      await alice.getByRole('button', { name: 'Claim this room' }).click();
      await state(alice, 'open');
      const text = alice.getByLabel('Message', { exact: true });
      await text.fill('for this room alone');
      await visit(alice, 'shared/lobby');
      assert.equal(await text.inputValue(), '');
      await visit(alice, 'private/secrets');
      assert.equal(await text.inputValue(), 'for this room alone');
    });

    test('is claimed, used in two windows, and refused to a stranger', async () => {
      const alice = await windowOf('alice');
      await visit(alice, 'private/diary');
      assert.match(await refusal(alice, 'This private room is not yours'), /claim it/);
      await alice.getByRole('button', { name: 'Claim this room' }).click();
      await state(alice, 'open');
      assert.equal(await alice.locator('#room-kind').innerText(), 'Private, owned by you');
      await say(alice, 'Only mine');

      const second = await alice.context().newPage();
      await second.goto(`${server.url}/#/private/diary`);
      await state(second, 'open');
      await alice.getByText('you, in 2 windows, since').waitFor();
      await say(second, 'From the other window');
      const line = await message(alice, 'From the other window');
      assert.equal(await line.locator('.byline bdi').innerText(), 'You, in another window');

      const bob = await windowOf('bob');
      await visit(bob, 'private/diary');
      assert.match(await refusal(bob, 'This private room is not yours'), /shared room/);
      assert.match(await bob.locator('#detail').innerText(), /1008 “This chat is not yours\.”/);
      await bob.getByRole('button', { name: 'Claim this room' }).click();
      assert.match(await refusal(bob, 'This room belongs to somebody else'), /another name/);
      assert.equal(await bob.getByText('Only mine').count(), 0);
      await members(alice, ['alice']);
      await bob.getByRole('button', { name: 'Go to the lobby' }).click();
      await state(bob, 'open');
    });

    test('opening a link to it claims nothing', async () => {
      const alice = await windowOf('alice');
      await visit(alice, 'private/untouched');
      await refusal(alice, 'This private room is not yours');
      const answer = await fetch(server.room('private-chat', 'untouched'), {
        headers: { authorization: `Bearer ${await issuer.token('alice')}` },
      });
      assert.equal(answer.status, 403);
    });
  });

  describe('the sign-in', () => {
    test('leaves no token and no code in storage, history or the document', async () => {
      const alice = await windowOf('alice');
      await say(alice, 'hello');
      const traces = await alice.evaluate(() => ({
        stored: { ...localStorage, ...sessionStorage },
        cookies: document.cookie,
        addresses: navigation.entries().map(({ url }) => url),
        document: document.documentElement.outerHTML,
      }));
      assert.deepEqual(traces.stored, {});
      assert.doesNotMatch(JSON.stringify(traces), /eyJ[\w-]+\.[\w-]+\.[\w-]+|[?&]code=/);
      await alice.getByText('Claims of your token').click();
      assert.match(await alice.locator('#claims').innerText(), /sub\s+alice/);
    });

    test('outlives a reload, and ends with a sign-out', async () => {
      const alice = await windowOf('alice');
      await alice.reload();
      await state(alice, 'open');
      assert.equal(await alice.locator('#user').innerText(), 'alice');
      await alice.getByRole('button', { name: 'Sign out' }).click();
      await alice.reload();
      await signIn(alice, server.url, 'bob');
      assert.equal(await alice.locator('#user').innerText(), 'bob');
    });

    test('an answer that this window did not ask for is not used', async () => {
      const page = await browser.window();
      const before = await issuer.requests();
      await page.goto(`${server.url}/?code=stolen&state=guessed#/shared/lobby`);
      await page.getByText('This sign-in was not begun in this window.').waitFor();
      assert.equal((await issuer.requests()).token, before.token);
      assert.equal(new URL(page.url()).search, '');
    });

    test('a refusal of the issuer is shown', async () => {
      const page = await browser.window();
      await page.goto(server.url);
      await issuer.fault('token', 'down');
      await page.getByRole('button', { name: 'Sign in', exact: true }).click();
      await page.getByRole('button', { name: 'Sign in as alice' }).click();
      await page.getByText('gives no answer').waitFor();
      await issuer.fault('token', 'none');
      await page.reload();
      await state(page, 'open');
    });

    test('what the operator says is asked for, at each renewal too', async () => {
      const scoped = await startChat(issuer, {
        OIDC_CLIENT_ID: 'page',
        OIDC_SCOPE: 'openid chat:write',
      });
      try {
        const page = await browser.window();
        await signIn(page, scoped.url, 'alice');
        const scope = async () => {
          await page.getByText('Claims of your token').click();
          return page.locator('#claims dt', { hasText: /^scope$/ }).locator('+ dd').innerText();
        };
        assert.equal(await scope(), 'openid chat:write');
        await page.reload();
        await state(page, 'open');
        assert.equal(await scope(), 'openid chat:write');
      } finally {
        await scoped.stop();
      }
    });

    test('endpoints beside the issuer’s origin are used where the operator names theirs', async () => {
      const beside = issuer.url.replace('127.0.0.1', 'localhost');
      const elsewhere = await startChat(issuer, { OIDC_CLIENT_ID: 'page', OIDC_ORIGINS: beside });
      try {
        const page = await browser.window();
        await page.route('**/.well-known/openid-configuration', async (route) => {
          const metadata = await (await route.fetch()).json();
          for (const name of ['authorization_endpoint', 'token_endpoint']) {
            metadata[name] = metadata[name].replace('127.0.0.1', 'localhost');
          }
          await route.fulfill({ json: metadata, headers: { 'access-control-allow-origin': '*' } });
        });
        const tokens = page.waitForRequest(`${beside}/token`);
        await signIn(page, elsewhere.url, 'alice');
        assert.equal((await tokens).method(), 'POST');
      } finally {
        await elsewhere.stop();
      }
    });

    test('without a client a token is pasted, and the reason of its refusal is shown', async () => {
      const pasting = await startChat(issuer, {});
      try {
        const page = await browser.window();
        await page.goto(pasting.url);
        const paste = async (token) => {
          await page.getByLabel('Access token', { exact: true }).fill(token);
          await page.getByRole('button', { name: 'Use this token' }).click();
        };
        await paste(await issuer.token('alice', { aud: 'https://elsewhere.example' }));
        await refusal(page, 'The server does not accept your access token');
        await page.locator('#detail', { hasText: 'audience' }).waitFor();
        await page.getByRole('button', { name: 'Sign in again' }).click();
        await paste(await issuer.token('alice'));
        await state(page, 'open');
      } finally {
        await pasting.stop();
      }
    });
  });

  test('the server restarts: the page comes back, and the owner is still the owner', async () => {
    const alice = await windowOf('alice');
    await visit(alice, 'private/kept');
    await alice.getByRole('button', { name: 'Claim this room' }).click();
    await state(alice, 'open');
    await say(alice, 'before');
    await server.halt();
    assert.match(await refusal(alice, 'The server is stopping or restarting'), /as soon as/);
    await alice.getByLabel('Message', { exact: true }).fill('a draft');
    await server.start();
    await state(alice, 'open');
    assert.equal(await alice.getByLabel('Message', { exact: true }).inputValue(), 'a draft');
    await say(alice, 'after');
    await message(alice, 'before');
    const bob = await windowOf('bob');
    await visit(bob, 'private/kept');
    await refusal(bob, 'This private room is not yours');
  });

  test('the provider’s keys are out of reach: said so, and tried again', async () => {
    await issuer.fault('jwks', 'down');
    const cold = await startChat(issuer);
    try {
      const page = await browser.window();
      await page.goto(cold.url);
      await page.getByRole('button', { name: 'Sign in', exact: true }).click();
      await page.getByRole('button', { name: 'Sign in as alice' }).click();
      assert.match(await refusal(page, 'The server can’t let you in right now'), /not at fault/);
      await issuer.fault('jwks', 'none');
      await page.locator('#status[data-state="open"]').waitFor({ timeout: 60_000 });
    } finally {
      await issuer.fault('jwks', 'none');
      await cold.stop();
    }
  });

  test('with its own issuer, as `cargo run` starts it', async () => {
    const alone = await startChat(undefined, {});
    try {
      const page = await browser.window();
      await signIn(page, alone.url, 'carol');
      await say(page, 'it works');
    } finally {
      await alone.stop();
    }
  });

  /** A socket in a shared room that is no page. */
  async function stranger(user, room) {
    const url = `${server.room('shared-chat', room).replace('http', 'ws')}?access_token=${await issuer.token(user)}`;
    const socket = new WebSocket(url);
    await new Promise((resolve, reject) => {
      socket.once('message', resolve);
      socket.once('error', reject);
    });
    return socket;
  }
});

/** Whether a line is within the visible part of the list. */
function isInSight(line) {
  return line.evaluate((line) => {
    const [own, log] = [line, document.getElementById('log')].map((part) =>
      part.getBoundingClientRect(),
    );
    return own.bottom <= log.bottom && own.top < log.bottom;
  });
}
