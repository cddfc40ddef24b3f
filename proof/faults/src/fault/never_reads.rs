//! Clients that join a room and read nothing.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};

use super::{Done, join};
use crate::client::{Http, Received, Socket, upgrade_over};
use crate::process::{Server, Start, mib};

pub(super) async fn a_client_that_never_reads_is_told_1013_and_costs_a_bounded_amount() -> Done {
    let server = Start::default().run().await;
    let mut deaf = Vec::new();
    for _ in 0..DEAF {
        deaf.push(join_deaf(&server).await);
    }
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let mut socket = Socket::open(&server.address, ROOM).await;
        readers.push(tokio::spawn(async move {
            for number in 0.. {
                match socket.next().await {
                    Received::Text(text) if text == END => return,
                    received => assert_eq!(received, Received::Text(message(number))),
                }
            }
        }));
    }
    let mut speaker = Socket::open(&server.address, ROOM).await;
    let mut http = Http::connect(&server.address).await.expect("it listens");
    let before = server.memory();
    let (mut most, mut spoken) = (before, 0);
    loop {
        // Each message comes back before the next is sent, so readers are only slightly
        // behind.
        speaker.echo(&message(spoken)).await;
        spoken += 1;
        most = most.max(server.memory());
        let counts = http
            .request("GET", ROOM, None)
            .await
            .expect("an answer")
            .body;
        if counts.contains(&format!("\"here\":{},", READERS + 1)) {
            break;
        }
        assert!(spoken < MESSAGES, "they are still in the room: {counts}");
    }
    // They are no longer in the room, and each one that reads now is told why. They
    // must all read now, because a server waits only 5 s for its last frame to be
    // taken.
    let told = deaf.into_iter().map(|mut stream| {
        tokio::spawn(async move {
            let mut received = Vec::new();
            let read = stream.read_to_end(&mut received);
            let read = tokio::time::timeout(Duration::from_secs(10), read).await;
            read.expect("its connection ends")
                .expect("and not by a reset");
            assert!(received.ends_with(TOO_SLOW), "1013 comes last");
        })
    });
    join(told.collect::<Vec<_>>()).await;
    speaker.echo(END).await;
    join(readers).await;
    let grown = most - before;
    assert!(grown < MEMORY, "{} more", mib(grown));
    Done::Holds(format!(
        "{DEAF} deaf clients were told 1013 after {} for each; +{} of memory; {READERS} readers \
         missed nothing",
        mib((spoken * BYTES) as u64),
        mib(grown)
    ))
}

/// A client that does not go on reading, behind a small buffer. Without that, the
/// system would hold up to 32 MiB for the client.
async fn join_deaf(server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(64 << 10).expect("a size");
    let address = server.address.parse().expect("an address");
    let stream = socket.connect(address).await.expect("it listens");
    let (stream, _) = upgrade_over(stream, ROOM).await.expect("an answer");
    stream
}

fn message(number: usize) -> String {
    format!("{number} {}", "x".repeat(BYTES))
}

const ROOM: &str = "/parties/crowd/a";
const END: &str = "end";
const DEAF: usize = 20;
const READERS: usize = 20;
/// Far more than the 4 MiB of the queue and the bytes that the system holds for the
/// server.
const MESSAGES: usize = 600;
const BYTES: usize = 64 * 1024;
/// The close frame: 1013, and the reason.
const TOO_SLOW: &[u8] = b"\x88\x1d\x03\xf5the client reads too slowly";
/// Slow clients share the waiting messages. 4 MiB for each would be more than this.
const MEMORY: u64 = 64 << 20;
