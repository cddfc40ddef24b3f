//! Says what this repository's verifier and the crate `jsonwebtoken` think of tokens,
//! for the differential test.
//!
//! The first line of the standard input configures both, as JSON:
//! `{"issuer","audience","leeway","keys"}`, where `keys` is a JWK Set. Each further
//! line is a JSON text, a token. Each answer is a line of JSON:
//! `{"interoperable","rfc9068", "jsonwebtoken"}`. Each of these is `accepted` or the
//! reason for a refusal.

mod other;
mod ours;

use std::error::Error;
use std::io::{BufRead, Write};

use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut lines = std::io::stdin().lock().lines();
    let configuration = lines.next().ok_or("the configuration is missing")??;
    let configuration: Value = serde_json::from_str(&configuration)?;
    let ours = ours::Verifiers::new(&configuration)?;
    let other = other::Decoder::new(&configuration)?;
    let mut out = std::io::stdout().lock();
    for line in lines {
        let token: String = serde_json::from_str(&line?)?;
        let (interoperable, rfc9068) = ours.judge(&token).await;
        let answer = json!({
            "interoperable": interoperable,
            "rfc9068": rfc9068,
            "jsonwebtoken": other.judge(&token),
        });
        writeln!(out, "{answer}")?;
    }
    Ok(())
}

/// The verdict on a token that is accepted.
const ACCEPTED: &str = "accepted";
