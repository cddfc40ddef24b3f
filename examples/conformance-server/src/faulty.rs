//! `faulty` and `hibernating-faulty`: hooks that fail, panic, or never end.

use futures_util::future::join;
use http::Uri;
use partyserver::{
    Admission, Attachment, Body, CloseEvent, ConnectGate, Connection, Context, Decoder, Encoded,
    Encoder, Error, Handshake, Lifetime, Lobby, Message, Request, RequestGate, Response, Result,
    Server, Update, answer,
};
use serde_json::json as value;

use crate::instance::instance_id;

/// Fails as it is told: by the query (`?on_admit=panic`), or, if a hook sees no query,
/// by the name of the room (`on_alarm-panic`).
#[derive(Debug)]
pub struct Faulty {
    instance: String,
}

impl Default for Faulty {
    fn default() -> Self {
        Self {
            instance: instance_id(),
        }
    }
}

impl Server for Faulty {
    async fn on_before_request(&self, _: &Lobby, request: Request) -> Result<RequestGate> {
        fail_in("on_before_request", request.uri()).await?;
        Ok(RequestGate::Admit(request))
    }

    async fn on_before_connect(&self, _: &Lobby, handshake: Handshake) -> Result<ConnectGate> {
        fail_in("on_before_connect", handshake.uri()).await?;
        Ok(ConnectGate::Admit(handshake))
    }

    async fn on_start(&mut self, cx: &Context) -> Result<()> {
        fail_if_named("on_start", cx).await
    }

    async fn on_admit(&mut self, _: &Context, handshake: &Handshake) -> Result<Admission> {
        fail_in("on_admit", handshake.uri()).await?;
        Ok(Admission::Admit)
    }

    async fn connection_tags(&mut self, _: &Context, handshake: &Handshake) -> Result<Vec<String>> {
        fail_in("connection_tags", handshake.uri()).await?;
        Ok(Vec::new())
    }

    async fn on_connect(
        &mut self,
        _: &Context,
        _: &Connection,
        handshake: &Handshake,
    ) -> Result<()> {
        fail_in("on_connect", handshake.uri()).await
    }

    async fn on_message(&mut self, _: &Context, from: &Connection, message: Message) -> Result<()> {
        match message.as_text()? {
            "attach" => from.attachments().insert(Unwritable),
            how => fail(how).await?,
        }
        from.send(value!({ "instance": self.instance }))?;
        Ok(())
    }

    async fn on_close(&mut self, cx: &Context, _: &Connection, _: CloseEvent) -> Result<()> {
        count(cx).await?;
        fail_if_named("on_close", cx).await
    }

    async fn on_request(&mut self, cx: &Context, request: Request) -> Result<Response> {
        match request.uri().path().rsplit('/').next().unwrap_or_default() {
            "alarm" => cx.room().set_alarm(cx.now()).await?,
            "event" => cx.room().post(&"an event")?,
            "write" => count(cx).await?,
            "large-number" => {
                let storage = cx.room().storage();
                storage.put("large", &[u64::MAX]).await?;
                return answer::json(&storage.get::<[u64; 1]>("large").await?);
            }
            // Two things run at once: one is dropped when the other panics.
            "panic-beside-a-write" => {
                let writes = join(count(cx), count(cx));
                let panics = async {
                    cx.room().storage().get::<u64>(RAN).await?;
                    fail("panic").await
                };
                let _ = join(writes, panics).await;
            }
            how => match how.strip_prefix("answer-") {
                Some(status) => {
                    let mut answer = Response::new(Body::from("a body"));
                    *answer.status_mut() = status.parse()?;
                    return Ok(answer);
                }
                None => fail(how).await?,
            },
        }
        let ran: u64 = cx.room().storage().get(RAN).await?.unwrap_or_default();
        answer::json(&value!({ "instance": self.instance, "ran": ran }))
    }

    async fn on_alarm(&mut self, cx: &Context) -> Result<()> {
        count(cx).await?;
        fail_if_named("on_alarm", cx).await
    }

    async fn on_event(&mut self, cx: &Context, _: serde_json::Value) -> Result<()> {
        count(cx).await?;
        fail_if_named("on_event", cx).await
    }
}

/// A value that panics when a host writes it.
#[derive(Debug)]
struct Unwritable;

impl Attachment for Unwritable {
    const NAME: &'static str = "conformance.unwritable";
    const LIFETIME: Lifetime = Lifetime::Connection;

    fn encode(&self, _: Encoder) -> serde_json::Result<Encoded> {
        panic!("the attachment panics, as it was told to")
    }

    fn decode(decoder: Decoder<'_>) -> serde_json::Result<Self> {
        decoder.read::<()>().map(|()| Self)
    }
}

/// Counts the runs of hooks that answer nobody.
async fn count(cx: &Context) -> Result<()> {
    let one_more = |ran: Option<u64>| (Update::Put(ran.unwrap_or_default() + 1), ());
    cx.room().storage().update(RAN, one_more).await?;
    Ok(())
}

async fn fail_in(hook: &str, uri: &Uri) -> Result<()> {
    let (named, how) = uri
        .query()
        .and_then(|query| query.split_once('='))
        .unwrap_or_default();
    fail(if named == hook { how } else { "" }).await
}

async fn fail_if_named(hook: &str, cx: &Context) -> Result<()> {
    let (named, how) = cx.room().name().split_once('-').unwrap_or_default();
    fail(if named == hook { how } else { "" }).await
}

async fn fail(how: &str) -> Result<()> {
    match how {
        "panic" => panic!("the hook panics, as it was told to"),
        "error" => Err(Error::msg("the hook fails, as it was told to")),
        "slow" => std::future::pending().await,
        _ => Ok(()),
    }
}

const RAN: &str = "ran";
