import { within } from './within.mjs';

/** Events in the order of their arrival, each awaited once. */
export class Queue {
  #name;
  #items = [];
  #waiting = [];

  /** @param {string} name what the items are, for errors */
  constructor(name) {
    this.#name = name;
  }

  /** The number of items that nobody has taken. */
  get length() {
    return this.#items.length;
  }

  push(item) {
    const waiter = this.#waiting.shift();
    if (waiter) waiter(item);
    else this.#items.push(item);
  }

  /** The next item, now or when it arrives. */
  next(limit) {
    if (this.#items.length > 0) return Promise.resolve(this.#items.shift());
    const { promise, resolve } = deferred();
    this.#waiting.push(resolve);
    return within(promise, this.#name, limit);
  }

  /** The next `count` items. */
  async take(count, limit) {
    const taken = [];
    while (taken.length < count) taken.push(await this.next(limit));
    return taken;
  }
}

function deferred() {
  let resolve;
  const promise = new Promise((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
