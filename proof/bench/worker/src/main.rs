//! The rooms of `proof/interop/npm-package/rooms.mjs` in Rust: the same answers, so that
//! what they cost can be compared. It is also the least that a secured Worker is.

use std::time::Duration;

use agents_oauth2_jwt_bearer::{
    AuthContext, AuthHooks, AuthOptions, OwnershipHooks, WithAuth, WithOwnership,
};
use partyserver::{
    Connection, Context, Hibernation, Message, PartyOptions, Request, Response, Result, Server,
    answer,
};
use partyserver_workers::Parties;
use serde_json::json as value;

/// Echoes; what begins with `b:` goes to the whole room.
struct Room;

impl Server for Room {
    async fn on_message(
        &mut self,
        cx: &Context,
        from: &Connection,
        message: Message,
    ) -> Result<()> {
        match message.as_text() {
            Ok(text) if text.starts_with("b:") => cx.room().broadcast(message),
            _ => from.send(message)?,
        }
        Ok(())
    }

    async fn on_request(&mut self, cx: &Context, _: Request) -> Result<Response> {
        answer::json(&value!({ "sub": cx.claims()?.subject() }))
    }
}

impl AuthHooks for Room {}
impl OwnershipHooks for Room {}

fn main() {
    partyserver_workers::serve(|env| {
        let options = AuthOptions::builder()
            .variables(|name| env.var(name))
            .build_on_web(partyserver_workers::spawn)?;
        let hibernating =
            || PartyOptions::new().hibernation(Hibernation::After(Duration::from_secs(10)));
        let (secured, owned) = (options.clone(), options);
        Ok(Parties::new()
            .party_with("secured", hibernating(), move || {
                WithAuth::new(Room, secured.clone())
            })
            .party_with("owned", hibernating(), move || {
                WithAuth::new(WithOwnership::new(Room), owned.clone())
            }))
    });
}
