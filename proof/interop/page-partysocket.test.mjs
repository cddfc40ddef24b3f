// An unmodified PartySocket in a browser, from a page of another origin.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';

import { build } from 'esbuild';

import { Issuer } from './support/issuer.mjs';
import { Browser, startChat } from './support/page.mjs';

describe('partysocket in a browser', { timeout: 120_000 }, () => {
  let issuer;
  let server;
  let browser;
  let site;
  let page;

  before(async () => {
    issuer = await Issuer.start();
    [server, browser, site] = await Promise.all([startChat(issuer), Browser.start(), serve()]);
    page = await browser.window();
    await page.exposeFunction('tokenFor', (sub, seconds) => issuer.tokenFor(sub, seconds));
    await page.goto(`http://127.0.0.1:${site.address().port}/`);
  });

  after(async () => {
    await browser?.stop();
    site?.close();
    await server?.stop();
    await issuer?.stop();
  });

  /**
   * Connects in the page and returns what happened until `count` events had.
   * @param {{party: string, room: string, lifetimes: (number | null)[]}} options for
   *   each attempt how long its token is valid, in seconds; null: no token
   */
  const events = (count, options) =>
    page.evaluate(
      ([host, count, { party, room, lifetimes }]) =>
        new Promise((resolve) => {
          const seen = [];
          const query = async () => {
            const lifetime = lifetimes.length > 1 ? lifetimes.shift() : lifetimes[0];
            return lifetime === null ? {} : { access_token: await tokenFor('alice', lifetime) };
          };
          const socket = new PartySocket({ host, party, room, query, minReconnectionDelay: 20 });
          const saw = (event) => {
            if (seen.length === count || seen.push(event) < count) return;
            socket.close();
            resolve(seen);
          };
          socket.addEventListener('open', () => saw('open'));
          socket.addEventListener('close', ({ code, reason }) => saw(`${code} ${reason}`));
          socket.addEventListener('message', ({ data }) => saw(JSON.parse(data).type));
        }),
      [server.host, count, options],
    );

  test('a token of the query function admits it', async () => {
    const seen = await events(2, { party: 'shared-chat', room: 'lobby', lifetimes: [60] });
    assert.deepEqual(seen, ['open', 'welcome']);
  });

  test('the browser sees why it is refused', async () => {
    assert.deepEqual(await events(2, { party: 'private-chat', room: 'nobodys', lifetimes: [60] }), [
      'open',
      '1008 This chat is not yours.',
    ]);
    assert.deepEqual(await events(2, { party: 'shared-chat', room: 'lobby', lifetimes: [null] }), [
      'open',
      '1008 Unauthorized',
    ]);
  });

  test('an expired token brings it back with a fresh one', async () => {
    const seen = await events(4, { party: 'shared-chat', room: 'lobby', lifetimes: [-60, 60] });
    assert.deepEqual(seen, ['open', '3000 token expired', 'open', 'welcome']);
  });
});

/** A site with nothing but PartySocket on it. */
async function serve() {
  const bundle = await build({
    stdin: {
      contents: `import { PartySocket } from 'partysocket'; globalThis.PartySocket = PartySocket;`,
      resolveDir: import.meta.dirname,
    },
    bundle: true,
    write: false,
    format: 'iife',
    logLevel: 'warning',
  });
  const site = createServer(({ url }, answer) => {
    const isScript = url === '/partysocket.js';
    answer.setHeader('content-type', isScript ? 'text/javascript' : 'text/html');
    answer.end(
      isScript
        ? bundle.outputFiles[0].text
        : '<!doctype html><script src="partysocket.js"></script>',
    );
  });
  site.listen(0, '127.0.0.1');
  await once(site, 'listening');
  return site;
}
