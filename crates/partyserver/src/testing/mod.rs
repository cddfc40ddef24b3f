//! A host in memory, with simulated time, for tests of servers.
//!
//! It uses the same core as the real hosts. The core decides what is admitted, handled,
//! sent, closed and answered, and in which order. [`TestRoom`] is one room of one
//! server; [`TestParties`] is a whole application, from a request's head to its answer.
//!
//! **Time.** The clock shows the present when the kit is made, or the time given to
//! `starting_at`. Only `advance` moves it, through deadlines, alarms, timers and
//! hibernation in their order. There is one exception: a hook that sleeps
//! ([`Room::sleep`](crate::Room::sleep)) moves it too, because nothing else would. A
//! task that a room has spawned waits for the clock. The limit of a turn counts by this
//! clock.
//!
//! **When an operation ends,** everything that follows from it has happened: hooks have
//! ended, and spawned tasks can go no further before the clock moves. A client answers
//! a close frame at once. Nothing waits for network, disk or real time unless the code
//! under test does, and any executor will do.
//!
//! **What the kit has:** the gate and the steps before it, public ids, the cap on a
//! room's connections, the limits of messages, bodies and heads, turn limits, renewals,
//! revocations, deadlines, alarms with their retries, streamed answers with their ends,
//! and hibernation. Hibernation goes through the same text that a host keeps of a
//! connection, so what would not survive on a host does not survive here.
//!
//! **What the kit does not have:** frames, pings and a client that reads slowly
//! ([`PartyOptions::max_queued_bytes`](crate::PartyOptions::max_queued_bytes) and
//! `max_replay_bytes` limit nothing); limits for a whole server, such as `max_rooms`;
//! trusted proxies and refused host names; `on_error`, because no transport breaks with
//! an error; SQL, whose statements fail; a store that outlasts the kit.
//!
//! # Example
//! A room that refuses the name "closed", and ends each connection after ten minutes:
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
