//! The routes beside the rooms: who gets in, and what they see.

mod support;

use support::{World, bearer};

#[tokio::test]
async fn each_route_asks_for_what_it_says() {
    let world = World::start().await;
    let alice = world.bearer();
    let operator = bearer(world.token().scope("rooms:read"));
    let forged = bearer(world.token().issuer("https://other.example"));
    for (path, authorization, status, body) in [
        ("/", None, 200, "Rooms are at /parties/chat/{room}"),
        ("/", Some(&forged), 200, "Rooms are at /parties/chat/{room}"),
        ("/greeting", None, 200, "Hello, stranger"),
        ("/greeting", Some(&alice), 200, "Hello, alice"),
        ("/greeting", Some(&forged), 401, "Unauthorized"),
        ("/me", None, 401, "Unauthorized"),
        (
            "/me",
            Some(&alice),
            200,
            r#"{"sub":"alice","client_id":"local-client"}"#,
        ),
        ("/rooms", None, 401, "Unauthorized"),
        ("/rooms", Some(&alice), 403, "insufficient scope"),
        ("/rooms", Some(&operator), 200, r#"{"rooms":0,"sockets":0}"#),
        ("/nowhere", None, 404, ""),
        ("/parties/nothing/a", None, 400, "Invalid request"),
    ] {
        let headers: Vec<_> = authorization
            .map(|value| ("authorization", &**value))
            .into_iter()
            .collect();
        let answer = world.send("GET", path, &headers).await;
        assert_eq!(
            (answer.status().as_u16(), &**answer.body()),
            (status, body),
            "{path}"
        );
    }
}

#[tokio::test]
async fn one_fetch_of_metadata_and_keys_is_for_routes_and_rooms() {
    use local_issuer::Endpoint;

    let world = World::start().await;
    for path in ["/me", "/parties/chat/a", "/greeting", "/parties/chat/b"] {
        // Each request has a token of its own, so that no token is known from before.
        let authorization = world.bearer();
        let answer = world
            .send("GET", path, &[("authorization", &authorization)])
            .await;
        assert_eq!(answer.status(), 200, "{path}");
    }
    assert_eq!(world.issuer.requests(Endpoint::Discovery), 1);
    assert_eq!(world.issuer.requests(Endpoint::Jwks), 1);
}

#[tokio::test]
async fn a_room_sees_the_whole_url_without_the_token() {
    let world = World::start().await;
    let path = format!(
        "/parties/chat/a/b?x=1&access_token={}",
        world.token().sign()
    );
    let answer = world.send("GET", &path, &[]).await;
    let url = format!("http://{}/parties/chat/a/b?x=1", world.address);
    assert_eq!(answer.status(), 200);
    assert!(
        answer.body().contains(&format!("{url:?}")),
        "{}",
        answer.body()
    );
    assert_eq!(answer.headers()["cache-control"], "private, no-store");
}
