//! A file of the store was cut short, or a byte of it has changed.
//!
//! The store's own tests change every byte of both files in turn.

use std::fs;
use std::path::Path;

use local_issuer::LocalIssuer;

use super::Done;
use crate::client::request;
use crate::process::Start;

pub(super) async fn a_damaged_file_stops_the_start() -> Done {
    let issuer = LocalIssuer::builder().start().await.expect("an issuer");
    let folder = tempfile::tempdir().expect("a folder");
    let (url, data) = (issuer.url(), folder.path().join("data"));
    let start = Start {
        issuer: Some(&url),
        data: Some(&data),
        ..Start::default()
    };
    let server = start.run().await;
    let token = issuer.token().sign();
    for (method, path) in [
        ("POST", "/parties/private/a/claim"),
        ("PUT", "/parties/private/a?key=k&value=a-value-to-find"),
    ] {
        assert_eq!(
            request(&server.address, method, path, &token).await.status,
            200
        );
    }
    assert!(server.stop().await.success());

    let file = data.join("rooms.sqlite3");
    let whole = fs::read(&file).expect("the store's file");
    let find = |text: &[u8]| {
        let at = whole.windows(text.len()).position(|window| window == text);
        at.expect("it is in the file")
    };
    let flipped = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let damages = [
        ("a byte of the owner", flipped(find(b"\"alice\"") + 1)),
        ("a byte of a value", flipped(find(b"a-value-to-find"))),
        ("a byte of a key", flipped(find(b"owner\"alice\""))),
        ("the last page", whole[..whole.len() - 4096].to_vec()),
        ("half of it", whole[..whole.len() / 2].to_vec()),
        ("all but a page", whole[..4096].to_vec()),
        ("all", Vec::new()),
    ];
    let count = damages.len();
    for (what, bytes) in damages {
        fs::write(&file, bytes).expect("it is written");
        let Err(message) = start.try_run().await else {
            panic!("it serves without {what}")
        };
        check(&message, what, &file);
    }
    fs::write(&file, &whole).expect("it is written");
    let server = start.run().await;
    let path = "/parties/private/a?key=k";
    let answer = request(&server.address, "GET", path, &token).await;
    assert_eq!((answer.status, &*answer.body), (200, "a-value-to-find"));
    Done::Holds(format!("{count} damages, each named in one line"))
}

fn check(message: &str, what: &str, file: &Path) {
    let mut lines = message.lines().filter(|line| line.starts_with("faults: "));
    let line = lines.next().unwrap_or_else(|| panic!("{what}: {message}"));
    assert!(line.contains(&*file.to_string_lossy()), "{what}: {line}");
    assert_eq!(lines.next(), None, "{what}: one line");
}
