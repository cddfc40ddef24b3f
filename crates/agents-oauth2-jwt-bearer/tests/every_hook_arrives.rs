//! Each hook of `Server` reaches the wrapped server through either wrapper and through
//! both, so no wrapper can forget a hook. The list is the trait's own.

use std::sync::{Arc, Mutex};

use agents_oauth2_jwt_bearer::{
    AuthOptions, BearerAuth, Claim, Overwrite, RoomOwnership, WithAuth, WithOwnership,
};
use http::{HeaderMap, Uri};
use local_issuer::LocalIssuer;
use partyserver::testing::TestRoom;
use partyserver::wrap::HOOKS;
use partyserver::*;
use serde_json::Value;

/// The names of the hooks that ran.
type Seen = Arc<Mutex<Vec<&'static str>>>;

/// Notes each hook that reaches it.
struct Recorder(Seen);

impl Recorder {
    fn saw(&self, hook: &'static str) {
        self.0.lock().unwrap().push(hook);
    }
}

impl Server for Recorder {
    fn on_party_start(&self) {
        self.saw("on_party_start");
    }
    fn readiness(&self) -> Readiness {
        self.saw("readiness");
        Readiness::Ready
    }
    fn cors(&self) -> Cors {
        self.saw("cors");
        Cors::default()
    }
    fn answer_headers(&self, _: &Uri) -> HeaderMap {
        self.saw("answer_headers");
        HeaderMap::new()
    }
    async fn on_before_request(&self, _: &Lobby, request: Request) -> Result<RequestGate> {
        self.saw("on_before_request");
        Ok(RequestGate::Admit(request))
    }
    async fn on_before_connect(&self, _: &Lobby, handshake: Handshake) -> Result<ConnectGate> {
        self.saw("on_before_connect");
        Ok(ConnectGate::Admit(handshake))
    }
    async fn on_start(&mut self, _: &Context) -> Result<()> {
        self.saw("on_start");
        Ok(())
    }
    async fn on_authenticated_connect(&mut self, _: &Context, _: &Handshake) -> Result<Admission> {
        self.saw("on_authenticated_connect");
        Ok(Admission::Admit)
    }
    async fn on_authorized_connect(&mut self, _: &Context, _: &Handshake) -> Result<Admission> {
        self.saw("on_authorized_connect");
        Ok(Admission::Admit)
    }
    async fn on_admit(&mut self, _: &Context, _: &Handshake) -> Result<Admission> {
        self.saw("on_admit");
        Ok(Admission::Admit)
    }
    async fn connection_tags(&mut self, _: &Context, _: &Handshake) -> Result<Vec<String>> {
        self.saw("connection_tags");
        Ok(Vec::new())
    }
    async fn on_connect(&mut self, _: &Context, _: &Connection, _: &Handshake) -> Result<()> {
        self.saw("on_connect");
        Ok(())
    }
    async fn on_message(&mut self, _: &Context, _: &Connection, _: Message) -> Result<()> {
        self.saw("on_message");
        Ok(())
    }
    async fn on_close(&mut self, _: &Context, _: &Connection, _: CloseEvent) -> Result<()> {
        self.saw("on_close");
        Ok(())
    }
    async fn on_error(&mut self, _: &Context, _: &Connection, _: &Error) {
        self.saw("on_error");
    }
    async fn on_authenticated_request(
        &mut self,
        _: &Context,
        request: Request,
    ) -> Result<RequestGate> {
        self.saw("on_authenticated_request");
        Ok(RequestGate::Admit(request))
    }
    async fn on_authorized_request(
        &mut self,
        _: &Context,
        request: Request,
    ) -> Result<RequestGate> {
        self.saw("on_authorized_request");
        Ok(RequestGate::Admit(request))
    }
    async fn on_request(&mut self, _: &Context, _: Request) -> Result<Response> {
        self.saw("on_request");
        Ok(Response::default())
    }
    async fn on_alarm(&mut self, _: &Context) -> Result<()> {
        self.saw("on_alarm");
        Ok(())
    }
    async fn on_event(&mut self, _: &Context, _: Value) -> Result<()> {
        self.saw("on_event");
        Ok(())
    }
    async fn on_exception(&mut self, _: &Context, _: &Error) {
        self.saw("on_exception");
    }
}

/// The arguments that hooks are called with. All of them belong to an authenticated
/// owner.
struct Stage {
    token: String,
    lobby: Lobby,
    request: Context,
    event: Context,
    connection: Connection,
}

impl Stage {
    fn request<B>(&self, body: B) -> http::Request<B> {
        let request = http::Request::get("http://test/parties/party/room");
        let request = request.header("authorization", format!("Bearer {}", self.token));
        request.body(body).unwrap()
    }

    /// Calls a hook of a server as a host does.
    async fn call(&self, server: &mut impl Server, hook: &str) {
        let (room, from) = (&self.request, &self.connection);
        let error = Error::msg("for the test");
        let handshake = self.request(());
        let event = CloseEvent::clean(1000, "");
        match hook {
            "on_party_start" => server.on_party_start(),
            "readiness" => drop(server.readiness()),
            "cors" => drop(server.cors()),
            "answer_headers" => drop(server.answer_headers(handshake.uri())),
            "on_before_request" => {
                let request = self.request(Body::empty());
                drop(
                    server
                        .on_before_request(&self.lobby, request)
                        .await
                        .unwrap(),
                );
            }
            "on_before_connect" => {
                drop(
                    server
                        .on_before_connect(&self.lobby, handshake)
                        .await
                        .unwrap(),
                );
            }
            "on_start" => server.on_start(room).await.unwrap(),
            "on_authenticated_connect" => {
                drop(
                    server
                        .on_authenticated_connect(room, &handshake)
                        .await
                        .unwrap(),
                );
            }
            "on_authorized_connect" => {
                drop(
                    server
                        .on_authorized_connect(room, &handshake)
                        .await
                        .unwrap(),
                );
            }
            "on_admit" => drop(server.on_admit(room, &handshake).await.unwrap()),
            "connection_tags" => drop(server.connection_tags(room, &handshake).await.unwrap()),
            "on_connect" => server
                .on_connect(&self.event, from, &handshake)
                .await
                .unwrap(),
            "on_message" => server
                .on_message(&self.event, from, "hi".into())
                .await
                .unwrap(),
            "on_close" => server.on_close(&self.event, from, event).await.unwrap(),
            "on_error" => server.on_error(&self.event, from, &error).await,
            "on_authenticated_request" => {
                let request = self.request(Body::empty());
                drop(
                    server
                        .on_authenticated_request(room, request)
                        .await
                        .unwrap(),
                );
            }
            "on_authorized_request" => {
                let request = self.request(Body::empty());
                drop(server.on_authorized_request(room, request).await.unwrap());
            }
            "on_request" => {
                let request = self.request(Body::empty());
                drop(server.on_request(room, request).await.unwrap());
            }
            "on_alarm" => server.on_alarm(room).await.unwrap(),
            "on_event" => server.on_event(room, Value::Null).await.unwrap(),
            "on_exception" => server.on_exception(room, &error).await,
            new => panic!("{new} is a hook that this test has yet to call"),
        }
    }

    async fn all_arrive(&self, server: impl IntoServer, seen: &Seen) {
        let mut server = server.into_server();
        for hook in HOOKS {
            seen.lock().unwrap().clear();
            self.call(&mut server, hook).await;
            let seen = seen.lock().unwrap();
            assert!(seen.contains(hook), "{hook} did not arrive: {seen:?}");
        }
    }
}

#[tokio::test]
async fn through_either_wrapper_and_through_both() {
    let issuer = LocalIssuer::builder().start().await.unwrap();
    let options = BearerAuth::builder().issuer(issuer.url()).audience("api");
    let options = AuthOptions::new(options.build().unwrap());
    let seen = Seen::default();
    let recorder = || Recorder(Arc::clone(&seen));
    let owned = || WithOwnership::new(recorder()).claim(Claim::FirstUser);

    // A room, a connection in it, and the caller's identity, attached as a gate does
    // it.
    let made = options.clone();
    let mut room = TestRoom::new("party", "room", move || {
        WithAuth::new(Recorder(Seen::default()), made.clone())
    });
    let token = issuer.token().sign();
    let lobby = Lobby::new("party", "room", room.now());
    let handshake = http::Request::get("http://test/parties/party/room");
    let handshake = handshake.header("authorization", format!("Bearer {token}"));
    let socket = room
        .connect_with(handshake.body(()).unwrap())
        .await
        .unwrap();
    let connection = socket.connection().unwrap().clone();
    let attachments = connection.attachments().clone();
    let stage = Stage {
        token,
        lobby,
        request: Context::for_request(room.room(), attachments),
        event: Context::for_connection(room.room(), connection.clone()),
        connection,
    };

    stage
        .all_arrive(WithAuth::new(recorder(), options.clone()), &seen)
        .await;
    // A room that woke without an owner would close the connection.
    let owner = room.room();
    owner.set_owner("alice", Overwrite::No).await.unwrap();
    stage.all_arrive(owned(), &seen).await;
    stage
        .all_arrive(WithAuth::new(owned(), options), &seen)
        .await;
}
