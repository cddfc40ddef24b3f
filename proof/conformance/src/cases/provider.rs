//! The identity provider: fetches, rotation and outages.

use std::time::Duration;

use local_issuer::{Algorithm, Endpoint, Fault, LocalIssuer};

use crate::cases::cases;
use crate::world::{Shared, World};

cases! {
    "Provider" => [
        a_thousand_rooms_cost_one_fetch, thirty_first_requests_share_one_fetch, rotation,
        unknown_key_with_the_provider_down, flood_of_unknown_keys, held_keys_serve_in_an_outage,
        slow_provider_is_bounded, issuers_with_a_path, an_outage_is_not_a_bad_token,
        redirects_are_not_followed, other_faults_are_unavailable,
    ],
}

async fn own(world: &World) -> World {
    World::new(&world.start.served).await
}

async fn status(world: &World, token: &str) -> u16 {
    world
        .get("/parties/chat/provider")
        .bearer(token)
        .status()
        .await
}

async fn a_thousand_rooms_cost_one_fetch(world: Shared) {
    let own = own(&world).await;
    let token = own.alice();
    for room in 0..1000 {
        let path = format!("/parties/chat/room-{room}");
        assert_eq!(own.get(&path).bearer(&token).status().await, 200);
    }
    assert_eq!(own.issuer.requests(Endpoint::Discovery), 1);
    assert_eq!(own.issuer.requests(Endpoint::Jwks), 1);
}

async fn thirty_first_requests_share_one_fetch(world: Shared) {
    let issuer = LocalIssuer::builder().start().await.expect("an issuer");
    let hold = issuer.hold(Endpoint::Jwks);
    let own = std::sync::Arc::new(World::with_issuer(&world.start.served, issuer).await);
    let requests: Vec<_> = (0..30)
        .map(|i| {
            let own = own.clone();
            tokio::spawn(async move {
                let token = own.token().subject(&format!("user-{i}")).sign();
                status(&own, &token).await
            })
        })
        .collect();
    hold.arrived().await;
    // This gives the requests time to pile up behind the one fetch.
    tokio::time::sleep(Duration::from_millis(500)).await;
    hold.release();
    for request in requests {
        assert_eq!(request.await.ok(), Some(200));
    }
    assert_eq!(own.issuer.requests(Endpoint::Discovery), 1);
    assert_eq!(own.issuer.requests(Endpoint::Jwks), 1);
}

async fn rotation(world: Shared) {
    let own = own(&world).await;
    assert_eq!(status(&own, &own.alice()).await, 200);
    own.issuer.rotate();
    assert_eq!(
        status(&own, &own.alice()).await,
        200,
        "the new key is looked up"
    );
    own.issuer.add_key(Algorithm::Es256);
    assert_eq!(status(&own, &own.alice()).await, 200);
    assert_eq!(own.issuer.requests(Endpoint::Jwks), 3);
    assert_eq!(own.issuer.requests(Endpoint::Discovery), 1);
}

async fn unknown_key_with_the_provider_down(world: Shared) {
    let own = own(&world).await;
    assert_eq!(status(&own, &own.alice()).await, 200);
    own.issuer.rotate();
    own.issuer.fault(Fault::Status(500));
    // The key may be new, so the refusal is not final.
    let token = own.alice();
    assert_eq!(status(&own, &token).await, 503);
    let socket = own.open_as(&token, "/parties/chat/a").await;
    assert_eq!(socket.refused().await, (1013, "try again later".into()));
    own.issuer.fault(Fault::None);
    crate::world::eventually("the key is found", || async {
        status(&own, &token).await == 200
    })
    .await;
}

async fn flood_of_unknown_keys(world: Shared) {
    let own = own(&world).await;
    assert_eq!(status(&own, &own.alice()).await, 200);
    let before = own.issuer.requests(Endpoint::Jwks);
    let mut statuses = [0; 2];
    for i in 0..200 {
        let token = own.token().header("kid", format!("unknown-{i}")).sign();
        match status(&own, &token).await {
            401 => statuses[0] += 1,
            503 => statuses[1] += 1,
            other => panic!("{other}"),
        }
    }
    let fetches = own.issuer.requests(Endpoint::Jwks) - before;
    assert!((1..=4).contains(&fetches), "{fetches} fetches");
    assert_eq!(statuses[0], fetches, "final only after a fetch of its own");
    assert_eq!(
        status(&own, &own.alice()).await,
        200,
        "good tokens are not affected"
    );
}

async fn held_keys_serve_in_an_outage(world: Shared) {
    let own = own(&world).await;
    assert_eq!(status(&own, &own.alice()).await, 200);
    own.issuer.fault(Fault::Down);
    for room in 0..5 {
        let path = format!("/parties/chat/new-room-{room}");
        let token = own.token().subject(&format!("user-{room}")).sign();
        assert_eq!(own.get(&path).bearer(&token).status().await, 200);
    }
}

async fn slow_provider_is_bounded(world: Shared) {
    let issuer = LocalIssuer::builder().start().await.expect("an issuer");
    issuer.fault_on(Endpoint::Jwks, Fault::Slow(Duration::from_secs(6)));
    let own = World::with_issuer(&world.start.served, issuer).await;
    let began = std::time::Instant::now();
    assert_eq!(status(&own, &own.alice()).await, 503);
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "clients give a handshake 4 s"
    );
    // The fetch goes on, and serves requests that come later.
    crate::world::eventually("the fetch ends", || async {
        status(&own, &own.alice()).await == 200
    })
    .await;
    let fetches = own.issuer.requests(Endpoint::Jwks);
    assert!(fetches <= own.start.served.host.most_fetches(), "{fetches}");
}

async fn issuers_with_a_path(world: Shared) {
    for path in ["/tenant/v2.0", "/tenant/", "/"] {
        let issuer = LocalIssuer::builder()
            .path(path)
            .start()
            .await
            .expect("an issuer");
        let own = World::with_issuer(&world.start.served, issuer).await;
        assert_eq!(status(&own, &own.alice()).await, 200, "{path}");
        let url = own.issuer.url();
        let other = url
            .strip_suffix('/')
            .map_or(format!("{url}/"), str::to_owned);
        let token = own.token().issuer(&other).sign();
        assert_eq!(status(&own, &token).await, 401, "{path}: compared exactly");
    }
}

async fn an_outage_is_not_a_bad_token(world: Shared) {
    let issuer = LocalIssuer::builder().start().await.expect("an issuer");
    issuer.fault(Fault::Down);
    let own = World::with_issuer(&world.start.served, issuer).await;
    let answer = own.get("/parties/chat/a").bearer(&own.alice()).send().await;
    assert_eq!(
        (answer.status, answer.header("www-authenticate")),
        (503, None)
    );
    assert!(
        answer
            .header("retry-after")
            .is_some_and(|value| value.parse::<u32>().is_ok())
    );
    let socket = own.open_as(&own.alice(), "/parties/chat/a").await;
    assert_eq!(socket.refused().await, (1013, "try again later".into()));
    // A refusal that needs no key is still final.
    let other = own.token().audience("other").sign();
    assert_eq!(status(&own, &other).await, 401);
}

async fn redirects_are_not_followed(world: Shared) {
    let target = LocalIssuer::builder().start().await.expect("an issuer");
    let issuer = LocalIssuer::builder().start().await.expect("an issuer");
    issuer.fault_on(
        Endpoint::Jwks,
        Fault::Redirect(format!("{}/jwks", target.url())),
    );
    let own = World::with_issuer(&world.start.served, issuer).await;
    assert_eq!(status(&own, &own.alice()).await, 503);
    assert_eq!(target.requests(Endpoint::All), 0);
}

async fn other_faults_are_unavailable(world: Shared) {
    for fault in [
        Fault::Status(404),
        Fault::Status(500),
        Fault::Malformed,
        Fault::Huge(600 * 1024),
    ] {
        for endpoint in [Endpoint::Discovery, Endpoint::Jwks] {
            let issuer = LocalIssuer::builder().start().await.expect("an issuer");
            issuer.fault_on(endpoint, fault.clone());
            let own = World::with_issuer(&world.start.served, issuer).await;
            assert_eq!(
                status(&own, &own.alice()).await,
                503,
                "{fault:?} {endpoint:?}"
            );
        }
    }
}
