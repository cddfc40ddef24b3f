//! The issuer as a program of its own.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use local_issuer::LocalIssuer;

/// An OpenID issuer for development. Loopback only; it asks for no password.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// The audience of tokens.
    #[arg(long, default_value = "api")]
    audience: String,
    /// A path that is part of the issuer.
    #[arg(long, default_value = "")]
    path: String,
    /// How long tokens are valid, in seconds.
    #[arg(long, default_value_t = 300)]
    lifetime: u64,
    /// A user of the sign-in page; may be given several times.
    #[arg(long = "user")]
    users: Vec<String>,
    /// Lets anyone who reaches the issuer mint tokens over /admin/….
    #[arg(long)]
    admin: bool,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let mut builder = LocalIssuer::builder()
        .bind(arguments.listen)
        .path(&arguments.path)
        .audience(&arguments.audience)
        .token_lifetime(Duration::from_secs(arguments.lifetime))
        .admin(arguments.admin);
    if !arguments.users.is_empty() {
        builder = builder.users(arguments.users);
    }
    let issuer = builder.start().await?;
    println!("issuer {}", issuer.url());
    std::future::pending().await
}
