//! Rooms in which every request, connection and message carries a verified OAuth 2.0
//! identity: [`WithAuth`] and [`WithOwnership`] around a `partyserver` server.
//!
//! The crate knows no host and issues no tokens. It follows RFC 9068 (JWT access
//! tokens), RFC 6750 (bearer tokens) and RFC 8725 (JWT best practice).
//!
//! **The contract:** a connection is valid only while its token is valid.
//!
//! # Example
//! ```
//! use agents_oauth2_jwt_bearer::*;
//! use partyserver::*;
//!
//! struct Chat;
//!
//! impl Server for Chat {
//!     // Only the room's owner, with a token that is valid now, gets here.
//!     async fn on_message(&mut self, cx: &Context, _: &Connection, message: Message) -> Result<()> {
//!         let claims = cx.claims()?;
//!         let text = message.as_text()?;
//!         cx.room().broadcast(format!("{}: {text}", claims.subject()));
//!         Ok(())
//!     }
//! }
//!
//! type PrivateChat = WithAuth<WithOwnership<Chat>>;
//!
//! fn server(options: &AuthOptions) -> PrivateChat {
//!     WithAuth::new(WithOwnership::new(Chat), options.clone())
//! }
//! ```
//!
//! # Logs
//! The crate emits `tracing` events with `party`, `room`, `connection` once there is
//! one, and `sub` and `act` where they are known. Values from outside are escaped and
//! cut at 128 characters. A token is never logged.
//!
//! | message | level | when |
//! |---|---|---|
//! | `connected` | info | a WebSocket has joined its room |
//! | `refused` | info | a request or upgrade was refused, by the gate or the room |
//! | `sent away` | info | an open connection lost its right to be there |
//! | `admitted` | debug | the gate let a request or upgrade pass: one line for each |
//! | `an ID token was left out` | info | `x-id-token` did not verify; its `code` says why |
//! | `the owner can't be read after a claim` | warn | the owner store failed; its
//! `error` says why |
//!
//! A refusal has a stable `code`. It is the code of
//! [`Error`](oauth2_jwt_bearer::Error::code), `not_owner`, or `hook` if
//! `on_authenticated_connect` or `on_authorized_connect` refused. The code of `sent
//! away` is `expired` or `not_owner`. A token that was not accepted has no known `sub`.

mod auth;
mod context;
mod identity;
mod log;
mod loop_guard;
mod options;
mod owner;
mod owner_store;
mod ownership;
mod refusal;
mod user_info;

pub use auth::{AuthenticatedServer, WithAuth};
pub use context::{AuthConnection, AuthContext, AuthRequest, NotAuthenticated};
pub use identity::{Credentials, Identity};
pub use options::{AuthOptions, RefreshToken, RefusalForm};
pub use owner::{OwnerError, RoomOwnership};
pub use owner_store::{Overwrite, OwnerStore, RoomStorage};
pub use ownership::{Claim, WithOwnership};
pub use refusal::TOKEN_EXPIRED;
pub use user_info::Refresh;

pub use oauth2_jwt_bearer::{
    AccessToken, Algorithm, Anonymous, Audience, BearerAuth, BearerAuthBuilder, Claims,
    ConfigError, Profile, QueryToken, TokenMark, UserInfo, UserInfoError,
};

/// A server behind authentication: the npm package's `AuthAgent`.
pub type AuthAgent<S> = WithAuth<S>;

/// A server behind authentication and ownership: the npm package's
/// `OwnedAgent`.
pub type OwnedAgent<S> = WithAuth<WithOwnership<S>>;
