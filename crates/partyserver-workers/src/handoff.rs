//! What passes from the Worker, where a request was verified, to the object of its
//! room: one header. The Worker passes on no header from a client. The object accepts
//! this header only from a request whose `cf` says that a Worker made it. When another
//! Worker passes on a client's request, its `cf` is the platform's.

use std::borrow::Cow;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Uri};
use partyserver::host::Finish;
use partyserver::host::failure::Place;
use partyserver::host::front::Visit;
use partyserver::{Attachments, Body, Cors, Handshake, Lifetime, Request};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::platform::http::{from_latin1, to_ascii};

/// A request that the Worker admitted.
pub(crate) struct HandOff {
    /// The length of its text.
    pub(crate) length: usize,
    pub(crate) party: String,
    pub(crate) room: String,
    head: Parts,
    /// What the gate attached.
    pub(crate) attachments: Attachments,
    /// The headers that the party puts on every answer to the request.
    answer_headers: HeaderMap,
    pub(crate) is_upgrade: bool,
    /// The subprotocol that the answer selects.
    pub(crate) protocol: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Text<'t> {
    party: Cow<'t, str>,
    room: Cow<'t, str>,
    method: &'t str,
    uri: String,
    headers: Pairs,
    answer_headers: Pairs,
    #[serde(borrow)]
    attachments: &'t RawValue,
    is_upgrade: bool,
    protocol: Option<String>,
}

/// Names and values of headers, as Latin-1.
type Pairs = Vec<(String, String)>;

fn to_pairs(headers: &HeaderMap) -> Pairs {
    let pairs = headers.iter().map(|(name, value)| {
        let value = value.as_bytes().iter().map(|byte| *byte as char);
        (name.as_str().to_owned(), value.collect())
    });
    pairs.collect()
}

fn from_pairs(pairs: &Pairs) -> Option<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(pairs.len());
    for (name, value) in pairs {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.append(name, from_latin1(value)?);
    }
    Some(headers)
}

/// Writes what is passed to an object. It is ASCII, because it travels as a header.
pub(crate) fn write(
    head: &Parts,
    visit: &Visit,
    is_upgrade: bool,
    protocol: Option<String>,
) -> serde_json::Result<String> {
    let lobby = &visit.lobby;
    // The token is included. It stays in memory on both sides.
    let attachments = RawValue::from_string(lobby.attachments().encode(Lifetime::Memory)?)?;
    let text = serde_json::to_string(&Text {
        party: lobby.party().into(),
        room: lobby.room_name().into(),
        method: head.method.as_str(),
        uri: head.uri.to_string(),
        headers: to_pairs(&head.headers),
        answer_headers: to_pairs(visit.finish.headers()),
        attachments: &attachments,
        is_upgrade,
        protocol,
    })?;
    Ok(to_ascii(text))
}

impl HandOff {
    /// Reads what [`write`] wrote. `None` for any other text.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let length = text.len();
        let text: Text<'_> = serde_json::from_str(text).ok()?;
        let attachments = Attachments::decode(text.attachments.get()).ok()?;
        let (mut head, ()) = http::Request::new(()).into_parts();
        head.method = Method::from_bytes(text.method.as_bytes()).ok()?;
        head.uri = text.uri.parse::<Uri>().ok()?;
        head.headers = from_pairs(&text.headers)?;
        head.extensions.insert(attachments.clone());
        Some(Self {
            length,
            party: text.party.into_owned(),
            room: text.room.into_owned(),
            head,
            attachments,
            answer_headers: from_pairs(&text.answer_headers)?,
            is_upgrade: text.is_upgrade,
            protocol: text.protocol,
        })
    }

    /// The party and the room of the request, for the log.
    pub(crate) fn place(&self) -> Place<'_> {
        Place {
            party: &self.party,
            room: &self.room,
        }
    }

    /// What is put on every answer to the request.
    pub(crate) fn finish(&self, cors: Option<&Arc<Cors>>) -> Finish {
        Finish::new(
            cors.cloned(),
            &self.head.headers,
            self.answer_headers.clone(),
        )
    }

    pub(crate) fn into_request(self, body: Body) -> Request {
        Request::from_parts(self.head, body)
    }

    pub(crate) fn into_handshake(self) -> Handshake {
        Handshake::from_parts(self.head, ())
    }
}
