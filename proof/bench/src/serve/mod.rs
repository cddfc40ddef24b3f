//! The servers that are measured, each a process of its own: `bench serve …`.
//!
//! Rooms are compared with the simplest program that does the same useful work. All
//! servers answer with the same bytes, run on tokio's default runtime, and say where
//! they listen on the first line of their standard output.

mod echo;
mod fan_out;
mod http;
mod rooms;

use tokio::net::TcpListener;

use crate::Result;

pub(crate) use self::rooms::FILLING;

/// Which server.
#[derive(clap::Subcommand)]
pub(crate) enum Server {
    /// Rooms on the native host.
    Rooms(rooms::Options),
    /// hyper alone: any request gets the answer of the rooms.
    Http,
    /// tokio-websockets alone: any message comes back.
    Echo,
    /// A list of sockets: any message is written to each, as one frame made once.
    FanOut,
}

pub(crate) async fn run(server: Server) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let listening = || println!("listening on http://{address}");
    match server {
        Server::Rooms(options) => rooms::run(options, listener, listening).await,
        Server::Http => {
            listening();
            http::run(listener).await
        }
        Server::Echo => {
            listening();
            echo::run(listener).await
        }
        Server::FanOut => {
            listening();
            fan_out::run(listener).await
        }
    }
}

/// The caller in every load.
const CALLER: &str = "alice";
/// The answer to every request.
const ANSWER: &str = r#"{"sub":"alice"}"#;
