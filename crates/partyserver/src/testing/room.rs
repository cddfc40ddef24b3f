//! One room of one party.

use std::time::{Duration, SystemTime};

use super::guard::Cut;
use super::kit::Trouble;
use super::parties::TestParties;
use super::site::{Answer, as_upgrade};
use super::socket::TestSocket;
use crate::close::Close;
use crate::error::Result;
use crate::http_types::{Handshake, Request, Response};
use crate::maybe_send::{MaybeSend, MaybeSync};
use crate::message::Message;
use crate::options::PartyOptions;
use crate::registry::PartyRegistry;
use crate::room::Room;
use crate::wrap::IntoServer;

/// One room of a server, with its gate, for unit tests. It is a view of [`TestParties`]
/// with one party. Every path leads to this room.
///
/// **Failures.** When a hook fails, the client sees what it would see on a host: its
/// socket is closed with 1011. The test sees more: the operation returns the hook's own
/// error in place of the answer, or the first error if there are several. This includes
/// hooks that answer nobody (`on_close`, `on_alarm`, `on_event`). If a hook panics, the
/// operation panics too, so that an assertion in a server under test fails the test. A
/// test that catches the panic finds the room as on a host: it has started again.
pub struct TestRoom {
    parties: TestParties,
    name: String,
}

impl TestRoom {
    /// A room that has not started. `make` makes the gate, and makes the server each
    /// time the room wakes. The clock shows the present.
    pub fn new<S: IntoServer>(
        party: &str,
        room: &str,
        make: impl Fn() -> S + MaybeSend + MaybeSync + 'static,
    ) -> Self {
        Self::with_options(party, room, PartyOptions::new(), make)
    }

    /// The same, with options for the party.
    pub fn with_options<S: IntoServer>(
        party: &str,
        room: &str,
        options: PartyOptions,
        make: impl Fn() -> S + MaybeSend + MaybeSync + 'static,
    ) -> Self {
        Self {
            parties: TestParties::new().party_with(party, options, make),
            name: room.to_owned(),
        }
    }

    /// Sets the time at which the clock begins.
    #[must_use]
    pub fn starting_at(mut self, time: SystemTime) -> Self {
        self.parties = self.parties.starting_at(time);
        self
    }

    /// A handle to the room.
    pub fn room(&self) -> Room {
        self.parties.site().parties[0].room(&self.name).handle()
    }

    /// The room's clock.
    pub fn now(&self) -> SystemTime {
        self.parties.now()
    }

    /// Sends a request through the gate to the room.
    ///
    /// # Errors
    /// A hook's own error.
    pub async fn request(&mut self, request: Request) -> Result<Response> {
        let site = self.parties.site();
        let answer = self.parties.run(site.enter(&self.name, request)).await;
        self.outcome()?;
        match answer {
            Answer::Http(response) => Ok(response),
            Answer::Socket(_) => Err(crate::Error::msg("an upgrade is for `connect_with`")),
        }
    }

    /// Opens a socket through the gate. `path` may have a query.
    ///
    /// # Errors
    /// A hook's own error; also when the path is not a valid URI.
    pub async fn connect(&mut self, path: &str) -> Result<TestSocket> {
        let mut handshake = Handshake::new(());
        *handshake.uri_mut() = format!("http://test{path}").parse()?;
        self.connect_with(handshake).await
    }

    /// Opens a socket with your own handshake. Headers that an upgrade needs are added
    /// if they are missing. A refusal that hosts send as an HTTP answer counts as a
    /// close with 1008 and no reason.
    ///
    /// # Errors
    /// A hook's own error.
    pub async fn connect_with(&mut self, handshake: Handshake) -> Result<TestSocket> {
        let site = self.parties.site();
        let request = as_upgrade(handshake);
        let answer = self.parties.run(site.enter(&self.name, request)).await;
        self.outcome()?;
        Ok(match answer {
            Answer::Socket(socket) => socket,
            Answer::Http(_) => TestSocket::refused(Close::new(Close::POLICY, ""), None),
        })
    }

    /// Sends a message from a client. It is not handled when the socket was refused or
    /// has ended. A message over the party's limit closes the socket.
    ///
    /// # Errors
    /// A hook's own error.
    pub async fn send(&mut self, socket: &TestSocket, message: impl Into<Message>) -> Result<()> {
        self.parties.send(socket, message).await;
        self.outcome()
    }

    /// Closes a socket with a close frame from the client.
    ///
    /// # Errors
    /// A hook's own error.
    pub async fn close(&mut self, socket: &TestSocket, code: u16, reason: &str) -> Result<()> {
        self.parties.close(socket, code, reason).await;
        self.outcome()
    }

    /// The client is gone, without a close frame.
    ///
    /// # Errors
    /// A hook's own error.
    pub async fn vanish(&mut self, socket: &TestSocket) -> Result<()> {
        self.parties.vanish(socket).await;
        self.outcome()
    }

    /// Moves the clock. Everything that is due until then happens in order, each at its
    /// own time: deadlines of connections, the alarm and its retries, timers of spawned
    /// tasks, and the room's sleep if its options ask for it.
    ///
    /// # Errors
    /// A hook's own error.
    pub async fn advance(&mut self, time: Duration) -> Result<()> {
        self.parties.advance(time).await;
        self.outcome()
    }

    /// Waits until the tasks that the room spawned have ended or wait for the clock.
    ///
    /// # Errors
    /// A hook's own error.
    pub async fn settle(&mut self) -> Result<()> {
        self.parties.settle().await;
        self.outcome()
    }

    /// Puts the room to sleep. Its server and its locals are dropped. Its storage, its
    /// alarm and its connections stay, with what a host keeps of them. The next event
    /// makes a new server.
    pub fn hibernate(&mut self) {
        self.parties.hibernate();
    }

    /// The first failure, if there was one.
    fn outcome(&self) -> Result<()> {
        let mut troubles = self.parties.site().kit.take_troubles();
        match troubles.pop_front() {
            None => Ok(()),
            Some(Trouble::Cut(Cut::Panicked(panic))) => std::panic::resume_unwind(panic),
            Some(trouble) => Err(trouble.into_error()),
        }
    }
}
