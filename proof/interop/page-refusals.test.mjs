// Each way in which a room can close a connection: what its user is told, and whether
// the page reconnects.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';

import { Issuer } from './support/issuer.mjs';
import { Browser, refusal, signIn, startChat, state } from './support/page.mjs';
import { Queue } from './support/queue.mjs';

const FINAL = [
  [1008, 'This chat is not yours.', 'This private room is not yours', /claim it/],
  [1008, 'Unauthorized', 'The server does not accept your access token', /Sign in again/],
  [1008, 'insufficient scope', 'Your access token does not allow this', /grant what is missing/],
  [1008, 'More than one method used for authentication', 'sent in two ways', /Reload/],
  [1008, 'session ended', 'Your session was ended', /Sign in again/],
  [1008, 'a reason of tomorrow', 'The server does not let you in', /reason below/],
];
const PASSING = [
  [1001, '', 'The server is stopping or restarting', /as soon as/],
  [1009, '', 'Your message was too long', /shorten it/],
  [1011, 'Internal server error', 'Something failed in this room', /anew by itself/],
  [1013, 'try again later', 'The server can’t let you in right now', /not at fault/],
  [4321, '', 'The connection was lost', /network or the server/],
];
/** More than the longest pause between attempts, and less than a token's life. */
const MINUTE = 60_000;

describe('refusals on the page', { timeout: 180_000 }, () => {
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

  /** A page whose sockets the test answers, at a time that the test tells. */
  const refusedBy = async (answer) => {
    const page = await browser.window();
    const sockets = new Queue('socket');
    await page.clock.install();
    await page.routeWebSocket(/\/parties\//, (socket) => {
      sockets.push(socket);
      answer(socket);
    });
    await page.goto(server.url);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByRole('button', { name: 'Sign in as alice' }).click();
    await sockets.next();
    return { page, sockets };
  };

  /** Lets a minute pass, and the page say what it does then. */
  const later = async (page) => {
    await page.clock.runFor(MINUTE);
    await page.evaluate(() => {});
  };

  for (const [code, reason, cause, remedy] of FINAL) {
    test(`${code} “${reason}” is final`, async () => {
      const { page, sockets } = await refusedBy((socket) => socket.close({ code, reason }));
      assert.match(await refusal(page, cause), remedy);
      assert.match(await page.locator('#detail').innerText(), new RegExp(`${code} “${reason}”`));
      await state(page, 'refused');
      await later(page);
      assert.equal(sockets.length, 0);
    });
  }

  for (const [code, reason, cause, remedy] of PASSING) {
    test(`${code} passes`, async () => {
      const { page, sockets } = await refusedBy((socket) => socket.close({ code, reason }));
      assert.match(await refusal(page, cause), remedy);
      await page.getByRole('button', { name: 'Try now' }).click();
      await sockets.next();
      const pauses = [];
      while (pauses.length < 7) {
        const next = await page.getByText(/Next try in \d+ s\./).innerText();
        pauses.push(Number(next.match(/\d+/)));
        await page.clock.runFor(pauses.at(-1) * 1000);
        await sockets.next();
      }
      assert.ok(pauses.at(-1) > pauses[0] && Math.max(...pauses) <= 30, `pauses of ${pauses} s`);
    });
  }

  test('3000 for ever, whatever the token, does not loop', async () => {
    const { page, sockets } = await refusedBy((socket) =>
      socket.close({ code: 3000, reason: 'token expired' }),
    );
    assert.match(await refusal(page, 'Even new access tokens count as expired'), /clocks/);
    await later(page);
    assert.equal(sockets.length, 3);
  });

  test('a missing scope is asked for at the next sign-in, and at renewals after it', async () => {
    const answer = {
      status: 403,
      headers: {
        'www-authenticate':
          'Bearer realm="rooms", error="insufficient_scope", error_description="a scope is missing", scope="chat:write"',
      },
    };
    const page = await browser.window();
    await page.route(/\/parties\//, (route) => route.fulfill(answer));
    const closes = [
      { code: 1008, reason: 'insufficient scope' },
      { code: 3000, reason: 'token expired' },
    ];
    await page.routeWebSocket(/\/parties\//, (socket) => {
      const close = closes.shift();
      if (close) socket.close(close);
    });
    await page.goto(server.url);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByRole('button', { name: 'Sign in as alice' }).click();
    await page.locator('#detail', { hasText: 'a scope is missing' }).waitFor();
    await page.getByRole('button', { name: 'Sign in again' }).click();
    await page.waitForURL(/\/authorize\?/);
    const scopeOf = (url) => new URL(url).searchParams.get('scope');
    assert.equal(scopeOf(page.url()), 'openid chat:write');
    // The room says that the token has expired. It is renewed without the user.
    const renewal = page.waitForRequest((request) =>
      /\/authorize\?.*prompt=none/.test(request.url()),
    );
    await page.getByRole('button', { name: 'Sign in as alice' }).click();
    assert.equal(scopeOf((await renewal).url()), 'openid chat:write');
  });

  test('a message that is too long comes back to its author', async () => {
    const page = await browser.window();
    await signIn(page, server.url, 'alice');
    const text = page.getByLabel('Message', { exact: true });
    assert.equal(await text.getAttribute('maxlength'), '4000');
    await text.evaluate((text) => text.removeAttribute('maxlength'));
    const long = 'x'.repeat(20_000);
    await text.fill(long);
    await text.press('Enter');
    await page.locator('.note', { hasText: 'Your message was too long' }).waitFor();
    await state(page, 'open');
    assert.equal(await text.inputValue(), long);
  });

  test('without a network the page waits for it', async () => {
    const page = await browser.window();
    await signIn(page, server.url, 'alice');
    await page.context().setOffline(true);
    assert.match(await refusal(page, 'You are offline'), /network/);
    await page.context().setOffline(false);
    await state(page, 'open');
  });
});
