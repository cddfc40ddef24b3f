//! A party's gate: its options, and the questions that the router asks its server.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use partyserver::host::Finish;
use partyserver::host::gate::{AnyGate, Gate};
use partyserver::*;

#[derive(Default)]
struct Door {
    started: Arc<AtomicU32>,
}

impl Server for Door {
    fn on_party_start(&self) {
        self.started.fetch_add(1, Ordering::Relaxed);
    }

    fn readiness(&self) -> Readiness {
        Readiness::NotReady(Cow::Borrowed("no keys"))
    }

    fn cors(&self) -> Cors {
        custom("https://server.example")
    }

    fn answer_headers(&self, uri: &Uri) -> HeaderMap {
        let path = HeaderValue::from_str(uri.path()).unwrap();
        HeaderMap::from_iter([(http::header::LOCATION, path)])
    }

    async fn on_before_request(&self, lobby: &Lobby, request: Request) -> Result<RequestGate> {
        match lobby.room_name() {
            "closed" => {
                let answer = answer::text(StatusCode::FORBIDDEN, "closed");
                Ok(RequestGate::Answer(answer))
            }
            "fails" => Err(Error::msg("as asked")),
            _ => Ok(RequestGate::Admit(request)),
        }
    }
}

fn custom(origin: &'static str) -> Cors {
    let origin = HeaderValue::from_static(origin);
    Cors::custom(HeaderMap::from_iter([(
        ACCESS_CONTROL_ALLOW_ORIGIN,
        origin,
    )]))
}

fn gate(options: PartyOptions) -> Gate<Door> {
    Gate::new("door".into(), options, Door::default())
}

#[test]
fn cors_is_as_the_options_say() {
    let own = CorsOption::Custom(custom("https://options.example"));
    for (option, origin) in [
        (CorsOption::Off, None),
        (CorsOption::Default, Some("https://server.example")),
        (own, Some("https://options.example")),
    ] {
        let gate = gate(PartyOptions::new().cors(option));
        let finish = Finish::new(gate.cors().cloned(), &HeaderMap::new(), HeaderMap::new());
        assert_eq!(finish.has_cors(), origin.is_some());
        let answer = finish.apply(Response::default());
        let told = answer.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(told.map(|told| told.to_str().unwrap()), origin);
        assert!(!answer.headers().contains_key(ACCESS_CONTROL_MAX_AGE));
    }
}

#[test]
fn its_server_is_asked_for_the_rest() {
    let started = Arc::<AtomicU32>::default();
    let door = Door {
        started: Arc::clone(&started),
    };
    let gate = Gate::new("door".into(), PartyOptions::new().max_body(7), door);
    assert_eq!((&**gate.name(), gate.options().max_body), ("door", 7));
    assert_eq!(started.load(Ordering::Relaxed), 0);
    gate.start();
    assert_eq!(started.load(Ordering::Relaxed), 1);
    assert_eq!(gate.readiness(), Readiness::NotReady("no keys".into()));
    let headers = gate.answer_headers(&Uri::from_static("http://test/a?b"));
    assert_eq!(headers[http::header::LOCATION], "/a");
}

#[tokio::test]
async fn its_server_decides_on_requests_and_admits_upgrades_by_default() {
    let gate = gate(PartyOptions::new());
    let asked = async |room: &str| {
        let lobby = Lobby::new(gate.name().clone(), room, SystemTime::UNIX_EPOCH);
        gate.before_request(&lobby, Request::default()).await
    };
    assert!(matches!(asked("open").await, Ok(RequestGate::Admit(_))));
    assert!(matches!(asked("closed").await, Ok(RequestGate::Answer(_))));
    assert!(asked("fails").await.is_err());
    let lobby = Lobby::new("door", "closed", SystemTime::UNIX_EPOCH);
    let outcome = gate.before_connect(&lobby, Handshake::new(())).await;
    assert!(matches!(outcome, Ok(ConnectGate::Admit(_))));
}
