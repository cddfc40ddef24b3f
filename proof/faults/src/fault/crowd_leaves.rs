//! Half of a large room leaves in the middle of broadcasts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Barrier, watch};
use tokio::task::JoinSet;

use super::Done;
use crate::client::{Received, Socket, descriptors, request};
use crate::process::{Start, until};

pub(super) async fn half_of_a_crowd_leaves_and_the_others_miss_nothing() -> Done {
    // A server reserves 512 descriptors for other things, and a quarter of its
    // connections for requests.
    let allowed = usize::try_from(descriptors()).unwrap_or(usize::MAX);
    let members = MEMBERS.min(allowed.saturating_sub(600) / 4 * 3 / 4 * 4);
    let server = Start::default().run().await;
    let before = server.descriptors();
    let began = Instant::now();
    let joined = Arc::new(Barrier::new(members + 1));
    let (end, is_over) = watch::channel(false);
    let mut staying = JoinSet::new();
    let mut leaving = JoinSet::new();
    for member in 0..members {
        let (joined, mut is_over) = (Arc::clone(&joined), is_over.clone());
        let mut socket = Socket::open(&server.address, ROOM).await;
        if member % 2 == 0 {
            staying.spawn(async move {
                joined.wait().await;
                for number in 0..MESSAGES {
                    assert_eq!(socket.next().await, Received::Text(number.to_string()));
                }
                // The sender that signals the end is dropped only after that signal.
                let _ = is_over.wait_for(|is_over| *is_over).await;
                socket
            });
        } else {
            leaving.spawn(async move {
                joined.wait().await;
                // Spread over the second quarter of the messages.
                let last = MESSAGES / 4 + member % (MESSAGES / 4);
                for number in 0..last {
                    assert_eq!(socket.next().await, Received::Text(number.to_string()));
                }
                // Some send a close frame, others just disappear.
                if member % 4 == 1 {
                    socket.close().await;
                }
            });
        }
    }
    joined.wait().await;
    let joining = began.elapsed();
    let mut speaker = Socket::open(&server.address, ROOM).await;
    let began = Instant::now();
    for number in 0..MESSAGES {
        speaker.echo(&number.to_string()).await;
    }
    while let Some(left) = leaving.join_next().await {
        left.unwrap_or_else(|_| panic!("one who left missed something before"));
    }
    let half = members / 2;
    let expected = format!(
        "{{\"here\":{},\"joined\":{},\"left\":{half}}}",
        half + 1,
        members + 1
    );
    let told = async {
        while request(&server.address, "GET", ROOM, "").await.body != expected {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(20), told).await;
    let counts = request(&server.address, "GET", ROOM, "").await.body;
    assert!(told.is_ok(), "{counts} instead of {expected}");
    let broadcasting = began.elapsed();
    end.send_replace(true);
    while let Some(stayed) = staying.join_next().await {
        drop(stayed.unwrap_or_else(|_| panic!("one who stayed missed something")));
    }
    drop(speaker);
    until("nothing is left", Duration::from_secs(20), || {
        server.descriptors() <= before
    })
    .await;
    let counts = request(&server.address, "GET", ROOM, "").await.body;
    assert!(counts.contains("\"here\":0"), "{counts}");
    Done::Holds(format!(
        "{members} members joined in {joining:.1?}; {half} left during {MESSAGES} broadcasts, \
         which took {broadcasting:.1?}; {half} received all of them in order"
    ))
}

const ROOM: &str = "/parties/crowd/large";
const MEMBERS: usize = 10_000;
const MESSAGES: usize = 40;
