// The page of private-chat in headless Chromium, as its users see it.
import assert from 'node:assert/strict';

import { chromium } from 'playwright-core';

import { target } from './program.mjs';
import { Server } from './server.mjs';

/** The debug build of private-chat, which signs its users in at this issuer. */
export function startChat(issuer, environment = { OIDC_CLIENT_ID: 'page' }) {
  return Server.start({
    issuer: issuer?.url,
    command: [target('debug/private-chat')],
    environment,
  });
}

/** Chromium with a profile of its own, which is removed at its end. */
export class Browser {
  #browser;
  #complaints = [];

  constructor(browser) {
    this.#browser = browser;
  }

  static async start() {
    const browser = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    });
    return new Browser(browser);
  }

  async stop() {
    await this.#browser.close();
  }

  /** A window without a history, a session at the issuer, or anything else. */
  async window(options) {
    const context = await this.#browser.newContext({ viewport: DESKTOP, ...options });
    context.setDefaultTimeout(LIMIT);
    // In frames too, because the renewal of a token runs in one.
    await context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
        console.error(`content security policy: ${violatedDirective} ${blockedURI}`),
      );
    });
    context.on('console', (message) => {
      // A refusal that a test asks for is not an error of the page.
      const isNetwork = /^(Failed to load resource|WebSocket connection to)/.test(message.text());
      const isBad = message.type() === 'error' || message.type() === 'warning';
      if (isBad && !isNetwork) this.#complaints.push(message.text());
    });
    context.on('weberror', (error) => this.#complaints.push(String(error.error())));
    context.on('dialog', (dialog) => {
      this.#complaints.push(`a dialog: ${dialog.message()}`);
      dialog.dismiss();
    });
    return context.newPage();
  }

  async closeWindows() {
    await Promise.all(this.#browser.contexts().map((context) => context.close()));
  }

  /** Fails with what the console, the policy or a script complained of. */
  assertQuiet() {
    assert.deepEqual(this.#complaints.splice(0), []);
  }
}

/** Signs a demo user in, from the door to an open room. */
export async function signIn(page, url, user) {
  await page.goto(url);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('button', { name: `Sign in as ${user}`, exact: true }).click();
  await state(page, 'open');
}

/** Waits for a state of the connection. */
export async function state(page, name) {
  await page.locator(`#status[data-state="${name}"]`).waitFor();
}

/** Goes to a room by its address, `private/diary`. */
export async function visit(page, room) {
  await page.evaluate((hash) => (location.hash = hash), `#/${room}`);
  await isShown(page, room.split('/')[1]);
}

/** Waits until the page is in, or at the door of, the room of this name. */
export async function isShown(page, name) {
  await page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
}

/** Writes a message and waits until it is in the list. */
export async function say(page, text) {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.getByLabel('Message', { exact: true }).press('Enter');
  await message(page, text);
}

/** Waits for a message with this text and returns its line. */
export async function message(page, text) {
  const bubble = page.locator('.bubble').getByText(text, { exact: true });
  await bubble.last().waitFor();
  return page.locator('.message', { has: bubble }).last();
}

/** Waits for a cause that is shown, and returns what is said to help. */
export async function refusal(page, cause) {
  await page.locator('#cause', { hasText: cause }).waitFor();
  return page.locator('#remedy').innerText();
}

/** Waits until the list of members is this: a line each, name and detail. */
export async function members(page, expected) {
  const names = page.locator('#members bdi');
  await page.waitForFunction(
    (expected) =>
      JSON.stringify(
        [...document.querySelectorAll('#members bdi')].map((name) => name.textContent),
      ) === JSON.stringify(expected),
    expected,
  );
  assert.deepEqual(await names.allInnerTexts(), expected);
}

export const DESKTOP = { width: 1200, height: 760 };
/** The narrowest that is supported. */
export const PHONE = { viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true };
/** Milliseconds in which what a test waits for must be there. */
export const LIMIT = 20_000;
