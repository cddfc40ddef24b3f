//! WebSockets of rooms through the router.

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{self, Next};
use futures_util::StreamExt;
use local_issuer::{Fault, LocalIssuer};
use partyserver_native::PeerAddress;
use support::{Told, World, close, hello};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_websockets::ClientBuilder;

#[tokio::test]
async fn a_token_opens_a_room() {
    let world = World::start().await;
    let token = world.token().sign();
    assert_eq!(
        world.hello(Some(&token)).await,
        Told::Text("alice: hello".into())
    );
}

#[tokio::test]
async fn a_refused_socket_is_told_why_by_a_close_code() {
    let world = World::start().await;
    let other = world.token().audience("other").sign();
    let expired = world.token().expired_for(Duration::from_secs(60)).sign();
    assert_eq!(world.hello(None).await, close(1008, "Unauthorized"));
    assert_eq!(world.hello(Some(&other)).await, close(1008, "Unauthorized"));
    assert_eq!(
        world.hello(Some(&expired)).await,
        close(3000, "token expired")
    );
    assert_eq!(world.rooms.rooms_started(), 0);
}

#[tokio::test]
async fn an_outage_of_the_provider_is_told_as_such() {
    let issuer = LocalIssuer::builder().start().await.unwrap();
    issuer.fault(Fault::Down);
    let world = World::with(issuer, |options| options).await;
    let token = world.token().sign();
    assert_eq!(
        world.hello(Some(&token)).await,
        close(1013, "try again later")
    );
}

#[tokio::test]
async fn a_stop_closes_sockets_and_ends_the_server() {
    let world = World::start().await;
    let url = format!(
        "ws://{}/parties/chat/a?access_token={}",
        world.address,
        world.token().sign()
    );
    let client = ClientBuilder::new().uri(&url).unwrap();
    let (mut socket, _) = client.connect().await.unwrap();
    world.stop.send(()).unwrap();
    let message = socket.next().await.unwrap().unwrap();
    assert_eq!(
        message.as_close().map(|(code, _)| code.into()),
        Some(1001_u16)
    );
    drop(socket);
    world.served.await.unwrap();
}

/// For applications that must serve the router with axum itself, as the documentation
/// of `PartyService` describes.
#[tokio::test]
async fn axums_own_server_serves_it_too() {
    let world = World::start().await;
    let peer =
        async |ConnectInfo(peer): ConnectInfo<SocketAddr>, mut request: Request, next: Next| {
            request.extensions_mut().insert(PeerAddress(peer));
            next.run(request).await
        };
    let app = world.app.clone().layer(middleware::from_fn(peer));
    let (address, stop, server) = serve(app).await;
    let token = world.token().sign();
    assert_eq!(
        hello(address, Some(&token)).await,
        Told::Text("alice: hello".into())
    );
    assert_eq!(hello(address, None).await, close(1008, "Unauthorized"));
    stop.send(()).unwrap();
    server.await.unwrap();
    world.rooms.shutdown().await;
}

#[tokio::test]
async fn inside_the_layer_rooms_know_the_user_too() {
    let world = World::start().await;
    let (address, _stop, _) = serve(world.app.clone().layer(world.auth.clone())).await;
    let token = world.token().sign();
    assert_eq!(
        hello(address, Some(&token)).await,
        Told::Text("alice: hello".into())
    );
    let url = format!("ws://{address}/parties/chat/a");
    let refused = ClientBuilder::new().uri(&url).unwrap().connect().await;
    assert!(refused.is_err(), "the layer refuses it before the room can");
}

/// Serves a router with axum until it is told to stop.
async fn serve(app: Router) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        // The end of the test stops the server too.
        stopped.await.unwrap_or_default();
    });
    let server = async { server.await.unwrap() };
    (address, stop, tokio::spawn(server))
}
