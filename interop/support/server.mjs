import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { Program, target } from './program.mjs';

/** The audience of the servers that these tests start. */
export const AUDIENCE = 'https://rooms.example';

/**
 * The conformance server with a data folder of its own.
 *
 * `CONFORMANCE_SERVER` names another command than the release build: a program and
 * arguments, separated by spaces, to which `--listen` and `--data` are added.
 */
export class Server {
  #program;
  #environment;
  #folder;

  constructor(environment, folder) {
    this.#environment = environment;
    this.#folder = folder;
  }

  /** @param {{issuer: string}} options the issuer whose tokens it accepts */
  static async start({ issuer }) {
    const folder = await mkdtemp(path.join(tmpdir(), 'interop-'));
    const environment = { OIDC_ISSUER_URL: issuer, OIDC_AUDIENCE: AUDIENCE };
    const server = new Server(environment, folder);
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
    return this.#program.stop();
  }

  /** Ends the process, if it runs, and removes its data. */
  async stop() {
    try {
      await this.#program.stop();
    } finally {
      await rm(this.#folder, { recursive: true, force: true });
    }
  }

  /** The URL of a room. */
  room(party, room, rest = '') {
    return `${this.url}/parties/${party}/${room}${rest}`;
  }

  async #listen(address) {
    const data = path.join(this.#folder, 'data');
    const command = [...COMMAND, '--listen', address, '--data', data];
    const { program, match } = await Program.start(command, {
      env: this.#environment,
      ready: /https?:\/\/(\S+:\d+)/,
    });
    this.#program = program;
    this.url = match[0];
    this.host = match[1];
  }
}

const COMMAND = process.env.CONFORMANCE_SERVER?.split(' ') ?? [target('release/conformance-server')];
