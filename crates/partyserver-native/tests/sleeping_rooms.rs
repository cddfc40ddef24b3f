//! A room sleeps while its sockets stay open, because only the host handles pings.

mod support;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use partyserver::*;
use partyserver_native::{Limits, Parties};
use support::{TestServer, text as next_text};
use tokio_websockets::Message as WsMessage;

/// Answers with the number of messages so far.
#[derive(Default)]
struct Counting(u32);

impl Server for Counting {
    async fn on_message(&mut self, _: &Context, from: &Connection, _: Message) -> Result<()> {
        self.0 += 1;
        from.send(self.0.to_string())?;
        Ok(())
    }
}

#[tokio::test]
async fn pings_wake_nobody() {
    let limits = Limits::new().ping(Duration::from_millis(50), Duration::from_secs(60));
    let options = PartyOptions::new().hibernation(Hibernation::After(Duration::from_millis(100)));
    let parties = Parties::new().limits(limits);
    let parties = parties.party_with("counting", options, Counting::default);
    let server = TestServer::start(parties).await;
    let mut socket = server.open("/parties/counting/a").await;
    let mut ask = async || {
        socket.send(WsMessage::text("?")).await.unwrap();
        let answer = next_text(&mut socket).await;
        // Three seconds with pings and pongs, in which the host looks at the room three
        // times.
        for _ in 0..60 {
            assert!(socket.next().await.unwrap().unwrap().is_ping());
        }
        answer
    };
    assert_eq!(ask().await, "1");
    assert_eq!(server.service.rooms_started(), 1, "it was not woken");
    assert_eq!(ask().await, "1", "it had slept");
    assert_eq!(server.service.rooms_started(), 2);
    assert_eq!(server.service.rooms_in_memory(), 1);
}
