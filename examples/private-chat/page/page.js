// The page of a private chat: signs in by authorization code with PKCE, opens
// rooms, and says why it was refused.

const $ = (id) => document.getElementById(id);
const PARTY = "/parties/private-chat/";
const config = await (await fetch("config.json")).json();

let token = sessionStorage.getItem("token");
let claims;
let socket;
let timer;
let attempts = 0;

// What a close code means to a user, and whether it is worth coming back.
const REFUSALS = {
  3000: ["Your access token has expired.", "Sign in again to go on."],
  1008: null,
  1009: ["Your message was too large.", "Send a shorter one."],
  1011: ["The room failed.", "Trying again."],
  1013: ["The server is busy, or the identity provider is out of reach.", "Trying again."],
  1001: ["The server is restarting.", "Trying again."],
};
const POLICY = {
  "This chat is not yours.": "This room belongs to somebody else, or to nobody yet. Claim it, or choose another.",
  "Unauthorized": "The token was not accepted. Sign in again.",
};

function notice(text, isBad = false) {
  $("notice").textContent = text;
  $("notice").className = isBad ? "bad" : "";
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function endpoints() {
  const issuer = config.issuer.replace(/\/$/, "");
  return (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
}

async function signIn() {
  const verifier = base64url(crypto.getRandomValues(new Uint8Array(32)));
  const state = base64url(crypto.getRandomValues(new Uint8Array(16)));
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  sessionStorage.setItem("signing-in", JSON.stringify({ verifier, state, room: location.hash }));
  const url = new URL((await endpoints()).authorization_endpoint);
  url.search = new URLSearchParams({
    response_type: "code",
    client_id: config.clientId,
    redirect_uri: location.origin + "/",
    scope: "openid",
    resource: config.audience,
    audience: config.audience,
    state,
    code_challenge: base64url(new Uint8Array(digest)),
    code_challenge_method: "S256",
  });
  location.assign(url);
}

async function finishSignIn() {
  const answer = new URLSearchParams(location.search);
  const started = JSON.parse(sessionStorage.getItem("signing-in") ?? "null");
  sessionStorage.removeItem("signing-in");
  history.replaceState(null, "", "/" + (started?.room ?? ""));
  if (!started || answer.get("state") !== started.state || !answer.get("code")) {
    throw new Error(answer.get("error") ?? "the sign-in was not begun here");
  }
  const response = await fetch((await endpoints()).token_endpoint, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "authorization_code",
      client_id: config.clientId,
      code: answer.get("code"),
      redirect_uri: location.origin + "/",
      code_verifier: started.verifier,
    }),
  });
  const tokens = await response.json();
  if (!tokens.access_token) throw new Error(tokens.error ?? "the issuer gave no token");
  useToken(tokens.access_token);
}

function useToken(value) {
  token = value;
  sessionStorage.setItem("token", token);
}

function decodeClaims() {
  try {
    const text = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(text), (c) => c.charCodeAt(0))));
  } catch {
    return undefined;
  }
}

function show() {
  claims = token ? decodeClaims() : undefined;
  $("signed-out").hidden = Boolean(token);
  $("signed-in").hidden = !token;
  $("sign-out").hidden = !token;
  $("sign-in").hidden = !config.clientId;
  $("paste").hidden = Boolean(config.clientId);
  $("user").textContent = claims?.sub ? `Signed in as ${claims.sub}` : "";
  $("claims").textContent = claims ? JSON.stringify(claims, null, 2) : "";
}

function tick() {
  const left = claims?.exp ? Math.floor(claims.exp - Date.now() / 1000) : undefined;
  $("remaining").textContent = left === undefined ? ""
    : left > 0 ? `Valid for ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")} more`
    : "Expired";
}

function connect(room) {
  clearTimeout(timer);
  socket?.close();
  location.hash = room;
  const url = new URL(PARTY + room, location.href.replace(/^http/, "ws"));
  url.searchParams.set("access_token", token);
  const own = socket = new WebSocket(url);
  own.onmessage = (event) => receive(JSON.parse(event.data));
  own.onclose = (event) => own === socket && closed(room, event);
}

function receive(message) {
  if (message.type === "welcome") {
    attempts = 0;
    $("chat").hidden = false;
    notice("You are in.");
    $("claims").textContent = JSON.stringify(message.claims, null, 2);
  } else if (message.type === "members") {
    $("members").replaceChildren(...message.members.map(({ sub, id }) => item(`${sub} (${id.slice(0, 8)})`)));
  } else if (message.type === "message") {
    const line = item(message.text);
    const from = document.createElement("b");
    from.textContent = message.from;
    line.prepend(from);
    $("messages").append(line);
    line.scrollIntoView({ block: "nearest" });
  }
}

function item(text) {
  const line = document.createElement("li");
  line.textContent = text;
  return line;
}

function closed(room, { code, reason }) {
  $("chat").hidden = true;
  $("members").replaceChildren();
  if (code === 1008) {
    notice(`${reason} ${POLICY[reason] ?? ""}`, true);
    return;
  }
  const [cause, remedy] = REFUSALS[code] ?? ["The connection was lost.", "Trying again."];
  notice(`${cause} ${remedy}`, true);
  if (code !== 3000) {
    timer = setTimeout(() => connect(room), Math.min(10_000, 500 * 2 ** attempts++));
  }
}

async function claim(room) {
  const response = await fetch(`${PARTY}${room}/claim`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}` },
  });
  if (response.ok) {
    connect(room);
  } else {
    const challenge = response.headers.get("WWW-Authenticate") ?? "";
    const why = /error_description="([^"]*)"/.exec(challenge)?.[1];
    notice(`${await response.text()} ${why ?? ""}`, true);
  }
}

$("sign-in").onclick = () => signIn().catch((error) => alert(error.message));
$("sign-out").onclick = () => {
  sessionStorage.removeItem("token");
  token = undefined;
  clearTimeout(timer);
  socket?.close();
  show();
};
$("paste").onsubmit = (event) => {
  event.preventDefault();
  useToken($("token").value.trim());
  $("token").value = "";
  show();
};
$("open").onsubmit = (event) => {
  event.preventDefault();
  notice("Connecting…");
  connect($("room").value);
};
$("claim").onclick = () => $("open").reportValidity() && claim($("room").value);
$("say").onsubmit = (event) => {
  event.preventDefault();
  if (socket?.readyState === WebSocket.OPEN) {
    socket.send($("text").value);
    $("text").value = "";
  }
};

if (new URLSearchParams(location.search).has("state")) {
  await finishSignIn().catch((error) => alert(`Signing in failed: ${error.message}`));
}
show();
$("room").value = location.hash.slice(1) || (claims?.sub ? `room-of-${claims.sub}` : "");
setInterval(tick, 1000);
tick();
