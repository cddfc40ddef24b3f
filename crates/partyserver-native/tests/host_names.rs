//! Which `Host` values are answered depends on where the server listens.

mod support;

use partyserver::*;
use partyserver_native::{AllowedHosts, Parties, PartyService};
use support::{Answer, mounted, read_head};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

struct Plain;

impl Server for Plain {
    async fn on_request(&mut self, _: &Context, request: Request) -> Result<Response> {
        answer::json(&request.uri().to_string())
    }
}

fn parties() -> Parties {
    Parties::new().party("plain", || Plain)
}

/// Serves on one more address, and returns the port. An address that is not loopback is
/// reachable from outside while the test runs.
async fn serve(service: &PartyService, address: &str) -> u16 {
    let listener = TcpListener::bind(address).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let service = service.clone();
    tokio::spawn(async move { service.serve_on(listener, std::future::pending()).await });
    port
}

fn request(host: &str) -> String {
    format!("GET /parties/plain/a HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

async fn status(port: u16, host: &str) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(request(host).as_bytes()).await.unwrap();
    Answer::read(&mut stream).await.status
}

#[tokio::test]
async fn each_listener_has_its_own_rule() {
    let service = parties().build().unwrap();
    let own = serve(&service, "127.0.0.1:0").await;
    let public = serve(&service, "0.0.0.0:0").await;
    for _ in 0..2 {
        assert_eq!(status(own, "evil.example").await, 421);
        assert_eq!(status(own, "localhost").await, 200);
        assert_eq!(status(public, "rooms.example").await, 200);
    }
}

#[tokio::test]
async fn a_list_counts_everywhere() {
    let hosts = AllowedHosts::These(vec!["rooms.example".into()]);
    let service = parties().allowed_hosts(hosts).build().unwrap();
    let own = serve(&service, "127.0.0.1:0").await;
    let public = serve(&service, "0.0.0.0:0").await;
    for port in [own, public] {
        for (host, expected) in [
            ("rooms.example", 200),
            ("ROOMS.example:8443", 200),
            ("localhost", 421),
            ("a.rooms.example", 421),
            ("evil.example", 421),
        ] {
            assert_eq!(status(port, host).await, expected, "{host}");
        }
    }
}

#[tokio::test]
async fn mounted_in_another_server_any_name_is_answered() {
    let service = parties().build().unwrap();
    let mut client = mounted(&service, 4096);
    let request = request("rooms.example");
    client.write_all(request.as_bytes()).await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 200 "));
}
