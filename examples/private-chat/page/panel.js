// The panel: rooms, who is here, and how long the user's own token is valid.

import { avatarOf, element, fillAvatar, timeOf } from './messages.js';
import { LOBBY, addressOf, ownRoom } from './rooms.js';

const $ = (id) => document.getElementById(id);

/** The rooms one can go to, and which of them this is. */
export function showRooms(user, opened, current) {
  const rooms = [LOBBY, ownRoom(user), ...opened];
  const byAddress = new Map(rooms.map((room) => [addressOf(room), room]));
  const lines = [...byAddress].map(([address, { kind, name }]) => {
    const link = element('a');
    link.href = address;
    if (address === addressOf(current)) link.ariaCurrent = 'page';
    link.append(element('bdi', undefined, name), element('span', undefined, kind));
    link.title = name;
    const line = element('li');
    line.append(link);
    return line;
  });
  $('rooms').replaceChildren(...lines);
}

/** Who is in the room: a user once, with all of the user's connections. */
export class Members {
  #byId = new Map();
  #own = {};

  /** @param {{user: string, connection: string}} own */
  welcome(members, own) {
    this.#own = own;
    this.#byId = new Map(members.map((member) => [member.id, member]));
    this.#show();
  }

  joined(member) {
    this.#byId.set(member.id, member);
    this.#show();
  }

  left(id) {
    this.#byId.delete(id);
    this.#show();
  }

  clear() {
    this.#byId.clear();
    this.#show();
  }

  #show() {
    const users = new Map();
    for (const member of this.#byId.values()) {
      users.set(member.sub, [...(users.get(member.sub) ?? []), member]);
    }
    const own = (user) => (user === this.#own.user ? 0 : 1);
    const sorted = [...users].sort(([a], [b]) => own(a) - own(b) || a.localeCompare(b));
    const lines = sorted.slice(0, MOST_SHOWN).map(([user, windows]) => this.#line(user, windows));
    if (sorted.length > MOST_SHOWN) {
      lines.push(element('li', 'more', `and ${sorted.length - MOST_SHOWN} more`));
    }
    if (users.size === 0) lines.push(element('li', 'more', 'Shown to those who are in the room.'));
    $('members').replaceChildren(...lines);
    $('member-count').textContent = users.size > 0 ? `· ${users.size}` : '';
  }

  #line(user, windows) {
    const line = element('li');
    const name = element('bdi', undefined, user);
    name.title = user;
    const isOwn = user === this.#own.user;
    const since = element('p', 'fine');
    const first = Math.min(...windows.map(({ since }) => since));
    const where = windows.length > 1 ? `in ${windows.length} windows, ` : '';
    since.append(`${isOwn ? 'you, ' : ''}${where}since `, timeOf(first));
    line.append(avatarOf(user), name, since);
    return line;
  }
}

/** Whose token it is, what it says, and how long it lasts. */
export class Access {
  #until;
  #whole;

  constructor() {
    setInterval(() => this.#tick(), 1000);
  }

  /** @param {{user: string, claims: object, until: number}} access */
  show({ user, claims, until }, issuer) {
    $('user').textContent = $('user').title = user;
    fillAvatar($('avatar'), user);
    fillAvatar($('panel-avatar'), user);
    this.#until = until;
    const lifetime = (claims.exp - claims.iat) * 1000 || 0;
    this.#whole = Math.max(lifetime, until - Date.now());
    const host = URL.canParse(issuer) ? new URL(issuer).host : issuer;
    $('expiry').textContent = Number.isFinite(until)
      ? `When it ends the room closes this connection, and the page asks ${host} for a new one: without you while you are signed in there.`
      : '';
    const lines = Object.entries(claims).flatMap(([name, value]) => [
      element('dt', undefined, name),
      element('dd', undefined, readable(name, value)),
    ]);
    $('claims').replaceChildren(...lines);
    this.#tick();
  }

  /** The server says that it has ended. */
  end() {
    this.#until = 0;
    this.#tick();
  }

  #tick() {
    if (!Number.isFinite(this.#until)) return;
    const left = Math.max(0, this.#until - Date.now());
    const seconds = Math.ceil(left / 1000);
    $('clock').textContent = seconds > 0 ? duration(seconds) : 'Expired';
    $('short-clock').textContent = seconds > 0 ? `${duration(seconds)} left` : 'Expired';
    $('clock-label').textContent = seconds > 0 ? 'left of your access token' : '';
    $('bar').style.setProperty('--left', left / this.#whole);
    $('remaining').parentElement.classList.toggle('ending', seconds <= 30);
  }
}

/** `4:05`, `2:04:05`. */
function duration(seconds) {
  const two = (number) => String(number).padStart(2, '0');
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(seconds % 60)}`;
}

/** A claim's value; times also as times. */
function readable(name, value) {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const isTime = ['exp', 'iat', 'nbf', 'auth_time'].includes(name) && Number.isFinite(value);
  return isTime ? `${text}\n${new Date(value * 1000).toLocaleString()}` : text;
}

const MOST_SHOWN = 50;
