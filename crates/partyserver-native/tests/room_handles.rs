//! What a room can do besides its hooks: events, tasks, SQL, alarms.

mod support;

use std::time::Duration;

use futures_util::SinkExt;
use partyserver::*;
use partyserver_native::Parties;
use serde_json::Value;
use support::{TestServer, text as next_text};
use tokio_websockets::Message as WsMessage;

#[derive(Default)]
struct Busy {
    alarms: u32,
}

impl Server for Busy {
    async fn on_message(&mut self, cx: &Context, _: &Connection, message: Message) -> Result<()> {
        let room = cx.room().clone();
        match message.as_text()? {
            "post" => {
                // A task beside the room hands its results back, in order.
                cx.room().spawn(async move {
                    for number in 0..100 {
                        room.post(&number).expect("a number is JSON");
                    }
                });
            }
            "sql" => {
                let sql = room.sql();
                sql.execute("CREATE TABLE IF NOT EXISTS notes (text)", [])
                    .await?;
                sql.execute("INSERT INTO notes VALUES (?1)", ["it's stored".into()])
                    .await?;
                let rows = sql.execute("SELECT text, count(*) FROM notes", []).await?;
                room.broadcast(format!("{:?}", rows.rows));
            }
            "alarm" => {
                room.set_alarm(cx.now() + Duration::from_millis(200))
                    .await?;
                assert!(room.alarm().await?.is_some());
            }
            _ => {}
        }
        Ok(())
    }

    async fn on_event(&mut self, cx: &Context, event: Value) -> Result<()> {
        cx.room().broadcast(event.to_string());
        Ok(())
    }

    async fn on_alarm(&mut self, cx: &Context) -> Result<()> {
        self.alarms += 1;
        if self.alarms == 1 {
            return Err(Error::msg("the first time fails"));
        }
        cx.room().broadcast(format!("alarm {}", self.alarms));
        Ok(())
    }
}

async fn start() -> (TestServer, support::Socket) {
    let server = TestServer::start(Parties::new().party("busy", Busy::default)).await;
    let socket = server.open("/parties/busy/a").await;
    (server, socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn posted_events_arrive_in_order() {
    let (_server, mut socket) = start().await;
    socket.send(WsMessage::text("post")).await.unwrap();
    for number in 0..100 {
        assert_eq!(next_text(&mut socket).await, number.to_string());
    }
}

#[tokio::test]
async fn a_room_has_its_own_sql() {
    let (_server, mut socket) = start().await;
    for count in 1..3 {
        socket.send(WsMessage::text("sql")).await.unwrap();
        let expected = format!(r#"[[Text("it's stored"), Integer({count})]]"#);
        assert_eq!(next_text(&mut socket).await, expected);
    }
}

#[tokio::test]
async fn an_alarm_that_fails_is_tried_again() {
    let (_server, mut socket) = start().await;
    socket.send(WsMessage::text("alarm")).await.unwrap();
    let fired = tokio::time::timeout(Duration::from_secs(10), next_text(&mut socket)).await;
    assert_eq!(fired.expect("it fires"), "alarm 2");
}
