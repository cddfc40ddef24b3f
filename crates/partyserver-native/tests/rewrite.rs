//! The application's `rewrite` sees the same as its hooks: an absolute URL, no internal
//! headers, and no request for a foreign host.

mod support;

use std::sync::{Arc, Mutex};

use http::StatusCode;
use partyserver::*;
use partyserver_native::Parties;
use support::TestServer;

struct Plain;

impl Server for Plain {
    async fn on_request(&mut self, _: &Context, request: Request) -> Result<Response> {
        Ok(answer::text(StatusCode::OK, request.uri().to_string()))
    }
}

#[tokio::test]
async fn it_sees_an_absolute_url_and_no_internal_headers() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let server = {
        let seen = Arc::clone(&seen);
        let parties = Parties::new().party("plain", || Plain);
        TestServer::start(parties.rewrite(move |head| {
            let internal = ["x-partykit-props", "x-forwarded-for", "forwarded"];
            let has_internal = internal.iter().any(|name| head.headers.contains_key(*name));
            seen.lock()
                .unwrap()
                .push(format!("{} {has_internal}", head.uri));
            if head.uri.path() == "/mine" {
                head.uri = http::Uri::from_static("/parties/plain/a");
            }
        }))
        .await
    };
    let internal = [
        ("X-PartyKit-Props", "e30"),
        ("X-Forwarded-For", "6.6.6.6"),
        ("Forwarded", "for=6.6.6.6"),
    ];
    let answer = server.send("GET /mine HTTP/1.1", &internal).await;
    let url = "http://localhost/parties/plain/a".to_owned();
    assert_eq!((answer.status, answer.body), (200, url));
    let strange = [("Host", "evil.example")];
    assert_eq!(
        server.send("GET /mine HTTP/1.1", &strange).await.status,
        421
    );
    assert_eq!(*seen.lock().unwrap(), ["http://localhost/mine false"]);
}
