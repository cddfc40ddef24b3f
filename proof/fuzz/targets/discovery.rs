//! A provider's discovery document, and the issuer that an operator configures.
//!
//! The input is the issuer on the first line, and the document after it.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::{Corpus, fuzz_target};
use oauth2_jwt_bearer::Policy;
use oauth2_jwt_bearer::discovery::{DiscoveryError, Metadata, metadata_urls};
use serde_json::Value;
use url::{Host, Url};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
        return Corpus::Reject;
    };
    let (issuer, document) = (&input[..end], &input[end + 1..]);
    let Ok(issuer) = str::from_utf8(issuer) else {
        return Corpus::Reject;
    };
    check_issuer(issuer);
    check_document(document, issuer);
    // The document of this issuer is either accepted or refused as insecure, whatever
    // it names.
    if let Ok(Value::Object(members)) = serde_json::from_slice(document)
        && let Some(own) = members.get("issuer").and_then(Value::as_str)
    {
        check_document(document, own);
    }
    Corpus::Keep
});

/// If a policy accepts an issuer, metadata is fetched only from the issuer's own
/// origin.
fn check_issuer(issuer: &str) {
    let urls = metadata_urls(issuer);
    if Policy::new(issuer, "api").is_err() {
        return;
    }
    assert!(is_safe(issuer), "{issuer:?}");
    let Ok(own) = Url::parse(issuer) else { return };
    for url in urls {
        assert!(is_safe(&url), "{url:?}");
        let url = Url::parse(&url).expect("what was appended is a path");
        assert_eq!(url.origin(), own.origin());
        assert_eq!((url.query(), url.fragment()), (None, None));
    }
}

fn check_document(document: &[u8], issuer: &str) {
    let outcome = Metadata::parse(document, issuer);
    let read: Option<Value> = serde_json::from_slice(document).ok();
    let text = |name: &str| read.as_ref()?.get(name)?.as_str();
    match &outcome {
        Ok(_) => {
            assert_eq!(text("issuer"), Some(issuer));
            assert!(text("jwks_uri").is_some_and(is_safe));
        }
        Err(DiscoveryError::OtherIssuer { found }) => {
            let named = text("issuer").expect("it names one");
            assert!(named != issuer && named.starts_with(found));
            assert!(found.chars().count() <= 128);
        }
        Err(DiscoveryError::Insecure) => assert_eq!(text("issuer"), Some(issuer)),
        Err(_) => {}
    }
    // The reason goes to the log and to `/readyz`.
    if let Err(error) = outcome {
        let shown = error.to_string();
        assert!(!shown.contains(char::is_control), "{shown:?}");
        assert!(shown.len() < 2048);
    }
}

/// Whether the URL is safe by the URL standard too, which browsers and Workers follow. A
/// text that is not a URL there is safe.
fn is_safe(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else {
        return true;
    };
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    };
    let is_without_user = url.username().is_empty() && url.password().is_none();
    is_without_user && (url.scheme() == "https" || url.scheme() == "http" && is_loopback)
}
