//! The parties, for any host.

use std::time::Duration;

use agents_oauth2_jwt_bearer::{
    Anonymous, AuthOptions, BearerAuth, BearerAuthBuilder, Claim, ConfigError, Profile,
    RefreshToken, RefusalForm, WithAuth, WithOwnership,
};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, UPGRADE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use partyserver::{
    Cors, CorsOption, Hibernation, PartyOptions, PartyRegistry, Request, Response, answer,
};
use serde_json::json as value;

use crate::{
    Alarm, Before, Closing, Echo, FailingStart, Faulty, OnStartServer, PrivateProbe, Probe, Props,
    Slow, Stateful, Streams, Tags,
};

/// Registers the parties. `variable` reads the host's variables, and `build` makes
/// options with the host's ports.
///
/// # Errors
/// When a variable is missing or malformed; the error names it.
pub fn parties<R: PartyRegistry>(
    registry: R,
    variable: impl Fn(&str) -> Option<String>,
    build: impl Fn(BearerAuthBuilder) -> Result<BearerAuth, ConfigError>,
) -> Result<R, Box<dyn std::error::Error>> {
    let tokens = || {
        BearerAuth::builder()
            .variables(&variable)
            .leeway(Duration::ZERO)
    };
    let bearer = build(tokens())?;
    let default = AuthOptions::new(bearer.clone());
    let anonymous = AuthOptions::new(bearer.clone().anonymous(Anonymous::Allowed));
    let strict = AuthOptions::new(build(tokens().profile(Profile::Rfc9068))?);
    let scoped = AuthOptions::new(bearer.required_scopes(["rooms:write"]));
    let handshake = default.clone().refusal(RefusalForm::Handshake);
    let refreshing = default.clone().refresh_token(RefreshToken::Accepted);

    let chat = |options: AuthOptions| move || WithAuth::new(Probe::default(), options.clone());
    let private = |options: AuthOptions| {
        move || WithAuth::new(WithOwnership::new(PrivateProbe::default()), options.clone())
    };
    let first_user = {
        let options = default.clone();
        move || {
            let owned = WithOwnership::new(PrivateProbe::default()).claim(Claim::FirstUser);
            WithAuth::new(owned, options.clone())
        }
    };
    let streams = {
        let options = default.clone();
        move || {
            let owned = WithOwnership::new(Streams::default()).claim(Claim::FirstUser);
            WithAuth::new(owned, options.clone())
        }
    };
    let plain = PartyOptions::new;
    let open = || plain().cors(CorsOption::Default);
    let hibernating = |seconds| Hibernation::After(Duration::from_secs(seconds));

    Ok(registry
        .party("plain", Probe::default)
        .party_with("chat", open(), chat(default.clone()))
        .party_with("optional", open(), chat(anonymous.clone()))
        .party_with("strict-chat", open(), chat(strict))
        .party_with("scoped", open(), chat(scoped))
        .party_with("handshake", open(), chat(handshake))
        .party_with("refreshing", open(), chat(refreshing))
        .party_with("private-chat", open(), private(default.clone()))
        .party_with("private-optional", open(), private(anonymous))
        .party_with("first-user", open(), first_user)
        .party_with("streams", open(), streams)
        .party_with(
            "hibernate-chat",
            open().hibernation(hibernating(10)),
            chat(default.clone()),
        )
        .party_with(
            "hibernate-private",
            open().hibernation(hibernating(10)),
            private(default),
        )
        .party_with(
            "echo",
            plain().max_message(32 << 20).max_queued_bytes(64 << 20),
            || Echo,
        )
        .party_with(
            "small",
            plain()
                .max_message(1024)
                .max_body(1024)
                .max_connections_per_room(2),
            || Echo,
        )
        .party_with("slow-reader", plain().max_queued_bytes(64 * 1024), || Echo)
        .party("stateful", || Stateful)
        .party_with(
            "hibernating-stateful",
            plain().hibernation(hibernating(1)),
            || Stateful,
        )
        .party("on-start-server", OnStartServer::default)
        .party_with(
            "hibernating-on-start-server",
            plain().hibernation(hibernating(10)),
            OnStartServer::default,
        )
        .party("failing-start", FailingStart::default)
        .party("before", || Before)
        .party("tags", Tags::default)
        .party_with(
            "hibernating-tags",
            plain().hibernation(hibernating(1)),
            Tags::default,
        )
        .party_with("cors", open(), || Before)
        .party_with(
            "cors-custom",
            plain().cors(CorsOption::Custom(own_cors())),
            || Before,
        )
        .party("closing", Closing::default)
        .party_with(
            "hibernating-closing",
            plain().hibernation(hibernating(10)),
            Closing::default,
        )
        .party_with("props", props()?, Props::default)
        .party_with(
            "faulty",
            plain().turn_limit(Duration::from_secs(1)),
            Faulty::default,
        )
        .party_with(
            "hibernating-faulty",
            plain().hibernation(hibernating(10)),
            Faulty::default,
        )
        .party_with("slow", plain().max_queued_bytes(2 << 20), Slow::default)
        .party_with(
            "hibernating-slow",
            plain().hibernation(hibernating(1)),
            Slow::default,
        )
        .party("alarm", Alarm::default)
        .party_with(
            "hibernating-alarm",
            plain().hibernation(hibernating(1)),
            Alarm::default,
        )
        .rewrite(rewrite)
        .fallback(root))
}

fn props() -> serde_json::Result<PartyOptions> {
    PartyOptions::new().props(&serde_json::json!({ "greeting": "grüß dich" }))
}

/// Headers in place of the defaults.
fn own_cors() -> Cors {
    let origin = HeaderValue::from_static("https://app.example");
    Cors::custom(HeaderMap::from_iter([(
        ACCESS_CONTROL_ALLOW_ORIGIN,
        origin,
    )]))
}

/// Sends an upgrade at `/` to the echo party, and `/moved/…` to `/parties/plain/…`.
/// Adds a header that says what this function saw of the head.
fn rewrite(request: &mut Parts) {
    let path = request.uri.path_and_query();
    let path = path.map(PathAndQuery::as_str).unwrap_or_default();
    if request.uri.path() == "/" && request.headers.contains_key(UPGRADE) {
        request.uri = Uri::from_static("/parties/echo/root");
    } else if let Some(rest) = path.strip_prefix("/moved/") {
        let moved = format!("/parties/plain/{rest}").parse();
        let internal = ["x-part", "x-forwarded-", "forwarded"];
        let names = request.headers.keys().map(|name| name.as_str());
        let internal: Vec<&str> = names
            .filter(|name| internal.iter().any(|start| name.starts_with(start)))
            .collect();
        let saw = value!({ "url": request.uri.to_string(), "internal": internal });
        let saw = HeaderValue::try_from(saw.to_string());
        if let (Ok(moved), Ok(saw)) = (moved, saw) {
            request.uri = moved;
            request.headers.insert(SAW, saw);
        }
    }
}

/// The header that says what [`rewrite`] saw.
pub(crate) const SAW: HeaderName = HeaderName::from_static("x-rewrite-saw");

async fn root(request: Request) -> Response {
    if request.uri().path() == "/" {
        answer::text(StatusCode::OK, "conformance-server")
    } else {
        answer::text(StatusCode::NOT_FOUND, "Not found")
    }
}
