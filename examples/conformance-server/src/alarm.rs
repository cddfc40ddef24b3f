//! `alarm`: the room's one alarm.

use std::time::Duration;

use partyserver::{Context, Request, Response, Result, Server, json};
use serde_json::{Value, json as value};

/// Sets its alarm on request, and remembers in storage how often it fired.
#[derive(Debug, Default)]
pub struct Alarm;

impl Server for Alarm {
    async fn on_alarm(&mut self, cx: &Context) -> Result<()> {
        let fired: u64 = cx.room().storage().get(FIRED).await?.unwrap_or_default();
        cx.room().storage().put(FIRED, &(fired + 1)).await?;
        cx.room()
            .storage()
            .put(NAME, &cx.room().name())
            .await
            .map_err(Into::into)
    }

    async fn on_request(&mut self, cx: &Context, request: Request) -> Result<Response> {
        let delay = request
            .uri()
            .query()
            .and_then(|query| query.strip_prefix("ms="));
        if let Some(delay) = delay {
            let delay = Duration::from_millis(delay.parse()?);
            cx.room().set_alarm(cx.now() + delay).await?;
        }
        let fired: u64 = cx.room().storage().get(FIRED).await?.unwrap_or_default();
        let name: Value = cx.room().storage().get(NAME).await?.unwrap_or_default();
        json(&value!({ "fired": fired, "name": name }))
    }
}

const FIRED: &str = "fired";
const NAME: &str = "name";
