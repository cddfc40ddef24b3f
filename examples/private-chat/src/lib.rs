//! The server of a private chat room. Nothing here names a host.

mod page;

use std::time::UNIX_EPOCH;

use agents_oauth2_jwt_bearer::{
    AuthConnection, AuthContext, AuthHooks, AuthOptions, Identity, Overwrite, OwnerError,
    OwnershipHooks, RoomOwnership, WithAuth, WithOwnership,
};
use http::{Method, StatusCode};
use partyserver::{
    CloseEvent, Connection, Context, CorsOption, Handshake, Message, PartyOptions, PartyRegistry,
    Request, RequestGate, Response, Result, Room, Server, json, text,
};
use serde_json::json as value;

pub use page::Page;

/// A chat room of one owner, on all of the owner's devices.
#[derive(Debug, Default)]
pub struct Chat;

/// What is served: authentication outermost, then ownership, then the chat.
pub type PrivateChat = WithAuth<WithOwnership<Chat>>;

/// Registers what is served, with any host: the rooms, and the page.
pub fn parties<R: PartyRegistry>(registry: R, options: AuthOptions, page: Page) -> R {
    let chat = move || -> PrivateChat { WithAuth::new(WithOwnership::new(Chat), options.clone()) };
    let party = PartyOptions::new().with_cors(CorsOption::Default);
    registry
        .party_with("private-chat", party, chat)
        .fallback(move |request| std::future::ready(page.answer(&request)))
}

impl Server for Chat {
    async fn on_connect(
        &mut self,
        cx: &Context,
        connection: &Connection,
        _: &Handshake,
    ) -> Result<()> {
        let identity = connection.attachments().get::<Identity>();
        let valid_until = identity.and_then(|identity| {
            Some(
                identity
                    .valid_until()
                    .duration_since(UNIX_EPOCH)
                    .ok()?
                    .as_secs(),
            )
        });
        connection.send(value!({
            "type": "welcome",
            "id": connection.id(),
            "claims": cx.claims()?,
            "validUntil": valid_until,
        }))?;
        tell_members(cx.room());
        Ok(())
    }

    async fn on_message(
        &mut self,
        cx: &Context,
        from: &Connection,
        message: Message,
    ) -> Result<()> {
        let claims = cx.claims()?;
        cx.room().broadcast(value!({
            "type": "message",
            "from": claims.subject(),
            "connection": from.id(),
            "text": message.as_text()?,
        }));
        Ok(())
    }

    async fn on_close(&mut self, cx: &Context, _: &Connection, _: CloseEvent) -> Result<()> {
        tell_members(cx.room());
        Ok(())
    }

    async fn on_request(&mut self, cx: &Context, _: Request) -> Result<Response> {
        json(&value!({
            "room": cx.room().name(),
            "owner": cx.room().owner().await?,
            "connections": cx.room().connections().len(),
        }))
    }
}

impl AuthHooks for Chat {
    /// `POST …/claim` makes the caller the owner of a room that has none. It is
    /// answered before ownership is checked.
    async fn on_authenticated_request(
        &mut self,
        cx: &Context,
        request: Request,
    ) -> Result<RequestGate> {
        if request.method() != Method::POST || !request.uri().path().ends_with("/claim") {
            return Ok(RequestGate::Admit(request));
        }
        let claims = cx.claims()?;
        let answer = match cx.room().set_owner(claims.subject(), Overwrite::No).await {
            Ok(()) => json(&value!({ "owner": claims.subject() }))?,
            Err(OwnerError::AlreadyOwned) => {
                text(StatusCode::CONFLICT, "This room belongs to somebody else.")
            }
            Err(error) => return Err(error.into()),
        };
        Ok(RequestGate::Answer(answer))
    }
}

impl OwnershipHooks for Chat {}

/// Tells everyone who is here.
fn tell_members(room: &Room) {
    let members: Vec<_> = room
        .connections()
        .iter()
        .map(|connection| {
            let sub = connection
                .claims()
                .map(|claims| claims.subject().to_owned());
            value!({ "id": connection.id(), "sub": sub })
        })
        .collect();
    room.broadcast(value!({ "type": "members", "members": members }));
}
