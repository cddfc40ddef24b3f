import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Program, target } from './program.mjs';

/** The audience of the servers that these tests start. */
export const AUDIENCE = 'https://rooms.example';

/** Whether the server under test is the one on Workers. */
export const ON_WORKERS = process.env.CONFORMANCE_HOST === 'workers';

/**
 * A server with a data folder of its own.
 *
 * Unless a test names another program, it is the conformance server: the release
 * build for one machine or, where `CONFORMANCE_HOST` is `workers`, the built Worker on
 * workerd.
 */
export class Server {
  #program;
  #environment;
  #folder;
  #data;
  #command;

  constructor(command, environment, folder, data) {
    this.#command = command;
    this.#environment = environment;
    this.#folder = folder;
    this.#data = data;
  }

  /**
   * @param {{issuer?: string, data?: string, command?: string[], environment?: object}} options
   *   the issuer whose tokens it accepts, a data folder that is not to be removed at the
   *   end, another program, and variables beside those of the issuer
   */
  static async start({ issuer, data, command = COMMAND, environment = {} }) {
    const folder = await mkdtemp(path.join(tmpdir(), 'interop-'));
    const ofIssuer = issuer && { OIDC_ISSUER_URL: issuer, OIDC_AUDIENCE: AUDIENCE };
    const variables = { ...ofIssuer, ...environment };
    const server = new Server(command, variables, folder, data ?? path.join(folder, 'data'));
    try {
      await server.#listen('127.0.0.1:0');
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
    return server;
  }

  /** Starts it anew on the port and the data folder that it had. */
  async start() {
    await this.#listen(this.host);
  }

  /** Ends the process; the port and the data folder are kept. */
  async halt() {
    return this.#program.stop(SIGNAL);
  }

  /** Ends the process, if it runs, and removes its data. */
  async stop() {
    try {
      await this.#program.stop(SIGNAL);
    } finally {
      await rm(this.#folder, { recursive: true, force: true });
    }
  }

  /** The URL of a room. */
  room(party, room, rest = '') {
    return `${this.url}/parties/${party}/${room}${rest}`;
  }

  async #listen(address) {
    const command = [...this.#command, '--listen', address, '--data', this.#data];
    const { program, match } = await Program.start(command, {
      env: this.#environment,
      ready: /http:\/\/127\.0\.0\.1:(\d+)|"port":(\d+)/,
    });
    this.#program = program;
    this.host = `127.0.0.1:${match[1] ?? match[2]}`;
    this.url = `http://${this.host}`;
  }
}

const COMMAND = ON_WORKERS
  ? [target('debug/xtask'), 'workers', 'serve', 'conformance-server']
  : [target('release/conformance-server')];
/** workerd waits for its sockets when it is asked to end. */
const SIGNAL = ON_WORKERS ? 'SIGKILL' : 'SIGTERM';
