//! Sockets and their messages in front of `WithAuth<WithOwnership<…>>`: whose messages
//! arrive, who receives them, and until when.
//!
//! Each line of the input is an event of one room. Its first byte says which:
//!
//! | line | event |
//! |---|---|
//! | `c60 bob#id` | bob connects with a token for 60 s, and asks for the id |
//! | `j{"sub":…}` | somebody connects with a token of these claims |
//! | `tBearer x` | somebody connects with this `Authorization` |
//! | `u/a?x` | somebody connects to this path and query |
//! | `0hello` | the client that connected first sends a text |
//! | `Ahello` | it sends the same as binary |
//! | `x0` | it closes |
//! | `w30` | 30 s pass |
//! | `h` | the room hibernates |
//! | `obob` | the room is given to bob |
#![no_main]

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Waker};
use std::time::{Duration, SystemTime};

use agents_oauth2_jwt_bearer::{
    AuthConnection, AuthContext, AuthOptions, BearerAuth, Claim, Identity, Overwrite,
    RoomOwnership, WithAuth, WithOwnership,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Uri};
use libfuzzer_sys::{Corpus, fuzz_target};
use oauth2_jwt_bearer::jwks::key::{Key, KeyMaterial};
use oauth2_jwt_bearer::port::{
    BoxFuture, Fetch, FetchError, FetchRequest, FetchResponse, Ports, PreparedKey, Runtime,
    SignatureCheck,
};
use oauth2_jwt_bearer::{Algorithm, MAX_TOKEN_BYTES, SignatureValid};
use partyserver::testing::{TestRoom, TestSocket};
use partyserver::{
    Close, CloseEvent, Connection, Context, Handshake, Lifetime, Message, Result, Server,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

fuzz_target!(|input: &[u8]| -> Corpus {
    let mut world = World::new();
    for line in input.split(|byte| *byte == b'\n').take(MAX_EVENTS) {
        let Some((kind, rest)) = line.split_first() else {
            continue;
        };
        pollster::block_on(world.happen(*kind, rest));
    }
    Corpus::Keep
});

/// The same input must give the same run on every day.
const START: Duration = Duration::from_secs(1_700_000_000);

/// A room, and the state that is expected of it.
struct World {
    room: TestRoom,
    heard: Arc<Mutex<Vec<Heard>>>,
    clock: Arc<Clock>,
    clients: Vec<Client>,
    owner: Option<String>,
}

struct Client {
    socket: TestSocket,
    /// The identity and its end; `None` for a refused socket.
    identity: Option<(String, SystemTime)>,
    /// How the socket ended.
    end: Option<Close>,
}

/// A message that reached the room's own server, and who sent it.
#[derive(Debug, PartialEq)]
struct Heard(String, Message);

impl World {
    fn new() -> Self {
        let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
        let clock = Arc::new(Clock(Mutex::new(SystemTime::UNIX_EPOCH)));
        let ports = Ports {
            signatures: Arc::new(Signatures),
            fetch: Arc::new(Provider),
            runtime: clock.clone(),
        };
        let bearer = BearerAuth::builder()
            .issuer(ISSUER)
            .audience("api")
            .leeway(Duration::ZERO)
            .build_with(|verifier| verifier.cached_tokens(16).build_with(ports))
            .expect("the options are right");
        let options = AuthOptions::new(bearer);
        let probe = Probe(heard.clone());
        let room = TestRoom::new("named", "a", move || {
            let inner = WithOwnership::new(probe.clone()).claim(Claim::FirstUser);
            WithAuth::new(inner, options.clone())
        })
        .starting_at(SystemTime::UNIX_EPOCH + START);
        Self {
            room,
            heard,
            clock,
            clients: Vec::new(),
            owner: None,
        }
    }

    async fn happen(&mut self, kind: u8, rest: &[u8]) {
        *lock(&self.clock.0) = self.room.now();
        let text = String::from_utf8_lossy(rest);
        let mut sent = None;
        match kind {
            b'c' => self.connect_as(&text).await,
            b'j' => {
                let token = token(&text);
                let query = utf8_percent_encode(&token, NON_ALPHANUMERIC);
                self.connect(&format!("/?access_token={query}"), None).await;
            }
            b't' => self.connect("/", Some(rest)).await,
            b'u' => self.connect(&text, None).await,
            b'0'..=b'9' => sent = self.send(kind - b'0', text.into_owned().into()).await,
            b'A'..=b'J' => sent = self.send(kind - b'A', rest.to_vec().into()).await,
            b'x' => self.close(&text).await,
            b'w' => self.wait(&text).await,
            b'h' => self.room.hibernate(),
            b'o' => self.give_to(&text).await,
            _ => return,
        }
        self.check(sent);
    }

    /// It is known beforehand whether a well-formed token is admitted.
    async fn connect_as(&mut self, text: &str) {
        let (lifetime, who) = text.split_once(' ').unwrap_or((text, ""));
        let (sub, id) = who.split_once('#').unwrap_or((who, ""));
        let lifetime = seconds(lifetime);
        let end = self.room.now() + Duration::from_secs(lifetime);
        let exp = end.duration_since(SystemTime::UNIX_EPOCH);
        let claims = json!({
            "iss": ISSUER, "aud": "api", "sub": sub, "client_id": "app",
            "exp": exp.expect("the clock is past 1970").as_secs(),
        });
        let token = token(&claims.to_string());
        let is_owners = self.owner.as_deref().is_none_or(|owner| owner == sub);
        let is_right = token.len() <= MAX_TOKEN_BYTES && !sub.is_empty() && lifetime > 0;
        let id = utf8_percent_encode(id, NON_ALPHANUMERIC);
        let before = self.clients.len();
        self.connect(&format!("/?access_token={token}&_pk={id}"), None)
            .await;
        if let Some(client) = self.clients.get(before) {
            let admitted = client.identity.as_ref();
            assert_eq!(admitted.is_some(), is_right && is_owners, "{text:?}");
            assert!(admitted.is_none_or(|(own, until)| own == sub && *until == end));
        }
    }

    /// Connects, and records the identity that the room sees.
    async fn connect(&mut self, path: &str, authorization: Option<&[u8]>) {
        if self.clients.len() == MAX_CLIENTS {
            return;
        }
        let Ok(uri) = format!("http://test{path}").parse::<Uri>() else {
            return;
        };
        let mut handshake = Handshake::new(());
        *handshake.uri_mut() = uri;
        if let Some(value) = authorization {
            let Ok(value) = HeaderValue::from_bytes(value) else {
                return;
            };
            handshake.headers_mut().insert(AUTHORIZATION, value);
        }
        let socket = self.room.connect_with(handshake).await;
        let socket = socket.expect("no hook fails");
        let identity = socket.connection().map(|connection| {
            let identity = connection.attachments().get::<Identity>();
            let identity = identity.expect("nobody is admitted without an identity");
            let claims = identity.claims();
            assert_eq!(claims.issuer(), ISSUER);
            assert!(claims.audiences().any(|audience| audience == "api"));
            assert!(!claims.subject().is_empty());
            check_no_token_is_kept(&connection, claims.as_map());
            (claims.subject().to_owned(), identity.valid_until())
        });
        let end = match &identity {
            Some((subject, until)) => {
                assert!(self.room.now() < *until);
                let owner = self.owner.get_or_insert_with(|| subject.clone());
                assert_eq!(owner, subject);
                None
            }
            None => {
                let close = socket.closed().expect("a refused socket is told why");
                assert!(matches!(close.code(), 1008 | 3000), "{close:?}");
                Some(close)
            }
        };
        self.clients.push(Client {
            socket,
            identity,
            end,
        });
    }

    /// Sends a message, and returns what everybody in the room must receive.
    async fn send(&mut self, index: u8, message: Message) -> Option<Heard> {
        let client = self.clients.get(usize::from(index))?;
        let socket = client.socket.clone();
        let sent = self.room.send(&socket, message.clone()).await;
        sent.expect("no hook fails");
        if client.end.is_some() {
            return None;
        }
        let (subject, _) = client.identity.as_ref()?;
        Some(Heard(subject.clone(), message))
    }

    async fn close(&mut self, index: &str) {
        let Some(client) = index
            .parse()
            .ok()
            .and_then(|index: usize| self.clients.get_mut(index))
        else {
            return;
        };
        let socket = client.socket.clone();
        let closed = self.room.close(&socket, 1000, "bye").await;
        closed.expect("no hook fails");
        client.end.get_or_insert(Close::new(1000, "bye"));
    }

    async fn wait(&mut self, text: &str) {
        let advanced = self.room.advance(Duration::from_secs(seconds(text))).await;
        advanced.expect("no hook fails");
        let now = self.room.now();
        for client in &mut self.clients {
            if client
                .identity
                .as_ref()
                .is_some_and(|(_, until)| *until <= now)
            {
                let expired = || Close::new(3000, "token expired");
                client.end.get_or_insert_with(expired);
            }
        }
    }

    async fn give_to(&mut self, owner: &str) {
        let given = self.room.room().set_owner(owner, Overwrite::Yes).await;
        assert_eq!(given.is_ok(), !owner.is_empty());
        if given.is_err() {
            return;
        }
        self.owner = Some(owner.to_owned());
        for client in &mut self.clients {
            if client
                .identity
                .as_ref()
                .is_some_and(|(subject, _)| subject != owner)
            {
                let not_yours = || Close::new(1008, "This chat is not yours.");
                client.end.get_or_insert_with(not_yours);
            }
        }
    }

    /// Checks that no other message was sent or received, and no other socket was
    /// closed.
    fn check(&self, sent: Option<Heard>) {
        let heard: Vec<Heard> = lock(&self.heard).drain(..).collect();
        for client in &self.clients {
            assert_eq!(client.socket.closed(), client.end);
            let received = client.socket.received();
            match (&sent, &client.end) {
                (Some(Heard(_, message)), None) => {
                    assert_eq!(received, std::slice::from_ref(message))
                }
                _ => assert_eq!(received, []),
            }
        }
        assert_eq!(heard, Vec::from_iter(sent));
        let open = self.clients.iter().filter(|client| client.end.is_none());
        assert_eq!(self.room.room().connections().len(), open.count());
    }
}

/// The host may store, log or show a connection, so nothing of that may contain a
/// token.
fn check_no_token_is_kept(connection: &Connection, claims: &Map<String, Value>) {
    let query = connection.uri().query().unwrap_or_default();
    assert!(!query.contains("access_token="), "{query}");
    let signature = URL_SAFE_NO_PAD.encode(KEY);
    // If a client writes its token elsewhere, it can be found there.
    let said = format!("{} {} {claims:?}", connection.uri(), connection.id());
    if said.contains(&signature) {
        return;
    }
    let stored = connection.attachments().encode(Lifetime::Connection);
    let stored = stored.expect("an identity can be stored");
    let shown = format!("{connection:?} {:?}", connection.attachments());
    assert!(!stored.contains(&signature) && !shown.contains(&signature));
}

/// Sends everything that it receives to everybody.
#[derive(Clone)]
struct Probe(Arc<Mutex<Vec<Heard>>>);

impl Server for Probe {
    async fn on_connect(&mut self, cx: &Context, _: &Connection, _: &Handshake) -> Result<()> {
        cx.claims()?;
        Ok(())
    }

    async fn on_message(
        &mut self,
        cx: &Context,
        from: &Connection,
        message: Message,
    ) -> Result<()> {
        let claims = cx.claims()?;
        assert_eq!(from.claims().as_ref(), Some(&claims));
        assert_eq!(cx.room().owner().await?.as_deref(), Some(claims.subject()));
        assert_eq!(
            message.as_text().is_ok(),
            matches!(message, Message::Text(_))
        );
        let _: Option<Value> = message.json().ok();
        let heard = Heard(claims.subject().to_owned(), message.clone());
        lock(&self.0).push(heard);
        cx.room().broadcast(message);
        Ok(())
    }

    async fn on_close(&mut self, _: &Context, who: &Connection, _: CloseEvent) -> Result<()> {
        assert!(who.claims().is_some());
        Ok(())
    }
}

/// A token of these claims, signed by the provider.
fn token(claims: &str) -> String {
    let header = r#"{"alg":"EdDSA","typ":"at+jwt"}"#;
    [header.as_bytes(), claims.as_bytes(), &KEY]
        .map(|part| URL_SAFE_NO_PAD.encode(part))
        .join(".")
}

/// A number of seconds, less than about thirty years. So all events together end before
/// the year 9999, at which times are clamped.
fn seconds(text: &str) -> u64 {
    text.parse().unwrap_or(u64::MAX).min(MAX_SECONDS)
}

/// The room's clock, which the verifier uses too. Tasks run as long as they can.
struct Clock(Mutex<SystemTime>);

impl Runtime for Clock {
    fn now(&self) -> SystemTime {
        *lock(&self.0)
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }

    fn spawn(&self, mut task: BoxFuture<'static, ()>) -> bool {
        // The provider answers at once, so a task that is not done waits for time.
        let _ = task
            .as_mut()
            .poll(&mut TaskContext::from_waker(Waker::noop()));
        true
    }
}

struct Provider;

impl Fetch for Provider {
    fn fetch<'a>(
        &'a self,
        request: FetchRequest<'a>,
    ) -> BoxFuture<'a, std::result::Result<FetchResponse, FetchError>> {
        let body = if request.url.ends_with("/keys") {
            let key = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(KEY)});
            json!({ "keys": [key] })
        } else {
            json!({"issuer": ISSUER, "jwks_uri": format!("{ISSUER}/keys")})
        };
        Box::pin(std::future::ready(Ok(FetchResponse {
            status: 200,
            cache_control: None,
            body: body.to_string().into_bytes(),
        })))
    }
}

/// For the test, a signature is right when it repeats the public key.
struct Signatures;

impl SignatureCheck for Signatures {
    fn prepare<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Option<Box<dyn PreparedKey>>> {
        let KeyMaterial::Ed25519 { x } = key.material() else {
            unreachable!("the provider has no other key");
        };
        let key: Box<dyn PreparedKey> = Box::new(PublicKey(x.clone()));
        Box::pin(std::future::ready(Some(key)))
    }
}

struct PublicKey(Vec<u8>);

impl PreparedKey for PublicKey {
    fn check<'a>(
        &'a self,
        _: Algorithm,
        _: &'a [u8],
        signature: &'a [u8],
    ) -> BoxFuture<'a, Option<SignatureValid>> {
        let is_right = self.0 == signature;
        Box::pin(std::future::ready(is_right.then(SignatureValid::assertion)))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const ISSUER: &str = "https://id.example";
const KEY: [u8; 32] = *b"the key that repeats is accepted";
const MAX_EVENTS: usize = 64;
const MAX_CLIENTS: usize = 10;
const MAX_SECONDS: u64 = 1_000_000_000;
