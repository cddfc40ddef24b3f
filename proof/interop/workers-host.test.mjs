// What can happen to the Rust worker on its platform, apart from what clients do.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import WebSocket from 'ws';

import { Issuer } from './support/issuer.mjs';
import { target } from './support/program.mjs';
import { AUDIENCE } from './support/server.mjs';
import { within } from './support/within.mjs';
import { Workerd } from './support/workerd.mjs';

/** The arguments of the next event of this name. */
const next = (socket, event) => within(once(socket, event), event);

/**
 * The code of the close frame. After it workerd leaves the stream of a socket open that
 * nobody uses, so its end is made here.
 */
async function closeCode(socket) {
  const closed = next(socket, 'close');
  const limit = Date.now() + 9_000;
  while (socket.readyState <= WebSocket.OPEN && Date.now() < limit) await sleep(50);
  socket.terminate();
  return (await closed)[0];
}

const BUILT = target('workers/conformance-server');

/** A copy of the built worker, each file changed as told, on a storage of its own. */
class Variant {
  static async make(changes) {
    const folder = await mkdtemp(path.join(tmpdir(), 'workers-host-'));
    await cp(BUILT, folder, { recursive: true });
    for (const [file, change] of Object.entries(changes)) {
      const where = path.join(folder, file);
      await writeFile(where, change(await readFile(where, 'utf8').catch(() => '')));
    }
    return new Variant(folder, await mkdtemp(path.join(folder, 'storage-')));
  }

  constructor(folder, storage) {
    this.folder = folder;
    this.storage = storage;
  }

  start(env) {
    const configuration = path.join(this.folder, 'config.capnp');
    return Workerd.start({ configuration, storage: this.storage, env });
  }

  remove() {
    return rm(this.folder, { recursive: true, force: true });
  }
}

/** Replaces what must be there once. */
function replaced(text, from, to) {
  assert.equal(text.split(from).length, 2, `${from} is not there once`);
  return text.replace(from, to);
}

/** Another Worker stands before the rooms and answers some requests by itself. */
function behind(code) {
  const forwarder = `export default {
    async fetch(request, env) {
      const { pathname } = new URL(request.url);
      ${code}
      return env.WORKER.fetch(request);
    },
  };`;
  const service = '(name = "worker", worker = .worker),';
  const another = '(name = "forwarder", worker = .forwarder),';
  const configuration = `const forwarder :Workerd.Worker = (
    modules = [(name = "forwarder.js", esModule = embed "forwarder.js")],
    compatibilityDate = "2026-11-01",
    bindings = [
      (name = "WORKER", service = "worker"),
      (name = "ROOMS", durableObjectNamespace = (className = "Chat", serviceName = "worker")),
    ],
  );`;
  return {
    'forwarder.js': () => forwarder,
    'config.capnp': (text) => {
      const both = replaced(text, service, `${service} ${another}`);
      return replaced(both, 'service = "worker")],', 'service = "forwarder")],') + configuration;
    },
  };
}

describe('the host on Workers', { timeout: 120_000 }, () => {
  let issuer;
  let env;

  before(async () => {
    issuer = await Issuer.start();
    env = { OIDC_ISSUER_URL: issuer.url, OIDC_AUDIENCE: AUDIENCE };
  });
  after(() => issuer?.stop());

  /** Runs `body` on a variant, and ends all of it. */
  const on = async (changes, body) => {
    const variant = await Variant.make(changes);
    const server = await variant.start(env);
    try {
      await body(server);
    } finally {
      await server.kill();
      await variant.remove();
    }
  };

  test('what another Worker passes on for a client proves nothing', async () => {
    const changes = behind(`
      const object = env.ROOMS.get(env.ROOMS.idFromName('a'));
      if (pathname === '/client') return object.fetch(request);
      const cf = { partyserverAdmitted: true };
      if (pathname === '/worker') return object.fetch(request.url, { headers: request.headers, cf });
    `);
    const handoff = (party, room) => {
      const claims = { iss: issuer.url, sub: 'victim', aud: AUDIENCE, exp: 4_000_000_000 };
      const identity = { claims, valid_until: { secs: 4_000_000_000, nanos: 0 } };
      return JSON.stringify({
        party,
        room,
        method: 'GET',
        uri: `http://room/parties/${party}/${room}`,
        headers: [],
        answer_headers: [],
        attachments: { 'oauth2.identity': [false, identity] },
        is_upgrade: false,
        protocol: null,
      });
    };
    await on(changes, async (server) => {
      const ask = async (way, given) => {
        const headers = { 'x-partyserver-secret-handoff': given };
        const answer = await fetch(`${server.url}/${way}`, { headers });
        return [answer.status, await answer.text()];
      };
      // The hand-off is well formed: a Worker could have made it.
      const [status, text] = await ask('worker', handoff('chat', 'a'));
      assert.equal(status, 200, text);
      assert.equal(JSON.parse(text).claims.sub, 'victim');
      assert.equal((await ask('client', handoff('chat', 'a')))[0], 400);
      // Each hand-off is for one room of one party.
      assert.equal((await ask('worker', handoff('chat', 'b')))[0], 400);
      assert.equal((await ask('worker', handoff('plain', 'a')))[0], 400);
      const whole = await fetch(server.room('chat', 'a'), {
        headers: { 'x-partyserver-secret-handoff': handoff('chat', 'a') },
      });
      assert.equal(whole.status, 401);
    });
  });

  test('a trap that is no panic: rooms begin anew, and sockets that sleep are kept', async () => {
    const changes = {
      'index.js': (text) =>
        replaced(
          text,
          'webSocketMessage(socket, data) {',
          `webSocketMessage(socket, data) {
            if (data === 'trap') {
              return step(this.#context, () => { throw new WebAssembly.RuntimeError('unreachable'); });
            }`,
        ),
    };
    await on(changes, async (server) => {
      const open = async (party, room, token) => {
        const url = `${server.room(party, room).replace('http', 'ws')}?access_token=${token}`;
        const socket = new WebSocket(url);
        socket.on('error', () => {});
        const welcome = JSON.parse((await next(socket, 'message'))[0]);
        assert.equal(welcome.type, 'welcome');
        return socket;
      };
      const say = async (socket, text) => {
        socket.send(text);
        return JSON.parse((await next(socket, 'message'))[0]);
      };
      const [alice, short] = await Promise.all([
        issuer.token('alice'),
        issuer.tokenFor('bob', 6),
      ]);
      const asleep = await open('hibernate-chat', 'asleep', alice);
      const expiring = await open('hibernate-chat', 'asleep', short);
      const awake = await open('chat', 'awake', alice);
      const trapping = await open('hibernate-chat', 'trapping', alice);
      const before = await say(asleep, 'before');
      trapping.send('trap');
      assert.equal((await say(trapping, 'fine')).sub, 'alice');

      const after = await say(asleep, 'after');
      assert.equal(after.sub, 'alice');
      assert.notEqual(after.instance, before.instance);
      // Connections that were only in memory are gone, and their clients are told.
      const lost = next(awake, 'close');
      assert.equal((await fetch(server.room('chat', 'awake'), bearer(alice))).status, 200);
      assert.equal((await lost)[0], 1011);
      // The new room keeps the deadlines. After the close frame, workerd leaves the
      // stream of an unused socket open, so the test ends the stream here.
      const limit = Date.now() + 10_000;
      while (expiring.readyState === WebSocket.OPEN && Date.now() < limit) await sleep(50);
      const ended = next(expiring, 'close');
      expiring.terminate();
      assert.equal((await ended)[0], 3000);
      for (const socket of [asleep, trapping]) socket.terminate();
    });
  });

  test('a socket whose record is of another version is closed, and no other', async () => {
    const changes = {
      'index.js': (text) =>
        replaced(
          text,
          'constructor(ctx, env) {',
          `constructor(ctx, env) {
            for (const socket of ctx.getWebSockets()) {
              const kept = socket.deserializeAttachment();
              if (!kept.includes('of-before')) continue;
              const earlier = kept.replace('"v":2', '"v":1');
              if (earlier === kept) throw new Error('the version is not where it was');
              socket.serializeAttachment(earlier);
            }`,
        ),
    };
    await on(changes, async (server) => {
      const open = async (id) => {
        const url = server.room('hibernating-stateful', 'versions').replace('http', 'ws');
        const socket = new WebSocket(`${url}?_pk=${id}`);
        socket.on('error', () => {});
        await next(socket, 'message');
        return socket;
      };
      const before = await open('of-before');
      const today = await open('of-today');
      // The platform takes an object out of memory after 10 s without work.
      await sleep(14_000);
      today.send('get');
      assert.equal(String((await next(today, 'message'))[0]), '{"count":1}');
      const limit = Date.now() + 10_000;
      while (before.readyState === WebSocket.OPEN && Date.now() < limit) await sleep(50);
      const ended = next(before, 'close');
      before.terminate();
      assert.equal((await ended)[0], 1011);
      assert.equal(today.readyState, WebSocket.OPEN);
      today.terminate();
    });
  });

  test('rooms that were put out of memory leave nothing in it', async () => {
    const changes = {
      'config.capnp': (text) =>
        replaced(text, 'services = [', 'v8Flags = ["--expose-gc"],\n  services = ['),
      'index.js': (text) =>
        replaced(
          replaced(
            text,
            'export default {\n  async fetch(request, env, ctx) {',
            `let alive = 0;
            const collected = new FinalizationRegistry(() => (alive -= 1));
            export default {
              async fetch(request, env, ctx) {
                if (request.url.endsWith('/alive')) {
                  gc();
                  // Garbage collection is reported between tasks.
                  await new Promise((resolve) => setTimeout(resolve, 10));
                  return new Response(String(alive));
                }`,
          ),
          'constructor(ctx, env) {',
          `constructor(ctx, env) {
            alive += 1;
            collected.register(this);`,
        ),
    };
    await on(changes, async (server) => {
      const alive = async () => Number(await (await fetch(`${server.url}/alive`)).text());
      for (let i = 0; i < 50; i += 1) {
        assert.equal((await fetch(server.room('hibernating-slow', `room-${i}`))).status, 200);
      }
      assert.ok((await alive()) > 40, 'they are alive while they are in memory');
      // The platform takes an object out of memory after 10 s without work.
      const limit = Date.now() + 30_000;
      while ((await alive()) > 5) {
        assert.ok(Date.now() < limit, `${await alive()} of 50 are still alive`);
        await sleep(500);
      }
    });
  });

  test('an alarm that meets a wrong configuration is not lost', async () => {
    const variant = await Variant.make({});
    try {
      let server = await variant.start(env);
      const room = (rest = '') => server.room('alarm', 'kept', rest);
      assert.equal((await (await fetch(room('/set?ms=1000'))).json()).fired, 0);
      await server.kill();
      server = await variant.start({});
      // The alarm is due, and fails.
      await sleep(2000);
      assert.equal((await fetch(room())).status, 500);
      await server.kill();
      server = await variant.start(env);
      const deadline = Date.now() + 30_000;
      for (;;) {
        const { fired, fired_in, instance } = await (await fetch(room())).json();
        if (fired === 1) {
          assert.ok(fired_in, instance);
          break;
        }
        assert.ok(Date.now() < deadline, 'the alarm never fires');
        await sleep(200);
      }
      await server.kill();
    } finally {
      await variant.remove();
    }
  });

  test('a connection whose record can not be kept is closed, and its room goes on', async () => {
    // The first is of a connection that joins, the second of the state that it is given.
    for (const kept of [0, 1]) {
      const changes = {
        'index.js': (text) =>
          replaced(
            text,
            'arg0.serializeAttachment(',
            `if ((arg0.stored = (arg0.stored ?? 0) + 1) > ${kept}) throw new Error('no');
            arg0.serializeAttachment(`,
          ),
      };
      await on(changes, async (server) => {
        const room = (name) => server.room('hibernating-stateful', name);
        for (let i = 0; i < 2; i += 1) {
          const socket = new WebSocket(room('unkept').replace('http', 'ws'));
          assert.equal(await closeCode(socket), 1011);
          const answer = await fetch(room('unkept'));
          assert.deepEqual(await answer.json(), { name: 'unkept' });
        }
      });
    }
  });

  test('an alarm whose outcome can not be stored does not run again', async () => {
    const changes = {
      'index.js': (text) =>
        replaced(
          replaced(
            text,
            'const ret = arg0.delete(getStringFromWasm0(arg1, arg2));',
            `const name = getStringFromWasm0(arg1, arg2);
            if (name === '__ps_alarm' && (tries += 1) <= 2) throw new Error('no');
            const ret = arg0.delete(name);`,
          ),
          'export default {\n  async fetch(request, env, ctx) {',
          `let tries = 0;
          export default {
            async fetch(request, env, ctx) {
              if (request.url.endsWith('/tries')) return new Response(String(tries));`,
        ),
    };
    await on(changes, async (server) => {
      const room = (rest = '') => server.room('alarm', 'unstored', rest);
      const json = async (where) => (await fetch(where)).json();
      const tries = async () => Number(await (await fetch(`${server.url}/tries`)).text());
      await json(room('/set?ms=100'));
      const deadline = Date.now() + 30_000;
      // Twice in vain, and a third time.
      while ((await tries()) < 3) {
        assert.ok(Date.now() < deadline, `${await tries()} tries`);
        await sleep(200);
      }
      await sleep(1000);
      assert.equal((await json(room())).fired, 1);
      // And the next alarm runs.
      await json(room('/set?ms=100'));
      while ((await json(room())).fired !== 2) {
        assert.ok(Date.now() < deadline, 'the next alarm never fires');
        await sleep(200);
      }
    });
  });

  test('an alarm outlives a panic of the task that sees to it', async () => {
    const changes = {
      // Beside the hook's time limit the task has a timer of its own, which it does not get.
      'index.js': (text) =>
        replaced(
          replaced(text, 'async alarm() {', 'async alarm() {\n    timers = Math.max(timers, 0);'),
          'let engine;',
          `let engine;
          let timers = -Infinity;
          const refuseSecond = () => {
            if ((timers += 1) === 2) throw new Error('no timers are left');
          };`,
        ).replace(/(handleError\(function \(arg0, arg1\) \{)(\s+const ret = setTimeout\()/, '$1refuseSecond();$2'),
    };
    await on(changes, async (server) => {
      const room = (rest = '') => server.room('alarm', 'panicking', rest);
      const fired = async (rest) => (await (await fetch(room(rest))).json()).fired;
      const eventually = async (count) => {
        const deadline = Date.now() + 20_000;
        while ((await fired()) < count) {
          assert.ok(Date.now() < deadline, `it fired ${await fired()} times of ${count}`);
          await sleep(100);
        }
      };
      await fired('/set?ms=100');
      await sleep(1000);
      await eventually(1);
      // It is another alarm, whatever became of the first.
      const before = await fired();
      await fired('/set?ms=100');
      await eventually(before + 1);
    });
  });

  test('what is done for a request is dropped when the platform ends the request', async () => {
    const changes = {
      ...behind(`if (pathname === '/aborted') {
        // A body that never ends.
        const { readable } = new TransformStream();
        const init = { method: 'POST', body: readable, signal: AbortSignal.timeout(200) };
        const answer = env.WORKER.fetch('http://rooms/parties/plain/aborted', init);
        return answer.then(
          () => new Response('answered'),
          () => new Response('aborted'),
        );
      }`),
      'index.js': (text) =>
        replaced(
          replaced(
            text,
            'if (isAborted || task.isOver()) step(next, () => task.free());',
            `if (isAborted || task.isOver()) step(next, () => task.free());
            if (isAborted) dropped += 1;`,
          ),
          'export default {\n  async fetch(request, env, ctx) {',
          `let dropped = 0;
          export default {
            async fetch(request, env, ctx) {
              if (request.url.endsWith('/dropped')) return new Response(String(dropped));`,
        ),
    };
    await on(changes, async (server) => {
      const text = async (where) => (await fetch(`${server.url}${where}`)).text();
      for (let i = 0; i < 3; i += 1) assert.equal(await text('/aborted'), 'aborted');
      assert.equal(await text('/dropped'), '3');
      assert.equal((await fetch(server.room('plain', 'aborted'))).status, 200);
    });
  });
});

const bearer = (token) => ({ headers: { authorization: `Bearer ${token}` } });
