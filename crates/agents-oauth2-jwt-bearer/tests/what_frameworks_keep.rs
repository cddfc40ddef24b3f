//! A server that rooms are mounted in keeps things with each request. For example, axum
//! keeps the URL as it arrived, with the token in it. No hook behind the gate sees
//! these things, whatever features are on.

use agents_oauth2_jwt_bearer::{Anonymous, AuthOptions, AuthRequest, BearerAuth, WithAuth};
use http::Uri;
use local_issuer::LocalIssuer;
use partyserver::testing::TestRoom;
use partyserver::*;

/// What a framework keeps.
#[derive(Clone)]
struct AsItCame(#[expect(dead_code, reason = "kept, as a framework does")] Uri);

/// Answers with what its hooks find.
struct Looking;

/// What is among a request's extensions, and whose request it is.
fn found<B>(request: &http::Request<B>) -> String {
    let kept = request.extensions().get::<AsItCame>().is_some();
    let peer = request.extensions().get::<PeerAddress>().is_some();
    let subject = request.claims().map(|claims| claims.subject().to_owned());
    format!("kept {kept}, peer {peer}, {}", subject.unwrap_or_default())
}

impl Server for Looking {
    async fn on_before_request(&self, _: &Lobby, mut request: Request) -> Result<RequestGate> {
        let seen = found(&request);
        request.headers_mut().insert("x-gate", seen.parse()?);
        Ok(RequestGate::Admit(request))
    }

    async fn on_connect(
        &mut self,
        _: &Context,
        connection: &Connection,
        h: &Handshake,
    ) -> Result<()> {
        connection.send(found(h))?;
        Ok(())
    }

    async fn on_request(&mut self, _: &Context, request: Request) -> Result<Response> {
        let gate = request.headers()["x-gate"].to_str()?.to_owned();
        let seen = format!("gate: {gate}; room: {}", found(&request));
        Ok(answer::text(http::StatusCode::OK, seen))
    }
}

fn request<B>(token: &str, body: B) -> http::Request<B> {
    let uri: Uri = format!("http://test/parties/looking/a?access_token={token}")
        .parse()
        .unwrap();
    let mut request = http::Request::new(body);
    request.extensions_mut().insert(AsItCame(uri.clone()));
    request
        .extensions_mut()
        .insert(PeerAddress("203.0.113.7:4711".parse().unwrap()));
    *request.uri_mut() = uri;
    request
}

#[tokio::test]
async fn no_hook_sees_it_and_each_sees_the_caller() {
    let issuer = LocalIssuer::builder().start().await.unwrap();
    let bearer = BearerAuth::builder().issuer(issuer.url()).audience("api");
    let options = AuthOptions::new(bearer.build().unwrap());
    let mut room = TestRoom::new("looking", "a", move || {
        WithAuth::new(Looking, options.clone())
    });
    let token = issuer.token().sign();

    let answer = room.request(request(&token, Body::empty())).await.unwrap();
    let seen = answer.into_body().bytes().await.unwrap();
    let one = "kept false, peer true, alice";
    assert_eq!(seen, format!("gate: {one}; room: {one}"));

    let socket = room.connect_with(request(&token, ())).await.unwrap();
    assert_eq!(socket.received(), [one.into()]);
}

#[tokio::test]
async fn what_another_gate_attached_is_nobody_here() {
    let issuer = LocalIssuer::builder().start().await.unwrap();
    let bearer = BearerAuth::builder().issuer(issuer.url()).audience("api");
    let bearer = bearer.build().unwrap().anonymous(Anonymous::Allowed);
    let options = AuthOptions::new(bearer);
    let mut room = TestRoom::new("looking", "a", move || {
        WithAuth::new(Looking, options.clone())
    });
    let alice = issuer.token().sign();
    let socket = room.connect_with(request(&alice, ())).await.unwrap();
    let foreign = socket.connection().unwrap().attachments().clone();

    let bob = issuer.token().subject("bob").sign();
    for (token, subject) in [(bob.as_str(), "bob"), ("", "")] {
        let mut forwarded = request(token, Body::empty());
        forwarded.extensions_mut().insert(foreign.clone());
        let answer = room.request(forwarded).await.unwrap();
        let seen = answer.into_body().bytes().await.unwrap();
        let one = format!("kept false, peer true, {subject}");
        assert_eq!(seen, format!("gate: {one}; room: {one}"));
    }
}
