//! The servers of chat rooms, shared and private. Nothing here names a host.

mod page;

use std::time::{SystemTime, UNIX_EPOCH};

use agents_oauth2_jwt_bearer::{
    AuthConnection, AuthContext, AuthOptions, Identity, Overwrite, OwnerError, RoomOwnership,
    WithAuth, WithOwnership,
};
use http::{Method, StatusCode};
use partyserver::{
    CloseEvent, Connection, Context, CorsOption, Handshake, Message, PartyOptions, PartyRegistry,
    Request, RequestGate, Response, Result, Server, answer,
};
use serde_json::{Value, json as value};

pub use page::Page;

/// A chat room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chat {
    /// Everyone who is signed in may enter.
    Shared,
    /// It belongs to one owner, on all of the owner's devices.
    Private,
}

/// A room for everyone: authentication, then the chat.
pub type SharedChat = WithAuth<Chat>;

/// A room of one owner: authentication is outermost, then ownership, then the chat.
pub type PrivateChat = WithAuth<WithOwnership<Chat>>;

/// Registers what is served, on any host: the rooms, and the page.
pub fn parties<R: PartyRegistry>(registry: R, options: AuthOptions, page: Page) -> R {
    let private = options.clone();
    let private = move || -> PrivateChat {
        WithAuth::new(WithOwnership::new(Chat::Private), private.clone())
    };
    let shared = move || -> SharedChat { WithAuth::new(Chat::Shared, options.clone()) };
    // Everyone is told of everyone who is here, so the number of people must be
    // limited.
    let party = PartyOptions::new()
        .cors(CorsOption::Default)
        .max_connections_per_room(100)
        .max_message(16 * 1024);
    registry
        .party_with("shared-chat", party.clone(), shared)
        .party_with("private-chat", party, private)
        .fallback(move |request| std::future::ready(page.answer(&request)))
}

impl Server for Chat {
    async fn on_connect(
        &mut self,
        cx: &Context,
        connection: &Connection,
        _: &Handshake,
    ) -> Result<()> {
        connection.set_state(&millis(cx.now()))?;
        let identity = connection.attachments().get::<Identity>();
        let valid_for = identity.and_then(|id| id.valid_until().duration_since(cx.now()).ok());
        let members: Vec<_> = cx.room().connections().iter().map(member).collect();
        connection.send(value!({
            "type": "welcome",
            "id": connection.id(),
            "claims": cx.claims()?,
            "owner": cx.room().owner().await?,
            "validForSeconds": valid_for.map(|left| left.as_secs_f64()),
            "members": members,
        }))?;
        let joined = value!({ "type": "joined", "member": member(connection) });
        cx.room().broadcast_except(joined, &[connection.id()]);
        Ok(())
    }

    async fn on_message(
        &mut self,
        cx: &Context,
        from: &Connection,
        message: Message,
    ) -> Result<()> {
        let claims = cx.claims()?; // verified, and still valid now
        let Ok(text) = message.as_text() else {
            from.close(UNSUPPORTED_DATA, "text only");
            return Ok(());
        };
        cx.room().broadcast(value!({
            "type": "message",
            "from": claims.subject(),
            "connection": from.id(),
            "at": millis(cx.now()),
            "text": text,
        }));
        Ok(())
    }

    async fn on_close(
        &mut self,
        cx: &Context,
        connection: &Connection,
        _: CloseEvent,
    ) -> Result<()> {
        // A user may have two connections with the same id.
        if cx.room().connection(connection.id()).is_none() {
            cx.room()
                .broadcast(value!({ "type": "left", "id": connection.id() }));
        }
        Ok(())
    }

    async fn on_request(&mut self, cx: &Context, _: Request) -> Result<Response> {
        answer::json(&value!({
            "room": cx.room().name(),
            "owner": cx.room().owner().await?,
            "connections": cx.room().connections().len(),
        }))
    }

    /// `POST …/claim` makes the caller the owner of a private room that has none. It is
    /// answered before ownership is checked.
    async fn on_authenticated_request(
        &mut self,
        cx: &Context,
        request: Request,
    ) -> Result<RequestGate> {
        let is_claim = request.method() == Method::POST && request.uri().path().ends_with("/claim");
        if *self == Self::Shared || !is_claim {
            return Ok(RequestGate::Admit(request));
        }
        let claims = cx.claims()?;
        let answer = match cx.room().set_owner(claims.subject(), Overwrite::No).await {
            Ok(()) => answer::json(&value!({ "owner": claims.subject() }))?,
            Err(OwnerError::AlreadyOwned) => {
                answer::text(StatusCode::CONFLICT, "This room belongs to somebody else.")
            }
            Err(error) => return Err(error.into()),
        };
        Ok(RequestGate::Answer(answer))
    }
}

/// What everyone in a room is told about a connection: whose it is, and since when it
/// is here.
fn member(connection: &Connection) -> Value {
    let claims = connection.claims();
    value!({
        "id": connection.id(),
        "sub": claims.as_ref().map(|claims| claims.subject()),
        "since": connection.state::<u64>(),
    })
}

/// Milliseconds since 1970, as JavaScript counts them.
fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The close code for a kind of message that is not understood (RFC 6455 section
/// 7.4.1).
const UNSUPPORTED_DATA: u16 = 1003;

/// Makes sure that the server on that page compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/from-typescript.md")]
struct FromTypeScript;
