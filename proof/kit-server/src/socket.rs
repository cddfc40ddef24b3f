//! Frames between a client and a socket of the kit.

use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;
use futures_util::{FutureExt, SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use partyserver::testing::{TestParties, TestSocket};
use partyserver::{BoxFuture, Close, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_websockets::proto::ProtocolError;
use tokio_websockets::{
    CloseCode, Error as WsError, Limits, Message as WsMessage, ServerBuilder, WebSocketStream,
};

use crate::catch_up;

type Wire = WebSocketStream<TokioIo<Upgraded>>;

/// Serves a socket to its end.
pub(crate) async fn run(upgrade: OnUpgrade, socket: TestSocket, parties: Arc<TestParties>) {
    if let Ok(upgraded) = upgrade.await {
        let wire = ServerBuilder::new()
            .limits(Limits::default().max_payload_len(Some(MAX_FRAME)))
            .serve(TokioIo::new(upgraded));
        serve(wire, &socket, &parties).await;
    }
    // If the socket has not ended yet, the client is gone.
    catch_up(&parties).await;
    parties.vanish(&socket).await;
}

async fn serve(mut wire: Wire, socket: &TestSocket, parties: &TestParties) {
    // The kit's work on the last message, while it runs. The next message is read after
    // it.
    let mut turn: Option<BoxFuture<'_, ()>> = None;
    loop {
        for message in socket.received() {
            if wire.send(to_wire(message)).await.is_err() {
                break;
            }
        }
        if let Some(close) = socket.closed() {
            tokio::join!(dismiss(wire, &close), finish(turn));
            return;
        }
        let read = async {
            match &mut turn {
                Some(turn) => {
                    turn.await;
                    None
                }
                None => Some(wire.next().await),
            }
        };
        let read = tokio::select! {
            () = socket.changed() => continue,
            read = read => read,
        };
        let Some(read) = read else {
            turn = None;
            continue;
        };
        match read {
            Some(Ok(message)) if message.is_close() => {
                catch_up(parties).await;
                let (code, reason) = match message.as_close() {
                    Some((code, reason)) => (code.into(), reason),
                    None => (1005, ""),
                };
                parties.close(socket, code, reason).await;
                return answer_close(wire, code, reason).await;
            }
            Some(Ok(message)) => {
                turn = from_wire(message).map(|message| {
                    async move {
                        catch_up(parties).await;
                        parties.send(socket, message).await;
                    }
                    .boxed()
                })
            }
            Some(Err(error)) => return broke(wire, &error).await,
            None => return,
        }
    }
}

async fn finish(turn: Option<BoxFuture<'_, ()>>) {
    if let Some(turn) = turn {
        turn.await;
    }
}

/// Tells the client that the socket is closed, and waits for the client to leave.
async fn dismiss(mut wire: Wire, close: &Close) {
    let told = async {
        let code = CloseCode::try_from(close.code()).ok();
        if wire
            .send(WsMessage::close(code, close.reason()))
            .await
            .is_err()
        {
            return;
        }
        while let Some(Ok(message)) = wire.next().await {
            if message.is_close() {
                break;
            }
        }
        end(wire.into_inner()).await;
    };
    let _ = tokio::time::timeout(CLOSE_TIME, told).await;
}

/// Answers a client's close frame with the same code and reason.
async fn answer_close(mut wire: Wire, code: u16, reason: &str) {
    let answered = async {
        if reason.is_empty() {
            // The stream's own answer has only the code.
            let _ = wire.close().await;
            return;
        }
        let mut stream = wire.into_inner();
        let length = u8::try_from(2 + reason.len()).unwrap_or_default();
        let head = [&[0x88, length], &code.to_be_bytes()[..]].concat();
        if stream
            .write_all(&[&head, reason.as_bytes()].concat())
            .await
            .is_ok()
        {
            let _ = stream.shutdown().await;
        }
    };
    let _ = tokio::time::timeout(CLOSE_TIME, answered).await;
}

/// The client broke the protocol. The stream has told the client, or must be told to.
async fn broke(mut wire: Wire, error: &WsError) {
    let code = match error {
        WsError::PayloadTooLong { .. } => Close::TOO_LARGE,
        WsError::Protocol(ProtocolError::InvalidUtf8) => 1007,
        WsError::Protocol(_) => 1002,
        _ => return,
    };
    let told = async {
        let _ = wire
            .send(WsMessage::close(CloseCode::try_from(code).ok(), ""))
            .await;
        let _ = wire.close().await;
        end(wire.into_inner()).await;
    };
    let _ = tokio::time::timeout(CLOSE_TIME, told).await;
}

/// Ends the stream after the client has, because closing a stream with unread bytes
/// resets it.
async fn end(mut stream: TokioIo<Upgraded>) {
    if stream.shutdown().await.is_ok() {
        let mut rest = stream.take(MAX_FRAME as u64);
        let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
    }
}

fn to_wire(message: Message) -> WsMessage {
    match message {
        Message::Text(text) => WsMessage::text(text.to_string()),
        Message::Binary(bytes) => WsMessage::binary(bytes),
    }
}

/// A message for the kit; `None` for pings and pongs.
fn from_wire(message: WsMessage) -> Option<Message> {
    let is_text = message.is_text();
    if !is_text && !message.is_binary() {
        return None;
    }
    let bytes: bytes::Bytes = message.into_payload().into();
    if !is_text {
        return Some(Message::Binary(bytes));
    }
    // The stream has checked that it is UTF-8.
    ByteString::try_from(bytes).ok().map(Message::Text)
}

const CLOSE_TIME: Duration = Duration::from_secs(5);
/// More than any party accepts, so that the kit is what refuses.
const MAX_FRAME: usize = 64 * 1024 * 1024;
