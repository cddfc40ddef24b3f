//! Rooms and routes on one machine, at 127.0.0.1:8787 or at the address in `LISTEN`.
//!
//! Without configuration it starts its own issuer, so that you can try it out. With
//! `OIDC_ISSUER_URL` and `OIDC_AUDIENCE` it uses yours.

use std::io::IsTerminal;

use agents_oauth2_jwt_bearer::{AuthOptions, BearerAuth};
use local_issuer::LocalIssuer;
use partyserver_native::{Parties, stop_signal};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let listen = std::env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:8787".into());
    let listener = TcpListener::bind(&listen).await?;
    let address = listener.local_addr()?;

    let issuer = LocalIssuer::builder().audience(LOCAL_AUDIENCE);
    let issuer = issuer.start_unless_configured().await?;
    let options: AuthOptions = match &issuer {
        Some(issuer) => BearerAuth::builder()
            .issuer(issuer.url())
            .audience(LOCAL_AUDIENCE)
            .build()?
            .into(),
        None => AuthOptions::from_env()?,
    };

    let (app, rooms) = axum_example::app(Parties::new(), options)?;
    let stop = stop_signal();
    println!("http://{address}/");
    if let Some(issuer) = &issuer {
        let request = "grant_type=client_credentials&scope=rooms:read";
        println!("a token: curl -d '{request}' {}/token", issuer.url());
    }
    rooms.serve_with(app, listener, stop).await;
    Ok(())
}

const LOCAL_AUDIENCE: &str = "axum-example";
