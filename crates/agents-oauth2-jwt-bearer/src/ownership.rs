//! `WithOwnership`: a room belongs to one user.
//!
//! It goes inside [`WithAuth`](crate::WithAuth), which gives it identities. Alone it
//! admits nobody, and the other way round it does not compile:
//!
//! ```compile_fail,E0277
//! # use agents_oauth2_jwt_bearer::*; use partyserver::Server;
//! # struct Chat; impl Server for Chat {}
//! # fn wrong(options: AuthOptions) {
//! WithOwnership::new(WithAuth::new(Chat, options));
//! # }
//! ```
//! ```
//! # use agents_oauth2_jwt_bearer::*; use partyserver::Server;
//! # struct Chat; impl Server for Chat {}
//! # fn right(options: AuthOptions) {
//! // The owner: 200. Another user: 403 `This chat is not yours.`
//! WithAuth::new(WithOwnership::new(Chat), options);
//! # }
//! ```

use std::borrow::Cow;
use std::sync::Arc;

use oauth2_jwt_bearer::{Challenge, DEFAULT_REALM, Error as TokenError};
use partyserver::wrap::Wrap;
use partyserver::{
    Admission, Close, Connection, Context, Handshake, Message, Refusal, Request, RequestGate,
    Response, Result, Server, StreamEnd,
};

use crate::auth::BY_HOOK;
use crate::context::{NotAuthenticated, valid_identity};
use crate::log;
use crate::options::{RefusalForm, Settings};
use crate::owner::{NOT_OWNER, NOT_YOURS, Ownership, is_owner};
use crate::owner_store::{Overwrite, OwnerStore, RoomStorage};
use crate::refusal::{expired, in_form};

/// A server that serves only its room's owner. Nothing that the inner server does can
/// switch that off.
pub struct WithOwnership<S> {
    inner: S,
    claim: Claim,
    message: Cow<'static, str>,
    store: Arc<dyn OwnerStore>,
}

/// How a room gets its owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Claim {
    /// By [`RoomOwnership::set_owner`](crate::RoomOwnership::set_owner) alone, for
    /// example in an `on_authenticated_*` hook.
    #[default]
    Explicit,
    /// The first authenticated user who comes becomes the owner, atomically.
    FirstUser,
}

impl<S: Server> WithOwnership<S> {
    /// Puts a server behind ownership.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            claim: Claim::default(),
            message: NOT_YOURS.into(),
            store: Arc::new(RoomStorage),
        }
    }

    /// How a room gets its owner. Default: explicitly.
    #[must_use]
    pub fn claim(mut self, claim: Claim) -> Self {
        self.claim = claim;
        self
    }

    /// The message for callers who do not own the room. Default: `This chat is not
    /// yours.`
    #[must_use]
    pub fn message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.message = message.into();
        self
    }

    /// Where owners are kept, the same for all rooms. Default: in the room's storage.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn OwnerStore>) -> Self {
        self.store = store;
        self
    }

    /// Whether the caller owns the room.
    async fn check(&self, cx: &Context) -> Result<Result<(), NotOwner>> {
        let outcome = self.owns(cx).await?;
        if let Err(cause) = outcome {
            log::refused_in_room(cx, cause.code());
        }
        Ok(outcome)
    }

    async fn owns(&self, cx: &Context) -> Result<Result<(), NotOwner>> {
        let identity = match valid_identity(cx) {
            Ok(identity) => identity,
            Err(NotAuthenticated::Expired) => return Ok(Err(NotOwner::Expired)),
            Err(NotAuthenticated::Anonymous) => return Ok(Err(NotOwner::Anonymous)),
        };
        let subject = identity.claims().subject();
        let ownership = Ownership::of(cx.room());
        let mut owner = ownership.read(cx.room()).await?;
        if owner.is_none() && self.claim == Claim::FirstUser && !subject.is_empty() {
            owner = Some(ownership.claim(cx.room(), subject, Overwrite::No).await?);
        }
        if is_owner(owner.as_deref(), subject) {
            Ok(Ok(()))
        } else {
            Ok(Err(NotOwner::Other))
        }
    }

    /// Whether the caller still owns the room. The store is not asked, because every
    /// change in this process is seen at once.
    async fn still_owns(&self, cx: &Context) -> Result<bool> {
        let Ok(identity) = valid_identity(cx) else {
            return Ok(false);
        };
        let owner = Ownership::of(cx.room()).last_seen(cx.room()).await?;
        Ok(is_owner(owner.as_deref(), identity.claims().subject()))
    }

    /// An answer that is still being streamed ends when the room gets another owner.
    async fn watch(&self, cx: &Context, answer: &mut Response) -> Result<()> {
        let end = StreamEnd::of(answer);
        if let Ok(identity) = valid_identity(cx) {
            Ownership::of(cx.room()).watch(identity.claims().subject(), end.clone());
        }
        // The room may have got another owner while the hook ran.
        if !self.still_owns(cx).await? {
            end.now();
        }
        Ok(())
    }

    fn response(&self, cx: &Context, cause: NotOwner) -> Response {
        let settings = settings(cx);
        let realm = settings
            .as_ref()
            .map_or(DEFAULT_REALM, |settings| &settings.bearer.realm);
        let challenge = match cause {
            NotOwner::Anonymous => Challenge::new::<&str>(&TokenError::Missing, realm, &[]),
            NotOwner::Expired => Challenge::new::<&str>(&TokenError::Expired, realm, &[]),
            NotOwner::Other => Challenge::forbidden(realm, self.message.clone()),
        };
        challenge.to_response()
    }

    fn refusal(&self, cx: &Context, cause: NotOwner) -> Refusal {
        let form = settings(cx).map_or(RefusalForm::default(), |settings| settings.refusal);
        in_form(form, self.response(cx, cause), self.close(cause))
    }

    fn send_away(&self, connection: &Connection) {
        log::sent_away(connection, NOT_OWNER);
        connection.revoke(self.close(NotOwner::Other));
    }

    fn close(&self, cause: NotOwner) -> Close {
        match cause {
            NotOwner::Anonymous => Close::new(Close::POLICY, "Unauthorized"),
            NotOwner::Expired => expired(),
            NotOwner::Other => Close::new(Close::POLICY, self.message.clone()),
        }
    }
}

#[derive(Clone, Copy)]
enum NotOwner {
    Anonymous,
    Expired,
    Other,
}

impl NotOwner {
    /// A stable code for logs.
    fn code(self) -> &'static str {
        match self {
            Self::Anonymous => TokenError::Missing.code(),
            Self::Expired => TokenError::Expired.code(),
            Self::Other => NOT_OWNER,
        }
    }
}

impl<S: Server> Wrap for WithOwnership<S> {
    type Inner = S;

    fn inner(&self) -> &S {
        &self.inner
    }

    fn inner_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    async fn on_start(&mut self, cx: &Context) -> Result<()> {
        let room = cx.room();
        if room.locals().get::<Ownership>().is_none() {
            let store = Arc::clone(&self.store);
            room.locals()
                .insert(Ownership::new(store, self.message.clone()));
        }
        // The room's owner may have changed while it slept.
        if !room.connections().is_empty() {
            Ownership::of(room).read(room).await?;
        }
        self.inner.on_start(cx).await
    }

    async fn on_admit(&mut self, cx: &Context, handshake: &Handshake) -> Result<Admission> {
        if let Err(cause) = self.check(cx).await? {
            return Ok(Admission::Refuse(self.refusal(cx, cause)));
        }
        match self.inner.on_authorized_connect(cx, handshake).await? {
            Admission::Admit => self.inner.on_admit(cx, handshake).await,
            refused @ Admission::Refuse(_) => {
                log::refused_in_room(cx, BY_HOOK);
                Ok(refused)
            }
        }
    }

    async fn on_connect(
        &mut self,
        cx: &Context,
        connection: &Connection,
        handshake: &Handshake,
    ) -> Result<()> {
        // A task of the room may have given the room away since `on_admit`. At that
        // time this connection did not exist and could not be closed.
        if !self.still_owns(cx).await? {
            self.send_away(connection);
            return Ok(());
        }
        self.inner.on_connect(cx, connection, handshake).await
    }

    async fn on_message(
        &mut self,
        cx: &Context,
        connection: &Connection,
        message: Message,
    ) -> Result<()> {
        if !self.still_owns(cx).await? {
            self.send_away(connection);
            return Ok(());
        }
        self.inner.on_message(cx, connection, message).await
    }

    async fn on_request(&mut self, cx: &Context, request: Request) -> Result<Response> {
        if let Err(cause) = self.check(cx).await? {
            return Ok(self.response(cx, cause));
        }
        let mut answer = match self.inner.on_authorized_request(cx, request).await? {
            RequestGate::Admit(request) => self.inner.on_request(cx, request).await?,
            RequestGate::Answer(answer) => answer,
        };
        if !answer.body().is_whole() {
            self.watch(cx, &mut answer).await?;
        }
        Ok(answer)
    }
}

fn settings(cx: &Context) -> Option<Arc<Settings>> {
    cx.room().locals().get()
}
