//! `alarm` and `hibernating-alarm`: the room's one alarm.

use std::time::{Duration, SystemTime};

use partyserver::{Context, Error, Request, Response, Result, Server, answer};
use serde_json::{Value, json as value};

use crate::instance::instance_id;

/// Sets its alarm on request; in the room `anew` it also does so while the alarm runs.
/// It remembers in storage how often the alarm fired, and in which instance.
#[derive(Debug)]
pub struct Alarm {
    instance: String,
}

impl Default for Alarm {
    fn default() -> Self {
        Self {
            instance: instance_id(),
        }
    }
}

impl Server for Alarm {
    async fn on_alarm(&mut self, cx: &Context) -> Result<()> {
        let fired: u64 = cx.room().storage().get(FIRED).await?.unwrap_or_default();
        let storage = cx.room().storage();
        storage.put(FIRED, &(fired + 1)).await?;
        storage.put(FIRED_IN, &self.instance).await?;
        storage.put(NAME, &cx.room().name()).await?;
        // This sets another alarm than the one that fails here.
        if fired == 0 && cx.room().name() == "anew" {
            let soon = cx.now() + Duration::from_millis(300);
            cx.room().set_alarm(soon).await?;
            return Err(Error::msg("the first alarm fails, as it was told to"));
        }
        Ok(())
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
        if request.uri().query() == Some("epoch") {
            cx.room().set_alarm(SystemTime::UNIX_EPOCH).await?;
        }
        let storage = cx.room().storage();
        let fired: u64 = storage.get(FIRED).await?.unwrap_or_default();
        let fired_in: Value = storage.get(FIRED_IN).await?.unwrap_or_default();
        let name: Value = storage.get(NAME).await?.unwrap_or_default();
        answer::json(&value!({
            "fired": fired,
            "fired_in": fired_in,
            "name": name,
            "instance": self.instance,
        }))
    }
}

const FIRED: &str = "fired";
const FIRED_IN: &str = "fired-in";
const NAME: &str = "name";
