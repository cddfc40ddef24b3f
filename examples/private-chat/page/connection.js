// A room's WebSocket. It reconnects after a loss, with growing pauses, and does not
// after a refusal that is final.

import { CLOCKS, ISSUER_AWAY, OFFLINE, SIGNED_OUT, refusalOf } from './refusals.js';
import { SignInError } from './session.js';

/**
 * @typedef {object} State
 * @property {'connecting' | 'open' | 'renewing' | 'waiting' | 'refused'} name
 * @property {object} [refusal] why it is not open
 * @property {number} [until] when the next attempt is, in milliseconds since 1970
 */

export class RoomConnection {
  #path;
  #session;
  #listener;
  #socket;
  #timer;
  /** Attempts that have failed since a connection last was steady. */
  #failures = 0;
  #welcomedAt;
  #refusal;
  #ended = new AbortController();

  /**
   * @param {string} path of the room
   * @param {import('./session.js').Session} session
   * @param {{state: (state: State) => void, message: (message: object) => void}} listener
   */
  constructor(path, session, listener) {
    this.#path = path;
    this.#session = session;
    this.#listener = listener;
    const { signal } = this.#ended;
    addEventListener('online', () => this.#isWaiting && this.open(), { signal });
    addEventListener('offline', () => this.#socket && this.#lost(OFFLINE), { signal });
  }

  /** Tries now, whatever it was waiting for. */
  async open() {
    this.#drop();
    const name = this.#refusal?.next === 'renew' ? 'renewing' : 'connecting';
    this.#listener.state({ name, refusal: this.#refusal });
    const attempt = setTimeout(() => this.#lost(refusalOf({ code: LOST_CODE })), HANDSHAKE_LIMIT);
    this.#timer = attempt;
    let access;
    try {
      access = await this.#session.freshAccess();
    } catch (error) {
      if (!(error instanceof SignInError)) throw error;
      if (this.#timer === attempt) this.#withoutToken(error);
      return;
    }
    if (this.#timer !== attempt) return;
    // Browsers can't set headers on an upgrade, so the token is in its URL, and in no
    // other URL.
    const url = new URL(this.#path, location.href.replace(/^http/, 'ws'));
    url.searchParams.set('access_token', access.token);
    const socket = (this.#socket = new WebSocket(url));
    socket.onmessage = ({ data }) => socket === this.#socket && this.#received(JSON.parse(data));
    socket.onclose = (event) => socket === this.#socket && this.#closed(event);
  }

  /** @returns {boolean} whether there is an open connection to send it on */
  send(text) {
    if (this.#welcomedAt === undefined || this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(text);
    return true;
  }

  /** Ends it for good. */
  close() {
    this.#ended.abort();
    this.#drop();
  }

  get #isWaiting() {
    return this.#timer !== undefined && this.#socket === undefined;
  }

  #received(message) {
    // A refused socket opens too, so only the room's first message shows that it is
    // admitted.
    if (this.#welcomedAt === undefined) {
      clearTimeout(this.#timer);
      this.#welcomedAt = Date.now();
      this.#refusal = undefined;
      this.#listener.state({ name: 'open' });
    }
    this.#listener.message(message);
  }

  #closed(event) {
    const refusal = refusalOf(event);
    if (refusal.next === 'renew') this.#session.expire();
    this.#lost(refusal);
  }

  #withoutToken(error) {
    if (error.code === 'unreachable') this.#lost({ ...ISSUER_AWAY, detail: error.message });
    else this.#refuse({ ...SIGNED_OUT, detail: error.needsUser ? undefined : error.message });
  }

  #lost(refusal) {
    if (Date.now() - this.#welcomedAt >= STEADY) this.#failures = 0;
    this.#drop();
    this.#failures += 1;
    // The server's reason explains more than later attempts that reach nobody.
    if (refusal.code !== LOST_CODE || this.#refusal?.next !== 'retry') this.#refusal = refusal;
    if (refusal.next === 'stay') {
      this.#refuse(refusal);
    } else if (refusal.next === 'renew') {
      if (this.#failures > MAX_RENEWALS) this.#refuse(CLOCKS);
      else this.open();
    } else {
      const pause = pauseAfter(this.#failures);
      this.#timer = setTimeout(() => this.open(), pause);
      const until = navigator.onLine ? Date.now() + pause : undefined;
      this.#listener.state({ name: 'waiting', refusal: this.#refusal, until });
    }
  }

  #refuse(refusal) {
    this.#drop();
    this.#listener.state({ name: 'refused', refusal });
  }

  /** Lets go of socket and timer; neither is heard of again. */
  #drop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#welcomedAt = undefined;
    this.#socket?.close();
    this.#socket = undefined;
  }
}

/** Milliseconds; random, so that a restarted server is not met by all at once. */
function pauseAfter(failures) {
  return Math.min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE) * (0.5 + Math.random() / 2);
}

/** What browsers say of a connection that broke, or never was (RFC 6455 section 7.1.5). */
const LOST_CODE = 1006;
/** Milliseconds. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;
const STEADY = 5_000;
const HANDSHAKE_LIMIT = 10_000;
/** With fresh tokens, one after the other. */
const MAX_RENEWALS = 3;
