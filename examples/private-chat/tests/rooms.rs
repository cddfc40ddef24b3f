//! What members of a room are told about each other, and who becomes its owner.

use std::time::SystemTime;

use agents_oauth2_jwt_bearer::{AuthOptions, BearerAuth, RoomOwnership, WithAuth, WithOwnership};
use http::{Method, StatusCode};
use local_issuer::LocalIssuer;
use partyserver::testing::{TestRoom, TestSocket};
use partyserver::{Body, Close, Handshake, IntoServer, Request, Response};
use private_chat::Chat;
use serde_json::{Value, json};

/// A room behind an issuer of its own.
struct Fixture {
    issuer: LocalIssuer,
    room: TestRoom,
}

impl Fixture {
    async fn new<S: IntoServer>(
        party: &str,
        server: impl Fn(AuthOptions) -> S + Send + Sync + 'static,
    ) -> Self {
        let issuer = LocalIssuer::builder().start().await.unwrap();
        let options = BearerAuth::builder().issuer(issuer.url()).audience("api");
        let options = AuthOptions::new(options.build().unwrap());
        let room = TestRoom::new(party, "room", move || server(options.clone()));
        Self { issuer, room }
    }

    async fn connect(&mut self, user: &str, query: &str) -> TestSocket {
        let token = self.issuer.token().subject(user).sign();
        let handshake = http::Request::get(format!("http://test/{query}"));
        let handshake: Handshake = handshake
            .header("authorization", format!("Bearer {token}"))
            .body(())
            .unwrap();
        self.room.connect_with(handshake).await.unwrap()
    }

    async fn request(&mut self, user: &str, method: Method, path: &str) -> Response {
        let token = self.issuer.token().subject(user).sign();
        let request = http::Request::builder()
            .method(method)
            .uri(format!("http://test/parties/party/room{path}"))
            .header("authorization", format!("Bearer {token}"));
        let request: Request = request.body(Body::empty()).unwrap();
        self.room.request(request).await.unwrap()
    }
}

async fn shared() -> Fixture {
    Fixture::new("shared-chat", |options| {
        WithAuth::new(Chat::Shared, options)
    })
    .await
}

async fn private() -> Fixture {
    Fixture::new("private-chat", |options| {
        WithAuth::new(WithOwnership::new(Chat::Private), options)
    })
    .await
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// What a client has received.
fn received(socket: &TestSocket) -> Vec<Value> {
    let messages = socket.received();
    messages
        .iter()
        .map(|message| message.json().unwrap())
        .collect()
}

fn id(socket: &TestSocket) -> String {
    socket.connection().unwrap().id().to_owned()
}

#[tokio::test]
async fn members_are_listed_on_arrival_and_told_of_who_comes_and_goes() {
    let mut chat = shared().await;
    let alice = chat.connect("alice", "").await;
    let since = millis(chat.room.now());
    let member =
        |socket: &TestSocket, sub: &str| json!({ "id": id(socket), "sub": sub, "since": since });
    let welcome = received(&alice).remove(0);
    assert_eq!(welcome["members"], json!([member(&alice, "alice")]));
    assert_eq!(
        (&welcome["owner"], &welcome["claims"]["sub"]),
        (&json!(null), &json!("alice"))
    );
    assert!(welcome["validForSeconds"].as_f64().unwrap() > 0.0);

    let bob = chat.connect("bob", "").await;
    let both = json!([member(&alice, "alice"), member(&bob, "bob")]);
    assert_eq!(received(&bob)[0]["members"], both);
    assert_eq!(
        received(&alice),
        [json!({ "type": "joined", "member": member(&bob, "bob") })]
    );

    chat.room.close(&bob, 1000, "").await.unwrap();
    assert_eq!(
        received(&alice),
        [json!({ "type": "left", "id": id(&bob) })]
    );
}

#[tokio::test]
async fn members_are_the_same_after_a_hibernation() {
    let mut chat = shared().await;
    let alice = chat.connect("alice", "").await;
    let before = received(&alice)[0]["members"][0].clone();
    chat.room.hibernate();
    let bob = chat.connect("bob", "").await;
    assert_eq!(received(&bob)[0]["members"][0], before);
}

#[tokio::test]
async fn one_of_two_connections_under_an_id_leaves_unnoticed() {
    let mut chat = shared().await;
    let bob = chat.connect("bob", "").await;
    let first = chat.connect("alice", "?_pk=both").await;
    let second = chat.connect("alice", "?_pk=both").await;
    assert_eq!((&*id(&first), &*id(&second)), ("both", "both"));
    received(&bob);
    chat.room.close(&first, 1000, "").await.unwrap();
    assert_eq!(received(&bob), Vec::<Value>::new());
    chat.room.close(&second, 1000, "").await.unwrap();
    assert_eq!(received(&bob), [json!({ "type": "left", "id": "both" })]);
}

#[tokio::test]
async fn a_message_carries_its_verified_author_whatever_it_says_itself() {
    let mut chat = shared().await;
    let alice = chat.connect("alice", "").await;
    let bob = chat.connect("bob", "").await;
    received(&bob);
    let text = r#"{"type":"message","from":"bob"}"#;
    chat.room.send(&alice, text).await.unwrap();
    let message = &received(&bob)[0];
    assert_eq!(
        (&message["from"], &message["text"]),
        (&json!("alice"), &json!(text))
    );
    assert_eq!(message["at"], millis(chat.room.now()));
}

#[tokio::test]
async fn a_binary_message_closes_its_sender_alone() {
    let mut chat = shared().await;
    let alice = chat.connect("alice", "").await;
    let bob = chat.connect("bob", "").await;
    chat.room.send(&alice, vec![0xff]).await.unwrap();
    assert_eq!(alice.closed(), Some(Close::new(1003, "text only")));
    assert_eq!(bob.closed(), None);
}

#[tokio::test]
async fn a_private_room_is_claimed_once() {
    let mut chat = private().await;
    let refused = chat.connect("alice", "").await;
    assert_eq!(
        refused.closed(),
        Some(Close::new(1008, "This chat is not yours."))
    );
    for (user, status) in [
        ("alice", StatusCode::OK),
        ("alice", StatusCode::OK),
        ("bob", StatusCode::CONFLICT),
    ] {
        let answer = chat.request(user, Method::POST, "/claim").await;
        assert_eq!(answer.status(), status, "{user}");
    }
    let alice = chat.connect("alice", "").await;
    assert_eq!(received(&alice)[0]["owner"], "alice");
    assert!(chat.connect("bob", "").await.closed().is_some());
}

#[tokio::test]
async fn a_shared_room_has_no_owner_and_loses_nobody_to_a_claim() {
    let mut chat = shared().await;
    let bob = chat.connect("bob", "").await;
    chat.request("alice", Method::POST, "/claim").await;
    assert_eq!(chat.room.room().owner().await.unwrap(), None);
    assert_eq!(bob.closed(), None);
}
