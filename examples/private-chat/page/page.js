// The page: a sign-in for visitors, and behind it one room at a time.

import { RoomConnection } from './connection.js';
import { Messages } from './messages.js';
import { Access, Members, showRooms } from './panel.js';
import { SIGNED_OUT, challengeOf, claimRefusal } from './refusals.js';
import { LOBBY, addressOf, ownRoom, pathOf, roomAt } from './rooms.js';
import { Session, SignInError, isFrame } from './session.js';
import { Trouble } from './trouble.js';

const $ = (id) => document.getElementById(id);

let config;
let session;
/** The parts of the page. */
let messages;
let members;
let access;
let trouble;

/** The room that is shown, its connection, and the connection's id. */
let room;
let connection;
let ownId;
/** Rooms that were opened in this window. */
const opened = [];
/** Messages that were begun, by the addresses of their rooms. */
const drafts = new Map();
/** The last message, for when it comes back as too long. */
let lastSent = '';
/** Whether the room has let this window in, and not ended it. */
let isIn = false;
/** When the room was lost, to say what was missed. */
let lostAt;

async function start() {
  try {
    config = await (await fetch('config.json')).json();
  } catch {
    $('door-wait').textContent = 'The server gives no answer. Reload the page to try again.';
    return;
  }
  session = new Session(config);
  messages = new Messages({
    log: $('log'),
    list: $('messages'),
    empty: $('empty'),
    latest: $('latest'),
  });
  members = new Members();
  access = new Access();
  trouble = new Trouble(OFFERS);
  addEventListener('hashchange', enter);
  let problem;
  try {
    await session.resume();
  } catch (error) {
    if (!(error instanceof SignInError)) throw error;
    if (!error.needsUser) problem = error.message;
  }
  if (session.access) enter();
  else showDoor(problem);
}

function showDoor(problem) {
  document.title = 'Private chat';
  $('app').hidden = true;
  $('door').hidden = false;
  $('door-wait').hidden = true;
  $('sign-in').hidden = !session.canSignIn;
  $('paste').hidden = session.canSignIn;
  $('door-problem').hidden = !problem;
  $('door-problem').textContent = problem ? `You are not signed in: ${problem}` : '';
  $('door-note').textContent = session.canSignIn
    ? `You sign in at ${new URL(config.issuer).host}. This page gets a token that ends soon and keeps it in memory; it never sees a password.`
    : `A token of ${config.issuer} for ${config.audience}. It stays in the memory of this window.`;
}

async function signIn(scope) {
  try {
    await session.signIn(scope);
  } catch (error) {
    if (!(error instanceof SignInError)) throw error;
    showDoor(error.message);
  }
}

/** Shows the room of the address. */
function enter() {
  if (!session.access) return;
  const next = roomAt(location.hash) ?? LOBBY;
  if (room && addressOf(next) === addressOf(room) && connection) return;
  if (!roomAt(location.hash)) history.replaceState(null, '', addressOf(next));
  connection?.close();
  // A draft for one room must not be sent to another.
  if (room) drafts.set(addressOf(room), $('text').value);
  $('text').value = drafts.get(addressOf(next)) ?? '';
  room = next;
  isIn = false;
  lostAt = undefined;
  messages.clear();
  members.clear();
  if (!opened.some((known) => addressOf(known) === addressOf(room))) opened.push(room);
  $('door').hidden = true;
  $('app').hidden = false;
  const { user } = session.access;
  document.title = `${room.name} · Private chat`;
  $('app').dataset.kind = room.kind;
  $('room-name').textContent = $('room-name').title = room.name;
  $('room-kind').textContent = room.kind === 'shared' ? 'Shared with all' : 'Private';
  $('text').placeholder = `Message as ${user}`;
  showRooms(user, opened, room);
  access.show(session.access, config.issuer);
  $('panel').hidePopover();
  connection = new RoomConnection(pathOf(room), session, { state: showState, message: receive });
  connection.open();
}

function receive(message) {
  const { user } = session.access;
  switch (message.type) {
    case 'welcome': {
      ownId = message.id;
      // The remaining time comes from the server, because this device's clock may be
      // wrong.
      const until = Date.now() + (message.validForSeconds ?? Infinity) * 1000;
      access.show({ user, claims: message.claims, until }, config.issuer);
      members.welcome(message.members, { user, connection: ownId });
      if (message.owner === user) $('room-kind').textContent = 'Private, owned by you';
      focusComposer();
      break;
    }
    case 'joined':
      members.joined(message.member);
      break;
    case 'left':
      members.left(message.id);
      break;
    case 'message':
      messages.add(message, { user, connection: ownId });
      break;
  }
}

/** What had the focus may be gone with a refusal. On a phone the keyboard would come up. */
function focusComposer() {
  const { activeElement: focused, body } = document;
  const isFree = focused === body || !focused.checkVisibility();
  if (isFree && matchMedia('(pointer: fine)').matches) $('text').focus({ preventScroll: true });
}

const STATES = {
  connecting: 'Connecting',
  open: 'Connected',
  renewing: 'Renewing',
  waiting: 'Reconnecting',
  refused: 'Not connected',
};

/** @param {import('./connection.js').State} state */
function showState({ name, refusal: why, until }) {
  $('status').dataset.state = name;
  $('status').textContent = STATES[name];
  $('say').querySelector('button').ariaDisabled = String(name !== 'open');
  if (name === 'open') {
    isIn = true;
    const note = lostAt && missed();
    if (note) messages.note(note);
    lostAt = undefined;
  } else if (name !== 'connecting') {
    members.clear();
    if (why.next === 'renew') access.end();
    if (why.returnsMessage) {
      $('text').value ||= lastSent;
      messages.note(`${why.cause}. ${why.remedy}`);
    }
    if (isIn) lostAt = { time: Date.now(), renewed: why.next === 'renew' };
    isIn = false;
  }
  trouble.show(name === 'open' ? undefined : why, until);
  if (name === 'refused' && why.isExplained) explain(why);
}

/** What to say of the time away, where that is worth a line. */
function missed() {
  const seconds = Math.round((Date.now() - lostAt.time) / 1000);
  if (lostAt.renewed && seconds < 5) return 'Your access token ended and was renewed.';
  if (seconds < 2) return undefined;
  return `You were away for ${seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`}. What was written meanwhile is not here.`;
}

/** Why a token was refused is in the challenge of an HTTP answer, not in a close frame. */
async function explain(why) {
  const { token } = session.access;
  const headers = { Authorization: `Bearer ${token}` };
  const answer = await fetch(pathOf(room), { headers }).catch(() => undefined);
  if (trouble.shown !== why || !answer) return;
  const { description, scope } = challengeOf(answer);
  if (description) trouble.detail(`${why.detail}: ${description}`);
  why.scope = scope;
}

const OFFERS = {
  now: ['Try now', () => connection.open()],
  retry: ['Try again', () => connection.open()],
  claim: ['Claim this room', claim],
  own: ['Open your own room', () => go(ownRoom(session.access.user))],
  lobby: ['Go to the lobby', () => go(LOBBY)],
  'sign-in': ['Sign in again', signInAgain],
};

/** Without the user where the issuer allows it, and there is nothing more to ask for. */
async function signInAgain() {
  const { scope } = trouble.shown;
  const current = connection;
  if (!scope) {
    try {
      await session.renew();
      if (current === connection) connection.open();
      return;
    } catch (error) {
      if (!(error instanceof SignInError)) throw error;
    }
  }
  if (session.canSignIn) await signIn(scope);
  else signOut();
}

async function claim() {
  const claimed = room;
  const why = await claimRoom(claimed);
  if (claimed !== room) return;
  if (why) trouble.show(why);
  else connection.open();
}

/** @returns {Promise<object | undefined>} why it was refused */
async function claimRoom(room) {
  try {
    const { token } = await session.freshAccess();
    const headers = { Authorization: `Bearer ${token}` };
    const answer = await fetch(`${pathOf(room)}/claim`, { method: 'POST', headers });
    return answer.ok ? undefined : claimRefusal(answer);
  } catch (error) {
    return error instanceof SignInError ? SIGNED_OUT : claimRefusal(undefined);
  }
}

function go(next) {
  location.hash = addressOf(next);
}

function signOut() {
  connection?.close();
  connection = undefined;
  room = undefined;
  opened.length = 0;
  drafts.clear();
  messages.clear();
  members.clear();
  $('claims').replaceChildren();
  $('text').value = '';
  session.signOut();
  $('panel').hidePopover();
  showDoor();
  ($('sign-in').hidden ? $('token') : $('sign-in')).focus();
}

$('sign-in').onclick = () => signIn();
$('sign-out').onclick = signOut;
$('paste').onsubmit = (event) => {
  event.preventDefault();
  session.use($('token').value.trim());
  $('token').value = '';
  enter();
};
$('open').onsubmit = (event) => {
  event.preventDefault();
  go({ kind: new FormData(event.target).get('kind'), name: $('open-name').value });
  $('open-name').value = '';
};
$('say').onsubmit = (event) => {
  event.preventDefault();
  const text = $('text').value.trim();
  if (!text || !connection.send(text)) return;
  lastSent = text;
  $('text').value = '';
};
$('text').onkeydown = (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $('say').requestSubmit();
};
// The panel changes from a drawer to a column, or back.
matchMedia('(max-width: 56rem)').onchange = () => $('panel').hidePopover();

if (!isFrame()) {
  $('door').hidden = false;
  await start();
}
