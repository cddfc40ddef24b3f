//! The order of hooks: one room's server, from its start to its end.
//!
//! Hosts drive a room through this type alone, so that the order is the same
//! everywhere. Nothing runs before `on_start` has succeeded, nothing of a refused
//! socket reaches the room, and every error is reported once.

use serde_json::Value;

use crate::close::CloseEvent;
use crate::error::{Error, Result};
use crate::http_types::{Handshake, Refusal, Request, Response};
use crate::message::Message;
use crate::room::Room;
use crate::room::attachments::Attachments;
use crate::room::connection::Connection;
use crate::room::context::Context;
use crate::room::tags::checked_tags;
use crate::server::{Admission, Server};

/// A room's server and whether it has started. Dropped at hibernation, and
/// after a panic or a turn that ran past its limit.
#[derive(Debug)]
pub struct Instance<S> {
    server: S,
    room: Room,
    started: bool,
}

/// The room's answer to an upgrade.
#[derive(Debug)]
pub(super) enum Connecting {
    /// The host makes a connection with these tags (the id is not among them),
    /// then calls [`Instance::connected`] in the same turn.
    Admitted {
        /// The server's tags.
        tags: Vec<String>,
    },
    /// The socket stays outside.
    Refused(Refusal),
}

impl<S: Server> Instance<S> {
    /// A server that has not started yet.
    pub fn new(server: S, room: Room) -> Self {
        Self {
            server,
            room,
            started: false,
        }
    }

    /// Answers a request.
    ///
    /// # Errors
    /// The hook's own error, or the error of `on_start`.
    pub async fn request(
        &mut self,
        request: Request,
        attachments: Attachments,
    ) -> Result<Response> {
        self.start().await?;
        let cx = Context::for_request(self.room.clone(), attachments);
        let answer = self.server.on_request(&cx, request).await;
        self.report(&cx, answer).await
    }

    /// Decides on an upgrade that the gate admitted.
    ///
    /// # Errors
    /// The error of one of the hooks or of `on_start`, or `TagError`.
    pub(super) async fn connecting(
        &mut self,
        handshake: &Handshake,
        attachments: Attachments,
    ) -> Result<Connecting> {
        self.start().await?;
        let cx = Context::for_request(self.room.clone(), attachments);
        let admission = self.server.on_admit(&cx, handshake).await;
        if let Admission::Refuse(refusal) = self.report(&cx, admission).await? {
            return Ok(Connecting::Refused(refusal));
        }
        let tags = self
            .server
            .connection_tags(&cx, handshake)
            .await
            .and_then(checked_tags);
        Ok(Connecting::Admitted {
            tags: self.report(&cx, tags).await?,
        })
    }

    /// Tells the room of a connection that has joined.
    ///
    /// # Errors
    /// The hook's own error. The host logs it and closes the connection with 1011 and
    /// the id of the log line.
    pub(super) async fn connected(
        &mut self,
        connection: &Connection,
        handshake: &Handshake,
    ) -> Result<()> {
        let cx = Context::for_connection(self.room.clone(), connection.clone());
        let outcome = self.server.on_connect(&cx, connection, handshake).await;
        self.report(&cx, outcome).await
    }

    /// Passes a message of a connection to the room. If the connection ended while the
    /// room started, nothing is passed.
    ///
    /// # Errors
    /// The hook's own error, or the error of `on_start`. The host closes the connection
    /// with 1011 and the id of the log line.
    pub async fn message(&mut self, connection: &Connection, message: Message) -> Result<()> {
        self.start().await?;
        if !connection.is_open() {
            return Ok(());
        }
        let cx = Context::for_connection(self.room.clone(), connection.clone());
        let outcome = self.server.on_message(&cx, connection, message).await;
        self.report(&cx, outcome).await
    }

    /// Tells the room that a connection has ended. `error` says what broke it, if
    /// something did.
    ///
    /// # Errors
    /// The hook's own error, or the error of `on_start`.
    pub async fn closed(
        &mut self,
        connection: &Connection,
        event: CloseEvent,
        error: Option<&Error>,
    ) -> Result<()> {
        self.start().await?;
        let cx = Context::for_connection(self.room.clone(), connection.clone());
        if let Some(error) = error {
            self.server.on_error(&cx, connection, error).await;
        }
        let outcome = self.server.on_close(&cx, connection, event).await;
        self.report(&cx, outcome).await
    }

    /// Runs the alarm.
    ///
    /// # Errors
    /// The hook's own error, or the error of `on_start`.
    pub async fn alarm(&mut self) -> Result<()> {
        self.start().await?;
        let cx = Context::for_room(self.room.clone());
        let outcome = self.server.on_alarm(&cx).await;
        self.report(&cx, outcome).await
    }

    /// Passes a posted event to the room.
    ///
    /// # Errors
    /// The hook's own error, or the error of `on_start`.
    pub async fn event(&mut self, event: Value) -> Result<()> {
        self.start().await?;
        let cx = Context::for_room(self.room.clone());
        let outcome = self.server.on_event(&cx, event).await;
        self.report(&cx, outcome).await
    }

    async fn start(&mut self) -> Result<()> {
        if self.started {
            return Ok(());
        }
        let cx = Context::for_room(self.room.clone());
        let outcome = self.server.on_start(&cx).await;
        self.report(&cx, outcome).await?;
        self.started = true;
        Ok(())
    }

    async fn report<T>(&mut self, cx: &Context, outcome: Result<T>) -> Result<T> {
        if let Err(error) = &outcome {
            self.server.on_exception(cx, error).await;
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::close::Close;
    use crate::testing::TestRoom;

    /// Starts slowly. At the end of the start it closes one of the open connections.
    struct Starting;

    impl Server for Starting {
        async fn on_start(&mut self, cx: &Context) -> Result<()> {
            cx.room().sleep(Duration::from_secs(2)).await;
            if let Some(connection) = cx.room().connection("closed") {
                connection.close(4001, "not any more");
            }
            Ok(())
        }

        async fn on_connect(
            &mut self,
            cx: &Context,
            connection: &Connection,
            _: &Handshake,
        ) -> Result<()> {
            if connection.id() == "expires" {
                let close = Close::new(3000, "token expired");
                connection.close_at(cx.now() + Duration::from_secs(1), close);
            }
            Ok(())
        }

        async fn on_message(&mut self, cx: &Context, from: &Connection, _: Message) -> Result<()> {
            cx.room().broadcast(format!("handled one of {}", from.id()));
            Ok(())
        }
    }

    /// Never starts, and counts what it is told of.
    struct Failing(Arc<AtomicUsize>);

    impl Server for Failing {
        async fn on_start(&mut self, _: &Context) -> Result<()> {
            Err(Error::msg("not today"))
        }

        async fn on_exception(&mut self, _: &Context, _: &Error) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn an_error_of_the_start_is_reported_once_for_each_event() {
        let told = Arc::new(AtomicUsize::new(0));
        let server = Failing(Arc::clone(&told));
        let room = TestRoom::new("starting", "b", || Starting);
        let mut other = TestRoom::new("starting", "c", || Starting);
        let socket = other.connect("/").await.unwrap();
        let connection = socket.connection().unwrap();
        let mut instance = Instance::new(server, room.room());
        assert!(instance.message(&connection, "hi".into()).await.is_err());
        assert_eq!(told.load(Ordering::Relaxed), 1);
        assert!(instance.alarm().await.is_err());
        assert_eq!(told.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_frame_of_a_socket_that_ended_while_the_room_started_is_not_handled() {
        let mut room = TestRoom::new("starting", "a", || Starting);
        let watcher = room.connect("/?_pk=watcher").await.unwrap();
        for (id, code) in [("closed", 4001), ("expires", 3000)] {
            let socket = room.connect(&format!("/?_pk={id}")).await.unwrap();
            room.hibernate();
            room.send(&socket, "late").await.unwrap();
            assert_eq!(socket.closed().map(|close| close.code()), Some(code));
        }
        assert!(watcher.received().is_empty());
        room.send(&watcher, "in time").await.unwrap();
        assert_eq!(watcher.received(), ["handled one of watcher".into()]);
    }
}
