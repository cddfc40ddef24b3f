//! Answers that are still being streamed when the caller loses the right to them.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cases::cases;
use crate::world::Shared;

cases! {
    "Streamed answers" => [
        end_with_the_token, end_when_the_room_moves, end_with_their_clients,
    ],
}

async fn end_with_the_token(world: Shared) {
    let token = world.token().expires_in(Duration::from_secs(3)).sign();
    let mut stream = begin(&world, "/parties/streams/expiring", &token).await;
    broken_off(&mut stream).await;
}

async fn end_when_the_room_moves(world: Shared) {
    let mut stream = begin(&world, "/parties/streams/moving", &world.alice()).await;
    let mut after = request(&world, "/parties/streams/moving/give-away", &world.alice()).await;
    broken_off(&mut stream).await;
    // The room is given away before this answer begins.
    let nothing = broken_off(&mut after).await;
    assert!(!nothing.contains("tick"), "{nothing}");
}

async fn end_with_their_clients(world: Shared) {
    let alice = world.alice();
    let count = || async {
        let path = "/parties/streams/left/count";
        world.get(path).bearer(&alice).send().await.json()
    };
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(begin(&world, "/parties/streams/left", &alice).await);
    }
    assert_eq!(count().await, 3);
    drop(streams);
    crate::world::eventually("their bodies are dropped", || async { count().await == 0 }).await;
}

async fn request(world: &Shared, path: &str, token: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&world.server.address).await.unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n",
        world.server.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// An answer that has begun.
async fn begin(world: &Shared, path: &str, token: &str) -> TcpStream {
    let mut stream = request(world, path, token).await;
    let mut begun = Vec::new();
    while !begun.ends_with(b"tick") {
        begun.push(stream.read_u8().await.unwrap());
    }
    assert!(begun.starts_with(b"HTTP/1.1 200 "));
    stream
}

/// The rest of the answer: the connection ends soon, without the chunk that ends an
/// answer.
async fn broken_off(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    let read = stream.read_to_end(&mut rest);
    let read = tokio::time::timeout(Duration::from_secs(8), read).await;
    // A reset counts as an end too.
    let _ = read.unwrap_or_else(|_| panic!("the stream goes on"));
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(!rest.ends_with("0\r\n\r\n"), "it looks complete: {rest}");
    rest
}
