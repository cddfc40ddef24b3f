//! The authorization code flow with PKCE, in the steps of a browser and a page, and the
//! requests that must not work.

use std::collections::HashMap;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use local_issuer::LocalIssuer;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const REDIRECT: &str = "http://127.0.0.1:9/back";
const VERIFIER: &str = "a-verifier-of-more-than-forty-three-characters-0123";

/// Status, headers and body of a request.
async fn send(issuer: &LocalIssuer, method: &str, path: &str, form: &str) -> (u16, String, String) {
    send_with(issuer, method, path, form, "").await
}

/// The same with a cookie.
async fn send_with(
    issuer: &LocalIssuer,
    method: &str,
    path: &str,
    form: &str,
    cookie: &str,
) -> (u16, String, String) {
    let url = issuer.url();
    let host = url.trim_start_matches("http://").split('/').next().unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nCookie: other=1; {cookie}\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), body.to_owned())
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

fn authorization(changes: &[(&str, &str)]) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
    let mut pairs = HashMap::from([
        ("response_type", "code"),
        ("client_id", "page"),
        ("redirect_uri", REDIRECT),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("scope", "openid chat"),
        ("state", "s t&ate"),
        ("resource", "rooms"),
    ]);
    pairs.extend(changes.iter().copied());
    form(&pairs.into_iter().collect::<Vec<_>>())
}

/// Signs a user in, and returns the parameters of the redirect.
async fn sign_in(issuer: &LocalIssuer, changes: &[(&str, &str)]) -> HashMap<String, String> {
    let (status, head, _) = send(issuer, "POST", "/authorize", &authorization(changes)).await;
    assert_eq!(status, 303);
    redirect(&head)
}

/// The parameters of a redirect.
fn redirect(head: &str) -> HashMap<String, String> {
    let location = header(head, "location");
    let query = location
        .strip_prefix(REDIRECT)
        .unwrap()
        .strip_prefix('?')
        .unwrap();
    form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

fn header<'h>(head: &'h str, name: &str) -> &'h str {
    let mut values = head
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    values.next().unwrap()
}

async fn exchange(issuer: &LocalIssuer, code: &str, changes: &[(&str, &str)]) -> (u16, Value) {
    let mut pairs = HashMap::from([
        ("grant_type", "authorization_code"),
        ("client_id", "page"),
        ("redirect_uri", REDIRECT),
        ("code", code),
        ("code_verifier", VERIFIER),
    ]);
    pairs.extend(changes.iter().copied());
    let (status, _, body) = send(
        issuer,
        "POST",
        "/token",
        &form(&pairs.into_iter().collect::<Vec<_>>()),
    )
    .await;
    (status, serde_json::from_str(&body).unwrap())
}

fn claims(token: &Value) -> Value {
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test]
async fn a_user_signs_in_and_the_page_gets_tokens() {
    let issuer = LocalIssuer::builder()
        .users(["dora"])
        .start()
        .await
        .unwrap();
    let (status, _, page) = send(
        &issuer,
        "GET",
        &format!("/authorize?{}", authorization(&[])),
        "",
    )
    .await;
    assert_eq!(
        (status, page.contains("Sign in as <b>dora</b>")),
        (200, true)
    );
    let back = sign_in(&issuer, &[("user", "dora")]).await;
    assert_eq!(
        (back["state"].as_str(), &back["iss"]),
        ("s t&ate", &issuer.url())
    );
    let (status, tokens) = exchange(&issuer, &back["code"], &[]).await;
    assert_eq!(status, 200);
    let access = claims(&tokens["access_token"]);
    assert_eq!(
        (&access["sub"], &access["aud"]),
        (&"dora".into(), &"rooms".into())
    );
    assert_eq!(access["scope"], "openid chat");
    let id = claims(&tokens["id_token"]);
    assert_eq!((&id["sub"], &id["aud"]), (&"dora".into(), &"page".into()));
}

#[tokio::test]
async fn a_code_works_once_and_only_for_whom_it_was_made() {
    let issuer = LocalIssuer::builder().start().await.unwrap();
    let code = || async { sign_in(&issuer, &[("user", "alice")]).await["code"].clone() };
    for wrong in [
        (
            "code_verifier",
            "another-verifier-of-more-than-forty-three-chars",
        ),
        ("redirect_uri", "http://127.0.0.1:9/other"),
        ("client_id", "other"),
        ("code", "guessed"),
    ] {
        let (status, error) = exchange(&issuer, &code().await, &[wrong]).await;
        assert_eq!(
            (status, &error["error"]),
            (400, &"invalid_grant".into()),
            "{wrong:?}"
        );
    }
    let code = code().await;
    assert_eq!(exchange(&issuer, &code, &[]).await.0, 200);
    assert_eq!(
        exchange(&issuer, &code, &[]).await.0,
        400,
        "the second time"
    );
}

/// Signs a user in, in addition to the users in the cookie. Returns the new cookie.
async fn session(issuer: &LocalIssuer, user: &str, cookie: &str) -> String {
    let form = authorization(&[("user", user)]);
    let (_, head, _) = send_with(issuer, "POST", "/authorize", &form, cookie).await;
    let set = header(&head, "set-cookie");
    assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{set}");
    set.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn without_a_prompt_a_code_is_for_who_signed_in_with_the_same_browser() {
    let issuer = LocalIssuer::builder().start().await.unwrap();
    let silently = |cookie: String, hint: &'static [(&'static str, &'static str)]| {
        let changes = [&[("prompt", "none")], hint].concat();
        let path = format!("/authorize?{}", authorization(&changes));
        let issuer = &issuer;
        async move {
            let (status, head, _) = send_with(issuer, "GET", &path, "", &cookie).await;
            assert_eq!(status, 303);
            let back = redirect(&head);
            let Some(code) = back.get("code") else {
                return back["error"].clone();
            };
            let (_, tokens) = exchange(issuer, code, &[]).await;
            claims(&tokens["id_token"])["preferred_username"]
                .as_str()
                .unwrap()
                .to_owned()
        }
    };
    let alice = session(&issuer, "alice", "").await;
    let both = session(&issuer, "bob", &alice).await;
    let again = session(&issuer, "alice", &both).await;
    let strangers = alice.replace("YWxpY2U", "bWFsbG9yeQ");
    let elsewhere = alice.replace("local-issuer-", "local-issuer-1");
    let hint = &[("login_hint", "alice")];
    for (cookie, hint, expected) in [
        (String::new(), &[][..], "login_required"),
        (alice.clone(), &[], "alice"),
        (both.clone(), &[], "bob"),
        (both, hint, "alice"),
        (again, &[], "alice"),
        (alice, &[("login_hint", "bob")], "login_required"),
        (strangers, &[], "login_required"),
        (elsewhere, &[], "login_required"),
    ] {
        assert_eq!(
            silently(cookie.clone(), hint).await,
            expected,
            "{cookie} {hint:?}"
        );
    }
}

#[tokio::test]
async fn only_good_requests_are_redirected() {
    let issuer = LocalIssuer::builder().start().await.unwrap();
    for uri in [
        "https://evil.example/",
        "http://evil.example/",
        "http://127.0.0.1.evil.example/",
        "",
    ] {
        let form = authorization(&[("redirect_uri", uri), ("user", "alice")]);
        assert_eq!(
            send(&issuer, "POST", "/authorize", &form).await.0,
            400,
            "{uri}"
        );
    }
    for (change, error) in [
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge", ""), "invalid_request"),
        (("response_type", "token"), "unsupported_response_type"),
        (("user", "mallory"), "access_denied"),
    ] {
        let back = sign_in(&issuer, &[("user", "alice"), change]).await;
        assert_eq!(back["error"], error);
        assert!(!back.contains_key("code"));
    }
}

#[tokio::test]
async fn values_cannot_break_out_of_the_page() {
    let issuer = LocalIssuer::builder()
        .users(["<b>x</b>"])
        .start()
        .await
        .unwrap();
    let form = authorization(&[("state", "\"><script>alert(1)</script>")]);
    let (_, _, page) = send(&issuer, "GET", &format!("/authorize?{form}"), "").await;
    assert!(
        !page.contains("<script>") && !page.contains("<b>x</b>"),
        "{page}"
    );
}

#[tokio::test]
async fn it_listens_on_loopback_alone() {
    let refused = LocalIssuer::builder()
        .bind("0.0.0.0:0".parse().unwrap())
        .start()
        .await;
    assert!(refused.is_err());
}
