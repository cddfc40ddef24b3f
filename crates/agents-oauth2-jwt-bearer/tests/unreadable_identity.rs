//! An identity that can't be read back, because another version of the program wrote it,
//! is somebody: never an anonymous caller, and never let in.

use agents_oauth2_jwt_bearer::{Anonymous, AuthOptions, BearerAuth, WithAuth};
use local_issuer::LocalIssuer;
use partyserver::testing::TestRoom;
use partyserver::*;

/// Answers everyone who gets in.
struct Open;

impl Server for Open {
    async fn on_request(&mut self, _: &Context, _: Request) -> Result<Response> {
        Ok(answer::text(http::StatusCode::OK, "in"))
    }
}

#[tokio::test]
async fn it_has_ended_and_is_not_anonymous() {
    let issuer = LocalIssuer::builder().start().await.unwrap();
    let bearer = BearerAuth::builder().issuer(issuer.url()).audience("api");
    let bearer = bearer.build().unwrap().anonymous(Anonymous::Allowed);
    let options = AuthOptions::new(bearer);
    let room = TestRoom::new("open", "a", || Open).room();
    let mut server = WithAuth::new(Open, options).into_server();

    for (kept, status) in [
        ("{}", 200),
        (
            r#"{"oauth2.identity":[false,{"claims":"of old","until":7}]}"#,
            401,
        ),
        (r#"{"oauth2.identity":[false,null]}"#, 401),
    ] {
        let attachments = Attachments::decode(kept).unwrap();
        let cx = Context::for_request(room.clone(), attachments);
        let answer = server.on_request(&cx, Request::default()).await.unwrap();
        assert_eq!(answer.status(), status, "{kept}");
        let admission = server.on_admit(&cx, &Handshake::default()).await.unwrap();
        let is_open = matches!(admission, Admission::Admit);
        assert_eq!(is_open, status == 200, "{kept}");
    }
}
