//! `WithAuth`: nothing happens before authentication.
//!
//! At the gate the token is verified and taken out of the request. Without a valid
//! token the room is not woken. In the room each hook of the inner server runs only
//! while the identity is valid.
//!
//! Hooks see two of a request's extensions: the [`Attachments`] and the
//! [`PeerAddress`]. All others are removed at the gate, because frameworks keep copies
//! of the URL and of the token there. Use the attachments to pass a value to a room.
//!
//! ```
//! use agents_oauth2_jwt_bearer::{AuthContext, AuthOptions, BearerAuth, WithAuth};
//! use partyserver::*;
//!
//! #[derive(Default)]
//! struct Hello;
//!
//! impl Server for Hello {
//!     // With a valid token: 200. Without one: 401, and no room wakes.
//!     async fn on_request(&mut self, cx: &Context, _: Request) -> Result<Response> {
//!         Ok(answer::text(http::StatusCode::OK, format!("hello {}", cx.claims()?.subject())))
//!     }
//! }
//!
//! let bearer = BearerAuth::builder().issuer("https://id.example").audience("api").build()?;
//! let options = AuthOptions::new(bearer);
//! let factory = move || WithAuth::new(Hello, options.clone());
//! # drop(factory());
//! # Ok::<(), oauth2_jwt_bearer::ConfigError>(())
//! ```

use std::sync::Arc;

use http::{Extensions, HeaderMap, HeaderName, Uri};
use oauth2_jwt_bearer::{
    AccessToken, Anonymous, Error as TokenError, IdToken, Readiness as ProviderReadiness,
    RequestKind, VerifiedToken, has_query_token, protect_query_token,
};
use partyserver::host::OnLoopback;
use partyserver::host::admission::requested_id;
use partyserver::wrap::{Wrap, renew};
use partyserver::{
    Admission, Attachments, CloseEvent, ConnectGate, Connection, Context, Cors, Handshake,
    IntoServer, Lobby, Message, PeerAddress, Principal, Readiness, Request, RequestGate, Response,
    Result, Server, StreamEnd,
};

use crate::context::{NotAuthenticated, unreadable, valid_identity};
use crate::identity::{Credentials, Identity};
use crate::log;
use crate::options::{AuthOptions, RefreshToken, Settings};
use crate::refusal::{TOKEN_EXPIRED, expired, refusal, response};

/// A server whose every request, connection and message carries a verified identity.
/// Nothing that the inner server does can switch that off.
///
/// It is the outermost wrapper. It is no [`Server`] itself, but a value that a party
/// can be made of ([`IntoServer`]). So nothing can be put around it that would see a
/// request before its token is verified.
///
/// ```compile_fail,E0277
/// # use agents_oauth2_jwt_bearer::*; use partyserver::Server;
/// # struct Chat; impl Server for Chat {}
/// # fn wrong(options: AuthOptions) {
/// WithAuth::new(WithAuth::new(Chat, options.clone()), options);
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct WithAuth<S> {
    inner: S,
    options: AuthOptions,
}

/// The server that a [`WithAuth`] becomes.
#[derive(Debug)]
pub struct AuthenticatedServer<S> {
    inner: S,
    options: AuthOptions,
}

impl<S: Server> WithAuth<S> {
    /// Puts a server behind authentication.
    pub fn new(inner: S, options: AuthOptions) -> Self {
        Self { inner, options }
    }
}

impl<S: Server> IntoServer for WithAuth<S> {
    type Server = AuthenticatedServer<S>;

    fn into_server(self) -> AuthenticatedServer<S> {
        AuthenticatedServer {
            inner: self.inner,
            options: self.options,
        }
    }
}

impl<S: Server> AuthenticatedServer<S> {
    fn settings(&self) -> &Arc<Settings> {
        &self.options.0
    }

    /// Whether the caller of an event may be served now. Returns the caller's identity,
    /// or `None` for an anonymous caller.
    fn check(&self, cx: &Context) -> Result<Option<Arc<Identity>>, TokenError> {
        match valid_identity(cx) {
            Ok(identity) => Ok(Some(identity)),
            Err(NotAuthenticated::Expired) => Err(TokenError::Expired),
            Err(NotAuthenticated::Anonymous) => match self.settings().bearer.anonymous {
                Anonymous::Allowed => Ok(None),
                Anonymous::Refused => Err(TokenError::Missing),
            },
        }
    }
}

impl<S: Server> Wrap for AuthenticatedServer<S> {
    type Inner = S;

    fn inner(&self) -> &S {
        &self.inner
    }

    fn inner_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    fn on_party_start(&self) {
        self.settings().bearer.verifier().start();
        self.inner.on_party_start();
    }

    fn readiness(&self) -> Readiness {
        match self.settings().bearer.verifier().readiness() {
            ProviderReadiness::Ready => self.inner.readiness(),
            ProviderReadiness::NotReady(reason) => Readiness::NotReady(reason),
        }
    }

    /// The inner server's own headers, or else the headers for bearer tokens.
    fn cors(&self) -> Cors {
        let inner = self.inner.cors();
        if inner == Cors::default() {
            Cors::for_bearer_tokens()
        } else {
            inner
        }
    }

    /// The inner server's own headers. If the URL has a token, headers are added that
    /// keep the URL out of caches and of `Referer` headers (RFC 6750 section 2.3).
    fn answer_headers(&self, uri: &Uri) -> HeaderMap {
        let mut headers = self.inner.answer_headers(uri);
        if has_query_token(uri) {
            protect_query_token(&mut headers);
        }
        headers
    }

    async fn on_before_request(&self, lobby: &Lobby, mut request: Request) -> Result<RequestGate> {
        let settings = self.settings();
        match authenticate(settings, lobby, &mut request, RequestKind::Http).await {
            Ok(()) => Ok(match self.inner.on_before_request(lobby, request).await? {
                RequestGate::Answer(answer) => {
                    RequestGate::Answer(end_with_identity(answer, Some(lobby.attachments())))
                }
                admitted @ RequestGate::Admit(_) => admitted,
            }),
            Err(Refused { error, .. }) => Ok(RequestGate::Answer(response(settings, &error))),
        }
    }

    async fn on_before_connect(
        &self,
        lobby: &Lobby,
        mut handshake: Handshake,
    ) -> Result<ConnectGate> {
        let settings = self.settings();
        let outcome = authenticate(settings, lobby, &mut handshake, RequestKind::Upgrade).await;
        match outcome {
            Ok(()) => self.inner.on_before_connect(lobby, handshake).await,
            Err(Refused { error, token }) => {
                let is_loop = error == TokenError::Expired
                    && token.is_some_and(|token| {
                        let id = requested_id(handshake.uri().query());
                        settings
                            .loop_guard
                            .is_loop(&token, id.as_deref(), lobby.now())
                    });
                Ok(ConnectGate::Refuse(refusal(settings, &error, is_loop)))
            }
        }
    }

    async fn on_start(&mut self, cx: &Context) -> Result<()> {
        // Hooks and other wrappers look for the settings here.
        cx.room().locals().share(Arc::clone(self.settings()));
        // An identity that an earlier version of the program wrote may not be readable.
        for connection in cx.room().connections() {
            if unreadable(connection.attachments()) {
                connection.revoke(expired());
            }
        }
        self.inner.on_start(cx).await
    }

    async fn on_admit(&mut self, cx: &Context, handshake: &Handshake) -> Result<Admission> {
        // The upgrade may have waited for its turn so long that its token has expired.
        let caller = match self.check(cx) {
            Ok(caller) => caller,
            Err(error) => {
                log::refused_in_room(cx, error.code());
                return Ok(Admission::Refuse(refusal(self.settings(), &error, false)));
            }
        };
        if caller.is_some()
            && let refused @ Admission::Refuse(_) =
                self.inner.on_authenticated_connect(cx, handshake).await?
        {
            log::refused_in_room(cx, BY_HOOK);
            return Ok(refused);
        }
        self.inner.on_admit(cx, handshake).await
    }

    async fn on_connect(
        &mut self,
        cx: &Context,
        connection: &Connection,
        handshake: &Handshake,
    ) -> Result<()> {
        if let Some(identity) = connection.attachments().get::<Identity>() {
            // One that was closed meanwhile has nobody to be connected.
            if !renew(connection, identity.valid_until(), expired()) {
                return Ok(());
            }
        }
        if self.check(cx).is_err() {
            connection.revoke(expired());
            return Ok(());
        }
        log::connected(connection);
        self.inner.on_connect(cx, connection, handshake).await
    }

    async fn on_message(
        &mut self,
        cx: &Context,
        connection: &Connection,
        message: Message,
    ) -> Result<()> {
        if self.check(cx).is_err() {
            connection.revoke(expired());
            return Ok(());
        }
        self.inner.on_message(cx, connection, message).await
    }

    async fn on_close(
        &mut self,
        cx: &Context,
        connection: &Connection,
        event: CloseEvent,
    ) -> Result<()> {
        // The host closes the connection at its deadline. This is where the end is
        // logged.
        let identity = connection.attachments().get::<Identity>();
        if identity.is_some_and(|identity| !identity.is_valid_at(cx.now()))
            && (event.code == TOKEN_EXPIRED || !event.clean)
        {
            log::sent_away(connection, TokenError::Expired.code());
        }
        self.inner.on_close(cx, connection, event).await
    }

    async fn on_request(&mut self, cx: &Context, request: Request) -> Result<Response> {
        let request = match self.check(cx) {
            Ok(Some(_)) => match self.inner.on_authenticated_request(cx, request).await? {
                RequestGate::Admit(request) => request,
                RequestGate::Answer(answer) => {
                    return Ok(end_with_identity(answer, cx.attachments()));
                }
            },
            Ok(None) => request,
            Err(error) => {
                log::refused_in_room(cx, error.code());
                return Ok(response(self.settings(), &error));
            }
        };
        let answer = self.inner.on_request(cx, request).await?;
        Ok(end_with_identity(answer, cx.attachments()))
    }
}

/// An answer that is still being streamed is broken off when the identity's time is up.
fn end_with_identity(mut answer: Response, attachments: Option<&Attachments>) -> Response {
    if !answer.body().is_whole()
        && let Some(identity) = attachments.and_then(Attachments::get::<Identity>)
    {
        StreamEnd::of(&mut answer).at(identity.valid_until());
    }
    answer
}

/// A request that was refused at the gate.
struct Refused {
    error: TokenError,
    /// The token, if one was read and refused.
    token: Option<AccessToken>,
}

/// Verifies the token of a request and moves it out of the request, so that hooks, logs
/// and rooms see the URL and the headers without it.
async fn authenticate<B>(
    settings: &Arc<Settings>,
    lobby: &Lobby,
    request: &mut http::Request<B>,
    kind: RequestKind,
) -> Result<(), Refused> {
    let bearer = &settings.bearer;
    let taken = bearer.take(request, kind);
    isolate(request.extensions_mut(), lobby.attachments());
    let secret = |headers: &mut HeaderMap, name: &HeaderName| {
        let value = headers.remove(name)?;
        AccessToken::new(value.to_str().ok()?).ok()
    };
    let headers = request.headers_mut();
    let id_token = secret(headers, &X_ID_TOKEN);
    let refresh_token = secret(headers, &X_REFRESH_TOKEN)
        .filter(|_| settings.refresh_token == RefreshToken::Accepted);
    let refused = |error: TokenError, token| {
        log::refused_at_gate(lobby, None, error.code());
        Refused { error, token }
    };
    let token = match taken {
        Ok(Some(token)) => token,
        Ok(None) => {
            log::admitted(lobby, None);
            return Ok(());
        }
        Err(error) => return Err(refused(error, None)),
    };
    let verified = match bearer.verifier().verify(&token).await {
        Ok(verified) => verified,
        Err(error) => return Err(refused(error, Some(token))),
    };
    if let Err(error) = bearer.check_scopes(&verified) {
        log::refused_at_gate(lobby, Some(verified.claims()), error.code());
        return Err(Refused { error, token: None });
    }
    let id_token = match id_token {
        // Boxed, because most requests have no ID token and need no space for it.
        Some(id_token) => {
            Box::pin(verify_id_token(
                settings, lobby, &id_token, &token, &verified,
            ))
            .await
        }
        None => None,
    };
    log::admitted(lobby, Some(verified.claims()));
    attach(
        lobby.attachments(),
        Identity::new(&verified),
        Credentials::new(token, id_token.as_ref(), refresh_token),
    );
    Ok(())
}

/// Removes what the server around the rooms keeps with a request. A framework keeps the
/// URL as it arrived, with the token in it, and no hook behind the gate may see that.
fn isolate(extensions: &mut Extensions, attachments: &Attachments) {
    let held = extensions.get::<Attachments>();
    let known = [
        held.is_some_and(|held| held.is_same(attachments)),
        extensions.get::<PeerAddress>().is_some(),
        extensions.get::<OnLoopback>().is_some(),
    ];
    // Most requests have nothing else.
    if extensions.len() == known.into_iter().filter(|known| *known).count() {
        return;
    }
    let peer = extensions.remove::<PeerAddress>();
    let on_loopback = extensions.remove::<OnLoopback>();
    extensions.clear();
    extensions.insert(attachments.clone());
    if let Some(peer) = peer {
        extensions.insert(peer);
    }
    if let Some(on_loopback) = on_loopback {
        extensions.insert(on_loopback);
    }
}

fn attach(attachments: &Attachments, identity: Identity, credentials: Credentials) {
    attachments.insert(Principal(identity.claims().subject().to_owned()));
    attachments.insert(identity);
    attachments.insert(credentials);
}

/// An ID token that does not verify is left out. It never grants access.
async fn verify_id_token(
    settings: &Settings,
    lobby: &Lobby,
    id_token: &AccessToken,
    token: &AccessToken,
    verified: &VerifiedToken,
) -> Option<IdToken> {
    let client_id = settings.client_id.as_deref();
    match settings
        .bearer
        .verifier()
        .verify_id_token(id_token, token, verified, client_id)
        .await
    {
        Ok(id_token) => Some(id_token),
        Err(error) => {
            log::id_token_left_out(lobby, verified.claims(), error.code());
            None
        }
    }
}

/// The reason code of an upgrade that a hook of the application refused.
pub(crate) const BY_HOOK: &str = "hook";
const X_ID_TOKEN: HeaderName = HeaderName::from_static("x-id-token");
const X_REFRESH_TOKEN: HeaderName = HeaderName::from_static("x-refresh-token");
