// Shows what is wrong with the connection, and what helps. While the page tries again
// by itself, that is a line above the composer. When the user must act, it covers the
// whole room.

const $ = (id) => document.getElementById(id);

export class Trouble {
  #offers;
  #shown;
  #retryAt;

  /**
   * @param {Record<string, [string, () => void]>} offers what a user can do, by the names
   *   that refusals use: the text of a button, and what it does
   */
  constructor(offers) {
    this.#offers = offers;
    setInterval(() => this.#tick(), 250);
  }

  /** What is shown now, one of those of `refusals.js`. */
  get shown() {
    return this.#shown;
  }

  /**
   * @param {object | undefined} trouble undefined when there is none any more
   * @param {number} [retryAt] when the page tries again, in milliseconds since 1970
   */
  show(trouble, retryAt) {
    const isSame = trouble === this.#shown;
    this.#shown = trouble;
    this.#retryAt = trouble && retryAt;
    this.#tick();
    $('trouble').hidden = !trouble;
    if (isSame || !trouble) return;
    const isFinal = trouble.next === 'stay';
    $('trouble').classList.toggle('final', isFinal);
    // Without any message from this room there is nothing to keep visible.
    const isEmpty = $('messages').childElementCount === 0;
    $('trouble').classList.toggle('whole', isFinal && isEmpty);
    $('cause').textContent = `${trouble.cause}.`;
    $('remedy').textContent = trouble.remedy;
    this.detail((isFinal && trouble.detail) || '');
    const offers = isFinal ? trouble.offers : ['now'];
    $('offers').replaceChildren(...offers.map((name, index) => this.#button(name, index)));
  }

  /** What the server said, word by word. */
  detail(text) {
    $('detail').textContent = text;
  }

  #button(name, index) {
    const [text, act] = this.#offers[name];
    const button = document.createElement('button');
    button.textContent = text;
    if (index === 0 && name !== 'now') button.className = 'primary';
    button.onclick = act;
    return button;
  }

  #tick() {
    const left = this.#retryAt && Math.max(0, Math.ceil((this.#retryAt - Date.now()) / 1000));
    $('next-try').textContent = left === undefined ? '' : `Next try in ${left} s.`;
  }
}
