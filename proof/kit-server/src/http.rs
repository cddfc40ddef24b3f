//! HTTP/1.1 in front of the kit.

use std::convert::Infallible;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use partyserver::host::upgrade::is_upgrade;
use partyserver::testing::{TestParties, TestSocket};
use partyserver::{Body, BodyError, Response};
use sha1::{Digest, Sha1};
use tokio::net::TcpStream;

use crate::{catch_up, socket};

/// Serves one connection to its end.
pub(crate) async fn serve(stream: TcpStream, parties: Arc<TestParties>) {
    let service = service_fn(move |request| {
        let parties = Arc::clone(&parties);
        async move { Ok::<_, Infallible>(answer(request, parties).await) }
    });
    // The kit's own limits are lower, so that the kit is what refuses.
    let connection = hyper::server::conn::http1::Builder::new()
        .max_headers(1000)
        .max_buf_size(1024 * 1024)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // A client that breaks off is told nothing.
    let _ = connection.await;
}

async fn answer(mut request: hyper::Request<Incoming>, parties: Arc<TestParties>) -> Response {
    catch_up(&parties).await;
    if !is_upgrade(request.headers()) {
        let request = request
            .map(|body| Body::stream(body.map_err(|error| BodyError::Interrupted(error.into()))));
        return parties.request(request).await;
    }
    let upgrade = hyper::upgrade::on(&mut request);
    let (mut head, _) = request.into_parts();
    let key = head.headers.get(SEC_WEBSOCKET_KEY).cloned();
    head.extensions.clear();
    match parties.connect(http::Request::from_parts(head, ())).await {
        Ok(socket) => {
            let answer = accepted(key.as_ref(), &socket);
            tokio::spawn(socket::run(upgrade, socket, parties));
            answer
        }
        Err(answer) => *answer,
    }
}

/// The answer to a handshake (RFC 6455 section 4.2.2).
fn accepted(key: Option<&HeaderValue>, socket: &TestSocket) -> Response {
    let mut hash = Sha1::new();
    hash.update(key.map(HeaderValue::as_bytes).unwrap_or_default());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = STANDARD.encode(hash.finalize());
    let mut headers = HeaderMap::new();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    for (name, value) in [
        (SEC_WEBSOCKET_ACCEPT, Some(&*accept)),
        (SEC_WEBSOCKET_PROTOCOL, socket.subprotocol()),
    ] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
    let mut answer = Response::default();
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *answer.headers_mut() = headers;
    answer
}
