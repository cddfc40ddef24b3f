// The Rust worker finds the rooms of the npm original, with the same storage and class.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { build } from './npm-package/build.mjs';
import { Issuer } from './support/issuer.mjs';
import { AUDIENCE, Server } from './support/server.mjs';
import { Workerd } from './support/workerd.mjs';

describe('from the npm package to the Rust worker', { timeout: 60_000 }, () => {
  let folder;
  let storage;
  let issuer;
  let alice;
  let bob;

  /** The class of the conformance server's party, in the npm package's worker. */
  const startOriginal = async () => {
    const owned = { className: 'PrivateChat', uniqueKey: 'PrivateChat' };
    return Workerd.start({
      configuration: await build(path.join(folder, 'original'), { owned }),
      storage,
      env: { OIDC_ISSUER_URL: issuer.url, OIDC_AUDIENCE: AUDIENCE },
    });
  };

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'moving-'));
    storage = await mkdtemp(path.join(folder, 'storage-'));
    issuer = await Issuer.start();
    [alice, bob] = await Promise.all([issuer.token('alice'), issuer.token('bob')]);
  });

  after(async () => {
    await issuer?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const status = async (server, token, room, rest = '', method = 'GET') => {
    const answer = await fetch(server.room('private-chat', room, rest), {
      method,
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(10_000),
    });
    return answer.status;
  };

  test('an owner that the original has written is the owner', async () => {
    const original = await startOriginal();
    try {
      assert.equal(await status(original, alice, 'diary', '/claim', 'POST'), 200);
      assert.equal(await status(original, bob, 'diary'), 403);
    } finally {
      await original.kill();
    }
    const server = await Server.start({ issuer: issuer.url, data: storage });
    try {
      assert.equal(await status(server, alice, 'diary'), 200);
      assert.equal(await status(server, bob, 'diary'), 403);
      assert.equal(await status(server, bob, 'diary', '/claim', 'POST'), 409);
      assert.equal(await status(server, alice, 'nobodys'), 403);
      assert.equal(await status(server, bob, 'notes', '/claim', 'POST'), 200);
    } finally {
      await server.stop();
    }
  });

  test('and the way back is open', async () => {
    const original = await startOriginal();
    try {
      assert.equal(await status(original, alice, 'diary'), 200);
      assert.equal(await status(original, bob, 'notes'), 200);
      assert.equal(await status(original, alice, 'notes'), 403);
    } finally {
      await original.kill();
    }
  });
});
