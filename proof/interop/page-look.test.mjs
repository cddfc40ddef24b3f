// The page on a phone, with the keyboard alone, in dark mode, and with high contrast.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Issuer } from './support/issuer.mjs';
import {
  Browser,
  PHONE,
  isShown,
  message,
  refusal,
  say,
  signIn,
  startChat,
  state,
  visit,
} from './support/page.mjs';

const SCHEMES = ['light', 'dark'];

describe('the look of the page', { timeout: 180_000 }, () => {
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

  /** Goes through the page, and shows each of its faces to `look`. */
  const everyFace = async (page, look) => {
    await page.goto(server.url);
    await page.getByRole('button', { name: 'Sign in', exact: true }).waitFor();
    await look('the door');
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
    await page.getByRole('button', { name: 'Sign in as alice' }).waitFor();
    await look('the issuer');
    await page.getByRole('button', { name: 'Sign in as alice' }).click();
    await state(page, 'open');
    await look('an empty room');
    await say(page, 'word'.repeat(500));
    await say(page, 'a line\n'.repeat(30).trim());
    await look('a room with messages');
    await visit(page, `private/${'x'.repeat(64)}`);
    await refusal(page, 'This private room is not yours');
    await look('a refusal');
    await page.routeWebSocket(/\/parties\//, (socket) =>
      socket.close({ code: 1013, reason: 'try again later' }),
    );
    await visit(page, 'shared/busy');
    await refusal(page, 'The server can’t let you in right now');
    await look('a room that is not reached');
    const panel = page.getByRole('button', { name: 'Rooms, members and your access' });
    if (await panel.isVisible()) await panel.click();
    await page.getByText('Claims of your token').click();
    await page.getByText('Open another room').click();
    await look('the panel');
  };

  test('nothing is wider than the narrowest phone', async () => {
    const page = await browser.window(PHONE);
    await everyFace(page, async (face) => {
      const tooWide = await page.evaluate(() =>
        [document.documentElement, ...document.querySelectorAll('#log, #panel, #trouble')]
          .filter((part) => part.scrollWidth > Math.min(part.clientWidth, innerWidth))
          .map((part) => `${part.tagName}#${part.id} ${part.scrollWidth} > ${part.clientWidth}`),
      );
      assert.deepEqual(tooWide, [], face);
    });
    const composer = page.getByLabel('Message', { exact: true });
    assert.ok((await composer.boundingBox()).y < PHONE.viewport.height);
  });

  for (const colorScheme of SCHEMES) {
    test(`text is readable in ${colorScheme} (WCAG AA)`, async () => {
      const page = await browser.window({ colorScheme });
      await everyFace(page, async (face) => {
        assert.deepEqual(await page.evaluate(faintTexts), [], face);
      });
    });
  }

  test('dark and light are two looks', async () => {
    const grounds = [];
    for (const colorScheme of SCHEMES) {
      const page = await browser.window({ colorScheme });
      await page.goto(server.url);
      const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      grounds.push(Math.max(...ground.match(/\d+/g).map(Number)));
    }
    assert.ok(grounds[0] > 220 && grounds[1] < 40, `${grounds}`);
  });

  test('reduced motion stops what moves by itself', async () => {
    for (const [reducedMotion, expected] of [
      ['no-preference', 1],
      ['reduce', 0],
    ]) {
      const page = await browser.window({ reducedMotion });
      await page.goto(server.url);
      const moving = await page.evaluate(() => {
        // The page shows a room that is being connected.
        document.getElementById('app').hidden = false;
        return document.getAnimations().length;
      });
      assert.equal(moving, expected);
    }
  });

  test('everything is reached and seen by keyboard: sign-in, claim, chat', async () => {
    const page = await browser.window();
    await page.goto(server.url);
    await tabTo(page, 'Sign in');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Sign in as alice' }).waitFor();
    await tabTo(page, 'Sign in as alice');
    await page.keyboard.press('Enter');
    await state(page, 'open');
    // The focus begins in the composer.
    await page.keyboard.type('typed');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('in two lines');
    await page.keyboard.press('Enter');
    await message(page, 'typed\nin two lines');
    await tabTo(page, 'aliceprivate');
    await page.keyboard.press('Enter');
    await refusal(page, 'This private room is not yours');
    await tabTo(page, 'Claim this room', 'Shift+Tab');
    await page.keyboard.press('Enter');
    await state(page, 'open');
    await page.keyboard.type('mine now');
    await page.keyboard.press('Enter');
    await message(page, 'mine now');
    await tabTo(page, 'Open another room');
    await page.keyboard.press('Enter');
    await tabTo(page, 'Name');
    await page.keyboard.type('corner');
    await page.keyboard.press('Enter');
    await isShown(page, 'corner');
    await state(page, 'open');
  });

  test('assistive technology finds names, landmarks and what is new', async () => {
    const page = await browser.window();
    await signIn(page, server.url, 'alice');
    await say(page, 'hello');
    await page.getByRole('heading', { level: 1, name: 'lobby' }).waitFor();
    await page.getByRole('main').waitFor();
    await page
      .getByRole('navigation', { name: 'Rooms' })
      .getByRole('link', { name: 'lobby' })
      .waitFor();
    await page.getByRole('log', { name: 'Messages' }).getByText('hello').waitFor();
    await page.getByRole('status').getByText('Connected').waitFor();
    await visit(page, 'private/closed');
    await page.getByRole('alert').getByText('This private room is not yours').waitFor();
    const nameless = await page.evaluate(() =>
      [...document.querySelectorAll('button, a, input, textarea')]
        .filter((control) => control.checkVisibility())
        .filter((control) => !(control.innerText || control.ariaLabel || control.labels?.length))
        .map((control) => control.outerHTML),
    );
    assert.deepEqual(nameless, []);
  });

  // For the README. A run without this variable leaves the checkout unchanged.
  if (process.env.SCREENSHOT) {
    test('a screenshot for the README', async () => {
      const desktop = { viewport: { width: 900, height: 640 } };
      const phone = { viewport: { width: 340, height: 640 }, colorScheme: 'dark', isMobile: true };
      const alice = await browser.window(desktop);
      const bob = await browser.window(phone);
      await signIn(alice, server.url, 'alice');
      await signIn(bob, server.url, 'bob');
      await say(alice, 'Morning! Shall we go through the plan here?');
      await say(bob, 'Yes. Give me five minutes to read it.');
      await say(bob, 'And the numbers?');
      await say(alice, 'In my private room. Only I get in there, and nobody by accident.');
      await message(alice, 'And the numbers?');
      const left = await alice.screenshot();
      await visit(alice, 'private/numbers');
      await alice.getByRole('button', { name: 'Claim this room' }).click();
      await state(alice, 'open');
      await visit(bob, 'private/numbers');
      await refusal(bob, 'This private room is not yours');
      const right = await bob.screenshot();
      const both = await browser.window({ viewport: { width: 1288, height: 664 } });
      const image = (png) =>
        `<img style="border-radius:10px" src="data:image/png;base64,${png.toString('base64')}">`;
      await both.setContent(
        `<body style="margin:12px;display:flex;gap:24px;background:#d9dde6">${image(left)}${image(right)}`,
        { waitUntil: 'load' },
      );
      await mkdir(path.dirname(SCREENSHOT), { recursive: true });
      await both.screenshot({ path: SCREENSHOT });
    });
  }
});

const SCREENSHOT = fileURLToPath(new URL('../../docs/private-chat.png', import.meta.url));

/** Presses Tab until what has this name has the focus, visibly. */
async function tabTo(page, name, key = 'Tab') {
  for (let presses = 0; presses < 40; presses += 1) {
    await page.keyboard.press(key);
    const focused = await page.evaluate(() => {
      const focused = document.activeElement;
      const name = focused.labels?.[0]?.textContent ?? focused.ariaLabel ?? focused.textContent;
      const { outlineStyle, outlineWidth } = getComputedStyle(focused);
      return { name: name.trim(), isSeen: outlineStyle !== 'none' && outlineWidth !== '0px' };
    });
    if (focused.name !== name) continue;
    assert.ok(focused.isSeen, `no focus ring on ${name}`);
    return;
  }
  assert.fail(`${name} is not reached by ${key}`);
}

/** In the page: the visible texts whose contrast is under what WCAG 1.4.3 asks. */
function faintTexts() {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const luminance = (color) => {
    const [red, green, blue] = [...rgba(color)].map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const { backgroundColor } = getComputedStyle(at);
      if (rgba(backgroundColor)[3] === 255) return backgroundColor;
    }
    return getComputedStyle(document.documentElement).colorScheme.includes('dark')
      ? '#121212'
      : '#ffffff';
  };
  const faint = [];
  for (const element of document.querySelectorAll('body *')) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!hasText || !element.checkVisibility() || element.closest('.visually-hidden')) continue;
    const { color, fontSize, fontWeight } = getComputedStyle(element);
    const pair = [luminance(color), luminance(ground(element))].sort((a, b) => b - a);
    const contrast = (pair[0] + 0.05) / (pair[1] + 0.05);
    const size = parseFloat(fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(fontWeight) >= 700);
    if (contrast < (isLarge ? 3 : 4.5))
      faint.push(`${contrast.toFixed(2)} ${element.textContent.trim()}`);
  }
  return faint;
}
