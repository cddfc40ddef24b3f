//! A provider, a clock and signatures that exist only in memory. Time is tokio's paused
//! time: it moves when every task waits, so a day costs nothing.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use oauth2_jwt_bearer::jwks::key::{Key, KeyMaterial};
use oauth2_jwt_bearer::port::{
    BoxFuture, Fetch, FetchError, FetchRequest, FetchResponse, Ports, PreparedKey, Runtime,
    SignatureCheck,
};
use oauth2_jwt_bearer::{
    AccessToken, Algorithm, Error, Policy, SignatureValid, Verifier, VerifierBuilder,
};
use serde_json::{Value, json};
use tokio::time::Instant;

pub const ISSUER: &str = "https://id.example";

/// A document of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Document {
    OpenId,
    OAuth,
    Keys,
    UserInfo,
}

/// How the provider answers for a document.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Correctly.
    Right,
    /// Correctly, after this time.
    Slow(Duration),
    /// Never; the port ignores its time limit.
    Hang,
    /// The port has a bug.
    Panic,
    /// The connection breaks.
    Down,
    /// This status, with an empty body.
    Status(u16),
    /// Status 200 with this body.
    Body(String),
}

/// The provider and the world around it.
#[derive(Clone)]
pub struct World {
    provider: Arc<FakeProvider>,
    clock: Arc<FakeRuntime>,
    signatures: Arc<FakeSignatures>,
}

impl World {
    /// A provider that publishes these keys.
    pub fn new(keys: &[(&str, u8)]) -> Self {
        Self::with_patience(keys, None)
    }

    /// The same, in a runtime where tasks belong to requests.
    pub fn of_requests(keys: &[(&str, u8)]) -> Self {
        Self::with_patience(keys, Some(seconds(1.0)))
    }

    fn with_patience(keys: &[(&str, u8)], patience: Option<Duration>) -> Self {
        let world = Self {
            provider: Arc::default(),
            clock: Arc::new(FakeRuntime {
                began: Instant::now(),
                start: Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)),
                patience,
                are_tasks_frozen: Mutex::default(),
                is_without_tasks: AtomicBool::new(false),
            }),
            signatures: Arc::default(),
        };
        world.publish(keys);
        world
    }

    pub fn ports(&self) -> Ports {
        Ports {
            signatures: self.signatures.clone(),
            fetch: self.provider.clone(),
            runtime: self.clock.clone(),
        }
    }

    pub fn builder(&self) -> VerifierBuilder {
        Verifier::builder(Policy::new(ISSUER, "api").unwrap())
    }

    pub fn verifier(&self) -> Verifier {
        self.builder().build_with(self.ports()).unwrap()
    }

    /// A verifier that holds the provider's keys.
    pub async fn ready_verifier(&self) -> Verifier {
        let verifier = self.verifier();
        // A published key is found as soon as the set is fetched.
        let (id, seed) = self.provider.lock().keys[0].clone();
        verifier.verify(&self.token(&id, seed)).await.unwrap();
        verifier
    }

    /// Replaces the published keys.
    pub fn publish(&self, keys: &[(&str, u8)]) {
        self.provider.lock().keys = keys
            .iter()
            .map(|(id, seed)| ((*id).to_owned(), *seed))
            .collect();
    }

    pub fn answer(&self, document: Document, answer: Answer) {
        self.provider.lock().answers.insert(document, answer);
    }

    /// Sets the same answer for metadata and keys.
    pub fn answer_all(&self, answer: &Answer) {
        for document in [Document::OpenId, Document::OAuth, Document::Keys] {
            self.answer(document, answer.clone());
        }
    }

    pub fn cache_control(&self, value: &str) {
        self.provider.lock().cache_control = Some(value.to_owned());
    }

    pub fn user_info(&self, info: &Value) {
        self.answer(Document::UserInfo, Answer::Body(info.to_string()));
    }

    /// How often a document was asked for.
    pub fn requests(&self, document: Document) -> usize {
        let provider = self.provider.lock();
        provider.requests.get(&document).copied().unwrap_or(0)
    }

    /// How many signatures were checked.
    pub fn signature_checks(&self) -> usize {
        self.signatures.checks.load(Ordering::Relaxed)
    }

    /// Sets the wall clock back, as an operator or a time server may.
    pub fn set_clock_back(&self, by: Duration) {
        *self.clock.start.lock().unwrap() -= by;
    }

    pub fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// The requests that began the present tasks have ended: no task goes on, and none
    /// is dropped.
    pub fn freeze_tasks(&self) {
        let mut frozen = self.clock.are_tasks_frozen.lock().unwrap();
        std::mem::take(&mut *frozen).store(true, Ordering::Relaxed);
    }

    /// Whether there is anything to run tasks on.
    pub fn run_tasks(&self, are_run: bool) {
        let is_without = &self.clock.is_without_tasks;
        is_without.store(!are_run, Ordering::Relaxed);
    }

    /// A token that is valid for a day, signed with a key.
    pub fn token(&self, key_id: &str, seed: u8) -> AccessToken {
        self.token_with(Some(key_id), seed, json!({}))
    }

    /// A token with further claims.
    pub fn token_with(&self, key_id: Option<&str>, seed: u8, more: Value) -> AccessToken {
        let mut header = json!({"alg": "EdDSA", "typ": "at+jwt"});
        if let Some(id) = key_id {
            header["kid"] = id.into();
        }
        let now = self.now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let mut claims = json!({
            "iss": ISSUER, "aud": "api", "sub": "alice", "client_id": "app",
            "exp": now.as_secs() + 24 * 60 * 60,
        });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let parts = [
            header.to_string().into_bytes(),
            claims.to_string().into_bytes(),
            vec![seed; 32],
        ];
        AccessToken::new(parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")).unwrap()
    }
}

/// How long the client is asked to wait. Panics on any other outcome.
#[track_caller]
pub fn retry_after<T: std::fmt::Debug>(outcome: Result<T, Error>) -> Duration {
    match outcome {
        Err(Error::Unavailable { retry_after }) => retry_after,
        other => panic!("not an outage: {other:?}"),
    }
}

pub fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[derive(Default)]
struct FakeProvider(Mutex<ProviderState>);

#[derive(Default)]
struct ProviderState {
    keys: Vec<(String, u8)>,
    answers: HashMap<Document, Answer>,
    cache_control: Option<String>,
    requests: HashMap<Document, usize>,
}

impl FakeProvider {
    fn lock(&self) -> MutexGuard<'_, ProviderState> {
        self.0.lock().unwrap()
    }
}

impl ProviderState {
    fn right_body(&self, document: Document) -> String {
        match document {
            Document::OpenId | Document::OAuth => json!({
                "issuer": ISSUER,
                "jwks_uri": format!("{ISSUER}/keys"),
                "userinfo_endpoint": format!("{ISSUER}/userinfo"),
            }),
            Document::Keys => json!({ "keys": self.keys.iter().map(|(id, seed)| json!({
                "kty": "OKP", "crv": "Ed25519", "kid": id,
                "x": URL_SAFE_NO_PAD.encode([*seed; 32]),
            })).collect::<Vec<_>>() }),
            Document::UserInfo => json!({"sub": "alice"}),
        }
        .to_string()
    }
}

impl Fetch for FakeProvider {
    fn fetch<'a>(
        &'a self,
        request: FetchRequest<'a>,
    ) -> BoxFuture<'a, Result<FetchResponse, FetchError>> {
        Box::pin(async move {
            let document = match request.url.strip_prefix(ISSUER) {
                Some("/.well-known/openid-configuration") => Document::OpenId,
                Some("/.well-known/oauth-authorization-server") => Document::OAuth,
                Some("/keys") => Document::Keys,
                Some("/userinfo") => Document::UserInfo,
                _ => panic!("nobody should ask for {}", request.url),
            };
            // A provider answers with what it knows when the request arrives.
            let (answer, right_body, cache_control) = {
                let mut state = self.lock();
                *state.requests.entry(document).or_default() += 1;
                let answer = state.answers.get(&document);
                (
                    answer.cloned().unwrap_or(Answer::Right),
                    state.right_body(document),
                    state.cache_control.clone(),
                )
            };
            let (status, body) = match answer {
                Answer::Right => (200, right_body),
                Answer::Slow(delay) => {
                    tokio::time::sleep(delay.min(request.timeout)).await;
                    if delay >= request.timeout {
                        return Err(FetchError::TimedOut);
                    }
                    (200, right_body)
                }
                Answer::Hang => std::future::pending().await,
                Answer::Panic => panic!("a bug of the port"),
                Answer::Down => return Err(FetchError::Connection("refused".into())),
                Answer::Status(status) => (status, String::new()),
                Answer::Body(body) => (200, body),
            };
            if body.len() > request.max_bytes {
                return Err(FetchError::TooLarge);
            }
            Ok(FetchResponse {
                status,
                cache_control: cache_control.filter(|_| document == Document::Keys),
                body: body.into_bytes(),
            })
        })
    }
}

struct FakeRuntime {
    began: Instant,
    /// What the wall clock showed when the test began.
    start: Mutex<SystemTime>,
    patience: Option<Duration>,
    are_tasks_frozen: Mutex<Arc<AtomicBool>>,
    is_without_tasks: AtomicBool,
}

/// A task that may be frozen.
struct Task {
    task: BoxFuture<'static, ()>,
    is_frozen: Arc<AtomicBool>,
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_frozen.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        self.task.as_mut().poll(cx)
    }
}

impl Runtime for FakeRuntime {
    fn now(&self) -> SystemTime {
        *self.start.lock().unwrap() + self.began.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) -> bool {
        if self.is_without_tasks.load(Ordering::Relaxed) {
            return false;
        }
        let is_frozen = self.are_tasks_frozen.lock().unwrap().clone();
        tokio::spawn(Task { task, is_frozen });
        true
    }

    fn patience(&self) -> Option<Duration> {
        self.patience
    }
}

/// For the test, a signature is right when it repeats the public key.
#[derive(Default)]
struct FakeSignatures {
    checks: Arc<AtomicUsize>,
}

/// The seed of a key that can't be made ready for use.
pub const UNUSABLE: u8 = 0;

impl SignatureCheck for FakeSignatures {
    fn prepare<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Option<Box<dyn PreparedKey>>> {
        let KeyMaterial::Ed25519 { x } = key.material() else {
            return Box::pin(std::future::ready(None));
        };
        let prepared = (x[0] != UNUSABLE).then(|| {
            Box::new(FakeKey {
                x: x.clone(),
                checks: Arc::clone(&self.checks),
            }) as Box<dyn PreparedKey>
        });
        Box::pin(std::future::ready(prepared))
    }
}

struct FakeKey {
    x: Vec<u8>,
    checks: Arc<AtomicUsize>,
}

impl PreparedKey for FakeKey {
    fn check<'a>(
        &'a self,
        _: Algorithm,
        _: &'a [u8],
        signature: &'a [u8],
    ) -> BoxFuture<'a, Option<SignatureValid>> {
        self.checks.fetch_add(1, Ordering::Relaxed);
        let is_right = self.x == signature;
        Box::pin(std::future::ready(is_right.then(SignatureValid::assertion)))
    }
}
