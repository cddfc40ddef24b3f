//! A host in memory, with simulated time, for tests of servers.
//!
//! It stands on the core that the real hosts stand on: what is admitted, handled, sent,
//! closed and answered, and in which order, is decided there. [`TestRoom`] is one room of
//! one server; [`TestParties`] is a whole application, from a request's head to its answer.
//!
//! **Time.** The clock stands at the present when the kit is made, or where `starting_at`
//! puts it, and moves by `advance` alone: through deadlines, alarms, timers and hibernation
//! in their order. A hook that sleeps ([`Room::sleep`](crate::Room::sleep)) moves it too,
//! because nobody else would; what a room has spawned waits for it. The limit of a turn
//! counts by this clock.
//!
//! **When an operation ends,** all that follows from it has happened: hooks have run to
//! their ends, and what rooms have spawned has gone as far as it goes without the clock. A
//! client answers a close frame at once. Nothing waits for network, disk or real time
//! unless the code under test does, and nothing needs a certain executor.
//!
//! **What is there:** the gate and the order in front of it, public ids, the cap on a
//! room's connections, the limits of messages, bodies and heads, turn limits, renewals,
//! revocations, deadlines, alarms with their retries, streamed answers with their ends,
//! and hibernation through the very text that a host keeps of a connection: what does not
//! survive there does not survive here.
//!
//! **What is not there:** frames, pings and a client that reads slowly
//! ([`PartyOptions::max_queued_bytes`](crate::PartyOptions::max_queued_bytes) and
//! `max_replay_bytes` limit nothing); limits for a whole server, such as `max_rooms`;
//! believing proxies and refusing host names; `on_error`, because no transport breaks in
//! a way that has an error; SQL, whose statements fail; a store that outlasts the kit.
//!
//! # Example
//! A room that admits only the room it likes, and for ten minutes:
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> partyserver::Result<()> {
//! use std::time::Duration;
//!
//! use partyserver::testing::TestRoom;
//! use partyserver::*;
//!
//! struct Polite;
//! impl Server for Polite {
//!     async fn on_before_connect(&self, lobby: &Lobby, handshake: Handshake) -> Result<ConnectGate> {
//!         if lobby.room_name() == "closed" {
//!             let answer = answer::text(http::StatusCode::FORBIDDEN, "closed");
//!             return Ok(ConnectGate::Refuse(Refusal::closing(answer, Close::new(1008, "closed"))));
//!         }
//!         Ok(ConnectGate::Admit(handshake))
//!     }
//!     async fn on_connect(&mut self, cx: &Context, connection: &Connection, _: &Handshake) -> Result<()> {
//!         let end = cx.now() + Duration::from_secs(600);
//!         connection.close_at(end, Close::new(4000, "that was it"));
//!         Ok(())
//!     }
//!     async fn on_message(&mut self, _: &Context, from: &Connection, _: Message) -> Result<()> {
//!         from.send("thank you")?;
//!         Ok(())
//!     }
//! }
//!
//! let mut open = TestRoom::new("polite", "open", || Polite);
//! let socket = open.connect("/").await?;
//! open.send(&socket, "hello").await?;
//! assert_eq!(socket.received(), ["thank you".into()]);
//!
//! let mut closed = TestRoom::new("polite", "closed", || Polite);
//! assert_eq!(closed.connect("/").await?.closed(), Some(Close::new(1008, "closed")));
//!
//! open.advance(Duration::from_secs(599)).await?;
//! assert_eq!(socket.closed(), None);
//! open.advance(Duration::from_secs(1)).await?;
//! assert_eq!(socket.closed(), Some(Close::new(4000, "that was it")));
//! # Ok(()) }
//! ```

mod alarm;
mod cell;
mod clock;
mod guard;
mod kit;
mod parties;
mod party;
mod port;
mod room;
mod site;
mod socket;
mod storage;
mod turns;
mod work;

pub use parties::TestParties;
pub use room::TestRoom;
pub use socket::TestSocket;
