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

/// One room of a server, with its gate: a view of [`TestParties`] with one party, for unit
/// tests. Whatever the path, it leads here.
///
/// **Failures.** What a client sees of a hook that fails is what it sees of a host: its
/// socket is closed with 1011. The test gets more: the operation returns the hook's own
/// error in the place of the answer, the first if there are several. That is so for hooks
/// that answer nobody too (`on_close`, `on_alarm`, `on_event`). A hook's panic goes on in
/// the operation, so that an assertion in a server under test fails the test; whoever
/// catches it finds the room as on a host, started anew.
pub struct TestRoom {
    parties: TestParties,
    name: String,
}

impl TestRoom {
    /// A room that has not started. `make` makes the gate, and the server each
    /// time the room wakes. The clock stands at the present.
    pub fn new<S: IntoServer>(
        party: &str,
        room: &str,
        make: impl Fn() -> S + MaybeSend + MaybeSync + 'static,
    ) -> Self {
        Self::with_options(party, room, PartyOptions::new(), make)
    }

    /// The same, of a party with options.
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

    /// Has the clock stand at this time at first.
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
    /// A hook's own.
    pub async fn request(&mut self, request: Request) -> Result<Response> {
        let site = self.parties.site();
        let answer = self.parties.run(site.enter(&self.name, request)).await;
        self.outcome()?;
        match answer {
            Answer::Http(response) => Ok(response),
            Answer::Socket(_) => Err(crate::Error::msg("an upgrade is for `connect_with`")),
        }
    }

    /// Opens a socket to a path with a query, through the gate.
    ///
    /// # Errors
    /// A hook's own, and when the path is no URI.
    pub async fn connect(&mut self, path: &str) -> Result<TestSocket> {
        let mut handshake = Handshake::new(());
        *handshake.uri_mut() = format!("http://test{path}").parse()?;
        self.connect_with(handshake).await
    }

    /// Opens a socket with a handshake of your own; the headers of an upgrade are added
    /// where they are missing. A refusal that hosts send as an HTTP answer counts as a
    /// close with 1008 and no reason.
    ///
    /// # Errors
    /// A hook's own.
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

    /// Sends a message from a client. It is not handled when the socket was
    /// refused or has ended. One over the party's limit closes the socket.
    ///
    /// # Errors
    /// A hook's own.
    pub async fn send(&mut self, socket: &TestSocket, message: impl Into<Message>) -> Result<()> {
        self.parties.send(socket, message).await;
        self.outcome()
    }

    /// Closes a socket by a close frame of the client's.
    ///
    /// # Errors
    /// A hook's own.
    pub async fn close(&mut self, socket: &TestSocket, code: u16, reason: &str) -> Result<()> {
        self.parties.close(socket, code, reason).await;
        self.outcome()
    }

    /// The client is gone, without a close frame.
    ///
    /// # Errors
    /// A hook's own.
    pub async fn vanish(&mut self, socket: &TestSocket) -> Result<()> {
        self.parties.vanish(socket).await;
        self.outcome()
    }

    /// Moves the clock. What is due until then happens in order, each at its own time:
    /// deadlines of connections, the alarm and its retries, timers of spawned futures, and
    /// the room's sleep as its options say.
    ///
    /// # Errors
    /// A hook's own.
    pub async fn advance(&mut self, time: Duration) -> Result<()> {
        self.parties.advance(time).await;
        self.outcome()
    }

    /// Waits for what the room has spawned, unless it waits for the clock.
    ///
    /// # Errors
    /// A hook's own.
    pub async fn settle(&mut self) -> Result<()> {
        self.parties.settle().await;
        self.outcome()
    }

    /// Puts the room to sleep: its server and its locals are dropped; its storage, its
    /// alarm and its connections stay, with what a host keeps of them. The next event
    /// makes a new server.
    pub fn hibernate(&mut self) {
        self.parties.hibernate();
    }

    /// The first of what went wrong.
    fn outcome(&self) -> Result<()> {
        let mut troubles = self.parties.site().kit.take_troubles();
        match troubles.pop_front() {
            None => Ok(()),
            Some(Trouble::Cut(Cut::Panicked(panic))) => std::panic::resume_unwind(panic),
            Some(trouble) => Err(trouble.into_error()),
        }
    }
}
