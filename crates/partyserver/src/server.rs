//! The one trait that a room's code implements, and the one list of its hooks.

use http::{HeaderMap, Uri};
use serde_json::Value;

use crate::answer;
use crate::close::CloseEvent;
use crate::cors::Cors;
use crate::error::{Error, Result};
use crate::hooks::{handed_on, hooks};
use crate::http_types::{Handshake, Refusal, Request, Response};
use crate::maybe_send::{MaybeSend, MaybeSync};
use crate::message::Message;
use crate::readiness::Readiness;
use crate::room::connection::Connection;
use crate::room::context::{Context, Lobby};

hooks! {
    /// The code of a room. Every hook has a safe default.
    ///
    /// There is one value of the type per room, and one more per party: the **gate**,
    /// which lives at the router and runs the before-hooks. The gate never belongs to a
    /// room. That is why those hooks take `&self` and are given a [`Lobby`].
    ///
    /// The other hooks take `&mut self`: a room handles one event at a time, to its
    /// end, in the order in which the events arrived. If the hooks of an event panic,
    /// or take longer than the party's turn limit (default 60 s), this value is
    /// dropped. The next event makes a new one and starts it.
    ///
    /// # The order of a room's life
    /// 1. `on_before_request` or `on_before_connect`, at the router;
    /// 2. `on_start`, once, before anything else in the room;
    /// 3. `on_request`; or `on_admit`, `connection_tags`, `on_connect`, then any
    ///    number of `on_message`, then `on_close`;
    /// 4. `on_alarm` and `on_event` at their times.
    ///
    /// Behind a wrapper that authenticates or authorizes, `on_authenticated_*` and
    /// `on_authorized_*` run before `on_request` and `on_admit`.
    #[diagnostic::on_unimplemented(
        message = "`{Self}` is not a server that a room or a wrapper can take",
        label = "neither `impl Server` nor a wrapper that goes inside another",
        note = "rooms are types with `impl Server for {Self} {{ … }}`",
        note = "an outermost wrapper such as `WithAuth` goes around all others: \
                `WithAuth::new(WithOwnership::new(server), options)`"
    )]
    pub trait Server;

    gate {
        /// Runs at the gate when the host begins to serve the party, inside the host's
        /// runtime. Start work in the background here. Default: nothing.
        fn on_party_start(&self) {}

        /// Whether the party can serve now, for `/readyz`. Asked of the gate.
        /// Default: ready.
        fn readiness(&self) -> Readiness {
            Readiness::Ready
        }

        /// The CORS headers for a party with `CorsOption::Default`. Asked of the
        /// gate. Default: [`Cors::default`].
        fn cors(&self) -> Cors {
            Cors::default()
        }

        /// Headers for every answer to a request or refused upgrade. They replace the
        /// answer's own headers of the same names, whoever made the answer: the gate,
        /// the room, or the host after a failure or for a limit. `uri` is the request's
        /// URI as it arrived. Asked of the gate. Default: none.
        fn answer_headers(&self, uri: &Uri) -> HeaderMap {
            let _ = uri;
            HeaderMap::new()
        }

        /// Runs at the gate before a request reaches its room. The room is not
        /// woken unless the request is admitted. An error is answered by 500.
        /// Default: admits.
        fn on_before_request(
            &self,
            lobby: &Lobby,
            request: Request,
        ) -> impl Future<Output = Result<RequestGate>> + MaybeSend {
            let _ = lobby;
            async { Ok(RequestGate::Admit(request)) }
        }

        /// Runs at the gate before an upgrade reaches its room. The room is not
        /// woken unless the upgrade is admitted. An error is answered by 500, or
        /// 1011. Default: admits.
        fn on_before_connect(
            &self,
            lobby: &Lobby,
            handshake: Handshake,
        ) -> impl Future<Output = Result<ConnectGate>> + MaybeSend {
            let _ = lobby;
            async { Ok(ConnectGate::Admit(handshake)) }
        }
    }

    room {
        /// Runs once before any other event of the room, and again after a hibernation.
        /// Events that arrive meanwhile wait. After an error the current event fails
        /// (500, or 1011), and the next event tries to start the same value again.
        /// Default: nothing.
        fn on_start(&mut self, cx: &Context) -> impl Future<Output = Result<()>> + MaybeSend {
            let _ = cx;
            async { Ok(()) }
        }

        /// Runs in the room for each upgrade with an identity, before anything else
        /// of the room looks at it and before there is a connection. `Refuse` ends it
        /// there. Default: admits.
        ///
        /// No host calls it. A wrapper that authenticates calls it (`WithAuth`), before
        /// the owner is asked for and before `on_admit`. It does not run for anonymous
        /// upgrades, and not again after a hibernation.
        fn on_authenticated_connect(
            &mut self,
            cx: &Context,
            handshake: &Handshake,
        ) -> impl Future<Output = Result<Admission>> + MaybeSend {
            let _ = (cx, handshake);
            async { Ok(Admission::Admit) }
        }

        /// Runs in the room for each upgrade that is authorized, before there is a
        /// connection. `Refuse` ends it there. Default: admits.
        ///
        /// No host calls it. A wrapper that authorizes calls it (`WithOwnership`),
        /// after `on_authenticated_connect` and before `on_admit`. It does not run
        /// again after a hibernation.
        fn on_authorized_connect(
            &mut self,
            cx: &Context,
            handshake: &Handshake,
        ) -> impl Future<Output = Result<Admission>> + MaybeSend {
            let _ = (cx, handshake);
            async { Ok(Admission::Admit) }
        }

        /// The room's own decision on an upgrade that the gate admitted, before there
        /// is a connection. After a refusal nothing of the socket has been in the room.
        /// Default: admits.
        fn on_admit(
            &mut self,
            cx: &Context,
            handshake: &Handshake,
        ) -> impl Future<Output = Result<Admission>> + MaybeSend {
            let _ = (cx, handshake);
            async { Ok(Admission::Admit) }
        }

        /// Tags of a new connection, beside its id: at most 9, each 1 to 256
        /// characters, else the upgrade fails with 500.
        /// [`Room::connections_tagged`](crate::Room::connections_tagged) finds the
        /// connection by these alone. They are the same after a hibernation; the hook
        /// does not run again. Default: none.
        fn connection_tags(
            &mut self,
            cx: &Context,
            handshake: &Handshake,
        ) -> impl Future<Output = Result<Vec<String>>> + MaybeSend {
            let _ = (cx, handshake);
            async { Ok(Vec::new()) }
        }

        /// Runs when a connection has joined the room, before the handshake is
        /// answered: clients give up after 4 s. What is sent here is the first that the
        /// client receives. All of it waits until the hook has ended, at most
        /// [`PartyOptions::max_replay_bytes`](crate::PartyOptions::max_replay_bytes).
        /// After an error the socket is closed with 1011. The hook does not run again
        /// after a hibernation. Default: nothing.
        fn on_connect(
            &mut self,
            cx: &Context,
            connection: &Connection,
            handshake: &Handshake,
        ) -> impl Future<Output = Result<()>> + MaybeSend {
            let _ = (cx, connection, handshake);
            async { Ok(()) }
        }

        /// Runs for each message of an open connection, in the order of arrival. After
        /// an error the socket is closed with 1011. Default: ignores the message.
        fn on_message(
            &mut self,
            cx: &Context,
            connection: &Connection,
            message: Message,
        ) -> impl Future<Output = Result<()>> + MaybeSend {
            let _ = (cx, connection, message);
            async { Ok(()) }
        }

        /// Runs once when a connection that had joined ends, whichever side ended it.
        /// The connection is no longer among the room's, and nothing can be sent to it.
        /// An error is logged. Default: nothing.
        fn on_close(
            &mut self,
            cx: &Context,
            connection: &Connection,
            event: CloseEvent,
        ) -> impl Future<Output = Result<()>> + MaybeSend {
            let _ = (cx, connection, event);
            async { Ok(()) }
        }

        /// Runs before `on_close` when a connection's transport broke, or when its
        /// client broke the protocol. Default: nothing; the host logs it.
        fn on_error(
            &mut self,
            cx: &Context,
            connection: &Connection,
            error: &Error,
        ) -> impl Future<Output = ()> + MaybeSend {
            let _ = (cx, connection, error);
            async {}
        }

        /// Runs in the room for each request with an identity, before anything else of
        /// the room looks at it. `Answer` ends it there. Default: admits.
        ///
        /// No host calls it. A wrapper that authenticates calls it (`WithAuth`), before
        /// the owner is asked for and before `on_request`. It does not run for
        /// anonymous requests.
        fn on_authenticated_request(
            &mut self,
            cx: &Context,
            request: Request,
        ) -> impl Future<Output = Result<RequestGate>> + MaybeSend {
            let _ = cx;
            async { Ok(RequestGate::Admit(request)) }
        }

        /// Runs in the room for each request that is authorized. `Answer` ends it
        /// there. Default: admits.
        ///
        /// No host calls it. A wrapper that authorizes calls it (`WithOwnership`),
        /// after `on_authenticated_request` and before `on_request`.
        fn on_authorized_request(
            &mut self,
            cx: &Context,
            request: Request,
        ) -> impl Future<Output = Result<RequestGate>> + MaybeSend {
            let _ = cx;
            async { Ok(RequestGate::Admit(request)) }
        }

        /// Answers a request to the room. An error is answered by 500 with an id
        /// (or the status of a broken body limit). Default: 404.
        fn on_request(
            &mut self,
            cx: &Context,
            request: Request,
        ) -> impl Future<Output = Result<Response>> + MaybeSend {
            let _ = (cx, request);
            async { Ok(answer::text(http::StatusCode::NOT_FOUND, "Not found")) }
        }

        /// Runs at the time of [`Room::set_alarm`](crate::Room::set_alarm), or soon
        /// after. By then the alarm is no longer set. After an error it is tried again
        /// up to 6 times. The first wait is 2 s, and each further wait is twice as
        /// long. Default: nothing.
        fn on_alarm(&mut self, cx: &Context) -> impl Future<Output = Result<()>> + MaybeSend {
            let _ = cx;
            async { Ok(()) }
        }

        /// Runs for each value that was given to [`Room::post`](crate::Room::post).
        /// Events are in memory only: a restart loses the events that are still queued.
        /// An error is logged. Default: ignores the value.
        fn on_event(
            &mut self,
            cx: &Context,
            event: Value,
        ) -> impl Future<Output = Result<()>> + MaybeSend {
            let _ = (cx, event);
            async { Ok(()) }
        }

        /// Runs after a hook of this room returned an error, with that error, for
        /// reporting. It changes nothing about the answer. It does not run after a
        /// panic. Default: nothing; the host logs the error with its id.
        fn on_exception(
            &mut self,
            cx: &Context,
            error: &Error,
        ) -> impl Future<Output = ()> + MaybeSend {
            let _ = (cx, error);
            async {}
        }
    }
}

/// What the gate does with a request.
#[derive(Debug)]
pub enum RequestGate {
    /// The request goes on to its room, as given here.
    Admit(Request),
    /// The request is answered here; the room is not woken.
    Answer(Response),
}

/// What the gate does with an upgrade.
#[derive(Debug)]
pub enum ConnectGate {
    /// The upgrade goes on to its room, as given here.
    Admit(Handshake),
    /// The upgrade is refused here; the room is not woken.
    Refuse(Refusal),
}

/// What a room does with an upgrade that the gate admitted.
#[derive(Debug)]
pub enum Admission {
    /// The socket becomes a connection of the room.
    Admit,
    /// The socket is refused and never joins.
    Refuse(Refusal),
}
