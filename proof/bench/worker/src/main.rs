//! The rooms of `proof/interop/npm-package/rooms.mjs` in Rust. They give the same
//! answers, so that the costs can be compared. This is also the smallest secured
//! Worker.

use std::time::Duration;

use agents_oauth2_jwt_bearer::{AuthContext, AuthOptions, BearerAuth, WithAuth, WithOwnership};
use partyserver::{
    Connection, Context, Hibernation, Message, PartyOptions, Request, Response, Result, Server,
    answer,
};
use partyserver_workers::Parties;
use serde_json::json as value;

/// Echoes. A message that begins with `b:` goes to the whole room.
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

fn main() {
    partyserver_workers::serve(|env| {
        let bearer = BearerAuth::builder()
            .variables(|name| env.var(name))
            .build_on_web(partyserver_workers::spawn)?;
        let options = AuthOptions::new(bearer);
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
