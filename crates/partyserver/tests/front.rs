//! From a head to an answer: the order of the steps, on a site that writes them down.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, CONTENT_LENGTH,
    HOST, ORIGIN, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::{Builder, Parts};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use partyserver::host::failure::Failure;
use partyserver::host::front::{Brought, Site, Visit, answer};
use partyserver::host::gate::{AnyGate, Gate};
use partyserver::host::routes::Routes;
use partyserver::host::upgrade;
use partyserver::*;

/// The steps that were taken, in order.
#[derive(Clone, Default)]
struct Steps(Arc<Mutex<Vec<&'static str>>>);

impl Steps {
    fn add(&self, step: &'static str) {
        self.0.lock().unwrap().push(step);
    }

    fn take(&self) -> String {
        std::mem::take(&mut *self.0.lock().unwrap()).join(" ")
    }
}

/// Decides by the room's name.
struct Guard(Steps);

impl Guard {
    fn decide(&self, lobby: &Lobby) -> Result<bool> {
        self.0.add("gate");
        match lobby.room_name() {
            "fails" => Err(Error::msg("the cause")),
            name => Ok(name != "refused"),
        }
    }
}

impl Server for Guard {
    fn answer_headers(&self, uri: &Uri) -> HeaderMap {
        let query = uri.query().unwrap_or("none").parse().unwrap();
        HeaderMap::from_iter([(CACHE_CONTROL, query)])
    }

    async fn on_before_request(&self, lobby: &Lobby, request: Request) -> Result<RequestGate> {
        let is_known = request.extensions().get::<Attachments>().is_some();
        assert!(is_known, "a hook finds whose request it is");
        Ok(match self.decide(lobby)? {
            true => RequestGate::Admit(request),
            false => RequestGate::Answer(answer::text(StatusCode::FORBIDDEN, "no")),
        })
    }

    async fn on_before_connect(&self, lobby: &Lobby, handshake: Handshake) -> Result<ConnectGate> {
        assert!(handshake.extensions().get::<Attachments>().is_some());
        Ok(match self.decide(lobby)? {
            true => ConnectGate::Admit(handshake),
            false => {
                let answer = answer::text(StatusCode::FORBIDDEN, "no");
                ConnectGate::Refuse(Refusal::http(answer))
            }
        })
    }
}

struct Tiny {
    steps: Steps,
    routes: Routes,
    gates: Vec<Box<dyn AnyGate>>,
    is_stopping: bool,
    problems: Vec<String>,
}

impl Tiny {
    fn new() -> Self {
        let steps = Steps::default();
        let mut routes = Routes::new();
        let gate = |name, options: PartyOptions| -> Box<dyn AnyGate> {
            Box::new(Gate::new(name, options.max_body(4), Guard(steps.clone())))
        };
        let open = PartyOptions::new().cors(CorsOption::Default);
        let gates = vec![
            gate(routes.register("open"), open),
            gate(routes.register("closed"), PartyOptions::new()),
        ];
        let seen = steps.clone();
        routes.set_rewrite(move |head| {
            seen.add("rewrite");
            assert!(!head.headers.contains_key("x-partykit-props"));
            assert_eq!(head.uri.authority().unwrap(), "rooms.example");
            if head.uri.path() == "/moved" {
                head.uri = "/parties/closed/moved".parse().unwrap();
            }
        });
        let seen = steps.clone();
        routes.set_fallback(move |_| {
            seen.add("fallback");
            std::future::ready(answer::text(StatusCode::IM_A_TEAPOT, "mine"))
        });
        Self {
            steps,
            routes,
            gates,
            is_stopping: false,
            problems: Vec::new(),
        }
    }
}

impl Site for Tiny {
    type Client = ();
    type Upgrade = ();
    type Answer = Response;

    fn routes(&self) -> &Routes {
        &self.routes
    }
    fn parties(&self) -> usize {
        self.gates.len()
    }
    fn gate(&self, party: usize) -> &dyn AnyGate {
        &*self.gates[party]
    }
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
    fn random_id(&self) -> String {
        "id".to_owned()
    }
    fn max_head(&self) -> usize {
        4096
    }
    fn body_time(&self) -> Duration {
        Duration::ZERO
    }
    fn is_stopping(&self) -> bool {
        self.is_stopping
    }
    fn believe(&self, head: &mut Parts) -> Result<(), Box<Response>> {
        self.steps.add("believe");
        let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
        if host != Some("rooms.example") {
            return Err(Box::new(answer::text(
                StatusCode::MISDIRECTED_REQUEST,
                "no",
            )));
        }
        head.uri = format!("https://rooms.example{}", head.uri)
            .parse()
            .unwrap();
        Ok(())
    }
    fn problems(&self) -> BoxFuture<'_, Vec<String>> {
        self.steps.add("problems");
        Box::pin(std::future::ready(self.problems.clone()))
    }
    fn guarded<'a, T: MaybeSend + 'a>(
        &'a self,
        _: Duration,
        hook: BoxFuture<'a, Result<T>>,
    ) -> BoxFuture<'a, Result<T, Failure>> {
        Box::pin(async { hook.await.map_err(Failure::Hook) })
    }
    fn timed<'a>(
        &'a self,
        _: Duration,
        body: BoxFuture<'a, Result<Bytes, BodyError>>,
    ) -> BoxFuture<'a, Option<Result<Bytes, BodyError>>> {
        self.steps.add("body");
        Box::pin(async {
            match body.await {
                Ok(bytes) if bytes == "slow" => None,
                read => Some(read),
            }
        })
    }
    fn routed(&self, visit: &Visit) {
        assert_eq!(visit.lobby.party(), &**self.gate(visit.party).name());
        self.steps.add("routed");
    }
    fn upgrade(&self, head: &mut Parts, (): (), _: &Visit) -> Result<(), Box<Response>> {
        self.steps.add("upgrade");
        upgrade::check(&head.method, &head.headers, &Subprotocols::FirstOffered).map(drop)
    }
    fn request<'a>(&'a self, _: &'a Visit, request: Request) -> BoxFuture<'a, Brought<Response>> {
        self.steps.add("room");
        assert!(request.body().is_whole(), "nobody waits for it in a room");
        assert!(request.extensions().get::<Attachments>().is_some());
        Box::pin(std::future::ready(Brought::Answer(Response::default())))
    }
    fn connect<'a>(
        &'a self,
        _: &'a Visit,
        handshake: Handshake,
        (): (),
    ) -> BoxFuture<'a, Brought<Response>> {
        self.steps.add("join");
        assert!(handshake.extensions().get::<Attachments>().is_some());
        let mut switching = Response::default();
        *switching.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        Box::pin(std::future::ready(Brought::Done(switching)))
    }
    fn refuse(&self, refusal: Refusal, (): ()) -> Brought<Response> {
        self.steps.add("refuse");
        Brought::Answer(refusal.into_response())
    }
    fn respond(&self, answer: Response) -> Response {
        answer
    }
}

fn get(path: &str) -> Builder {
    http::Request::get(path)
        .header(HOST, "rooms.example")
        .header("x-partykit-props", "forged")
}

fn upgrade(path: &str) -> Builder {
    get(path)
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==")
}

fn preflight(path: &str) -> Builder {
    get(path)
        .method(Method::OPTIONS)
        .header(ORIGIN, "https://app.example")
        .header(ACCESS_CONTROL_REQUEST_METHOD, "GET")
}

async fn answered(site: &Tiny, request: Builder, body: Body) -> Response {
    let (head, body) = request.body(body).unwrap().into_parts();
    answer(site, head, move |_| body).await
}

/// A body that has not arrived completely.
fn streamed(text: &'static str) -> Body {
    Body::stream(Body::from(text))
}

/// A body that turns out to be too large.
fn too_large() -> Body {
    struct TooLarge;
    impl http_body::Body for TooLarge {
        type Data = Bytes;
        type Error = BodyError;
        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, BodyError>>> {
            std::task::Poll::Ready(Some(Err(BodyError::TooLarge)))
        }
    }
    Body::stream(TooLarge)
}

/// What is sent, the status of the answer, and the steps that were taken. A last step
/// that begins with `=` means that the party's headers are on the answer.
type Row = (&'static str, Builder, Body, u16, &'static str);

async fn check(site: &Tiny, rows: impl IntoIterator<Item = Row>) {
    for (what, request, body, status, steps) in rows {
        let answer = answered(site, request, body).await;
        assert_eq!(answer.status().as_u16(), status, "{what}");
        let is_finished = answer.headers().get(CACHE_CONTROL) == Some(&"own".parse().unwrap());
        let mark = if is_finished { "= " } else { "" };
        let taken = site.steps.take();
        assert_eq!(format!("{mark}{taken}"), steps, "{what}");
    }
}

#[tokio::test]
async fn before_a_party_is_known() {
    let long = "x".repeat(5000);
    let name = format!("/parties/open/{}", "x".repeat(1025));
    let other = http::Request::get("/parties/open/a").header(HOST, "evil.example");
    let nothing = Body::empty;
    let large = get("/parties/open/a").header("x", &long);
    #[rustfmt::skip]
    let rows = [
        ("a head over the limit", large, nothing(), 431, ""),
        ("a URL over the limit", get(&format!("/{long}")), nothing(), 414, ""),
        ("another's name", other, nothing(), 421, "believe"),
        ("health", get("/healthz"), nothing(), 200, "believe rewrite"),
        ("readiness", get("/readyz"), nothing(), 200, "believe rewrite problems"),
        ("an unknown party", get("/parties/no/a"), nothing(), 400, "believe rewrite"),
        ("an upgrade to one", upgrade("/parties/no/a"), nothing(), 400, "believe rewrite"),
        ("a long name", get(&name), nothing(), 414, "believe rewrite"),
        ("the application's own", get("/other"), nothing(), 418, "believe rewrite fallback"),
        ("a path of its own", get("/moved"), nothing(), 200, "believe rewrite routed gate room"),
    ];
    check(&Tiny::new(), rows).await;
}

#[tokio::test]
async fn requests_to_a_party() {
    let (open, refused) = ("/parties/open/a?own", "/parties/open/refused?own");
    let closed = "/parties/closed/refused?own";
    let lengthy = || get(refused).header(CONTENT_LENGTH, "5");
    let nothing = Body::empty;
    #[rustfmt::skip]
    let rows = [
        ("a preflight, before the gate", preflight(refused), nothing(), 200, "= believe rewrite routed"),
        ("one where CORS is off", preflight(closed), nothing(), 403, "= believe rewrite routed gate"),
        ("a length over the limit", lengthy(), nothing(), 413, "= believe rewrite routed"),
        ("a refusal, its body unread", get(refused), too_large(), 403, "= believe rewrite routed gate"),
        ("a gate that fails", get("/parties/open/fails?own"), nothing(), 500, "= believe rewrite routed gate"),
        ("a body over the limit", get(open), too_large(), 413, "= believe rewrite routed gate body"),
        ("a body that takes too long", get(open), streamed("slow"), 408, "= believe rewrite routed gate body"),
        ("a body that comes", get(open), streamed("soon"), 200, "= believe rewrite routed gate body room"),
        ("a body that is here", get(open), "here".into(), 200, "= believe rewrite routed gate room"),
    ];
    check(&Tiny::new(), rows).await;
}

#[tokio::test]
async fn upgrades_to_a_party() {
    let (open, refused) = ("/parties/open/a?own", "/parties/open/refused?own");
    let mut bad = upgrade(refused);
    let version = HeaderValue::from_static("8");
    bad.headers_mut()
        .unwrap()
        .insert(SEC_WEBSOCKET_VERSION, version);
    let fails = upgrade("/parties/open/fails?own");
    let nothing = Body::empty;
    #[rustfmt::skip]
    let rows = [
        ("a bad one, before the gate", bad, nothing(), 426, "= believe rewrite routed upgrade"),
        ("a refusal", upgrade(refused), nothing(), 403, "= believe rewrite routed upgrade gate refuse"),
        ("a gate that fails", fails, nothing(), 500, "= believe rewrite routed upgrade gate refuse"),
        // The 101 belongs to the host, and nothing is put on it.
        ("one that joins", upgrade(open), nothing(), 101, "believe rewrite routed upgrade gate join"),
    ];
    check(&Tiny::new(), rows).await;
}

#[tokio::test]
async fn cors_is_on_every_answer_of_a_party_but_a_101() {
    let site = Tiny::new();
    for (path, allowed) in [
        ("/parties/open/a", true),
        ("/parties/open/refused", true),
        ("/parties/open/fails", true),
        ("/parties/closed/a", false),
        ("/parties/no/a", false),
        ("/other", false),
    ] {
        let answer = answered(&site, get(path), Body::empty()).await;
        let origin = answer.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(origin.is_some(), allowed, "{path}");
    }
    let joined = answered(&site, upgrade("/parties/open/a"), Body::empty()).await;
    assert!(!joined.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
}

#[tokio::test]
async fn a_failure_is_told_by_an_id_alone() {
    let answer = answered(&Tiny::new(), get("/parties/open/fails"), Body::empty()).await;
    let body = answer.into_body().bytes().await.unwrap();
    assert_eq!(body, "Internal server error (id)");
}

#[tokio::test]
async fn a_site_that_stops_serves_nothing() {
    let mut site = Tiny::new();
    site.is_stopping = true;
    for path in ["/healthz", "/parties/open/a", "/other"] {
        let answer = answered(&site, get(path), Body::empty()).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
    assert_eq!(site.steps.take(), "");
}

#[tokio::test]
async fn readiness_names_each_reason_once() {
    let mut site = Tiny::new();
    site.problems = vec!["the store is closed".into()];
    let answer = answered(&site, get("/readyz"), Body::empty()).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()[CACHE_CONTROL], "no-store");
    let body = answer.into_body().read_json::<serde_json::Value>().await;
    let expected = serde_json::json!({ "ready": false, "reasons": ["the store is closed"] });
    assert_eq!(body.unwrap(), expected);
}
