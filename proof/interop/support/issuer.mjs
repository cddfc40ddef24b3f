import { Program, target } from './program.mjs';
import { AUDIENCE } from './server.mjs';

/**
 * The local issuer, as its debug build, in a process of its own and with its controls
 * switched on.
 */
export class Issuer {
  #program;

  constructor(program, url) {
    this.#program = program;
    this.url = url;
  }

  /** @param {{lifetime?: number}} [options] how long its tokens are valid, in seconds */
  static async start({ lifetime = 300 } = {}) {
    const command = [
      ...[target('debug/local-issuer'), '--listen', '127.0.0.1:0', '--admin'],
      ...['--audience', AUDIENCE, '--lifetime', String(lifetime)],
    ];
    const { program, match } = await Program.start(command, { ready: /issuer (\S+)/ });
    return new Issuer(program, match[1]);
  }

  async stop() {
    await this.#program.stop();
  }

  /**
   * A token of this subject; members of `claims` replace the defaults, null leaves
   * one out.
   */
  async token(sub, claims = {}) {
    const { token } = await this.#admin('token', { claims: { sub, ...claims } });
    return token;
  }

  /** A token that is valid for this many seconds from now; less than 0: it expired. */
  async tokenFor(sub, seconds) {
    return this.token(sub, { exp: Date.now() / 1000 + seconds });
  }

  /** Makes an endpoint fail, or work again with `none`. */
  async fault(endpoint, fault, value = null) {
    await this.#admin('fault', { endpoint, fault, value });
  }

  /** How many requests each endpoint has had. */
  async requests() {
    return this.#admin('requests', {});
  }

  async #admin(action, body) {
    const answer = await fetch(`${this.url}/admin/${action}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(5_000),
    });
    if (!answer.ok) throw new Error(`POST /admin/${action} of the issuer: ${answer.status}`);
    return answer.status === 204 ? undefined : answer.json();
  }
}
