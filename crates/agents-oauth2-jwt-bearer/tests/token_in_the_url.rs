//! When a request has a token in its URL, every answer keeps that URL out of caches and
//! of `Referer` headers (RFC 6750 section 2.3), whoever answers.

mod support;

use agents_oauth2_jwt_bearer::{AuthOptions, RefusalForm, WithAuth, WithOwnership};
use http::StatusCode;
use partyserver::*;
use partyserver_native::Parties;
use support::TestServer;

/// Does what the path says.
struct Obedient;

impl Obedient {
    fn obey(path: &str, place: &str) -> Result<()> {
        match path.rsplit_once('/') {
            Some((_, what)) if what == format!("{place}-fails") => Err(Error::msg("as asked")),
            Some((_, what)) if what == format!("{place}-panics") => panic!("as asked"),
            _ => Ok(()),
        }
    }
}

impl Server for Obedient {
    async fn on_before_request(&self, _: &Lobby, request: Request) -> Result<RequestGate> {
        Self::obey(request.uri().path(), "gate")?;
        if request.uri().path().ends_with("/gate-answers") {
            return Ok(RequestGate::Answer(answer::text(
                StatusCode::OK,
                "from the gate",
            )));
        }
        Ok(RequestGate::Admit(request))
    }
    async fn on_before_connect(&self, _: &Lobby, handshake: Handshake) -> Result<ConnectGate> {
        if handshake.uri().path().ends_with("/gate-refuses") {
            let answer = answer::text(StatusCode::FORBIDDEN, "from the gate");
            return Ok(ConnectGate::Refuse(Refusal::http(answer)));
        }
        Ok(ConnectGate::Admit(handshake))
    }
    async fn on_admit(&mut self, _: &Context, _: &Handshake) -> Result<Admission> {
        let answer = answer::text(StatusCode::FORBIDDEN, "from the room");
        Ok(Admission::Refuse(Refusal::http(answer)))
    }
    async fn on_request(&mut self, _: &Context, request: Request) -> Result<Response> {
        Self::obey(request.uri().path(), "room")?;
        Ok(answer::text(StatusCode::OK, "from the room"))
    }
}

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test]
async fn whoever_answers_the_url_is_protected() {
    let parties = |options: AuthOptions| {
        let (open, owned) = (options.clone(), options);
        let cors = PartyOptions::new().cors(CorsOption::Default);
        Parties::new()
            .party_with("open", cors, move || WithAuth::new(Obedient, open.clone()))
            .party("owned", move || {
                WithAuth::new(WithOwnership::new(Obedient), owned.clone())
            })
    };
    // Refusals of upgrades have headers only in their HTTP form.
    let in_http = |options: AuthOptions| options.refusal(RefusalForm::Handshake);
    let server = TestServer::start_with(in_http, parties).await;
    let token = server.issuer.token().sign();
    let bad_upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
    let preflight = "Origin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n";
    let too_large = "Content-Length: 99999999\r\n";
    for (line, headers, status) in [
        ("GET /parties/open/a", "", 200),
        ("GET /parties/open/a/gate-answers", "", 200),
        ("GET /parties/open/a/gate-fails", "", 500),
        ("GET /parties/open/a/gate-panics", "", 500),
        ("GET /parties/open/a/room-fails", "", 500),
        ("GET /parties/open/a/room-panics", "", 500),
        ("POST /parties/open/a", too_large, 413),
        ("OPTIONS /parties/open/a", preflight, 200),
        ("GET /parties/open/a", bad_upgrade, 400),
        ("GET /parties/open/a", UPGRADE, 403),
        ("GET /parties/open/a/gate-refuses", UPGRADE, 403),
        // Nobody owns these rooms.
        ("GET /parties/owned/a", "", 403),
        ("GET /parties/owned/a", UPGRADE, 403),
    ] {
        let with_token = format!("{line}?access_token={token} HTTP/1.1\r\n{headers}");
        let answer = server.send(&with_token).await.to_lowercase();
        assert!(
            answer.starts_with(&format!("http/1.1 {status} ")),
            "{line} {headers}: {answer}"
        );
        for header in [
            "cache-control: private, no-store",
            "referrer-policy: no-referrer",
        ] {
            assert_eq!(
                answer.matches(header).count(),
                1,
                "{line} {headers}: {answer}"
            );
        }
        let without = format!("{line} HTTP/1.1\r\n{headers}Authorization: Bearer {token}\r\n");
        let answer = server.send(&without).await.to_lowercase();
        // The host's own answers always have these headers, because the host does not
        // know about tokens.
        assert_eq!(
            answer.contains("referrer-policy"),
            status == 500,
            "{line}: {answer}"
        );
    }
    let answer = server
        .send("GET /parties/open/a?access_token=bad HTTP/1.1\r\n")
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 401 ") && answer.contains("no-store"),
        "{answer}"
    );
}
