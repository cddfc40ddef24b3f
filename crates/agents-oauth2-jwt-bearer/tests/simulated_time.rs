//! Identities over time and sleep, tested without waiting, by `partyserver::testing`.

use std::time::Duration;

use agents_oauth2_jwt_bearer::{
    AuthConnection, AuthContext, AuthOptions, BearerAuth, Claim, Overwrite, RoomOwnership,
    WithAuth, WithOwnership,
};
use local_issuer::LocalIssuer;
use partyserver::testing::TestRoom;
use partyserver::*;

/// Echoes with the sender's name; says who leaves.
struct Named;

impl Server for Named {
    async fn on_message(
        &mut self,
        cx: &Context,
        from: &Connection,
        message: Message,
    ) -> Result<()> {
        from.send(format!(
            "{}: {}",
            cx.claims()?.subject(),
            message.as_text()?
        ))?;
        Ok(())
    }

    async fn on_close(
        &mut self,
        cx: &Context,
        connection: &Connection,
        _: CloseEvent,
    ) -> Result<()> {
        let who = connection
            .claims()
            .map(|claims| claims.subject().to_owned());
        cx.room()
            .broadcast(format!("{} left", who.unwrap_or_default()));
        Ok(())
    }
}

async fn issuer() -> (LocalIssuer, AuthOptions) {
    let issuer = LocalIssuer::builder().start().await.unwrap();
    let options = BearerAuth::builder().issuer(issuer.url()).audience("api");
    let options = AuthOptions::new(options.leeway(Duration::ZERO).build().unwrap());
    (issuer, options)
}

fn path(token: &str) -> String {
    format!("/parties/named/a?access_token={token}")
}

#[tokio::test]
async fn a_connection_ends_with_its_token_asleep_or_not() {
    let (issuer, options) = issuer().await;
    let minute = Duration::from_secs(60);
    for sleeps in [false, true] {
        let options = options.clone();
        let mut room = TestRoom::new("named", "a", move || WithAuth::new(Named, options.clone()));
        let brief = issuer.token().expires_in(5 * minute).sign();
        let long = issuer.token().subject("bob").expires_in(120 * minute);
        let socket = room.connect(&path(&brief)).await.unwrap();
        let watcher = room.connect(&path(&long.sign())).await.unwrap();
        if sleeps {
            room.hibernate();
        }
        room.advance(4 * minute).await.unwrap();
        room.send(&socket, "still me").await.unwrap();
        assert_eq!(socket.received(), ["alice: still me".into()]);
        if sleeps {
            room.hibernate();
        }
        room.advance(56 * minute).await.unwrap();
        assert_eq!(socket.closed(), Some(Close::new(3000, "token expired")));
        assert_eq!(watcher.received(), ["alice left".into()]);
        room.send(&socket, "from the grave").await.unwrap();
        assert_eq!(socket.received(), []);
        // An hour has passed, so the token no longer grants access.
        let late = room.connect(&path(&brief)).await.unwrap();
        assert_eq!(late.closed(), Some(Close::new(3000, "token expired")));
        room.send(&watcher, "still here").await.unwrap();
        assert_eq!(watcher.received(), ["bob: still here".into()]);
    }
}

#[tokio::test]
async fn a_token_that_has_ended_opens_nothing() {
    let (issuer, options) = issuer().await;
    let mut room = TestRoom::new("named", "a", move || WithAuth::new(Named, options.clone()));
    let expired = issuer.token().expired_for(Duration::from_secs(9)).sign();
    let socket = room.connect(&path(&expired)).await.unwrap();
    assert_eq!(socket.closed(), Some(Close::new(3000, "token expired")));
    let socket = room.connect("/parties/named/a").await.unwrap();
    assert_eq!(socket.closed(), Some(Close::new(1008, "Unauthorized")));
    assert!(room.room().connections().is_empty());
}

#[tokio::test]
async fn the_url_of_a_connection_has_no_token() {
    let (issuer, options) = issuer().await;
    let mut room = TestRoom::new("named", "a", move || WithAuth::new(Named, options.clone()));
    let path = format!("{}&_pk=me&x=1", path(&issuer.token().sign()));
    let socket = room.connect(&path).await.unwrap();
    let connection = socket.connection().unwrap();
    assert_eq!(connection.uri().query(), Some("_pk=me&x=1"));
    let stored = connection
        .attachments()
        .encode(Lifetime::Connection)
        .unwrap();
    assert!(
        stored.contains("alice"),
        "the identity survives hibernation"
    );
    assert!(!stored.contains("eyJ"), "the token is not stored");
    assert!(!format!("{connection:?} {:?}", connection.attachments()).contains("eyJ"));
}

#[tokio::test]
async fn a_room_that_is_given_away_closes_the_former_owner() {
    let (issuer, options) = issuer().await;
    let mut room = TestRoom::new("named", "a", move || {
        WithAuth::new(
            WithOwnership::new(Named).claim(Claim::FirstUser),
            options.clone(),
        )
    });
    let (alice, bob) = (issuer.token().sign(), issuer.token().subject("bob").sign());
    let socket = room.connect(&path(&alice)).await.unwrap();
    assert_eq!(socket.closed(), None);
    let not_yours = Some(Close::new(1008, "This chat is not yours."));
    assert_eq!(room.connect(&path(&bob)).await.unwrap().closed(), not_yours);
    let handle = room.room();
    assert_eq!(handle.owner().await.unwrap().as_deref(), Some("alice"));
    assert!(handle.set_owner("", Overwrite::Yes).await.is_err());
    assert!(handle.set_owner("bob", Overwrite::No).await.is_err());
    assert_eq!(socket.closed(), None);
    handle.set_owner("alice", Overwrite::No).await.unwrap();
    handle.set_owner("bob", Overwrite::Yes).await.unwrap();
    assert_eq!(socket.closed(), not_yours);
    room.send(&socket, "still here?").await.unwrap();
    assert_eq!(socket.received(), []);
    assert_eq!(room.connect(&path(&bob)).await.unwrap().closed(), None);
}
