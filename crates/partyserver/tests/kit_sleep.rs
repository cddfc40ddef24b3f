//! What survives a sleep in the kit, and what does not: the same as on a host that
//! loses its memory.

use std::time::Duration;

use partyserver::testing::TestRoom;
use partyserver::wrap::renew;
use partyserver::*;
use serde_json::json;

/// A value to attach, for each lifetime.
struct Kept(String);
struct Secret(String);

macro_rules! attachment {
    ($type:ident, $name:literal, $lifetime:ident) => {
        impl Attachment for $type {
            const NAME: &'static str = $name;
            const LIFETIME: Lifetime = Lifetime::$lifetime;

            fn encode(&self, encoder: Encoder) -> serde_json::Result<Encoded> {
                encoder.write(&self.0)
            }

            fn decode(decoder: Decoder<'_>) -> serde_json::Result<Self> {
                decoder.read().map(Self)
            }
        }
    };
}
attachment!(Kept, "test.kept", Connection);
attachment!(Secret, "test.secret", Memory);

/// Counts what has happened since this value was made.
#[derive(Default)]
struct Sleeper {
    seen: u64,
}

impl Server for Sleeper {
    async fn on_before_connect(&self, lobby: &Lobby, handshake: Handshake) -> Result<ConnectGate> {
        lobby.attachments().insert(Kept("kept".into()));
        lobby.attachments().insert(Secret("secret".into()));
        Ok(ConnectGate::Admit(handshake))
    }

    async fn connection_tags(&mut self, _: &Context, _: &Handshake) -> Result<Vec<String>> {
        Ok(vec!["red".into()])
    }

    async fn on_connect(&mut self, cx: &Context, from: &Connection, _: &Handshake) -> Result<()> {
        from.set_state(&json!({ "joined": true }))?;
        from.close_at(cx.now() + DAY, Close::new(4000, "the day is over"));
        renew(from, cx.now() + HOUR, Close::new(3000, "token expired"));
        cx.room().locals().insert(7_u32);
        Ok(())
    }

    async fn on_message(
        &mut self,
        cx: &Context,
        from: &Connection,
        message: Message,
    ) -> Result<()> {
        self.seen += 1;
        match message.as_text()? {
            "renew" => {
                renew(
                    from,
                    cx.now() + 30 * HOUR,
                    Close::new(3000, "token expired"),
                );
            }
            text => {
                cx.room().storage().put("last", &text).await?;
                from.attachments().insert(Kept(text.to_owned()));
            }
        }
        let local = cx.room().locals().get::<u32>();
        from.send(json!([self.seen, local.is_some()]))?;
        Ok(())
    }
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn a_connection_wakes_with_what_a_host_keeps() {
    let mut room = TestRoom::new("sleeper", "a", Sleeper::default);
    let socket = room.connect("/x?_pk=me&y=1").await.unwrap();
    let before = socket.connection().unwrap();
    assert_eq!(before.attachments().get::<Secret>().unwrap().0, "secret");
    room.send(&socket, "changed").await.unwrap();
    assert_eq!(socket.received(), [json!([1, true]).into()]);
    room.hibernate();

    let woken = socket.connection().unwrap();
    assert_eq!(
        (woken.id(), woken.tags()),
        ("me", &["me".into(), "red".into()][..])
    );
    assert_eq!(woken.uri(), "http://test/x?_pk=me&y=1");
    assert_eq!(woken.state(), Some(json!({ "joined": true })));
    assert_eq!(woken.attachments().get::<Kept>().unwrap().0, "changed");
    assert!(woken.attachments().get::<Secret>().is_none());
    assert_eq!(room.room().connections(), [woken]);
    assert_eq!(
        before,
        socket.connection().unwrap(),
        "it is the same connection"
    );

    room.send(&socket, "awake").await.unwrap();
    assert_eq!(
        socket.received(),
        [json!([1, false]).into()],
        "the server is another"
    );
    let last: Option<String> = room.room().storage().get("last").await.unwrap();
    assert_eq!(last.as_deref(), Some("awake"));
    before.send("by an old handle").unwrap();
    assert_eq!(socket.received(), ["by an old handle".into()]);
}

#[tokio::test]
async fn both_deadlines_outlast_a_sleep() {
    for renews in [false, true] {
        let mut room = TestRoom::new("sleeper", "a", Sleeper::default);
        let socket = room.connect("/").await.unwrap();
        room.hibernate();
        if renews {
            room.send(&socket, "renew").await.unwrap();
            room.hibernate();
        }
        room.advance(HOUR).await.unwrap();
        let expired = Close::new(3000, "token expired");
        assert_eq!(socket.closed(), (!renews).then_some(expired));
        // A renewal does not extend the deadline that the room has set.
        room.advance(DAY).await.unwrap();
        let code = socket.closed().unwrap().code();
        assert_eq!(code, if renews { 4000 } else { 3000 });
    }
}
