//! Clients that send a byte now and then: of headers, a body, or a frame.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::task::JoinSet;

use super::Done;
use crate::client::{Http, Received, Socket, upgrade};
use crate::process::{Server, Start, until};
use crate::serve::{BODY_TIME, FRAME_TIME, HEAD_TIME};

pub(super) async fn slow_headers_hold_up_nobody_and_are_dropped() -> Done {
    by_slowhttptest(&["-H"], HEAD_TIME).await
}

pub(super) async fn slow_bodies_hold_up_nobody_and_are_dropped() -> Done {
    by_slowhttptest(&["-B", "-s", "8192"], BODY_TIME).await
}

async fn by_slowhttptest(kind: &[&str], limit: Duration) -> Done {
    let server = start().await;
    let before = server.descriptors();
    let url = format!("http://{}/parties/echo/a", server.address);
    let seconds = (limit + SPARE).as_secs().to_string();
    let attack = Command::new("slowhttptest")
        .args(kind)
        .args([
            "-c",
            &CLIENTS.to_string(),
            "-r",
            "200",
            "-i",
            "1",
            "-l",
            &seconds,
        ])
        .args(["-u", &url])
        .kill_on_drop(true)
        .output();
    let mut attack = tokio::spawn(attack);
    let (mut most, mut slowest) = (0, Duration::ZERO);
    let began = Instant::now();
    let after = loop {
        tokio::select! {
            output = &mut attack => match output.expect("it does not panic") {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Done::NotHere(
                        "slowhttptest is not installed; `cargo xtask setup` as root does it".into(),
                    );
                }
                Err(error) => panic!("slowhttptest: {error}"),
                Ok(output) => {
                    let text = String::from_utf8_lossy(&output.stdout);
                    assert!(text.contains("No open connections left"), "{text}");
                    break began.elapsed();
                }
            },
            answered = served(&server) => slowest = slowest.max(answered),
        }
        let clients = server.descriptors() - before;
        most = most.max(clients);
        // The server has ended all of them; slowhttptest would go on.
        if most >= CLIENTS && clients <= 2 {
            attack.abort();
            break began.elapsed();
        }
    };
    assert!(most >= CLIENTS, "{most} clients came");
    assert!(slowest < SLOWEST, "others waited {slowest:?}");
    Done::Holds(format!(
        "{most} clients by slowhttptest, all gone after {after:.1?} (limit {limit:?}); slowest \
         answer to others {slowest:.0?}"
    ))
}

pub(super) async fn slow_frames_hold_up_nobody_and_are_dropped() -> Done {
    let server = start().await;
    let before = server.descriptors();
    let mut attack = JoinSet::new();
    for _ in 0..CLIENTS {
        let (mut stream, _) = upgrade(&server.address, "/parties/echo/a")
            .await
            .expect("it listens");
        attack.spawn(async move {
            // A text of 1,000 bytes, masked with zeros.
            let mut frame = vec![0x81, 0x80 | 126, 0x03, 0xe8, 0, 0, 0, 0];
            frame.resize(frame.len() + 1000, b'x');
            let mut received = [0; 4096];
            for byte in frame {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
                let pause = tokio::time::sleep(Duration::from_millis(100));
                tokio::pin!(pause);
                loop {
                    tokio::select! {
                        () = &mut pause => break,
                        // The welcome frame and pings, until the end.
                        read = stream.read(&mut received) => {
                            if matches!(read, Ok(0) | Err(_)) {
                                return;
                            }
                        }
                    }
                }
            }
        });
    }
    assert!(server.descriptors() >= before + CLIENTS);
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    while server.descriptors() > before + 2 {
        slowest = slowest.max(served(&server).await);
        assert!(
            began.elapsed() < FRAME_TIME + SPARE,
            "slow frames are not dropped"
        );
    }
    let after = began.elapsed();
    while let Some(client) = attack.join_next().await {
        client.expect("a client sees the end");
    }
    assert!(slowest < SLOWEST, "others waited {slowest:?}");

    // A frame that takes as long as it may, and is completed, is handled.
    let (mut stream, _) = upgrade(&server.address, "/parties/echo/a")
        .await
        .expect("it listens");
    for byte in [0x81, 0x84, 0, 0, 0, 0, b's', b'l', b'o', b'w'] {
        stream.write_all(&[byte]).await.expect("it is there");
        tokio::time::sleep(FRAME_TIME / 20).await;
    }
    let mut received = Vec::new();
    while !received.ends_with(b"\x81\x04slow") {
        received.push(stream.read_u8().await.expect("the text comes back"));
    }
    drop(stream);
    until("nothing is left", SPARE, || {
        server.descriptors() <= before + 2
    })
    .await;
    Done::Holds(format!(
        "{CLIENTS} clients, all gone after {after:.1?} (limit {FRAME_TIME:?}); slowest answer \
         to others {slowest:.0?}"
    ))
}

async fn start() -> Server {
    let start = Start {
        short_limits: true,
        ..Start::default()
    };
    start.run().await
}

/// How long another client waits for an answer, a socket and a message.
async fn served(server: &Server) -> Duration {
    let began = Instant::now();
    let mut http = Http::connect(&server.address).await.expect("it listens");
    let answer = http.request("GET", "/healthz", None).await;
    assert_eq!(answer.expect("an answer").status, 200);
    let mut socket = Socket::open(&server.address, "/parties/echo/b").await;
    assert_eq!(socket.next().await, Received::Text("welcome".into()));
    socket.echo("served").await;
    let took = began.elapsed();
    socket.close().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    took
}

const CLIENTS: usize = 300;
const SLOWEST: Duration = Duration::from_secs(1);
/// By how much a limit may be exceeded on a busy machine.
const SPARE: Duration = Duration::from_secs(8);
