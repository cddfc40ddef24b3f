//! The servers, and the one caller in all loads.

use std::path::PathBuf;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use local_issuer::LocalIssuer;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;

use super::AUDIENCE;
use super::server::Server;
use crate::Result;

/// Starts servers that accept the tokens of one issuer.
pub(super) struct Contenders {
    pub(super) issuer: LocalIssuer,
    /// The token of `alice`, who sends every load.
    pub(super) token: String,
    /// This program. Its servers are its commands.
    pub(super) program: PathBuf,
    pub(super) storage: PathBuf,
    pub(super) interop: PathBuf,
}

impl Contenders {
    /// Rooms on the native host, without a data folder.
    pub(super) async fn rooms(&self) -> Result<Server> {
        Server::start(self.serve("rooms"), None).await
    }

    /// Rooms on the native host with this data folder. Before it listens, it makes
    /// `rooms` rooms with an owner in the folder.
    pub(super) async fn rooms_on_disk(&self, folder: TempDir, rooms: u64) -> Result<Server> {
        let mut command = self.serve("rooms");
        command
            .arg("--data")
            .arg(folder.path())
            .arg(format!("--rooms={rooms}"))
            .env("BENCH_TOKEN", &self.token);
        Server::start(command, Some(folder)).await
    }

    /// A minimal server: `http`, `echo` or `fan-out`.
    pub(super) async fn bare(&self, name: &str) -> Result<Server> {
        Server::start(self.serve(name), None).await
    }

    /// Node with `ws` and `jose`.
    pub(super) async fn node(&self) -> Result<Server> {
        let mut command = Command::new("node");
        command.arg(self.interop.join("ws-jose/server.mjs"));
        self.provider(&mut command);
        Server::start(command, None).await
    }

    /// workerd with the npm package, built into a folder that is deleted with the
    /// server.
    pub(super) async fn workerd(&self) -> Result<Server> {
        let folder = self.folder()?;
        let built = Command::new("node")
            .arg(self.interop.join("npm-package/build.mjs"))
            .arg("--out")
            .arg(folder.path())
            .output()
            .await?;
        if !built.status.success() {
            return Err(String::from_utf8_lossy(&built.stderr).into());
        }
        let objects = folder.path().join("objects");
        std::fs::create_dir(&objects)?;
        let program = "node_modules/@cloudflare/workerd-linux-64/bin/workerd";
        let mut command = Command::new(self.interop.join(program));
        command
            .arg("serve")
            .arg(folder.path().join("worker.capnp"))
            .arg("--socket-addr=http=127.0.0.1:0")
            .arg(format!("--directory-path=storage={}", objects.display()))
            .arg("--control-fd=1");
        self.provider(&mut command);
        Server::start(command, Some(folder)).await
    }

    /// The keys that the issuer publishes.
    pub(super) async fn key_set(&self) -> Result<Value> {
        let uri: Uri = format!("{}/jwks", self.issuer.url()).parse()?;
        let address = uri.authority().ok_or("the issuer has no address")?.as_str();
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::get(uri.path()).header(HOST, address);
        let answer = sender
            .send_request(request.body(Empty::<Bytes>::new())?)
            .await?;
        Ok(serde_json::from_slice(
            &answer.into_body().collect().await?.to_bytes(),
        )?)
    }

    fn serve(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("serve").arg(name);
        self.provider(&mut command);
        command
    }

    fn provider(&self, command: &mut Command) {
        command
            .env("OIDC_ISSUER_URL", self.issuer.url())
            .env("OIDC_AUDIENCE", AUDIENCE);
    }

    /// A data folder.
    pub(super) fn folder(&self) -> Result<TempDir> {
        let storage = std::path::absolute(&self.storage)?;
        Ok(TempDir::with_prefix_in("bench-", storage)?)
    }
}
