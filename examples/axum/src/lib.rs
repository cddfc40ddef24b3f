//! Rooms in an axum router, beside routes that have the same users.
//!
//! Both use one [`AuthOptions`]: one provider, one set of keys, and the same answer to
//! the same token. Rooms authenticate by themselves, because a browser can learn only
//! from a close code why its socket is refused. The other routes are behind the layer.

use agents_oauth2_jwt_bearer::{AuthContext, AuthOptions, Claims, WithAuth};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use oauth2_jwt_bearer::Anonymous;
use oauth2_jwt_bearer::axum::{Authenticated, RequiredScopes};
use partyserver::{Connection, Context, Message, Request, Response, Result, Server, answer};
use partyserver_native::{Parties, PartyService, ServeError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json as value};

/// The router, and the service of its rooms, which serves the router and stops it.
///
/// # Errors
/// When the rooms' store can't be opened.
pub fn app(
    parties: Parties,
    options: AuthOptions,
) -> std::result::Result<(Router, PartyService), ServeError> {
    let auth = options.bearer_auth().clone();
    let chat = move || WithAuth::new(Chat, options.clone());
    let rooms = parties.party("chat", chat).build()?;

    let optional = auth.clone().anonymous(Anonymous::Allowed);
    let private = Router::new()
        .route("/me", get(me))
        .route("/rooms", get(room_count))
        .route_layer(auth);
    let app = Router::new()
        .route("/", get("Rooms are at /parties/chat/{room}"))
        .route("/greeting", get(greeting).layer(optional))
        .merge(private)
        .route_service("/parties/{*room}", rooms.clone())
        .route_service("/healthz", rooms.clone())
        .route_service("/readyz", rooms.clone())
        .with_state(rooms.clone());
    Ok((app, rooms))
}

/// Greets an authenticated caller by name. An anonymous caller is not refused.
async fn greeting(user: Option<Authenticated>) -> String {
    match user {
        Some(user) => format!("Hello, {}", user.claims().subject()),
        None => "Hello, stranger".to_owned(),
    }
}

/// The claims that this application reads.
#[derive(Serialize, Deserialize)]
struct User {
    sub: String,
    client_id: Option<String>,
}

async fn me(user: Authenticated<User>) -> Json<User> {
    Json(user.into_claims())
}

/// The scope of an operator.
struct ReadRooms;

impl RequiredScopes for ReadRooms {
    const SCOPES: &'static [&'static str] = &["rooms:read"];
}

async fn room_count(
    _: Authenticated<Claims, ReadRooms>,
    State(rooms): State<PartyService>,
) -> Json<Value> {
    Json(value!({ "rooms": rooms.rooms_in_memory(), "sockets": rooms.sockets() }))
}

/// A room that everyone with a token may enter.
struct Chat;

impl Server for Chat {
    async fn on_message(&mut self, cx: &Context, _: &Connection, message: Message) -> Result<()> {
        let (claims, text) = (cx.claims()?, message.as_text()?);
        cx.room().broadcast(format!("{}: {text}", claims.subject()));
        Ok(())
    }

    async fn on_request(&mut self, cx: &Context, request: Request) -> Result<Response> {
        let url = request.uri().to_string();
        answer::json(
            &value!({ "room": cx.room().name(), "sub": cx.claims()?.subject(), "url": url }),
        )
    }
}
