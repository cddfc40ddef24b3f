import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { within } from './within.mjs';

/** The path of what cargo has built, such as `debug/local-issuer`. */
export function target(file) {
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  return path.resolve(root, process.env.CARGO_TARGET_DIR ?? 'target', file);
}

/**
 * A child process that has said that it is ready. It is ended by its own id: by
 * `stop`, or when this process ends, whichever comes first.
 */
export class Program {
  #child;
  #exited;

  constructor(child) {
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    running.add(child);
    child.once('exit', () => running.delete(child));
  }

  /**
   * Starts a program and waits for the line of its output that matches `ready`.
   * @param {string[]} command program and arguments
   * @param {{env?: Record<string, string>, ready: RegExp}} options
   * @returns {Promise<{program: Program, match: RegExpMatchArray}>}
   */
  static async start([file, ...args], { env = {}, ready }) {
    const child = spawn(file, args, {
      env: { ...inherited, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (chunk) => {
      errors = (errors + chunk).slice(-4096);
    });
    await once(child, 'spawn');
    const program = new Program(child);
    const lines = createInterface({ input: child.stdout });
    const line = new Promise((resolve) => {
      lines.on('line', (text) => {
        const match = text.match(ready);
        if (match) resolve(match);
      });
    });
    const ended = program.#exited.then(({ code, signal }) => {
      throw new Error(`${file} ended (${signal ?? code}) before it was ready:\n${errors}`);
    });
    ended.catch(() => {});
    try {
      const match = await within(Promise.race([line, ended]), `line ${ready} of ${file}`, 30_000);
      return { program, match };
    } catch (error) {
      await program.stop('SIGKILL');
      throw error;
    }
  }

  /**
   * Ends the program and waits until it is gone.
   * @returns {Promise<{code: number | null, signal: string | null}>} how it ended
   */
  async stop(signal = 'SIGTERM') {
    this.#child.kill(signal);
    try {
      return await within(this.#exited, `end of process ${this.#child.pid}`);
    } catch (error) {
      this.#child.kill('SIGKILL');
      throw error;
    }
  }
}

/** Without the variables that would configure the programs behind a test's back. */
const inherited = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('OIDC_')),
);

/** The children that live. */
const running = new Set();

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => process.exit(1));
}
