// The list of messages. All of its content comes from others, so it is set as text,
// never as markup.

export class Messages {
  #log;
  #list;
  #empty;
  #latest;
  #last;

  /** @param {{log: HTMLElement, list: HTMLElement, empty: HTMLElement, latest: HTMLElement}} parts */
  constructor({ log, list, empty, latest }) {
    this.#log = log;
    this.#list = list;
    this.#empty = empty;
    this.#latest = latest;
    latest.onclick = () => this.#toEnd();
    log.onscroll = () => {
      if (this.#isAtEnd()) latest.hidden = true;
    };
    // A keyboard that opens, or a line that wraps, must not hide the end.
    let wasAtEnd = true;
    log.addEventListener('scroll', () => (wasAtEnd = this.#isAtEnd()), { passive: true });
    new ResizeObserver(() => wasAtEnd && this.#toEnd()).observe(log);
  }

  clear() {
    this.#list.replaceChildren();
    this.#last = undefined;
    this.#empty.hidden = false;
    this.#latest.hidden = true;
  }

  /**
   * @param {{from: string, connection: string, at: number, text: string}} message
   * @param {{user: string, connection: string}} own who reads it, where
   */
  add({ from, connection, at, text }, own) {
    const isOwn = from === own.user;
    const author = isOwn && connection !== own.connection ? 'You, in another window' : from;
    const follows =
      this.#last?.connection === connection &&
      this.#last.from === from &&
      at - this.#last.at < PAUSE;
    this.#last = { from, connection, at };

    const line = element('li', 'message');
    line.classList.toggle('own', isOwn);
    line.classList.toggle('follows', follows);
    const byline = element('p', 'byline');
    const name = element('bdi', undefined, isOwn && author === from ? 'You' : author);
    name.title = from;
    byline.append(name, timeOf(at));
    const bubble = element('p', 'bubble', text);
    bubble.dir = 'auto';
    bubble.title = longTime.format(at);
    line.append(avatarOf(from), byline, bubble);
    this.#append(line, isOwn);
  }

  /** A line of the page's own. */
  note(text) {
    this.#last = undefined;
    this.#append(element('li', 'note', text), false);
  }

  #append(line, isOwn) {
    const follow = isOwn || this.#isAtEnd();
    this.#empty.hidden = true;
    this.#list.append(line);
    // A page that is open for days must not grow for days.
    while (this.#list.childElementCount > MOST_LINES) this.#list.firstElementChild.remove();
    if (follow) this.#toEnd();
    else this.#latest.hidden = false;
  }

  #isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#log;
    return scrollHeight - scrollTop - clientHeight < 48;
  }

  #toEnd() {
    this.#log.scrollTop = this.#log.scrollHeight;
    this.#latest.hidden = true;
  }
}

/** A new element with text in it. */
export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** A user's initial on the user's colour. */
export function avatarOf(user) {
  const avatar = element('span', 'avatar');
  avatar.ariaHidden = 'true';
  return fillAvatar(avatar, user);
}

export function fillAvatar(avatar, user) {
  avatar.textContent = [...user.replace(/^.*[|:]/, '')][0] ?? '?';
  let hash = 0;
  for (const char of user) hash = (hash * 31 + char.codePointAt(0)) % 65_521;
  // Steps of the golden angle keep similar names apart.
  avatar.style.setProperty('--hue', (hash * 137.5) % 360);
  return avatar;
}

/** The time of day. */
export function timeOf(at) {
  const time = element('time', undefined, shortTime.format(at));
  time.dateTime = new Date(at).toISOString();
  return time;
}

const shortTime = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const longTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });
/** Messages of one author within this many milliseconds stand together. */
const PAUSE = 5 * 60_000;
const MOST_LINES = 500;
