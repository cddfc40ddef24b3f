// A workerd process for a test.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { within } from './within.mjs';

/** The binary that npm installed. */
export const WORKERD = fileURLToPath(
  new URL('../node_modules/@cloudflare/workerd-linux-64/bin/workerd', import.meta.url),
);

export class Workerd {
  #child;

  constructor(child, port) {
    this.#child = child;
    this.url = `http://127.0.0.1:${port}`;
  }

  /**
   * Runs a configuration that has a socket `http` and a writable folder `storage`.
   * @param {{configuration: string, storage: string, env: Record<string, string>}} options
   *   `storage` must exist
   */
  static async start({ configuration, storage, env }) {
    const child = spawn(
      WORKERD,
      [
        'serve',
        configuration,
        '--socket-addr=http=127.0.0.1:0',
        `--directory-path=storage=${storage}`,
        '--control-fd=3',
      ],
      { env, stdio: ['ignore', 'inherit', 'inherit', 'pipe'] },
    );
    running.add(child);
    const [line] = await within(
      Promise.race([
        once(createInterface({ input: child.stdio[3] }), 'line'),
        once(child, 'exit').then(([code, signal]) => {
          throw new Error(`workerd ended (${signal ?? code}) before it listened`);
        }),
      ]),
      'port of workerd',
    );
    return new Workerd(child, JSON.parse(line).port);
  }

  /** The URL of a room. */
  room(party, room, rest = '') {
    return `${this.url}/parties/${party}/${room}${rest}`;
  }

  /** Ends the process at once, as a power cut would; it has no other way to end. */
  async kill() {
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await within(gone, 'end of workerd');
    running.delete(this.#child);
  }
}

const running = new Set();

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});
