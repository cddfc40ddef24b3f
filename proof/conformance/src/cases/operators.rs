//! What an operator sees: health, readiness, starts and stops.

use std::time::Duration;

use local_issuer::{Fault, LocalIssuer};
use tempfile::TempDir;

use crate::cases::cases;
use crate::client::ws::Frame;
use crate::server::Start;
use crate::world::{Shared, World};

cases! {
    "Operators" => [
        health, readiness_says_why_not, graceful_stop, bad_configuration_stops_the_start,
        bad_configuration_answers_500,
        port_in_use, second_server_on_the_same_data, unusable_data_folder, newer_store,
        answers_while_the_provider_is_down,
    ],
}

async fn health(world: Shared) {
    assert_eq!(world.get("/healthz").status().await, 200);
    crate::world::eventually("the server is ready", || async {
        world.get("/readyz").status().await == 200
    })
    .await;
}

async fn readiness_says_why_not(world: Shared) {
    let issuer = LocalIssuer::builder().start().await.expect("an issuer");
    issuer.fault(Fault::WrongIssuer("https://other.example".into()));
    let own = World::with_issuer(&world.start.served, issuer).await;
    crate::world::eventually("the reason is named", || async {
        let answer = own.get("/readyz").send().await;
        answer.status == 503 && answer.text().contains("https://other.example")
    })
    .await;
    assert_eq!(
        own.get("/parties/chat/a")
            .bearer(&own.alice())
            .status()
            .await,
        503
    );
    own.issuer.fault(Fault::None);
    crate::world::eventually("it is ready", || async {
        own.get("/readyz").status().await == 200
    })
    .await;
}

async fn graceful_stop(world: Shared) {
    let own = World::new(&world.start.served).await;
    let (mut socket, _) = own.join(&own.alice(), "/parties/chat/a").await;
    let stopped = tokio::spawn(own.server.stop());
    let (code, _) = socket.closed().await;
    assert_eq!(code, Some(1001));
    socket.close(1001, "").await;
    assert_eq!(socket.next().await, Frame::End);
    assert_eq!(stopped.await.ok(), Some(true), "the server ends well");
}

async fn bad_configuration_stops_the_start(world: Shared) {
    for (start, _folder, name) in bad_configurations(&world) {
        one_line(&start, name).await;
    }
}

async fn bad_configuration_answers_500(world: Shared) {
    for (start, folder, name) in bad_configurations(&world) {
        let issuer = LocalIssuer::builder().start().await.expect("an issuer");
        let own = World::with_start(start, folder, issuer).await;
        for path in ["/", "/parties/plain/a", "/parties/chat/a"] {
            let answer = own.get(path).send().await;
            assert_eq!(answer.status, 500, "{name}");
            let text = answer.text();
            let id = text.split(['(', ')']).nth(1).expect("an id").to_owned();
            assert!(!text.contains(name), "{text}");
            crate::world::eventually("the log names the variable", || async {
                own.server.has_logged(name) && own.server.has_logged(&id)
            })
            .await;
        }
    }
}

/// Starts with a wrong configuration, each with the variable that is wrong.
fn bad_configurations(world: &World) -> Vec<(Start, TempDir, &'static str)> {
    let issuer = || Some(world.issuer.url());
    let audience = || Some("api".to_owned());
    [
        (None, audience(), "OIDC_ISSUER_URL"),
        (issuer(), None, "OIDC_AUDIENCE"),
        (Some("id.example".into()), audience(), "OIDC_ISSUER_URL"),
        (
            Some("http://id.example".into()),
            audience(),
            "OIDC_ISSUER_URL",
        ),
        (
            Some("https://id.example/{tenant}".into()),
            audience(),
            "OIDC_ISSUER_URL",
        ),
        (issuer(), Some(" ".into()), "OIDC_AUDIENCE"),
    ]
    .into_iter()
    .map(|(issuer, audience, name)| {
        let folder = tempfile::tempdir().expect("a folder");
        let start = Start {
            issuer,
            audience,
            data: folder.path().join("data"),
            ..world.start.clone()
        };
        (start, folder, name)
    })
    .collect()
}

/// The server must not start, and must give the reason in one line that contains
/// `part`.
async fn one_line(start: &Start, part: &str) {
    let Err(text) = start.run().await else {
        panic!("it started; expected {part}")
    };
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(lines[0].contains(part), "{text}");
}

async fn port_in_use(world: Shared) {
    let folder = tempfile::tempdir().expect("a folder");
    let listen = world.server.address.clone();
    let data = folder.path().join("data");
    let start = Start {
        listen: listen.clone(),
        data,
        ..world.start.clone()
    };
    one_line(&start, &listen).await;
}

async fn second_server_on_the_same_data(world: Shared) {
    one_line(&world.start, "in use by another process").await;
}

async fn unusable_data_folder(world: Shared) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("a file");
    for data in [
        file.clone(),
        file.join("below"),
        folder.path().join("no/parent"),
    ] {
        let start = Start {
            data,
            ..world.start.clone()
        };
        one_line(&start, "data folder").await;
    }
}

async fn newer_store(world: Shared) {
    let own = World::new(&world.start.served).await;
    let World {
        issuer,
        server,
        start,
        folder,
    } = own;
    assert!(server.stop().await);
    let file = start.data.join("rooms.sqlite3");
    let mut bytes = std::fs::read(&file).expect("the store's file");
    // The user version, in the header of an SQLite file.
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    std::fs::write(&file, bytes).expect("writing it");
    one_line(&start, "newer version").await;
    drop((issuer, folder));
}

async fn answers_while_the_provider_is_down(world: Shared) {
    let issuer = LocalIssuer::builder().start().await.expect("an issuer");
    issuer.fault(Fault::Down);
    let own = World::with_issuer(&world.start.served, issuer).await;
    assert_eq!(own.get("/healthz").status().await, 200);
    assert_eq!(own.get("/parties/plain/a").status().await, 200);
    let answer = own.get("/parties/chat/a").bearer(&own.alice()).send().await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(answer.header("www-authenticate"), None);
    own.issuer.fault(Fault::None);
    tokio::time::timeout(Duration::from_secs(20), async {
        while own
            .get("/parties/chat/a")
            .bearer(&own.alice())
            .status()
            .await
            != 200
        {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await
    .expect("it serves when the provider is back");
}
