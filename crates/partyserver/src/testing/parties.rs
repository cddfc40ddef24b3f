//! A whole application in the kit.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::request::Parts;

use super::guard::Cut;
use super::kit::{Kit, Trouble};
use super::party::Party;
use super::site::{Answer, Site, as_upgrade};
use super::socket::TestSocket;
use crate::close::{Close, CloseEvent};
use crate::error::Error;
use crate::host::closing;
use crate::host::life::{from_millis, to_millis};
use crate::host::routes::Routes;
use crate::http_types::{Handshake, Request, Response};
use crate::maybe_send::{MaybeSend, MaybeSync};
use crate::message::Message;
use crate::options::PartyOptions;
use crate::registry::PartyRegistry;
use crate::room::Room;
use crate::wrap::IntoServer;

/// The parties of an application, in memory and with a clock of their own. A request
/// takes the same way from its head to its answer as on real hosts.
///
/// A failed hook is answered as hosts answer it; [`TestParties::failures`] has the
/// errors. Several operations may run at once (`futures::join!`); their order is the
/// order of their first polls.
pub struct TestParties {
    site: Site,
    has_begun: AtomicBool,
}

impl TestParties {
    /// No parties. The clock shows the present.
    pub fn new() -> Self {
        // The clock begins here; from now on it is moved by hand. It counts whole
        // milliseconds, as deadlines do, so that a test can look at the moment before a
        // deadline.
        let now = from_millis(to_millis(SystemTime::now()));
        Self {
            site: Site {
                kit: Kit::new(now),
                routes: Routes::new(),
                parties: Vec::new(),
            },
            has_begun: AtomicBool::new(false),
        }
    }

    /// Sets the time at which the clock begins.
    #[must_use]
    pub fn starting_at(self, time: SystemTime) -> Self {
        self.site.kit.clock.set(time);
        self
    }

    /// Lets time pass while hooks run, for adapters that follow a real clock. Every
    /// sleep then waits until the clock is moved, in a hook too, and no operation waits
    /// for hooks that answer nobody.
    #[must_use]
    pub fn time_passes(self) -> Self {
        self.site.kit.let_time_pass();
        self
    }

    /// The clock.
    pub fn now(&self) -> SystemTime {
        self.site.kit.now()
    }

    /// A handle to a room, which is made if it does not exist. `None` if there is no
    /// such party.
    pub fn room(&self, party: &str, room: &str) -> Option<Room> {
        let party = self.site.routes.party(party)?;
        Some(self.site.parties[party].room(room).handle())
    }

    /// Answers a request. Use [`TestParties::connect`] for an upgrade. Here an upgrade
    /// gets the answer that a client without a socket can get, and its connection
    /// breaks off.
    pub async fn request(&self, request: Request) -> Response {
        let answer = self.run(self.site.answer(request)).await;
        match answer {
            Answer::Http(response) => response,
            Answer::Socket(socket) => {
                self.vanish(&socket).await;
                let mut response = Response::default();
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                response
            }
        }
    }

    /// Opens a socket. Headers that an upgrade needs are added if they are missing.
    ///
    /// # Errors
    /// The answer, when it is not an upgrade.
    pub async fn connect(&self, handshake: Handshake) -> Result<TestSocket, Box<Response>> {
        match self.run(self.site.answer(as_upgrade(handshake))).await {
            Answer::Socket(socket) => Ok(socket),
            Answer::Http(response) => Err(Box::new(response)),
        }
    }

    /// Sends a message from a client. It is not handled when the socket was refused or
    /// has ended. A message over the limit closes the socket.
    pub async fn send(&self, socket: &TestSocket, message: impl Into<Message>) {
        self.run(send(socket, message.into())).await;
    }

    /// Closes a socket with a close frame from the client. The code 1005 means a frame
    /// without a code.
    pub async fn close(&self, socket: &TestSocket, code: u16, reason: &str) {
        self.run(async { close(socket, code, reason) }).await;
    }

    /// The client is gone, without a close frame.
    pub async fn vanish(&self, socket: &TestSocket) {
        self.run(async { vanish(socket) }).await;
    }

    /// Moves the clock by this time. Everything that is due until then happens in
    /// order, each at its own time.
    pub async fn advance(&self, time: Duration) {
        self.advance_to(self.now() + time).await;
    }

    /// Moves the clock to this time. The clock never goes back.
    pub async fn advance_to(&self, time: SystemTime) {
        self.run(self.site.kit.advance_to(time)).await;
    }

    /// Waits until spawned tasks have ended or wait for the clock. Other operations let
    /// these tasks run but do not wait for them, because a task may be waiting for the
    /// test.
    pub async fn settle(&self) {
        self.run(self.site.kit.settle()).await;
    }

    /// Puts every room to sleep whose server is not busy. A room keeps its storage, its
    /// alarm, and its connections with what a host keeps of them. The next event makes
    /// the server and the room's locals again.
    pub fn hibernate(&self) {
        for room in self.site.kit.rooms() {
            room.hibernate();
        }
    }

    /// Puts one room to sleep.
    pub fn hibernate_room(&self, party: &str, room: &str) {
        if let Some(party) = self.site.routes.party(party) {
            self.site.parties[party].room(room).hibernate();
        }
    }

    /// Takes the errors of hooks since the last call, in order. For a panic the error
    /// has its text.
    pub fn failures(&self) -> Vec<Error> {
        let troubles = self.site.kit.take_troubles();
        troubles.into_iter().map(Trouble::into_error).collect()
    }

    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    /// Runs an operation and everything that follows from it.
    pub(super) async fn run<T>(&self, operation: impl Future<Output = T>) -> T {
        // Done here, because the application may look for the runtime that it runs on.
        if !self.has_begun.swap(true, Ordering::SeqCst) {
            for party in &self.site.parties {
                party.gate().start();
            }
        }
        self.site.kit.run(operation).await
    }
}

impl PartyRegistry for TestParties {
    fn party_with<S: IntoServer>(
        mut self,
        name: &str,
        options: PartyOptions,
        factory: impl Fn() -> S + MaybeSend + MaybeSync + 'static,
    ) -> Self {
        let name = self.site.routes.register(name);
        assert!(
            self.site.routes.duplicate().is_none(),
            "two parties are named {name:?}"
        );
        let make = move || factory().into_server();
        let party = Party::new(self.site.kit.clone(), name, options, make);
        self.site.parties.push(Box::new(party));
        self
    }

    fn fallback<F, R>(mut self, answer: F) -> Self
    where
        F: Fn(Request) -> R + MaybeSend + MaybeSync + 'static,
        R: Future<Output = Response> + MaybeSend + 'static,
    {
        self.site.routes.set_fallback(answer);
        self
    }

    fn rewrite(mut self, rewrite: impl Fn(&mut Parts) + MaybeSend + MaybeSync + 'static) -> Self {
        self.site.routes.set_rewrite(rewrite);
        self
    }
}

impl Default for TestParties {
    fn default() -> Self {
        Self::new()
    }
}

/// Spawned tasks hold their rooms, so they are dropped too.
impl Drop for TestParties {
    fn drop(&mut self) {
        self.site.kit.work.clear();
    }
}

impl Trouble {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Error(error) => error,
            Self::Cut(Cut::TimedOut) => Error::msg("a hook ran past the turn limit"),
            Self::Cut(cut @ Cut::Panicked(_)) => match cut.failure() {
                crate::host::failure::Failure::Panicked(text) => Error::msg(text),
                _ => unreachable!("a panic is told as one"),
            },
        }
    }
}

async fn send(socket: &TestSocket, message: Message) {
    let Some(line) = socket.line().filter(|line| line.is_open()) else {
        return;
    };
    let Some(room) = line.room() else { return };
    if message.as_bytes().len() > room.max_message() {
        let event = CloseEvent::clean(Close::TOO_LARGE, "");
        line.ended(event, Some(closing::message_too_large()));
        return;
    }
    room.message(line.clone(), message).await;
}

fn close(socket: &TestSocket, code: u16, reason: &str) {
    if let Some(line) = socket.line().filter(|line| line.is_open()) {
        let event = CloseEvent::clean(code, reason);
        line.ended(event, Some(Close::new(code, reason.to_owned())));
    }
}

fn vanish(socket: &TestSocket) {
    if let Some(line) = socket.line().filter(|line| line.is_open()) {
        line.ended(CloseEvent::abnormal(), None);
    }
}
