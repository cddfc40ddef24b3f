//! Limits for what a stranger can send. Each has a clear answer.

use crate::cases::cases;
use crate::client::http::exchange;
use crate::client::ws::{Frame, frame, text_frame};
use crate::host::Host;
use crate::world::Shared;

cases! {
    "Limits" => [
        headers_too_large, url_too_long, room_name_too_long, a_head_too_large_of_an_upgrade, too_many_headers, body_too_large, message_too_large,
        fragments_too_large, a_slow_body_holds_up_nobody, connections_per_room, slow_reader,
        a_slow_reader_is_closed, host_names, refused_sockets_are_capped,
        a_refused_socket_can_flood_in_vain, frames_that_wait_are_limited,
    ],
}

async fn frames_that_wait_are_limited(world: Shared) {
    const LARGE: usize = 900_000;
    let path = "/parties/slow/flooded";
    let mut socket = world.open(path).await;
    socket.text("wait").await;
    for _ in 0..3 {
        socket.text(&"a".repeat(LARGE)).await;
    }
    match world.start.served.host {
        // The socket is not read while the hook runs.
        Host::Native | Host::Kit => {
            let large = LARGE.to_string();
            crate::world::eventually("all of it is handled", || async {
                let seen = world.get(path).send().await.json();
                seen == serde_json::json!(["wait", large, large, large])
            })
            .await;
        }
        // The platform goes on reading.
        Host::Workers => assert_eq!(socket.closed().await.0, Some(1013)),
    }
    let mut too_large = world.open(path).await;
    too_large.text("wait").await;
    too_large.text(&"a".repeat(2_000_000)).await;
    assert_eq!(too_large.closed().await.0, Some(1009));
}

async fn headers_too_large(world: Shared) {
    for size in [66_000, 500_000] {
        let answer = world
            .get("/parties/plain/a")
            .header("X", &"a".repeat(size))
            .send()
            .await;
        assert_eq!(answer.status, 431, "{size}");
    }
    assert_eq!(
        world
            .get("/parties/plain/a")
            .header("X", &"a".repeat(60_000))
            .status()
            .await,
        200
    );
}

async fn url_too_long(world: Shared) {
    let path = format!("/parties/plain/{}", "a".repeat(70_000));
    assert_eq!(world.get(&path).status().await, 414);
}

async fn room_name_too_long(world: Shared) {
    for (length, status) in [(1024, 200), (1025, 414)] {
        let path = format!("/parties/plain/{}", "a".repeat(length));
        assert_eq!(world.get(&path).status().await, status, "{length}");
        let outcome = world.try_open(&path, &[]).await;
        let status = if status == 200 { 101 } else { status };
        let answer = outcome.map_or_else(|answer| answer, |socket| socket.response);
        assert_eq!(answer.status, status, "{length}");
    }
}

async fn a_head_too_large_of_an_upgrade(world: Shared) {
    let long = "a".repeat(70_000);
    for (path, headers, status) in [
        (format!("/parties/plain/a?{long}"), vec![], 414),
        ("/parties/plain/a".to_owned(), vec![("X", &*long)], 431),
    ] {
        let answer = world.try_open(&path, &headers).await.err();
        assert_eq!(answer.map(|answer| answer.status), Some(status));
    }
}

async fn too_many_headers(world: Shared) {
    let mut request = world.get("/parties/plain/a");
    for i in 0..500 {
        request = request.header(&format!("X-{i}"), "1");
    }
    assert_eq!(request.status().await, 431);
}

async fn body_too_large(world: Shared) {
    let post = || world.request("POST", "/parties/small/body");
    assert_eq!(post().body(vec![b'x'; 1024]).status().await, 200);
    assert_eq!(post().body(vec![b'x'; 1025]).status().await, 413);
    // This request does not declare its length.
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
    let request = format!(
        "POST /parties/small/body HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}0\r\n\r\n",
        world.server.address
    );
    let answer = exchange(&world.server.address, request.as_bytes(), false).await;
    assert_eq!(answer.map(|answer| answer.status).ok(), Some(413));
}

async fn message_too_large(world: Shared) {
    let mut socket = world.open("/parties/small/message").await;
    let fits = "x".repeat(1024);
    socket.text(&fits).await;
    assert_eq!(socket.next().await, Frame::Text(fits));
    socket.send(&frame(2, &[0; 1025])).await;
    assert_eq!(socket.closed().await.0, Some(1009));
}

async fn fragments_too_large(world: Shared) {
    let mut socket = world.open("/parties/small/fragments").await;
    let mut first = frame(2, &[0; 700]);
    first[0] = 0x02;
    let mut rest = frame(0, &[0; 700]);
    rest[0] = 0x80;
    socket.send(&[first, rest].concat()).await;
    assert_eq!(socket.closed().await.0, Some(1009));
}

async fn a_slow_body_holds_up_nobody(world: Shared) {
    use tokio::io::AsyncWriteExt;
    let path = "/parties/small/slow-body";
    let mut slow = tokio::net::TcpStream::connect(&world.server.address)
        .await
        .expect("a stream");
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx");
    slow.write_all(head.as_bytes())
        .await
        .expect("the head is sent");
    let began = std::time::Instant::now();
    for _ in 0..10 {
        assert_eq!(world.request("POST", path).body("y").status().await, 200);
    }
    assert!(
        began.elapsed() < std::time::Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

async fn connections_per_room(world: Shared) {
    let path = "/parties/small/full";
    let _first = world.open(path).await;
    let _second = world.open(path).await;
    assert_eq!(world.open(path).await.refused().await.0, 1013);
    let mut elsewhere = world.open("/parties/small/not-full").await;
    elsewhere.text("x").await;
    assert_eq!(elsewhere.next().await, Frame::Text("x".into()));
}

async fn slow_reader(world: Shared) {
    let mut socket = world.open("/parties/slow-reader/a").await;
    // Nothing is read, while far more is echoed than the buffers of the sockets can
    // hold.
    let message = text_frame(&"x".repeat(60_000));
    let flood = async {
        for _ in 0..1000 {
            socket.send(&message).await;
        }
    };
    // If a client does not read, the server stops reading from it, or closes it.
    let _ = tokio::time::timeout(std::time::Duration::from_secs(3), flood).await;
    // Other clients are served all the time.
    let mut other = world.open("/parties/slow-reader/a").await;
    other.text("hello").await;
    assert_eq!(other.next().await, Frame::Text("hello".into()));
}

async fn a_slow_reader_is_closed(world: Shared) {
    let mut socket = world.open("/parties/slow-reader/closed").await;
    // More is echoed than the buffers of the sockets can hold. The client then reads in
    // time to see why it was closed.
    let message = text_frame(&"x".repeat(60_000));
    for _ in 0..800 {
        socket.send(&message).await;
    }
    let told = (Some(1013), "the client reads too slowly".to_owned());
    assert_eq!(socket.closed().await, told);
}

async fn host_names(world: Shared) {
    for (host, status) in [
        ("localhost", 200),
        ("LOCALHOST:80", 200),
        ("127.0.0.1", 200),
        ("[::1]:8080", 200),
        ("rooms.localhost", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
    ] {
        let answer = world
            .get("/parties/plain/a")
            .header("Host", host)
            .status()
            .await;
        assert_eq!(answer, status, "{host}");
    }
}

async fn refused_sockets_are_capped(world: Shared) {
    let own = crate::world::World::new(&world.start.served).await;
    let mut held = Vec::new();
    let mut answers = 0;
    for _ in 0..40 {
        match own.try_open("/parties/chat/a", &[]).await {
            Ok(socket) => held.push(socket),
            Err(answer) => {
                assert_eq!(answer.status, 401);
                answers += 1;
            }
        }
    }
    assert_eq!(
        (held.len(), answers),
        (32, 8),
        "32 for one address by default"
    );
}

async fn a_refused_socket_can_flood_in_vain(world: Shared) {
    let path = "/parties/chat/flooded";
    let (mut alice, _) = world.join(&world.alice(), path).await;
    let mut refused = world.open(path).await;
    for _ in 0..50 {
        refused.send(&frame(1, &vec![b'x'; 10_000])).await;
    }
    assert_eq!(refused.closed().await.0, Some(1008));
    alice.text("x").await;
    assert_eq!(alice.json().await["type"], "echo", "nothing came before it");
}
