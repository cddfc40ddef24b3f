//! Rooms that sleep while their sockets stay open.

use std::time::Duration;

use serde_json::json;

use crate::cases::cases;
use crate::client::ws::Frame;
use crate::world::{Shared, World};

cases! {
    "Hibernation" => [
        a_room_wakes_with_its_connections, expiry_reaches_a_sleeping_room,
        an_owner_change_reaches_a_sleeping_room, a_refused_socket_keeps_no_room_awake,
        a_busy_room_stays_awake, an_end_is_told_once, a_large_message_to_a_sleeping_room,
        a_large_record_outlasts_sleep, tags_and_state_outlast_sleep, an_alarm_reaches_a_sleeping_room,
        a_renewed_connection_outlasts_its_first_end, alarms_outlast_a_kill,
    ],
}

/// Longer than the ten seconds after which the parties sleep.
const SLEEP: Duration = Duration::from_secs(14);

async fn a_room_wakes_with_its_connections(world: Shared) {
    let (mut socket, welcome) = world
        .join(&world.alice(), "/parties/hibernate-chat/a?_pk=sleeper")
        .await;
    assert_eq!(welcome["id"], "sleeper");
    socket.text("before").await;
    let before = socket.json().await;
    tokio::time::sleep(SLEEP).await;
    socket.text("after").await;
    let after = socket.json().await;
    assert_ne!(
        before["instance"], after["instance"],
        "it is another instance"
    );
    assert_eq!(
        (&after["sub"], &after["text"]),
        (&json!("alice"), &json!("after"))
    );
    socket.text("b:all").await;
    assert_eq!(socket.json().await["from"], "alice");
}

/// Claims and URL together have more than 16,384 bytes, which is the most that Workers
/// keep with a socket.
async fn a_large_record_outlasts_sleep(world: Shared) {
    let token = world.token().claim("large", "c".repeat(8_000)).sign();
    let path = format!(
        "/parties/hibernate-chat/large?filler={}",
        "u".repeat(10_000)
    );
    let (mut socket, _) = world.join(&token, &path).await;
    socket.text("before").await;
    let before = socket.json().await;
    tokio::time::sleep(SLEEP).await;
    socket.text("after").await;
    let after = socket.json().await;
    assert_ne!(before["instance"], after["instance"]);
    assert_eq!(
        (&after["sub"], &after["text"]),
        (&before["sub"], &json!("after"))
    );
    assert!(after["sub"].is_string());
}

async fn expiry_reaches_a_sleeping_room(world: Shared) {
    let lifetime = SLEEP + Duration::from_secs(2);
    let token = world.token().expires_in(lifetime).sign();
    let (mut socket, _) = world.join(&token, "/parties/hibernate-chat/expiry").await;
    let began = std::time::Instant::now();
    assert_eq!(
        socket.next().await,
        Frame::Close(Some(3000), "token expired".into())
    );
    assert!(began.elapsed() > SLEEP, "{:?}", began.elapsed());
}

async fn an_owner_change_reaches_a_sleeping_room(world: Shared) {
    let path = "/parties/hibernate-private/moved";
    world.claim(&world.alice(), path).await;
    let (mut socket, _) = world.join(&world.alice(), path).await;
    tokio::time::sleep(SLEEP).await;
    let claim = format!("{path}/claim?overwrite");
    world
        .request("POST", &claim)
        .bearer(&world.bob())
        .send()
        .await;
    assert_eq!(
        socket.next().await,
        Frame::Close(Some(1008), "This chat is not yours.".into())
    );
}

async fn an_end_is_told_once(world: Shared) {
    // The room closes the socket, and the client never answers. It leaves while the
    // room sleeps.
    let path = "/parties/hibernating-slow/told";
    let mut mute = world.open(path).await;
    mute.text("close").await;
    assert_eq!(mute.closed().await.0, Some(4000));
    let told = json!(["close", "closed 4000"]);
    crate::world::eventually("the room is told", || async {
        world.get(path).send().await.json() == told
    })
    .await;
    tokio::time::sleep(SLEEP).await;
    drop(mute);
    let mut other = world.open(path).await;
    other.text("another").await;
    crate::world::eventually("a new instance has seen the other alone", || async {
        let seen = world.get(path).send().await.json();
        assert_ne!(seen[0], "closed 4000");
        seen == json!(["another"]) || seen == json!(["close", "closed 4000", "another"])
    })
    .await;
}

async fn a_large_message_to_a_sleeping_room(world: Shared) {
    let (mut socket, _) = world
        .join(&world.alice(), "/parties/hibernate-chat/large")
        .await;
    tokio::time::sleep(SLEEP).await;
    socket.text(&"a".repeat(1_200_000)).await;
    assert_eq!(socket.closed().await.0, Some(1009));
}

async fn a_refused_socket_keeps_no_room_awake(world: Shared) {
    let path = "/parties/hibernate-private/besieged";
    world.claim(&world.alice(), path).await;
    let (mut owner, _) = world.join(&world.alice(), path).await;
    owner.text("before").await;
    let before = owner.json().await["instance"].clone();
    // The socket is refused in the room, and its client never answers the close frame.
    let mut mute = world.open_as(&world.bob(), path).await;
    assert_eq!(mute.closed().await.0, Some(1008));
    tokio::time::sleep(SLEEP).await;
    owner.text("after").await;
    assert_ne!(owner.json().await["instance"], before, "it has not slept");
    drop(mute);
}

async fn a_busy_room_stays_awake(world: Shared) {
    let (mut socket, _) = world
        .join(&world.alice(), "/parties/hibernate-chat/busy")
        .await;
    socket.text("0").await;
    let first = socket.json().await["instance"].clone();
    for i in 1..4 {
        tokio::time::sleep(Duration::from_secs(4)).await;
        socket.text(&i.to_string()).await;
        assert_eq!(socket.json().await["instance"], first);
    }
}

async fn tags_and_state_outlast_sleep(world: Shared) {
    let mut tagged = world.open("/parties/hibernating-tags/slept?_pk=t").await;
    let mut stateful = world.open("/parties/hibernating-stateful/slept").await;
    assert_eq!(stateful.json().await["name"], "slept");
    let mut instances = Vec::new();
    for count in 2..4 {
        tagged.text("instance").await;
        instances.push(tagged.json().await);
        tagged.text("tags").await;
        assert_eq!(tagged.json().await, json!(["t", "role-a", "role-b"]));
        stateful.text("increment").await;
        assert_eq!(stateful.json().await, json!({"count": count}));
        tokio::time::sleep(SLEEP).await;
    }
    assert_ne!(instances[0], instances[1], "it is another instance");
}

/// When the end is moved, the timers for the first end must have no effect.
async fn a_renewed_connection_outlasts_its_first_end(world: Shared) {
    let mut socket = world.open("/parties/hibernating-stateful/renewed").await;
    assert_eq!(socket.json().await["name"], "renewed");
    let began = std::time::Instant::now();
    let last = 3 + SLEEP.as_secs() + 3;
    for seconds in [3, last] {
        socket.text(&format!("renew:{}", seconds * 1000)).await;
        assert_eq!(socket.json().await, json!({"renewed": true}));
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    socket.text("increment").await;
    assert_eq!(socket.json().await, json!({"count": 2}));
    assert_eq!(
        socket.next().await,
        Frame::Close(Some(4001), "not renewed".into())
    );
    let lived = began.elapsed().as_secs();
    assert!((last - 1..last + 5).contains(&lived), "{lived} s");
}

async fn an_alarm_reaches_a_sleeping_room(world: Shared) {
    let path = "/parties/hibernating-alarm/asleep";
    let millis = SLEEP.as_millis();
    let set = world.get(&format!("{path}/set?ms={millis}")).send().await;
    let before = set.json()["instance"].clone();
    tokio::time::sleep(SLEEP).await;
    crate::world::eventually("the alarm fires", || async {
        world.get(path).send().await.json()["fired"] == 1
    })
    .await;
    let fired_in = world.get(path).send().await.json()["fired_in"].clone();
    assert!(fired_in.is_string());
    assert_ne!(fired_in, before, "it is another instance");
}

async fn alarms_outlast_a_kill(world: Shared) {
    let own = World::new(&world.start.served).await;
    let path = "/parties/alarm/killed";
    let set = own.get(&format!("{path}/set?ms=2000")).send().await;
    assert_eq!(set.json()["fired"], 0);
    own.server.signal("KILL").await;
    let own = World::with_start(own.start, own.folder, own.issuer).await;
    crate::world::eventually("the alarm fires", || async {
        own.get(path).send().await.json()["fired"] == 1
    })
    .await;
}
