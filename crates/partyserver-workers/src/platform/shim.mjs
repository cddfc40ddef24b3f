// The JavaScript of a Worker. It passes the platform's events to the wasm module and
// drives the tasks that they become. The build puts the module's bindings (`bind`)
// before this code and the classes of the Durable Objects after it.

const HANDOFF = "x-partyserver-secret-handoff";
// Only a Worker can put this into the `cf` of a request. In the `cf` of a client's
// request there is only what the platform writes.
const ADMITTED = "partyserverAdmitted";
// Marks an object's answer to an upgrade that must be refused by a close frame.
const CLOSE = "x-partyserver-close";

// The module with its memory. After a trap that was not a panic it is abandoned, and
// all objects start again in a new one.
let engine;

function current() {
  if (engine === undefined) {
    const { glue, raw } = bind();
    engine = { glue, raw, top: raw.__stack_pointer.value, isBroken: false };
  }
  return engine;
}

// The event that is being handled. New tasks belong to it.
let context;

// Runs one step of the module in the context that the step belongs to. Returns `null`
// if the step traps or the module has trapped before. `code` gets its values as
// arguments, because a closure for each message costs more than handling the message.
function step(next, code, a, b, c) {
  const outer = context;
  const { own } = next;
  if (own.isBroken) return null;
  // An outermost step begins with an empty stack.
  const stack = outer === undefined ? own.top : own.raw.__stack_pointer.value;
  context = next;
  try {
    return code(own.glue, a, b, c);
  } catch (trap) {
    const answer = recover(own, stack, trap);
    // The step that this one was called from must not go on either.
    if (own.isBroken && outer !== undefined) throw trap;
    return answer;
  } finally {
    context = outer;
  }
}

// Begins what the module does for an event. An answer that is ready is returned at
// once; any other is a promise. Returns `null` if the module has trapped.
function begin(next, event, a, b, c) {
  const answer = step(next, event, a, b, c);
  return isTask(next, answer) ? drive(next, answer) : answer;
}

const isTask = (next, answer) => answer !== null && answer instanceof next.own.glue.Task;

// Drives a task to its answer, always in the context in which it began. The task is
// dropped when its request is aborted, because then nothing else would ever wake it.
async function drive(next, task, signal) {
  let resolve;
  let isAborted = false;
  let isWoken = task.listen(() => {
    isWoken = true;
    resolve?.();
  });
  const abort = () => {
    isAborted = isWoken = true;
    resolve?.();
  };
  signal?.addEventListener("abort", abort);
  try {
    for (;;) {
      if (!isWoken) await new Promise((woken) => (resolve = woken));
      resolve = undefined;
      isWoken = false;
      const answer = isAborted ? null : step(next, () => task.poll());
      if (answer === undefined) continue;
      // After a panic the task is still borrowed, and it is left alone.
      if (isAborted || task.isOver()) step(next, () => task.free());
      return answer;
    }
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

// A panic leaves the memory in a known state: the task is over, and what it held is
// given back. After any other trap nothing in the memory can be trusted.
function recover(own, stack, trap) {
  own.raw.__stack_pointer.value = stack;
  const answer = own.isBroken ? undefined : ended(own);
  if (answer !== undefined) return answer;
  own.isBroken = true;
  if (engine === own) engine = undefined;
  console.error("the module has trapped; its rooms begin anew", trap);
  return null;
}

// The last words of a task that has panicked. `undefined` if they trap too.
function ended(own) {
  try {
    return own.glue.panicked();
  } catch {
    return undefined;
  }
}

const failed = () =>
  new Response("Internal server error", {
    status: 500,
    headers: { "cache-control": "private, no-store", "referrer-policy": "no-referrer" },
  });

function headOf(headers) {
  let head = "";
  for (const [name, value] of headers) head += `${name}\n${value}\n`;
  return head;
}

export default {
  async fetch(request, env, ctx) {
    const { method, url, headers, body } = request;
    const next = { own: current(), ctx };
    const answer = step(next, (glue) =>
      glue.workerFetch(env, method, url, headOf(headers), body === null ? undefined : request),
    );
    // Reading the signal costs time, and an answer that is ready does not need it.
    const done = isTask(next, answer) ? drive(next, answer, request.signal) : answer;
    return (await done) ?? failed();
  },
};

function message(_, room, socket, data) {
  const length = data.length ?? data.byteLength;
  // A text is passed at once, unless it is too large to be read.
  const text = length <= room.maxMessage && typeof data === "string" ? data : undefined;
  return room.message(socket.partyserverKey, socket, data, length, text);
}

class DurableRoom {
  #ctx;
  #env;
  // The module that the room is in, for this object.
  #context;
  #room;
  #sockets = new Set();

  constructor(ctx, env) {
    this.#ctx = ctx;
    this.#env = env;
  }

  // Begins an event of the room, in the present module.
  #begin(event, a, b) {
    if (this.#context === undefined || this.#context.own.isBroken) {
      this.#context = undefined;
      // These sockets belonged to the lost room. The new room must find those that
      // hibernate.
      for (const socket of this.#sockets) {
        delete socket.partyserverKey;
        socket.close(1011, "");
      }
      this.#sockets.clear();
      for (const socket of this.#ctx.getWebSockets()) delete socket.partyserverKey;
      const next = { own: current(), ctx: this.#ctx };
      const room = step(
        next,
        (glue) => new glue.RoomObject(this.constructor.party, this.#ctx, this.#env),
      );
      if (!(room instanceof next.own.glue.RoomObject)) return null;
      room.maxMessage = step(next, () => room.readMaxMessage());
      this.#context = next;
      this.#room = room;
    }
    return begin(this.#context, event, this.#room, a, b);
  }

  async fetch(request) {
    const isAdmitted = request.cf?.[ADMITTED] === true;
    const handoff = (isAdmitted && request.headers.get(HANDOFF)) || undefined;
    const body = request.body && handoff ? new Uint8Array(await request.arrayBuffer()) : undefined;
    return (await this.#begin((_, room) => room.fetch(handoff, body, this))) ?? failed();
  }

  webSocketMessage(socket, data) {
    return this.#begin(message, socket, data);
  }

  webSocketClose(socket, code, reason, wasClean) {
    const key = socket.partyserverKey;
    return this.#begin((_, room) => room.closed(key, socket, code, reason, wasClean));
  }

  webSocketError(socket, error) {
    const key = socket.partyserverKey;
    return this.#begin((_, room) => room.broken(key, socket, error));
  }

  // If this throws, the platform tries the alarm again.
  async alarm() {
    const isDone = await this.#begin((_, room) => room.alarm());
    if (isDone !== true) throw new Error("the alarm is to be tried again");
  }

  // Listens to a socket that does not hibernate.
  listen(socket) {
    this.#sockets.add(socket);
    socket.binaryType = "arraybuffer";
    socket.addEventListener("message", ({ data }) => this.webSocketMessage(socket, data));
    socket.addEventListener("close", ({ code, reason, wasClean }) => {
      this.#sockets.delete(socket);
      this.webSocketClose(socket, code, reason, wasClean);
    });
    socket.addEventListener("error", ({ error }) => {
      this.#sockets.delete(socket);
      this.webSocketError(socket, error);
    });
  }
}

// The functions that the module calls.

function partyserverSpawn() {
  if (context === undefined) return false;
  const spawned = begin(context, (glue) => glue.begin());
  if (spawned instanceof Promise) context.ctx.waitUntil(spawned);
  return true;
}

function partyserverRespond(status, head, body) {
  const lines = head.split("\n");
  const headers = [];
  let encodeBody = "automatic";
  for (let i = 0; i + 1 < lines.length; i += 2) {
    headers.push([lines[i], lines[i + 1]]);
    // The body is already encoded.
    if (lines[i] === "content-encoding") encodeBody = "manual";
  }
  const isBodiless = status === 204 || status === 205 || status === 304;
  return new Response(isBodiless ? null : body, { status, headers, encodeBody });
}

function partyserverUpgrade(client, protocol) {
  const headers = protocol === undefined ? {} : { "sec-websocket-protocol": protocol };
  return new Response(null, { status: 101, webSocket: client, headers });
}

function partyserverRefuse(code, reason, protocol) {
  const [client, server] = Object.values(new WebSocketPair());
  server.accept();
  server.close(code, reason);
  return partyserverUpgrade(client, protocol);
}

async function partyserverBody(request, max) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    // Leaving the loop cancels the rest of the body.
    if (length > max) return null;
    chunks.push(chunk);
  }
  if (chunks.length === 1) return chunks[0];
  const whole = new Uint8Array(length);
  let end = 0;
  for (const chunk of chunks) {
    whole.set(chunk, end);
    end += chunk.length;
  }
  return whole;
}

// Gets the answer of a room's object. A safe request or an upgrade is tried again if
// the platform says that a new try may help.
async function partyserverHandOff(
  env,
  binding,
  room,
  handoff,
  isUpgrade,
  protocol,
  isSafe,
  body,
) {
  const next = context;
  const namespace = env[binding];
  const headers = { [HANDOFF]: handoff };
  if (isUpgrade) headers.upgrade = "websocket";
  const method = body === undefined ? "GET" : "POST";
  const init = { method, headers, body, cf: { [ADMITTED]: true } };
  for (let attempt = 1; ; attempt += 1) {
    try {
      const answer = await namespace.get(namespace.idFromName(room)).fetch("http://room/", init);
      const close = isUpgrade ? answer.headers.get(CLOSE) : null;
      return close === null ? answer : partyserverRefuse(...JSON.parse(close), protocol);
    } catch (error) {
      const isTransient = Boolean(error.overloaded || error.retryable);
      if (error.overloaded || !error.retryable || !isSafe || attempt === 3) {
        const answer = step(next, (glue) =>
          glue.roomFailed(handoff, String(error), isTransient),
        );
        return answer ?? failed();
      }
      await new Promise((resolve) => setTimeout(resolve, 100 * attempt));
    }
  }
}

function partyserverNamespaces(env) {
  return Object.keys(env).filter((name) => typeof env[name]?.idFromName === "function");
}

function partyserverStream(chunks) {
  const own = context;
  const source = {
    async pull(controller) {
      const chunk = await begin(own, () => chunks.next());
      if (chunk instanceof Uint8Array) controller.enqueue(chunk);
      else if (chunk === false) controller.close();
      else controller.error(new Error(chunk ?? "the module has trapped"));
    },
    cancel() {
      step(own, () => chunks.cancel());
    },
  };
  // Nothing is fetched before it is asked for, because a chunk that is kept here could
  // be sent too late.
  return new ReadableStream(source, { highWaterMark: 0 });
}

function partyserverRandomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function partyserverSend(socket, data) {
  try {
    socket.send(data);
    return true;
  } catch {
    return false;
  }
}

function partyserverListen(object, socket) {
  object.listen(socket);
}
