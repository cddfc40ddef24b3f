//! A stranger's page, in a browser on this machine, can neither read anything from the
//! issuer nor change anything in it.

use local_issuer::LocalIssuer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TOKEN_FORM: &str = "grant_type=client_credentials&client_id=mallory";

async fn start() -> LocalIssuer {
    LocalIssuer::builder().admin(true).start().await.unwrap()
}

/// Status and head of an answer, in lower case.
async fn send(issuer: &LocalIssuer, line: &str, headers: &[&str], body: &str) -> (u16, String) {
    let address = issuer.url();
    let address = address.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let request = format!(
        "{line} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let head = answer.split("\r\n\r\n").next().unwrap().to_lowercase();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head)
}

const FOREIGN: [&str; 6] = [
    "https://evil.example",
    "http://127.0.0.1.evil.example",
    "http://localhost.evil.example:8787",
    "http://evil.example:80@localhost.example",
    "http://192.168.0.1:8787",
    "null",
];

#[tokio::test]
async fn answers_are_readable_by_pages_of_loopback_alone() {
    let issuer = start().await;
    let read = async |origin: &str, line: &str, body: &str| {
        let origin = format!("Origin: {origin}");
        let headers = ["Host: localhost", &origin];
        send(&issuer, line, &headers, body).await.1
    };
    for line in [
        "POST /token",
        "GET /jwks",
        "GET /userinfo",
        "OPTIONS /token",
    ] {
        let body = if line == "POST /token" {
            TOKEN_FORM
        } else {
            ""
        };
        for origin in [
            "http://127.0.0.1:8787",
            "http://localhost:8787",
            "http://chat.localhost:8787",
            "http://[::1]:8787",
        ] {
            let head = read(origin, line, body).await;
            let allowed = format!("\r\naccess-control-allow-origin: {origin}\r\n");
            assert!((head.clone() + "\r\n").contains(&allowed), "{head}");
            assert!(head.contains("\r\nvary: origin"), "{head}");
        }
        for origin in FOREIGN {
            let head = read(origin, line, body).await;
            assert!(!head.contains("access-control"), "{origin}: {head}");
            assert!(head.contains("\r\nvary: origin"), "{head}");
        }
    }
}

#[tokio::test]
async fn other_names_are_not_answered() {
    let issuer = start().await;
    for (headers, expected) in [
        (&["Host: 127.0.0.1:9000"][..], 200),
        (&["Host: LOCALHOST"], 200),
        (&["Host: [::1]:9000"], 200),
        (&["Host: evil.example"], 421),
        (&["Host: localhost.evil.example"], 421),
        (&["Host: 127.0.0.1.evil.example"], 421),
        (&["Host: localhost", "Host: evil.example"], 421),
        (&["Host: "], 421),
        (&[], 421),
    ] {
        let (status, _) = send(&issuer, "POST /token", headers, TOKEN_FORM).await;
        assert_eq!(status, expected, "{headers:?}");
    }
    let line = "POST http://evil.example/token";
    let (status, _) = send(&issuer, line, &["Host: localhost"], TOKEN_FORM).await;
    assert_eq!(status, 421, "{line}");
}

#[tokio::test]
async fn the_controls_obey_no_page_of_a_stranger() {
    let issuer = start().await;
    let down = r#"{"endpoint":"jwks","fault":"status","value":500}"#;
    for origin in FOREIGN {
        let origin = format!("Origin: {origin}");
        let headers = ["Host: localhost", "Content-Type: text/plain", &origin];
        let (status, _) = send(&issuer, "POST /admin/fault", &headers, down).await;
        assert_eq!(status, 403, "{origin}");
        let (status, _) = send(&issuer, "POST /admin/token", &headers, "{}").await;
        assert_eq!(status, 403, "{origin}");
    }
    let own = ["Host: localhost"];
    assert_eq!(send(&issuer, "GET /jwks", &own, "").await.0, 200);
    let (status, _) = send(&issuer, "POST /admin/fault", &own, down).await;
    assert_eq!(status, 204);
    assert_eq!(send(&issuer, "GET /jwks", &own, "").await.0, 500);
}
