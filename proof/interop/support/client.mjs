import assert from 'node:assert/strict';

import { PartySocket } from 'partysocket';
import WebSocket from 'ws';

import { Queue } from './queue.mjs';

/** An unmodified PartySocket whose events can be awaited one after the other. */
export class Client {
  opens = new Queue('open event');
  closes = new Queue('close event');
  messages = new Queue('message');
  errors = new Queue('error event');

  /** @param options what PartySocket's constructor takes */
  constructor(options) {
    this.socket = new PartySocket({
      WebSocket,
      // The back-off of a page would only make the tests slow.
      minReconnectionDelay: 20,
      maxReconnectionDelay: 200,
      ...options,
    });
    this.socket.binaryType = 'arraybuffer';
    this.socket.addEventListener('open', (event) => this.opens.push(event));
    this.socket.addEventListener('close', ({ code, reason }) => this.closes.push({ code, reason }));
    this.socket.addEventListener('message', ({ data }) => this.messages.push(data));
    this.socket.addEventListener('error', ({ message }) => this.errors.push(message));
    live.add(this);
  }

  /** The id that the client chose for its connection. */
  get id() {
    return this.socket.id;
  }

  send(data) {
    return this.socket.send(data);
  }

  close(code, reason) {
    live.delete(this);
    this.socket.close(code, reason);
  }

  /** Waits until the connection is open. */
  opened(limit) {
    return this.opens.next(limit);
  }

  /** The code and reason of the next close. */
  closed(limit) {
    return this.closes.next(limit);
  }

  /** The next message, as text or ArrayBuffer. */
  message(limit) {
    return this.messages.next(limit);
  }

  /** The next message, parsed. */
  async json(limit) {
    return JSON.parse(await this.message(limit));
  }

  /** Takes the first frame of the parties that greet, and returns it. */
  async welcome(limit) {
    const frame = await this.json(limit);
    assert.equal(frame.type, 'welcome');
    return frame;
  }
}

/** Closes every client that a test has left open. */
export function closeClients() {
  for (const client of live) client.close();
}

/** For clients that are to stay closed after the first close. */
export const NO_RETRY = { shouldReconnectOnClose: () => false };

const live = new Set();
