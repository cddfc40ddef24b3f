// The end of an access token, as the user of an open page sees it.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';

import { Issuer } from './support/issuer.mjs';
import {
  Browser,
  isShown,
  message,
  refusal,
  say,
  signIn,
  startChat,
  state,
  visit,
} from './support/page.mjs';

/** Seconds; the server adds its leeway of 5. */
const LIFETIME = 3;

describe('a token that ends', { timeout: 120_000 }, () => {
  let issuer;
  let server;
  let browser;
  let page;

  before(async () => {
    issuer = await Issuer.start({ lifetime: LIFETIME });
    [server, browser] = await Promise.all([startChat(issuer), Browser.start()]);
  });

  after(async () => {
    await browser?.stop();
    await server?.stop();
    await issuer?.stop();
  });

  afterEach(() => browser.assertQuiet());

  const isRenewed = () =>
    page.locator('.note', { hasText: 'ended and was renewed' }).first().waitFor();

  test('counts down in sight, and is renewed without the user', async () => {
    page = await browser.window();
    const { token: tokens } = await issuer.requests();
    await signIn(page, server.url, 'alice');
    await say(page, 'before');
    await page.getByLabel('Message', { exact: true }).fill('a draft');
    const clock = page.locator('#clock');
    const before = await clock.innerText();
    assert.match(before, /^0:0[1-8]$/);
    await page.waitForFunction(
      (before) => document.getElementById('clock').textContent < before,
      before,
    );
    await isRenewed();
    await state(page, 'open');
    // One for the sign-in, and at least one after it.
    assert.ok((await issuer.requests()).token > tokens + 1);
    assert.equal(await page.locator('#user').innerText(), 'alice');
    assert.equal(await page.getByLabel('Message', { exact: true }).inputValue(), 'a draft');
    await say(page, 'after');
    await message(page, 'before');
    assert.equal(await page.locator('iframe').count(), 0);
  });

  test('is not replaced by that of another user', async () => {
    const other = await page.context().newPage();
    await other.goto(server.url);
    await state(other, 'open');
    await other.getByRole('button', { name: 'Sign out' }).click();
    await signIn(other, server.url, 'bob');
    for (const [window, user] of [
      [page, 'alice'],
      [other, 'bob'],
    ]) {
      await window.evaluate(() => document.getElementById('messages').replaceChildren());
      await window.locator('.note', { hasText: 'ended and was renewed' }).first().waitFor();
      assert.equal(await window.locator('#user').innerText(), user);
    }
    await other.close();
  });

  test('sends the user to the issuer when the session there is over, and back to the room', async () => {
    await visit(page, 'shared/corner');
    await say(page, 'still here');
    await page.context().clearCookies();
    assert.match(await refusal(page, 'Your access has ended'), /sign in again/);
    await message(page, 'still here');
    assert.equal(await page.locator('#clock').innerText(), 'Expired');
    await page.getByRole('button', { name: 'Sign in again' }).click();
    await page.getByRole('button', { name: 'Sign in as alice' }).click();
    await isShown(page, 'corner');
    await state(page, 'open');
  });

  test('is asked for until the issuer is there again', async () => {
    await issuer.fault('all', 'down');
    assert.match(await refusal(page, 'The issuer can’t be reached'), /come from there/);
    await issuer.fault('all', 'none');
    await state(page, 'open');
  });
});
